//! The memory of a process, as `/proc/PID/maps` lists it: what lies where, from the highest address
//! down, and what it may be used for.
//!
//! Pieces that touch are drawn as one block, and a gap between blocks as a gap, whatever its size:
//! to one scale a program would be thinner than a line.

use crate::drawing::svg::{CHARACTER, Figure, WIDTH, cut, link, rect, text};
use crate::html::Html;
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// Begin, end, permissions, and the file or what the kernel calls it.
static PIECE: Pattern = Pattern::new(|| {
    pattern(
        r"(?m)^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-][w-][x-])([ps]) [0-9a-f]+ \S+ \d+ *(.*?) *$",
    )
});

struct Piece {
    begin: u64,
    end: u64,
    /// What it may be used for, in letters.
    may: String,
    name: String,
}

/// The drawing of the last list that a step printed.
///
/// # Errors
/// When no step printed one.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let found = records.iter().rev().find_map(|record| {
        let pieces = pieces(&record.output.stdout);
        (!pieces.is_empty()).then_some((record.id, pieces))
    });
    let (step, pieces) = found.ok_or("no step above prints the lines of `/proc/PID/maps`")?;
    let (picture, bottom) = picture(&pieces, step);
    let told: String = pieces.iter().map(Piece::told).collect();
    let figure = Figure {
        is_narrow: true,
        size: (WIDTH, bottom),
        label: format!("The memory of a process, step {step}"),
        told: &told,
        caption: format!(
            "Drawn from step {step}, with the highest address at the top; beside each piece stands \
             where it begins. Neither pieces nor gaps have a scale."
        ),
    };
    Ok(figure.around(picture))
}

/// From the highest address down.
fn pieces(printed: &str) -> Vec<Piece> {
    let found = PIECE.captures_iter(printed);
    let pieces = found.filter_map(|found| {
        let address = |index: usize| u64::from_str_radix(&found[index], 16).ok();
        // Memory that is not shared need not say so.
        let may = match &found[4] {
            "p" => found[3].to_owned(),
            shared => format!("{}{shared}", &found[3]),
        };
        Some(Piece {
            begin: address(1)?,
            end: address(2)?,
            may,
            name: found[5].to_owned(),
        })
    });
    let mut pieces: Vec<Piece> = pieces.filter(|piece| piece.begin < piece.end).collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.begin));
    pieces
}

impl Piece {
    fn size(&self) -> String {
        format!("{} KiB", (self.end - self.begin) / 1024)
    }

    fn told(&self) -> String {
        let name = match &*self.name {
            "" => "no name",
            name => name,
        };
        format!(
            "From {:x}: {name}, {}, {}. ",
            self.begin,
            self.may,
            self.size()
        )
    }
}

const PAD: usize = 6;
const ROW: usize = 20;
/// Between blocks that do not touch.
const GAP: usize = 18;
/// Where the blocks stand, and the columns in them.
const LEFT: usize = 116;
const SIZE: usize = WIDTH - 76;
const MAY: usize = WIDTH - 12;
/// How many characters of a name have room before the size.
const NAME: usize = (SIZE - 70 - LEFT) * 10 / CHARACTER;

/// The blocks, and where the last one ends.
fn picture(pieces: &[Piece], step: StepId) -> (Html, usize) {
    let mut drawn = Html::default();
    let mut top = PAD;
    for (index, piece) in pieces.iter().enumerate() {
        let above = index.checked_sub(1).and_then(|above| pieces.get(above));
        if above.is_some_and(|above| above.begin != piece.end) {
            top += GAP;
        }
        let class = if piece.name.starts_with('/') {
            "chip"
        } else {
            "band"
        };
        let block = rect(class, (LEFT, top), (WIDTH - LEFT - 1, ROW));
        let line = top + 14;
        drawn += link(
            step,
            [
                block.empty(),
                text(
                    "left by",
                    (LEFT - PAD, top + ROW),
                    format_args!("{:x}", piece.begin),
                ),
                text("", (LEFT + PAD, line), cut(&piece.name, NAME)),
                text("left by", (SIZE, line), piece.size()),
                text("left", (MAY, line), &piece.may),
            ],
        );
        top += ROW;
    }
    (drawn, top + PAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    fn draw_it(printed: &str) -> Result<Html, String> {
        let content = format!("\n2.8 guest cat /proc/self/maps\n| {printed}\n= 0 at 1\n");
        draw(&Snapshot::parse(&content).unwrap().transcript.records)
    }

    #[test]
    fn pieces_that_touch_are_one_block() {
        let drawn = draw_it(
            "00400000-00401000 r--p 00000000 00:02 10      /bin/busybox\n\
             | 00401000-00403000 r-xp 00001000 00:02 10      /bin/busybox\n\
             | 7fff0000-7fff1000 rw-p 00000000 00:00 0       /a (deleted)\n\
             | 80000000-80001000 rw-s 00000000 00:00 0 ",
        )
        .unwrap();
        let told = "<desc>From 80000000: no name, rw-s, 4 KiB. From 7fff0000: /a (deleted), rw-, 4 KiB. From \
            401000: /bin/busybox, r-x, 8 KiB. From 400000: /bin/busybox, r--, 4 KiB.</desc>";
        assert!(drawn.contains(told), "{drawn}");
        // Four rows and two gaps.
        assert!(drawn.contains("viewBox=\"0 0 460 128\""), "{drawn}");
        assert_eq!(drawn.matches("class=\"chip\"").count(), 3, "{drawn}");
    }

    #[test]
    fn what_is_no_piece_is_left_out() {
        for printed in ["", "2-1 r--p 0 00:02 1", "zz-1 r--p 0 00:02 1"] {
            let error = draw_it(printed).unwrap_err();
            assert!(error.contains("no step above prints"), "{error}");
        }
    }
}
