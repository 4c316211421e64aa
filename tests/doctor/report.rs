//! How the doctor tells it: to people, to programs, and to a shell.

use crate::fixture::Ran;
use crate::{Found, WITHOUT_LIBC, in_namespace, runner};

const IDS: [&str; 18] = [
    "machine",
    "limits",
    "tools",
    "namespaces",
    "curl",
    "temp",
    "compiler",
    "qemu",
    "gdb",
    "cache",
    "disk",
    "memory",
    "lab",
    "sources",
    "tun",
    "nat",
    "tmux",
    "mdbook",
];

#[test]
fn a_machine_that_runs_this_test_is_fine() {
    let found = Found::of(runner(&["doctor", "--json"]));
    found.only_bad(&[]);
    assert_eq!(found.ran.stderr, "");
    let checks = found.json["checks"].as_array().unwrap();
    let ids: Vec<&str> = checks.iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert_eq!(ids, IDS);
    for check in checks {
        let mut keys: Vec<&String> = check.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["found", "id", "meaning", "remedy", "state", "title"]);
        assert!(
            matches!(check["state"].as_str(), Some("ok" | "warn" | "skip")),
            "{check:#}"
        );
        for key in ["title", "meaning", "found"] {
            assert_ne!(check[key].as_str().unwrap(), "", "{check:#}");
        }
    }
    found
        .says("gdb", "ok", &["GNU gdb"])
        .says("qemu", "ok", &["QEMU emulator version"])
        .says("compiler", "ok", &["gcc", "GNU Make"]);
}

#[test]
fn people_get_a_line_for_each_check_and_colours_on_a_terminal_only() {
    let plain = Ran::of(runner(&["doctor"]));
    plain
        .ends_with(0)
        .prints("ok    tools       all chapters")
        .prints("ok    nat         chapter 11")
        .prints("\nAll that the book needs is there.\n");
    assert!(!plain.stdout.contains('\u{1b}'), "{plain:#?}");
    let coloured = runner(&["doctor"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    Ran::from(coloured).prints("\u{1b}[1m\u{1b}[32mok  \u{1b}[0m  machine");
}

#[test]
fn one_thing_in_the_way_says_which_chapters_go_on() {
    let no_tun = "mount -t tmpfs tmpfs /dev/net";
    Ran::of(in_namespace(no_tun, "doctor"))
        .ends_with(3)
        .prints("bad   tun         chapter 11")
        .prints("-> Load the driver: sudo modprobe tun\n")
        .prints("-> In a container: start it with --device /dev/net/tun\n")
        .prints("skip  nat         chapter 11")
        .prints("\nChapter 11 cannot run; the rest of the book can.\n");
    let both = format!("{no_tun}; {WITHOUT_LIBC}");
    Ran::of(in_namespace(&both, "doctor"))
        .ends_with(3)
        .prints("\n2 things are in the way; begin with `compiler`.\n");
}

#[test]
fn a_lab_that_cannot_be_made_points_to_the_doctor() {
    let full = "mkdir c; mount -t tmpfs -o ro tmpfs c; export XDG_CACHE_HOME=$HERE/c";
    Ran::of(in_namespace(full, "setup"))
        .ends_with(3)
        .complains("the lab cannot be made (`runner doctor` tries what it needs): ")
        .complains("Read-only file system");
}
