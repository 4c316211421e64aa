//! Which lines of the kernel a chapter runs.
//!
//! QEMU tells each instruction that it translates, which it does when it is about to be run. The
//! debug information tells the lines.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use book::chapter::Chapter;
use gimli::{Dwarf, EndianSlice, LittleEndian};
use lab::build::setup::Lab;
use object::{Object as _, ObjectSection as _};
use rustix::fs::OFlags;

use crate::repository;

/// A line of a file of the kernel.
pub type Line = (String, u32);
type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// Stands in front of QEMU, and has it tell what it translates of the kernel. It does so into a
/// FIFO: a file may not grow as large as what chapter 6 has to tell. Where a chapter boots the
/// kernel of another series, too, the addresses are that one's, and nobody is told.
const QEMU: &str = "#!/bin/sh
case \"$*\" in
*\"-kernel SERIES/\"*) ;;
*-version* | *\"-kernel \"[0-9]*) exec /usr/bin/qemu-system-x86_64 \"$@\";;
esac
[ -p executed.log ] || mkfifo executed.log
exec /usr/bin/qemu-system-x86_64 -d in_asm -dfilter 0xffffffff81000000..0xffffffff81ffffff \\
    -D executed.log \"$@\"
";

/// The lines of the kernel by the addresses of their instructions.
pub struct Lines(BTreeMap<u64, BTreeSet<Line>>);

impl Lines {
    /// Those of the lab's kernel, by its debug information.
    pub fn of(lab: &Lab) -> Self {
        let bytes = std::fs::read(&lab.kernel.vmlinux).unwrap();
        let elf = object::File::parse(&*bytes).unwrap();
        let dwarf = Dwarf::load(|id| {
            let section = elf.section_by_name(id.name());
            let data = section.map(|section| section.data().unwrap());
            Ok::<_, gimli::Error>(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
        });
        let dwarf = dwarf.unwrap();
        let mut lines: BTreeMap<u64, BTreeSet<Line>> = BTreeMap::new();
        let mut units = dwarf.units();
        while let Some(header) = units.next().unwrap() {
            let unit = dwarf.unit(header).unwrap();
            add(&dwarf, &unit, &mut lines).unwrap();
        }
        assert!(lines.len() > 100_000, "{} lines", lines.len());
        Self(lines)
    }

    /// The lines that a chapter runs. Those where its debugger stops must be among them.
    pub fn run_by(&self, chapter: &Chapter) -> BTreeSet<Line> {
        let Chapter { number, name, .. } = chapter;
        let addresses = executed(*number);
        let known = addresses.iter().filter_map(|address| self.0.get(address));
        let lines: BTreeSet<Line> = known.flatten().cloned().collect();
        assert!(!lines.is_empty(), "chapter {number} runs nothing");
        let snapshot = book::snapshot::path(&repository(), lab::SERIES, name);
        let stops = stops(&std::fs::read_to_string(snapshot).unwrap());
        let missing: Vec<&Line> = stops.difference(&lines).collect();
        assert!(missing.is_empty(), "chapter {number} runs {missing:?}, too");
        lines
    }
}

/// Adds the lines of a unit.
fn add(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &gimli::Unit<Reader<'_>>,
    lines: &mut BTreeMap<u64, BTreeSet<Line>>,
) -> gimli::Result<()> {
    let Some(program) = unit.line_program.clone() else {
        return Ok(());
    };
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut rows = program.rows();
    while let Some((header, row)) = rows.next_row()? {
        let (Some(number), false) = (row.line(), row.end_sequence()) else {
            continue;
        };
        let name = match names.entry(row.file_index()) {
            Entry::Occupied(name) => name.into_mut(),
            Entry::Vacant(place) => {
                let Some(file) = row.file(header) else {
                    continue;
                };
                let mut name = String::new();
                for part in [file.directory(header), Some(file.path_name())] {
                    let part = part.map(|part| dwarf.attr_string(unit, part)).transpose()?;
                    let part = part.unwrap_or_default().to_string_lossy().into_owned();
                    if !name.is_empty() {
                        name += "/";
                    }
                    name += part.trim_start_matches("./").trim_matches('.');
                }
                place.insert(name)
            }
        };
        let line = (name.clone(), u32::try_from(number.get()).unwrap());
        lines.entry(row.address()).or_default().insert(line);
    }
    Ok(())
}

/// The lines where the debugger says that it has stopped, because of a breakpoint.
fn stops(snapshot: &str) -> BTreeSet<Line> {
    let places = snapshot.lines().filter_map(|line| {
        let (_, stop) = line.split_once("reakpoint ")?;
        let (_, place) = stop.rsplit_once(") at ")?;
        let (file, number) = place.trim_start_matches("./").rsplit_once(':')?;
        Some((file.to_owned(), number.parse().ok()?))
    });
    places.collect()
}

/// The addresses of what QEMU translates while a chapter is replayed.
fn executed(chapter: u32) -> BTreeSet<u64> {
    let folder = tempfile::tempdir().unwrap();
    let front = folder.path().join("front");
    std::fs::create_dir(&front).unwrap();
    let qemu = front.join("qemu-system-x86_64");
    std::fs::write(&qemu, QEMU.replace("SERIES", lab::SERIES)).unwrap();
    std::fs::set_permissions(&qemu, PermissionsExt::from_mode(0o755)).unwrap();
    let mut runner = Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(["chapter", &chapter.to_string(), "--json"])
        .current_dir(repository())
        .env("THESEUS_PROGRAMS", &front)
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut logs: BTreeMap<PathBuf, Log> = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    let status = loop {
        let ended = runner.try_wait().unwrap();
        let mut is_quiet = true;
        for log in logs.values_mut() {
            is_quiet &= !log.read(&mut addresses);
        }
        if let Some(status) = ended {
            break status;
        }
        if is_quiet {
            for path in fifos(folder.path()) {
                if !logs.contains_key(&path)
                    && let Ok(log) = Log::open(&path)
                {
                    logs.insert(path, log);
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    // A chapter in real time may be otherwise beside all this, and has run all the same.
    assert!(
        matches!(status.code(), Some(0 | 1)),
        "chapter {chapter}: {status}"
    );
    addresses
}

/// A FIFO that QEMU writes to, and the part of a line that was read last.
struct Log {
    file: File,
    rest: Vec<u8>,
}

impl Log {
    fn open(path: &Path) -> std::io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)?;
        let rest = Vec::new();
        Ok(Self { file, rest })
    }

    /// Takes the addresses of all that has been written, and tells whether there was something.
    fn read(&mut self, addresses: &mut BTreeSet<u64>) -> bool {
        let before = self.rest.len();
        match self.file.read_to_end(&mut self.rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n');
        let text: Vec<u8> = self.rest.drain(..whole.map_or(0, |at| at + 1)).collect();
        for line in String::from_utf8_lossy(&text).lines() {
            let address = line.split(':').next().and_then(|a| a.strip_prefix("0x"));
            addresses.extend(address.and_then(|a| u64::from_str_radix(a, 16).ok()));
        }
        !text.is_empty() || self.rest.len() > before
    }
}

/// The FIFOs in the folders below this one.
fn fifos(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_fifo() => found.push(entry.path()),
            Ok(kind) if kind.is_dir() => found.extend(fifos(&entry.path())),
            _ => {}
        }
    }
    found
}
