//! One program in the guest: what it prints, how it ends, and what is said when it cannot run.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::fixture::{self, ended};

fn runner(arguments: &[&str]) -> Command {
    let mut command = fixture::runner();
    command.arg("run").args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    ended(start(runner(arguments)))
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Runs a script of the shell, which is a program of this machine with shared libraries.
fn shell(script: &str) -> Output {
    run(&["/bin/sh", "-c", script])
}

#[track_caller]
fn assert_output(output: &Output, code: i32, stdout: &[u8], stderr: &[u8]) {
    let shown = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(code), "{shown:?}");
    assert!(output.stdout == stdout, "{shown:?}");
    assert!(output.stderr == stderr, "{shown:?}");
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, complaint: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(complaint), "{stderr}");
    assert!(output.stdout.is_empty());
}

fn compile(folder: &Path, source: &str, flags: &[&str]) -> String {
    std::fs::write(folder.join("main.c"), source).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-o", "main", "main.c"]).args(flags);
    assert!(gcc.current_dir(folder).status().unwrap().success());
    folder.join("main").display().to_string()
}

#[test]
fn a_static_and_a_dynamic_program_run_in_the_guests_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include <stdio.h>\n#include <sys/utsname.h>\n#include <unistd.h>\n\
        int main(void) { struct utsname u; uname(&u); puts(u.release); return getpid() == 1 ? 1 : 42; }\n";
    for flags in [&["-static"][..], &["-lm"]] {
        let program = compile(folder.path(), source, flags);
        assert_output(&run(&[&program]), 42, b"6.1.176\n", b"");
    }
}

#[test]
fn the_streams_are_apart_and_every_byte_arrives() {
    let every = "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done";
    let output = shell(&format!(
        "echo begin >&2; {every}; printf 'a\\r\\nb\\n\\0' >&2"
    ));
    let all: Vec<u8> = (0..=255).collect();
    assert_output(&output, 0, &all, b"begin\na\r\nb\n\0");
}

#[test]
fn the_exit_status_is_the_programs_own() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 255", 255),
        ("kill -SEGV $$", 139),
        ("kill -TERM $$", 143),
    ] {
        assert_output(&shell(script), code, b"", b"");
    }
}

#[test]
fn words_and_environment_arrive_as_they_are() {
    let words = [
        "a b",
        "it's",
        "\"q\" $HOME \\",
        "new\nline",
        "",
        "--yes",
        "--",
        "ü",
    ];
    let mut all = vec![
        "--",
        "/bin/sh",
        "-c",
        "printf '%s|' \"$0\" \"$@\"; printf '%s' \"$TOLD\"; pwd; echo $HOME; cat",
    ];
    all.extend(words);
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    let mut command = runner(&all);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", std::env::var_os("HOME").unwrap())
        .env("TOLD", "two\nlines\n")
        // Where the made lab lies: another would be built.
        .envs(std::env::var_os("XDG_CACHE_HOME").map(|place| ("XDG_CACHE_HOME", place)))
        .current_dir(&here);
    let expected = format!(
        "{}|two\nlines\n{}\n{}\n",
        words.join("|"),
        here.display(),
        std::env::var("HOME").unwrap()
    );
    assert_output(&command.output().unwrap(), 0, expected.as_bytes(), b"");
}

#[test]
fn much_output_passes_through_as_it_comes() {
    let script = "yes 0123456789abcde | head -c 10485760; echo end >&2";
    let output = shell(script);
    let expected = b"0123456789abcde\n".repeat(10 * 1024 * 1024 / 16);
    assert_output(&output, 0, &expected, b"end\n");
}

#[test]
fn output_comes_while_the_program_runs_and_a_reader_may_leave() {
    let mut child = runner(&["/bin/sh", "-c", "echo first; yes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    drop(lines);
    assert_eq!(ended(child).status.code(), Some(128 + 13));
}

#[test]
fn a_reader_who_pauses_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("much").display().to_string();
    // Far more than the guest's ring and all pipes hold, and no two parts are the same.
    let much: Vec<u8> = (0..6_000_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&file, &much).unwrap();
    let mut child = runner(&["--with", &file, "cat", &file])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut all = vec![0; 4];
    stdout.read_exact(&mut all).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(4));
    stdout.read_to_end(&mut all).unwrap();
    assert!(all == much);
    assert!(ended(child).status.success());
}

#[test]
fn the_same_program_prints_the_same_and_idle_time_passes_at_once() {
    let script =
        "sleep 3600; cat /proc/uptime /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom";
    let start = std::time::Instant::now();
    let outputs = [shell(script), shell(script)];
    assert!(start.elapsed().as_secs() < 600);
    assert!(outputs[0].stdout.len() > 36);
    assert_output(&outputs[1], 0, &outputs[0].stdout, b"");
}

#[test]
fn the_loopback_is_up_and_the_usual_devices_are_there() {
    let script = "ping -c 1 127.0.0.1 | grep -c 'bytes from'; : > /dev/null; head -c 1 /dev/zero | wc -c; ls /dev/fd/1";
    assert_output(&shell(script), 0, b"1\n1\n/dev/fd/1\n", b"");
}

#[test]
fn only_what_is_asked_for_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/a"), "packed\n").unwrap();
    std::fs::write(folder.path().join("b"), "not packed\n").unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("data/link")).unwrap();
    let script = "cat data/link; ls";
    let mut command = runner(&["--with", "data", "/bin/sh", "-c", script]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_output(&output, 0, b"packed\ndata\n", b"");
    let output = run(&["--with", "/nowhere", "true"]);
    assert_refused(&output, 2, "there is no /nowhere to pack");
}

#[test]
fn a_script_brings_its_interpreter() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    let write = |text: &str, mode| {
        let mut file = std::fs::File::create(&script).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(mode))
            .unwrap();
    };
    let name = script.display().to_string();
    write("#!/usr/bin/env bash\necho \"$BASH\" $1; exit 4\n", 0o755);
    assert_output(&run(&[&name, "x"]), 4, b"/usr/bin/bash x\n", b"");
    write("#!/no/such/shell\n", 0o755);
    assert_refused(&run(&[&name]), 2, "there is no program /no/such/shell");
    write("neither\n", 0o755);
    assert_refused(&run(&[&name]), 2, "is neither an ELF program nor a script");
    write("\x7fELF\x02\x01\x01 cut", 0o755);
    assert_refused(&run(&[&name]), 2, "this is no program for x86-64");
    write("#!/bin/sh\n", 0o644);
    assert_refused(&run(&[&name]), 2, "is not an executable file");
}

#[test]
fn a_program_that_is_not_there_is_told_from_one_that_fails() {
    assert_refused(&run(&["/no/such"]), 2, "there is no program /no/such");
    assert_refused(&run(&["no-such"]), 2, "there is no program no-such on PATH");
    assert_refused(&run(&["--no-such", "true"]), 2, "unexpected argument");
    assert_refused(&run(&[]), 2, "PROGRAM");
}

#[test]
fn a_machine_that_ends_and_a_program_that_does_not_are_told() {
    let output = run(&["--deadline", "60", "/bin/sh", "-c", "/sbin/reboot -f"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.contains("the machine ended before its time"),
        "{stderr}"
    );
    let output = run(&["--deadline", "30", "/bin/sh", "-c", "while :; do :; done"]);
    assert_refused(&output, 3, "the program has not ended after 30 s");
    let output = run(&["--kernel", "/nowhere", "true"]);
    assert_refused(&output, 2, "/nowhere is no kernel");
}

#[test]
fn a_panic_shows_the_console() {
    let folder = tempfile::tempdir().unwrap();
    // No signal ends the first program of a guest, except one that its debugger sends.
    let source = "#include <sys/ptrace.h>\n#include <sys/wait.h>\n#include <signal.h>\n#include <stdio.h>\n#include <unistd.h>\n\
        int main(void) { if (ptrace(PTRACE_ATTACH, 1, 0, 0)) { perror(\"ptrace\"); return 1; }\n\
        waitpid(1, 0, __WALL); ptrace(PTRACE_DETACH, 1, 0, SIGKILL); for (;;) pause(); }\n";
    let program = compile(folder.path(), source, &["-static"]);
    let output = run(&["--deadline", "60", &program]);
    assert_refused(
        &output,
        3,
        "Kernel panic - not syncing: Attempted to kill init!",
    );
}

#[test]
fn the_tests_of_another_project_run_in_the_guest() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[package]\nname = \"other\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
    );
    write("tests/data/greeting", "hello\n");
    write("src/lib.rs", include_str!("other.rs"));
    let cargo = |runner: &str| {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["test", "--offline", "--lib"])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", folder.path().join("target"))
            .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner);
        command.output().unwrap()
    };
    let runner = concat!(env!("CARGO_BIN_EXE_runner"), " run --with tests/data");
    let output = cargo(runner);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = (&text, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all:?}");
    assert!(
        text.contains("test result: ok. 3 passed; 0 failed"),
        "{all:?}"
    );
    write(
        "src/lib.rs",
        &include_str!("other.rs").replace("6.1.176", "6.1.175"),
    );
    let output = cargo(runner);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(101), "{text}");
    assert!(
        text.contains("test result: FAILED. 2 passed; 1 failed"),
        "{text}"
    );
}
