//! `runner plank`, and a chapter that is judged on one.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Book, Ran};

/// The text of a file of the plank, changed.
fn edit(file: &PathBuf, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_plank_is_made_changed_judged_and_dropped() {
    let book = Book::new(&[
        "guest cat /proc/sys/net/ipv4/ip_default_ttl",
        "gdb interrupt",
        "gdb 'tbreak inet_bind'",
        "gdb 'info line inet_listen'",
    ]);
    book.keep(&book.run(&["chapter", "5", "--json"]));
    book.run(&["plank"])
        .ends_with(0)
        .prints("there is no plank yet; make one: runner plank new NAME");
    let made = book.run(&["plank", "new", "short-life"]);
    made.ends_with(0)
        .complains("runner chapter 6 --plank short-life");
    let tree = PathBuf::from(made.stdout.trim_end());
    let file = tree.join("net/ipv4/af_inet.c");
    // A gdb of the reader's own finds the kernel's scripts beside `vmlinux`.
    assert!(tree.join("vmlinux-gdb.py").is_file());
    book.run(&["plank", "new", "short-life"])
        .ends_with(2)
        .complains("the plank `short-life`: there is one already");
    let judge = || book.run(&["chapter", "5", "--plank", "short-life"]);
    judge().ends_with(0).prints("the same, byte for byte");

    // Lines that move are no change of what the kernel does.
    edit(
        &file,
        "\nint inet_bind(",
        "\n/* One. */\n/* Two. */\nint inet_bind(",
    );
    judge().ends_with(0).prints("the same in meaning");

    edit(&file, "= IPDEFTTL;", "= IPDEFTTL - 1;");
    judge()
        .ends_with(1)
        .prints("different in 1 of 4 steps")
        .prints("\n-| 64\n")
        .prints("\n+| 63\n")
        .prints("your kernel is not the book's there");
    let diff = book.run(&["plank", "diff", "short-life"]);
    diff.ends_with(0)
        .prints("--- a/net/ipv4/af_inet.c\n+++ b/net/ipv4/af_inet.c\n")
        .prints("+/* One. */\n+/* Two. */\n int inet_bind(")
        .prints("= IPDEFTTL;\n+");
    let files = diff.stdout.matches("--- ").count();
    assert_eq!(files, 1, "{}", diff.stdout);
    book.run(&["plank"])
        .prints("short-life  planks/short-life  net/ipv4/af_inet.c\n");

    // What the compiler says is shown, and what make says is not.
    edit(&file, "IPDEFTTL - 1;", "IPDEFTTL - one;");
    let refused = judge();
    refused
        .ends_with(1)
        .complains("error: 'one' undeclared")
        .complains("the plank short-life does not build");
    let line = std::fs::read_to_string(&file).unwrap();
    let line = line
        .lines()
        .position(|line| line.contains("- one;"))
        .unwrap()
        + 1;
    refused.complains(&format!("net/ipv4/af_inet.c:{line}:"));
    assert!(!refused.stderr.contains("make"), "{}", refused.stderr);

    // A kernel that does not come up is a verdict like any other.
    edit(
        &file,
        "IPDEFTTL - one;",
        "IPDEFTTL; BUG_ON(net == &init_net);",
    );
    judge()
        .ends_with(1)
        .prints("the kernel has stopped: Kernel BUG at inet_init_net+")
        .prints(&format!(
            "inet_init_net at net/ipv4/af_inet.c:{line}, a line of yours\n"
        ))
        .prints("3 steps from 5.2 on were not reached");

    book.run(&["plank", "drop", "short-life"])
        .ends_with(3)
        .complains("agree beforehand with --yes");
    assert!(tree.is_dir());
    book.run(&["plank", "drop", "short-life", "--yes"])
        .ends_with(0);
    assert!(!tree.exists());
    judge().ends_with(2).complains("there is no plank yet");
}

#[test]
fn a_name_that_can_be_no_planks_is_refused() {
    let book = Book::new(&["host true"]);
    // Before anything is built for it.
    let cache = tempfile::tempdir().unwrap();
    for name in ["../up", "Upper", "", "a b"] {
        let mut command = book.command(&["plank", "new", name]);
        command.env("XDG_CACHE_HOME", cache.path());
        Ran::of(command)
            .ends_with(2)
            .complains("a name has lower-case letters, digits and `-`");
    }
    assert_eq!(cache.path().read_dir().unwrap().count(), 0);
}

#[test]
fn ctrl_c_ends_the_copy_and_leaves_no_plank() {
    let book = Book::new(&["host true"]);
    book.run(&["chapter", "5"]);
    let mut child = book
        .command(&["plank", "new", "cut-short"])
        .spawn()
        .unwrap();
    let partial = book
        .folder
        .path()
        .join("planks/cut-short.partial/linux/Kconfig");
    while !partial.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.signal(), Some(2), "{ended:?}");
    book.run(&["plank"])
        .ends_with(0)
        .prints("there is no plank yet")
        .complains("the plank cut-short is not whole, as a run was cut short");
    book.run(&["plank", "drop", "cut-short"]).ends_with(0);
    let planks = book.folder.path().join("planks");
    let left = planks.read_dir().unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left, [".lock"]);
}
