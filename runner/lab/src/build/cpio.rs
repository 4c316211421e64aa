//! A cpio archive in the "newc" format, the one that the kernel unpacks as an initramfs.
//!
//! Pure: nodes in, bytes out, and the same nodes give the same bytes. Nothing of the machine gets
//! in: owner and time are zero, inode numbers are counted. No two names share an inode.

use std::collections::BTreeMap;

/// The kernel skips zeros up to a multiple of 4 between archives; other readers want whole blocks.
const BLOCK: usize = 512;

/// A file of the archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Node {
    /// A folder, with its permission bits.
    Folder(u32),
    /// A regular file: its permission bits, and its bytes, fewer than 4 GiB.
    File(u32, Vec<u8>),
    /// A symbolic link, and where it leads.
    Link(String),
    /// A character device: its permission bits, the number of its driver (major), and its own for
    /// the driver (minor).
    Device(u32, u32, u32),
}

/// An archive in the making: nodes by path, without a leading slash.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Archive(BTreeMap<String, Node>);

impl Archive {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a node in place, and the folders above it if they are missing. A node that is already
    /// there is replaced.
    pub fn put(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            self.0
                .entry(path[..end].to_owned())
                .or_insert(Node::Folder(0o755));
        }
        self.0.insert(path.to_owned(), node);
    }

    /// The node at a path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path.trim_matches('/'))
    }

    /// The paths, in the order in which they are written: a folder before what is in it.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The archive as bytes, its length a multiple of 512.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (inode, (path, node)) in (1..).zip(&self.0) {
            let (mode, links, device, data): (_, _, _, &[u8]) = match node {
                Node::Folder(mode) => (0o040_000 | mode, 2, [0, 0], &[]),
                Node::File(mode, bytes) => (0o100_000 | mode, 1, [0, 0], bytes),
                Node::Link(target) => (0o120_777, 1, [0, 0], target.as_bytes()),
                Node::Device(mode, major, minor) => (0o020_000 | mode, 1, [*major, *minor], &[]),
            };
            write_entry(&mut out, [inode, mode, links], device, path, data);
        }
        write_entry(&mut out, [0, 0, 1], [0, 0], "TRAILER!!!", &[]);
        pad(&mut out, BLOCK);
        out
    }
}

fn write_entry(
    out: &mut Vec<u8>,
    [inode, mode, links]: [u32; 3],
    [major, minor]: [u32; 2],
    name: &str,
    data: &[u8],
) {
    let size = u32::try_from(data.len()).expect("a file of an initramfs is smaller than 4 GiB");
    let name_size = u32::try_from(name.len() + 1).expect("a path is short");
    let fields = [
        inode, mode, 0, // user
        0, // group
        links, 0, // time
        size, 0, // device of the archive
        0, major, minor, name_size, 0, // checksum, unused in newc
    ];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out, 4);
    out.extend_from_slice(data);
    pad(out, 4);
}

fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_putting_does_not_matter() {
        let file = |text: &str| Node::File(0o644, text.into());
        let link = || Node::Link("busybox".into());
        let (mut one, mut two) = (Archive::new(), Archive::new());
        one.put("etc/hosts", file("a"));
        one.put("/bin/sh", link());
        two.put("bin/sh", link());
        two.put("etc/hosts", file("a"));
        assert_eq!(one.to_bytes(), two.to_bytes());
        assert_eq!(
            one.paths().collect::<Vec<_>>(),
            ["bin", "bin/sh", "etc", "etc/hosts"]
        );
        assert_eq!(one.to_bytes().len() % BLOCK, 0);
    }

    #[test]
    fn explicit_folder_keeps_its_mode() {
        let mut archive = Archive::new();
        archive.put("tmp", Node::Folder(0o1777));
        archive.put("tmp/x", Node::File(0o600, Vec::new()));
        assert_eq!(archive.get("tmp"), Some(&Node::Folder(0o1777)));
    }
}
