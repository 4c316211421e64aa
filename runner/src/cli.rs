//! The command line: what the words mean, and which exit code a command ends with.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::setup::{self, Options};
use crate::{cache::Cache, clean};

/// The lab could not run: something of the machine, the network or a build failed.
pub const EXIT_LAB: u8 = 3;

/// Replays the chapters of The Ship of Theseus in a deterministic QEMU guest.
#[derive(Debug, Parser)]
#[command(name = "runner", version, about)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What may stand anywhere on the line.
#[derive(Args, Debug)]
pub struct Global {
    /// Agree beforehand to what would be asked
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// A Linux tarball or unpacked tree to build, in place of the pinned source
    #[arg(
        long,
        value_name = "PATH",
        env = "THESEUS_KERNEL_SOURCE",
        global = true
    )]
    pub kernel_source: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the lab: packages, kernel, busybox and the guest's files
    Setup,
    /// Remove what was fetched and built, after showing it
    Clean,
}

/// Runs the command of this process, and says with which code to end.
pub fn main() -> ExitCode {
    // clap itself ends with 2 when the line is wrong.
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Setup => setup(&cli.global),
        Command::Clean => clean(&cli.global),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(EXIT_LAB)
        }
    }
}

/// The options of [`setup::ready`] that the line and the current folder give.
pub fn options(global: &Global) -> Result<Options> {
    let repository = setup::repository(&std::env::current_dir()?)?;
    let mut options = Options::new(repository)?;
    options.yes = global.yes;
    options.kernel_source.clone_from(&global.kernel_source);
    Ok(options)
}

fn setup(global: &Global) -> Result<()> {
    let lab = setup::ready(&options(global)?)?;
    println!("kernel     {}", lab.kernel.bzimage.display());
    println!("           {}", lab.kernel.vmlinux.display());
    println!("busybox    {}", lab.busybox.binary.display());
    println!("initramfs  {}", lab.initramfs.display());
    Ok(())
}

fn clean(global: &Global) -> Result<()> {
    clean::run(&Cache::of_user()?, global.yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_taken_anywhere() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
        for line in [["runner", "--yes", "setup"], ["runner", "setup", "--yes"]] {
            assert!(Cli::try_parse_from(line).unwrap().global.yes);
        }
    }
}
