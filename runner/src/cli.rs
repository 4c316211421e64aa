//! The command line: one variant a subcommand, and what each outcome means to the shell.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::chapter::Faults;
use crate::{cmdrun, mdbook, play, preprocess, record, show, tools};

#[derive(Parser)]
#[command(name = "runner", about, version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Agree to every question beforehand
    #[arg(long, short, global = true)]
    yes: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Replays a chapter, and says whether it is still true
    Chapter(play::Args),
    /// Replays chapters, and keeps what they print as their snapshots
    Record(record::Args),
    /// Prints one recorded step as the page shows it (mdbook-cmdrun calls this)
    Show(show::Args),
    /// Checks every step and lays out the pages (mdbook calls this)
    Preprocess(mdbook::Args),
    /// Runs the real mdbook-cmdrun under mdbook 0.5 (mdbook calls this)
    Cmdrun(mdbook::Args),
    /// Installs mdbook and mdbook-cmdrun at the versions that the book is built with
    InstallTools,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Chapter(args) => play::run(&args),
        Command::Record(args) => record::run(&args, cli.yes),
        Command::Show(args) => show::run(&args),
        Command::Preprocess(args) => preprocess::run(&args),
        Command::Cmdrun(args) => cmdrun::run(&args),
        Command::InstallTools => tools::install(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            code_of(&error)
        }
    }
}

/// 2: the chapter or the command line is wrong. 3: the lab, or a tool, could not run.
fn code_of(error: &anyhow::Error) -> ExitCode {
    let wrong = error.is::<Faults>() || error.is::<show::Stale>();
    ExitCode::from(if wrong { 2 } else { 3 })
}
