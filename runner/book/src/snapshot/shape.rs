//! The shape of text: what is a token. What may differ is another matter (`snapshot::noise`).
//!
//! A token is a number, a word, a moment of the day, a value that gdb prints behind `=`, blank
//! space, or a single other character. An address of four numbers is seven tokens. What only tells
//! where the compiler has placed an instruction is no token at all.

use std::fmt;

use crate::pattern::{Pattern, pattern};

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// How it is written.
    pub text: &'a str,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Spaces and tabs.
    Blank,
    /// `<optimized out>`: a value that the debugger does not know.
    Unknown,
    /// A number, decimal or with a fraction, or a moment of the day.
    Number,
    /// A number in hexadecimal, with or without `0x`.
    Hex,
    /// A word.
    Word,
    /// Anything else: a character, or a text in quotes behind `=`.
    Other,
}

static TOKENS: Pattern = Pattern::new(|| {
    let alternatives = [
        r"(?P<blank>[ \t]+)",
        r"(?P<unknown><optimized out>)",
        r"(?P<clock>\d{2}:\d{2}:\d{2}\.\d+)",
        r"(?P<dotted>\d+(?:\.\d+){2,})",
        r"(?P<decimal>\d+\.\d+)",
        r"(?P<hex>0x[0-9a-f]+\b)",
        r"(?P<bare>[0-9a-f]{4,}\b)",
        r"(?P<number>\d+)",
        r"(?P<word>[A-Za-z_]\w*)",
        r"(?P<other>.)",
    ];
    pattern(&alternatives.join("|"))
});

/// A value behind `=` that is no token otherwise.
static VALUE: Pattern = Pattern::new(|| pattern(r#"^(?:-\d+\b|"[^"]*")"#));

/// A frame's program counter, which gdb leaves out at the beginning of a line; `<inet_init+42>` and
/// `inet_init+0x1a/0x30`; the number that the compiler gives an initcall; and behind the bytes of a
/// dump, the same as characters.
static PLACES: Pattern = Pattern::new(|| {
    let alternatives = [
        r"\b0x[0-9a-f]{16} in ",
        r"(?P<inside><\w+)\+\d+>",
        r"\+0x[0-9a-f]+/0x[0-9a-f]+",
        r"(?P<module>\b__initcall__kmod_\w+?__)\d+_",
        r"(?P<dump>\b0x[0-9a-f]{4}:  [0-9a-f]{2,4}( [0-9a-f]{2,4})*)  .*$",
    ];
    pattern(&alternatives.join("|"))
});

/// A line without what only tells where an instruction lies in its function, or which number the
/// compiler gave it, and without what a dump says twice.
#[must_use]
pub fn without_places(line: &str) -> String {
    let left = |found: &regex_lite::Captures<'_>| {
        let kept = ["module", "dump"].iter().find_map(|name| found.name(name));
        match (found.name("inside"), kept) {
            (Some(inside), _) => format!("{}>", inside.as_str()),
            (_, Some(kept)) => kept.as_str().to_owned(),
            _ => String::new(),
        }
    };
    PLACES.replace_all(line, left).into_owned()
}

/// How many digits of a number in hexadecimal are read.
const HASH: usize = 30;

/// The tokens of a line.
#[must_use]
pub fn tokens(line: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        if is_behind_equals(&tokens)
            && let Some(value) = VALUE.find(rest)
        {
            let kind = match value.as_str().starts_with('"') {
                true => Kind::Other,
                false => Kind::Number,
            };
            tokens.push(Token {
                kind,
                text: value.as_str(),
            });
            at += value.end();
            continue;
        }
        let Some(found) = TOKENS.captures(rest) else {
            break;
        };
        let text = found.get(0).expect("group 0 is the match").as_str();
        at += text.len();
        let is = |name| found.name(name).is_some();
        if is("dotted") {
            for (index, number) in text.split('.').enumerate() {
                let number = Token {
                    kind: Kind::Number,
                    text: number,
                };
                let dot = (index > 0).then_some(Token {
                    kind: Kind::Other,
                    text: ".",
                });
                tokens.extend(dot.into_iter().chain([number]));
            }
            continue;
        }
        let kind = if is("blank") {
            Kind::Blank
        } else if is("unknown") {
            Kind::Unknown
        } else if is("clock") || is("decimal") || is("number") {
            Kind::Number
        } else if is("hex") {
            Kind::Hex
        } else if is("bare") {
            bare(text)
        } else if is("word") {
            Kind::Word
        } else {
            Kind::Other
        };
        tokens.push(Token { kind, text });
    }
    tokens
}

/// Digits alone are a number, and letters alone a word: `4015`, `88fd`, `face`.
fn bare(text: &str) -> Kind {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    match digits {
        0 => Kind::Word,
        all if all == text.len() => Kind::Number,
        _ => Kind::Hex,
    }
}

fn is_behind_equals(tokens: &[Token<'_>]) -> bool {
    let mut before = tokens.iter().rev().filter(|token| token.text != " ");
    before.next().is_some_and(|token| token.text == "=")
}

/// A number as a token writes it: a count of units, of which a fraction has 10 to the power of
/// `digits`. A moment of the day counts in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// The count.
    pub units: i128,
    digits: u32,
    is_clock: bool,
}

impl Number {
    /// A tick of the guest's clock, the hundredth part of a second, in units of this number, if it
    /// is a moment of the day; the unit of others is not known.
    #[must_use]
    pub fn tick(self) -> i128 {
        match self.is_clock {
            true => 10_i128.pow(self.digits) / 100,
            false => 0,
        }
    }

    /// Reads a decimal number, a fraction or a moment of the day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_clock = text.contains(':');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = u32::try_from(fraction.len()).ok().filter(|&n| n < 10)?;
        let mut units = if is_clock {
            let parts = whole.split(':').map(|part| part.parse::<i128>().ok());
            parts.collect::<Option<Vec<_>>>()?
        } else {
            vec![whole.parse().ok()?]
        }
        .into_iter()
        .fold(0, |sum, part| sum * 60 + part);
        let fraction = match fraction {
            "" => 0,
            digits => digits.parse::<u32>().ok()?.into(),
        };
        units = units.checked_mul(10_i128.pow(digits))? + fraction;
        Some(Self {
            units,
            digits,
            is_clock,
        })
    }

    /// The same form with another count, which is not below zero if this one is not.
    #[must_use]
    pub fn with(self, units: i128) -> Self {
        let units = if self.units >= 0 { units.max(0) } else { units };
        Self { units, ..self }
    }

    /// Whether both count the same units.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        (self.digits, self.is_clock) == (other.digits, other.is_clock)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_i128.pow(self.digits);
        let (mut whole, fraction) = (self.units / one, self.units % one);
        if self.is_clock {
            write!(f, "{:02}:{:02}:", whole / 3600, whole / 60 % 60)?;
            whole %= 60;
            write!(f, "{whole:02}")?;
        } else {
            write!(f, "{whole}")?;
        }
        if self.digits > 0 {
            write!(f, ".{fraction:00$}", self.digits as usize)?;
        }
        Ok(())
    }
}

/// The value of a token in hexadecimal: of a hash, that of its last digits.
#[must_use]
pub fn hex(text: &str) -> Option<i128> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let digits = digits.get(digits.len().saturating_sub(HASH)..)?;
    i128::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let tokens = tokens(line);
        assert_eq!(tokens.iter().map(|t| t.text).collect::<String>(), line);
        let all: Vec<&str> = tokens
            .iter()
            .filter(|token| token.kind != Kind::Blank)
            .map(|token| token.text)
            .collect();
        all.join(" ")
    }

    #[test]
    fn a_line_is_read_token_by_token() {
        for (line, expected) in [
            (
                "   15  00:01:34.339200 IP 10.0.3.2.59180 > 10.0.3.1.9090: Flags [S.]",
                "15 00:01:34.339200 IP 10 . 0 . 3 . 2 . 59180 > 10 . 0 . 3 . 1 . 9090 : Flags [ S . ]",
            ),
            ("time=43.727 ms, 12ms", "time = 43.727 ms , 12 ms"),
            (
                "x = -19, y=0xffff8880 \"a b\" z = \"a b\"",
                "x = -19 , y = 0xffff8880 \" a b \" z = \"a b\"",
            ),
            ("(sk=<optimized out>)", "( sk = <optimized out> )"),
            ("0x0040:  6bac 6865 feed", "0x0040 : 6bac 6865 feed"),
            ("[    0.123456] eth0", "[ 0.123456 ] eth0"),
            ("", ""),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn where_an_instruction_lies_is_no_token() {
        for (line, left) in [
            ("#1  0xffffffff81b213ee in f (level=5)", "#1  f (level=5)"),
            ("=> <f+42>: call <g>", "=> <f>: call <g>"),
            ("f+0x1a/0x30 x", "f x"),
            (
                "__initcall__kmod_af_inet__699_2090_inet_init5",
                "__initcall__kmod_af_inet__2090_inet_init5",
            ),
            (
                "| \t0x0010:  0a00 0301 65ff 0d  ....e..  x",
                "| \t0x0010:  0a00 0301 65ff 0d",
            ),
            ("\t0x0040:  6bac 6865 feed", "\t0x0040:  6bac 6865 feed"),
        ] {
            assert_eq!(without_places(line), left);
        }
    }

    #[test]
    fn a_number_is_written_as_it_was_read() {
        for text in ["0", "7", "-19", "43.727", "0.000012", "00:01:34.339200"] {
            assert_eq!(Number::parse(text).unwrap().to_string(), text);
        }
        let clock = Number::parse("00:01:34.5").unwrap();
        assert_eq!(clock.units, 945);
        assert_eq!(clock.with(36_000 + 1).to_string(), "01:00:00.1");
        assert_eq!(clock.with(-5).to_string(), "00:00:00.0");
        assert!(Number::parse("a").is_none() && Number::parse("99999999999999999999.1").is_some());
    }
}
