//! The guest's root: busybox's links, the files of `rootfs/` and the programs compiled from the C
//! sources there, packed as an initramfs.
//!
//! Nothing is installed when the guest boots: the links are in the archive. The archive is not
//! compressed, because the one who would unpack it is an emulated processor.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use walkdir::WalkDir;

use crate::build::busybox::Busybox;
use crate::build::cache::{Cache, Entry, Inputs, Leftover};
use crate::build::cpio::{Archive, Node};
use crate::build::kernel::compiler;
use crate::build::{pins, recipe};
use crate::system::files;
use crate::system::sandbox::Sandbox;

/// The folder of the guest's files, from the root of the repository.
pub const FOLDER: &str = "rootfs";

/// The programs: source in `rootfs/`, and place in the guest.
const PROGRAMS: [(&str, &str); 5] = [
    ("agent.c", "sbin/agent"),
    ("client.c", "bin/client"),
    ("packet.c", "bin/packet"),
    ("server.c", "bin/server"),
    ("table.c", "bin/table"),
];

/// How a program is compiled, in the folder of its source. It is static, because the guest has no C
/// library, and the agent's boundary lies at an unusual address, so that a breakpoint on it is hit
/// by nothing else.
pub const COMPILE: &str =
    "gcc -static -s -O1 -Wall -no-pie -Wl,--section-start=.boundary=0x5e3d0000 -Wl,--build-id=none";

/// Folders that are empty until something is mounted or written there.
const FOLDERS: [(&str, u32); 7] = [
    ("dev", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
];

const INITRAMFS: &str = "initramfs.cpio";

/// The initramfs, packed if it is not in the cache.
pub fn ready(
    cache: &Cache,
    sandbox: &Sandbox,
    repository: &Path,
    busybox: &Busybox,
) -> Result<PathBuf> {
    let folder = repository.join(FOLDER);
    let files = guest_files(&folder)?;
    let programs = programs(cache, sandbox, &folder, &PROGRAMS)?;
    let mut inputs = Inputs::new()
        .with("format", "1")
        .with("busybox", &busybox.sha256);
    for (path, mode, bytes) in &files {
        let content = format!("{mode:o} {}", files::sha256_of(bytes));
        inputs = inputs.with(&format!("file {path}"), content);
    }
    for (_, place) in PROGRAMS {
        let hash = programs.sha256(file_name(place))?;
        inputs = inputs.with(&format!("program {place}"), hash);
    }
    let waiting = || eprintln!("initramfs: another run is packing it, waiting for that");
    let entry = cache.ensure("initramfs", &inputs, Leftover::Discard, waiting, |folder| {
        let mut archive = skeleton();
        add_install_tree(&mut archive, &busybox.install)?;
        for (path, mode, bytes) in files {
            archive.put(&path, Node::File(mode, bytes));
        }
        for (_, place) in PROGRAMS {
            let bytes = fs::read(programs.path(file_name(place)))?;
            archive.put(place, Node::File(0o755, bytes));
        }
        files::write_whole(&folder.join(INITRAMFS), &archive.to_bytes())?;
        Ok(vec![INITRAMFS.to_owned()])
    })?;
    Ok(entry.path(INITRAMFS))
}

/// The folders, and the one device that must be there before `/init` runs: without `/dev/console`
/// it has no standard output.
fn skeleton() -> Archive {
    let mut archive = Archive::new();
    for (path, mode) in FOLDERS {
        archive.put(path, Node::Folder(mode));
    }
    archive.put("dev/console", Node::Device(0o600, 5, 1));
    archive
}

/// What `make install` of busybox made, with its links as they are.
fn add_install_tree(archive: &mut Archive, install: &Path) -> Result<()> {
    for entry in WalkDir::new(install).min_depth(1) {
        let entry = entry?;
        let path = relative(install, entry.path())?;
        if entry.path_is_symlink() {
            let target = fs::read_link(entry.path())?;
            archive.put(&path, Node::Link(text(&target)?));
        } else if entry.file_type().is_file() {
            archive.put(&path, Node::File(0o755, fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// The mode of a file of the repository: what begins like a script can be run. That is what git
/// has, too, but on a file system of Windows all files can be run, and in what was unpacked from an
/// archive perhaps none.
pub fn mode(bytes: &[u8]) -> u32 {
    if bytes.starts_with(b"#!") {
        0o755
    } else {
        0o644
    }
}

/// Refuses a checkout whose lines end as on Windows: the guest's shell would take the carriage
/// return for a part of a name, and wait for ever.
///
/// # Errors
/// With the file, and what helps.
pub fn check_lines(repository: &Path) -> Result<()> {
    for folder in [FOLDER, pins::FOLDER] {
        for entry in WalkDir::new(repository.join(folder)).follow_links(true) {
            let entry = entry?;
            if entry.file_type().is_file()
                && String::from_utf8_lossy(&fs::read(entry.path())?).contains("\r\n")
            {
                bail!(
                    "the lines of {} end with CR and LF, as on Windows, and the guest would not \
                     understand them; git has the files as they should be: \
                     `git config core.autocrlf false`, `git rm -rq --cached .` and \
                     `git reset -q --hard` (which gives up what you have changed)",
                    entry.path().display()
                );
            }
        }
    }
    Ok(())
}

/// The files of `rootfs/` that go into the guest as they are.
fn guest_files(folder: &Path) -> Result<Vec<(String, u32, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let path = relative(folder, entry.path())?;
        if entry.file_type().is_dir() || is_source(&path) {
            continue;
        }
        if !entry.file_type().is_file() {
            bail!(
                "{} is neither a file nor a folder; the guest's files are plain",
                entry.path().display()
            );
        }
        let bytes = fs::read(entry.path())?;
        files.push((path, mode(&bytes), bytes));
    }
    Ok(files)
}

/// Sources and notes are for the reader, not for the guest; what an editor leaves is for nobody.
fn is_source(path: &str) -> bool {
    let name = file_name(path);
    [".c", ".h", ".md", "~"]
        .iter()
        .any(|end| name.ends_with(end))
        || name.starts_with('.')
}

/// Programs of the guest, compiled if they are not in the cache: source in `folder`, and place in
/// the guest, whose last part names the output. They are keyed by all sources of the folder, the
/// places and the compiler.
///
/// # Errors
/// When the compiler refuses a source, or the cache cannot be written.
pub fn programs(
    cache: &Cache,
    sandbox: &Sandbox,
    folder: &Path,
    places: &[(&str, &str)],
) -> Result<Entry> {
    let mut inputs = Inputs::new()
        .with("compile", COMPILE)
        .with("compiler", compiler(sandbox)?)
        .with("places", format!("{places:?}"));
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = relative(folder, &path)?;
        if name.ends_with(".c") || name.ends_with(".h") {
            let bytes = fs::read(&path)?;
            inputs = inputs.with(&name, files::sha256_of(&bytes));
            sources.push((name, bytes));
        }
    }
    let waiting = || eprintln!("guest programs: another run is compiling them, waiting for that");
    cache.ensure("programs", &inputs, Leftover::Discard, waiting, |target| {
        let log = target.join("build.log");
        let folder = target.join("source");
        fs::create_dir(&folder)?;
        for (name, bytes) in sources {
            fs::write(folder.join(name), bytes)?;
        }
        let view = sandbox.view().with_writable(target).starting_in(&folder);
        let view = view.with_variable("LC_ALL", "C");
        let mut outputs = Vec::new();
        for &(source, place) in places {
            let name = file_name(place);
            let output = target.join(name);
            let view = view
                .clone()
                .with_variable("OUTPUT", sandbox.inside(&output));
            let line = format!(r#"{COMPILE} -ffile-prefix-map="$PWD"=. -o "$OUTPUT" {source}"#);
            recipe::run(&line, &view, &log, |_| {})?;
            outputs.push(name.to_owned());
        }
        Ok(outputs)
    })
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn relative(folder: &Path, path: &Path) -> Result<String> {
    text(path.strip_prefix(folder)?)
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rootfs_of_this_repository_has_what_the_guest_runs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap();
        let files = guest_files(&root.join(FOLDER)).unwrap();
        let mode = |path: &str| files.iter().find(|(have, ..)| have == path).unwrap().1;
        assert_eq!(mode("init"), 0o755);
        assert_eq!(mode("etc/init.d/rcS"), 0o755);
        assert_eq!(mode("etc/inittab"), 0o644);
        assert!(files.iter().all(|(path, ..)| !path.ends_with(".c")));
    }

    #[test]
    fn programs_are_compiled_for_each_list_of_places_and_into_any_folder() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path().join("o'brien\"s $HOME"));
        let folder = temp.path().join("a 'source'");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.c"), "int main(void) { return 0; }").unwrap();
        let first = programs(&cache, &Sandbox::Machine, &folder, &[("a.c", "bin/a")]).unwrap();
        assert!(first.path("a").is_file());
        let second = programs(
            &cache,
            &Sandbox::Machine,
            &folder,
            &[("a.c", "bin/a"), ("a.c", "bin/b")],
        )
        .unwrap();
        second.sha256("b").unwrap();
    }

    #[test]
    fn install_tree_keeps_its_links() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("bin")).unwrap();
        fs::write(temp.path().join("bin/busybox"), "elf").unwrap();
        std::os::unix::fs::symlink("bin/busybox", temp.path().join("linuxrc")).unwrap();
        let mut archive = skeleton();
        add_install_tree(&mut archive, temp.path()).unwrap();
        assert_eq!(
            archive.get("linuxrc"),
            Some(&Node::Link("bin/busybox".into()))
        );
        assert!(matches!(
            archive.get("bin/busybox"),
            Some(Node::File(0o755, _))
        ));
        assert_eq!(archive.get("tmp"), Some(&Node::Folder(0o1777)));
    }
}
