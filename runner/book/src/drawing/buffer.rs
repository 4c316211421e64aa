//! A drawing of one `sk_buff` on its way: a bar for each place where chapter 12's command `layer`
//! printed it.
//!
//! A bar is the buffer's memory from `head` on. What is between `data` and `tail` is filled: that
//! is what the layer sees. The bars of a drawing have one scale; what lies far behind every `tail`
//! is left out.

use crate::drawing::svg::{Figure, link, rect, text};
use crate::html::{Html, element};
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// What `layer` prints, all in bytes from `head`; a header that is not set is -1, or 0.
static LAYER: Pattern = Pattern::new(|| {
    pattern(
        r"(?m)^(\w+): head 0 data (\d+) tail (\d+) end (\d+) transport (-?\d+) network (-?\d+) mac (-?\d+) len (\d+)$",
    )
});

/// One line of `layer`.
struct View {
    step: StepId,
    place: String,
    data: i64,
    tail: i64,
    end: i64,
    /// The headers that are set: name and offset.
    headers: Vec<(&'static str, i64)>,
    len: i64,
}

const WIDTH: usize = 760;
/// Where the bars begin, and how long the longest is.
const LEFT: i64 = 190;
const LONGEST: i64 = 470;
const ROW: usize = 44;
const HEIGHT: usize = 16;
/// How many bytes behind the last `tail` are shown.
const BEHIND: i64 = 24;

/// The drawing of what the steps printed.
///
/// # Errors
/// When no step printed a buffer.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let views: Vec<View> = records.iter().flat_map(views).collect();
    let (Some(first), Some(last)) = (views.first(), views.last()) else {
        return Err("no step above prints a buffer with `layer`".to_owned());
    };
    let shown = |view: &View| view.end.min(view.tail + BEHIND);
    let bytes = views.iter().map(shown).max().unwrap_or(1).max(1);
    let x = |offset: i64| LEFT + offset.min(bytes) * LONGEST / bytes;
    let rows = views.iter().zip(0..);
    let body = rows.map(|(view, index)| link(view.step, bar(view, 24 + ROW * index, &x)));
    let told = views.iter().map(|view| {
        let View {
            place,
            data,
            tail,
            end,
            len,
            ..
        } = view;
        format!("{place}: data {data}, tail {tail}, end {end}, {len} bytes. ")
    });
    let (first, last) = (first.step, last.step);
    let figure = Figure {
        is_narrow: false,
        size: (WIDTH, 24 + ROW * views.len()),
        label: format!("The buffer at each layer, steps {first} to {last}"),
        told: &told.collect::<String>(),
        caption: format!(
            "Drawn from the steps {first} to {last}, in bytes from head. Each row leads to its \
             step."
        ),
    };
    Ok(figure.around(body.collect()))
}

/// What the step printed of buffers; a line with a number that no buffer has tells nothing.
fn views(record: &Record) -> impl Iterator<Item = View> {
    let found = LAYER.captures_iter(&record.output.stdout);
    found.filter_map(|found| {
        let number = |index: usize| found[index].parse::<i32>().ok().map(i64::from);
        let headers = [("transport", 5), ("network", 6), ("mac", 7)];
        let headers = headers
            .into_iter()
            .filter_map(|(name, index)| Some((name, number(index)?)));
        Some(View {
            step: record.id,
            place: found[1].to_owned(),
            data: number(2)?,
            tail: number(3)?,
            end: number(4)?,
            headers: headers.filter(|(_, offset)| *offset > 0).collect(),
            len: number(8)?,
        })
    })
}

fn bar(view: &View, top: usize, x: &impl Fn(i64) -> i64) -> Vec<Html> {
    let part = |class: &str, from: i64, to: i64| {
        let (from, to) = (x(from), x(to));
        rect(class, (from, top), ((to - from).max(0), HEIGHT)).empty()
    };
    let (above, line, below) = (top - 3, top + 12, top + HEIGHT + 11);
    let ticks = view.headers.iter().flat_map(|(name, offset)| {
        let at = x(*offset);
        let tick = element("path").class("tick");
        let tick = tick.with("d", format_args!("M{at} {top}v{HEIGHT}")).empty();
        [tick, text("by", (at, above), name)]
    });
    let name = text("left", (LEFT - 10, line), &view.place);
    let bars = [
        name,
        part("room", 0, view.end),
        part("filled", view.data, view.tail),
    ];
    let numbers = [
        text("left by", (x(view.data) - 2, below), view.data),
        text("by", (x(view.tail) + 2, below), view.tail),
        text(
            "",
            (LEFT + LONGEST + 12, line),
            format_args!("len {}", view.len),
        ),
    ];
    bars.into_iter().chain(ticks).chain(numbers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    #[test]
    fn a_bar_for_each_line_in_one_scale() {
        let content = "\n9.1 gdb layer skb a\n| a: head 0 data 160 tail 192 end 192 transport 160 \
            network 0 mac -1 len 37\n= 0\n\n\
                       9.2 gdb layer skb b\n| b: head 0 data 96 tail 168 end 704 transport 120 \
                       network 110 mac 96 len 72\n= 0\n";
        let records = Snapshot::parse(content).unwrap().transcript.records;
        let drawn = draw(&records).unwrap();
        assert!(
            drawn.contains(
                "<desc>a: data 160, tail 192, end 192, 37 bytes. b: data 96, tail 168, \
                end 704, 72 bytes.</desc>"
            ),
            "{drawn}"
        );
        // 192 bytes are 470 wide; a has one header, and b three.
        assert!(
            drawn.contains("<rect class=\"filled\" x=\"581\" y=\"24\" width=\"79\""),
            "{drawn}"
        );
        assert_eq!(drawn.matches("class=\"tick\"").count(), 4);
        assert!(draw(&[]).unwrap_err().contains("no step above"));
    }

    #[test]
    fn no_number_breaks_a_drawing() {
        for number in ["2147483647", "99999999999", "999999999999999999999999"] {
            let content = format!(
                "\n9.1 gdb layer skb a\n| a: head 0 data {number} tail {number} end {number} \
                 transport -{number} network {number} mac {number} len {number}\n= 0\n"
            );
            let records = Snapshot::parse(&content).unwrap().transcript.records;
            assert_eq!(draw(&records).is_ok(), number == "2147483647", "{number}");
        }
    }
}
