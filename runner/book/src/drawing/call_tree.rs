//! A drawing of who calls whom: the backtraces above it, merged, from the system call down to the
//! card or from the card up.
//!
//! A line is a function of the machine's, and behind it stand what the compiler has put into it.
//! Lines of one layer stand on one band. A chain goes straight down; where one function calls
//! several, they stand one column further to the right.

use std::fmt::Write as _;

use crate::drawing::call_graph::{Calls, Node};
use crate::drawing::layer::Layer;
use crate::drawing::svg::{Figure, link, rect, text};
use crate::html::{Html, element};
use lab::transcript::Record;
use lab::transcript::step::StepId;

const WIDTH: usize = 460;
/// Where the first column of dots stands, and how far the next.
const LEFT: usize = 18;
const COLUMN: usize = 18;
/// Where names end beside a layer's name, and elsewhere.
const BESIDE: usize = 376;
const RIGHT: usize = WIDTH - 8;
/// The height of a line, and of a line's further lines.
const LINE: usize = 20;
const MORE: usize = 16;
/// Between two bands, and between two trees.
const GAP: usize = 3;
const APART: usize = 20;
/// The width of a character of a name, and of a step's number, in tenths.
const CHARACTER: usize = 76;
const SMALL: usize = 64;

/// A line of the drawing.
struct Line {
    /// The function, and those that are inlined into it, in the same layer.
    nodes: Vec<usize>,
    column: usize,
    /// The line that it hangs from.
    above: Option<usize>,
    layer: Option<Layer>,
}

/// The drawing of what the steps printed.
///
/// # Errors
/// When no step shows a backtrace.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let calls = Calls::of(records);
    let steps = calls
        .nodes
        .iter()
        .flat_map(|node| [Some(node.step), node.stop]);
    let steps: Vec<StepId> = steps.flatten().collect();
    let (Some(first), Some(last)) = (steps.iter().min(), steps.iter().max()) else {
        return Err("no step above shows a backtrace".to_owned());
    };
    let mut lines = Vec::new();
    for root in &calls.roots {
        lay_out(&calls, *root, &mut lines);
    }
    let (body, height) = body(&calls, &lines);
    let figure = Figure {
        is_narrow: true,
        size: (WIDTH, height),
        label: format!("Who calls whom, steps {first} to {last}"),
        told: &told(&calls),
        caption: format!(
            "Drawn from stops and backtraces, steps {first} to {last}. At a full dot the machine \
             has stopped. Each name leads to its step."
        ),
    };
    Ok(figure.around(body))
}

/// Adds the lines of a tree.
fn lay_out(calls: &Calls, root: usize, lines: &mut Vec<Line>) {
    let mut left = vec![(root, 0, None)];
    while let Some((node, column, above)) = left.pop() {
        let layer = calls.nodes[node].layer;
        let mut nodes = vec![node];
        let mut last = node;
        while let [only] = calls.nodes[last].children[..]
            && calls.nodes[only].inlined
            && calls.nodes[only].layer == layer
        {
            nodes.push(only);
            last = only;
        }
        let children = &calls.nodes[last].children;
        let below = column + usize::from(children.len() > 1);
        let here = Some(lines.len());
        left.extend(children.iter().rev().map(|child| (*child, below, here)));
        lines.push(Line {
            nodes,
            column,
            above,
            layer,
        });
    }
}

/// The bands, the branches and the names, and the height of them all.
fn body(calls: &Calls, lines: &[Line]) -> (Html, usize) {
    let (mut bands, mut branches, mut names) = (Html::default(), Html::default(), Html::default());
    let mut dots: Vec<(usize, usize)> = Vec::new();
    let mut top = 0;
    let mut begun = 0;
    for (line, index) in lines.iter().zip(0..) {
        let is_new = index == 0 || lines[index - 1].layer != line.layer || line.above.is_none();
        if index > 0 && is_new {
            top += if line.above.is_none() { APART } else { GAP };
        }
        if is_new {
            begun = top;
        }
        let (x, y) = (LEFT + COLUMN * line.column, top + LINE / 2);
        if let Some(above) = line.above {
            branches += branch(dots[above], (x, y));
        }
        dots.push((x, y));
        let right = if is_new { BESIDE } else { RIGHT };
        let (functions, more) = functions(calls, line, (x + 12, right), y + 4);
        let stops = line
            .nodes
            .iter()
            .any(|node| calls.nodes[*node].stop.is_some());
        let dot = element("circle").class(if stops { "stop" } else { "call" });
        let dot = dot.with("cx", x).with("cy", y).with("r", 4).empty();
        names += element("g").holding([dot, functions]);
        top += LINE + MORE * more;
        let next = lines.get(index + 1);
        if next.is_none_or(|next| next.layer != line.layer || next.above.is_none()) {
            bands.extend(band(line.layer, begun, top));
        }
    }
    ([bands, branches, names].into_iter().collect(), top)
}

fn band(layer: Option<Layer>, top: usize, bottom: usize) -> [Html; 2] {
    let band = rect("band", (0, top), (WIDTH, bottom - top));
    let place = (WIDTH - 10, top + LINE / 2 + 4);
    let name = text("left by", place, layer.map_or("", Layer::name));
    [band.with("rx", 3).empty(), name]
}

/// From a dot to one below it, in its own column or in the next.
fn branch((from, above): (usize, usize), (to, below): (usize, usize)) -> Html {
    let (bend, behind) = (below - 8, from + 8);
    let way = match from == to {
        true => format!("M{from} {above}V{below}"),
        false => format!("M{from} {above}V{bend}Q{from} {below} {behind} {below}H{to}"),
    };
    element("path").class("branch").with("d", way).empty()
}

/// The names of a line, broken where it ends, and how many lines are added to the first.
fn functions(calls: &Calls, line: &Line, (left, right): (usize, usize), y: usize) -> (Html, usize) {
    let mut names = Html::default();
    let mut more = 0;
    let mut x = left * 10;
    for (node, index) in line.nodes.iter().zip(0..) {
        let Node {
            function,
            inlined,
            step,
            stop,
            ..
        } = &calls.nodes[*node];
        let number = stop.map(|step| step.to_string()).unwrap_or_default();
        let mark = if index == 0 { 0 } else { 3 };
        let width = CHARACTER * (function.len() + mark) + SMALL * (number.len() + 1);
        if index > 0 && x + width > right * 10 {
            more += 1;
            x = (left + COLUMN) * 10;
        }
        let at = y + MORE * more;
        if index > 0 {
            names += text("by", (x / 10, at), "›");
            x += CHARACTER * 2;
        }
        let class = match (stop, inlined) {
            (Some(_), _) => "name",
            (None, true) => "inlined",
            (None, false) => "own",
        };
        let mut parts = vec![text(class, (x / 10, at), function)];
        x += CHARACTER * function.len();
        if !number.is_empty() {
            x += SMALL;
            parts.push(text("by", (x / 10, at), &number));
            x += SMALL * number.len();
        }
        names += link(stop.unwrap_or(*step), parts);
        x += CHARACTER;
    }
    (names, more)
}

/// The same in words: a sentence for each function that calls another, layer by layer.
fn told(calls: &Calls) -> String {
    let mut told = String::new();
    let mut layer = None;
    let mut left: Vec<usize> = calls.roots.iter().rev().copied().collect();
    while let Some(node) = left.pop() {
        let node = &calls.nodes[node];
        left.extend(node.children.iter().rev());
        if node.layer != layer {
            layer = node.layer;
            let _ = write!(told, "{}: ", layer.map_or("elsewhere", Layer::name));
        }
        let callees: Vec<&str> = node
            .children
            .iter()
            .map(|child| &*calls.nodes[*child].function)
            .collect();
        told += &node.function;
        if let Some(stop) = node.stop {
            let _ = write!(told, " (step {stop})");
        }
        if !callees.is_empty() {
            let _ = write!(told, " calls {}", callees.join(" and "));
        }
        told += ". ";
    }
    told.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::backtrace::tests::records;

    #[test]
    fn lines_stand_on_bands_and_branches_lead_to_the_right() {
        let records = records(
            "\n9.1 gdb backtrace\n| #0  copy (...) at lib/iov_iter.c:1\n| #1  0xff in fill (...) \
             at include/net/sock.h:2\n\
             | #2  send (...) at net/ipv4/tcp.c:2\n= 0\n\n\
             9.2 gdb backtrace\n| #0  out (...) at net/ipv4/ip_output.c:1\n| #1  0xff in send \
             (...) at net/ipv4/tcp.c:2\n= 0\n",
        );
        let drawn = draw(&records).unwrap();
        let told = "<desc>TCP: send calls fill and out. fill calls copy. copy (step 9.1). IP: out \
            (step 9.2).</desc>";
        assert!(drawn.contains(told), "{drawn}");
        let columns: Vec<_> = drawn
            .split("cx=\"")
            .skip(1)
            .map(|part| &part[..2])
            .collect();
        assert_eq!(columns, ["18", "36", "36", "36"]);
        assert_eq!(
            drawn.matches("class=\"band\"").count(),
            2,
            "TCP and IP: {drawn}"
        );
        assert!(
            drawn.contains("<a href=\"#step-9.2\"><text class=\"name\""),
            "{drawn}"
        );
        assert!(
            drawn.contains("<text class=\"inlined\" x=\"48\""),
            "{drawn}"
        );
        assert_eq!(drawn.lines().count(), 1);
        assert!(draw(&[]).unwrap_err().contains("no step above"));
    }

    #[test]
    fn a_backtrace_of_any_length_is_drawn() {
        let deep = |step: u32, from: u32| {
            let frames = (0..3000).map(|at| {
                let name = from + at;
                format!("| #{at}  0xff in f{name} () at net/ipv4/tcp.c:1\n")
            });
            format!(
                "\n9.{step} gdb backtrace\n{}= 0\n",
                frames.collect::<String>()
            )
        };
        // Each goes on where the one before was cut off.
        let content: String = (0..50).map(|step| deep(step + 1, step * 999)).collect();
        assert!(draw(&records(&content)).is_ok());
    }

    #[test]
    fn names_go_on_in_a_new_line_where_one_ends() {
        let long = "a_name_of_thirty_characters_ab";
        let records = records(&format!(
            "\n9.1 gdb backtrace\n| #0  {long} (...) at net/ipv4/tcp.c:1\n| #1  {long}c (...) at \
             net/ipv4/tcp.c:2\n\
             | #2  send (...) at net/ipv4/tcp.c:2\n= 0\n"
        ));
        let drawn = draw(&records).unwrap();
        assert!(
            drawn.contains(&format!("x=\"63\" y=\"30\">{long}<")),
            "{drawn}"
        );
        assert!(drawn.contains("viewBox=\"0 0 460 36\""), "{drawn}");
    }
}
