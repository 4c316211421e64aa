//! Numbers the steps of a chapter in order, after one was added or removed, and
//! lets what speaks of them in the text follow.
//!
//! A half-renumbered book would be wrong without a word. So all pages are planned first, and
//! nothing is written where a reference does not lead to one step; then all of them are written, or
//! none.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, bail, ensure};
use regex_lite::{Captures, Regex};
use tempfile::NamedTempFile;

use crate::chapter::markdown::{Edit, Page, Piece};
use crate::chapter::value::{self, Directive};
use crate::chapter::{self, Chapter};
use crate::fault::{Error, Fault, Faults};
use crate::snapshot::Snapshot;
use lab::transcript::Record;
use lab::transcript::step::Step;

/// What was renumbered.
#[derive(Debug)]
pub struct Renumbered {
    /// The chapter's file, relative to the repository.
    pub path: PathBuf,
    /// How many steps it has.
    pub steps: usize,
    /// How many pages were written.
    pub written: usize,
    /// How many pages speak of a step by another number now.
    pub followed: usize,
}

/// Numbers the steps of chapter `number` of the repository `root` in order.
///
/// # Errors
/// When there is no such chapter, [`Faults`] of the pages, and files that cannot be read or
/// written.
pub fn chapter(root: &Path, number: u32) -> anyhow::Result<Renumbered> {
    let path = chapter::find(root, &number.to_string())?;
    let (steps, pages) = plan(root, &path)?;
    write(root, &pages)?;
    Ok(Renumbered {
        path,
        steps,
        written: pages.len(),
        followed: pages.iter().filter(|page| page.has_followed).count(),
    })
}

/// A page that changes.
struct Change {
    path: PathBuf,
    before: String,
    after: String,
    /// Whether it speaks of a step with another number now.
    has_followed: bool,
}

/// How many steps the chapter has, and every page that changes when they are numbered in order.
fn plan(root: &Path, path: &Path) -> anyhow::Result<(usize, Vec<Change>)> {
    let (number, name) = chapter::name_of(path).map_err(anyhow::Error::msg)?;
    let text = chapter::text(root, path)?;
    let (renumbered, before) = renumber(number, &text);
    let steps = Chapter::parse(path, &renumbered)
        .map_err(Error::Faults)?
        .steps;
    if renumbered == text {
        return Ok((steps.len(), Vec::new()));
    }
    ensure!(
        before.len() == steps.len(),
        "{}: a step is not understood",
        path.display()
    );
    let moves = Moves {
        chapter: number,
        recorded: Snapshot::read(root, &name)?,
        steps: before.into_iter().zip(steps).collect(),
    };
    let (mut changes, mut faults) = (Vec::new(), Vec::new());
    for path in chapter::pages(root)? {
        let before = chapter::text(root, &path)?;
        let (after, lost) = moves.follow(&before);
        let has_followed = after != before;
        faults.extend(lost.into_iter().map(|(line, message)| Fault {
            path: path.clone(),
            line,
            message,
        }));
        let after = if name_is(&path, &name) {
            renumber(number, &after).0
        } else {
            after
        };
        if after != before {
            changes.push(Change {
                path,
                before,
                after,
                has_followed,
            });
        }
    }
    if !faults.is_empty() {
        return Err(anyhow::Error::new(Error::Faults(Faults(faults))).context("nothing is written"));
    }
    Ok((moves.steps.len(), changes))
}

fn name_is(path: &Path, name: &str) -> bool {
    path.file_stem().is_some_and(|stem| stem == name)
}

/// Writes all pages, each whole; where one cannot be written, the others are what they were.
fn write(root: &Path, pages: &[Change]) -> anyhow::Result<()> {
    let stage = |page: &Change, text: &str| -> anyhow::Result<(PathBuf, NamedTempFile)> {
        let place = root.join(&page.path).canonicalize()?;
        let mut file = NamedTempFile::new_in(place.parent().context("a page lies in a folder")?)?;
        file.write_all(text.as_bytes())?;
        file.as_file()
            .set_permissions(place.metadata()?.permissions())?;
        file.as_file().sync_all()?;
        Ok((place, file))
    };
    let mut staged = Vec::new();
    for page in pages {
        let file = stage(page, &page.after);
        staged.push(file.with_context(|| {
            let page = page.path.display();
            format!("nothing is written: no room beside {page}")
        })?);
    }
    for (at, (place, file)) in staged.into_iter().enumerate() {
        let Err(error) = file.persist(&place) else {
            continue;
        };
        let undo = |page: &&Change| {
            let undone = stage(page, &page.before);
            undone.is_err() || undone.is_ok_and(|(place, file)| file.persist(place).is_err())
        };
        let left: Vec<&Change> = pages[..at].iter().filter(undo).collect();
        let names = |pages: &[&Change]| {
            let names = pages.iter().map(|page| page.path.display().to_string());
            Vec::from_iter(names).join(", ")
        };
        let page = pages[at].path.display();
        if left.is_empty() {
            bail!(
                "cannot write {page}: {}; all pages are what they were",
                error.error
            );
        }
        bail!(
            "cannot write {page}: {}; renumbered are {} and no other page; bring these back to \
             what \
             they were (git checkout) before you renumber again",
            error.error,
            names(&left)
        );
    }
    Ok(())
}

/// What the numbers of a chapter's steps become.
struct Moves {
    chapter: u32,
    /// Each step as it is numbered now, behind the number that it had.
    steps: Vec<(String, Step)>,
    /// What was recorded under the numbers that they had.
    recorded: Option<Snapshot>,
}

impl Moves {
    /// The number now of the step that had this one.
    fn now(&self, before: &str) -> Result<u32, String> {
        let id = format!("{}.{before}", self.chapter);
        let of_number = self.steps.iter().filter(|(old, _)| old == before);
        let of_number: Vec<&Step> = of_number.map(|(_, step)| step).collect();
        let recorded = id.parse().ok();
        let recorded = recorded.and_then(|id| self.recorded.as_ref()?.record(id));
        let is_recorded = |step: &&&Step| {
            let same = |record: &Record| {
                (record.terminal, &record.command) == (step.terminal, &step.command)
            };
            recorded.is_some_and(same)
        };
        let mut as_recorded = of_number.iter().filter(is_recorded);
        match (&of_number[..], as_recorded.next(), as_recorded.next()) {
            ([only], _, _) | (_, Some(only), None) => Ok(only.id.number),
            ([], _, _) => Err(format!(
                "this speaks of step {id}, which does not exist; name the step that is meant by \
                 the \
                 number that it has now"
            )),
            _ => Err(format!(
                "this speaks of step {id}, which exists more than once; give each new one a \
                 number that no other step has, such as {}.9001",
                self.chapter
            )),
        }
    }

    /// The page with `{{6.9}}` and `#step-6.9` as they are now, and what does not lead to a step,
    /// by line.
    fn follow(&self, text: &str) -> (String, Vec<(usize, String)>) {
        let page = Page::read(text);
        let (mut edits, mut lost) = (Vec::new(), Vec::new());
        let values = value::find(&page);
        for (range, inner) in &values {
            if let Err(message) = Directive::parse(inner) {
                lost.push((
                    page.line(range.start),
                    format!("{{{{{inner}}}}}: {message}"),
                ));
                continue;
            }
            // What stands in quotes is text that a step shows.
            let start = range.start + text[range.clone()].find(inner).unwrap_or(0);
            let mut at = start;
            for (part, index) in inner.split('\'').zip(0..) {
                if index % 2 == 0 {
                    self.references(
                        &page,
                        at..at + part.len(),
                        r"(?:^|[^\w.])",
                        &mut edits,
                        &mut lost,
                    );
                }
                at += part.len() + 1;
            }
        }
        for piece in page.pieces() {
            if let Piece::Prose { range, .. } = piece {
                self.references(&page, range.clone(), "#step-", &mut edits, &mut lost);
            }
        }
        lost.sort_by_key(|(line, _)| *line);
        (page.edited(edits), lost)
    }

    /// Finds the numbers of steps behind a pattern.
    fn references(
        &self,
        page: &Page<'_>,
        range: std::ops::Range<usize>,
        before: &str,
        edits: &mut Vec<Edit>,
        lost: &mut Vec<(usize, String)>,
    ) {
        let pattern = format!(r"{before}{}\.(\d+)\b", self.chapter);
        let pattern = Regex::new(&pattern).expect("a valid pattern");
        let number = |found: Captures<'_>| found.get(1).map(|number| number.range());
        let found = pattern.captures_iter(&page.text[range.clone()]);
        for number in found.filter_map(number) {
            let place = range.start + number.start..range.start + number.end;
            match self.now(&page.text[place.clone()]) {
                Ok(now) => edits.push(Edit {
                    range: place,
                    text: now.to_string(),
                }),
                Err(message) => lost.push((page.line(place.start), message)),
            }
        }
    }
}

/// The text with its steps numbered from 1, and what number each had.
fn renumber(chapter: u32, text: &str) -> (String, Vec<String>) {
    static STEP: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*<!-- cmdrun\s+runner\s+show\s+(\S+)").expect("a valid pattern")
    });
    let page = Page::read(text);
    let fences = page.fences().filter(|fence| fence.is_console());
    let (mut edits, mut before) = (Vec::new(), Vec::new());
    for range in fences.flat_map(|fence| &fence.lines) {
        let step = STEP.captures(&text[range.clone()]);
        let Some(id) = step.as_ref().and_then(|step| step.get(1)) else {
            continue;
        };
        let old = id.as_str().rsplit('.').next();
        before.push(old.unwrap_or_default().to_owned());
        edits.push(Edit {
            range: range.start + id.start()..range.start + id.end(),
            text: format!("{chapter}.{}", before.len()),
        });
    }
    (page.edited(edits), before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_repeats_are_closed_and_nothing_else_changes() {
        let text = "a 6.9\n```console\n<!-- cmdrun runner show 6.2 gdb 'print 6.2' -->\n\
                    <!-- cmdrun runner show 6.2 status=1 guest ls -->\r\n```\nend";
        let expected = "a 6.9\n```console\n<!-- cmdrun runner show 6.1 gdb 'print 6.2' -->\n\
                        <!-- cmdrun runner show 6.2 status=1 guest ls -->\r\n```\nend";
        let before = ["2".to_owned(), "2".to_owned()];
        assert_eq!(renumber(6, text), (expected.to_owned(), before.into()));
    }

    fn moves() -> Moves {
        let old = ["1", "3", "4", "4", "5", "5"].map(str::to_owned);
        let step = |number| {
            let line = format!("6.{number} guest 'echo {number}'");
            Step::parse(&lab::transcript::words::split(&line).unwrap(), 1).unwrap()
        };
        let recorded = "\n6.5 guest echo 6\n= 0\n";
        Moves {
            chapter: 6,
            steps: old.into_iter().zip((1..).map(step)).collect(),
            recorded: Some(Snapshot::parse(recorded).unwrap()),
        }
    }

    #[test]
    fn references_follow_their_steps() {
        let text = "`{{6.3 '6.3 #'}}` {{6.1 - 6.3}} 6.3 {{16.3}} [x](#step-6.3) (#step-16.3)\n\
                    ````\n{{6.3}} #step-6.3\n```\n````\n{{step 6.5}}\n";
        let expected = "`{{6.2 '6.3 #'}}` {{6.1 - 6.2}} 6.3 {{16.3}} [x](#step-6.2) (#step-16.3)\n\
                        ````\n{{6.3}} #step-6.3\n```\n````\n{{step 6.6}}\n";
        assert_eq!(moves().follow(text), (expected.to_owned(), Vec::new()));
    }

    #[test]
    fn what_leads_to_no_step_or_to_two_is_told() {
        let text = "a\n{{step 6.4}}\n[y](a.md#step-6.9)\n{{6.1 'x}}\n";
        let (_, lost) = moves().follow(text);
        let parts = [
            "6.4, which exists more than once",
            "6.9, which does not exist",
            "never closed",
        ];
        assert_eq!(lost.len(), parts.len(), "{lost:?}");
        for (((line, message), part), at) in lost.iter().zip(parts).zip(2..) {
            assert!(*line == at && message.contains(part), "{lost:?}");
        }
    }
}
