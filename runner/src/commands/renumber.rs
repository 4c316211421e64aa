//! `runner renumber`: numbers the steps of a chapter in order, after one was added or removed, and lets what speaks of them
//! in the text follow.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use regex::{Captures, Regex};

use crate::root;
use book::chapter;
use book::chapter::value;

/// Which chapter to renumber.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chapter's number, such as 5
    chapter: u32,
}

/// Runs the subcommand.
///
/// # Errors
/// When there is no such chapter, or its file cannot be read or written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let root = root::find()?;
    let prefix = format!("{:02}-", args.chapter);
    let is_wanted = |path: &std::path::PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    };
    let Some(path) = chapter::paths(&root)?.into_iter().find(is_wanted) else {
        bail!("there is no file chapters/{prefix}*.md");
    };
    let full = root.join(&path);
    let text =
        std::fs::read_to_string(&full).with_context(|| format!("read {}", path.display()))?;
    let (renumbered, moves) = renumber(args.chapter, &text);
    let count = moves.len();
    if renumbered == text {
        println!("{}: {count} steps, in order already", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    write(&full, &renumbered)?;
    let mut followed = 0;
    for page in chapter::pages(&root)? {
        let text = chapter::text(&root, &page)?;
        let references = follow(args.chapter, &text, &moves);
        for line in references.lost {
            println!(
                "{}:{line}: this speaks of a step that is not one step any more; look which one is meant",
                page.display()
            );
        }
        if references.text != text {
            write(&root.join(&page), &references.text)?;
            followed += 1;
        }
    }
    println!(
        "{}: {count} steps renumbered, and what speaks of them in {followed} pages; `runner record {}` records anew",
        path.display(),
        args.chapter
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes beside the file and renames, so that a page is never half-written.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    lab::build::cache::write_whole(path, text.as_bytes())
}

/// A step's number before, as it was written, and now.
type Move = (String, usize);

/// A page whose references have followed the steps.
#[derive(Debug)]
struct References {
    text: String,
    /// The lines with references to a number that no step had, or several.
    lost: Vec<usize>,
}

/// Lets `{{6.9}}` and `#step-6.9` follow the steps of a chapter.
fn follow(chapter: u32, text: &str, moves: &[Move]) -> References {
    let mut lost = Vec::new();
    let pattern = format!(r"(^|#step-|[^\w.]){chapter}\.(\d+)\b");
    let pattern = Regex::new(&pattern).expect("a valid pattern");
    let mut moved = |part: &str, line: usize| {
        let replaced = pattern.replace_all(part, |found: &Captures<'_>| {
            let mut of_number = moves.iter().filter(|(before, _)| *before == found[2]);
            if let (Some((_, now)), None) = (of_number.next(), of_number.next()) {
                format!("{}{chapter}.{now}", &found[1])
            } else {
                lost.push(line);
                found[0].to_owned()
            }
        });
        replaced.into_owned()
    };
    let mut page = String::new();
    let mut done = 0;
    for (range, inner) in value::find(text) {
        page += &text[done..range.start];
        let line = text[..range.start].matches('\n').count() + 1;
        // What stands in quotes is text that a step shows.
        let parts = inner.split('\'').enumerate();
        let parts = parts.map(|(at, part)| match at % 2 {
            0 => moved(part, line),
            _ => part.to_owned(),
        });
        let parts = Vec::from_iter(parts).join("'");
        page += &text[range.clone()].replacen(inner, &parts, 1);
        done = range.end;
    }
    page += &text[done..];
    let links = Regex::new(&format!(r"#step-{chapter}\.\d+")).expect("a valid pattern");
    let lines = page.split_inclusive('\n').zip(1..);
    let lines = lines.map(|(line, at)| {
        let link = |found: &Captures<'_>| moved(&found[0], at);
        links.replace_all(line, link).into_owned()
    });
    let text = lines.collect();
    References { text, lost }
}

/// The text with its steps numbered from 1, and what number each had.
fn renumber(chapter: u32, text: &str) -> (String, Vec<Move>) {
    let start = "<!-- cmdrun runner show ";
    let mut moves = Vec::new();
    let lines = text.split_inclusive('\n').map(|line| {
        let Some((before, rest)) = line.split_once(start) else {
            return line.to_owned();
        };
        let Some((id, words)) = rest.split_once(' ') else {
            return line.to_owned();
        };
        let number = moves.len() + 1;
        let old = id.rsplit('.').next().unwrap_or(id);
        moves.push((old.to_owned(), number));
        format!("{before}{start}{chapter}.{number} {words}")
    });
    (lines.collect(), moves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_repeats_are_closed_and_nothing_else_changes() {
        let text = "a 6.9\n<!-- cmdrun runner show 6.2 gdb 'print 6.2' -->\n\
                    <!-- cmdrun runner show 6.2 status=1 guest ls -->\r\nend";
        let expected = "a 6.9\n<!-- cmdrun runner show 6.1 gdb 'print 6.2' -->\n\
                        <!-- cmdrun runner show 6.2 status=1 guest ls -->\r\nend";
        let moves = [("2".to_owned(), 1), ("2".to_owned(), 2)];
        assert_eq!(renumber(6, text), (expected.to_owned(), moves.into()));
    }

    #[test]
    fn references_follow_their_steps() {
        let moves =
            [("1", 1), ("3", 2), ("4", 3), ("4", 4)].map(|(old, new)| (old.to_owned(), new));
        let text = "`{{6.3 '6.3 #'}}` {{6.1 - 6.3}} 6.3 {{16.3}} [x](#step-6.3) (#step-16.3)\n{{step 6.4}}\n[y](a.md#step-6.9)\n";
        let expected = "`{{6.2 '6.3 #'}}` {{6.1 - 6.2}} 6.3 {{16.3}} [x](#step-6.2) (#step-16.3)\n{{step 6.4}}\n[y](a.md#step-6.9)\n";
        let References { text, lost } = follow(6, text, &moves);
        assert_eq!(text, expected);
        assert_eq!(lost, [2, 3], "6.4 was there twice, and 6.9 never");
    }
}
