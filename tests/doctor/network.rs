//! The lab's network: what a poor machine lacks, and that a chapter says so before anything starts.

use crate::fixture::{Book, Ran};
use crate::{in_namespace, poorer};

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
