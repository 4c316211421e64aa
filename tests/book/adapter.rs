//! `runner cmdrun`, where mdbook-cmdrun is missing or does not do its work. What it does when all is
//! well is seen in `pages`.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use mdbook_preprocessor::book::Book;

use crate::fixture::{Fixture, run, said};
use crate::tools::RUNNER;

/// Runs the adapter where mdbook-cmdrun is the given shell script, or is not there.
fn adapt(script: Option<&str>) -> Output {
    let book = Fixture::new();
    let laid_out = book.runner("", &["preprocess"], &book.sent(&book.book()));
    let laid_out: Book = serde_json::from_slice(&laid_out.stdout).unwrap();
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

#[test]
fn a_step_that_it_left_out_is_named() {
    // A command that fails leaves nothing: this is what the real one makes of it.
    let drop = r#"sed 's/^\[{.*},{"__non_exhaustive"/{"__non_exhaustive"/; s/]}]$/]}/; s/<!-- cmdrun runner show 5.[23][^>]*>//g'"#;
    let output = adapt(Some(drop));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for step in ["5.2", "5.3"] {
        let expected = format!("chapters/05-hostile.md:1: mdbook-cmdrun left out step {step}");
        assert!(said.contains(&expected), "{said}");
    }
}
