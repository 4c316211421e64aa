//! An answer to an exercise: its replay, and which points it reaches.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fs_err as fs;

use super::as_chapter;
use crate::ready::{Own, Ready};
use book::chapter::Chapter;
use book::exercise::judge::Evidence;
use book::exercise::{Exercise, Kind, Test};
use book::fault::Fault;
use book::snapshot::compare::Verdict;
use lab::build::plank::Plank;
use lab::build::rootfs;
use lab::build::setup::{Lab, Options};
use lab::replay::{Event, Otherwise, replay};
use lab::system::process::Signals;
use lab::system::progress::Stage;
use lab::transcript::Record;
use lab::transcript::script::Script;
use lab::transcript::step::Step;

/// How much of a step's output a verdict shows, in lines.
const SHOWN: usize = 8;
/// What the guest's shell says of a program that its own mistake has ended.
const CRASHES: [&str; 5] = [
    "Segmentation fault",
    "Bus error",
    "Illegal instruction",
    "Floating point exception",
    "Aborted",
];
/// Where the programs of the guest are.
const PROGRAMS: &str = "bin";

/// What somebody gives for an answer.
pub enum Answer {
    /// A plank.
    Kernel(Plank),
    /// The source of a program of the guest.
    Program(PathBuf),
    /// Steps, and the file that they stand in.
    Steps(Vec<Step>, PathBuf),
    /// A word.
    Word(String),
    /// Nothing at all.
    Nothing,
}

/// What has become of an answer.
pub struct Grade {
    /// Each point in words, and why it is not reached if it is not.
    pub points: Vec<(String, Option<String>)>,
    /// What ended the machine before its time.
    pub stopped: Option<String>,
    /// What else the reader should know: steps of the answer that did not end well, and where its
    /// program crashed.
    pub notes: Vec<String>,
}

impl Grade {
    /// How many points hold.
    #[must_use]
    pub fn reached(&self) -> usize {
        let held = self.points.iter().filter(|(_, missed)| missed.is_none());
        held.count()
    }

    /// The reasons why points do not hold, together.
    #[must_use]
    pub fn reasons(&self) -> String {
        let missed = self
            .points
            .iter()
            .filter_map(|(_, missed)| missed.as_deref());
        let all: Vec<&str> = missed.chain(self.stopped.as_deref()).collect();
        all.join("\n")
    }
}

/// Replays the exercise with an answer, and judges it.
///
/// # Errors
/// A program that does not compile, and what [`replay`] says.
pub fn grade(options: &Options, exercise: &Exercise, answer: Answer) -> anyhow::Result<Grade> {
    let word = match &answer {
        Answer::Word(word) => Some(word.clone()),
        _ => None,
    };
    Replayed::of(options, exercise, answer)?.judged(word.as_deref(), exercise.kind != Kind::Predict)
}

/// A replay of an exercise, which can be judged.
pub struct Replayed<'a> {
    exercise: &'a Exercise,
    ready: Ready,
    chapters: Vec<Chapter>,
    steps: Vec<Step>,
    before: usize,
    /// Where the reader's steps stand.
    from: PathBuf,
    records: Vec<Record>,
    signals: Signals,
}

impl<'a> Replayed<'a> {
    /// # Errors
    /// A program that does not compile, and what [`replay`] says.
    pub fn of(options: &Options, exercise: &'a Exercise, answer: Answer) -> anyhow::Result<Self> {
        let root = &options.repository;
        let chapters = exercise.points.iter().filter_map(|point| match point.test {
            Test::Chapter(number) => Some(Chapter::find(root, &number.to_string())),
            _ => None,
        });
        let chapters: Vec<Chapter> = chapters.collect::<Result<_, _>>()?;
        let (mut own, mut typed, mut program) = (None, Vec::new(), None);
        let mut from = PathBuf::new();
        let is_changed = matches!(answer, Answer::Kernel(_));
        match answer {
            Answer::Kernel(plank) => own = Some(Own::Plank(plank)),
            Answer::Program(file) => program = Some(file),
            Answer::Steps(steps, file) => {
                typed = steps;
                from = file;
            }
            Answer::Word(_) | Answer::Nothing => {}
        }
        let (this, _) = as_chapter(exercise);
        let ready = Ready::make(options, chapters.iter().chain([&this]), own)?;
        let mut lab = ready.lab(&this).clone();
        if let (Some(source), Some(name)) = (program, &exercise.program) {
            lab.programs.push(compile(options, &lab, &source, name)?);
        }
        let (steps, before) = exercise.script(&typed);
        let script = Script {
            path: &exercise.path,
            steps: &steps,
        };
        let signals = Signals::catch()?;
        let mut stage = Stage::begin(format!("replay {}", exercise.name));
        let (counts, count) = (Otherwise::Counts, steps.len());
        let now = replay(root, script, count, &lab, counts, &signals, &mut |event| {
            if let Event::Begin(step) = event {
                stage.at(format!("{} of {count}", step.id.number));
            }
        })?;
        stage.done();
        if !is_changed {
            given_went_well(exercise, &steps, &now.records)?;
        }
        Ok(Self {
            records: now.records,
            exercise,
            ready,
            chapters,
            steps,
            before,
            from,
            signals,
        })
    }

    /// Judges it, with the answer to a prediction; and shows what was printed, if it may be seen.
    ///
    /// # Errors
    /// When a chapter cannot be replayed.
    pub fn judged(&self, word: Option<&str>, may_see: bool) -> anyhow::Result<Grade> {
        let mut evidence = Evidence {
            records: &self.records,
            before: self.before,
            answer: word,
            chapter: &mut |number| self.in_chapter(number),
        };
        let outcomes = self.exercise.judge(&mut evidence)?;
        let points = outcomes.into_iter().map(|outcome| {
            let missed = outcome.missed.map(|missed| {
                let seen = missed.seen.filter(|_| may_see).map(|record| {
                    let step = self.steps.iter().find(|step| step.id == record.id);
                    let command = step.map_or("", |step| &step.command);
                    let text = format!("{}{}", record.output.stdout, record.output.stderr);
                    excerpt(&format!("{} {command}", record.terminal.prompt()), &text)
                });
                format!("{}{}", missed.why, seen.unwrap_or_default())
            });
            (outcome.point.holds.clone(), missed)
        });
        let mut records = self.records.iter();
        let stopped = records.find(|record| record.output.status == -1);
        Ok(Grade {
            points: points.collect(),
            stopped: stopped.map(|record| record.output.stderr.trim_end().to_owned()),
            notes: [self.notes(), self.crashes()].concat(),
        })
    }

    /// The reader's steps that did not end as they should, or were not reached.
    fn notes(&self) -> Vec<String> {
        let typed = &self.steps[self.exercise.given.len()..self.before];
        let file = self
            .from
            .strip_prefix(&self.ready.root)
            .unwrap_or(&self.from);
        let told = typed.iter().filter_map(|step| {
            let record = self.records.iter().find(|record| record.id == step.id);
            let how = match record {
                None => "was not reached".to_owned(),
                Some(record) if record.output.status == step.status => return None,
                Some(record) if record.output.status == -1 => "did not end".to_owned(),
                Some(record) => {
                    let said = record.output.stderr.trim_end();
                    format!("ended with exit status {}: {said}", record.output.status)
                }
            };
            let (file, line, command) = (file.display(), step.line, &step.command);
            Some(format!("{file}:{line}: `{command}` {how}"))
        });
        told.collect()
    }

    /// Where the reader's program has crashed, as far as a shell told.
    fn crashes(&self) -> Vec<String> {
        let Some(program) = &self.exercise.program else {
            return Vec::new();
        };
        let told = self.records.iter().filter_map(|record| {
            let output = &record.output;
            let mut lines = output.stdout.lines().chain(output.stderr.lines());
            let line = lines.find(|line| CRASHES.iter().any(|crash| line.contains(crash)))?;
            let step = self.steps.iter().find(|step| step.id == record.id)?;
            Some(format!("{program} crashed at `{}`: {line}", step.command))
        });
        told.collect()
    }

    /// In which way a chapter is not what the book says, if it is not.
    fn in_chapter(&self, number: u32) -> anyhow::Result<Option<String>> {
        let chapter = self
            .chapters
            .iter()
            .find(|chapter| chapter.number == number);
        let chapter = chapter.context("it was read before")?;
        let stage = Stage::begin(format!("replay chapter {number}"));
        let count = chapter.steps.len();
        let now = self
            .ready
            .replay(chapter, count, &self.signals, &mut |_| {})?;
        let verdict = self.ready.judge(chapter, &now, chapter.last())?;
        stage.done();
        Ok(otherwise(verdict.as_ref()))
    }
}

/// Refuses an exercise whose given steps do not end as they should on the book's own kernel: its
/// author has to mend them.
fn given_went_well(exercise: &Exercise, steps: &[Step], records: &[Record]) -> anyhow::Result<()> {
    for (step, record) in steps.iter().zip(records).take(exercise.given.len()) {
        let found = record.output.status;
        if record.id != step.id || found != step.status {
            let stderr = record.output.stderr.trim_end();
            let message = format!("the given step ended with exit status {found}\n{stderr}");
            return Err(
                book::fault::Error::from(Fault::new(&exercise.path, step.line, message)).into(),
            );
        }
    }
    Ok(())
}

/// In which way a chapter is not what the book says, if it is not.
fn otherwise(verdict: Option<&Verdict>) -> Option<String> {
    let Some(Verdict::Different {
        steps, unreached, ..
    }) = verdict
    else {
        return None;
    };
    let first = steps
        .first()
        .map(|step| format!("{}: {}", step.place(), step.line));
    let first = first.or_else(|| {
        unreached
            .first()
            .map(|id| format!("step {id} was not reached"))
    });
    let count = steps.len() + unreached.len();
    Some(format!(
        "{count} of its steps differ; {}",
        first.unwrap_or_default()
    ))
}

/// The beginning and the end of what a step printed, below what was typed.
fn excerpt(typed: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut told = format!("\n{typed}");
    let cut = lines.len() > SHOWN;
    let (head, tail) = match cut {
        true => (&lines[..SHOWN / 2], &lines[lines.len() - SHOWN / 2..]),
        false => (&lines[..], &lines[..0]),
    };
    for line in head {
        told += &format!("\n{line}");
    }
    if cut {
        told += &format!("\n… {} more lines …", lines.len() - SHOWN);
    }
    for line in tail {
        told += &format!("\n{line}");
    }
    told
}

/// Compiles a program of the guest; gives its place there, and its bytes.
fn compile(
    options: &Options,
    lab: &Lab,
    source: &Path,
    program: &str,
) -> anyhow::Result<(String, Vec<u8>)> {
    let stem = program.strip_suffix(".c").unwrap_or(program);
    let place = format!("{PROGRAMS}/{stem}");
    let folder = source.parent().context("a file lies in a folder")?;
    let file = source.file_name().unwrap_or_default().to_string_lossy();
    let places = [(&*file, &*place)];
    let made = rootfs::programs(&options.cache, &lab.sandbox, folder, &places);
    let made = made.map_err(|error| match lab::Error::of(&error) {
        Some(_) => error,
        None => lab::Error::Unbuilt(format!("{program} does not compile: {error:#}")).into(),
    })?;
    let bytes = fs::read(made.path(stem))?;
    Ok((place, bytes))
}
