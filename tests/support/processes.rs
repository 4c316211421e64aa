//! Which processes there are, and who has started them.

use std::collections::BTreeSet;
use std::fs;

/// The processes that have this path in their environment or on their command line, and those that
/// they have started: in the sandbox nothing tells where its private folder lies.
pub fn of_place(path: &str) -> Vec<u32> {
    and_theirs(|pid| has(pid, "environ", path) || has(pid, "cmdline", path))
}

/// Whether a file that tells of a process holds this.
pub fn has(pid: u32, file: &str, text: &str) -> bool {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).contains(text)
}

/// Some processes, and those that they have started.
pub fn and_theirs(some: impl Fn(u32) -> bool) -> Vec<u32> {
    let all = all();
    let mut found: BTreeSet<u32> = all.iter().copied().filter(|pid| some(*pid)).collect();
    loop {
        let children = all.iter().copied().filter(|pid| {
            !found.contains(pid) && parent(*pid).is_some_and(|parent| found.contains(&parent))
        });
        let children: Vec<u32> = children.collect();
        if children.is_empty() {
            return found.into_iter().collect();
        }
        found.extend(children);
    }
}

/// Who has started a process, if it still is.
pub fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // NUMBER (NAME) STATE PARENT …
    let mut words = stat.rsplit_once(") ")?.1.split(' ');
    // One that has ended, and that nobody has asked about yet, is none.
    let state = words.next()?;
    (state != "Z").then(|| words.next()?.parse().ok()).flatten()
}

/// When a process was started, in hundredths of a second since the machine was.
pub fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The first behind the name is the third word of the file, and this one the 22nd.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// For how long the machine has been running, in hundredths of a second.
pub fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    let (seconds, rest) = text.split_once('.').unwrap();
    seconds.parse::<u64>().unwrap() * 100 + rest[..2].parse::<u64>().unwrap()
}

/// All processes.
pub fn all() -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap();
    let names = all.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).collect()
}

/// The words of its command line, each with a blank behind it.
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
