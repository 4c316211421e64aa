//! A numeral that somebody typed into the text: a number of two digits or more, or a hexadecimal one.
//!
//! Sizes, counts and offsets change with the kernel, and a typed one would stay behind. So a page has its numbers from
//! steps ([`crate::chapter::value`]), and what is typed all the same stands in `tests/exempt.toml` with a reason. A digit alone is not
//! looked at (process 1, level 5), nor is what has a point or a colon in it (an address, a version, a step), nor the number of
//! a chapter, nor code of more than a number.

use std::sync::LazyLock;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use regex::Regex;

use crate::chapter::value;
use crate::prose::mention::extensions;

/// A typed number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numeral {
    /// As it is written.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
}

/// The typed numbers of a page, in its order.
#[must_use]
pub fn of_page(text: &str) -> Vec<Numeral> {
    // Of the same length, so that places stay.
    let mut bare = text.to_owned();
    for (range, _) in value::find(text) {
        bare.replace_range(range.clone(), &" ".repeat(range.len()));
    }
    let mut found = Vec::new();
    let mut is_code = false;
    let mut before = String::new();
    for (event, range) in Parser::new_ext(&bare, extensions()).into_offset_iter() {
        let line = |at: usize| bare[..at].matches('\n').count() + 1;
        match event {
            Event::Start(Tag::CodeBlock(_)) => is_code = true,
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Code(code) => {
                if is_numeral(&code) {
                    let text = code.into_string();
                    found.push(Numeral {
                        text,
                        line: line(range.start),
                    });
                }
                before.clear();
            }
            Event::Text(part) if !is_code => {
                for (at, word) in words(&part) {
                    let behind = before.clone() + &part[..at];
                    if is_numeral(word) && !is_of_chapter(&behind) {
                        found.push(Numeral {
                            text: word.to_owned(),
                            line: line(range.start + at),
                        });
                    }
                }
                before = part.into_string();
            }
            _ => before.clear(),
        }
    }
    found
}

/// The words in which a digit is, with their places: letters, digits and what joins them.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[\p{L}\d_.:/@+-]*\d[\p{L}\d_.:/@]*").expect("a pattern"));
    WORD.find_iter(text)
        .map(|found| (found.start(), found.as_str().trim_end_matches(['.', ':'])))
}

fn is_numeral(word: &str) -> bool {
    let digits = word.trim_start_matches('-');
    match digits.strip_prefix("0x") {
        Some(hex) => !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Whether the text ends as in `chapters 9, 10 and `.
fn is_of_chapter(before: &str) -> bool {
    static CHAPTER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(chapters?|RFC)\s(\d+(,| and| to)\s)*$").expect("a pattern")
    });
    CHAPTER.is_match(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_the_text_is_typed_or_is_none() {
        let text = "# About 10\n\n192 bytes, a `0x80` (42), {{1.1}} -22.\nProcess 1, chapters 9, 10 and 11, RFC 793, 10.0.3.1,\n\
            6.1.176, IPv4, SHA-256, `ping -c 10`, 10:30, 3.5,\n```console\n99\n```\n| 64 |\n";
        let found = of_page(text);
        let found: Vec<_> = found.iter().map(|n| (&*n.text, n.line)).collect();
        let expected = [
            ("10", 1),
            ("192", 3),
            ("0x80", 3),
            ("42", 3),
            ("-22", 3),
            ("64", 9),
        ];
        assert_eq!(found, expected);
    }
}
