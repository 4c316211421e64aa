//! The folders that the runner writes to: the temporary one, and that of the cache.
//!
//! What a file system can do is tried on it: the flags of a mount tell half of it, and name it
//! differently.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::statvfs;

use super::Found;
use super::made::Lab;
use lab::Error;
use lab::build::cache::Cache;
use lab::build::kernel;
use lab::system::scratch::{self, Scratch};

const MB: u64 = 1 << 20;
const REPLAY_MB: u64 = scratch::ROOM / MB;
/// A lab from nothing has 2,400 MB in 98,000 files, of which the kernel's tree has four fifths.
const LAB_MB: u64 = 2800;
const LAB_FILES: u64 = 110_000;
/// With the lab made, the cache still takes captures and names.
const MADE_MB: u64 = 50;

/// Tries the folder for what is gone after a replay. Where it does not serve, the cache's does.
pub fn temp() -> Found {
    let folder = scratch::temporary();
    let remedy = "Set TMPDIR to a folder of yours on a disk";
    let shown = folder.display();
    let trouble = match (serves(&folder), room(&folder)) {
        (Err(trouble), _) => trouble,
        (_, Ok((mb, _))) if mb < REPLAY_MB => {
            format!("it has {mb} MB left, and a replay takes up to {REPLAY_MB}")
        }
        _ => return Found::ok(shown.to_string()),
    };
    match spare().map(|spare| serves(&spare)) {
        Some(Ok(())) => Found::warn(
            format!("{shown}: {trouble}; replays take the folder of the lab instead"),
            remedy,
        ),
        _ => Found::bad(format!("{shown}: {trouble}"), remedy),
    }
}

/// Where the private folder of a replay lies, if not where temporary files belong.
pub fn spare() -> Option<PathBuf> {
    let cache = Cache::of_user().ok()?;
    Some(nearest(cache.root()).to_owned())
}

/// Tries the folder where the lab is, or will be.
pub fn cache(host_tools: bool) -> Found {
    let remedy = "Set XDG_CACHE_HOME to a folder of yours on a Linux file system";
    let root = match Cache::of_user() {
        Ok(cache) => cache.root().to_owned(),
        Err(error) => return Found::bad(format!("{error:#}"), remedy),
    };
    // The lab's own programs find it somewhere else.
    if host_tools && let Err(error) = kernel::check_path(&root) {
        return Found::bad(format!("{error:#}"), remedy);
    }
    if let Err(trouble) = serves(nearest(&root)) {
        return Found::bad(format!("{}: {trouble}", root.display()), remedy);
    }
    let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    match set.filter(|set| !set.as_os_str().is_empty() && !set.is_absolute()) {
        None => Found::ok(root.display().to_string()),
        Some(set) => Found::warn(
            format!(
                "it is {}: `{}` in XDG_CACHE_HOME is no absolute path, and does not count",
                root.display(),
                set.display()
            ),
            "Set XDG_CACHE_HOME to an absolute path, or not at all",
        ),
    }
}

/// Compares the space where the cache is with what the lab still takes.
pub fn disk(lab: &Result<Lab, Found>) -> Found {
    let Ok(root) = Cache::of_user().map(|cache| cache.root().to_owned()) else {
        return Found::skip("there is no cache");
    };
    let (mb, files) = match room(nearest(&root)) {
        Ok(room) => room,
        Err(error) => return Found::skip(format!("the system does not tell: {error}")),
    };
    let remedy = "Make room, or set XDG_CACHE_HOME to a folder on another disk; \
                  `runner clean` shows what the cache holds, and removes it";
    let made = lab.as_ref().is_ok_and(Lab::is_made);
    let takes = format!("{mb} MB are free, and making the lab takes {LAB_MB}");
    match files {
        _ if made && mb < MADE_MB => Found::warn(
            format!("{mb} MB are free; the lab is made, but captures take a little more"),
            remedy,
        ),
        _ if made => Found::ok(format!("{mb} MB are free, and the lab is made")),
        _ if mb < LAB_MB => Found::bad(takes, remedy),
        Some(files) if files < LAB_FILES => Found::bad(
            format!("room for {files} files is left, and making the lab takes {LAB_FILES}"),
            remedy,
        ),
        _ => Found::ok(takes),
    }
}

/// What helps when something could not be written, if the text of the error tells that it was the
/// disk's fault: the runner's own errors, and what programs print that it has started.
pub fn remedy(error: &anyhow::Error) -> Option<String> {
    // The system says of namespaces, too, that there is no space left.
    if let Some(Error::NoNamespaces(_)) = Error::of(error) {
        return None;
    }
    let error = format!("{error:#}");
    let root = Cache::of_user().ok()?.root().to_owned();
    let full = ["No space left on device", "Disk quota exceeded"];
    if full.iter().any(|words| error.contains(words)) {
        let temp = scratch::temporary();
        let free = |folder: &Path| match room(nearest(folder)) {
            Ok((mb, Some(files))) => format!("{mb} MB and {files} files"),
            Ok((mb, None)) => format!("{mb} MB"),
            Err(error) => format!("an unknown part ({error})"),
        };
        return Some(format!(
            "the disk is full: {} are free for {}, where a lab from nothing takes {LAB_MB} MB in {LAB_FILES} files, and {} for {}, \
             where a replay takes up to {REPLAY_MB} MB; make room, or set XDG_CACHE_HOME or TMPDIR to a folder on another disk; \
             what was finished stays, and the next run goes on",
            free(&root),
            root.display(),
            free(&temp),
            temp.display()
        ));
    }
    let barred = ["Read-only file system", "Permission denied"];
    let in_cache = error.contains(&*root.to_string_lossy());
    (in_cache && barred.iter().any(|words| error.contains(words))).then(|| {
        format!(
            "{} cannot be written, and something is missing from it; set XDG_CACHE_HOME to a folder of yours",
            root.display()
        )
    })
}

/// The folder itself, or the nearest one above that there is: doctor makes none.
fn nearest(folder: &Path) -> &Path {
    folder
        .ancestors()
        .find(|above| above.is_dir())
        .unwrap_or(Path::new("/"))
}

/// The megabytes and the files for which there is room; a file system may have no limit of files.
fn room(folder: &Path) -> io::Result<(u64, Option<u64>)> {
    let of = statvfs(folder)?;
    let files = (of.f_files > 0).then_some(of.f_favail);
    Ok((of.f_bavail.saturating_mul(of.f_frsize) / MB, files))
}

/// Does in a folder of its own what the lab does: writes, tells names apart by case, links, runs
/// and locks.
fn serves(folder: &Path) -> Result<(), String> {
    let own = Scratch::new_in(folder, "theseus-doctor-");
    let own = own.map_err(|error| format!("no folder can be made in it: {error}"))?;
    let path = |name: &str| own.path().join(name);
    let not = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what}: {error}")
    };
    // The kernel has net/netfilter/xt_DSCP.c beside xt_dscp.c.
    fs::write(path("name"), [0; 4096]).map_err(not("nothing can be written to it"))?;
    fs::write(path("NAME"), [0; 4096]).map_err(not("nothing can be written to it"))?;
    let entries = fs::read_dir(own.path()).map_err(not("it cannot be listed"))?;
    if entries.count() != 2 {
        return Err("it takes `NAME` for `name`, and the kernel's source has files that differ only in that".to_owned());
    }
    symlink("name", path("link")).map_err(not("it takes no symbolic links"))?;
    let file = File::open(path("name")).map_err(not("its files cannot be read"))?;
    file.try_lock()
        .map_err(|error| format!("its files cannot be locked: {error}"))?;
    let script = path("script");
    fs::write(&script, "#!/bin/sh\nexit 0\n")
        .and_then(|()| fs::set_permissions(&script, Permissions::from_mode(0o755)))
        .map_err(not("nothing can be written to it"))?;
    match Command::new(&script).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("a script in it ended with {status}")),
        Err(error) => Err(format!("no program in it can be run (noexec?): {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_is_one_that_there_is() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(nearest(folder.path()), folder.path());
    }

    #[test]
    fn an_ordinary_folder_serves_and_is_left_empty() {
        let folder = tempfile::tempdir().unwrap();
        serves(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
