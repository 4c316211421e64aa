//! The command line: one variant a subcommand, and what each outcome means to the shell.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::chapter::Faults;
use crate::{cmdrun, mdbook, preprocess, show, tools};

#[derive(Parser)]
#[command(name = "runner", about, version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
    let result = match Cli::parse().command {
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
