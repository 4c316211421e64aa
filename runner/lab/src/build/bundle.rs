//! The made lab in one file: to be taken by others, who need not build it.
//!
//! The file is a tar archive packed by xz. It has the entries of the cache that the book's own lab
//! consists of, each as `kind/key/…`, and not all of each: what a tarball of the sources brings is
//! left out, as the tarball is in the file, and so are the objects of the kernel, which no chapter
//! looks at but one; a `make` in the tree compiles them. Before everything else come a line that
//! says what it is, and the stamps of the entries.
//!
//! The same lab makes the same file, byte for byte, wherever it was made: names are sorted, all is
//! as old as the youngest file of the kernel's source, belongs to nobody, and has one of two modes;
//! of a build's log only the commands are packed. So whoever has built the lab can tell whether a
//! file that somebody has published is what it should be.
//!
//! Who takes the file trusts whoever made it with the kernel and the programs, as with any program.
//! That it is the published one, its hash tells, which is in the repository ([`Published`]). Of
//! another file it is checked what can be known without a build: that it is whole (xz has hashes of
//! its own), that the sources are the pinned ones, that each entry is made of what this checkout
//! would make it of, and that its outputs are those that its stamp names.

pub mod export;
pub mod import;

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::build::cache::{Cache, Entry};
use crate::build::pins::Pins;
use crate::build::setup::{Lab, Options};
use crate::build::sources::Source;

/// Makes the whole lab of these options, or finds it, down to the last part that belongs into the
/// file.
pub type Ask<'a> = &'a (dyn Fn(&Options) -> Result<Lab> + Sync);

/// The name of the first member.
const FIRST: &str = "ship-of-theseus";
/// What it holds. Counts up when the form of the file changes.
const FORM: &str = "The lab of The Ship of Theseus, form 1\n";

/// The kinds of entries, in the order in which they are packed: what unpacks the others comes
/// first.
const KINDS: [&str; 10] = [
    "tools",
    "kernel-source",
    "busybox-source",
    "programs",
    "turns",
    "busybox",
    "initramfs",
    "guest-names",
    "names",
    "kernel",
];

/// The lab that was published for this state of the repository.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Published {
    /// Where it is.
    pub url: Option<String>,
    /// The SHA-256 of the file.
    pub sha256: Option<String>,
}

impl Published {
    /// The name of the file that tells of it, from the root of the repository.
    pub const LOCK: &str = "lab.lock";

    /// Reads the lock of a repository, which may have none.
    ///
    /// # Errors
    /// When it cannot be read, or nobody understands it.
    pub fn read(repository: &Path) -> Result<Self> {
        let path = repository.join(Self::LOCK);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("read {}", path.display()))?,
        };
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut published = Self::default();
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_once(' ') {
                Some(("url", url)) => published.url = Some(url.to_owned()),
                Some(("sha256", hash)) if is_sha256(hash) => {
                    published.sha256 = Some(hash.to_owned());
                }
                _ => bail!("nobody understands `{line}`"),
            }
        }
        Ok(published)
    }
}

/// Whether a text has the form of a SHA-256.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(is_digit)
}

/// The entries that a cache has given, each with its kind, in the order of the file.
fn given(cache: &Cache) -> Vec<(&'static str, Entry)> {
    let entries = cache.given();
    let of_kind = |kind: &'static str| {
        let parent = cache.root().join(kind);
        let all = entries.iter();
        let entries = all.filter(move |entry| entry.folder.parent() == Some(&parent));
        entries.map(move |entry| (kind, entry.clone()))
    };
    KINDS.into_iter().flat_map(of_kind).collect()
}

/// Refuses a source of the kernel that is neither pinned by a hash nor the reader's own, and gives
/// the tarball.
fn pinned<'a>(options: &Options, source: &'a Source) -> Result<&'a Path> {
    let Source::Tarball { path, sha256 } = source else {
        bail!(
            "the kernel was built from a tree, whose bytes nothing names; build it from a tarball"
        );
    };
    let pins = Pins::read(&options.repository)?;
    let package = pins.kernel(&options.series)?.debian.as_ref();
    let pin = package.map_or("pinned at all", |package| &package.member_sha256);
    ensure!(
        options.kernel_source.is_some() || sha256 == pin,
        "the kernel's source is not the pinned one of Debian: its SHA-256 is {sha256}, not {pin}"
    );
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_may_be_empty_and_is_understood_or_refused() {
        let hash = "0123456789abcdef".repeat(4);
        let text = format!("# why\n\nurl https://x/y z\nsha256 {hash}\n");
        let published = Published::parse(&text).unwrap();
        assert_eq!(published.url.as_deref(), Some("https://x/y z"));
        assert_eq!(published.sha256, Some(hash));
        let empty = Published::parse("# nothing yet\n").unwrap();
        assert_eq!(empty, Published::default());
        for wrong in ["sha256 12", "sha256", "size 1"] {
            let error = Published::parse(wrong).unwrap_err().to_string();
            assert_eq!(error, format!("nobody understands `{wrong}`"));
        }
    }
}
