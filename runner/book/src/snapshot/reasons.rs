//! What the authors say about the steps on another series of the kernel: `drift/6.12.toml`.
//!
//! ```toml
//! [[change]]
//! steps = ["6.45", "9.12..9.15"]
//! why = "The socket has another field in front of it."
//!
//! [[form]]
//! step = "11.11"
//! command = "set $reader = pcpu_hot.current_task"
//! why = "The variable is a member of a structure."
//! ```
//!
//! A change says why steps print something else. A form is what is typed in the place of a step's
//! command, which does not do there what the step is for. Where the text speaks of another step, it
//! has the number by `{{step 6.45}}`, as a page would, and follows when the steps are renumbered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use toml::Spanned;

use crate::chapter::Chapter;
use crate::fault::{Error, Fault};
use crate::pattern::{Pattern, pattern};
use crate::snapshot::Snapshot;
use lab::transcript::step::StepId;

/// The folder of these files, from the root of the repository.
pub const FOLDER: &str = "drift";

/// The key of what is said.
const WHY: &str = "why";

/// What is said about one series, by the step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasons {
    /// The file, relative to the repository.
    path: PathBuf,
    steps: BTreeMap<StepId, String>,
    changes: Vec<(Vec<StepId>, String)>,
    forms: BTreeMap<StepId, Form>,
}

/// Another form of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What is typed.
    pub command: String,
    /// Why the book's command does not serve.
    pub why: String,
    /// The line of the file in which it begins, from 1.
    pub(crate) line: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    change: Vec<FileChange>,
    #[serde(default)]
    form: Vec<FileForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileChange {
    steps: Vec<Spanned<String>>,
    why: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    step: Spanned<String>,
    command: Spanned<String>,
    why: Spanned<String>,
}

impl Reasons {
    /// Reads what is said about a series; nothing where nobody has written anything.
    ///
    /// # Errors
    /// A file that cannot be read, and the faults of one that cannot be understood, or that says
    /// two things about one step.
    pub fn read(root: &Path, series: &str) -> Result<Self> {
        let path = Path::new(FOLDER).join(format!("{series}.toml"));
        let text = match std::fs::read_to_string(root.join(&path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("read {}", path.display()))?,
        };
        Ok(Self::parse(&path, &text)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let fault = |at: usize, message: String| {
            let line = 1 + text[..at].matches('\n').count();
            Fault::new(path, line, message)
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            fault(at, error.message().to_owned())
        })?;
        let mut read = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut faults = Vec::new();
        let mut check = |said: &Spanned<String>, what: &str| {
            let mut fault = |message| faults.push(fault(said.span().start, message));
            if said.get_ref().trim().is_empty() {
                fault(format!("`{what}` says nothing"));
            }
            if what == WHY && spoken(said.get_ref()).contains("{{") {
                let message = "a reason knows one directive, {{step 6.45}}, which names a step";
                fault(message.to_owned());
            }
        };
        for change in &file.change {
            check(&change.why, WHY);
        }
        for form in &file.form {
            // A look has no other form, and no step becomes one.
            check(&form.why, WHY);
            check(&form.command, "command");
        }
        for FileChange { steps, why } in file.change {
            let why = spoken(why.get_ref());
            let mut all = Vec::new();
            for written in steps {
                let at = written.span().start;
                let ids = match span(written.get_ref()) {
                    Ok(ids) => ids,
                    Err(message) => {
                        faults.push(fault(at, message));
                        continue;
                    }
                };
                for id in ids {
                    if read.steps.insert(id, why.clone()).is_some() {
                        faults.push(fault(at, format!("step {id} is explained twice")));
                    }
                    all.push(id);
                }
            }
            read.changes.push((all, why));
        }
        for FileForm { step, command, why } in file.form {
            let at = step.span().start;
            let form = Form {
                command: command.get_ref().trim().to_owned(),
                why: spoken(why.get_ref()),
                line: 1 + text[..at].matches('\n').count(),
            };
            match step.get_ref().parse() {
                Ok(id) if read.forms.contains_key(&id) => {
                    faults.push(fault(at, format!("step {id} has another form twice")));
                }
                Ok(id) => {
                    read.forms.insert(id, form);
                }
                Err(message) => faults.push(fault(at, message)),
            }
        }
        Error::unless_empty(faults)?;
        Ok(read)
    }

    /// The chapter as it is typed on this series: with the other forms of its steps.
    ///
    /// # Errors
    /// The faults of forms of steps that the chapter does not have, or that type what it types.
    pub fn typed(&self, mut chapter: Chapter) -> Result<Chapter, Error> {
        let mut faults = Vec::new();
        for (id, form) in &self.forms {
            if id.chapter != chapter.number {
                continue;
            }
            let mut fault = |message| faults.push(Fault::new(&self.path, form.line, message));
            match chapter.steps.iter_mut().find(|step| step.id == *id) {
                None => fault(format!(
                    "there is no step {id}; the last one is {}",
                    chapter.last()
                )),
                Some(step) if step.command.is_empty() => fault(format!(
                    "step {id} types nothing, as it looks at what its window has printed, so it \
                     has no other form"
                )),
                Some(step) if step.command == form.command => fault(format!(
                    "step {id} types the same in the chapter; remove the form"
                )),
                Some(step) => step.command.clone_from(&form.command),
            }
        }
        Error::unless_empty(faults)?;
        Ok(chapter)
    }

    /// The same without the other form of one step.
    #[must_use]
    pub fn without_form(mut self, id: StepId) -> Self {
        self.forms.remove(&id);
        self
    }

    /// Gives the steps that were typed in another form the commands that the chapter has.
    pub(super) fn with_commands_of(&self, chapter: &Chapter, snapshot: &mut Snapshot) {
        for record in &mut snapshot.transcript.records {
            let form = self.forms.get(&record.id);
            let step = chapter.steps.iter().find(|step| step.id == record.id);
            if let (Some(form), Some(step)) = (form, step)
                && record.command == form.command
            {
                record.command.clone_from(&step.command);
            }
        }
    }

    /// Why a step does something else, if somebody has said it.
    #[must_use]
    pub fn of(&self, id: StepId) -> Option<&str> {
        self.steps.get(&id).map(String::as_str)
    }

    /// The other form of a step, if it has one.
    #[must_use]
    pub fn form(&self, id: StepId) -> Option<&Form> {
        self.forms.get(&id)
    }

    /// What has changed, in the order in which it was written, each with its steps.
    #[must_use]
    pub fn changes(&self) -> &[(Vec<StepId>, String)] {
        &self.changes
    }

    /// The steps that have another form.
    pub fn forms(&self) -> impl Iterator<Item = (StepId, &Form)> {
        self.forms.iter().map(|(id, form)| (*id, form))
    }

    /// The steps that are explained.
    pub fn steps(&self) -> impl Iterator<Item = StepId> {
        self.steps.keys().copied()
    }
}

/// The series about which somebody has said something, the oldest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn all(root: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(root.join(FOLDER)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| format!("read the folder {FOLDER}"))?,
    };
    let mut series = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".toml"));
        series.extend(name.map(str::to_owned));
    }
    series.sort_by_key(|name| age(name));
    Ok(series)
}

/// What sorts the names of series: 6.12 is younger than 6.1 and 6.9.
pub(crate) fn age(series: &str) -> Vec<Option<u32>> {
    series.split('.').map(|part| part.parse().ok()).collect()
}

/// The files in which it is said, relative to the repository.
///
/// # Errors
/// As [`all`].
pub fn paths(root: &Path) -> Result<Vec<PathBuf>> {
    let path = |series: String| Path::new(FOLDER).join(format!("{series}.toml"));
    Ok(all(root)?.into_iter().map(path).collect())
}

/// What is said, with the numbers of the steps that it speaks of.
fn spoken(text: &str) -> String {
    static STEP: Pattern = Pattern::new(|| pattern(r"\{\{step (\d+\.\d+)\}\}"));
    STEP.replace_all(text.trim(), "$1").into_owned()
}

/// The steps of `6.45`, or of `6.45..6.48`.
fn span(text: &str) -> Result<Vec<StepId>, String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let id = |text: &str| {
        let parsed: Result<StepId, _> = text.parse();
        parsed
            .map_err(|_| format!("`{text}` is no step; write 6.45, or 6.45..6.48 for four of them"))
    };
    let (first, last) = (id(first)?, id(last)?);
    if first.chapter != last.chapter || first.number > last.number {
        return Err(format!(
            "`{text}` is no span of steps: it ends before it begins, or in another chapter"
        ));
    }
    let ids = (first.number..=last.number).map(|number| StepId { number, ..first });
    Ok(ids.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StepId {
        text.parse().unwrap()
    }

    fn parse(text: &str) -> Result<Reasons, String> {
        let path = Path::new("drift/6.12.toml");
        Reasons::parse(path, text).map_err(|error| error.to_string())
    }

    #[test]
    fn reasons_are_read_step_by_step() {
        let text = "[[change]]\nsteps = [\"6.45\", \"6.47..6.49\"]\n\
                    why = \"See {{step 6.1}}.\"\n";
        let reasons = parse(text).unwrap();
        let explained = ["6.45", "6.47", "6.48", "6.49"].map(id);
        assert_eq!(Vec::from_iter(reasons.steps()), explained);
        assert_eq!(reasons.of(id("6.48")), Some("See 6.1."));
        assert_eq!(reasons.of(id("6.46")), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (steps, part) in [
            (
                "\"6.45\",\n\"6.44..6.46\"",
                ":3: step 6.45 is explained twice",
            ),
            (
                "\"6.45..6.44\"",
                ":2: `6.45..6.44` is no span of steps: it ends before it begins",
            ),
            ("\"6.45..7.46\"", "or in another chapter"),
            ("\"6\"", ":2: `6` is no step; write 6.45"),
            ("6", ":2: invalid type: integer"),
        ] {
            let error = parse(&format!("[[change]]\nsteps = [{steps}]\nwhy = \"x\"\n"));
            let error = error.unwrap_err();
            assert!(error.contains(part), "{steps}: {error}");
        }
        let form = |step: &str, command: &str| {
            format!("[[form]]\nstep = \"{step}\"\ncommand = \"{command}\"\nwhy = \"x\"\n")
        };
        let twice = form("5.1", "a") + &form("5.1", "b");
        for (text, part) in [
            (
                form("5", "a"),
                "drift/6.12.toml:2: `5` is no step; a step is CHAPTER.NUMBER",
            ),
            (twice, ":6: step 5.1 has another form twice"),
            (form("5.1", " "), ":3: `command` says nothing"),
            (
                form("5.1", "a").replace("\"x\"", "\"see {{6.45}}\""),
                ":4: a reason knows one directive, {{step 6.45}}",
            ),
            (
                "\n[[form]]\nsteps = 1\n".to_owned(),
                ":3: unknown field `steps`",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_chapter_is_typed_with_its_other_forms() {
        let steps = "```console\n<!-- cmdrun runner show 5.1 gdb print a -->\n\
                     <!-- cmdrun runner show 5.2 gdb -->\n```\n";
        let chapter = Chapter::parse(Path::new("chapters/05-x.md"), steps).unwrap();
        let typed = |step: &str, command: &str| {
            let text = format!(
                "[[form]]\nstep = \"{step}\"\ncommand = \"{command}\"\nwhy = \"A group.\"\n"
            );
            parse(&text)
                .unwrap()
                .typed(chapter.clone())
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            typed("5.1", "print g.a").unwrap().steps[0].command,
            "print g.a"
        );
        // Forms of other chapters do not matter.
        assert_eq!(
            typed("6.1", "print g.a").unwrap().steps[0].command,
            "print a"
        );
        for (step, command, part) in [
            (
                "5.3",
                "a",
                "drift/6.12.toml:2: there is no step 5.3; the last one is 5.2",
            ),
            ("5.2", "a", "step 5.2 types nothing"),
            ("5.1", "print a", "step 5.1 types the same in the chapter"),
        ] {
            let error = typed(step, command).unwrap_err();
            assert!(error.contains(part), "{step}: {error}");
        }
    }
}
