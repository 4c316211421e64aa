//! A wall clock that leaps by years, both ways, under the runner, QEMU, gdb and the shells.

use std::time::{Duration, SystemTime};

use crate::fixture::{Book, Ran};
use crate::place::Place;
use crate::shim;

const YEARS: i64 = 7 * 365 * 86_400;

#[test]
fn a_clock_that_leaps_changes_no_byte_and_damages_nothing() {
    let place = Place::without(&["programs", "initramfs"]);
    let book = Book::new(&[
        "gdb 'break inet_init'",
        "gdb continue",
        "gdb 'backtrace 3'",
        "gdb delete",
        "gdb continue",
        "guest 'cat /proc/uptime; date; sleep 5; cat /proc/uptime'",
        "host 'echo there'",
    ]);
    let leaping = |arguments: &[&str]| {
        let mut command = place.command_in(&book, arguments);
        shim::leap(&mut command, YEARS);
        Ran::of(command)
    };
    leaping(&["setup"]).ends_with(0);
    place.run(&["run", "true"]).ends_with(0);
    place.is_as_made();
    book.keep(&place.run_in(&book, &["chapter", "5", "--json"]));
    leaping(&["chapter", "5", "--repeat", "3"])
        .ends_with(0)
        .prints("the same, byte for byte")
        .complains("3 of 3 replays agree byte for byte");
    let mut command = place.command(&["run", "true"]);
    shim::leap(&mut command, YEARS);
    Ran::of(command).ends_with(0);
    // The ages may be anything, but there is one for each entry.
    leaping(&["clean"])
        .ends_with(3)
        .prints(" old")
        .complains("there is no terminal");
    place.is_as_made();
}

#[test]
fn an_entry_from_the_future_is_an_entry() {
    let place = Place::made();
    let years = Duration::from_secs(YEARS as u64);
    for when in [SystemTime::now() + years, SystemTime::UNIX_EPOCH + years] {
        for kind in ["kernel", "initramfs", "programs"] {
            for entry in place.entries(kind) {
                for file in walkdir::WalkDir::new(entry).into_iter().flatten() {
                    if file.file_type().is_file() {
                        let file = std::fs::File::open(file.path()).unwrap();
                        file.set_modified(when).unwrap();
                    }
                }
            }
        }
        place.is_as_made();
        place.run(&["clean"]).prints(" old");
    }
}
