//! `runner record`: replays a chapter and keeps what it printed as the snapshot, and what of it may
//! differ as its noise.
//!
//! A second replay tells what the first cannot: whether the chapter is exact. Further ones, on
//! variants of the machine, tell what follows from nothing that the chapter is about. They are made
//! with the book's kernel alone: with another series, what a step prints is kept whether it is what
//! the chapter says or not, and shows what has changed.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use fs_err as fs;

use crate::context::Context;
use crate::ready::{Ready, SeriesArgs};
use crate::{repository, screen};
use book::chapter::Chapter;
use book::snapshot::compare::{Verdict, compare};
use book::snapshot::learn::learn;
use book::snapshot::noise::{self, Noise};
use book::snapshot::{self, Snapshot};
use lab::build::cache::Cache;
use lab::build::pins::{FILE, FOLDER, Pins};
use lab::build::setup::Lab;
use lab::build::variant::{self, VARIANTS};
use lab::system::ask::confirm;
use lab::system::process::Signals;
use lab::system::progress::Stage;
use lab::transcript::step::{Step, Terminal};

/// What to record.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chapters: numbers or slugs, such as 5 or inet-init
    #[arg(required = true)]
    chapters: Vec<String>,
    #[command(flatten)]
    series: SeriesArgs,
}

/// Runs the subcommand. With `--yes` the change is kept without a question.
///
/// # Errors
/// When the chapter is wrong, the lab cannot run, or two replays contradict each other.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let named = args.chapters.iter();
    let chapters: Vec<Chapter> = named
        .map(|wanted| args.series.find(&root, wanted))
        .collect::<Result<_, _>>()?;
    let mut options = context.options(&root)?;
    args.series.choose(&mut options)?;
    if !Pins::read(&root)?
        .recorded()
        .any(|name| name == options.series)
    {
        bail!(lab::Error::Unfit(format!(
            "no chapter is recorded on {}: {FOLDER}/{FILE} has no hash of its source, so that \
             nobody could say whether it is the same another time",
            options.series
        )));
    }
    let ready = Ready::make(&options, &chapters, None)?;
    let mut all_kept = true;
    for chapter in chapters {
        let recording = record(&ready, &options.cache, &chapter)?;
        all_kept &= keep(&ready, &chapter, &recording, context.yes)?;
    }
    Ok(ExitCode::from(u8::from(!all_kept)))
}

/// What is recorded of a chapter.
struct Recording {
    snapshot: Snapshot,
    /// What of it may differ, if it was measured.
    noise: Option<Noise>,
}

/// Replays the chapter twice on the book's machine, and once on each of its variants.
fn record(ready: &Ready, cache: &Cache, chapter: &Chapter) -> anyhow::Result<Recording> {
    let signals = Signals::catch()?;
    let mut stage = Stage::begin(format!("replay chapter {}", chapter.number));
    let lab = ready.lab(chapter);
    let once = |lab: &Lab| ready.replay_to_record(chapter, lab, &signals);
    let (first, second) = (once(lab)?, once(lab)?);
    refuse_cut_short(&first, chapter, &ready.series)?;
    refuse_cut_short(&second, chapter, &ready.series)?;
    let exact = first.transcript == second.transcript;
    // In the lab's network time is real, so that no two replays are the same.
    if !exact
        && !chapter.has(Terminal::Lab)
        && let Verdict::Different { steps, .. } = compare(
            &first.clone().of_kind(false),
            &Noise::default(),
            &second,
            chapter.last(),
        )
    {
        let diffs = steps.iter().map(|s| format!("{}\n{}", s.place(), s.diff));
        bail!(
            "{}: two replays contradict each other; find what varies before recording it\n{}",
            chapter.path.display(),
            Vec::from_iter(diffs).join("\n")
        )
    }
    let mut others = if exact { Vec::new() } else { vec![second] };
    let uses_machine = |step: &Step| step.terminal != Terminal::Host || step.packet().is_some();
    let is_measured = !ready.is_of_another_series();
    if is_measured && chapter.steps.iter().any(uses_machine) {
        let kernels = variant::kernels(cache, lab)?;
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let failed = Mutex::new(None);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        stage.at("on variants of the machine");
        std::thread::scope(|scope| {
            for _ in 0..cores.min(VARIANTS.len()) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(variant) = VARIANTS.get(index) else {
                            break;
                        };
                        let replayed = variant
                            .lab(lab, &kernels)
                            .and_then(|lab| once(&lab))
                            .with_context(|| format!("on variant {index} of the machine"));
                        match replayed {
                            Ok(snapshot) => done.lock().expect(UNHURT).push((index, snapshot)),
                            Err(error) => {
                                next.store(VARIANTS.len(), Ordering::Relaxed);
                                failed.lock().expect(UNHURT).get_or_insert(error);
                            }
                        }
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().expect(UNHURT) {
            return Err(error);
        }
        let mut done = done.into_inner().expect(UNHURT);
        done.sort_by_key(|(index, _)| *index);
        others.extend(done.into_iter().map(|(_, snapshot)| snapshot));
    }
    stage.done();
    // What may differ belongs to what the steps look at, so that of the book serves.
    let noise = is_measured.then(|| learn(&first, &others, !exact));
    let noise = noise
        .transpose()
        .with_context(|| format!("{}: this is no noise", chapter.path.display()))?;
    Ok(Recording {
        snapshot: first.of_kind(!exact),
        noise,
    })
}

/// Refuses a replay that went on although a step did not come to its end in time.
fn refuse_cut_short(replay: &Snapshot, chapter: &Chapter, series: &str) -> anyhow::Result<()> {
    let mut records = replay.transcript.records.iter();
    let Some(record) = records.find(|record| record.output.status < 0) else {
        return Ok(());
    };
    bail!(
        "{}: step {} was cut short: {}. That says nothing of the kernel, so nothing was recorded; \
         try again when the machine is less busy, or give the step another form in \
         drift/{series}.toml",
        chapter.path.display(),
        record.id,
        record.output.stderr.trim_end()
    )
}

/// Why a lock can be taken.
const UNHURT: &str = "no thread panics with it";

/// Shows what would change and asks; a snapshot that is not kept waits as `.snap.new` for
/// `cargo insta review`.
fn keep(
    ready: &Ready,
    chapter: &Chapter,
    recording: &Recording,
    yes: bool,
) -> anyhow::Result<bool> {
    let Ready { root, series, .. } = ready;
    let path = snapshot::path(root, series, &chapter.name);
    let pending = path.with_extension("snap.new");
    let noise_path = noise::noise_path(root, &chapter.name);
    let [before, noise_before] =
        [&path, &noise_path].map(|path| fs::read_to_string(path).unwrap_or_default());
    let after = recording.snapshot.file(&chapter.name);
    let noise = match &recording.noise {
        Some(noise) => noise.to_string(),
        None => noise_before.clone(),
    };
    if before == after && noise_before == noise {
        anstream::println!("chapter {}: nothing has changed", chapter.number);
        return Ok(true);
    }
    let folder = path.parent().context("a snapshot lies in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(&pending, &after)?;
    show(&before, &after, "recorded");
    show(&noise_before, &noise, "may differ");
    if yes || confirmed(chapter)? {
        fs::rename(&pending, &path)?;
        match &recording.noise {
            Some(_) if noise.is_empty() => {
                // A chapter that uses no machine has none.
                let _ = fs::remove_file(&noise_path);
            }
            Some(_) => fs::write(&noise_path, &noise)?,
            None => {}
        }
        anstream::println!("chapter {}: recorded in {}", chapter.number, path.display());
        return Ok(true);
    }
    anstream::println!(
        "chapter {}: not kept; `cargo insta review` shows it again, or `runner record {0}{1} --yes` keeps it",
        chapter.number,
        screen::of_series(&ready.series)
    );
    Ok(false)
}

fn show(before: &str, after: &str, what: &str) {
    let diff = similar::TextDiff::from_lines(before, after);
    anstream::println!(
        "{}",
        diff.unified_diff().context_radius(2).header(what, "now")
    );
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
