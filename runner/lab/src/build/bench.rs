//! Where the commits of a clone are built, one after the other: a work tree of the clone that lies
//! in the cache.
//!
//! As a plank, it stands at the place of the lab's own tree while it is built, and begins with the
//! objects of that. What git writes into it is new, and all else as old as it was, so `make`
//! compiles what has changed since the commit that was built before.
//!
//! A run may be cut short at any moment. What a build had written until then may be a part of an
//! object, which `make` would take for the whole, so the next run removes it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use fs_err::{self as fs, File};

use crate::build::cache::{self, Cache, Inputs};
use crate::build::history::{History, Next, short};
use crate::build::kernel;
use crate::build::plank::{Change, is_source};
use crate::build::recipe;
use crate::build::rework::Rework;
use crate::build::setup::Lab;
use crate::system::files::write_whole;
use crate::system::progress::Stage;

/// The kind of its entry in the cache.
const KIND: &str = "bisect";
/// Says that its tree is whole.
const MADE: &str = "made";
/// Is there while something is built.
const BUILDING: &str = "building";
/// The configuration, as lines over tinyconfig.
const FRAGMENT: &str = "fragment.config";
/// The folder of what was said while each commit was built.
const LOGS: &str = "logs";
/// What git's bisection begins with.
const TRIED: &str = "bisect.log";
/// What the machine is to blame for, and not the commit.
const OF_MACHINE: [&str; 3] = [
    "No space left on device",
    "Killed signal terminated program",
    "Cannot allocate memory",
];

/// A work tree, with what was built in it.
#[derive(Debug)]
pub struct Bench {
    folder: PathBuf,
    rework: Rework,
    /// The clone, asked in it.
    pub history: History,
    _lock: File,
}

/// What building a commit has come to.
#[derive(Debug)]
pub struct Made {
    /// All that was said.
    pub log: PathBuf,
    /// The lines of the configuration that this kernel does not know.
    pub unknown: Vec<String>,
    /// Why it does not build, if it does not.
    pub refusal: Option<String>,
}

impl Bench {
    /// The bench of a clone, made if it is not there. It begins at this commit; with the lab's
    /// objects, if they may be `of_use` to it. No other run has it until this is dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(
        cache: &Cache,
        history: &History,
        lab: &Lab,
        first: &str,
        of_use: bool,
    ) -> Result<Self> {
        let clone = history.common().display().to_string();
        let folder = cache.folder(KIND, &Inputs::new().with("clone", clone));
        let lock = cache::open_lock(&folder)?;
        if !cache::lock(&lock)? {
            eprintln!("another run bisects in this clone, waiting for that");
            lock.lock()?;
        }
        let rework = Rework::of(lab, &folder);
        let made = folder.join(MADE);
        // The clone may be another at the same place, which knows nothing of the tree.
        if !(made.is_file() && history.has_tree(&rework.tree)) {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(folder.join(LOGS))?;
            let stage = Stage::begin("make a work tree of the clone in the cache");
            let history = history.in_new_tree(&rework.tree, first)?;
            if of_use {
                Rework::copied(lab, &folder)?;
            }
            // git looks at what is there, and so leaves alone what is as at the commit.
            history.ask(&["reset", "--quiet", "--mixed", first])?;
            history.ask(&["checkout", "--quiet", "--force", "--detach", first])?;
            let others = ["ls-files", "-z", "--others", "--exclude-standard"];
            for file in history.ask(&others)?.split('\0').filter(|f| is_source(f)) {
                fs::remove_file(rework.tree.join(file))?;
            }
            write_whole(&made, b"")?;
            stage.done();
        }
        let history = history.in_tree(&rework.tree);
        history.unlock()?;
        sweep(&folder.join(BUILDING), &rework.tree, &history)?;
        Ok(Self {
            folder,
            rework,
            history,
            _lock: lock,
        })
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its tree.
    #[must_use]
    pub fn tree(&self) -> &Path {
        &self.rework.tree
    }

    /// What git's bisection says; see [`History`].
    ///
    /// # Errors
    /// What git says.
    pub fn next(&self, good: &str, bad: &str, tried: &[(&str, &str)]) -> Result<Next> {
        let log = self.folder.join(TRIED);
        self.history.next(&log, good, bad, tried)
    }

    /// Builds the kernel of a commit, with this configuration. `seen` gets the number of objects
    /// that were compiled so far.
    ///
    /// # Errors
    /// What keeps any commit from being built.
    pub fn make(&self, commit: &str, fragment: &str, mut seen: impl FnMut(u64)) -> Result<Made> {
        let checkout = ["checkout", "--quiet", "--force", "--detach", commit];
        self.history.ask(&checkout)?;
        let path = self.folder.join(FRAGMENT);
        write_whole(&path, fragment.as_bytes())?;
        let [said, log] = [
            self.folder.join(recipe::LOG),
            self.folder
                .join(LOGS)
                .join(format!("{}.log", short(commit))),
        ];
        let _ = fs::remove_file(&said);
        let building = self.folder.join(BUILDING);
        write_whole(&building, kernel::boot().as_bytes())?;
        let (merge, make) = (kernel::RECIPE[0], kernel::RECIPE[1]);
        // The tree stands at another place, where the fragment is not beside it; and its version is
        // what its Makefile says, without a mark for git.
        let path = self.rework.inside(&path).display().to_string();
        let merge = merge.replace(kernel::BESIDE, &path);
        let line = format!("export LOCALVERSION=; {merge} && {make}");
        let mut objects = 0;
        let mut of_machine = None;
        let built = self.rework.remake(&line, |line| {
            objects += u64::from(kernel::is_object(line));
            if OF_MACHINE.iter().any(|text| line.contains(text)) {
                of_machine.get_or_insert(line.to_owned());
            }
            seen(objects);
        });
        fs::rename(&said, &log)?;
        if let Some(why) = of_machine {
            bail!(
                "the machine keeps {} from being built: {why}\nthe whole log is {}",
                short(commit),
                log.display()
            );
        }
        fs::remove_file(building)?;
        let config = fs::read_to_string(self.tree().join(".config")).unwrap_or_default();
        let unknown = kernel::refused(fragment, &config);
        Ok(Made {
            unknown: unknown.into_iter().map(str::to_owned).collect(),
            refusal: built.err().map(|_| refusal(&log)),
            log,
        })
    }

    /// The compiled files that are otherwise at the commit which is checked out than at another.
    ///
    /// # Errors
    /// What git says; when a file cannot be read.
    pub fn changes(&self, since: &str, commit: &str) -> Result<Vec<Change>> {
        let ends = ["*.c", "*.h", "*.S"];
        let mut changes = Vec::new();
        for file in self.history.changed(since, commit, &ends)? {
            let path = self.tree().join(&file);
            let is_compiled = file.ends_with(".h") || path.with_extension("o").exists();
            if !is_compiled {
                continue;
            }
            let book = self.history.text(since, &file)?.unwrap_or_default();
            let plank = String::from_utf8_lossy(&fs::read(path)?).into_owned();
            changes.push(Change { file, book, plank });
        }
        Ok(changes)
    }
}

/// Removes what a build has written into a tree that was cut short, as the file `building` tells.
/// After a power cut nothing can be trusted.
fn sweep(building: &Path, tree: &Path, history: &History) -> Result<()> {
    let Ok(boot) = fs::read_to_string(building) else {
        return Ok(());
    };
    let begun = fs::metadata(building)?.modified()?;
    let files = history.ask(&["ls-files", "-z", "--others"])?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let path = tree.join(file);
        let Ok(data) = fs::symlink_metadata(&path) else {
            continue;
        };
        if boot != kernel::boot() || data.modified()? >= begun {
            fs::remove_file(path)?;
        }
    }
    Ok(fs::remove_file(building)?)
}

/// The first line of a log in which somebody complains.
fn refusal(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_complaint = |line: &&str| {
        ["error:", "Error ", "ERROR:", "undefined reference", "***"]
            .iter()
            .any(|mark| line.contains(mark))
    };
    let line = text.lines().find(is_complaint);
    line.or(text.lines().last()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::build::history::tests::Small;

    #[test]
    fn what_a_build_has_written_that_was_cut_short_is_removed() {
        let clone = Small::of(1);
        let tree = clone.path();
        let history = History::find(tree).unwrap();
        let building = clone.path().join(".git/building");
        let write = |name: &str, age: u64| {
            let path = tree.join(name);
            fs::write(&path, "").unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(time).unwrap();
        };
        let cut_short = |boot: &str| {
            write("old.o", 100);
            write("new.o", 0);
            write(".git/building", 50);
            let begun = fs::metadata(&building).unwrap().modified().unwrap();
            fs::write(&building, boot).unwrap();
            let file = File::options().write(true).open(&building).unwrap();
            file.set_modified(begun).unwrap();
            sweep(&building, tree, &history).unwrap();
            ["file", "old.o", "new.o", ".git/building"].map(|name| tree.join(name).exists())
        };
        assert_eq!(cut_short(&kernel::boot()), [true, true, false, false]);
        assert_eq!(cut_short("another"), [true, false, false, false]);
    }
}
