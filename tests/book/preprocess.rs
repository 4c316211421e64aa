//! `runner preprocess`: what mdbook sends comes back laid out, or every fault with its place.

use crate::fixture::{Fixture, given_back, said};

const HOSTILE: &str = "chapters/05-hostile.md";
const PLAIN: &str = "chapters/06-plain.md";
const SNAPSHOT: &str = "tests/snapshots/6.1/05-hostile.snap";

#[test]
fn only_html_is_supported() {
    for (renderer, code) in [("html", 0), ("markdown", 1)] {
        for name in ["preprocess", "cmdrun"] {
            let output = Fixture::new().runner("", &[name, "supports", renderer], "");
            assert_eq!(output.status.code(), Some(code), "{name} {renderer}");
        }
    }
}

#[test]
fn fences_with_steps_are_laid_out_and_keep_their_directives() {
    let book = Fixture::new();
    let output = book.runner("", &["preprocess"], &book.sent(&book.book()));
    assert!(output.status.success(), "{}", said(&output));
    let pages = given_back(&output);
    let pages: Vec<&str> = pages.iter().map(|(_, text)| &**text).collect();
    assert_eq!(pages[0], book.book()[0].1);
    assert_eq!(pages[1].matches("<!-- cmdrun runner show 5.").count(), 9);
    assert_eq!(
        pages[1]
            .matches("<div class=\"steps\">\n<!-- cmdrun")
            .count(),
        4
    );
    assert_eq!(pages[1].matches("```console").count(), 1);
    assert!(pages[1].starts_with("# Hostile\n\n<aside class=\"verified verified-exact\""));
    assert!(pages[2].contains("verified-meaning"));
}

#[test]
fn every_fault_stops_the_build_with_its_place() {
    let unchanged = Fixture::new;
    let cases = [
        (
            unchanged().edit(HOSTILE, "guest cat hostile", "guest cat other"),
            "chapters/05-hostile.md:6: step 5.1 is `guest cat other`, and the snapshot has",
        ),
        (
            unchanged().edit(HOSTILE, "5.3 gdb", "5.3 guest"),
            "chapters/05-hostile.md:8: step 5.3 is `guest continue`",
        ),
        (
            unchanged().edit(HOSTILE, "status=2 ", ""),
            "chapters/05-hostile.md:22: step 5.7 is expected to end with exit status 0",
        ),
        (
            unchanged().edit(SNAPSHOT, "\n5.4 host true\n= 0\n", ""),
            "chapters/05-hostile.md:14: step 5.4 was never recorded",
        ),
        (
            unchanged().edit(SNAPSHOT, "\n5.9 ", "\n5.9 host\n= 0\n\n5.10 "),
            "chapters/05-hostile.md:29: the snapshot holds step 5.10",
        ),
        (
            unchanged().remove(SNAPSHOT),
            "chapters/05-hostile.md:6: no step of this chapter was recorded",
        ),
        (
            unchanged().edit(
                HOSTILE,
                "<!-- cmdrun runner show 5.4 host true",
                "<!-- cmdrun touch x",
            ),
            "chapters/05-hostile.md:14: `touch x` is not run",
        ),
        (
            unchanged().edit(HOSTILE, "An output", "<!--cmdrun touch x -->"),
            "chapters/05-hostile.md:11: a directive stands alone",
        ),
        (
            unchanged().edit(HOSTILE, "continue -->\n", "continue -->\ninvented output\n"),
            "chapters/05-hostile.md:9: a fence with steps holds nothing else",
        ),
        (
            unchanged().edit(
                "chapters/introduction.md",
                "No step",
                "<!--  cmdrun touch x -->",
            ),
            "chapters/introduction.md:3: only a chapter",
        ),
    ];
    for (book, expected) in cases {
        let output = book.runner("", &["preprocess"], &book.sent(&book.book()));
        assert_eq!(output.status.code(), Some(2), "{expected}");
        assert!(output.stdout.is_empty(), "{expected}");
        let said = said(&output);
        assert!(
            said.lines().any(|line| line.starts_with(expected)),
            "{expected}\n{said}"
        );
    }
}

#[test]
fn the_faults_of_all_chapters_are_told_at_once() {
    let book = Fixture::new()
        .edit(HOSTILE, "host true", "host false")
        .edit(HOSTILE, "seq 9", "seq 10")
        .edit("chapters/06-plain.md", "uname", "uname -a");
    let output = book.runner("", &["preprocess"], &book.sent(&book.book()));
    let said = said(&output);
    let places: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split(": ").next())
        .collect();
    let expected = [
        "chapters/05-hostile.md:14",
        "chapters/05-hostile.md:29",
        "chapters/06-plain.md:6",
    ];
    assert_eq!(places, expected);
}

#[test]
fn an_included_directive_is_refused() {
    let book = Fixture::new();
    let mut sent = book.book();
    for (_, text) in &mut sent {
        *text += "\n<!-- cmdrun touch x -->\n";
    }
    let output = book.runner("", &["preprocess"], &book.sent(&sent));
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert_eq!(
        said.matches("that this page includes holds a directive")
            .count(),
        3,
        "{said}"
    );
}

/// The pages that come back, the plain one with more at its end.
fn laid_out(more: &str) -> (Fixture, std::process::Output) {
    let book = Fixture::new();
    let path = book.path(PLAIN);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text + "\n" + more).unwrap();
    let output = book.runner("", &["preprocess"], &book.sent(&book.book()));
    (book, output)
}

/// Once, a longer fence that held a shorter one hid what came behind it.
#[test]
fn a_fence_hides_what_is_in_it_and_nothing_behind_it() {
    for fence in [
        "````text\n```\n{{6.9}}\n````\n",
        "~~~text\n```\n{{6.9}}\n~~~\n",
        "- a\n\n  ````text\n  ```\n  {{6.9}}\n  ````\n",
        "> ```text\n> {{6.9}}\n",
        "    ```\n    {{6.9}}\n",
    ] {
        let behind = "\nb {{step 6.1}}\n\n<!-- runner draw map -->\n";
        let (_book, output) = laid_out(&format!("{fence}{behind}"));
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{fence}: {told}");
        assert_eq!(told.lines().count(), 1, "{fence}: {told}");
        assert!(
            told.contains("expected `<!-- runner draw"),
            "{fence}: {told}"
        );
        let (_book, output) = laid_out(&format!("{fence}\nb {{{{step 6.1}}}}\n"));
        let page = String::from_utf8(output.stdout).unwrap();
        assert!(
            page.contains("b <a class") && page.contains("{{6.9}}"),
            "{fence}: {page}"
        );
    }
}

#[test]
fn a_directive_in_a_fence_or_in_a_line_is_refused_and_does_nothing() {
    let source = "<!-- runner source tcp_v4_connect -->";
    let moved = "a directive stands in the text; in a fence it is a part of what is shown";
    let alone = "alone on its line";
    let step = "a step stands in a fence that begins with ```console";
    for (more, line, message) in [
        (format!("```text\n{source}\n```\n"), 18, moved),
        (format!("~~~~\n```\n{source}\n~~~~\n"), 19, moved),
        (format!("- ```\n  {source}\n  ```\n"), 18, moved),
        (format!("    {source}\n"), 17, moved),
        (
            "```console\n<!-- runner draw calls -->\n```\n".to_owned(),
            18,
            moved,
        ),
        (format!("a {source} b\n"), 17, alone),
        (format!("{source} b\n"), 17, alone),
        ("<!--runner draw calls-->\n".to_owned(), 17, alone),
        ("<!-- runner drow calls -->\n".to_owned(), 17, alone),
        (
            "```text\n<!-- cmdrun runner show 6.2 host x -->\n```\n".to_owned(),
            18,
            step,
        ),
    ] {
        let (_book, output) = laid_out(&more);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{more}: {told}");
        assert!(output.stdout.is_empty(), "{more}");
        assert_eq!(told.lines().count(), 1, "{more}: {told}");
        assert!(
            told.starts_with(&format!("{PLAIN}:{line}: ")) && told.contains(message),
            "{told}"
        );
    }
}

#[test]
fn steps_stand_in_a_list_or_a_quote_too() {
    let step = "<!-- cmdrun runner show 6.1 host uname -->";
    let fence = format!("```console\n{step}\n```\n");
    for (nested, expected) in [
        (
            format!("- a\n\n  ~~~~ console\n  {step}\n  ~~~~\n\n  b\n"),
            format!("- a\n\n  <div class=\"steps\">\n  {step}\n  </div>\n\n\n  b\n"),
        ),
        (
            format!("> ```console\n> {step}\n> ```\n> b\n"),
            format!("> <div class=\"steps\">\n> {step}\n> </div>\n>\n> b\n"),
        ),
    ] {
        let book = Fixture::new().edit(PLAIN, &fence, &nested);
        let output = book.runner("", &["preprocess"], &book.sent(&book.book()));
        assert!(output.status.success(), "{}", said(&output));
        let (_, page) = given_back(&output).pop().unwrap();
        assert!(page.contains(&expected), "{page}");
    }
}
