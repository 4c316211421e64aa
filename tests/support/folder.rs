//! Folders that are made once for many tests.

use std::fs;
use std::path::{Path, PathBuf};

/// An empty folder below target/, which this process has alone as long as it lives: the same tests
/// may run in another.
pub fn alone(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let lock = fs::File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    std::mem::forget(lock);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}
