//! The cache outside the checkout: what was fetched and built, by the hash of what it came from.
//!
//! An entry is the folder `<kind>/<key>/`. It counts only once its stamp, the file `complete`, is
//! there: the stamp is written last and renamed into place. Building in a temporary folder and
//! renaming that would be simpler, but a kernel has to be built where it stays, because the path
//! of its tree is in the flags that `make` compares on the next run.
//!
//! The lock of an entry is a file beside its folder, so that removing the folder leaves the lock
//! alone. The kernel frees such a lock when its process ends, however it ends. Who makes or removes
//! an entry has the lock alone; who uses it shares the lock, for as long as the process lives.
//!
//! Disks lose bytes, and people edit files. Small outputs are hashed whenever they are asked for,
//! and of large ones the size and the time are compared: that takes milliseconds. When a run does
//! not end well, all outputs that it was given are hashed ([`Given`]), so that nobody looks
//! elsewhere for what the disk has done. A damaged entry is made anew.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use fs_err::{self as fs, File};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::build::fresh;
use crate::system::files::{sha256_of, sha256_of_file, write_whole};

/// The file that makes an entry one.
pub(super) const STAMP: &str = "complete";
/// An output of up to so many bytes is hashed whenever it is asked for. It is more than what boots
/// has.
const SMALL: u64 = 8 << 20;
/// How often a run looks whether another one has made what it waits for.
const POLL: Duration = Duration::from_millis(50);

/// The root of the cache.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    frozen: bool,
    given: Given,
}

/// The entries that a run was given, with its shares of their locks.
#[derive(Clone, Debug, Default)]
pub struct Given(Arc<Mutex<Vec<Share>>>);

/// An entry, and the lock that keeps it; some file systems have none.
type Share = (Entry, Option<File>);

/// What an entry is made from: names and values, whose hash is the entry's key.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inputs(BTreeMap<String, String>);

/// What the stamp of a complete entry holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// What the entry was made from.
    pub inputs: Inputs,
    /// The files of the entry that others use, by path inside the entry, with their SHA-256.
    pub outputs: BTreeMap<String, String>,
    /// What each was like when it had this hash.
    pub seen: BTreeMap<String, Seen>,
}

/// What a file is like, without its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Its length in bytes.
    size: u64,
    /// When it was written: seconds, and billionths of them.
    time: (i64, i64),
}

/// A complete entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The folder of the entry.
    pub folder: PathBuf,
    /// What its stamp says.
    pub stamp: Stamp,
}

/// What was found where an entry should be.
enum State {
    Whole(Entry),
    Damaged(String),
    Absent,
}

/// What to do with a folder that an earlier run left without a stamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leftover {
    /// Begin anew in an empty folder.
    Discard,
    /// Go on with what is there: the builder knows how far it got.
    Resume,
}

/// An entry as `runner clean` lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// `kernel`, `busybox` and so on.
    pub kind: String,
    /// The short hash of its inputs.
    pub key: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Space taken on the disk, in bytes.
    pub bytes: u64,
    /// Time since its stamp, or else its folder, was last written.
    pub age: Duration,
    /// Whether it has a stamp.
    pub complete: bool,
}

impl Inputs {
    /// No inputs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one input.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The key: the first 12 hexadecimal digits of the hash over all names and values.
    pub fn key(&self) -> String {
        // Lengths keep two different lists from being the same bytes.
        let one = |(name, value): (&String, &String)| {
            format!("{} {} {name}{value}", name.len(), value.len())
        };
        let all: String = self.0.iter().map(one).collect();
        let mut key = sha256_of(all.as_bytes());
        key.truncate(12);
        key
    }
}

impl Entry {
    /// The path of a file or folder in the entry.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.join(inside)
    }

    /// The SHA-256 of an output, as the stamp has it.
    pub fn sha256(&self, output: &str) -> Result<&str> {
        let hash = self.stamp.outputs.get(output);
        hash.map(String::as_str).with_context(|| {
            format!(
                "the stamp in {} names no output {output}; `runner clean` and run again",
                self.folder.display()
            )
        })
    }
}

impl Cache {
    /// The reader's cache: `$XDG_CACHE_HOME/ship-of-theseus`, or `~/.cache/ship-of-theseus`.
    pub fn of_user() -> Result<Self> {
        let variable = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let base = variable("XDG_CACHE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .context("there is no place for the cache: neither XDG_CACHE_HOME nor HOME holds an absolute path; set one of them")?;
        Ok(Self::at(base.join("ship-of-theseus")))
    }

    /// A cache in a folder of the caller's choice.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            frozen: false,
            given: Given::default(),
        }
    }

    /// The same cache, which notes what it gives.
    #[must_use]
    pub fn noting(self, given: Given) -> Self {
        Self { given, ..self }
    }

    /// The same cache, which only tells what it has: where it would build, it says [`Absent`]. What
    /// it gives is its own affair.
    #[must_use]
    pub fn frozen(self) -> Self {
        Self {
            frozen: true,
            given: Given::default(),
            ..self
        }
    }

    /// The entries that it has given so far, each once, sorted by folder.
    #[must_use]
    pub fn given(&self) -> Vec<Entry> {
        let given = self.given.lock();
        let entries = given.iter().map(|(entry, _)| (&entry.folder, entry));
        let each: BTreeMap<_, _> = entries.collect();
        each.into_values().cloned().collect()
    }

    /// The folder of the whole cache.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the entry of these inputs is, or will be.
    pub fn folder(&self, kind: &str, inputs: &Inputs) -> PathBuf {
        self.root.join(kind).join(inputs.key())
    }

    /// The entry if it is complete and nobody is at work on it. From now on this process has a
    /// share of its lock.
    pub fn get(&self, kind: &str, inputs: &Inputs) -> Option<Entry> {
        match self.look(&self.folder(kind, inputs), inputs) {
            State::Whole(entry) => Some(entry),
            _ => None,
        }
    }

    /// Looks for an entry, and notes it as given if it is whole. One that somebody is at work on is
    /// as good as absent.
    fn look(&self, folder: &Path, inputs: &Inputs) -> State {
        let Some(mut lock) = share(folder) else {
            return State::Absent;
        };
        let (state, news) = inspect(folder, inputs);
        if let (Some(news), false) = (news, self.frozen) {
            drop(lock);
            renew(folder, &news);
            lock = share(folder).flatten();
        }
        if let State::Whole(entry) = &state {
            self.given.lock().push((entry.clone(), lock));
        }
        state
    }

    /// The entry, made by `build` if it is not complete. `build` works in the folder that it is
    /// given and returns the outputs, as paths inside it. Of two runs at once, one builds and the
    /// other waits for it; `waiting` is called before such a wait. That a damaged entry is made
    /// anew is told on standard error.
    pub fn ensure(
        &self,
        kind: &str,
        inputs: &Inputs,
        leftover: Leftover,
        waiting: impl FnOnce(),
        build: impl FnOnce(&Path) -> Result<Vec<String>>,
    ) -> Result<Entry> {
        let folder = self.folder(kind, inputs);
        let mut waiting = Some(waiting);
        loop {
            let how = match self.look(&folder, inputs) {
                State::Whole(entry) => return Ok(entry),
                State::Damaged(why) => format!("damaged: {why}"),
                State::Absent if folder.exists() => "not finished".to_owned(),
                State::Absent => "not there".to_owned(),
            };
            if self.frozen {
                let kind = kind.to_owned();
                bail!(Error::Absent { kind, how });
            }
            self.given.forget(&folder);
            let file = open_lock(&folder)
                .with_context(|| format!("the entry {kind} of the cache is {how}"))?;
            if lock(&file)? {
                break self.make(kind, &folder, &file, inputs, leftover, build)?;
            }
            // Whoever has made an entry shares its lock from then on: no wait for the whole lock
            // would end.
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            std::thread::sleep(POLL);
        }
        match self.look(&folder, inputs) {
            State::Whole(entry) => Ok(entry),
            State::Damaged(why) => {
                bail!("the entry {kind} was damaged as soon as it was made: {why}")
            }
            State::Absent => bail!(
                "{} was removed as soon as it was made; run again",
                folder.display()
            ),
        }
    }

    /// Makes an entry whose lock this run has alone.
    fn make(
        &self,
        kind: &str,
        folder: &Path,
        lock: &File,
        inputs: &Inputs,
        leftover: Leftover,
        build: impl FnOnce(&Path) -> Result<Vec<String>>,
    ) -> Result<()> {
        // What the build starts has it, too: should this process be killed, the next one waits for
        // all of them.
        rustix::io::fcntl_setfd(lock, rustix::io::FdFlags::empty()).context("pass on a lock")?;
        let (state, _) = inspect(folder, inputs);
        // Another run may have built it before this one had the lock.
        if !matches!(state, State::Whole(_)) {
            if let State::Damaged(why) = &state {
                eprintln!("the entry {kind} of the cache is damaged: {why}; it is made anew");
            }
            if leftover == Leftover::Discard || folder.join(STAMP).exists() {
                remove_folder(folder)?;
            }
            make(folder, inputs, build)?;
        }
        Ok(lock.unlock()?)
    }

    /// The folder of the entry of this kind that was completed last, of those that are as they
    /// `should` be, and are not being made anew. From now on this process has a share of its lock.
    pub fn newest(&self, kind: &str, should: impl Fn(&Entry) -> bool) -> Option<PathBuf> {
        let whole = |folder: PathBuf| {
            let lock = share(&folder)?;
            let path = folder.join(STAMP);
            let completed = fs::metadata(&path).ok()?.modified().ok()?;
            let stamp = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
            let entry = Entry { folder, stamp };
            should(&entry).then_some((completed, entry, lock))
        };
        let folders = folders_in(&self.root.join(kind)).ok()?.into_iter();
        let (_, entry, lock) = folders
            .filter_map(whole)
            .max_by_key(|(completed, ..)| *completed)?;
        let folder = entry.folder.clone();
        self.given.lock().push((entry, lock));
        Some(folder)
    }

    /// All entries, complete or not, sorted by kind and key.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        for kind in folders_in(&self.root)? {
            if let Some(word) = fresh::private(&kind) {
                found.push(listed(Path::new(word), kind));
                continue;
            }
            for folder in folders_in(&kind)? {
                found.push(listed(&kind, folder));
            }
        }
        found.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(found)
    }

    /// Removes one entry. One that another run makes or uses now is refused.
    pub fn remove(&self, entry: &Listed) -> Result<()> {
        match fresh::private(&entry.folder) {
            Some(_) => fresh::remove(&entry.folder),
            None => remove(&entry.folder),
        }
    }
}

impl Given {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Share>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back the share of an entry's lock.
    fn forget(&self, folder: &Path) {
        self.lock().retain(|(entry, _)| entry.folder != folder);
    }

    /// Hashes all outputs of all entries that were given, and removes the entries that are damaged.
    ///
    /// # Errors
    /// With what is damaged.
    pub fn check(&self) -> Result<()> {
        let mut damaged = Vec::new();
        for (entry, lock) in self.lock().drain(..) {
            let whole =
                entry.stamp.outputs.iter().try_for_each(|(output, hash)| {
                    check(&entry.folder, output, hash, None).map(drop)
                });
            drop(lock);
            if let Err(why) = whole {
                damaged.push(match remove(&entry.folder) {
                    Ok(()) => format!("{why}; it was removed, and the next run makes it anew"),
                    Err(error) => format!("{why}; remove {}: {error:#}", entry.folder.display()),
                });
            }
        }
        if !damaged.is_empty() {
            bail!("the cache is damaged: {}", damaged.join("\n"));
        }
        Ok(())
    }
}

/// What is in the folder of an entry; and the stamp that it should have, if nothing but times has
/// changed.
fn inspect(folder: &Path, inputs: &Inputs) -> (State, Option<Stamp>) {
    let path = folder.join(STAMP);
    let damaged = |why: String| (State::Damaged(why), None);
    let stamp: Stamp = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (State::Absent, None),
        Err(error) => return damaged(format!("{} cannot be read: {error}", path.display())),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(stamp) => stamp,
            Err(_) => return damaged(format!("{} is not as it was written", path.display())),
        },
    };
    if stamp.inputs != *inputs {
        return damaged(format!("{} is of another entry", path.display()));
    }
    let mut seen = BTreeMap::new();
    for (output, hash) in &stamp.outputs {
        match check(folder, output, hash, stamp.seen.get(output)) {
            Ok(now) => seen.insert(output.clone(), now),
            Err(why) => return damaged(why),
        };
    }
    let news = (seen != stamp.seen).then(|| Stamp {
        seen,
        ..stamp.clone()
    });
    let folder = folder.to_owned();
    (State::Whole(Entry { folder, stamp }), news)
}

/// Whether an output has its hash. A large one that is still as it was `seen` is believed to have
/// it.
fn check(folder: &Path, output: &str, hash: &str, seen: Option<&Seen>) -> Result<Seen, String> {
    let path = folder.join(output);
    let data = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("{} is gone", path.display()));
        }
        data => data.map_err(|error| error.to_string())?,
    };
    let now = Seen {
        size: data.size(),
        time: (data.mtime(), data.mtime_nsec()),
    };
    if now.size > SMALL && seen == Some(&now) {
        return Ok(now);
    }
    let found = sha256_of_file(&path).map_err(|error| format!("{error:#}"))?;
    if found != hash {
        return Err(format!("{} is not as it was made", path.display()));
    }
    Ok(now)
}

/// Replaces the stamp of an entry whose outputs have other times, so that they are not hashed
/// again. Such an entry is a copy, and the times in it are those of the copying: gdb would take the
/// source for newer than the kernel, and `make` would build. So all of its files get the same time.
/// Where that cannot be written, or somebody is at work, it stays as it is.
fn renew(folder: &Path, stamp: &Stamp) {
    let path = folder.join(STAMP);
    let write = || -> Result<()> {
        let lock = open_lock(folder)?;
        lock.try_lock()?;
        // It tells when the entry was made.
        let data = fs::metadata(&path)?;
        let (before, time) = (data.modified()?, (data.mtime(), data.mtime_nsec()));
        let files = walkdir::WalkDir::new(folder).into_iter().flatten();
        for file in files.filter(|file| file.file_type().is_file()) {
            set_time(file.path(), time)?;
        }
        let mut stamp = stamp.clone();
        stamp.seen.values_mut().for_each(|seen| seen.time = time);
        write_whole(&path, serde_json::to_string_pretty(&stamp)?.as_bytes())?;
        Ok(File::open(&path)?.set_modified(before)?)
    };
    let _ = write();
}

/// Sets the time at which a file was written.
fn set_time(path: &Path, (seconds, nanoseconds): (i64, i64)) -> io::Result<()> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Builds an entry in its folder, and writes its stamp when all of it is on the disk.
fn make(
    folder: &Path,
    inputs: &Inputs,
    build: impl FnOnce(&Path) -> Result<Vec<String>>,
) -> Result<()> {
    fs::create_dir_all(folder)?;
    let built = build(folder);
    if built.is_err() {
        // Only if nothing is in it: what there is may be gone on with.
        let _ = fs::remove_dir(folder);
    }
    let (mut outputs, mut seen) = (BTreeMap::new(), BTreeMap::new());
    for output in built? {
        let path = folder.join(&output);
        let hash = sha256_of_file(&path)?;
        let now = check(folder, &output, &hash, None).map_err(anyhow::Error::msg)?;
        seen.insert(output.clone(), now);
        outputs.insert(output, hash);
    }
    // A power cut must not leave a stamp on files that are still empty.
    let sync = || -> io::Result<()> { Ok(rustix::fs::syncfs(File::open(folder)?)?) };
    sync().with_context(|| format!("cannot write {} to the disk", folder.display()))?;
    let inputs = inputs.clone();
    let stamp = serde_json::to_string_pretty(&Stamp {
        inputs,
        outputs,
        seen,
    })?;
    write_whole(&folder.join(STAMP), stamp.as_bytes())
}

/// Removes an entry that nobody makes or uses.
fn remove(folder: &Path) -> Result<()> {
    let file = open_lock(folder)?;
    let shown = folder.display();
    ensure!(
        lock(&file)?,
        "{shown} is being made or used by another run; it stays"
    );
    remove_folder(folder)
}

/// Takes a lock alone; tells `false` if another run has it, or a share of it.
pub(super) fn lock(file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// A share of an entry's lock, unless somebody is at work on it. Without a lock file, or where
/// nothing can be locked, nobody is at work either.
fn share(folder: &Path) -> Option<Option<File>> {
    let Ok(file) = File::open(lock_path(folder)) else {
        return Some(None);
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => None,
        locked => Some(locked.is_ok().then_some(file)),
    }
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

/// The file whose lock is that of the entry in this folder.
pub(super) fn open_lock(folder: &Path) -> Result<File> {
    let path = lock_path(folder);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent)?;
    Ok(File::create(path)?)
}

fn remove_folder(folder: &Path) -> Result<()> {
    // Without its stamp the entry is void from the first moment, even if the removal is cut short.
    for result in [
        fs::remove_file(folder.join(STAMP)),
        fs::remove_dir_all(folder),
    ] {
        match result {
            Ok(()) => {}
            // A folder in place of the stamp is removed with the rest.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect())
}

fn listed(kind: &Path, folder: PathBuf) -> Listed {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let stamp = fs::metadata(folder.join(STAMP));
    let complete = stamp.is_ok();
    let written = stamp
        .or_else(|_| fs::metadata(&folder))
        .and_then(|data| data.modified());
    Listed {
        kind: name(kind),
        key: name(&folder),
        // Blocks of 512 bytes: what removing it gives back, holes left out.
        bytes: walkdir::WalkDir::new(&folder)
            .into_iter()
            .flatten()
            .filter_map(|file| file.metadata().ok())
            .map(|data| data.blocks() * 512)
            .sum(),
        age: written
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok())
            .unwrap_or_default(),
        complete,
        folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build_file(folder: &Path) -> Result<Vec<String>> {
        fs::write(folder.join("out"), "built")?;
        Ok(vec!["out".to_owned()])
    }

    #[test]
    fn key_depends_on_where_a_value_ends() {
        let one = Inputs::new().with("a", "bc").with("d", "");
        let two = Inputs::new().with("a", "b").with("cd", "");
        assert_ne!(one.key(), two.key());
        assert_eq!(one.key().len(), 12);
    }

    #[test]
    fn entry_is_built_once_and_again_when_an_output_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        let inputs = Inputs::new().with("version", "1");
        let first = cache
            .ensure("thing", &inputs, Leftover::Discard, || {}, build_file)
            .unwrap();
        assert_eq!(first.sha256("out").unwrap(), sha256_of(b"built"));
        let second = cache.ensure(
            "thing",
            &inputs,
            Leftover::Discard,
            || {},
            |_| panic!("built twice"),
        );
        assert_eq!(second.unwrap().folder, first.folder);
        fs::remove_file(first.path("out")).unwrap();
        assert!(cache.get("thing", &inputs).is_none());
        cache
            .ensure("thing", &inputs, Leftover::Discard, || {}, build_file)
            .unwrap();
    }

    #[test]
    fn failed_build_leaves_no_stamp_and_is_resumed_or_discarded() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        let inputs = Inputs::new();
        let fail = |folder: &Path| {
            fs::write(folder.join("half"), "")?;
            bail!("no")
        };
        cache
            .ensure("thing", &inputs, Leftover::Resume, || {}, fail)
            .unwrap_err();
        assert!(cache.get("thing", &inputs).is_none());
        assert!(!cache.list().unwrap()[0].complete);
        let seen = |folder: &Path| {
            Ok(vec![
                if folder.join("half").exists() {
                    "half"
                } else {
                    "."
                }
                .to_owned(),
            ])
        };
        cache
            .ensure("thing", &inputs, Leftover::Resume, || {}, seen)
            .unwrap();
        let other = Inputs::new().with("other", "");
        cache
            .ensure("thing", &other, Leftover::Resume, || {}, fail)
            .unwrap_err();
        let gone = |folder: &Path| {
            assert!(!folder.join("half").exists());
            build_file(folder)
        };
        cache
            .ensure("thing", &other, Leftover::Discard, || {}, gone)
            .unwrap();
    }

    #[test]
    fn two_runs_at_once_build_once() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        let builds = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let build = |folder: &Path| {
                        builds.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(50));
                        build_file(folder)
                    };
                    cache
                        .ensure("thing", &Inputs::new(), Leftover::Discard, || {}, build)
                        .unwrap();
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
    }

    #[test]
    fn entry_under_construction_or_in_use_is_not_removed() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        let build = |folder: &Path| {
            let listed = cache.list().unwrap().remove(0);
            assert!(
                cache
                    .remove(&listed)
                    .unwrap_err()
                    .to_string()
                    .contains("being made")
            );
            build_file(folder)
        };
        cache
            .ensure("thing", &Inputs::new(), Leftover::Discard, || {}, build)
            .unwrap();
        let listed = cache.list().unwrap().remove(0);
        assert!(listed.complete && listed.bytes > 0);
        // It is in use for as long as somebody has the cache that gave it.
        let error = cache.remove(&listed).unwrap_err().to_string();
        assert!(error.contains("used by another run"), "{error}");
        drop(cache);
        let cache = Cache::at(temp.path());
        cache.remove(&listed).unwrap();
        assert!(cache.list().unwrap().is_empty());
    }

    #[test]
    fn what_is_read_at_hand_is_in_use_too() {
        let temp = tempfile::tempdir().unwrap();
        let inputs = Inputs::new();
        Cache::at(temp.path())
            .ensure("thing", &inputs, Leftover::Discard, || {}, build_file)
            .unwrap();
        let reader = Cache::at(temp.path());
        assert!(reader.newest("thing", |_| false).is_none());
        let folder = reader
            .newest("thing", |entry| entry.stamp.inputs == inputs)
            .unwrap();
        assert_eq!(folder, reader.folder("thing", &inputs));
        let cleaner = Cache::at(temp.path());
        let listed = cleaner.list().unwrap().remove(0);
        let error = cleaner.remove(&listed).unwrap_err().to_string();
        assert!(error.contains("used by another run"), "{error}");
        drop(reader);
        cleaner.remove(&listed).unwrap();
        assert!(cleaner.newest("thing", |_| true).is_none());
    }
}
