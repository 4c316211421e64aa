//! The files of a kernel: `vmlinux` with its sections, what of it is loaded, and `bzImage`, all to
//! one scale; and `bzImage` once more, larger, with the payload in it.
//!
//! The sizes are those that chapter 1 asks `stat` for, and the sections those of `readelf`. Where
//! the payload lies, a step reads from the header for boot loaders.

use std::fmt::Write as _;
use std::ops::Range;

use crate::drawing::svg::{CHARACTER, Figure, SMALL, WIDTH, link, rect, text};
use crate::html::{Html, element};
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// A size, and the name of a file.
static SIZE: Pattern = Pattern::new(|| pattern(r"(?m)^(\d+) (\S+)$"));
/// A section: name, type, address, place in the file, and size.
static SECTION: Pattern = Pattern::new(|| {
    pattern(r"(?m)^ *\[ *\d+\] (\S+) +(\w+) +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ")
});
static PAYLOAD: Pattern =
    Pattern::new(|| pattern(r"(?m)^(\d+) sectors of setup, payload at (\d+), (\d+) bytes long$"));
/// The type of a section that takes no room in the file.
const NO_ROOM: &str = "NOBITS";
/// The bytes of a sector. The first one of the image is not counted among those of setup.
const SECTOR: u64 = 512;

/// A file, or a piece of one.
#[derive(Debug)]
struct Part {
    name: String,
    place: Range<u64>,
    /// Whether it is of the kernel that will run, packed or not.
    is_kernel: bool,
    step: StepId,
}

/// The drawing of what the steps printed.
///
/// # Errors
/// A size that no step shows, no sections, no payload, and a piece that is not in its file.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let file = |name: &str| {
        let found = records.iter().find_map(|record| Part::file(record, name));
        found.ok_or_else(|| format!("no step above prints the size of {name} in front of its name"))
    };
    let files = [file("vmlinux")?, file("core")?, file("bzImage")?];
    let [vmlinux, _, packed] = &files;
    let sections: Vec<Part> = records.iter().flat_map(Part::sections).collect();
    if sections.is_empty() {
        return Err("no step above prints sections, as `readelf -SW` does".to_owned());
    }
    let payload = records.iter().find_map(Part::payload);
    let payload = payload.ok_or("no step above prints where the payload lies")?;
    for (parts, file) in [(&sections[..], vmlinux), (&payload, packed)] {
        for Part {
            name, place, step, ..
        } in parts
        {
            if place.end > file.place.end {
                let file = &file.name;
                return Err(format!("step {step} has {name} behind the end of {file}"));
            }
        }
    }
    let body = [
        bars(&files, &sections),
        larger(packed, vmlinux.place.end, &payload),
    ];
    let parts: Vec<&Part> = sections.iter().chain(&payload).collect();
    let steps = files
        .iter()
        .chain(parts.iter().copied())
        .map(|part| part.step);
    let (first, last) = steps.fold((vmlinux.step, vmlinux.step), |(first, last), step| {
        (first.min(step), last.max(step))
    });
    let figure = Figure {
        is_narrow: true,
        size: (WIDTH, APART * (files.len() + 1)),
        label: format!("The files of a kernel, steps {first} to {last}"),
        told: &told(&files, &parts),
        caption: format!(
            "Drawn from the steps {first} to {last}. What will run as the kernel is coloured; in \
             bzImage it is packed. Each name leads to its step."
        ),
    };
    Ok(figure.around(body.into_iter().collect()))
}

impl Part {
    /// A file, if the step shows its size.
    fn file(record: &Record, name: &str) -> Option<Self> {
        let mut found = SIZE.captures_iter(&record.output.stdout);
        let found = found.find(|found| &found[2] == name)?;
        let size = found[1].parse::<u32>().ok()?;
        Some(Self {
            name: name.to_owned(),
            place: 0..size.into(),
            is_kernel: true,
            step: record.id,
        })
    }

    /// The sections that a step shows. One that will be in memory has an address.
    fn sections(record: &Record) -> impl Iterator<Item = Self> {
        let found = SECTION.captures_iter(&record.output.stdout);
        let found = found.filter(|found| &found[2] != NO_ROOM);
        found.filter_map(|found| {
            let number = |index: usize| u32::from_str_radix(&found[index], 16).ok();
            let (from, size) = (u64::from(number(4)?), u64::from(number(5)?));
            Some(Self {
                name: found[1].to_owned(),
                place: from..from + size,
                is_kernel: found[3].contains(|digit| digit != '0'),
                step: record.id,
            })
        })
    }

    /// The setup, and the payload in the unpacker behind it.
    fn payload(record: &Record) -> Option<[Self; 2]> {
        let found = PAYLOAD.captures(&record.output.stdout)?;
        let number = |index: usize| found[index].parse::<u32>().ok().map(u64::from);
        let setup = (number(1)? + 1) * SECTOR;
        let from = setup + number(2)?;
        let part = |name: &str, place, is_kernel| Self {
            name: name.to_owned(),
            place,
            is_kernel,
            step: record.id,
        };
        let payload = from..from + number(3)?;
        Some([
            part("setup", 0..setup, false),
            part("payload", payload, true),
        ])
    }
}

const LEFT: usize = 8;
const RIGHT: usize = WIDTH - LEFT;
/// From one file to the next, from a file's top to its bar, and the height of that.
const APART: usize = 58;
const ABOVE: usize = 20;
const HEIGHT: usize = 16;

/// Where a byte stands, of so many that are as long as the drawing is wide.
fn x(byte: u64, longest: u64) -> usize {
    let width = (RIGHT - LEFT) as u64;
    let x = (byte.min(longest) * width).checked_div(longest);
    LEFT + usize::try_from(x.unwrap_or_default()).unwrap_or_default()
}

/// The files to the scale of the first, whose sections are shown.
fn bars(files: &[Part; 3], sections: &[Part]) -> Html {
    let longest = files[0].place.end;
    let mut bars = Html::default();
    for (file, index) in files.iter().zip(0..) {
        let Part { name, step, .. } = file;
        let (top, line) = (APART * index, APART * index + 14);
        let behind = LEFT + name.len() * CHARACTER / 10 + 8;
        let name = [
            text("name", (LEFT, line), name),
            text("by", (behind, line), step),
        ];
        bars += link(*step, name);
        let size = format_args!("{} bytes", file.place.end);
        bars += text("left by", (RIGHT, line), size);
        match index {
            0 => bars += bar(file, sections, longest, top + ABOVE),
            _ => bars += piece(file, longest, top + ABOVE),
        }
    }
    bars
}

/// The last file once more, as wide as the drawing.
fn larger(file: &Part, longest: u64, parts: &[Part]) -> Html {
    let (from, to) = (2 * APART + ABOVE + HEIGHT, 3 * APART + 4);
    let end = x(file.place.end, longest);
    let ways = element("path").class("branch");
    let ways = ways.with(
        "d",
        format_args!("M{LEFT} {from}V{to}M{end} {from}L{RIGHT} {to}"),
    );
    [ways.empty(), bar(file, parts, file.place.end, to)]
        .into_iter()
        .collect()
}

/// A file as a bar with its pieces, of which those have a name that have room for it.
fn bar(file: &Part, parts: &[Part], longest: u64, top: usize) -> Html {
    let mut bar = filled("room", &file.place, longest, top);
    for (part, next) in parts.iter().zip(1..) {
        bar += piece(part, longest, top);
        let from = x(part.place.start, longest);
        let to = parts
            .get(next)
            .map_or(RIGHT, |next| x(next.place.start, longest));
        if from + part.name.len() * SMALL / 10 <= to {
            let name = text("by", (from, top + HEIGHT + 12), &part.name);
            bar += link(part.step, [name]);
        }
    }
    bar
}

fn piece(part: &Part, longest: u64, top: usize) -> Html {
    let class = if part.is_kernel { "filled" } else { "rest" };
    filled(class, &part.place, longest, top)
}

fn filled(class: &str, place: &Range<u64>, longest: u64, top: usize) -> Html {
    let (from, to) = (x(place.start, longest), x(place.end, longest));
    let width = to.saturating_sub(from).max(1);
    rect(class, (from, top), (width, HEIGHT)).empty()
}

/// The same in words.
fn told(files: &[Part], parts: &[&Part]) -> String {
    let mut told = String::new();
    for Part {
        name, place, step, ..
    } in files
    {
        let _ = write!(told, "{name} has {} bytes (step {step}). ", place.end);
    }
    for part in parts {
        let Range { start, end } = part.place;
        let kernel = if part.is_kernel {
            ", of the kernel that will run"
        } else {
            ""
        };
        let (name, step) = (&part.name, part.step);
        let _ = write!(
            told,
            "{name}: bytes {start} to {end}{kernel} (step {step}). "
        );
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    const PRINTED: &str = "\n1.1 host stat\n| 1000000 vmlinux\n| 100000 bzImage\n= 0\n\n\
        1.2 host readelf\n|   [Nr] Name  Type  Address  Off    Size   ES\n\
        |   [ 1] .text  PROGBITS  ffffffff81000000 002710 030d40 00  AX\n\
        |   [22] .bss   NOBITS    ffffffff81ba8000 0f0000 058000 00  WA\n\
        |   [25] .debug_info  PROGBITS  0000000000000000 0493e0 061a80 00\n= 0\n\n\
        1.3 host objcopy\n| 210000 core\n= 0\n\n\
        1.4 host od\n| 9 sectors of setup, payload at 10, 90000 bytes long\n= 0\n";

    fn draw_it(content: &str) -> Result<Html, String> {
        draw(&Snapshot::parse(content).unwrap().transcript.records)
    }

    #[test]
    fn files_have_one_scale_and_the_last_one_is_shown_larger() {
        let drawn = draw_it(PRINTED).unwrap();
        let told = "<desc>vmlinux has 1000000 bytes (step 1.1). core has 210000 bytes (step 1.3). \
            bzImage has 100000 bytes (step 1.1). .text: bytes 10000 to 210000, of the kernel that \
            will run (step 1.2). .debug_info: bytes 300000 to 700000 (step 1.2). setup: bytes 0 to \
            5120 (step 1.4). payload: bytes 5130 to 95130, of the kernel that will run (step \
            1.4).</desc>";
        assert!(drawn.contains(told), "{drawn}");
        assert!(!drawn.contains(".bss"), "{drawn}");
        // 444 are a million bytes, and then a hundred thousand.
        let text = "<rect class=\"filled\" x=\"12\" y=\"20\" width=\"89\"";
        let payload = "<rect class=\"filled\" x=\"30\" y=\"178\" width=\"400\"";
        assert!(drawn.contains(text) && drawn.contains(payload), "{drawn}");
        assert!(drawn.contains(">.debug_info<"), "{drawn}");
        assert!(!drawn.contains(">setup<"), "it has no room: {drawn}");
    }

    #[test]
    fn what_is_missing_is_said() {
        for (part, other, expected) in [
            ("bzImage\n", "zImage\n", "the size of bzImage"),
            ("PROGBITS", "NOBITS", "no step above prints sections"),
            ("payload at", "payload", "where the payload lies"),
            (
                "061a80",
                "0fffff",
                "step 1.2 has .debug_info behind the end of vmlinux",
            ),
            (
                "90000 bytes",
                "98000 bytes",
                "step 1.4 has payload behind the end of bzImage",
            ),
        ] {
            let error = draw_it(&PRINTED.replace(part, other)).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
