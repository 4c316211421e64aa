//! The pins in `kernel-configs/sources.toml`: which version of what, from where, with which hash.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use fs_err as fs;
use serde::Deserialize;

/// The folder of the pins and of the kernel fragments, from the root of the repository.
pub const FOLDER: &str = "kernel-configs";

/// All pins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// The kernels, by the name of their fragment (`6.1`).
    pub kernel: BTreeMap<String, KernelPin>,
    /// busybox.
    pub busybox: BusyboxPin,
}

/// One kernel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelPin {
    /// The full version, `6.1.176`.
    pub version: String,
    /// How many files the fragment compiles, roughly: for the progress display only.
    pub objects: u64,
    /// The Debian package of the source.
    pub debian: DebianPackage,
    /// The tarball of its makers.
    pub upstream: Upstream,
}

/// A Debian package that holds a tarball.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where the tarball is.
    pub url: String,
    /// Where the list is, in the format of `sha256sum`.
    pub checksums: String,
}

/// busybox, whose tarball is the same from wherever it comes.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
        let path = repository.join(FOLDER).join("sources.toml");
        let text = fs::read_to_string(&path)?;
        toml::from_str(&text).with_context(|| format!("{} is not understood", path.display()))
    }

    /// The pin of one kernel.
    pub fn kernel(&self, name: &str) -> Result<&KernelPin> {
        self.kernel.get(name).with_context(|| {
            let known: Vec<_> = self.kernel.keys().map(String::as_str).collect();
            format!(
                "there is no kernel {name} in {FOLDER}/sources.toml; it has: {}",
                known.join(", ")
            )
        })
    }
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
        for hash in [
            &kernel.debian.sha256,
            &kernel.debian.member_sha256,
            &pins.busybox.sha256,
        ] {
            assert_eq!(hash.len(), 64);
        }
        assert!(format!("{:#}", pins.kernel("2.4").unwrap_err()).contains("it has: 6.1"));
    }
}
