//! A sequence diagram: what passed the wire and how two sides changed their state, as a chapter
//! recorded it.
//!
//! Nothing is drawn by hand. The frames are those that the steps of the terminal `wire` show, and
//! the states are those that a watchpoint or the command `state` of chapter 6 printed for a
//! variable of gdb's. Which variable stands on which side is all that the author says. The drawing
//! is pure: it reads a snapshot.

use std::fmt::Write as _;

use crate::drawing::svg::{Figure, link, text};
use crate::html::{self, Html, element};
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::{StepId, Terminal};

/// What the author asks for: `left=client right=listener,request,child`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    left: Vec<String>,
    right: Vec<String>,
}

impl Asked {
    /// Reads the words behind `sequence`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let [left, right] = words else {
            return Err("a sequence needs two words: left=client right=listener,child".to_owned());
        };
        let names = |word: &str, side: &str| -> Result<Vec<String>, String> {
            let list = word.strip_prefix(side).ok_or_else(|| {
                format!("`{word}`: expected {side} and gdb's variables, with commas between them")
            })?;
            Ok(list.split(',').map(str::to_owned).collect())
        };
        Ok(Self {
            left: names(left, "left=")?,
            right: names(right, "right=")?,
        })
    }
}

/// A row of the diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Row {
    Frame {
        number: String,
        /// Sender and receiver, with their ports.
        ends: [String; 2],
        rightwards: bool,
        what: String,
    },
    State {
        left: bool,
        name: String,
        state: String,
        /// The function that set it, where a backtrace tells.
        by: Option<String>,
    },
}

static FRAME: Pattern = Pattern::new(|| {
    pattern(r"(?m)^ *(\d+) +\S+ IP (\S+) > (\S+): Flags \[(\S+)\],.* length (\d+)")
});
static CHANGE: Pattern =
    Pattern::new(|| pattern(r"\$(\w+)\)->\S*state\n\nOld value = \S+\nNew value = (\w+)"));
static STATE: Pattern = Pattern::new(|| pattern(r"^\$\d+ = ([A-Z_]+)\n$"));
/// The frames of a backtrace; the address is missing where the machine stands at the beginning of a
/// line.
static CALL: Pattern = Pattern::new(|| pattern(r"(?m)^#\d+ +(?:0x\w+ in )?(\w+) \("));

/// The commands of gdb that let the machine run; a look shows what came of one that was typed
/// before.
const RUNS: [&str; 6] = ["", "continue", "finish", "next", "step", "until"];

/// The helpers that store a state; whoever called them has decided.
const HELPERS: [&str; 4] = [
    "inet_sk_state_store",
    "inet_sk_set_state",
    "tcp_set_state",
    "tcp_close_state",
];

/// The diagram of what the steps printed.
///
/// # Errors
/// No step, or a variable whose state no step shows.
pub fn draw(asked: &Asked, records: &[Record]) -> Result<Html, String> {
    let [first, .., last] = records else {
        return Err("there are no steps above that could be drawn".to_owned());
    };
    let rows = rows(asked, records)?;
    Ok(svg(&rows, first.id, last.id))
}

fn rows(asked: &Asked, records: &[Record]) -> Result<Vec<(StepId, Row)>, String> {
    let mut rows: Vec<(StepId, Row)> = Vec::new();
    let mut client = None;
    // Where the rows of the present stop begin. What a look at the wire shows was sent before the
    // machine stopped.
    let mut stop = 0;
    for record in records {
        let text = &record.output.stdout;
        match record.terminal {
            Terminal::Wire => {
                for found in FRAME.captures_iter(text) {
                    let from = found[2].to_owned();
                    let rightwards = *client.get_or_insert_with(|| from.clone()) == from;
                    let what = flags(&found[4], &found[5]);
                    let number = found[1].to_owned();
                    let row = Row::Frame {
                        number,
                        ends: [from, found[3].to_owned()],
                        rightwards,
                        what,
                    };
                    rows.insert(stop, (record.id, row));
                    stop += 1;
                }
            }
            Terminal::Gdb => {
                if RUNS.contains(&record.command.split(' ').next().unwrap_or_default()) {
                    stop = rows.len();
                }
                if let Some((name, state)) = state_of(record) {
                    let left = asked.left.contains(&name);
                    let is_asked = left || asked.right.contains(&name);
                    let mut known = rows.iter().rev().filter_map(|(_, row)| row.state(&name));
                    if is_asked && known.next() != Some(&state) {
                        let by = None;
                        let row = Row::State {
                            left,
                            name,
                            state,
                            by,
                        };
                        rows.push((record.id, row));
                    }
                } else if record.command.starts_with("backtrace") {
                    name_caller(&mut rows, text);
                }
            }
            _ => {}
        }
    }
    for name in asked.left.iter().chain(&asked.right) {
        if rows.iter().all(|(_, row)| row.state(name).is_none()) {
            return Err(format!("no step above shows a state of ${name}"));
        }
    }
    Ok(rows)
}

/// The variable and its state, if the step tells of one.
fn state_of(record: &Record) -> Option<(String, String)> {
    if let Some(found) = CHANGE.captures(&record.output.stdout) {
        return Some((found[1].to_owned(), found[2].to_owned()));
    }
    let name = record.command.strip_prefix("state $")?;
    let found = STATE.captures(&record.output.stdout)?;
    Some((name.to_owned(), found[1].to_owned()))
}

/// A backtrace tells who has made the change of state before it.
fn name_caller(rows: &mut [(StepId, Row)], backtrace: &str) {
    let mut calls = CALL
        .captures_iter(backtrace)
        .map(|found| found[1].to_owned());
    let first = calls.next();
    if let Some((_, Row::State { by: by @ None, .. })) = rows.last_mut()
        && first.is_some_and(|first| HELPERS.contains(&first.as_str()))
    {
        *by = calls.find(|call| !HELPERS.contains(&call.as_str()));
    }
}

/// `[P.]` and 5 bytes as a reader says it.
fn flags(flags: &str, length: &str) -> String {
    let names = [('S', "SYN"), ('F', "FIN"), ('R', "RST"), ('.', "ACK")];
    let set = names.iter().filter(|(letter, _)| flags.contains(*letter));
    let mut what = set.map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    if length != "0" {
        let _ = write!(what, ", {length} bytes");
    }
    what
}

const WIDTH: usize = 760;
/// Where the two lines of life stand.
const LEFT: usize = 270;
const RIGHT: usize = 490;
const TOP: usize = 44;
const ROW: usize = 30;

fn svg(rows: &[(StepId, Row)], first: StepId, last: StepId) -> Html {
    let height = TOP + ROW * rows.len() + 10;
    let lives = [LEFT, RIGHT].map(|x| {
        let life = element("line").class("life").with("x1", x).with("x2", x);
        life.with("y1", 26).with("y2", height).empty()
    });
    // The first frame goes from the left to the right.
    let ends = rows.iter().find_map(|(_, row)| match row {
        Row::Frame { ends, .. } => Some(ends),
        Row::State { .. } => None,
    });
    let heads = ends
        .into_iter()
        .flat_map(|ends| [LEFT, RIGHT].into_iter().zip(ends));
    let heads = heads.map(|(x, end)| text("head", (x, 18), end));
    let mut picture: Html = lives.into_iter().chain(heads).collect();
    let mut told = String::new();
    for ((id, row), index) in rows.iter().zip(0..) {
        let (drawn, words) = row.drawn(TOP + ROW * index + ROW / 2);
        picture += link(*id, drawn);
        told += &words;
    }
    let figure = Figure {
        is_narrow: false,
        size: (WIDTH, height),
        label: format!("Sequence of frames and states, steps {first} to {last}"),
        told: &told,
        caption: format!("Drawn from the steps {first} to {last}. Each row leads to its step."),
    };
    figure.around(picture)
}

impl Row {
    /// The state that it gives to a variable.
    fn state(&self, variable: &str) -> Option<&String> {
        match self {
            Self::State { name, state, .. } if name == variable => Some(state),
            _ => None,
        }
    }

    /// The row at its height, and the same in words.
    fn drawn(&self, y: usize) -> (Vec<Html>, String) {
        match self {
            Self::Frame {
                number,
                rightwards,
                what,
                ..
            } => {
                let (from, to, tip, side) = match rightwards {
                    true => (LEFT, RIGHT, RIGHT - 9, "left"),
                    false => (RIGHT, LEFT, LEFT + 9, "right"),
                };
                let (line, up, down) = (y + 6, y + 1, y + 11);
                let frame = element("line")
                    .class("frame")
                    .with("x1", from)
                    .with("x2", to);
                let way = format_args!("M{to} {line}L{tip} {up}V{down}z");
                let what_at = (usize::midpoint(LEFT, RIGHT), y);
                let parts = vec![
                    frame.with("y1", line).with("y2", line).empty(),
                    element("path").class("tip").with("d", way).empty(),
                    text("what", what_at, format_args!("{number}: {what}")),
                ];
                (parts, format!("Frame {number} from the {side}: {what}. "))
            }
            Self::State {
                left,
                name,
                state,
                by,
            } => {
                let by = by.as_deref().unwrap_or_default();
                let setter = if by.is_empty() { "" } else { ", by " };
                let (dot, x, class) = match left {
                    true => (LEFT, LEFT - 14, "left"),
                    false => (RIGHT, RIGHT + 14, "right"),
                };
                let circle = element("circle").with("cx", dot).with("cy", y).with("r", 5);
                let label = element("text").class(class).with("x", x).with("y", y);
                let span = element("tspan").class("name").text(name);
                let parts = vec![
                    circle.empty(),
                    label.holding([span, html::text(format_args!(" {state}"))]),
                    text(&format!("{class} by"), (x, y + 12), by),
                ];
                (parts, format!("{name}: {state}{setter}{by}. "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAPTER: &str = "\n6.1 gdb state $client\n| $1 = TCP_CLOSE\n= 0\n\n\
        6.2 gdb continue\n| Hardware watchpoint 5: (x)((struct sock \
        *)$client)->__sk_common.skc_state\n|\n\
        | Old value = TCP_CLOSE\n| New value = TCP_SYN_SENT\n| inet_sk_state_store (...) at \
        a.c:1\n= 0\n\n\
        6.3 gdb backtrace 3\n| #0  inet_sk_state_store (...) at a.c:1\n\
        | #1  0xffffffff81213654 in tcp_set_state (...) at b.c:2\n| #2  0xff in tcp_v4_connect \
        (...) at c.c:3\n= 0\n\n\
        6.4 gdb finish\n= 0\n\n6.5 wire\n|     5  00:00:25.392671 IP 10.0.3.2.57642 > \
        10.0.3.1.9090: Flags [S], seq 1, win 2, length 0\n= 0\n\n\
        6.6 gdb state $request\n| $2 = TCP_NEW_SYN_RECV\n= 0\n\n\
        6.7 gdb continue\n| Hardware watchpoint 6: (x)((struct sock \
        *)$request)->__sk_common.skc_state\n|\n\
        | Old value = TCP_NEW_SYN_RECV\n| New value = TCP_CLOSE\n= 0\n\n\
        6.8 wire\n|     6  00:00:25.39 IP 10.0.3.1.9090 > 10.0.3.2.57642: Flags [P.], seq 1, \
        length 5\n= 0\n";

    fn asked(words: &str) -> Result<Asked, String> {
        Asked::parse(&lab::transcript::words::split(words).unwrap())
    }

    fn draw_it(words: &str) -> Result<Html, String> {
        let snapshot = crate::snapshot::Snapshot::parse(CHAPTER).unwrap();
        draw(&asked(words)?, &snapshot.transcript.records)
    }

    #[test]
    fn frames_and_states_stand_in_their_order_on_their_side() {
        let drawn = draw_it("left=client right=request").unwrap();
        let told = "<desc>client: TCP_CLOSE. client: TCP_SYN_SENT, by tcp_v4_connect. Frame 5 \
            from the left: SYN. \
                    request: TCP_NEW_SYN_RECV. Frame 6 from the right: ACK, 5 bytes. request: \
                    TCP_CLOSE.</desc>";
        assert!(drawn.contains(told), "{drawn}");
        assert!(drawn.contains("<a href=\"#step-6.5\">"), "{drawn}");
        assert_eq!(drawn.lines().count(), 1);
    }

    #[test]
    fn what_no_step_shows_is_not_drawn() {
        for (words, part) in [
            ("left=client right=child", "shows a state of $child"),
            ("client request", "expected left="),
            ("left=client", "needs two words"),
        ] {
            let error = draw_it(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
    }
}
