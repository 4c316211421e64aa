//! The cache outside the checkout: what was fetched and built, by the hash of what it came from.
//!
//! An entry is the folder `<kind>/<key>/`. It counts only once its stamp, the file `complete`, is
//! there: the stamp is written last and renamed into place. Building in a temporary folder and
//! renaming that would be simpler, but a kernel has to be built where it stays, because the path
//! of its tree is in the flags that `make` compares on the next run.
//!
//! The lock of an entry is a file beside its folder, so that removing the folder leaves the lock
//! alone. The kernel frees such a lock when its process ends, however it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const STAMP: &str = "complete";

/// The root of the cache.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    frozen: bool,
}

/// An entry that a frozen cache was asked for and does not have.
#[derive(Clone, Debug)]
pub struct Absent {
    /// `kernel`, `busybox` and so on.
    pub kind: String,
    /// An earlier run began to make it.
    pub begun: bool,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.begun {
            "not finished"
        } else {
            "not there"
        };
        write!(f, "the entry {} of the cache is {how}", self.kind)
    }
}

impl std::error::Error for Absent {}

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
}

/// A complete entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The folder of the entry.
    pub folder: PathBuf,
    /// What its stamp says.
    pub stamp: Stamp,
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

    /// The value of one input.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The key: the first 12 hexadecimal digits of the hash over all names and values.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in &self.0 {
            // Lengths keep two different lists from being the same bytes.
            hash.update(format!("{} {} ", name.len(), value.len()));
            hash.update(name);
            hash.update(value);
        }
        let mut key = hex(&hash.finalize());
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
        let root = root.into();
        Self {
            root,
            frozen: false,
        }
    }

    /// The same cache, which only tells what it has: where it would build, it says [`Absent`].
    #[must_use]
    pub fn frozen(self) -> Self {
        Self {
            frozen: true,
            ..self
        }
    }

    /// The folder of the whole cache.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the entry of these inputs is, or will be.
    pub fn folder(&self, kind: &str, inputs: &Inputs) -> PathBuf {
        self.root.join(kind).join(inputs.key())
    }

    /// The entry if it is complete. Nothing is hashed: the stamp is trusted, and its outputs only
    /// have to be there.
    pub fn get(&self, kind: &str, inputs: &Inputs) -> Option<Entry> {
        let folder = self.folder(kind, inputs);
        let stamp = read_stamp(&folder)?;
        let present = stamp
            .outputs
            .keys()
            .all(|output| folder.join(output).exists());
        (stamp.inputs == *inputs && present).then_some(Entry { folder, stamp })
    }

    /// The entry, made by `build` if it is not complete. `build` works in the folder that it is
    /// given and returns the outputs, as paths inside it. Of two runs at once, one builds and the
    /// other waits for it; `waiting` is called before such a wait.
    pub fn ensure(
        &self,
        kind: &str,
        inputs: &Inputs,
        leftover: Leftover,
        waiting: impl FnOnce(),
        build: impl FnOnce(&Path) -> Result<Vec<String>>,
    ) -> Result<Entry> {
        if let Some(entry) = self.get(kind, inputs) {
            return Ok(entry);
        }
        let folder = self.folder(kind, inputs);
        if self.frozen {
            let kind = kind.to_owned();
            let begun = folder.exists();
            bail!(Absent { kind, begun });
        }
        let _lock = lock(&folder, waiting)?;
        // Another run may have built it while this one waited.
        if let Some(entry) = self.get(kind, inputs) {
            return Ok(entry);
        }
        if leftover == Leftover::Discard || folder.join(STAMP).exists() {
            remove_folder(&folder)?;
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the cache folder {}", folder.display()))?;
        let mut outputs = BTreeMap::new();
        for output in build(&folder)? {
            let hash = sha256_of_file(&folder.join(&output))?;
            outputs.insert(output, hash);
        }
        let stamp = Stamp {
            inputs: inputs.clone(),
            outputs,
        };
        write_whole(
            &folder.join(STAMP),
            serde_json::to_string_pretty(&stamp)?.as_bytes(),
        )?;
        Ok(Entry { folder, stamp })
    }

    /// The folder of the entry of this kind that was completed last.
    pub fn newest(&self, kind: &str) -> Option<PathBuf> {
        let folders = folders_in(&self.root.join(kind)).ok()?;
        let completed = |folder: &PathBuf| fs::metadata(folder.join(STAMP)).ok()?.modified().ok();
        let dated = folders
            .into_iter()
            .filter_map(|folder| Some((completed(&folder)?, folder)));
        dated.max().map(|(_, folder)| folder)
    }

    /// All entries, complete or not, sorted by kind and key.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        for kind in folders_in(&self.root)? {
            for folder in folders_in(&kind)? {
                found.push(listed(&kind, folder));
            }
        }
        found.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(found)
    }

    /// Removes one entry. One that another run is building now is refused.
    pub fn remove(&self, entry: &Listed) -> Result<()> {
        let file = open_lock(&entry.folder)?;
        match file.try_lock() {
            Ok(()) => remove_folder(&entry.folder),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "{} is being built by another run; it stays",
                    entry.folder.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", entry.folder.display()))
            }
        }
    }
}

/// The SHA-256 of a file's bytes, in lower-case hexadecimal.
pub fn sha256_of_file(path: &Path) -> Result<String> {
    let mut file =
        File::open(path).with_context(|| format!("cannot open {} to hash it", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = file
            .read(&mut buffer)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if count == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..count]);
    }
}

/// The SHA-256 of some bytes, in lower-case hexadecimal.
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Writes a file so that it is there with all its bytes or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let write = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_stamp(folder: &Path) -> Option<Stamp> {
    serde_json::from_slice(&fs::read(folder.join(STAMP)).ok()?).ok()
}

fn open_lock(folder: &Path) -> Result<File> {
    let path = folder.with_extension("lock");
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent)
        .with_context(|| format!("cannot make the cache folder {}", parent.display()))?;
    File::create(&path).with_context(|| format!("cannot open the lock {}", path.display()))
}

fn lock(folder: &Path, waiting: impl FnOnce()) -> Result<File> {
    let file = open_lock(folder)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => waiting(),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", folder.display()));
        }
    }
    file.lock()
        .with_context(|| format!("cannot lock {}", folder.display()))?;
    Ok(file)
}

fn remove_folder(folder: &Path) -> Result<()> {
    // Without its stamp the entry is void from the first moment, even if the removal is cut short.
    for result in [
        fs::remove_file(folder.join(STAMP)),
        fs::remove_dir_all(folder),
    ] {
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("cannot list {}", folder.display()))?,
    };
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect())
}

fn listed(kind: &Path, folder: PathBuf) -> Listed {
    use std::os::unix::fs::MetadataExt as _;

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
    fn entry_under_construction_is_not_removed() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        let build = |folder: &Path| {
            let listed = cache.list().unwrap().remove(0);
            assert!(
                cache
                    .remove(&listed)
                    .unwrap_err()
                    .to_string()
                    .contains("being built")
            );
            build_file(folder)
        };
        cache
            .ensure("thing", &Inputs::new(), Leftover::Discard, || {}, build)
            .unwrap();
        let listed = cache.list().unwrap().remove(0);
        assert!(listed.complete && listed.bytes > 0);
        cache.remove(&listed).unwrap();
        assert!(cache.list().unwrap().is_empty());
    }
}
