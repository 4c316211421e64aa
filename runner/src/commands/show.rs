//! `runner show`: recorded steps, each as a line of HTML on standard output, for mdbook-cmdrun to insert.
//!
//! It boots nothing, and reads one file a chapter. It refuses a step whose words are not those that were recorded,
//! but mdbook-cmdrun does not look at the exit status: `preprocess` asks [`check`] before.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use crate::root;
use book::chapter;
use book::page;
use book::snapshot::{self, Snapshot};
use lab::transcript::Record;
use lab::transcript::step::{Step, StepId, Terminal};
use lab::transcript::words;

/// The words of a step, as a directive has them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The step: 6.3 [background] [until=TEXT] [status=N] [deadline=S] [first=N] [last=N]
    /// [keep=TEXT] host|guest|server|gdb|wire|lab [COMMAND…]; or several, each as one word
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "STEP"
    )]
    words: Vec<String>,
}

/// Why a step cannot be shown: the snapshot does not hold it, or holds another one in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Stale(pub String);

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stale {}

/// Prints the steps, all that it can.
///
/// # Errors
/// [`Stale`], and a snapshot that cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let root = root::find()?;
    let mut snapshots = BTreeMap::new();
    let mut stale = Vec::new();
    for words in steps(&args.words)? {
        let step = Step::parse(&words, 0).map_err(Stale)?;
        let snapshot = match snapshots.entry(step.id.chapter) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(read(&root, step.id)?),
        };
        match check(&step, snapshot) {
            Ok(record) => println!("{}", page::step(&step, record)),
            Err(Stale(message)) => stale.push(message),
        }
    }
    match stale.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Stale(stale.join("\n")).into()),
    }
}

/// The words of each step. No step's number has a blank, so a first word that has one is a step.
fn steps(words: &[String]) -> Result<Vec<Vec<String>>, Stale> {
    if !words.first().is_some_and(|word| word.contains(' ')) {
        return Ok(vec![words.to_vec()]);
    }
    let split = |word: &String| words::split(word).map_err(|error| Stale(error.to_string()));
    words.iter().map(split).collect()
}

fn read(root: &Path, id: StepId) -> anyhow::Result<Snapshot> {
    let name = name_of(root, id)?;
    let snapshot = Snapshot::read(root, &name)?;
    Ok(snapshot.ok_or_else(|| Stale(never_recorded(&name, id.chapter)))?)
}

/// The record of `step`, when it is the same step.
///
/// # Errors
/// What differs between the chapter and the snapshot, and how to make them agree.
pub fn check<'a>(step: &Step, snapshot: &'a Snapshot) -> Result<&'a Record, Stale> {
    let id = step.id;
    let remedy = format!(
        "replay it with `cargo run -p runner -- chapter {0}`, then record it with \
         `cargo run -p runner -- record {0}`",
        id.chapter
    );
    let Some(record) = snapshot.record(id) else {
        return Err(Stale(format!("step {id} was never recorded; {remedy}")));
    };
    let stale = |recorded: String, now: String| {
        Err(Stale(format!(
            "step {id} is {now}, and the snapshot has {recorded}; {remedy}"
        )))
    };
    if (record.terminal, &record.command) != (step.terminal, &step.command) {
        return stale(
            typed(record.terminal, &record.command),
            typed(step.terminal, &step.command),
        );
    }
    if record.output.status != step.status {
        return stale(
            format!("exit status {}", record.output.status),
            format!("expected to end with exit status {}", step.status),
        );
    }
    let stdout = &record.output.stdout;
    if let Some(text) = step.keep.iter().find(|text| !stdout.contains(*text)) {
        let message = format!("step {id}: keep={text}: none of its lines holds this text");
        return Err(Stale(message));
    }
    Ok(record)
}

/// Says that a chapter has no snapshot.
#[must_use]
pub fn never_recorded(name: &str, number: u32) -> String {
    format!(
        "no step of this chapter was recorded: {} does not exist; record it with \
         `cargo run -p runner -- record {number}`",
        snapshot::path(Path::new(""), name).display()
    )
}

fn typed(terminal: Terminal, command: &str) -> String {
    match command {
        "" => format!("a look at `{terminal}`"),
        _ => format!("`{terminal} {command}`"),
    }
}

/// The name of the step's chapter, from the file's name alone: the file is not read.
fn name_of(root: &Path, id: StepId) -> anyhow::Result<String> {
    let named = chapter::paths(root)?
        .iter()
        .filter_map(|path| chapter::name_of(path).ok())
        .find(|(number, _)| *number == id.chapter);
    match named {
        Some((_, name)) => Ok(name),
        None => Err(Stale(format!(
            "step {id}: chapters/ holds no file for chapter {}",
            id.chapter
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str) -> String {
        let snapshot = Snapshot::parse(
            "\n5.1 gdb backtrace 6\n| #0 f ()\n= 0\n\n5.2 guest false\n= 1\n\n5.3 gdb\n= 0\n",
        )
        .unwrap();
        let step = Step::parse(&lab::transcript::words::split(line).unwrap(), 1).unwrap();
        check(&step, &snapshot).map_or_else(|error| error.to_string(), |_| "same".to_owned())
    }

    #[test]
    fn a_step_is_the_recorded_one_or_says_how_it_differs() {
        for (line, part) in [
            ("5.1 gdb backtrace 6", "same"),
            ("5.1 last=3 gdb backtrace 6", "same"),
            ("5.1 keep=#0 gdb backtrace 6", "same"),
            ("5.1 keep=#1 gdb backtrace 6", "keep=#1: none of its lines"),
            ("5.2 status=1 guest false", "same"),
            ("5.3 gdb", "same"),
            (
                "5.1 gdb backtrace 7",
                "is `gdb backtrace 7`, and the snapshot has `gdb backtrace 6`",
            ),
            ("5.1 guest backtrace 6", "is `guest backtrace 6`"),
            (
                "5.1 gdb",
                "is a look at `gdb`, and the snapshot has `gdb backtrace 6`",
            ),
            (
                "5.2 guest false",
                "expected to end with exit status 0, and the snapshot has exit status 1",
            ),
            ("5.4 gdb x", "step 5.4 was never recorded; replay"),
        ] {
            let said = check_line(line);
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
