//! How a replay compares with the snapshot: the same, the same in meaning, or different.

use serde::Serialize;

use crate::snapshot::meaning::Correspondence;
use crate::snapshot::{EXACT, FRAMES, KIND, Snapshot, block, frames_block};
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
    },
    /// Steps differ, or the chapter has changed.
    Different {
        /// The steps that differ, in order.
        steps: Vec<Difference>,
    },
}

/// A step that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its number, such as `5.3`; `frames` for the capture of the wire.
    pub step: String,
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

/// Compares what ran with what was recorded; steps up to and with `last` count.
#[must_use]
pub fn compare(recorded: &Snapshot, now: &Snapshot, last: StepId) -> Verdict {
    let because = differing_provenance(recorded, now);
    let must_be_exact = because.is_empty() && recorded.fact(KIND) == Some(EXACT);
    let mut correspondence = Correspondence::default();
    let mut exact = true;
    let mut steps = Vec::new();
    for number in 1..=last.number {
        let id = StepId {
            chapter: last.chapter,
            number,
        };
        let blocks = [recorded, now].map(|s| s.record(id).map(block).unwrap_or_default());
        let same_bytes = blocks[0] == blocks[1];
        exact &= same_bytes;
        // The correspondence has to see equal steps too.
        let same_meaning = correspondence.same(&meaning(&blocks[0]), &meaning(&blocks[1]));
        if !same_bytes && (must_be_exact || !same_meaning) {
            steps.push(Difference {
                step: id.to_string(),
                diff: diff(&blocks[0], &blocks[1]),
            });
        }
    }
    let behind = StepId {
        number: last.number + 1,
        ..last
    };
    let is_whole = now.record(last).is_some() && recorded.record(behind).is_none();
    if is_whole && recorded.transcript.frames != now.transcript.frames {
        exact = false;
        if must_be_exact {
            let [recorded, now] = [recorded, now].map(|snapshot| {
                let frames = snapshot.transcript.frames.as_deref();
                frames.map(frames_block).unwrap_or_default()
            });
            steps.push(Difference {
                step: FRAMES.to_owned(),
                diff: diff(&recorded, &now),
            });
        }
    }
    if exact {
        Verdict::Exact
    } else if steps.is_empty() {
        Verdict::SameMeaning { because }
    } else {
        Verdict::Different { steps }
    }
}

/// A block without the guest's time, which only counts byte for byte.
fn meaning(block: &str) -> String {
    let mut lines: Vec<&str> = block.lines().collect();
    let last = lines.pop().and_then(|last| last.split(" at ").next());
    lines.extend(last);
    lines.join("\n")
}

fn differing_provenance(recorded: &Snapshot, now: &Snapshot) -> Vec<String> {
    let facts = recorded.provenance.iter();
    let differing = facts.filter(|(name, value)| name != KIND && now.fact(name) != Some(value));
    let told = differing.map(|(name, value)| {
        let (here, before) = (short(now.fact(name).unwrap_or("absent")), short(value));
        format!("{name} is {here} here and was {before} when recorded")
    });
    told.collect()
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
            content += &format!(
                "\n5.{} gdb print x\n| {output}\n= 0 at {kernel}\n",
                index + 1
            );
        }
        Snapshot::parse(&content).unwrap()
    }

    fn verdict(recorded: &Snapshot, now: &Snapshot) -> Verdict {
        compare(
            recorded,
            now,
            StepId {
                chapter: 5,
                number: 2,
            },
        )
    }

    const A: &str = "$1 = 0xffffffff81000001";
    const B: &str = "$1 = 0xffffffff81000002";

    #[test]
    fn the_same_lab_must_give_the_same_bytes() {
        let recorded = snapshot("1", &[A, A]);
        assert_eq!(verdict(&recorded, &recorded), Verdict::Exact);
        let Verdict::Different { steps } = verdict(&recorded, &snapshot("1", &[A, B])) else {
            panic!("a pointer that varies is a fault of the lab")
        };
        assert_eq!(steps[0].step, "5.2");
        assert!(
            steps[0]
                .diff
                .contains("-| $1 = 0xffffffff81000001\n+| $1 = 0xffffffff81000002\n")
        );
    }

    #[test]
    fn another_lab_must_say_the_same() {
        let recorded = snapshot("1", &[A, A]);
        let Verdict::SameMeaning { because } = verdict(&recorded, &snapshot("2", &[B, B])) else {
            panic!("one pointer stands for another")
        };
        assert_eq!(because, ["bzImage is 2 here and was 1 when recorded"]);
        assert!(matches!(
            verdict(&recorded, &snapshot("2", &[B, A])),
            Verdict::Different { .. }
        ));
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
        let Verdict::Different { steps } = verdict(&recorded, &with_frame("1", "2 ff")) else {
            panic!("the capture must be the same")
        };
        assert_eq!(steps[0].diff, " frames\n-1 ff\n+2 ff\n");
        assert!(matches!(
            verdict(&recorded, &with_frame("2", "2 ff")),
            Verdict::SameMeaning { .. }
        ));
    }

    #[test]
    fn a_missing_step_differs() {
        let recorded = snapshot("1", &[A, A]);
        assert!(matches!(
            verdict(&recorded, &snapshot("1", &[A])),
            Verdict::Different { .. }
        ));
    }
}
