//! A QEMU that has made the debugger's socket and does not listen there yet, as it happens by
//! chance on a busy machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::fixture::{Book, Ran, runner};

/// Stands in front of QEMU.
const QEMU: &str = "#!/bin/sh
case \"$*\" in *-version*) ;; *) export LD_PRELOAD=/home/late.so;; esac
exec /usr/bin/qemu-system-x86_64 \"$@\"
";

#[test]
fn gdb_waits_until_qemu_listens() {
    let front = tempfile::tempdir().unwrap();
    let [source, library, qemu] =
        ["late.c", "late.so", "qemu-system-x86_64"].map(|name| front.path().join(name));
    fs::write(&source, include_str!("late.c")).unwrap();
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .status();
    assert!(compiled.unwrap().success());
    fs::write(&qemu, QEMU).unwrap();
    fs::set_permissions(&qemu, Permissions::from_mode(0o755)).unwrap();
    let book = Book::new(&["gdb print 1"]);
    let mut command = runner();
    command.args(["chapter", "5"]);
    command.current_dir(book.folder.path());
    command.env("THESEUS_PROGRAMS", front.path());
    let ran = Ran::of(command);
    assert!(ran.stdout.contains("$1 = 1"), "{ran:#?}");
}
