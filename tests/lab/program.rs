//! The runner's program, as a shell sees it.

use std::fs;

use duct::{Expression, cmd};

fn runner(arguments: &[&str]) -> Expression {
    cmd(env!("CARGO_BIN_EXE_runner"), arguments)
        .stderr_to_stdout()
        .unchecked()
        .stdin_null()
}

#[test]
fn wrong_line_ends_with_2() {
    let output = runner(&["sail"]).stdout_capture().run().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn outside_the_repository_it_says_where_to_go() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = runner(&["setup"])
        .dir(elsewhere.path())
        .stdout_capture()
        .run()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("not inside the book"));
}

#[test]
fn clean_removes_only_once_agreed() {
    let home = tempfile::tempdir().unwrap();
    let entry = home.path().join("ship-of-theseus/kernel/0123456789ab");
    fs::create_dir_all(&entry).unwrap();
    fs::write(entry.join("vmlinux"), vec![1; 10_000]).unwrap();
    let clean = |words: &[&str]| {
        let output = runner(words)
            .env("XDG_CACHE_HOME", home.path())
            .stdout_capture()
            .run()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, text) = clean(&["clean"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("kernel/0123456789ab")
            && text.contains("not finished")
            && text.contains("--yes"),
        "{text}"
    );
    assert!(entry.exists());
    let (code, text) = clean(&["--yes", "clean"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!entry.exists());
    assert!(clean(&["clean"]).1.contains("nothing to clean"));
}
