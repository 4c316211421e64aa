//! What macros stand for, where that is a number: `(60*HZ)` is 6000 with the lab's clock.
//!
//! The debug information knows no macros, so this reads their text. It understands names, numbers,
//! parentheses and the operators of [`crate::chapter::expression`], which is what constants of the
//! network are made of; a macro of anything else has no value here.

use std::collections::BTreeMap;

use super::{Kind, Name};
use crate::chapter::expression::{Number, Operator, Token, evaluate};

/// A macro stands for a macro that stands for a macro; not deeper than this.
const DEEPEST: usize = 8;

/// Types that a constant is cast to; the value stays.
const CASTS: [&str; 5] = [
    "(unsigned)",
    "(unsigned int)",
    "(unsigned long)",
    "(u32)",
    "(int)",
];

/// The names that may stand in a macro's text.
#[derive(Debug, Default)]
pub struct Constants {
    macros: BTreeMap<String, Vec<String>>,
    others: BTreeMap<String, i128>,
}

impl Constants {
    /// Takes enumerators and options from the lines of an index.
    pub fn know(&mut self, name: &Name<'_>) {
        let value = match name.kind {
            Kind::Enumerator => name.detail.strip_prefix("= "),
            Kind::Config => Some(name.detail),
            _ => None,
        };
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            self.others.insert(name.text.to_owned(), value);
        }
    }

    /// Takes a macro that was defined in `file`. What programs see of a constant may be another
    /// value.
    pub fn define(&mut self, name: &str, text: &str, file: &str) {
        if !file.contains("uapi/asm-generic/param.h") {
            let texts = self.macros.entry(name.to_owned()).or_default();
            texts.push(text.to_owned());
        }
    }

    /// The value of a macro, if all its definitions have the same.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<i128> {
        self.named(name, 0)
    }

    fn named(&self, name: &str, depth: usize) -> Option<i128> {
        if let Some(value) = self.others.get(name) {
            return Some(*value);
        }
        let texts = self.macros.get(name).filter(|_| depth < DEEPEST)?;
        let mut values = texts.iter().map(|text| self.of_text(text, depth + 1));
        let first = values.next()??;
        values.all(|value| value == Some(first)).then_some(first)
    }

    fn of_text(&self, text: &str, depth: usize) -> Option<i128> {
        let tokens = tokens(text)?;
        let mut value = |word: &String| -> Result<Number, String> {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            if is_number {
                return word.parse();
            }
            let named = self.named(word, depth);
            named.map(Number::from).ok_or_else(|| word.clone())
        };
        evaluate(&tokens, &mut value).ok()?.whole()
    }
}

fn tokens(text: &str) -> Option<Vec<Token<String>>> {
    let mut plain = text.to_owned();
    for cast in CASTS {
        plain = plain.replace(cast, "");
    }
    let mut rest = plain.trim_start();
    let mut tokens = Vec::new();
    while let Some(c) = rest.chars().next() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (token, length) = match c {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            c if is_part(c) => {
                let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (Token::Leaf(rest[..length].to_owned()), length)
            }
            _ => {
                let (operator, length) = Operator::beginning(rest)?;
                (Token::Operator(operator), length)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_macro_of_numbers_and_names_has_a_value() {
        let mut constants = Constants::default();
        for (text, kind, detail) in [
            ("CONFIG_HZ", Kind::Config, "100"),
            ("CONFIG_X", Kind::Config, "y"),
            ("E_TWO", Kind::Enumerator, "= 2"),
        ] {
            let (of, place, to) = ("", "", "");
            constants.know(&Name {
                text,
                kind,
                of,
                detail,
                place,
                to,
            });
        }
        for (name, text) in [
            ("HZ", "CONFIG_HZ"),
            ("LEN", "(60*HZ)"),
            ("RTO", "((unsigned)(1*HZ))"),
            ("BITS", "(E_TWO|0x40|1 << 3)"),
            ("BOTH", "1"),
            ("BOTH", "2"),
            ("LOOP", "LOOP"),
            ("TEXT", "\"a\""),
            ("CALL", "f(1)"),
            ("NONE", ""),
        ] {
            constants.define(name, text, "net/a.h");
        }
        constants.define("HZ", "1000", "include/uapi/asm-generic/param.h");
        for (name, value) in [
            ("LEN", Some(6000)),
            ("RTO", Some(100)),
            ("BITS", Some(74)),
            ("E_TWO", Some(2)),
            ("BOTH", None),
            ("LOOP", None),
            ("TEXT", None),
            ("CALL", None),
            ("NONE", None),
            ("CONFIG_X", None),
        ] {
            assert_eq!(constants.value(name), value, "{name}");
        }
    }
}
