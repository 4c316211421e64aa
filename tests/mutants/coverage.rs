//! Which lines of the kernel a chapter runs.
//!
//! QEMU tells each instruction that it translates, which it does when it is about to be run. The
//! debug information tells the lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lab::build::setup::Lab;

use crate::repository;

/// A line of a file of the kernel.
pub type Line = (String, u32);

/// Stands in front of QEMU, and has it tell what it translates of the kernel.
const QEMU: &str = "#!/bin/sh
case \"$*\" in *-version*) exec /usr/bin/qemu-system-x86_64 \"$@\";; esac
exec /usr/bin/qemu-system-x86_64 -d in_asm -dfilter 0xffffffff81000000..0xffffffff81ffffff \\
    -D executed.log \"$@\"
";

/// The lines of the kernel by the addresses of their instructions.
pub struct Lines(BTreeMap<u64, BTreeSet<Line>>);

impl Lines {
    /// Those of the lab's kernel.
    pub fn of(lab: &Lab) -> Self {
        let vmlinux = &lab.kernel.vmlinux;
        let view = lab.kernel.places.iter();
        let view = view.fold(lab.sandbox.view(), |view, place| view.with(place));
        let inside = lab.sandbox.inside(vmlinux);
        let words = ["objdump", "--dwarf=decodedline", inside.to_str().unwrap()];
        let text = view.output(&words, Stdio::null()).unwrap();
        let mut lines: BTreeMap<u64, BTreeSet<Line>> = BTreeMap::new();
        let mut file = String::new();
        for line in String::from_utf8_lossy(&text).lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                [path] | ["CU:", path] if path.ends_with(':') => {
                    file = path
                        .trim_end_matches(':')
                        .trim_start_matches("./")
                        .to_owned();
                }
                [_, number, address, ..] => {
                    let address = address.strip_prefix("0x");
                    let address = address.and_then(|a| u64::from_str_radix(a, 16).ok());
                    if let (Ok(number), Some(address)) = (number.parse(), address) {
                        lines
                            .entry(address)
                            .or_default()
                            .insert((file.clone(), number));
                    }
                }
                _ => {}
            }
        }
        assert!(lines.len() > 100_000, "{} lines", lines.len());
        Self(lines)
    }

    /// The lines that a chapter runs.
    pub fn run_by(&self, chapter: u32) -> BTreeSet<Line> {
        let log = executed(chapter);
        let mut lines = BTreeSet::new();
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let address = line.split(':').next().and_then(|a| a.strip_prefix("0x"));
            let address = address.and_then(|a| u64::from_str_radix(a, 16).ok());
            if let Some(found) = address.and_then(|address| self.0.get(&address)) {
                lines.extend(found.iter().cloned());
            }
        }
        assert!(!lines.is_empty(), "chapter {chapter} runs nothing");
        lines
    }
}

/// What QEMU tells while a chapter is replayed. Its folder is gone by then, but not what is open.
fn executed(chapter: u32) -> File {
    let folder = tempfile::tempdir().unwrap();
    let front = folder.path().join("front");
    std::fs::create_dir(&front).unwrap();
    let qemu = front.join("qemu-system-x86_64");
    std::fs::write(&qemu, QEMU).unwrap();
    std::fs::set_permissions(&qemu, PermissionsExt::from_mode(0o755)).unwrap();
    let mut runner = Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(["chapter", &chapter.to_string(), "--json"])
        .current_dir(repository())
        .env("THESEUS_PROGRAMS", &front)
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut log = None;
    let status = loop {
        log = log.or_else(|| File::open(log_in(folder.path())?).ok());
        if let Some(status) = runner.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "chapter {chapter}: {status}");
    log.unwrap_or_else(|| panic!("chapter {chapter} boots nothing"))
}

fn log_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut logs = entries.map(|entry| entry.path().join("executed.log"));
    logs.find(|log| log.exists())
}
