//! Whatever a hostile guest writes to the agent's port, in pieces of whatever size it arrives,
//! means the same.
#![cfg_attr(not(test), no_main)]

use lab::machine::agent::Reports;

pub fn read(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else {
        return;
    };
    let whole = Reports::default().feed(bytes);
    let mut reports = Reports::default();
    let mut pieces = Vec::new();
    for piece in bytes.chunks(usize::from(*size).max(1)) {
        match reports.feed(piece) {
            Ok(some) => pieces.extend(some),
            Err(malformed) => {
                let _ = malformed.to_string();
                assert!(whole.is_err());
                return;
            }
        }
    }
    assert_eq!(whole, Ok(pieces));
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|input: &[u8]| read(input));
