//! The lab's own programs: a folder that is the root of all that the lab starts, made of Debian's
//! packages.
//!
//! `kernel-configs/tools.lock` has each package with its hash, so every reader has the same bytes,
//! whatever the machine's own programs are. What of them is not unpacked is in `tools.skip`. No
//! script of a package is run: what the scripts would have made is made here.
//!
//! A chapter may ask for more: `patches/NAME.lock` is a further lock, and its root is another
//! folder, with the first one's files as hard links and the further packages' beside them.

use std::cmp::Reverse;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use fs_err as fs;
use walkdir::WalkDir;

use crate::build::cache::{Cache, Inputs, Leftover};
use crate::build::fetch::Patience;
use crate::build::pool::{Pool, Pooled};
use crate::build::{deb, patch, pins};
use crate::system::progress::Stage;

/// The root in the cache's entry.
pub(super) const ROOT: &str = "root";
/// The packages while they are fetched, beside the root.
const PACKAGES: &str = "packages";

/// Folders that are empty until something is mounted or written there.
const FOLDERS: [&str; 13] = [
    "dev", "etc", "home", "host", "lab", "mnt", "proc", "root", "run", "sys", "tmp", "var/tmp",
    "work",
];

/// Links that the packages' scripts would have made: alternatives, for the most part.
const LINKS: [(&str, &str); 12] = [
    ("usr/bin/awk", "gawk"),
    ("usr/bin/cc", "gcc"),
    ("usr/bin/yacc", "bison.yacc"),
    ("usr/sbin/ip6tables", "ip6tables-nft"),
    ("usr/sbin/ip6tables-restore", "ip6tables-nft-restore"),
    ("usr/sbin/ip6tables-save", "ip6tables-nft-save"),
    ("usr/sbin/iptables", "iptables-nft"),
    ("usr/sbin/iptables-restore", "iptables-nft-restore"),
    ("usr/sbin/iptables-save", "iptables-nft-save"),
    ("usr/sbin/rmt", "rmt-tar"),
    ("var/run", "/run"),
    // gdb can colour source by a library that has 38 MB with those that it needs itself. gdb
    // wants it to be there, and calls it only if it may (`PLAIN`), so the C library stands in.
    (
        "usr/lib/x86_64-linux-gnu/libsource-highlight.so.4",
        "libc.so.6",
    ),
];

/// gdb reads it whenever it starts, whatever it is told not to read.
const PLAIN: &str = "\
# There is no library here that colours source.
import gdb

gdb.execute('maintenance set gnu-source-highlight enabled off')
";

/// Who there is, and where names come from.
const FILES: [(&str, &str); 5] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\n\
         reader:x:1000:1000:reader:/home:/bin/bash\n\
         nobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\nreader:x:1000:\nnogroup:x:65534:\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\nprotocols: files\nservices: files\n",
    ),
    ("usr/share/gdb/python/gdb/command/plain.py", PLAIN),
    ("etc/hosts", "127.0.0.1 localhost\n"),
];

/// What is looked at before the root is used: what the others cannot start without, and what
/// decides which bytes a build has.
pub const OUTPUTS: [&str; 12] = [
    "root/usr/bin/bwrap",
    "root/usr/bin/dash",
    "root/usr/bin/gdb",
    "root/usr/bin/make",
    "root/usr/bin/qemu-system-x86_64",
    "root/usr/bin/tcpdump",
    "root/usr/bin/x86_64-linux-gnu-as",
    "root/usr/bin/x86_64-linux-gnu-gcc-12",
    "root/usr/bin/x86_64-linux-gnu-ld.bfd",
    "root/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
    "root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "root/usr/lib/x86_64-linux-gnu/libc.so.6",
];

/// A package of the lock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How many bytes the `.deb` has.
    pub size: u64,
    /// The SHA-256 of the `.deb`.
    pub sha256: String,
    /// Its path in Debian's archive.
    pub path: String,
}

/// What the root is made of.
#[derive(Clone, Debug)]
pub struct Lock {
    /// The day at which the archive of all days has exactly these packages.
    pub snapshot: String,
    /// The packages.
    pub packages: Vec<Package>,
    /// How the paths begin that are not unpacked.
    pub skip: Vec<String>,
}

impl Package {
    fn pooled(&self) -> Pooled<'_> {
        Pooled {
            path: &self.path,
            size: self.size,
            sha256: &self.sha256,
        }
    }
}

impl Lock {
    /// Reads the lock of a repository.
    ///
    /// # Errors
    /// When it cannot be read, or has a line that nobody understands.
    pub fn read(repository: &Path) -> Result<Self> {
        let folder = repository.join(pins::FOLDER);
        let skip = fs::read_to_string(folder.join("tools.skip"))?;
        let skip = lines(&skip).map(str::to_owned).collect();
        Self::parse(&folder.join("tools.lock"), skip)
    }

    /// Reads the further lock that stands beside the patches of this name, if there is one. What
    /// the first one does not unpack, this one does not either.
    ///
    /// # Errors
    /// As [`Lock::read`].
    pub fn further(repository: &Path, name: &str) -> Result<Option<Self>> {
        let path = further_file(repository, name);
        let lock = || Self::parse(&path, Self::read(repository)?.skip);
        path.is_file().then(lock).transpose()
    }

    fn parse(path: &Path, mut skip: Vec<String>) -> Result<Self> {
        let (mut snapshot, mut packages) = (None, Vec::new());
        for line in lines(&fs::read_to_string(path)?) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["snapshot", day] => snapshot = Some(day.to_owned()),
                ["skip", start] => skip.push(start.to_owned()),
                [name, version, size, sha256, place] => packages.push(Package {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    size: size.parse().with_context(|| path.display().to_string())?,
                    sha256: sha256.to_owned(),
                    path: place.to_owned(),
                }),
                _ => bail!("{}: nobody understands `{line}`", path.display()),
            }
        }
        let snapshot = snapshot.with_context(|| format!("{} has no date", path.display()))?;
        Ok(Self {
            snapshot,
            packages,
            skip,
        })
    }

    /// How many bytes are fetched.
    pub fn bytes(&self) -> u64 {
        self.packages.iter().map(|package| package.size).sum()
    }

    fn inputs(&self) -> Inputs {
        let package = |package: &Package| format!("{} {}", package.name, package.sha256);
        let packages: Vec<_> = self.packages.iter().map(package).collect();
        Inputs::new()
            .with("packages", packages.join("\n"))
            .with("skip", self.skip.join("\n"))
            .with("made", format!("{FOLDERS:?} {LINKS:?} {FILES:?}"))
    }

    fn wants(&self, path: &str) -> bool {
        !self.skip.iter().any(|start| path.starts_with(start))
    }
}

/// Where the further lock of this name is, if there is one.
fn further_file(repository: &Path, name: &str) -> PathBuf {
    repository.join(patch::FOLDER).join(format!("{name}.lock"))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The root, made if it is not in the cache. `mirror` is a folder or a URL that the reader names,
/// with Debian's archive below it.
///
/// # Errors
/// When a package cannot be had, or cannot be unpacked, or the cache cannot be written.
pub fn ready(cache: &Cache, repository: &Path, mirror: Option<&str>) -> Result<PathBuf> {
    let lock = Lock::read(repository)?;
    let waiting =
        || eprintln!("the lab's programs: another run is fetching them, waiting for that");
    let entry = cache.ensure(
        "tools",
        &lock.inputs(),
        Leftover::Discard,
        waiting,
        |folder| {
            made(&lock, mirror, folder, "the lab's programs", furnish)?;
            Ok(OUTPUTS.map(str::to_owned).to_vec())
        },
    )?;
    Ok(entry.path(ROOT))
}

/// A root with the programs of these further locks beside those of `root`, made if it is not in the
/// cache; `root` itself if there is no further lock among the names. The hash tells what is in it
/// besides.
///
/// # Errors
/// As [`ready`]; when a file of a further package is there already.
pub fn with_further(
    cache: &Cache,
    repository: &Path,
    mirror: Option<&str>,
    root: &Path,
    names: &[String],
) -> Result<Option<(PathBuf, String)>> {
    let mut below = Lock::read(repository)?.inputs().key();
    let mut all: Option<PathBuf> = None;
    for name in names {
        let Some(lock) = Lock::further(repository, name)? else {
            continue;
        };
        let inputs = lock.inputs().with("below", &below);
        let waiting = || eprintln!("further programs: another run is fetching them, waiting");
        let entry = cache.ensure(
            "further-tools",
            &inputs,
            Leftover::Discard,
            waiting,
            |folder| {
                let what = format!("the programs of {}/{name}.lock", patch::FOLDER);
                let root = all.as_deref().unwrap_or(root);
                made(&lock, mirror, folder, &what, |new| linked(root, new))?;
                Ok(OUTPUTS.map(str::to_owned).to_vec())
            },
        )?;
        below = inputs.key();
        all = Some(entry.path(ROOT));
    }
    Ok(all.map(|root| (root, below)))
}

/// Makes a root in the folder of an entry, or leaves nothing of it.
fn made(
    lock: &Lock,
    mirror: Option<&str>,
    folder: &Path,
    what: &str,
    begin: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let pool = Pool::new(mirror, &lock.snapshot);
    let made = make(lock, &pool, folder, what, begin);
    if made.is_err() {
        // The error matters more than whether its traces could be removed.
        for part in [ROOT, PACKAGES] {
            let _ = fs::remove_dir_all(folder.join(part));
        }
    }
    made
}

/// Fetches the packages, and unpacks those that have arrived while others are on their way, into a
/// root that `begin` makes.
fn make(
    lock: &Lock,
    pool: &Pool,
    folder: &Path,
    what: &str,
    begin: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let root = folder.join(ROOT);
    let packages = folder.join(PACKAGES);
    fs::create_dir_all(&packages)?;
    begin(&root)?;
    let progress = Mutex::new(Progress {
        stage: Stage::begin(what),
        packages: 0,
        bytes: 0,
    });
    // The largest first, so that none of them is left alone at the end.
    let mut queue: Vec<Pooled> = lock.packages.iter().map(Package::pooled).collect();
    queue.sort_by_key(|file| Reverse(file.size));
    let (arrived, arrivals) = channel::<usize>();
    let arrivals = Mutex::new(arrivals);
    let unpack = || -> Result<()> {
        // Whoever waits for the next one has the receiver, and the others wait for it.
        while let Ok(index) = { locked(&arrivals).recv() } {
            let file = packages.join(queue[index].name());
            deb::unpack(&file, &root, |path| lock.wants(path))?;
            fs::remove_file(&file)?;
            locked(&progress).unpacked(lock);
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let workers: Vec<_> = (0..workers.min(8)).map(|_| scope.spawn(unpack)).collect();
        let fetched = pool.fetch(
            &queue,
            &packages,
            Patience::default(),
            |index| {
                locked(&progress).fetched(lock, queue[index].size);
                // Who has failed says why, below.
                let has_failed = workers.iter().any(ScopedJoinHandle::is_finished);
                ensure!(!has_failed, "nobody unpacks any more");
                Ok(arrived.send(index)?)
            },
            |line| locked(&progress).stage.note(line),
        );
        drop(arrived);
        for worker in workers {
            let ended = worker.join();
            ended.map_err(|_| anyhow!("unpacking a package has panicked"))??;
        }
        fetched
    })?;
    fs::remove_dir(&packages)?;
    let progress = progress
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    progress.stage.done();
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far it has come.
struct Progress {
    stage: Stage,
    packages: usize,
    bytes: u64,
}

impl Progress {
    fn fetched(&mut self, lock: &Lock, bytes: u64) {
        self.bytes += bytes;
        self.show(lock);
    }

    fn unpacked(&mut self, lock: &Lock) {
        self.packages += 1;
        self.show(lock);
    }

    fn show(&mut self, lock: &Lock) {
        let [bytes, of] = [self.bytes, lock.bytes()].map(|bytes| bytes as f64 / 1e6);
        let (packages, all) = (self.packages, lock.packages.len());
        self.stage.at(format!(
            "{bytes:.1} of {of:.1} MB, {packages} of {all} packages unpacked"
        ));
    }
}

/// Makes a root of what no package brings. It comes first, as here links are followed: packages
/// cannot replace anything, and would be refused if they tried.
fn furnish(root: &Path) -> Result<()> {
    for folder in deb::MERGED {
        fs::create_dir_all(root.join("usr").join(folder))?;
        symlink(Path::new("usr").join(folder), root.join(folder))?;
    }
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    for (path, text) in FILES {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, text)?;
    }
    for (path, target) in LINKS {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        symlink(target, path)?;
    }
    Ok(())
}

/// Makes a root of another one's files, which are hard links where the file system has them.
fn linked(from: &Path, root: &Path) -> Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let (path, data) = (entry.path(), entry.metadata()?);
        let place = root.join(path.strip_prefix(from)?);
        if data.is_dir() {
            fs::create_dir_all(&place)?;
            fs::set_permissions(&place, data.permissions())?;
        } else if data.is_symlink() {
            symlink(fs::read_link(path)?, place)?;
        } else if fs::hard_link(path, &place).is_err() {
            // On another file system.
            fs::copy(path, place)?;
        }
    }
    Ok(())
}
