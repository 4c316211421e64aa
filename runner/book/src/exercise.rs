//! Exercises that a machine grades: `exercises/NAME/exercise.toml`, and where they stand in the
//! text.
//!
//! An exercise is a script of steps, and points about what these print. The reader's answer is a
//! kernel, a program of the guest, steps in front of the script, or a word that is compared with
//! what the script prints. Since the guest repeats itself, one replay is a verdict.

pub mod judge;
pub mod place;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use regex_lite::Regex;
use serde::Deserialize;
use toml::Spanned;

use crate::fault::{Error, Fault};
use lab::transcript::step::{Step, StepId, Terminal};
use lab::transcript::words;

/// The folder of the exercises, in the repository.
pub const FOLDER: &str = "exercises";
/// What describes one, in its folder.
const FILE: &str = "exercise.toml";
/// The name of a solution, without its ending.
const SOLUTION: &str = "solution";
/// Where the wrong answers are, in an exercise's folder.
const WRONG: &str = "wrong";
/// What an author may have in the place of a program's beginning that is the guest's own.
const START: &str = "start.c";

/// An exercise.
#[derive(Debug)]
pub struct Exercise {
    /// The name; also that of the reader's plank.
    pub name: String,
    /// What is asked.
    pub kind: Kind,
    /// How much work it is; a change says so.
    pub effort: Option<Effort>,
    /// The file of the guest's program that is to be changed, if it is not the kernel.
    pub program: Option<String>,
    /// The patches of the book's that its kernel has, as those of a chapter.
    pub kernel: Vec<String>,
    /// What sets the machine up for the reader's own steps.
    pub given: Vec<Step>,
    /// What is looked at.
    pub steps: Vec<Step>,
    /// The answer to a prediction.
    pub answer: Option<String>,
    /// What must hold.
    pub points: Vec<Point>,
    /// Answers that must fail.
    pub wrong: Vec<Wrong>,
    /// The file that describes it, relative to the repository.
    pub path: PathBuf,
}

/// What an exercise asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value, said before it is seen.
    Predict,
    /// Steps that lead to a state.
    Observe,
    /// A kernel or a program that does something else.
    Change,
}

/// How much work a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Effort {
    /// One line.
    #[serde(rename = "one line")]
    Line,
    /// An hour.
    #[serde(rename = "an hour")]
    Hour,
    /// An afternoon.
    #[serde(rename = "an afternoon")]
    Afternoon,
}

/// What must hold.
#[derive(Debug)]
pub struct Point {
    /// In words.
    pub holds: String,
    /// How that is seen.
    pub test: Test,
    /// Why it may not hold, where nothing in `wrong` knows better.
    pub otherwise: String,
    /// Known ways to miss it.
    pub wrong: Vec<Miss>,
}

/// How a point is seen to hold.
#[derive(Debug)]
pub enum Test {
    /// What a step prints matches.
    Shows(usize, Regex),
    /// What a step prints does not match.
    Lacks(usize, Regex),
    /// What a step prints has the reader's answer in the place of the group.
    Value(usize, Regex),
    /// A whole chapter behaves as the book says.
    Chapter(u32),
}

/// A known way to miss a point.
#[derive(Debug)]
pub struct Miss {
    /// By what it is known: what the step prints, or the reader's answer.
    pub known: Known,
    /// Why it is wrong.
    pub why: String,
}

/// By what a miss is known.
#[derive(Debug)]
pub enum Known {
    /// What the point's step prints matches.
    Shows(Regex),
    /// What the point's step prints does not match.
    Lacks(Regex),
    /// This is the answer.
    Answer(String),
}

/// An answer that must fail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    /// The file in the folder of wrong ones; of a prediction, the answer itself.
    pub answer: String,
    /// A part of the reason that the verdict must give.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: Kind,
    effort: Option<Effort>,
    program: Option<String>,
    #[serde(default)]
    kernel: Vec<String>,
    given: Option<Spanned<String>>,
    steps: Option<Spanned<String>>,
    answer: Option<String>,
    #[serde(rename = "point", default)]
    points: Vec<Spanned<FilePoint>>,
    #[serde(default)]
    wrong: Vec<Wrong>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePoint {
    holds: String,
    step: Option<usize>,
    shows: Option<String>,
    lacks: Option<String>,
    value: Option<String>,
    chapter: Option<u32>,
    otherwise: String,
    #[serde(default)]
    wrong: Vec<FileMiss>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileMiss {
    shows: Option<String>,
    lacks: Option<String>,
    answer: Option<String>,
    why: String,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Observe => "observe",
            Self::Change => "change",
        }
    }
}

impl Effort {
    /// The word for it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Line => "one line",
            Self::Hour => "an hour",
            Self::Afternoon => "an afternoon",
        }
    }
}

impl Exercise {
    /// The names of all exercises of the repository, sorted.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn names(root: &Path) -> anyhow::Result<Vec<String>> {
        let folder = root.join(FOLDER);
        let mut names = Vec::new();
        if folder.is_dir() {
            for entry in fs_err::read_dir(folder)? {
                let entry = entry?;
                if entry.path().join(FILE).is_file() {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// The exercise of this name.
    ///
    /// # Errors
    /// [`Error::NoExercise`], and the faults of its file.
    pub fn find(root: &Path, name: &str) -> anyhow::Result<Self> {
        let names = Self::names(root)?;
        if !names.iter().any(|known| known == name) {
            return Err(Error::NoExercise(format!(
                "there is no exercise `{name}`; `runner exercise` lists them"
            ))
            .into());
        }
        let path = Path::new(FOLDER).join(name).join(FILE);
        let text = fs_err::read_to_string(root.join(&path))
            .with_context(|| format!("read {}", path.display()))?;
        Ok(Self::parse(&path, name, &text)?)
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// Its faults.
    pub fn parse(path: &Path, name: &str, text: &str) -> Result<Self, Error> {
        let line_of = |at: usize| 1 + text[..at.min(text.len())].matches('\n').count();
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Fault::new(path, line_of(at), error.message().to_owned())
        })?;
        let mut faults = Vec::new();
        let mut fault = |line: usize, message: &str| faults.push(Fault::new(path, line, message));
        let mut read = |value: &Option<Spanned<String>>| {
            let Some(value) = value else {
                return Vec::new();
            };
            let start = value.span().start;
            // A newline right behind the opening quotes is no part of the value.
            let opened = text[start..]
                .trim_start_matches('\'')
                .trim_start_matches('"');
            let first = line_of(start) + usize::from(opened.starts_with('\n'));
            steps(value.get_ref(), first).unwrap_or_else(|(line, message)| {
                fault(line, &message);
                Vec::new()
            })
        };
        let (given, steps) = (read(&file.given), read(&file.steps));
        if let Some(step) = given
            .iter()
            .chain(&steps)
            .find(|step| step.terminal == Terminal::Lab)
        {
            fault(
                step.line,
                "an exercise is graded byte for byte, and in the lab time is real",
            );
        }
        if let (Kind::Predict, None) | (Kind::Observe | Kind::Change, Some(_)) =
            (file.kind, &file.answer)
        {
            fault(1, "a prediction, and nothing else, has an `answer`");
        }
        if file.kind != Kind::Change && file.program.is_some() {
            fault(1, "`program` is about a change");
        }
        if file.kind == Kind::Change && file.program.is_none() && !file.kernel.is_empty() {
            fault(
                1,
                "who changes the kernel changes the book's own, so `kernel` has no place here",
            );
        }
        let is_plain = |name: &str| {
            let may = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !name.is_empty() && !name.starts_with('.') && name.chars().all(may)
        };
        if let Some(program) = file.program.as_deref()
            && !(is_plain(program) && program.ends_with(".c"))
        {
            fault(
                1,
                "`program` is a file of C, such as client.c, without a folder",
            );
        }
        let is_file = file.kind != Kind::Predict;
        if let Some(wrong) = file
            .wrong
            .iter()
            .find(|wrong| is_file && !is_plain(&wrong.answer))
        {
            let message = format!("`{}` is no name of a file in {WRONG}/", wrong.answer);
            fault(1, &message);
        }
        if file.kind == Kind::Change && file.effort.is_none() {
            fault(
                1,
                "a change says how much work it is: effort = \"one line\", \"an hour\" or \"an afternoon\"",
            );
        }
        if file.points.is_empty() {
            fault(1, "an exercise has a [[point]] at least");
        }
        let mut points = Vec::new();
        for point in file.points {
            let line = line_of(point.span().start);
            match point.into_inner().read(steps.len(), file.kind) {
                Ok(point) => points.push(point),
                Err(message) => fault(line, &message),
            }
        }
        Error::unless_empty(faults)?;
        Ok(Self {
            name: name.to_owned(),
            kind: file.kind,
            effort: file.effort,
            program: file.program,
            kernel: file.kernel,
            given,
            steps,
            answer: file.answer,
            points,
            wrong: file.wrong,
            path: path.to_owned(),
        })
    }

    /// The file with the solution, relative to the repository; a prediction has none.
    #[must_use]
    pub fn solution(&self) -> Option<PathBuf> {
        let file = format!("{SOLUTION}.{}", self.ending()?);
        Some(self.path.with_file_name(file))
    }

    /// The file with a wrong answer, relative to the repository.
    #[must_use]
    pub fn wrong_file(&self, wrong: &Wrong) -> PathBuf {
        self.path.with_file_name(WRONG).join(&wrong.answer)
    }

    /// Where the program that is to be changed begins, relative to the repository: the guest's own,
    /// if the exercise has none.
    #[must_use]
    pub fn start(&self, root: &Path) -> Option<PathBuf> {
        let program = self.program.as_ref()?;
        let own = self.path.with_file_name(START);
        Some(match root.join(&own).is_file() {
            true => own,
            false => Path::new(lab::build::rootfs::FOLDER).join(program),
        })
    }

    /// How the name of a file with an answer ends, if the answer is a file.
    #[must_use]
    pub fn ending(&self) -> Option<&'static str> {
        match (self.kind, &self.program) {
            (Kind::Predict, _) => None,
            (Kind::Observe, _) => Some("steps"),
            (Kind::Change, None) => Some("patch"),
            (Kind::Change, Some(_)) => Some("c"),
        }
    }

    /// The whole script, with the reader's own steps in it, and how many steps stand before those
    /// that are looked at.
    #[must_use]
    pub fn script(&self, own: &[Step]) -> (Vec<Step>, usize) {
        let all = self.given.iter().chain(own).chain(&self.steps);
        let numbered = all.zip(1..).map(|(step, number)| Step {
            id: StepId { chapter: 0, number },
            ..step.clone()
        });
        (numbered.collect(), self.given.len() + own.len())
    }

    /// The words of the points, each on its line of the file, as a page has them: names of the
    /// kernel in them are claims, too.
    #[must_use]
    pub fn words(&self, file: &str) -> String {
        let keys = ["holds", "otherwise", "why"];
        let is_words = |line: &&str| {
            let key = line
                .trim_start()
                .split('=')
                .next()
                .unwrap_or_default()
                .trim();
            keys.contains(&key)
        };
        file.lines()
            .map(|line| match is_words(&line) {
                true => format!("{}\n", line.split_once('=').map_or("", |(_, text)| text)),
                false => "\n".to_owned(),
            })
            .collect()
    }
}

/// The steps in a text, one a line: as a chapter's directive has them, with or without the number
/// and the marks of a comment. `#` begins a comment, and what fences them off is left out.
///
/// # Errors
/// The line that is no step, counted from `first`, and why.
pub fn steps(text: &str, first: usize) -> Result<Vec<Step>, (usize, String)> {
    const DIRECTIVE: (&str, &str) = ("<!-- cmdrun runner show ", " -->");
    let mut steps = Vec::new();
    for (line, at) in text.lines().zip(first..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("```") {
            continue;
        }
        let inner = line.strip_prefix(DIRECTIVE.0);
        let inner = inner.and_then(|line| line.strip_suffix(DIRECTIVE.1));
        let step = || {
            let mut words =
                words::split(inner.unwrap_or(line)).map_err(|error| error.to_string())?;
            let id = StepId {
                chapter: 0,
                number: 1,
            };
            match inner {
                Some(_) if !words.is_empty() => words[0] = id.to_string(),
                _ => words.insert(0, id.to_string()),
            }
            Step::parse(&words, at).map_err(|message| message.replace("step 0.1 ", "the step "))
        };
        steps.push(step().map_err(|message| (at, message))?);
    }
    Ok(steps)
}

impl FilePoint {
    /// The point, if it is one of an exercise with so many steps.
    fn read(self, count: usize, kind: Kind) -> Result<Point, String> {
        let compiled = |text: &str| {
            Regex::new(&format!("(?m){text}")).map_err(|error| format!("`{text}`: {error}"))
        };
        let step = || match self.step {
            Some(step) if (1..=count).contains(&step) => Ok(step - 1),
            _ => Err(format!(
                "`step` is a number from 1 to {count}, the line of `steps`"
            )),
        };
        let test = match (&self.shows, &self.lacks, &self.value, self.chapter) {
            (Some(text), None, None, None) => Test::Shows(step()?, compiled(text)?),
            (None, Some(text), None, None) => Test::Lacks(step()?, compiled(text)?),
            (None, None, Some(text), None) if kind == Kind::Predict => {
                let value = compiled(text)?;
                if value.captures_len() != 2 {
                    return Err(format!("`{text}`: a value is the one group of its pattern"));
                }
                Test::Value(step()?, value)
            }
            (None, None, None, Some(chapter)) if self.step.is_none() && kind == Kind::Change => {
                Test::Chapter(chapter)
            }
            _ => {
                return Err(
                    "a point has a `step` and one of `shows` and `lacks`; of a prediction, \
                     `value`; of a kernel, `chapter` without a step"
                        .to_owned(),
                );
            }
        };
        let misses = self.wrong.into_iter().map(|miss| {
            let known = match (miss.shows, miss.lacks, miss.answer) {
                (Some(text), None, None) => Known::Shows(compiled(&text)?),
                (None, Some(text), None) => Known::Lacks(compiled(&text)?),
                (None, None, Some(answer)) if kind == Kind::Predict => Known::Answer(answer),
                _ => {
                    return Err(
                        "a [[point.wrong]] has one of `shows` and `lacks`, or `answer` in a \
                         prediction"
                            .to_owned(),
                    );
                }
            };
            Ok(Miss {
                known,
                why: miss.why,
            })
        });
        Ok(Point {
            holds: self.holds,
            test,
            otherwise: self.otherwise,
            wrong: misses.collect::<Result<_, String>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
kind = "change"
effort = "one line"
steps = '''
guest wire-up
# A server.
background server 'server 9090'
'''
[[point]]
holds = "It `is_up`."
step = 2
shows = 'listening on \d+'
otherwise = "It is not."
[[point.wrong]]
shows = 'refused'
why = "Nobody `is_there`."
[[wrong]]
answer = "none.patch"
why = "Nobody"
"#;

    fn parse(text: &str) -> Result<Exercise, String> {
        let path = Path::new("exercises/up/exercise.toml");
        Exercise::parse(path, "up", text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_exercise_is_read_with_the_lines_of_its_steps() {
        let exercise = parse(WHOLE).unwrap();
        let lines: Vec<usize> = exercise.steps.iter().map(|step| step.line).collect();
        assert_eq!(lines, [5, 7]);
        assert_eq!(
            exercise.solution().unwrap(),
            Path::new("exercises/up/solution.patch")
        );
        let (script, before) = exercise.script(&steps("guest ls", 1).unwrap());
        assert_eq!(before, 1);
        let ids: Vec<String> = script.iter().map(|step| step.id.to_string()).collect();
        assert_eq!(ids, ["0.1", "0.2", "0.3"]);
        let words = exercise.words(WHOLE);
        let claimed: Vec<usize> = words
            .lines()
            .zip(1..)
            .filter(|(line, _)| line.contains('_'))
            .map(|(_, at)| at)
            .collect();
        assert_eq!(claimed, [10, 16]);
    }

    #[test]
    fn what_changes_no_kernel_may_have_that_of_a_chapter() {
        let own = "program = \"client.c\"\nkernel = [\"router\", \"frames\"]\nsteps = ";
        let exercise = parse(&WHOLE.replacen("steps = ", own, 1)).unwrap();
        assert_eq!(exercise.kernel, ["router", "frames"]);
        assert!(parse(WHOLE).unwrap().kernel.is_empty());
    }

    #[test]
    fn steps_come_as_typed_or_as_saved() {
        let saved = "```console\n<!-- cmdrun runner show 6.5 guest 'ls -l' -->\n```\n\nstatus=1 guest ls /no\n";
        let steps = steps(saved, 1).unwrap();
        let read: Vec<_> = steps
            .iter()
            .map(|step| (step.line, step.status, &*step.command))
            .collect();
        assert_eq!(read, [(2, 0, "ls -l"), (5, 1, "ls /no")]);
        let (line, message) = super::steps("guest ls\nguset ls\n", 4).unwrap_err();
        assert_eq!(line, 5);
        assert!(message.contains("`guset` is no terminal"), "{message}");
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        for (from, to, told) in [
            (
                "kind = \"change\"",
                "kind = \"chance\"",
                "exercise.toml:2: unknown variant `chance`",
            ),
            (
                "effort = \"one line\"\n",
                "",
                ":1: a change says how much work it is",
            ),
            ("step = 2", "step = 3", ":9: `step` is a number from 1 to 2"),
            (
                "shows = 'listening",
                "lacks = 'x'\nshows = 'listening",
                ":9: a point has a `step` and one of",
            ),
            (r"on \d+", "on (", ":9: `listening on (`"),
            ("guest wire-up", "gast wire-up", ":5: `gast` is no terminal"),
            (
                "guest wire-up",
                "lab ls",
                ":5: an exercise is graded byte for byte",
            ),
            (
                "kind = \"change\"\neffort = \"one line\"",
                "kind = \"predict\"",
                ":1: a prediction, and nothing else",
            ),
            ("[[wrong]]", "[[worng]]", ":17: unknown field `worng`"),
            (
                "none.patch",
                "../none.patch",
                ":1: `../none.patch` is no name",
            ),
            (
                "steps = ",
                "program = \"../x.c\"\nsteps = ",
                ":1: `program` is a file of C",
            ),
            (
                "steps = ",
                "kernel = [\"router\"]\nsteps = ",
                ":1: who changes the kernel changes the book's own",
            ),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            let message = parse(&WHOLE.replacen(from, to, 1)).unwrap_err();
            assert!(message.contains(told), "{told}: {message}");
        }
    }
}
