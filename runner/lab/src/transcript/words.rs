//! The words of a directive, split as the shell that mdbook-cmdrun uses would split them.
//!
//! mdbook-cmdrun hands the whole directive to `sh -c`. A character that the shell would act upon is
//! therefore an error here and not a word: an unquoted `|` in a guest's pipeline would run the
//! second half on the reader's machine.
//! Quoting: POSIX.1-2017, Shell Command Language, section 2.2.

use crate::transcript::is_unseen;

/// What is wrong with a directive's quoting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A quote that is opened and never closed.
    #[error("the quote {0} is never closed")]
    Unbalanced(char),
    /// A character that the shell would act upon.
    #[error(
        "your own shell would act on the unquoted {0}; put the command in single quotes: \
         guest 'ip route | head -3'"
    )]
    Active(char),
    /// A backslash with nothing behind it.
    #[error("nothing follows the last backslash")]
    TrailingBackslash,
    /// A character that nobody can type or see.
    #[error(
        "the command holds the character U+{:04X}, which nobody can see; let printf make it",
        u32::from(*.0)
    )]
    Invisible(char),
}

/// Splits `line` into words by the shell's quoting rules.
///
/// # Errors
/// Where a quote is not closed, or where the shell would do more than split.
pub fn split(line: &str) -> Result<Vec<String>, WordsError> {
    // A terminal would act upon it, or show the command as another one.
    if let Some(c) = line.chars().find(|c| *c != '\t' && is_unseen(*c)) {
        return Err(WordsError::Invisible(c));
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => {
                let next = chars.next().ok_or(WordsError::TrailingBackslash)?;
                word.get_or_insert_default().push(next);
            }
            '#' | '~' if word.is_none() => return Err(WordsError::Active(c)),
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' | '[' | '{' | '}' => {
                return Err(WordsError::Active(c));
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The text as words whose sequence [`split`] gives back: as it is where it can be, and else in
/// single quotes. What would begin or end a comment is taken apart, so that the word can stand in a
/// directive.
#[must_use]
pub fn quote(text: &str) -> String {
    match split(text) {
        Ok(words) if words.join(" ") == text => text.to_owned(),
        _ => quoted(text),
    }
}

/// The same for one word, whatever blanks it holds.
#[must_use]
pub fn quote_word(text: &str) -> String {
    match split(text) {
        Ok(words) if words == [text] => text.to_owned(),
        _ => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
        .replace("<!--", r#"<!'"--"'"#)
        .replace("-->", r#"--'">"'"#)
}

fn single_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    for c in chars {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err(WordsError::Unbalanced('\''))
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '$' | '`' => return Err(WordsError::Active(c)),
            '\\' => match chars.next() {
                Some(next @ ('"' | '\\' | '$' | '`')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
                None => return Err(WordsError::Unbalanced('"')),
            },
            _ => word.push(c),
        }
    }
    Err(WordsError::Unbalanced('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_join_and_vanish() {
        let words = split(r#"gdb 'print *skb' "a \"b\" \n" c\ d ''"#).unwrap();
        assert_eq!(words, ["gdb", "print *skb", r#"a "b" \n"#, "c d", ""]);
    }

    #[test]
    fn what_the_shell_would_act_upon_is_refused() {
        for (line, c) in [
            ("a | b", '|'),
            ("print *p", '*'),
            ("x/4i $pc", '$'),
            (r#""$pc""#, '$'),
            ("a > b", '>'),
            ("# x", '#'),
            ("~", '~'),
        ] {
            assert_eq!(split(line), Err(WordsError::Active(c)), "{line}");
        }
        assert_eq!(split("a#b c~d").unwrap(), ["a#b", "c~d"]);
    }

    #[test]
    fn what_is_quoted_comes_back() {
        for (text, quoted) in [
            ("backtrace 3", "backtrace 3"),
            ("print *skb", "'print *skb'"),
            ("echo 'a'  $b", r"'echo '\''a'\''  $b'"),
            ("a  b", "'a  b'"),
            (r"a\b", r"'a\b'"),
            ("a-->b", r#"'a--'">"'b'"#),
            ("<!-->", r#"'<!'"--"'>'"#),
        ] {
            assert_eq!(quote(text), quoted);
            assert_eq!(split(quoted).unwrap().join(" "), text);
        }
    }

    #[test]
    fn an_open_quote_is_named() {
        assert_eq!(split("a 'b"), Err(WordsError::Unbalanced('\'')));
        assert_eq!(split("a \"b\\"), Err(WordsError::Unbalanced('"')));
        assert_eq!(split("a \\"), Err(WordsError::TrailingBackslash));
    }

    #[test]
    fn what_nobody_can_see_is_refused() {
        for c in ['\0', '\r', '\n', '\x1b', '\u{202e}', '\u{200b}'] {
            let line = format!("guest 'echo {c}'");
            assert_eq!(split(&line), Err(WordsError::Invisible(c)));
        }
        let error = WordsError::Invisible('\x1b').to_string();
        assert!(error.contains("the character U+001B"), "{error}");
        assert_eq!(split("a\t'b\tc'").unwrap(), ["a", "b\tc"]);
    }

    /// The reference is the shell itself: what we accept, `sh` splits into the same words.
    #[test]
    fn the_shell_agrees() {
        let alphabet: Vec<char> = "aaab   '''\"\"\"\\\\|$#~=!-%{}^:/,@+0ü\t".chars().collect();
        // A small generator of numbers, the same ones in every run.
        let mut state = 1_u64;
        let mut below = |limit: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        let lines = (0..50_000).map(|_| {
            let length = 1 + below(12);
            let line = (0..length).map(|_| alphabet[below(alphabet.len())]);
            line.collect::<String>()
        });
        let (mut script, mut ours, mut accepted) = (String::new(), String::new(), Vec::new());
        for line in lines {
            if let Ok(words) = split(&line) {
                script += &format!("printf '<%s>' . {line}; echo\n");
                let words = words.iter().map(|word| format!("<{word}>"));
                ours += &format!("<.>{}\n", words.collect::<String>());
                accepted.push(line);
            }
        }
        assert!(accepted.len() > 5_000, "only {} lines", accepted.len());
        let shell = duct::cmd!("sh").stdin_bytes(script).read().unwrap();
        for (line, (shell, ours)) in accepted.iter().zip(shell.lines().zip(ours.lines())) {
            assert_eq!(ours, shell, "{line}");
        }
        assert_eq!(shell.lines().count(), accepted.len());
    }
}
