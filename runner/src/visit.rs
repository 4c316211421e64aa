//! `runner shell`: a visit to the machine where a chapter has brought it.
//!
//! The chapter is replayed up to there, and its machine handed over to a reader, who sits before
//! all windows at once, if the terminal allows, or before one at a time.

pub mod draft;
pub mod editor;
pub mod frontend;
pub mod keyboard;
pub mod pane;
pub mod panes;
pub mod reader;
pub mod tmux;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::context::Context;
use crate::ready::{OwnArgs, Ready, SeriesArgs};
use crate::repository;
use crate::visit::draft::Draft;
use book::chapter::Chapter;
use book::snapshot::compare::Verdict;
use frontend::Frontend;
use keyboard::Keyboard;
use lab::machine::session::Debugger;
use lab::replay::{Event, Otherwise, Replay};
use lab::system::process::Signals;
use lab::system::progress::Stage;
use lab::transcript::Transcript;
use lab::transcript::step::{Step, StepId, Terminal};
use panes::Panes;
use reader::Reader;

/// Where to go, and how far.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chapter: its number or its slug, such as 6 or tcp-handshake
    chapter: String,
    /// Replay up to this step and hand over; without it, the whole chapter
    #[arg(long, value_name = "N.M")]
    at: Option<StepId>,
    #[command(flatten)]
    own: OwnArgs,
    #[command(flatten)]
    series: SeriesArgs,
}

/// Runs the subcommand.
///
/// # Errors
/// When the chapter is wrong or the lab cannot run.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let chapter = args.series.find(&root, &args.chapter)?;
    let whole = chapter.steps.len();
    let count = args.at.map_or(Ok(whole), |at| chapter.position(at))?;
    let mut options = context.options(&root)?;
    args.series.choose(&mut options)?;
    let histories = options.cache.root().to_owned();
    let own = args.own.find(&root)?;
    let is_own = own.is_some();
    let ready = Ready::make(&options, [&chapter], own)?;
    let otherwise = match is_own || ready.is_of_another_series() {
        true => Otherwise::Counts,
        false => Otherwise::Fails,
    };
    let told = match count {
        0 => format!("start the machine of chapter {}", chapter.number),
        _ => {
            let (number, last) = (chapter.number, chapter.steps[count - 1].id);
            format!("replay chapter {number} up to step {last}")
        }
    };
    stay(&ready, &chapter, count, otherwise, told, histories)
}

/// Replays the first `count` steps of the chapter, with this told meanwhile, and hands its machine
/// over.
///
/// # Errors
/// When the chapter is wrong or the lab cannot run.
pub fn stay(
    ready: &Ready,
    chapter: &Chapter,
    count: usize,
    otherwise: Otherwise,
    told: String,
    histories: PathBuf,
) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    let lab = ready.lab(chapter);
    let always = Debugger::Always;
    let mut replay = Replay::new(&ready.root, chapter.script(), lab, always, &signals)?;
    let before = &chapter.steps[..count];
    let draft = Draft::new(before, chapter.last());
    let mut stage = Stage::begin(told);
    replay.run_first(count, otherwise, &mut |event| {
        if let Event::Begin(step) = event {
            stage.at(format!("{} of {count}", step.id.number));
        }
    })?;
    stage.done();
    if let Some(recorded) = as_recorded(ready, chapter, draft.behind, &replay)? {
        eprintln!("step {}: {recorded}", draft.behind);
    }
    replay.session()?.hand_over()?;
    let windows = windows(chapter);
    let window = last_window(before);
    let frontend: Box<dyn Frontend + '_> =
        match Panes::open(chapter, &windows, window, &histories, &signals)? {
            Some(panes) => Box::new(panes),
            None => Box::new(Keyboard::new(histories, &signals)?),
        };
    let mut reader = Reader::new(frontend, replay, &signals, windows, window, draft);
    reader.greet()?;
    reader.stay()
}

/// The window in which the chapter has stopped: one with a shell, as gdb does not hold the machine
/// at the end of most steps.
fn last_window(before: &[Step]) -> Terminal {
    let mut last = before.iter().rev().map(|step| step.terminal);
    match last.clone().next() {
        Some(host @ (Terminal::Host | Terminal::Lab)) => host,
        _ => last
            .find(|terminal| terminal.is_in_guest())
            .unwrap_or(Terminal::Guest),
    }
}

/// The windows that the chapter's machine has. Those that would need another machine are only there
/// if the chapter uses them.
fn windows(chapter: &Chapter) -> Vec<Terminal> {
    let exists = |window: &Terminal| match window {
        Terminal::Guest | Terminal::Gdb | Terminal::Host => true,
        Terminal::Wire => !chapter.has(Terminal::Lab),
        Terminal::Server | Terminal::Lab => chapter.has(*window),
    };
    let order = [
        Terminal::Guest,
        Terminal::Server,
        Terminal::Gdb,
        Terminal::Wire,
        Terminal::Lab,
        Terminal::Host,
    ];
    order.into_iter().filter(exists).collect()
}

/// Whether the machine of a replay has a debugger; that of a visit always has one.
fn has_debugger(chapter: &Chapter) -> bool {
    [Terminal::Gdb, Terminal::Wire, Terminal::Lab]
        .into_iter()
        .any(|window| chapter.has(window))
}

/// How the replay compares with the page, if it is one of a chapter.
fn as_recorded(
    ready: &Ready,
    chapter: &Chapter,
    at: StepId,
    replay: &Replay<'_>,
) -> anyhow::Result<Option<&'static str>> {
    if chapter.number == 0 {
        return Ok(None);
    }
    let transcript = Transcript {
        records: replay.records.clone(),
        frames: replay.frames()?,
    };
    let now = ready.snapshot(chapter, transcript);
    Ok(Some(match ready.judge(chapter, &now, at)? {
        None => "of a chapter that was never recorded",
        Some(Verdict::Exact) => "all as on the page, byte for byte",
        Some(Verdict::SameMeaning { .. }) => "all as on the page, in meaning",
        Some(Verdict::Different { .. }) if !has_debugger(chapter) => {
            "not all as on the page: a debugger holds the machine here, which takes the guest's time"
        }
        Some(Verdict::Different { .. }) => "not all as on the page; `runner chapter` shows where",
    }))
}
