//! What a chapter was recorded with: the lab's hashes and the tools' versions.

use std::path::Path;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::build::pins::{self, Pins};
use crate::build::rootfs;
use crate::build::setup::Lab;
use crate::machine::qemu;
use crate::replay::own_kernel::release;
use crate::system::files::{hex, sha256_of, sha256_of_file};

/// The name of the fact that tells the repository that the lab was made from.
pub const REPOSITORY: &str = "repository";

/// The hash of all that the repository gives to the lab of one series of the kernel: the files of
/// `kernel-configs` that are about it, and those of `rootfs`. It is the same on every machine, so a
/// snapshot with another one was recorded before the repository changed.
///
/// # Errors
/// When a file cannot be read.
pub fn repository(root: &Path, series: &str) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    let pins = Pins::read(root)?;
    hash.update(pins.told(series)?);
    hash.update(pins.fragment(root, series)?);
    for folder in [pins::FOLDER, rootfs::FOLDER] {
        let folder = root.join(folder);
        let walk = WalkDir::new(&folder).follow_links(true).sort_by_file_name();
        for entry in walk {
            let entry = entry?;
            let file_name = entry.file_name().to_string_lossy();
            let is_editors = file_name.starts_with('.') || file_name.ends_with('~');
            // The pins and the configurations are about other series, too.
            let is_told = file_name == pins::FILE || file_name.ends_with(".config");
            if entry.file_type().is_file() && !is_editors && !is_told {
                let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
                hash.update(format!(
                    "{} {}\n",
                    name.display(),
                    sha256_of_file(entry.path())?
                ));
            }
        }
    }
    Ok(hex(&hash.finalize()))
}

/// The provenance of a replay with `lab`: names and values, in the order in which they are
/// written.
///
/// # Errors
/// When a part cannot be read, or a tool does not tell its version.
pub fn of(root: &Path, series: &str, lab: &Lab) -> anyhow::Result<Vec<(String, String)>> {
    let version = |program| lab.sandbox.first_line(&[program, "--version"]);
    // What built the kernel counts, and not what could.
    let gcc = match &lab.kernel.built_otherwise {
        Some(how) => how.clone(),
        None => version("gcc")?,
    };
    let facts = [
        (REPOSITORY, repository(root, series)?),
        ("linux", release(&lab.kernel.bzimage)),
        ("bzImage", lab.kernel.sha256.clone()),
        ("rootfs", rootfs(lab)?),
        ("qemu", version(qemu::PROGRAM)?),
        ("gdb", version("gdb")?),
        ("gcc", gcc),
    ];
    let mut facts = facts.map(|(name, value)| (name.to_owned(), value)).to_vec();
    for (name, kernel) in &lab.beside {
        facts.push((format!("beside {name}"), kernel.sha256.clone()));
    }
    Ok(facts)
}

/// The hash of the guest's root, with the programs that a chapter adds to it, if it does.
fn rootfs(lab: &Lab) -> anyhow::Result<String> {
    let initramfs = sha256_of_file(&lab.initramfs)?;
    if lab.programs.is_empty() && lab.further.is_none() {
        return Ok(initramfs);
    }
    let mut hash = Sha256::new();
    hash.update(initramfs);
    for (place, bytes) in &lab.programs {
        hash.update(format!("{place} {}\n", sha256_of(bytes)));
    }
    // What these programs make is packed behind it by the chapter.
    if let Some(further) = &lab.further {
        hash.update(format!("further {further}\n"));
    }
    Ok(hex(&hash.finalize()))
}
