//! The command line, as other programs read it: completions for a shell, and pages for man(1).
//!
//! Both are made of what clap knows, so that they cannot differ from `--help`. What stands below
//! the help of a subcommand is a file of `help/`: examples, and exit codes where they are not those
//! of the runner.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;

/// Which completions to print.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell that completes
    shell: Shell,
}

/// Which page to print.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The subcommand whose page it is; without it, the page of the runner
    subcommand: Option<String>,
}

/// Prints the completions of `command`.
///
/// # Errors
/// When standard output is closed.
pub fn completions(args: &CompletionsArgs, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print(&script)
}

/// Prints a page of `command`.
///
/// # Errors
/// When standard output is closed. A subcommand that there is not ends the runner as clap does.
pub fn man(args: &ManArgs, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    // Names the subcommands `runner-chapter` and gives them the options that they inherit.
    command.build();
    let page = match &args.subcommand {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                let known: Vec<&str> = command
                    .get_subcommands()
                    .map(clap::Command::get_name)
                    .collect();
                let message = format!(
                    "there is no subcommand `{name}`; there are: {}",
                    known.join(", ")
                );
                command
                    .error(clap::error::ErrorKind::InvalidValue, message)
                    .exit()
            }
        },
    };
    let mut text = Vec::new();
    Man::new(page)
        .render(&mut text)
        .context("lay out the page")?;
    print(&text)
}

fn print(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
