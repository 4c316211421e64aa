//! The guest, the debugger and the host's shell at work, and what is left of them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::fixture::Book;

/// What the steps of a book printed: standard output, standard error and status of each.
fn outputs(book: &Book) -> Vec<(String, String, i64)> {
    let ran = book.run(&["chapter", "5", "--json"]);
    assert!(ran.stderr.is_empty(), "{ran:#?}");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let json = ran.json();
    let steps = json["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|s| {
            (
                text(&s["stdout"]),
                text(&s["stderr"]),
                s["status"].as_i64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_guests_shell_keeps_its_state_and_tells_streams_apart() {
    let book = Book::new(&[
        "guest 'cd /etc; x=\"a  b\"'",
        "guest 'echo \"$x\"; pwd; echo oh >&2'",
        "status=3 guest '(exit 3)'",
        "status=2 guest 'if (('",
        "guest 'sleep 1 && echo late > /tmp/late &'",
        "guest 'cat; wait; cat /tmp/late'",
        r#"guest 'printf "\001\377-"'"#,
    ]);
    let outputs = outputs(&book);
    let plain = |stdout: &str| (stdout.to_owned(), String::new(), 0);
    assert_eq!(outputs[0], plain(""));
    assert_eq!(
        outputs[1],
        ("a  b\n/etc\n".to_owned(), "oh\n".to_owned(), 0)
    );
    assert_eq!(outputs[2], (String::new(), String::new(), 3));
    assert!(outputs[3].1.contains("syntax error"), "{:?}", outputs[3]);
    assert_eq!(outputs[4], plain(""));
    assert_eq!(outputs[5], plain("late\n"));
    assert_eq!(outputs[6], plain("\\x01\\xff-"));
}

#[test]
fn a_breakpoint_is_seen_from_both_windows() {
    let book = Book::new(&[
        "guest echo up",
        "gdb interrupt",
        "gdb break kernel_clone",
        "gdb continue",
        "guest 'echo before; uname'",
        "gdb",
        "gdb 'print $_exitcode'",
        "gdb delete",
        "gdb continue",
        "guest",
    ]);
    let outputs = outputs(&book);
    assert_eq!(outputs[0].0, "up\n");
    assert!(
        outputs[1]
            .0
            .contains("idle () at arch/x86/kernel/process.c:"),
        "{:?}",
        outputs[1]
    );
    assert_eq!(outputs[3].0, "Continuing.\n");
    assert!(
        outputs[5].0.contains("Breakpoint 1, kernel_clone (args="),
        "{:?}",
        outputs[5]
    );
    assert_eq!(
        outputs[4].0.clone() + &outputs[9].0,
        "before\nLinux\n",
        "cut in two by the breakpoint"
    );
}

#[test]
fn gdb_refuses_what_it_does_not_know_and_goes_on() {
    let book = Book::new(&["status=1 gdb print nosuch", "gdb print 1+1"]);
    let outputs = outputs(&book);
    let error = "No symbol \"nosuch\" in current context.\n".to_owned();
    assert_eq!(outputs[0], (String::new(), error, 1));
    assert_eq!(outputs[1].0, "$1 = 2\n");
}

#[test]
fn a_status_that_the_chapter_does_not_expect_stops_the_replay() {
    Book::new(&["guest 'echo seen; false'", "guest echo unseen"])
        .run(&["chapter", "5"])
        .ends_with(1)
        .prints("seen")
        .complains("05-five.md:4: step 5.1 `guest echo seen; false`: exit status 1 where the chapter expects 0");
}

#[test]
fn a_step_that_hangs_is_named_after_its_deadline() {
    for hangs in [
        "deadline=1 guest 'while :; do :; done'",
        "deadline=1 host sleep 100",
    ] {
        Book::new(&["host true", hangs])
            .run(&["chapter", "5"])
            .ends_with(3)
            .complains("05-five.md:5: step 5.2")
            .complains("not finished after 1 s; if it may take longer, say so: deadline=2");
    }
}

#[test]
fn a_flood_is_stopped() {
    Book::new(&["guest yes"])
        .run(&["chapter", "5"])
        .ends_with(3)
        .complains("step 5.1 `guest yes`: the step printed more than 1048576 bytes");
}

#[test]
fn a_dead_machine_shows_its_console() {
    Book::new(&["guest reboot -f"])
        .run(&["chapter", "5"])
        .ends_with(3)
        .complains("the machine ended before its time");
    Book::new(&["status=7 guest exit 7", "guest ls"])
        .run(&["chapter", "5"])
        .complains("the shell of the window `guest` has ended in an earlier step");
    Book::new(&["gdb quit"])
        .run(&["chapter", "5"])
        .ends_with(3)
        .complains("gdb has ended");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let book = Book::new(&["gdb break start_kernel", "host true", "host sleep 1000"]);
    let scratch = tempfile::tempdir().unwrap();
    let mut child = book
        .command(&["chapter", "5"])
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains("sleep 1000")),
        "the last step has begun"
    );
    let children = children_of(child.id());
    assert!(children.len() >= 3, "QEMU, gdb and bash: {children:?}");
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
    let alive: Vec<_> = children
        .iter()
        .filter(|id| std::path::Path::new(&format!("/proc/{id}")).exists())
        .collect();
    assert!(alive.is_empty(), "{alive:?} live on");
    assert_eq!(
        scratch.path().read_dir().unwrap().count(),
        0,
        "a file is left"
    );
}

fn children_of(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).unwrap();
    text.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}
