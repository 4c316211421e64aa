//! Programs that are not what they should be: a gdb and a QEMU that say something else, or nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::fixture::{Book, Ran};
use crate::traces::Place;

/// A folder for PATH with a program in it; what the runner only asks for its version is answered.
fn with(name: &str, script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let text =
        format!("#!/bin/bash\ncase \"$*\" in *-version*) echo version; exit;; esac\n{script}\n");
    std::fs::write(&path, text).unwrap();
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
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.display()));
}

/// Answers each command, and then does what stands behind.
const ANSWERS: &str =
    "answers() { for i in $(seq $1); do read -r line; echo '^done'; echo '(gdb)'; done; }\n";

#[test]
fn a_gdb_that_speaks_something_else_is_told() {
    let malformed = "gdb printed a malformed MI record (byte 0; `runner doctor` tries gdb): hello";
    for (script, told) in [
        ("echo hello; sleep 1000", malformed),
        ("answers 1; echo hello; sleep 1000", malformed),
        (
            "answers 1; printf '*stopped,reason=\"brea'; exit 7",
            "gdb has ended (exit status: 7)",
        ),
        ("answers 2; exec >&-; sleep 1000", "gdb has ended"),
        ("kill -9 $$", "gdb has ended (signal: 9 (SIGKILL))"),
        (
            "echo '^done,a={a={a='; sleep 1000",
            "gdb printed a malformed MI record (byte 13",
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
    ] {
        let ran = replay(&["gdb print 1"], "gdb", &format!("{ANSWERS}{script}"));
        assert_eq!(ran.code, Some(3), "{script}: {ran:#?}");
        ran.complains("05-five.md:4: step 5.1 `gdb print 1`: ")
            .complains(told);
    }
}

#[test]
fn a_gdb_that_is_always_content_gets_to_the_end() {
    // It says nothing wrong, so nothing but its silence can be seen.
    let ran = replay(&["gdb print 1"], "gdb", &format!("{ANSWERS}answers 100"));
    ran.ends_with(1);
}

#[test]
fn a_qemu_that_is_none_is_told() {
    for (script, told) in [
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
    ] {
        let ran = replay(&["deadline=2 guest true"], qemu(), script);
        assert_eq!(ran.code, Some(3), "{script}: {ran:#?}");
        ran.complains("05-five.md:4: step 5.1 `guest true`: ")
            .complains(told);
    }
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
    runner::qemu::PROGRAM
}

#[test]
fn a_machine_that_does_not_come_up_is_not_awaited_for_ever() {
    let script = format!("{ANSWERS}sleep 1000");
    let (places, folders) = (
        [Place::new(), Place::new()],
        [with("gdb", &script), with(qemu(), "sleep 1000")],
    );
    let book = Book::new(&["gdb print 1"]);
    let children: Vec<_> = places
        .iter()
        .zip(&folders)
        .map(|(place, folder)| {
            let mut command = book.command(&["chapter", "5"]);
            on_path(&mut command, folder.path());
            place.start(command)
        })
        .collect();
    let told = [
        "gdb or the machine did not come up within 120 s",
        "QEMU opened no socket for the debugger within 120 s",
    ];
    for ((place, child), told) in places.iter().zip(children).zip(told) {
        let ran = crate::traces::ended(child);
        ran.ends_with(3)
            .complains("05-five.md:4: step 5.1 `gdb print 1`: ")
            .complains(told);
        place.is_clean(&crate::traces::Held::default());
    }
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command.args(["run", "true"]);
        on_path(&mut command, folder.path());
        let ran = Place::new().run(command);
        assert_eq!(ran.code, Some(3), "{script}: {ran:#?}");
        ran.complains(told);
    }
}
