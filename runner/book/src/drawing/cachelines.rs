//! Which lines of the cache the fields of a structure lie in, on several kernels side by side.
//!
//! A step prints `6.1 line 20: rcv_nxt snd_nxt`: the kernel, the number of the line, and the
//! fields. A line in which none of them lies is drawn as well: for these fields nobody has to fetch
//! it.

use std::collections::BTreeMap;

use crate::drawing::svg::{CHARACTER, Figure, WIDTH, cut, link, rect, text};
use crate::html::Html;
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::StepId;

static LINE: Pattern = Pattern::new(|| pattern(r"(?m)^(\S+) line (\d{1,4}): (\S+(?: \S+)*) *$"));

/// The lines of one kernel, with their fields.
struct Kernel {
    name: String,
    lines: BTreeMap<usize, Vec<String>>,
}

/// The drawing of what the last of the steps that printed lines printed.
///
/// # Errors
/// When no step printed any.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let found = records.iter().rev().find_map(|record| {
        let kernels = kernels(&record.output.stdout);
        (!kernels.is_empty()).then_some((record.id, kernels))
    });
    let (step, kernels) = found.ok_or("no step above prints `KERNEL line NUMBER: FIELD`")?;
    let lines = kernels.iter().flat_map(|kernel| kernel.lines.keys());
    let first = lines.clone().min().copied().unwrap_or_default();
    let last = lines.max().copied().unwrap_or_default();
    // A structure of the kernel has some dozens of them.
    if last - first > MOST {
        return Err(format!(
            "step {step} prints lines from {first} to {last}: too far apart to be drawn"
        ));
    }
    if kernels.len() > SIDE_BY_SIDE {
        return Err(format!(
            "step {step} prints lines of {} kernels, and {SIDE_BY_SIDE} have room side by side",
            kernels.len()
        ));
    }
    // The same line has the same place and height on each kernel.
    let mut tops = Vec::new();
    let mut bottom = HEAD;
    for number in first..=last {
        let fields = kernels.iter().map(|kernel| kernel.fields(number).len());
        let height = fields
            .max()
            .map_or(EMPTY, |most| (most * FIELD + PAD).max(EMPTY));
        tops.push((number, bottom, height));
        bottom += height + 2;
    }
    let column = WIDTH / kernels.len();
    let columns = kernels.iter().zip(0..);
    let picture = columns
        .map(|(kernel, index)| kernel.drawn(step, &tops, (index * column, column - GAP)))
        .collect();
    let told: String = kernels.iter().map(Kernel::told).collect();
    let figure = Figure {
        is_narrow: true,
        size: (WIDTH, bottom),
        label: format!("Fields by the lines of the cache that they lie in, step {step}"),
        told: &told,
        caption: format!(
            "Drawn from step {step}. A box is a line of the cache, with its number from the \
             beginning of the structure. An empty one has none of these fields."
        ),
    };
    Ok(figure.around(picture))
}

fn kernels(printed: &str) -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = Vec::new();
    for found in LINE.captures_iter(printed) {
        let number = found[2].parse().unwrap_or_default();
        let fields = found[3].split(' ').map(str::to_owned);
        let name = &found[1];
        let known = kernels.iter().position(|kernel| kernel.name == *name);
        let index = known.unwrap_or(kernels.len());
        if known.is_none() {
            let (name, lines) = (name.to_owned(), BTreeMap::new());
            kernels.push(Kernel { name, lines });
        }
        kernels[index]
            .lines
            .entry(number)
            .or_default()
            .extend(fields);
    }
    kernels
}

/// The most lines of a kernel that are drawn.
const MOST: usize = 99;
const SIDE_BY_SIDE: usize = 4;
const GAP: usize = 10;
/// The room for a line's number.
const NUMBER: usize = 32;
/// The heights of a kernel's name, of a field, and of a line that has none.
const HEAD: usize = 26;
const FIELD: usize = 15;
const EMPTY: usize = 16;
const PAD: usize = 6;

impl Kernel {
    fn fields(&self, line: usize) -> &[String] {
        self.lines.get(&line).map_or(&[], Vec::as_slice)
    }

    /// The lines from top to bottom, at their places.
    fn drawn(
        &self,
        step: StepId,
        tops: &[(usize, usize, usize)],
        (left, width): (usize, usize),
    ) -> Html {
        let (x, wide) = (left + NUMBER, width - NUMBER);
        let mut drawn = text("name", (x, 16), &self.name);
        for &(number, top, height) in tops {
            let fields = self.fields(number);
            let class = if fields.is_empty() { "band" } else { "chip" };
            let line = rect(class, (x, top), (wide, height)).with("rx", 2).empty();
            let number = text("left by", (x - PAD / 2, top + 12), number);
            let names = fields.iter().zip(1..).map(|(field, row)| {
                let room = (wide - 2 * PAD) * 10 / CHARACTER;
                text("", (x + PAD, top + row * FIELD - 1), cut(field, room))
            });
            let parts: Vec<Html> = [line, number].into_iter().chain(names).collect();
            drawn += match fields {
                [] => parts.into_iter().collect(),
                _ => link(step, parts),
            };
        }
        drawn
    }

    fn told(&self) -> String {
        let lines = self.lines.iter();
        let lines = lines.map(|(number, fields)| format!("line {number} {}", fields.join(", ")));
        format!("{}: {}. ", self.name, Vec::from_iter(lines).join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    fn draw_it(printed: &str) -> Result<Html, String> {
        let content = format!("\n18.4 host ask\n| {printed}\n= 0\n");
        draw(&Snapshot::parse(&content).unwrap().transcript.records)
    }

    #[test]
    fn a_line_has_the_same_place_on_each_kernel() {
        let drawn = draw_it("6.1 line 2: a b\n| 7.3 line 3: a b s.c \n| 6.1 line 4: s.c").unwrap();
        let told = "<desc>6.1: line 2 a, b; line 4 s.c. 7.3: line 3 a, b, s.c.</desc>";
        assert!(drawn.contains(told), "{drawn}");
        // Of three lines each, three are empty.
        assert_eq!(drawn.matches("class=\"chip\"").count(), 3, "{drawn}");
        assert_eq!(drawn.matches("class=\"band\"").count(), 3, "{drawn}");
        assert_eq!(drawn.matches("#step-18.4").count(), 3, "{drawn}");
        for top in [26, 64, 117] {
            let place = format!("y=\"{top}\" width=");
            assert_eq!(drawn.matches(&place).count(), 2, "{drawn}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        for (printed, expected) in [
            ("6.1 line two: a", "no step above prints"),
            ("6.1 line 1: a\n| 6.1 line 900: b", "too far apart"),
            (
                "1 line 1: a\n| 2 line 1: a\n| 3 line 1: a\n| 4 line 1: a\n| 5 line 1: a",
                "4 have room",
            ),
        ] {
            let error = draw_it(printed).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
