//! The capture of the wire: the frames that passed the hub, in order, with the guest's time.
//!
//! QEMU writes libpcap's format (draft-ietf-opsawg-pcap, version 2.4), little-endian, in
//! microseconds; a snapshot holds a line for each frame, so that a difference shows the frame. One
//! becomes the other without loss, so the file that a reader opens is the file that QEMU wrote.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail};

use crate::system::files::hex;

/// The header of QEMU's files: magic, version 2.4, no time zone, snapshot length 65536, Ethernet.
const HEADER: [u8; 24] = [
    0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0,
];
/// The longest frame that a file may hold, in bytes.
const FRAME_MAX: usize = 65536;

/// A captured frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The guest's time, in microseconds since 1970.
    pub time_us: u64,
    /// The frame, from its Ethernet header, without the checksum.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.time_us, hex(&self.bytes))
    }
}

impl FromStr for Frame {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let wrong =
            || format!("`{line}` is no frame; a frame is its time in microseconds and its bytes");
        let (time, hex) = line.split_once(' ').with_context(wrong)?;
        let is_hex = hex.bytes().all(|b| b.is_ascii_hexdigit()) && hex.len() % 2 == 0;
        let digits = is_hex.then_some(hex).with_context(wrong)?;
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16);
        Ok(Self {
            time_us: time.parse().with_context(wrong)?,
            bytes: (0..digits.len())
                .step_by(2)
                .map(byte)
                .collect::<Result<_, _>>()
                .with_context(wrong)?,
        })
    }
}

/// The frames of a file.
///
/// # Errors
/// A file that QEMU would not have written, with the offset at which that is seen.
pub fn parse(file: &[u8]) -> anyhow::Result<Vec<Frame>> {
    let Some(mut rest) = file.strip_prefix(&HEADER) else {
        bail!("the capture does not begin as QEMU's do");
    };
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let at = file.len() - rest.len();
        let (frame, behind) =
            next(rest).with_context(|| format!("the capture is damaged at byte {at}"))?;
        frames.push(frame);
        rest = behind;
    }
    Ok(frames)
}

fn next(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (header, behind) = bytes.split_at_checked(16)?;
    let word = |index: usize| {
        let bytes = header[4 * index..4 * index + 4]
            .try_into()
            .expect("four bytes");
        u32::from_le_bytes(bytes)
    };
    let (seconds, us, captured, length) = (word(0), word(1), word(2), word(3));
    if captured != length || captured as usize > FRAME_MAX || us >= 1_000_000 {
        return None;
    }
    let (frame, rest) = behind.split_at_checked(captured as usize)?;
    let time_us = u64::from(seconds) * 1_000_000 + u64::from(us);
    let bytes = frame.to_vec();
    Some((Frame { time_us, bytes }, rest))
}

/// The file that [`parse`] reads.
#[must_use]
pub fn file(frames: &[Frame]) -> Vec<u8> {
    let mut file = HEADER.to_vec();
    for Frame { time_us, bytes } in frames {
        let length = bytes.len() as u64;
        for word in [time_us / 1_000_000, time_us % 1_000_000, length, length] {
            file.extend((word as u32).to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame> {
        [
            "1767225600000017 ffffffffffff52540012",
            "1767225601999999 00",
        ]
        .map(|line| line.parse().unwrap())
        .to_vec()
    }

    #[test]
    fn lines_and_files_become_each_other() {
        let file = file(&frames());
        assert_eq!(parse(&file).unwrap(), frames());
        assert_eq!(file.len(), 24 + 16 + 10 + 16 + 1);
        assert_eq!(
            frames()[0].to_string(),
            "1767225600000017 ffffffffffff52540012"
        );
    }

    #[test]
    fn a_damaged_file_is_refused_wherever_it_ends() {
        let file = file(&frames());
        let whole = [24, 50, file.len()];
        for length in (0..file.len()).filter(|length| !whole.contains(length)) {
            assert!(parse(&file[..length]).is_err(), "{length} bytes");
        }
        for line in ["", "x 00", "1 0", "1 zz", "1 +1"] {
            assert!(line.parse::<Frame>().is_err(), "{line}");
        }
    }
}
