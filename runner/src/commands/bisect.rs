//! `runner bisect`: which commit of a clone of Linux has changed a step of the book.
//!
//! git says which commit to try, and the replay what it is. What counts as the same is what the
//! step printed at the good end, but for noise, so something that is as at neither end is bad: it
//! has changed. Only a machine that is lost says nothing, unless it is lost so at the bad end, too.

mod state;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use book::chapter::Chapter;
use book::snapshot::Snapshot;
use book::snapshot::compare::{self, compare};
use book::snapshot::drift::{Fate, fate};
use book::snapshot::noise::Noise;
use book::snapshot::reasons::Reasons;
use lab::Error;
use lab::build::bench::{Bench, Made};
use lab::build::history::{History, Next, short};
use lab::build::pins::Pins;
use lab::build::setup::{self, Options};
use lab::replay::own_kernel::OwnKernel;
use lab::replay::{Event, Otherwise, provenance};
use lab::system::files::sha256_of;
use lab::system::process::Signals;
use lab::system::progress::{Stage, seconds};
use lab::transcript::step::StepId;
use state::{Question, State, Tried, Verdict};

use crate::beside::beside;
use crate::context::Context;
use crate::ready::{Own, Ready};
use crate::repository;
use crate::screen::{BAD, BOLD, DIM, GOOD};

/// The status of a step whose machine was lost, or whose command did not end.
const LOST: i32 = -1;

/// Which step, and between which commits.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The step that has changed, such as 5.41
    #[arg(value_name = "STEP")]
    step: StepId,
    /// A commit at which it is as it was: a tag, a branch, a hash
    #[arg(long, value_name = "COMMIT")]
    good: String,
    /// A later commit at which it is not
    #[arg(long, value_name = "COMMIT")]
    bad: String,
    /// Your clone of Linux; nothing that you have checked out in it is touched
    #[arg(long, value_name = "TREE")]
    git: PathBuf,
}

/// Runs the subcommand: 0 found, 1 not.
///
/// # Errors
/// No such step, clone or commit; when the step is the same at both ends, or cannot be tried there;
/// when the lab cannot run.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let root = repository::find()?;
    let step = args.step;
    let chapter = Chapter::find(&root, &step.chapter.to_string())?;
    let count = chapter.position(step)?;
    if chapter.has_its_own_kernels() {
        bail!(Error::Unfit(format!(
            "chapter {} is about kernels of the book's own, so it says nothing of yours",
            chapter.number
        )));
    }
    let history = History::find(&args.git)?;
    let [good, bad] = [&args.good, &args.bad].map(|name| history.commit(name));
    let (good, bad) = (good?, bad?);
    history.check_order(&good, &bad)?;
    let pins = Pins::read(&root)?;
    let versions = [history.version(&good)?, history.version(&bad)?];
    let series = pins.nearest_recorded(&versions[0]);
    let chapter = Reasons::read(&root, series)?.typed(chapter)?;

    let mut options = context.options(&root)?;
    let has_series = choose_series(&mut options, &pins, series)?;
    let of_use = has_series && release(&versions[0]) == release(series);
    let ready = Ready::make(&options, [&chapter], None)?;
    let lab = ready.lab(&chapter);
    let bench = Bench::open(&options.cache, &history, lab, &good, of_use)?;
    let machine = provenance::of(&root, &options.series, lab)?;
    let typed = &chapter.steps[..count];
    let question = Question {
        step: step.to_string(),
        good,
        bad,
        replay: sha256_of(format!("{machine:?}{typed:?}").as_bytes()),
    };
    let mut bisection = Bisection {
        is_one_source: release(&versions[0]) == release(&versions[1]),
        noise: Noise::read(&root, &chapter.name)?,
        state: State::of(bench.folder(), question.clone()),
        between: history.count(&question.good, &question.bad)?,
        args,
        options,
        pins,
        chapter,
        count,
        question,
        bench,
    };
    bisection.run()
}

/// Has the lab made with the kernel of a series, if it is there: one that only resembles the
/// commits' is not worth a build. Tells whether it is.
///
/// # Errors
/// As [`setup::has_kernel`].
fn choose_series(options: &mut Options, pins: &Pins, series: &str) -> Result<bool> {
    if series == options.series {
        return Ok(true);
    }
    let other = Options {
        series: series.to_owned(),
        kernel_source: None,
        ..options.clone()
    };
    let is_there = setup::has_kernel(&other, pins)?;
    if is_there {
        *options = other;
    }
    Ok(is_there)
}

/// The first two numbers of a version.
fn release(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

struct Bisection<'a> {
    args: &'a Args,
    options: Options,
    pins: Pins,
    chapter: Chapter,
    count: usize,
    noise: Noise,
    question: Question,
    bench: Bench,
    state: State,
    /// How many commits there are behind the good one.
    between: usize,
    /// Whether both ends are of one series, so that moved lines can be followed.
    is_one_source: bool,
}

impl Bisection<'_> {
    fn run(&mut self) -> Result<ExitCode> {
        let ends = [self.question.good.clone(), self.question.bad.clone()];
        let known = self.state.tried().len();
        if known == 0 {
            anstream::eprintln!(
                "{DIM}{} commits; if this is interrupted, the same command goes on where it was{DIM:#}",
                self.between
            );
        } else {
            anstream::eprintln!("{DIM}going on: {known} commits were tried before{DIM:#}");
        }
        let good = self.end("--good", &ends[0], None)?;
        let bad = self.end("--bad", &ends[1], Some(&good))?;
        loop {
            let tried = self.state.tried().iter();
            let between = tried.filter(|tried| !ends.contains(&tried.commit));
            let between = between.map(|tried| (&*tried.commit, tried.verdict.word()));
            let between = Vec::from_iter(between);
            match self.bench.next(&ends[0], &ends[1], &between)? {
                Next::Try { commit, left } => {
                    anstream::eprintln!("{DIM}{left}{DIM:#}");
                    let tried = self.tried(&commit, |now| self.verdict(&good, &bad, now))?;
                    self.say(&tried)?;
                    self.state.keep(tried)?;
                }
                Next::Found(commit) => {
                    self.found(&commit, &good, &bad)?;
                    return Ok(ExitCode::SUCCESS);
                }
                Next::OneOf(commits) => {
                    anstream::println!("{BOLD}it is one of these commits{BOLD:#}");
                    for commit in commits {
                        let why = match self.state.get(&commit).map(|tried| &tried.verdict) {
                            Some(Verdict::Skip(why)) => format!("  {DIM}skipped: {why}{DIM:#}"),
                            _ => String::new(),
                        };
                        anstream::println!("{}{why}", self.bench.history.subject(&commit)?);
                    }
                    self.sum_up();
                    return Ok(ExitCode::from(1));
                }
            }
        }
    }

    /// What an end prints; it must be something, and of the bad one something else than of the
    /// good one.
    fn end(&mut self, option: &str, commit: &str, good: Option<&Snapshot>) -> Result<Snapshot> {
        let verdict = match good {
            None => Verdict::Good,
            Some(_) => Verdict::Bad,
        };
        if self.state.get(commit).is_none() {
            let tried = self.tried(commit, |_| verdict)?;
            match &tried.verdict {
                Verdict::Skip(why) if !tried.is_built => {
                    let why = format!("{option} {} does not build: {why}", short(commit));
                    bail!(Error::Unbuilt(why));
                }
                Verdict::Skip(why) => bail!(Error::Unfit(format!(
                    "{option} {} cannot be replayed: {why}",
                    short(commit)
                ))),
                _ => self.check_end(option, &tried, good)?,
            }
            self.say(&tried)?;
            self.state.keep(tried)?;
        }
        let kept = self.state.get(commit).map(Tried::snapshot).transpose()?;
        kept.flatten().context("an end of the bisection is kept")
    }

    fn check_end(&self, option: &str, tried: &Tried, good: Option<&Snapshot>) -> Result<()> {
        let (step, name) = (self.args.step, short(&tried.commit));
        let now = tried.snapshot()?.context("an end was replayed")?;
        let other = good.and_then(|good| self.first_other(good, &now));
        let earlier = other.map_or(String::new(), |other| {
            format!("; the first step that does something else there is {other}: ask for that one")
        });
        let reaches = match good {
            None => now.record(step).is_some_and(|r| r.output.status != LOST),
            Some(_) => now.record(step).is_some(),
        };
        match good {
            _ if !reaches => bail!(Error::Unfit(format!(
                "{option} {name} does not come to the end of step {step}: {}{earlier}",
                trouble(&now).unwrap_or_default()
            ))),
            Some(good) if self.is_same(good, &now) => bail!(Error::Unfit(format!(
                "step {step} is the same at both ends{earlier}"
            ))),
            _ => Ok(()),
        }
    }

    /// Builds a commit, and replays the chapter on it; `judge` has the verdict if it could be
    /// replayed.
    fn tried(&self, commit: &str, judge: impl FnOnce(&Snapshot) -> Verdict) -> Result<Tried> {
        let begun = Instant::now();
        let skip = |why: String, is_built, begun: Instant| Tried {
            commit: commit.to_owned(),
            verdict: Verdict::Skip(why),
            is_built,
            printed: None,
            took: begun.elapsed(),
        };
        let made = self.make(commit)?;
        if let Some(why) = made.refusal {
            let why = format!("{why} (the whole log is {})", made.log.display());
            return Ok(skip(why, false, begun));
        }
        Ok(match self.replay(commit)? {
            Err(why) => skip(why, true, begun),
            Ok(now) => Tried {
                verdict: judge(&now),
                printed: Some(now.content()),
                ..skip(String::new(), true, begun)
            },
        })
    }

    fn make(&self, commit: &str) -> Result<Made> {
        let version = self.bench.history.version(commit)?;
        let series = self.pins.nearest(&version);
        let fragment = self.pins.fragment(&self.options.repository, series)?;
        let name = short(commit);
        let mut stage = Stage::begin(format!(
            "build {name} (Linux {version}, configured as {series})"
        ));
        let made = self.bench.make(commit, &fragment, |objects| {
            stage.at(format!("{objects} objects"));
        })?;
        if made.refusal.is_none() {
            stage.done();
        } else {
            drop(stage);
        }
        let is_first = self.state.tried().is_empty();
        if let (Some(first), true) = (made.unknown.first(), is_first && made.refusal.is_none()) {
            eprintln!(
                "note: it does not know {} of the lines of that configuration, such as {first}",
                made.unknown.len()
            );
        }
        Ok(made)
    }

    /// What the steps print on the commit that was built; or why they cannot be typed.
    fn replay(&self, commit: &str) -> Result<Result<Snapshot, String>> {
        let own = match OwnKernel::find(self.bench.tree()) {
            Ok(own) => own,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let moved = match self.is_one_source {
            true => self.bench.changes(&self.question.good, commit)?,
            false => Vec::new(),
        };
        let ready = Ready::make(
            &self.options,
            [&self.chapter],
            Some(Own::Commit(own, moved)),
        )?;
        let signals = Signals::catch()?;
        let mut stage = Stage::begin(format!("replay to step {}", self.args.step));
        let replayed = ready.replay_if(
            Otherwise::Counts,
            &self.chapter,
            self.count,
            &signals,
            &mut |event| {
                if let Event::Begin(step) = event {
                    stage.at(format!("at {}", step.id));
                }
            },
        );
        let snapshot = match replayed {
            // A step of the host's that waits for a guest which does not come up.
            Err(error) if Error::is_late(&error) || Error::is_flood(&error) => {
                return Ok(Err(format!("{error:#}")));
            }
            replayed => replayed?,
        };
        stage.done();
        // What the steps were typed on is the same each time, but for the kernel.
        let source = match self.is_one_source {
            true => "one",
            false => commit,
        };
        Ok(Ok(Snapshot {
            provenance: vec![("linux".to_owned(), source.to_owned())],
            ..snapshot
        }))
    }

    fn verdict(&self, good: &Snapshot, bad: &Snapshot, now: &Snapshot) -> Verdict {
        let Some(record) = now.record(self.args.step) else {
            let other = || self.first_other(good, now);
            let why = trouble(now).or_else(|| Some(format!("step {} is otherwise", other()?)));
            let why = why.map_or(String::new(), |why| format!(", since {why}"));
            return Verdict::Skip(format!("the step is not reached{why}"));
        };
        if self.is_same(good, now) {
            Verdict::Good
        } else if record.output.status == LOST && !self.is_same(bad, now) {
            Verdict::Skip(trouble(now).unwrap_or_default())
        } else {
            Verdict::Bad
        }
    }

    /// Whether the step says the same in both replays.
    fn is_same(&self, before: &Snapshot, now: &Snapshot) -> bool {
        let verdict = compare(before, &self.noise, now, self.args.step);
        matches!(
            fate(&verdict, self.args.step),
            Fate::Same | Fate::SameMeaning
        )
    }

    /// The first step before the one in question that says something else.
    fn first_other(&self, before: &Snapshot, now: &Snapshot) -> Option<String> {
        let step = self.args.step;
        match compare(before, &self.noise, now, step) {
            compare::Verdict::Different { steps, .. } => {
                let others = steps.into_iter().map(|difference| difference.step);
                others.into_iter().find(|other| *other != step.to_string())
            }
            _ => None,
        }
    }

    fn say(&self, tried: &Tried) -> Result<()> {
        let subject = self.bench.history.subject(&tried.commit)?;
        let took = seconds(tried.took);
        match &tried.verdict {
            Verdict::Good => anstream::eprintln!("{GOOD}good{GOOD:#} {subject} ({took})"),
            Verdict::Bad => anstream::eprintln!("{BAD}bad{BAD:#}  {subject} ({took})"),
            Verdict::Skip(why) => anstream::eprintln!("{DIM}skip{DIM:#} {subject} ({took}): {why}"),
        }
        Ok(())
    }

    fn found(&self, commit: &str, good: &Snapshot, bad: &Snapshot) -> Result<()> {
        let (history, step) = (&self.bench.history, self.args.step);
        let now = self.state.get(commit).map(Tried::snapshot).transpose()?;
        let now = now.flatten().context("a bad commit was replayed")?;
        anstream::println!("{BOLD}{}{BOLD:#}\n", history.shown(commit)?);
        let steps = self.chapter.steps.iter();
        if let Some(step) = steps.into_iter().find(|other| other.id == step) {
            let (id, prompt) = (step.id, step.terminal.prompt());
            anstream::println!("{DIM}{id}{DIM:#} {prompt} {BOLD}{}{BOLD:#}", step.command);
        }
        let [before, after] = [good, &now].map(|snapshot| printed(snapshot, step));
        print!("{}", beside(&before, &after));
        println!();
        if !self.is_same(bad, &now) {
            anstream::println!(
                "That is not what the step prints at --bad, so a later commit changes it once more:\n  \
                 runner bisect {step} --good {} --bad {} --git {}",
                short(commit),
                self.args.bad,
                self.args.git.display()
            );
        }
        let versions = [
            history.version(&format!("{commit}^"))?,
            history.version(commit)?,
        ];
        let [before, after] = versions
            .each_ref()
            .map(|version| self.pins.nearest(version));
        if before != after {
            println!(
                "With this commit the configuration changes, too, from that of Linux {before} to that of \
                 {after}: it may be the cause."
            );
        }
        self.sum_up();
        Ok(())
    }

    fn sum_up(&self) {
        let tried = self.state.tried();
        let built = tried.iter().filter(|tried| tried.is_built).count();
        let replayed = tried.iter().filter(|tried| tried.printed.is_some()).count();
        let skips = |tried: &&Tried| matches!(tried.verdict, Verdict::Skip(_));
        let skipped = tried.iter().filter(skips).count();
        let took: Duration = tried.iter().map(|tried| tried.took).sum();
        println!(
            "{} commits: {built} built, {replayed} replayed, {skipped} skipped, {}",
            self.between,
            seconds(took)
        );
    }
}

/// What a step has printed, and how it ended if not well.
fn printed(snapshot: &Snapshot, step: StepId) -> String {
    snapshot.record(step).map_or(String::new(), |record| {
        let output = &record.output;
        let status = match output.status {
            0 => String::new(),
            status => format!("exit status {status}\n"),
        };
        format!("{}{}{status}", output.stdout, output.stderr)
    })
}

/// What has become of the machine, if it was lost.
fn trouble(now: &Snapshot) -> Option<String> {
    let mut records = now.transcript.records.iter();
    let record = records.find(|record| record.output.status == LOST)?;
    let mut lines = record.output.stderr.lines();
    let oops = lines.find(|line| line.contains("the kernel has stopped"));
    let why = oops.or(record.output.stderr.lines().last());
    Some(format!("step {}: {}", record.id, why.unwrap_or_default()))
}
