//! What the steps of a chapter printed, as data.
//!
//! Text is kept as a reader can see it: [`visible`] turns every byte that a terminal would act upon
//! into an escape, reversibly, so that equal text means equal bytes.

pub mod capture;
pub mod packet;
pub mod script;
pub mod step;
pub mod words;

use serde::{Deserialize, Serialize};

use crate::transcript::capture::Frame;
use crate::transcript::step::{Step, StepId, Terminal};

/// What one step printed, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Standard output, or what the debugger printed; made visible.
    pub stdout: String,
    /// Standard error, or the debugger's error message; made visible.
    pub stderr: String,
    /// The exit status; 1 for a command that the debugger refused; 0 for a look.
    pub status: i32,
    /// When the step ended, in nanoseconds of the guest's monotonic clock. Only the guest tells.
    pub guest_ns: Option<u64>,
}

/// All that a replay left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The steps that ran, in order.
    pub records: Vec<Record>,
    /// The frames on the wire, if a step of the chapter looks at it.
    pub frames: Option<Vec<Frame>>,
}

/// A step that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub id: StepId,
    /// Where it was typed.
    pub terminal: Terminal,
    /// What was typed.
    pub command: String,
    /// What came of it.
    pub output: Output,
}

impl Record {
    /// The record of `step`.
    #[must_use]
    pub fn new(step: &Step, output: Output) -> Self {
        Self {
            id: step.id,
            terminal: step.terminal,
            command: step.command.clone(),
            output,
        }
    }
}

/// Text in which every byte can be seen: a control character, an invalid UTF-8 byte and a backslash
/// that could be mistaken for an escape become `\xHH`; a CR before LF, which a serial line adds,
/// goes.
#[must_use]
pub fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' if chars.peek() == Some(&'\n') => {}
                '\n' | '\t' => text.push(c),
                '\\' if chars.peek() == Some(&'x') => text.push_str("\\x5c"),
                c if is_unseen(c) => {
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        text.push_str(&format!("\\x{byte:02x}"));
                    }
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Characters that a terminal acts upon, that show nothing, or that turn the text around them
/// (Unicode's bidirectional controls).
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_upon_is_shown() {
        assert_eq!(
            visible(b"a\tb\r\nc\rd\x1b[31m\x00\xff\n"),
            "a\tb\nc\\x0dd\\x1b[31m\\x00\\xff\n"
        );
        assert_eq!(visible(br"C:\dir \x1b"), r"C:\dir \x5cx1b");
        assert_eq!(visible("ü \u{202e}".as_bytes()), "ü \\xe2\\x80\\xae");
    }

    #[test]
    fn every_byte_value_stays_apart() {
        let all: std::collections::HashSet<_> = (0..=255u8).map(|b| visible(&[b])).collect();
        assert_eq!(all.len(), 256);
    }
}
