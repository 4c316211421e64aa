//! Numbers the steps of a chapter in order, after one was added or removed, and lets what speaks
//! of them follow: the pages, and what is said about them on other series of the kernel.
//!
//! A half-renumbered book would be wrong without a word. So all files are planned first, and
//! nothing is written where a reference does not lead to one step; then all of them are written, or
//! none.

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use regex_lite::Regex;
use tempfile::NamedTempFile;

use crate::chapter::markdown::{Edit, Page, Piece};
use crate::chapter::value::{self, Directive};
use crate::chapter::{self, Chapter};
use crate::fault::{Error, Fault};
use crate::pattern::{Pattern, pattern};
use crate::snapshot::{Snapshot, reasons};
use lab::transcript::step::Step;

/// What was renumbered.
#[derive(Debug)]
pub struct Renumbered {
    /// The chapter's file, relative to the repository.
    pub path: PathBuf,
    /// How many steps it has.
    pub steps: usize,
    /// How many files were written.
    pub written: usize,
    /// How many files speak of a step by another number now.
    pub followed: usize,
}

/// Numbers the steps of chapter `number` of the repository `root` in order.
///
/// # Errors
/// When there is no such chapter, [`Error::Faults`] of the pages, and files that cannot be read or
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

/// A file that changes.
struct Change {
    path: PathBuf,
    before: String,
    after: String,
    /// Whether it speaks of a step with another number now.
    has_followed: bool,
}

/// How many steps the chapter has, and every file that changes when they are numbered in order.
fn plan(root: &Path, chapter: &Path) -> anyhow::Result<(usize, Vec<Change>)> {
    let (number, name) = chapter::name_of(chapter).map_err(anyhow::Error::msg)?;
    let text = chapter::text(root, chapter)?;
    let (renumbered, before) = renumber(number, &text);
    let steps = Chapter::parse(chapter, &renumbered)?.steps;
    if renumbered == text {
        return Ok((steps.len(), Vec::new()));
    }
    ensure!(
        before.len() == steps.len(),
        "{}: a step is not understood",
        chapter.display()
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
        let lost = lost.into_iter();
        faults.extend(lost.map(|(line, message)| Fault::new(&path, line, message)));
        let after = match path == chapter {
            true => renumber(number, &after).0,
            false => after,
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
    for path in reasons::paths(root)? {
        let before = chapter::text(root, &path)?;
        let (after, lost) = moves.follow_reasons(&before);
        let lost = lost.into_iter();
        faults.extend(lost.map(|(line, message)| Fault::new(&path, line, message)));
        if after != before {
            changes.push(Change {
                path,
                before,
                after,
                has_followed: true,
            });
        }
    }
    Error::unless_empty(faults).context("nothing is written")?;
    Ok((moves.steps.len(), changes))
}

/// Writes all pages, each whole; where one cannot be written, the others are what they were.
fn write(root: &Path, pages: &[Change]) -> anyhow::Result<()> {
    let stage = |page: &Change, text: &str| -> anyhow::Result<(PathBuf, NamedTempFile)> {
        let place = root.join(&page.path).canonicalize()?;
        let mut file = NamedTempFile::new_in(place.parent().context("a page lies in a folder")?)?;
        file.write_all(text.as_bytes())?;
        let permissions = place.metadata()?.permissions();
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        Ok((place, file))
    };
    let mut staged = Vec::new();
    for page in pages {
        let path = page.path.display();
        let context = || format!("nothing is written: no room beside {path}");
        staged.push(stage(page, &page.after).with_context(context)?);
    }
    for (at, (place, file)) in staged.into_iter().enumerate() {
        let Err(error) = file.persist(&place) else {
            continue;
        };
        let undone = pages[..at].iter().try_for_each(|page| {
            let (place, file) = stage(page, &page.before)?;
            file.persist(place)?;
            anyhow::Ok(())
        });
        let (page, error) = (pages[at].path.display(), error.error);
        match undone {
            Ok(()) => bail!("cannot write {page}: {error}; all pages are what they were"),
            Err(_) => bail!(
                "cannot write {page}: {error}; some pages are renumbered and some are not; bring \
                 them back to what they were (git checkout) before you renumber again"
            ),
        }
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
        let recorded = recorded.map(|record| (record.terminal, &record.command));
        let is_recorded = |step: &&&Step| recorded == Some((step.terminal, &step.command));
        let mut as_recorded = of_number.iter().filter(is_recorded);
        match (&of_number[..], as_recorded.next(), as_recorded.next()) {
            ([only], _, _) | (_, Some(only), None) => Ok(only.id.number),
            ([], _, _) => Err(format!(
                "this speaks of step {id}, which does not exist; name the step that is meant by \
                 the number that it has now"
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
        let in_value = self.reference(r"(?:^|[^\w.])");
        for (range, inner) in value::find(&page) {
            if let Err(message) = Directive::parse(inner) {
                let message = format!("{{{{{inner}}}}}: {message}");
                lost.push((page.line(range.start), message));
                continue;
            }
            // What stands in quotes is text that a step shows.
            let mut at = range.start + text[range].find(inner).unwrap_or(0);
            for (part, index) in inner.split('\'').zip(0..) {
                if index % 2 == 0 {
                    self.references(&page, at..at + part.len(), &in_value, &mut edits, &mut lost);
                }
                at += part.len() + 1;
            }
        }
        let link = self.reference("#step-");
        for piece in page.pieces() {
            if let Piece::Prose { range, .. } = piece {
                self.references(&page, range.clone(), &link, &mut edits, &mut lost);
            }
        }
        lost.sort_by_key(|(line, _)| *line);
        (page.edited(edits), lost)
    }

    /// What is said about another series, with the steps as they are now, and what does not lead to
    /// a step.
    fn follow_reasons(&self, text: &str) -> (String, Vec<(usize, String)>) {
        static STEPS: Pattern = Pattern::new(|| pattern(r"(?m)^steps? *= *(\[[^\]]*\]|.*)"));
        let page = Page::read(text);
        let (mut edits, mut lost) = (Vec::new(), Vec::new());
        let in_steps = self.reference(r#"(?:"|\.\.)"#);
        for steps in STEPS.find_iter(text) {
            self.references(&page, steps.range(), &in_steps, &mut edits, &mut lost);
        }
        let in_words = self.reference(r"\{\{step ");
        self.references(&page, 0..text.len(), &in_words, &mut edits, &mut lost);
        lost.sort_by_key(|(line, _)| *line);
        (page.edited(edits), lost)
    }

    /// What finds the number of a step of the chapter behind a pattern.
    fn reference(&self, before: &str) -> Regex {
        pattern(&format!(r"{before}{}\.(\d+)\b", self.chapter))
    }

    /// Lets the references in a part of a page follow.
    fn references(
        &self,
        page: &Page<'_>,
        part: Range<usize>,
        reference: &Regex,
        edits: &mut Vec<Edit>,
        lost: &mut Vec<(usize, String)>,
    ) {
        let found = reference.captures_iter(&page.text[part.clone()]);
        for number in found.filter_map(|found| found.get(1)) {
            let start = part.start + number.start();
            let behind = &page.text.as_bytes()[part.start + number.end()..];
            if matches!(behind, [b'.', digit, ..] if digit.is_ascii_digit()) {
                // An address.
                continue;
            }
            match self.now(number.as_str()) {
                Ok(now) => edits.push((start..part.start + number.end(), now.to_string())),
                Err(message) => lost.push((page.line(start), message)),
            }
        }
    }
}

/// The text with its steps numbered from 1, and what number each had.
fn renumber(chapter: u32, text: &str) -> (String, Vec<String>) {
    static STEP: Pattern = Pattern::new(|| pattern(r"^\s*<!-- cmdrun\s+runner\s+show\s+(\S+)"));
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
        let place = range.start + id.start()..range.start + id.end();
        edits.push((place, format!("{chapter}.{}", before.len())));
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
                    {{6.3 6.9.3.2}}\n\
                    ````\n{{6.3}} #step-6.3\n```\n````\n{{step 6.5}}\n";
        let expected = "`{{6.2 '6.3 #'}}` {{6.1 - 6.2}} 6.3 {{16.3}} [x](#step-6.2) (#step-16.3)\n\
                        {{6.2 6.9.3.2}}\n\
                        ````\n{{6.3}} #step-6.3\n```\n````\n{{step 6.6}}\n";
        assert_eq!(moves().follow(text), (expected.to_owned(), Vec::new()));
    }

    #[test]
    fn what_is_said_about_another_series_follows() {
        let text = "# 6.3\n[[change]]\nsteps = [\"6.1\", \"6.3..6.3\",\n\"16.3\"]\n\
                    why = \"In 6.3, see {{step 6.3}}.\"\n[[form]]\nstep = \"6.3\"\n";
        let expected = "# 6.3\n[[change]]\nsteps = [\"6.1\", \"6.2..6.2\",\n\"16.3\"]\n\
                        why = \"In 6.3, see {{step 6.2}}.\"\n[[form]]\nstep = \"6.2\"\n";
        assert_eq!(
            moves().follow_reasons(text),
            (expected.to_owned(), Vec::new())
        );
        let (_, lost) = moves().follow_reasons("[[form]]\nstep = \"6.4\"\n");
        assert!(
            lost[0].0 == 2 && lost[0].1.contains("more than once"),
            "{lost:?}"
        );
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
