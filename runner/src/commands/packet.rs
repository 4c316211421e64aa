//! `runner packet`: scripts in the language of packetdrill, performed in the guest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use fs_err as fs;
use lab::Error;
use lab::packet::guest;
use lab::packet::judge::Verdict;
use lab::packet::outcome::{Outcome, counted};
use lab::packet::script::Script;

use crate::context::Context;
use crate::ready::{OwnArgs, Ready, SeriesArgs};
use crate::{exit, repository};

/// How the file of a script ends.
const ENDING: &str = "pkt";

/// Which scripts, and with which kernel.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scripts, or folders of scripts
    #[arg(required = true, value_name = "SCRIPT")]
    scripts: Vec<PathBuf>,
    /// Let a word in the scripts stand for another; may be given more than once
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE", value_parser = definition)]
    defines: Vec<(String, String)>,
    /// Print each script before what is said of it
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    own: OwnArgs,
    #[command(flatten)]
    series: SeriesArgs,
}

fn definition(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = parts.ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the subcommand: 0 if all scripts pass, 1 if one fails, 2 if one was not understood.
///
/// # Errors
/// When there is no such script, or the guest cannot run.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = repository::find_or_own()?;
    let own = args.own.find(&root)?;
    let mut defines = guest::defined();
    defines.extend(args.defines.clone());
    let paths = find(&args.scripts)?;
    let mut understood = Vec::new();
    let mut outcomes: BTreeMap<&Path, Outcome> = BTreeMap::new();
    let mut texts = BTreeMap::new();
    for path in &paths {
        let text = String::from_utf8(fs::read(path)?)
            .map_err(|_| Error::Unfit(format!("{} is not UTF-8", path.display())))?;
        let parsed = Script::parse(path, &text, &defines);
        texts.insert(path.as_path(), text);
        match parsed {
            Ok(script) => understood.push(script),
            Err(fault) => {
                outcomes.insert(path, Outcome::Beyond(fault));
            }
        }
    }
    if !understood.is_empty() {
        let mut options = context.options(&root)?;
        args.series.choose(&mut options)?;
        let ready = Ready::make(&options, [], own)?;
        let lab = ready.plain();
        let count = understood.len();
        eprintln!("packet: {count} of {} scripts in the guest", paths.len());
        let verdicts = guest::run(&understood, &options, lab, &lab.kernel.bzimage, None)
            .context("perform the scripts")?;
        for (script, verdict) in understood.iter().zip(verdicts) {
            let path = paths.iter().find(|path| **path == script.path);
            outcomes.insert(path.unwrap_or(&script.path), Outcome::Judged(verdict));
        }
    }
    for (path, outcome) in &outcomes {
        if args.show {
            print!("{}", Outcome::shown(&texts[path]));
        }
        print!("{}", outcome.told(path));
    }
    print!("{}", counted(outcomes.values()));
    Ok(ExitCode::from(code(outcomes.values())))
}

/// The scripts that are named, and those of the folders that are.
fn find(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in named {
        if path.is_file() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        in_folder(path, &mut found)?;
        if found.len() == before {
            let why = format!("{} holds no script: none ends in .{ENDING}", path.display());
            return Err(Error::Unfit(why).into());
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The scripts of a folder, and of the folders in it.
fn in_folder(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).map_err(|error| Error::Unfit(error.to_string()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            in_folder(&path, found)?;
        } else if path.extension().is_some_and(|end| end == ENDING) {
            found.push(path);
        }
    }
    Ok(())
}

fn code<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> u8 {
    let codes = outcomes.map(|outcome| match outcome {
        Outcome::Judged(Verdict::Pass { .. }) => 0,
        Outcome::Judged(Verdict::Fail { .. }) => exit::DIFFERENT,
        Outcome::Beyond(_) => exit::WRONG,
    });
    codes.max().unwrap_or(0)
}
