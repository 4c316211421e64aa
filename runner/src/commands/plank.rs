//! `runner plank`: kernels that the reader changes.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use lab::build::patch::{self, Patch};
use lab::build::plank::{Change, FOLDER, Plank};
use lab::build::setup::{self, Lab, Options};
use lab::system::ask::confirm;
use lab::system::progress::Stage;
use similar::TextDiff;

use crate::context::Context;
use crate::repository;

/// What to do with planks; lists them if nothing is said.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a copy of the book's kernel for you to change, already built
    New {
        /// How to call it: lower-case letters, digits and `-`
        name: String,
        /// Patches to begin with, one after the other, and lines for the configuration (.config)
        #[arg(value_name = "PATCH")]
        patches: Vec<PathBuf>,
    },
    /// Shows what you have changed in it, as a patch
    Diff {
        /// The plank
        name: String,
    },
    /// Compiles what you have changed, and links the kernel
    Build {
        /// The plank
        name: String,
    },
    /// Removes it with all that you have changed in it, after asking
    Drop {
        /// The plank
        name: String,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// A name that is no plank's, or taken; what the compiler says.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let root = repository::find()?;
    let options = context.options(&root)?;
    match &args.command {
        None => {
            let all = Plank::all(&root)?;
            for name in Plank::partials(&root)? {
                eprintln!(
                    "note: the plank {name} is not whole, as a run was cut short; \
                     `runner plank drop {name}` removes what is left, or `new` makes it anew"
                );
            }
            if all.is_empty() {
                println!("there is no plank yet; make one: runner plank new NAME");
            } else {
                list(all, &setup::ready(&options)?)?;
            }
        }
        Some(Command::New { name, patches }) => {
            let plank = new(&root, &options, name, patches)?;
            println!("{}", plank.tree().display());
            anstream::eprintln!(
                "change something in it, for example net/ipv4/tcp_input.c, and see what notices:\n  \
                 runner chapter 6 --plank {name}"
            );
        }
        Some(Command::Diff { name }) => {
            let plank = Plank::find(&root, name)?;
            for change in plank.changes(&setup::ready(&options)?)? {
                print!("{}", patch(&change));
            }
        }
        Some(Command::Build { name }) => {
            let plank = Plank::find(&root, name)?;
            let lab = setup::ready(&options)?;
            drop(build(&plank, &lab)?);
        }
        Some(Command::Drop { name }) => {
            let found = Plank::find(&root, name);
            if found.is_ok() || !Plank::remove_partial(&root, name)? {
                drop_plank(&found?, context.yes)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a plank, which begins with these patches.
///
/// # Errors
/// What is wrong with the name is told before anything is built.
pub fn new(root: &Path, options: &Options, name: &str, patches: &[PathBuf]) -> Result<Plank> {
    let plank = Plank::new(root, name)?;
    let patches = patches.iter().map(|path| Patch::read(path));
    let patches: Vec<Patch> = patches.collect::<Result<_>>()?;
    let lab = setup::ready(options)?;
    // One that does not fit is told before anything is copied.
    patch::patched(&lab.kernel.tree, &patches)?;
    let stage = Stage::begin("copy the book's kernel");
    plank.copy(&lab)?;
    // A configuration that kconfig refuses, only then.
    if let Err(error) = plank.put(&lab, &patches) {
        plank.remove()?;
        return Err(error);
    }
    stage.done();
    Ok(plank)
}

/// Makes the kernel of a plank, and shows what the compiler says; gives its lock.
///
/// # Errors
/// As [`Plank::make`].
pub fn build(plank: &Plank, lab: &Lab) -> Result<File> {
    let stage = Stage::begin(format!("build the plank {}", plank.name));
    let mut said = Vec::new();
    let made = plank.make(lab, |line| said.push(line.to_owned()));
    if made.is_ok() {
        stage.done();
    } else {
        drop(stage);
    }
    for line in said {
        anstream::eprintln!("{line}");
    }
    made
}

fn list(all: Vec<Plank>, lab: &Lab) -> Result<()> {
    for plank in all {
        let changes = plank.changes(lab)?;
        let files: Vec<&str> = changes.iter().map(|change| change.file.as_str()).collect();
        let changed = match files[..] {
            [] => "as the book".to_owned(),
            _ => files.join(", "),
        };
        println!("{}  {FOLDER}/{}  {changed}", plank.name, plank.name);
    }
    Ok(())
}

/// A change as a patch, for `patch -p1` and `git apply`.
fn patch(change: &Change) -> String {
    let Change { file, book, plank } = change;
    let name = |text: &str, side: &str| match text.is_empty() {
        true => "/dev/null".to_owned(),
        false => format!("{side}/{file}"),
    };
    TextDiff::from_lines(book, plank)
        .unified_diff()
        .header(&name(book, "a"), &name(plank, "b"))
        .to_string()
}

fn drop_plank(plank: &Plank, yes: bool) -> Result<()> {
    if !yes {
        if !std::io::stdin().is_terminal() {
            bail!(
                "there is no terminal to ask on, so nothing was removed; agree beforehand with --yes"
            );
        }
        let question = format!(
            "Remove {} and all that was changed in it?",
            plank.tree().display()
        );
        if !confirm(&question)? {
            println!("nothing was removed");
            return Ok(());
        }
    }
    plank.remove()?;
    println!("removed");
    Ok(())
}
