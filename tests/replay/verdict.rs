//! What a replay says of the snapshot.

use crate::fixture::Book;

const STEPS: [&str; 4] = [
    "gdb break start_kernel",
    "gdb continue",
    "gdb 'print &system_state'",
    "gdb 'print init_uts_ns.name.nodename'",
];

#[test]
fn a_recorded_chapter_is_the_same_until_its_snapshot_lies() {
    let book = Book::new(&STEPS);
    book.run(&["chapter", "5"])
        .ends_with(1)
        .prints("nothing to compare with; record it: runner record 5");
    book.run(&["record", "5"]).ends_with(1).prints("not kept");
    assert!(
        !book.snapshot().exists(),
        "nothing is kept without being agreed to"
    );
    book.run(&["record", "5", "--yes"])
        .ends_with(0)
        .prints("recorded in");
    let noise = std::fs::read_to_string(book.snapshot().with_extension("noise")).unwrap();
    assert!(noise.contains("1 | Breakpoint 1 at {*}: file"), "{noise}");
    book.run(&["chapter", "5"])
        .ends_with(0)
        .prints("chapter 5: the same, byte for byte (4 steps");

    let text = std::fs::read_to_string(book.snapshot()).unwrap();
    assert!(text.contains("kind: exact\n"), "{text}");
    std::fs::write(book.snapshot(), text.replace("(none)", "(some)")).unwrap();
    let ran = book.run(&["chapter", "5"]);
    ran.ends_with(1)
        .prints("chapter 5: different in 1 of 4 steps")
        .prints("step 5.4");
    ran.prints("-| $2 = \"(some)").prints("+| $2 = \"(none)");
    assert!(
        !ran.stdout.contains("step 5.3 (-"),
        "only what differs is shown: {ran:#?}"
    );
    book.run(&["chapter", "5", "--to", "5.3"])
        .ends_with(0)
        .prints("(3 steps");
}

#[test]
fn another_lab_is_compared_by_meaning() {
    let book = Book::new(&STEPS);
    book.keep(&book.run(&["chapter", "5", "--json"]));
    let text = std::fs::read_to_string(book.snapshot()).unwrap();
    let other = text.replace(
        "qemu: QEMU emulator version ",
        "qemu: QEMU emulator version 0.",
    );
    std::fs::write(
        book.snapshot(),
        other.replace("0xffffffff81", "0xffffffff99"),
    )
    .unwrap();
    book.run(&["chapter", "5"])
        .ends_with(0)
        .prints("chapter 5: the same in meaning")
        .prints("not byte for byte, because qemu is QEMU emulator version");
    // The same pointers with nothing to excuse them.
    std::fs::write(
        book.snapshot(),
        text.replace("0xffffffff81", "0xffffffff99"),
    )
    .unwrap();
    book.run(&["chapter", "5"]).ends_with(1).prints("different");
}

#[test]
fn what_is_recorded_is_what_the_chapter_says_whatever_was_recorded_before() {
    let book = Book::new(&["status=1 guest true", "gdb 'info line inet_init'"]);
    // Another lab, in which a replay goes on.
    let other = "kind: exact\nbzImage: another\n\n5.1 guest true\n= 1 at 1\n\n\
                 5.2 gdb info line inet_init\n= 0\n";
    std::fs::create_dir_all(book.snapshot().parent().unwrap()).unwrap();
    std::fs::write(book.snapshot(), other).unwrap();
    book.run(&["chapter", "5"])
        .ends_with(1)
        .prints("different in ");
    book.run(&["record", "5", "--yes"])
        .ends_with(1)
        .complains("exit status 0 where the chapter expects 1");
    assert_eq!(std::fs::read_to_string(book.snapshot()).unwrap(), other);
}

/// The steps of a chapter that this machine does otherwise, and what was recorded of each.
const OTHERWISE: [(&str, &str); 22] = [
    ("guest 'echo a'", "| a\n= 0 at 1"),
    ("status=1 guest true", "= 1 at 2"),
    ("gdb interrupt", "| amd_e400_idle () at x\n= 0"),
    ("gdb 'tbreak machine_halt'", "| Temporary breakpoint 1\n= 0"),
    ("gdb continue", "| Continuing.\n= 0"),
    ("gdb", "|\n| Temporary breakpoint 1, machine_halt\n= 0"),
    ("gdb 'print 1'", "| $1 = 1\n= 0"),
    ("guest 'echo b'", "| b\n= 0 at 3"),
    ("gdb interrupt", "| amd_e400_idle () at x\n= 0"),
    (
        "gdb 'tbreak __x64_sys_sethostname'",
        "| Temporary breakpoint 2\n= 0",
    ),
    ("gdb continue", "| Continuing.\n= 0"),
    ("guest 'hostname x'", "= 0 at 4"),
    ("guest 'echo c'", "| c\n= 0 at 5"),
    ("until=never guest 'echo d'", "| never\n= 0 at 6"),
    ("guest 'echo e'", "| e\n= 0 at 7"),
    ("deadline=3 guest 'sleep 1000000000'", "= 0 at 8"),
    ("guest 'echo f'", "| f\n= 0 at 9"),
    ("server 'kill $$'", "| i\n= 0 at 10"),
    ("server 'echo j'", "| j\n= 0 at 10"),
    ("guest 'reboot -f'", "= 0 at 10"),
    ("guest 'echo g'", "| g\n= 0 at 11"),
    ("host 'echo h'", "| h\n= 0"),
];

/// A book whose chapter was recorded on another kernel, so that what is otherwise counts.
fn recorded_elsewhere(steps: &[(&str, &str)]) -> Book {
    let book = Book::new(&steps.iter().map(|(step, _)| *step).collect::<Vec<_>>());
    let first = book.run(&["chapter", "5", "--json", "--to", "5.1"]).json();
    let mut snapshot = "kind: exact\n".to_owned();
    for (name, value) in first["provenance"].as_object().unwrap() {
        let value = if name == "bzImage" {
            "another"
        } else {
            value.as_str().unwrap()
        };
        snapshot += &format!("{name}: {value}\n");
    }
    for (index, (step, recorded)) in steps.iter().enumerate() {
        let words = step.split(' ').skip_while(|word| word.contains('='));
        let words = words.collect::<Vec<_>>().join(" ").replace('\'', "");
        snapshot += &format!("\n5.{} {words}\n{recorded}\n", index + 1);
    }
    std::fs::create_dir_all(book.snapshot().parent().unwrap()).unwrap();
    std::fs::write(book.snapshot(), snapshot).unwrap();
    book
}

#[test]
fn on_another_machine_a_replay_goes_on_where_a_wrong_chapter_would_end() {
    let book = recorded_elsewhere(&OTHERWISE);
    let ran = book.run(&["chapter", "5", "--json"]);
    ran.ends_with(1);
    let json = ran.json();
    let result = &json["result"];
    let steps = result["steps"].as_array().unwrap().iter();
    let otherwise: Vec<_> = steps
        .map(|step| {
            (
                step["step"].as_str().unwrap(),
                step["line"].as_str().unwrap(),
            )
        })
        .collect();
    let numbers: Vec<_> = otherwise.iter().map(|(step, _)| *step).collect();
    assert_eq!(
        numbers,
        [
            "5.2", "5.3", "5.4", "5.9", "5.10", "5.14", "5.16", "5.18", "5.20"
        ],
        "{otherwise:#?}"
    );
    assert_eq!(otherwise[0].1.split(" at ").next(), Some("= 0"));
    assert_eq!(otherwise[5].1, "| d");
    assert!(
        otherwise[6].1.contains("not finished after 3 s"),
        "{otherwise:#?}"
    );
    assert!(
        otherwise[8].1.contains("the machine ended"),
        "{otherwise:#?}"
    );
    assert_eq!(
        result["unreached"],
        serde_json::json!(["5.6", "5.7", "5.19", "5.21"])
    );
    book.run(&["chapter", "5"])
        .prints("not reached: nothing has stopped the machine")
        .prints("different in 13 of 22 steps");
}

#[test]
fn a_command_can_be_ended_wherever_the_kernel_stands() {
    let book = recorded_elsewhere(&[
        ("guest 'echo a'", "| a\n= 0 at 1"),
        ("gdb interrupt", "= 0"),
        // gdb has the machine most of the time, in a file with a function of the name of the one
        // in which the kernel is caught.
        ("gdb 'break do_idle if 0'", "= 0"),
        ("gdb continue", "| Continuing.\n= 0"),
        // Once may go well by chance.
        ("deadline=2 guest 'sleep 1000000000'", "= 0 at 2"),
        ("deadline=2 guest 'sleep 1000000000'", "= 0 at 3"),
        ("guest 'echo b'", "| c\n= 0 at 4"),
    ]);
    let ran = book.run(&["chapter", "5"]);
    ran.ends_with(1).prints("not finished after 2 s");
    ran.prints("5.7 guest# echo b\nb\n");
}

#[test]
fn a_transcript_is_json_and_colourless_in_a_pipe() {
    let book = Book::new(&STEPS);
    let json = book.run(&["chapter", "5", "--json", "--to", "5.1"]).json();
    assert_eq!(json["chapter"], 5);
    assert_eq!(json["steps"][0]["command"], "break start_kernel");
    assert!(json["provenance"]["bzImage"].as_str().unwrap().len() == 64);
    let plain = book.run(&["chapter", "5", "--to", "5.1", "--timings"]);
    plain
        .prints("5.1 (gdb) break start_kernel\nBreakpoint 1 at ")
        .prints(" s real");
    assert!(!plain.stdout.contains('\x1b'), "{plain:?}");
}

#[test]
fn verify_replays_chapters_side_by_side_and_the_worst_counts() {
    let book = Book::new(&["guest 'echo five'"]);
    let six = "# Six\n\n```console\n<!-- cmdrun runner show 6.1 gdb 'print 6' -->\n```\n";
    std::fs::write(book.folder.path().join("chapters/06-six.md"), six).unwrap();
    book.run(&["verify"])
        .ends_with(1)
        .prints("chapter 5: nothing to compare with");
    book.run(&["record", "5", "6", "--yes"]).ends_with(0);
    let ran = book.run(&["verify"]);
    ran.ends_with(0).prints("2 chapters: all the same (");
    ran.prints("chapter 5: the same, byte for byte")
        .prints("chapter 6: the same, byte for byte");
    let text = std::fs::read_to_string(book.snapshot()).unwrap();
    std::fs::write(book.snapshot(), text.replace("| five", "| four")).unwrap();
    let ran = book.run(&["verify", "--jobs", "1"]);
    ran.ends_with(1).prints("-| four").prints("+| five");
    ran.prints("chapter 6: the same, byte for byte")
        .prints("2 chapters: not all the same (");
    book.run(&["verify", "6"])
        .ends_with(0)
        .prints("1 chapter: all the same");
    std::fs::write(
        book.folder.path().join("chapters/06-six.md"),
        six.replace("gdb", "gbd"),
    )
    .unwrap();
    book.run(&["verify"]).ends_with(2).complains("06-six.md:4");
}

#[test]
fn json_stays_json_when_replays_differ() {
    let book = Book::new(&["host 'date +%N'", "host 'echo the same'"]);
    let ran = book.run(&["chapter", "5", "--json", "--repeat", "3"]);
    ran.ends_with(1).complains("1 of 3 replays agree");
    let repeats = &ran.json()["repeats"];
    assert_eq!(repeats["times"], 3);
    let different = repeats["different"].as_array().unwrap();
    assert_eq!(different.len(), 2, "{repeats:#}");
    for steps in different {
        assert_eq!(steps.as_array().unwrap().len(), 1, "{repeats:#}");
        assert_eq!(steps[0]["step"], "5.1");
    }
}
