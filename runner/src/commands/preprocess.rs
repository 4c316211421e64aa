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
use std::sync::LazyLock;

use anyhow::Context;
use mdbook_preprocessor::book::Chapter as Page;
use regex::Regex;

use crate::commands::mdbook::Args;
use crate::commands::show;
use crate::root;
use book::chapter::{self, Chapter, Fault, Faults, Fence};
use book::drawing;
use book::drawing::map::Leaf;
use book::page;
use book::page::check::Text;
use book::page::excerpt;
use book::page::hint;
use book::page::values::Values;
use book::prose::glossary::Glossary;
use book::snapshot::Snapshot;
use lab::build::cache::Cache;
use lab::build::kernel;

/// What mdbook-cmdrun takes for the beginning of a command.
pub static COMMAND: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("<!-- *cmdrun ").expect("a valid pattern"));

/// Reads the book from standard input, and writes it to standard output.
///
/// # Errors
/// [`Faults`] of all chapters, and files that cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(answer) = args.answer() {
        return Ok(answer);
    }
    let (context, mut book) = mdbook_preprocessor::parse_input(std::io::stdin())
        .context("understand what mdbook sent; the book is built with mdbook 0.5")?;
    let root = root::find()?;
    let mut results = Vec::new();
    let mut text = Text::read(&root)?;
    let mut filling = Filling::read(&root, &text)?;
    book.for_each_chapter_mut(|page| {
        let source = &context.config.book.src;
        results.push(lay_out(&root, source, page, &mut text, &mut filling));
    });
    let mut faults = text.exemptions();
    for result in results {
        match result.map_err(anyhow::Error::downcast::<Faults>) {
            Ok(()) => {}
            Err(Ok(found)) => faults.extend(found.0),
            Err(Err(other)) => return Err(other),
        }
    }
    if !faults.is_empty() {
        return Err(Faults(faults).into());
    }
    for changed in filling.changed {
        eprintln!("warning: {changed}");
    }
    serde_json::to_writer(std::io::stdout(), &book).context("give the book back to mdbook")?;
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

    /// The faults of a page, whose file and text these are.
    fn check(&mut self, path: &Path, text: &str) -> Vec<Fault> {
        let (_, mut faults) = self.values.fill(path, text);
        let excerpts = excerpt::fill(path, text, self.tree.as_deref(), &self.names);
        self.changed.extend(excerpts.changed);
        faults.extend(excerpts.faults);
        faults
    }

    fn fill(&mut self, path: &Path, text: &str) -> String {
        let (text, _) = self.values.fill(path, text);
        excerpt::fill(path, &text, self.tree.as_deref(), &self.names).text
    }
}

fn lay_out(
    root: &Path,
    source: &Path,
    page: &mut Page,
    names: &mut Text,
    filling: &mut Filling,
) -> anyhow::Result<()> {
    let Some(file) = &page.source_path else {
        return Ok(());
    };
    let path = source.join(file);
    let fault = |line, message: &str| Fault {
        path: path.clone(),
        line,
        message: message.to_owned(),
    };
    let text = std::fs::read_to_string(root.join(&path))
        .with_context(|| format!("read the page {}", path.display()))?;
    let mut found = names.check(&path, &text);
    found.extend(names.numerals(&path, &text, &filling.values));
    found.extend(filling.check(&path, &text));
    let steps = if chapter::name_of(&path).is_ok() {
        let chapter = Chapter::read(root, &path);
        let steps = chapter.and_then(|chapter| check(root, &chapter, &text, &fault));
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
        let directives = lines.filter(|(line, _)| COMMAND.is_match(line));
        let message = "only a chapter, chapters/NN-slug.md, holds steps";
        found.extend(directives.map(|(_, at)| fault(at, message)));
        let drawings = drawing::of_page(&path, &text, &|| leaves(root));
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
    let decorated = hint::decorate(&page.content, &names.glossary);
    let filled = filling.fill(&path, &decorated);
    let drawn = drawing::insert(&path, &filled, &laid_out.drawings)?;
    page.content = rewrite(&drawn, laid_out.banner.as_deref());
    if COMMAND.find_iter(&page.content).count() != laid_out.steps {
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
    banner: Option<String>,
    /// How many steps there are.
    steps: usize,
    drawings: Vec<String>,
}

/// Checks a chapter's steps, if it has any.
fn check(
    root: &Path,
    chapter: &Chapter,
    text: &str,
    fault: &dyn Fn(usize, &str) -> Fault,
) -> anyhow::Result<Option<LaidOut>> {
    let mut found: Vec<Fault> = strangers(text)
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
        drawings: drawing::all(chapter, text, &snapshot)?,
    }))
}

fn faults(found: Vec<Fault>) -> Result<(), Faults> {
    match found.is_empty() {
        true => Ok(()),
        false => Err(Faults(found)),
    }
}

/// A piece of a page: a line, or a console fence as a whole.
enum Piece<'a> {
    Line(&'a str),
    /// The lines from the one that opens the fence to the one that closes it, with their numbers.
    Console(Vec<(usize, &'a str)>),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut console = Vec::new();
    let mut fence = Fence::default();
    for (line, at) in text.lines().zip(1..) {
        let inside = fence.is_console();
        fence.read(line);
        if inside || fence.is_console() {
            console.push((at, line));
        } else {
            pieces.push(Piece::Line(line));
        }
        if inside && !fence.is_console() {
            pieces.push(Piece::Console(std::mem::take(&mut console)));
        }
    }
    if !console.is_empty() {
        pieces.push(Piece::Console(console));
    }
    pieces
}

/// The lines in fences with steps that are neither steps nor blank.
fn strangers(text: &str) -> impl Iterator<Item = usize> {
    let mut found = Vec::new();
    for piece in pieces(text) {
        if let Piece::Console(lines) = piece
            && lines.iter().any(|(_, line)| COMMAND.is_match(line))
        {
            let inner = lines.iter().skip(1).take(lines.len().saturating_sub(2));
            let strange =
                inner.filter(|(_, line)| !line.trim().is_empty() && !COMMAND.is_match(line));
            found.extend(strange.map(|(at, _)| *at));
        }
    }
    found.into_iter()
}

/// Turns fences with steps into HTML blocks, and puts `banner` below the heading that the page begins
/// with, or at its top.
fn rewrite(content: &str, banner: Option<&str>) -> String {
    let body: String = pieces(content)
        .iter()
        .map(|piece| match piece {
            Piece::Line(line) => format!("{line}\n"),
            Piece::Console(lines) => console(lines),
        })
        .collect();
    let Some(banner) = banner else {
        return body;
    };
    let (heading, rest) = match body.trim_start().split_once('\n') {
        Some((first, rest)) if first.starts_with("# ") => (first, rest),
        _ => ("", &*body),
    };
    format!("{heading}\n\n{banner}\n\n{rest}")
}

fn console(lines: &[(usize, &str)]) -> String {
    let steps: String = lines
        .iter()
        .filter(|(_, line)| COMMAND.is_match(line))
        .map(|(_, line)| format!("{}\n", line.trim()))
        .collect();
    if steps.is_empty() {
        return lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    }
    format!("<div class=\"steps\">\n{steps}</div>\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(strangers(text).collect::<Vec<_>>(), [6]);
    }
}
