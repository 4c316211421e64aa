//! `runner run`: one program of this machine in the guest, with its output and its exit status.
//!
//! Its environment and its working directory are those of the runner, but of the files there only
//! those that were asked for are packed. Its standard input is empty. The runner itself is run
//! where it is: as cargo's runner, it is given that, too.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Context as _;

use lab::Error;
use lab::build::setup;
use lab::machine::qemu::file;
use lab::program::closure;
use lab::program::guest::{self, Program};

use crate::context::Context;
use crate::repository;

/// What to run, and how.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit status is the program's own, 128 + N if signal N ended it. 2: the program cannot run \
    in the guest; 3: the guest could not run, or the deadline has passed; 130: interrupted."
)]
pub struct Args {
    /// Pack this file or folder along, at its own path; may be given more than once
    #[arg(long, value_name = "PATH")]
    with: Vec<PathBuf>,
    /// Boot another kernel: an image, or a built tree
    #[arg(long, value_name = "PATH")]
    kernel: Option<PathBuf>,
    /// End the guest after so many seconds of real time
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=guest::FOREVER.as_secs())
    )]
    deadline: Option<u64>,
    /// A program of this machine, by its path or its name on PATH, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_names = ["PROGRAM", "ARGS"])]
    command: Vec<OsString>,
}

/// Runs the subcommand; gives the program's exit status.
///
/// # Errors
/// [`Error::Unfit`] when the program cannot run in the guest; otherwise when the guest cannot run,
/// or not to the program's end.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    if is_ourselves(&closure::find(&args.command[0])?) {
        let error = Command::new(&args.command[0])
            .args(&args.command[1..])
            .exec();
        return Err(error).context("run the runner, which is no program for the guest");
    }
    let repository = repository::find_or_own()?;
    let program = Program::pack(&args.command, &args.with)?;
    let kernel = args.kernel.as_deref().map(image).transpose()?;
    let options = context.options(&repository)?;
    let lab = setup::ready(&options)?;
    let kernel = kernel.unwrap_or_else(|| lab.kernel.bzimage.clone());
    let deadline = args.deadline.map(Duration::from_secs);
    let status = program.run(&options, &lab, &kernel, deadline)?;
    Ok(ExitCode::from(status))
}

/// Whether a program is the runner: so it is when cargo's runner is this one, and what cargo runs
/// is `cargo run -p runner`. It would find no lab in the guest.
fn is_ourselves(program: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let ours = std::env::current_exe().ok();
    let ours = ours.as_deref().and_then(real);
    ours.is_some() && ours == real(program)
}

/// The kernel image at `path`: itself, or what lies in a built tree.
fn image(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path).context("find the kernel")?;
    let places = [
        path.clone(),
        path.join("arch/x86/boot/bzImage"),
        path.join(file::KERNEL),
    ];
    let image = places.into_iter().find(|place| place.is_file());
    image.ok_or_else(|| {
        let why = "expected an image, or a folder that holds arch/x86/boot/bzImage or bzImage";
        Error::Unfit(format!("{} is no kernel: {why}", path.display())).into()
    })
}
