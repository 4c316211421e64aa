//! The lab's network: what a poor machine lacks, and that a chapter says so before anything starts.

use crate::fixture::{Book, Ran};
use crate::{in_namespace, poorer};

const NO_NAMESPACES: &str = "echo 0 > /proc/sys/user/max_user_namespaces";
const NO_TUN: &str = "mount -t tmpfs tmpfs /dev/net";
const CLOSED_TUN: &str = "mount -t tmpfs tmpfs /dev/net; mkdir /dev/net/tun";

#[test]
fn what_is_missing_is_said_before_anything_starts() {
    let book = Book::new(&["lab true"]);
    for (script, id, cause, remedy) in [
        (
            NO_NAMESPACES,
            "namespaces",
            "the system makes no namespaces for you (none may be made): unshare",
            "sudo sysctl -w user.max_user_namespaces=15000",
        ),
        (
            NO_TUN,
            "tun",
            "/dev/net/tun, with which a tap is made, cannot be opened: No such file or directory",
            "sudo modprobe tun",
        ),
        (
            CLOSED_TUN,
            "tun",
            "/dev/net/tun, with which a tap is made, cannot be opened: Is a directory",
            "sudo chmod 666 /dev/net/tun",
        ),
    ] {
        poorer(script)
            .only_bad(&[id])
            .says(id, "bad", &[cause, remedy])
            .says("nat", "skip", &[&format!("`{id}`")]);
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
fn a_kernel_that_translates_no_addresses_is_told() {
    let broken = "mkdir b; printf '#!/bin/sh\\necho no nf_tables here >&2\\nexit 3\\n' > b/iptables; chmod +x b/iptables; PATH=$HERE/b:$PATH";
    poorer(broken).only_bad(&["nat"]).says(
        "nat",
        "bad",
        &["no nf_tables here", "sudo modprobe -a veth nf_tables"],
    );
    let no_tap = "mkdir b; printf '#!/bin/sh\\necho no tap >&2\\nexit 2\\n' > b/ip; chmod +x b/ip; PATH=$HERE/b:$PATH";
    poorer(no_tap).only_bad(&["nat"]).says(
        "nat",
        "bad",
        &["no tap can be made: no tap", "sudo modprobe tun"],
    );
}
