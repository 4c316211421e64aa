//! Pages that mdbook and mdbook-cmdrun made, both real.

use book::snapshot::Snapshot;
use std::sync::LazyLock;

use scraper::{ElementRef, Html, Selector};

use crate::fixture::{Fixture, said};
use crate::folder;

pub fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

pub fn within(element: ElementRef<'_>, selector: &str) -> String {
    let selector = Selector::parse(selector).unwrap();
    element
        .select(&selector)
        .flat_map(|found| found.text())
        .collect()
}

/// The fixture's book, built once for all who only read it.
pub fn built() -> &'static Fixture {
    static BUILT: LazyLock<Fixture> = LazyLock::new(|| {
        let book = Fixture::in_folder(folder::alone("built"), None);
        let output = book.build();
        assert!(output.status.success(), "{}", said(&output));
        book
    });
    &BUILT
}

fn hostile() -> (&'static Fixture, Html, Snapshot) {
    let book = built();
    let page = book.page("05-hostile.html");
    let snapshot = Snapshot::read(&book.path(""), "05-hostile")
        .unwrap()
        .unwrap();
    (book, page, snapshot)
}

#[test]
fn every_step_shows_what_was_recorded_and_nothing_else() {
    let (_book, page, snapshot) = hostile();
    assert_eq!(all(&page, ".step").len(), snapshot.transcript.records.len());
    for record in &snapshot.transcript.records {
        let (id, terminal) = (record.id, record.terminal);
        let found = all(
            &page,
            &format!("main .steps > .step.step-{terminal}[id='step-{id}']"),
        );
        let [step] = found[..] else {
            panic!("step {id} stands {} times on the page", found.len());
        };
        let typed = match &*record.command {
            "" => String::new(),
            command => format!("{} {command}\n", terminal.prompt()),
        };
        assert_eq!(within(step, ".step-command"), record.command);
        assert_eq!(
            within(step, "pre.step-text"),
            typed + &record.output.stdout,
            "step {id}"
        );
        assert_eq!(
            within(step, "pre.step-stderr"),
            record.output.stderr,
            "step {id}"
        );
        assert_eq!(
            within(step, &format!("a[href='#step-{id}']")),
            id.to_string()
        );
    }
}

#[test]
fn output_runs_nothing_and_becomes_no_html() {
    let (book, page, _) = hostile();
    let ran = |entry: walkdir::DirEntry| entry.file_name() == "ran-by-the-output";
    let files = walkdir::WalkDir::new(book.path("")).into_iter();
    assert_eq!(
        files
            .filter_map(Result::ok)
            .filter(|e| ran(e.clone()))
            .count(),
        0
    );
    let here = std::env::current_dir().unwrap();
    assert!(!here.join("ran-by-the-output").exists());
    for selector in [
        ".step script",
        ".step img",
        "[onerror]",
        "[src='x']",
        ".step h1",
        ".step hr",
        ".step-text a",
        ".step em",
    ] {
        assert_eq!(all(&page, selector).len(), 0, "{selector}");
    }
    assert!(page.html().matches("<!-- cmdrun").count() == 0);
    // What follows the hostile output is still in its place.
    assert_eq!(all(&page, "main > .steps").len(), 4);
    assert_eq!(all(&page, "main > p").len(), 5);
}

#[test]
fn ordinary_fences_are_mdbooks_and_steps_are_not() {
    let (_book, page, _) = hostile();
    assert_eq!(all(&page, "main > pre > code.language-console").len(), 1);
    assert_eq!(all(&page, "main > pre > code.language-c").len(), 1);
    // mdbook colours code elements, and gives them a button that would copy the output too.
    assert_eq!(all(&page, ".step code").len(), 0);
}

#[test]
fn what_went_wrong_and_what_is_folded_is_told() {
    let (_book, page, _) = hostile();
    let step = |number: u32| all(&page, &format!("[id='step-5.{number}']"))[0];
    assert_eq!(within(step(6), ".step-terminal"), "guest, later:");
    assert_eq!(within(step(7), ".step-note"), "exit status 2");
    assert_eq!(within(step(8), ".step-caption"), "error");
    assert_eq!(within(step(9), "details > summary"), "6 more lines");
    assert_eq!(within(step(9), "details > pre"), "3\n4\n5\n6\n7\n8\n");
    assert_eq!(within(step(1), ".step-escape"), r"\x1b\x1b\x5c\xff");
}

#[test]
fn a_chapter_says_what_it_was_verified_with() {
    let (book, page, _) = hostile();
    let [banner] = all(&page, "main > h1 + aside.verified-exact")[..] else {
        panic!("one line below the heading");
    };
    let line = within(banner, "p");
    let expected = "Verified byte for byte with Linux 6.1.176, QEMU 7.2.22, gdb 13.1. \
                    Replay it: cargo run -p runner -- chapter 5";
    assert_eq!(line, expected);
    assert_eq!(all(&page, "aside dt").len(), 5);
    assert!(within(banner, "dd").contains("(<b>Debian</b>)"));
    assert_eq!(
        all(&book.page("06-plain.html"), "aside.verified-meaning").len(),
        1
    );
    assert_eq!(
        all(&book.page("introduction.html"), "aside.verified").len(),
        0
    );
}

#[test]
fn the_whole_book_on_one_page_keeps_the_anchors_apart() {
    let page = built().page("print.html");
    for id in ["5.1", "5.9", "6.1"] {
        assert_eq!(all(&page, &format!("[id='step-{id}']")).len(), 1, "{id}");
    }
}

#[test]
fn a_drawing_in_a_chapter_that_has_no_step_yet_is_named_at_its_line() {
    let book = Fixture::new();
    let path = book.path("chapters/06-plain.md");
    let text = "# Plain\n\nText.\n\n<!-- runner draw calls -->\n";
    std::fs::write(path, text).unwrap();
    let output = book.build();
    assert!(!output.status.success());
    let said = said(&output);
    assert!(
        said.contains("chapters/06-plain.md:5: a page without steps can hold"),
        "{said}"
    );
}

#[test]
fn a_stale_step_fails_the_build() {
    let book = Fixture::new().edit("chapters/06-plain.md", "uname", "uname -a");
    let output = book.build();
    assert!(!output.status.success());
    let said = said(&output);
    assert!(
        said.contains("chapters/06-plain.md:6: step 6.1 is `host uname -a`"),
        "{said}"
    );
    assert!(!book.path("book/06-plain.html").exists());
}
