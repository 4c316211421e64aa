//! A chapter: a Markdown file `chapters/NN-slug.md`, and the steps that its directives name.
//!
//! Parsing is pure. Every fault of the file is collected, so that an author sees them all at once.

pub mod expression;
pub mod markdown;
pub mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::chapter::markdown::Page;
use crate::fault::{Error, Fault};
use lab::transcript::script::Script;
use lab::transcript::step::{Step, StepId, Terminal};
use lab::transcript::words;

/// What begins a directive of mdbook-cmdrun.
const DIRECTIVE: &str = "<!-- cmdrun ";
const DIRECTIVE_END: &str = " -->";
/// The first word of the directive that says which patches a chapter's kernel has.
pub const KERNEL: &str = "kernel";
/// The first word of the directive that says which kernels a chapter has beside its own.
pub const BESIDE: &str = "beside";
/// The longest directive, in bytes. mdbook-cmdrun hands it to a shell as one argument, which Linux
/// limits to 128 KiB (execve(2)).
pub const DIRECTIVE_MAX: usize = 100_000;

/// One chapter of the book.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// The file, relative to the repository: `chapters/05-inet-init.md`.
    pub path: PathBuf,
    /// The number in the file's name.
    pub number: u32,
    /// The file's name without its ending: `05-inet-init`.
    pub name: String,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// The patches of the book's that its kernel has, by name; most chapters have none.
    pub patches: Vec<String>,
    /// The kernels that lie beside it in the host's folder, by the names of their series or
    /// patches; most chapters have none.
    pub beside: Vec<String>,
}

impl Chapter {
    /// Whether it is about these very kernels, so that it says nothing of another one.
    #[must_use]
    pub fn has_its_own_kernels(&self) -> bool {
        !(self.patches.is_empty() && self.beside.is_empty())
    }

    /// The last step's number; that of no step when there is none.
    #[must_use]
    pub fn last(&self) -> StepId {
        StepId {
            chapter: self.number,
            number: self.steps.len() as u32,
        }
    }

    /// How many steps there are up to and with `id`.
    ///
    /// # Errors
    /// When the chapter has no such step.
    pub fn position(&self, id: StepId) -> Result<usize, Error> {
        let found = self.steps.iter().position(|step| step.id == id);
        found.map(|index| index + 1).ok_or_else(|| {
            let (first, last) = (self.number, self.last());
            let message = format!("there is no step {id}; its steps are {first}.1 to {last}");
            let line = self.steps.last().map_or(1, |step| step.line);
            Fault::new(&self.path, line, message).into()
        })
    }

    /// What a replay of the chapter does.
    #[must_use]
    pub fn script(&self) -> Script<'_> {
        Script {
            path: &self.path,
            steps: &self.steps,
        }
    }

    /// Whether one of its steps is typed there.
    #[must_use]
    pub fn has(&self, terminal: Terminal) -> bool {
        self.script().has(terminal)
    }

    /// Reads the steps of `text`, the content of the file at `path`.
    ///
    /// # Errors
    /// Every fault of the file, each with its line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let (number, name) = name_of(path).map_err(|message| Fault::new(path, 1, message))?;
        let mut steps = Vec::new();
        let mut faults = Vec::new();
        let page = Page::read(text);
        let fences = page.fences().filter(|fence| fence.is_console());
        let inner = fences.flat_map(|fence| &fence.lines);
        let inner = inner.map(|range| (page.line(range.start), &text[range.clone()]));
        let inner: BTreeMap<usize, &str> = inner.collect();
        for (whole, at) in text.lines().zip(1..) {
            let line = inner.get(&at);
            match directive(line.unwrap_or(&whole)).and_then(|found| match found {
                None => Ok(None),
                Some(_) if line.is_none() => {
                    Err("a step stands in a fence that begins with ```console".to_owned())
                }
                Some(words) => Step::parse(&words, at).map(Some),
            }) {
                Ok(None) => {}
                Ok(Some(step)) => {
                    if let Err(message) = in_order(number, steps.last(), &step) {
                        faults.push(Fault::new(path, at, message));
                    }
                    steps.push(step);
                }
                Err(message) => faults.push(Fault::new(path, at, message)),
            }
        }
        let (mut patches, mut beside) = (Vec::new(), Vec::new());
        for directive in page.directives("runner") {
            let mut words = directive.arguments.split_whitespace();
            let (said, message) = match words.next() {
                Some(KERNEL) => (
                    &mut patches,
                    "a chapter says once, on a line of its own, which patches its kernel has: \
                     <!-- runner kernel NAME NAME -->",
                ),
                Some(BESIDE) => (
                    &mut beside,
                    "a chapter says once, on a line of its own, which kernels it has beside the \
                     book's, by their series or patches: <!-- runner beside 7.3 NAME -->",
                ),
                _ => continue,
            };
            let names: Vec<String> = words.map(str::to_owned).collect();
            if names.is_empty() || !directive.is_regular || !said.is_empty() {
                faults.push(Fault::new(path, directive.line, message));
            }
            *said = names;
        }
        if steps.iter().any(|step| step.terminal == Terminal::Lab)
            && let Some(step) = steps.iter().find(|step| step.terminal == Terminal::Wire)
        {
            let message = "the guest of a chapter with a lab has one card, at the lab's tap0, and \
                no wire between two; \
                           let tcpdump listen there: lab tcpdump -n -c 2 -i tap0";
            faults.push(Fault::new(path, step.line, message));
        }
        Error::unless_empty(faults)?;
        Ok(Self {
            path: path.to_owned(),
            number,
            name,
            steps,
            patches,
            beside,
        })
    }

    /// Reads the chapter at `path`, which is relative to `root`, the repository.
    ///
    /// # Errors
    /// A file that cannot be read or is not UTF-8, and [`Error::Faults`].
    pub fn read(root: &Path, path: &Path) -> anyhow::Result<Self> {
        let text = self::text(root, path)?;
        Ok(Self::parse(path, &text)?)
    }

    /// Reads the chapter that [`find`] finds.
    ///
    /// # Errors
    /// What `find` and `read` say.
    pub fn find(root: &Path, wanted: &str) -> anyhow::Result<Self> {
        Self::read(root, &find(root, wanted)?)
    }
}

/// Finds a chapter's file by its number (`5`, `05`) or its slug (`inet-init`, `05-inet-init`).
///
/// # Errors
/// When no chapter, or more than one, answers to `wanted`.
pub fn find(root: &Path, wanted: &str) -> anyhow::Result<PathBuf> {
    let all = paths(root)?;
    let answers = |path: &&PathBuf| {
        name_of(path).is_ok_and(|(number, name)| {
            wanted.parse() == Ok(number) || name == wanted || name.get(3..) == Some(wanted)
        })
    };
    let found: Vec<_> = all.iter().filter(answers).collect();
    match found[..] {
        [path] => Ok(path.clone()),
        [] => {
            let names: Vec<_> = all.iter().filter_map(|p| p.file_stem()?.to_str()).collect();
            bail!(Error::NoChapter(format!(
                "there is no chapter `{wanted}`; the book has {}",
                names.join(", ")
            )))
        }
        _ => bail!(Error::NoChapter(format!(
            "more than one file answers to chapter `{wanted}`: {found:?}"
        ))),
    }
}

/// The chapters' files, relative to `root`, in the book's order.
///
/// # Errors
/// When the folder `chapters` cannot be read.
pub fn paths(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = pages(root)?;
    found.retain(|path| name_of(path).is_ok());
    Ok(found)
}

/// All pages of the book, relative to its folder and sorted: chapters, and those without steps.
///
/// # Errors
/// When the folder `chapters` cannot be listed.
pub fn pages(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = root.join("chapters");
    let entries = folder
        .read_dir()
        .with_context(|| format!("list {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.context("list the folder chapters")?.file_name();
        if Path::new(&name).extension().is_some_and(|end| end == "md") && name != "SUMMARY.md" {
            found.push(Path::new("chapters").join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a page.
///
/// # Errors
/// When the file cannot be read, and [`Error::Faults`] when it is not UTF-8.
pub fn text(root: &Path, path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(root.join(path))
        .with_context(|| format!("read the page {}", path.display()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let message = "this line is not UTF-8; save the file as UTF-8";
        Error::from(Fault::new(path, line, message))
    })?;
    Ok(text)
}

/// `05-inet-init.md` is chapter 5.
pub fn name_of(path: &Path) -> Result<(u32, String), String> {
    let name = || {
        let stem = path.file_name()?.to_str()?.strip_suffix(".md")?;
        let (digits, slug) = stem.split_once('-')?;
        let is_named = digits.len() == 2 && !slug.is_empty();
        Some((digits.parse().ok().filter(|_| is_named)?, stem.to_owned()))
    };
    name().ok_or_else(|| {
        let path = path.display();
        format!("a chapter's file is named NN-slug.md, such as 05-inet-init.md, not {path}")
    })
}

/// The words behind `runner show`, where the line is a directive.
fn directive(line: &str) -> Result<Option<Vec<String>>, String> {
    let shape =
        "a directive stands alone on its line: <!-- cmdrun runner show 6.3 guest ip route -->";
    if !line.contains("<!--") || !line.contains("cmdrun") {
        return Ok(None);
    }
    if line.len() > DIRECTIVE_MAX {
        return Err(format!(
            "this directive has {} bytes, and a shell takes {DIRECTIVE_MAX}; put the text into a \
             file",
            line.len()
        ));
    }
    let inner = line
        .trim()
        .strip_prefix(DIRECTIVE)
        .and_then(|rest| rest.strip_suffix(DIRECTIVE_END))
        .ok_or(shape)?;
    if inner.contains("-->") || inner.contains("<!--") {
        return Err(shape.to_owned());
    }
    let words = words::split(inner).map_err(|error| error.to_string())?;
    match &words[..] {
        [runner, show, rest @ ..] if runner == "runner" && show == "show" => {
            Ok(Some(rest.to_vec()))
        }
        _ => Err(format!(
            "`{inner}` is not run; a directive begins with `runner show`"
        )),
    }
}

fn in_order(chapter: u32, last: Option<&Step>, step: &Step) -> Result<(), String> {
    if step.id.chapter != chapter {
        return Err(format!("step {} stands in chapter {chapter}", step.id));
    }
    let expected = last.map_or(1, |last| u64::from(last.id.number) + 1);
    if u64::from(step.id.number) != expected {
        return Err(format!(
            "step {} should be {chapter}.{expected}: steps are numbered in order, without a gap \
             (`runner renumber {chapter}` does it)",
            step.id
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Chapter, String> {
        Chapter::parse(Path::new("chapters/06-handshake.md"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn steps_are_read_from_console_fences() {
        let chapter = parse(
            "# Six\n\n```console\n<!-- cmdrun runner show 6.1 gdb break tcp_v4_connect -->\n\
             <!-- cmdrun runner show 6.2 guest ls -->\n```\n\n`<!-- a comment -->`\n",
        )
        .unwrap();
        assert_eq!((chapter.number, chapter.name.as_str()), (6, "06-handshake"));
        let commands: Vec<_> = chapter
            .steps
            .iter()
            .map(|s| (s.line, &*s.command))
            .collect();
        assert_eq!(commands, [(4, "break tcp_v4_connect"), (5, "ls")]);
    }

    #[test]
    fn every_fault_has_its_place() {
        let text = "<!-- cmdrun runner show 6.1 guest ls -->\n```console\n\
                    <!-- cmdrun runner show 6.2 guest ls -->\n\
                    <!-- cmdrun runner show 5.3 guest ls -->\n\
                    <!-- cmdrun runner show 6.4 guest 'ls -->\n\
                    <!-- cmdrun rm -rf x -->\n\
                    see <!-- cmdrun runner show 6.5 guest ls -->\n```\n";
        let error = parse(text).unwrap_err();
        let expected = [
            "chapters/06-handshake.md:1: a step stands in a fence",
            "chapters/06-handshake.md:3: step 6.2 should be 6.1",
            "chapters/06-handshake.md:4: step 5.3 stands in chapter 6",
            "chapters/06-handshake.md:5: the quote ' is never closed",
            "chapters/06-handshake.md:6: `rm -rf x` is not run",
            "chapters/06-handshake.md:7: a directive stands alone",
        ];
        assert_eq!(error.lines().count(), expected.len(), "{error}");
        for (line, start) in error.lines().zip(expected) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn a_fence_ends_where_commonmark_ends_it() {
        let text = "~~~~console\n```\n~~~\n<!-- cmdrun runner show 6.1 guest ls -->\n~~~~\n\
                    <!-- cmdrun runner show 6.2 guest ls -->\n";
        assert!(
            parse(text)
                .unwrap_err()
                .starts_with("chapters/06-handshake.md:6:")
        );
    }

    #[test]
    fn a_comment_hides_a_fence() {
        let text = "<!--\n```console\n<!-- cmdrun runner show 6.1 guest ls -->\n```\n";
        let error = parse(text).unwrap_err();
        assert!(error.contains(":3: a step stands in a fence"), "{error}");
        let text = "<!-- a\nb -->\n```console\n<!-- cmdrun runner show 6.1 guest ls -->\n```\n";
        assert_eq!(parse(text).unwrap().steps.len(), 1);
    }

    #[test]
    fn the_largest_number_is_a_fault_like_others() {
        let text = "```console\n<!-- cmdrun runner show 6.4294967295 guest ls -->\n\
                    <!-- cmdrun runner show 6.2 guest ls -->\n```\n";
        let error = parse(text).unwrap_err();
        assert!(
            error.contains(":3: step 6.2 should be 6.4294967296"),
            "{error}"
        );
    }

    #[test]
    fn a_directive_that_no_shell_takes_is_refused() {
        let text = format!(
            "```console\n<!-- cmdrun runner show 6.1 guest 'echo {}' -->\n```\n",
            "a".repeat(DIRECTIVE_MAX)
        );
        let error = parse(&text).unwrap_err();
        assert!(
            error.contains(":2: this directive has 100045 bytes"),
            "{error}"
        );
    }

    #[test]
    fn a_chapter_is_named_after_its_number() {
        for name in ["6-x.md", "06.md", "aa-x.md", "06-.md", "06-x.txt"] {
            assert!(Chapter::parse(Path::new(name), "").is_err(), "{name}");
        }
    }
}
