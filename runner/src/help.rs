//! The command line, as other programs read it: completions for a shell, and pages for man(1).
//!
//! Both are made of what clap knows, so that they cannot differ from `--help`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;

/// What stands below the help of the subcommands: examples, and exit codes where they are not those
/// of the runner.
pub mod after {
    /// For `chapter`.
    pub const CHAPTER: &str = "Examples:\n  \
        runner chapter 5                        the whole chapter\n  \
        runner chapter inet-init --to 5.9       up to a step, and the verdict on these\n  \
        runner chapter 6 --kernel ~/src/linux   with a kernel that you have built\n  \
        runner chapter 6 --json | jq .result    the verdict, for a program\n\n\
        Exit codes: 0 the same, byte for byte or in meaning; 1 different, or never recorded; \
        2 the chapter or the command line is wrong; 3 the lab could not run (`runner doctor` says why); \
        130 interrupted.";
    /// For `shell`.
    pub const SHELL: &str = "Examples:\n  \
        runner shell 6 --at 6.4      chapter 6 up to step 6.4, and then you\n  \
        runner shell inet-init       behind the last step of a chapter\n\n\
        Where tmux is on the PATH and the terminal has 100 columns and 24 rows, the windows lie side by side: the guest, gdb, and, as far \
        as there is room, those that the chapter uses; `.host`, `.wire` and so on open the others. Ctrl-O goes to the next pane, and \
        Ctrl-B z (tmux's own key) shows one alone, and all again. Who sits in a tmux gets one more window there. Elsewhere there is one \
        window at a time, and Ctrl-O goes to the next.\n\n\
        `.help` tells what can be typed. Exit codes: 0 you left; 2 the chapter or the command line is wrong; 3 the lab could not run, or \
        its machine has ended.";
    /// For `verify`.
    pub const VERIFY: &str = "Exit codes: 0 all are the same; 1 a chapter differs; 2 a chapter is wrong; \
        3 the lab could not run (`runner doctor` says why); 130 interrupted.";
    /// For `record`.
    pub const RECORD: &str = "Each chapter is replayed twice. Where the two differ, nothing is recorded; else the change is \
        shown, and kept once you agree (--yes agrees beforehand).";
    /// For `claims`.
    pub const CLAIMS: &str =
        "Exit codes: 0 all names are there and recorded; 1 not; 3 the lab could not be made.";
    /// For `setup`.
    pub const SETUP: &str = "What is there already is left alone, so it can be run again at any time. From nothing it takes \
        a few minutes and 2.5 GB in $XDG_CACHE_HOME/ship-of-theseus, or ~/.cache/ship-of-theseus.";
    /// For `doctor`.
    pub const DOCTOR: &str = "States: `ok`; `warn`, it is odd and works, or nothing needs it now; `bad`, what needs it cannot run; \
        `skip`, not tried. Nothing is fetched, built or installed.\n\n\
        --json prints one object: `ok`, whether nothing is bad, and `checks`, an array of objects with `id`, `title`, \
        `meaning` (who needs it), `state`, `found` (what was tried, and what came of it) and `remedy` (null for `ok` and \
        `skip`). All are text but the first. Ids and states stay as they are from version to version.\n\n\
        Exit codes: 0 nothing is bad; 3 something is.";
    /// For `completions`.
    pub const COMPLETIONS: &str = "Examples:\n  \
        runner completions bash > ~/.local/share/bash-completion/completions/runner\n  \
        runner completions zsh > ~/.zfunc/_runner       with ~/.zfunc in fpath\n  \
        runner completions fish > ~/.config/fish/completions/runner.fish";
    /// For `man`.
    pub const MAN: &str = "Examples:\n  \
        runner man | man -l -\n  \
        runner man chapter > ~/.local/share/man/man1/runner-chapter.1";
}

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
