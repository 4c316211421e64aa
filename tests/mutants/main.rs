//! What the book's checks are worth: mistakes are planted on purpose, one at a time, and each must
//! be noticed.
//!
//! `text` plants them in a copy of the pages, which the build of the book must refuse. `behaviour`
//! plants them in the kernel, and the chapter that explains what is changed must fail. The ordinary
//! run plants some mistakes of the text, CI one change of the kernel besides, others every day. All
//! of them are planted every night, and by `cargo test --test mutants -- --ignored --nocapture`,
//! with `text` or `behaviour` at its end for one half.

mod behaviour;
mod changes;
mod coverage;
mod judge;
mod mutate;
mod neutral;
#[path = "../support/seed.rs"]
#[allow(dead_code, reason = "each target draws in its own way")]
mod seed;
mod survivors;
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

/// One test at a time: all of them want every processor, and a chapter with a lab runs in real
/// time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed has nothing to say about the next one.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
