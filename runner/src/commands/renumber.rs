//! `runner renumber`: numbers the steps of a chapter in order, and lets what speaks of them follow.

use std::process::ExitCode;

use book::renumber;

use crate::repository;

/// Which chapter to renumber.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chapter's number, such as 5
    chapter: u32,
}

/// Runs the subcommand.
///
/// # Errors
/// As [`renumber::chapter`].
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let done = renumber::chapter(&repository::find()?, args.chapter)?;
    let (path, steps) = (done.path.display(), done.steps);
    match done.written {
        0 => println!("{path}: {steps} steps, in order already"),
        _ => println!(
            "{path}: {steps} steps renumbered, and what speaks of them in {} files; \
             `runner record {}` records anew",
            done.followed, args.chapter
        ),
    }
    Ok(ExitCode::SUCCESS)
}
