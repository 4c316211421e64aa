//! An empty cache beside the reader's, for one run: `--fresh`.
//!
//! Its folder lies in the reader's cache, because the temporary folder may be too small for a
//! kernel's tree, and is gone when the run ends, however it ends. While the run goes on the folder
//! itself is locked, so that `clean` leaves it alone: a lock file beside the folder would stay
//! behind. So it is with the private folder of a replay that lies there.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fs_err::{self as fs, File};

use crate::build::cache::{Cache, lock};
use crate::system::scratch::{PREFIX_IN_CACHE, Scratch};

/// What the names of such folders begin with.
const PREFIX: &str = "fresh-";

/// An empty cache that is gone when it is dropped. What was downloaded before is fetched again.
#[derive(Debug)]
pub struct Fresh {
    folder: Scratch,
}

impl Fresh {
    /// Makes the folder in the cache `beside`.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn new(beside: &Cache) -> Result<Self> {
        let root = beside.root();
        let make = || -> Result<Self> {
            fs::create_dir_all(root)?;
            let folder = Scratch::new_in(root, PREFIX)?;
            Ok(Self { folder })
        };
        make().with_context(|| format!("make a temporary cache in {}", root.display()))
    }

    /// The cache in it.
    #[must_use]
    pub fn cache(&self) -> Cache {
        Cache::at(self.folder.path())
    }
}

/// What a folder in the cache is that holds no entries, in a word: such a cache, or what a replay
/// writes to.
#[must_use]
pub fn private(folder: &Path) -> Option<&'static str> {
    let name = folder.file_name()?.to_string_lossy();
    let found = [PREFIX, PREFIX_IN_CACHE]
        .into_iter()
        .find(|prefix| name.starts_with(prefix))?;
    Some(found.trim_end_matches('-'))
}

/// Removes a folder that a run has left behind, with the child that should have removed it. One
/// that is in use is refused.
///
/// # Errors
/// When it is in use, or cannot be removed.
pub fn remove(folder: &Path) -> Result<()> {
    let file = File::open(folder)?;
    let shown = folder.display();
    ensure!(lock(&file)?, "{shown} is used by another run; it stays");
    Ok(fs::remove_dir_all(folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_cache_is_listed_as_one_and_removed_only_when_nobody_uses_it() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        let fresh = Fresh::new(&cache).unwrap();
        let kernel = fresh.cache().root().join("kernel/0123456789ab");
        fs::create_dir_all(&kernel).unwrap();
        let listed = cache.list().unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(listed[0].kind, "fresh");
        let error = cache.remove(&listed[0]).unwrap_err().to_string();
        assert!(error.contains("used by another run; it stays"), "{error}");
        assert!(kernel.is_dir());
        drop(fresh);
        assert!(cache.list().unwrap().is_empty());
        // What a run left behind together with the child that keeps its folder.
        fs::create_dir_all(temp.path().join("fresh-abc/kernel/0123456789ab")).unwrap();
        let listed = cache.list().unwrap();
        cache.remove(&listed[0]).unwrap();
        assert!(fs::read_dir(temp.path()).unwrap().next().is_none());
    }
}
