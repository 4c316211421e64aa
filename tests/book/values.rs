//! Numbers and source in the text: they come from steps and from the kernel's tree, and what is not
//! theirs stops the build.

use std::path::Path;

use crate::fixture::{Fixture, STAMP, said};
use crate::names::{preprocess, refused};
use crate::pages::all;

const PLAIN: &str = "chapters/06-plain.md";
const TEXT: &str = "`ping` is a word";

/// The fixture with other words in line 11 of its plain page.
fn with(words: &str) -> Fixture {
    Fixture::new().edit(PLAIN, TEXT, words)
}

#[test]
fn a_value_leads_to_the_step_that_shows_it() {
    let book = with(
        "{{5.9 seq}} and {{words 5.9 seq}}, `{{hex 5.9 seq}}`, {{TCP_SYN_SENT + 1}}, {{step 5.9}}, {{seen Linux}}",
    );
    let output = book.build();
    assert!(output.status.success(), "{}", said(&output));
    let page = book.page("06-plain.html");
    let values: Vec<(String, &str)> = all(&page, ".value")
        .iter()
        .map(|value| (value.text().collect(), value.attr("href").unwrap_or("")))
        .collect();
    let step = "05-hostile.html#step-5.9";
    let expected = [("9", step), ("nine", step), ("0x9", step), ("3", "")];
    let expected = expected.map(|(text, href)| (text.to_owned(), href));
    assert_eq!(values, expected);
    assert_eq!(all(&page, "a.value > code").len(), 1);
    let references: Vec<&str> = all(&page, ".step-reference")
        .iter()
        .filter_map(|link| link.attr("href"))
        .collect();
    assert_eq!(references, [step, "#step-6.1"]);
}

#[test]
fn a_value_that_no_step_shows_stops_the_build() {
    let cases = [
        ("{{6.1}}", "{{6.1}}: step 6.1 printed no number"),
        ("{{6.9}}", "{{6.9}}: there is no recorded step 6.9"),
        ("{{7.1}}", "{{7.1}}: chapter 7 has no recorded step"),
        ("{{5.9}}", "{{5.9}}: step 5.9 printed several numbers"),
        ("{{seen minix}}", "{{seen minix}}: no step shows this text"),
        (
            "`x {{5.9 seq}}`",
            "{{5.9 seq}} stands in a code span with other text",
        ),
        (
            "{{5.9 seq +}}",
            "{{5.9 seq +}}: a value is missing at the end",
        ),
    ];
    for (words, message) in cases {
        let said = refused(&with(words));
        assert!(
            said.starts_with(&format!("{PLAIN}:11: {message}")),
            "{said}"
        );
    }
    // A name that is only computed with is a name all the same.
    let output = preprocess(&with("{{NEVER_RECORDED}}"));
    assert!(said(&output).contains("`NEVER_RECORDED` was never recorded"));
}

#[test]
fn a_typed_number_stops_the_build_unless_it_is_exempt() {
    let said = refused(&with("64 bytes"));
    let expected = format!("{PLAIN}:11: the number 64 is typed");
    assert!(said.starts_with(&expected), "{said}");
    let exempt = "exempt = [{ name = \"64\", reason = \"chosen\" }, ";
    let book = with("64 bytes").edit("tests/exempt.toml", "exempt = [", exempt);
    assert!(preprocess(&book).status.success());
    let unused = Fixture::new().edit("tests/exempt.toml", "exempt = [", exempt);
    assert!(refused(&unused).contains("`64` is exempt, and the text has no such"));
}

/// A tree such as the lab would leave in the cache.
fn tree(book: &Fixture, makefile: &str) {
    let entry = book.path("cache/ship-of-theseus/kernel/0123456789ab");
    let write = |path: &str, text: &str| {
        let path = Path::new(&entry).join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("complete", STAMP);
    write("linux/Makefile", makefile);
    let source = "int tcp_v4_connect(int a)\n{\n\tif (a < 1)\n\t\treturn 0;\n\treturn 1;\n}\n";
    write("linux/net/ipv4/tcp_ipv4.c", source);
}

const MAKEFILE: &str = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 176\nEXTRAVERSION =\n";

#[test]
fn source_is_quoted_where_a_tree_is_and_named_where_none_is() {
    let line = "a\n\n<!-- runner source tcp_v4_connect hash=HASH from='if (a' to='return 0' -->\n";
    let book = with(line);
    let output = preprocess(&book);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && page.contains("Here stand lines of <code>tcp_v4_connect</code>")
    );

    tree(&book, MAKEFILE);
    let output = preprocess(&book);
    let told = said(&output);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && page.contains("…&#10;if (a &lt; 1)&#10;&#9;return 0;&#10;…")
    );
    assert!(page.contains("not those that the text was written for"));
    let warning = format!("warning: {PLAIN}:13: the excerpt of `tcp_v4_connect` has changed");
    assert!(told.starts_with(&warning), "{told}");
    let hash = told.trim().rsplit("hash=").next().unwrap();

    let right = book.edit(PLAIN, "HASH", hash);
    let output = preprocess(&right);
    assert_eq!(said(&output), "");
    let none = right.edit(PLAIN, &format!("hash={hash} "), "");
    let told = refused(&none);
    assert!(
        told.starts_with(&format!("{PLAIN}:13: "))
            && told
                .trim()
                .ends_with(&format!("write hash={hash} behind the name")),
        "{told}"
    );
    let missing = none.edit(PLAIN, "from='if (a'", "from='if (b'");
    assert!(refused(&missing).contains("no line of `tcp_v4_connect` has `if (b`"));

    // The tree of another version is none.
    tree(&missing, &MAKEFILE.replace("176", "177"));
    assert!(preprocess(&missing).status.success());
}
