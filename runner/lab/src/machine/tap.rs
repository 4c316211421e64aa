//! The lab's network: the host's side of the guest's cable, in namespaces of its own.
//!
//! What a chapter does in the terminal `lab` happens in a user, a network, a mount and a process
//! namespace that are made for it. In there the reader has all rights over a network of a loopback
//! device and `tap0`, the end of the guest's cable, which is still down. The machine's own network
//! cannot be seen from there. When the runner ends, in whatever way, the first process of the
//! namespaces is killed, and the kernel ends the others and takes the devices away.

use anyhow::{Context, ensure};

use crate::machine::shell::Shell;
use crate::system::process::Signals;
use crate::system::sandbox::{Network, View};
use crate::transcript::step::{Step, Terminal};

/// Lays out the namespaces, as a script for bash.
pub const PREPARE: &str = include_str!("tap.sh");

/// A running lab.
#[derive(Debug)]
pub struct Tap {
    /// The shell in it.
    pub shell: Shell,
}

impl Tap {
    /// Makes the lab, with a shell that begins in its private folder.
    ///
    /// # Errors
    /// When the system does not allow it; `runner doctor` says why.
    pub fn start(view: &View, signals: &Signals) -> anyhow::Result<Self> {
        let view = view.clone().with_network(Network::Rights);
        let mut shell = Shell::start(Terminal::Lab, &view)?;
        // In a shell of its own: the reader's begins in `folder`, and goes on after an error.
        let prepare = ["0.1", "lab", &format!("({PREPARE})")].map(str::to_owned);
        let prepare = Step::parse(&prepare, 0).map_err(anyhow::Error::msg)?;
        let output = shell.run(&prepare, signals);
        let output = output.context("make the lab's namespaces; `runner doctor` says more")?;
        ensure!(
            output.status == 0,
            "the lab could not be laid out: {}; `runner doctor` says more",
            output.stderr.trim_end()
        );
        Ok(Self { shell })
    }

    /// The network of the lab, for a program without any rights over it.
    ///
    /// # Errors
    /// When the shell has ended.
    pub fn network(&self) -> anyhow::Result<Network> {
        Ok(Network::Of(self.shell.pid()?))
    }
}
