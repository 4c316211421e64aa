//! What the book's checks are worth: mistakes are planted on purpose, one at a time, and each must
//! be noticed.
//!
//! `text` plants them in a copy of the pages, which the build of the book must refuse. `behaviour`
//! plants them in the kernel, and the chapter that explains what is changed must fail; `planks`
//! asks who notices the changes that are the book's own. The ordinary run plants some mistakes of
//! the text, CI one change of the kernel besides, others every day. All of them are planted every
//! night, and by `cargo test --test mutants -- --ignored --nocapture`, with `text`, `behaviour` or
//! `planks` at its end for a part.

mod behaviour;
mod changes;
mod coverage;
mod judge;
mod mutate;
mod neutral;
mod planks;
#[path = "../support/seed.rs"]
#[allow(dead_code, reason = "each target draws in its own way")]
mod seed;
mod survivors;
mod text;
mod tree;

use std::fs::File;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// One test at a time, of all runs of these tests: they want every processor and share the trees
/// that they change, and a chapter with a lab runs in real time.
fn turn() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants.lock");
    let turn = File::create(path).unwrap();
    turn.lock().unwrap();
    turn
}
