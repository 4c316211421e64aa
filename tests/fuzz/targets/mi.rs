//! Any line of the debugger's; and a text that is quoted for it comes back.
#![cfg_attr(not(test), no_main)]

use lab::machine::mi::{Record, parse, quote};

pub fn read(line: &str) {
    if let Err(malformed) = parse(line) {
        assert!(malformed.at <= line.len());
        let _ = malformed.to_string();
    }
    let quoted = format!("~{}", quote(line));
    assert_eq!(parse(&quoted), Ok(Record::Console(line.to_owned())));
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|line: &str| read(line));
