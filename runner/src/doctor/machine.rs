//! The machine: its processor, its system, and its memory.

use std::path::Path;

use super::Found;
use super::made::Lab;
use lab::system::limits::{self, Tight};

/// What QEMU, gdb and the runner have at the most, measured over chapters 1, 3, 6 to 8, 12 and 13,
/// and something over.
const REPLAY_MB: u64 = 500;
/// objtool has 689 MB at the end of the kernel's build, alone; a compiler up to 183.
const BUILD_MB: u64 = 800;

/// The lab's programs are for x86-64, and so is the kernel.
pub fn is_right() -> Found {
    let name = rustix::system::uname();
    let text = format!(
        "{} {} on {}",
        name.sysname().to_string_lossy(),
        name.release().to_string_lossy(),
        name.machine().to_string_lossy()
    );
    if name.machine().to_bytes() == b"x86_64" {
        return Found::ok(text);
    }
    Found::bad(
        format!("{text}, and the lab is built by an x86-64 Linux for itself"),
        "Run it on an x86-64 Linux, or in a virtual machine of that kind (it needs no KVM in there)",
    )
}

/// Compares what the system lets a process take with what the lab takes.
pub fn limits() -> Found {
    match limits::check() {
        Ok(()) => Found::ok("enough memory, files, processes and time"),
        Err(Tight { text, remedy }) => Found::bad(text, remedy),
    }
}

/// Compares the memory that is left with what a replay takes, and the build if it is still to come.
pub fn memory(lab: &Result<Lab, Found>) -> Found {
    let Some((mb, bound)) = available() else {
        return Found::skip("the system does not tell how much there is");
    };
    let is_made = lab.as_ref().is_ok_and(Lab::is_made);
    let replay = format!("{mb} MB are left{bound}, and a replay takes {REPLAY_MB}");
    let build = format!("{mb} MB are left{bound}, and building the kernel takes about {BUILD_MB}");
    let remedy = "End other programs, or give the container or virtual machine more";
    match mb {
        0..REPLAY_MB => Found::bad(replay, remedy),
        _ if is_made => Found::ok(replay),
        REPLAY_MB..BUILD_MB => Found::warn(build, remedy),
        _ => Found::ok(build),
    }
}

/// The megabytes that are left, and what bounds them if not the machine.
fn available() -> Option<(u64, &'static str)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let left = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? >> 10;
    match limit() {
        Some(limit) if limit < left => Some((limit, " (the limit of the control group)")),
        _ => Some((left, "")),
    }
}

/// The smallest limit of the control groups that this process is in, in megabytes.
fn limit() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let folder = root.join(path);
    let groups = folder
        .ancestors()
        .take_while(|group| group.starts_with(root));
    let bytes = |group: &Path| -> Option<u64> {
        let text = std::fs::read_to_string(group.join("memory.max")).ok()?;
        text.trim().parse().ok()
    };
    groups.filter_map(bytes).min().map(|bytes| bytes >> 20)
}
