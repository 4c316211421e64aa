//! A private folder that is gone when its holder is, however the holder ends.
//!
//! A child makes the folder and takes it away again, so there is no moment at which only the holder
//! knows of it. The child is a shell in a process group of its own that reads from a pipe whose
//! other end only the holder has: the pipe ends when that is dropped, and when the runner is killed
//! by a signal that no program sees. With the folder go the processes that have it as their home,
//! which is how the runner marks what a chapter starts, and their process groups.
//!
//! It lies where temporary files belong, unless that place does not serve: programs are run in the
//! folder, and need some room. Then it lies in the cache, which has both. As long as it is used, it
//! is locked, so that nobody takes it for one that was left behind.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, anyhow, bail};
use rustix::fs::{StatVfsMountFlags, statvfs};

/// What the child does.
const SCRIPT: &str = include_str!("scratch.sh");

/// How the names of those begin that lie where temporary files belong.
const PREFIX: &str = "theseus-";
/// How the names of those begin that lie in the cache.
pub const PREFIX_IN_CACHE: &str = "replay-";

/// The home in a folder that is the root of programs.
const HOME: &str = "work";

/// The most that a replay puts into its folder, in bytes: chapter 3 does with 31 MB.
pub const ROOM: u64 = 64 << 20;
/// The longest path of a folder for sockets, in bytes: a socket's has 107 at the most.
const SHORT: usize = 80;

/// A folder that only this user can enter.
#[derive(Debug)]
pub struct Scratch {
    /// The folder.
    whole: PathBuf,
    /// What of it is used.
    path: PathBuf,
    keeper: Child,
    /// Where the file system has locks.
    _lock: Option<File>,
}

/// Where temporary files belong: what TMPDIR names, if it names anything.
#[must_use]
pub fn temporary() -> PathBuf {
    let named = std::env::var_os("TMPDIR").filter(|named| !named.is_empty());
    named.map_or_else(|| "/tmp".into(), PathBuf::from)
}

/// Why nothing can be replayed in a folder, as far as it can be told without trying.
///
/// # Errors
/// The reason.
fn serves(folder: &Path) -> anyhow::Result<()> {
    let system = statvfs(folder).map_err(std::io::Error::from)?;
    if system.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        bail!("no program in it can be run (noexec)");
    }
    let room = system.f_bavail.saturating_mul(system.f_frsize);
    if room < ROOM {
        let [has, takes] = [room, ROOM].map(|bytes| bytes >> 20);
        bail!("it has {has} MB left, and a replay takes up to {takes}");
    }
    Ok(())
}

impl Scratch {
    /// Makes a folder for a replay where temporary files belong, or else in the cache, whose folder
    /// is made if it is not there.
    ///
    /// # Errors
    /// Why it can be made in neither.
    pub fn new(cache: &Path) -> anyhow::Result<Self> {
        let place = temporary();
        let why = match Self::where_it_serves(&place) {
            Ok(made) => return Ok(made),
            Err(why) => why,
        };
        let make = || {
            std::fs::create_dir_all(cache)?;
            Self::new_in(cache, PREFIX_IN_CACHE)
        };
        make().with_context(|| {
            let (place, cache) = (place.display(), cache.display());
            format!(
                "make a private folder in {place} ({why:#}; TMPDIR names another place), or else \
                 in {cache}"
            )
        })
    }

    /// Makes a folder for a replay in this place, and no other.
    ///
    /// # Errors
    /// Why nothing can be replayed in it.
    pub fn where_it_serves(place: &Path) -> anyhow::Result<Self> {
        serves(place)?;
        Self::new_in(place, PREFIX)
    }

    /// Makes a folder for sockets, whose paths must not be long.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn for_sockets() -> anyhow::Result<Self> {
        let short = |place: &PathBuf| place.is_absolute() && place.as_os_str().len() < SHORT;
        let mut why = anyhow!("TMPDIR is too long for the path of a socket");
        for place in [temporary(), "/tmp".into()]
            .iter()
            .filter(|place| short(place))
        {
            match Self::new_in(place, PREFIX) {
                Ok(made) => return Ok(made),
                Err(error) => why = error.context(format!("in {}", place.display())),
            }
        }
        Err(why.context("make a private folder for the windows; TMPDIR names another place"))
    }

    /// Makes a folder in `parent`, whose name begins with `prefix`.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn new_in(parent: &Path, prefix: &str) -> anyhow::Result<Self> {
        let parent = std::path::absolute(parent).context("find the current folder")?;
        // What the reader has set or made may be as odd as it likes.
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(parent.join(format!("{prefix}XXXXXXXX")))
            .env_clear()
            .env("PATH", keepers_path())
            .env("LC_ALL", "C")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start sh, which keeps a temporary folder")?;
        let told = read(keeper.stdout.take());
        let complaint = read(keeper.stderr.take());
        let path = PathBuf::from(OsString::from_vec(told?));
        if path.as_os_str().is_empty() {
            let _ = keeper.wait();
            let complaint = complaint?;
            let complaint = String::from_utf8_lossy(&complaint);
            // mktemp: failed to create directory via template '…': Permission denied
            bail!(
                "{}",
                complaint.trim_end().rsplit(": ").next().unwrap_or_default()
            );
        }
        let lock = File::open(&path).ok();
        let lock = lock.filter(|folder| folder.try_lock().is_ok());
        Ok(Self {
            whole: path.clone(),
            path,
            keeper,
            _lock: lock,
        })
    }

    /// Makes a folder in the cache that is to be the root of programs, of which the part is used
    /// that they have as their home.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(super) fn with_stage(cache: &Path) -> anyhow::Result<Self> {
        let mut made = Self::new_in(cache, PREFIX_IN_CACHE)
            .with_context(|| format!("make a private folder in {}", cache.display()))?;
        made.path = made.whole.join(HOME);
        std::fs::create_dir(&made.path)?;
        Ok(made)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where the child finds its programs: the system's own, if they are at the usual place.
fn keepers_path() -> OsString {
    let mut path = OsString::from("/usr/bin:/bin:");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

/// Reads to the end, which the child's script brings about as soon as it has told the name.
fn read(pipe: Option<impl std::io::Read>) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut pipe = pipe.context("sh has no pipes")?;
    pipe.read_to_end(&mut bytes)
        .context("read from sh, which keeps a temporary folder")?;
    Ok(bytes)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        // If somebody has killed the keeper.
        let _ = std::fs::remove_dir_all(&self.whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_is_private_and_goes_with_all_that_is_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new_in(parent.path(), "a b'-").unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(path.parent(), Some(parent.path()));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::create_dir_all(path.join("deep/er")).unwrap();
        let outside = parent.path().join("outside");
        std::fs::write(&outside, "stays").unwrap();
        std::os::unix::fs::symlink(&outside, path.join("deep/link")).unwrap();
        let closed = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(path.join("deep"), closed).unwrap();
        drop(scratch);
        assert!(!path.exists());
        assert!(outside.exists(), "a link was followed");
    }

    #[test]
    fn a_process_that_calls_it_home_goes_with_it_and_no_other() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(parent.path()).unwrap();
        let sleep = |home: PathBuf| {
            let mut command = Command::new("sleep");
            command.arg("1000").env("HOME", home).process_group(0);
            command.spawn().unwrap()
        };
        let mut ours = sleep(scratch.path().to_owned());
        let mut other = sleep(scratch.path().join("x"));
        // Until it has its environment, it is still a copy of this process.
        while !std::fs::read(format!("/proc/{}/cmdline", ours.id()))
            .unwrap()
            .starts_with(b"sleep")
        {
            std::thread::yield_now();
        }
        drop(scratch);
        assert!(!ours.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_why() {
        let error = Scratch::new_in(Path::new("/nowhere/at/all"), "x-").unwrap_err();
        assert_eq!(error.to_string(), "No such file or directory");
    }

    #[test]
    fn a_killed_keeper_is_not_needed() {
        let parent = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new_in(parent.path(), "x-").unwrap();
        let path = scratch.path().to_owned();
        scratch.keeper.kill().unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
