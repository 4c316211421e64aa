//! The lab's network: what a poor machine lacks, and that a chapter says so before anything starts.

use std::process::Command;

use crate::fixture::{Book, Ran};
use crate::jail::jail;
use crate::{Found, in_namespace, poorer, repository};

const NO_NAMESPACES: &str = "echo 0 > /proc/sys/user/max_user_namespaces";
const NO_TUN: &str = "mount -t tmpfs tmpfs /dev/net";
const CLOSED_TUN: &str = "mount -t tmpfs tmpfs /dev/net; mkdir /dev/net/tun";

#[test]
fn what_is_missing_is_said_before_anything_starts() {
    let book = Book::new(&["lab true"]);
    for (script, cause, remedy) in [
        (
            NO_TUN,
            "/dev/net/tun, with which a tap is made, cannot be opened: No such file or directory",
            "sudo modprobe tun",
        ),
        (
            CLOSED_TUN,
            "/dev/net/tun, with which a tap is made, cannot be opened: Is a directory",
            "sudo chmod 666 /dev/net/tun",
        ),
    ] {
        poorer(script)
            .only_bad(&["tun"])
            .says("tun", "bad", &[cause, remedy])
            .says("nat", "skip", &["`tun`"]);
        let go = format!("{script}; GO={}", book.folder.path().display());
        for command in ["chapter 5", "verify"] {
            let ran = Ran::of(in_namespace(&go, command));
            ran.ends_with(3)
                .complains("chapter 5 needs a network of its own, and ")
                .complains(cause)
                .complains(remedy);
            assert_eq!(ran.stdout, "", "no step has begun");
        }
    }
}

#[test]
fn without_namespaces_the_machines_own_programs_are_to_do() {
    let remedy = "sudo sysctl -w user.max_user_namespaces=15000";
    poorer(NO_NAMESPACES)
        .only_bad(&[])
        .says(
            "namespaces",
            "warn",
            &["(none may be made)", "compared by meaning", remedy],
        )
        .says("qemu", "skip", &["`tools`"]);
    // And where these are not all there, it is said at once.
    let script = format!("{NO_NAMESPACES}; mount --bind /dev/null $(command -v tar)");
    let ran = Ran::of(in_namespace(&script, "chapter 5"));
    assert!(!ran.stderr.contains("the disk is full"), "{ran:#?}");
    ran.ends_with(3)
        .complains("the system makes no namespaces for the lab's own programs")
        .complains("`runner doctor` says what helps")
        .complains(" tar");
}

/// The runner as root without user namespaces.
fn jailed(rights: &str, arguments: &str) -> Option<Command> {
    let mut command = jail(rights)?;
    command.arg(env!("CARGO_BIN_EXE_runner"));
    command.args(arguments.split(' ')).current_dir(repository());
    Some(command)
}

#[test]
fn as_root_the_labs_programs_do_without_user_namespaces_but_for_the_network() {
    for (rights, how) in [
        ("all", "root makes the other namespaces"),
        ("container", "root changes the root"),
    ] {
        let Some(command) = jailed(rights, "doctor --json") else {
            return;
        };
        let found = Found::of(command);
        // Where there is no driver of taps, no network is tried.
        let lacks = match found.check("tun")["state"] == "ok" {
            true => "nat",
            false => "tun",
        };
        let said = [how, "which print the same", "--privileged"];
        found.only_bad(&[lacks]).says("namespaces", "warn", &said);
        for check in ["compiler", "qemu", "gdb", "lab"] {
            assert_eq!(
                found.check(check)["state"],
                "ok",
                "{:#}",
                found.check(check)
            );
        }
        let ran = Ran::of(jailed(rights, "chapter 11").unwrap());
        ran.ends_with(3)
            .complains("chapter 11 needs a network of its own, and ");
        assert_eq!(ran.stdout, "", "no step has begun");
    }
}

#[test]
fn a_kernel_that_translates_no_addresses_is_told() {
    let broken = "mkdir b; printf '#!/bin/sh\\necho no nf_tables here >&2\\nexit 3\\n' > b/iptables; chmod +x b/iptables; export THESEUS_PROGRAMS=$HERE/b";
    poorer(broken).only_bad(&["nat"]).says(
        "nat",
        "bad",
        &["no nf_tables here", "sudo modprobe -a veth nf_tables"],
    );
    let no_tap = "mkdir b; printf '#!/bin/sh\\necho no tap >&2\\nexit 2\\n' > b/ip; chmod +x b/ip; export THESEUS_PROGRAMS=$HERE/b";
    poorer(no_tap).only_bad(&["nat"]).says(
        "nat",
        "bad",
        &["no tap can be made: no tap", "sudo modprobe tun"],
    );
}
