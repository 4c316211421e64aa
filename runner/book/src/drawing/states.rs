//! The states of one object: which of them follow one another, and who changes them.
//!
//! The changes are those that a watchpoint of gdb's has printed. The author says which member was
//! watched, and the kernel's names for its values, in the order in which they are to stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::drawing::svg::{CHARACTER, Figure, WIDTH, link, rect, text};
use crate::html::{Html, element};
use crate::pattern::{Pattern, pattern};
use crate::prose::glossary::Glossary;
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// What the author asks for: `of=nud_state names=NUD_NONE,NUD_INCOMPLETE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    of: String,
    names: Vec<String>,
}

impl Asked {
    /// Reads the words behind `states`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let wrong =
            "states need two words: of=MEMBER and names=NAME,NAME, constants of the kernel's";
        let [of, names] = words else {
            return Err(wrong.to_owned());
        };
        let of = of.strip_prefix("of=").filter(|of| !of.is_empty());
        let names = names.strip_prefix("names=");
        let (of, names) = of.zip(names).ok_or(wrong)?;
        Ok(Self {
            of: of.to_owned(),
            names: names.split(',').map(str::to_owned).collect(),
        })
    }
}

/// A change: the indices of the states in their order, who has made it, and where that is seen.
#[derive(Debug)]
struct Change {
    from: usize,
    to: usize,
    by: String,
    step: StepId,
}

impl Change {
    fn way(&self) -> (usize, usize) {
        (self.from, self.to)
    }
}

static SEEN: Pattern = Pattern::new(|| {
    pattern(
        r"(?m)^Hardware watchpoint \d+: (.*)\n\nOld value = (-?\w+).*\nNew value = (-?\w+).*\n(?:0x\w+ in )?(\w+) \(",
    )
});

/// The drawing of what the steps printed.
///
/// # Errors
/// A name without a value, a state that no step shows, and one that has no name.
pub fn draw(asked: &Asked, records: &[Record], glossary: &Glossary) -> Result<Html, String> {
    let mut places = BTreeMap::new();
    for (name, place) in asked.names.iter().zip(0..) {
        // gdb prints a number, or the name of an enumerator.
        for value in [glossary.value(name)?.to_string(), name.clone()] {
            if places.insert(value, place).is_some() {
                return Err(format!("{name} has the value of another of the names"));
            }
        }
    }
    let changes = changes(asked, records, &places)?;
    for (name, place) in asked.names.iter().zip(0..) {
        let is_seen = |change: &Change| [change.from, change.to].contains(&place);
        if !changes.iter().any(is_seen) {
            return Err(format!("no step above shows {} as {name}", asked.of));
        }
    }
    let steps = changes.iter().map(|change| change.step);
    let (Some(first), Some(last)) = (steps.clone().min(), steps.max()) else {
        return Err(format!("no step above shows a change of {}", asked.of));
    };
    let (picture, size) = picture(&asked.names, &changes);
    let figure = Figure {
        is_narrow: true,
        size,
        label: format!("The states of {}, steps {first} to {last}", asked.of),
        told: &told(&asked.names, &changes),
        caption: format!(
            "Drawn from the changes of {} in the steps {first} to {last}. Beside a state stands who \
             ends it; that leads to the step.",
            asked.of
        ),
    };
    Ok(figure.around(picture))
}

/// The changes that the steps show, each once for whoever makes it.
fn changes(
    asked: &Asked,
    records: &[Record],
    places: &BTreeMap<String, usize>,
) -> Result<Vec<Change>, String> {
    let mut changes: Vec<Change> = Vec::new();
    let separators = ['>', '.', ' '];
    for record in records {
        for found in SEEN.captures_iter(&record.output.stdout) {
            let watched = found[1].rsplit(separators).next();
            if watched != Some(&*asked.of) {
                continue;
            }
            let place = |value: &str| {
                places.get(value).copied().ok_or_else(|| {
                    format!(
                        "step {} shows {} as {value}, for which there is no name",
                        record.id, asked.of
                    )
                })
            };
            let (from, to) = (place(&found[2])?, place(&found[3])?);
            let by = &found[4];
            let is_known = |change: &Change| change.way() == (from, to) && change.by == by;
            if !changes.iter().any(is_known) {
                changes.push(Change {
                    from,
                    to,
                    by: by.to_owned(),
                    step: record.id,
                });
            }
        }
    }
    Ok(changes)
}

/// Between two boxes, and the height of one that has a line beside it.
const GAP: usize = 22;
const LINE: usize = 16;
const PAD: usize = 6;
/// Between the ways back.
const LANE: usize = 16;
const TIP: usize = 7;

/// The boxes from top to bottom, the ways between them, and who takes them.
fn picture(names: &[String], changes: &[Change]) -> (Html, (usize, usize)) {
    let ways: BTreeSet<(usize, usize)> = changes.iter().map(Change::way).collect();
    let (next, mut back): (Vec<_>, Vec<_>) =
        ways.into_iter().partition(|(from, to)| from + 1 == *to);
    back.sort_by_key(|(from, to)| (from.abs_diff(*to), *from));
    let left = LANE * (back.len() + 1);
    let longest = names.iter().map(String::len).max().unwrap_or_default();
    let width = longest * CHARACTER / 10 + 2 * PAD;
    let middle = left + width / 2;
    let (mut boxes, mut notes) = (Html::default(), Html::default());
    let mut middles = Vec::new();
    let mut top = PAD;
    let mut right = WIDTH;
    for (name, place) in names.iter().zip(0..) {
        let leaving = changes.iter().filter(|change| change.from == place);
        let mut lines = Vec::new();
        let is_only = leaving.clone().count() == 1;
        for change in leaving.clone() {
            if !is_only {
                lines.push((None, format!("to {}", names[change.to])));
            }
            lines.push((Some(change.step), change.by.clone()));
        }
        let height = LINE * lines.len().max(1) + PAD;
        let y = top + height / 2;
        let state = rect("band", (left, top), (width, height));
        boxes += state.with("rx", 3).empty();
        boxes += text("what", (middle, y + 4), name);
        let x = left + width + 2 * PAD;
        for ((step, words), line) in lines.into_iter().zip(0..) {
            let at = (x, top + LINE * line + LINE - 1);
            notes += match step {
                Some(step) => {
                    let behind = x + (words.len() + 1) * CHARACTER / 10;
                    right = right.max(behind + step.to_string().len() * CHARACTER / 10);
                    let parts = [text("own", at, &words), text("by", (behind, at.1), step)];
                    link(step, parts)
                }
                None => text("by", at, words),
            };
        }
        middles.push((y, top, top + height));
        top += height + GAP;
    }
    let mut ways = Html::default();
    for (from, to) in next {
        let (from, to) = (middles[from].2, middles[to].1);
        ways += way(format_args!("M{middle} {from}V{to}"));
        let (base, one, other) = (to - TIP, middle - 4, middle + 4);
        ways += tip(format_args!("M{middle} {to}L{one} {base}H{other}z"));
    }
    for ((from, to), lane) in back.into_iter().zip(1..) {
        let x = left - LANE * lane;
        // What leaves a box and what comes there do not touch.
        let (from, to) = (middles[from].0 + 4, middles[to].0 - 4);
        let (begun, ended) = if to < from {
            (from - 8, to + 8)
        } else {
            (from + 8, to - 8)
        };
        let bend = x + 8;
        let tail = left - TIP;
        ways += way(format_args!(
            "M{left} {from}H{bend}Q{x} {from} {x} {begun}V{ended}Q{x} {to} {bend} {to}H{tail}"
        ));
        let (up, down) = (to - 4, to + 4);
        ways += tip(format_args!("M{left} {to}L{tail} {up}V{down}z"));
    }
    let picture = [boxes, ways, notes].into_iter().collect();
    (picture, (right, top - GAP + PAD))
}

fn way(way: std::fmt::Arguments<'_>) -> Html {
    element("path").class("branch").with("d", way).empty()
}

fn tip(way: std::fmt::Arguments<'_>) -> Html {
    element("path").class("tip").with("d", way).empty()
}

/// The same in words.
fn told(names: &[String], changes: &[Change]) -> String {
    let mut told = String::new();
    for Change { from, to, by, step } in changes {
        let (from, to) = (&names[*from], &names[*to]);
        let _ = write!(told, "{from} becomes {to}, by {by} (step {step}). ");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prose::resolve::Found;
    use crate::snapshot::Snapshot;
    use crate::symbols::Kind;

    const CHAPTER: &str = "\n7.1 gdb continue\n| Continuing.\n|\n\
        | Hardware watchpoint 11: -location $n->nud_state\n|\n\
        | Old value = 0 '\\000'\n| New value = 1 '\\001'\n| start (...) at a.c:1\n= 0\n\n\
        7.2 gdb\n| Hardware watchpoint 11: -location $n->nud_state\n|\n\
        | Old value = 1 '\\001'\n| New value = 2 '\\002'\n| 0xff in confirm (...) at a.c:2\n= 0\n\n\
        7.3 gdb\n| Hardware watchpoint 11: -location $n->nud_state\n|\n\
        | Old value = 2 '\\002'\n| New value = 1 '\\001'\n| start (...) at a.c:1\n= 0\n\n\
        7.4 gdb\n| Hardware watchpoint 12: -location $n->refcnt\n|\n\
        | Old value = 7\n| New value = 8\n| hold (...) at a.c:1\n= 0\n\n\
        7.5 gdb\n| Hardware watchpoint 13: s->phase\n|\n\
        | Old value = NONE\n| New value = KNOWN\n| first (...) at a.c:1\n= 0\n\n\
        7.6 gdb\n| Hardware watchpoint 13: s->phase\n|\n| Old value = NONE\n| New value = KNOWN\n\
        | a_function_with_a_name_that_is_longer_than_those_of_the_kernel (...) at a.c:1\n= 0\n";

    fn draw_it(words: &str) -> Result<Html, String> {
        let snapshot = Snapshot::parse(CHAPTER).unwrap();
        let asked = Asked::parse(&lab::transcript::words::split(words).unwrap())?;
        let names = [
            ("NONE", 0),
            ("ASKED", 1),
            ("KNOWN", 2),
            ("DEAD", 32),
            ("SAME", 1),
        ];
        let found = |(name, value): (&str, u32)| {
            let found = Found {
                kind: Kind::Macro,
                place: format!("= {value}, include/a.h:1"),
            };
            (name.to_owned(), found)
        };
        let glossary = Glossary {
            names: names.map(found).into(),
            ..Glossary::default()
        };
        draw(&asked, &snapshot.transcript.records, &glossary)
    }

    #[test]
    fn who_ends_a_state_stands_beside_it() {
        let drawn = draw_it("of=nud_state names=NONE,ASKED,KNOWN").unwrap();
        let told = "<desc>NONE becomes ASKED, by start (step 7.1). ASKED becomes KNOWN, by confirm \
            (step 7.2). KNOWN becomes ASKED, by start (step 7.3).</desc>";
        assert!(drawn.contains(told), "{drawn}");
        assert!(drawn.contains("<a href=\"#step-7.2\">"), "{drawn}");
        assert_eq!(drawn.matches("class=\"tip\"").count(), 3, "{drawn}");
    }

    #[test]
    fn all_who_make_a_change_are_named_however_long_their_names() {
        let drawn = draw_it("of=phase names=NONE,KNOWN").unwrap();
        assert!(
            drawn.contains("NONE becomes KNOWN, by first (step 7.5). "),
            "{drawn}"
        );
        assert!(drawn.contains(">7.6</text>"), "{drawn}");
        assert!(!drawn.contains("viewBox=\"0 0 460 "), "{drawn}");
        assert_eq!(drawn.matches("class=\"tip\"").count(), 1, "{drawn}");
    }

    #[test]
    fn what_no_step_shows_or_nobody_names_is_not_drawn() {
        for (words, part) in [
            ("of=nud_state names=NONE,ASKED,KNOWN,DEAD", "as DEAD"),
            (
                "of=nud_state names=NONE,ASKED",
                "step 7.2 shows nud_state as 2, for which there is no name",
            ),
            ("of=nud_state names=NONE,LOST", "`LOST` was never recorded"),
            ("of=nud_state names=NONE,ASKED,SAME", "the value of another"),
            ("of=other names=NONE", "no step above shows other as NONE"),
            ("of=nud_state", "two words"),
            ("nud_state NONE", "two words"),
        ] {
            let error = draw_it(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
    }
}
