//! Which points of an exercise hold, and why not.

use lab::transcript::Record;

use crate::exercise::{Exercise, Known, Point, Test};

/// What has become of a point.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The point.
    pub point: &'a Point,
    /// Why it does not hold, if it does not.
    pub missed: Option<Missed<'a>>,
}

/// Why a point does not hold.
#[derive(Debug)]
pub struct Missed<'a> {
    /// In words.
    pub why: String,
    /// What its step printed.
    pub seen: Option<&'a Record>,
}

/// What the points are judged by.
pub struct Evidence<'a> {
    /// What was printed.
    pub records: &'a [Record],
    /// How many steps stand before those of the exercise.
    pub before: usize,
    /// The answer to a prediction.
    pub answer: Option<&'a str>,
    /// Says in which way a chapter behaves otherwise, if it does.
    pub chapter: &'a mut dyn FnMut(u32) -> anyhow::Result<Option<String>>,
}

impl Exercise {
    /// Judges each point.
    ///
    /// # Errors
    /// When a chapter cannot be replayed.
    pub fn judge<'a>(&'a self, evidence: &mut Evidence<'a>) -> anyhow::Result<Vec<Outcome<'a>>> {
        let judged = self.points.iter().map(|point| {
            let missed = match &point.test {
                Test::Chapter(number) => {
                    let otherwise = (evidence.chapter)(*number)?;
                    otherwise.map(|how| Missed {
                        why: format!("{}\n{how}", point.otherwise),
                        seen: None,
                    })
                }
                Test::Shows(step, _) | Test::Lacks(step, _) | Test::Value(step, _) => {
                    point.missed(*step, self.steps[*step].status, evidence)
                }
            };
            Ok(Outcome { point, missed })
        });
        judged.collect()
    }
}

impl Point {
    /// Why it does not hold, if it does not. `status` is that with which its step should end.
    fn missed<'a>(&self, step: usize, status: i32, evidence: &Evidence<'a>) -> Option<Missed<'a>> {
        let number = evidence.before + step + 1;
        let record = evidence
            .records
            .iter()
            .find(|record| record.id.number as usize == number);
        let Some(record) = record else {
            return Some(Missed {
                why: "The step that shows it was not reached.".to_owned(),
                seen: None,
            });
        };
        let printed = printed(record);
        // What a step that failed does not print proves nothing.
        let is_lacking = match &self.test {
            Test::Lacks(_, pattern) => !pattern.is_match(&printed),
            _ => false,
        };
        if is_lacking && record.output.status != status {
            return Some(Missed {
                why: "The step that would show it failed.".to_owned(),
                seen: Some(record),
            });
        }
        let answer = evidence.answer.unwrap_or_default().trim();
        let holds = match &self.test {
            Test::Shows(_, pattern) => pattern.is_match(&printed),
            Test::Lacks(..) => is_lacking,
            Test::Value(_, pattern) => pattern
                .captures(&printed)
                .is_some_and(|found| found.get(1).is_some_and(|value| value.as_str() == answer)),
            Test::Chapter(_) => true,
        };
        if holds {
            return None;
        }
        let known = self.wrong.iter().find(|miss| match &miss.known {
            Known::Shows(pattern) => pattern.is_match(&printed),
            Known::Lacks(pattern) => !pattern.is_match(&printed),
            Known::Answer(known) => known == answer,
        });
        Some(Missed {
            why: known.map_or(&self.otherwise, |miss| &miss.why).clone(),
            seen: Some(record),
        })
    }
}

/// All that a step has printed, and how it ended if not well.
fn printed(record: &Record) -> String {
    let output = &record.output;
    let mut text = format!("{}{}", output.stdout, output.stderr);
    if output.status != 0 {
        text += &format!("exit status {}\n", output.status);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::transcript::Output;
    use std::path::Path;

    fn exercise(text: &str) -> Exercise {
        Exercise::parse(Path::new("exercises/x/exercise.toml"), "x", text).unwrap()
    }

    fn record(step: &lab::transcript::step::Step, stdout: &str, status: i32) -> Record {
        let output = Output {
            stdout: stdout.to_owned(),
            stderr: String::new(),
            status,
            guest_ns: None,
        };
        Record::new(step, output)
    }

    /// Why each point is missed.
    fn whys(exercise: &Exercise, prints: &[(&str, i32)], answer: Option<&str>) -> Vec<String> {
        let (steps, before) = exercise.script(&[]);
        let all = steps.iter().zip(prints);
        let records: Vec<Record> = all
            .map(|(step, (out, status))| record(step, out, *status))
            .collect();
        let mut evidence = Evidence {
            records: &records,
            before,
            answer,
            chapter: &mut |number| Ok((number == 6).then(|| "step 6.1".to_owned())),
        };
        let judged = exercise.judge(&mut evidence).unwrap();
        let why = judged
            .into_iter()
            .map(|outcome| outcome.missed.map(|missed| missed.why));
        why.map(Option::unwrap_or_default).collect()
    }

    #[test]
    fn a_point_is_missed_for_the_reason_that_is_known() {
        let exercise = exercise(
            "kind = 'change'\neffort = 'one line'\nsteps = '''\nguest a\nguest b\n'''\n\
             [[point]]\nholds = 'h'\nstep = 1\nshows = '^yes$'\notherwise = 'why not'\n\
             [[point.wrong]]\nshows = 'exit status 2'\nwhy = 'it failed'\n\
             [[point]]\nholds = 'h'\nstep = 2\nlacks = 'bad'\notherwise = 'bad is there'\n\
             [[point]]\nholds = 'h'\nchapter = 6\notherwise = 'six'\n\
             [[point]]\nholds = 'h'\nchapter = 7\notherwise = 'seven'\n",
        );
        let of = |prints: &[(&str, i32)]| whys(&exercise, prints, None);
        let six = "six\nstep 6.1";
        assert_eq!(of(&[("no\nyes\n", 0), ("good\n", 0)]), ["", "", six, ""]);
        assert_eq!(
            of(&[("yes, no\n", 0), ("so bad\n", 0)]),
            ["why not", "bad is there", six, ""]
        );
        assert_eq!(of(&[("", 2), ("", 0)])[0], "it failed");
        assert_eq!(
            of(&[("yes\n", 0), ("good\n", 1)])[1],
            "The step that would show it failed."
        );
        assert_eq!(of(&[("yes\n", 0), ("so bad\n", 1)])[1], "bad is there");
        assert_eq!(
            of(&[("yes\n", 0)])[1],
            "The step that shows it was not reached."
        );
    }

    #[test]
    fn a_step_that_should_fail_proves_what_it_lacks() {
        let exercise = exercise(
            "kind = 'change'\neffort = 'one line'\nsteps = '''\nstatus=1 guest a\n'''\n\
             [[point]]\nholds = 'h'\nstep = 1\nlacks = 'bad'\notherwise = 'bad is there'\n",
        );
        assert_eq!(whys(&exercise, &[("good\n", 1)], None), [""]);
        assert_eq!(
            whys(&exercise, &[("good\n", 0)], None),
            ["The step that would show it failed."]
        );
    }

    #[test]
    fn a_prediction_is_compared_with_what_is_seen() {
        let exercise = exercise(
            "kind = 'predict'\nanswer = '20'\nsteps = '''\nguest a\n'''\n\
             [[point]]\nholds = 'h'\nstep = 1\nvalue = 'cwnd:(\\d+)'\notherwise = 'no'\n\
             [[point.wrong]]\nanswer = '10'\nwhy = 'that is the old one'\n",
        );
        let of = |answer| whys(&exercise, &[("x cwnd:20 y\n", 0)], Some(answer)).remove(0);
        assert_eq!(of(" 20\n"), "");
        assert_eq!(of("10"), "that is the old one");
        assert_eq!(of("2"), "no");
        assert_eq!(of(""), "no");
    }
}
