//! Where the dynamic linker of this machine would find a shared library.
//!
//! The linker itself could be asked (`--list`), but then a program that is to run in the guest
//! because nobody trusts it would name the program that runs here. So its rules are followed
//! instead: ld.so(8). The crate `lddtree` (0.5.1) executes nothing either, but follows other rules:
//! what a program's DT_RPATH says does not count for what its libraries need, DT_RUNPATH comes
//! before LD_LIBRARY_PATH, and at an interpreter that is called `/` it panics.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What the linker looks up before its own folders, with the libraries of every folder of its
/// configuration.
pub const CACHE: &str = "/etc/ld.so.cache";

/// The linker's own folders, of glibc on Debian and elsewhere, and of musl.
const FOLDERS: [&str; 7] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/local/lib",
    "/usr/lib",
];

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// A library of glibc, for x86-64.
const FLAGS: u32 = 0x0303;

/// The rules of one machine.
#[derive(Debug, Default)]
pub struct Linker {
    library_path: Vec<PathBuf>,
    cache: HashMap<Vec<u8>, PathBuf>,
}

impl Linker {
    /// Those of this machine, with the folders of LD_LIBRARY_PATH. Without a cache there are still
    /// the linker's own folders.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let library_path = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        Self {
            library_path: std::env::split_paths(&library_path).collect(),
            cache: parse(&std::fs::read(CACHE).unwrap_or_default()).unwrap_or_default(),
        }
    }

    /// The places at which a library may lie, best first: `rpath` comes before LD_LIBRARY_PATH,
    /// `runpath` behind it.
    pub fn places<'a>(
        &'a self,
        name: &'a str,
        rpath: &'a [PathBuf],
        runpath: &'a [PathBuf],
    ) -> impl Iterator<Item = PathBuf> + 'a {
        let before = rpath.iter().chain(&self.library_path).chain(runpath);
        let own = FOLDERS
            .iter()
            .map(move |folder| Path::new(folder).join(name));
        before
            .map(move |folder| folder.join(name))
            .chain(self.cache.get(name.as_bytes()).cloned())
            .chain(own)
    }
}

/// The libraries of a cache by name; `None` when it is damaged, or of a form that is not known.
fn parse(bytes: &[u8]) -> Option<HashMap<Vec<u8>, PathBuf>> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let text = |at: u32| {
        let rest = bytes.get(at as usize..)?;
        rest.split(|byte| *byte == 0).next()
    };
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let mut found = HashMap::new();
    for index in 0..number(MAGIC.len())? as usize {
        let at = HEADER + index * ENTRY;
        // Other architectures, and variants for processors that the guest need not have.
        if number(at)? != FLAGS || number(at + 16)? != 0 || number(at + 20)? != 0 {
            continue;
        }
        let path = std::str::from_utf8(text(number(at + 8)?)?).ok()?;
        found
            .entry(text(number(at + 4)?)?.to_vec())
            .or_insert_with(|| PathBuf::from(path));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_of_this_machine_knows_the_c_library() {
        let cache = parse(&std::fs::read(CACHE).unwrap()).unwrap();
        let library = &cache[&b"libc.so.6"[..]];
        assert!(library.is_file(), "{}", library.display());
    }

    #[test]
    fn a_damaged_cache_is_no_cache() {
        let bytes = std::fs::read(CACHE).unwrap();
        assert!(parse(&[]).is_none());
        assert!(parse(&bytes[1..]).is_none());
        assert!(parse(&bytes[..HEADER + 3 * ENTRY + 1]).is_none());
    }

    #[test]
    fn what_the_program_says_comes_before_and_behind_the_users_folders() {
        let linker = Linker {
            library_path: vec!["/user".into()],
            cache: HashMap::from([(b"a.so".to_vec(), "/cached/a.so".into())]),
        };
        let places: Vec<_> = linker
            .places("a.so", &["/before".into()], &["/behind".into()])
            .collect();
        let first = ["/before/a.so", "/user/a.so", "/behind/a.so", "/cached/a.so"];
        assert_eq!(places[..4], first.map(PathBuf::from));
        assert_eq!(places[4], Path::new(FOLDERS[0]).join("a.so"));
    }
}
