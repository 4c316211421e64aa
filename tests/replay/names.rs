//! `runner claims` on a small book, with the real kernel's names.

use std::fs;

use book::prose::absent::{self, Absent};
use book::prose::glossary::Glossary;
use lab::build::pins::Pins;
use lab::system::files::sha256_of;

use crate::fixture::{Book, repository};

const TEXT: &str =
    "# Five\n\nIn `tcp_v4_conect` the `skc_state` is `TCP_SYN_SENT`, and `x86_64` is exempt.\n";

fn exempt(book: &Book, name: &str, also: &str) {
    let tests = book.folder.path().join("tests");
    std::fs::create_dir_all(&tests).unwrap();
    let entry = format!("exempt = [{{ name = \"{name}\", reason = \"a machine\"{also} }}]\n");
    std::fs::write(tests.join("exempt.toml"), entry).unwrap();
}

#[test]
fn a_name_is_checked_then_recorded_and_then_nothing_is_said() {
    let book = Book::with_text(TEXT.as_bytes());
    exempt(&book, "x86_64", ", also = \"member\"");
    book.run(&["claims"])
        .ends_with(1)
        .prints("chapters/05-five.md:3: `tcp_v4_conect` is no name in this kernel; near it: tcp_v4_connect")
        .prints("1 exempt (1 on the list)")
        .prints("1 unknown");
    let right = TEXT.replace("conect", "connect");
    std::fs::write(book.folder.path().join("chapters/05-five.md"), right).unwrap();
    book.run(&["claims"]).ends_with(1).prints("claims --record");
    book.run(&["claims", "--record"])
        .ends_with(0)
        .prints("+tcp_v4_connect  function  net/ipv4/tcp_ipv4.c:");
    book.run(&["claims"]).ends_with(0).prints("0 unknown");
}

#[test]
fn an_exemption_that_the_kernel_knows_is_a_fault() {
    let book = Book::with_text(b"# Five\n\n`tcp_v4_connect`\n");
    exempt(&book, "tcp_v4_connect", "");
    book.run(&["claims"])
        .ends_with(2)
        .complains("tests/exempt.toml:1: `tcp_v4_connect` is exempt, and the kernel has it: function, net/ipv4/");
}

#[test]
fn an_excerpt_must_be_of_the_lines_that_the_text_was_written_for() {
    let text = "# Five\n\n<!-- runner source inet_init from='tcp_init()' to='tcp_init()' -->\n";
    let book = Book::with_text(text.as_bytes());
    book.run(&["claims", "--record"]).ends_with(1);
    let ran = book.run(&["claims"]);
    ran.ends_with(1);
    let hash = ran.stdout.split("write hash=").nth(1).unwrap();
    let hash = hash.split_whitespace().next().unwrap();
    let page = book.folder.path().join("chapters/05-five.md");
    let right = text.replace("inet_init from", &format!("inet_init hash={hash} from"));
    std::fs::write(&page, &right).unwrap();
    book.run(&["claims"]).ends_with(0);
    std::fs::write(&page, right.replace("tcp_init", "udp_init")).unwrap();
    book.run(&["claims"]).ends_with(1).prints(
        "chapters/05-five.md:3: the excerpt of `inet_init` has changed since its text was written",
    );
}

#[test]
fn a_number_that_is_exempt_is_none_of_the_kernels_affairs() {
    let book = Book::with_text(b"# Five\n\n64 bytes\n");
    exempt(&book, "64", "");
    book.run(&["claims", "--record"]).ends_with(0);
    exempt(&book, "65", "");
    book.run(&["claims"])
        .ends_with(2)
        .complains("`65` is exempt, and the text has no such name");
}

/// A book that was recorded on a series besides.
fn with_series(text: &str, series: &str) -> Book {
    let book = Book::with_text(text.as_bytes());
    let drift = book.folder.path().join("drift");
    fs::create_dir(&drift).unwrap();
    fs::write(drift.join(format!("{series}.toml")), "").unwrap();
    book
}

/// The other kernel is not asked for that: it may not be there.
#[test]
fn what_another_series_was_asked_for_is_what_the_text_has() {
    let text = "# Five\n\n`tcp_v4_connect` and `skc_state`.\n";
    let book = Book::with_text(text.as_bytes());
    book.run(&["claims", "--record"]).ends_with(0);
    let names = Glossary::read(book.folder.path()).unwrap();

    let book = with_series(text, "6.12");
    let root = book.folder.path();
    fs::create_dir_all(root.join("tests/snapshots/6.1")).unwrap();
    fs::create_dir_all(root.join("tests/snapshots/6.12")).unwrap();
    fs::write(book::prose::glossary::path(root), names.file()).unwrap();
    let path = "tests/snapshots/6.12/names.snap";
    let anew = "; ask it: cargo run -p runner -- claims --record";
    book.run(&["claims"]).ends_with(0).prints(&format!(
        "note: {path}:1: Linux 6.12 was never asked for the names of the text{anew}"
    ));

    let pins = Pins::read(&repository()).unwrap();
    let asked = Absent {
        series: "6.12".to_owned(),
        linux: pins.kernel("6.12").unwrap().version.clone(),
        asked: sha256_of(names.kinds().as_bytes()),
        names: [("skc_state".to_owned(), names.names["skc_state"].kind)].into(),
    };
    let write =
        |absent: &Absent| fs::write(root.join(absent::path("6.12")), absent.file()).unwrap();
    write(&asked);
    book.run(&["claims"]).ends_with(0);

    write(&Absent {
        linux: "6.12.1".to_owned(),
        ..asked.clone()
    });
    let linux = &asked.linux;
    book.run(&["claims"]).ends_with(0).prints(&format!(
        "note: {path}:5: Linux 6.12.1 was asked, and the series is at {linux}{anew}"
    ));

    write(&asked);
    let page = root.join("chapters/05-five.md");
    fs::write(&page, text.replace("tcp_v4_connect", "tcp_v4_rcv")).unwrap();
    book.run(&["claims"]).ends_with(1).prints(&format!(
        "note: {path}:6: the text has other names than those that were asked for{anew}"
    ));

    fs::write(&page, text.replace("skc_state", "skc_family")).unwrap();
    book.run(&["claims"]).ends_with(1).prints(&format!(
        "note: {path}:8: the text has no name `skc_state` any more{anew}"
    ));
}

#[test]
#[ignore = "builds a kernel of another series, which takes minutes"]
fn another_series_is_asked_for_each_name() {
    let text = "# Five\n\n`ksoftirqd_running`, `secure_tcp_seq`, `current_task`, `tcp_v4_rcv`, \
                `net->ipv4.rt_genid` and `Documentation/x86/boot.rst`.\n";
    let book = with_series(text, "6.12");
    book.run(&["setup", "--series", "6.12"]).ends_with(0);
    book.run(&["claims", "--record"])
        .ends_with(0)
        .prints("Linux 6.12 does not have 3 of the 6 names");
    let absent = Absent::read(book.folder.path(), "6.12").unwrap().unwrap();
    let expected = [
        "Documentation/x86/boot.rst",
        "current_task",
        "ksoftirqd_running",
    ];
    assert_eq!(Vec::from_iter(absent.names.keys()), expected);
    book.run(&["claims"]).ends_with(0);
    book.run(&["claims", "--record"])
        .ends_with(0)
        .prints("6.12/names.snap has the names already");
}
