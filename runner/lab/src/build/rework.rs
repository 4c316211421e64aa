//! The lab's kernel with changes in its source, made again: only what a change touches is compiled.
//!
//! The tree of the lab is copied with all that was built in it, and the copy stands at the same
//! place for `make`, which finds nothing else to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use walkdir::WalkDir;

use crate::build::patch::{self, Patched};
use crate::build::setup::Lab;
use crate::build::{kernel, recipe};
use crate::system::sandbox::{Sandbox, View};

/// What makes the kernel again.
pub(super) const MAKE: &str = "make -s -j$(nproc) bzImage";
/// What a new value in the configuration implies is settled without a question.
pub(super) const CONFIGURE: &str = "make -s olddefconfig";
const BZIMAGE: &str = "arch/x86/boot/bzImage";
/// What makes what modules are built with, and would make those of the configuration: it has none.
const MAKE_FOR_MODULES: &str = "make -s -j$(nproc) modules";
/// The folder beside a kernel with what its modules are built with.
pub const BUILD: &str = "build";
/// What is there of the tree: what tells that it belongs to this kernel, and where headers and the
/// programs of the build are.
const FOR_MODULES: [&str; 8] = [
    ".config",
    "Makefile",
    "Module.symvers",
    "System.map",
    "arch/x86",
    "include",
    "scripts",
    "tools/objtool/objtool",
];
/// How the names end of what was compiled there, and of what was compiled.
const NOT_FOR_MODULES: [&str; 5] = [".o", ".a", ".cmd", ".c", ".S"];
/// Where the image is packed.
const IMAGE: &str = "arch/x86/boot";

/// Text of a file of the kernel, and what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file, as seen from the top of the tree.
    pub file: String,
    /// What is there, once.
    pub from: String,
    /// What is to be there.
    pub to: String,
}

/// A copy of the lab's tree, to be changed and made again.
#[derive(Debug)]
pub struct Rework {
    /// The copy.
    pub tree: PathBuf,
    /// The tree that was copied.
    book: PathBuf,
    /// What the kernel of the lab has otherwise than that.
    patched: Patched,
    view: View,
}

impl Edit {
    /// The file's text with the edit in it.
    ///
    /// # Errors
    /// When the file has not the text, or has it more than once.
    pub fn apply(&self, text: &str) -> Result<String> {
        let Self { file, from, to } = self;
        let times = text.matches(from.as_str()).count();
        ensure!(
            times == 1,
            "{file} has {times} times what is to be changed: {from}"
        );
        Ok(text.replace(from, to))
    }
}

impl Rework {
    /// Copies the lab's tree into a folder, which is made. An imported lab has no objects, so the
    /// first `make` compiles them all.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn copied(lab: &Lab, folder: &Path) -> Result<Self> {
        let book = &lab.kernel.tree;
        if !book.join("vmlinux.o").is_file() {
            eprintln!(
                "note: the lab's kernel was not built on this machine, so all of it is compiled first"
            );
        }
        let rework = Self::of(lab, folder);
        let tree = &rework.tree;
        fs::create_dir_all(tree)?;
        let mut said = String::new();
        let copied = recipe::watched(
            |command| {
                command.args(["cp", "-a", "--reflink=auto", "--"]);
                command.args([&book.join("."), tree]);
            },
            |line| {
                line.clone_into(&mut said);
                Ok(())
            },
        );
        let what = || format!("cannot copy {} to {}", book.display(), tree.display());
        ensure!(copied.with_context(what)?.success(), "{}: {said}", what());
        // The build has made this link with the path of the tree inside the sandbox, where a gdb of
        // the reader's own does not look.
        let scripts = tree.join("vmlinux-gdb.py");
        if scripts.is_symlink() {
            fs::remove_file(&scripts)?;
            symlink("scripts/gdb/vmlinux-gdb.py", &scripts)?;
        }
        patch::put(tree, &rework.patched)?;
        if rework.patched.contains_key(patch::CONFIG) {
            rework.configure()?;
        }
        Ok(rework)
    }

    /// The copy that was made in this folder before.
    #[must_use]
    pub fn of(lab: &Lab, folder: &Path) -> Self {
        let book = lab.kernel.tree.clone();
        let tree = folder.join(kernel::TREE);
        let place = match &lab.sandbox {
            Sandbox::Machine => &tree,
            _ => &book,
        };
        let mut view = lab.sandbox.view().with_another(&tree, place);
        for (name, value) in kernel::environment(&lab.sandbox.inside(&book)) {
            view = view.with_variable(name, value);
        }
        // Where the log and what the compiler leaves behind are.
        let view = view.with_writable(folder).starting_in(place);
        let patched = lab.kernel.patched.clone();
        Self {
            tree,
            book,
            patched,
            view,
        }
    }

    /// Where what makes the kernel finds a file beside the copy.
    pub(super) fn inside(&self, path: &Path) -> PathBuf {
        self.view.sandbox().inside(path)
    }

    /// The text of a file as the lab's kernel has it.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn text(&self, file: &str) -> Result<String> {
        if let Some(text) = self.patched.get(file) {
            return text.clone().with_context(|| format!("{file} was removed"));
        }
        Ok(fs::read_to_string(self.book.join(file))?)
    }

    /// Makes the kernel with these edits of the lab's source, and no others: `touched` are the
    /// files that were edited before.
    ///
    /// # Errors
    /// An edit that does not fit; what the compiler says.
    pub fn make(&self, edits: &[Edit], touched: &mut BTreeSet<String>) -> Result<()> {
        touched.extend(edits.iter().map(|edit| edit.file.clone()));
        for file in touched.iter() {
            let mut text = self.text(file)?;
            for edit in edits.iter().filter(|edit| edit.file == *file) {
                text = edit.apply(&text)?;
            }
            // What stays the same is not compiled again.
            let path = self.tree.join(file);
            if fs::read_to_string(&path)? != text {
                fs::write(&path, text)?;
            }
        }
        self.remake(MAKE, |_| {})
    }

    /// Lets kconfig complete the configuration that is in the tree.
    ///
    /// # Errors
    /// What it says.
    pub(super) fn configure(&self) -> Result<()> {
        let log = self.tree.with_file_name(recipe::LOG);
        recipe::run(CONFIGURE, &self.view, &log, |_| {})
    }

    /// Makes the kernel of what is in the tree by `line`; `seen` gets each line that is printed.
    ///
    /// # Errors
    /// What the compiler says.
    pub(super) fn remake(&self, line: &str, seen: impl FnMut(&str)) -> Result<()> {
        // The banner says how often the tree was made, and the guest's time hangs on its length.
        let _ = fs::remove_file(self.tree.join(".version"));
        let log = self.tree.with_file_name(recipe::LOG);
        recipe::run(line, &self.view, &log, seen)
    }

    /// Copies the image that was made, and the vmlinux that belongs to it, to a folder.
    ///
    /// # Errors
    /// When they are not there, or cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        for file in [BZIMAGE, "vmlinux"] {
            let from = self.tree.join(file);
            let name = from.file_name().context("a file has a name")?;
            fs::copy(&from, folder.join(name))?;
        }
        Ok(())
    }

    /// Keeps what modules for the kernel are built with in the folder of the kernel that was kept,
    /// and gives the files that tell whether it is whole.
    ///
    /// # Errors
    /// What the compiler says; when something cannot be written.
    pub(super) fn keep_build(&self, folder: &Path) -> Result<[String; 3]> {
        self.remake(MAKE_FOR_MODULES, |_| {})?;
        let build = folder.join(BUILD);
        for part in FOR_MODULES {
            for entry in WalkDir::new(self.tree.join(part)) {
                let entry = entry?;
                let inside = entry.path().strip_prefix(&self.tree)?;
                let name = inside.to_string_lossy();
                let is_left_out = NOT_FOR_MODULES.iter().any(|end| name.ends_with(end));
                if entry.file_type().is_dir() || is_left_out || inside.starts_with(IMAGE) {
                    continue;
                }
                let place = build.join(inside);
                fs::create_dir_all(place.parent().unwrap_or(&build))?;
                match entry.path_is_symlink() {
                    true => symlink(fs::read_link(entry.path())?, place)?,
                    false => drop(fs::copy(entry.path(), place)?),
                }
            }
        }
        // SystemTap looks for it here.
        symlink("../vmlinux", build.join("vmlinux"))?;
        Ok([
            "Module.symvers",
            "scripts/mod/modpost",
            "include/generated/autoconf.h",
        ]
        .map(|file| format!("{BUILD}/{file}")))
    }
}
