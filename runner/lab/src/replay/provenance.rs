//! What a chapter was recorded with: the lab's hashes and the tools' versions.

use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::build::rootfs;
use crate::machine::qemu;
use crate::replay::own_kernel::release;
use crate::replay::workdir::Parts;

/// The name of the fact that tells the repository that the lab was made from.
pub const REPOSITORY: &str = "repository";

/// The hash of all that the repository gives to the lab: the files of `kernel-configs` and
/// `rootfs`. It is the same on every machine, so a snapshot with another one was recorded before
/// the repository changed.
///
/// # Errors
/// When a file cannot be read.
pub fn repository(root: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for folder in ["kernel-configs", rootfs::FOLDER] {
        let folder = root.join(folder);
        let walk = WalkDir::new(&folder).follow_links(true).sort_by_file_name();
        for entry in walk {
            let entry = entry.with_context(|| format!("read {}", folder.display()))?;
            let file_name = entry.file_name().to_string_lossy();
            let is_editors = file_name.starts_with('.') || file_name.ends_with('~');
            if entry.file_type().is_file() && !is_editors {
                let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
                hash.update(format!("{} {}\n", name.display(), sha256(entry.path())?));
            }
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// The provenance of a replay with `parts`: names and values, in the order in which they are
/// written.
///
/// # Errors
/// When a part cannot be read, or a tool does not tell its version.
pub fn of(root: &Path, parts: &Parts) -> anyhow::Result<Vec<(String, String)>> {
    let facts = [
        (REPOSITORY, repository(root)?),
        ("linux", release(&parts.bzimage)),
        ("bzImage", sha256(&parts.bzimage)?),
        ("rootfs", sha256(&parts.initramfs)?),
        ("qemu", version(qemu::PROGRAM)?),
        ("gdb", version("gdb")?),
        ("gcc", version("gcc")?),
    ];
    Ok(facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The first line that a program prints about its version.
fn version(program: &str) -> anyhow::Result<String> {
    let text = duct::cmd!(program, "--version")
        .read()
        .with_context(|| format!("ask {program} for its version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
