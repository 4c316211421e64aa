//! A QEMU that behaves as it does by chance on a busy machine, as it loads a library first.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tempfile::TempDir;

/// Stands in front of QEMU. What the runner itself has QEMU load stays behind it.
const QEMU: &str = "#!/bin/sh
case \"$*\" in *-version*) ;; *) export LD_PRELOAD=/home/front.so:$LD_PRELOAD;; esac
exec /usr/bin/qemu-system-x86_64 \"$@\"
";

/// A folder for `THESEUS_PROGRAMS` with such a QEMU; `source` is the library's.
pub fn qemu(source: &str) -> TempDir {
    let front = tempfile::tempdir().unwrap();
    let [file, library, qemu] =
        ["front.c", "front.so", "qemu-system-x86_64"].map(|name| front.path().join(name));
    fs::write(&file, source).unwrap();
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &file])
        .status();
    assert!(compiled.unwrap().success());
    fs::write(&qemu, QEMU).unwrap();
    fs::set_permissions(&qemu, Permissions::from_mode(0o755)).unwrap();
    front
}
