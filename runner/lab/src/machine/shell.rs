//! A bash that the runner types into: one on the reader's machine for the `host` steps of a
//! chapter, one in the lab's namespaces for the `lab` steps. `cd` and variables last from one step
//! to the next.
//!
//! A command is typed in quotes behind `eval`, and its end is told by a line on both streams that
//! begins with a token no command can know. Standard input is closed to the command.

use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::Error;
use crate::machine::window::{OUTPUT_MAX, Watch, Window};
use crate::system::process::{Process, Signals, drain, set_nonblocking};
use crate::system::sandbox::View;
use crate::transcript::Output;
use crate::transcript::step::{Step, Terminal, Until};

/// How long a command may take to end at Ctrl-C, in real time.
const CTRL_C_DEADLINE: Duration = Duration::from_secs(2);

/// A running shell.
#[derive(Debug)]
pub struct Shell {
    process: Process,
    /// Can be read once the shell has ended: what it has started may live on, and keep the pipes
    /// open.
    end: OwnedFd,
    terminal: Terminal,
    input: ChildStdin,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    /// What its commands do and have printed.
    pub window: Window,
}

#[derive(Debug)]
struct Stream<P> {
    pipe: P,
    token: String,
    /// What may be the beginning of the token's line.
    held: Vec<u8>,
    /// What stood behind the token, once the command has ended.
    end: Option<String>,
    closed: bool,
}

impl<P: std::io::Read + AsFd> Stream<P> {
    fn new(pipe: P, token: &str) -> anyhow::Result<Self> {
        set_nonblocking(&pipe)?;
        Ok(Self {
            pipe,
            token: token.to_owned(),
            held: Vec::new(),
            end: None,
            closed: false,
        })
    }

    /// What the command has printed since the last call.
    fn read(&mut self) -> anyhow::Result<Vec<u8>> {
        let (bytes, closed) = drain(&mut self.pipe)?;
        self.held.extend(bytes);
        self.closed |= closed;
        Ok(self.take())
    }

    fn take(&mut self) -> Vec<u8> {
        if self.end.is_some() {
            return Vec::new();
        }
        let token = self.token.as_bytes();
        let begins = |at: &usize| {
            let rest = &self.held[*at..];
            rest.starts_with(token) || token.starts_with(rest)
        };
        let Some(at) = (0..self.held.len()).find(begins) else {
            return std::mem::take(&mut self.held);
        };
        let printed: Vec<u8> = self.held.drain(..at).collect();
        if let Some(end) = self.held.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.held.drain(..=end).collect();
            let behind = String::from_utf8_lossy(&line[self.token.len()..]);
            self.end = Some(behind.trim_end().to_owned());
        }
        printed
    }
}

impl Shell {
    /// Starts the shell of `terminal`, which begins in its private folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(terminal: Terminal, view: &View) -> anyhow::Result<Self> {
        // The lab has the guest's tools, too: `busybox ping` is none of the machine's.
        let busybox = view.home_inside().join("busybox").into_os_string();
        let view = view.clone().with_path(busybox);
        let mut process = view.start(&["bash", "--noprofile", "--norc"], |command| {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        })?;
        let token = format!(
            "\u{1e}{:016x}",
            std::hash::BuildHasher::hash_one(
                &std::collections::hash_map::RandomState::new(),
                process.child.id(),
            )
        );
        let end = process.end_as_file()?;
        let child = &mut process.child;
        Ok(Self {
            end,
            terminal,
            input: child.stdin.take().context("bash has no standard input")?,
            stdout: Stream::new(child.stdout.take().context("bash has no output")?, &token)?,
            stderr: Stream::new(child.stderr.take().context("bash has no errors")?, &token)?,
            window: Window::default(),
            process,
        })
    }

    /// The process that the shell's namespaces are of.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.process.first_child()
    }

    /// Types the step's command.
    ///
    /// # Errors
    /// When the shell has ended.
    pub fn begin(&mut self, step: &Step) -> anyhow::Result<()> {
        let quoted = step.command.replace('\'', r"'\''");
        let token = &self.stdout.token;
        // Ctrl-C ends what runs in the shell, and not the shell. All is one line, as bash counts
        // them.
        let line = format!(
            "trap : INT; eval '{quoted}' </dev/null; printf '{token}%s\\n' $?; printf '{token}\\n' >&2"
        );
        match writeln!(self.input, "{line}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => bail!(self.has_ended()),
            typed => typed.with_context(|| {
                let Step { command, .. } = step;
                format!("type `{command}` into the shell of `{}`", self.terminal)
            })?,
        }
        self.window.begin(step.id);
        Ok(())
    }

    /// Ends the command that runs, as Ctrl-C would; tells whether the shell has come back from it.
    ///
    /// # Errors
    /// What [`Shell::read`] says; a signal.
    pub fn interrupt(&mut self, signals: &Signals) -> anyhow::Result<bool> {
        self.process.press_ctrl_c()?;
        let until = Instant::now() + CTRL_C_DEADLINE;
        while self.window.is_busy() {
            self.window.forget_flood();
            match signals.wait(&self.pipes(), until, String::new) {
                Err(error) if Error::is_late(&error) => return Ok(false),
                waited => waited?,
            }
            match self.read() {
                Err(error) if Error::is_flood(&error) => {}
                read => read?,
            }
        }
        Ok(true)
    }

    /// The pipes that tell when there is something to read.
    #[must_use]
    pub fn pipes(&self) -> [BorrowedFd<'_>; 3] {
        let pipes = [self.stdout.pipe.as_fd(), self.stderr.pipe.as_fd()];
        [pipes[0], pipes[1], self.end.as_fd()]
    }

    /// Takes in what was printed by now, without waiting.
    ///
    /// # Errors
    /// When a step has ended the shell or printed more than
    /// [`OUTPUT_MAX`](crate::machine::window::OUTPUT_MAX).
    pub fn read(&mut self) -> anyhow::Result<()> {
        let ended = self.process.ended()?.is_some();
        self.window.print(false, &self.stdout.read()?);
        self.window.print(true, &self.stderr.read()?);
        if self.window.is_flooded() {
            bail!(Error::Flood(OUTPUT_MAX));
        }
        if self.stdout.end.is_some() && self.stderr.end.is_some() {
            let status = self.stdout.end.take().unwrap_or_default();
            self.stderr.end = None;
            let status = status.parse().context("bash told no exit status")?;
            self.window.end(status, None);
        }
        if self.stdout.closed || self.stderr.closed || ended {
            bail!(self.has_ended());
        }
        Ok(())
    }

    fn has_ended(&mut self) -> Error {
        let terminal = self.terminal;
        let said = self.window.look(&Until::End).stderr;
        let what = match self.process.end() {
            how if how.is_empty() => "has closed its output".to_owned(),
            how => format!("ended{how}"),
        };
        Error::ShellEnded(format!(
            "the shell of `{terminal}` {what}; a step must leave it running\n{said}"
        ))
    }

    /// Does a step: types its command and waits for its end.
    ///
    /// # Errors
    /// A step that outlives its deadline, ends the shell or prints more than
    /// [`OUTPUT_MAX`](crate::machine::window::OUTPUT_MAX); a signal.
    pub fn run(&mut self, step: &Step, signals: &Signals) -> anyhow::Result<Output> {
        self.run_watched(step, signals, &mut |_| {})
    }

    /// Does a step as [`Shell::run`] does, for somebody who watches.
    ///
    /// # Errors
    /// As [`Shell::run`].
    pub fn run_watched(
        &mut self,
        step: &Step,
        signals: &Signals,
        watch: Watch<'_>,
    ) -> anyhow::Result<Output> {
        self.begin(step)?;
        let until = Instant::now() + step.deadline;
        while self.window.is_busy() {
            signals.wait(&self.pipes(), until, || late(step))?;
            self.read()?;
            watch(&mut self.window);
        }
        Ok(self.window.look(&Until::End))
    }
}

/// The message for a step that takes too long.
#[must_use]
pub fn late(step: &Step) -> String {
    let what = match (step.terminal, step.command.is_empty()) {
        (Terminal::Gdb, true) => "no breakpoint was hit",
        _ => "not finished",
    };
    format!(
        "{what} after {} s; if it may take longer, say so: deadline={} before `{}`",
        step.deadline.as_secs(),
        step.deadline.as_secs() * 2,
        step.terminal
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::sandbox::Sandbox;
    use std::time::Duration;

    fn step(command: &str) -> Step {
        let words = ["1.1", "host", command].map(str::to_owned);
        Step::parse(&words, 1).unwrap()
    }

    fn start(folder: &tempfile::TempDir) -> Shell {
        Shell::start(
            Terminal::Host,
            &Sandbox::Machine.view().at_home(folder.path()),
        )
        .unwrap()
    }

    #[test]
    fn the_shell_keeps_its_state_and_tells_streams_apart() {
        let folder = tempfile::tempdir().unwrap();
        let signals = Signals::catch().unwrap();
        let mut host = start(&folder);
        let mut run = |command: &str| host.run(&step(command), &signals).unwrap();
        assert_eq!(run("x='it is'; mkdir d && cd d").stdout, "");
        let output = run("echo \"$x\"; echo oh >&2; basename $PWD; (exit 3)");
        assert_eq!(
            (&*output.stdout, &*output.stderr, output.status),
            ("it is\nd\n", "oh\n", 3)
        );
        assert_eq!(
            run("printf a; cat").stdout,
            "a",
            "no newline, and no standard input"
        );
        assert_ne!(
            run("if ((").status,
            0,
            "a syntax error does not end the shell"
        );
        assert_eq!(run("echo on").stdout, "on\n");
    }

    #[test]
    fn a_step_that_hangs_or_ends_the_shell_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let signals = Signals::catch().unwrap();
        let mut slow = step("sleep 100");
        slow.deadline = Duration::from_millis(50);
        let error = start(&folder).run(&slow, &signals).unwrap_err();
        assert!(error.to_string().contains("not finished"), "{error}");
        let error = start(&folder).run(&step("exit 4"), &signals).unwrap_err();
        assert!(
            error.to_string().contains("shell of `host` ended"),
            "{error}"
        );
        let error = start(&folder).run(&step("yes"), &signals).unwrap_err();
        assert!(
            error.to_string().contains("more than 1048576 bytes"),
            "{error}"
        );
    }
}
