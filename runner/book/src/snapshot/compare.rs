//! How a replay compares with the snapshot: the same, the same in meaning, or different; and step
//! by step: the same, noise, behaving otherwise, or not reached.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::snapshot::meaning::Comparison;
use crate::snapshot::noise::Noise;
use crate::snapshot::{EXACT, FRAMES, KIND, Snapshot, block, body, frames_block};
use lab::transcript::step::StepId;

/// What the comparison of a replay with the snapshot found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Every byte of every step is the same.
    Exact,
    /// All that the chapter is about is the same.
    SameMeaning {
        /// What of the lab differs, and so makes the bytes differ.
        because: Vec<String>,
        /// The steps whose bytes differ no more than noise does.
        noise: Vec<String>,
    },
    /// Steps differ, or the chapter has changed.
    Different {
        /// The steps that differ, in order.
        steps: Vec<Difference>,
        /// The steps whose bytes differ no more than noise does.
        noise: Vec<String>,
        /// The steps that did not run, since nothing could follow the one before them.
        unreached: Vec<String>,
    },
}

/// A step that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its number, such as `5.3`; `frames` for the capture of the wire.
    pub step: String,
    /// The first line that says something else, as it is now.
    pub line: String,
    /// The recorded block and the present one, line by line, as a unified diff without a header.
    pub diff: String,
}

impl Difference {
    /// Where it is, for a reader.
    #[must_use]
    pub fn place(&self) -> String {
        match self.step.as_str() {
            FRAMES => "the frames on the wire".to_owned(),
            step => format!("step {step}"),
        }
    }
}

/// Compares what ran with what was recorded of the chapter called `name` for this series of the
/// kernel, up to and with the step `last`; none if nothing was. The noise is that of the book's
/// kernel: it belongs to what the steps look at.
///
/// # Errors
/// When the snapshot or the noise cannot be read.
pub fn judge(
    root: &Path,
    series: &str,
    name: &str,
    now: &Snapshot,
    last: StepId,
) -> Result<Option<Verdict>> {
    let Some(recorded) = Snapshot::of_series(root, series, name)? else {
        return Ok(None);
    };
    let noise = Noise::read(root, name)?;
    Ok(Some(compare(&recorded, &noise, now, last)))
}

/// Compares what ran with what was recorded; steps up to and with `last` count. `noise` is what may
/// differ between two labs that are not the same.
#[must_use]
pub fn compare(recorded: &Snapshot, noise: &Noise, now: &Snapshot, last: StepId) -> Verdict {
    let because = recorded.differing_provenance(&now.provenance);
    let must_be_exact = because.is_empty() && recorded.fact(KIND) == Some(EXACT);
    let programs = |name: &&str| recorded.fact(name) != now.fact(name);
    let is_another_source = programs(&LINUX);
    let others = is_another_source || PROGRAMS.iter().any(programs);
    let mut comparison = match is_another_source {
        true => Comparison::of_another_source(),
        false => Comparison::new(others),
    };
    let mut steps = Vec::new();
    let mut noisy = Vec::new();
    let mut unreached = Vec::new();
    let mut exact = true;
    for number in 1..=last.number {
        let id = StepId {
            chapter: last.chapter,
            number,
        };
        let records = [recorded, now].map(|snapshot| snapshot.record(id));
        let [Some(before), Some(after)] = records else {
            if let [None, None] = records {
                // On another series a step may need what is not there.
                continue;
            }
            exact = false;
            match records {
                // The chapter has changed since it was recorded.
                [None, Some(_)] => steps.push(difference(id, records.map(|r| r.map(block)), 0)),
                _ => unreached.push(id.to_string()),
            }
            continue;
        };
        let blocks = [block(before), block(after)];
        let bodies = [body(before), body(after)];
        // Equal steps count, too, for what stands in their holes.
        let other = if (before.terminal, &before.command) != (after.terminal, &after.command) {
            Some(0)
        } else {
            let line = comparison.first_other(&bodies[0], &bodies[1], noise.of(id));
            let line = line.map(|line| line + 1);
            let status = before.output.status != after.output.status;
            line.or_else(|| status.then(|| blocks[1].lines().count() - 1))
        };
        let is_same = blocks[0] == blocks[1];
        // Where the programs are others, what corresponds to what is too rough to judge equal text.
        if is_same && (must_be_exact || others || other.is_none()) {
            continue;
        }
        exact = false;
        match other {
            Some(line) => steps.push(difference(id, blocks.map(Some), line)),
            None if must_be_exact => {
                let line = first_difference(&blocks);
                steps.push(difference(id, blocks.map(Some), line));
            }
            None if bodies[0] != bodies[1] => noisy.push(id.to_string()),
            // The guest's time alone, which only counts byte for byte.
            None => {}
        }
    }
    let mut all = recorded.transcript.records.iter();
    let is_whole = now.record(last).is_some() && all.all(|record| record.id.number <= last.number);
    if is_whole && recorded.transcript.frames != now.transcript.frames {
        exact = false;
        if must_be_exact {
            let blocks = [recorded, now].map(|snapshot| {
                let frames = snapshot.transcript.frames.as_deref();
                Some(frames.map(frames_block).unwrap_or_default())
            });
            steps.push(Difference {
                step: FRAMES.to_owned(),
                ..difference(last, blocks, 0)
            });
        }
    }
    if exact {
        Verdict::Exact
    } else if steps.is_empty() && unreached.is_empty() {
        Verdict::SameMeaning {
            because,
            noise: noisy,
        }
    } else {
        Verdict::Different {
            steps,
            noise: noisy,
            unreached,
        }
    }
}

/// The facts about the programs that build the kernel, run it and look into it. With others, what
/// was measured with these is not all that may differ.
const PROGRAMS: [&str; 3] = ["qemu", "gdb", "gcc"];

/// The fact about the kernel's version. Another one has the lines of its source elsewhere.
const LINUX: &str = "linux";

/// The first line in which two blocks differ, counted from 0.
fn first_difference(blocks: &[String; 2]) -> usize {
    let mut lines = blocks[0].lines().zip(blocks[1].lines());
    let shorter = blocks.iter().map(|block| block.lines().count()).min();
    lines
        .position(|(before, after)| before != after)
        .or(shorter)
        .unwrap_or_default()
}

/// The difference of two blocks, of which the present one says something else in a line.
fn difference(id: StepId, blocks: [Option<String>; 2], line: usize) -> Difference {
    let [before, after] = blocks.map(Option::unwrap_or_default);
    let told = after.lines().nth(line).or_else(|| {
        // It has fewer lines, so the one that is missing tells more.
        before.lines().nth(line)
    });
    Difference {
        step: id.to_string(),
        line: told.unwrap_or_default().to_owned(),
        diff: diff(&before, &after),
    }
}

impl Snapshot {
    /// What of the lab is another now than when this was recorded, for a reader.
    #[must_use]
    pub fn differing_provenance(&self, now: &[(String, String)]) -> Vec<String> {
        let fact = |name: &str| now.iter().find(|(other, _)| other == name);
        let told = self.provenance.iter().filter_map(|(name, before)| {
            let here = fact(name).map_or("absent", |(_, value)| value);
            let differs = name != KIND && here != before;
            let (here, before) = (short(here), short(before));
            differs.then(|| format!("{name} is {here} here and was {before} when recorded"))
        });
        told.collect()
    }
}

/// A hash by its first digits, as git shows it.
fn short(value: &str) -> &str {
    let is_hash = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash { &value[..12] } else { value }
}

fn diff(recorded: &str, now: &str) -> String {
    similar::TextDiff::from_lines(recorded, now)
        .iter_all_changes()
        .map(|change| format!("{}{}", change.tag(), change.value()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(kernel: &str, outputs: &[&str]) -> Snapshot {
        let mut content = format!("kind: exact\nbzImage: {kernel}\n");
        for (index, output) in outputs.iter().enumerate() {
            content += &format!("\n5.{} gdb print x\n| {output}\n= 0\n", index + 1);
        }
        Snapshot::parse(&content).unwrap()
    }

    fn verdict(recorded: &Snapshot, now: &Snapshot) -> Verdict {
        compare(
            recorded,
            &noise(),
            now,
            StepId {
                chapter: 5,
                number: 2,
            },
        )
    }

    /// The pointer is known to vary.
    fn noise() -> Noise {
        Noise::parse("5.1\n1 | $1 = {5.1a=*}\n\n5.2\n1 | $1 = {5.1a}\n").unwrap()
    }

    const A: &str = "$1 = 0xffffffff81000001";
    const B: &str = "$1 = 0xffffffff81000002";

    #[test]
    fn the_same_lab_must_give_the_same_bytes() {
        let recorded = snapshot("1", &[A, A]);
        assert_eq!(verdict(&recorded, &recorded), Verdict::Exact);
        let Verdict::Different { steps, .. } = verdict(&recorded, &snapshot("1", &[A, B])) else {
            panic!("a pointer that varies is a fault of the lab")
        };
        assert_eq!(steps[0].step, "5.2");
        assert_eq!(steps[0].line, format!("| {B}"));
        assert!(
            steps[0]
                .diff
                .contains("-| $1 = 0xffffffff81000001\n+| $1 = 0xffffffff81000002\n")
        );
    }

    #[test]
    fn another_lab_must_say_the_same() {
        let recorded = snapshot("1", &[A, A]);
        let Verdict::SameMeaning { because, noise } = verdict(&recorded, &snapshot("2", &[B, B]))
        else {
            panic!("one pointer stands for another")
        };
        assert_eq!(because, ["bzImage is 2 here and was 1 when recorded"]);
        assert_eq!(noise, ["5.1", "5.2"]);
        let Verdict::Different { steps, noise, .. } = verdict(&recorded, &snapshot("2", &[B, A]))
        else {
            panic!("one pointer stands for one other")
        };
        assert_eq!(
            (&*steps[0].step, &*steps[0].line),
            ("5.2", &*format!("| {A}"))
        );
        assert_eq!(noise, ["5.1"]);
    }

    #[test]
    fn a_frame_that_varies_is_a_fault_of_the_lab() {
        let with_frame = |kernel, frame: &str| {
            let mut snapshot = snapshot(kernel, &[A, A]);
            snapshot.transcript.frames = Some(vec![frame.parse().unwrap()]);
            snapshot
        };
        let recorded = with_frame("1", "1 ff");
        assert_eq!(verdict(&recorded, &recorded), Verdict::Exact);
        let Verdict::Different { steps, .. } = verdict(&recorded, &with_frame("1", "2 ff")) else {
            panic!("the capture must be the same")
        };
        assert_eq!(steps[0].diff, " frames\n-1 ff\n+2 ff\n");
        assert!(matches!(
            verdict(&recorded, &with_frame("2", "2 ff")),
            Verdict::SameMeaning { .. }
        ));
    }

    #[test]
    fn a_step_that_did_not_run_is_named() {
        let recorded = snapshot("1", &[A, A]);
        let Verdict::Different { unreached, .. } = verdict(&recorded, &snapshot("1", &[A])) else {
            panic!("a step is missing")
        };
        assert_eq!(unreached, ["5.2"]);
    }

    #[test]
    fn a_step_that_ran_neither_then_nor_now_is_no_difference() {
        let recorded = snapshot("1", &[A]);
        assert_eq!(verdict(&recorded, &recorded), Verdict::Exact);
    }

    #[test]
    fn the_frames_of_a_whole_chapter_are_no_measure_for_a_part() {
        let mut recorded = snapshot("1", &[A, A, A]);
        recorded.transcript.frames = Some(vec!["1 ff".parse().unwrap()]);
        // A step that another series of the kernel has not.
        recorded.transcript.records.remove(1);
        let now = snapshot("1", &[A]);
        let last = StepId {
            chapter: 5,
            number: 1,
        };
        let verdict = compare(&recorded, &noise(), &now, last);
        assert_eq!(verdict, Verdict::Exact);
    }

    #[test]
    fn another_status_behaves_otherwise() {
        let recorded = snapshot("1", &[A, A]);
        let mut now = snapshot("2", &[A, A]);
        now.transcript.records[1].output.status = 1;
        let Verdict::Different { steps, .. } = verdict(&recorded, &now) else {
            panic!("the status counts")
        };
        assert_eq!(&*steps[0].line, "= 1");
    }
}
