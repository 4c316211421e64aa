//! Checks every step of a page against its snapshot, and lays the page out.
//!
//! mdbook-cmdrun builds a book even when a command fails. So whatever could fail is tried here
//! first, in this process, and every fault stops the build with its file and line. Every name in
//! the text that looks like the kernel's is recorded or exempt, or the build stops, too; what is
//! recorded gets its link and its hint. Values ({{10.36}}) and excerpts of the kernel's source are
//! filled in. A console fence that holds steps becomes an HTML block. The directives stay in it:
//! what they print is inserted by mdbook-cmdrun, which runs next. The lines of the faults are those
//! of the file; the text that is laid out is mdbook's, in which `{{#include}}` was already
//! followed.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::chapter::markdown::{Edit, Fence, Page as Markdown};
use crate::chapter::{self, Chapter};
use crate::drawing;
use crate::drawing::map::Leaf;
use crate::fault::{Error, Fault, Faults};
use crate::html::Html;
use crate::page::check::Text;
use crate::page::values::Values;
use crate::page::{self, changes, exercise, hint, patch};
use crate::pattern::{Pattern, pattern};
use crate::prose::excerpt::{self, Filled};
use crate::prose::patched;
use crate::snapshot::{Snapshot, stale};
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

/// Makes pages, with what all of them share.
pub struct Layout {
    root: PathBuf,
    text: Text,
    values: Values,
    /// The kernel's source, if it is there.
    tree: Option<PathBuf>,
    /// Keeps that from being removed.
    _cache: Option<Cache>,
    /// Excerpts that are not what they were when somebody read them.
    pub changed: Vec<Fault>,
}

impl Layout {
    /// Reads what the pages of the repository share.
    ///
    /// # Errors
    /// What was recorded is damaged, and the list of exemptions.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let text = Text::read(root)?;
        let cache = Cache::of_user().ok();
        Ok(Self {
            root: root.to_owned(),
            values: Values::read(root, text.glossary.clone())?,
            tree: cache
                .as_ref()
                .and_then(|cache| kernel::tree_at_hand(cache, &text.glossary.linux)),
            _cache: cache,
            text,
            changed: Vec::new(),
        })
    }

    /// What is exempt without need, once all pages are laid out.
    #[must_use]
    pub fn exemptions(&self) -> Vec<Fault> {
        self.text.exemptions()
    }

    /// The values, the excerpts, the patches, the exercises and the changes of a page.
    fn fill(&mut self, path: &Path, page: &Markdown<'_>) -> anyhow::Result<Filled> {
        let mut filled = excerpt::fill(path, page, self.tree.as_deref(), &self.text.glossary);
        let (edits, faults) = self.values.fill(path, page);
        filled.edits.extend(edits);
        filled.faults.extend(faults);
        let (edits, faults) = patch::fill(&self.root, path, page);
        filled.edits.extend(edits);
        filled.faults.extend(faults);
        let (edits, faults) = changes::fill(&self.root, path, page)?;
        filled.edits.extend(edits);
        filled.faults.extend(faults);
        let (edits, faults) = exercise::fill(&self.root, path, page)?;
        filled.edits.extend(edits);
        filled.faults.extend(faults);
        Ok(filled)
    }

    /// Lays out the page of the file at `path`, whose text mdbook gives as `page`.
    ///
    /// # Errors
    /// [`Error::Faults`] of the page, and files that cannot be read.
    pub fn lay_out(&mut self, path: &Path, page: &mut String) -> anyhow::Result<()> {
        let text = chapter::text(&self.root, path)?;
        let written = Markdown::read(&text);
        let mut found = Vec::new();
        for text in patched::texts(&self.root, path, &text)? {
            found.extend(self.text.check(&text));
        }
        found.extend(self.text.numerals(path, &written, &self.values));
        let filled = self.fill(path, &written)?;
        found.extend(filled.faults);
        self.changed.extend(filled.changed);
        found.extend(misplaced(&written).map(|line| {
            let message =
                "a directive stands in the text; in a fence it is a part of what is shown";
            Fault::new(path, line, message)
        }));
        let laid_out = match chapter::name_of(path).is_ok() {
            true => self.steps(path, &text, &written),
            false => self.without_steps(path, &written),
        };
        // Faults of both kinds are told at once.
        let laid_out = laid_out.or_else(|error| {
            found.extend(Error::faults(error)?);
            anyhow::Ok(LaidOut::default())
        })?;
        found.sort_by_key(|fault| fault.line);
        Error::unless_empty(found)?;
        // What the page includes is in mdbook's text alone.
        let given = Markdown::read(page);
        let mut edits = match *page == text {
            true => filled.edits,
            false => self.fill(path, &given)?.edits,
        };
        edits.extend(hint::decorate(
            &given,
            &self.text.glossary,
            &self.text.absent,
        ));
        edits.extend(drawing::insert(path, &given, &laid_out.drawings)?);
        edits.extend(fences_with_steps(&given).map(|fence| console(&given, fence)));
        *page = under_banner(given.edited(edits), laid_out.banner.as_deref());
        if commands(page) != laid_out.steps {
            let message = "something that this page includes holds a directive; steps are written \
                           in the chapter itself";
            return Err(Error::from(Fault::new(path, 1, message)).into());
        }
        Ok(())
    }

    /// What a page that is no chapter has of its own.
    fn without_steps(&self, path: &Path, page: &Markdown<'_>) -> anyhow::Result<LaidOut> {
        let lines = page.text.lines().zip(1..);
        let directives = lines.filter(|(line, _)| has_command(line));
        let message = "only a chapter, chapters/NN-slug.md, holds steps";
        let mut found: Vec<_> = directives
            .map(|(_, line)| Fault::new(path, line, message))
            .collect();
        let drawings = drawing::of_page(path, page, &|| leaves(&self.root));
        let drawings = drawings.or_else(|error| {
            found.extend(Error::faults(error.into())?);
            anyhow::Ok(Vec::new())
        })?;
        Error::unless_empty(found)?;
        Ok(LaidOut {
            drawings,
            ..LaidOut::default()
        })
    }

    /// Checks the steps of a chapter, and gives what they add to its page.
    fn steps(&self, path: &Path, text: &str, page: &Markdown<'_>) -> anyhow::Result<LaidOut> {
        let chapter = Chapter::parse(path, text)?;
        let message = "a fence with steps holds nothing else; move this line to its own fence";
        let mut found: Vec<_> = strangers(page)
            .map(|line| Fault::new(path, line, message))
            .collect();
        let Some(first) = chapter.steps.first() else {
            return Ok(LaidOut {
                drawings: drawing::of_page(path, page, &|| leaves(&self.root))?,
                ..LaidOut::default()
            });
        };
        let Some(snapshot) = Snapshot::read(&self.root, &chapter.name)? else {
            let message = stale::never_recorded(&chapter.name, chapter.number);
            found.push(Fault::new(path, first.line, message));
            bail!(Error::Faults(Faults(found)));
        };
        for step in &chapter.steps {
            if let Err(message) = stale::check(step, &snapshot) {
                found.push(Fault::new(path, step.line, message));
            }
        }
        let records = snapshot.transcript.records.iter();
        for record in records.filter(|record| chapter.steps.iter().all(|step| step.id != record.id))
        {
            let message = format!(
                "the snapshot holds step {}, which the chapter has no more; record the chapter \
                 with `cargo run -p runner -- record {}`",
                record.id, chapter.number
            );
            let line = chapter.steps[chapter.steps.len() - 1].line;
            found.push(Fault::new(path, line, message));
        }
        found.sort_by_key(|fault| fault.line);
        Error::unless_empty(found)?;
        let drawings = drawing::all(&chapter, page, &snapshot, &self.text.glossary)?;
        Ok(LaidOut {
            banner: Some(page::verified(&chapter, &snapshot)),
            steps: chapter.steps.len(),
            drawings,
        })
    }
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

fn fences_with_steps<'a>(page: &'a Markdown<'a>) -> impl Iterator<Item = &'a Fence> {
    page.fences().filter(|fence| has_steps(page, fence))
}

fn has_steps(page: &Markdown<'_>, fence: &Fence) -> bool {
    fence.is_console() && has_command(&page.text[fence.range.clone()])
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
    static OURS: Pattern = Pattern::new(|| pattern(r"^\s*<!--\s*runner\s"));
    let lines = page.fences().filter(|fence| !has_steps(page, fence));
    let lines = lines.flat_map(|fence| &fence.lines);
    let ours = lines.filter(|range| OURS.is_match(&page.text[(*range).clone()]));
    ours.map(|range| page.line(range.start))
}

/// A fence with steps as a block of HTML.
fn console(page: &Markdown<'_>, fence: &Fence) -> Edit {
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
