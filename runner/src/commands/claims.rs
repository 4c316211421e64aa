//! `runner claims`: checks every claim of the text against the kernel of the lab.
//!
//! What is found is compared with what was recorded (`glossary`), which the pages show. With the
//! very kernel that was recorded every place counts; with another, lines and offsets are its own,
//! and the kinds have to agree. Excerpts of the source must be the lines that the text was written
//! for. What the other series of the kernel do not have (`absent`) is asked when names are
//! recorded; else it is only seen whether they were asked for the names of now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use book::chapter;
use book::chapter::markdown::Page;
use book::fault::{Error, Fault};
use book::page::survey::Book;
use book::prose::absent::{self, Absent};
use book::prose::exempt::Exempt;
use book::prose::glossary::{self, Glossary};
use book::prose::resolve::resolve;
use book::prose::{excerpt, shape};
use book::snapshot::reasons;
use book::symbols::Index;
use lab::build::patch::Patch;
use lab::build::patched;
use lab::build::pins::Pins;
use lab::build::setup::{self, Options};

use crate::context::Context;
use crate::repository;

/// What to do besides checking.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep what was found as the names that the pages show, and ask the other series for them
    #[arg(long)]
    record: bool,
}

/// Runs the subcommand: 0 all is there and recorded, 1 not.
///
/// # Errors
/// A list of exemptions that says too much, and a lab that cannot be made.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let options = context.options(&root)?;
    let lab = setup::ready(&options)?;
    let index = Index::ready(&root, &options.cache, &lab)?;
    let book = Book::read(&root)?;
    let exempt = Exempt::read(&root)?;
    let mut further = BTreeMap::new();
    // The book's patches are made for its own source.
    if options.kernel_source.is_none() {
        for names in book.further(&index, &exempt) {
            let patches = names.iter().map(|name| Patch::of_book(&root, name));
            let patches: Vec<Patch> = patches.collect::<Result<_, _>>()?;
            let own = lab.clone().with_further(&options, &names)?;
            let own = patched::ready(&options.cache, &own, &patches)?;
            further.insert(names, Index::ready(&root, &options.cache, &own)?);
        }
    }
    let answer = book.ask(&index, &further, &exempt);
    for fault in &answer.unknown {
        println!("{fault}");
    }
    println!("{}", answer.summary(&book, &exempt));
    let mut faults = exempt.faults(&book.used);
    faults.extend(exempt.real(|name| resolve(&index, &shape::shape(name)?).ok()));
    Error::unless_empty(faults)?;
    let now = Glossary {
        linux: Pins::read(&root)?.kernel(lab::SERIES)?.version.clone(),
        image: lab.kernel.sha256.clone(),
        names: answer.found,
    };
    let is_recorded = match args.record {
        true => record(&options, &now, &answer.further).map(|()| true)?,
        false => compare(&Glossary::read(&root)?, &now),
    };
    if !args.record {
        tell_stale(&root, &now)?;
    }
    let are_quoted = excerpts(&root, &book, &lab.kernel.tree, &now)?;
    let all_is_well = is_recorded && are_quoted && answer.unknown.is_empty();
    Ok(ExitCode::from(u8::from(!all_is_well)))
}

/// Whether the excerpts of the source are those that the text was written for; tells which are not.
fn excerpts(root: &Path, book: &Book, tree: &Path, names: &Glossary) -> anyhow::Result<bool> {
    let mut are_quoted = true;
    for path in &book.pages {
        let text = chapter::text(root, path)?;
        let filled = excerpt::fill(path, &Page::read(&text), Some(tree), names);
        for fault in filled.faults.iter().chain(&filled.changed) {
            println!("{fault}");
            are_quoted = false;
        }
    }
    Ok(are_quoted)
}

/// Keeps the names, and which of them the other series do not have.
fn record(options: &Options, now: &Glossary, further: &BTreeSet<String>) -> anyhow::Result<()> {
    let root = &options.repository;
    keep(&glossary::path(root), &now.file())?;
    let pins = Pins::read(root)?;
    for series in reasons::all(root)? {
        let options = Options {
            series: series.clone(),
            kernel_source: None,
            ..options.clone()
        };
        let linux = &pins.kernel(&series)?.version;
        // A name in the text is no reason to build three kernels more.
        if !setup::has_kernel(&options, &pins)? {
            eprintln!(
                "note: Linux {series} is not asked, as it is not built here; build it: runner setup \
                 --series {series}"
            );
            continue;
        }
        let lab = setup::ready(&options)?;
        let index = Index::ready(root, &options.cache, &lab)?;
        let absent = Absent::ask(&series, linux, now, further, &index, &lab.kernel.tree)?;
        keep(&root.join(absent::path(&series)), &absent.file())?;
        println!(
            "Linux {series} does not have {} of the {} names",
            absent.names.len(),
            now.names.len()
        );
    }
    Ok(())
}

/// Writes a file of names, and shows what changes.
fn keep(path: &Path, after: &str) -> anyhow::Result<()> {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    if before == after {
        println!("{} has the names already", path.display());
        return Ok(());
    }
    let folder = path.parent().context("a snapshot lies in a folder")?;
    fs_err::create_dir_all(folder)?;
    lab::system::files::write_whole(path, after.as_bytes())?;
    print!("{}", diff(&before, after));
    println!("recorded in {}", path.display());
    Ok(())
}

/// Tells which other series were asked for other names than those of now. That is no fault of the
/// text: their kernels may not be at hand.
fn tell_stale(root: &Path, now: &Glossary) -> anyhow::Result<()> {
    let pins = Pins::read(root)?;
    for series in reasons::all(root)? {
        let faults = match Absent::read(root, &series)? {
            Some(absent) => absent.faults(now, &pins.kernel(&series)?.version),
            None => {
                let message = format!("Linux {series} was never asked for the names of the text");
                vec![Fault::new(&absent::path(&series), 1, message)]
            }
        };
        for fault in faults {
            println!("note: {fault}; ask it: cargo run -p runner -- claims --record");
        }
    }
    Ok(())
}

/// Whether the recorded names are those of now; shows where not.
fn compare(recorded: &Glossary, now: &Glossary) -> bool {
    let content: fn(&Glossary) -> String = match recorded.image == now.image {
        true => Glossary::content,
        false => Glossary::kinds,
    };
    let (before, after) = (content(recorded), content(now));
    if before == after {
        return true;
    }
    print!("{}", diff(&before, &after));
    println!(
        "tests/snapshots holds other names (- recorded, + here); if the text has changed, \
         record them: cargo run -p runner -- claims --record"
    );
    false
}

fn diff(before: &str, after: &str) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(0).to_string()
}
