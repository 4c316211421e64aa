//! A cache of a test's own.
//!
//! Its lab has the bytes of the machine's own, so that it can be replayed with, but is made in
//! seconds: the kernel's source is a tarball with little in it, and a `make` in front of the tools
//! copies what a real one has built. The tool root is the machine's own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use lab::build::cache::{Cache, Inputs, Listed, Stamp};
use lab::build::setup;
use lab::system::files::sha256_of_file;
use lab::system::sandbox::Sandbox;

use crate::fixture::{Book, Ran, repository, runner};
use crate::{folder, toolbox};

/// What the caches of the tests are copied from.
struct Master {
    cache: PathBuf,
    /// The programs in front of the tools.
    programs: PathBuf,
    /// The tools.
    tools: PathBuf,
    /// A tarball for `--kernel-source`.
    source: PathBuf,
}

static MASTER: LazyLock<Master> = LazyLock::new(|| {
    let folder = folder::alone("cache");
    let (cache, programs, source) = (folder.join("c"), folder.join("bin"), folder.join("source"));
    fs::create_dir_all(cache.join("ship-of-theseus")).unwrap();
    fs::create_dir(&programs).unwrap();
    let lab = setup::ready(&setup::Options::new(repository()).unwrap()).unwrap();
    for path in [
        &lab.kernel.vmlinux,
        &lab.kernel.bzimage,
        &lab.busybox.binary,
    ] {
        fs::copy(path, programs.join(path.file_name().unwrap())).unwrap();
    }
    let links = lab.busybox.install.display();
    run(&programs, &format!("cp -a {links} ."));
    let Sandbox::Tools { root: tools, .. } = lab.sandbox else {
        panic!("these tests take the lab's own programs");
    };
    program(
        &programs.join("make"),
        "here=${0%/*}; case $PWD:$* in\n\
             */linux:*bzImage*) echo '  CC      init/main.o'; mkdir -p arch/x86/boot scripts/gdb\n\
             cp $here/vmlinux .; cp $here/bzImage arch/x86/boot; echo pass | tee vmlinux-gdb.py >scripts/gdb/x.py;;\n\
             */linux:*mrproper) :;;\n\
             */busybox:-j*) cp $here/busybox .;;\n\
             */busybox:install) cp -a $here/_install .;;\n\
             */busybox:*config) touch .config;;\n\
             *) exit 9;;\n\
             esac",
    );
    let top = source.join("linux");
    for (path, text) in [
        ("Makefile", "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 176\n"),
        ("kernel/configs/tiny.config", ""),
        ("net/ipv4/af_inet.c", "static int inet_init(void);\n"),
    ] {
        fs::create_dir_all(top.join(path).parent().unwrap()).unwrap();
        fs::write(top.join(path), text).unwrap();
    }
    fs::create_dir_all(top.join("scripts/kconfig")).unwrap();
    program(
        &top.join("scripts/kconfig/merge_config.sh"),
        "grep -v '=n$' ../fragment.config >.config",
    );
    toolbox::run(&folder, "tar -cJf linux.tar.xz -C source linux");
    let real = Cache::of_user().unwrap().root().join("busybox-source");
    run(&cache, &format!("cp -a {} ship-of-theseus", real.display()));
    let master = Master {
        cache,
        programs,
        tools,
        source: folder.join("linux.tar.xz"),
    };
    let made = command(&master, &master.cache, &["setup"])
        .output()
        .unwrap();
    Ran::from(made).ends_with(0);
    // The guest's first program, for `runner run`.
    let made = command(&master, &master.cache, &["run", "true"])
        .output()
        .unwrap();
    Ran::from(made).ends_with(0);
    master
});

/// The tool root.
pub fn tools() -> &'static Path {
    &MASTER.tools
}

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/bash\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn command(master: &Master, cache: &Path, arguments: &[&str]) -> Command {
    let mut command = runner();
    command
        .args(arguments)
        .current_dir(repository())
        .env("XDG_CACHE_HOME", cache)
        .env("THESEUS_KERNEL_SOURCE", &master.source)
        .env("THESEUS_TOOLS", &master.tools)
        .env("THESEUS_PROGRAMS", &master.programs);
    command
}

/// A command line, in a folder.
#[track_caller]
pub fn run(folder: &Path, line: &str) {
    let status = Command::new("bash")
        .args(["-ec", line])
        .current_dir(folder)
        .status();
    assert!(status.unwrap().success(), "{line}");
}

/// A cache that is gone with the test.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    /// With nothing in it.
    pub fn empty() -> Self {
        // In memory where there is room for it: each stamp waits for all that is on its way to the
        // disk, whosever it is.
        let memory = Path::new("/dev/shm");
        let room = rustix::fs::statvfs(memory).map_or(0, |room| room.f_bavail * room.f_frsize);
        let folder = match room > 4 << 30 {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let folder = folder.unwrap();
        Self { folder }
    }

    /// With all that a replay needs.
    pub fn made() -> Self {
        let place = Self::empty();
        run(
            place.folder.path(),
            &format!("cp -a {}/* .", MASTER.cache.display()),
        );
        place
    }

    /// Without the entries of these kinds.
    pub fn without(kinds: &[&str]) -> Self {
        let place = Self::made();
        for kind in kinds {
            fs::remove_dir_all(place.root().join(kind)).unwrap();
        }
        place
    }

    /// Where the runner puts its entries.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("ship-of-theseus")
    }

    /// The runner in the repository, with this cache.
    pub fn command(&self, arguments: &[&str]) -> Command {
        command(&MASTER, self.folder.path(), arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// The runner in a book, with this cache.
    pub fn command_in(&self, book: &Book, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.current_dir(book.folder.path());
        command
    }

    pub fn run_in(&self, book: &Book, arguments: &[&str]) -> Ran {
        Ran::of(self.command_in(book, arguments))
    }

    /// The folders of the entries of a kind.
    pub fn entries(&self, kind: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root().join(kind)).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    }

    /// The outputs of all entries, with their hashes; every entry is complete, and its stamp tells
    /// the truth.
    #[track_caller]
    pub fn whole(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for entry in Cache::at(self.root()).list().unwrap() {
            assert!(entry.complete, "{entry:?}");
            all.extend(outputs(&entry));
            assert!(!exists(&entry.folder.join("complete.partial")));
        }
        all.sort();
        all
    }

    /// Whatever else there is: an entry that counts is whole.
    #[track_caller]
    pub fn tells_the_truth(&self) {
        for entry in Cache::at(self.root()).list().unwrap() {
            if entry.complete {
                outputs(&entry);
            }
        }
    }

    /// Nothing is wrong with the cache, and the runner says nothing about it.
    #[track_caller]
    pub fn is_as_made(&self) {
        let ran = self.run(&["setup"]);
        ran.ends_with(0);
        assert_eq!(ran.stderr, "");
        let master = Cache::at(MASTER.cache.join("ship-of-theseus"));
        let master = Self::outputs_of(&master);
        assert_eq!(self.whole(), master);
    }

    fn outputs_of(cache: &Cache) -> Vec<(String, String)> {
        let mut outputs = Vec::new();
        for entry in cache.list().unwrap() {
            let stamp = fs::read(entry.folder.join("complete")).unwrap();
            let stamp: Stamp = serde_json::from_slice(&stamp).unwrap();
            let named = stamp.outputs.into_iter();
            outputs.extend(named.map(|(name, hash)| (format!("{}/{name}", entry.kind), hash)));
        }
        outputs.sort();
        outputs
    }

    /// All that is below the folders of the kinds, but for the locks.
    pub fn left(&self) -> Vec<PathBuf> {
        let root = self.root();
        let mut left: Vec<_> = walkdir::WalkDir::new(&root)
            .min_depth(2)
            .into_iter()
            .flatten()
            .map(walkdir::DirEntry::into_path)
            .filter(|path| path.extension() != Some("lock".as_ref()))
            .map(|path| path.strip_prefix(&root).unwrap().to_owned())
            .collect();
        left.sort();
        left
    }
}

/// The command behind lines of bash in a mount namespace of its own. The lines end with
/// `exec "$@"`, or in another way.
pub fn in_own_mounts(like: &Command, lines: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "bash", "-ec", lines])
        .arg("bash")
        .arg(like.get_program())
        .args(like.get_args())
        .current_dir(like.get_current_dir().unwrap());
    for (name, value) in like.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

/// Whether something is there, even if it is a link that leads nowhere.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Flips a bit of a file in place. The file keeps its times, as if the disk had done it.
pub fn flip(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    file.set_modified(modified).unwrap();
}

/// Leaves the first half of a file, or what `keep` says.
pub fn truncate(path: &Path, keep: impl FnOnce(u64) -> u64) {
    let mut file = fs::File::options().append(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(keep(length)).unwrap();
    file.flush().unwrap();
}

/// The outputs of an entry, which are as its stamp says.
#[track_caller]
fn outputs(entry: &Listed) -> Vec<(String, String)> {
    let stamp = fs::read(entry.folder.join("complete")).unwrap();
    let stamp: Stamp = serde_json::from_slice(&stamp).unwrap();
    assert_eq!(Inputs::key(&stamp.inputs), entry.key);
    let hashed = stamp.outputs.iter().map(|(output, hash)| {
        let now = sha256_of_file(&entry.folder.join(output)).unwrap();
        assert_eq!(&now, hash, "{output} of {entry:?}");
        (format!("{}/{output}", entry.kind), now)
    });
    hashed.collect()
}
