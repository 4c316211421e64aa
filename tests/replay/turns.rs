//! A chapter repeats itself, however often QEMU's main loop wakes up between the instructions of
//! the guest, as it does by chance on a busy machine.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// Stands in front of QEMU, whose main loop becomes impatient.
const QEMU: &str = "#!/bin/sh
case \"$*\" in *-version*) exec /usr/bin/qemu-system-x86_64 \"$@\";; esac
export LD_PRELOAD=/home/impatient.so:$LD_PRELOAD
exec /usr/bin/qemu-system-x86_64 \"$@\"
";

#[test]
fn a_main_loop_that_wakes_up_all_the_time_changes_nothing() {
    let front = tempfile::tempdir().unwrap();
    let [source, library, qemu] =
        ["impatient.c", "impatient.so", "qemu-system-x86_64"].map(|name| front.path().join(name));
    std::fs::write(&source, include_str!("impatient.c")).unwrap();
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .status();
    assert!(compiled.unwrap().success());
    std::fs::write(&qemu, QEMU).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&qemu, mode).unwrap();
    // A third of its steps says what the clock or a timer of the guest says.
    let output = Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(["chapter", "7"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("THESEUS_PROGRAMS", front.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("chapter 7: the same, byte for byte"),
        "{said}{errors}"
    );
}
