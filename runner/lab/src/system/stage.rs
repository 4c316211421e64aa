//! A root for programs where the system makes no namespaces: a private folder in the cache that has
//! the tool root and all that they see, as hard links, which takes no room and little time.
//!
//! Nothing can be mounted there. So the home of a replay lies in it, devices are made in it, and
//! what the programs of a replay see of the cache is root's, which they are not. Folders belong to
//! one place alone: where a replay may write to one of the cache, it has its own, which goes with
//! it. A build has the folder that it writes to in its place as soon as its command has ended.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use walkdir::WalkDir;

use crate::system::scratch::Scratch;

/// Whoever runs a program of a replay. It is no `root`: tcpdump would change to another user, and
/// there is none.
const READER: u32 = 1000;
/// The devices, by their minor numbers.
const DEVICES: [(&str, u32); 5] = [
    ("null", 3),
    ("zero", 5),
    ("full", 7),
    ("random", 8),
    ("urandom", 9),
];
/// What lies in a stage that is laid out.
const DONE: &str = "proc/mounts";

/// A stage, for as long as a program runs on it.
#[derive(Debug)]
pub(super) struct Stage {
    path: PathBuf,
    /// If it is this program's alone.
    own: Option<Scratch>,
    /// What the program may write to, and where that belongs.
    written: Vec<(PathBuf, PathBuf)>,
}

impl Stage {
    /// The stage that a private folder lies in, or else a new one in the cache.
    pub fn of(home: Option<&Path>, cache: &Path) -> Result<Self> {
        let own = match home {
            Some(_) => None,
            None => Some(Scratch::with_stage(cache)?),
        };
        let home = own.as_ref().map(Scratch::path).or(home);
        let path = home
            .and_then(Path::parent)
            .context("a home lies somewhere")?;
        Ok(Self {
            path: path.to_owned(),
            own,
            written: Vec::new(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts on it what is not there yet of the tool root and of what is seen. `copy` makes a copy
    /// of hard links.
    pub fn lay_out(
        &mut self,
        root: &Path,
        seen: &[(PathBuf, PathBuf, bool)],
        copy: impl Fn(&Path, &Path) -> Result<()>,
    ) -> Result<()> {
        if !self.path.join(DONE).exists() {
            copy(root, &self.path)?;
            fs::set_permissions(&self.path, Permissions::from_mode(0o755))?;
            fs::set_permissions(self.path.join("tmp"), Permissions::from_mode(0o1777))?;
            let all = Mode::from_raw_mode(0o666);
            for (name, minor) in DEVICES {
                let device = self.path.join("dev").join(name);
                mknodat(
                    CWD,
                    &device,
                    FileType::CharacterDevice,
                    all,
                    makedev(1, minor),
                )
                .with_context(|| format!("make {}", device.display()))?;
                fs::set_permissions(&device, Permissions::from_mode(0o666))?;
            }
            // mke2fs wants to know what is mounted.
            fs::write(self.path.join(DONE), "")?;
        }
        for (path, inside, writable) in seen {
            let place = self.path.join(inside.strip_prefix("/").unwrap_or(inside));
            let is_there = fs::read_dir(&place).is_ok_and(|mut all| all.next().is_some());
            if !is_there && !place.is_file() {
                fs::create_dir_all(place.parent().unwrap_or(&self.path))?;
                copy(path, &place)?;
            }
            match (writable, &self.own) {
                (true, Some(_)) => self.written.push((place, path.clone())),
                (true, None) => hand_over(&place)?,
                _ => {}
            }
        }
        if self.own.is_none() {
            hand_over(&self.path.join("work"))?;
        }
        Ok(())
    }

    /// Puts what was written where it belongs.
    pub fn give_back(self) -> Result<()> {
        for (place, path) in &self.written {
            fs::remove_dir_all(path)?;
            fs::rename(place, path)?;
        }
        Ok(())
    }
}

/// Gives a folder to the user whom a replay's programs run as, but for files that lie elsewhere,
/// too.
pub(super) fn hand_over(folder: &Path) -> Result<()> {
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        let data = entry.metadata()?;
        if data.uid() != READER && (data.is_dir() || data.nlink() == 1) {
            lchown(entry.path(), Some(READER), Some(READER))
                .with_context(|| format!("give {} to its user", entry.path().display()))?;
        }
    }
    Ok(())
}
