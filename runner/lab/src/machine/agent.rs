//! What the guest's agent reports through the debug console, parsed as it arrives.
//!
//! The form is written down in `rootfs/agent.c`. Whatever runs in the guest as root can write to
//! the same port, so everything here is checked and bounded.

use crate::transcript::step::{Step, Terminal, Until};

/// A step as `rootfs/agent.c` reads it.
#[must_use]
pub fn step(step: &Step) -> Vec<u8> {
    let Step {
        id,
        terminal,
        command,
        until,
        ..
    } = step;
    let (how, text) = match until {
        Until::End => ("wait", ""),
        Until::Quiet => ("background", ""),
        Until::Text(text) => ("until", text.as_str()),
    };
    let lengths = format!("{} {}", command.len(), text.len());
    format!("{id} {terminal} {how} {lengths}\n{command}\n{text}\n").into_bytes()
}

/// One report of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The command with this number was typed.
    Begin(String),
    /// The window printed this to standard output.
    Out(Terminal, Vec<u8>),
    /// The window printed this to standard error.
    Err(Terminal, Vec<u8>),
    /// The window's command has ended.
    End {
        /// The window.
        window: Terminal,
        /// Its exit status.
        status: i32,
        /// The guest's monotonic clock, in nanoseconds.
        guest_ns: u64,
    },
    /// The window's shell itself has ended; no further command can run there.
    Gone(Terminal),
    /// The step has ended, and the agent goes to the boundary.
    Next,
    /// All commands have run.
    Done,
}

/// Bytes that are no report.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the guest wrote to the agent's port 0xe9 what the agent would not: `{0}`; a command of the \
     chapter must leave that port alone"
)]
pub struct Malformed(pub String);

/// The longest chunk that the agent sends, in bytes.
const CHUNK_MAX: usize = 4096;
/// The longest line before a chunk, in bytes.
const LINE_MAX: usize = 128;

/// Bytes that have arrived and are not yet a whole report.
#[derive(Debug, Default)]
pub struct Reports {
    bytes: Vec<u8>,
}

impl Reports {
    /// Takes further bytes, and gives the reports that are now whole.
    ///
    /// # Errors
    /// [`Malformed`], as soon as the bytes cannot become a report.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Report>, Malformed> {
        self.bytes.extend_from_slice(bytes);
        let mut reports = Vec::new();
        let mut used = 0;
        while let Some((report, length)) = next(&self.bytes[used..])? {
            reports.push(report);
            used += length;
        }
        self.bytes.drain(..used);
        Ok(reports)
    }
}

/// The first report of `bytes` and its length, when it is whole.
fn next(bytes: &[u8]) -> Result<Option<(Report, usize)>, Malformed> {
    let malformed = |line: &[u8]| Malformed(crate::transcript::visible(line));
    let start = &bytes[..bytes.len().min(LINE_MAX + 1)];
    let Some(end) = start.iter().position(|b| *b == b'\n') else {
        return match bytes.len() > LINE_MAX {
            true => Err(malformed(&bytes[..LINE_MAX])),
            false => Ok(None),
        };
    };
    let line = &bytes[..end];
    let text = std::str::from_utf8(line).map_err(|_| malformed(line))?;
    let words: Vec<&str> = text.split(' ').collect();
    let used = end + 1;
    let report = match words[..] {
        ["begin", number] => Report::Begin(number.to_owned()),
        ["end", name, status, ns] => Report::End {
            window: window(name).ok_or_else(|| malformed(line))?,
            status: status.parse().map_err(|_| malformed(line))?,
            guest_ns: ns.parse().map_err(|_| malformed(line))?,
        },
        ["gone", name] => Report::Gone(window(name).ok_or_else(|| malformed(line))?),
        ["next"] => Report::Next,
        ["done"] => Report::Done,
        [kind @ ("out" | "err"), name, length] => {
            let window = window(name).ok_or_else(|| malformed(line))?;
            let length: usize = length.parse().map_err(|_| malformed(line))?;
            if length > CHUNK_MAX {
                return Err(malformed(line));
            }
            let Some(chunk) = bytes.get(used..used + length) else {
                return Ok(None);
            };
            let chunk = chunk.to_vec();
            let report = if kind == "out" {
                Report::Out(window, chunk)
            } else {
                Report::Err(window, chunk)
            };
            return Ok(Some((report, used + length)));
        }
        _ => return Err(malformed(line)),
    };
    Ok(Some((report, used)))
}

/// The window of the guest that is called so.
fn window(name: &str) -> Option<Terminal> {
    Terminal::named(name).filter(|window| window.is_in_guest())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"begin 5.1\nout guest 4\na\nb\nerr server 0\n\
        end server 2 17\ngone server\nnext\ndone\n";

    fn expected() -> Vec<Report> {
        vec![
            Report::Begin("5.1".to_owned()),
            Report::Out(Terminal::Guest, b"a\nb\n".to_vec()),
            Report::Err(Terminal::Server, vec![]),
            Report::End {
                window: Terminal::Server,
                status: 2,
                guest_ns: 17,
            },
            Report::Gone(Terminal::Server),
            Report::Next,
            Report::Done,
        ]
    }

    #[test]
    fn reports_come_whole_however_the_bytes_are_cut() {
        for size in 1..BYTES.len() {
            let mut reports = Reports::default();
            let found: Vec<_> = BYTES
                .chunks(size)
                .flat_map(|c| reports.feed(c).unwrap())
                .collect();
            assert_eq!(found, expected(), "in chunks of {size}");
        }
    }

    #[test]
    fn a_forged_report_is_refused() {
        for bytes in [
            &b"hello\n"[..],
            b"out guest 5000\n",
            b"out guest x\n",
            b"out gdb 1\nx",
            b"end guest 0\n",
            b"gone\n",
            b"\xff\n",
            &[b'x'; 200],
            // However it is cut: the line's length is seen before its end has arrived.
            format!("begin {}\n", "6".repeat(200)).as_bytes(),
        ] {
            assert!(Reports::default().feed(bytes).is_err(), "{bytes:?}");
        }
    }
}
