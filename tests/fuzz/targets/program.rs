//! Any file in place of a program that is packed for the guest.
#![cfg_attr(not(test), no_main)]

use std::path::PathBuf;
use std::sync::LazyLock;

use lab::program::closure::Closure;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("fuzz-program-{}", std::process::id())));

pub fn read(bytes: &[u8]) {
    std::fs::write(&*FILE, bytes).unwrap();
    let _ = Closure::new().add_program(&FILE);
    std::fs::remove_file(&*FILE).unwrap();
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read(bytes));
