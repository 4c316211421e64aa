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
    /// A folder.
    Folder {
        /// The permission bits.
        mode: u32,
    },
    /// A regular file.
    File {
        /// The permission bits.
        mode: u32,
        /// Its bytes, fewer than 4 GiB.
        bytes: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        target: String,
    },
    /// A character device.
    Device {
        /// The permission bits.
        mode: u32,
        /// The number of its driver.
        major: u32,
        /// The number of the device for the driver.
        minor: u32,
    },
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
                .or_insert(Node::Folder { mode: 0o755 });
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
        for (number, (path, node)) in (1..).zip(&self.0) {
            write_node(&mut out, number, path, node);
        }
        write_entry(
            &mut out,
            &Header {
                links: 1,
                ..Header::default()
            },
            "TRAILER!!!",
            &[],
        );
        pad(&mut out, BLOCK);
        out
    }
}

/// The numbers of an entry that are not zero throughout.
#[derive(Default)]
struct Header {
    inode: u32,
    mode: u32,
    links: u32,
    major: u32,
    minor: u32,
}

fn write_node(out: &mut Vec<u8>, inode: u32, path: &str, node: &Node) {
    let header = Header {
        inode,
        links: 1,
        ..Header::default()
    };
    match node {
        Node::Folder { mode } => {
            write_entry(
                out,
                &Header {
                    mode: 0o040_000 | mode,
                    links: 2,
                    ..header
                },
                path,
                &[],
            );
        }
        Node::File { mode, bytes } => {
            write_entry(
                out,
                &Header {
                    mode: 0o100_000 | mode,
                    ..header
                },
                path,
                bytes,
            );
        }
        Node::Link { target } => {
            write_entry(
                out,
                &Header {
                    mode: 0o120_777,
                    ..header
                },
                path,
                target.as_bytes(),
            );
        }
        &Node::Device { mode, major, minor } => {
            write_entry(
                out,
                &Header {
                    mode: 0o020_000 | mode,
                    major,
                    minor,
                    ..header
                },
                path,
                &[],
            );
        }
    }
}

fn write_entry(out: &mut Vec<u8>, header: &Header, name: &str, data: &[u8]) {
    let size = u32::try_from(data.len()).expect("a file of an initramfs is smaller than 4 GiB");
    let name_size = u32::try_from(name.len() + 1).expect("a path is short");
    let fields = [
        header.inode,
        header.mode,
        0, // user
        0, // group
        header.links,
        0, // time
        size,
        0, // device of the archive
        0,
        header.major,
        header.minor,
        name_size,
        0, // checksum, unused in newc
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
        let file = |text: &str| Node::File {
            mode: 0o644,
            bytes: text.into(),
        };
        let (mut one, mut two) = (Archive::new(), Archive::new());
        one.put("etc/hosts", file("a"));
        one.put(
            "/bin/sh",
            Node::Link {
                target: "busybox".into(),
            },
        );
        two.put(
            "bin/sh",
            Node::Link {
                target: "busybox".into(),
            },
        );
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
        archive.put("tmp", Node::Folder { mode: 0o1777 });
        archive.put(
            "tmp/x",
            Node::File {
                mode: 0o600,
                bytes: Vec::new(),
            },
        );
        assert_eq!(archive.get("tmp"), Some(&Node::Folder { mode: 0o1777 }));
    }
}
