//! Unpacks a tarball that nobody has checked: the reader's own, or a pinned one that the disk has
//! damaged.
//!
//! What is unpacked stays inside its folder ([`unpack`]), and so do its links. Of a tarball that
//! wants more, or is bigger than a kernel can be, nothing is kept, and the member is named.
//!
//! The packed bytes are unpacked by the programs that tar itself would call.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};

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
    is_root: false,
    mode: |mode| match mode & 0o111 {
        0 => 0o644,
        _ => 0o755,
    },
};

/// Unpacks the tarball into `folder`, which is there and empty, without the first part of each
/// name, as `tar --strip-components=1` does. Of the modes only the executable bit counts.
///
/// # Errors
/// When it is no tarball, is cut short, or has a member that is refused; when the folder cannot be
/// written.
pub fn unpack(sandbox: &Sandbox, tarball: &Path, folder: &Path) -> Result<()> {
    let open = || File::open(tarball).context("it cannot be opened");
    let mut start = Vec::new();
    open()?.take(6).read_to_end(&mut start)?;
    ensure!(!start.is_empty(), "it is empty");
    let packer = PACKERS.iter().find(|(magic, _)| start.starts_with(magic));
    let Some((_, words)) = packer else {
        return unpack::into(folder, open()?, &RULES);
    };
    let input = open()?;
    let process = sandbox.view().start(words, |command| {
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    });
    let mut process = process?;
    let unpacked = match &mut process.child.stdout {
        Some(bytes) => unpack::into(folder, bytes, &RULES),
        None => bail!("{} has no output", words[0]),
    };
    // What unpacks it knows better than that the bytes have ended. It has ended itself only if
    // there are no more.
    if unpacked.is_err() && process.end().is_empty() {
        return unpacked;
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
    unpacked
}

/// A name without its first part. The first part is the top itself.
fn without_first(name: &Path) -> Option<PathBuf> {
    let rest: PathBuf = name.iter().skip(1).collect();
    (!rest.as_os_str().is_empty()).then_some(rest)
}
