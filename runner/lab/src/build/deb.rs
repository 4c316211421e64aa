//! Unpacks Debian's packages, without Debian's programs.
//!
//! A `.deb` is an archive of `ar` with three members, of which the last is a packed tar archive of
//! the files. Nothing is run of what the package would run, and nothing of it is installed: its
//! files go into a folder that is the root of whoever is started in it. There /usr is merged, as it
//! is in Debian since its release 12: /bin, /sbin and /lib are links into /usr.

use std::io::{BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::bufread::GzDecoder;
use fs_err::File;
use lzma_rust2::XzReader;

use crate::build::unpack::{self, Rules};

/// How every archive of `ar` begins.
const MAGIC: &[u8] = b"!<arch>\n";
/// The member with the files, packed as Debian packs, and as it packs what is packed already.
const DATA: [&str; 2] = ["data.tar.xz", "data.tar.gz"];
/// The folders that lie in /usr, and are links at the top.
pub const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];
/// How much memory unpacking may take, in KiB. xz takes 65 MiB for what it packs best.
const MEMORY: u32 = 128 << 10;

/// Unpacks the files of a package into `root`, which is there, but for those that are not `wanted`
/// (by their path from the root, without a leading slash). What no ordinary user could do is not
/// done: all belongs to the reader, and no program changes its user.
///
/// # Errors
/// When it is no package, is damaged, or has a member that is refused; when the folder cannot be
/// written. Then part of it may have been unpacked.
pub fn unpack(deb: &Path, root: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let place = |name: &Path| {
        let path = merged(name);
        let is_wanted = wanted(&path.to_string_lossy());
        Ok((!path.as_os_str().is_empty() && is_wanted).then_some(path))
    };
    let rules = Rules {
        what: "a package",
        most: (1 << 30, 100_000, "no package"),
        place: &place,
        is_root: &|_, _| true,
        mode: |mode| mode & 0o755 | 0o600,
    };
    let name = deb.file_name().unwrap_or_default().display();
    let unpack = || {
        let (data, is_xz) = data(deb)?;
        let data = BufReader::new(data);
        match is_xz {
            true => unpack::into(root, XzReader::new_mem_limit(data, false, MEMORY), &rules),
            false => unpack::into(root, GzDecoder::new(data), &rules),
        }
    };
    unpack().with_context(|| format!("the package {name} cannot be unpacked"))
}

/// The place of a file in a root whose /usr is merged.
fn merged(name: &Path) -> PathBuf {
    let is_merged = MERGED.iter().any(|folder| name.starts_with(folder));
    match is_merged {
        true => Path::new("usr").join(name),
        false => name.to_owned(),
    }
}

/// The packed archive of a package's files, and whether xz has packed it.
fn data(deb: &Path) -> Result<(impl Read, bool)> {
    let mut file = File::open(deb)?;
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).context("it is cut short")?;
    ensure!(magic == MAGIC, "it is no archive of ar");
    loop {
        let mut header = [0; 60];
        file.read_exact(&mut header)
            .with_context(|| format!("it has no {}, or is cut short", DATA[0]))?;
        let text = str::from_utf8(&header).ok().filter(|text| text.is_ascii());
        let text = text.context("it is damaged")?;
        let (name, size) = (text[..16].trim_end(), text[48..58].trim_end());
        let size: u64 = size.parse().context("it is damaged")?;
        // Some write a slash behind a name.
        let name = name.trim_end_matches('/');
        if DATA.contains(&name) {
            return Ok((file.take(size), name == DATA[0]));
        }
        if name.starts_with("data.tar") {
            bail!(
                "its files are in {name}, and only {} can be unpacked",
                DATA.join(" or ")
            );
        }
        // Members begin at even places.
        let skip = size.next_multiple_of(2);
        file.seek_relative(i64::try_from(skip).context("it is damaged")?)?;
    }
}
