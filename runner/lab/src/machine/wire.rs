//! The tcpdump on the wire: what a reader sees in a window in which tcpdump reads the capture.
//!
//! QEMU writes each frame to the capture as it passes the hub, so the file is complete whenever the
//! machine stands still. A look runs the command again and shows what is new.

use anyhow::bail;

use crate::Error;
use crate::machine::qemu::file;
use crate::machine::shell::Shell;
use crate::system::process::Signals;
use crate::system::sandbox::View;
use crate::transcript::Output;
use crate::transcript::step::Step;

/// The window.
#[derive(Debug, Default)]
pub struct Wire {
    /// The step whose command it is.
    tcpdump: Option<Step>,
    /// What has been shown.
    shown: Output,
}

impl Wire {
    /// Does a step: a command begins a tcpdump, no command looks at the one before.
    ///
    /// # Errors
    /// [`Misuse`], for what is wrong with the command; what [`Shell::run`] says.
    pub fn run(&mut self, view: &View, step: &Step, signals: &Signals) -> anyhow::Result<Output> {
        if !step.command.is_empty() {
            // Another one would show something else.
            let reads = step.command.contains(&format!("-r {}", file::CAPTURE));
            if !step.command.starts_with("tcpdump ") || !reads {
                bail!(Error::Misuse(format!(
                    "the wire's command is a tcpdump that reads {}: {EXAMPLE}",
                    file::CAPTURE
                )));
            }
            self.tcpdump = Some(step.clone());
            self.shown = Output::default();
        }
        let Some(tcpdump) = &self.tcpdump else {
            bail!(Error::Misuse(format!(
                "no tcpdump runs on the wire yet; give a command: {EXAMPLE}"
            )))
        };
        let looks = Step {
            deadline: step.deadline,
            ..tcpdump.clone()
        };
        let now = read(view, &looks, signals)?;
        let new = |now: &str, shown: &str| {
            now.strip_prefix(shown).map(str::to_owned).ok_or_else(|| {
                let why = "tcpdump prints the frames that it has shown in another way now; choose other options";
                Error::Misuse(why.to_owned())
            })
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
    /// What [`Shell::run`] says.
    pub fn has_unseen(&self, view: &View, signals: &Signals) -> anyhow::Result<bool> {
        match &self.tcpdump {
            Some(tcpdump) => Ok(read(view, tcpdump, signals)?.stdout != self.shown.stdout),
            None => Ok(false),
        }
    }
}

const EXAMPLE: &str = "wire 'tcpdump -n -r wire.pcap'";

/// Each look has a shell of its own, as nothing of a look is left for the next.
fn read(view: &View, tcpdump: &Step, signals: &Signals) -> anyhow::Result<Output> {
    Shell::start(tcpdump.terminal, view)?.run(tcpdump, signals)
}
