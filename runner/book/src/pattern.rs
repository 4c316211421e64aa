//! A pattern that is written in this program, compiled when it is first used.

use std::sync::LazyLock;

use regex_lite::Regex;

/// A pattern to keep.
pub type Pattern = LazyLock<Regex>;

/// Compiles a pattern.
///
/// # Panics
/// When it is none; it is a part of the program.
#[must_use]
pub fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}
