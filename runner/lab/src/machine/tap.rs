//! The lab's network: the host's side of the guest's cable, in namespaces of its own.
//!
//! What a chapter does in the terminal `lab` happens in a user, a network, a mount and a process
//! namespace that are made for it. In there the reader has all rights over a network of a loopback
//! device and `tap0`, the end of the guest's cable, which is still down. The machine's own network
//! cannot be seen from there. When the runner ends, in whatever way, the first process of the
//! namespaces is killed, and the kernel ends the others and takes the devices away.

use std::path::Path;

use anyhow::{Context, ensure};

use crate::machine::shell::Shell;
use crate::system::process::{Signals, with_us};
use crate::transcript::step::{Step, Terminal};

/// The words that run a program in new namespaces. The user namespace comes first, as it lends the
/// right to make the others. The user is not root in it, but keeps all rights: tcpdump would change
/// from root to another user, and there is no other. The signal for the runner's death is asked for
/// again, since new credentials take it back.
#[must_use]
pub fn within() -> Vec<String> {
    let user = "unshare --user --map-user=1000 --map-group=1000 --keep-caps";
    let others = "unshare --net --mount --pid --fork --kill-child --mount-proc";
    [words(user), with_us(), words(others)].concat()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Lays out the namespaces, as a script for bash.
pub const PREPARE: &str = include_str!("tap.sh");

/// A running lab.
#[derive(Debug)]
pub struct Tap {
    /// The shell in it.
    pub shell: Shell,
}

impl Tap {
    /// Makes the lab, with a shell that begins in `folder`.
    ///
    /// # Errors
    /// When the system does not allow it; `runner doctor` says why.
    pub fn start(folder: &Path, signals: &Signals) -> anyhow::Result<Self> {
        let mut shell = Shell::start(Terminal::Lab, &within(), folder)?;
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

    /// The words that run a program in the lab's network, without any rights over it.
    #[must_use]
    pub fn enter(&self) -> Vec<String> {
        // Its /proc belongs to other processes, so QEMU stays out of the mount namespace.
        let target = self.shell.pid();
        let enter = format!("nsenter --target {target} --user --net --preserve-credentials");
        [words(&enter), with_us()].concat()
    }
}
