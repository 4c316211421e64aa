//! A kernel of the test's own, whose source is changed and made again in place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lab::build::rework::{Edit, Rework};
use lab::build::setup::{self, Lab, Options};

use crate::repository;

/// A copy of the lab's tree.
pub struct Tree {
    pub lab: Lab,
    rework: Rework,
    touched: BTreeSet<String>,
}

impl Tree {
    /// A copy of the lab's own tree, with all that was built in it; each of this number is another.
    pub fn copied(number: usize) -> Self {
        let lab = setup::ready(&Options::new(repository()).unwrap()).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.join(format!("copied/{number}"));
        // Whoever was killed here has left something changed.
        let _ = std::fs::remove_dir_all(&folder);
        let rework = Rework::copied(&lab, &folder).unwrap();
        Self {
            lab,
            rework,
            touched: BTreeSet::new(),
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.rework.tree
    }

    /// The image that was made.
    pub fn image(&self) -> PathBuf {
        self.root().join("arch/x86/boot/bzImage")
    }

    /// Makes the kernel with these edits of the book's source, and no other.
    pub fn make(&mut self, edits: &[Edit]) -> anyhow::Result<()> {
        self.rework.make(edits, &mut self.touched)
    }
}
