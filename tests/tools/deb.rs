//! Packages as they are, and such as would do harm.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use lab::build::deb::{self, MERGED};
use tar::EntryType;

use crate::package::{Files, ar, deb as package, xz};
use crate::toolbox::through;

/// A folder with a root in which nothing is but a merged /usr.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    for folder in MERGED {
        fs::create_dir_all(root.join("usr").join(folder)).unwrap();
        symlink(Path::new("usr").join(folder), root.join(folder)).unwrap();
    }
    place
}

/// Unpacks a package into the root of the place, and gives the complaint.
fn unpacked(place: &Path, bytes: &[u8]) -> Result<(), String> {
    let deb = place.join("evil_1_all.deb");
    fs::write(&deb, bytes).unwrap();
    let result = deb::unpack(&deb, &place.join("root"), |path| {
        !path.starts_with("usr/share/doc")
    });
    result.map_err(|error| format!("{error:#}"))
}

/// The package is refused with its name and these words, and nothing is written beside the root.
#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let place = place();
    let error = unpacked(place.path(), bytes).unwrap_err();
    let name = "the package evil_1_all.deb cannot be unpacked: ";
    for word in [name].iter().chain(words) {
        assert!(error.contains(word), "no {word:?} in {error}");
    }
    let mut beside: Vec<_> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    beside.sort();
    assert_eq!(beside, ["evil_1_all.deb", "root"], "{error}");
}

#[test]
fn files_links_and_modes_are_as_in_the_package() {
    let place = place();
    let long = format!("./usr/share/{}", "deep/".repeat(12));
    let files = Files::new()
        .with("./bin/", EntryType::Directory, "", 0o755, b"")
        .with("./bin/tool", EntryType::Regular, "", 0o755, b"#!")
        .with("./bin/second", EntryType::Link, "./bin/tool", 0o755, b"")
        .link("./lib64/ld.so", "/lib/x86_64-linux-gnu/ld.so")
        .file("./lib/x86_64-linux-gnu/ld.so", "elf")
        .link("./usr/lib/up", "../share/data")
        .with("./etc/secret", EntryType::Regular, "", 0o600, b"x")
        .with("./usr/bin/su", EntryType::Regular, "", 0o6755, b"su")
        .with("./etc/shared", EntryType::Regular, "", 0o666, b"x")
        .file(&format!("{long}file"), "deep")
        .with("./usr/share/doc/", EntryType::Directory, "", 0o755, b"")
        .file("./usr/share/doc/README", "left out");
    unpacked(place.path(), &files.deb()).unwrap();
    let root = place.path().join("root");
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(text("usr/bin/tool"), "#!");
    assert_eq!(text("usr/lib/x86_64-linux-gnu/ld.so"), "elf");
    assert_eq!(text(&format!("{}file", &long[2..])), "deep");
    let data = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
    assert_eq!(data("usr/bin/tool").ino(), data("usr/bin/second").ino());
    assert_eq!(data("usr/bin/tool").mtime(), 1_000_000_000);
    let mode = |path: &str| data(path).permissions().mode() & 0o7777;
    assert_eq!(
        [
            "usr/bin/tool",
            "etc/secret",
            "usr/bin/su",
            "etc/shared",
            "etc"
        ]
        .map(mode),
        [0o755, 0o600, 0o755, 0o644, 0o755]
    );
    let link = |path: &str| fs::read_link(root.join(path)).unwrap();
    assert_eq!(
        link("usr/lib64/ld.so"),
        Path::new("/lib/x86_64-linux-gnu/ld.so")
    );
    assert_eq!(link("usr/lib/up"), Path::new("../share/data"));
    assert_eq!(link("bin"), Path::new("usr/bin"));
    assert!(!root.join("usr/share/doc").exists());
}

#[test]
fn packages_share_folders_and_nothing_else() {
    let place = place();
    let first = Files::new().file("./usr/share/a/one", "1");
    unpacked(place.path(), &first.deb()).unwrap();
    let second = Files::new()
        .with("./usr/share/a/", EntryType::Directory, "", 0o755, b"")
        .file("./usr/share/a/two", "2");
    unpacked(place.path(), &second.deb()).unwrap();
    for third in [
        Files::new().file("./usr/share/a/one", "3"),
        Files::new().link("./usr/share/a", "/tmp"),
        Files::new().file("./usr/share/a/one/more", "3"),
        Files::new().link("./bin", "/tmp"),
    ] {
        let error = unpacked(place.path(), &third.deb()).unwrap_err();
        assert!(error.contains("comes twice"), "{error}");
    }
    let one = fs::read_to_string(place.path().join("root/usr/share/a/one"));
    assert_eq!(one.unwrap(), "1");
}

#[test]
fn a_member_that_climbs_out_is_refused() {
    for name in [
        "./../out",
        "../out",
        "./usr/../../out",
        "/out",
        "./a/b/../../../out",
    ] {
        let files = Files::new().file(name, "owned");
        refused(&files.deb(), &[&format!("member {name:?}: leads out")]);
    }
    assert!(!Path::new("/out").exists());
}

#[test]
fn nothing_is_written_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    for (name, target) in [
        ("./a", target),
        ("./a", "/"),
        ("./a", "/tmp"),
        ("./a", "usr"),
    ] {
        for member in ["./a/file", "./a/deeper/file"] {
            let files = Files::new().link(name, target).file(member, "owned");
            refused(
                &files.deb(),
                &[&format!("member {member:?}: comes twice, or lies behind")],
            );
        }
        let files = Files::new().link(name, target).file(name, "owned");
        refused(&files.deb(), &["comes twice"]);
    }
    // The links of the root itself are not followed either: their folders are meant.
    let files = Files::new().file("./usr/bin/../../bin/x", "owned");
    refused(&files.deb(), &["leads out"]);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_link_that_leads_out_is_refused() {
    for (name, link) in [
        ("./l", ".."),
        ("./l", "../out"),
        ("./usr/lib/l", "../../../out"),
        ("./lib/l", "../../../out"),
        ("./usr/l", "lib/../../.."),
    ] {
        let files = Files::new().link(name, link);
        let word = format!("member {name:?}: is a link that leads out: to {link:?}");
        refused(&files.deb(), &[&word]);
    }
    // For whoever has the root as its own this one does not, and nobody else follows it.
    let place = place();
    unpacked(place.path(), &Files::new().link("./l", "/etc/passwd").deb()).unwrap();
}

#[test]
fn a_hard_link_that_leads_out_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "mine").unwrap();
    for (link, word) in [
        (secret.to_str().unwrap(), "leads out"),
        ("./../../secret", "leads out"),
        ("./l/secret", "no file of the tarball"),
        ("./none", "no file of the tarball"),
        ("./usr", "no file of the tarball"),
        ("./usr/share/doc/README", "no file of the tarball"),
    ] {
        let files = Files::new()
            .link("./l", outside.path().to_str().unwrap())
            .file("./usr/share/doc/README", "left out")
            .with("./h", EntryType::Link, link, 0o644, b"");
        refused(&files.deb(), &["member \"./h\"", word]);
    }
    assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1);
}

#[test]
fn what_is_no_file_is_refused() {
    for (kind, word) in [
        (EntryType::Char, "is a device"),
        (EntryType::Block, "is a device"),
        (EntryType::Fifo, "is a pipe"),
        (
            EntryType::GNUSparse,
            "is a file with holes, which a package has not",
        ),
        (
            EntryType::new(b'V'),
            "is of a kind that a package has not ('V')",
        ),
    ] {
        let files = Files::new().with("./dev/odd", kind, "", 0o644, b"");
        refused(&files.deb(), &["member \"./dev/odd\"", word]);
    }
    for name in ["./a\nb", "./\x1b[2J"] {
        let files = Files::new().file(name, "");
        refused(&files.deb(), &["has a name with control characters"]);
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    // Of a member: more than a package may have, and more than is there.
    let big = Files::new().lying("./big", EntryType::Regular, "", 0o644, b"x", 2 << 30);
    refused(
        &big.deb(),
        &["\"./big\": is too much: no package has more than 100000 files, or 1 GB"],
    );
    let long = Files::new().lying("./long", EntryType::Regular, "", 0o644, b"x", 1 << 20);
    refused(&long.deb(), &["\"./long\": is cut short"]);
    // Of the archive in the package.
    let whole = Files::new().file("./a", "a").deb();
    let at = whole
        .windows(11)
        .position(|bytes| bytes == b"data.tar.xz")
        .unwrap()
        + 48;
    for (size, word) in [
        ("99999999  ", ""),
        ("10        ", ""),
        ("0         ", ""),
        ("-1        ", "it is damaged"),
        ("x         ", "it is damaged"),
    ] {
        let mut bytes = whole.clone();
        bytes[at..at + 10].copy_from_slice(size.as_bytes());
        match size.starts_with('9') {
            // There is no more than all.
            true => unpacked(place().path(), &bytes).unwrap(),
            false => refused(&bytes, &[word]),
        }
    }
    // Of the member before it: what follows lies elsewhere.
    for size in ["9999999999", "1         ", "18446744073709551615"] {
        let mut bytes = whole.clone();
        bytes[8 + 48..8 + 58].copy_from_slice(&size.as_bytes()[..10]);
        refused(&bytes, &[""]);
    }
}

#[test]
fn what_is_cut_short_or_damaged_is_refused() {
    let noise: String = (0..50_000_u32)
        .map(|n| char::from(b' ' + (n.wrapping_mul(n) >> 9) as u8 % 90))
        .collect();
    let whole = Files::new()
        .file("./noise", &noise)
        .file("./last", "")
        .deb();
    for length in [
        whole.len() - 1,
        whole.len() - 100,
        whole.len() / 2,
        150,
        70,
        30,
        3,
        0,
    ] {
        refused(&whole[..length], &[""]);
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    refused(&flipped, &[""]);
    refused(b"#!/bin/sh\necho hello\n", &["it is no archive of ar"]);
    refused(
        &ar(&[("debian-binary", b"2.0\n")]),
        &["it has no data.tar.xz"],
    );
    refused(&package(b"plain"), &[""]);
    refused(&package(&xz(b"no archive")), &["it is no tarball"]);
    refused(&package(&xz(&[0; 10240])), &["there is nothing in it"]);
    let packed = Files::new().file("./a", "a").packed();
    let other = ar(&[("debian-binary", b"2.0\n"), ("data.tar.zst", &packed)]);
    refused(
        &other,
        &["its files are in data.tar.zst, and only data.tar.xz or data.tar.gz can be unpacked"],
    );
}

#[test]
fn a_package_may_be_packed_by_gzip() {
    let place = place();
    let archive = Files::new().file("./a", "text").0.into_inner().unwrap();
    let members = |data: &[u8]| ar(&[("debian-binary", b"2.0\n"), ("data.tar.gz", data)]);
    let packed = through("gzip", &archive);
    unpacked(place.path(), &members(&packed)).unwrap();
    let text = std::fs::read_to_string(place.path().join("root/a")).unwrap();
    assert_eq!(text, "text");
    refused(&members(&packed[..packed.len() - 20]), &[""]);
}

#[test]
fn a_package_that_never_ends_is_given_up_before_the_disk_is_full() {
    // Zeros without an end, behind the end.
    let bytes = vec![0; 1 << 25];
    let mut archive = Files::new().file("./a", "a").0.into_inner().unwrap();
    archive.extend(&bytes);
    refused(
        &package(&xz(&archive)),
        &["behind its end: there is too much that is no member"],
    );
    // It would take four gigabytes to unpack.
    let mut greedy = Files::new().file("./a", "a").packed();
    let dictionary = 12 + 4;
    assert_eq!(greedy[dictionary - 2..dictionary], [0x21, 1]);
    greedy[dictionary] = 40;
    let checksum = crc32(&greedy[12..20]);
    greedy[20..24].copy_from_slice(&checksum.to_le_bytes());
    refused(&package(&greedy), &["memory"]);
}

/// The sum at the end of the header of a block of xz.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, bit: bool| (sum >> 1) ^ if bit { 0xEDB8_8320 } else { 0 };
    let byte =
        |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum, sum & 1 == 1));
    !bytes.iter().fold(!0, byte)
}
