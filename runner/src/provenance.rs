//! What a chapter was recorded with: the lab's hashes and the tools' versions.

use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::desk::Parts;
use crate::qemu;

/// The provenance of a replay with `parts`: names and values, in the order in which they are written.
///
/// # Errors
/// When a part cannot be read, or a tool does not tell its version.
pub fn of(parts: &Parts) -> anyhow::Result<Vec<(String, String)>> {
    let facts = [
        ("linux", release(&parts.linux)),
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

/// What the kernel calls itself; its build leaves it in the tree.
fn release(tree: &Path) -> String {
    let file = tree.join("include/config/kernel.release");
    std::fs::read_to_string(file)
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
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
