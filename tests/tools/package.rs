//! Packages that are made for a test.

use std::io::Write as _;

use tar::{Builder, EntryType};

use crate::archive::header;
use crate::toolbox::through;

/// The files of a package under construction, whose names and links are written as they are.
pub struct Files(pub Builder<Vec<u8>>);

impl Files {
    pub fn new() -> Self {
        Self(Builder::new(Vec::new())).with("./", EntryType::Directory, "", 0o755, b"")
    }

    pub fn with(self, name: &str, kind: EntryType, link: &str, mode: u32, bytes: &[u8]) -> Self {
        self.lying(name, kind, link, mode, bytes, bytes.len() as u64)
    }

    /// With another size in its header than it has.
    pub fn lying(
        mut self,
        name: &str,
        kind: EntryType,
        link: &str,
        mode: u32,
        bytes: &[u8],
        size: u64,
    ) -> Self {
        let header = header(name, kind, link, size, mode);
        self.0.append(&header, bytes).unwrap();
        self
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        self.with(name, EntryType::Regular, "", 0o644, text.as_bytes())
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.with(name, EntryType::Symlink, target, 0o777, b"")
    }

    /// The archive, packed.
    pub fn packed(self) -> Vec<u8> {
        xz(&self.0.into_inner().unwrap())
    }

    /// The package.
    pub fn deb(self) -> Vec<u8> {
        deb(&self.packed())
    }
}

/// A package with this packed archive of files.
pub fn deb(data: &[u8]) -> Vec<u8> {
    let control = xz(&Builder::new(Vec::new()).into_inner().unwrap());
    ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", &control),
        ("data.tar.xz", data),
    ])
}

/// An archive of `ar`.
pub fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, data) in members {
        let size = data.len();
        writeln!(
            bytes,
            "{name:<16}0           0     0     100644  {size:<10}`"
        )
        .unwrap();
        bytes.extend_from_slice(data);
        if size % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// The bytes, packed as Debian packs. The machine may have no xz.
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    through("xz", bytes)
}
