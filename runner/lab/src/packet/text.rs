//! A script as text: the place in it, and the words that stand there.

use std::collections::BTreeMap;
use std::fmt;

/// A place in a script, both counted from 1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong with a script, or beyond the part of the language that is understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
}

/// How deep brackets may stand in brackets.
const DEPTH_MAX: usize = 64;

/// A reader of a script. Between two words, space, line ends and comments are skipped.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Where the last word ended.
    end: usize,
    /// Whether this is Python, to which two slashes are no comment.
    pub(super) is_code: bool,
    depth: usize,
    /// Words that stand for others (`-D NAME=VALUE`).
    defines: &'a BTreeMap<String, String>,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a text.
    pub fn new(text: &'a str, defines: &'a BTreeMap<String, String>) -> Self {
        Self {
            text,
            at: 0,
            end: 0,
            is_code: false,
            depth: 0,
            defines,
        }
    }

    /// What is left.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// What was taken since another cursor was here, in one line.
    pub fn taken_since(&self, before: &Self) -> String {
        let words = self.text[before.at..self.end].split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    }

    fn take(&mut self, length: usize) {
        self.at += length;
        if length > 0 {
            self.end = self.at;
        }
    }

    /// Where the next word is.
    pub fn place(&mut self) -> Place {
        self.skip();
        self.here()
    }

    /// Where it is, blanks and comments that come next not passed.
    pub fn here(&self) -> Place {
        let before = &self.text[..self.at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// A fault at the next word.
    pub fn fault<T>(&mut self, message: impl Into<String>) -> Result<T, Fault> {
        let (place, message) = (self.place(), message.into());
        Err(Fault { place, message })
    }

    /// A fault that says what was expected in place of the next word.
    pub fn expected<T>(&mut self, what: &str) -> Result<T, Fault> {
        self.skip();
        let rest = self.rest();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        match rest[..end].chars().take(24).collect::<String>() {
            found if found.is_empty() => {
                self.fault(format!("expected {what}, and the script ends"))
            }
            found => self.fault(format!("expected {what}, not `{found}`")),
        }
    }

    /// Reads what stands in something else of its kind, which is not too deep.
    pub fn inside<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth == DEPTH_MAX {
            return self.fault("this is nested too deeply");
        }
        self.depth += 1;
        let found = read(self)?;
        self.depth -= 1;
        Ok(found)
    }

    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            let end = match trimmed {
                comment
                    if comment.starts_with('#') || !self.is_code && comment.starts_with("//") =>
                {
                    comment.find('\n').unwrap_or(comment.len())
                }
                comment if !self.is_code && comment.starts_with("/*") => {
                    comment.find("*/").map_or(comment.len(), |end| end + 2)
                }
                _ => return,
            };
            self.at += end;
        }
    }

    /// Whether nothing is left.
    pub fn is_at_end(&mut self) -> bool {
        self.skip();
        self.rest().is_empty()
    }

    /// Whether this comes next; it stays there.
    pub fn sees(&mut self, words: &str) -> bool {
        self.skip();
        self.rest().starts_with(words)
    }

    /// Takes this, if it comes next.
    pub fn takes(&mut self, words: &str) -> bool {
        let found = self.sees(words);
        if found {
            self.take(words.len());
        }
        found
    }

    /// Takes a whole word, if it comes next.
    pub fn takes_word(&mut self, word: &str) -> bool {
        self.skip();
        let found = self.rest().strip_prefix(word);
        let found = found.is_some_and(|rest| !rest.starts_with(is_word));
        if found {
            self.take(word.len());
        }
        found
    }

    /// Takes this, which must come.
    pub fn must(&mut self, words: &str) -> Result<(), Fault> {
        match self.takes(words) {
            true => Ok(()),
            false => self.expected(&format!("`{words}`")),
        }
    }

    /// Takes the characters that fit, without a define being replaced.
    pub fn while_fits(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        self.skip();
        self.raw_while(fits)
    }

    /// The same, from the very next character on.
    pub fn raw_while(&mut self, mut fits: impl FnMut(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.take(end);
        &rest[..end]
    }

    /// Takes a word of letters, digits and underscores, or what it stands for; may be empty.
    pub fn word(&mut self) -> String {
        let word = self.while_fits(is_word);
        let meant = self.defines.get(word);
        meant.map_or_else(|| word.to_owned(), Clone::clone)
    }

    /// Takes all up to an end, and the end.
    pub fn up_to(&mut self, end: &str, what: &str) -> Result<&'a str, Fault> {
        let rest = self.rest();
        match rest.find(end) {
            Some(length) => {
                self.take(length + end.len());
                Ok(&rest[..length])
            }
            None => self.fault(format!("{what} has no end: there is no `{end}` behind it")),
        }
    }

    /// Takes a number: decimal, or hexadecimal behind `0x`.
    pub fn number(&mut self) -> Result<i64, Fault> {
        let mut ahead = self.clone();
        let negative = ahead.takes("-");
        let word = ahead.word();
        let parsed = match word.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        match parsed {
            Ok(number) => {
                *self = ahead;
                Ok(if negative { -number } else { number })
            }
            Err(_) => self.expected("a number"),
        }
    }

    /// Takes a number that fits into another type.
    pub fn small<T: TryFrom<i64>>(&mut self) -> Result<T, Fault> {
        let place = self.place();
        let number = self.number()?;
        T::try_from(number).map_err(|_| Fault {
            place,
            message: format!("{number} is out of the range of what stands here"),
        })
    }
}

/// Whether a character is one of a word's.
pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
