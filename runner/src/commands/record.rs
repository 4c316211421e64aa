//! `runner record`: replays a chapter twice and keeps what it printed as the snapshot.
//!
//! Two replays, because the second tells what the first cannot: whether the chapter is exact.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use fs_err as fs;

use crate::context::Context;
use crate::ready::Ready;
use crate::repository;
use book::chapter::Chapter;
use book::snapshot::compare::{Verdict, compare};
use book::snapshot::{self, Snapshot};
use lab::system::ask::confirm;
use lab::system::process::Signals;

/// What to record.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chapters: numbers or slugs, such as 5 or inet-init
    #[arg(required = true)]
    chapters: Vec<String>,
}

/// Runs the subcommand. With `--yes` the change is kept without a question.
///
/// # Errors
/// When the chapter is wrong, the lab cannot run, or two replays contradict each other.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let named = args.chapters.iter();
    let chapters: Vec<Chapter> = named
        .map(|wanted| Chapter::find(&root, wanted))
        .collect::<Result<_, _>>()?;
    let ready = Ready::make(&context.options(&root)?, &chapters, None)?;
    let mut all_kept = true;
    for chapter in chapters {
        let now = twice(&ready, &chapter)?;
        all_kept &= keep(&root, &chapter, &now, context.yes)?;
    }
    Ok(ExitCode::from(u8::from(!all_kept)))
}

fn twice(ready: &Ready, chapter: &Chapter) -> anyhow::Result<Snapshot> {
    let signals = Signals::catch()?;
    let once = || ready.replay(chapter, chapter.steps.len(), &signals, &mut |_| {});
    let (first, second) = (once()?, once()?);
    let by_meaning = match compare(&first, &second, chapter.last()) {
        Verdict::Exact => false,
        Verdict::SameMeaning { .. } => true,
        Verdict::Different { steps } => {
            let diffs: Vec<_> = steps
                .into_iter()
                .map(|s| format!("{}\n{}", s.place(), s.diff))
                .collect();
            bail!(
                "{}: two replays contradict each other; find what varies before recording it\n{}",
                chapter.path.display(),
                diffs.join("\n")
            )
        }
    };
    Ok(first.of_kind(by_meaning))
}

/// Shows what would change and asks; what is not kept waits as `.snap.new` for
/// `cargo insta review`.
fn keep(
    root: &std::path::Path,
    chapter: &Chapter,
    now: &Snapshot,
    yes: bool,
) -> anyhow::Result<bool> {
    let path = snapshot::path(root, &chapter.name);
    let pending = path.with_extension("snap.new");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let after = now.file(&chapter.name);
    if before == after {
        anstream::println!("chapter {}: nothing has changed", chapter.number);
        return Ok(true);
    }
    let folder = path.parent().context("a snapshot lies in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(&pending, &after)?;
    let diff = similar::TextDiff::from_lines(&before, &after);
    anstream::println!(
        "{}",
        diff.unified_diff()
            .context_radius(2)
            .header("recorded", "now")
    );
    if yes || confirmed(chapter)? {
        fs::rename(&pending, &path)?;
        anstream::println!("chapter {}: recorded in {}", chapter.number, path.display());
        return Ok(true);
    }
    anstream::println!(
        "chapter {}: not kept; `cargo insta review` shows it again, or `runner record {0} --yes` keeps it",
        chapter.number
    );
    Ok(false)
}

fn confirmed(chapter: &Chapter) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let number = chapter.number;
    confirm(&format!(
        "Is every line true? Keep it as the snapshot of chapter {number}?"
    ))
}
