//! `runner lab`: the made lab, for others.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use book::symbols::Index;
use indicatif::HumanBytes;
use lab::build::bundle::export;
use lab::build::setup::{self, Lab, Options};
use lab::program::guest;

use crate::context::Context;
use crate::repository;

/// What to do with the lab.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Writes the made lab into one file, from which `runner setup --from` takes it
    #[command(after_help = include_str!("../help/export.txt"))]
    Export {
        /// The file, which is not there yet: lab.tar.xz, for example
        file: PathBuf,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// As [`export::export`].
pub fn run(command: &Command, context: &Context) -> Result<ExitCode> {
    let Command::Export { file } = command;
    let options = context.options(&repository::find()?)?;
    let written = export::export(&options, file, &whole)?;
    println!("file    {}", file.display());
    println!("size    {}", HumanBytes(written.bytes));
    println!("sha256  {}", written.sha256);
    Ok(ExitCode::SUCCESS)
}

/// All that belongs to the lab: what the chapters are replayed with, what checks the text, and what
/// starts a program in the guest.
///
/// # Errors
/// As [`setup::ready`].
pub fn whole(options: &Options) -> Result<Lab> {
    let lab = setup::ready(options)?;
    Index::ready(&options.repository, &options.cache, &lab)?;
    guest::init(&options.cache, &lab.sandbox, &options.repository)?;
    Ok(lab)
}
