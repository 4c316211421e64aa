//! `runner preprocess`: checks every step of the book against its snapshot, and lays out the pages.
//!
//! mdbook-cmdrun builds a book even when a command fails. So whatever could fail is tried here first,
//! in this process, and every fault stops the build with its file and line.
//! Every name in the text that looks like the kernel's is recorded or exempt, or the build stops, too; what is recorded
//! gets its link and its hint. Values ({{10.36}}) and excerpts of the kernel's source are filled in.
//! A console fence that holds steps becomes an HTML block. The directives stay in it: what they print
//! is inserted by mdbook-cmdrun, which runs next.
//! The lines of the faults are those of the file; the text that is laid out is mdbook's, in which
//! `{{#include}}` was already followed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::commands::mdbook::{Args, Book};
use crate::commands::show;
use crate::root;
use book::chapter::markdown::{Edit, Fence, Page as Markdown};
use book::chapter::{self, Chapter, Fault, Faults};
use book::drawing;
use book::drawing::map::Leaf;
use book::html::Html;
use book::page;
use book::page::check::Text;
use book::page::excerpt::{self, Filled};
use book::page::hint;
use book::page::values::Values;
use book::prose::glossary::Glossary;
use book::snapshot::Snapshot;
use lab::build::cache::Cache;
use lab::build::kernel;

/// How many commands mdbook-cmdrun would find in the text.
pub fn commands(text: &str) -> usize {
    let comments = text.split("<!--").skip(1);
    comments
        .filter(|comment| comment.trim_start_matches(' ').starts_with("cmdrun "))
        .count()
}

/// Whether there is one in the line.
fn has_command(line: &str) -> bool {
    commands(line) > 0
}

/// Reads the book from standard input, and writes it to standard output.
///
/// # Errors
/// [`Faults`] of all chapters, and files that cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(answer) = args.answer() {
        return Ok(answer);
    }
    let mut book = Book::read()?;
    let root = root::find()?;
    let mut text = Text::read(&root)?;
    let mut filling = Filling::read(&root, &text)?;
    let mut faults = Vec::new();
    let source = book.source.clone();
    book.pages(|file, page| {
        let path = source.join(file);
        match lay_out(&root, &path, page, &mut text, &mut filling) {
            Ok(()) => Ok(()),
            Err(error) => error
                .downcast::<Faults>()
                .map(|found| faults.extend(found.0)),
        }
    })?;
    faults.splice(0..0, text.exemptions());
    if !faults.is_empty() {
        return Err(Faults(faults).into());
    }
    for changed in filling.changed {
        eprintln!("warning: {changed}");
    }
    book.write()?;
    Ok(ExitCode::SUCCESS)
}

/// What goes into a page in the place of a directive.
struct Filling {
    values: Values,
    names: Glossary,
    /// The kernel's source, if it is there.
    tree: Option<PathBuf>,
    /// Keeps that from being removed.
    _cache: Option<Cache>,
    changed: Vec<Fault>,
}

impl Filling {
    fn read(root: &Path, text: &Text) -> anyhow::Result<Self> {
        let names = text.glossary.clone();
        let cache = Cache::of_user().ok();
        Ok(Self {
            values: Values::read(root, names.clone())?,
            tree: cache
                .as_ref()
                .and_then(|cache| kernel::tree_at_hand(cache, &names.linux)),
            _cache: cache,
            names,
            changed: Vec::new(),
        })
    }

    /// The values and the excerpts of a page.
    fn fill(&mut self, path: &Path, page: &Markdown<'_>) -> Filled {
        let mut filled = excerpt::fill(path, page, self.tree.as_deref(), &self.names);
        let (edits, faults) = self.values.fill(path, page);
        filled.edits.extend(edits);
        filled.faults.extend(faults);
        filled
    }
}

fn lay_out(
    root: &Path,
    path: &Path,
    page: &mut String,
    names: &mut Text,
    filling: &mut Filling,
) -> anyhow::Result<()> {
    let fault = |line, message: &str| Fault {
        path: path.to_owned(),
        line,
        message: message.to_owned(),
    };
    let text = chapter::text(root, path)?;
    let written = Markdown::read(&text);
    let mut found = names.check(path, &written);
    found.extend(names.numerals(path, &written, &filling.values));
    let filled = filling.fill(path, &written);
    found.extend(filled.faults);
    filling.changed.extend(filled.changed);
    found.extend(misplaced(&written).map(|at| {
        fault(
            at,
            "a directive stands in the text; in a fence it is a part of what is shown",
        )
    }));
    let steps = if chapter::name_of(path).is_ok() {
        let steps = Chapter::parse(path, &text).map_err(Into::into);
        let steps = steps.and_then(|chapter| check(root, &chapter, &written, &fault));
        // Faults of both kinds are told at once.
        match steps.map_err(anyhow::Error::downcast::<Faults>) {
            Ok(steps) => steps,
            Err(Ok(more)) => {
                found.extend(more.0);
                None
            }
            Err(Err(other)) => return Err(other),
        }
    } else {
        let lines = text.lines().zip(1..);
        let directives = lines.filter(|(line, _)| has_command(line));
        let message = "only a chapter, chapters/NN-slug.md, holds steps";
        found.extend(directives.map(|(_, at)| fault(at, message)));
        let drawings = drawing::of_page(path, &written, &|| leaves(root));
        drawings.map_or_else(
            |Faults(more)| {
                found.extend(more);
                None
            },
            |drawings| {
                Some(LaidOut {
                    drawings,
                    ..LaidOut::default()
                })
            },
        )
    };
    found.sort_by_key(|fault| fault.line);
    faults(found)?;
    let laid_out = steps.unwrap_or_default();
    // What the page includes is in mdbook's text alone.
    let given = Markdown::read(page);
    let mut edits = match *page == text {
        true => filled.edits,
        false => filling.fill(path, &given).edits,
    };
    edits.extend(hint::decorate(&given, &names.glossary));
    edits.extend(drawing::insert(path, &given, &laid_out.drawings)?);
    edits.extend(fences_with_steps(&given).map(|fence| console(&given, fence)));
    *page = under_banner(given.edited(edits), laid_out.banner.as_deref());
    if commands(page) != laid_out.steps {
        let message = "something that this page includes holds a directive; steps are written in the \
                       chapter itself";
        faults(vec![fault(1, message)])?;
    }
    Ok(())
}

/// The chapters as the map has them. What is wrong with one is said at its own page.
fn leaves(root: &Path) -> Vec<Leaf> {
    let paths = chapter::paths(root).unwrap_or_default();
    let read = |path: &PathBuf| {
        let (_, name) = chapter::name_of(path).ok()?;
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        let title = text.lines().next()?.trim_start_matches("# ").to_owned();
        let records = Snapshot::read(root, &name).ok()??.transcript.records;
        Some(Leaf {
            name,
            title,
            records,
        })
    };
    paths.iter().filter_map(read).collect()
}

/// What a chapter's steps give its page.
#[derive(Default)]
struct LaidOut {
    /// The line for its top.
    banner: Option<Html>,
    /// How many steps there are.
    steps: usize,
    drawings: Vec<Html>,
}

/// Checks a chapter's steps, if it has any.
fn check(
    root: &Path,
    chapter: &Chapter,
    page: &Markdown<'_>,
    fault: &dyn Fn(usize, &str) -> Fault,
) -> anyhow::Result<Option<LaidOut>> {
    let mut found: Vec<Fault> = strangers(page)
        .map(|at| {
            fault(
                at,
                "a fence with steps holds nothing else; move this line to its own fence",
            )
        })
        .collect();
    let Some(first) = chapter.steps.first() else {
        return Ok(None);
    };
    let Some(snapshot) = Snapshot::read(root, &chapter.name)? else {
        found.push(fault(
            first.line,
            &show::never_recorded(&chapter.name, chapter.number),
        ));
        return Err(Faults(found).into());
    };
    for step in &chapter.steps {
        if let Err(stale) = show::check(step, &snapshot) {
            found.push(fault(step.line, &stale.0));
        }
    }
    let left_over = snapshot
        .transcript
        .records
        .iter()
        .filter(|record| chapter.steps.iter().all(|step| step.id != record.id));
    for record in left_over {
        let message = format!(
            "the snapshot holds step {}, which the chapter has no more; record the chapter with \
             `cargo run -p runner -- record {}`",
            record.id, chapter.number
        );
        found.push(fault(chapter.steps[chapter.steps.len() - 1].line, &message));
    }
    found.sort_by_key(|fault| fault.line);
    faults(found)?;
    Ok(Some(LaidOut {
        banner: Some(page::verified(chapter, &snapshot)),
        steps: chapter.steps.len(),
        drawings: drawing::all(chapter, page, &snapshot)?,
    }))
}

fn faults(found: Vec<Fault>) -> Result<(), Faults> {
    match found.is_empty() {
        true => Ok(()),
        false => Err(Faults(found)),
    }
}

fn fences_with_steps<'a>(page: &'a Markdown<'a>) -> impl Iterator<Item = &'a Fence<'a>> {
    page.fences()
        .filter(|fence| fence.is_console() && has_command(&page.text[fence.range.clone()]))
}

/// The lines in fences with steps that are neither steps nor blank.
fn strangers<'a>(page: &'a Markdown<'a>) -> impl Iterator<Item = usize> {
    let lines = fences_with_steps(page).flat_map(|fence| &fence.lines);
    let strange = lines.filter(|range| {
        let line = page.text[(*range).clone()].trim();
        !line.is_empty() && !has_command(line)
    });
    strange.map(|range| page.line(range.start))
}

/// The lines in other fences that look like a directive of ours.
fn misplaced<'a>(page: &'a Markdown<'a>) -> impl Iterator<Item = usize> {
    let is_ours = |line: &str| {
        let comment = line.trim_start().strip_prefix("<!--").map(str::trim_start);
        comment
            .and_then(|comment| comment.strip_prefix("runner"))
            .is_some_and(|rest| rest.starts_with(char::is_whitespace))
    };
    let has_steps = |fence: &&Fence<'_>| fences_with_steps(page).any(|other| other == *fence);
    let lines = page.fences().filter(move |fence| !has_steps(fence));
    let lines = lines.flat_map(|fence| &fence.lines);
    let ours = lines.filter(move |range| is_ours(&page.text[(*range).clone()]));
    ours.map(|range| page.line(range.start))
}

/// A fence with steps as a block of HTML.
fn console(page: &Markdown<'_>, fence: &Fence<'_>) -> Edit {
    let lines = fence.lines.iter();
    let lines = lines.map(|range| page.text[range.clone()].trim());
    let steps = lines.filter(|line| has_command(line));
    let block = ["<div class=\"steps\">"].into_iter().chain(steps);
    page.replace_fence(fence, block.chain(["</div>"]))
}

/// Puts `banner` below the heading that the page begins with, or at its top.
fn under_banner(body: String, banner: Option<&str>) -> String {
    let Some(banner) = banner else {
        return body;
    };
    let (heading, rest) = match body.trim_start().split_once('\n') {
        Some((first, rest)) if first.starts_with("# ") => (first, rest),
        _ => ("", &*body),
    };
    format!("{heading}\n\n{banner}\n\n{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(text: &str, banner: Option<&str>) -> String {
        let page = Markdown::read(text);
        let edits = fences_with_steps(&page).map(|fence| console(&page, fence));
        under_banner(page.edited(edits.collect()), banner)
    }

    #[test]
    fn a_fence_with_steps_becomes_html_and_others_stay() {
        let text = "# A\nwords\n\n```console\n\n  <!-- cmdrun runner show 1.1 host ls -->\n\
                    <!-- cmdrun runner show 1.2 host pwd -->\n```\n```c\nint x;\n```\n\
                    ```console\n$ ls\n```\n";
        let expected = "# A\n\n<aside></aside>\n\nwords\n\n<div class=\"steps\">\n\
                        <!-- cmdrun runner show 1.1 host ls -->\n\
                        <!-- cmdrun runner show 1.2 host pwd -->\n</div>\n\n```c\nint x;\n```\n\
                        ```console\n$ ls\n```\n";
        assert_eq!(rewrite(text, Some("<aside></aside>")), expected);
    }

    #[test]
    fn a_page_without_a_heading_begins_with_the_banner() {
        for text in ["words\n", "```\n# no\n```\n", "", "<!-- x -->\n# late\n"] {
            let expected = format!("\n\n<aside></aside>\n\n{text}");
            assert_eq!(rewrite(text, Some("<aside></aside>")), expected);
        }
        assert_eq!(rewrite("```\n# no\n```\n", None), "```\n# no\n```\n");
    }

    #[test]
    fn a_stranger_between_steps_is_found() {
        let text = "```console\n$ ls\n```\n```console\n<!-- cmdrun runner show 1.1 host ls -->\n\
                    output\n\n```\n";
        assert_eq!(strangers(&Markdown::read(text)).collect::<Vec<_>>(), [6]);
    }
}
