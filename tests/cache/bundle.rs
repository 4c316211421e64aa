//! The made lab in one file: that the same lab makes the same file, and that nothing but a whole
//! file of this very version leaves anything behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use lab::build::cache::Cache;
use lab::build::kernel::LOOKED_AT;
use lab::system::files::sha256_of_file;
use rustix::process::{Pid, Signal, kill_process};
use tar::EntryType;

use crate::fixture::{self, Ran, repository};
use crate::folder;
use crate::place::{Place, exists, run};
use crate::seed::{Random, seed};
use crate::server::{refuse, respond, serve};
use crate::sources::Tarball;
use crate::toolbox::{self, through};

/// A whole lab, made in seconds, and the file of it. Its vmlinux is of a small program.
pub struct Small {
    place: Place,
    programs: PathBuf,
    pub file: PathBuf,
    sha256: String,
}

pub static SMALL: LazyLock<Small> = LazyLock::new(|| {
    let folder = folder::alone("bundle");
    let place = Place::without(&["kernel"]);
    let like = place.command(&[]);
    let mut programs = like.get_envs();
    let programs = programs.find_map(|(name, value)| (name == "THESEUS_PROGRAMS").then_some(value));
    let programs = programs.flatten().unwrap().to_str().unwrap();
    let line = format!(
        "cp -a {programs} programs; cd programs; rm vmlinux\n\
         echo 'int inet_init(void) {{ return 0; }} int main(void) {{ return inet_init(); }}' |\n\
         cc -g -x c -o vmlinux -"
    );
    run(&folder, &line);
    let file = folder.join("lab.tar.xz");
    let mut small = Small {
        place,
        programs: folder.join("programs"),
        file,
        sha256: String::new(),
    };
    small.export(&small.place, &small.file).ends_with(0);
    small.sha256 = sha256_of_file(&small.file).unwrap();
    small
});

impl Small {
    /// The runner with this lab's programs.
    pub fn command(&self, place: &Place, arguments: &[&str]) -> Command {
        let mut command = place.command(arguments);
        command.env("THESEUS_PROGRAMS", &self.programs);
        command
    }

    fn export(&self, place: &Place, file: &Path) -> Ran {
        let arguments = ["lab", "export", file.to_str().unwrap()];
        Ran::of(self.command(place, &arguments))
    }

    fn import(&self, place: &Place, file: &Path) -> Ran {
        self.import_with(place, &[file.to_str().unwrap()])
    }

    fn import_with(&self, place: &Place, arguments: &[&str]) -> Ran {
        let arguments = [&["setup", "--from"], arguments].concat();
        Ran::of(self.command(place, &arguments))
    }

    /// The place has the lab, and nothing has to be made.
    #[track_caller]
    pub fn is_in(&self, place: &Place) {
        assert_eq!(place.whole(), self.place.whole());
        let claims = Ran::of(self.command(place, &["claims"]));
        assert_ne!(claims.code, Some(3), "{claims:#?}");
        assert_eq!(claims.stderr, "");
        assert_eq!(fresh(place), [""; 0]);
    }

    /// The file is refused, and nothing of it is kept.
    #[track_caller]
    fn refused(&self, bytes: &[u8], code: i32, words: &[&str]) {
        let place = Place::empty();
        let file = place.folder.path().join("lab.tar.xz");
        fs::write(&file, bytes).unwrap();
        let ran = self.import(&place, &file);
        ran.ends_with(code);
        for word in words {
            ran.complains(word);
        }
        is_empty(&place);
    }
}

/// What is beside the kinds in a cache.
fn fresh(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.root()).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("fresh-")).collect()
}

#[track_caller]
pub fn is_empty(place: &Place) {
    assert_eq!(place.left(), Vec::<PathBuf>::new());
    assert_eq!(fresh(place), [""; 0]);
}

/// Makes a lab look as if another machine had made it, on another day, by another user, with
/// another `make`, and as if somebody had worked in it.
fn make_foreign(root: &Path) {
    for entry in Cache::at(root).list().unwrap() {
        for file in walkdir::WalkDir::new(&entry.folder).into_iter().flatten() {
            let data = file.metadata().unwrap();
            if !data.is_symlink() {
                let mode = data.mode() & 0o700;
                fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            }
            if data.is_file() && file.file_name() != "complete" {
                let bytes = fs::read(file.path()).unwrap();
                fs::remove_file(file.path()).unwrap();
                fs::write(file.path(), bytes).unwrap();
                fs::set_permissions(file.path(), Permissions::from_mode(data.mode() & 0o700))
                    .unwrap();
            }
        }
        let log = entry.folder.join("build.log");
        if let Ok(text) = fs::read_to_string(&log) {
            let mut text: Vec<_> = text.lines().collect();
            text.insert(1, "  CC      an/other.o");
            let again = text.join("\n");
            fs::write(&log, format!("{again}\n{again}\n")).unwrap();
        }
        if entry.kind == "kernel" {
            for (path, text) in [
                ("unpacked", "another boot"),
                ("linux/net/ipv4/arp.o", "object"),
                ("linux/built-in.a", "objects"),
                ("linux/.tmp_vmlinux.kallsyms1.S", "symbols"),
                ("linux/scripts/gdb/__pycache__/x.pyc", "bytes"),
                ("linux/notes.txt", "my own"),
                ("linux/net/ipv4/af_inet.c", "my own, too"),
            ] {
                let path = entry.folder.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
    }
}

#[test]
fn the_same_lab_makes_the_same_file_whoever_has_made_it_and_wherever() {
    let small = &*SMALL;
    let taken = Place::empty();
    small.import(&taken, &small.file).ends_with(0);
    let foreign = Place::empty();
    run(
        foreign.folder.path(),
        &format!("cp -r {} ship-of-theseus", small.place.root().display()),
    );
    make_foreign(&foreign.root());
    for place in [&small.place, &taken, &foreign] {
        let file = place.folder.path().join("again");
        let ran = small.export(place, &file);
        ran.ends_with(0).prints(&small.sha256);
        assert_eq!(sha256_of_file(&file).unwrap(), small.sha256);
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_lab_that_is_taken_is_as_if_it_had_been_made() {
    let small = &*SMALL;
    let place = Place::empty();
    let ran = small.import(&place, &small.file);
    ran.ends_with(0).prints("initramfs  ");
    ran.complains("is not the lab that was published")
        .complains(&small.sha256);
    small.is_in(&place);
    let ran = Ran::of(small.command(&place, &["run", "echo", "well"]));
    ran.ends_with(0).prints("well\n");
    // `make` finds what it has made at least as new as what it was made of.
    let kernel = &place.entries("kernel")[0];
    let time = |path: &str| fs::metadata(kernel.join(path)).unwrap().mtime();
    assert!(time("linux/vmlinux") >= time("linux/Makefile"));
    assert_eq!(time("linux/vmlinux"), time("linux/.config"));
    // Again: what is there is left alone.
    let stamps = || {
        let stamp = |entry: lab::build::cache::Listed| {
            let data = fs::metadata(entry.folder.join("complete")).unwrap();
            (entry.folder, data.ino(), data.mtime(), data.mtime_nsec())
        };
        let list = Cache::at(place.root()).list().unwrap();
        Vec::from_iter(list.into_iter().map(stamp))
    };
    let before = stamps();
    small.import(&place, &small.file).ends_with(0);
    assert_eq!(stamps(), before);
}

#[test]
fn what_is_damaged_or_not_finished_is_replaced_and_the_rest_stays() {
    let small = &*SMALL;
    let place = Place::empty();
    small.import(&place, &small.file).ends_with(0);
    let kernel = &place.entries("kernel")[0];
    fs::remove_file(kernel.join("complete")).unwrap();
    fs::write(kernel.join("linux/half"), "").unwrap();
    fs::write(place.entries("initramfs")[0].join("initramfs.cpio"), "").unwrap();
    let busybox = fs::metadata(&place.entries("busybox")[0]).unwrap().ino();
    small
        .import(&place, &small.file)
        .ends_with(0)
        .complains("initramfs.cpio is not as it was made; it is made anew");
    assert!(!exists(&kernel.join("linux/half")));
    assert_eq!(
        fs::metadata(&place.entries("busybox")[0]).unwrap().ino(),
        busybox
    );
    small.is_in(&place);
}

#[test]
fn a_flipped_bit_is_found() {
    let small = &*SMALL;
    eprintln!("THESEUS_SEED={}", seed());
    let mut random = Random::new("bundle");
    let whole = fs::read(&small.file).unwrap();
    let ends = [0, 6, 9, whole.len() - 1, whole.len() - 6, whole.len() - 40];
    let middle = (0..6).map(|_| random.below(whole.len()));
    let places: Vec<_> = ends.into_iter().chain(middle).collect();
    fixture::at_once(&places, |at| {
        let mut bytes = whole.clone();
        bytes[*at] ^= 1 << (at % 8);
        small.refused(&bytes, 3, &["nothing was taken from "]);
    });
}

#[test]
fn a_file_that_is_cut_short_or_goes_on_is_refused() {
    let small = &*SMALL;
    let mut random = Random::new("bundle");
    let whole = fs::read(&small.file).unwrap();
    let some = random.below(whole.len());
    fixture::at_once(&[0, 1, some, whole.len() / 2, whole.len() - 1], |length| {
        small.refused(&whole[..*length], 3, &["nothing was taken from "]);
    });
    let more = [&*whole, b"more"].concat();
    small.refused(&more, 3, &["there is something behind its end"]);
}

#[test]
fn what_is_no_lab_is_refused() {
    let small = &*SMALL;
    small.refused(b"#!/bin/sh\n", 3, &["nothing was taken from "]);
    let other = Tarball::new().bytes();
    small.refused(
        &through("xz", &other),
        3,
        &["\"linux/COPYING\": should be \"ship-of-theseus\": this is no lab"],
    );
    small.refused(&other, 3, &["nothing was taken from "]);
    let place = Place::empty();
    for (arguments, word) in [
        (&["/nowhere"] as &[&str], "/nowhere is no file"),
        (&["/tmp"], "/tmp is no file"),
        (
            &["published"],
            "no lab was published for this state of the book",
        ),
        (
            &["http://localhost:1/x"],
            "nothing tells which bytes http://localhost:1/x should have",
        ),
        (&["/dev/null", "--sha256", "12"], "12 is no SHA-256"),
        (&["x", "--host-tools"], "leave --host-tools away"),
    ] {
        small
            .import_with(&place, arguments)
            .ends_with(2)
            .complains(word);
        is_empty(&place);
    }
}

/// The first line of the archive.
const FIRST: &[u8] = b"The lab of The Ship of Theseus, form 1\n";
const KEY: &str = "0123456789ab";

/// A file that begins well.
fn forged() -> Tarball {
    Tarball(tar::Builder::new(Vec::new())).with("ship-of-theseus", EntryType::Regular, "", FIRST)
}

#[test]
fn a_member_that_belongs_to_no_entry_or_leads_out_is_refused() {
    let small = &*SMALL;
    let stamp = format!("kernel/{KEY}/complete");
    let with_stamp = || forged().file(&stamp);
    let refused = |tarball: Tarball, word: &str| {
        small.refused(&through("xz", &tarball.bytes()), 3, &[word]);
    };
    for (name, word) in [
        ("../out", "leads out"),
        ("/tmp/theseus-out", "leads out"),
        ("kernel/0123456789ab/../../../out", "leads out"),
        ("out", "belongs to no entry"),
        ("kernel/0123456789ab.lock", "belongs to no entry"),
        ("kernel/0123456789ab.lock/x", "belongs to no entry"),
        ("fresh-x/0123456789ab/x", "belongs to no entry"),
        ("captures/0123456789ab/x", "belongs to no entry"),
        (
            "tools/0123456789ab/root/x",
            "belongs to an entry without a stamp",
        ),
        (&stamp, "comes twice"),
        ("ship-of-theseus", "belongs to no entry"),
    ] {
        refused(with_stamp().file(name), &format!("{name:?}: {word}"));
    }
    assert!(!exists(Path::new("/tmp/theseus-out")));
    let name = format!("kernel/{KEY}/linux/l");
    for target in ["/etc", "/", "/labor", "../../../..", "/lab/../etc"] {
        let tarball = with_stamp().with(&name, EntryType::Symlink, target, b"");
        refused(tarball, "is a link that leads out");
    }
    for (kind, word) in [
        (EntryType::Char, "is a device"),
        (EntryType::Fifo, "is a pipe"),
    ] {
        refused(with_stamp().with(&name, kind, "", b""), word);
    }
    let through_link = with_stamp()
        .with(&name, EntryType::Symlink, ".", b"")
        .file(&format!("{name}/x"));
    refused(through_link, "lies behind what is no folder");
    refused(with_stamp(), &format!("the stamp of its kernel/{KEY}"));
    let stamp = br#"{"inputs": {"a": "b"}, "outputs": {}, "seen": {}}"#;
    let other = forged().with(
        &format!("kernel/{KEY}/complete"),
        EntryType::Regular,
        "",
        stamp,
    );
    refused(other, "is not made of what its stamp says");
}

#[test]
fn a_lab_of_another_version_is_told_and_refused() {
    let small = &*SMALL;
    // A checkout whose guest has another program.
    let checkout = tempfile::tempdir().unwrap();
    let line = format!(
        "cp -r {0}/kernel-configs {0}/rootfs {0}/chapters {0}/book.toml {1}; echo '# new' >>{1}/rootfs/init",
        repository().display(),
        checkout.path().display()
    );
    run(checkout.path(), &line);
    let place = Place::empty();
    let mut command = small.command(&place, &["setup", "--from", small.file.to_str().unwrap()]);
    command.current_dir(checkout.path());
    Ran::of(command).ends_with(2).complains(
        "it is of another version than this checkout: it has another initramfs; take the file",
    );
    is_empty(&place);
    // One with another kernel.
    let mut command = small.command(&place, &["setup", "--from", small.file.to_str().unwrap()]);
    // The machine may have no xz.
    toolbox::run(
        checkout.path(),
        "cp -r rootfs old; tar -cJf other.tar.xz old",
    );
    command.env(
        "THESEUS_KERNEL_SOURCE",
        checkout.path().join("other.tar.xz"),
    );
    Ran::of(command)
        .ends_with(2)
        .complains("it has another kernel;");
    is_empty(&place);
    // A file of another form.
    let other = Tarball(tar::Builder::new(Vec::new()));
    let other = other.with("ship-of-theseus", EntryType::Regular, "", b"form 7\n");
    let other = through("xz", &other.bytes());
    small.refused(&other, 2, &["it is of another version than this runner"]);
}

#[test]
fn a_lab_comes_from_a_site_if_its_hash_is_named() {
    let small = &*SMALL;
    let whole = fs::read(&small.file).unwrap();
    let url = serve(move |path, stream| match path {
        "/lab.tar.xz" => respond(stream, whole.len(), &whole),
        "/short" => respond(stream, whole.len(), &whole[..whole.len() / 2]),
        _ => refuse(stream),
    });
    let lab = format!("{url}/lab.tar.xz");
    let place = Place::empty();
    let zeros = "0".repeat(64);
    for (name, sha256, word) in [
        ("lab.tar.xz", &*zeros, "is not the pinned file"),
        ("short", &small.sha256, "broke off after"),
        ("none", &small.sha256, "404"),
    ] {
        let from = format!("{url}/{name}");
        let ran = small.import_with(&place, &[&from, "--sha256", sha256]);
        ran.ends_with(3).complains(word);
        is_empty(&place);
    }
    // A file that the reader names is held against a hash, too.
    let file = small.file.to_str().unwrap();
    let ran = small.import_with(&place, &[file, "--sha256", &zeros]);
    ran.ends_with(3).complains("is not the pinned file");
    is_empty(&place);
    small
        .import_with(&place, &[&lab, "--sha256", &small.sha256])
        .ends_with(0);
    small.is_in(&place);
    // What the repository names as published needs no more words.
    let checkout = tempfile::tempdir().unwrap();
    for name in [
        "kernel-configs",
        "rootfs",
        "chapters",
        "book.toml",
        "runner",
    ] {
        let target = checkout.path().join(name);
        std::os::unix::fs::symlink(repository().join(name), target).unwrap();
    }
    let lock = format!("url {lab}\nsha256 {}\n", small.sha256);
    fs::write(checkout.path().join("lab.lock"), lock).unwrap();
    for from in ["published", &*lab, file] {
        let place = Place::empty();
        let mut command = small.command(&place, &["setup", "--from", from]);
        command.current_dir(checkout.path());
        let ran = Ran::of(command);
        ran.ends_with(0);
        assert!(!ran.stderr.contains("is not the lab that was published"));
        small.is_in(&place);
    }
}

#[test]
fn a_take_that_is_killed_leaves_nothing_that_counts() {
    let small = &*SMALL;
    eprintln!("THESEUS_SEED={}", seed());
    let mut random = Random::new("bundle");
    let file = small.file.to_str().unwrap();
    let place = Place::empty();
    let begun = Instant::now();
    small.import(&place, &small.file).ends_with(0);
    let whole = begun.elapsed();
    let place = Place::empty();
    for signal in [Signal::KILL, Signal::KILL, Signal::INT, Signal::TERM] {
        let mut command = small.command(&place, &["setup", "--from", file]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        std::thread::sleep(random.moment(whole));
        let _ = kill_process(Pid::from_child(&child), signal);
        fixture::ended(child);
        let until = Instant::now() + Duration::from_secs(20);
        while !fresh(&place).is_empty() {
            assert!(
                Instant::now() < until,
                "{signal:?} has left {:?}",
                fresh(&place)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        // An entry that has landed is whole; another has no stamp.
        place.tells_the_truth();
    }
    small.import(&place, &small.file).ends_with(0);
    small.is_in(&place);
}

#[test]
fn two_who_take_it_at_once_do_not_meet() {
    let small = &*SMALL;
    let place = Place::empty();
    fixture::at_once(&[1, 2], |_| {
        small.import(&place, &small.file).ends_with(0);
    });
    small.is_in(&place);
}

#[test]
fn a_lab_that_cannot_be_handed_on_says_why_and_leaves_no_file() {
    let small = &*SMALL;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.tar.xz");
    let nothing_is_left = || assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let nowhere = Path::new("/nowhere/lab.tar.xz");
    small
        .export(&small.place, nowhere)
        .ends_with(3)
        .complains("make a folder beside /nowhere/lab.tar.xz: No such file or directory");
    fs::write(&file, "mine").unwrap();
    small
        .export(&small.place, &file)
        .ends_with(2)
        .complains("is there already, and stays");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    fs::remove_file(&file).unwrap();
    let place = Place::empty();
    small.import(&place, &small.file).ends_with(0);
    // Somebody's own tree has no bytes that a file could stand for.
    let tree = folder.path().join("tree");
    run(
        folder.path(),
        "mkdir -p tree/kernel/configs tree/scripts/kconfig; touch tree/kernel/configs/tiny.config\n\
         printf 'VERSION = 6\\nPATCHLEVEL = 1\\nSUBLEVEL = 176\\nmrproper:\\n' >tree/Makefile\n\
         printf '#!/bin/sh\\ngrep -v =n$ ../fragment.config >.config\\n' >tree/scripts/kconfig/merge_config.sh\n\
         chmod +x tree/scripts/kconfig/merge_config.sh",
    );
    let mut command = small.command(&place, &["lab", "export", file.to_str().unwrap()]);
    command.env("THESEUS_KERNEL_SOURCE", &tree);
    Ran::of(command)
        .ends_with(3)
        .complains("the kernel was built from a tree");
    fs::remove_dir_all(tree).unwrap();
    nothing_is_left();
}

#[test]
fn what_steps_look_at_of_the_objects_is_in_the_file() {
    let mut found = std::collections::BTreeSet::new();
    for chapter in fs::read_dir(repository().join("chapters")).unwrap() {
        let text = fs::read_to_string(chapter.unwrap().path()).unwrap_or_default();
        let steps = text.lines().filter(|line| line.contains("runner show"));
        let words = steps.flat_map(|line| line.split([' ', ';', '\'', '"', ')']));
        let objects = words.filter(|word| word.starts_with("linux/") && word.ends_with(".o"));
        found.extend(objects.map(|word| word["linux/".len()..].to_owned()));
    }
    assert!(!found.is_empty());
    for object in found {
        assert!(LOOKED_AT.contains(&&*object), "{object}");
    }
}
