//! Members of archives that are made for a test, also of such as no tar would make.

use tar::{EntryType, Header};

/// A header whose name and link are written as they are.
pub fn header(name: &str, kind: EntryType, link: &str, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..name.len()].copy_from_slice(name.as_bytes());
    gnu.realsize = *b"00000000000\0";
    gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(1_000_000_000);
    header.set_cksum();
    header
}
