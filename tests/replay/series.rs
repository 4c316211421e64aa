//! Kernels of other series: how one is chosen, and what is made of what was recorded with it.

use std::fs;

use lab::build::pins::Pins;
use lab::build::setup::{self, Options};

use crate::fixture::{Book, repository};

const TEXT: &str = "# Five\n\n```console\n\
    <!-- cmdrun runner show 5.1 guest 'uname -r | cut -d. -f1,2' -->\n\
    <!-- cmdrun runner show 5.2 gdb interrupt -->\n\
    <!-- cmdrun runner show 5.3 gdb 'list inet_init' -->\n\
    ```\n";

#[test]
fn a_series_is_one_of_the_book_and_stands_alone() {
    let book = Book::with_text(TEXT.as_bytes());
    book.run(&["chapter", "5", "--series", "2.4"])
        .ends_with(2)
        .complains(
            "there is no kernel 2.4 in kernel-configs/sources.toml; it has: 4.19, 5.4, 5.10, 6.1",
        );
    // Nothing pins the bytes of this one.
    book.run(&["record", "5", "--series", "5.4"])
        .ends_with(2)
        .complains("no chapter is recorded on 5.4");
    book.run(&["verify", "--series", "5.4"])
        .ends_with(2)
        .complains("nothing is recorded on 5.4");
    for other in [["--kernel", "."], ["--plank", "mine"]] {
        let [name, value] = other;
        book.run(&["chapter", "5", "--series", "6.12", name, value])
            .ends_with(2)
            .complains("cannot be used with");
    }
    book.run(&["drift", "5.1", "--to", "6.12"])
        .ends_with(2)
        .complains("nothing of it was recorded on 6.12");
}

/// The whole way: another kernel is built, a chapter recorded on both, and their difference shown.
#[test]
#[ignore = "builds a kernel of another series, which takes minutes"]
fn what_another_series_does_otherwise_is_recorded_and_shown() {
    let pins = Pins::read(&repository()).unwrap();
    for series in pins.recorded().filter(|series| *series != lab::SERIES) {
        let mut options = Options::new(repository()).unwrap();
        series.clone_into(&mut options.series);
        let kernel = setup::ready(&options).unwrap().kernel;
        let text = fs::read_to_string(kernel.tree.join(".config")).unwrap();
        assert!(text.contains(&pins.kernel[series].version), "{series}");

        let book = Book::with_text(TEXT.as_bytes());
        book.run(&["record", "5", "--yes"]).ends_with(0);
        book.run(&["record", "5", "--yes", "--series", series])
            .ends_with(0);
        // Twenty replays are one.
        book.run(&["chapter", "5", "--series", series, "--repeat", "20"])
            .ends_with(0)
            .complains("20 of 20 replays agree byte for byte");
        book.run(&["verify", "--series", series])
            .ends_with(0)
            .prints("byte for byte");
        book.run(&["drift", "5.1", "--to", series])
            .ends_with(0)
            .prints(&format!("| {series}\n"));
        // The page is still about the book's own.
        book.run(&["verify"]).ends_with(0).prints("byte for byte");
    }
}
