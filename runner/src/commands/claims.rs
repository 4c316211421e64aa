//! `runner claims`: checks every claim of the text against the kernel of the lab.
//!
//! What is found is compared with what was recorded (`glossary`), which the pages show. With the very kernel that
//! was recorded every place counts; with another, lines and offsets are its own, and the kinds have to agree. Excerpts of the
//! source must be the lines that the text was written for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::context::Context;
use crate::root;
use book::chapter::value;
use book::chapter::{self, Fault, Faults};
use book::page::excerpt;
use book::prose::exempt::Exempt;
use book::prose::glossary::{self, Glossary};
use book::prose::mention::{self, Mention};
use book::prose::numeral;
use book::symbols::resolve::{Found, resolve};
use book::symbols::{Index, Kind};
use lab::build::pins::Pins;
use lab::build::setup;

/// What to do besides checking.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep what was found as the names that the pages show
    #[arg(long)]
    record: bool,
}

/// The claims of the book, page by page.
#[derive(Debug, Default)]
pub struct Book {
    /// Each file, relative to the repository, with its claims.
    pub pages: Vec<(PathBuf, Vec<Mention>)>,
    /// The numbers that are typed; they are not the kernel's to answer, but share its list of exemptions.
    numerals: BTreeSet<String>,
    /// How many values are computed, and how many excerpts of the source are quoted.
    directives: (usize, usize),
}

/// What the kernel says to the claims of a book.
#[derive(Debug, Default)]
pub struct Answer {
    /// What is there, by the text of the span.
    pub found: BTreeMap<String, Found>,
    /// What is not.
    pub unknown: Vec<Fault>,
    /// How often each kind is claimed.
    pub kinds: BTreeMap<Kind, usize>,
    /// How many claims are exempt.
    pub exempt: usize,
}

/// Runs the subcommand: 0 all is there and recorded, 1 not.
///
/// # Errors
/// A list of exemptions that says too much, and a lab that cannot be made.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = root::find()?;
    let options = context.options(&root)?;
    let lab = setup::ready(&options)?;
    let index = Index::ready(&root, &options.cache, &lab)?;
    let book = Book::read(&root)?;
    let exempt = Exempt::read(&root)?;
    let answer = book.ask(&index, &exempt);
    for fault in &answer.unknown {
        println!("{fault}");
    }
    println!("{}", answer.summary(&book, &exempt));
    let mut faults = exempt.faults(&book.texts());
    faults.extend(exempt.real(|name| resolve(&index, &mention::shape(name)?).ok()));
    if !faults.is_empty() {
        return Err(Faults(faults).into());
    }
    let now = Glossary {
        linux: Pins::read(&root)?.kernel(&options.kernel)?.version.clone(),
        image: lab.kernel.sha256.clone(),
        names: answer.found,
    };
    let is_recorded = match args.record {
        true => record(&root, &now)?,
        false => compare(&Glossary::read(&root)?, &now),
    };
    let are_quoted = excerpts(&root, &book, &lab.kernel.tree, &now)?;
    let all_is_well = is_recorded && are_quoted && answer.unknown.is_empty();
    Ok(ExitCode::from(u8::from(!all_is_well)))
}

impl Book {
    /// Reads the pages of a repository.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut book = Self::default();
        for path in chapter::pages(root)? {
            let text = chapter::text(root, &path)?;
            let numerals = numeral::of_page(&text).into_iter();
            book.numerals.extend(numerals.map(|numeral| numeral.text));
            book.directives.0 += value::find(&text).len();
            book.directives.1 += text.lines().filter_map(excerpt::asked).count();
            book.pages.push((path, mention::of_page(&text)));
        }
        Ok(book)
    }

    /// Asks the kernel about every claim that is not exempt.
    #[must_use]
    pub fn ask(&self, index: &Index, exempt: &Exempt) -> Answer {
        let mut answer = Answer::default();
        // A name that comes a hundred times is looked up once, and so is a wrong one.
        let mut asked: BTreeMap<&str, Result<Found, String>> = BTreeMap::new();
        for (path, claims) in &self.pages {
            for mention in claims {
                if exempt.has(&mention.text, path) {
                    answer.exempt += 1;
                    continue;
                }
                let reply = asked.entry(&mention.text);
                match reply.or_insert_with(|| {
                    resolve(index, &mention.shape).map_err(|miss| miss.message(index))
                }) {
                    Ok(found) => *answer.kinds.entry(found.kind).or_default() += 1,
                    Err(message) => answer.unknown.push(Fault {
                        path: path.clone(),
                        line: mention.line,
                        message: message.clone(),
                    }),
                }
            }
        }
        let found = asked.into_iter();
        answer.found = found
            .filter_map(|(text, reply)| Some((text.to_owned(), reply.ok()?)))
            .collect();
        answer
    }

    /// The texts of all that could be exempt.
    fn texts(&self) -> BTreeSet<&str> {
        let claims = self.pages.iter().flat_map(|(_, claims)| claims);
        let claims = claims.map(|mention| mention.text.as_str());
        claims
            .chain(self.numerals.iter().map(String::as_str))
            .collect()
    }
}

impl Answer {
    fn summary(&self, book: &Book, exempt: &Exempt) -> String {
        let claims: usize = book.pages.iter().map(|(_, claims)| claims.len()).sum();
        let mut text = format!(
            "{claims} claims in {} pages, {} names\n",
            book.pages.len(),
            self.found.len()
        );
        for (kind, count) in &self.kinds {
            text += &format!("{count:6} {kind}\n");
        }
        text += &format!("{:6} exempt ({} on the list)\n", self.exempt, exempt.len());
        let (values, excerpts) = book.directives;
        text += &format!("{values:6} values and {excerpts} excerpts besides\n");
        text + &format!("{:6} unknown", self.unknown.len())
    }
}

/// Whether the excerpts of the source are those that the text was written for; tells which are not.
fn excerpts(root: &Path, book: &Book, tree: &Path, names: &Glossary) -> anyhow::Result<bool> {
    let mut are_quoted = true;
    for (path, _) in &book.pages {
        let text = chapter::text(root, path)?;
        let filled = excerpt::fill(path, &text, Some(tree), names);
        for fault in filled.faults.iter().chain(&filled.changed) {
            println!("{fault}");
            are_quoted = false;
        }
    }
    Ok(are_quoted)
}

/// Keeps the names, and shows what changes.
fn record(root: &Path, now: &Glossary) -> anyhow::Result<bool> {
    let path = glossary::path(root);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let after = now.file();
    if before == after {
        println!("the names are recorded already");
        return Ok(true);
    }
    let folder = path.parent().context("a snapshot lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    lab::build::cache::write_whole(&path, after.as_bytes())?;
    print!("{}", diff(&before, &after));
    println!("recorded in {}", path.display());
    Ok(true)
}

/// Whether the recorded names are those of now; shows where not.
fn compare(recorded: &Glossary, now: &Glossary) -> bool {
    let kinds_only = |glossary: &Glossary| {
        let names = glossary.names.iter();
        names
            .map(|(name, found)| format!("{name}  {}\n", found.kind))
            .collect::<String>()
    };
    let (before, after) = if recorded.image == now.image {
        (recorded.content(), now.content())
    } else {
        (kinds_only(recorded), kinds_only(now))
    };
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
