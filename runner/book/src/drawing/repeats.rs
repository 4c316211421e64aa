//! Segments that were sent again, as the steps of the terminal `wire` show them: when, and for how
//! long their sender waited each time.
//!
//! Each row is one segment of a sender's, by its flags and numbers, and all rows have one scale.
//! Nothing is asked of the author.

use std::fmt::Write as _;

use crate::drawing::svg::{Figure, SMALL, WIDTH, link, text};
use crate::html::{Html, element};
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::{StepId, Terminal};

/// A frame as tcpdump prints it with `-#`: its number, when, who to whom, its flags, and the rest.
static FRAME: Pattern = Pattern::new(|| {
    pattern(
        r"(?m)^ *(\d+) +(\d+):(\d\d):(\d\d)\.(\d{6}) IP (\S+) > (\S+): Flags \[(\S+)\], (seq \d+(?::\d+)?)?",
    )
});

/// What one sender sent more than once.
#[derive(Debug, PartialEq, Eq)]
struct Repeated {
    from: String,
    to: String,
    flags: String,
    seq: String,
    /// In microseconds since midnight.
    sent: Vec<(StepId, u64)>,
    /// The flags of the first segment that came back after the last of these.
    answer: Option<String>,
}

/// The drawing of what the steps printed.
///
/// # Errors
/// When no segment was sent again.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let rows = rows(records);
    let steps = rows
        .iter()
        .flat_map(|row| row.sent.iter().map(|(step, _)| *step));
    let (Some(first), Some(last)) = (steps.clone().min(), steps.max()) else {
        return Err("no `wire` step above shows a segment that was sent again".to_owned());
    };
    let longest = rows.iter().map(Repeated::took).max().unwrap_or_default();
    let scale = Scale::of(longest);
    let lines = rows.iter().zip(0..);
    let picture: Html = lines.map(|(row, index)| row.drawn(&scale, index)).collect();
    let bottom = ROW * rows.len();
    let told: String = rows.iter().map(Repeated::told).collect();
    let figure = Figure {
        is_narrow: true,
        size: (WIDTH, bottom + 30),
        label: format!("What was sent again, steps {first} to {last}"),
        told: &told,
        caption: format!(
            "Drawn from the steps {first} to {last}, in seconds from the first time. Each dot \
             leads to its step."
        ),
    };
    Ok(figure.around([picture, scale.drawn(bottom)].into_iter().collect()))
}

fn rows(records: &[Record]) -> Vec<Repeated> {
    let mut rows: Vec<Repeated> = Vec::new();
    let mut seen = 0;
    let wire = records
        .iter()
        .filter(|record| record.terminal == Terminal::Wire);
    let frames = wire.flat_map(|record| {
        let found = FRAME.captures_iter(&record.output.stdout);
        found.map(|found| (record.id, found))
    });
    for (step, found) in frames {
        let number = |index: usize| found[index].parse::<u32>().map(u64::from);
        let (Ok(frame), Ok(hour), Ok(minute), Ok(second), Ok(micro)) =
            (number(1), number(2), number(3), number(4), number(5))
        else {
            continue;
        };
        // A later look at the wire may begin again with the first frame.
        if frame <= seen {
            continue;
        }
        seen = frame;
        let at = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro;
        let (from, to, flags) = (&found[6], &found[7], &found[8]);
        for row in &mut rows {
            if row.from == to && row.to == from && row.answer.is_none() {
                row.answer = Some(flags.to_owned());
            }
        }
        // A segment without data, SYN or FIN has no number of its own.
        let Some(seq) = found.get(9).map(|seq| seq.as_str()) else {
            continue;
        };
        let same = |row: &&mut Repeated| {
            (&*row.from, &*row.to, &*row.flags, &*row.seq) == (from, to, flags, seq)
        };
        match rows.iter_mut().find(same) {
            Some(row) => {
                row.answer = None;
                row.sent.push((step, at));
            }
            None => rows.push(Repeated {
                from: from.to_owned(),
                to: to.to_owned(),
                flags: flags.to_owned(),
                seq: seq.to_owned(),
                sent: vec![(step, at)],
                answer: None,
            }),
        }
    }
    rows.retain(|row| row.sent.len() > 1);
    rows
}

const ROW: usize = 62;
const PAD: usize = 12;
/// Where a row's line is, below the words about it.
const LINE: usize = 38;

impl Repeated {
    /// When each was sent, in microseconds from the first.
    fn times(&self) -> impl Iterator<Item = (StepId, u64)> {
        let first = self.sent.first().map_or(0, |(_, at)| *at);
        let sent = self.sent.iter();
        sent.map(move |(step, at)| (*step, at.saturating_sub(first)))
    }

    fn took(&self) -> u64 {
        self.times().map(|(_, at)| at).max().unwrap_or_default()
    }

    /// How long was waited before each but the first, in seconds.
    fn waits(&self) -> impl Iterator<Item = String> {
        let times = self.times().zip(self.times().skip(1));
        times.map(|((_, one), (_, next))| seconds(next.saturating_sub(one)))
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
        let mut told = String::new();
        let waits: Vec<String> = self.waits().collect();
        let (what, waits) = (self.what(), waits.join(", "));
        let _ = write!(told, "{what}; sent again after {waits} s. ");
        told
    }

    fn drawn(&self, scale: &Scale, index: usize) -> Html {
        let top = index * ROW;
        let y = top + LINE;
        let (left, right) = (scale.x(0), scale.x(self.took()));
        let line = element("path").class("branch");
        let line = line.with("d", format_args!("M{left} {y}H{right}")).empty();
        let dots = self.times().map(|(step, at)| {
            let dot = element("circle").class("frame").with("cx", scale.x(at));
            link(step, [dot.with("cy", y).with("r", 4).empty()])
        });
        let between = self.times().zip(self.times().skip(1)).zip(self.waits());
        let waits = between.filter_map(|(((_, one), (_, next)), wait)| {
            let (from, to) = (scale.x(one), scale.x(next));
            let room = wait.len() * SMALL / 10;
            let at = (usize::midpoint(from, to), y + 16);
            // What has no room is in the text that is read aloud.
            (to - from > room + 2).then(|| text("by middle", at, wait))
        });
        let what = text("", (PAD, top + 20), self.what());
        let parts = [what, line].into_iter();
        parts.chain(waits).chain(dots).collect()
    }
}

/// Tenths of a second are enough for a wait.
fn seconds(micro: u64) -> String {
    let tenths = (micro + 50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

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
        let tens = (0..).map(|power| 10_u64.pow(power));
        let mut steps = tens.flat_map(|ten| [ten, 2 * ten, 5 * ten]);
        let whole = self.longest / 1_000_000;
        let step = steps.find(|step| whole / step <= 8).unwrap_or(1);
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

    fn records(frames: &[&str]) -> Vec<Record> {
        let mut content = String::new();
        for (frames, step) in frames.iter().zip(1..) {
            let _ = write!(content, "\n8.{step} wire\n");
            for frame in frames.lines() {
                let _ = writeln!(content, "|   {frame}");
            }
            content += "= 0\n";
        }
        Snapshot::parse(&content).unwrap().transcript.records
    }

    #[test]
    fn a_row_for_each_segment_that_was_sent_again() {
        let drawn = draw(&records(&[
            "1  00:00:28.000000 IP a.1 > b.9: Flags [S], seq 7, length 0\n\
             2  00:00:28.500000 IP c.1 > b.9: Flags [S], seq 7, length 0\n\
             3  00:00:29.040000 IP a.1 > b.9: Flags [S], seq 7, length 0",
            // The same frame again is the same frame.
            "3  00:00:29.040000 IP a.1 > b.9: Flags [S], seq 7, length 0\n\
             4  00:00:31.000000 IP a.1 > b.9: Flags [S], seq 7, length 0\n\
             5  00:00:31.100000 IP b.9 > a.1: Flags [S.], seq 3, ack 8, length 0\n\
             6  00:00:31.200000 IP a.1 > b.9: Flags [.], ack 1, length 0\n\
             7  00:00:31.300000 IP a.1 > b.9: Flags [.], ack 1, length 0\n\
             8  00:00:31.400000 IP a.1 > b.9: Flags [P.], seq 1:4, ack 1, length 3\n\
             9  00:00:37.400000 IP a.1 > b.9: Flags [P.], seq 1:4, ack 1, length 3",
        ]))
        .unwrap();
        let told = "<desc>[S] a.1 &gt; b.9, then [S.]; sent again after 1.0, 2.0 s. [P.] a.1 &gt; b.9, \
            no answer; sent again after 6.0 s.</desc>";
        assert!(drawn.contains(told), "{drawn}");
        assert_eq!(drawn.matches("<circle").count(), 5, "{drawn}");
        assert!(drawn.contains("<a href=\"#step-8.2\"><circle"), "{drawn}");
        // Six seconds are the whole width.
        assert!(drawn.contains("cx=\"436\""), "{drawn}");
    }

    #[test]
    fn what_was_sent_once_is_not_drawn() {
        let once = ["1  00:00:28.000000 IP a.1 > b.9: Flags [S], seq 7, length 0"];
        for frames in [&once[..], &[]] {
            let error = draw(&records(frames)).unwrap_err();
            assert!(error.contains("sent again"), "{error}");
        }
    }

    #[test]
    fn no_clock_breaks_a_drawing() {
        for hour in ["00", "4294967295", "99999999999"] {
            let again = format!(
                "1  00:00:28.000000 IP a.1 > b.9: Flags [S], seq 7, length 0\n\
                 2  {hour}:00:00.000000 IP a.1 > b.9: Flags [S], seq 7, length 0"
            );
            assert_eq!(draw(&records(&[&again])).is_ok(), hour.len() < 11, "{hour}");
        }
    }
}
