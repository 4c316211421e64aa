//! The guest, the debugger and the host's shell at work.

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
