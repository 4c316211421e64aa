//! Any line of the debugger's; and a text that is quoted for it comes back.
#![no_main]

use lab::machine::mi::{Record, parse, quote};

libfuzzer_sys::fuzz_target!(|line: &str| {
    if let Err(malformed) = parse(line) {
        assert!(malformed.at <= line.len());
        malformed.to_string();
    }
    let quoted = format!("~{}", quote(line));
    assert_eq!(parse(&quoted), Ok(Record::Console(line.to_owned())));
});
