//! A standard output that takes no more.

use std::fs::File;
use std::process::Stdio;

use crate::fixture::{Book, Ran, ended};

/// Runs this on the book's chapter, with this standard output, and sees that nothing is left of the
/// machine.
fn run(book: &Book, arguments: &[&str], stdout: Stdio) -> Ran {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = book.command(arguments);
    command.env("TMPDIR", scratch.path()).stdout(stdout);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let ran = Ran::from(ended(child));
    assert_eq!(
        scratch.path().read_dir().unwrap().count(),
        0,
        "a file is left"
    );
    ran
}

#[test]
fn a_full_disk_is_an_error_and_a_reader_who_left_is_none() {
    let book = Book::new(&["guest echo one", "guest echo two"]);
    book.run(&["record", "5", "--yes"]).ends_with(0);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for arguments in [
        &["chapter", "5"][..],
        &["chapter", "5", "--json"],
        &["verify", "5"],
    ] {
        let ran = run(&book, arguments, full().into());
        ran.ends_with(3);
        assert_eq!(
            ran.stderr,
            "cannot write to stdout: No space left on device (os error 28)\n"
        );
    }
    let (_, closed) = std::io::pipe().unwrap();
    let ran = run(&book, &["chapter", "5", "--json"], closed.into());
    ran.ends_with(128 + 13);
    assert_eq!(ran.stderr, "");
}
