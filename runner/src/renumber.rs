//! `runner renumber`: numbers the steps of a chapter in order, after one was added or removed.

use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::chapter;
use crate::root;

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
    let (renumbered, count) = renumber(args.chapter, &text);
    if renumbered == text {
        println!("{}: {count} steps, in order already", path.display());
    } else {
        // Beside it and renamed, so that the chapter is never half-written.
        let beside = full.with_extension("md.new");
        std::fs::write(&beside, renumbered)
            .and_then(|()| std::fs::rename(&beside, &full))
            .with_context(|| format!("write {}", path.display()))?;
        println!(
            "{}: {count} steps renumbered; links to #step-{}.N in the text are yours to follow up, \
             and `runner record {}` records anew",
            path.display(),
            args.chapter,
            args.chapter
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The text with its steps numbered from 1, and how many there are.
fn renumber(chapter: u32, text: &str) -> (String, usize) {
    let start = "<!-- cmdrun runner show ";
    let mut count = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let Some((before, rest)) = line.split_once(start) else {
            return line.to_owned();
        };
        let Some((_, words)) = rest.split_once(' ') else {
            return line.to_owned();
        };
        count += 1;
        format!("{before}{start}{chapter}.{count} {words}")
    });
    (lines.collect(), count)
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
        assert_eq!(renumber(6, text), (expected.to_owned(), 2));
    }
}
