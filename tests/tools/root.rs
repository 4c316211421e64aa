//! The root of the lab's programs: of packages that are made for a test, and the real one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use lab::build::cache::Cache;
use lab::build::tools::{self, Lock, OUTPUTS};
use lab::system::files::sha256_of;
use object::elf::{self, FileHeader64};
use object::endian::LittleEndian;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use tar::EntryType;
use walkdir::WalkDir;

use crate::fixture::repository;
use crate::package::Files;

/// A repository whose lock has packages of a test, and a folder that has them.
pub struct Made {
    folder: tempfile::TempDir,
    lock: String,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("mirror/pool")).unwrap();
        fs::create_dir(folder.path().join("kernel-configs")).unwrap();
        let lock = "# A lock.\nsnapshot 20260101T000000Z\n".to_owned();
        Self { folder, lock }
    }

    /// With all that a root must have.
    pub fn whole() -> Self {
        let files = OUTPUTS.iter().fold(Files::new(), |files, path| {
            let path = path.replace("root/", "./");
            files.with(&path, EntryType::Regular, "", 0o755, b"program")
        });
        Self::new().with("programs", &files.deb())
    }

    fn with(mut self, name: &str, deb: &[u8]) -> Self {
        self.lock += &self.line(name, deb);
        self
    }

    /// Puts a package into the folder, and gives its line of a lock.
    pub fn line(&self, name: &str, deb: &[u8]) -> String {
        let place = format!("pool/{name}_1_all.deb");
        fs::write(self.mirror().join(&place), deb).unwrap();
        let (size, sha256) = (deb.len(), sha256_of(deb));
        format!("{name} 1 {size} {sha256} {place}\n")
    }

    /// The repository.
    pub fn repository(&self) -> &Path {
        self.folder.path()
    }

    /// The folder that has the packages.
    pub fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirror")
    }

    /// The cache.
    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// The root, or why there is none.
    pub fn ready(&self, skip: &str) -> Result<PathBuf, String> {
        let configs = self.folder.path().join("kernel-configs");
        fs::write(configs.join("tools.lock"), &self.lock).unwrap();
        fs::write(configs.join("tools.skip"), skip).unwrap();
        let mirror = self.mirror();
        let cache = Cache::at(self.cache());
        let root = tools::ready(&cache, self.folder.path(), mirror.to_str());
        root.map_err(|error| format!("{error:#}"))
    }

    /// It is refused with these words, and nothing of it is kept.
    #[track_caller]
    fn refused(&self, words: &[&str]) {
        let error = self.ready("").unwrap_err();
        for word in words {
            assert!(error.contains(word), "no {word:?} in {error}");
        }
        let left = WalkDir::new(self.cache()).into_iter().flatten();
        let left: Vec<_> = left.filter(|entry| entry.file_type().is_file()).collect();
        assert!(
            left.iter()
                .all(|entry| entry.path().extension() == Some("lock".as_ref())),
            "{left:?}"
        );
    }
}

#[test]
fn a_root_is_made_once_and_again_when_it_is_damaged() {
    let made = Made::whole().with(
        "doc",
        &Files::new()
            .file("./usr/share/doc/a", "")
            .file("./a", "")
            .deb(),
    );
    let root = made.ready("# Documents\n\nusr/share/doc\n").unwrap();
    assert!(!root.join("usr/share/doc").exists() && root.join("a").exists());
    let beside: Vec<_> = fs::read_dir(root.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
    for folder in [
        "proc", "dev", "tmp", "run", "sys", "lab", "work", "home", "root", "var/tmp",
    ] {
        assert_eq!(
            fs::read_dir(root.join(folder)).unwrap().count(),
            0,
            "{folder}"
        );
    }
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert!(text("etc/passwd").contains("\nreader:x:1000:1000:"));
    assert!(text("etc/nsswitch.conf").contains("passwd: files\n"));
    assert_eq!(
        fs::read_link(root.join("usr/bin/awk")).unwrap(),
        Path::new("gawk")
    );
    // Without a provider.
    fs::rename(made.mirror(), made.folder.path().join("away")).unwrap();
    assert_eq!(made.ready("usr/share/doc").unwrap(), root);
    fs::rename(made.folder.path().join("away"), made.mirror()).unwrap();
    fs::write(root.join("usr/bin/gdb"), "another").unwrap();
    assert_eq!(made.ready("usr/share/doc").unwrap(), root);
    assert_eq!(text("usr/bin/gdb"), "program");
    // What is not unpacked decides what the root is.
    assert_ne!(made.ready("").unwrap(), root);
}

#[test]
fn a_package_that_is_refused_is_named_and_nothing_is_kept() {
    let evil = Files::new().file("./usr/../../out", "owned").deb();
    let named = "the package evil_1_all.deb cannot be unpacked: its member";
    Made::whole()
        .with("evil", &evil)
        .refused(&[named, "leads out"]);
    let evil = Files::new().file("./usr/bin/gdb", "another").deb();
    Made::whole()
        .with("evil", &evil)
        .refused(&["_1_all.deb cannot be unpacked", "comes twice"]);
    for path in ["./etc/passwd", "./usr/bin/awk"] {
        let evil = Files::new().file(path, "another").deb();
        let word = format!("its member {path:?}: comes twice");
        Made::whole().with("evil", &evil).refused(&[&word]);
    }
    // Nor is anything written through it.
    let evil = Files::new().link("./etc", "/tmp").deb();
    let word = "its member \"./etc\": comes twice";
    Made::whole().with("evil", &evil).refused(&[word]);
    let cut = Files::new().file("./a", "a").deb();
    Made::whole()
        .with("cut", &cut[..cut.len() - 8])
        .refused(&["the package cut_1_all.deb"]);
}

#[test]
fn a_package_that_is_not_the_pinned_one_is_refused() {
    let mut made = Made::whole().with("other", &Files::new().file("./a", "a").deb());
    // The public mirrors are asked, too, and have it no more than the folder.
    made.lock = made
        .lock
        .replace("pool/other_1_all.deb", "pool/no/such_1_all.deb");
    fs::create_dir(made.mirror().join("pool/no")).unwrap();
    fs::write(made.mirror().join("pool/no/such_1_all.deb"), "other").unwrap();
    made.refused(&["such_1_all.deb could not be had", "is not the pinned file"]);
}

#[test]
fn a_lock_that_nobody_understands_is_named_with_its_line() {
    let mut made = Made::whole();
    made.lock += "bash 5.2\n";
    made.refused(&["tools.lock", "`bash 5.2`"]);
    made.lock = "# nothing\n".into();
    made.refused(&["tools.lock has no date"]);
}

#[test]
fn the_lock_of_this_repository_is_sound() {
    let lock = Lock::read(&repository()).unwrap();
    assert!(lock.bytes() <= 110_000_000, "{} to fetch", lock.bytes());
    sound(&lock);
}

/// Each package is there once, and is one of Debian's main archive.
pub fn sound(lock: &Lock) {
    let mut names: Vec<_> = lock.packages.iter().map(|package| &package.name).collect();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for package in &lock.packages {
        assert_eq!(package.sha256.len(), 64, "{package:?}");
        let file = package.path.rsplit('/').next().unwrap();
        assert!(package.path.starts_with("pool/main/"), "{package:?}");
        assert!(
            file.starts_with(&format!("{}_", package.name)) && file.ends_with(".deb"),
            "{package:?}"
        );
        // The file's name has no epoch.
        let version = package
            .version
            .split_once(':')
            .map_or(&*package.version, |(_, rest)| rest);
        assert!(file.contains(&format!("_{version}_")), "{package:?}");
    }
}

/// The real root, which takes a minute and the network if it has to be made.
pub fn real() -> PathBuf {
    tools::ready(&Cache::of_user().unwrap(), &repository(), None).unwrap()
}

/// Follows a path inside of a root, links and all. `None` if it leads nowhere.
fn follow(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    let mut rest: Vec<_> = parts(path);
    rest.reverse();
    for _ in 0..200 {
        let Some(part) = rest.pop() else {
            return Some(root.join(inside));
        };
        if part == ".." {
            inside.pop();
            continue;
        }
        let next = root.join(&inside).join(&part);
        match fs::symlink_metadata(&next).ok()?.is_symlink() {
            true => {
                let target = fs::read_link(&next).unwrap();
                if target.is_absolute() {
                    inside = PathBuf::new();
                }
                rest.extend(parts(&target).into_iter().rev());
            }
            false => inside.push(part),
        }
    }
    None
}

fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    let parts = path.components();
    let parts = parts.filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

/// The libraries that an ELF file needs, the folders where it looks first, and its interpreter.
fn needs(bytes: &[u8]) -> Option<(Vec<String>, Vec<String>, Option<String>)> {
    let endian = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(bytes).ok()?;
    let (mut libraries, mut folders, mut interpreter) = (Vec::new(), Vec::new(), None);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let programs = header.program_headers(endian, bytes).ok()?;
    for program in programs {
        if let Some(path) = program.interpreter(endian, bytes).unwrap() {
            interpreter = Some(text(path));
        }
    }
    let sections = header.sections(endian, bytes).ok()?;
    let Some((dynamic, strings)) = sections.dynamic(endian, bytes).unwrap() else {
        return Some((libraries, folders, interpreter));
    };
    let strings = sections.strings(endian, bytes, strings).unwrap();
    for entry in dynamic {
        let string = || text(entry.string(endian, strings).unwrap());
        match entry.tag32(endian) {
            Some(elf::DT_NEEDED) => libraries.push(string()),
            Some(elf::DT_RPATH | elf::DT_RUNPATH) => {
                folders.extend(string().split(':').map(str::to_owned));
            }
            _ => {}
        }
    }
    Some((libraries, folders, interpreter))
}

#[test]
fn each_program_of_the_root_has_its_libraries_and_each_link_its_target() {
    whole(&real());
}

/// Nothing in a root lacks anything.
pub fn whole(root: &Path) {
    let mut faults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut programs, mut bytes) = (0, 0);
    for entry in WalkDir::new(root).into_iter().map(Result::unwrap) {
        let inside = Path::new("/").join(entry.path().strip_prefix(root).unwrap());
        let mut fault = |what: String| {
            faults
                .entry(what)
                .or_default()
                .push(inside.display().to_string());
        };
        if entry.path_is_symlink() {
            if follow(root, &inside).is_none() {
                fault("a link that leads nowhere".into());
            }
            continue;
        }
        if !entry.file_type().is_file() {
            continue;
        }
        let file = fs::read(entry.path()).unwrap();
        bytes += file.len() as u64;
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7022, 0, "{inside:?} has mode {mode:o}");
        let folder = inside.parent().unwrap();
        if let (Some(line), true) = (file.strip_prefix(b"#!"), folder.ends_with("bin")) {
            let line = line.split(|byte| *byte == b'\n').next().unwrap();
            let line = String::from_utf8_lossy(line).into_owned();
            let interpreter = line.split_whitespace().next().unwrap_or_default();
            if follow(root, Path::new(interpreter)).is_none() {
                fault(format!("no interpreter {interpreter}"));
            }
        }
        let Some((libraries, folders, interpreter)) = needs(&file) else {
            continue;
        };
        programs += 1;
        if let Some(path) = interpreter
            && follow(root, Path::new(&path)).is_none()
        {
            fault(format!("no interpreter {path}"));
        }
        let origin = folder.to_str().unwrap();
        let own = folders.iter().map(|path| path.replace("$ORIGIN", origin));
        let all = [
            "/lib/x86_64-linux-gnu",
            "/usr/lib/x86_64-linux-gnu",
            "/lib64",
        ];
        let places: Vec<_> = own.chain(all.map(str::to_owned)).collect();
        for library in libraries {
            let is_there =
                |place: &String| follow(root, &Path::new(place).join(&library)).is_some();
            if !places.iter().any(is_there) {
                fault(format!("no library {library}"));
            }
        }
    }
    assert!(programs > 500, "{programs} programs and libraries");
    assert!(bytes <= 400_000_000, "{bytes} bytes unpacked");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_root_has_what_the_lab_runs_and_is_found_in_no_time() {
    let root = real();
    for program in "awk bash bc bison bunzip2 bwrap cc cmp conntrack cpio dash e2fsck file find flex gawk gcc gdb \
                    grep gzip ip iptables ld ld.bfd lz4 m4 make mke2fs mount nm nproc objcopy objdump perl ps \
                    prlimit qemu-system-x86_64 readelf sed setpriv sh strings sysctl tail tar tcpdump unshare \
                    xargs xz yacc zstd"
        .split_whitespace()
    {
        let places = ["usr/bin", "usr/sbin"].map(|folder| Path::new(folder).join(program));
        let found = places.iter().find_map(|place| follow(&root, place));
        let mode = found.map(|path| fs::metadata(path).unwrap().permissions().mode());
        assert_eq!(mode.map(|mode| mode & 0o111), Some(0o111), "{program}");
    }
    for file in [
        "usr/include/gelf.h",
        "usr/include/linux/if_packet.h",
        "usr/lib/locale/C.utf8/LC_CTYPE",
        "usr/lib/x86_64-linux-gnu/libc.a",
        "usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
        "usr/share/gdb/python/gdb/__init__.py",
        "usr/share/qemu/linuxboot_dma.bin",
        "usr/share/seabios/bios-256k.bin",
    ] {
        assert!(follow(&root, Path::new(file)).is_some(), "{file}");
    }
    let repository = repository();
    let begun = Instant::now();
    let cache = Cache::of_user().unwrap();
    assert_eq!(tools::ready(&cache, &repository, None).unwrap(), root);
    let took = begun.elapsed();
    eprintln!("found in {took:?}");
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_link_is_followed_inside_of_the_root() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::write(root.join("usr/bin/a"), "").unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    symlink("/bin/a", root.join("usr/bin/b")).unwrap();
    symlink("../../../bin/b", root.join("usr/bin/c")).unwrap();
    symlink("d", root.join("d")).unwrap();
    assert_eq!(
        follow(root, Path::new("/bin/c")),
        Some(root.join("usr/bin/a"))
    );
    assert_eq!(follow(root, Path::new("/etc/passwd")), None);
    assert_eq!(follow(root, Path::new("d")), None);
}
