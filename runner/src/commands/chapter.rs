//! `runner chapter`: replays a chapter and says whether it is still true.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fs_err as fs;
use serde::Serialize;

use crate::context::Context;
use crate::ready::{OwnArgs, Ready, SeriesArgs};
use crate::repository;
use crate::screen::{self, Screen};
use book::chapter::Chapter;
use book::snapshot::Snapshot;
use book::snapshot::compare::{Difference, Verdict, compare};
use book::snapshot::noise::Noise;
use lab::build::cache::Cache;
use lab::build::fresh::Fresh;
use lab::replay::Event;
use lab::system::process::Signals;
use lab::system::progress::Stage;
use lab::transcript::Output;
use lab::transcript::capture::{self, Frame};
use lab::transcript::step::StepId;

/// What to replay, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chapter: its number or its slug, such as 5 or inet-init
    chapter: String,
    /// Stop after this step
    #[arg(long, value_name = "N.M")]
    to: Option<StepId>,
    /// Show nothing before this step; the steps before it run all the same
    #[arg(long, value_name = "N.M")]
    from: Option<StepId>,
    #[command(flatten)]
    own: OwnArgs,
    #[command(flatten)]
    series: SeriesArgs,
    /// Type the book's command of this step, and not the other form that it has on the series
    #[arg(long, value_name = "N.M")]
    without_form: Option<StepId>,
    /// Build the whole lab from nothing for this replay, in a temporary cache
    #[arg(long)]
    fresh: bool,
    /// Replay so often, and compare the raw transcripts byte for byte
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    repeat: usize,
    /// Print the transcript, the verdict and what --repeat found as JSON
    #[arg(long)]
    json: bool,
    /// Tell each step's real time, and the guest's clock
    #[arg(long)]
    timings: bool,
}

/// One step of the transcript, as `--json` prints it.
#[derive(Serialize)]
struct StepJson<'a> {
    step: String,
    terminal: &'a str,
    command: &'a str,
    #[serde(flatten)]
    output: &'a Output,
    #[serde(skip_serializing_if = "Option::is_none")]
    real_ms: Option<u128>,
}

/// How the further replays of `--repeat` compare with the first, as `--json` prints it.
#[derive(Serialize)]
struct Repeats {
    times: usize,
    /// The steps of each replay that differed.
    different: Vec<Vec<Difference>>,
}

/// Runs the subcommand: 0 the same, 1 different.
///
/// # Errors
/// When the chapter is wrong or the lab cannot run.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let chapter = match args.without_form {
        None => args.series.find(&root, &args.chapter)?,
        Some(id) => args.series.find_without(&root, &args.chapter, id)?,
    };
    let count = args
        .to
        .map_or(Ok(chapter.steps.len()), |to| chapter.position(to))?;
    let from = args.from.map_or(Ok(0), |from| chapter.position(from))?;
    let own = args.own.find(&root)?;
    let mut options = context.options(&root)?;
    args.series.choose(&mut options)?;
    // A fresh cache goes with the run.
    let kept = options.cache.clone();
    let fresh = args.fresh.then(|| Fresh::new(&options.cache)).transpose()?;
    if let Some(fresh) = &fresh {
        options.cache = fresh.cache();
    }
    let ready = Ready::make(&options, [&chapter], own)?;
    let screen = Screen {
        from: from as u32,
        timings: args.timings,
    };
    let signals = Signals::catch()?;
    let start = Instant::now();
    let mut real = Vec::new();
    let now = ready.replay(&chapter, count, &signals, &mut |event| {
        if let Event::End(_, _, elapsed) = event {
            real.push(*elapsed);
        }
        if !args.json {
            screen.show(event);
        }
    })?;
    let took = start.elapsed();
    let mut repeats = None;
    if args.repeat > 1 {
        let again = || ready.replay(&chapter, count, &signals, &mut |_| {});
        let recorded = Snapshot::of_series(&root, &ready.series, &chapter.name)?;
        let by_meaning = recorded.is_some_and(|recorded| recorded.is_by_meaning());
        let noise = by_meaning.then(|| Noise::read(&root, &chapter.name));
        let told = repeat(again, args.repeat, &now, noise.transpose()?, !args.json)?;
        if !(told.different.is_empty() || args.json) {
            return Ok(ExitCode::from(1));
        }
        repeats = Some(told);
    }
    drop(signals);
    let last = StepId {
        number: count as u32,
        ..chapter.last()
    };
    let verdict = ready.judge(&chapter, &now, last)?;
    if let (Some(frames), false) = (&now.transcript.frames, args.json) {
        // The replay is what counts: a cache that takes no capture is no reason to fail.
        let kept = match keep_capture(&kept, &chapter.name, frames) {
            Ok(path) => format!("kept in {}", path.display()),
            Err(error) => format!("not kept: {error:#}"),
        };
        anstream::println!("\nthe wire: {} frames, {kept}", frames.len());
    }
    if args.json {
        print_json(
            &chapter,
            &now,
            args.timings.then_some(&real[..]),
            verdict.as_ref(),
            repeats.as_ref(),
        )?;
    } else if let Some(verdict) = &verdict {
        let own_kernel = args.own.is_some();
        screen::verdict(&chapter, &ready.series, count, took, verdict, own_kernel);
    } else {
        screen::never_recorded(chapter.number, &ready.series);
    }
    let same = matches!(verdict, Some(Verdict::Exact | Verdict::SameMeaning { .. }));
    let repeats_itself = repeats.is_none_or(|repeats| repeats.different.is_empty());
    Ok(ExitCode::from(u8::from(!(same && repeats_itself))))
}

/// Keeps the capture of the last replay of a chapter, for tcpdump or Wireshark.
fn keep_capture(cache: &Cache, name: &str, frames: &[Frame]) -> anyhow::Result<PathBuf> {
    let folder = cache.root().join("captures");
    let path = folder.join(format!("{name}.pcap"));
    let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, capture::file(frames)));
    if kept.is_err() {
        // A part of a capture would be taken for the whole. There may be none.
        let _ = fs::remove_file(&path);
    }
    kept.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Replays again and again; every replay must be the first one: byte for byte, or but for `noise`
/// for a chapter that was recorded in meaning. Where one is not, that is shown if `show`.
fn repeat(
    again: impl Fn() -> anyhow::Result<Snapshot>,
    times: usize,
    first: &Snapshot,
    noise: Option<Noise>,
    show: bool,
) -> anyhow::Result<Repeats> {
    let mut told = Repeats {
        times,
        different: Vec::new(),
    };
    let Some(last) = first.transcript.records.last().map(|record| record.id) else {
        return Ok(told);
    };
    let by_meaning = noise.is_some();
    let noise = noise.unwrap_or_default();
    let first = first.clone().of_kind(by_meaning);
    let mut stage = Stage::begin("replay again");
    for done in 1..times {
        let differ = told.different.len();
        stage.at(format!("{done} of {times}, {differ} differ"));
        if let Verdict::Different { steps, .. } = compare(&first, &noise, &again()?, last) {
            if show {
                steps.iter().for_each(screen::difference);
            }
            told.different.push(steps);
        }
    }
    stage.at(format!("{times} of {times}"));
    stage.done();
    let how = if by_meaning {
        "in meaning"
    } else {
        "byte for byte"
    };
    let agree = times - told.different.len();
    anstream::eprintln!("{agree} of {times} replays agree {how}");
    Ok(told)
}

fn print_json(
    chapter: &Chapter,
    now: &Snapshot,
    real: Option<&[Duration]>,
    verdict: Option<&Verdict>,
    repeats: Option<&Repeats>,
) -> anyhow::Result<()> {
    let steps: Vec<_> = now
        .transcript
        .records
        .iter()
        .enumerate()
        .map(|(index, record)| StepJson {
            step: record.id.to_string(),
            terminal: record.terminal.word(),
            command: &record.command,
            output: &record.output,
            real_ms: real.map(|real| real[index].as_millis()),
        })
        .collect();
    let provenance: serde_json::Map<_, _> = now
        .provenance
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let frames = now.transcript.frames.as_ref();
    let frames: Option<Vec<_>> = frames.map(|all| all.iter().map(Frame::to_string).collect());
    let mut whole = serde_json::json!({
        "chapter": chapter.number,
        "provenance": provenance,
        "steps": steps,
        "frames": frames,
        "result": verdict,
    });
    if let Some(repeats) = repeats {
        whole["repeats"] = serde_json::to_value(repeats)?;
    }
    println!("{}", serde_json::to_string_pretty(&whole)?);
    Ok(())
}
