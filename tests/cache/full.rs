//! A disk that is full, at each of the runner's own writes in turn; and while its children write.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::bundle::{SMALL, is_empty};
use crate::fixture::{Book, Ran, repository};
use crate::place::{Place, exists, in_own_mounts, tools};
use crate::seed::{Random, seed};
use crate::shim;

const DERIVED: [&str; 3] = ["kernel", "programs", "initramfs"];

/// How many writes the runner does in making what is missing.
fn writes(arguments: &[&str]) -> usize {
    let place = Place::without(&DERIVED);
    let file = place.folder.path().join("count");
    let mut command = place.command(arguments);
    shim::count(&mut command, &place.root(), &file);
    Ran::of(command).ends_with(0);
    fs::metadata(file).unwrap().len() as usize
}

#[test]
fn a_disk_that_is_full_at_a_write_of_the_day_is_told_and_with_room_again_the_run_goes_on() {
    full_at(6);
}

#[test]
#[ignore = "takes minutes; each day has a few writes, and every night has all"]
fn a_disk_that_is_full_at_any_write_is_told_and_with_room_again_the_run_goes_on() {
    full_at(usize::MAX);
}

/// Has the disk full at so many of the writes of a setup.
fn full_at(count: usize) {
    let arguments = ["setup"];
    let all = writes(&arguments);
    assert!(all > 40, "{all}");
    eprintln!("THESEUS_SEED={}", seed());
    let chosen = Random::new("writes").sample((1..=all).collect(), count);
    let place = Place::without(&DERIVED);
    let temporary = tempfile::tempdir().unwrap();
    for (number, write) in (1..).zip(&chosen) {
        let before = place.entries("initramfs").len();
        let mut command = place.command(&arguments);
        command.env("TMPDIR", temporary.path());
        shim::full(&mut command, &place.root(), *write);
        let ran = Ran::of(command);
        ran.ends_with(3)
            .complains("No space left on device")
            .complains(&place.root().display().to_string())
            .complains("the disk is full: ")
            .complains("a lab from nothing takes 2800 MB");
        assert!(!ran.stderr.contains("damaged"), "{write}: {ran:#?}");
        // What is not finished has no stamp, and no half of one.
        for entry in lab::build::cache::Cache::at(place.root()).list().unwrap() {
            let partial = walkdir::WalkDir::new(&entry.folder).into_iter().flatten();
            let partial: Vec<_> = partial
                .filter(|file| file.path().extension() == Some("partial".as_ref()))
                .collect();
            assert!(partial.is_empty(), "{write}: {partial:?}");
        }
        let left = fs::read_dir(temporary.path()).unwrap().count();
        assert_eq!((left, before), (0, 0), "{write}: {ran:#?}");
        if number % 16 == 0 || number == chosen.len() {
            place.run(&arguments).ends_with(0);
            place.run(&["run", "true"]).ends_with(0);
            place.is_as_made();
        }
        for kind in DERIVED {
            let _ = fs::remove_dir_all(place.root().join(kind));
        }
    }
}

#[test]
fn an_import_onto_a_full_disk_is_told_and_nothing_of_it_is_kept() {
    let small = &*SMALL;
    let arguments = ["setup", "--from", small.file.to_str().unwrap()];
    let place = Place::empty();
    let file = place.folder.path().join("count");
    let mut command = small.command(&place, &arguments);
    shim::count(&mut command, &place.root(), &file);
    Ran::of(command).ends_with(0);
    let all = fs::metadata(file).unwrap().len() as usize;
    assert!(all > 40, "{all}");
    eprintln!("THESEUS_SEED={}", seed());
    let place = Place::empty();
    // How many writes there are varies with how much comes through a pipe at a time.
    for write in Random::new("imports").sample((1..=all / 2).collect(), 6) {
        let mut command = small.command(&place, &arguments);
        shim::full(&mut command, &place.root(), write);
        let ran = Ran::of(command);
        ran.ends_with(3)
            .complains("No space left on device")
            .complains("the disk is full: ");
        assert!(
            !ran.stderr.contains("damaged"),
            "{write} of {all}: {ran:#?}"
        );
        is_empty(&place);
    }
    Ran::of(small.command(&place, &arguments)).ends_with(0);
    small.is_in(&place);
}

#[test]
fn a_replay_on_a_full_disk_needs_no_room_in_the_cache() {
    let place = Place::made();
    let book = Book::new(&[
        "guest 'ip link set lo up'",
        "wire 'tcpdump -n -r wire.pcap'",
    ]);
    book.keep(&place.run_in(&book, &["chapter", "5", "--json"]));
    let capture = place.root().join("captures/05-five.pcap");
    for write in 1..=3 {
        let mut command = place.command_in(&book, &["chapter", "5"]);
        shim::full(&mut command, &place.root(), write);
        Ran::of(command)
            .ends_with(0)
            .prints("not kept: cannot write ")
            .prints("No space left on device");
        assert!(!exists(&capture), "half a capture is left");
    }
    place
        .run_in(&book, &["chapter", "5"])
        .ends_with(0)
        .prints("kept in");
}

#[test]
fn a_disk_that_is_full_for_a_replay_is_no_difference() {
    let place = Place::made();
    let book = Book::new(&[
        "host 'cat /dev/zero > full 2> /dev/null || true'",
        "guest 'ip link set eth0 up'",
        "wire 'tcpdump -n -r wire.pcap'",
    ]);
    let like = place.command_in(&book, &["chapter", "5"]);
    let lines = "mount -t tmpfs -o size=70m tmpfs /mnt; TMPDIR=/mnt exec \"$@\"";
    let command = in_own_mounts(&like, lines);
    Ran::of(command)
        .ends_with(3)
        .complains("05-five.md:")
        .complains("step 5.1 `host cat /dev/zero")
        .complains("No space left on device")
        .complains("for /mnt, where a replay takes up to 64 MB; make room, or set XDG_CACHE_HOME or TMPDIR");
}

/// `arguments` with this cache on a disk of `size`. Where a line is given, it is run behind it with
/// 500 MB.
fn on_disk(place: &Place, size: &str, then: &str) -> (Ran, String) {
    let cache = place.folder.path().display();
    let runner = env!("CARGO_BIN_EXE_runner");
    let line = format!(
        "mount -t tmpfs -o size={size} tmpfs /mnt; cp -a {cache}/ship-of-theseus /mnt; cd {}\n\
         export XDG_CACHE_HOME=/mnt; {runner} setup && code=0 || code=$?\n\
         mount -o remount,size=500m tmpfs /mnt; {then} >&2; ls /mnt/ship-of-theseus/*/* -d; exit $code",
        repository().display()
    );
    let like = place.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "bash", "-c", &line]);
    for (name, value) in like.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let ran = Ran::of(command);
    let left = ran.stdout.clone();
    (ran, left)
}

#[test]
fn a_disk_that_is_full_for_what_the_runner_starts_is_told_too() {
    let runner = env!("CARGO_BIN_EXE_runner");
    // busybox is unpacked by the runner, and built by what it starts; the kernel's 76 MB are copied
    // by `make`.
    for (without, size, words) in [
        (&["kernel", "initramfs"][..], "60m", "make"),
        (&["busybox", "kernel", "initramfs"], "10m", "make"),
    ] {
        let place = Place::without(without);
        let (ran, left) = on_disk(&place, size, &format!("{runner} setup"));
        ran.ends_with(3)
            .complains("No space left on device")
            .complains("the disk is full: ")
            .complains(words)
            // The run with room.
            .complains("build Linux 6.1.176: done");
        for kind in ["kernel/", "busybox/", "initramfs/"] {
            assert!(left.contains(kind), "{ran:#?}");
        }
    }
}

#[test]
fn a_disk_that_is_full_while_a_tarball_is_unpacked_is_left_empty() {
    let place = Place::without(&["kernel", "busybox", "initramfs", "programs"]);
    let big = place.folder.path().join("big.tar");
    let mut builder = tar::Builder::new(fs::File::create(&big).unwrap());
    let bytes = vec![7; 30 << 20];
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "linux/big", &*bytes)
        .unwrap();
    builder.finish().unwrap();
    let cache = place.folder.path().display();
    let line = format!(
        "mount -t tmpfs -o size=20m tmpfs /mnt; cp -a {cache}/ship-of-theseus /mnt; cd {}\n\
         THESEUS_TOOLS={} XDG_CACHE_HOME=/mnt {} setup --kernel-source {}; code=$?; find /mnt/ship-of-theseus/kernel; exit $code",
        repository().display(),
        tools().display(),
        env!("CARGO_BIN_EXE_runner"),
        big.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "bash", "-c", &line]);
    let ran = Ran::of(command);
    ran.ends_with(3)
        .complains("its member \"linux/big\": No space left on device")
        .complains("the disk is full: ");
    let left: Vec<_> = ran.stdout.lines().map(PathBuf::from).collect();
    assert!(
        left.len() <= 2
            && left.iter().all(|path| {
                path.ends_with("kernel") || path.extension() == Some("lock".as_ref())
            }),
        "{left:?}"
    );
}
