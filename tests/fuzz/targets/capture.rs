//! Any file in place of QEMU's capture: what is understood is written back byte for byte, as a file
//! and as lines.
#![cfg_attr(not(test), no_main)]

use lab::transcript::capture::{Frame, file, parse};

pub fn read(bytes: &[u8]) {
    if let Ok(line) = std::str::from_utf8(bytes)
        && let Ok(frame) = line.parse::<Frame>()
    {
        assert_eq!(frame.to_string().parse::<Frame>().unwrap(), frame);
    }
    if let Ok(frames) = parse(bytes) {
        assert_eq!(file(&frames), bytes);
        let lines = frames.iter().map(ToString::to_string);
        let read = lines.map(|line| line.parse().unwrap());
        assert_eq!(read.collect::<Vec<Frame>>(), frames);
    }
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read(bytes));
