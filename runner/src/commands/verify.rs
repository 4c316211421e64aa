//! `runner verify`: replays chapters side by side, and says of each whether it is still true.
//!
//! A machine uses one core, so there are as many replays at a time as there are cores. A chapter
//! with a `lab` waits for the real clock more than it works, so these go beside the others, one
//! after the other. The replays share nothing but what was built, which none of them changes.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::context::Context;
use crate::ready::{Own, OwnArgs, Ready, SeriesArgs};
use crate::{exit, repository, screen};
use book::chapter::{self, Chapter};
use book::snapshot;
use book::snapshot::compare::Verdict;
use book::snapshot::reasons::Reasons;
use lab::Error;
use lab::build::setup::Options;
use lab::system::process::Signals;
use lab::transcript::step::Terminal;

/// What to verify.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chapters: numbers or slugs; all of the book if none is named
    chapters: Vec<String>,
    /// How many chapters to replay at a time; as many as there are cores if not given
    #[arg(long, value_name = "COUNT")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    own: OwnArgs,
    #[command(flatten)]
    series: SeriesArgs,
}

/// Runs the subcommand: 0 all the same, 1 a chapter differs.
///
/// # Errors
/// When a chapter's file is wrong or the lab cannot be made.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let chapters: Vec<Chapter> = if args.chapters.is_empty() {
        let paths = chapter::paths(&root)?;
        let all = paths.iter().map(|path| Chapter::read(&root, path));
        all.collect::<Result<_, _>>()?
    } else {
        let named = args
            .chapters
            .iter()
            .map(|wanted| Chapter::find(&root, wanted));
        named.collect::<Result<_, _>>()?
    };
    let mut worst = 0;
    for series in args.series.all(&root)? {
        let mut options = context.options(&root)?;
        let reasons = Reasons::read(&root, &series)?;
        let typed = chapters
            .iter()
            .map(|chapter| reasons.typed(chapter.clone()));
        let typed = typed.collect::<Result<_, _>>()?;
        options.series = series;
        let own = args.own.find(&root)?;
        worst = verify(args, &options, typed, own)?.max(worst);
    }
    Ok(ExitCode::from(worst))
}

/// Verifies chapters on one kernel; gives the exit code.
fn verify(
    args: &Args,
    options: &Options,
    mut chapters: Vec<Chapter>,
    own: Option<Own>,
) -> anyhow::Result<u8> {
    let is_book = own.is_none() && options.series == lab::SERIES;
    if !is_book && args.chapters.is_empty() {
        chapters.retain(|chapter| {
            let has_own = chapter.has_its_own_kernels();
            if has_own {
                let number = chapter.number;
                eprintln!("note: chapter {number} is left out: it is about kernels of its own");
            }
            !has_own
        });
    }
    if options.series != lab::SERIES && args.chapters.is_empty() {
        let is_recorded = |chapter: &Chapter| {
            snapshot::path(&options.repository, &options.series, &chapter.name).exists()
        };
        if !chapters.iter().any(is_recorded) {
            bail!(Error::Unfit(format!(
                "nothing is recorded on {0}; `runner chapter 6 --series {0}` shows what is typed \
                 there, without a comparison",
                options.series
            )));
        }
        for chapter in chapters.extract_if(.., |chapter| !is_recorded(chapter)) {
            let (number, series) = (chapter.number, &options.series);
            eprintln!("note: chapter {number} is left out: it was never recorded on {series}");
        }
    }
    let ready = Ready::make(options, &chapters, own)?;
    if ready.is_of_another_series() {
        screen::series(&ready.series);
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = args.jobs.map_or(cores, NonZeroUsize::get);
    let signals = Signals::catch()?;
    let start = Instant::now();
    let verify = |chapter: &Chapter| -> anyhow::Result<Option<Verdict>> {
        let now = ready.replay(chapter, chapter.steps.len(), &signals, &mut |_| {})?;
        ready.judge(chapter, &now, chapter.last())
    };
    let total = chapters.len();
    let beside = |chapter: &Chapter| args.jobs.is_none() && chapter.has(Terminal::Lab);
    let (waits, works): (Vec<_>, Vec<_>) = chapters.into_iter().partition(beside);
    let extra = usize::from(!waits.is_empty());
    let queues = [works, waits].map(|chapters| Mutex::new(chapters.into_iter()));
    let (sender, outcomes) = mpsc::channel();
    let (verify, queues) = (&verify, &queues);
    let code = std::thread::scope(|scope| {
        let (works, waits) = (&queues[0], &queues[1]);
        for queue in std::iter::repeat_n(works, jobs).chain(std::iter::repeat_n(waits, extra)) {
            let sender = sender.clone();
            scope.spawn(move || {
                loop {
                    let chapter = queue.lock().expect("no thread panics with it").next();
                    let Some(chapter) = chapter else { break };
                    let start = Instant::now();
                    let outcome = verify(&chapter);
                    let interrupted = outcome.as_ref().is_err_and(Error::is_interrupted);
                    // Where nobody listens any more, a line could not be written.
                    let told = sender.send((chapter, outcome, start.elapsed()));
                    if told.is_err() || interrupted {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let (mut worst, mut interrupted) = (0, Ok(()));
        for (chapter, outcome, took) in outcomes {
            match outcome {
                Err(error) if Error::is_interrupted(&error) => interrupted = Err(error),
                outcome => {
                    let own_kernel = args.own.is_some();
                    let code = tell(&chapter, &ready.series, &outcome, took, own_kernel);
                    worst = code.max(worst);
                }
            }
        }
        interrupted.map(|()| worst)
    })?;
    screen::summary(total, (jobs + extra).min(total), start.elapsed(), code);
    Ok(code)
}

/// Shows how it ended; gives the exit code.
fn tell(
    chapter: &Chapter,
    series: &str,
    outcome: &anyhow::Result<Option<Verdict>>,
    took: Duration,
    own_kernel: bool,
) -> u8 {
    match outcome {
        Ok(Some(verdict)) => {
            let steps = chapter.steps.len();
            screen::verdict(chapter, series, steps, took, verdict, own_kernel);
            u8::from(matches!(verdict, Verdict::Different { .. }))
        }
        Ok(None) => {
            screen::never_recorded(chapter.number, series);
            1
        }
        Err(error) => {
            anstream::eprintln!("{error:#}");
            exit::code(error)
        }
    }
}
