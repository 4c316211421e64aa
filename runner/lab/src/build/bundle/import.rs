//! Takes the lab out of the file.
//!
//! All is unpacked into a cache of its own beside the reader's, and looked at there: what is not
//! right leaves nothing behind, and a run that is killed leaves no more than a folder that its
//! keeper removes. Then the entries that the reader's cache lacks move there, one by one, each
//! under its lock; there they are hashed, and stamped last, like any entry that was built.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Context as _, Result, bail, ensure};
use fs_err::{self as fs, File};
use lzma_rust2::XzReader;

use super::{Ask, FIRST, FORM, KINDS, Published, given, is_sha256, pinned};
use crate::Error;
use crate::build::cache::{Entry, Leftover, STAMP, Stamp};
use crate::build::fetch::{self, Patience};
use crate::build::fresh::Fresh;
use crate::build::pins::Pins;
use crate::build::setup::{self, Options};
use crate::build::sources::{self, Source};
use crate::build::unpack::{self, Rules};
use crate::build::{busybox, kernel};
use crate::system::files;
use crate::system::progress::Stage;
use crate::system::sandbox::CACHE;

/// The word that stands for what [`Published`] names.
pub const PUBLISHED: &str = "published";
/// How much memory unpacking may take, in KiB. What is packed by `export` takes 9 MiB.
const MEMORY: u32 = 128 << 10;
/// What is unpacked before the trees of the sources can be: what unpacks them, and the tarballs.
const FIRST_KINDS: [&str; 3] = ["tools", "kernel-source", "busybox-source"];
/// The name of a file that was fetched, beside the entries.
const FETCHED: &str = "lab.tar.xz";

/// Takes the lab from a file, a URL, or what is [`PUBLISHED`]. `sha256` is the hash that it has to
/// have; without one, that of what was published counts for a URL.
///
/// # Errors
/// When there is no such file, it cannot be fetched, is not whole, wants to write elsewhere, or is
/// of another version than the repository; when the cache cannot be written.
pub fn import(options: &Options, place: &str, sha256: Option<&str>, ask: Ask) -> Result<()> {
    if options.host_tools {
        unfit("a lab from a file has its own programs; leave --host-tools away")?;
    }
    let published = Published::read(&options.repository)?;
    let place = match (place, &published.url) {
        (PUBLISHED, Some(url)) => url,
        (PUBLISHED, None) => unfit(format!(
            "no lab was published for this state of the book ({} names none); `runner setup` \
             builds it",
            Published::LOCK
        ))?,
        _ => place,
    };
    if let Some(sha256) = sha256.filter(|sha256| !is_sha256(sha256)) {
        unfit(format!(
            "{sha256} is no SHA-256, which has 64 digits from 0 to f"
        ))?;
    }
    let fresh = Fresh::new(&options.cache)?;
    let staged = Options {
        cache: fresh.cache().frozen(),
        ..options.clone()
    };
    let file = at_hand(place, sha256, &published, staged.cache.root())?;
    let taken = take(&file, place, &staged, ask);
    let entries = taken.with_context(|| format!("nothing was taken from {place}"))?;
    for (kind, entry) in entries {
        land(options, kind, &entry)?;
    }
    Ok(())
}

/// What has been read of the file is of no use.
#[derive(Debug, thiserror::Error)]
#[error("is not wanted any more")]
struct GivenUp;

/// The command line is wrong.
fn unfit<T>(why: impl Into<String>) -> Result<T> {
    bail!(Error::Unfit(why.into()))
}

/// The file, fetched if it is elsewhere, with the hash that it should have, if there is one.
fn at_hand(
    place: &str,
    sha256: Option<&str>,
    published: &Published,
    folder: &Path,
) -> Result<PathBuf> {
    if fetch::is_url(place) {
        let Some(sha256) = sha256.or(published.sha256.as_deref()) else {
            return unfit(format!(
                "nothing tells which bytes {place} should have: {} has no hash; --sha256 names it",
                Published::LOCK
            ));
        };
        let target = folder.join(FETCHED);
        let mut stage = Stage::begin(format!("fetch {place}"));
        let seen = |bytes, all| stage.at_bytes(bytes, all);
        fetch::file(place, &target, sha256, Patience::default(), seen)?;
        stage.done();
        return Ok(target);
    }
    let file = PathBuf::from(place);
    if !file.is_file() {
        unfit(format!(
            "{place} is no file; give one that `runner lab export` has written, or a URL"
        ))?;
    }
    let hash = files::sha256_of_file(&file)?;
    match sha256 {
        Some(sha256) => fetch::pinned(place, &hash, sha256)?,
        None if published.sha256.as_ref() == Some(&hash) => {}
        None => eprintln!(
            "note: {place} is not the lab that was published for this state of the book, so its \
             kernel and its programs are what its maker says (SHA-256 {hash})"
        ),
    }
    Ok(file)
}

/// Unpacks the file into the staged cache, and gives its entries once all is known to be right.
fn take(
    file: &Path,
    place: &str,
    staged: &Options,
    ask: Ask,
) -> Result<Vec<(&'static str, Entry)>> {
    let mut stage = Stage::begin(format!("take the lab from {place}"));
    let all = fs::metadata(file)?.len();
    let bytes = BufReader::with_capacity(1 << 16, File::open(file)?);
    let seen = Seen(bytes, 0, |count| stage.at_bytes(count, Some(all)));
    let (start, started) = sync_channel(1);
    let has_failed = AtomicBool::new(false);
    let found = std::thread::scope(|scope| {
        let trees = scope.spawn(|| {
            let done = trees(staged, started);
            has_failed.store(done.is_err(), Ordering::Relaxed);
            done
        });
        let found = archive(seen, staged.cache.root(), &has_failed, || {
            // Who does not listen any more has failed, and says why.
            let _ = start.send(());
        });
        match &found {
            // It may not have had all of the first kinds.
            Ok(_) => _ = start.try_send(()),
            Err(_) => drop(start),
        }
        (found, trees.join().expect("unpacking does not panic"))
    });
    let found = match found {
        (Err(error), trees) if error.is::<GivenUp>() => trees.and(Err(error))?,
        (found, trees) => found.and_then(|found| trees.map(|()| found))?,
    };
    stage.at("a last look");
    ask(staged).map_err(|error| of_another_version(error, staged))?;
    let entries = given(&staged.cache);
    let asked: BTreeSet<_> = entries
        .iter()
        .map(|(_, entry)| entry.folder.clone())
        .collect();
    let odd = found
        .iter()
        .find(|entry| !asked.contains(&staged.cache.root().join(entry)));
    if let Some(odd) = odd {
        unfit(format!(
            "it is of another version: nothing here asks for its {}",
            odd.display()
        ))?;
    }
    stage.done();
    Ok(entries)
}

/// What it means that an entry is not there.
fn of_another_version(error: anyhow::Error, staged: &Options) -> anyhow::Error {
    match Error::of(&error) {
        Some(Error::Absent { kind, how }) if how == "not there" => {
            let others = fs::read_dir(staged.cache.root().join(kind)).is_ok();
            let has = if others { "another" } else { "no" };
            Error::Unfit(format!(
                "it is of another version than this checkout: it has {has} {kind}; take the file \
                 that belongs to this checkout, or have `runner setup` build the lab"
            ))
            .into()
        }
        _ => error,
    }
}

/// Unpacks the archive into `top`, and gives the entries that are in it, `kind/key`. `start` is
/// called when [`FIRST_KINDS`] are there.
fn archive(
    bytes: impl Read,
    top: &Path,
    has_failed: &AtomicBool,
    start: impl Fn(),
) -> Result<BTreeSet<PathBuf>> {
    let entries = RefCell::new(BTreeSet::new());
    let members = RefCell::new(0);
    let place = |name: &Path| -> Result<Option<PathBuf>> {
        ensure!(!has_failed.load(Ordering::Relaxed), GivenUp);
        let parts: Vec<&str> = name.iter().filter_map(|part| part.to_str()).collect();
        *members.borrow_mut() += 1;
        if *members.borrow() == 1 {
            ensure!(
                parts == [FIRST],
                "should be {FIRST:?}: this is no lab that `runner lab export` has written"
            );
            return Ok(Some(name.to_owned()));
        }
        let [kind, key, inside, ..] = parts[..] else {
            bail!("belongs to no entry");
        };
        let is_key = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(is_key && KINDS.contains(&kind), "belongs to no entry");
        let entry = PathBuf::from_iter([kind, key]);
        match inside == STAMP && parts.len() == 3 {
            true => ensure!(entries.borrow_mut().insert(entry), "comes twice"),
            false => {
                ensure!(
                    entries.borrow().contains(&entry),
                    "belongs to an entry without a stamp"
                );
                let is_there =
                    |kind: &str| entries.borrow().iter().any(|entry| entry.starts_with(kind));
                if !FIRST_KINDS.contains(&kind) && is_there(FIRST_KINDS[2]) {
                    start();
                }
            }
        }
        Ok(Some(name.to_owned()))
    };
    let rules = Rules {
        what: "a lab",
        most: (8 << 30, 300_000, "no lab"),
        place: &place,
        // Both are roots: of the tools, and of what is seen of the cache by them.
        is_root: &|path, target| path.starts_with("tools") || target.starts_with(CACHE),
        mode: |mode| match mode & 0o111 {
            0 => 0o644,
            _ => 0o755,
        },
    };
    let mut reader = XzReader::new_mem_limit(bytes, false, MEMORY);
    unpack::into(top, &mut reader, &rules)?;
    let more = reader.into_inner().read(&mut [0])?;
    ensure!(more == 0, "there is something behind its end");
    let form = fs::read_to_string(top.join(FIRST))?;
    if form != FORM {
        unfit(format!(
            "it is of another version than this runner, which writes `{}` in it",
            FORM.trim_end()
        ))?;
    }
    let entries = entries.into_inner();
    for entry in &entries {
        let stamp = fs::read(top.join(entry).join(STAMP))?;
        let stamp: Stamp = serde_json::from_slice(&stamp)
            .with_context(|| format!("the stamp of its {}", entry.display()))?;
        ensure!(
            entry.ends_with(stamp.inputs.key()),
            "its {} is not made of what its stamp says",
            entry.display()
        );
    }
    Ok(entries)
}

/// Unpacks the tarballs of the sources, once they are there, to where they were built.
fn trees(staged: &Options, started: Receiver<()>) -> Result<()> {
    if started.recv().is_err() {
        return Ok(());
    }
    drop(started);
    let absent = |error| of_another_version(error, staged);
    let sandbox = setup::programs(staged).map_err(absent)?;
    let sandbox = sandbox.tried().context(
        "the system makes no namespaces for the lab's own programs (`runner doctor` says what \
         helps), and this machine's own would make another lab",
    )?;
    let pins = Pins::read(&staged.repository)?;
    let kernel = setup::kernel_source(staged, &pins).map_err(absent)?;
    pinned(staged, &kernel)?;
    let mirror = staged.mirror.as_deref();
    let busybox = sources::busybox(&staged.cache, &pins.busybox, mirror).map_err(absent)?;
    let fill = |kind: &str, tree: &str, source: &Source| -> Result<()> {
        for entry in fs::read_dir(staged.cache.root().join(kind))
            .into_iter()
            .flatten()
        {
            let tree = entry?.path().join(tree);
            fs::create_dir_all(&tree)?;
            kernel::fill(&sandbox, source, &tree)?;
        }
        Ok(())
    };
    fill("busybox", busybox::TREE, &busybox)?;
    fill("kernel", kernel::TREE, &kernel)
}

/// Moves an entry to the cache of the options, unless it is there.
fn land(options: &Options, kind: &'static str, entry: &Entry) -> Result<()> {
    let waiting = || eprintln!("{kind}: another run is making it, waiting for that");
    let Stamp {
        inputs, outputs, ..
    } = &entry.stamp;
    let landed = options
        .cache
        .ensure(kind, inputs, Leftover::Discard, waiting, |folder| {
            fs::remove_file(entry.path(STAMP))?;
            fs::rename(&entry.folder, folder)?;
            Ok(outputs.keys().cloned().collect())
        })?;
    ensure!(
        landed.stamp.outputs == *outputs,
        "the disk has changed the entry {kind} on its way: {}",
        landed.folder.display()
    );
    Ok(())
}

/// Tells how many bytes were read.
struct Seen<R, F>(R, u64, F);

impl<R: Read, F: FnMut(u64)> Read for Seen<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1 += count as u64;
        (self.2)(self.1);
        Ok(count)
    }
}
