//! What disks and people do to the files of the cache.

use std::fs;
use std::path::{Path, PathBuf};

use lab::build::cache::Stamp;

use crate::fixture::Book;
use crate::place::{Place, exists, flip, run, truncate};
use crate::seed::{Random, seed};

/// The outputs of each entry but the tarballs.
fn outputs(place: &Place) -> Vec<Vec<PathBuf>> {
    let mut outputs = Vec::new();
    for kind in ["kernel", "busybox", "programs", "initramfs"] {
        for entry in place.entries(kind) {
            let stamp = fs::read(entry.join("complete")).unwrap();
            let stamp: Stamp = serde_json::from_slice(&stamp).unwrap();
            outputs.push(
                stamp
                    .outputs
                    .keys()
                    .map(|output| entry.join(output))
                    .collect(),
            );
        }
    }
    outputs
}

fn middle(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len() / 2
}

/// Damages each output, one of each entry at a time. The next run that needs them names them and
/// makes them anew, and all is as before.
fn is_healed(damage: impl Fn(&Path), words: &str) {
    let place = Place::made();
    let all = outputs(&place);
    assert_eq!(all.len(), 5, "{all:#?}");
    for round in 0..all.iter().map(Vec::len).max().unwrap() {
        let damaged = all.iter().filter_map(|outputs| outputs.get(round));
        damaged.clone().for_each(|output| damage(output));
        // `run` needs all of them, and the first program of its guest besides.
        let ran = place.run(&["run", "echo", "well"]);
        ran.ends_with(0).prints("well\n");
        for output in damaged {
            ran.complains(&format!("{}{words}; it is made anew", output.display()));
        }
        place.is_as_made();
    }
}

#[test]
fn an_output_that_is_truncated_is_made_anew() {
    is_healed(
        |path| truncate(path, |length| length / 2),
        " is not as it was made",
    );
}

#[test]
fn an_output_that_is_emptied_is_made_anew() {
    is_healed(|path| truncate(path, |_| 0), " is not as it was made");
}

#[test]
fn an_output_that_is_gone_is_made_anew() {
    is_healed(|path| fs::remove_file(path).unwrap(), " is gone");
}

#[test]
fn an_output_with_a_flipped_bit_is_made_anew() {
    is_healed(
        |path| {
            flip(path, middle(path));
            // What is large is believed while its time and its size are as they were.
            if fs::metadata(path).unwrap().len() > 8 << 20 {
                let file = fs::File::options().append(true).open(path).unwrap();
                file.set_modified(std::time::SystemTime::now()).unwrap();
            }
        },
        " is not as it was made",
    );
}

#[test]
fn a_bit_that_the_disk_has_flipped_in_the_debug_information_is_found_when_a_replay_fails() {
    let place = Place::made();
    let book = Book::new(&["gdb 'break inet_init'", "gdb continue"]);
    let vmlinux = place.entries("kernel")[0].join("linux/vmlinux");
    book.keep(&place.run_in(&book, &["chapter", "5", "--json"]));
    let bytes = fs::read(&vmlinux).unwrap();
    let names = bytes.windows(10).enumerate();
    let at: Vec<_> = names
        .filter(|(_, name)| name == b"inet_init\0")
        .map(|(at, _)| at as u64 + 3)
        .collect();
    assert!(!at.is_empty());
    for at in at {
        flip(&vmlinux, at);
    }
    place
        .run_in(&book, &["chapter", "5"])
        .ends_with(3)
        .complains("the cache is damaged: ")
        .complains(
            "/linux/vmlinux is not as it was made; it was removed, and the next run makes it anew",
        );
    place
        .run_in(&book, &["chapter", "5"])
        .ends_with(0)
        .complains("build Linux");
    place.is_as_made();
}

#[test]
fn a_replay_that_differs_for_another_reason_removes_nothing() {
    let place = Place::made();
    let book = Book::new(&["guest 'echo $((40 + 2))'"]);
    book.keep(&place.run_in(&book, &["chapter", "5", "--json"]));
    let snapshot = fs::read_to_string(book.snapshot()).unwrap();
    fs::write(book.snapshot(), snapshot.replace("42", "43")).unwrap();
    let ran = place.run_in(&book, &["chapter", "5"]);
    ran.ends_with(1);
    assert!(!ran.stderr.contains("damaged"), "{ran:#?}");
    place.run(&["run", "false"]).ends_with(1);
    place.is_as_made();
}

#[test]
fn a_damaged_tarball_is_fetched_again() {
    // A tarball of the cache is only read to be unpacked.
    let place = Place::without(&["busybox", "initramfs"]);
    let source = place.entries("busybox-source").remove(0);
    let tarball = source.join("busybox-1.35.0.tar.bz2");
    let good = fs::read(&tarball).unwrap();
    let setup = || {
        let mut command = place.command(&["setup"]);
        // So that nothing is fetched in earnest.
        command.env("http_proxy", "http://127.0.0.1:9");
        command.env("https_proxy", "http://127.0.0.1:9");
        crate::fixture::Ran::of(command)
    };
    flip(&tarball, middle(&tarball));
    setup()
        .ends_with(3)
        .complains("busybox-1.35.0.tar.bz2 is not as it was made; it is made anew")
        .complains("the source of busybox 1.35.0 could not be had")
        .complains("check the network, and run again");
    assert!(!exists(&tarball));
    // With the network it comes again, as the other tests of sources show.
    fs::create_dir_all(&source).unwrap();
    fs::write(&tarball, good).unwrap();
    run(
        &source,
        &format!(
            "cp {}/cache/c/ship-of-theseus/busybox-source/*/complete .",
            env!("CARGO_TARGET_TMPDIR")
        ),
    );
    place.run(&["setup"]).ends_with(0);
    place.is_as_made();
}

#[test]
fn a_damaged_stamp_is_no_stamp() {
    let place = Place::made();
    let kinds = ["kernel", "busybox", "programs", "initramfs"];
    let stamps: Vec<_> = kinds
        .into_iter()
        .flat_map(|kind| place.entries(kind))
        .map(|entry| entry.join("complete"))
        .collect();
    let good: Vec<_> = stamps
        .iter()
        .map(|stamp| fs::read(stamp).unwrap())
        .collect();
    for (index, stamp) in stamps.iter().enumerate() {
        let other = &good[(index + 1) % good.len()];
        // Of the programs, one is only needed to run one.
        let is_init = exists(&stamp.with_file_name("init"));
        let run: &[_] = if is_init {
            &["run", "true"]
        } else {
            &["setup"]
        };
        for (bytes, words) in [
            (
                &good[index][..good[index].len() / 2],
                "is not as it was written",
            ),
            (b"", "is not as it was written"),
            (b"\0\0\0\0", "is not as it was written"),
            (&other[..], "is of another entry"),
        ] {
            fs::write(stamp, bytes).unwrap();
            let words = format!("{} {words}; it is made anew", stamp.display());
            place.run(run).ends_with(0).complains(&words);
        }
        fs::remove_file(stamp).unwrap();
        place.run(run).ends_with(0);
        fs::remove_file(stamp).unwrap();
        fs::create_dir(stamp).unwrap();
        place
            .run(run)
            .ends_with(0)
            .complains("cannot be read: Is a directory");
    }
    place.is_as_made();
}

#[test]
fn no_bit_of_the_day_can_lie_in_a_stamp() {
    no_bit_lies(200);
}

#[test]
#[ignore = "takes minutes; each day has some bits, and every night has all"]
fn no_bit_can_lie_in_a_stamp() {
    no_bit_lies(usize::MAX);
}

/// Flips so many of the bits of a stamp, one at a time.
fn no_bit_lies(count: usize) {
    let place = Place::made();
    let entry = place.entries("initramfs").remove(0);
    let stamp = entry.join("complete");
    let good = fs::read(&stamp).unwrap();
    let text: Stamp = serde_json::from_slice(&good).unwrap();
    let cache = || lab::build::cache::Cache::at(place.root());
    assert!(cache().get("initramfs", &text.inputs).is_some());
    let seed = seed();
    let bits = Random::new("bits").sample((0..good.len() * 8).collect(), count);
    let mut noticed = 0;
    for bit in &bits {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&stamp, &bytes).unwrap();
        // Either it is noticed, or what it says about the entry is still true.
        match cache().get("initramfs", &text.inputs) {
            None => noticed += 1,
            Some(entry) => assert_eq!(
                entry.stamp.outputs, text.outputs,
                "{bit}, THESEUS_SEED={seed}"
            ),
        }
    }
    let all = bits.len();
    assert!(
        noticed > all / 2,
        "{noticed} of {all} bits, THESEUS_SEED={seed}"
    );
}

#[test]
fn what_a_crash_has_left_is_in_nobodys_way() {
    let place = Place::made();
    for kind in ["programs", "initramfs", "busybox", "kernel"] {
        for entry in place.entries(kind) {
            fs::remove_file(entry.join("complete")).unwrap();
            fs::write(entry.join("complete.partial"), "{").unwrap();
            fs::create_dir(entry.join("rubbish")).unwrap();
            fs::write(entry.join("initramfs.partial"), "half").unwrap();
            fs::remove_file(entry.with_extension("lock")).unwrap();
        }
    }
    // A kernel is gone on with, unless the machine has been down since.
    let kernel = place.entries("kernel").remove(0);
    let object = kernel.join("linux/net/ipv4/af_inet.o");
    fs::write(&object, "").unwrap();
    fs::create_dir_all(kernel.join("linux/include/config")).unwrap();
    fs::write(kernel.join("unpacked"), "another boot").unwrap();
    let ran = place.run(&["run", "true"]);
    ran.ends_with(0).complains("unpack linux.tar.xz: done");
    assert!(!exists(&object));
    fs::remove_file(kernel.join("complete")).unwrap();
    fs::write(&object, "").unwrap();
    let ran = place.run(&["run", "true"]);
    ran.ends_with(0).complains("build Linux");
    assert!(
        exists(&object) && !ran.stderr.contains("unpack"),
        "{ran:#?}"
    );
    place.is_as_made();
}

#[test]
fn a_copy_with_other_times_is_no_damage_and_is_hashed_only_once() {
    let place = Place::made();
    let kernel = place.entries("kernel").remove(0);
    let stamp = kernel.join("complete");
    let good = fs::read_to_string(&stamp).unwrap();
    let written = fs::metadata(&stamp).unwrap().modified().unwrap();
    run(&kernel, "touch -d 2001-02-03 linux/vmlinux");
    place.is_as_made();
    // The new times were noted, and nothing else.
    assert_ne!(fs::read_to_string(&stamp).unwrap(), good);
    assert_eq!(fs::metadata(&stamp).unwrap().modified().unwrap(), written);
}

#[test]
fn captures_and_history_cannot_harm() {
    let place = Place::made();
    let book = Book::new(&[
        "guest 'ip link set lo up'",
        "wire 'tcpdump -n -r wire.pcap'",
    ]);
    book.keep(&place.run_in(&book, &["chapter", "5", "--json"]));
    let captures = place.root().join("captures");
    let capture = captures.join("05-five.pcap");
    place
        .run_in(&book, &["chapter", "5"])
        .ends_with(0)
        .prints("kept in");
    let good = fs::read(&capture).unwrap();
    fs::write(&capture, "rubbish").unwrap();
    place
        .run_in(&book, &["chapter", "5"])
        .ends_with(0)
        .prints("kept in");
    assert_eq!(fs::read(&capture).unwrap(), good);
    fs::remove_dir_all(&captures).unwrap();
    fs::write(&captures, "a file where a folder should be").unwrap();
    fs::create_dir(place.root().join("history")).unwrap();
    let ran = place.run_in(&book, &["chapter", "5"]);
    ran.ends_with(0).prints("not kept: cannot write ");
    place.run_in(&book, &["shell", "5"]).ends_with(0);
}
