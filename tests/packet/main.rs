//! Packet scripts: those that pass, and what is said of those that do not.

#[path = "../support/fixture.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::fixture::ended;

/// What is said of each script of `fail/`, after its name. A time is that of the code, so in its
/// place stands `TIME`.
const FAILURES: [(&str, &str); 12] = [
    (
        "call.pkt",
        ":5:7: `listen(9, 5) = 0`: listen returned -1 EBADF\n",
    ),
    (
        "command.pkt",
        ":1:1: `sysctl -q net.ipv4.tcp_wings=2 echo 'no wings' >&2; exit 7` ended with 7: \
         sysctl: error: 'net.ipv4.tcp_wings' is an unknown key\n  no wings\n",
    ),
    (
        "early.pkt",
        ":5:2: expected `> S. 0:0(0) ack 1 <mss 1460>`; it came after TIME s, TIME s earlier \
         than it should; TIME s would do\n",
    ),
    (
        "error.pkt",
        ":5:7: `connect(3, ..., ...) = -1 EALREADY (Operation already in progress)`: connect \
         returned -1 EISCONN\n",
    ),
    (
        "late.pkt",
        ":6:3: expected `> S. 0:0(0) ack 1 <mss 1460>`; it came after TIME s, TIME s later than \
         it should; TIME s would do\n",
    ),
    (
        "option.pkt",
        ":5:4: expected `> S. 0:0(0) ack 1 <mss 1460,sackOK,nop,nop>`; on the wire was instead, \
         after TIME s,\n    > S. 0:0(0) ack 1 win 64240 <mss 1460>\n  which has another list of \
         options\n",
    ),
    (
        "segment.pkt",
        ":5:4: expected `> S. 0:0(0) ack 2 win 1 <mss 1460>`; on the wire was instead, after \
         TIME s,\n    > S. 0:0(0) ack 1 win 64240 <mss 1460>\n  which has another \
         acknowledgement, window\n",
    ),
    (
        "silence.pkt",
        ":7:4: expected `> . 1:1(0) ack 1`; the wire was silent for TIME s\n",
    ),
    (
        "stuck.pkt",
        ":5:7: `accept(3, ..., ...) = 4`: it has not returned after TIME s\n",
    ),
    (
        "test.pkt",
        ":9:10: `assert tcpi_snd_cwnd == 11` does not hold: tcpi_snd_cwnd is 10\n",
    ),
    (
        "value.pkt",
        ":5:7: `getsockopt(3, SOL_TCP, TCP_MAXSEG, [1000], [4]) = 0`: the option is 536, not \
         1000\n",
    ),
    (
        "whole-parts.pkt",
        ":11:4: expected `> P. 1:801(800) ack 1`; on the wire was instead, after TIME s,\n    \
         > P. 1:401(400) ack 1 win 64240\n  which has another length\n",
    ),
];

/// The newest series that the book has a kernel of.
const NEWEST: &str = "7.3";

fn scripts() -> PathBuf {
    fixture::repository().join("tests/packet")
}

/// The exit code, what was printed, and what was complained about, in a folder.
fn packet(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = fixture::runner();
    command.arg("packet").args(arguments).current_dir(folder);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = ended(command.spawn().unwrap());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The text with `TIME` in place of each time in seconds, which has six places.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| {
        let parts = word.trim_start_matches('-').split_once('.');
        parts.is_some_and(|(whole, rest)| {
            rest.len() == 6 && [whole, rest].concat().bytes().all(|b| b.is_ascii_digit())
        })
    };
    let words = text
        .split(' ')
        .map(|word| if is_time(word) { "TIME" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn scripts_that_state_what_tcp_does_pass_and_repeat_themselves() {
    let (code, first, _) = packet(&scripts(), &["pass"]);
    assert_eq!(code, 0, "{first}");
    let count = fs::read_dir(scripts().join("pass")).unwrap().count() - 1;
    let last = format!("{count} scripts: {count} pass, 0 fail, 0 are beyond the language here\n");
    assert!(first.ends_with(&last), "{first}");
    assert_eq!(packet(&scripts(), &["pass"]).1, first);
}

#[test]
#[ignore = "builds a kernel of another series, which takes minutes; every night has it"]
fn the_same_scripts_pass_on_the_newest_series_and_some_that_only_it_passes() {
    let (code, printed, _) = packet(&scripts(), &["--series", NEWEST, "pass", "newer"]);
    assert_eq!(code, 0, "{printed}");
}

#[test]
#[ignore = "twenty runs on two kernels take minutes; every night has them"]
fn twenty_runs_print_the_same_bytes() {
    for series in [lab::SERIES, NEWEST] {
        let run = || packet(&scripts(), &["--series", series, "pass", "fail", "newer"]);
        let (_, first, complaints) = run();
        assert!(first.contains(" scripts: "), "{series}: {complaints}");
        for number in 2..=20 {
            assert_eq!(run().1, first, "run {number} on {series}");
        }
    }
}

#[test]
fn a_failure_says_where_and_what_was_on_the_wire_instead() {
    let (code, printed, _) = packet(&scripts(), &["fail"]);
    assert_eq!(code, 1);
    let failures = FAILURES.map(|(name, what)| format!("fail    fail/{name}{what}"));
    let count = FAILURES.len();
    let last = format!("{count} scripts: 0 pass, {count} fail, 0 are beyond the language here\n");
    assert_eq!(without_times(&printed), failures.concat() + &last);
}

#[test]
fn what_is_beyond_the_language_keeps_no_other_script_from_running() {
    let folder = tempfile::tempdir().unwrap();
    let passing = scripts().join("pass/blocking.pkt");
    fs::copy(passing, folder.path().join("a.pkt")).unwrap();
    fs::write(folder.path().join("b.pkt"), "--ip_version=ipv6\n").unwrap();
    fs::write(
        folder.path().join("c.pkt"),
        "0 > S 0:0(0)\n  +0 dance(3) = 0",
    )
    .unwrap();
    let (code, printed, _) = packet(folder.path(), &["."]);
    assert_eq!(code, 2);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("pass    ./a.pkt ("), "{printed}");
    assert_eq!(
        lines[1..],
        [
            "beyond  ./b.pkt:1:3: only --ip_version=ipv4 can run: the guest's kernel has no IPv6",
            "beyond  ./c.pkt:2:6: the system call `dance` is not known here",
            "3 scripts: 1 pass, 0 fail, 2 are beyond the language here",
        ]
    );
}

#[test]
fn a_word_stands_for_another_where_it_is_defined() {
    let folder = tempfile::tempdir().unwrap();
    let script = "0 > S 0:0(0) <FO COOKIE>\n+0 dance(3) = 0";
    fs::write(folder.path().join("a.pkt"), script).unwrap();
    let (code, printed, _) = packet(folder.path(), &["a.pkt"]);
    assert_eq!(code, 2);
    assert_eq!(
        printed,
        "beyond  a.pkt:1:18: expected pairs of hexadecimal digits, not `COOKIE`; a name is given a \
         value by -D COOKIE=VALUE\n"
    );
    let (_, printed, _) = packet(folder.path(), &["-D", "COOKIE=ab12", "a.pkt"]);
    assert!(
        printed.contains(":2:4: the system call `dance`"),
        "{printed}"
    );
}

#[test]
fn what_is_no_script_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (argument, complaint) in [
        (".", ". holds no script: none ends in .pkt\n"),
        ("absent", "No such file or directory"),
    ] {
        let (code, printed, complaints) = packet(folder.path(), &[argument]);
        assert_eq!((code, printed.as_str()), (2, ""), "{complaints}");
        assert!(complaints.contains(complaint), "{complaints}");
    }
}
