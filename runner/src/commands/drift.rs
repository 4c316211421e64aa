//! `runner drift`: what the book's steps do otherwise on another series of the kernel, from what
//! was recorded on both. Nothing is replayed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use crate::beside::beside;
use crate::repository;
use crate::screen::{BOLD, DIM, GOOD};
use book::chapter::{self, Chapter};
use book::snapshot::Snapshot;
use book::snapshot::drift::{self, Counts, Fate};
use book::snapshot::reasons::{Form, Reasons};
use lab::build::pins::Pins;
use lab::transcript::step::StepId;

/// What to look at, and between which kernels.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A chapter, to list its steps, or one step, such as 6.239, to see both outputs; without it,
    /// all chapters are counted
    what: Option<String>,
    /// The series to look from
    #[arg(long, value_name = "SERIES", default_value = lab::SERIES)]
    from: String,
    /// The series to look at; each that was recorded if not given
    #[arg(long, value_name = "SERIES")]
    to: Option<String>,
}

/// Runs the subcommand.
///
/// # Errors
/// No such series, chapter or step; when a snapshot cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let pins = Pins::read(&root)?;
    pins.kernel(&args.from)?;
    let series: Vec<String> = match &args.to {
        Some(to) => {
            pins.kernel(to)?;
            vec![to.clone()]
        }
        None => {
            let others = pins.recorded().filter(|series| *series != args.from);
            others.map(str::to_owned).collect()
        }
    };
    let mut found = false;
    for to in &series {
        let heading = format!(
            "from Linux {} to {}",
            pins.kernel(&args.from)?.version,
            pins.kernel(to)?.version
        );
        let reasons = Reasons::read(&root, to)?;
        let between = Between {
            root: &root,
            from: &args.from,
            to,
            reasons,
        };
        found |= match &args.what {
            None => between.count(&heading)?,
            Some(what) => match what.parse::<StepId>() {
                Ok(id) => between.step(&heading, id)?,
                Err(_) => between.list(&heading, &Chapter::find(&root, what)?)?,
            },
        };
    }
    if !found {
        bail!(lab::Error::Unfit(format!(
            "nothing of it was recorded on {}; `runner record CHAPTER --series SERIES` does",
            series.join(", ")
        )));
    }
    Ok(ExitCode::SUCCESS)
}

/// Two series.
struct Between<'a> {
    root: &'a Path,
    from: &'a str,
    to: &'a str,
    reasons: Reasons,
}

impl Between<'_> {
    fn fates(&self, chapter: &Chapter) -> anyhow::Result<Option<Vec<(StepId, Fate)>>> {
        drift::between(self.root, chapter, self.from, self.to)
    }

    /// Counts the steps of all chapters; tells whether any was recorded.
    fn count(&self, heading: &str) -> anyhow::Result<bool> {
        let mut rows = Vec::new();
        for path in chapter::paths(self.root)? {
            let chapter = Chapter::read(self.root, &path)?;
            let Some(fates) = self.fates(&chapter)? else {
                continue;
            };
            let counts = Counts::of(&fates, &self.reasons);
            rows.push((chapter.number.to_string(), counts));
        }
        if rows.is_empty() {
            return Ok(false);
        }
        let sum = rows.iter().map(|(_, counts)| *counts).sum();
        rows.push(("all".to_owned(), sum));
        anstream::println!("{BOLD}{heading}{BOLD:#}");
        println!("chapter  same  in meaning  other form  otherwise  not there  unexplained");
        for (name, counts) in rows {
            let Counts {
                same,
                same_meaning,
                another_form,
                otherwise,
                absent,
                unexplained,
            } = counts;
            println!(
                "{name:>7}  {same:>4}  {same_meaning:>10}  {another_form:>10}  {otherwise:>9}  \
                 {absent:>9}  {unexplained:>11}"
            );
        }
        println!();
        Ok(true)
    }

    /// Lists the steps of a chapter that do something else; tells whether it was recorded.
    fn list(&self, heading: &str, chapter: &Chapter) -> anyhow::Result<bool> {
        let Some(fates) = self.fates(chapter)? else {
            return Ok(false);
        };
        anstream::println!("{BOLD}{heading}, chapter {}{BOLD:#}", chapter.number);
        for (id, fate) in fates {
            let told = match fate {
                Fate::Same | Fate::SameMeaning => continue,
                Fate::AnotherForm => format!("{DIM}the same in another form{DIM:#}"),
                Fate::Otherwise(difference) => difference.line,
                Fate::Absent => format!("{DIM}not there{DIM:#}"),
            };
            let command = chapter.steps.iter().find(|step| step.id == id);
            let command = command.map_or("", |step| &*step.command);
            anstream::println!("{id:<7} {BOLD}{command}{BOLD:#}");
            if let Some(Form { command, why, .. }) = self.reasons.form(id) {
                anstream::println!("     -> {BOLD}{command}{BOLD:#}\n        {GOOD}{why}{GOOD:#}");
            }
            anstream::println!("        {told}");
            if let Some(why) = self.reasons.of(id) {
                anstream::println!("        {GOOD}{why}{GOOD:#}");
            }
        }
        println!();
        Ok(true)
    }

    /// Shows a step on both, side by side; tells whether it was recorded.
    fn step(&self, heading: &str, id: StepId) -> anyhow::Result<bool> {
        let chapter = Chapter::find(self.root, &id.chapter.to_string())?;
        let step = &chapter.steps[chapter.position(id)? - 1];
        let read = |series| Snapshot::of_series(self.root, series, &chapter.name);
        let (Some(from), Some(to)) = (read(self.from)?, read(self.to)?) else {
            return Ok(false);
        };
        anstream::println!("{BOLD}{heading}, step {id}{BOLD:#}");
        let prompt = step.terminal.prompt();
        anstream::println!("{prompt} {BOLD}{}{BOLD:#}", step.command);
        if let Some(Form { command, why, .. }) = self.reasons.form(id) {
            let to = self.to;
            anstream::println!("on {to}, {prompt} {BOLD}{command}{BOLD:#}\n{GOOD}{why}{GOOD:#}");
        }
        let texts = [from, to].map(|snapshot| {
            let record = snapshot.record(id);
            record.map_or("(not there)\n".to_owned(), |record| {
                let output = &record.output;
                format!("{}{}", output.stdout, output.stderr)
            })
        });
        print!("{}", beside(&texts[0], &texts[1]));
        if let Some(why) = self.reasons.of(id) {
            anstream::println!("{GOOD}{why}{GOOD:#}");
        }
        println!();
        Ok(true)
    }
}
