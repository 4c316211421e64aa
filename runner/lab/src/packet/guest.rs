//! The guest that performs scripts: one machine for all of them, one network for each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fs_err as fs;

use super::report::{self, Report};
use super::script::Script;
use super::{compile, judge};
use crate::Error;
use crate::build::cpio::{Archive, Node};
use crate::build::rootfs;
use crate::build::setup::{Lab, Options};
use crate::machine::qemu::Pace;
use crate::program::closure;
use crate::program::guest::Program;
use crate::system::sandbox::Sandbox;

/// The folder of the guest's program, from the root of the repository.
const FOLDER: &str = "runner/lab/src/packet";
/// Its source, and its place in the guest.
const PROGRAM: (&str, &str) = ("guest.c", "/.runner/packet");
/// What it performs.
const EVENTS: &str = "/.runner/events";
/// Programs that scripts expect and busybox does not have, by their names there.
const TOOLS: [(&str, &str); 2] = [
    ("nstat", include_str!("nstat.sh")),
    ("tc", include_str!("tc.sh")),
];
/// A program of the kernel's scripts that is written in Python, and the same without.
const SYSCTLS: (&str, &str) = ("set_sysctls.py", include_str!("set_sysctls.sh"));
/// What a folder of scripts holds beside them is packed if it is not larger.
const FILE_MAX: u64 = 1 << 20;
/// How long the guest may take, in real time: to boot, and for each script, most of which is spent
/// in the programs that it starts.
const DEADLINE: Duration = Duration::from_secs(300);
const DEADLINE_EACH: Duration = Duration::from_secs(30);
/// What the kernel's scripts expect to be defined for IPv4.
const DEFINED: [(&str, &str); 2] = [
    ("CMSG_LEVEL_IP", "SOL_IP"),
    ("CMSG_TYPE_RECVERR", "IP_RECVERR"),
];
/// Where the shell looks for programs.
const PATH: &str = "PATH=/.runner/bin:/sbin:/usr/sbin:/bin:/usr/bin";

/// The words that stand for others in every script.
#[must_use]
pub fn defined() -> BTreeMap<String, String> {
    let owned = DEFINED.map(|(name, value)| (name.to_owned(), value.to_owned()));
    owned.into()
}

/// Performs scripts with a kernel, and judges them: a verdict for each, in order. In the guest they
/// lie where they do here, but for what is below the first folder of `moved`, which is the second.
///
/// # Errors
/// What keeps the guest from running, or a script from being packed.
pub fn run(
    scripts: &[Script],
    options: &Options,
    lab: &Lab,
    kernel: &Path,
    moved: Option<(&Path, &Path)>,
) -> anyhow::Result<Vec<judge::Verdict>> {
    let mut archive = archive(lab, options)?;
    let mut folders = BTreeSet::new();
    let mut events = Vec::new();
    let in_guest = |folder: &Path| match moved {
        Some((from, to)) if folder.starts_with(from) => {
            to.join(folder.strip_prefix(from).unwrap_or(folder))
        }
        _ => folder.to_owned(),
    };
    for script in scripts {
        let path = closure::absolute(&script.path)?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let compiled = compile::script(script, &in_guest(&folder));
        events.extend(compiled.map_err(|fault| {
            Error::Unfit(format!(
                "{}:{}: {}",
                script.path.display(),
                fault.place,
                fault.message
            ))
        })?);
        folders.insert(folder);
    }
    for folder in &folders {
        pack_folder(&mut archive, folder, &in_guest(folder))?;
    }
    archive.put(EVENTS, Node::File(0o600, events));
    let program = Program::of_guest(archive, &[PROGRAM.1], &[PATH, "HOME=/root"]);
    let (mut output, mut complaints) = (Vec::new(), Vec::new());
    let mut take = |to_stderr: bool, bytes: &[u8]| {
        let all = if to_stderr {
            &mut complaints
        } else {
            &mut output
        };
        all.extend_from_slice(bytes);
    };
    let count = u32::try_from(scripts.len()).unwrap_or(u32::MAX);
    let deadline = Some(DEADLINE + DEADLINE_EACH.saturating_mul(count));
    let taking = Some(&mut take as _);
    let ended = program.boot(options, lab, kernel, Pace::Fast, deadline, taking);
    let complaints = String::from_utf8_lossy(&complaints).into_owned();
    let reports = report::read(&output).map_err(anyhow::Error::msg);
    // A machine that ends early still says which script it was in.
    let status = match ended {
        Err(error) => {
            let begun = reports.map_or(0, |reports| reports.len());
            return Err(
                match begun.checked_sub(1).and_then(|last| scripts.get(last)) {
                    Some(script) => error.context(format!("run {}", script.path.display())),
                    None => error,
                },
            );
        }
        Ok(status) => status,
    };
    ensure!(
        status == 0,
        "the guest's program ended with {status}: {complaints}"
    );
    let reports = reports.context("read what the guest reports")?;
    ensure!(
        reports.len() == scripts.len(),
        "the guest performed {} of {} scripts",
        reports.len(),
        scripts.len()
    );
    let pairs = scripts.iter().zip(&reports);
    let verdict =
        |(script, report): (&Script, &Report)| judge::verdict(script, report, &complaints);
    Ok(pairs.map(verdict).collect())
}

/// The guest's program, and those that scripts expect.
fn archive(lab: &Lab, options: &Options) -> anyhow::Result<Archive> {
    let sandbox: &Sandbox = &lab.sandbox;
    let folder: PathBuf = options.repository.join(FOLDER);
    let programs = rootfs::programs(&options.cache, sandbox, &folder, &[PROGRAM])?;
    let bytes = fs::read(programs.path("packet"))?;
    let mut archive = Archive::new();
    archive.put(PROGRAM.1, Node::File(0o755, bytes));
    archive.put("/.runner/bin/ethtool", Node::Link("../packet".to_owned()));
    for (name, text) in TOOLS {
        let file = Node::File(0o755, text.as_bytes().to_vec());
        archive.put(&format!("/.runner/bin/{name}"), file);
    }
    // busybox's shell knows what scripts ask of bash, but not that name.
    let bash = b"#!/bin/sh\nexec /bin/sh \"$@\"\n".to_vec();
    archive.put("/bin/bash", Node::File(0o755, bash));
    archive.put("tmp", Node::Folder(0o1777));
    Ok(archive)
}

/// Packs what scripts of a folder may start: its files, and not those of folders in it.
fn pack_folder(archive: &mut Archive, folder: &Path, inside: &Path) -> anyhow::Result<()> {
    let place = |name: &str| format!("{}/{name}", inside.display());
    archive.put(&inside.display().to_string(), Node::Folder(0o755));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        // In a folder that is another one in the guest, a link may lead out of what may be seen.
        let meta = match inside == folder {
            true => path.metadata(),
            false => path.symlink_metadata(),
        };
        let (Some(name), Ok(meta)) = (name.to_str(), meta) else {
            continue;
        };
        let is_script = path.extension().is_some_and(|end| end == "pkt");
        if is_script || !meta.is_file() || meta.len() > FILE_MAX {
            continue;
        }
        let bytes = match name {
            name if name == SYSCTLS.0 => SYSCTLS.1.as_bytes().to_vec(),
            _ => fs::read(&path)?,
        };
        archive.put(&place(name), Node::File(rootfs::mode(&bytes), bytes));
    }
    Ok(())
}
