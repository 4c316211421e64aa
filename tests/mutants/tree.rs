//! A kernel of the test's own, whose source is changed and made again in place.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use lab::build::rework::{Edit, Rework};
use lab::build::setup::{self, Lab, Options};

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _};

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

    /// A number for all that runs of the kernel: another one if an instruction or a byte of its
    /// data is another. The build id is not counted, which hashes the debug information, too.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.root().join("vmlinux"))
    }

    /// Makes the kernel with these edits of the book's source, and no other.
    pub fn make(&mut self, edits: &[Edit]) -> anyhow::Result<()> {
        self.rework.make(edits, &mut self.touched)
    }
}

/// As [`Tree::fingerprint`], of a vmlinux.
pub fn fingerprint(vmlinux: &Path) -> u64 {
    let bytes = std::fs::read(vmlinux).unwrap();
    let elf = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
    let mut hash = DefaultHasher::new();
    for section in elf.sections() {
        let name = section.name().unwrap();
        if section.address() != 0 && name != ".notes" {
            (name, section.address(), section.data().unwrap()).hash(&mut hash);
        }
    }
    hash.finish()
}
