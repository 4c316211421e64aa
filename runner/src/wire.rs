//! The tcpdump on the wire: what a reader sees in a window in which tcpdump reads the capture.
//!
//! QEMU writes each frame to the capture as it passes the hub, so the file is complete whenever the
//! machine stands still. A look runs the command again and shows what is new.

use std::path::Path;

use anyhow::{Context, bail};

use crate::qemu::file;
use crate::transcript::{Output, visible};

/// The window.
#[derive(Debug, Default)]
pub struct Wire {
    command: Option<String>,
    /// What has been shown.
    shown: Output,
}

impl Wire {
    /// Does a step: a command begins a tcpdump, no command looks at the one before.
    ///
    /// # Errors
    /// What is wrong with the command; bash that cannot be started.
    pub fn run(&mut self, folder: &Path, command: &str) -> anyhow::Result<Output> {
        if !command.is_empty() {
            check(command)?;
            self.command = Some(command.to_owned());
            self.shown = Output::default();
        }
        let Some(command) = &self.command else {
            bail!("no tcpdump runs on the wire yet; give a command: {EXAMPLE}")
        };
        let now = read(folder, command)?;
        let new = |now: &str, shown: &str| {
            now.strip_prefix(shown)
                .map(str::to_owned)
                .context("tcpdump prints the frames that it has shown in another way now; choose other options")
        };
        let output = Output {
            stdout: new(&now.stdout, &self.shown.stdout)?,
            stderr: new(&now.stderr, &self.shown.stderr)?,
            ..now
        };
        self.shown = now;
        Ok(output)
    }

    /// Whether frames have come that no step has shown.
    ///
    /// # Errors
    /// When bash cannot be started.
    pub fn has_unseen(&self, folder: &Path) -> anyhow::Result<bool> {
        match &self.command {
            Some(command) => Ok(read(folder, command)?.stdout != self.shown.stdout),
            None => Ok(false),
        }
    }
}

const EXAMPLE: &str = "wire 'tcpdump -n -r wire.pcap'";

/// A command that does not read the capture would show something else.
fn check(command: &str) -> anyhow::Result<()> {
    if !command.starts_with("tcpdump ") || !command.contains(&format!("-r {}", file::CAPTURE)) {
        bail!(
            "the wire's command is a tcpdump that reads {}: {EXAMPLE}",
            file::CAPTURE
        );
    }
    Ok(())
}

fn read(folder: &Path, command: &str) -> anyhow::Result<Output> {
    let done = duct::cmd!("bash", "--noprofile", "--norc", "-c", command)
        .dir(folder)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin_null()
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .with_context(|| format!("run `{command}` with bash"))?;
    Ok(Output {
        stdout: visible(&done.stdout),
        stderr: visible(&done.stderr),
        status: done.status.code().unwrap_or(1),
        guest_ns: None,
    })
}
