//! What the steps of a chapter do otherwise on another series of the kernel, from what was recorded
//! on both, and what the authors say about it (`snapshot::reasons`).

use std::path::Path;

use anyhow::Result;

use crate::chapter::Chapter;
use crate::snapshot::Snapshot;
use crate::snapshot::compare::{Difference, Verdict, compare};
use crate::snapshot::noise::Noise;
use crate::snapshot::reasons::{self, Form, Reasons};
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// What has become of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It prints the same bytes.
    Same,
    /// It says the same: what differs are addresses, times and the lines of the source.
    SameMeaning,
    /// Another command is typed, and what that prints is the same, or the same in meaning.
    AnotherForm,
    /// It says something else.
    Otherwise(Difference),
    /// It could not be typed, as a step that it follows from did something else.
    Absent,
}

/// What has become of each step of a chapter, from one series to another; none where one of the two
/// was never recorded.
///
/// # Errors
/// When a snapshot, the noise or what is said about a series cannot be read.
pub fn between(
    root: &Path,
    chapter: &Chapter,
    from: &str,
    to: &str,
) -> Result<Option<Vec<(StepId, Fate)>>> {
    let read = |series| Snapshot::of_series(root, series, &chapter.name);
    let (Some(before), Some(after)) = (read(from)?, read(to)?) else {
        return Ok(None);
    };
    let reasons = [Reasons::read(root, from)?, Reasons::read(root, to)?];
    let noise = Noise::read(root, &chapter.name)?;
    Ok(Some(fates(chapter, &noise, [before, after], &reasons)))
}

/// What has become of each step of a chapter, from one replay to another: on two series, of which
/// this is said.
#[must_use]
pub fn fates(
    chapter: &Chapter,
    noise: &Noise,
    mut replays: [Snapshot; 2],
    reasons: &[Reasons; 2],
) -> Vec<(StepId, Fate)> {
    for (replay, reasons) in replays.iter_mut().zip(reasons) {
        reasons.with_commands_of(chapter, replay);
    }
    let [before, after] = replays;
    let verdict = compare(&before, noise, &after, chapter.last());
    let ids = chapter.steps.iter().map(|step| step.id);
    let fates = ids.map(|id| {
        let has_form = reasons.iter().any(|reasons| reasons.form(id).is_some());
        let fate = match fate(&verdict, id) {
            Fate::Same | Fate::SameMeaning if has_form => Fate::AnotherForm,
            fate => fate,
        };
        (id, fate)
    });
    fates.collect()
}

/// How many steps have become what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The same bytes.
    pub same: usize,
    /// The same in meaning.
    pub same_meaning: usize,
    /// Another command.
    pub another_form: usize,
    /// Something else.
    pub otherwise: usize,
    /// Not typed.
    pub absent: usize,
    /// Something else or not typed, and nobody has said why.
    pub unexplained: usize,
}

impl Counts {
    /// Counts the steps of a chapter.
    #[must_use]
    pub fn of(fates: &[(StepId, Fate)], reasons: &Reasons) -> Self {
        let mut counts = Self::default();
        for (id, fate) in fates {
            let (count, needs_reason) = match fate {
                Fate::Same => (&mut counts.same, false),
                Fate::SameMeaning => (&mut counts.same_meaning, false),
                Fate::AnotherForm => (&mut counts.another_form, false),
                Fate::Otherwise(_) => (&mut counts.otherwise, true),
                Fate::Absent => (&mut counts.absent, true),
            };
            *count += 1;
            counts.unexplained += usize::from(needs_reason && reasons.of(*id).is_none());
        }
        counts
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            same: sum.same + one.same,
            same_meaning: sum.same_meaning + one.same_meaning,
            another_form: sum.another_form + one.another_form,
            otherwise: sum.otherwise + one.otherwise,
            absent: sum.absent + one.absent,
            unexplained: sum.unexplained + one.unexplained,
        })
    }
}

/// What a verdict says of one step.
#[must_use]
pub fn fate(verdict: &Verdict, id: StepId) -> Fate {
    let id = id.to_string();
    let (steps, noise, unreached): (&[Difference], &[String], &[String]) = match verdict {
        Verdict::Exact => (&[], &[], &[]),
        Verdict::SameMeaning { noise, .. } => (&[], noise, &[]),
        Verdict::Different {
            steps,
            noise,
            unreached,
        } => (steps, noise, unreached),
    };
    if let Some(difference) = steps.iter().find(|step| step.step == id) {
        Fate::Otherwise(difference.clone())
    } else if unreached.contains(&id) {
        Fate::Absent
    } else if noise.contains(&id) {
        Fate::SameMeaning
    } else {
        Fate::Same
    }
}

/// What is known of one chapter on all series that somebody has explained.
#[derive(Debug, Default)]
pub struct Elsewhere {
    series: Vec<(String, Reasons, Option<Snapshot>)>,
}

/// A step on another series.
#[derive(Debug)]
pub struct Other<'a> {
    /// The series.
    pub series: &'a str,
    /// Why it does something else there, if it does.
    pub why: Option<&'a str>,
    /// What is typed there in place of the book's command, if another one is.
    pub form: Option<&'a Form>,
    /// What it prints there, if it can be typed there at all.
    pub record: Option<&'a Record>,
}

impl Elsewhere {
    /// Reads what is known of the chapter called `name`.
    ///
    /// # Errors
    /// As [`reasons::all`], [`Reasons::read`] and [`Snapshot::of_series`].
    pub fn read(root: &Path, name: &str) -> Result<Self> {
        let series = reasons::all(root)?.into_iter().map(|series| {
            let reasons = Reasons::read(root, &series)?;
            let snapshot = Snapshot::of_series(root, &series, name)?;
            Ok((series, reasons, snapshot))
        });
        Ok(Self {
            series: series.collect::<Result<_>>()?,
        })
    }

    /// The series on which a step does something else or is typed in another form, the oldest
    /// first.
    pub fn of(&self, id: StepId) -> impl Iterator<Item = Other<'_>> {
        let others = self.series.iter();
        others.filter_map(move |(series, reasons, snapshot)| {
            let (why, form) = (reasons.of(id), reasons.form(id));
            if why.is_none() && form.is_none() {
                return None;
            }
            let record = snapshot.as_ref().and_then(|snapshot| snapshot.record(id));
            Some(Other {
                series,
                why,
                form,
                record,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_its_fate() {
        let commands = [
            "gdb list",
            "guest ls",
            "gdb print a",
            "gdb print b",
            "guest ls",
        ];
        let lines = commands
            .iter()
            .zip(1..)
            .map(|(command, number)| format!("<!-- cmdrun runner show 5.{number} {command} -->\n"));
        let text = format!("```console\n{}```\n", lines.collect::<String>());
        let chapter = Chapter::parse(Path::new("chapters/05-x.md"), &text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &Path, content: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let recorded = |series: &str, steps: &[(&str, &str)]| {
            let mut content = format!("---\n---\nkind: exact\nlinux: {series}.1\n");
            for ((command, printed), number) in steps.iter().zip(1..) {
                content += &format!("\n5.{number} {command}\n| {printed}\n= 0\n");
            }
            write(&crate::snapshot::path(root, series, "05-x"), &content);
        };
        let printed = ["10\tint a;", "a", "$1 = 3", "$2 = 4", "c"];
        recorded("6.1", &Vec::from_iter(commands.into_iter().zip(printed)));
        assert_eq!(between(root, &chapter, "6.1", "6.12").unwrap(), None);
        recorded(
            "6.12",
            &[
                ("gdb list", "12\tint a;"),
                ("guest ls", "b"),
                ("gdb print g.a", "$1 = 3"),
                ("gdb print g.b", "$2 = 4"),
            ],
        );
        // The second form was not what was typed when it was recorded.
        let forms = "[[form]]\nstep = \"5.3\"\ncommand = \"print g.a\"\nwhy = \"x\"\n\
                     [[form]]\nstep = \"5.4\"\ncommand = \"print h.b\"\nwhy = \"x\"\n";
        write(&root.join("drift/6.12.toml"), forms);
        for (from, to) in [("6.1", "6.12"), ("6.12", "6.1")] {
            let fates = between(root, &chapter, from, to).unwrap().unwrap();
            let fates: Vec<Fate> = fates.into_iter().map(|(_, fate)| fate).collect();
            assert_eq!(fates[0], Fate::SameMeaning);
            assert!(matches!(&fates[1], Fate::Otherwise(_)), "{fates:?}");
            assert_eq!(fates[2], Fate::AnotherForm);
            assert!(matches!(&fates[3], Fate::Otherwise(_)), "{fates:?}");
        }
        let fates = between(root, &chapter, "6.1", "6.12").unwrap().unwrap();
        assert_eq!(fates[4].1, Fate::Absent);
        let reasons = Reasons::read(root, "6.12").unwrap();
        let counts = Counts {
            same: 0,
            same_meaning: 1,
            another_form: 1,
            otherwise: 2,
            absent: 1,
            unexplained: 3,
        };
        assert_eq!(Counts::of(&fates, &reasons), counts);
    }
}
