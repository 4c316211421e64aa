//! A kernel of the test's own, whose source is changed and built again in place.
//!
//! Each change of the source costs one `make`, which compiles what differs from the last time. The
//! tree is never put back for its own sake: whoever comes next, in this run or after one that was
//! killed, says what it wants the source to be.

use std::path::{Path, PathBuf};
use std::process::Command;

use lab::build::cache::Cache;
use lab::build::kernel;
use lab::build::pins::Pins;
use lab::build::setup::{self, Options};
use lab::build::sources;

use crate::changes::Change;
use crate::repository;

/// A built kernel, and the files of it that may be changed.
pub struct Tree {
    pub root: PathBuf,
    files: Vec<PathBuf>,
}

impl Tree {
    /// The kernel of this fragment, built in a cache of this test's own if it is not there.
    pub fn built(fragment: &str, changes: &[&Change]) -> Self {
        let pins = Pins::read(&repository()).unwrap();
        let pin = pins.kernel(lab::SERIES).unwrap();
        let source = sources::kernel(&Cache::of_user().unwrap(), pin, None).unwrap();
        let cache = Cache::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels"));
        Self::of(
            kernel::ready(&cache, pin, fragment, &source).unwrap().tree,
            changes,
        )
    }

    /// A copy of the lab's own tree, with all that was built in it: nothing but what is changed is
    /// compiled.
    pub fn copied(changes: &[&Change]) -> Self {
        let lab = setup::ready(&Options::new(repository()).unwrap()).unwrap();
        let from = lab.kernel.tree.canonicalize().unwrap();
        let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copied/linux");
        // The compiler's options name the tree, and make compiles all when one of them differs from
        // the last time.
        let line = "rm -rf \"$2\"; mkdir -p \"$2\"; cp -a --reflink=auto \"$1/.\" \"$2\"; cd \"$2\"\n\
                    find . -name '.*.cmd' -exec sed -i \"s|$1|$2|g\" {} +";
        let copied = Command::new("bash")
            .args(["-ec", line, "bash"])
            .args([&from, &tree])
            .status();
        assert!(copied.unwrap().success(), "copy {}", from.display());
        Self::of(tree, changes)
    }

    fn of(root: PathBuf, changes: &[&Change]) -> Self {
        let mut files: Vec<_> = changes.iter().map(|c| root.join(c.file)).collect();
        files.sort();
        files.dedup();
        Self { root, files }
    }

    /// Makes the kernel with these changes of the book's source, and no other.
    pub fn make(&self, changes: &[&Change]) {
        for file in &self.files {
            let mut text = std::fs::read_to_string(kept(file)).unwrap();
            for change in changes {
                if self.root.join(change.file) == *file {
                    text = change.apply(&text);
                }
            }
            // What stays the same is not compiled again.
            if std::fs::read_to_string(file).unwrap() != text {
                std::fs::write(file, text).unwrap();
            }
        }
        // The banner says how often the tree was made, and the guest's time hangs on its length.
        let _ = std::fs::remove_file(self.root.join(".version"));
        let made = Command::new("make")
            .args(["-s", "-j2", "bzImage"])
            .envs(kernel::environment(&self.root))
            .current_dir(&self.root)
            .status()
            .unwrap();
        assert!(made.success(), "make in {}", self.root.display());
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
