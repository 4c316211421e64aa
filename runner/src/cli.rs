//! The command line: one variant a subcommand, and what each outcome means to the shell.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::{
    bisect, chapter, claims, clean, cmdrun, drift, exercise, lab as lab_command, mdbook, packet,
    plank, preprocess, record, renumber, run, setup, show, verify,
};
use crate::context::Context;
use crate::help;
use crate::{doctor, exit, tools, visit};
use lab::build::cache::{Cache, Given};
use lab::system::{limits, process};

#[derive(Parser)]
#[command(
    name = "runner",
    about,
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 the same; 1 different; 2 the chapter or the command line is wrong; \
                  3 the lab could not run; 130 interrupted (128 + N if signal N did it)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// What may stand anywhere on the line.
#[derive(Debug, clap::Args)]
struct Global {
    /// Agree beforehand to what would be asked
    #[arg(long, short, global = true)]
    yes: bool,
    /// Use this machine's own compiler, QEMU and gdb, in place of those that the lab brings
    #[arg(long, env = "THESEUS_HOST_TOOLS", global = true)]
    host_tools: bool,
    /// A folder or URL with Debian's pool, to fetch from before all others
    #[arg(long, value_name = "PLACE", env = "THESEUS_MIRROR", global = true)]
    mirror: Option<String>,
    /// A Linux tarball or unpacked tree to build, in place of the pinned source
    #[arg(
        long,
        value_name = "PATH",
        env = "THESEUS_KERNEL_SOURCE",
        global = true
    )]
    kernel_source: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Replays a chapter, and says whether it is still true
    #[command(after_help = include_str!("help/chapter.txt"))]
    Chapter(chapter::Args),
    /// Replays a chapter up to a step, and hands its machine over to you
    #[command(after_help = include_str!("help/shell.txt"))]
    Shell(visit::Args),
    /// Replays all chapters side by side, and says whether the book is still true
    #[command(after_help = include_str!("help/verify.txt"))]
    Verify(verify::Args),
    /// Shows what the steps do otherwise on another series of the kernel
    #[command(after_help = include_str!("help/drift.txt"))]
    Drift(drift::Args),
    /// Finds the commit of a clone of Linux that has changed a step
    #[command(after_help = include_str!("help/bisect.txt"))]
    Bisect(bisect::Args),
    /// Replays chapters, and keeps what they print as their snapshots
    #[command(after_help = include_str!("help/record.txt"))]
    Record(record::Args),
    /// Checks every name in the text that looks like the kernel's against the kernel of the lab
    #[command(after_help = include_str!("help/claims.txt"))]
    Claims(claims::Args),
    /// Lets you change the book's kernel, and see which chapters notice
    #[command(after_help = include_str!("help/plank.txt"))]
    Plank(plank::Args),
    /// Sets an exercise of the book up, and grades your answer
    #[command(after_help = include_str!("help/exercise.txt"))]
    Exercise(exercise::Args),
    /// Runs one program of this machine in the guest: its output, its exit status
    Run(run::Args),
    /// Runs packet scripts in the guest, and says whether its TCP does what they state
    #[command(after_help = include_str!("help/packet.txt"))]
    Packet(packet::Args),
    /// Makes the lab: its programs, kernel, busybox and the guest's files
    #[command(after_help = include_str!("help/setup.txt"))]
    Setup(setup::Args),
    /// Hands the made lab on to others
    #[command(subcommand)]
    Lab(lab_command::Command),
    /// Says what the lab needs of this machine, whether it is there, and what to do if not
    #[command(after_help = include_str!("help/doctor.txt"))]
    Doctor(doctor::Args),
    /// Removes what was fetched and built, after showing it
    Clean,
    /// Numbers the steps of a chapter in order
    Renumber(renumber::Args),
    /// Prints one recorded step as the page shows it (mdbook-cmdrun calls this)
    Show(show::Args),
    /// Checks every step and lays out the pages (mdbook calls this)
    Preprocess(mdbook::Args),
    /// Runs the real mdbook-cmdrun under mdbook 0.5 (mdbook calls this)
    Cmdrun(mdbook::Args),
    /// Installs mdbook and mdbook-cmdrun at the versions that the book is built with
    InstallTools,
    /// Shows one window of a visit (tmux calls this)
    #[command(hide = true)]
    Pane(visit::pane::Args),
    /// Prints what a shell needs to complete the runner's command line
    #[command(after_help = include_str!("help/completions.txt"))]
    Completions(help::CompletionsArgs),
    /// Prints the manual page of the runner, or of a subcommand
    #[command(after_help = include_str!("help/man.txt"))]
    Man(help::ManArgs),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    limits::settle();
    if let Err(error) = process::heed_children() {
        eprintln!("{error:#}");
        return exit::LAB.into();
    }
    let context = Context {
        yes: cli.global.yes,
        kernel_source: cli.global.kernel_source,
        host_tools: cli.global.host_tools,
        mirror: cli.global.mirror,
        given: Given::default(),
    };
    let result = match cli.command {
        Command::Chapter(args) => chapter::run(&args, &context),
        Command::Shell(args) => visit::run(&args, &context),
        Command::Verify(args) => verify::run(&args, &context),
        Command::Drift(args) => drift::run(&args),
        Command::Bisect(args) => bisect::run(&args, &context),
        Command::Record(args) => record::run(&args, &context),
        Command::Claims(args) => claims::run(&args, &context),
        Command::Plank(args) => plank::run(&args, &context),
        Command::Exercise(args) => exercise::run(&args, &context),
        Command::Run(args) => run::run(&args, &context),
        Command::Packet(args) => packet::run(&args, &context),
        Command::Setup(args) => setup::run(&args, &context),
        Command::Lab(command) => lab_command::run(&command, &context),
        Command::Clean => Cache::of_user()
            .and_then(|cache| clean::run(&cache, context.yes))
            .map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::run(&args, &context),
        Command::Renumber(args) => renumber::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Preprocess(args) => preprocess::run(&args),
        Command::Cmdrun(args) => cmdrun::run(&args),
        Command::InstallTools => tools::install(),
        Command::Pane(args) => visit::pane::run(args),
        Command::Completions(args) => help::completions(&args, Cli::command()),
        Command::Man(args) => help::man(&args, Cli::command()),
    };
    let code = match result {
        Ok(code) if code == ExitCode::SUCCESS => return code,
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            if lab::Error::is_interrupted(&error) {
                return exit::code(&error).into();
            }
            if let Some(remedy) = doctor::remedy(&error) {
                eprintln!("{remedy}");
            }
            exit::code(&error).into()
        }
    };
    // What went wrong may be the fault of the disk.
    match context.given.check() {
        Ok(()) => code,
        Err(damage) => {
            eprintln!("{damage:#}");
            exit::LAB.into()
        }
    }
}
