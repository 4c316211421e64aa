//! Whether a step says the same, although its bytes differ.
//!
//! What may differ was measured (`snapshot::noise`), and all other text must be equal. Two things
//! cannot be measured, since they belong to the programs that were used and not to the guest: where
//! a compiler has placed an instruction in its function, which is no token of a line, and which
//! values it has left for the debugger to find. A value that a debugger does not know contradicts
//! none.
//!
//! Where the programs themselves are others (the machine's own, or a kernel that was configured
//! otherwise), every address, size, time and process may be another as well; each corresponds to
//! one, throughout the chapter and in both directions.

use std::collections::HashMap;

use crate::pattern::{Pattern, pattern};
use crate::snapshot::noise::{Form, Hole, Piece, Steps};
use crate::snapshot::shape::{Kind, Number, Token, hex, tokens, without_places};

/// What is compared in a chapter, and what was found so far.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Whether the programs are others than those of the recording.
    others: bool,
    /// Whether the kernel was made of another source, so that its lines stand elsewhere.
    another_source: bool,
    /// What stood in the holes that have names.
    named: HashMap<String, Vec<i128>>,
    /// What corresponds to what: whether recorded or now, kind, text.
    pairs: HashMap<(bool, Corresponding, String), String>,
}

/// What is counted apart: a pointer does not correspond to a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Corresponding {
    Pointer,
    Number,
    Process,
}

/// What other programs may change, the most telling first; the group's name decides what a match
/// is.
static OTHERS: Pattern = Pattern::new(|| {
    let alternatives = [
        // An address and a port that the kernel has chosen, as tcpdump and netstat write them.
        r"(?P<port>\b\d+(\.\d+){3}[.:]\d{5}\b)",
        // A version or an IP address is no time: it must be equal.
        r"(?P<equal>\b\d+(\.\d+){2,}\b)",
        // printk's time, `[    1.203456] `; tcpdump's; seconds with a fraction.
        r"(?P<time>\b(\d\d:){2}\d\d\.\d{6}\b|\[ *\d+\.\d{6}\]|\b\d+\.\d+ ?(s|ms|us|seconds)\b|(= ?)?\b\d+\.\d{2,}\b)",
        // How many threads the kernel has made before is not what a chapter is about. ping's id is
        // its process.
        r"(?P<process>\b(process|echo (request|reply), id) \d+\b)",
        r"(?P<pointer>\b0x[0-9a-f]{5,16}\b|\bffff[0-9a-f]{12}\b)",
        r"(?P<number>\b[0-9]{5,}\b|\b[0-9a-f]{40,64}\b)",
    ];
    pattern(&alternatives.join("|"))
});

impl Comparison {
    /// A comparison with what the same programs have recorded, or `others`.
    #[must_use]
    pub fn new(others: bool) -> Self {
        Self {
            others,
            ..Self::default()
        }
    }

    /// A comparison with what another version of the kernel has printed.
    #[must_use]
    pub fn of_another_source() -> Self {
        Self {
            another_source: true,
            ..Self::new(true)
        }
    }

    /// The first line of `now` that says something else than `recorded`, counted from 0; none if
    /// all say the same, given all that was compared before. `noise` is how the step may differ.
    /// Equal steps have to be compared, too, for what stands in their holes.
    pub fn first_other(
        &mut self,
        recorded: &str,
        now: &str,
        noise: Option<&Steps>,
    ) -> Option<usize> {
        if let Some(Steps::AnyOrder(forms)) = noise {
            return self.first_unexpected(forms, now);
        }
        let (recorded, now) = (
            Vec::from_iter(recorded.lines()),
            Vec::from_iter(now.lines()),
        );
        let form = |number: usize| match noise {
            Some(Steps::Lines(lines)) => lines.iter().find(|line| line.0 == number + 1),
            _ => None,
        };
        let mut own = HashMap::new();
        for (index, now) in now.iter().enumerate() {
            let Some(recorded) = recorded.get(index) else {
                return Some(index);
            };
            let same = match form(index) {
                Some((_, form)) => {
                    // Where the noise does not know a line, other programs may still explain it.
                    self.fits(form, now, &mut own) || self.others && self.same_line(recorded, now)
                }
                None => self.same_line(recorded, now),
            };
            if !same {
                return Some(index);
            }
        }
        (recorded.len() > now.len()).then_some(now.len())
    }

    /// The first line that none of the forms allows, or behind the last one if some come too
    /// seldom.
    fn first_unexpected(&mut self, forms: &[(usize, usize, Form)], now: &str) -> Option<usize> {
        let mut left: Vec<usize> = forms.iter().map(|(_, most, _)| *most).collect();
        // What fits a form without holes is not to use up one that others need.
        let holes = |at: &usize| forms[*at].2.holes();
        let mut order: Vec<usize> = (0..forms.len()).collect();
        order.sort_by_key(holes);
        for (index, line) in now.lines().enumerate() {
            let mut order = order.iter().copied();
            let fitting = order
                .find(|&at| left[at] > 0 && self.fits(&forms[at].2, line, &mut HashMap::new()));
            match fitting {
                Some(form) => left[form] -= 1,
                None => return Some(index),
            }
        }
        let mut all = forms.iter().zip(&left);
        let all_came = all.all(|((least, most, _), left)| most - left >= *least);
        (!all_came).then(|| now.lines().count())
    }

    /// Whether a line has this form. `own` are the numbers of the step that are nobody else's.
    fn fits(&mut self, form: &Form, line: &str, own: &mut HashMap<String, usize>) -> bool {
        let another_source = self.another_source;
        let counted = |text: String| match another_source {
            true => without_counts(&text),
            false => text,
        };
        let line = counted(without_places(line));
        let line = tokens(&line);
        let mut rest = line.iter().peekable();
        let mut before = "";
        for piece in &form.0 {
            let fits = match piece {
                Piece::Text(text) => tokens(&counted(text.clone())).iter().all(|expected| {
                    rest.next()
                        .is_some_and(|found| is_as(*expected, *found, false))
                }),
                Piece::Hole { name, kind } => match rest.next() {
                    Some(found) => {
                        let slack = i128::from(is_stamp_behind(before));
                        self.stands_in(name.as_deref(), kind, *found, slack, own)
                    }
                    None => false,
                },
            };
            before = match piece {
                Piece::Text(text) => text,
                Piece::Hole { .. } => "",
            };
            if !fits {
                return false;
            }
        }
        rest.next().is_none()
    }

    /// Whether a token may stand in a hole. What lies some way from another may lie `slack` from
    /// there.
    fn stands_in(
        &mut self,
        name: Option<&str>,
        hole: &Hole,
        found: Token<'_>,
        slack: i128,
        own: &mut HashMap<String, usize>,
    ) -> bool {
        if found.kind == Kind::Unknown {
            return true;
        }
        let values = values(found);
        let fits = match hole {
            Hole::Words(words) => return words.iter().any(|word| word == found.text),
            Hole::Any => !values.is_empty(),
            Hole::Own => {
                let times = own.entry(found.text.to_owned()).or_default();
                *times += 1;
                !values.is_empty() && *times == 1
            }
            Hole::Span(least, most) => Number::parse(found.text).is_some_and(|number| {
                number.is_like(*least) && (least.units..=most.units).contains(&number.units)
            }),
            Hole::As(other, distance) => match self.named.get(other) {
                // A step that could not be reached has left no value.
                None => true,
                Some(before) => before.iter().any(|before| {
                    let slack = if *distance == 0 { 0 } else { slack };
                    let mut values = values.iter();
                    values.any(|value| {
                        let mut distances = distance - slack..=distance + slack;
                        distances.any(|distance| is_so_far(*before, distance, *value))
                    })
                }),
            },
        };
        if let Some(name) = name {
            self.named.insert(name.to_owned(), values);
        }
        fits
    }

    /// Whether two lines say the same without noise.
    fn same_line(&mut self, recorded: &str, now: &str) -> bool {
        let (mut recorded, mut now) = (without_places(recorded), without_places(now));
        if self.another_source {
            recorded = without_lines(&recorded);
            now = without_lines(&now);
        }
        if !self.others {
            return recorded == now || same_tokens(&recorded, &now);
        }
        // Equal lines count, too, for what corresponds.
        let (recorded, before) = without_what_others_change(&recorded);
        let (now, after) = without_what_others_change(&now);
        before.len() == after.len()
            && same_tokens(&recorded, &now)
            && before
                .into_iter()
                .zip(after)
                .all(|((kind, text), (other, now))| {
                    kind == other && self.correspond(kind, &text, &now)
                })
    }

    fn correspond(&mut self, kind: Corresponding, recorded: &str, now: &str) -> bool {
        let mut pair = |forth: bool, from: &str, to: &str| {
            self.pairs
                .entry((forth, kind, from.to_owned()))
                .or_insert_with(|| to.to_owned())
                == to
        };
        let forth = pair(true, recorded, now);
        let back = pair(false, now, recorded);
        forth && back
    }
}

fn same_tokens(recorded: &str, now: &str) -> bool {
    let (recorded, now) = (tokens(recorded), tokens(now));
    recorded.len() == now.len() && recorded.iter().zip(&now).all(|(a, b)| is_as(*a, *b, true))
}

/// Whether a token is the expected one. Blank space may be longer or shorter if not `exact`.
fn is_as(expected: Token<'_>, found: Token<'_>, exact: bool) -> bool {
    let is_unknown = |token: Token<'_>| token.kind == Kind::Unknown;
    let is_value = |token: Token<'_>| !matches!(token.kind, Kind::Blank);
    expected.text == found.text
        || is_unknown(expected) && is_value(found)
        || is_unknown(found) && is_value(expected)
        || !exact && (expected.kind, found.kind) == (Kind::Blank, Kind::Blank)
}

/// What a token may be as a number of any kind: in a dump, `feed` is one, and `9698` another than
/// elsewhere.
pub(super) fn values(token: Token<'_>) -> Vec<i128> {
    let decimal = Number::parse(token.text).filter(|_| token.kind == Kind::Number);
    let may_be_hex = match token.kind {
        Kind::Hex => true,
        Kind::Number | Kind::Word => token.text.len() >= 4,
        _ => false,
    };
    let hex = may_be_hex.then(|| hex(token.text)).flatten();
    let decimal = decimal.map(|number| number.units);
    decimal.into_iter().chain(hex).collect()
}

/// Whether what stands behind a text is a time stamp of TCP, as tcpdump writes it. It is a clock's
/// whole milliseconds, so what lasts 5.2 ms is five of them for some beginnings and six for others.
fn is_stamp_behind(text: &str) -> bool {
    text.ends_with("TS val ") || text.ends_with(" ecr ")
}

/// Whether a value lies so far from another, in numbers that begin anew behind 32 or 64 bits.
pub(super) fn is_so_far(from: i128, distance: i128, value: i128) -> bool {
    let off = value - from - distance;
    off == 0 || off.abs() == 1 << 32 || off.abs() == 1 << 64
}

/// A line without the numbers of lines of a source: behind a file's name, at the beginning of a
/// listing, as gdb and `grep -n` print it, and in the names that the kernel makes for its
/// initcalls; and without what gdb counts.
fn without_lines(line: &str) -> String {
    static NUMBER: Pattern = Pattern::new(|| {
        let alternatives = [
            r"^(?P<mark>[|!] )?\d+(?P<begin>[\t:-])",
            r"(?P<file>\.[chS](:|, line | ))\d+",
            r"(?P<initcall>__initcall__kmod_\w+?__)[\d_]+",
        ];
        pattern(&alternatives.join("|"))
    });
    let line = without_counts(line);
    NUMBER
        .replace_all(&line, "$mark$begin$file$initcall")
        .into_owned()
}

/// A line without gdb's counts of the values that it has printed and of its breakpoints, as one
/// that fails is not counted.
fn without_counts(line: &str) -> String {
    static NUMBER: Pattern = Pattern::new(|| {
        pattern(r"(?P<value>\$)\d+ =|(?P<stop>\b(Hardware watchpoint|[Bb]reakpoint) )\d+")
    });
    NUMBER.replace_all(line, "$value$stop").into_owned()
}

/// A line with a hole for all that other programs may change, and what stood there and has to
/// correspond; times leave nothing behind.
fn without_what_others_change(line: &str) -> (String, Vec<(Corresponding, String)>) {
    let mut left = String::new();
    let mut values = Vec::new();
    let mut end = 0;
    for found in OTHERS.captures_iter(line) {
        let whole = found.get(0).expect("group 0 is the match");
        let name = OTHERS
            .capture_names()
            .flatten()
            .find(|name| found.name(name).is_some());
        let matched = whole.as_str();
        let (begin, kind) = match name {
            Some("equal") | None => continue,
            Some("time") => (whole.start(), None),
            Some("pointer") => (whole.start(), Some(Corresponding::Pointer)),
            Some(name @ ("process" | "port")) => {
                let begin = matched.rfind([' ', '.', ':']).map_or(0, |at| at + 1);
                let kind = match name {
                    "port" => Corresponding::Number,
                    _ => Corresponding::Process,
                };
                (whole.start() + begin, Some(kind))
            }
            Some(_) => (whole.start(), Some(Corresponding::Number)),
        };
        left += &line[end..begin];
        if let Some(kind) = kind {
            left.push('\0');
            values.push((kind, line[begin..whole.end()].to_owned()));
        }
        end = whole.end();
    }
    left += &line[end..];
    (left, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::noise::Noise;

    #[test]
    fn the_lines_of_another_source_and_what_follows_from_them_are_left_out() {
        let same = |recorded: &str, now: &str| {
            let mut comparison = Comparison::of_another_source();
            comparison.first_other(recorded, now, None).is_none()
        };
        assert!(same("| 10\tint a;", "| 12\tint a;"));
        assert!(same("| f () at net/a.c:10", "| f () at net/a.c:12"));
        assert!(same("| $3 = 1", "| $2 = 1"));
        assert!(same(
            "| Temporary breakpoint 3, f ()",
            "| Temporary breakpoint 2, f ()"
        ));
        assert!(same("| net/a.c 10 f", "| net/a.c 12 f"));
        let initcall =
            |at, lines| format!("| 0xffffffff81{at}  __initcall__kmod_af_inet__{lines}_inet_init5");
        assert!(same(
            &initcall("ba4c0c", "699_2090"),
            &initcall("9c6c3c", "779_2038")
        ));
        let noise = Noise::parse("6.1\n1 | $3 = {4198..4699}\n").unwrap();
        let fits = |now: &str| {
            let steps = noise.of("6.1".parse().unwrap());
            let mut comparison = Comparison::of_another_source();
            comparison.first_other("| $3 = 4406", now, steps).is_none()
        };
        assert!(fits("| $2 = 4467"));
        assert!(!fits("| $2 = 4700"));
        // What they stand beside counts.
        assert!(!same("| 10\tint a;", "| 10\tint b;"));
        assert!(!same("| $3 = 1", "| $3 = 2"));
        assert!(!same("| f () at net/a.c:10", "| f () at net/b.c:10"));
    }

    fn same(others: bool, recorded: &str, now: &str) -> bool {
        Comparison::new(others)
            .first_other(recorded, now, None)
            .is_none()
    }

    /// Whether a step `6.1` with this noise says the same.
    fn fits(noise: &str, recorded: &str, now: &str) -> bool {
        let noise = Noise::parse(&format!("6.1{noise}")).unwrap();
        let steps = noise.of("6.1".parse().unwrap());
        Comparison::new(false)
            .first_other(recorded, now, steps)
            .is_none()
    }

    #[test]
    fn where_an_instruction_lies_and_what_a_debugger_does_not_know_may_differ() {
        for (recorded, now) in [
            (
                "#1  0xffffffff81b213ee in f (level=5) at init/main.c:9",
                "#1  f (level=5) at init/main.c:9",
            ),
            ("<f+42> call", "<f+7> call"),
            ("f+0x1a/0x30", "f+0x20/0x34"),
            (
                "f (a=<optimized out>, b=0xffff888002)",
                "f (a=3, b=<optimized out>)",
            ),
            ("state = <optimized out>", "state = -1"),
            (
                "__initcall__kmod_af_inet__699_2090_inet_init5",
                "__initcall__kmod_af_inet__704_2090_inet_init5",
            ),
        ] {
            assert!(same(false, recorded, now), "{recorded} / {now}");
        }
    }

    #[test]
    fn nothing_else_may_without_noise() {
        for (recorded, now) in [
            ("priority 32766", "priority 32765"),
            ("3023872 bzImage", "3100000 bzImage"),
            ("time 0.25 s", "time 1.5 s"),
            ("[    0.123456] x", "[   17.000001] x"),
            ("process 29", "process 30"),
            ("fn=0xffffffff81b4583f <f>", "fn=0xffffffff81000000 <f>"),
            ("a  b", "a b"),
            ("state = 7", "state = 1"),
            ("f (a=1)", "f (b=1)"),
            ("f (a=<optimized out>)", "f (b=<optimized out>)"),
            ("__initcall__kmod_a__1_2_f5", "__initcall__kmod_a__1_2_f6"),
            ("a\nb", "b\na"),
            ("a", "a\nb"),
            ("a\nb", "a"),
        ] {
            assert!(!same(false, recorded, now), "{recorded} / {now}");
        }
    }

    #[test]
    fn other_programs_may_change_what_they_choose() {
        for (recorded, now) in [
            ("[    0.123456] x", "[   17.000001] x"),
            ("3023872 bzImage", "3100000 bzImage"),
            ("I am process 29\nprocess 30", "I am process 31\nprocess 32"),
            ("time 0.25 s", "time 1.5 s"),
            ("max = 0.303/0.303 ms", "max = 10.000/23.761 ms"),
            (
                "10.0.3.2.46353 > 203.0.113.53.53\n192.0.2.4:46353",
                "10.0.3.2.60950 > 203.0.113.53.53\n192.0.2.4:60950",
            ),
            (
                "0xffff888000000001 0xffff888000000002",
                "0xffff888000000002 0xffff888000000001",
            ),
        ] {
            assert!(same(true, recorded, now), "{recorded} / {now}");
        }
        for (recorded, now) in [
            ("10.0.3.2.46353 46353", "10.0.3.2.60950 46353"),
            ("10.0.3.2.46353", "10.0.3.1.46353"),
            ("Linux 6.1.176", "Linux 6.2.176"),
            ("x = 0x0", "x = 0xffffffff81000000"),
            ("process 29\nprocess 29", "process 29\nprocess 30"),
            ("echo request, id 38, seq 0", "echo request, id 38, seq 1"),
            ("0xffff888001 0xffff888002", "0xffff888001 0xffff888001"),
            ("0xffff888001 0xffff888001", "0xffff888001 0xffff888002"),
        ] {
            assert!(!same(true, recorded, now), "{recorded} / {now}");
        }
    }

    #[test]
    fn a_hole_takes_what_it_says_and_no_more() {
        let recorded = "| a 12345 12345 7 ab\n| 1";
        let noise = "\n1 | a {6.1a=*} {6.1a} {3..9} {ab|cd}\n";
        for now in ["| a 999 999 9 cd\n| 1", "| a 0xff88  0xff88 3 ab\n| 1"] {
            assert!(fits(noise, recorded, now), "{now}");
        }
        for now in [
            "| a 999 998 9 cd\n| 1",
            "| a 999 999 10 cd\n| 1",
            "| a 999 999 9 ef\n| 1",
            "| a x 999 9 cd\n| 1",
            "| b 999 999 9 cd\n| 1",
            "| a 999 999 9 cd\n| 2",
            "| a 999 999 9 cd x\n| 1",
            "| a 999 999 9\n| 1",
            "| a 999 999 9 cd",
        ] {
            assert!(!fits(noise, recorded, now), "{now}");
        }
        let apart = "\n1 | seq {6.1a=*} ack {6.1a+8}\n";
        assert!(fits(apart, "| seq 100000 ack 100008", "| seq 5 ack 13"));
        assert!(fits(
            apart,
            "| seq 100000 ack 100008",
            "| seq 4294967295 ack 7"
        ));
        assert!(!fits(apart, "| seq 100000 ack 100008", "| seq 5 ack 14"));
        // What is cut to whole milliseconds may be one more or less, but a copy of it may not.
        let stamps = "\n1 | TS val {6.1a=*}, TS val {6.1a+5} ecr {6.1a}\n";
        let recorded = "| TS val 100000, TS val 100005 ecr 100000";
        assert!(fits(stamps, recorded, "| TS val 7, TS val 11 ecr 7"));
        assert!(fits(stamps, recorded, "| TS val 7, TS val 13 ecr 7"));
        assert!(!fits(stamps, recorded, "| TS val 7, TS val 14 ecr 7"));
        assert!(!fits(stamps, recorded, "| TS val 7, TS val 12 ecr 8"));
        // In a dump a port of digits alone is a number in hexadecimal, too.
        let dump = "\n1 | {6.1a=*} 0301 {6.1a}\n";
        assert!(fits(dump, "| 44276 0301 acf4", "| 38552 0301 9698"));
        assert!(!fits(dump, "| 44276 0301 acf4", "| 38552 0301 9699"));
        let own = "\n1 | {*} {*}\n";
        assert!(fits(own, "| 0xffff1 0xffff2", "| 0xffff3 0xffff4"));
        assert!(!fits(own, "| 0xffff1 0xffff2", "| 0xffff3 0xffff3"));
    }

    #[test]
    fn lines_in_any_order_are_counted() {
        let noise = " any order\n1..2 | a {?}\n0..1 | b\n";
        for now in ["| a 1\n| b", "| b\n| a 2\n| a 3", "| a 1"] {
            assert!(fits(noise, "| a 0\n| b", now), "{now}");
        }
        for now in [
            "| b",
            "| a 1\n| b\n| b",
            "| a 1\n| c",
            "| a 1\n| a 2\n| a 3",
            "",
        ] {
            assert!(!fits(noise, "| a 0\n| b", now), "{now}");
        }
    }
}
