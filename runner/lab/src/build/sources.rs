//! The sources of the kernel and of busybox: from several providers, in order, into the cache.
//!
//! A provider that cannot deliver says why, and the next one is tried. A provider that delivers
//! other bytes than the pinned ones has failed as well: nothing of them is kept.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::build::cache::{Cache, Inputs, Leftover};
use crate::build::deb;
use crate::build::fetch::{self, Patience};
use crate::build::pins::{BusyboxPin, DebianPackage, DebianSource, KernelPin, Pins, Upstream};
use crate::build::pool::Pool;
use crate::system::files;
use crate::system::progress::Stage;

/// Where the source of a kernel is, and what identifies it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A tarball.
    Tarball {
        /// The file.
        path: PathBuf,
        /// The SHA-256 of its bytes.
        sha256: String,
    },
    /// An unpacked tree of the reader's own. It is copied, never built in.
    Tree {
        /// Its folder.
        path: PathBuf,
        /// A hash over the names, sizes and times of all its files.
        fingerprint: String,
    },
}

/// What every Linux tree has that can build the lab's kernel.
pub const MARK: &str = "kernel/configs/tiny.config";

/// Whether it is the top of a Linux tree.
#[must_use]
pub fn is_linux(tree: &Path) -> bool {
    tree.join(MARK).is_file()
}

impl Source {
    /// What goes into the key of whatever is built from this source.
    pub fn identity(&self) -> &str {
        match self {
            Self::Tarball { sha256, .. } => sha256,
            Self::Tree { fingerprint, .. } => fingerprint,
        }
    }

    /// The tarball, if it is one.
    #[must_use]
    pub fn tarball(&self) -> Option<&Path> {
        match self {
            Self::Tarball { path, .. } => Some(path),
            Self::Tree { .. } => None,
        }
    }

    /// A source that the reader names: a tarball or a tree.
    pub fn given(path: &Path) -> Result<Self> {
        let path = path.canonicalize().map_err(|error| {
            Error::Unfit(format!(
                "the kernel source {} is not there; give a tarball or an unpacked tree: {error}",
                path.display()
            ))
        })?;
        if path.is_file() {
            let sha256 = files::sha256_of_file(&path)?;
            return Ok(Self::Tarball { path, sha256 });
        }
        if !is_linux(&path) {
            bail!(Error::Unfit(format!(
                "{} is neither a tarball nor the top of a Linux tree (it has no {MARK})",
                path.display()
            )));
        }
        let fingerprint = fingerprint(&path)?;
        Ok(Self::Tree { path, fingerprint })
    }
}

/// One way to get a file.
type Deliver<'a> = dyn Fn(&Path, &mut Stage) -> Result<()> + 'a;

/// One way to get a file, with the name that is shown when it fails.
type Provider<'a> = (String, &'a Deliver<'a>);

/// The cache's word for the kernel's source.
const KERNEL: &str = "kernel-source";
/// The cache's word for busybox's source.
const BUSYBOX: &str = "busybox-source";

/// What would be asked for each source, in order, by the cache's word for it.
pub fn providers(pins: &Pins, series: &str) -> Vec<(&'static str, Vec<String>)> {
    let kernel = pins.kernel.get(series).map(kernel_providers);
    let kernel = kernel.map(|names| (KERNEL, names));
    kernel
        .into_iter()
        .chain([(BUSYBOX, busybox_providers(&pins.busybox).to_vec())])
        .collect()
}

fn kernel_providers(pin: &KernelPin) -> Vec<String> {
    let debian = pin.debian.iter();
    let debian = debian.map(|package| format!("the Debian package {}", file_name(&package.path)));
    debian.chain([pin.upstream.url.clone()]).collect()
}

fn busybox_providers(pin: &BusyboxPin) -> [String; 2] {
    let debian = format!("Debian's {}", file_name(&pin.debian.path));
    [debian, pin.url.clone()]
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The pinned kernel source: from the cache, or else from Debian's package, if it has one, or from
/// kernel.org.
/// `mirror` is a folder or a URL that the reader names, with Debian's archive below it.
pub fn kernel(cache: &Cache, pin: &KernelPin, mirror: Option<&str>) -> Result<Source> {
    let file = format!("linux-{}.tar.xz", pin.version);
    let mut inputs = Inputs::new()
        .with("file", &file)
        .with("upstream", &pin.upstream.url);
    if let Some(package) = &pin.debian {
        inputs = inputs.with("debian", &package.member_sha256);
    }
    let of_debian = pin.debian.as_ref().map(|package| {
        move |target: &Path, stage: &mut Stage| {
            let pool = Pool::new(mirror, &package.snapshot);
            debian_package(package, &pool, target, stage)
        }
    });
    let of_site = |target: &Path, stage: &mut Stage| {
        upstream(&pin.upstream, &file, target, Patience::default(), stage)?;
        if pin.debian.is_some() {
            stage.note(
                "  note: this source has none of Debian's patches, so kernel/fork.c has other \
                 lines; the replays of chapters 1, 4 and 5 will show where",
            );
        }
        Ok(())
    };
    let ways = of_debian.iter().map(|way| way as &Deliver);
    let ways = ways.chain([&of_site as &Deliver]);
    let providers: Vec<Provider> = kernel_providers(pin).into_iter().zip(ways).collect();
    let name = format!("source of Linux {}", pin.version);
    cached(cache, KERNEL, &inputs, &name, &file, &providers)
}

/// The pinned busybox source: from the cache, or else from Debian's source package, or upstream.
/// `mirror` is as for [`kernel`].
pub fn busybox(cache: &Cache, pin: &BusyboxPin, mirror: Option<&str>) -> Result<Source> {
    let file = format!("busybox-{}.tar.bz2", pin.version);
    let inputs = Inputs::new()
        .with("file", &file)
        .with("sha256", &pin.sha256);
    let [debian, site] = busybox_providers(pin);
    let of_debian = |target: &Path, stage: &mut Stage| {
        let DebianSource { path, snapshot } = &pin.debian;
        Pool::new(mirror, snapshot).one(path, &pin.sha256, target, stage)
    };
    let of_site = |target: &Path, stage: &mut Stage| {
        let seen = |bytes, all| stage.at_bytes(bytes, all);
        fetch::file(&pin.url, target, &pin.sha256, Patience::default(), seen)
    };
    let providers: [Provider; 2] = [(debian, &of_debian), (site, &of_site)];
    let name = format!("source of busybox {}", pin.version);
    cached(cache, BUSYBOX, &inputs, &name, &file, &providers)
}

fn cached(
    cache: &Cache,
    kind: &str,
    inputs: &Inputs,
    name: &str,
    file: &str,
    providers: &[Provider],
) -> Result<Source> {
    let waiting = || eprintln!("{name}: another run is fetching it, waiting for that");
    let entry = cache.ensure(kind, inputs, Leftover::Discard, waiting, |folder| {
        let mut stage = Stage::begin(name);
        first_that_delivers(name, providers, &folder.join(file), &mut stage)?;
        stage.done();
        Ok(vec![file.to_owned()])
    })?;
    Ok(Source::Tarball {
        path: entry.path(file),
        sha256: entry.sha256(file)?.to_owned(),
    })
}

fn first_that_delivers(
    name: &str,
    providers: &[Provider],
    target: &Path,
    stage: &mut Stage,
) -> Result<()> {
    let mut failures = Vec::new();
    for (provider, deliver) in providers {
        stage.at(format!("from {provider}"));
        match deliver(target, stage) {
            Ok(()) => return Ok(()),
            Err(error) => {
                let failure = format!("{provider}: {error:#}");
                stage.note(&format!("  no {name} from {failure}"));
                failures.push(failure);
            }
        }
    }
    bail!(
        "the {name} could not be had:\n  {}\ncheck the network, and run again",
        failures.join("\n  ")
    )
}

/// Fetches a package, and takes the tarball out of it.
fn debian_package(
    pin: &DebianPackage,
    pool: &Pool,
    target: &Path,
    stage: &mut Stage,
) -> Result<()> {
    let folder = tempfile::tempdir_in(target.parent().unwrap_or(Path::new(".")))?;
    let folder = folder.path();
    let deb = folder.join("package.deb");
    pool.one(&pin.path, &pin.sha256, &deb, stage)?;
    stage.at("unpack the package");
    deb::unpack(&deb, folder, |path| path == pin.member)?;
    keep(&folder.join(&pin.member), target, &pin.member_sha256)
}

/// Fetches a tarball whose hash is on the list published beside it. `file` is its name there.
pub fn upstream(
    pin: &Upstream,
    file: &str,
    target: &Path,
    patience: Patience,
    stage: &mut Stage,
) -> Result<()> {
    let list = fetch::text(&pin.checksums, patience)?;
    let sha256 = fetch::listed_sha256(&list, file)
        .with_context(|| format!("{} lists no {file}", pin.checksums))?;
    fetch::file(&pin.url, target, sha256, patience, |bytes, all| {
        stage.at_bytes(bytes, all);
    })
}

/// Moves a file to its place if it is the pinned one.
fn keep(found: &Path, target: &Path, sha256: &str) -> Result<()> {
    let name = found.file_name().unwrap_or_default().display();
    let kept = files::sha256_of_file(found)
        .and_then(|hash| fetch::pinned(name, &hash, sha256))
        .and_then(|()| Ok(fs::rename(found, target)?));
    if kept.is_err() {
        // The error matters more than whether the file could be removed.
        let _ = fs::remove_file(found);
    }
    kept
}

/// Hashing a gigabyte of sources on every run would take longer than a chapter. Names, sizes and
/// times change whenever a file does.
fn fingerprint(tree: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let files = walkdir::WalkDir::new(tree).sort_by_file_name().into_iter();
    for file in files.filter_entry(|entry| entry.file_name() != ".git") {
        let file = file?;
        if file.file_type().is_dir() {
            continue;
        }
        let data = file.metadata()?;
        let name = file
            .path()
            .strip_prefix(tree)
            .unwrap_or(file.path())
            .display();
        hash.update(format!(
            "{name} {} {}.{} {:o}\n",
            data.len(),
            data.mtime(),
            data.mtime_nsec(),
            data.mode()
        ));
    }
    Ok(format!("tree {}", files::hex(&hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_provider_is_tried_and_all_are_named_when_none_delivers() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("file");
        let bad = || -> Provider { ("bad".into(), &|_, _| bail!("out of order")) };
        let good: Provider = ("good".into(), &|target, _| Ok(fs::write(target, "x")?));
        let mut stage = Stage::begin("test");
        first_that_delivers("thing", &[bad(), good], &target, &mut stage).unwrap();
        let error = first_that_delivers("thing", &[bad(), bad()], &target, &mut stage).unwrap_err();
        assert_eq!(error.to_string().matches("bad: out of order").count(), 2);
        stage.done();
    }

    #[test]
    fn wrong_file_is_not_kept() {
        let temp = tempfile::tempdir().unwrap();
        let found = temp.path().join("found");
        fs::write(&found, "other").unwrap();
        let error = keep(&found, &temp.path().join("kept"), &"0".repeat(64)).unwrap_err();
        assert!(error.to_string().contains("not the pinned file"));
        assert!(fs::read_dir(temp.path()).unwrap().next().is_none());
    }

    #[test]
    fn given_tree_is_known_by_what_is_in_it() {
        let temp = tempfile::tempdir().unwrap();
        assert!(
            Source::given(temp.path())
                .unwrap_err()
                .to_string()
                .contains("neither a tarball")
        );
        let configs = temp.path().join("kernel/configs");
        fs::create_dir_all(&configs).unwrap();
        fs::write(configs.join("tiny.config"), "").unwrap();
        let before = Source::given(temp.path()).unwrap();
        assert_eq!(before, Source::given(temp.path()).unwrap());
        fs::write(temp.path().join("Makefile"), "VERSION = 6").unwrap();
        assert_ne!(
            before.identity(),
            Source::given(temp.path()).unwrap().identity()
        );
    }
}
