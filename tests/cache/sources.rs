//! Sources that lie: tarballs that climb out, that never end, that end too soon, that are none; and
//! where the true ones come from.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tar::{Builder, EntryType, Header};

use crate::archive::header;
use crate::fixture::Ran;
use crate::place::{Place, exists};
use crate::server::{refuse, respond, serve};
use crate::toolbox::{self, through};

/// A tarball under construction, whose names and links are written as they are.
pub struct Tarball(pub Builder<Vec<u8>>);

impl Tarball {
    pub fn new() -> Self {
        Self(Builder::new(Vec::new())).with("linux/COPYING", EntryType::Regular, "", b"GPL")
    }

    pub fn with(mut self, name: &str, kind: EntryType, link: &str, bytes: &[u8]) -> Self {
        let header = header(name, kind, link, bytes.len() as u64, 0o644);
        self.0.append(&header, bytes).unwrap();
        self
    }

    pub fn file(self, name: &str) -> Self {
        self.with(name, EntryType::Regular, "", b"owned")
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// Gives the bytes as the kernel's source; they are refused, and nothing is left of them.
#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let place = Place::empty();
    let path = place.folder.path().join("linux.tar");
    fs::write(&path, bytes).unwrap();
    let ran = place.run(&["setup", "--kernel-source", path.to_str().unwrap()]);
    ran.ends_with(3).complains("runner doctor");
    for word in words {
        ran.complains(word);
    }
    assert_eq!(place.left(), Vec::<PathBuf>::new(), "{ran:#?}");
    let beside: Vec<_> = fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "ship-of-theseus" && name != "linux.tar")
        .collect();
    assert_eq!(beside, [""; 0], "{ran:#?}");
}

#[test]
fn a_member_that_climbs_out_is_refused() {
    for name in [
        "linux/../../../../../out",
        "../out",
        "linux/a/../../out",
        "/tmp/theseus-out",
    ] {
        let tarball = Tarball::new().file(name).bytes();
        let member = format!("member {name:?}: leads out of the tarball");
        refused(&tarball, &[&member, "nothing of it was kept"]);
    }
    assert!(!exists(Path::new("/tmp/theseus-out")));
}

#[test]
fn a_link_that_leads_out_is_refused_even_by_way_of_another() {
    let place = Place::empty();
    let target = place.folder.path().to_str().unwrap().to_owned();
    for (name, link) in [
        ("linux/l", &*target),
        ("linux/l", ".."),
        ("linux/a/b/l", "../../.."),
        ("linux/a/b/l", "x/../../../.."),
        ("linux/a/b/l", "./../x/.."),
    ] {
        let tarball = Tarball::new().with(name, EntryType::Symlink, link, b"");
        let word = format!("member {name:?}: is a link that leads out: to {link:?}");
        refused(&tarball.bytes(), &[&word]);
    }
    // Each alone stays inside: `top` is the top, and `a` is a folder of it.
    let tarball = Tarball::new()
        .with("linux/a/b/top", EntryType::Symlink, "../..", b"")
        .with("linux/out", EntryType::Symlink, "a/b/top/..", b"");
    refused(
        &tarball.bytes(),
        &["\"linux/out\": is a link that leads out"],
    );
}

#[test]
fn nothing_is_written_through_a_link() {
    for name in ["linux/l/file", "linux/l", "linux/l/deeper/file"] {
        let tarball = Tarball::new()
            .with("linux/a/", EntryType::Directory, "", b"")
            .with("linux/l", EntryType::Symlink, "a", b"")
            .file(name);
        let word = format!("member {name:?}: comes twice, or lies behind what is no folder");
        refused(&tarball.bytes(), &[&word]);
    }
    let tarball = Tarball::new().file("linux/COPYING/file").bytes();
    refused(
        &tarball,
        &["\"linux/COPYING/file\": comes twice, or lies behind"],
    );
    let tarball = Tarball::new()
        .with("linux/l", EntryType::Symlink, ".", b"")
        .with("linux/l/", EntryType::Directory, "", b"");
    refused(&tarball.bytes(), &["\"linux/l/\": comes twice"]);
}

#[test]
fn a_hard_link_that_leads_out_is_refused() {
    let place = Place::empty();
    let secret = place.folder.path().join("secret");
    fs::write(&secret, "mine").unwrap();
    for (link, word) in [
        (secret.to_str().unwrap(), "leads out: to"),
        ("linux/../../secret", "leads out: to"),
        (
            "linux/none",
            "is a hard link to what is no file of the tarball",
        ),
        (
            "linux/l",
            "is a hard link to what is no file of the tarball",
        ),
        (
            "linux/l/secret",
            "is a hard link to what is no file of the tarball",
        ),
        ("linux", "is a hard link to what is no file of the tarball"),
    ] {
        let tarball = Tarball::new()
            .with("linux/l", EntryType::Symlink, ".", b"")
            .file("linux/secret")
            .with("linux/h", EntryType::Link, link, b"");
        refused(&tarball.bytes(), &["member \"linux/h\"", word]);
    }
    let data = fs::metadata(&secret).unwrap();
    assert_eq!(
        (data.nlink(), fs::read(&secret).unwrap()),
        (1, b"mine".to_vec())
    );
}

#[test]
fn what_no_source_has_is_refused() {
    for (kind, word) in [
        (EntryType::Char, "is a device"),
        (EntryType::Block, "is a device"),
        (EntryType::Fifo, "is a pipe"),
        (
            EntryType::new(b'V'),
            "is of a kind that a source has not ('V')",
        ),
    ] {
        let tarball = Tarball::new().with("linux/odd", kind, "", b"");
        refused(&tarball.bytes(), &["member \"linux/odd\"", word]);
    }
    for name in ["linux/a\nb", "linux/\x1b[2J", "linux/a\x7f"] {
        let tarball = Tarball::new().file(name).bytes();
        let member = format!("member {name:?}: has a name with control characters");
        refused(&tarball, &[&member]);
    }
    // A newline in the folder that is stripped, and in a link.
    let tarball = Tarball::new().file("li\nnux/a").bytes();
    refused(&tarball, &["\"li\\nnux/a\": has a name with control"]);
    let tarball = Tarball::new().with("linux/l", EntryType::Symlink, "a\nb", b"");
    refused(&tarball.bytes(), &["\"linux/l\": has a name with control"]);
}

#[test]
fn a_tarball_that_never_ends_is_given_up_before_the_disk_is_full() {
    // A file of eight terabytes, of which a second's worth of zeros is there.
    let mut file = header("linux/big", EntryType::Regular, "", 8 << 40, 0o644);
    let gzip = |header: &Header, zeros: usize| {
        let mut bytes = Tarball::new().0.into_inner().unwrap();
        bytes.truncate(bytes.len() - 1024);
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + zeros, 0);
        through("gzip", &bytes)
    };
    refused(
        &gzip(&file, 1 << 20),
        &["\"linux/big\": is too much", "300000 files, or 4 GB"],
    );
    // A name of a gigabyte would have to be held in memory.
    file = header("././@LongLink", EntryType::GNULongName, "", 1 << 30, 0o644);
    refused(
        &gzip(&file, 1 << 25),
        &["behind \"linux/COPYING\"", "too much that is no member"],
    );
    // Zeros without an end, behind the end.
    let mut bytes = Tarball::new().bytes();
    bytes.resize(bytes.len() + (1 << 25), 0);
    refused(
        &through("gzip", &bytes),
        &["behind its end: there is too much that is no member"],
    );
    // A file with a hole needs no bytes at all.
    let hole = Tarball::new().with("linux/hole", EntryType::GNUSparse, "", b"");
    refused(&hole.bytes(), &["\"linux/hole\": is a file with holes"]);
}

#[test]
fn a_tarball_that_is_cut_short_or_damaged_is_refused() {
    let noise: Vec<u8> = (0..50_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let whole = || {
        Tarball::new()
            .with("linux/noise", EntryType::Regular, "", &noise)
            .file("linux/last")
            .bytes()
    };
    let plain = whole();
    for (length, word) in [
        (3000, "\"linux/noise\": is cut short"),
        // In the end of the tarball, before it, and in a header.
        (plain.len() - 1000, "cut short, behind \"linux/last\""),
        (plain.len() - 1024, "cut short behind \"linux/last\""),
        (
            plain.len() - 2048 + 100,
            "cut short, behind \"linux/noise\"",
        ),
    ] {
        refused(&plain[..length], &[word]);
    }
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 4;
        bytes
    };
    // A byte of the header of `linux/noise`.
    refused(
        &flipped(&plain, 1024 + 3),
        &["behind \"linux/COPYING\"", "checksum"],
    );
    for (program, cut, damaged) in [
        ("xz", "xz: (stdin): Unexpected end of input", "corrupt"),
        (
            "gzip",
            "gzip: stdin: unexpected end of file",
            "gzip: stdin: ",
        ),
        ("bzip2", "bzip2: ", "cannot be unpacked"),
    ] {
        let packed = through(program, &plain);
        refused(&packed[..packed.len() / 2], &["cannot be unpacked", cut]);
        refused(&packed[..packed.len() - 1], &[cut]);
        refused(&flipped(&packed, packed.len() / 2), &[damaged]);
    }
}

#[test]
fn what_is_no_tarball_of_linux_is_refused() {
    refused(b"", &["it is empty"]);
    refused(&[0; 10240], &["there is nothing in it"]);
    refused(b"#!/bin/sh\necho hello\n", &["it is no tarball"]);
    refused(&[b'x'; 4096], &["it is no tarball"]);
    let top = Tarball(Builder::new(Vec::new())).with("linux/", EntryType::Directory, "", b"");
    refused(&top.bytes(), &["there is nothing in it"]);
    refused(
        &through("xz", &Tarball::new().bytes()),
        &[
            "is no Linux tarball",
            "there is no kernel/configs/tiny.config",
        ],
    );
    let place = Place::empty();
    let folder = place.folder.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let arguments = ["setup", "--kernel-source", folder.to_str().unwrap()];
    place
        .run(&arguments)
        .ends_with(2)
        .complains("is neither a tarball");
}

#[test]
fn a_pipe_or_a_device_as_the_source_is_refused_at_once() {
    let place = Place::empty();
    let pipe = place.folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for path in [&*pipe, Path::new("/dev/zero")] {
        let ran = place.run(&["setup", "--kernel-source", path.to_str().unwrap()]);
        ran.ends_with(2).complains("is neither a tarball");
        assert!(!exists(&place.root()));
    }
}

#[test]
fn a_good_tarball_is_unpacked_as_tar_does() {
    let temp = tempfile::tempdir().unwrap();
    let long = "deep/".repeat(40) + "file";
    let script = format!(
        "mkdir -p top/{long}; rmdir top/{long}; cd top; echo 1 >{long}; mkdir -m 2775 set; echo 2 >set/uid; \
         chmod 4755 set/uid; ln -s ../set/uid deep/link; ln set/uid set/second; chmod 640 {long}; \
         touch -d 2001-02-03 {long}; ln -s nowhere dangling; touch -d 2101-02-03 set/future; echo ü >ü; cd ..; \
         for z in gzip xz bzip2 cat; do tar -cf - top | $z >$z.tar; done"
    );
    toolbox::run(temp.path(), &script);
    for packed in ["gzip.tar", "xz.tar", "bzip2.tar", "cat.tar"] {
        let tree = temp.path().join(packed.replace(".tar", ""));
        fs::create_dir(&tree).unwrap();
        lab::build::tarball::unpack(&toolbox::tools(), &temp.path().join(packed), &tree).unwrap();
        let name = tree.file_name().unwrap().display();
        toolbox::run(temp.path(), &format!("diff -r --no-dereference top {name}"));
        let data = |name: &str| fs::metadata(tree.join(name)).unwrap();
        let mode = |name: &str| data(name).permissions().mode() & 0o7111;
        assert_eq!(
            (mode("set/uid"), mode(&long), mode("set")),
            (0o111, 0, 0o111)
        );
        assert_eq!(data("set/uid").ino(), data("set/second").ino());
        let before = fs::metadata(temp.path().join("top").join(&long)).unwrap();
        assert_eq!(data(&long).mtime(), before.mtime());
        assert!(data("set/future").modified().unwrap() <= std::time::SystemTime::now());
        let link = fs::read_link(tree.join("deep/link")).unwrap();
        assert_eq!(link.as_os_str(), OsStr::from_bytes(b"../set/uid"));
    }
}

#[test]
fn a_packed_tarball_without_its_program_names_the_program() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("linux.tar.zst");
    File::create(&path)
        .unwrap()
        .write_all(b"\x28\xb5\x2f\xfd....")
        .unwrap();
    // As `env` ends if there is none.
    let zstd = temp.path().join("zstd");
    fs::write(&zstd, "#!/bin/sh\nexit 127\n").unwrap();
    fs::set_permissions(&zstd, fs::Permissions::from_mode(0o755)).unwrap();
    let place = Place::empty();
    let mut command = place.command(&["setup", "--kernel-source", path.to_str().unwrap()]);
    command.env("THESEUS_PROGRAMS", temp.path());
    Ran::of(command)
        .ends_with(3)
        .complains("it takes zstd to unpack it, which is not there");
}

#[test]
fn a_source_that_zstd_has_packed_is_unpacked_by_the_labs_own() {
    let place = Place::without(&["kernel"]);
    let mut command = place.command(&["setup"]);
    let source = command.get_envs();
    let source =
        source.filter_map(|(name, value)| (name == "THESEUS_KERNEL_SOURCE").then_some(value?));
    let source = Path::new(source.last().unwrap()).to_owned();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(source, folder.path().join("linux.tar.xz")).unwrap();
    toolbox::run(
        folder.path(),
        "xz -dc linux.tar.xz | zstd -q > linux.tar.zst",
    );
    command.env("THESEUS_KERNEL_SOURCE", folder.path().join("linux.tar.zst"));
    Ran::of(command)
        .ends_with(0)
        .complains("unpack linux.tar.zst: done");
}

#[test]
fn a_fetch_goes_through_the_proxy_of_the_environment() {
    let place = Place::made();
    let entry = place.entries("busybox-source").remove(0);
    let tarball = fs::read(entry.join("busybox-1.35.0.tar.bz2")).unwrap();
    fs::remove_dir_all(place.root().join("busybox-source")).unwrap();
    // A proxy is asked for a whole URL, of a host that only it knows.
    let wanted = "http://mirror.invalid/debian/pool/main/b/busybox/busybox_1.35.0.orig.tar.bz2";
    let proxy = serve(move |url, stream| match url == wanted {
        true => respond(stream, tarball.len(), &tarball),
        false => refuse(stream),
    });
    let mut command = place.command(&["setup", "--mirror", "http://mirror.invalid/debian"]);
    command.env("http_proxy", &proxy);
    let ran = Ran::of(command);
    ran.ends_with(0).complains("source of busybox 1.35.0: done");
    // Without it the next mirror is asked.
    assert!(!ran.stderr.contains("not from"), "{ran:#?}");
    place.is_as_made();
}

#[test]
fn the_machines_own_mirror_is_asked_before_the_public_ones() {
    let place = Place::made();
    let entry = place.entries("busybox-source").remove(0);
    let tarball = fs::read(entry.join("busybox-1.35.0.tar.bz2")).unwrap();
    fs::remove_dir_all(place.root().join("busybox-source")).unwrap();
    let url = serve(move |path, stream| match path {
        "/mine/debian/pool/main/b/busybox/busybox_1.35.0.orig.tar.bz2" => {
            respond(stream, tarball.len(), &tarball);
        }
        _ => refuse(stream),
    });
    // What apt tells on a machine that has two mirrors, of which one has nothing.
    let script = format!(
        "#!/bin/sh\necho \"'{url}/none/debian/dists/stable/InRelease' a 0\"\n\
         echo \"'{url}/mine/debian/dists/bookworm/InRelease' b 0\"\n"
    );
    let programs = place.folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    let apt = programs.join("apt-get");
    fs::write(&apt, script).unwrap();
    fs::set_permissions(&apt, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = place.command(&["setup"]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", programs.display()));
    let ran = Ran::of(command);
    ran.ends_with(0)
        .complains(&format!("not from {url}/none/debian: cannot fetch"))
        .complains("source of busybox 1.35.0: done");
    assert_eq!(ran.stderr.matches("not from").count(), 1, "{ran:#?}");
    place.is_as_made();
}
