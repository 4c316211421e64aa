//! Folders that cannot serve: read-only, full, without programs, without case; and a lab that is
//! not made.

use std::process::Command;

use lab::build::cache::Cache;

use crate::{Found, poorer, runner};

/// The cache on a tmpfs with these options.
fn cache_on(options: &str) -> Found {
    poorer(&format!(
        "mkdir c; mount -t tmpfs -o {options} tmpfs c; export XDG_CACHE_HOME=$HERE/c"
    ))
}

#[test]
fn a_cache_that_cannot_serve_is_told_by_what_failed() {
    for (options, words) in [
        (
            "noexec",
            "no program in it can be run (noexec?): Permission denied",
        ),
        ("ro", "no folder can be made in it: Read-only file system"),
        (
            "size=8k",
            "nothing can be written to it: No space left on device",
        ),
    ] {
        cache_on(options)
            .only_bad(&["cache"])
            .says("cache", "bad", &[words, "Set XDG_CACHE_HOME"])
            .says("disk", "skip", &["`cache`"])
            .says("lab", "skip", &["`cache`"]);
    }
}

#[test]
fn too_little_room_is_told_before_hours_are_lost() {
    cache_on("size=100m").only_bad(&["disk"]).says(
        "disk",
        "bad",
        &[
            "100 MB are free, and making the lab takes 2800",
            "`runner clean`",
        ],
    );
    cache_on("size=3g,nr_inodes=1000").only_bad(&["disk"]).says(
        "disk",
        "bad",
        &[
            "room for 9",
            "files is left, and making the lab takes 110000",
        ],
    );
    cache_on("size=3g,nr_inodes=0")
        .only_bad(&[])
        .says("disk", "ok", &["3072 MB are free"]);
}

#[test]
fn a_made_lab_takes_little_room() {
    assert!(runner(&["setup"]).status().unwrap().success());
    let real = Cache::of_user().unwrap().root().display().to_string();
    let beside = format!(
        "mkdir c; mount -t tmpfs -o size=20m tmpfs c; mkdir c/ship-of-theseus; ln -s {real}/* c/ship-of-theseus\n\
         export XDG_CACHE_HOME=$HERE/c"
    );
    poorer(&beside)
        .only_bad(&[])
        .says("lab", "ok", &["all made"])
        .says("sources", "ok", &["nothing is left to fetch"])
        .says("disk", "warn", &["MB are free; the lab is made"]);
}

#[test]
fn names_that_differ_only_in_case_must_be_two_files() {
    // No file system of this kind can be mounted everywhere, so the C library is told to behave
    // like one.
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("fold.c");
    let library = folder.path().join("fold.so");
    std::fs::write(&source, include_str!("fold.c")).unwrap();
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(compiled.success());
    let mut command = runner(&["doctor", "--json"]);
    command
        .env("LD_PRELOAD", &library)
        .env("FOLDED", folder.path())
        .env("XDG_CACHE_HOME", folder.path().join("c"));
    Found::of(command)
        .only_bad(&["cache"])
        .says("cache", "bad", &["it takes `NAME` for `name`"]);
}

#[test]
fn an_odd_place_of_the_cache_is_told() {
    let with = |name: &str, value: Option<&str>| {
        let mut command = runner(&["doctor", "--json"]);
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove("XDG_CACHE_HOME").env_remove(name),
        };
        Found::of(command)
    };
    with("XDG_CACHE_HOME", Some("caches")).only_bad(&[]).says(
        "cache",
        "warn",
        &["`caches` in XDG_CACHE_HOME is no absolute path"],
    );
    let odd = with("XDG_CACHE_HOME", Some("/tmp/a b"));
    odd.only_bad(&[]).says("cache", "ok", &["/tmp/a b"]);
    let mut command = runner(&["doctor", "--json", "--host-tools"]);
    command.env("XDG_CACHE_HOME", "/tmp/a b");
    Found::of(command).says("cache", "bad", &["/tmp/a b", "its path holds ' '"]);
    with("HOME", None).only_bad(&["cache"]).says(
        "cache",
        "bad",
        &["neither XDG_CACHE_HOME nor HOME holds an absolute path"],
    );
}

#[test]
fn a_temporary_folder_that_cannot_serve_is_told_and_not_used() {
    for (script, words) in [
        (
            "export TMPDIR=/nowhere",
            "/nowhere: no folder can be made in it: No such file or directory",
        ),
        (
            "mkdir t; mount -t tmpfs -o noexec tmpfs t; export TMPDIR=$HERE/t",
            "no program in it can be run",
        ),
        (
            "mkdir t; mount -t tmpfs -o size=1m tmpfs t; export TMPDIR=$HERE/t",
            "1 MB left, and a replay takes up to 64",
        ),
    ] {
        poorer(script)
            .only_bad(&[])
            .says("temp", "warn", &[words, "the folder of the lab instead"])
            .says("temp", "warn", &["Set TMPDIR"])
            .says("gdb", "ok", &[]);
    }
    let neither =
        "mkdir c; mount -t tmpfs -o noexec tmpfs c; export XDG_CACHE_HOME=$HERE/c TMPDIR=/nowhere";
    poorer(neither)
        .only_bad(&["temp", "cache"])
        .says("temp", "bad", &["/nowhere: no folder", "Set TMPDIR"])
        .says("compiler", "skip", &[]);
}

#[test]
fn a_lab_that_is_not_made_is_told_with_what_is_left_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let look = || {
        let mut command = runner(&["doctor", "--json"]);
        command.env("XDG_CACHE_HOME", cache.path());
        Found::of(command)
    };
    let found = look();
    found
        .only_bad(&[])
        .says(
            "lab",
            "warn",
            &[
                "kernel-source of the cache is not there",
                "busybox-source",
                "`runner setup` makes it",
                "README.md tells how long that takes",
            ],
        )
        .says(
            "sources",
            "skip",
            &[
                "Debian package linux-source-6.1",
                "or else https://cdn.kernel.org/",
                "busybox.net",
            ],
        );
    let left = std::fs::read_dir(cache.path()).unwrap().count();
    assert_eq!(left, 0, "the doctor makes nothing");
    // A run that was cut short has left the folder, without its stamp.
    let real = Cache::of_user().unwrap().root().join("kernel-source");
    for entry in std::fs::read_dir(real).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            let folder = cache
                .path()
                .join("ship-of-theseus/kernel-source")
                .join(entry.file_name());
            std::fs::create_dir_all(folder).unwrap();
        }
    }
    look().says(
        "lab",
        "warn",
        &["kernel-source of the cache is not finished"],
    );
}

#[test]
fn the_readers_own_source_is_looked_at_and_outside_the_book_no_lab_is() {
    let mut command = runner(&["doctor", "--json", "--kernel-source", "/nowhere"]);
    command.env("XDG_CACHE_HOME", tempfile::tempdir().unwrap().path());
    Found::of(command).says("lab", "bad", &["the kernel source /nowhere is not there"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = runner(&["doctor", "--json"]);
    command.current_dir(elsewhere.path());
    Found::of(command)
        .only_bad(&[])
        .says("lab", "skip", &["not inside the book"]);
}
