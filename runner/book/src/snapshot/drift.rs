//! What the steps of a chapter do otherwise on another series of the kernel, from what was recorded
//! on both, and what the authors say about it.
//!
//! The explanations of a series are in `drift/6.12.toml`:
//!
//! ```toml
//! [[change]]
//! steps = ["6.45", "9.12..9.15"]
//! why = "The socket has another field in front of it."
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::snapshot::Snapshot;
use crate::snapshot::compare::{Difference, Verdict, compare};
use crate::snapshot::noise::Noise;
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// The folder of the explanations, from the root of the repository.
pub const FOLDER: &str = "drift";

/// What has become of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It prints the same bytes.
    Same,
    /// It says the same: what differs are addresses, times and the lines of the source.
    SameMeaning,
    /// It says something else.
    Otherwise(Difference),
    /// It could not be typed, as a step that it follows from did something else.
    Absent,
}

/// What has become of each step of the chapter called `name`, whose last one is `last`, from one
/// series to another; none where one of the two was never recorded.
///
/// # Errors
/// When a snapshot or the noise cannot be read.
pub fn between(
    root: &Path,
    name: &str,
    last: StepId,
    from: &str,
    to: &str,
) -> Result<Option<Vec<(StepId, Fate)>>> {
    let [before, after] = [from, to].map(|series| Snapshot::of_series(root, series, name));
    let (Some(before), Some(after)) = (before?, after?) else {
        return Ok(None);
    };
    let noise = Noise::read(root, name)?;
    let verdict = compare(&before, &noise, &after, last);
    let ids = (1..=last.number).map(|number| StepId {
        chapter: last.chapter,
        number,
    });
    Ok(Some(ids.map(|id| (id, fate(&verdict, id))).collect()))
}

/// How many steps have become what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The same bytes.
    pub same: usize,
    /// The same in meaning.
    pub same_meaning: usize,
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
            otherwise: sum.otherwise + one.otherwise,
            absent: sum.absent + one.absent,
            unexplained: sum.unexplained + one.unexplained,
        })
    }
}

fn fate(verdict: &Verdict, id: StepId) -> Fate {
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

/// Why steps do something else on a series, by the step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasons {
    steps: BTreeMap<StepId, String>,
    changes: Vec<(Vec<StepId>, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    change: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    steps: Vec<String>,
    why: String,
}

impl Reasons {
    /// Reads the explanations of a series; none where nobody has written any.
    ///
    /// # Errors
    /// A file that cannot be read or understood, or that explains a step twice.
    pub fn read(root: &Path, series: &str) -> Result<Self> {
        let path = path(root, series);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("read {}", path.display()))?,
        };
        Self::parse(&text).with_context(|| format!("{}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        let mut steps = BTreeMap::new();
        let mut changes = Vec::new();
        for change in &file.change {
            let why = change.why.trim().to_owned();
            let spans = change.steps.iter().map(|text| span(text));
            let all: Vec<Vec<StepId>> = spans.collect::<Result<_>>()?;
            let all = all.concat();
            for id in &all {
                let before = steps.insert(*id, why.clone());
                ensure!(before.is_none(), "step {id} is explained twice");
            }
            changes.push((all, why));
        }
        Ok(Self { steps, changes })
    }

    /// Why a step does something else, if somebody has said it.
    #[must_use]
    pub fn of(&self, id: StepId) -> Option<&str> {
        self.steps.get(&id).map(String::as_str)
    }

    /// What has changed, in the order in which it was written, each with its steps.
    #[must_use]
    pub fn changes(&self) -> &[(Vec<StepId>, String)] {
        &self.changes
    }

    /// The steps that are explained.
    pub fn steps(&self) -> impl Iterator<Item = StepId> {
        self.steps.keys().copied()
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
    /// Why it does something else there.
    pub why: &'a str,
    /// What it prints there, if it can be typed there at all.
    pub record: Option<&'a Record>,
}

impl Elsewhere {
    /// Reads what is known of the chapter called `name`.
    ///
    /// # Errors
    /// As [`explained`], [`Reasons::read`] and [`Snapshot::of_series`].
    pub fn read(root: &Path, name: &str) -> Result<Self> {
        let series = explained(root)?.into_iter().map(|series| {
            let reasons = Reasons::read(root, &series)?;
            let snapshot = Snapshot::of_series(root, &series, name)?;
            Ok((series, reasons, snapshot))
        });
        Ok(Self {
            series: series.collect::<Result<_>>()?,
        })
    }

    /// The series on which a step does something else, the oldest first.
    pub fn of(&self, id: StepId) -> impl Iterator<Item = Other<'_>> {
        self.series
            .iter()
            .filter_map(move |(series, reasons, snapshot)| {
                Some(Other {
                    series,
                    why: reasons.of(id)?,
                    record: snapshot.as_ref().and_then(|snapshot| snapshot.record(id)),
                })
            })
    }
}

/// The series that somebody has explained, the oldest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn explained(root: &Path) -> Result<Vec<String>> {
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
    series.sort_by_key(|name| Vec::from_iter(name.split('.').map(|part| part.parse::<u32>().ok())));
    Ok(series)
}

/// Where the explanations of a series are.
#[must_use]
pub fn path(root: &Path, series: &str) -> PathBuf {
    root.join(FOLDER).join(format!("{series}.toml"))
}

/// The steps of `6.45`, or of `6.45..6.48`.
fn span(text: &str) -> Result<Vec<StepId>> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let id = |text: &str| {
        let parsed: Result<StepId, _> = text.parse();
        parsed.ok().with_context(|| {
            format!("`{text}` is no step; write 6.45, or 6.45..6.48 for four of them")
        })
    };
    let (first, last) = (id(first)?, id(last)?);
    ensure!(
        first.chapter == last.chapter && first.number <= last.number,
        "`{text}` is no span of steps: it ends before it begins, or in another chapter"
    );
    let ids = (first.number..=last.number).map(|number| StepId { number, ..first });
    Ok(ids.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StepId {
        text.parse().unwrap()
    }

    #[test]
    fn reasons_are_read_step_by_step() {
        let text = "[[change]]\nsteps = [\"6.45\", \"6.47..6.49\"]\nwhy = \"It moved.\"\n";
        let reasons = Reasons::parse(text).unwrap();
        let explained = ["6.45", "6.47", "6.48", "6.49"].map(id);
        assert_eq!(Vec::from_iter(reasons.steps()), explained);
        assert_eq!(reasons.of(id("6.48")), Some("It moved."));
        assert_eq!(reasons.of(id("6.46")), None);
    }

    #[test]
    fn what_is_wrong_with_reasons_is_said() {
        for (steps, part) in [
            ("\"6.45\", \"6.44..6.46\"", "step 6.45 is explained twice"),
            ("\"6.45..6.44\"", "ends before it begins"),
            ("\"6.45..7.46\"", "or in another chapter"),
            ("\"6\"", "`6` is no step; write 6.45"),
        ] {
            let text = format!("[[change]]\nsteps = [{steps}]\nwhy = \"x\"\n");
            let error = format!("{:#}", Reasons::parse(&text).unwrap_err());
            assert!(error.contains(part), "{steps}: {error}");
        }
    }

    #[test]
    fn each_step_has_its_fate() {
        let head = |linux: &str| format!("kind: exact\nlinux: {linux}\n");
        let steps = "\n5.1 gdb list\n| 10\tint a;\n= 0\n\n5.2 guest ls\n| a\n= 0 at 7\n";
        let later = "\n5.1 gdb list\n| 12\tint a;\n= 0\n\n5.2 guest ls\n| b\n= 0 at 8\n";
        let last = "\n5.3 guest ls\n| c\n= 0 at 9\n";
        let folder = tempfile::tempdir().unwrap();
        let write = |series: &str, content: String| {
            let path = crate::snapshot::path(folder.path(), series, "05-x");
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("---\n---\n{content}")).unwrap();
        };
        write("6.1", format!("{}{steps}{last}", head("6.1.1")));
        let fates = |to: &str| between(folder.path(), "05-x", id("5.3"), "6.1", to).unwrap();
        assert_eq!(fates("6.12"), None);
        write("6.12", format!("{}{later}", head("6.12.1")));
        let fates: Vec<Fate> = fates("6.12")
            .unwrap()
            .into_iter()
            .map(|(_, fate)| fate)
            .collect();
        assert_eq!(fates[0], Fate::SameMeaning);
        assert!(matches!(&fates[1], Fate::Otherwise(other) if other.line == "| b"));
        assert_eq!(fates[2], Fate::Absent);
    }
}
