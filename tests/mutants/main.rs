//! What the book's checks are worth: mistakes are planted on purpose, one at a time, and each must be noticed.
//!
//! `text` plants them in a copy of the pages, which the build of the book must refuse. `behaviour` plants them in the
//! kernel, and the chapter that explains what is changed must fail. Ignored unless asked for, since kernels are built.
//! A filter runs one half: `cargo test --test mutants -- --ignored --nocapture text`.

mod behaviour;
mod changes;
mod text;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// One test at a time: all of them want every processor, and a chapter with a lab runs in real time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed has nothing to say about the next one.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
