//! The debugger: gdb in its machine interface, one command at a time.
//!
//! A chapter's command goes through `-interpreter-exec console`, so that gdb prints what it would
//! print for a reader who typed it. The boundary, where the agent waits between two commands of the
//! guest, is an internal breakpoint: it takes no number that the reader would see. gdb announces a
//! stop there all the same; [`Stop::text`] leaves that announcement out.

use std::io::{ErrorKind, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, bail};

use crate::Error;
use crate::machine::mi::{self, Record};
use crate::machine::qemu::file;
use crate::machine::window::OUTPUT_MAX;
use crate::system::files::hex;
use crate::system::process::{Process, drain, set_nonblocking};
use crate::system::sandbox::View;

/// Where the agent's `boundary` lies; `rootfs/agent.c` is linked so.
pub const BOUNDARY: u64 = 0x5e3d_0000;
/// How gdb announces a stop at the boundary.
const BOUNDARY_STOP: &str = "0x000000005e3d0000 in ?? ()\n";
/// What [`Gdb::prepare_interrupt`] loads.
const INTERRUPT: &str = include_str!("interrupt.py");
/// What [`Gdb::watch_boundary`] loads.
const BOUNDARY_SCRIPT: &str = include_str!("boundary.py");
/// How much of the guest's time a stop costs at most, in µs. Less would cost real time: QEMU wakes
/// up for each tick, and 20,000 of them take about a third of a second.
const FINE_TICK: u32 = 50;
/// How much it costs at most while the guest's command has been waiting for a second, in µs: as
/// much as the kernel's own clock is coarse.
const COARSE_TICK: u32 = 10_000;
/// The function in which the kernel waits for work.
const IDLE: &str = "default_idle";

/// How gdb is set up for every chapter; the book tells the reader.
pub const SETTINGS: [&str; 7] = [
    "set pagination off",
    "set confirm off",
    "set width 0",
    "set height 0",
    "set debuginfod enabled off",
    // `x=x@entry=1` or just `x=1`: the compiler's choice, not the kernel's.
    "set print entry-values no",
    "directory linux",
];

/// The files that a patched kernel has otherwise than the tree `linux`, in the private folder.
pub const PATCHED: &str = "patched";
/// Lets gdb look for a source there before it looks in `linux`.
const PATCHED_FIRST: &str = "directory patched";

/// How long gdb waits for an answer of QEMU's, in seconds. After two it takes what comes late for
/// the answer to its next question.
const PATIENCE: &str = "set remotetimeout 60";

/// Where the machine stands, as the debugger knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It runs.
    Running,
    /// gdb holds it, and shows its prompt.
    Held,
    /// The guest waits for its next command; the reader's gdb would still be waiting.
    Boundary,
}

/// A running debugger.
#[derive(Debug)]
pub struct Gdb {
    process: Process,
    input: ChildStdin,
    /// The pipe that tells when there is something to read.
    pub output: ChildStdout,
    pending: Vec<u8>,
    /// Where the machine stands.
    pub place: Place,
    /// What gdb has printed since the last look, standard output and standard error.
    printed: (String, String),
    /// Whether the command that was sent last was refused; nothing as long as it has no answer.
    refused: Option<bool>,
    /// How the last command could go on, when it asked for that.
    matches: Vec<String>,
    /// Whether the machine has told that it ends.
    pub machine_ended: bool,
}

impl Gdb {
    /// Starts gdb on `vmlinux` in a private folder that also holds `linux`, the source tree, and
    /// [`PATCHED`] if the kernel is patched.
    ///
    /// # Errors
    /// When gdb cannot be started.
    pub fn start(view: &View) -> anyhow::Result<Self> {
        let mut words = vec!["gdb", "-nx", "-q", "--interpreter=mi3", "-iex", PATIENCE];
        words.extend(SETTINGS.iter().flat_map(|setting| ["-iex", setting]));
        if view.home().join(PATCHED).is_dir() {
            words.extend(["-iex", PATCHED_FIRST]);
        }
        words.push("vmlinux");
        let mut process = view.start(&words, |command| {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
        })?;
        let input = process
            .child
            .stdin
            .take()
            .context("gdb has no standard input")?;
        let output = process
            .child
            .stdout
            .take()
            .context("gdb has no standard output")?;
        set_nonblocking(&output)?;
        Ok(Self {
            process,
            input,
            output,
            pending: Vec::new(),
            place: Place::Held,
            printed: <(String, String)>::default(),
            refused: None,
            matches: Vec::new(),
            machine_ended: false,
        })
    }

    /// Sends a command as the reader would type it.
    ///
    /// # Errors
    /// When gdb has ended.
    pub fn send(&mut self, command: &str) -> anyhow::Result<()> {
        self.send_mi(&format!("-interpreter-exec console {}", mi::quote(command)))
    }

    /// Lets the machine run on, as a `continue` that the reader typed before.
    ///
    /// # Errors
    /// When gdb has ended.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.send_mi("-exec-continue")
    }

    fn send_mi(&mut self, command: &str) -> anyhow::Result<()> {
        self.refused = None;
        match writeln!(self.input, "{command}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(self.has_ended()),
            sent => sent.with_context(|| format!("send gdb the command {command}")),
        }
    }

    fn has_ended(&mut self) -> anyhow::Error {
        let how = self.process.end();
        anyhow::anyhow!("gdb has ended{how}; a step of the chapter must leave it running")
    }

    /// Asks how a command could go on; [`Gdb::take_matches`] has the answer. gdb tells 200 at most.
    ///
    /// # Errors
    /// When gdb has ended.
    pub fn ask_matches(&mut self, command: &str) -> anyhow::Result<()> {
        self.matches.clear();
        self.send_mi(&format!("-complete {}", mi::quote(command)))
    }

    /// The whole commands that the last [`Gdb::ask_matches`] found.
    pub fn take_matches(&mut self) -> Vec<String> {
        std::mem::take(&mut self.matches)
    }

    /// Presses Ctrl-C: gdb stops the machine, or what it does itself.
    ///
    /// # Errors
    /// When gdb has ended.
    pub fn press_ctrl_c(&self) -> anyhow::Result<()> {
        self.process.press_ctrl_c()
    }

    /// The command that sets the internal breakpoint on the boundary, and defines what
    /// [`Gdb::tick`] needs.
    #[must_use]
    pub fn watch_boundary() -> String {
        let script = format!(
            "FINE, COARSE = {FINE_TICK}, {COARSE_TICK}\n{BOUNDARY_SCRIPT}\n\
             tick = TheseusTick()\nTheseusBoundary({BOUNDARY}, tick)\n"
        );
        format!("python exec({script:?})")
    }

    /// Has the agent, which waits at the boundary, sleep for a moment.
    pub const SLEEP: &str = "set $rdi = 1";

    /// Has the agent, which waits at the boundary, read its next step from what
    /// [`Gdb::write_typed`] has written.
    pub const TYPED: &str = "set $rdi = 2";

    /// Loads the kernel's own commands for gdb, which its build has left in the tree.
    pub const SCRIPTS: &str = "source linux/vmlinux-gdb.py";

    /// Writes a step into the memory of the agent, which waits at the boundary and has its address
    /// in `$rsi`.
    ///
    /// # Errors
    /// When gdb has ended.
    pub fn write_typed(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.send_mi(&format!("-data-write-memory-bytes $rsi {}", hex(bytes)))
    }

    /// Commands that let the agent sleep and stop the machine when the kernel is idle.
    #[must_use]
    pub fn watch_idle() -> [String; 2] {
        [
            Self::SLEEP.to_owned(),
            format!(
                "python gdb.Breakpoint('{IDLE}', type=gdb.BP_HARDWARE_BREAKPOINT, internal=True, temporary=True)"
            ),
        ]
    }

    /// Commands for Ctrl-C in a shell of the guest, the first or the second that the agent has
    /// started: `theseus.watch()` stops the machine when it is about to idle, and `theseus.send()`
    /// has it send the signal there, and prints `sent`, `nobody` or `elsewhere`.
    #[must_use]
    pub fn prepare_interrupt(shell: usize) -> String {
        let script = format!("{INTERRUPT}\ntheseus = TheseusInterrupt({shell})\n");
        format!("python exec({script:?})")
    }

    /// Makes the machine's clock ready to run on: so fine that a stop costs it next to nothing, if
    /// `can_stop` or a breakpoint of the reader's tells that there may be one.
    #[must_use]
    pub fn tick(can_stop: bool) -> &'static str {
        match can_stop {
            true => "python tick.set(True)",
            false => "python tick.set(False)",
        }
    }

    /// The command that connects gdb to the machine.
    #[must_use]
    pub fn connect() -> String {
        format!("target remote {}", file::STUB)
    }

    /// Whether the command that was sent last has been answered, and the machine does not run.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.refused.is_some() && self.place != Place::Running
    }

    /// Whether gdb refused the command that was sent last.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        self.refused == Some(true)
    }

    /// What gdb has printed since this was last asked: standard output, standard error.
    pub fn take_printed(&mut self) -> (String, String) {
        std::mem::take(&mut self.printed)
    }

    /// Takes back what [`Gdb::take_printed`] gave, so that a command of the runner's own leaves no
    /// trace.
    pub fn put_back(&mut self, printed: (String, String)) {
        self.printed = printed;
    }

    /// Whether gdb has printed something that no step has shown.
    #[must_use]
    pub fn has_printed(&self) -> bool {
        !(self.printed.0.is_empty() && self.printed.1.is_empty())
    }

    /// Takes in what gdb has printed by now, without waiting.
    ///
    /// # Errors
    /// When gdb has ended, or prints what is not MI.
    pub fn read(&mut self) -> anyhow::Result<()> {
        let (bytes, closed) = drain(&mut self.output)?;
        self.pending.extend(bytes);
        while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let record = mi::parse(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']))?;
            self.take_in(record);
        }
        if self.pending.len() > OUTPUT_MAX
            || self.printed.0.len() + self.printed.1.len() > OUTPUT_MAX
        {
            bail!(Error::Flood(OUTPUT_MAX));
        }
        if closed {
            return Err(self.has_ended());
        }
        Ok(())
    }

    fn take_in(&mut self, record: Record) {
        match record {
            Record::Console(text) => self.printed.0 += &text,
            Record::Log(text) => self.printed.1 += &text,
            Record::Result { class, fields } => {
                self.refused = Some(class == "error");
                // The log stream mostly holds the message already.
                if let Some(message) = fields.text(&["msg"])
                    && !self.printed.1.contains(message)
                {
                    self.printed.1 += &format!("{message}\n");
                }
                self.matches = fields.texts("matches");
                if class == "running" {
                    self.place = Place::Running;
                }
            }
            Record::Exec { class, .. } if class == "running" => self.place = Place::Running,
            Record::Exec { fields, .. } => {
                let reason = fields.text(&["reason"]).unwrap_or_default();
                self.machine_ended |= reason.starts_with("exited");
                let address = fields.text(&["frame", "addr"]).unwrap_or_default();
                if address == format!("{BOUNDARY:#018x}") {
                    self.place = Place::Boundary;
                    leave_out_boundary(&mut self.printed.0);
                } else {
                    self.place = Place::Held;
                    leave_out_number(&mut self.printed.0);
                }
            }
            Record::Other => {}
        }
    }
}

/// Whether a command is `continue`, in one of its spellings.
#[must_use]
pub fn is_continue(command: &str) -> bool {
    matches!(first_word(command), "continue" | "c" | "fg")
}

/// Whether a command leaves gdb.
#[must_use]
pub fn is_quit(command: &str) -> bool {
    matches!(first_word(command), "quit" | "q" | "exit")
}

/// Why a command has no place in a gdb that is typed into line by line and prints into a pipe.
#[must_use]
pub fn why_not(command: &str) -> Option<&'static str> {
    let word = first_word(command);
    let is = |names: &[(&str, usize)]| {
        let mut names = names.iter();
        names.any(|(name, least)| word.len() >= *least && name.starts_with(word))
    };
    let alone = command.trim() == word;
    if is(&LINES) || (alone && matches!(word, "python" | "py" | "guile" | "gu")) {
        return Some(
            "gdb would ask for more lines, which a step has not; write them into a file in the window `host`, and `source` it",
        );
    }
    if is(&PROGRAMS) || command.trim_start().starts_with(['!', '|']) {
        return Some("programs have a window of their own: `host`");
    }
    is(&ENDS).then_some("that would take the machine from gdb for good; leave instead")
}

/// Commands that go on over several lines, each with the length of its shortest form.
const LINES: [(&str, usize); 7] = [
    ("commands", 4),
    ("compile", 4),
    ("define", 3),
    ("document", 3),
    ("if", 2),
    ("python-interactive", 7),
    ("while", 2),
];
/// Commands that run a program.
const PROGRAMS: [(&str, usize); 4] = [("edit", 1), ("make", 2), ("pipe", 3), ("shell", 3)];
/// Commands that end the connection, or the machine.
const ENDS: [(&str, usize); 6] = [
    ("attach", 2),
    ("detach", 3),
    ("disconnect", 5),
    ("kill", 1),
    ("run", 1),
    ("target", 2),
];

/// The command's name: `print/x` is `print`.
fn first_word(command: &str) -> &str {
    let trimmed = command.trim_start();
    let end = trimmed.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    &trimmed[..end.unwrap_or(trimmed.len())]
}

/// Cuts off how gdb announces a stop at the boundary: `\nBreakpoint -1, 0x… in ?? ()\n`.
fn leave_out_boundary(printed: &mut String) {
    if let Some(rest) = printed.strip_suffix(BOUNDARY_STOP) {
        let rest = rest.rfind("\nBreakpoint -").map_or(rest, |at| &rest[..at]);
        printed.truncate(rest.len());
    }
}

/// Cuts off the number of the runner's own breakpoint on the idle loop:
/// `\nTemporary breakpoint -2, `.
fn leave_out_number(printed: &mut String) {
    if let Some(at) = printed.find("\nTemporary breakpoint -")
        && let Some(length) = printed[at..].find(", ")
    {
        printed.replace_range(at..at + length + 2, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_at_the_boundary_leaves_no_trace() {
        let mut printed =
            "Continuing.\nhello\n\nBreakpoint -1, 0x000000005e3d0000 in ?? ()\n".to_owned();
        leave_out_boundary(&mut printed);
        assert_eq!(printed, "Continuing.\nhello\n");
        let mut printed = "\nTemporary breakpoint -2.1, idle () at a.c:1\n1\tx\n".to_owned();
        leave_out_number(&mut printed);
        assert_eq!(printed, "idle () at a.c:1\n1\tx\n");
    }
}
