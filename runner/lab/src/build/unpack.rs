//! Unpacks a tar archive that nobody has checked into a folder, and nothing beyond it.
//!
//! A member goes only where folders lead, never through a link, and a link climbs no further than
//! to the folder. Nothing replaces what is there, so a name cannot become something else. What an
//! archive wants more is refused, with the member's name.
//!
//! The crate `tar` reads the headers. What its own `unpack` does stays inside, too, but is not what
//! is wanted here: it passes over a member that climbs out and says nothing, makes links that lead
//! anywhere, lets a member replace another, makes empty files of devices, and takes an archive for
//! whole that ends before its end.

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tar::{Archive, Entry, EntryType};

/// What may stand before the bytes of a member: its header, and a name that is too long for one.
const HEADERS_MAX: u64 = 1 << 20;
/// An empty block is the end of every archive.
const END: u64 = 512;

/// What differs from one kind of archive to another.
pub(super) struct Rules<'a> {
    /// What it is the archive of, as a complaint says it: `a source`.
    pub what: &'static str,
    /// How many bytes and members it may have, and who has no more: `no kernel`.
    pub most: (u64, usize, &'static str),
    /// Where a member goes, by its name without dots; nowhere, if it is left out.
    pub place: &'a dyn Fn(&Path) -> Result<Option<PathBuf>>,
    /// Whether the link at this place may begin with a slash, as to this target: because the folder
    /// is to be the root of whoever follows it.
    pub is_root: &'a dyn Fn(&Path, &Path) -> bool,
    /// The mode that a file of this mode gets.
    pub mode: fn(u32) -> u32,
}

/// Unpacks an archive into `folder`, which is there. Others may be unpacked into it before, or at
/// the same time: they may share folders, and nothing else.
///
/// # Errors
/// When it is no archive, is cut short, or has a member that is refused; when the folder cannot be
/// written. Then part of it may have been unpacked.
pub(super) fn into(folder: &Path, reader: impl Read, rules: &Rules) -> Result<()> {
    let unpacking = Unpacking {
        top: folder,
        rules,
        folders: HashSet::from([PathBuf::new()]),
        bytes: 0,
        members: 0,
        is_empty: true,
    };
    unpacking.run(reader)
}

/// An archive on its way into a folder.
struct Unpacking<'a> {
    top: &'a Path,
    rules: &'a Rules<'a>,
    /// The folders that are known to be some: the only ones that members may go into.
    folders: HashSet<PathBuf>,
    bytes: u64,
    members: usize,
    /// Nothing has a place.
    is_empty: bool,
}

impl Unpacking<'_> {
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
        ensure!(!self.is_empty, "there is nothing in it");
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
        let plain = plain(&name)?;
        self.members += 1;
        self.bytes = self.bytes.saturating_add(entry.size());
        let (bytes, members, who) = self.rules.most;
        ensure!(
            self.members <= members && self.bytes <= bytes,
            "is too much: {who} has more than {members} files, or {} GB",
            bytes >> 30
        );
        let Some(path) = (self.rules.place)(&plain)? else {
            return Ok(());
        };
        self.is_empty = false;
        // Before there was a letter for folders, a slash said it.
        if kind == EntryType::Directory || name.ends_with(b"/") {
            return self.folder(&path);
        }
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        let what = self.rules.what;
        match kind {
            EntryType::Regular | EntryType::Continuous => self.file(&path, entry),
            EntryType::Symlink => self.link(&path, &target),
            EntryType::Link => self.second_name(&path, &target),
            EntryType::Char | EntryType::Block => bail!("is a device"),
            EntryType::Fifo => bail!("is a pipe"),
            EntryType::GNUSparse => bail!("is a file with holes, which {what} has not"),
            other => bail!(
                "is of a kind that {what} has not ({:?})",
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
        let full = self.top.join(path);
        match fs::create_dir(&full) {
            Ok(()) => fs::set_permissions(&full, Permissions::from_mode(0o755))?,
            // Nothing is ever removed, so it stays a folder.
            Err(_) if fs::symlink_metadata(&full).is_ok_and(|data| data.is_dir()) => {}
            made => new(made)?,
        }
        self.folders.insert(path.to_owned());
        Ok(())
    }

    fn file(&self, path: &Path, entry: &mut Entry<impl Read>) -> Result<()> {
        let header = entry.header();
        let mode = (self.rules.mode)(header.mode()?);
        let written = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(header.mtime()?));
        let options = &mut OpenOptions::new();
        let options = options.write(true).create_new(true).mode(mode);
        let mut file = new(options.open(self.top.join(path)))?;
        let count = io::copy(entry, &mut file)?;
        ensure!(count == entry.size(), "is cut short");
        // Whatever the umask says.
        file.set_permissions(Permissions::from_mode(mode))?;
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
        let target = text(target)?;
        for part in target.components() {
            match part {
                Component::CurDir => {}
                Component::RootDir if (self.rules.is_root)(path, target) => descends = true,
                Component::Normal(_) => descends = true,
                Component::ParentDir if height > 0 && !descends => height -= 1,
                _ => bail!("is a link that leads out: to {shown:?}"),
            }
        }
        new(symlink(target, self.top.join(path)))
    }

    /// A hard link.
    fn second_name(&self, path: &Path, target: &[u8]) -> Result<()> {
        let shown = String::from_utf8_lossy(target);
        let first = plain(target)
            .with_context(|| format!("is a hard link that leads out: to {shown:?}"))?;
        let first = (self.rules.place)(&first)?.unwrap_or_default();
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

/// A name without its dots, if it stays inside.
fn plain(name: &[u8]) -> Result<PathBuf> {
    let mut parts = PathBuf::new();
    for part in text(name)?.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part),
            _ => bail!("leads out of the tarball"),
        }
    }
    Ok(parts)
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
