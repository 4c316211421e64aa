//! Programs that are not what they should be: a gdb and a QEMU that say something else, or nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::fixture::{Book, Ran, at_once, runner};
use rustix::process::Signal;

use crate::traces::{Held, Place, ended, send};

/// A folder with a program in it that stands in front of the tools; what the runner only asks for
/// its version is answered.
fn with(name: &str, script: &str) -> tempfile::TempDir {
    let version = "case \"$*\" in *-version*) echo version; exit;; esac";
    with_all(name, &format!("{version}\n{script}"))
}

fn with_all(name: &str, script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[track_caller]
fn replay(steps: &[&str], name: &str, script: &str) -> Ran {
    let folder = with(name, script);
    let book = Book::new(steps);
    let mut command = book.command(&["chapter", "5"]);
    on_path(&mut command, folder.path());
    Place::new().run(command)
}

fn on_path(command: &mut Command, folder: &std::path::Path) {
    command.env("THESEUS_PROGRAMS", folder);
}

/// Answers each command, and then does what stands behind.
const ANSWERS: &str =
    "answers() { for i in $(seq $1); do read -r line; echo '^done'; echo '(gdb)'; done; }\n";

#[test]
fn a_gdb_that_speaks_something_else_is_told() {
    let malformed = "gdb printed a malformed MI record (byte 1; `runner doctor` tries gdb): hello";
    let all = [
        ("echo hello; sleep 1000", malformed),
        ("answers 1; echo hello; sleep 1000", malformed),
        (
            "answers 1; printf '*stopped,reason=\"brea'; exit 7",
            "gdb has ended (exit status: 7)",
        ),
        ("kill -9 $$", "gdb has ended (signal: 9 (SIGKILL))"),
        (
            "echo '^done,a={a={a='; sleep 1000",
            "gdb printed a malformed MI record (byte 14",
        ),
        (
            "printf '~\"\\\\777\"\\n'; sleep 1000",
            "gdb printed a malformed MI record",
        ),
        (
            "printf '\\xff\\xfe\\0\\n'; sleep 1000",
            "gdb printed a malformed MI record",
        ),
        (
            "tr '\\0' x < /dev/zero",
            "the step printed more than 1048576 bytes",
        ),
        ("yes '~\"x\"'", "the step printed more than 1048576 bytes"),
        (
            "yes '^error,msg=\"no\"'",
            "gdb refused `target remote gdb.sock`: no",
        ),
    ];
    at_once(&all, |(script, told)| {
        let ran = replay(&["gdb print 1"], "gdb", &format!("{ANSWERS}{script}"));
        assert_eq!(ran.code, Some(3), "{script}: {ran:#?}");
        ran.complains("05-five.md:4: step 5.1 `gdb print 1`: ")
            .complains(told);
    });
}

#[test]
fn a_gdb_that_is_always_content_gets_to_the_end() {
    // It says nothing wrong, so nothing but its silence can be seen.
    let ran = replay(&["gdb print 1"], "gdb", &format!("{ANSWERS}answers 100"));
    ran.ends_with(1);
}

#[test]
fn a_qemu_that_is_none_is_told() {
    let all = [
        (
            "exit 5",
            "the machine ended before its time (exit status: 5)",
        ),
        ("echo oh no >&2; exit 1", "and QEMU said\n    oh no"),
        (
            "kill -9 $$",
            "the machine ended before its time (signal: 9 (SIGKILL))",
        ),
        (
            "yes flood >&2",
            "the machine ended before its time (signal: 25 (SIGXFSZ))",
        ),
        (
            "yes flood",
            "wrote to the agent's port 0xe9 what the agent would not: `flood`",
        ),
        (
            "cat /dev/zero",
            "wrote to the agent's port 0xe9 what the agent would not: `\\x00",
        ),
        (
            "echo 'out guest 4096'; exec sleep 1000",
            "not finished after 2 s",
        ),
        ("exec sleep 1000", "not finished after 2 s"),
    ];
    at_once(&all, |(script, told)| {
        let ran = replay(&["deadline=2 guest true"], qemu(), script);
        assert_eq!(ran.code, Some(3), "{script}: {ran:#?}");
        ran.complains("05-five.md:4: step 5.1 `guest true`: ")
            .complains(told);
    });
    for (script, told) in [
        (
            "exit 5",
            "the machine ended before its time (exit status: 5)",
        ),
        ("echo oh no >&2; exit 1", "and QEMU said\n    oh no"),
    ] {
        let ran = replay(&["gdb print 1"], qemu(), script);
        assert_eq!(ran.code, Some(3), "{script}: {ran:#?}");
        ran.complains("05-five.md:4: step 5.1 `gdb print 1`: ")
            .complains(told);
    }
}

fn qemu() -> &'static str {
    lab::machine::qemu::PROGRAM
}

#[test]
fn a_machine_that_does_not_come_up_is_not_awaited_for_ever() {
    let gdb = |script: &str| with("gdb", &format!("{ANSWERS}{script}; sleep 1000"));
    let (places, folders) = (
        [Place::new(), Place::new(), Place::new()],
        [
            gdb(":"),
            gdb("answers 2; exec >&-"),
            with(qemu(), "sleep 1000"),
        ],
    );
    let book = Book::new(&["gdb print 1"]);
    let children: Vec<_> = places
        .iter()
        .zip(&folders)
        .map(|(place, folder)| {
            let mut command = book.command(&["chapter", "5"]);
            on_path(&mut command, folder.path());
            command.env("THESEUS_START_DEADLINE", "3");
            place.start(command)
        })
        .collect();
    let told = [
        "gdb or the machine did not come up within 3 s",
        "gdb has ended; a step of the chapter must leave it running",
        "QEMU opened no socket for the debugger within 3 s",
    ];
    for ((place, child), told) in places.iter().zip(children).zip(told) {
        let ran = ended(child);
        ran.ends_with(3)
            .complains("05-five.md:4: step 5.1 `gdb print 1`: ")
            .complains(told);
        place.is_clean(&Held::default());
    }
}

#[test]
fn ctrl_c_is_heard_while_the_machine_comes_up() {
    let folder = with(qemu(), "exec sleep 1000.5");
    let place = Place::new();
    let book = Book::new(&["gdb print 1"]);
    let mut command = book.command(&["chapter", "5"]);
    on_path(&mut command, folder.path());
    let child = place.start(command);
    place.one("sleep 1000.5");
    send(child.id(), Signal::INT);
    ended(child)
        .ends_with(130)
        .complains("05-five.md:4: step 5.1 `gdb print 1`: interrupted");
    place.is_clean(&Held::default());
}

#[test]
fn a_program_in_a_qemu_that_is_none_is_told() {
    for (script, told) in [
        (
            "exit 5",
            "the machine ended before its time (exit status: 5)",
        ),
        (
            "echo hello hello hello; sleep 1000",
            "the program wrote to the guest's port 0xe9",
        ),
        (
            "cat /dev/zero",
            "the program wrote to the guest's port 0xe9",
        ),
    ] {
        let folder = with(qemu(), script);
        let mut command = runner();
        command.args(["run", "true"]);
        on_path(&mut command, folder.path());
        let ran = Place::new().run(command);
        assert_eq!(ran.code, Some(3), "{script}: {ran:#?}");
        ran.complains(told);
    }
}

#[test]
fn a_qemu_that_was_built_without_a_sandbox_will_do() {
    // The version is asked for with the sandbox, which is how the runner knows.
    let folder = with_all(
        qemu(),
        "case \"$*\" in *-sandbox*) exit 1;; esac; PATH=${PATH#*:} exec qemu-system-x86_64 \"$@\"",
    );
    let book = Book::new(&["guest 'echo up'", "gdb interrupt"]);
    let mut command = book.command(&["chapter", "5"]);
    on_path(&mut command, folder.path());
    Place::new().run(command).ends_with(1).prints("up");
}
