//! What the runner prints about its own command line.

use std::process::{Command, Stdio};

use duct::cmd;

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

fn runner(arguments: &[&str]) -> String {
    cmd(env!("CARGO_BIN_EXE_runner"), arguments).read().unwrap()
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    let status = command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok()
}

/// The subcommands, as the help lists them.
fn subcommands() -> Vec<String> {
    let help = runner(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap();
    let lines = list.split("\n\n").next().unwrap().lines();
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<String> = lines
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert!(
        names.len() > 12 && names.contains(&"chapter".to_owned()),
        "{names:?}"
    );
    names
}

/// What bash offers for a line whose last word is not finished.
fn offered(line: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("runner.bash");
    std::fs::write(&script, runner(&["completions", "bash"])).unwrap();
    let ask = "source $0; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
               $(complete -p runner | sed 's/.*-F \\([^ ]*\\) .*/\\1/') runner \"${!#}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; \
               printf '%s\\n' \"${COMPREPLY[@]}\"";
    let words = ["--norc", "-c", ask, script.to_str().unwrap(), "runner"];
    let text = cmd("bash", words.iter().chain(line))
        .dir(folder.path())
        .read()
        .unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_options_and_paths() {
    assert_eq!(offered(&["cha"]), ["chapter"]);
    assert_eq!(offered(&["chapter", "--ti"]), ["--timings"]);
    assert_eq!(offered(&["doctor", "--js"]), ["--json"]);
    assert_eq!(offered(&["completions", "fi"]), ["fish"]);
    assert_eq!(
        offered(&["chapter", "5", "--kernel", "runner."]),
        ["runner.bash"]
    );
}

#[test]
fn each_shell_understands_its_completions() {
    for shell in SHELLS {
        let script = runner(&["completions", shell]);
        for subcommand in subcommands() {
            assert!(script.contains(&subcommand), "{shell}: no {subcommand}");
        }
        if is_there(shell) {
            let check = cmd!(shell, "-n")
                .stdin_bytes(script)
                .stderr_to_stdout()
                .read()
                .unwrap();
            assert_eq!(check, "", "{shell}");
        }
    }
}

#[test]
fn each_subcommand_has_a_page_that_groff_lays_out_without_a_warning() {
    let pages = subcommands().into_iter().filter(|name| name != "help");
    for name in pages.map(Some).chain([None]) {
        let arguments: Vec<&str> = ["man"].into_iter().chain(name.as_deref()).collect();
        let page = runner(&arguments);
        let title = name
            .as_ref()
            .map_or("runner".to_owned(), |name| format!("runner-{name}"));
        assert!(page.contains(&format!(".TH {title} 1")), "{page}");
        assert!(page.contains(".SH SYNOPSIS\n"), "{page}");
        if is_there("groff") {
            let groff = cmd!("groff", "-Kutf8", "-man", "-ww", "-Tutf8").stdin_bytes(page);
            let done = groff.stdout_capture().stderr_capture().run().unwrap();
            assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{title}");
        }
    }
    let doctor = runner(&["man", "doctor"]);
    assert!(
        doctor.contains("Exit codes: 0 nothing is bad; 3 something is."),
        "{doctor}"
    );
}

#[test]
fn a_page_that_there_is_not_is_a_wrong_command_line() {
    let done = cmd!(env!("CARGO_BIN_EXE_runner"), "man", "sail")
        .stderr_capture()
        .unchecked()
        .run()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        said.contains("there is no subcommand `sail`; there are: chapter, shell, verify"),
        "{said}"
    );
}
