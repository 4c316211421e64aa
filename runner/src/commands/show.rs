//! `runner show`: recorded steps, each as a line of HTML on standard output, for mdbook-cmdrun to
//! insert.
//!
//! It boots nothing, and reads one file a chapter. It refuses a step whose words are not those that
//! were recorded, but mdbook-cmdrun does not look at the exit status: `preprocess` looks before.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use book::fault::Error;
use book::snapshot::drift::Elsewhere;
use book::snapshot::{Snapshot, stale};
use book::{chapter, page};
use lab::transcript::step::{Step, StepId};
use lab::transcript::words;

use crate::repository;

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

/// Prints the steps, all that it can.
///
/// # Errors
/// [`Error::Stale`], and a snapshot that cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let mut snapshots = BTreeMap::new();
    let mut faults = Vec::new();
    for words in steps(&args.words)? {
        let step = Step::parse(&words, 0).map_err(Error::Stale)?;
        let (snapshot, elsewhere) = match snapshots.entry(step.id.chapter) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(read(&root, step.id)?),
        };
        match stale::check(&step, snapshot) {
            Ok(record) => println!("{}", page::step(&step, record, elsewhere.of(step.id))),
            Err(message) => faults.push(message),
        }
    }
    match faults.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Error::Stale(faults.join("\n")).into()),
    }
}

/// The words of each step. No step's number has a blank, so a first word that has one is a step.
fn steps(words: &[String]) -> Result<Vec<Vec<String>>, Error> {
    if !words.first().is_some_and(|word| word.contains(' ')) {
        return Ok(vec![words.to_vec()]);
    }
    let split = |word: &String| words::split(word).map_err(|error| Error::Stale(error.to_string()));
    words.iter().map(split).collect()
}

/// The snapshot of a chapter, found by the name of the chapter's file, which is not read.
fn read(root: &Path, id: StepId) -> anyhow::Result<(Snapshot, Elsewhere)> {
    let number = id.chapter;
    let paths = chapter::paths(root)?;
    let mut names = paths.iter().filter_map(|path| chapter::name_of(path).ok());
    let Some((_, name)) = names.find(|(other, _)| *other == number) else {
        let message = format!("step {id}: chapters/ holds no file for chapter {number}");
        bail!(Error::Stale(message));
    };
    let snapshot = Snapshot::read(root, &name)?;
    let snapshot = snapshot.ok_or_else(|| Error::Stale(stale::never_recorded(&name, number)))?;
    Ok((snapshot, Elsewhere::read(root, &name)?))
}
