//! Unpacks a tarball that nobody has checked: the reader's own, or a pinned one that the disk has
//! damaged.
//!
//! What is unpacked stays inside its folder. A member goes only where folders of the tarball itself
//! lead, never through a link, and a link leads only to what is inside. Nothing replaces what is
//! there, so a name cannot become something else. Of a tarball that wants more, or is bigger than a
//! kernel can be, nothing is kept, and the member is named.
//!
//! The packed bytes are unpacked by the programs that tar itself would call.
//!
//! The crate `tar` reads the headers. What its own `unpack` does stays inside, too, but is not what
//! is wanted of a source: it passes over a member that climbs out and says nothing, makes links
//! that lead anywhere, lets a member replace another, makes empty files of devices, and takes a
//! tarball for whole that ends before its end.

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tar::{Archive, Entry, EntryType};

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

/// How much a tarball may be when it is unpacked. Linux 6.1 has 1.4 GB in 84 thousand members, and
/// has doubled in ten years.
const BYTES_MAX: u64 = 4 << 30;
const MEMBERS_MAX: usize = 300_000;
/// What may stand before the bytes of a member: its header, and a name that is too long for one.
const HEADERS_MAX: u64 = 1 << 20;
/// An empty block is the end of every tarball.
const END: u64 = 512;

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
        return Unpacking::new(folder).run(open()?);
    };
    let input = open()?;
    let process = sandbox.view().start(words, |command| {
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    });
    let mut process = process
        .with_context(|| format!("it takes {} to unpack it, which cannot be run", words[0]))?;
    let unpacked = match &mut process.child.stdout {
        Some(packed) => Unpacking::new(folder).run(packed),
        None => bail!("{} has no output", words[0]),
    };
    // What unpacks it knows better than that the bytes have ended. It has ended itself only if
    // there are no more.
    if unpacked.is_err() && process.end().is_empty() {
        return unpacked;
    }
    let output = process.output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    unpacked
}

/// A tarball on its way into a folder.
struct Unpacking<'a> {
    top: &'a Path,
    /// The folders that were made: the only ones that members may go into.
    folders: HashSet<PathBuf>,
    bytes: u64,
    members: usize,
}

impl<'a> Unpacking<'a> {
    fn new(top: &'a Path) -> Self {
        let folders = HashSet::from([PathBuf::new()]);
        let (bytes, members) = (0, 0);
        Self {
            top,
            folders,
            bytes,
            members,
        }
    }

    fn run(mut self, reader: impl Read) -> Result<()> {
        let (left, zeros) = (Cell::new(HEADERS_MAX), Cell::new(0));
        let mut archive = Archive::new(Bounded {
            reader,
            left: &left,
            zeros: &zeros,
        });
        let mut last = "its beginning".to_owned();
        for entry in archive.entries()? {
            let mut entry = entry.map_err(|error| {
                // It may quote what stands where a header should.
                let why = error.to_string().replace(char::is_control, "?");
                anyhow!("it is no tarball, or damaged, or cut short, behind {last}: {why}")
            })?;
            last = format!("{:?}", String::from_utf8_lossy(&entry.path_bytes()));
            left.set(entry.size().saturating_add(HEADERS_MAX));
            self.member(&mut entry)
                .with_context(|| format!("its member {last}"))?;
        }
        ensure!(zeros.get() >= END, "it is cut short behind {last}");
        ensure!(self.members > 0, "there is nothing in it");
        left.set(HEADERS_MAX);
        io::copy(&mut archive.into_inner(), &mut io::sink()).context("behind its end")?;
        Ok(())
    }

    fn member(&mut self, entry: &mut Entry<impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let name = entry.path_bytes().into_owned();
        let Some(path) = place(&name)? else {
            return Ok(());
        };
        self.members += 1;
        self.bytes = self.bytes.saturating_add(entry.size());
        ensure!(
            self.members <= MEMBERS_MAX && self.bytes <= BYTES_MAX,
            "is too much: no kernel has more than {MEMBERS_MAX} files, or {} GB",
            BYTES_MAX >> 30
        );
        // Before there was a letter for folders, a slash said it.
        if kind == EntryType::Directory || name.ends_with(b"/") {
            return self.folder(&path);
        }
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        match kind {
            EntryType::Regular | EntryType::Continuous => self.file(&path, entry),
            EntryType::Symlink => self.link(&path, &target),
            EntryType::Link => self.second_name(&path, &target),
            EntryType::Char | EntryType::Block => bail!("is a device"),
            EntryType::Fifo => bail!("is a pipe"),
            EntryType::GNUSparse => bail!("is a file with holes, which a source has not"),
            other => bail!(
                "is of a kind that a source has not ({:?})",
                other.as_byte() as char
            ),
        }
    }

    /// Makes a folder and those above it. What is there as something else is not followed.
    fn folder(&mut self, path: &Path) -> Result<()> {
        if self.folders.contains(path) {
            return Ok(());
        }
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        new(fs::create_dir(self.top.join(path)))?;
        self.folders.insert(path.to_owned());
        Ok(())
    }

    fn file(&self, path: &Path, entry: &mut Entry<impl Read>) -> Result<()> {
        let header = entry.header();
        let mode = match header.mode()? & 0o111 {
            0 => 0o644,
            _ => 0o755,
        };
        let written = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(header.mtime()?));
        let options = &mut OpenOptions::new();
        let options = options.write(true).create_new(true).mode(mode);
        let mut file = new(options.open(self.top.join(path)))?;
        let count = io::copy(entry, &mut file)?;
        ensure!(count == entry.size(), "is cut short");
        // By the times `make` sees what is to be made anew. It does not like those that are still
        // to come.
        if let Some(written) = written.filter(|written| *written < SystemTime::now()) {
            file.set_modified(written)?;
        }
        Ok(())
    }

    /// A link climbs first, and no further than to the top, and then only descends: so it stays
    /// inside even if it leads through others.
    fn link(&self, path: &Path, target: &[u8]) -> Result<()> {
        let shown = String::from_utf8_lossy(target);
        let mut height = path.components().count() - 1;
        let mut descends = false;
        for part in text(target)?.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(_) => descends = true,
                Component::ParentDir if height > 0 && !descends => height -= 1,
                _ => bail!("is a link that leads out: to {shown:?}"),
            }
        }
        new(symlink(OsStr::from_bytes(target), self.top.join(path)))
    }

    /// A hard link.
    fn second_name(&self, path: &Path, target: &[u8]) -> Result<()> {
        let shown = String::from_utf8_lossy(target);
        let first = place(target)
            .with_context(|| format!("is a hard link that leads out: to {shown:?}"))?
            .unwrap_or_default();
        let inside = self
            .folders
            .contains(first.parent().unwrap_or(Path::new("")));
        let first = self.top.join(first);
        let is_file = fs::symlink_metadata(&first).is_ok_and(|data| data.is_file());
        ensure!(
            inside && is_file,
            "is a hard link to what is no file of the tarball: {shown:?}"
        );
        new(fs::hard_link(first, self.top.join(path)))
    }
}

/// Where a member goes: its name without the first part. `None` is the top itself.
fn place(name: &[u8]) -> Result<Option<PathBuf>> {
    let mut parts = Vec::new();
    for part in text(name)?.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part),
            _ => bail!("leads out of the tarball"),
        }
    }
    Ok((parts.len() > 1).then(|| parts[1..].iter().collect()))
}

/// A name that can be shown, and that `make` can bear.
fn text(name: &[u8]) -> Result<&Path> {
    ensure!(
        !name.is_empty() && !name.iter().any(u8::is_ascii_control),
        "has a name with control characters"
    );
    Ok(Path::new(OsStr::from_bytes(name)))
}

/// Says what it means when something is there already.
fn new<T>(made: io::Result<T>) -> Result<T> {
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            anyhow!("comes twice, or lies behind what is no folder")
        }
        _ => error.into(),
    })
}

/// Reads only so much as is left, and counts the zeros at the end of what was read.
struct Bounded<'a, R> {
    reader: R,
    left: &'a Cell<u64>,
    zeros: &'a Cell<u64>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let bytes = &buffer[..count];
        let left = self.left.get().checked_sub(count as u64);
        let left = left.ok_or_else(|| io::Error::other("there is too much that is no member"))?;
        self.left.set(left);
        let at_end = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let before = if at_end == count { self.zeros.get() } else { 0 };
        self.zeros.set(before + at_end as u64);
        Ok(count)
    }
}
