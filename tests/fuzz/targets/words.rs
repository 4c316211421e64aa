//! Whatever is quoted is one word again.
#![cfg_attr(not(test), no_main)]

use lab::transcript::words::{WordsError, quote, split};

pub fn read(text: &str) {
    let _ = split(text);
    let quoted = quote(text);
    assert!(!quoted.contains("<!--") && !quoted.contains("-->"));
    match split(&quoted) {
        // Words that no quotes are needed for stay as they are.
        Ok(words) => assert_eq!(words.join(" "), text),
        // Quotes do not make it visible.
        Err(WordsError::Invisible(c)) => assert!(text.contains(c)),
        Err(error) => panic!("{quoted}: {error}"),
    }
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|text: &str| read(text));
