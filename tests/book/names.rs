//! Names of the kernel in the text: a wrong one stops the build, and a right one leads to its
//! definition.
//!
//! No lab is where these tests look for one, so all is done with what the fixture has recorded.

use std::process::Output;

use crate::fixture::{Fixture, STAMP, said};
use crate::pages::{all, built, within};

const PLAIN: &str = "chapters/06-plain.md";
const EXEMPT: &str = "tests/exempt.toml";

pub fn preprocess(book: &Fixture) -> Output {
    book.runner("", &["preprocess"], &book.sent(&book.book()))
}

/// The one line that the build says.
#[track_caller]
pub fn refused(book: &Fixture) -> String {
    let output = preprocess(book);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(output.stdout.is_empty());
    let said = said(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_typo_stops_the_build_with_its_place_and_what_was_meant() {
    let cases = [
        ("goes on", "goes to `tcp_v4_conect`", 11, "tcp_v4_connect"),
        ("`skc_state`", "`skc_stat`", 11, "skc_state"),
        ("`TCP_SYN_SENT`", "`TCP_SYN_SEND`", 11, "TCP_SYN_SENT"),
        ("`/proc/net/arp`", "`/proc/net/arq`", 15, "/proc/net/arp"),
        ("# Plain", "# Plain `tcp_v4_conect`", 1, "tcp_v4_connect"),
    ];
    for (from, to, line, meant) in cases {
        let said = refused(&Fixture::new().edit(PLAIN, from, to));
        assert!(said.starts_with(&format!("{PLAIN}:{line}: `")), "{said}");
        assert!(said.contains(&format!("near it: {meant};")), "{said}");
        assert!(said.contains("runner -- claims --record"), "{said}");
    }
}

#[test]
fn ordinary_words_fences_and_html_claim_nothing() {
    let words = "`pong`, `ip route`, `-nographic`, `10.0.3.1` and `open(2)`\n\n```c\n`not_there`\n```\n\n\
                 <div>\n`not_there`\n</div>";
    let output = preprocess(&Fixture::new().edit(PLAIN, "`ping`", words));
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn faults_of_steps_and_of_names_are_told_at_once() {
    let book = Fixture::new()
        .edit(PLAIN, "uname", "uname -a")
        .edit(PLAIN, "goes on", "`goes_on`");
    let output = preprocess(&book);
    let said = said(&output);
    let places: Vec<&str> = said.lines().filter_map(|l| l.split(": ").next()).collect();
    let expected = [6, 11].map(|line| format!("{PLAIN}:{line}"));
    assert_eq!(places, expected, "{said}");
}

#[test]
fn an_exemption_is_used_and_no_more() {
    let unused = Fixture::new().edit(PLAIN, "`LOWER_UP`", "UP");
    let said = refused(&unused);
    assert!(
        said.starts_with("tests/exempt.toml:1: `LOWER_UP` is exempt, and the text has no such"),
        "{said}"
    );
    let entry = "{ name = \"skc_state\", reason = \"x\" }]";
    let real = Fixture::new().edit(EXEMPT, "}]", &format!("}},\n  {entry}"));
    let said = refused(&real);
    assert!(
        said.starts_with(
            "tests/exempt.toml:2: `skc_state` is exempt, and the kernel has it: member"
        ),
        "{said}"
    );
    let missing = Fixture::new().remove(EXEMPT);
    assert!(refused(&missing).starts_with("chapters/06-plain.md:15: `LOWER_UP`"));
}

/// A reader with a lab learns more: the index that it left of the book's kernel tells what is
/// real, and all that is near. One of another kernel, made later, tells nothing.
#[test]
fn an_index_in_the_cache_knows_what_was_only_not_recorded() {
    let book = Fixture::new().edit(PLAIN, "`ping`", "`tcp_v4_rcv`, `tcp_v4_snd`");
    let index = |key: &str, kernel: &str, lines: &str| {
        let folder = book.path("cache/ship-of-theseus/names").join(key);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("names.txt"), lines).unwrap();
        let stamp = STAMP.replacen("{}", &format!("{{\"kernel\":\"{kernel}\"}}"), 1);
        std::fs::write(folder.join("complete"), stamp).unwrap();
    };
    let lines = "tcp_v4_rcv\tfunction\t\t\tnet/ipv4/tcp_ipv4.c:1963\t\ntcp_v4_send\tfunction\t\t\tx.c:1\t\n";
    index("000000000000", "00ff", lines);
    index(
        "111111111111",
        "11ff",
        "tcp_v4_snd\tfunction\t\t\tx.c:1\t\n",
    );
    let output = preprocess(&book);
    let said = said(&output);
    let expected = [
        "chapters/06-plain.md:11: `tcp_v4_rcv` (function, net/ipv4/tcp_ipv4.c:1963) was never recorded; do it: \
         cargo run -p runner -- claims --record",
        "chapters/06-plain.md:11: `tcp_v4_snd` is no name in this kernel; near it: tcp_v4_send; if it is \
         none of the kernel's: tests/exempt.toml",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_name_leads_to_its_definition_and_has_a_hint() {
    let page = built().page("06-plain.html");
    let source = "https://elixir.bootlin.com/linux/v6.1.176/source";
    let shown: Vec<_> = all(&page, "main .claim")
        .into_iter()
        .map(|claim| {
            let element = claim.value();
            let attribute = |name| element.attr(name).unwrap_or_default();
            (
                within(claim, "code"),
                attribute("href").replace(source, ""),
                attribute("data-claim").to_owned(),
                attribute("tabindex").to_owned(),
            )
        })
        .collect();
    let connect = (
        "tcp_v4_connect",
        "/net/ipv4/tcp_ipv4.c#L199",
        "function, net/ipv4/tcp_ipv4.c:199; gone by 9.9",
    );
    let state =
        "member, struct sock_common +18, include/net/sock.h:185; not yet in 5.10, gone by 9.9";
    let sent = "enumerator = 2, include/net/tcp_states.h:14";
    let expected = [
        (connect.0, connect.1, connect.2, ""),
        ("skc_state", "/include/net/sock.h#L185", state, ""),
        ("TCP_SYN_SENT", "/include/net/tcp_states.h#L14", sent, ""),
        (connect.0, connect.1, connect.2, "-1"),
        ("/proc/net/arp", "", "guest file, in the guest", "0"),
    ];
    let expected =
        expected.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
    assert_eq!(shown, expected);
    // The heading is what it was, and so is its anchor.
    assert_eq!(all(&page, "h2[id='in-tcp_v4_connect'] code").len(), 1);
    assert_eq!(all(&page, "h2 .claim").len(), 0);
}

/// No kernel is asked while a book is built, so what was recorded of one has to be readable.
#[test]
fn what_another_series_lacks_is_damaged_or_was_never_asked() {
    let path = "tests/snapshots/9.9/names.snap";
    let book = Fixture::new().edit(path, "connect  function", "connect");
    let damaged = said(&preprocess(&book));
    for part in ["damaged; record it anew", "not understood: tcp_v4_connect"] {
        assert!(damaged.contains(part), "{damaged}");
    }
    let output = preprocess(&Fixture::new().remove(path));
    assert!(output.status.success(), "{}", said(&output));
}
