//! A value: `{{10.36}}` in the text stands for what step 10.36 printed, and leads there.
//!
//! An author writes no number that a step shows: the page has it from the snapshot, and a later
//! recording cannot make the sentence wrong. Between the braces stands
//!
//! - a step, `10.36`: the one number that it printed, or the value that gdb printed;
//! - a step and a text, `10.36 data_len` or `8.20 '#ms'`: the number behind the text, or in the
//!   place of `#`, in what the step shows, its command included; the first, if there are several;
//! - `lines 10.60`, `lines 10.60 e1000_`: how many lines it printed, or how many have the text;
//! - a name of the kernel's that has a value, `NUD_STALE`, `TCP_TIMEWAIT_LEN`, as the lab knew it;
//! - a number, and sums, differences, products and quotients of all these:
//!   `{{TCP_TIMEWAIT_LEN / HZ}}`.
//!
//! A word before it says how the number is written: `hex`, `dec`, `words` (`five`) or `Words`
//! (`Five`); `bar` puts a bar before it, for a column of a table. `{{step 10.36}}` is the step's
//! number itself, as a link, and `{{seen sk_ack_backlog}}` the steps that show the text: the first
//! of each chapter. A code span may be one directive, and its value is code then; other code is
//! left alone.

use std::ops::Range;

use regex_lite::Regex;

use crate::chapter::expression::{Number, Operator, Token, evaluate};
use crate::chapter::markdown::{Page, Piece, Span};
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// What stands between two braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// A number.
    Value(Form, Vec<Token<Leaf>>),
    /// A step's own number.
    Step(StepId),
    /// The steps that show a text.
    Seen(String),
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As the step printed it, or in decimal.
    Plain,
    /// `0x1f`.
    Hex,
    /// In decimal, whatever the step printed.
    Dec,
    /// `five`, or `Five`, up to twelve.
    Words(bool),
    /// In decimal, with a bar that is a step longer for each factor of ten.
    Bar,
}

/// What has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A number that a step shows: the only one, or the one at a text.
    Shown(StepId, Option<String>),
    /// How many lines a step printed, or how many of them have a text.
    Lines(StepId, Option<String>),
    /// A name of the kernel's.
    Name(String),
    /// A number that the author wrote.
    Number(Number),
}

/// Where values come from.
pub trait Source {
    /// What a step printed.
    ///
    /// # Errors
    /// Why there is no such step.
    fn record(&mut self, id: StepId) -> Result<&Record, String>;

    /// What a name of the kernel's stands for.
    ///
    /// # Errors
    /// Why it stands for none.
    fn named(&mut self, name: &str) -> Result<Number, String>;
}

/// The words for small numbers, as the text writes them.
const WORDS: [&str; 13] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
];

/// The places of the directives in a page, in order: their bytes, braces included, and what is
/// between the braces. A code span that is a directive is one, backticks included.
#[must_use]
pub fn find<'a>(page: &Page<'a>) -> Vec<(Range<usize>, &'a str)> {
    braces(page)
        .into_iter()
        .filter_map(|(place, inner, code)| match code {
            Some(code) if is_all_of(code, &page.text[place.clone()]) => {
                Some((code.range.clone(), inner))
            }
            Some(_) => None,
            None => Some((place, inner)),
        })
        .collect()
}

/// The places of what would be a directive if it did not share its code span with other text, which
/// keeps it as it is written.
#[must_use]
pub fn kept(page: &Page<'_>) -> Vec<Range<usize>> {
    let kept = braces(page).into_iter().filter(|(place, inner, code)| {
        let shares = code.is_some_and(|code| !is_all_of(code, &page.text[place.clone()]));
        shares && Directive::parse(inner).is_ok()
    });
    kept.map(|(place, ..)| place).collect()
}

/// What stands between double braces in the prose of a page, but for `{{#include}}`, which is
/// mdbook's: the bytes, what is inside, and the code span around it.
fn braces<'a, 'p>(page: &'p Page<'a>) -> Vec<(Range<usize>, &'a str, Option<&'p Span<'a>>)> {
    static BRACES: Pattern = Pattern::new(|| pattern(r"\{\{(.*?)\}\}"));
    let mut found = Vec::new();
    for piece in page.pieces() {
        let Piece::Prose { range, spans } = piece else {
            continue;
        };
        for braces in BRACES.captures_iter(&page.text[range.clone()]) {
            let (Some(whole), Some(inner)) = (braces.get(0), braces.get(1)) else {
                continue;
            };
            let place = range.start + whole.start()..range.start + whole.end();
            let mut code = spans.iter().filter(|span| span.is_code);
            let code = code.find(|span| span.range.contains(&place.start));
            if !inner.as_str().starts_with('#') {
                found.push((place, inner.as_str(), code));
            }
        }
    }
    found
}

fn is_all_of(code: &Span<'_>, directive: &str) -> bool {
    code.text.trim() == directive
}

impl Directive {
    /// Reads what stands between the braces.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = split(text)?;
        let (form, rest) = match words[..] {
            ["step", id] => return Ok(Self::Step(id.parse()?)),
            ["seen", text] if is_text(text) => return Ok(Self::Seen(unquoted(text))),
            ["hex", ref rest @ ..] => (Form::Hex, rest),
            ["dec", ref rest @ ..] => (Form::Dec, rest),
            ["words", ref rest @ ..] => (Form::Words(false), rest),
            ["Words", ref rest @ ..] => (Form::Words(true), rest),
            ["bar", ref rest @ ..] => (Form::Bar, rest),
            ref rest => (Form::Plain, rest),
        };
        let tokens = tokens(rest)?;
        if tokens.is_empty() {
            return Err("expected a step, a name or a number".to_owned());
        }
        Ok(Self::Value(form, tokens))
    }

    /// The steps that it reads, in order.
    pub fn steps(&self) -> Vec<StepId> {
        let tokens = match self {
            Self::Step(id) => return vec![*id],
            Self::Seen(_) => return Vec::new(),
            Self::Value(_, tokens) => tokens,
        };
        let steps = tokens.iter().filter_map(|token| match token {
            Token::Leaf(Leaf::Shown(id, _) | Leaf::Lines(id, _)) => Some(*id),
            _ => None,
        });
        steps.collect()
    }

    /// The names of the kernel's in it.
    pub fn names(&self) -> Vec<&str> {
        let Self::Value(_, tokens) = self else {
            return Vec::new();
        };
        let names = tokens.iter().filter_map(|token| match token {
            Token::Leaf(Leaf::Name(name)) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }
}

/// The text of a value.
///
/// # Errors
/// What a step does not show, and what cannot be computed or written so.
pub fn written(
    form: Form,
    tokens: &[Token<Leaf>],
    source: &mut dyn Source,
) -> Result<String, String> {
    if let (Form::Plain, [Token::Leaf(Leaf::Shown(id, at))]) = (form, tokens) {
        return shown(source.record(*id)?, at.as_deref());
    }
    let number = evaluate(tokens, &mut |leaf| number(leaf, source))?;
    let too_large = || format!("{number} cannot be written so");
    match form {
        Form::Plain | Form::Dec => Ok(number.to_string()),
        Form::Bar => {
            let whole = number.whole().filter(|whole| *whole > 0);
            Ok(whole
                .ok_or("a bar needs a whole number above zero")?
                .to_string())
        }
        Form::Hex => {
            let whole = number.whole().filter(|whole| *whole >= 0);
            Ok(format!("{:#x}", whole.ok_or_else(too_large)?))
        }
        Form::Words(capital) => {
            let whole = number.whole().and_then(|whole| usize::try_from(whole).ok());
            let word = whole
                .and_then(|whole| WORDS.get(whole))
                .ok_or_else(too_large)?;
            Ok(match capital {
                true => word[..1].to_uppercase() + &word[1..],
                false => (*word).to_owned(),
            })
        }
    }
}

fn number(leaf: &Leaf, source: &mut dyn Source) -> Result<Number, String> {
    match leaf {
        Leaf::Shown(id, at) => {
            let text = shown(source.record(*id)?, at.as_deref())?;
            // A clock's 08 is not octal.
            let decimal = text.trim_start_matches('0');
            match text.starts_with("0x") || decimal.is_empty() || decimal.starts_with('.') {
                true => text.parse(),
                false => decimal.parse(),
            }
        }
        Leaf::Lines(id, text) => {
            let record = source.record(*id)?;
            let lines = record.output.stdout.lines();
            let text = text.as_deref().unwrap_or_default();
            let count = lines.filter(|line| line.contains(text)).count();
            count.to_string().parse()
        }
        Leaf::Name(name) => source.named(name),
        Leaf::Number(number) => Ok(*number),
    }
}

/// A number within a text.
const NUMBER: &str = r"(-?(?:0x[0-9a-f]+|\d+(?:\.\d+)?))";

/// The number that a step shows.
fn shown(record: &Record, at: Option<&str>) -> Result<String, String> {
    match at {
        Some(at) => beside(record, at),
        None => only(record),
    }
}

/// The only number, or what gdb printed as a value.
fn only(record: &Record) -> Result<String, String> {
    static PRINTED: Pattern =
        Pattern::new(|| pattern(r"(?m)^(?:Value returned is )?\$\d+ = (.*)$"));
    static VALUE: Pattern = Pattern::new(|| pattern(&format!(r"^(?:\([^()]*\) )?{NUMBER}\b")));
    static ANY: Pattern =
        Pattern::new(|| pattern(&format!(r"(?:^|[^\w.]){NUMBER}(?:$|[^\w.]|\.(?:$|\s))")));
    let output = &record.output.stdout;
    let mut printed = PRINTED.captures_iter(output);
    if let (Some(only), None) = (printed.next(), printed.next())
        && let Some(value) = VALUE.captures(only.get(1).map_or("", |value| value.as_str()))
    {
        return Ok(value[1].to_owned());
    }
    // What stands between two numbers may belong to both.
    let from = |start: usize| ANY.captures_at(output, start)?.get(1);
    let first = from(0);
    match (first, first.and_then(|first| from(first.end()))) {
        (Some(only), None) => Ok(only.as_str().to_owned()),
        (None, _) => Err(format!("step {} printed no number", record.id)),
        (Some(_), Some(_)) => Err(format!(
            "step {} printed several numbers; say which, as in {{{{{} 'text before it'}}}}",
            record.id, record.id
        )),
    }
}

/// What a text that begins or ends with this needs there, in a pattern, not to be a part of a word.
#[must_use]
pub(crate) fn edge(c: Option<char>) -> &'static str {
    match c {
        Some(c) if c.is_alphanumeric() || c == '_' => r"\b",
        _ => "",
    }
}

/// The number behind a text, or in the place of the `#` in it.
fn beside(record: &Record, at: &str) -> Result<String, String> {
    let (before, behind) = at.split_once('#').unwrap_or((at, ""));
    let blanks = r"[^\S\n]+";
    let literal = |text: &str| {
        let words: Vec<String> = text.split_whitespace().map(regex_lite::escape).collect();
        let edge = |touches: bool| if touches { blanks } else { "" };
        let first = edge(text.starts_with(char::is_whitespace));
        let last = edge(text.ends_with(char::is_whitespace) && !words.is_empty());
        format!("{first}{}{last}", words.join(blanks))
    };
    let escaped = |text: &str| {
        let parts = text.split('…').map(|part| match text.contains('…') {
            true => literal(part.trim()),
            false => literal(part),
        });
        Vec::from_iter(parts).join(r"[^\n]*?")
    };
    let gap = if at.contains('#') { "" } else { r"[^\w\n-]*?" };
    let pattern = format!(
        "{}{}{gap}{NUMBER}{}{}{}",
        edge(before.chars().next()),
        escaped(before),
        if behind.is_empty() { r"\b" } else { "" },
        escaped(behind),
        edge(behind.chars().last()),
    );
    let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
    let Record {
        command, output, ..
    } = record;
    let all = format!("{command}\n{}\n{}", output.stdout, output.stderr);
    let found = pattern.captures(&all);
    let found = found.ok_or_else(|| format!("step {} shows no number at `{at}`", record.id))?;
    Ok(found[1].to_owned())
}

/// The words of a directive: quoted text with its quotes, a sign that stands at the beginning of a
/// word, or what else is between blanks.
fn split(text: &str) -> Result<Vec<&str>, String> {
    static WORD: Pattern = Pattern::new(|| pattern(r"'[^']*'|<<|[()+*/|-]|[^\s()']+"));
    match text.matches('\'').count() % 2 {
        0 => Ok(WORD.find_iter(text).map(|word| word.as_str()).collect()),
        _ => Err("a quote is never closed".to_owned()),
    }
}

/// Whether a word is no sign.
fn is_text(word: &str) -> bool {
    Operator::beginning(word).is_none() && !word.starts_with(['(', ')'])
}

fn unquoted(word: &str) -> String {
    word.trim_matches('\'').to_owned()
}

fn tokens(words: &[&str]) -> Result<Vec<Token<Leaf>>, String> {
    let mut tokens = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let mut text = || {
            words
                .next_if(|next| is_text(next))
                .map(|next| unquoted(next))
        };
        tokens.push(match *word {
            "(" => Token::Open,
            ")" => Token::Close,
            "lines" => {
                let step = text().ok_or("expected a step behind `lines`")?;
                Token::Leaf(Leaf::Lines(step.parse()?, text()))
            }
            word if word.starts_with('\'') => return Err(format!("{word} belongs behind a step")),
            word => match (Operator::beginning(word), word.parse()) {
                (Some((operator, _)), _) => Token::Operator(operator),
                (None, Ok(id)) => Token::Leaf(Leaf::Shown(id, text())),
                (None, Err(_)) if word.starts_with(|c: char| c.is_ascii_digit()) => {
                    Token::Leaf(Leaf::Number(word.parse()?))
                }
                (None, Err(_)) => Token::Leaf(Leaf::Name(word.to_owned())),
            },
        });
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    struct Fixture(Snapshot);

    impl Source for Fixture {
        fn record(&mut self, id: StepId) -> Result<&Record, String> {
            self.0.record(id).ok_or_else(|| format!("no step {id}"))
        }

        fn named(&mut self, name: &str) -> Result<Number, String> {
            match name {
                "HZ" => "100".parse(),
                "LEN" => "6000".parse(),
                _ => Err(format!("`{name}` has no value")),
            }
        }
    }

    fn value(text: &str) -> Result<String, String> {
        let snapshot = "\n1.1 gdb 'print $skb->len'\n| $7 = 192\n= 0\n\n\
             1.2 gdb 'print *skb'\n| $8 = {len = 5, data_len = 0x25, at = 18 '\\022'}\n= 0\n\n\
             1.3 guest 'ping -c 1 10.0.3.1'\n| 64 bytes from 10.0.3.1: seq=0 ttl=64 time=0.125 ms\n\
             | 3 packets\n= 0\n\n\
             1.4 gdb 'print x'\n| $9 = 18 '\\022'\n= 0\n\n1.5 guest 'cat x'\n| 42.\n= 0\n\n1.6 \
             gdb x\n| $1 = -1\n= 0\n\n\
             1.8 gdb two\n| $3 = (struct sock *) 0x1\n| $4 = 2\n= 0\n\n\
             1.10 guest load\n| 1.20 0.31\n= 0\n\n\
             1.7 gdb finish\n| Run till exit from #0 f () at a.c:9\n| Value returned is $2 = 3\n= \
             0\n";
        let mut source = Fixture(Snapshot::parse(snapshot).unwrap());
        match Directive::parse(text)? {
            Directive::Value(form, tokens) => written(form, &tokens, &mut source),
            other => Ok(format!("{other:?}")),
        }
    }

    #[test]
    fn a_value_is_what_the_step_shows() {
        for (text, expected) in [
            ("1.1", "192"),
            ("1.2 len", "5"),
            ("1.2 data_len", "0x25"),
            ("dec 1.2 data_len", "37"),
            ("hex 1.2 len", "0x5"),
            ("words 1.2 len", "five"),
            ("Words 1.2 len", "Five"),
            ("1.4", "18"),
            ("1.5", "42"),
            ("1.6", "-1"),
            ("1.7", "3"),
            ("1.3 ttl", "64"),
            ("1.3 '# ms'", "0.125"),
            ("1.3 '# bytes'", "64"),
            ("1.3 '64 bytes … time'", "0.125"),
            ("1.3 'ping -c'", "1"),
            ("1.1 - 1.2 len * 2", "182"),
            ("(1.1 - 1.2 len) / 2", "93.5"),
            ("1.3 time * 1000", "125"),
            ("lines 1.3", "2"),
            ("lines 1.3 packets", "1"),
            ("LEN / HZ", "60"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_says_why() {
        for (text, message) in [
            ("1.9", "no step 1.9"),
            (
                "1.3",
                "several numbers; say which, as in {{1.3 'text before it'}}",
            ),
            ("1.3 rtt", "step 1.3 shows no number at `rtt`"),
            ("1.2 en", "shows no number"),
            ("1.8", "several numbers"),
            ("1.10", "several numbers"),
            ("words 1.1", "192 cannot be written so"),
            ("NO_NAME", "`NO_NAME` has no value"),
            ("", "expected a step, a name or a number"),
            ("1.1 'x", "never closed"),
            ("1.1 +", "missing at the end"),
            ("step x", "`x` is no step"),
            ("'x'", "belongs behind a step"),
        ] {
            let error = value(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn directives_are_found_in_prose_alone() {
        let text =
            "a {{1.1}} `x {{1.2}}` {{#include x}}\n```c\n{{1.3}}\n```\n{{seen x}}{{step 1.4}}\n";
        let page = Page::read(text);
        let found: Vec<_> = find(&page).into_iter().map(|(_, inner)| inner).collect();
        assert_eq!(found, ["1.1", "seen x", "step 1.4"]);
        for (range, inner) in find(&page) {
            assert_eq!(text[range], format!("{{{{{inner}}}}}"));
        }
        let kept_in = |page: &Page<'_>| -> Vec<String> {
            let kept = kept(page).into_iter();
            kept.map(|place| page.text[place].to_owned()).collect()
        };
        assert_eq!(kept_in(&page), ["{{1.2}}"]);
        let page = Page::read("a `{{1.1}}` `{{words}} of C`");
        assert_eq!(find(&page), [(2..11, "1.1")], "with its backticks");
        assert!(kept_in(&page).is_empty());
    }
}
