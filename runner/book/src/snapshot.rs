//! A snapshot: the recorded transcript of a chapter and what it was recorded with.
//!
//! The file `tests/snapshots/6.1/05-inet-init.snap` is insta's: a header between two lines `---`,
//! then the content. The content is this module's: a line `name: value` for each fact of the
//! provenance, then the steps, an empty line before each:
//!
//! ```text
//! 5.2 guest cat /proc/uptime
//! | 1.20 0.31
//! = 0 at 1203456789
//! ```
//!
//! A line of standard output begins with `|`, one of standard error with `!`; a line `\` says that
//! no newline ended the one before. `=` gives the exit status and, for the guest, the time in
//! nanoseconds. Behind the steps of a chapter that looks at the wire, a line `frames` begins the
//! list of what passed there.

pub mod compare;
pub mod drift;
pub mod learn;
mod meaning;
pub mod moved;
pub mod noise;
pub mod reasons;
pub mod shape;
pub mod stale;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use lab::transcript::capture::Frame;
use lab::transcript::step::{StepId, Terminal};
use lab::transcript::{Output, Record, Transcript, is_unseen, visible};

/// A recorded chapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it was recorded with: names and values, such as `qemu` and its version.
    pub provenance: Vec<(String, String)>,
    /// What the steps printed.
    pub transcript: Transcript,
}

/// The name of the provenance that says how a chapter was recorded.
pub(crate) const KIND: &str = "kind";
/// A chapter whose two replays were the same byte for byte when it was recorded.
pub(crate) const EXACT: &str = "exact";
/// A chapter whose two replays were only the same in meaning.
pub(crate) const MEANING: &str = "meaning";

/// The line before the captured frames.
pub(crate) const FRAMES: &str = "frames";

/// Where the snapshot of the chapter called `name` lies, for a series of the kernel.
#[must_use]
pub fn path(root: &Path, series: &str, name: &str) -> PathBuf {
    root.join("tests/snapshots")
        .join(series)
        .join(format!("{name}.snap"))
}

/// What a recorded file holds behind insta's header; `None` where nothing was recorded yet.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn content(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read the snapshot {}", path.display())),
        Ok(text) => {
            let content = text.splitn(3, "---\n").nth(2).unwrap_or(&text);
            Ok(Some(content.to_owned()))
        }
    }
}

impl Snapshot {
    /// Reads the snapshot of a chapter, for the kernel of the book; `None` where none was recorded
    /// yet.
    ///
    /// # Errors
    /// A file that cannot be read, or that this module did not write.
    pub fn read(root: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        Self::of_series(root, lab::SERIES, name)
    }

    /// As [`Snapshot::read`], for a series of the kernel.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub fn of_series(root: &Path, series: &str, name: &str) -> anyhow::Result<Option<Self>> {
        let path = path(root, series, name);
        let Some(content) = content(&path)? else {
            return Ok(None);
        };
        let parsed = Self::parse(&content);
        parsed.map(Some).with_context(|| {
            format!(
                "{}: damaged; get it back with git, or record it anew with `runner record`",
                path.display()
            )
        })
    }

    /// The file's whole text, in the form that `cargo insta review` reads too.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        format!(
            "---\nsource: chapters/{name}.md\nexpression: runner chapter {name}\n---\n{}",
            self.content()
        )
    }

    /// The content behind insta's header.
    #[must_use]
    pub fn content(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.provenance {
            text += &format!("{name}: {value}\n");
        }
        for record in &self.transcript.records {
            text += &format!("\n{}", block(record));
        }
        if let Some(frames) = &self.transcript.frames {
            text += &format!("\n{}", frames_block(frames));
        }
        text
    }

    /// Reads what [`Snapshot::content`] wrote.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn parse(content: &str) -> anyhow::Result<Self> {
        let mut provenance = Vec::new();
        let mut records = Vec::new();
        let mut frames: Option<Vec<Frame>> = None;
        let mut head = true;
        let mut ended = true;
        for (index, line) in content.lines().enumerate() {
            let wrong = || {
                let line = visible(line.as_bytes());
                format!(
                    "line {} of the content is not understood: {line}",
                    index + 1
                )
            };
            if line.chars().any(|c| c != '\t' && is_unseen(c)) {
                // What was recorded is visible, so somebody else wrote this.
                bail!(wrong());
            } else if line.is_empty() {
                head = false;
            } else if head {
                let (name, value) = line.split_once(": ").with_context(wrong)?;
                provenance.push((name.to_owned(), value.to_owned()));
            } else if let Some(frames) = &mut frames {
                frames.push(line.parse().with_context(wrong)?);
            } else if ended && line == FRAMES {
                frames = Some(Vec::new());
            } else if ended {
                records.push(heading(line).with_context(wrong)?);
                ended = false;
            } else {
                let output = &mut records.last_mut().with_context(wrong)?.output;
                ended = body_line(line, output).with_context(wrong)?;
            }
        }
        if !ended {
            bail!("the last step does not end");
        }
        let transcript = Transcript { records, frames };
        Ok(Self {
            provenance,
            transcript,
        })
    }

    /// A fact of the provenance.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        let mut facts = self.provenance.iter();
        facts.find_map(|(other, value)| (other == name).then_some(&**value))
    }

    /// Whether the chapter's replays differed in bytes when it was recorded.
    #[must_use]
    pub fn is_by_meaning(&self) -> bool {
        self.fact(KIND) == Some(MEANING)
    }

    /// The same, to be compared byte for byte or in meaning.
    #[must_use]
    pub fn of_kind(mut self, by_meaning: bool) -> Self {
        let kind = if by_meaning { MEANING } else { EXACT };
        self.provenance.retain(|(name, _)| name != KIND);
        self.provenance
            .insert(0, (KIND.to_owned(), kind.to_owned()));
        self
    }

    /// The record of a step.
    #[must_use]
    pub fn record(&self, id: StepId) -> Option<&Record> {
        let mut records = self.transcript.records.iter();
        records.find(|record| record.id == id)
    }
}

/// The captured frames as the snapshot holds them.
#[must_use]
pub(crate) fn frames_block(frames: &[Frame]) -> String {
    let lines = frames.iter().map(|frame| format!("{frame}\n"));
    format!("{FRAMES}\n{}", lines.collect::<String>())
}

/// A step as the snapshot holds it.
#[must_use]
pub(crate) fn block(record: &Record) -> String {
    let Record {
        id,
        terminal,
        command,
        output,
    } = record;
    let mut text = format!("{id} {terminal}");
    if !command.is_empty() {
        text += &format!(" {command}");
    }
    text.push('\n');
    for (mark, stream) in [('|', &output.stdout), ('!', &output.stderr)] {
        for line in stream.lines() {
            let space = if line.is_empty() { "" } else { " " };
            text += &format!("{mark}{space}{line}\n");
        }
        if !stream.is_empty() && !stream.ends_with('\n') {
            text += "\\\n";
        }
    }
    match output.guest_ns {
        Some(ns) => text += &format!("= {} at {ns}\n", output.status),
        None => text += &format!("= {}\n", output.status),
    }
    text
}

/// What a step printed as the snapshot holds it, line by line.
#[must_use]
pub(crate) fn body(record: &Record) -> String {
    let block = block(record);
    let lines = block.split_inclusive('\n').skip(1);
    let mut lines = Vec::from_iter(lines);
    lines.pop();
    lines.concat()
}

fn heading(line: &str) -> Option<Record> {
    let (id, rest) = line.split_once(' ')?;
    let (terminal, command) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut all = Terminal::ALL.into_iter();
    Some(Record {
        id: id.parse().ok()?,
        terminal: all.find(|other| other.word() == terminal)?,
        command: command.to_owned(),
        output: Output::default(),
    })
}

/// Reads a line of a step's body; true for its last.
fn body_line(line: &str, output: &mut Output) -> Option<bool> {
    let (mark, text) = line.split_at_checked(1)?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    let stream = match mark {
        "|" => &mut output.stdout,
        "!" => &mut output.stderr,
        "=" => {
            let mut parts = text.splitn(2, " at ");
            output.status = parts.next()?.parse().ok()?;
            output.guest_ns = parts.next().map(str::parse).transpose().ok()?;
            return Some(true);
        }
        "\\" => {
            let streams = [&mut output.stderr, &mut output.stdout];
            let last = streams.into_iter().find(|stream| !stream.is_empty());
            return last?.pop().map(|_| false);
        }
        _ => return None,
    };
    *stream += &format!("{text}\n");
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::transcript::step::Terminal;

    fn record(stdout: &str, stderr: &str) -> Record {
        Record {
            id: StepId {
                chapter: 5,
                number: 2,
            },
            terminal: Terminal::Guest,
            command: "cat x".to_owned(),
            output: Output {
                stdout: stdout.to_owned(),
                stderr: stderr.to_owned(),
                status: 1,
                guest_ns: Some(7),
            },
        }
    }

    #[test]
    fn the_form_is_readable() {
        let snapshot = Snapshot {
            provenance: vec![("qemu".to_owned(), "7.2".to_owned())],
            transcript: Transcript {
                records: vec![record("a\n\n b", "no\n")],
                frames: Some(vec!["7 ff00".parse().unwrap()]),
            },
        };
        let expected =
            "qemu: 7.2\n\n5.2 guest cat x\n| a\n|\n|  b\n\\\n! no\n= 1 at 7\n\nframes\n7 ff00\n";
        assert_eq!(snapshot.content(), expected);
    }

    #[test]
    fn whatever_a_step_printed_comes_back() {
        for stdout in [
            "",
            "\n",
            "a",
            "a\n",
            " \n",
            "\\",
            "\\\n",
            "\\n\n",
            "x\\n\\\n",
            "a\\\\n\n",
            "\n\n",
            "| a\n= 0\n\n5.3 gdb\n",
        ] {
            let snapshot = Snapshot {
                provenance: vec![],
                transcript: Transcript {
                    records: vec![
                        record(stdout, ""),
                        record("", stdout),
                        record(stdout, stdout),
                    ],
                    frames: (stdout.len() > 2).then(Vec::new),
                },
            };
            let content = snapshot.content();
            assert_eq!(
                Snapshot::parse(&content).unwrap(),
                snapshot,
                "{stdout:?}\n{content}"
            );
        }
    }

    #[test]
    fn a_blank_at_the_end_of_a_command_is_kept() {
        let mut blank = record("", "");
        blank.command = "echo a ".to_owned();
        let snapshot = Snapshot {
            provenance: vec![],
            transcript: Transcript {
                records: vec![blank],
                frames: None,
            },
        };
        assert_eq!(Snapshot::parse(&snapshot.content()).unwrap(), snapshot);
    }

    #[test]
    fn damage_is_named() {
        for text in [
            "\n5.2 guest ls\n| a\n",
            "\n5.2 gust ls\n= 0\n",
            "\n5.2 guest ls\nx\n= 0\n",
            "qemu\n",
            "\n5.2 guest ls\n= 0\n\nframes\n7 f\n",
            "\n5.2 guest ls\n| \u{1b}[2J\n= 0\n",
            "\n5.2 guest ls\n| a\rb\n= 0\n",
        ] {
            assert!(Snapshot::parse(text).is_err(), "{text:?}");
        }
    }
}
