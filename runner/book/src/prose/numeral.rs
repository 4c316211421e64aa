//! A numeral that somebody typed into the text: a number of two digits or more, or a hexadecimal
//! one.
//!
//! Sizes, counts and offsets change with the kernel, and a typed one would stay behind. So a page
//! has its numbers from steps ([`crate::chapter::value`]), and what is typed all the same stands in
//! `tests/exempt.toml` with a reason. A digit alone is not looked at (process 1, level 5), nor is
//! what has a point or a colon in it (an address, a version, a step), nor the number of a chapter,
//! nor code of more than a number.

use crate::chapter::markdown::Page;
use crate::chapter::value;
use crate::pattern::{Pattern, pattern};

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
pub fn of_page(page: &Page<'_>) -> Vec<Numeral> {
    let values = value::find(page);
    let is_value = |at: usize| values.iter().any(|(range, _)| range.contains(&at));
    let mut found = Vec::new();
    let mut add = |text: &str, at: usize| {
        if is_numeral(text) && !is_value(at) {
            let (text, line) = (text.to_owned(), page.line(at));
            found.push(Numeral { text, line });
        }
    };
    let mut before = (0, "");
    for span in page.spans() {
        let start = span.range.start;
        if span.is_code {
            add(&span.text, start);
            continue;
        }
        // Markdown reads `chapters [9` as two texts.
        let touching = if before.0 == start { before.1 } else { "" };
        for (at, word) in words(&span.text) {
            if !is_of_chapter(&format!("{touching}{}", &span.text[..at])) {
                add(word, start + at);
            }
        }
        before = (span.range.end, &*span.text);
    }
    found
}

/// The words in which a digit is, with their places: letters, digits and what joins them.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || "_.:/@+-".contains(c);
    let mut start = 0;
    text.split_inclusive(move |c| !is_part(c))
        .filter_map(move |word| {
            let at = start;
            start += word.len();
            let last = word.rfind(|c: char| c.is_ascii_digit())?;
            // A sign joins only what a digit follows.
            let is_behind = |c| !is_part(c) || "+-".contains(c);
            let end = word[last..]
                .find(is_behind)
                .map_or(word.len(), |length| last + length);
            Some((at, word[..end].trim_end_matches(['.', ':'])))
        })
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
    static CHAPTER: Pattern =
        Pattern::new(|| pattern(r"(?i)(chapters?|RFC)\s(\d+(,| and| to)\s)*$"));
    CHAPTER.is_match(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_the_text_is_typed_or_is_none() {
        let text = "# About 10\n\n192 bytes, a `0x80` (42), {{1.1}} -22.\nProcess 1, chapters 9, \
            10 and 11, RFC 793, 10.0.3.1,\n\
            6.1.176, IPv4, SHA-256, `ping -c 10`, 10:30, 3.5,\n```console\n99\n```\n| 64 |\n";
        let found = of_page(&Page::read(text));
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
