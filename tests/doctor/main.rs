//! The doctor from outside: each state is provoked, on this machine or in one that a namespace
//! makes poorer.

mod machine;
mod network;
mod places;
mod report;
mod tools;

#[path = "../support/jail.rs"]
mod jail;

#[path = "../support/fixture.rs"]
#[allow(dead_code, reason = "the book of the fixture is for other tests")]
mod fixture;

use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::{Ran, repository};
use lab::build::setup::{self, Options};
use lab::system::sandbox::Sandbox;
use serde_json::Value;

/// The runner's own command, in the repository.
fn runner(arguments: &[&str]) -> Command {
    let mut command = fixture::runner();
    command.args(arguments).current_dir(repository());
    command
}

/// Hides the static C library of the lab's own programs.
const WITHOUT_LIBC: &str = "mount --bind /dev/null $TOOLS/usr/lib/x86_64-linux-gnu/libc.a";

/// The lab's own programs.
fn tools() -> PathBuf {
    match setup::programs(&Options::new(repository()).unwrap()).unwrap() {
        Sandbox::Tools { root, .. } => root,
        Sandbox::Machine => panic!("these tests are for the lab's own programs"),
    }
}

/// What `doctor --json` finds in a machine that `script` has made poorer, as root of a user
/// namespace. The script runs in an empty folder, `$HERE`.
fn poorer(script: &str) -> Found {
    Found::new(Ran::of(in_namespace(script, "doctor --json")))
}

fn in_namespace(script: &str, arguments: &str) -> Command {
    let runner = env!("CARGO_BIN_EXE_runner");
    let repository = repository().display().to_string();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "bash", "-ec"])
        .arg(format!(
            "TOOLS={}; HERE=/mnt; mount -t tmpfs tmpfs $HERE; cd $HERE\n{script}\n\
             cd ${{GO-{repository}}}; {runner} {arguments}",
            tools().display()
        ));
    command
}

/// What the doctor says.
struct Found {
    ran: Ran,
    json: Value,
}

impl Found {
    fn new(ran: Ran) -> Self {
        let json =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"));
        Self { ran, json }
    }

    fn of(command: Command) -> Self {
        Self::new(Ran::of(command))
    }

    fn check(&self, id: &str) -> &Value {
        let all = self.json["checks"].as_array().unwrap();
        let found = all.iter().find(|check| check["id"] == id);
        found.unwrap_or_else(|| panic!("no {id} in {:#}", self.json))
    }

    /// The check has this state, and says so in these words.
    #[track_caller]
    fn says(&self, id: &str, state: &str, words: &[&str]) -> &Self {
        let check = self.check(id);
        assert_eq!(check["state"], state, "{check:#}");
        let text = format!(
            "{}\n{}",
            check["found"].as_str().unwrap(),
            check["remedy"].as_str().unwrap_or_default()
        );
        for word in words {
            assert!(text.contains(word), "no {word:?} in {check:#}");
        }
        let has_remedy = check["remedy"].is_string();
        assert_eq!(has_remedy, matches!(state, "bad" | "warn"), "{check:#}");
        self
    }

    /// Nothing else is bad than these.
    #[track_caller]
    fn only_bad(&self, ids: &[&str]) -> &Self {
        let all = self.json["checks"].as_array().unwrap();
        let bad: Vec<&str> = all
            .iter()
            .filter(|check| check["state"] == "bad")
            .map(|check| check["id"].as_str().unwrap())
            .collect();
        assert_eq!(bad, ids, "{:#}", self.json);
        self.ran.ends_with(if ids.is_empty() { 0 } else { 3 });
        assert_eq!(self.json["ok"], ids.is_empty());
        self
    }
}

/// Writes a program into a folder that is to stand in front of the lab's own.
fn program(folder: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The doctor with the programs of `folder` in front of the lab's own.
fn with_programs(folder: &Path) -> Found {
    let mut command = runner(&["doctor", "--json"]);
    command.env("THESEUS_PROGRAMS", folder);
    Found::of(command)
}
