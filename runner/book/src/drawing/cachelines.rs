//! Which lines of the cache the fields of a structure lie in, on several kernels side by side.
//!
//! A step prints `6.1 line 20: rcv_nxt snd_nxt`: the kernel, the number of the line, and the
//! fields. A line of which no field was asked for is drawn as well: it is not fetched.

use std::collections::BTreeMap;

use crate::drawing::svg::{CHARACTER, Figure, SMALL, WIDTH, link, text};
use crate::html::{Html, element};
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::StepId;

static LINE: Pattern = Pattern::new(|| pattern(r"(?m)^(\S+) line (\d{1,4}): (\w+(?: \w+)*)$"));

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
    let column = WIDTH / kernels.len();
    let mut picture = Html::default();
    let mut bottom = 0;
    for (kernel, index) in kernels.iter().zip(0..) {
        let (drawn, end) = kernel.drawn(step, first..=last, (index * column, column - GAP));
        picture += drawn;
        bottom = bottom.max(end);
    }
    let told: String = kernels.iter().map(Kernel::told).collect();
    let figure = Figure {
        is_narrow: true,
        size: (WIDTH, bottom),
        label: format!("Fields by the lines of the cache that they lie in, step {step}"),
        told: &told,
        caption: format!("Drawn from step {step}. An empty line has none of these fields."),
    };
    Ok(figure.around(picture))
}

fn kernels(printed: &str) -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = Vec::new();
    for found in LINE.captures_iter(printed) {
        let Ok(number) = found[2].parse() else {
            continue;
        };
        let fields = found[3].split(' ').map(str::to_owned);
        let name = &found[1];
        if kernels.last().is_none_or(|kernel| kernel.name != *name) {
            let (name, lines) = (name.to_owned(), BTreeMap::new());
            kernels.push(Kernel { name, lines });
        }
        if let Some(kernel) = kernels.last_mut() {
            kernel.lines.entry(number).or_default().extend(fields);
        }
    }
    kernels
}

/// The most lines of a kernel that are drawn.
const MOST: usize = 99;
const GAP: usize = 10;
/// The heights of a kernel's name, of a field, and of a line that has none.
const HEAD: usize = 26;
const FIELD: usize = 15;
const EMPTY: usize = 16;
const PAD: usize = 6;

impl Kernel {
    /// The lines from top to bottom, and where they end.
    fn drawn(
        &self,
        step: StepId,
        lines: std::ops::RangeInclusive<usize>,
        (left, width): (usize, usize),
    ) -> (Html, usize) {
        let digits = lines.end().to_string().len() * SMALL / 10;
        let (x, wide) = (left + digits + PAD, width - digits - PAD);
        let mut drawn = text("name", (x, 16), &self.name);
        let mut top = HEAD;
        for number in lines {
            let fields = self.lines.get(&number).map_or(&[][..], Vec::as_slice);
            let height = match fields {
                [] => EMPTY,
                fields => fields.len() * FIELD + PAD,
            };
            let class = if fields.is_empty() { "band" } else { "chip" };
            let rect = element("rect").class(class).with("x", x).with("y", top);
            let rect = rect.with("width", wide).with("height", height);
            let mut parts = vec![
                rect.with("rx", 2).empty(),
                text("left by", (x - PAD / 2, top + 12), number),
            ];
            let room = wide.saturating_sub(2 * PAD) * 10 / CHARACTER;
            let names = fields.iter().zip(1..).map(|(field, row)| {
                // A name that is too long for its place would run into the next kernel.
                let name: String = field.chars().take(room).collect();
                text("", (x + PAD, top + row * FIELD - 1), name)
            });
            parts.extend(names);
            drawn += match fields {
                [] => parts.into_iter().collect(),
                _ => link(step, parts),
            };
            top += height + 2;
        }
        (drawn, top)
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
    fn each_kernel_has_the_same_lines_beside_the_other() {
        let drawn = draw_it("6.1 line 2: a b\n| 6.1 line 4: c\n| 7.3 line 3: a b c").unwrap();
        let told = "<desc>6.1: line 2 a, b; line 4 c. 7.3: line 3 a, b, c.</desc>";
        assert!(drawn.contains(told), "{drawn}");
        // Of three lines each, three are empty.
        assert_eq!(drawn.matches("class=\"chip\"").count(), 3, "{drawn}");
        assert_eq!(drawn.matches("class=\"band\"").count(), 3, "{drawn}");
        assert_eq!(drawn.matches("#step-18.4").count(), 3, "{drawn}");
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        for (printed, expected) in [
            ("6.1 line two: a", "no step above prints"),
            ("6.1 line 1: a\n| 6.1 line 900: b", "too far apart"),
        ] {
            let error = draw_it(printed).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
