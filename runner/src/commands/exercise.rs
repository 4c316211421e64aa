//! `runner exercise`: what the book asks of its reader, and a machine that grades it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::println;
use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, bail, ensure};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::commands::plank;
use crate::context::Context;
use crate::ready::{Own, Ready};
use crate::{repository, visit};
use book::chapter::markdown::Page;
use book::chapter::{self, Chapter};
use book::exercise::judge::Evidence;
use book::exercise::{self, Exercise, Kind, Test, place};
use book::fault::Fault;
use book::page::values::Values;
use book::prose::glossary::Glossary;
use book::snapshot::compare::{Verdict, judge};
use lab::build::patch::Patch;
use lab::build::plank::Plank;
use lab::build::rootfs;
use lab::build::setup::{self, Lab, Options};
use lab::replay::{Event, Otherwise, replay};
use lab::system::files;
use lab::system::process::Signals;
use lab::system::progress::Stage;
use lab::transcript::Record;
use lab::transcript::script::Script;
use lab::transcript::step::Step;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The reader's answers that are no kernels, in the repository.
const ANSWERS: &str = "answers";
/// The plank in which authors try answers.
const PROVED: &str = "prove";
/// What the reader has reached, beside the answers.
const PROGRESS: &str = "progress.json";
/// How much of a step's output a verdict shows, in lines.
const SHOWN: usize = 8;
/// Where the programs of the guest are.
const PROGRAMS: &str = "bin";

/// Which exercise, and what to do with it.
#[derive(Debug, clap::Args)]
#[command(subcommand_precedence_over_arg = true)]
pub struct Args {
    /// The exercise: shows it, and sets it up; without a name all are listed
    name: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Says which points your answer reaches, and why it does not reach the others
    Check {
        /// What you predict, where a prediction is asked for
        answer: Option<String>,
    },
    /// Shows the hint
    Hint,
    /// Hands over the machine on which you are to observe something
    Shell,
    /// For authors: tries the solution, the empty answer and each wrong one
    ///
    /// Of all exercises, if none is named.
    Prove {
        /// Try the solution so many times
        #[arg(long, value_name = "COUNT", default_value_t = 1)]
        times: usize,
    },
}

/// An exercise, and where it stands.
struct Placed {
    exercise: Exercise,
    /// The chapter's number.
    chapter: Option<u32>,
    statement: String,
    hint: Option<String>,
}

/// What somebody gives for an answer.
enum Answer {
    /// A plank.
    Kernel(Plank),
    /// The source of a program of the guest.
    Program(PathBuf),
    /// Steps.
    Steps(Vec<Step>),
    /// A word.
    Word(String),
    /// Nothing at all.
    Nothing,
}

/// What has become of an answer.
struct Grade {
    /// Each point in words, and why it is not reached if it is not.
    points: Vec<(String, Option<String>)>,
    /// What ended the machine before its time.
    stopped: Option<String>,
}

/// What the reader has reached in an exercise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    points: usize,
    of: usize,
}

/// Runs the subcommand: 0 all points hold, 1 not.
///
/// # Errors
/// No such exercise, an answer that cannot be graded, and a lab that cannot run.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let options = context.options(&root)?;
    let named = || match &args.name {
        Some(name) => Placed::find(&root, name),
        None => bail!(lab::Error::Unfit(
            "which exercise? `runner exercise` lists them".to_owned()
        )),
    };
    match &args.command {
        None => match &args.name {
            None => list(&root)?,
            Some(_) => begin(&root, &options, &named()?)?,
        },
        Some(Command::Hint) => {
            let hint = named()?.hint;
            println!("{}", hint.as_deref().unwrap_or("there is no hint"));
        }
        Some(Command::Shell) => return shell(&options, &named()?.exercise),
        Some(Command::Check { answer }) => {
            return check(&root, &options, &named()?.exercise, answer.as_deref());
        }
        Some(Command::Prove { times }) => {
            let names = match &args.name {
                Some(name) => vec![name.clone()],
                None => Exercise::names(&root)?,
            };
            return prove(&root, &options, &names, *times);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Placed {
    /// The exercise of this name, with its statement as far as a page has one.
    fn find(root: &Path, name: &str) -> anyhow::Result<Self> {
        let exercise = Exercise::find(root, name)?;
        for path in chapter::paths(root)? {
            let text = chapter::text(root, &path)?;
            let page = Page::read(&text);
            let (places, _) = place::of_page(&path, &page);
            if places.iter().any(|place| place.name == name) {
                let (statement, hint) = told(root, &path, &page, name)?;
                return Ok(Self {
                    exercise,
                    chapter: chapter::name_of(&path).ok().map(|(number, _)| number),
                    statement,
                    hint,
                });
            }
        }
        Ok(Self {
            exercise,
            chapter: None,
            statement: "(No page has this exercise.)".to_owned(),
            hint: None,
        })
    }
}

/// The statement and the hint of an exercise, with the values that a page would have.
fn told(
    root: &Path,
    path: &Path,
    page: &Page<'_>,
    name: &str,
) -> anyhow::Result<(String, Option<String>)> {
    let mut values = Values::read(root, Glossary::read(root)?)?;
    let filled = page.edited(values.fill(path, page).0);
    let page = Page::read(&filled);
    let (places, _) = place::of_page(path, &page);
    let place = places.iter().find(|place| place.name == name);
    let statement = place.map_or("", |place| &filled[place.statement.clone()]);
    let (statement, hint) = place::split_hint(statement);
    Ok((
        without_markup(&statement),
        hint.map(|hint| without_markup(&hint)),
    ))
}

/// The text without the elements that values become.
fn without_markup(text: &str) -> String {
    let element = regex_lite::Regex::new("</?(a|code|span)( [^>]*)?>").expect("a valid pattern");
    let text = element.replace_all(text, "");
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// Lists the exercises in the order of the book.
fn list(root: &Path) -> anyhow::Result<()> {
    let reached = progress(root);
    let mut all: BTreeMap<(u32, usize), String> = BTreeMap::new();
    for path in chapter::paths(root)? {
        let text = chapter::text(root, &path)?;
        let page = Page::read(&text);
        let Ok((number, _)) = chapter::name_of(&path) else {
            continue;
        };
        for (at, place) in place::of_page(&path, &page).0.iter().enumerate() {
            all.insert((number, at), place.name.to_owned());
        }
    }
    if all.is_empty() {
        println!("the book has no exercises yet");
    }
    let width = all.values().map(String::len).max().unwrap_or(0);
    for ((chapter, _), name) in &all {
        let exercise = Exercise::find(root, name)?;
        let effort = exercise.effort.map_or("", exercise::Effort::words);
        let state = match reached.get(name) {
            Some(Reached { points, of }) if points == of => format!("{GOOD}solved{GOOD:#}"),
            Some(Reached { points, of }) => format!("{points} of {of} points"),
            None => String::new(),
        };
        let line = format!(
            "{chapter:>2}  {name:width$}  {:7}  {effort:12}  {state}",
            exercise.kind.word()
        );
        println!("{}", line.trim_end());
    }
    Ok(())
}

/// Shows an exercise, and sets up what is to be changed.
fn begin(root: &Path, options: &Options, placed: &Placed) -> anyhow::Result<()> {
    let Placed { exercise, .. } = placed;
    let name = &exercise.name;
    let chapter = placed.chapter.map(|number| format!("chapter {number}, "));
    let effort = exercise
        .effort
        .map(|effort| format!(", {}", effort.words()));
    println!(
        "{BOLD}{name}{BOLD:#} ({}{}{})\n\n{}\n\nWhat will be checked:",
        chapter.unwrap_or_default(),
        exercise.kind.word(),
        effort.unwrap_or_default(),
        placed.statement
    );
    for point in &exercise.points {
        println!("- {}", point.holds);
    }
    println!();
    if placed.hint.is_some() {
        println!("{DIM}A hint: runner exercise {name} hint{DIM:#}");
    }
    match exercise.kind {
        Kind::Predict => println!("Say what you expect: runner exercise {name} check ANSWER"),
        Kind::Observe => {
            let file = answer_file(root, exercise);
            let start = "# One step a line, as a chapter has them: guest ip neigh\n";
            set_up(&file, start.as_bytes())?;
            println!(
                "Try it on the machine: runner exercise {name} shell\n\
                 Keep your steps in {} (there: .save FILE), and then: runner exercise {name} check",
                shown(root, &file)
            );
        }
        Kind::Change => {
            let place = match exercise.start(root) {
                Some(start) => {
                    let file = answer_file(root, exercise);
                    set_up(&file, &fs::read(root.join(start))?)?;
                    file
                }
                None => match Plank::find(root, name) {
                    Ok(plank) => plank.tree(),
                    Err(_) => plank::new(root, options, name)?.tree(),
                },
            };
            println!(
                "Change {}, and then: runner exercise {name} check",
                shown(root, &place)
            );
        }
    }
    Ok(())
}

/// Where the reader's answer lies, if it is a file.
fn answer_file(root: &Path, exercise: &Exercise) -> PathBuf {
    let folder = root.join(ANSWERS).join(&exercise.name);
    match &exercise.program {
        Some(program) => folder.join(program),
        None => folder.join("answer.steps"),
    }
}

/// Makes a file for the reader, if it is not there.
fn set_up(file: &Path, text: &[u8]) -> anyhow::Result<()> {
    if !file.exists() {
        fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
        fs::write(file, text)?;
    }
    Ok(())
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Hands over the machine of an exercise, with its given steps done.
fn shell(options: &Options, exercise: &Exercise) -> anyhow::Result<ExitCode> {
    let (steps, count) = exercise.script(&[]);
    let given = Chapter {
        path: exercise.path.clone(),
        number: 0,
        name: exercise.name.clone(),
        steps,
        patches: Vec::new(),
    };
    let ready = Ready::make(options, [], None)?;
    let histories = options.cache.root().to_owned();
    visit::stay(&ready, &given, count, Otherwise::Fails, histories)
}

/// Grades the reader's answer.
fn check(
    root: &Path,
    options: &Options,
    exercise: &Exercise,
    word: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let name = &exercise.name;
    let unfit = |why: String| lab::Error::Unfit(why);
    ensure!(
        (exercise.kind == Kind::Predict) == word.is_some(),
        unfit(match word {
            None => format!("say what you expect: runner exercise {name} check ANSWER"),
            Some(_) => format!("{name} is no prediction, and takes no answer on the line"),
        })
    );
    let file = answer_file(root, exercise);
    let is_file = exercise.kind == Kind::Observe || exercise.program.is_some();
    ensure!(
        !is_file || file.is_file(),
        unfit(format!(
            "there is no {} yet; set it up: runner exercise {name}",
            shown(root, &file)
        ))
    );
    let answer = match (exercise.kind, &exercise.program) {
        (Kind::Predict, _) => Answer::Word(word.unwrap_or_default().to_owned()),
        (Kind::Observe, _) => Answer::Steps(steps_of(root, &file)?),
        (Kind::Change, Some(_)) => Answer::Program(file),
        (Kind::Change, None) => match Plank::find(root, name) {
            Ok(plank) => Answer::Kernel(plank),
            Err(_) => bail!(unfit(format!(
                "there is no planks/{name} yet; set it up: runner exercise {name}"
            ))),
        },
    };
    let grade = grade(options, exercise, answer)?;
    let all = show(&grade);
    keep_progress(root, name, &grade)?;
    Ok(ExitCode::from(u8::from(!all)))
}

/// The steps of an answer's file.
fn steps_of(root: &Path, file: &Path) -> anyhow::Result<Vec<Step>> {
    let text = fs::read_to_string(file)?;
    let steps = exercise::steps(&text, 1).map_err(|(line, message)| {
        lab::Error::Unfit(format!("{}:{line}: {message}", shown(root, file)))
    })?;
    Ok(steps)
}

/// Replays the exercise with an answer, and judges it.
fn grade(options: &Options, exercise: &Exercise, answer: Answer) -> anyhow::Result<Grade> {
    let word = match &answer {
        Answer::Word(word) => Some(word.clone()),
        _ => None,
    };
    Replayed::of(options, exercise, answer)?.judged(word.as_deref(), exercise.kind != Kind::Predict)
}

/// A replay of an exercise, which can be judged.
struct Replayed<'a> {
    exercise: &'a Exercise,
    ready: Ready,
    chapters: Vec<Chapter>,
    steps: Vec<Step>,
    before: usize,
    records: Vec<Record>,
    signals: Signals,
}

impl<'a> Replayed<'a> {
    fn of(options: &Options, exercise: &'a Exercise, answer: Answer) -> anyhow::Result<Self> {
        let root = &options.repository;
        let chapters = exercise.points.iter().filter_map(|point| match point.test {
            Test::Chapter(number) => Some(Chapter::find(root, &number.to_string())),
            _ => None,
        });
        let chapters: Vec<Chapter> = chapters.collect::<Result<_, _>>()?;
        let (mut own, mut typed, mut program) = (None, Vec::new(), None);
        let is_changed = matches!(answer, Answer::Kernel(_));
        match answer {
            Answer::Kernel(plank) => own = Some(Own::Plank(plank)),
            Answer::Program(file) => program = Some(file),
            Answer::Steps(steps) => typed = steps,
            Answer::Word(_) | Answer::Nothing => {}
        }
        let ready = Ready::make(options, &chapters, own)?;
        let mut lab = ready.lab(&[]).clone();
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
            signals,
        })
    }

    /// Judges it, with the answer to a prediction; and shows what was printed, if it may be seen.
    fn judged(&self, word: Option<&str>, may_see: bool) -> anyhow::Result<Grade> {
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
        })
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
        let verdict = judge(&self.ready.root, &chapter.name, &now, chapter.last())?;
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

/// Shows which points hold; tells whether all do.
fn show(grade: &Grade) -> bool {
    if let Some(stopped) = &grade.stopped {
        println!("{BAD}{stopped}{BAD:#}\n");
    }
    for (holds, missed) in &grade.points {
        match missed {
            None => println!("{GOOD}✓{GOOD:#} {holds}"),
            Some(why) => {
                let mut lines = why.lines();
                println!(
                    "{BAD}✗{BAD:#} {holds}\n  {}",
                    lines.next().unwrap_or_default()
                );
                for line in lines {
                    println!("    {DIM}{line}{DIM:#}");
                }
            }
        }
    }
    let (reached, of) = (grade.reached(), grade.points.len());
    let style = if reached == of { GOOD } else { BAD };
    println!("\n{style}{reached} of {of} points{style:#}");
    reached == of
}

impl Grade {
    /// How many points hold.
    fn reached(&self) -> usize {
        let held = self.points.iter().filter(|(_, missed)| missed.is_none());
        held.count()
    }

    /// The reasons why points do not hold, together.
    fn reasons(&self) -> String {
        let missed = self
            .points
            .iter()
            .filter_map(|(_, missed)| missed.as_deref());
        let all: Vec<&str> = missed.chain(self.stopped.as_deref()).collect();
        all.join("\n")
    }
}

/// What was reached so far; what cannot be read was never reached.
fn progress(root: &Path) -> BTreeMap<String, Reached> {
    let text = fs::read_to_string(root.join(ANSWERS).join(PROGRESS)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Keeps what was reached. The best counts: who tries something else has solved it all the same.
fn keep_progress(root: &Path, name: &str, grade: &Grade) -> anyhow::Result<()> {
    let now = Reached {
        points: grade.reached(),
        of: grade.points.len(),
    };
    let mut all = progress(root);
    let before = all.get(name).filter(|before| before.of == now.of);
    if before.is_none_or(|before| before.points < now.points) {
        all.insert(name.to_owned(), now);
        let text = serde_json::to_string_pretty(&all)?;
        let folder = root.join(ANSWERS);
        fs::create_dir_all(&folder)?;
        files::write_whole(&folder.join(PROGRESS), text.as_bytes())?;
    }
    Ok(())
}

/// Tries what authors give: each solution reaches all points, and nothing else does.
fn prove(
    root: &Path,
    options: &Options,
    names: &[String],
    times: usize,
) -> anyhow::Result<ExitCode> {
    let mut failed = 0;
    for name in names {
        let exercise = Exercise::find(root, name)?;
        println!("{BOLD}{name}{BOLD:#}");
        let solution = || match exercise.solution() {
            Some(file) => answer(options, &exercise, &file),
            None => Ok(Answer::Word(exercise.answer.clone().unwrap_or_default())),
        };
        let mut last = None;
        for time in 1..=times {
            let replayed = Replayed::of(options, &exercise, solution()?)?;
            let grade = replayed.judged(exercise.answer.as_deref(), true)?;
            let holds = grade.reached() == grade.points.len();
            failed += usize::from(!holds);
            let what = format!("the solution, {time} of {times}");
            tell(holds, &what, &grade.reasons());
            last = Some(replayed).filter(|_| exercise.kind == Kind::Predict);
        }
        // Whatever is predicted, what comes is the same.
        let tried = |answer: &dyn Fn() -> anyhow::Result<Answer>, word: &str| match &last {
            Some(replayed) => replayed.judged(Some(word), false),
            None => grade(options, &exercise, answer()?),
        };
        let nothing = tried(&|| Ok(Answer::Nothing), "")?;
        let fails = nothing.reached() < nothing.points.len();
        failed += usize::from(!fails);
        tell(fails, "the empty answer fails", "it reaches all points");
        for wrong in &exercise.wrong {
            let file = exercise.wrong_file(wrong);
            let grade = tried(&|| answer(options, &exercise, &file), &wrong.answer)?;
            let reasons = grade.reasons();
            let fails = grade.reached() < grade.points.len() && reasons.contains(&wrong.why);
            failed += usize::from(!fails);
            let found = match &*reasons {
                "" => "it reaches all points",
                reasons => reasons,
            };
            let what = format!("{} fails: {}", wrong.answer, wrong.why);
            tell(fails, &what, found);
        }
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Says of one thing that was tried whether it is as it should be, and what was found if not.
fn tell(is_so: bool, what: &str, found: &str) {
    match is_so {
        true => println!("  {GOOD}✓{GOOD:#} {what}"),
        false => {
            println!("  {BAD}✗{BAD:#} {what}");
            for line in found.lines() {
                println!("      {DIM}{line}{DIM:#}");
            }
        }
    }
}

/// The answer that a file of the repository is.
fn answer(options: &Options, exercise: &Exercise, file: &Path) -> anyhow::Result<Answer> {
    let root = &options.repository;
    let path = root.join(file);
    ensure!(
        path.is_file(),
        lab::Error::Unfit(format!("there is no {}", file.display()))
    );
    Ok(match (exercise.kind, &exercise.program) {
        (Kind::Change, Some(_)) => Answer::Program(path),
        (Kind::Change, None) => {
            let lab = setup::ready(options)?;
            let plank = match Plank::find(root, PROVED) {
                Ok(plank) => plank,
                Err(_) => plank::new(root, options, PROVED)?,
            };
            plank.put(&lab, &[Patch::read(&path)?])?;
            Answer::Kernel(plank)
        }
        _ => Answer::Steps(steps_of(root, &path)?),
    })
}
