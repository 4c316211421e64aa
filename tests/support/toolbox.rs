//! The lab's own programs for the work of the tests: of a machine's own there may be few.

use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use lab::build::setup::{self, Options};
use lab::system::sandbox::{Sandbox, View};

use crate::fixture::repository;

/// The lab's own programs, made if they are not there.
pub fn tools() -> Sandbox {
    setup::programs(&Options::new(repository()).unwrap()).unwrap()
}

/// The programs in a folder, which they may write to.
fn in_folder(folder: &Path) -> View {
    tools().view().with_writable(folder).starting_in(folder)
}

/// Runs a line of bash in a folder, and sees nothing else.
#[track_caller]
pub fn run(folder: &Path, line: &str) {
    let ran = in_folder(folder).output(&["bash", "-ec", line], Stdio::null());
    ran.unwrap();
}

/// The bytes through a program such as `xz`.
#[track_caller]
pub fn through(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    let packed = tools().view().output(&[program, "-c"], file.into());
    packed.unwrap()
}

/// One of the programs on this machine itself, in all that it has: started by the linker of the
/// tool root.
pub fn on_machine(program: &str) -> Command {
    let Sandbox::Tools { root, .. } = tools() else {
        panic!("these tests take the lab's own programs");
    };
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let folders = ["usr/bin", "usr/sbin"].map(|folder| root.join(folder).join(program));
    let path = folders.into_iter().find(|path| path.is_file()).unwrap();
    let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    command.arg("--library-path").args([libraries, path]);
    command
}
