//! A private folder that is gone when its holder is, however the holder ends.
//!
//! A child makes the folder and takes it away again, so there is no moment at which only the holder
//! knows of it. The child is a shell in a process group of its own that reads from a pipe whose
//! other end only the holder has: the pipe ends when that is dropped, and when the runner is killed
//! by a signal that no program sees. With the folder go the processes that have it as their home,
//! which is how the runner marks what a chapter starts, and their process groups.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

/// What the child does.
const SCRIPT: &str = include_str!("scratch.sh");

/// A folder that only this user can enter.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keeper: Child,
}

impl Scratch {
    /// Makes a folder where temporary files belong.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let place = std::env::temp_dir();
        Self::new_in(&place, "theseus-").with_context(|| {
            let place = place.display();
            format!("make a private folder in {place}; TMPDIR names another place")
        })
    }

    /// Makes a folder in `parent`, whose name begins with `prefix`.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn new_in(parent: &Path, prefix: &str) -> anyhow::Result<Self> {
        let parent = std::path::absolute(parent).context("find the current folder")?;
        let mut keeper = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(parent.join(format!("{prefix}XXXXXXXX")))
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
        Ok(Self { path, keeper })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
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
        let _ = std::fs::remove_dir_all(&self.path);
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
        let scratch = Scratch::new().unwrap();
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
        let mut scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        scratch.keeper.kill().unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
