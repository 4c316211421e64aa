//! `runner exercise`: what the book asks of its reader, and a machine that grades it.

mod grade;
mod prove;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::println;
use anyhow::{Context as _, bail, ensure};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::commands::plank;
use crate::context::Context;
use crate::ready::{Own, Ready};
use crate::screen::{BAD, BOLD, DIM, GOOD};
use crate::{repository, visit};
use book::chapter::markdown::Page;
use book::chapter::{self, Chapter};
use book::exercise::{self, Exercise, Kind, place};
use book::page::values::Values;
use book::prose::glossary::Glossary;
use grade::{Answer, Grade, grade};
use lab::build::plank::Plank;
use lab::build::setup::Options;
use lab::replay::Otherwise;
use lab::system::files;
use lab::transcript::step::{Step, Terminal};

/// The reader's answers that are no kernels, in the repository.
const ANSWERS: &str = "answers";
/// What the reader has reached, beside the answers.
const PROGRESS: &str = "progress.json";

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
        Some(name) => Exercise::find(&root, name),
        None => bail!(lab::Error::Unfit(
            "which exercise? `runner exercise` lists them".to_owned()
        )),
    };
    match &args.command {
        None => match &args.name {
            None => list(&root)?,
            Some(_) => begin(&root, &options, &Placed::find(&root, named()?)?)?,
        },
        Some(Command::Hint) => {
            let hint = Placed::find(&root, named()?)?.hint;
            println!("{}", hint.as_deref().unwrap_or("there is no hint"));
        }
        Some(Command::Shell) => return shell(&options, &named()?),
        Some(Command::Check { answer }) => {
            return check(&root, &options, &named()?, answer.as_deref());
        }
        Some(Command::Prove { times }) => {
            let names = match &args.name {
                Some(name) => vec![name.clone()],
                None => Exercise::names(&root)?,
            };
            return prove::prove(&root, &options, &names, *times);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Placed {
    /// The exercise with its statement, as far as a page has one.
    fn find(root: &Path, exercise: Exercise) -> anyhow::Result<Self> {
        let name = &exercise.name;
        for path in chapter::paths(root)? {
            let text = chapter::text(root, &path)?;
            let page = Page::read(&text);
            let (places, _) = place::of_page(&path, &page);
            if places.iter().any(|place| place.name == *name) {
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
    let reached = progress(root).unwrap_or_else(|error| {
        eprintln!("note: {error:#}");
        BTreeMap::new()
    });
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
        let exercise = match Exercise::find(root, name) {
            Ok(exercise) => exercise,
            // One that is wrong hides no other.
            Err(error) => {
                println!("{chapter:>2}  {name:width$}  {BAD}{error:#}{BAD:#}");
                continue;
            }
        };
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
            fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
            let file = shown(root, &file);
            println!(
                "Try it on the machine: runner exercise {name} shell\n\
                 Keep your steps (there: .save {file}; or write one a line, such as \
                 `guest ip neigh`), and then: runner exercise {name} check"
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
                    Err(_) => plank::new(root, options, name, &[])?.tree(),
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

/// A path as it can be typed where the reader is.
fn shown(root: &Path, path: &Path) -> String {
    let is_there = std::env::current_dir().is_ok_and(|here| here == root);
    let inside = path.strip_prefix(root).ok().filter(|_| is_there);
    inside.unwrap_or(path).display().to_string()
}

/// Hands over the machine of an exercise, with its given steps done.
fn shell(options: &Options, exercise: &Exercise) -> anyhow::Result<ExitCode> {
    let (given, count) = as_chapter(exercise);
    // Who changes the kernel wants to see it at work.
    let plank = Plank::find(&options.repository, &exercise.name).ok();
    let is_changed = exercise.kind == Kind::Change && exercise.program.is_none();
    let own = plank.filter(|_| is_changed).map(Own::Plank);
    let otherwise = if own.is_some() {
        Otherwise::Counts
    } else {
        Otherwise::Fails
    };
    let ready = Ready::make(options, [&given], own)?;
    let histories = options.cache.root().to_owned();
    let told = format!("set up {}", exercise.name);
    visit::stay(&ready, &given, count, otherwise, told, histories)
}

/// An exercise as a chapter that stands in no book, which says what kernel it has; and how many
/// steps are given.
fn as_chapter(exercise: &Exercise) -> (Chapter, usize) {
    let (steps, count) = exercise.script(&[]);
    let chapter = Chapter {
        path: exercise.path.clone(),
        number: 0,
        name: exercise.name.clone(),
        steps,
        patches: exercise.kernel.clone(),
        beside: Vec::new(),
    };
    (chapter, count)
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
            "there is no file {} yet; set it up: runner exercise {name}",
            shown(root, &file)
        ))
    );
    let answer = match (exercise.kind, &exercise.program) {
        (Kind::Predict, _) => Answer::Word(word.unwrap_or_default().to_owned()),
        (Kind::Observe, _) => Answer::Steps(steps_of(root, &file)?, file),
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
    // The verdict is what counts.
    if let Err(error) = keep_progress(root, name, &grade) {
        eprintln!("note: what you have reached is not kept: {error:#}");
    }
    Ok(ExitCode::from(u8::from(!all)))
}

/// The steps of an answer's file.
fn steps_of(root: &Path, file: &Path) -> anyhow::Result<Vec<Step>> {
    let unfit = |line: usize, message: &str| {
        lab::Error::Unfit(format!("{}:{line}: {message}", shown(root, file)))
    };
    let text = fs::read_to_string(file).map_err(|error| unfit(1, &error.to_string()))?;
    let steps = exercise::steps(&text, 1).map_err(|(line, message)| unfit(line, &message))?;
    match steps.iter().find(|step| step.terminal == Terminal::Lab) {
        Some(step) => Err(unfit(step.line, "the machine of an exercise has no lab").into()),
        None => Ok(steps),
    }
}

/// Shows which points hold; tells whether all do.
fn show(grade: &Grade) -> bool {
    if let Some(stopped) = &grade.stopped {
        println!("{BAD}{stopped}{BAD:#}\n");
    }
    for note in &grade.notes {
        println!("{BAD}{note}{BAD:#}");
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

/// What was reached so far.
fn progress(root: &Path) -> anyhow::Result<BTreeMap<String, Reached>> {
    let path = root.join(ANSWERS).join(PROGRESS);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(&path)?;
    serde_json::from_str(&text).with_context(|| {
        let path = shown(root, &path);
        format!("{path} is damaged; mend it, or remove it and begin anew")
    })
}

/// Keeps what was reached. The best counts: who tries something else has solved it all the same.
fn keep_progress(root: &Path, name: &str, grade: &Grade) -> anyhow::Result<()> {
    let now = Reached {
        points: grade.reached(),
        of: grade.points.len(),
    };
    let mut all = progress(root)?;
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
