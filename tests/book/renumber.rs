//! `runner renumber`: all pages follow, or none is touched.

use std::collections::BTreeMap;
use std::process::Output;

use crate::fixture::{Fixture, run, said};
use crate::tools::RUNNER;

const HOSTILE: &str = "chapters/05-hostile.md";
const PLAIN: &str = "chapters/06-plain.md";

/// A book with a new step before step 5.3, and with pages that speak of the steps.
fn grown() -> Fixture {
    let new = "<!-- cmdrun runner show 5.3 guest new -->\n<!-- cmdrun runner show 5.3 gdb";
    let words = "goes on to {{step 5.3}} and [9](05-hostile.md#step-5.9)";
    Fixture::new()
        .edit(HOSTILE, "<!-- cmdrun runner show 5.3 gdb", new)
        .edit(PLAIN, "goes on", words)
}

fn renumber(book: &Fixture, chapter: &str) -> Output {
    let path = std::env::var_os("PATH").unwrap();
    run(RUNNER, &["renumber", chapter], &book.path(""), path, "")
}

/// Renumbers chapter 5 behind lines of bash, in a mount namespace of its own.
fn renumber_behind(book: &Fixture, lines: &str) -> Output {
    let line = format!("{lines}\n{RUNNER} renumber 5");
    let args = ["--user", "--map-root-user", "--mount", "bash", "-ec", &line];
    let path = std::env::var_os("PATH").unwrap_or_default();
    run("unshare", &args, &book.path(""), path, "")
}

/// Every file of the book.
fn files(book: &Fixture) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(book.path("")).into_iter();
    let files = entries
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            (
                entry.path().to_owned(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

#[track_caller]
fn leaves_all_as_it_is(book: &Fixture, code: i32, parts: &[&str]) {
    let before = files(book);
    let output = renumber(book, "5");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(files(book) == before, "a file has changed");
}

#[test]
fn what_speaks_of_a_step_follows_it() {
    let book = grown();
    let output = renumber(&book, "5");
    assert!(output.status.success(), "{}", said(&output));
    let text = std::fs::read_to_string(book.path(HOSTILE)).unwrap();
    for part in ["5.3 guest new", "5.4 gdb continue", "5.10 first=2"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Two steps had the number 5.3, and the one that was recorded is meant.
    let text = std::fs::read_to_string(book.path(PLAIN)).unwrap();
    assert!(
        text.contains("{{step 5.4}} and [9](05-hostile.md#step-5.10)"),
        "{text}"
    );
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("10 steps renumbered, and what speaks of them in 1 files"),
        "{told}"
    );
    let again = renumber(&book, "5");
    assert!(
        String::from_utf8(again.stdout)
            .unwrap()
            .contains("in order already")
    );
}

#[test]
fn a_chapter_that_does_not_exist_is_misuse() {
    let output = renumber(&Fixture::new(), "99");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("there is no chapter `99`; the book has 05-hostile, 06-plain"));
}

#[test]
fn a_fault_on_a_later_page_leaves_all_pages_as_they_are() {
    let broken = grown().edit(PLAIN, "{{step 5.3}}", "{{5.3 'x}}");
    leaves_all_as_it_is(
        &broken,
        2,
        &["06-plain.md:11: {{5.3 'x}}: a quote is never closed"],
    );
    let lost = grown().edit(PLAIN, "{{step 5.3}}", "{{step 5.12}}");
    let message = "06-plain.md:11: this speaks of step 5.12, which does not exist";
    leaves_all_as_it_is(&lost, 2, &[message]);
    let twice = grown().edit(
        "tests/snapshots/6.1/05-hostile.snap",
        "gdb continue",
        "gdb next",
    );
    leaves_all_as_it_is(&twice, 2, &["step 5.3, which exists more than once"]);
    let faulty = grown().edit(HOSTILE, "guest cat hostile", "gust cat hostile");
    leaves_all_as_it_is(&faulty, 2, &["05-hostile.md:6: `gust` is no terminal"]);
    let bytes = grown();
    let mut text = std::fs::read(bytes.path(PLAIN)).unwrap();
    text.extend(b"\n\xff\n");
    std::fs::write(bytes.path(PLAIN), text).unwrap();
    leaves_all_as_it_is(&bytes, 2, &["06-plain.md:17: this line is not UTF-8"]);
}

#[test]
fn a_full_disk_leaves_all_pages_as_they_are() {
    let book = grown();
    let before = files(&book);
    let lines = "cp -a chapters copy\nmount -t tmpfs -o size=200k tmpfs chapters\n\
                 cp -a copy/. chapters\nhead -c 1m /dev/zero >chapters/fill || rm copy/nothing -f\n\
                 trap 'rm chapters/fill; diff -r copy chapters && echo unchanged; rm -r copy' EXIT";
    let output = renumber_behind(&book, lines);
    let told = said(&output);
    assert!(
        !output.status.success() && told.contains("No space left on device"),
        "{told}"
    );
    assert!(
        told.contains("nothing is written: no room beside chapters/05-hostile.md"),
        "{told}"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "unchanged\n");
    assert!(files(&book) == before, "a file has changed");
}

#[test]
fn a_page_that_cannot_be_replaced_takes_the_others_back() {
    let book = grown();
    let before = files(&book);
    let output = renumber_behind(&book, &format!("mount --bind {PLAIN} {PLAIN}"));
    let told = said(&output);
    assert!(!output.status.success(), "{told}");
    let expected = format!("cannot write {PLAIN}: Device or resource busy");
    assert!(
        told.contains(&expected) && told.contains("all pages are what they were"),
        "{told}"
    );
    assert!(files(&book) == before, "a file has changed");
}
