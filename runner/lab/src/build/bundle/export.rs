//! Writes the file.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use fs_err::{self as fs, File};
use tar::{Builder, EntryType, Header};
use walkdir::WalkDir;

use super::{Ask, FIRST, FORM, given, pinned};
use crate::Error;
use crate::build::cache::{Entry, STAMP, Stamp};
use crate::build::setup::Options;
use crate::build::tarball::{self, Listing};
use crate::build::{busybox, kernel, recipe, tools};
use crate::system::files;
use crate::system::progress::Stage;
use crate::system::sandbox::Sandbox;
use crate::system::scratch::Scratch;

/// What packs the archive: the tool root's, so its bytes are the same everywhere. Blocks let it use
/// all processors, and `+` has it make them on a machine with one, too.
const PACK: [&str; 6] = [
    "xz",
    "-6",
    "-c",
    "-T+0",
    "--block-size=48MiB",
    "--check=sha256",
];

/// How the name begins of the folder in which the file is written.
const PREFIX: &str = ".theseus-export-";

/// What was written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: String,
}

/// A member of the archive.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Member {
    name: String,
    what: What,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum What {
    /// Bytes of our own.
    Bytes(Vec<u8>),
    /// A file, and whether it can be run.
    File(PathBuf, bool),
    /// A link to there.
    Link(PathBuf),
    /// An empty folder.
    Folder,
}

/// Writes the lab of the options into `file`, and makes it before if it is not there. `file` is
/// there afterwards only if all went well.
///
/// # Errors
/// When there is such a file; when the lab cannot be made, or is not of what the repository pins;
/// when the file cannot be written.
pub fn export(options: &Options, file: &Path, ask: Ask) -> Result<Exported> {
    if fs::symlink_metadata(file).is_ok() {
        bail!(Error::Unfit(format!(
            "{} is there already, and stays; give another name",
            file.display()
        )));
    }
    // What is not finished goes with the runner, however that ends.
    let place = std::path::absolute(file)?;
    let beside = place.parent().unwrap_or(&place);
    let folder = Scratch::new_in(beside, PREFIX)
        .with_context(|| format!("make a folder beside {}", file.display()))?;
    let partial = folder.path().join("partial");
    let exported = write(options, &partial, ask)?;
    fs::rename(&partial, file)?;
    Ok(exported)
}

fn write(options: &Options, partial: &Path, ask: Ask) -> Result<Exported> {
    // Whether it can be written is known before minutes have passed.
    let target = File::create(partial)?;
    let lab = ask(options)?;
    if lab.sandbox.is_machine() {
        bail!(Error::Unfit(
            "the lab was made by this machine's own programs, and is of no use to others; \
             `runner doctor` says what keeps the lab's own from running"
                .to_owned()
        ));
    }
    let mut stage = Stage::begin("pack the lab");
    let sources = [
        pinned(options, &lab.kernel.source)?,
        lab.busybox
            .source
            .tarball()
            .context("busybox has a tarball")?,
    ];
    let [kernel, busybox] = sources.map(|tarball| tarball::list(&lab.sandbox, tarball));
    let (kernel, busybox) = (kernel?, busybox?);
    let mut members = vec![Member::bytes(FIRST.to_owned(), FORM)];
    let entries = given(&options.cache);
    for (kind, entry) in &entries {
        members.push(Member::bytes(
            format!("{}/{STAMP}", place(kind, entry)),
            &stamp(entry)?,
        ));
    }
    for (kind, entry) in &entries {
        members.extend(members_of(kind, entry, &kernel, &busybox)?);
    }
    let bytes = pack(&lab.sandbox, &members, kernel.newest, target, &mut stage)?;
    let sha256 = files::sha256_of_file(partial)?;
    stage.done();
    Ok(Exported { bytes, sha256 })
}

/// Where an entry lies in the archive.
fn place(kind: &str, entry: &Entry) -> String {
    let key = entry.folder.file_name().unwrap_or_default();
    format!("{kind}/{}", key.display())
}

/// The stamp of an entry, without what its files are like on this disk.
fn stamp(entry: &Entry) -> Result<String> {
    let stamp = Stamp {
        seen: Default::default(),
        ..entry.stamp.clone()
    };
    Ok(serde_json::to_string_pretty(&stamp)?)
}

/// What of an entry goes into the archive.
fn members_of(
    kind: &str,
    entry: &Entry,
    kernel: &Listing,
    busybox: &Listing,
) -> Result<Vec<Member>> {
    let outputs: HashSet<&Path> = entry.stamp.outputs.keys().map(Path::new).collect();
    for (output, hash) in &entry.stamp.outputs {
        let path = entry.path(output);
        let found = files::sha256_of_file(&path)?;
        ensure!(&found == hash, "{} is not as it was made", path.display());
    }
    let is_wanted = |path: &Path| {
        let built = |tree: &str, tarball: &Listing, is_of_use: fn(&Path) -> bool| match path
            .strip_prefix(tree)
        {
            Ok(inside) => {
                !tarball.names.contains(inside) && (outputs.contains(path) || is_of_use(inside))
            }
            Err(_) => outputs.contains(path) || path == recipe::LOG,
        };
        match kind {
            "tools" => path.starts_with(tools::ROOT),
            "kernel" => built(kernel::TREE, kernel, kernel::is_of_use),
            "busybox" => built(busybox::TREE, busybox, busybox::is_of_use),
            _ => outputs.contains(path),
        }
    };
    let top = place(kind, entry);
    let mut members = Vec::new();
    for found in WalkDir::new(&entry.folder).min_depth(1).sort_by_file_name() {
        let found = found?;
        let inside = found.path().strip_prefix(&entry.folder)?;
        if !is_wanted(inside) {
            continue;
        }
        let path = found.path();
        let data = found.metadata()?;
        let what = if data.is_dir() {
            if fs::read_dir(path)?.next().is_some() {
                continue;
            }
            What::Folder
        } else if data.is_symlink() {
            What::Link(fs::read_link(path)?)
        } else if inside == recipe::LOG {
            What::Bytes(commands(&fs::read_to_string(path)?).into_bytes())
        } else {
            What::File(path.to_owned(), data.permissions().mode() & 0o100 != 0)
        };
        let inside = inside.to_str().context("a name that is no UTF-8")?;
        let name = format!("{top}/{inside}");
        members.push(Member { name, what });
    }
    Ok(members)
}

/// The commands of a log, each once: a build that was killed has begun again, and what `make` says
/// comes in another order each time.
fn commands(log: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in log.lines().filter(|line| line.starts_with("$ ")) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

impl Member {
    fn bytes(name: String, bytes: &str) -> Self {
        let what = What::Bytes(bytes.as_bytes().to_vec());
        Self { name, what }
    }

    /// How many bytes it has.
    fn size(&self) -> Result<u64> {
        Ok(match &self.what {
            What::Bytes(bytes) => bytes.len() as u64,
            What::File(path, _) => fs::metadata(path)?.len(),
            What::Link(_) | What::Folder => 0,
        })
    }
}

/// Packs the members, all of this time, and tells how many bytes that makes.
fn pack(
    sandbox: &Sandbox,
    members: &[Member],
    time: u64,
    target: File,
    stage: &mut Stage,
) -> Result<u64> {
    let sizes: Result<Vec<u64>> = members.iter().map(Member::size).collect();
    let sizes = sizes?;
    let all = sizes.iter().sum();
    let written = target.try_clone()?;
    let mut process = sandbox.view().start(&PACK, |command| {
        command
            .stdin(Stdio::piped())
            .stdout(target.into_parts().0)
            .stderr(Stdio::piped());
    })?;
    let stdin = process.child.stdin.take().context("xz has no input")?;
    let packed = archive(stdin, members, &sizes, time, |bytes| {
        stage.at_bytes(bytes, Some(all));
    });
    let output = process.output()?;
    ensure!(
        output.status.success(),
        "xz failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    packed?;
    written.sync_all()?;
    Ok(written.metadata()?.len())
}

/// Writes the archive into `target`; `seen` is told how many bytes of files are in it.
fn archive(
    target: impl Write,
    members: &[Member],
    sizes: &[u64],
    time: u64,
    mut seen: impl FnMut(u64),
) -> Result<()> {
    let mut builder = Builder::new(io::BufWriter::with_capacity(1 << 16, target));
    let mut before = 0;
    for (Member { name, what }, &size) in members.iter().zip(sizes) {
        let mut header = Header::new_gnu();
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(0o644);
        header.set_size(size);
        let mut append = || match what {
            What::Bytes(bytes) => builder.append_data(&mut header, name, &**bytes),
            What::File(path, executable) => {
                header.set_mode(if *executable { 0o755 } else { 0o644 });
                let seen = |count| seen(before + count);
                let file = Counted(std::fs::File::open(path)?.take(size), 0, seen);
                builder.append_data(&mut header, name, file)
            }
            What::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                builder.append_link(&mut header, name, target)
            }
            What::Folder => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
                builder.append_data(&mut header, format!("{name}/"), io::empty())
            }
        };
        append().with_context(|| format!("pack {name}"))?;
        before += size;
    }
    let mut target = builder.into_inner()?;
    Ok(target.flush()?)
}

/// Counts what is read.
struct Counted<R, F>(R, u64, F);

impl<R: Read, F: FnMut(u64)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1 += count as u64;
        self.2(self.1);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_the_commands_stay_each_once() {
        let log = "$ configure\n  CC  b.o\n$ make\n  CC a.o\n$ configure\n$ make\nold $ x\n";
        assert_eq!(commands(log), "$ configure\n$ make\n");
    }
}
