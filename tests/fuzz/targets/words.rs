//! Whatever is quoted is one word again.
#![no_main]

use lab::transcript::words::{WordsError, quote, split};

libfuzzer_sys::fuzz_target!(|text: &str| {
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
});
