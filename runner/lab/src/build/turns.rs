//! A library that QEMU loads before all others: it lets QEMU's two threads take turns, without
//! which a busy machine makes a moment of the guest another one now and then. `turns.c` says why.

use std::path::PathBuf;

use anyhow::Result;
use fs_err as fs;

use crate::build::cache::{Cache, Inputs, Leftover};
use crate::build::kernel::compiler;
use crate::build::recipe;
use crate::system::files;
use crate::system::sandbox::Sandbox;

const SOURCE: &str = include_str!("turns.c");
const COMPILE: &str = "gcc -shared -fPIC -s -O1 -Wall -Wl,--build-id=none -o turns.so turns.c";

/// The library, compiled if it is not in the cache.
///
/// # Errors
/// When it cannot be compiled, or the cache cannot be written.
pub fn ready(cache: &Cache, sandbox: &Sandbox) -> Result<PathBuf> {
    let inputs = Inputs::new()
        .with("compile", COMPILE)
        .with("compiler", compiler(sandbox)?)
        .with("turns.c", files::sha256_of(SOURCE.as_bytes()));
    let waiting = || eprintln!("QEMU's turns: another run is compiling them, waiting for that");
    let entry = cache.ensure("turns", &inputs, Leftover::Discard, waiting, |target| {
        fs::write(target.join("turns.c"), SOURCE)?;
        let view = sandbox.view().with_writable(target).starting_in(target);
        let view = view.with_variable("LC_ALL", "C");
        recipe::run(COMPILE, &view, &target.join("build.log"), |_| {})?;
        Ok(vec!["turns.so".to_owned()])
    })?;
    Ok(entry.path("turns.so"))
}
