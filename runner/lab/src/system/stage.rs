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
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
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

    /// Puts what was written where it belongs. A folder that lies in another one comes behind that,
    /// whose copy has it as it was.
    pub fn give_back(mut self) -> Result<()> {
        self.written
            .sort_by_key(|(_, path)| path.components().count());
        for (place, path) in &self.written {
            // The old one goes when the new one is there, so that nothing is ever lost.
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".before");
            let before = path.with_file_name(name);
            if path.exists() && before.exists() {
                // Of a run that was cut short when the new one was there.
                fs::remove_dir_all(&before)?;
            }
            fs::rename(path, &before)?;
            moved(place, path).inspect_err(|_| {
                let _ = fs::remove_dir_all(path);
                let _ = fs::rename(&before, path);
            })?;
            fs::remove_dir_all(&before)?;
        }
        Ok(())
    }
}

/// Moves a folder, to another file system if it must.
fn moved(from: &Path, to: &Path) -> Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            let copied = Command::new("cp")
                .args(["-a", "--"])
                .args([from, to])
                .output()?;
            let said = String::from_utf8_lossy(&copied.stderr);
            ensure!(copied.status.success(), "{}", said.trim_end());
            Ok(())
        }
        done => Ok(done?),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A plank's tree lies in the plank, and both are written to.
    #[test]
    fn what_was_written_in_a_folder_is_not_lost_to_the_folder_around_it() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        for folder in ["plank/linux", "stage/linux", "stage/plank/linux"] {
            fs::create_dir_all(at(folder)).unwrap();
            fs::write(at(folder).join("vmlinux"), folder).unwrap();
        }
        fs::write(at("stage/plank/build.log"), "built").unwrap();
        let written = [("stage/linux", "plank/linux"), ("stage/plank", "plank")];
        let stage = Stage {
            path: at("stage"),
            own: None,
            written: written.map(|(place, path)| (at(place), at(path))).into(),
        };
        stage.give_back().unwrap();
        let text = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!(text("plank/linux/vmlinux"), "stage/linux");
        assert_eq!(text("plank/build.log"), "built");
        let left: Vec<_> = fs::read_dir(temp.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn what_cannot_be_put_where_it_belongs_leaves_what_was_there() {
        let temp = tempfile::tempdir().unwrap();
        let plank = temp.path().join("plank");
        fs::create_dir(&plank).unwrap();
        fs::write(plank.join("tcp.c"), "the reader's").unwrap();
        let stage = Stage {
            path: temp.path().to_owned(),
            own: None,
            written: vec![(temp.path().join("gone"), plank.clone())],
        };
        stage.give_back().unwrap_err();
        assert_eq!(
            fs::read_to_string(plank.join("tcp.c")).unwrap(),
            "the reader's"
        );
    }
}
