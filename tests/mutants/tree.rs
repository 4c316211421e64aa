//! A kernel of the test's own, whose source is changed and built again in place.
//!
//! Each change of the source costs one `make`, which compiles what differs from the last time. The tree is never put back
//! for its own sake: whoever comes next, in this run or after one that was killed, says what it wants the source to be.

use std::path::{Path, PathBuf};
use std::process::Command;

use lab::build::cache::Cache;
use lab::build::kernel::{self, Kernel};
use lab::build::pins::Pins;
use lab::build::sources;

use crate::changes::Change;
use crate::repository;

/// A built kernel, and the files of it that may be changed.
pub struct Tree {
    pub kernel: Kernel,
    files: Vec<PathBuf>,
}

impl Tree {
    /// The kernel of this fragment, built in a cache of this test's own if it is not there.
    pub fn built(fragment: &str, changes: &[&Change]) -> Self {
        let pins = Pins::read(&repository()).unwrap();
        let pin = pins.kernel(lab::SERIES).unwrap();
        let source = sources::kernel(&Cache::of_user().unwrap(), pin).unwrap();
        let cache = Cache::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels"));
        let kernel = kernel::ready(&cache, pin, fragment, &source).unwrap();
        let mut files: Vec<_> = changes.iter().map(|c| kernel.tree.join(c.file)).collect();
        files.sort();
        files.dedup();
        Self { kernel, files }
    }

    /// Makes the kernel with these changes of the book's source, and no other.
    pub fn make(&self, changes: &[&Change]) {
        for file in &self.files {
            let mut text = std::fs::read_to_string(kept(file)).unwrap();
            for change in changes {
                if self.kernel.tree.join(change.file) == *file {
                    text = change.apply(&text);
                }
            }
            // What stays the same is not compiled again.
            if std::fs::read_to_string(file).unwrap() != text {
                std::fs::write(file, text).unwrap();
            }
        }
        // The banner says how often the tree was made, and the guest's time hangs on its length.
        let _ = std::fs::remove_file(self.kernel.tree.join(".version"));
        let made = Command::new("make")
            .args(["-s", "-j2", "bzImage"])
            .envs(kernel::environment(&self.kernel.tree))
            .current_dir(&self.kernel.tree)
            .status()
            .unwrap();
        assert!(made.success(), "make in {}", self.kernel.tree.display());
    }
}

/// The file with the book's own text, which is kept beside the one that is changed.
fn kept(file: &Path) -> PathBuf {
    let kept = file.with_extension("book");
    if !kept.exists() {
        std::fs::copy(file, &kept).unwrap();
    }
    kept
}
