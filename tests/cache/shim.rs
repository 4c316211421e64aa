//! A library that comes between a program and the system (`shim.c`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, include_str!("shim.c")).unwrap();
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .status();
    assert!(compiled.unwrap().success());
    library
});

/// Of the writes of this process below `folder`, this one fails and all after it; what it starts
/// has a disk with room.
pub fn full(command: &mut Command, folder: &Path, write: usize) {
    count(command, folder, Path::new("/dev/null"));
    command.env("SHIM_FAIL", write.to_string());
}

/// Counts the writes of this process below `folder`, and leaves so many bytes in `file`.
pub fn count(command: &mut Command, folder: &Path, file: &Path) {
    command
        .env("LD_PRELOAD", &*LIBRARY)
        .env("SHIM_BELOW", folder)
        .env("SHIM_COUNT", file);
}

/// The wall clock of this process and all that it starts leaps by so many seconds, to and fro.
pub fn leap(command: &mut Command, seconds: i64) {
    command
        .env("LD_PRELOAD", &*LIBRARY)
        .env("SHIM_CLOCK", seconds.to_string());
}
