//! Segments that were sent again, as the steps of the terminal `wire` show them: when, and for how
//! long their sender waited each time.
//!
//! Each row is one segment of a sender's, by its flags and numbers, and all rows have one scale.
//! Nothing is asked of the author.

use crate::drawing::svg::{Figure, SMALL, WIDTH, text};
use crate::html::{Html, anchor, element};
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::{StepId, Terminal};

/// A frame as tcpdump prints it: when, who to whom, its flags, and its own numbers, if it has any.
static FRAME: Pattern = Pattern::new(|| {
    pattern(
        r"(?m)^ *(?:\d+ +)?(\d\d):(\d\d):(\d\d)\.(\d{6}) IP (\S+) > (\S+): Flags \[(\S+)\], (seq \d+(?::\d+)?)?",
    )
});

/// What one sender sent.
struct Segment {
    from: String,
    to: String,
    flags: String,
    seq: String,
    /// In microseconds since midnight, each later than the one before.
    sent: Vec<(StepId, u64)>,
    /// The flags of the first segment that came back after the last of these.
    answer: Option<String>,
    /// Whether its connection is the present one between these ends: tcpdump's numbers begin anew
    /// with each.
    is_present: bool,
}

/// The drawing of what the steps printed.
///
/// # Errors
/// When no segment was sent again.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let rows = repeated(records);
    let steps = rows.iter().flat_map(|row| &row.sent).map(|(step, _)| *step);
    let (Some(first), Some(last)) = (steps.clone().min(), steps.max()) else {
        return Err("no `wire` step above shows a segment that was sent again".to_owned());
    };
    let longest = rows.iter().map(Segment::took).max().unwrap_or_default();
    let scale = Scale::of(longest);
    let lines = rows.iter().zip(0..);
    let picture: Html = lines.map(|(row, index)| row.drawn(&scale, index)).collect();
    let bottom = ROW * rows.len();
    let told: String = rows.iter().map(Segment::told).collect();
    let figure = Figure {
        is_narrow: true,
        size: (WIDTH, bottom + 30),
        label: format!("What was sent again, steps {first} to {last}"),
        told: &told,
        caption: format!(
            "Drawn from the steps {first} to {last}, in seconds since each was sent first. Below \
             a line stands how long its sender waited, where there is room. Each dot leads to its \
             step."
        ),
    };
    Ok(figure.around([picture, scale.drawn(bottom)].into_iter().collect()))
}

/// The segments that were sent more than once, in the order of their first time.
fn repeated(records: &[Record]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let wire = records
        .iter()
        .filter(|record| record.terminal == Terminal::Wire);
    let frames = wire.flat_map(|record| {
        let found = FRAME.captures_iter(&record.output.stdout);
        found.map(|found| (record.id, found))
    });
    for (step, found) in frames {
        let number = |index: usize| found[index].parse::<u64>().unwrap_or_default();
        let seconds = (number(1) * 60 + number(2)) * 60 + number(3);
        let at = seconds * 1_000_000 + number(4);
        let (from, to, flags) = (&found[5], &found[6], &found[7]);
        for segment in &mut segments {
            let is_answered = segment.from == to && segment.to == from && segment.is_present;
            if is_answered && segment.answer.is_none() && segment.last() < at {
                segment.answer = Some(flags.to_owned());
            }
        }
        // A segment without data, SYN or FIN has no number of its own.
        let Some(seq) = found.get(8).map(|seq| seq.as_str()) else {
            continue;
        };
        let same = |segment: &&mut Segment| {
            segment.is_present
                && (&*segment.from, &*segment.to) == (from, to)
                && (&*segment.flags, &*segment.seq) == (flags, seq)
        };
        match segments.iter_mut().find(same) {
            // A later look at the wire may show the same frame once more.
            Some(segment) if segment.last() >= at => {}
            Some(segment) => {
                segment.answer = None;
                segment.sent.push((step, at));
            }
            None => {
                if flags == "S" {
                    for segment in &mut segments {
                        let ends = [&*segment.from, &*segment.to];
                        segment.is_present &= ends != [from, to] && ends != [to, from];
                    }
                }
                segments.push(Segment {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    flags: flags.to_owned(),
                    seq: seq.to_owned(),
                    sent: vec![(step, at)],
                    answer: None,
                    is_present: true,
                });
            }
        }
    }
    segments.retain(|segment| segment.sent.len() > 1);
    segments
}

const ROW: usize = 62;
const PAD: usize = 12;
/// Where a row's line is, below the words about it.
const LINE: usize = 38;

impl Segment {
    fn last(&self) -> u64 {
        self.sent.last().map_or(0, |(_, at)| *at)
    }

    /// When each was sent, in microseconds since the first.
    fn times(&self) -> impl Iterator<Item = (StepId, u64)> {
        let first = self.sent.first().map_or(0, |(_, at)| *at);
        let sent = self.sent.iter();
        sent.map(move |(step, at)| (*step, at.saturating_sub(first)))
    }

    fn took(&self) -> u64 {
        self.times().map(|(_, at)| at).max().unwrap_or_default()
    }

    /// From one time to the next, in microseconds since the first.
    fn waits(&self) -> impl Iterator<Item = (u64, u64)> {
        let times = self.times().zip(self.times().skip(1));
        times.map(|((_, one), (_, next))| (one, next))
    }

    fn what(&self) -> String {
        let Self {
            from, to, flags, ..
        } = self;
        let answer = match &self.answer {
            Some(flags) => format!("then [{flags}]"),
            None => "no answer".to_owned(),
        };
        format!("[{flags}] {from} > {to}, {answer}")
    }

    fn told(&self) -> String {
        let waits = self.waits().map(|(one, next)| seconds(next - one));
        let waits = Vec::from_iter(waits).join(", ");
        format!("{}; sent again after {waits} s. ", self.what())
    }

    fn drawn(&self, scale: &Scale, index: usize) -> Html {
        let top = index * ROW;
        let y = top + LINE;
        let (left, right) = (scale.x(0), scale.x(self.took()));
        let line = element("path").class("branch");
        let line = line.with("d", format_args!("M{left} {y}H{right}")).empty();
        let dots = self.times().map(|(step, at)| {
            let dot = element("circle").class("frame").with("cx", scale.x(at));
            let dot = dot.with("cy", y).with("r", 4).empty();
            let named = element("a").with("href", format_args!("#{}", anchor(step)));
            let name = format_args!("step {step}, after {} s", seconds(at));
            named.with("aria-label", name).holding([dot])
        });
        let waits = self.waits().filter_map(|(one, next)| {
            let wait = seconds(next - one);
            let (from, to) = (scale.x(one), scale.x(next));
            let at = (usize::midpoint(from, to), y + 16);
            let has_room = to.saturating_sub(from) > wait.len() * SMALL / 10 + 2;
            has_room.then(|| text("by middle", at, wait))
        });
        let what = text("", (PAD, top + 20), self.what());
        let parts = [what, line].into_iter();
        parts.chain(waits).chain(dots).collect()
    }
}

/// Tenths are enough for a wait of a second and more.
fn seconds(micro: u64) -> String {
    match micro {
        1_000_000.. => {
            let tenths = (micro + 50_000) / 100_000;
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        _ => format!("0.{:03}", micro / 1000),
    }
}

/// How many seconds may lie between two marks, for what fits into a day.
const STEPS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/// The scale that all rows have, from nothing on.
struct Scale {
    longest: u64,
}

impl Scale {
    fn of(longest: u64) -> Self {
        let longest = longest.max(1);
        Self { longest }
    }

    fn x(&self, micro: u64) -> usize {
        let room = (WIDTH - 4 * PAD) as u64;
        let at = u128::from(micro) * u128::from(room) / u128::from(self.longest);
        2 * PAD + usize::try_from(at).unwrap_or_default()
    }

    /// The seconds below the rows.
    fn drawn(&self, top: usize) -> Html {
        let whole = self.longest / 1_000_000;
        let few = STEPS.into_iter().find(|step| whole / step <= 8);
        let step = few.unwrap_or(86_400);
        let marks = (0..=whole / step).map(|index| {
            let second = index * step;
            let x = self.x(second * 1_000_000);
            let tick = element("path").class("branch");
            let tick = tick.with("d", format_args!("M{x} {top}v5")).empty();
            let name = text("by middle", (x, top + 18), second);
            [tick, name].into_iter().collect()
        });
        let (left, right) = (self.x(0), self.x(self.longest));
        let line = element("path").class("branch");
        let line = line.with("d", format_args!("M{left} {top}H{right}"));
        [line.empty()].into_iter().chain(marks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    /// What steps of the wire printed, from frames such as `28.5 a.1 > b.9 [S] seq 7`.
    fn records(steps: &[&[&str]]) -> Vec<Record> {
        let mut content = String::new();
        for (frames, step) in steps.iter().zip(1..) {
            content += &format!("\n8.{step} wire\n");
            for frame in *frames {
                let words: Vec<&str> = frame.splitn(6, ' ').collect();
                let [clock, from, _, to, flags, rest] = words[..] else {
                    panic!("{frame}");
                };
                content += &format!("|   {clock} IP {from} > {to}: Flags {flags}, {rest}, x\n");
            }
            content += "= 0\n";
        }
        Snapshot::parse(&content).unwrap().transcript.records
    }

    #[test]
    fn a_row_for_each_segment_that_was_sent_again() {
        let drawn = draw(&records(&[
            &[
                "00:00:28.000000 a.1 > b.9 [S] seq 7",
                "00:00:28.500000 c.1 > b.9 [S] seq 7",
                "00:00:29.040000 a.1 > b.9 [S] seq 7",
            ],
            &[
                // The same frame again is the same frame.
                "00:00:29.040000 a.1 > b.9 [S] seq 7",
                "00:00:31.000000 a.1 > b.9 [S] seq 7",
                "00:00:31.100000 b.9 > a.1 [S.] seq 3",
                "00:00:31.200000 a.1 > b.9 [.] ack 1",
                "00:00:31.300000 a.1 > b.9 [.] ack 1",
                "00:00:31.400000 a.1 > b.9 [P.] seq 1:4",
                "00:00:37.400000 a.1 > b.9 [P.] seq 1:4",
            ],
        ]))
        .unwrap();
        let told = "<desc>[S] a.1 &gt; b.9, then [S.]; sent again after 1.0, 2.0 s. [P.] a.1 &gt; b.9, \
            no answer; sent again after 6.0 s.</desc>";
        assert!(drawn.contains(told), "{drawn}");
        assert_eq!(drawn.matches("<circle").count(), 5, "{drawn}");
        let named = "<a href=\"#step-8.2\" aria-label=\"step 8.2, after 3.0 s\"><circle";
        assert!(drawn.contains(named), "{drawn}");
        // Six seconds are the whole width.
        assert!(drawn.contains("cx=\"436\""), "{drawn}");
    }

    #[test]
    fn the_next_connection_between_two_ends_repeats_nothing() {
        let error = draw(&records(&[&[
            "00:00:01.000000 a.1 > b.9 [S] seq 7",
            "00:00:01.200000 a.1 > b.9 [P.] seq 1:4",
            "00:00:02.000000 a.1 > b.9 [S] seq 8",
            "00:00:02.200000 a.1 > b.9 [P.] seq 1:4",
        ]]))
        .unwrap_err();
        assert!(error.contains("sent again"), "{error}");
    }

    #[test]
    fn what_was_sent_once_is_not_drawn() {
        let once: &[&str] = &["00:00:28.000000 a.1 > b.9 [S] seq 7"];
        // A clock that goes back tells nothing of a wait.
        let back: &[&str] = &[
            "23:59:59.000000 a.1 > b.9 [S] seq 7",
            "00:00:03.000000 a.1 > b.9 [S] seq 7",
        ];
        for steps in [&[once][..], &[back], &[]] {
            let error = draw(&records(steps)).unwrap_err();
            assert!(error.contains("sent again"), "{error}");
        }
    }

    #[test]
    fn the_seconds_below_are_few() {
        for (longest, marks) in [
            (0, 1),
            (1, 2),
            (8, 9),
            (9, 5),
            (18, 4),
            (65, 7),
            (86_399, 9),
        ] {
            let drawn = Scale::of(longest * 1_000_000).drawn(0);
            assert_eq!(drawn.matches("<text").count(), marks, "{longest}");
        }
    }
}
