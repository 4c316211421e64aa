//! A drawing of one `sk_buff` on its way: a bar for each place where chapter 9's command `layer` printed it.
//!
//! A bar is the buffer's memory from `head` on. What is between `data` and `tail` is filled: that is what the layer sees.
//! The bars of a drawing have one scale; what lies far behind every `tail` is left out.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex_lite::Regex;

use crate::page::{anchor, escape};
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// What `layer` prints, all in bytes from `head`; a header that is not set is -1, or 0.
static LAYER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?m)^(\w+): head 0 data (\d+) tail (\d+) end (\d+) transport (-?\d+) network (-?\d+) mac (-?\d+) len (\d+)$",
    )
    .expect("a valid pattern")
});

/// One line of `layer`.
struct View {
    step: StepId,
    place: String,
    data: i32,
    tail: i32,
    end: i32,
    /// The headers that are set: name and offset.
    headers: Vec<(&'static str, i32)>,
    len: i32,
}

const WIDTH: i32 = 760;
/// Where the bars begin, and how long the longest is.
const LEFT: i32 = 190;
const LONGEST: i32 = 470;
const ROW: i32 = 44;
const HEIGHT: i32 = 16;
/// How many bytes behind the last `tail` are shown.
const BEHIND: i32 = 24;

/// The drawing of what the steps printed, as one line of HTML.
///
/// # Errors
/// When no step printed a buffer.
pub fn draw(records: &[Record]) -> Result<String, String> {
    let views: Vec<View> = records.iter().flat_map(views).collect();
    let (Some(first), Some(last)) = (views.first(), views.last()) else {
        return Err("no step above prints a buffer with `layer`".to_owned());
    };
    let shown = |view: &View| view.end.min(view.tail + BEHIND);
    let bytes = views.iter().map(shown).max().unwrap_or(1).max(1);
    let x = |offset: i32| LEFT + offset.min(bytes) * LONGEST / bytes;
    let mut body = String::new();
    let mut told = String::new();
    for (view, index) in views.iter().zip(0..) {
        let top = 24 + ROW * index;
        let _ = write!(
            told,
            "{}: data {}, tail {}, end {}, {} bytes. ",
            view.place, view.data, view.tail, view.end, view.len
        );
        let _ = write!(
            body,
            "<a href=\"#{}\">{}</a>",
            anchor(view.step),
            bar(view, top, &x)
        );
    }
    let height = 24 + ROW * views.len() as i32;
    let (first, last) = (first.step, last.step);
    Ok(format!(
        "<figure class=\"drawing\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"group\" \
         aria-label=\"The buffer at each layer, steps {first} to {last}\"><desc>{}</desc>{body}</svg>\
         <figcaption>Drawn from the steps {first} to {last}, in bytes from head. Each row leads to its step.</figcaption></figure>",
        escape(told.trim_end())
    ))
}

fn views(record: &Record) -> Vec<View> {
    let found = LAYER.captures_iter(&record.output.stdout);
    found
        .map(|found| {
            let number = |index: usize| found[index].parse().unwrap_or(-1);
            let headers = [("transport", 5), ("network", 6), ("mac", 7)];
            View {
                step: record.id,
                place: found[1].to_owned(),
                data: number(2),
                tail: number(3),
                end: number(4),
                headers: headers
                    .into_iter()
                    .map(|(name, index)| (name, number(index)))
                    .filter(|(_, offset)| *offset > 0)
                    .collect(),
                len: number(8),
            }
        })
        .collect()
}

fn bar(view: &View, top: i32, x: &impl Fn(i32) -> i32) -> String {
    let rect = |class: &str, from: i32, to: i32| {
        let (from, to) = (x(from), x(to));
        format!(
            "<rect class=\"{class}\" x=\"{from}\" y=\"{top}\" width=\"{}\" height=\"{HEIGHT}\"/>",
            to - from
        )
    };
    let (above, text, below) = (top - 3, top + 12, top + HEIGHT + 11);
    let ticks: String = view
        .headers
        .iter()
        .map(|(name, offset)| {
            let at = x(*offset);
            format!(
                "<path class=\"tick\" d=\"M{at} {top}v{HEIGHT}\"/><text class=\"by\" x=\"{at}\" y=\"{above}\">{name}</text>"
            )
        })
        .collect();
    format!(
        "<text class=\"left\" x=\"{name}\" y=\"{text}\">{place}</text>{room}{filled}{ticks}\
         <text class=\"left by\" x=\"{data_at}\" y=\"{below}\">{data}</text>\
         <text class=\"by\" x=\"{tail_at}\" y=\"{below}\">{tail}</text>\
         <text x=\"{end_at}\" y=\"{text}\">len {len}</text>",
        name = LEFT - 10,
        place = escape(&view.place),
        room = rect("room", 0, view.end),
        filled = rect("filled", view.data, view.tail),
        data = view.data,
        data_at = x(view.data) - 2,
        tail = view.tail,
        tail_at = x(view.tail) + 2,
        end_at = LEFT + LONGEST + 12,
        len = view.len,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    #[test]
    fn a_bar_for_each_line_in_one_scale() {
        let content = "\n9.1 gdb layer skb a\n| a: head 0 data 160 tail 192 end 192 transport 160 network 0 mac -1 len 37\n= 0\n\n\
                       9.2 gdb layer skb b\n| b: head 0 data 96 tail 168 end 704 transport 120 network 110 mac 96 len 72\n= 0\n";
        let records = Snapshot::parse(content).unwrap().transcript.records;
        let drawn = draw(&records).unwrap();
        assert!(
            drawn.contains("<desc>a: data 160, tail 192, end 192, 37 bytes. b: data 96, tail 168, end 704, 72 bytes.</desc>"),
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
}
