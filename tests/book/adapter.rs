//! `runner cmdrun`, where mdbook-cmdrun is missing or does not do its work. What it does when all
//! is well is seen in `pages`.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::fixture::{Fixture, given_back, run, said};
use crate::tools::RUNNER;

/// Runs the adapter where mdbook-cmdrun is the given shell script, or is not there.
fn adapt(script: Option<&str>) -> Output {
    let book = Fixture::new();
    let laid_out = book.runner("", &["preprocess"], &book.sent(&book.book()));
    let laid_out = given_back(&laid_out);
    let tools = book.path("tools");
    std::fs::create_dir(&tools).unwrap();
    if let Some(script) = script {
        let program = tools.join("mdbook-cmdrun");
        std::fs::write(
            &program,
            format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n"),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = OsString::from(tools);
    run(
        RUNNER,
        &["cmdrun"],
        &book.path(""),
        path,
        &book.sent(&laid_out),
    )
}

#[test]
fn where_it_is_missing_the_command_that_installs_it_is_named() {
    let output = adapt(None);
    assert_eq!(output.status.code(), Some(3));
    let said = said(&output);
    assert!(said.contains("mdbook-cmdrun is not on PATH"), "{said}");
    assert!(
        said.contains("cargo run -p runner -- install-tools"),
        "{said}"
    );
}

#[test]
fn where_it_fails_the_build_fails() {
    let output = adapt(Some("cat >/dev/null; echo went wrong >&2; exit 1"));
    assert_eq!(output.status.code(), Some(3));
    assert!(
        said(&output).contains("went wrong\nmdbook-cmdrun ended with"),
        "{}",
        said(&output)
    );
}

/// What the real one makes of a book without commands: the second half of what it was sent.
const GIVES_BACK: &str = r#"s/^\[{.*},{"__non_exhaustive"/{"__non_exhaustive"/; s/]}]$/]}/"#;

/// Steps that are left out are named, and with them the page.
#[track_caller]
fn leaves_out(edit: &str, steps: &[(&str, &str)]) {
    let output = adapt(Some(&format!("sed '{GIVES_BACK}; {edit}'")));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for (page, step) in steps {
        let expected = format!("chapters/{page}.md:1: mdbook-cmdrun left out step {step}");
        assert!(said.contains(&expected), "{said}");
    }
    let named = said.matches("left out step").count();
    assert_eq!(named, steps.len(), "{said}");
}

/// The line of a step, in JSON.
fn line(id: &str) -> String {
    format!(r#"<div class=\\"step\\" id=\\"step-{id}\\">\\n"#)
}

#[test]
fn a_step_that_it_left_out_is_named() {
    // A command that fails prints nothing for its step.
    let shown: String = ["5.1", "5.4", "5.5", "5.6", "5.7", "5.8", "5.9"]
        .map(line)
        .concat();
    let others = ("06-plain", "6.1");
    let edit = format!("s|<!-- cmdrun runner show .5.1 [^{{]*-->|{shown}|");
    leaves_out(
        &edit,
        &[("05-hostile", "5.2"), ("05-hostile", "5.3"), others],
    );
}

#[test]
fn a_chapter_that_it_dropped_is_named() {
    let shown: String = (1..=9).map(|step| line(&format!("5.{step}"))).collect();
    let dropped = r#",{"Chapter":{"content":"<!-- cmdrun runner show .6.1 [^}]*}}"#;
    let edit = format!("s|{dropped}||; s|<!-- cmdrun .*-->|{shown}|");
    leaves_out(&edit, &[("06-plain", "6.1")]);
}
