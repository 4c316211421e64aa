//! The pins in `kernel-configs/sources.toml`: which version of what, from where, with which hash.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The folder of the pins and of the kernel fragments, from the root of the repository.
pub const FOLDER: &str = "kernel-configs";

/// The file of the pins.
pub const FILE: &str = "sources.toml";

/// All pins.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// The kernels, by the name of their fragment (`6.1`).
    pub kernel: BTreeMap<String, KernelPin>,
    /// busybox.
    pub busybox: BusyboxPin,
}

/// One kernel.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KernelPin {
    /// The full version, `6.1.176`.
    pub version: String,
    /// How many files the fragment compiles, roughly: for the progress display only.
    pub objects: u64,
    /// The options of the book's configuration that this kernel is built without, each with the
    /// reason.
    #[serde(default)]
    pub without: BTreeMap<String, String>,
    /// The Debian package of the source. A kernel without one comes from its makers alone: it is
    /// built and walked in, but no chapter is recorded on it, as no hash of the book's own pins its
    /// bytes.
    pub debian: Option<DebianPackage>,
    /// The tarball of its makers.
    pub upstream: Upstream,
}

/// A Debian package that holds a tarball.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DebianPackage {
    /// The path of the `.deb` file in Debian's archive.
    pub path: String,
    /// A day at which the archive of all days has it.
    pub snapshot: String,
    /// The SHA-256 of the `.deb` file.
    pub sha256: String,
    /// The path of the tarball in the package, without a leading slash.
    pub member: String,
    /// The SHA-256 of the tarball.
    pub member_sha256: String,
}

/// A tarball that is checked against a published list of checksums.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where the tarball is.
    pub url: String,
    /// Where the list is, in the format of `sha256sum`.
    pub checksums: String,
}

/// busybox, whose tarball is the same from wherever it comes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BusyboxPin {
    /// The version.
    pub version: String,
    /// The SHA-256 of the tarball.
    pub sha256: String,
    /// Where its makers have it.
    pub url: String,
    /// Where Debian has it.
    pub debian: DebianSource,
}

/// A file of Debian's archive.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DebianSource {
    /// Its path there.
    pub path: String,
    /// A day at which the archive of all days has it.
    pub snapshot: String,
}

impl Pins {
    /// Reads the pins of a repository.
    pub fn read(repository: &Path) -> Result<Self> {
        let path = repository.join(FOLDER).join(FILE);
        let text = fs::read_to_string(&path)?;
        toml::from_str(&text).with_context(|| format!("{} is not understood", path.display()))
    }

    /// The pin of one kernel.
    pub fn kernel(&self, name: &str) -> Result<&KernelPin> {
        self.kernel.get(name).with_context(|| {
            let known = in_order(self.kernel.keys().map(String::as_str));
            Error::Unfit(format!(
                "there is no kernel {name} in {FOLDER}/{FILE}; it has: {}",
                known.join(", ")
            ))
        })
    }

    /// The series on which the chapters are recorded: those whose bytes are pinned.
    pub fn recorded(&self) -> impl Iterator<Item = &str> {
        let pinned = self.kernel.iter().filter(|(_, pin)| pin.debian.is_some());
        pinned.map(|(name, _)| &**name)
    }

    /// The series whose configuration serves a kernel of this version best: the newest that is no
    /// newer, or the oldest of all.
    #[must_use]
    pub fn nearest(&self, version: &str) -> &str {
        nearest(self.kernel.keys().map(String::as_str), version)
    }

    /// The recorded series, found in the same way, whose forms of the steps serve a kernel of this
    /// version best.
    #[must_use]
    pub fn nearest_recorded(&self, version: &str) -> &str {
        nearest(self.recorded(), version)
    }

    /// What the pins say of one kernel and of busybox.
    ///
    /// # Errors
    /// When there is no such kernel.
    pub fn told(&self, name: &str) -> Result<String> {
        let kernel = BTreeMap::from([(name.to_owned(), self.kernel(name)?.clone())]);
        let told = Self {
            kernel,
            busybox: self.busybox.clone(),
        };
        Ok(serde_json::to_string(&told)?)
    }

    /// The configuration of one kernel, as lines over tinyconfig: the book's, without what this
    /// kernel is built without, and with the lines of its own file, if it has one. A line there
    /// replaces the book's about the same option.
    ///
    /// # Errors
    /// When there is no such kernel, a file cannot be read, or the kernel is said to be built
    /// without an option that the book's configuration does not have.
    pub fn fragment(&self, repository: &Path, name: &str) -> Result<String> {
        let pin = self.kernel(name)?;
        let file = |name: &str| repository.join(FOLDER).join(format!("{name}.config"));
        let book = fs::read_to_string(file(crate::SERIES))?;
        if name == crate::SERIES {
            return Ok(book);
        }
        let own = match fs::read_to_string(file(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let has = |text: &str, wanted: &str| text.lines().any(|line| option(line) == Some(wanted));
        for wanted in pin.without.keys() {
            ensure!(
                has(&book, wanted),
                "{FOLDER}/{FILE}: kernel {name} is built without {wanted}, which {FOLDER}/{}.config does not have",
                crate::SERIES
            );
        }
        let stays = |line: &&str| {
            option(line).is_none_or(|name| !pin.without.contains_key(name) && !has(&own, name))
        };
        let lines = book.lines().filter(stays).chain(own.lines());
        Ok(lines.map(|line| format!("{line}\n")).collect())
    }
}

/// Names of series, the oldest first.
fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::from_iter(names);
    names.sort_by_key(|name| release(name));
    names
}

/// The newest of these series that is no newer than a version, or else the oldest.
fn nearest<'a>(names: impl Iterator<Item = &'a str>, version: &str) -> &'a str {
    let wanted = release(version);
    let names = in_order(names);
    let at_or_below = names.iter().rfind(|name| release(name) <= wanted);
    at_or_below.or(names.first()).copied().unwrap_or_default()
}

/// The first two numbers of a version, which name a series.
fn release(version: &str) -> Vec<u32> {
    let numbers = version.split('.').take(2);
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// The option that a line of a configuration is about.
fn option(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    name.starts_with("CONFIG_").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_of_this_repository_are_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap();
        let pins = Pins::read(root).unwrap();
        let kernel = pins.kernel("6.1").unwrap();
        assert!(
            kernel
                .upstream
                .url
                .ends_with(&format!("linux-{}.tar.xz", kernel.version))
        );
        let debian = kernel.debian.as_ref().unwrap();
        for hash in [&debian.sha256, &debian.member_sha256, &pins.busybox.sha256] {
            assert_eq!(hash.len(), 64);
        }
        for (version, series) in [
            ("6.1.3", "6.1"),
            ("6.0.0", "5.10"),
            ("6.11.9", "6.1"),
            ("6.12.0", "6.12"),
            ("9.0.1", "7.3"),
            ("4.19.0", "4.19"),
            ("3.2.0", "4.19"),
        ] {
            assert_eq!(pins.nearest(version), series, "{version}");
        }
        // Forms of the steps are with the recorded ones alone.
        for (version, series) in [("5.4.9", "5.10"), ("6.17.1", "6.12"), ("9.0.1", "7.3")] {
            assert_eq!(pins.nearest_recorded(version), series, "{version}");
        }
        let error = format!("{:#}", pins.kernel("2.4").unwrap_err());
        assert!(error.contains("it has: 4.19, 5.4, 5.10, 6.1"), "{error}");
        let recorded: Vec<_> = pins.recorded().collect();
        assert_eq!(recorded, ["5.10", "6.1", "6.12", "7.3"]);
    }

    #[test]
    fn fragment_of_another_series_is_the_books_but_for_what_it_says() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let own = Pins::read(repository.unwrap()).unwrap();
        let mut pins = own.clone();
        let book = "# A book.\nCONFIG_A=y\nCONFIG_B=1\nCONFIG_C=y\n";
        fs::write(folder.join("6.1.config"), book).unwrap();
        let pin = pins.kernel.get_mut("6.12").unwrap();
        pin.without = BTreeMap::from([("CONFIG_C".to_owned(), "It is gone.".to_owned())]);
        let fragment = |pins: &Pins| pins.fragment(root.path(), "6.12");
        assert_eq!(pins.fragment(root.path(), "6.1").unwrap(), book);
        assert_eq!(
            fragment(&pins).unwrap(),
            "# A book.\nCONFIG_A=y\nCONFIG_B=1\n"
        );
        fs::write(folder.join("6.12.config"), "CONFIG_B=2\nCONFIG_D=y\n").unwrap();
        assert_eq!(
            fragment(&pins).unwrap(),
            "# A book.\nCONFIG_A=y\nCONFIG_B=2\nCONFIG_D=y\n"
        );
        // What was dropped from the book's configuration is no longer left out of another.
        fs::write(folder.join("6.1.config"), "CONFIG_A=y\n").unwrap();
        let error = fragment(&pins).unwrap_err().to_string();
        assert!(error.contains("6.12 is built without CONFIG_C"), "{error}");
    }
}
