//! Noise, measured: what differs between a chapter's replays on machines that differ in nothing
//! that it is about (`lab::replay::variant`).
//!
//! Token by token: numbers that vary together are one value, written in several places; another
//! that varies little is a span, twice as wide to each side as what was seen, and for a duration a
//! fifth wider at least, since the next machine seldom keeps to the extremes of nine; a time that
//! varies by half a tick of the guest's clock waits for one, and may come a tick farther off; all
//! else is any number. A step that has other lines, or the same in another order, is compared line
//! by line without order.

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::{Result, bail};
use lab::transcript::Record;
use lab::transcript::step::StepId;

use crate::snapshot::meaning::values;
use crate::snapshot::noise::{Form, Hole, Noise, Piece, Steps};
use crate::snapshot::shape::{Kind, Number, Token, hex, tokens, without_places};
use crate::snapshot::{Snapshot, body};

/// How far a number may lie from the one that it varies with.
const FAR: i128 = 0xffff;
/// In how many different values two numbers have to agree to be taken for one. Long ones in
/// hexadecimal need no more than to vary.
const AGREE: usize = 4;
/// In how many if they lie apart. Addresses of the kernel's own code differ by kernel only, and
/// how far two of them lie apart is up to the compiler.
const AGREE_APART: usize = 5;
/// What is taken for an address, a port or a number that was drawn, if it varies by a quarter.
const LARGE: i128 = 10_000;
/// The ports that the kernel draws from (`ip_local_port_range`).
const PORTS: std::ops::RangeInclusive<i128> = 32_768..=60_999;

/// What differs between a chapter and the same chapter on other machines. In `real_time` nothing
/// bounds what took how long, or what came between: there are no spans.
///
/// # Errors
/// A step that ended with another status, or that a replay has not: no noise, but a fault of the
/// lab or of the chapter.
pub fn learn(recorded: &Snapshot, others: &[Snapshot], real_time: bool) -> Result<Noise> {
    let mut learner = Learner {
        real_time,
        ..Learner::default()
    };
    for record in &recorded.transcript.records {
        let id = record.id;
        let mut texts = vec![body(record)];
        for other in others {
            let Some(other) = other.record(id) else {
                bail!("step {id} was not reached in each replay");
            };
            check_status(record, other)?;
            texts.push(body(other));
        }
        learner.step(id, &texts);
    }
    Ok(learner.noise())
}

fn check_status(record: &Record, other: &Record) -> Result<()> {
    let [one, two] = [record, other].map(|record| record.output.status);
    if one != two {
        bail!(
            "step {}: exit status {one} in one replay and {two} in another",
            record.id
        );
    }
    Ok(())
}

/// The holes of a chapter, in order.
#[derive(Default)]
struct Learner {
    real_time: bool,
    steps: Vec<(StepId, Draft)>,
    holes: Vec<Seen>,
    /// The holes by how their numbers vary.
    alike: HashMap<(u8, Vec<i128>), Vec<usize>>,
}

/// A step whose holes have no names yet.
enum Draft {
    Lines(Vec<(usize, Vec<Part>)>),
    AnyOrder(Vec<(usize, usize, Form)>),
}

enum Part {
    Text(String),
    Hole(usize),
}

/// A hole as it was seen.
struct Seen {
    step: StepId,
    values: Vec<i128>,
    kind: SeenKind,
    is_referred_to: bool,
}

enum SeenKind {
    Hole(Hole),
    /// As another hole, so far from it.
    As(usize, i128),
}

impl Learner {
    fn step(&mut self, id: StepId, texts: &[String]) {
        let whole = Vec::from_iter(texts.iter().map(String::as_str));
        if whole.iter().all(|text| *text == whole[0]) {
            return;
        }
        let cleaned: Vec<Vec<String>> = whole
            .iter()
            .map(|text| text.lines().map(without_places).collect())
            .collect();
        let lines: Vec<Vec<Vec<Token<'_>>>> = cleaned
            .iter()
            .map(|lines| lines.iter().map(|line| tokens(line)).collect())
            .collect();
        let draft = match columns(&lines) {
            Some(columns) if !says_other_words(&columns) => self.lines(id, &columns),
            Some(columns) => {
                // The same lines in another order, or other words in the same lines?
                let forms = forms(&lines);
                if forms.iter().all(|(least, most, _)| least == most) {
                    Draft::AnyOrder(forms)
                } else {
                    self.lines(id, &columns)
                }
            }
            None => Draft::AnyOrder(forms(&lines)),
        };
        if !matches!(&draft, Draft::Lines(lines) if lines.is_empty()) {
            self.steps.push((id, draft));
        }
    }

    fn lines(&mut self, id: StepId, columns: &[Vec<Vec<Token<'_>>>]) -> Draft {
        let mut lines = Vec::new();
        let mut own: Vec<Vec<i128>> = Vec::new();
        for (index, line) in columns.iter().enumerate() {
            if !line.iter().any(|column| varies(column)) {
                continue;
            }
            let mut parts = Vec::new();
            for column in line {
                if varies(column) {
                    parts.push(Part::Hole(self.hole(id, column, &mut own)));
                } else if let Some(Part::Text(text)) = parts.last_mut() {
                    *text += column[0].text;
                } else {
                    parts.push(Part::Text(column[0].text.to_owned()));
                }
            }
            lines.push((index + 1, parts));
        }
        Draft::Lines(lines)
    }

    /// The hole of a token that varies. `own` are the numbers of the step that are nobody else's.
    fn hole(&mut self, step: StepId, column: &[Token<'_>], own: &mut Vec<Vec<i128>>) -> usize {
        // Digits alone are a number in hexadecimal where others of their place are.
        let is_hex = column.iter().any(|token| token.kind != Kind::Number);
        let value = |token: &Token<'_>| match is_hex {
            true => hex(token.text),
            false => values(*token).first().copied(),
        };
        let values: Option<Vec<i128>> = column.iter().map(value).collect();
        let Some(values) = values.filter(|_| !is_words(column)) else {
            let words: BTreeSet<&str> = column.iter().map(|token| token.text).collect();
            let words = words.into_iter().map(str::to_owned).collect();
            return self.add(step, Vec::new(), SeenKind::Hole(Hole::Words(words)));
        };
        let number = like(column).filter(|_| column[0].kind == Kind::Number);
        let is_whole = is_hex || !column[0].text.contains('.');
        let key = (
            if is_whole {
                0
            } else {
                fraction(column[0].text)
            },
            values.iter().map(|value| value - values[0]).collect(),
        );
        let distinct = HashSet::<&i128>::from_iter(&values).len();
        let is_long = column[0].text.len() >= 7 && is_hex;
        let alike = self.alike.get(&key).into_iter().flatten();
        let best = alike
            .map(|&hole| (hole, values[0] - self.holes[hole].values[0]))
            .filter(|(_, distance)| match distance {
                0 => is_long || distinct >= AGREE,
                _ => {
                    is_whole
                        && distance.abs() <= FAR
                        && values[0].abs() >= LARGE
                        && distinct >= AGREE_APART
                }
            })
            .min_by_key(|(_, distance)| distance.abs());
        if let Some((other, distance)) = best {
            self.holes[other].is_referred_to = true;
            return self.add(step, values, SeenKind::As(other, distance));
        }
        let is_drawn = is_hex || is_whole && is_drawn(&values, distinct);
        let kind = match number {
            Some(_) if self.real_time && !is_drawn => Hole::Any,
            Some(number) if !is_drawn => {
                let is_duration = !is_whole && !is_moment(&column[0]);
                let (least, most) = wide(&values, number, is_duration);
                Hole::Span(number.with(least), number.with(most))
            }
            _ => {
                let is_own = (is_long || is_large(&values))
                    && own.iter().all(|other| {
                        let mut pairs = other.iter().zip(&values);
                        pairs.all(|(other, value)| other != value)
                    });
                own.push(values.clone());
                if is_own { Hole::Own } else { Hole::Any }
            }
        };
        let hole = self.add(step, values, SeenKind::Hole(kind));
        self.alike.entry(key).or_default().push(hole);
        hole
    }

    fn add(&mut self, step: StepId, values: Vec<i128>, kind: SeenKind) -> usize {
        self.holes.push(Seen {
            step,
            values,
            kind,
            is_referred_to: false,
        });
        self.holes.len() - 1
    }

    /// Gives names to the holes that others refer to: the step and a letter.
    fn noise(self) -> Noise {
        let mut names: Vec<Option<String>> = Vec::new();
        let (mut step, mut letters) = (None, 0);
        for hole in &self.holes {
            if step != Some(hole.step) {
                (step, letters) = (Some(hole.step), 0);
            }
            names.push(hole.is_referred_to.then(|| {
                letters += 1;
                format!("{}{}", hole.step, letter(letters - 1))
            }));
        }
        let piece = |part: Part| match part {
            Part::Text(text) => Piece::Text(text),
            Part::Hole(index) => Piece::Hole {
                name: names[index].clone(),
                kind: match &self.holes[index].kind {
                    SeenKind::Hole(kind) => kind.clone(),
                    SeenKind::As(other, distance) => {
                        let name = names[*other].clone();
                        Hole::As(name.expect("it is referred to"), *distance)
                    }
                },
            },
        };
        let steps = self.steps.into_iter().map(|(id, draft)| {
            let steps = match draft {
                Draft::AnyOrder(forms) => Steps::AnyOrder(forms),
                Draft::Lines(lines) => {
                    let form = |parts: Vec<Part>| Form(parts.into_iter().map(piece).collect());
                    let lines = lines
                        .into_iter()
                        .map(|(number, parts)| (number, form(parts)));
                    Steps::Lines(lines.collect())
                }
            };
            (id, steps)
        });
        Noise {
            steps: steps.collect(),
        }
    }
}

/// `a` to `z`, then `aa` and so on.
fn letter(index: usize) -> String {
    let last = char::from(b'a' + u8::try_from(index % 26).expect("below 26"));
    match index / 26 {
        0 => last.to_string(),
        before => letter(before - 1) + &last.to_string(),
    }
}

/// The tokens of a step by line and place, if all its texts have the same shape.
fn columns<'a>(texts: &[Vec<Vec<Token<'a>>>]) -> Option<Vec<Vec<Vec<Token<'a>>>>> {
    let first = &texts[0];
    let mut lines = Vec::new();
    if texts.iter().any(|text| text.len() != first.len()) {
        return None;
    }
    for (index, line) in first.iter().enumerate() {
        if texts.iter().any(|text| text[index].len() != line.len()) {
            return None;
        }
        let column = |place: usize| texts.iter().map(|text| text[index][place]).collect();
        let columns: Vec<Vec<Token<'_>>> = (0..line.len()).map(column).collect();
        let fit = |column: &Vec<Token<'_>>| {
            !varies(column) || is_words(column) || column.iter().all(is_number)
        };
        if !columns.iter().all(fit) {
            return None;
        }
        lines.push(columns);
    }
    Some(lines)
}

/// Whether the tokens at one place differ. How long blank space is does not count.
fn varies(column: &[Token<'_>]) -> bool {
    let is_blank = column.iter().all(|token| token.kind == Kind::Blank);
    !is_blank && column.iter().any(|token| token.text != column[0].text)
}

fn is_words(column: &[Token<'_>]) -> bool {
    let is_hex = || column.iter().all(is_number);
    column.iter().any(|token| token.kind == Kind::Word)
        && column
            .iter()
            .all(|token| matches!(token.kind, Kind::Word | Kind::Number | Kind::Hex))
        && !(is_hex() && column.iter().all(|t| t.text.len() == column[0].text.len()))
}

fn is_number(token: &Token<'_>) -> bool {
    !values(*token).is_empty()
}

fn says_other_words(lines: &[Vec<Vec<Token<'_>>>]) -> bool {
    let mut columns = lines.iter().flatten();
    columns.any(|column| varies(column) && is_words(column))
}

/// The digits of a fraction, and whether it is a moment of the day: numbers are alike only if they
/// count the same.
fn fraction(text: &str) -> u8 {
    let digits = text.rsplit('.').next().map_or(0, str::len);
    u8::try_from(digits).unwrap_or(u8::MAX / 2) * 2 + u8::from(text.contains(':'))
}

/// The least of the numbers of a place, if all count the same units.
fn like(column: &[Token<'_>]) -> Option<Number> {
    let numbers = column.iter().map(|token| Number::parse(token.text));
    let numbers: Vec<Number> = numbers.collect::<Option<_>>()?;
    let least = numbers.iter().min_by_key(|number| number.units)?;
    let all = numbers.iter().all(|number| number.is_like(*least));
    all.then_some(*least)
}

fn is_large(values: &[i128]) -> bool {
    extremes(values).0 >= LARGE
}

/// Whether numbers look as if they had been drawn: large, hardly ever the same, and far apart; for
/// what may be a port, as far as few of them come to lie by chance.
fn is_drawn(values: &[i128], distinct: usize) -> bool {
    let (least, most) = extremes(values);
    let apart = match PORTS.contains(&least) && PORTS.contains(&most) {
        true => most - least >= 1_000,
        false => (most - least) * 4 >= most,
    };
    most >= LARGE && apart && distinct * 2 > values.len()
}

fn extremes(values: &[i128]) -> (i128, i128) {
    let least = values.iter().min().expect("there is a text");
    let most = values.iter().max().expect("there is a text");
    (*least, *most)
}

/// The span of numbers, with as much again to each side; for durations at least a fifth of the
/// least one: code that is compiled in another way, or one tick more, is as much. A
/// moment that varies by half a tick gets a tick more. `like` is one of the numbers.
fn wide(values: &[i128], like: Number, are_durations: bool) -> (i128, i128) {
    let (least, most) = extremes(values);
    let fifth = if are_durations { least.abs() / 5 } else { 0 };
    let spread = most - least;
    let waits = spread * 2 >= like.tick();
    let margin = spread.max(fifth) + if waits { like.tick() } else { 0 };
    (least - margin, most + margin)
}

/// Lines of a step that have one form: how often each text has it, and they.
struct Alike<'a, 'b> {
    counts: Vec<usize>,
    lines: Vec<&'b Vec<Token<'a>>>,
}

/// The forms of the lines of a step, with how often each comes at least and at most.
fn forms(texts: &[Vec<Vec<Token<'_>>>]) -> Vec<(usize, usize, Form)> {
    let moments = texts.iter().flatten().flatten().filter(|t| is_moment(t));
    let moments = moments.filter_map(|token| Number::parse(token.text));
    let moments = Vec::from_iter(moments.map(|moment| moment.units));
    let alike = alike(texts).into_iter();
    alike
        .map(|alike| {
            let least = alike.counts.iter().min().expect("there is a text");
            let most = alike.counts.iter().max().expect("there is a text");
            (*least, *most, form(&alike.lines, &moments))
        })
        .collect()
}

/// The lines of a step by their forms, in the order in which these come first.
fn alike<'a, 'b>(texts: &'b [Vec<Vec<Token<'a>>>]) -> Vec<Alike<'a, 'b>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut all: Vec<Alike<'a, 'b>> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        for line in text {
            let place = *places.entry(masked(line)).or_insert_with(|| {
                all.push(Alike {
                    counts: vec![0; texts.len()],
                    lines: Vec::new(),
                });
                all.len() - 1
            });
            all[place].counts[index] += 1;
            all[place].lines.push(line);
        }
    }
    // Lines that differ in numbers, and of which no text has both, are one with another number.
    let mut merged: Vec<Alike<'a, 'b>> = Vec::new();
    for one in all {
        let same = merged.iter_mut().find(|other| {
            let mut counts = other.counts.iter().zip(&one.counts);
            counts.all(|(a, b)| *a == 0 || *b == 0)
                && differ_in_numbers(other.lines[0], one.lines[0])
        });
        match same {
            Some(other) => {
                for (sum, count) in other.counts.iter_mut().zip(one.counts) {
                    *sum += count;
                }
                other.lines.extend(one.lines);
            }
            None => merged.push(one),
        }
    }
    merged
}

fn differ_in_numbers(one: &[Token<'_>], other: &[Token<'_>]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(a, b)| {
            a.text == b.text || a.kind == b.kind && matches!(a.kind, Kind::Number | Kind::Blank)
        })
}

/// The form of lines. `moments` are all moments of the day in the step.
fn form(lines: &[&Vec<Token<'_>>], moments: &[i128]) -> Form {
    let is_masked = masks(lines[0]);
    let place = |place: usize| Vec::from_iter(lines.iter().map(|line| line[place]));
    let pieces = (0..lines[0].len()).map(|index| {
        let column = place(index);
        if !(varies(&column) || is_masked[index]) {
            return Piece::Text(column[0].text.to_owned());
        }
        let numbers = column.iter().map(|token| Number::parse(token.text));
        let numbers: Option<Vec<Number>> = numbers.collect();
        let span = |like: Number, values: &[i128]| {
            let is_duration = column[0].text.contains('.') && !is_moment(&column[0]);
            let (least, most) = wide(values, like, is_duration);
            Hole::Span(like.with(least), like.with(most))
        };
        let kind = match numbers {
            Some(numbers) if is_moment(&column[0]) => span(numbers[0], moments),
            Some(numbers) if varies(&column) && !is_masked[index] => match like(&column) {
                Some(like) => span(like, &Vec::from_iter(numbers.iter().map(|n| n.units))),
                None => Hole::Any,
            },
            _ => Hole::Any,
        };
        Piece::Hole { name: None, kind }
    });
    Form(joined(pieces))
}

/// Pieces of text in a row become one.
fn joined(pieces: impl Iterator<Item = Piece>) -> Vec<Piece> {
    let mut all = Vec::new();
    for piece in pieces {
        match (all.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => *before += &text,
            (_, piece) => all.push(piece),
        }
    }
    all
}

/// A line without its numbers, as far as these may belong to another line.
fn masked(line: &[Token<'_>]) -> String {
    let mut key = String::new();
    for (token, is_masked) in line.iter().zip(masks(line)) {
        key += match token.kind {
            _ if is_masked => "\0",
            Kind::Blank => " ",
            _ => token.text,
        };
    }
    key
}

/// Which tokens of a line may belong to another as well: times, what is large, and the number that
/// tcpdump gives a frame.
fn masks(line: &[Token<'_>]) -> Vec<bool> {
    let moment = line.iter().position(is_moment);
    let is_masked = |(index, token): (usize, &Token<'_>)| match token.kind {
        Kind::Hex => token.text.len() >= 5,
        Kind::Number => {
            token.text.len() >= 5 || token.text.contains('.') || moment == Some(index + 2)
        }
        _ => false,
    };
    line.iter().enumerate().map(is_masked).collect()
}

fn is_moment(token: &Token<'_>) -> bool {
    token.kind == Kind::Number && token.text.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(steps: &[&str]) -> Snapshot {
        let step = |(index, output): (usize, &&str)| {
            let lines: String = output.lines().map(|line| format!("| {line}\n")).collect();
            format!("\n6.{} guest x\n{lines}= 0\n", index + 1)
        };
        let text: String = steps.iter().enumerate().map(step).collect();
        Snapshot::parse(&text).unwrap()
    }

    /// What is learnt of a chapter with these steps, of which each has its texts.
    fn learnt(steps: &[&[&str]]) -> String {
        let one = |index: usize| snapshot(&Vec::from_iter(steps.iter().map(|step| step[index])));
        let all: Vec<Snapshot> = (0..steps[0].len()).map(one).collect();
        learn(&all[0], &all[1..], false).unwrap().to_string()
    }

    #[test]
    fn what_never_varies_has_no_hole() {
        assert_eq!(learnt(&[&["a 1", "a 1"], &["<f+1>", "<f+2>"]]), "");
    }

    #[test]
    fn a_number_that_varies_little_is_a_span() {
        let time = ["time=4.100 ms", "time=4.300 ms", "time=4.200 ms"];
        assert_eq!(learnt(&[&time]), "6.1\n1 | time={3.280..5.120} ms\n");
        let far = ["time=4.1 ms", "time=5.1 ms", "time=4.2 ms"];
        assert_eq!(learnt(&[&far]), "6.1\n1 | time={3.1..6.1} ms\n");
        let count = ["n 1 of 100000", "n 0 of 100010", "n 0 of 100020"];
        assert_eq!(learnt(&[&count]), "6.1\n1 | n {0..2} of {99980..100040}\n");
    }

    #[test]
    fn a_span_has_all_that_was_measured() {
        let signs = ["a = 5 b", "a = -3 b", "a = 1 b"];
        assert_eq!(learnt(&[&signs]), "6.1\n1 | a = {-11..13} b\n");
        let decimals = ["a 0.5 b", "a 0.25 b", "a 0.75 b"];
        assert_eq!(learnt(&[&decimals]), "6.1\n1 | a {?} b\n");
    }

    #[test]
    fn a_moment_that_waits_for_a_tick_may_come_a_tick_farther_off() {
        let soon = [
            "at 00:00:01.020000",
            "at 00:00:01.021000",
            "at 00:00:01.022000",
        ];
        let span = "6.1\n1 | at {00:00:01.018000..00:00:01.024000}\n";
        assert_eq!(learnt(&[&soon]), span);
        let late = [
            "at 00:00:01.020000",
            "at 00:00:01.021000",
            "at 00:00:01.025000",
        ];
        let span = "6.1\n1 | at {00:00:01.005000..00:00:01.040000}\n";
        assert_eq!(learnt(&[&late]), span);
    }

    #[test]
    fn a_port_that_was_drawn_is_any_wherever_a_few_of_them_lie() {
        let ports = ["port 48454", "port 60502", "port 52001"];
        assert_eq!(learnt(&[&ports]), "6.1\n1 | port {*}\n");
        let count = ["n 48454", "n 48456", "n 48460"];
        assert_eq!(learnt(&[&count]), "6.1\n1 | n {48448..48466}\n");
    }

    #[test]
    fn nothing_bounds_what_follows_from_real_time() {
        let [one, other] = ["time=4.1 ms", "time=4.3 ms"].map(|text| snapshot(&[text]));
        let noise = learn(&one, &[other], true).unwrap().to_string();
        assert_eq!(noise, "6.1\n1 | time={?} ms\n");
        // However far apart.
        let texts = ["time=141.700 ms", "time=1.201 ms", "time=62.310 ms"];
        let [one, two, three] = texts.map(|text| snapshot(&[text]));
        let noise = learn(&one, &[two, three], true).unwrap().to_string();
        assert_eq!(noise, "6.1\n1 | time={?} ms\n");
    }

    #[test]
    fn what_varies_together_is_one_value() {
        let seqs: [u64; 5] = [
            3_913_696_729,
            433_871_214,
            196_385_530,
            2_069_529_727,
            7_654_321,
        ];
        let ports = [59180, 54008, 47702, 33333, 60001];
        let (first, second): (Vec<_>, Vec<_>) = seqs
            .iter()
            .zip(ports)
            .map(|(seq, port)| {
                let first = format!("10.0.3.2.{port}: seq {seq}");
                (first, format!("10.0.3.2:{port} ack {} {port}", seq + 1))
            })
            .unzip();
        let texts = |texts: &[String]| Vec::from_iter(texts.to_vec().leak().iter().map(|t| &**t));
        assert_eq!(
            learnt(&[&texts(&first), &texts(&second)]),
            "6.1\n1 | 10.0.3.2.{6.1a=*}: seq {6.1b=*}\n\n\
             6.2\n1 | 10.0.3.2:{6.1a} ack {6.1b+1} {6.1a}\n"
        );
    }

    #[test]
    fn lines_in_another_order_have_none() {
        let one = "tcp 10.0.3.2:45161 FIN_WAIT1\ntcp 10.0.3.2:35401 TIME_WAIT";
        let other = "tcp 10.0.3.2:46603 TIME_WAIT\ntcp 10.0.3.2:32789 FIN_WAIT1";
        assert_eq!(
            learnt(&[&[one, other]]),
            "6.1 any order\n1..1 | tcp 10.0.3.2:{?} FIN_WAIT1\n1..1 | tcp 10.0.3.2:{?} TIME_WAIT\n"
        );
        assert_eq!(
            learnt(&[&["a\nb", "b"]]),
            "6.1 any order\n0..1 | a\n1..1 | b\n"
        );
        let frames = [
            "  1  00:00:21.500000 A id 7\n  2  00:00:22.500000 B",
            "  1  00:00:22.100000 B\n  2  00:00:22.200000 A id 9\n  3  00:00:22.500000 C",
        ];
        assert_eq!(
            learnt(&[&frames]),
            "6.1 any order\n\
             1..1 |   {?}  {00:00:20.490000..00:00:23.510000} A id {5..11}\n\
             1..1 |   {?}  {00:00:20.490000..00:00:23.510000} B\n\
             0..1 |   {?}  {00:00:20.490000..00:00:23.510000} C\n"
        );
    }

    #[test]
    fn other_words_are_alternatives() {
        assert_eq!(
            learnt(&[&["x DELAY y", "x REACHABLE y"]]),
            "6.1\n1 | x {DELAY|REACHABLE} y\n"
        );
    }

    #[test]
    fn another_status_is_no_noise() {
        let [one, other] =
            [0, 1].map(|status| Snapshot::parse(&format!("\n6.1 guest x\n= {status}\n")).unwrap());
        let error = learn(&one, &[other], false).unwrap_err().to_string();
        assert!(error.contains("step 6.1: exit status 0"), "{error}");
    }
}
