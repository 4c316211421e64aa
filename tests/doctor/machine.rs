//! Another processor, and too little memory.

use std::process::Command;

use crate::fixture::repository;
use crate::{Found, poorer};

/// A cache with nothing in it, on a file system that is large enough.
const EMPTY: &str = "export XDG_CACHE_HOME=$HERE/c";

/// So much memory is left. Where a part of /proc is covered, the system mounts no other; but it
/// does while it sees one that is not covered, such as that of a chroot.
fn left(kilobytes: u64) -> String {
    format!(
        "echo 'MemAvailable: {kilobytes} kB' > meminfo\n\
         for proc in $(awk '$3 == \"proc\" {{print $2}}' /proc/mounts); do mount --bind meminfo $proc/meminfo; done"
    )
}

#[test]
fn another_processor_is_told() {
    let mut command = Command::new("setarch");
    command
        .args(["i686", env!("CARGO_BIN_EXE_runner"), "doctor", "--json"])
        .current_dir(repository());
    Found::of(command)
        .only_bad(&["machine"])
        .says("machine", "bad", &["on i686", "x86-64 Linux"]);
}

#[test]
fn a_limit_that_is_too_low_is_told() {
    for (script, words) in [
        (
            "ulimit -f 50000",
            "the size of a file is limited to 50000 kB",
        ),
        (
            "ulimit -n 64",
            "the number of files that a program has open is limited to 64",
        ),
    ] {
        let remedy = "/etc/security/limits.conf";
        poorer(script).says("limits", "bad", &[words, remedy]);
    }
}

#[test]
fn too_little_memory_is_told_for_a_replay_and_for_the_build() {
    poorer(&left(300_000))
        .only_bad(&["memory"])
        .says("namespaces", "ok", &["without a /proc of their own"])
        .says(
            "memory",
            "bad",
            &["292 MB are left, and a replay takes 500"],
        );
    let little = format!("{}\n{EMPTY}", left(614_400));
    poorer(&little).says(
        "memory",
        "warn",
        &["600 MB are left", "building the kernel takes about"],
    );
}

#[test]
fn the_limit_of_a_container_counts() {
    let limit = "mount -t tmpfs tmpfs /sys/fs/cgroup; echo 209715200 > /sys/fs/cgroup/memory.max";
    poorer(limit).only_bad(&["memory"]).says(
        "memory",
        "bad",
        &["200 MB are left (the limit of the control group)"],
    );
    let none = "mount -t tmpfs tmpfs /sys/fs/cgroup; echo max > /sys/fs/cgroup/memory.max";
    poorer(none).only_bad(&[]).says("memory", "ok", &[]);
}
