//! Unpacks a tarball that nobody has checked: the reader's own, or a pinned one that the disk has
//! damaged.
//!
//! What is unpacked stays inside its folder ([`unpack`]), and so do its links. Of a tarball that
//! wants more, or is bigger than a kernel can be, nothing is kept, and the member is named.
//!
//! The packed bytes are unpacked by the programs that tar itself would call.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use tar::Archive;

use crate::build::unpack::{self, Rules};
use crate::system::sandbox::Sandbox;

/// How packed bytes begin, and what unpacks them.
pub const PACKERS: [(&[u8], &[&str]); 6] = [
    (b"\x02\x21\x4c\x18", &["lz4", "-dc"]),
    (b"\x1f\x8b", &["gzip", "-dc"]),
    (b"\xfd7zXZ\0", &["xz", "-dc"]),
    (b"\x5d\0\0", &["xz", "--format=lzma", "-dc"]),
    (b"BZh", &["bzip2", "-dc"]),
    (b"\x28\xb5\x2f\xfd", &["zstd", "-dc"]),
];

/// The exit status of a shell, and of `env`, for a program that is not there.
const NO_PROGRAM: i32 = 127;

/// How much a tarball may be when it is unpacked: Linux 6.1 has 1.4 GB in 84 thousand members, and
/// has doubled in ten years. Of the modes only the executable bit counts.
const RULES: Rules = Rules {
    what: "a source",
    most: (4 << 30, 300_000, "no kernel"),
    place: &without_first,
    is_root: &|_, _| false,
    mode: |mode| match mode & 0o111 {
        0 => 0o644,
        _ => 0o755,
    },
};

/// What a tarball brings.
#[derive(Debug, Default)]
pub struct Listing {
    /// Its files and links, without the first part of each name.
    pub names: HashSet<PathBuf>,
    /// When the youngest of them was written, in seconds since 1970.
    pub newest: u64,
}

/// Unpacks the tarball into `folder`, which is there, without the first part of each name, as
/// `tar --strip-components=1` does. Of the modes only the executable bit counts.
///
/// # Errors
/// When it is no tarball, is cut short, or has a member that is refused or is there; when the
/// folder cannot be written.
pub fn unpack(sandbox: &Sandbox, tarball: &Path, folder: &Path) -> Result<()> {
    open(sandbox, tarball, |bytes| {
        unpack::into(folder, bytes, &RULES)
    })
}

/// Lists what [`unpack`] would unpack.
///
/// # Errors
/// When it is no tarball.
pub fn list(sandbox: &Sandbox, tarball: &Path) -> Result<Listing> {
    open(sandbox, tarball, |bytes| {
        let mut listing = Listing::default();
        for entry in Archive::new(bytes).entries()? {
            let entry = entry?;
            listing.newest = listing.newest.max(entry.header().mtime()?);
            if !entry.header().entry_type().is_dir() {
                listing.names.extend(without_first(&entry.path()?)?);
            }
        }
        Ok(listing)
    })
}

/// Hands the bytes of the tar archive to `take`, which wants all of them.
fn open<T>(
    sandbox: &Sandbox,
    tarball: &Path,
    take: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let open = || File::open(tarball).context("it cannot be opened");
    let mut start = Vec::new();
    open()?.take(6).read_to_end(&mut start)?;
    ensure!(!start.is_empty(), "it is empty");
    let packer = PACKERS.iter().find(|(magic, _)| start.starts_with(magic));
    let Some((_, words)) = packer else {
        return take(&mut open()?);
    };
    let input = open()?;
    let process = sandbox.view().start(words, |command| {
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    });
    let mut process = process?;
    let taken = match &mut process.child.stdout {
        Some(bytes) => take(bytes),
        None => bail!("{} has no output", words[0]),
    };
    // What unpacks it knows better than that the bytes have ended. It has ended itself only if
    // there are no more.
    if taken.is_err() && process.end().is_empty() {
        return taken;
    }
    let output = process.output()?;
    ensure!(
        output.status.code() != Some(NO_PROGRAM),
        "it takes {} to unpack it, which is not there: unpack it yourself, and give the folder",
        words[0]
    );
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    taken
}

/// A name without its first part. The first part is the top itself.
fn without_first(name: &Path) -> Result<Option<PathBuf>> {
    let rest: PathBuf = name.iter().skip(1).collect();
    Ok((!rest.as_os_str().is_empty()).then_some(rest))
}
