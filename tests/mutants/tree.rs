//! A kernel of the test's own, whose source is changed and built again in place.
//!
//! Each change of the source costs one `make`, which compiles what differs from the last time. The
//! tree is never put back for its own sake: whoever comes next, in this run or after one that was
//! killed, says what it wants the source to be.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab::build::cache::Cache;
use lab::build::kernel;
use lab::build::pins::Pins;
use lab::build::setup::{self, Options};
use lab::build::sources;
use lab::system::sandbox::View;

use crate::changes::Change;
use crate::repository;

/// A built kernel, and the files of it that may be changed.
pub struct Tree {
    pub root: PathBuf,
    /// How its `make` sees it: where it was built first.
    view: View,
    files: Vec<PathBuf>,
}

impl Tree {
    /// The kernel of this fragment, built in a cache of this test's own if it is not there.
    pub fn built(fragment: &str, changes: &[&Change]) -> Self {
        let pins = Pins::read(&repository()).unwrap();
        let pin = pins.kernel(lab::SERIES).unwrap();
        let source = sources::kernel(&Cache::of_user().unwrap(), pin, None).unwrap();
        let cache = Cache::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels"));
        let sandbox = setup::programs(&Options {
            cache: cache.clone(),
            ..Options::new(repository()).unwrap()
        });
        let sandbox = sandbox.unwrap();
        let kernel = kernel::ready(&cache, &sandbox, pin, fragment, &source).unwrap();
        let view = sandbox.view().with_writable(&kernel.places[0]);
        let view = view.starting_in(&kernel.tree);
        Self::of(kernel.tree, view, changes)
    }

    /// A copy of the lab's own tree, with all that was built in it: nothing but what is changed is
    /// compiled.
    pub fn copied(changes: &[&Change]) -> Self {
        let lab = setup::ready(&Options::new(repository()).unwrap()).unwrap();
        let from = &lab.kernel.tree;
        let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copied/linux");
        let line = "rm -rf \"$2\"; mkdir -p \"$2\"; cp -a --reflink=auto \"$1/.\" \"$2\"";
        let copied = Command::new("bash")
            .args(["-ec", line, "bash"])
            .args([from, &tree])
            .status();
        assert!(copied.unwrap().success(), "copy {}", from.display());
        let view = lab.sandbox.view().with_another(&tree, from);
        Self::of(tree, view.starting_in(from), changes)
    }

    fn of(root: PathBuf, view: View, changes: &[&Change]) -> Self {
        let mut files: Vec<_> = changes.iter().map(|c| root.join(c.file)).collect();
        files.sort();
        files.dedup();
        Self { root, view, files }
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
        let mut view = self.view.clone();
        for (name, value) in kernel::environment(&view.folder_inside()) {
            view = view.with_variable(name, value);
        }
        let make = ["make", "-s", "-j2", "bzImage"];
        view.output(&make, Stdio::null()).unwrap();
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
