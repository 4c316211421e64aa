//! Planks: copies of the lab's kernel that the reader changes.
//!
//! A plank is a whole tree, already built, in the folder `planks` of the repository, so that any
//! editor opens it. It was copied with the times of its files, and stands at the place of the lab's
//! own tree while it is built, so that only what a change touches is compiled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use walkdir::WalkDir;

use crate::Error;
use crate::build::kernel;
use crate::build::patch::{self, CONFIG, Patch, Patched, text};
use crate::build::rework::{CONFIGURE, MAKE, Rework};
use crate::build::setup::Lab;

/// Where the planks are, in the repository.
pub const FOLDER: &str = "planks";
/// The hash of the kernel that a plank was made of, beside its tree.
const BASE: &str = "base";
/// Locked by the run that uses the plank, beside its tree; and beside all planks, by the run that
/// makes one.
const LOCK: &str = "lock";
/// The plank in which answers to exercises are tried: no reader's can be called so.
const TRIALS: &str = ".trials";
/// Ends the name of a plank while it is being made or removed.
const PARTIAL: &str = ".partial";
/// What `make` itself says, and what the kernel's build does where nothing has counted yet.
const NOISE: [&str; 2] = ["make", "cat: .version: "];

/// A plank.
#[derive(Debug, Clone)]
pub struct Plank {
    /// How the reader calls it.
    pub name: String,
    folder: PathBuf,
}

/// A file of a plank that is not as the book's kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file, as seen from the top of the tree.
    pub file: String,
    /// Its text in the book's kernel; empty if it is new.
    pub book: String,
    /// Its text in the plank; empty if it was removed.
    pub plank: String,
}

impl Plank {
    /// A plank that is not there yet.
    ///
    /// # Errors
    /// [`Error::Unfit`] for a name that cannot be one or is taken.
    pub fn new(repository: &Path, name: &str) -> Result<Self, Error> {
        let plank = Self::named(repository, name)?;
        if plank.folder.exists() {
            return Err(unfit(name, "there is one already"));
        }
        Ok(plank)
    }

    /// The plank in which answers to exercises are tried, which may not be there yet.
    #[must_use]
    pub fn of_trials(repository: &Path) -> Self {
        Self {
            name: TRIALS.to_owned(),
            folder: repository.join(FOLDER).join(TRIALS),
        }
    }

    /// The turn of a run that puts one answer after the other into it, and builds each: another
    /// run waits for it.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn turn(&self) -> Result<std::fs::File> {
        let path = self.folder.with_file_name(format!("{}.{LOCK}", self.name));
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let turn = std::fs::File::create(path)?;
        if turn.try_lock().is_err() {
            eprintln!("another run tries answers with a kernel, waiting for that");
            turn.lock()?;
        }
        Ok(turn)
    }

    /// Whether it is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// Copies the lab's tree for a new plank.
    ///
    /// # Errors
    /// When it cannot be copied; [`Error::Unfit`] when another run has made it meanwhile.
    pub fn copy(&self, lab: &Lab) -> Result<()> {
        let partial = self.partial();
        let all = self.folder.parent().unwrap_or(&self.folder);
        fs::create_dir_all(all)?;
        let lock = std::fs::File::create(all.join(format!(".{LOCK}")))?;
        if lock.try_lock().is_err() {
            eprintln!("another run makes a plank, waiting for that");
            lock.lock()?;
        }
        if self.exists() {
            return Err(unfit(&self.name, "there is one already").into());
        }
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        Rework::copied(lab, &partial)?;
        fs::write(partial.join(BASE), &lab.kernel.sha256)?;
        Ok(fs::rename(&partial, &self.folder)?)
    }

    /// Where it is while it is not whole: nobody takes that for a plank.
    fn partial(&self) -> PathBuf {
        self.folder
            .with_file_name(format!("{}{PARTIAL}", self.name))
    }

    /// The plank of this name.
    ///
    /// # Errors
    /// [`Error::Unfit`] when there is none.
    pub fn find(repository: &Path, name: &str) -> Result<Self> {
        let plank = Self::named(repository, name)?;
        if plank.folder.is_dir() {
            return Ok(plank);
        }
        let all = Self::all(repository)?;
        let names: Vec<&str> = all.iter().map(|plank| plank.name.as_str()).collect();
        let why = match names[..] {
            [] => format!("there is no plank yet; make one: runner plank new {name}"),
            _ => format!("there is none of this name; there are {}", names.join(", ")),
        };
        Err(unfit(name, &why).into())
    }

    /// All planks, by name.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn all(repository: &Path) -> Result<Vec<Self>> {
        let folder = repository.join(FOLDER);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Ok(plank) = Self::named(repository, &name) {
                all.push(plank);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn named(repository: &Path, name: &str) -> Result<Self, Error> {
        let may = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.starts_with('-') || !name.chars().all(may) {
            let why = "a name has lower-case letters, digits and `-`";
            return Err(unfit(name, why));
        }
        Ok(Self {
            name: name.to_owned(),
            folder: repository.join(FOLDER).join(name),
        })
    }

    /// The tree that the reader edits.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.folder.join(kernel::TREE)
    }

    /// Removes the plank, with all that was changed in it.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub fn remove(&self) -> Result<()> {
        let partial = self.partial();
        fs::rename(&self.folder, &partial)?;
        Ok(fs::remove_dir_all(&partial)?)
    }

    /// Removes what a run has left that was cut short while it made or removed the plank of this
    /// name; tells whether there was something.
    ///
    /// # Errors
    /// [`Error::Unfit`] for a name that cannot be one; when something cannot be removed.
    pub fn remove_partial(repository: &Path, name: &str) -> Result<bool> {
        let partial = Self::named(repository, name)?.partial();
        let is_there = partial.is_dir();
        if is_there {
            fs::remove_dir_all(&partial)?;
        }
        Ok(is_there)
    }

    /// The names of planks that are not whole: a run was cut short while it made or removed them.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn partials(repository: &Path) -> Result<Vec<String>> {
        let folder = repository.join(FOLDER);
        let mut names = Vec::new();
        let lock = std::fs::File::open(folder.join(format!(".{LOCK}")));
        // As long as somebody makes one, it is not left.
        if folder.is_dir() && lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            for entry in fs::read_dir(folder)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                let name = name.strip_suffix(PARTIAL).map(str::to_owned);
                names.extend(name.filter(|name| Self::named(repository, name).is_ok()));
            }
        }
        names.sort();
        Ok(names)
    }

    /// What the reader has changed, by file: sources and the configuration, and not what a build
    /// makes of them.
    ///
    /// # Errors
    /// When a tree cannot be read, or a changed file is no text.
    pub fn changes(&self, lab: &Lab) -> Result<Vec<Change>> {
        let (book, plank) = (&lab.kernel.tree, self.tree());
        let files = [book, &plank].map(|tree| sources(tree));
        let [of_book, of_plank] = files;
        let mut changes = Vec::new();
        for file in of_book?.union(&of_plank?) {
            let (before, after) = (book.join(file), plank.join(file));
            if is_untouched(&before, &after) {
                continue;
            }
            let [book, plank] = [before, after].map(|path| text(&path));
            let (book, plank) = (book?, plank?);
            if book != plank {
                let file = file.clone();
                changes.push(Change { file, book, plank });
            }
        }
        Ok(changes)
    }

    /// Lets the tree be the book's with these patches, and nothing else.
    ///
    /// # Errors
    /// As [`Patch::apply`] and [`Patch::check`]; when something cannot be written.
    pub fn put(&self, lab: &Lab, patches: &[Patch]) -> Result<()> {
        let book = &lab.kernel.tree;
        let mut files = Patched::new();
        for change in self.changes(lab)? {
            let path = book.join(&change.file);
            files.insert(change.file, path.is_file().then_some(change.book));
        }
        files.extend(patch::patched(book, patches)?);
        patch::put(&self.tree(), &files)?;
        if patches.iter().any(|patch| !patch.config.is_empty()) {
            Rework::of(lab, &self.folder).configure()?;
            let config = text(&self.tree().join(CONFIG))?;
            for patch in patches {
                patch.check(&config)?;
            }
        }
        Ok(())
    }

    /// Makes the kernel of what is in the tree. `said` gets each line of what the compiler says. As
    /// long as the caller keeps the lock that this gives, no other run makes the plank anew.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the plank was made of another kernel; [`Error::Unbuilt`] when the
    /// compiler or the linker refuses.
    pub fn make(&self, lab: &Lab, mut said: impl FnMut(&str)) -> Result<std::fs::File> {
        let base = fs::read_to_string(self.folder.join(BASE)).unwrap_or_default();
        if base != lab.kernel.sha256 {
            let why = "it was made of another kernel than the lab has now; keep its changes \
                       (diff -ru of the two trees), and make a new one";
            return Err(unfit(&self.name, why).into());
        }
        let lock = std::fs::File::create(self.folder.join(LOCK))?;
        if lock.try_lock().is_err() {
            eprintln!(
                "the plank {}: another run uses it, waiting for that",
                self.name
            );
            lock.lock()?;
        }
        let rework = Rework::of(lab, &self.folder);
        let is_configured = !is_untouched(&lab.kernel.tree.join(CONFIG), &self.tree().join(CONFIG));
        let line = match is_configured {
            true => &format!("{CONFIGURE} && {MAKE}"),
            false => MAKE,
        };
        let mut refusal = String::new();
        let made = rework.remake(line, |line| {
            if !NOISE.iter().any(|start| line.starts_with(start)) {
                said(line);
                refusal += &format!("{line}\n");
            }
        });
        made.map_err(|error| match refusal.is_empty() {
            true => error,
            false => Error::Unbuilt(format!("the plank {} does not build", self.name)).into(),
        })?;
        Ok(lock)
    }
}

fn unfit(name: &str, why: &str) -> Error {
    Error::Unfit(format!("the plank `{name}`: {why}"))
}

/// Whether two files have the same size and the same time, as a copy has.
fn is_untouched(one: &Path, other: &Path) -> bool {
    let of = |path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    of(one).is_some_and(|one| of(other) == Some(one))
}

/// The files of a tree that somebody has written, as seen from its top.
fn sources(tree: &Path) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    let walk = WalkDir::new(tree).into_iter();
    for entry in walk.filter_entry(|entry| !is_made(entry.path(), tree)) {
        let entry = match entry {
            // What a compiler beside this one has removed.
            Err(error) if is_gone(&error) => continue,
            entry => entry?,
        };
        let file = entry.path().strip_prefix(tree)?.to_string_lossy();
        if entry.file_type().is_file() && is_source(&file) {
            all.insert(file.into_owned());
        }
    }
    Ok(all)
}

fn is_gone(error: &walkdir::Error) -> bool {
    let error = error.io_error();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Whether it is a folder in which all is made by the build.
fn is_made(path: &Path, tree: &Path) -> bool {
    let path = path.strip_prefix(tree).unwrap_or(path).to_string_lossy();
    path.ends_with("include/generated") || path == "include/config"
}

/// Whether a file of this name is one that is written, and not made.
pub(super) fn is_source(file: &str) -> bool {
    const WRITTEN: [&str; 6] = ["c", "h", "S", "sh", "py", "pl"];
    const MADE: [&str; 4] = ["voffset.h", "zoffset.h", "cpustr.h", "piggy.S"];
    let path = Path::new(file);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let is_build = ["Kconfig", "Kbuild", "Makefile"]
        .iter()
        .any(|start| name.starts_with(start));
    let is_written = is_build || WRITTEN.contains(&&*extension) || name.ends_with(".lds.S");
    let is_made = name.starts_with('.') || name.ends_with(".mod.c") || MADE.contains(&&*name);
    file == CONFIG || is_written && !is_made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_word() {
        let of = |name| Plank::named(Path::new("/"), name).map(|plank| plank.name);
        assert_eq!(of("larger-window2").unwrap(), "larger-window2");
        for name in ["", "-x", "..", "a/b", "A", "a b", "x.partial"] {
            let error = of(name).unwrap_err().to_string();
            assert!(error.contains("lower-case letters"), "{name}: {error}");
        }
    }

    #[test]
    fn what_a_build_makes_is_no_change_of_the_readers() {
        for file in [
            ".config",
            "net/ipv4/tcp.c",
            "net/ipv4/Makefile",
            "net/Kconfig",
            "a/x.lds.S",
        ] {
            assert!(is_source(file), "{file}");
        }
        for file in [
            "vmlinux",
            "net/ipv4/tcp.o",
            "net/ipv4/.tcp.o.cmd",
            ".config.old",
            "a/x.mod.c",
        ] {
            assert!(!is_source(file), "{file}");
        }
    }
}
