//! The reader's own shell: one bash for the `host` steps of a chapter, so that `cd` and variables last.
//!
//! A step's command is typed in quotes behind `eval`, and its end is told by a line on both streams that
//! begins with a token no command can know. Standard input is closed to the command.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

use crate::process::{Process, Signals, drain, set_nonblocking};
use crate::step::Step;
use crate::transcript::{Output, visible};

/// The most that a step may print, in bytes.
pub const OUTPUT_MAX: usize = 1 << 20;

/// A running shell.
#[derive(Debug)]
pub struct Host {
    process: Process,
    input: ChildStdin,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    token: String,
}

#[derive(Debug)]
struct Stream<P> {
    pipe: P,
    bytes: Vec<u8>,
    closed: bool,
}

impl<P: std::io::Read + AsFd> Stream<P> {
    fn new(pipe: P) -> anyhow::Result<Self> {
        set_nonblocking(&pipe)?;
        Ok(Self {
            pipe,
            bytes: Vec::new(),
            closed: false,
        })
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let (bytes, closed) = drain(&mut self.pipe)?;
        self.bytes.extend(bytes);
        self.closed |= closed;
        Ok(())
    }

    /// What came before the token and what came behind it on its line, once that is whole.
    fn take_until(&mut self, token: &str) -> Option<(Vec<u8>, String)> {
        let at = self
            .bytes
            .windows(token.len())
            .position(|w| w == token.as_bytes())?;
        let end = at + self.bytes[at..].iter().position(|b| *b == b'\n')?;
        let rest = String::from_utf8_lossy(&self.bytes[at + token.len()..end]).into_owned();
        let before = self.bytes[..at].to_vec();
        self.bytes.drain(..=end);
        Some((before, rest))
    }
}

impl Host {
    /// Starts the shell in `folder`, with an environment that is the same on every machine.
    ///
    /// # Errors
    /// When bash cannot be started.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut process = Process::start("bash", |command| {
            command
                .args(["--noprofile", "--norc"])
                .current_dir(folder)
                .env_clear();
            command.envs([("LC_ALL", "C.UTF-8"), ("TERM", "dumb"), ("TZ", "UTC")]);
            command.env("PATH", path).env("HOME", folder);
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
        Ok(Self {
            input: process
                .child
                .stdin
                .take()
                .context("bash has no standard input")?,
            stdout: Stream::new(process.child.stdout.take().context("bash has no output")?)?,
            stderr: Stream::new(process.child.stderr.take().context("bash has no errors")?)?,
            process,
            token,
        })
    }

    /// Types the step's command and waits for its end.
    ///
    /// # Errors
    /// A step that outlives its deadline, ends the shell or prints more than [`OUTPUT_MAX`]; a signal.
    pub fn run(&mut self, step: &Step, signals: &Signals) -> anyhow::Result<Output> {
        let quoted = step.command.replace('\'', r"'\''");
        let token = self.token.clone();
        writeln!(
            self.input,
            "eval '{quoted}' </dev/null; printf '{token}%s\\n' $?; printf '{token}\\n' >&2"
        )
        .with_context(|| format!("type `{}` into the host's shell", step.command))?;
        let until = Instant::now() + step.deadline;
        loop {
            let pipes = [self.stdout.pipe.as_fd(), self.stderr.pipe.as_fd()];
            signals.wait(&pipes, until, || late(step))?;
            self.stdout.read()?;
            self.stderr.read()?;
            let is_whole = |bytes: &[u8]| {
                bytes.windows(token.len()).any(|w| w == token.as_bytes()) && bytes.ends_with(b"\n")
            };
            if is_whole(&self.stdout.bytes) && is_whole(&self.stderr.bytes) {
                let (stdout, status) = self
                    .stdout
                    .take_until(&token)
                    .context("no end of the step")?;
                let (stderr, _) = self
                    .stderr
                    .take_until(&token)
                    .context("no end of the step")?;
                return Ok(Output {
                    stdout: visible(&stdout),
                    stderr: visible(&stderr),
                    status: status.parse().context("bash told no exit status")?,
                    guest_ns: None,
                });
            }
            if self.stdout.bytes.len() + self.stderr.bytes.len() > OUTPUT_MAX {
                bail!("the step printed more than {OUTPUT_MAX} bytes; let it print less");
            }
            if self.stdout.closed || self.stderr.closed {
                let status = self.process.child.wait().context("wait for bash")?;
                bail!("the host's shell ended ({status}); a step must leave it running");
            }
        }
    }
}

/// The message for a step that takes too long.
#[must_use]
pub fn late(step: &Step) -> String {
    format!(
        "not finished after {} s; if it may take longer, say so: deadline={} before `{}`",
        step.deadline.as_secs(),
        step.deadline.as_secs() * 2,
        step.terminal
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn step(command: &str) -> Step {
        let words = ["1.1", "host", command].map(str::to_owned);
        Step::parse(&words, 1).unwrap()
    }

    #[test]
    fn the_shell_keeps_its_state_and_tells_streams_apart() {
        let folder = tempfile::tempdir().unwrap();
        let signals = Signals::catch().unwrap();
        let mut host = Host::start(folder.path()).unwrap();
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
        let error = Host::start(folder.path())
            .unwrap()
            .run(&slow, &signals)
            .unwrap_err();
        assert!(error.to_string().contains("not finished"), "{error}");
        let error = Host::start(folder.path())
            .unwrap()
            .run(&step("exit 4"), &signals)
            .unwrap_err();
        assert!(error.to_string().contains("shell ended"), "{error}");
        let error = Host::start(folder.path())
            .unwrap()
            .run(&step("yes"), &signals)
            .unwrap_err();
        assert!(
            error.to_string().contains("more than 1048576 bytes"),
            "{error}"
        );
    }
}
