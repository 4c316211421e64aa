//! Whether the kernel did what a script says: the first event that is otherwise is the verdict.
//!
//! The guest repeats itself, so a time is what it is. Two things keep it from being that of the
//! script: what the code costs, which is less than [`TOLERANCE_US`], and the kernel's timers, which
//! are never early, and late by up to a slot of its timer wheel ([`granularity_us`]).

use super::call::{Call, Returned};
use super::code::{Information, Statement};
use super::name;
use super::option::TcpOption;
use super::report::{Kind, Record, Report};
use super::script::{Action, Base, Event, Script, Segment, Span, Time};
use super::segment::{ACK, Options, PSH, SYN};
use super::text::Place;

/// How early or late a packet may be where a script says nothing else, in microseconds.
pub const TOLERANCE_US: i64 = 4000;
/// The largest segment of a sender that says nothing of it.
const MSS_DEFAULT: u16 = 536;
/// The kernel's tick, in microseconds: `CONFIG_HZ` is 100.
const TICK_US: i64 = 10_000;

/// How late something may be that a timer of so long does: a duration is rounded up to ticks, and a
/// timer waits for the end of its slot of the timer wheel. A level of that has 64 slots, each eight
/// times as long as one of the level before (`kernel/time/timer.c`).
fn granularity_us(timer_us: i64) -> i64 {
    if timer_us == 0 {
        return TICK_US;
    }
    let mut slot = TICK_US;
    while timer_us >= 63 * slot {
        slot *= 8;
    }
    TICK_US + slot
}

/// What became of a script.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The kernel did all that it says.
    Pass {
        /// How late or early the packet was that was so most, in microseconds.
        off_us: i64,
    },
    /// The kernel did something else.
    Fail {
        /// Where the event stands.
        place: Place,
        /// What was expected, and what happened instead.
        what: String,
        /// What commands of the script complained about until then.
        complaints: Vec<String>,
    },
}

/// What a script's numbers are measured from.
#[derive(Default)]
struct Connection {
    local_isn: u32,
    remote_isn: u32,
    /// The largest segments that the two sides take, the other one's first.
    mss: [u16; 2],
    /// By how many bits the other side's windows are scaled, and the largest that it has told.
    window_scale: u8,
    window_max: u32,
    /// The first sequence number of the system under test, as the script has it.
    local_script: u32,
    /// The first timestamp: as the script has it, and as it is.
    stamps: Option<(u32, u32)>,
}

impl Connection {
    /// What the other side says of itself in an injected segment.
    fn hears(&mut self, segment: &Segment) {
        let window = u32::from(segment.window.unwrap_or(0));
        if segment.has(SYN) {
            self.remote_isn = segment.seq;
            self.mss[0] = segment.mss().unwrap_or(MSS_DEFAULT);
            self.window_scale = segment.window_scale().unwrap_or(0);
            self.window_max = window;
        } else {
            self.window_max = self.window_max.max(window << self.window_scale.min(14));
        }
    }

    /// How much data a full segment has, with so many bytes of options in it. To a receiver with
    /// a small window the kernel sends halves of that (`tcp_bound_to_half_wnd`).
    fn full_size(&self, options_size: u32) -> u32 {
        let [theirs, ours] = self.mss;
        let size = u32::from(theirs.min(ours)).saturating_sub(options_size);
        match self.window_max > MSS_DEFAULT.into() {
            true => size.min(self.window_max / 2),
            false => size,
        }
    }
}

/// The judgement of a script, event by event.
struct Judge<'a> {
    script: &'a Script,
    report: &'a Report,
    start_ns: i64,
    real_offset_ns: i64,
    /// When the last event really was.
    last_ns: i64,
    /// When it should have been: what the code of calls costs is not in it.
    nominal_ns: i64,
    off_us: i64,
    connection: Connection,
}

/// Judges a script by what the guest reports; `complaints` is what its program printed beside.
#[must_use]
pub fn verdict(script: &Script, report: &Report, complaints: &str) -> Verdict {
    let (start_ns, real_offset_ns) = report.end.unwrap_or_default();
    let mut judge = Judge {
        script,
        report,
        start_ns,
        real_offset_ns,
        last_ns: start_ns,
        nominal_ns: start_ns,
        off_us: 0,
        connection: Connection::default(),
    };
    let begin = script
        .events
        .first()
        .map_or(Place::default(), |event| event.place);
    if let Some(status) = report.broken {
        let what = format!(
            "the guest's program ended with {status}: {}",
            complaints.trim()
        );
        let (place, complaints) = (begin, Vec::new());
        return Verdict::Fail {
            place,
            what,
            complaints,
        };
    }
    for (index, event) in script.events.iter().enumerate() {
        if let Err((place, what)) = judge.event(index, event) {
            let complaints = judge.complaints(index);
            return Verdict::Fail {
                place,
                what,
                complaints,
            };
        }
    }
    let off_us = judge.off_us;
    Verdict::Pass { off_us }
}

type Judged = Result<(), (Place, String)>;

impl Judge<'_> {
    fn record(&self, index: usize, kind: Kind) -> Option<&Record> {
        let records = self.report.events.get(&index)?;
        records.iter().find(|record| record.kind == kind)
    }

    fn event(&mut self, index: usize, event: &Event) -> Judged {
        self.action(index, event)?;
        self.nominal_ns = match (&event.action, event.time.base) {
            (Action::Expect(_), _) | (_, Base::Any) => self.last_ns,
            (_, Base::Last) => self.nominal_ns + event.time.from_us * 1000,
            (_, Base::Start) => self.start_ns + event.time.from_us * 1000,
            (_, Base::Untimed) => self.nominal_ns,
        };
        Ok(())
    }

    fn action(&mut self, index: usize, event: &Event) -> Judged {
        let fail = |what: String| Err((event.place, what));
        match &event.action {
            Action::Call(call) => {
                let judged = self.call(index, event, call);
                judged.map_err(|what| (call.place, format!("`{}`: {what}", event.text)))
            }
            Action::Shell(command) => match self.record(index, Kind::Output) {
                Some(record) if record.value == 0 => {
                    if event.time.base != Base::Untimed {
                        self.last_ns = record.time_ns;
                    }
                    Ok(())
                }
                Some(record) => {
                    let output = String::from_utf8_lossy(&record.bytes);
                    let output = output.trim().replace('\n', "\n  ");
                    let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
                    let status = record.value;
                    let said = if output.is_empty() { "" } else { ": " };
                    fail(format!("`{command}` ended with {status}{said}{output}"))
                }
                None => fail("the command was not reached".to_owned()),
            },
            Action::Inject(segment) => {
                self.sent(index, event)?;
                self.connection.hears(segment);
                Ok(())
            }
            Action::InjectIcmp(_) => self.sent(index, event),
            Action::Expect(segment) => self.expect(index, event, segment),
            Action::Code(statements) => self.code(index, event, statements),
        }
    }

    fn sent(&mut self, index: usize, event: &Event) -> Judged {
        let Some(record) = self.record(index, Kind::Sent) else {
            return Err((event.place, "the packet was not reached".to_owned()));
        };
        if record.error != 0 {
            let error = name::of_error(record.error);
            return Err((
                event.place,
                format!("the packet could not be injected: {error}"),
            ));
        }
        self.last_ns = record.time_ns;
        Ok(())
    }

    fn call(&mut self, index: usize, event: &Event, call: &Call) -> Result<(), String> {
        if let Some(record) = self.record(index, Kind::Stuck) {
            let waited = seconds(record.other_ns - record.time_ns);
            return Err(format!("it has not returned after {waited} s"));
        }
        let record = self.record(index, Kind::Result).cloned();
        let record = record.ok_or("the call was not reached")?;
        let made = call.make().map_err(|fault| fault.message)?;
        let tolerance_us = self.script.options.tolerance_us;
        let returned = Returned {
            result: record.value,
            error: record.error,
            image: &record.bytes,
            start_ns: self.start_ns + self.real_offset_ns,
            tolerance_ns: (tolerance_us + TICK_US) * 1000,
        };
        call.check(&made, returned)?;
        self.last_ns = record.time_ns;
        if event.time.span == Span::Blocking {
            let took = (record.other_ns - record.time_ns) / 1000;
            let expected = event.time.until_us - event.time.from_us;
            let late = tolerance_us
                + self
                    .timers_us(index, record.other_ns)
                    .max(granularity_us(expected));
            if took < expected - tolerance_us || took > expected + late {
                return Err(format!(
                    "it returned after {} s, and not after {} s",
                    seconds(took * 1000),
                    seconds(expected * 1000)
                ));
            }
        }
        Ok(())
    }

    /// How late a call may return that waits for several timers: one for each segment that the
    /// kernel sends behind `index` until then, some time after the event before.
    fn timers_us(&self, index: usize, until_ns: i64) -> i64 {
        let behind = self.script.events.iter().enumerate().skip(index + 1);
        let sent = |at| {
            let record = self.record(at, Kind::Packet);
            record.is_some_and(|record| record.time_ns < until_ns)
        };
        behind
            .filter(|(_, event)| matches!(event.action, Action::Expect(_)))
            .filter(|(_, event)| event.time.base == Base::Last && event.time.until_us > 0)
            .filter(|(at, _)| sent(*at))
            .map(|(_, event)| granularity_us(event.time.until_us))
            .sum()
    }

    fn code(&mut self, index: usize, event: &Event, statements: &[Statement]) -> Judged {
        let Some(record) = self.record(index, Kind::Information) else {
            return Err((event.place, "the test was not reached".to_owned()));
        };
        if record.error != 0 {
            let error = name::of_error(record.error);
            return Err((
                event.place,
                format!("the connection gives no tcp_info: {error}"),
            ));
        }
        let info_end = usize::try_from(record.value)
            .unwrap_or(0)
            .min(record.bytes.len());
        let (info, memory) = record.bytes.split_at(info_end);
        let information = Information { info, memory };
        for statement in statements {
            let what = match statement.holds(information) {
                Ok(Ok(())) => continue,
                Ok(Err(values)) => format!("`{statement}` does not hold: {values}"),
                Err(what) => format!("`{statement}`: {what}"),
            };
            return Err((statement.place, what));
        }
        self.last_ns = record.time_ns;
        Ok(())
    }

    fn expect(&mut self, index: usize, event: &Event, expected: &Segment) -> Judged {
        let fail = |what: String| Err((event.place, format!("expected `{}`; {what}", event.text)));
        let Some(record) = self.record(index, Kind::Packet).cloned() else {
            return match self.record(index, Kind::Silence) {
                Some(record) => {
                    let waited = seconds(record.time_ns - self.base_ns(event.time));
                    fail(format!(
                        "the wire was silent for {waited} s{}",
                        self.strays(index)
                    ))
                }
                None => fail("the script has ended before".to_owned()),
            };
        };
        let Some((raw, end_ns)) = self.put_together(index) else {
            return fail("what was on the wire cannot be read".to_owned());
        };
        if raw.has(SYN) {
            self.connection.local_isn = raw.seq;
            self.connection.local_script = expected.seq;
            self.connection.mss[1] = raw.mss().unwrap_or(MSS_DEFAULT);
            if raw.window_scale().is_none() {
                self.connection.window_scale = 0;
            }
        }
        if self.connection.stamps.is_none() || raw.has(SYN) {
            let stamps = expected.stamps().zip(raw.stamps());
            self.connection.stamps = stamps.map(|((script, _), (live, _))| (script, live));
        }
        let found = self.as_in_the_script(&raw);
        let after_us = (record.time_ns - self.base_ns(event.time)) / 1000;
        let differences = self.differences(expected, &found, event.time);
        if !differences.is_empty() {
            return fail(format!(
                "on the wire was instead, after {} s,\n    > {found}\n  which has another {}",
                seconds(after_us * 1000),
                differences.join(", ")
            ));
        }
        if let Some(off_us) = self
            .off(event.time, record.time_ns)
            .map_err(|what| (event.place, format!("expected `{}`; {what}", event.text)))?
            && off_us.abs() > self.off_us.abs()
        {
            self.off_us = off_us;
        }
        self.last_ns = end_ns;
        Ok(())
    }

    /// The segment that has come at an event, and when all of it had. The kernel may hand it to the
    /// device in parts, which are whole segments of the connection's size but for the last. If that
    /// is not so, the first part is what has come.
    fn put_together(&self, index: usize) -> Option<(Segment, i64)> {
        let records = self.report.events.get(&index)?;
        let mut parts = records.iter().filter(|record| record.kind == Kind::Packet);
        let first = parts.next()?;
        let mut whole = Segment::of_packet(&first.bytes)?;
        let (mut end_ns, mut last) = (first.time_ns, whole.clone());
        for part in parts {
            let next = Segment::of_packet(&part.bytes)?;
            let like_last = Segment {
                seq: last.seq,
                length: last.length,
                flags: next.flags & !PSH | last.flags & PSH,
                ..next.clone()
            };
            let size = self.connection.full_size(last.options_size());
            if like_last != last || size == 0 || last.length % size != 0 {
                return Segment::of_packet(&first.bytes).zip(Some(first.time_ns));
            }
            whole.length += next.length;
            whole.flags = next.flags;
            (end_ns, last) = (part.time_ns, next);
        }
        Some((whole, end_ns))
    }

    fn base_ns(&self, time: Time) -> i64 {
        match time.base {
            Base::Start => self.start_ns,
            _ => self.last_ns,
        }
    }

    /// By how much a packet is off its time, if it has one; or that this is too much. It may come
    /// as early as the event before should have been, and as late as that really was.
    fn off(&self, time: Time, came_ns: i64) -> Result<Option<i64>, String> {
        let (early_ns, late_ns) = match time.base {
            Base::Any | Base::Untimed => return Ok(None),
            Base::Start => (self.start_ns, self.start_ns),
            Base::Last => (self.nominal_ns, self.last_ns),
        };
        let timer_us = match time.base {
            Base::Start => time.until_us - (self.last_ns - self.start_ns) / 1000,
            _ => time.until_us,
        };
        let early = self.script.options.tolerance_us;
        let late = early + granularity_us(timer_us.max(0));
        let before_us = (came_ns - early_ns) / 1000 - time.from_us;
        let off_us = match before_us {
            before if before < 0 => before,
            _ => ((came_ns - late_ns) / 1000 - time.until_us).max(0),
        };
        if off_us < -early || off_us > late {
            let than = if off_us < 0 { "earlier" } else { "later" };
            return Err(format!(
                "it came after {} s, {} s {than} than it should; {} s would do",
                seconds(came_ns - late_ns),
                seconds(off_us.abs() * 1000),
                seconds(if off_us < 0 { early } else { late } * 1000),
            ));
        }
        Ok(Some(off_us))
    }

    /// A segment with the script's numbers in place of the kernel's.
    fn as_in_the_script(&self, raw: &Segment) -> Segment {
        let of = &self.connection;
        let mut segment = raw.clone();
        segment.seq = raw.seq.wrapping_sub(of.local_isn);
        if raw.has(SYN) {
            segment.seq = segment.seq.wrapping_add(of.local_script);
        } else {
            segment.ack = raw.ack.map(|ack| ack.wrapping_sub(of.remote_isn));
        }
        if let Options::These(options) = &mut segment.options {
            for option in options {
                match option {
                    TcpOption::Sack(blocks) => {
                        for (from, to) in blocks {
                            *from = from.wrapping_sub(of.remote_isn);
                            *to = to.wrapping_sub(of.remote_isn);
                        }
                    }
                    TcpOption::Timestamp { value, .. } => {
                        if let Some((script, live)) = of.stamps {
                            *value = value.wrapping_sub(live).wrapping_add(script);
                        }
                    }
                    _ => {}
                }
            }
        }
        segment
    }

    /// What of a segment is otherwise than expected.
    fn differences(&self, expected: &Segment, found: &Segment, time: Time) -> Vec<&'static str> {
        let mut differences = Vec::new();
        let mut differs = |what, otherwise| {
            if otherwise {
                differences.push(what);
            }
        };
        differs(
            "ECN in its IP header",
            expected.ecn.is_some() && expected.ecn != found.ecn,
        );
        differs("set of flags", expected.flags != found.flags);
        differs("sequence number", expected.seq != found.seq);
        differs("length", expected.length != found.length);
        let acks = expected.has(ACK) && expected.ack.is_some();
        differs("acknowledgement", acks && expected.ack != found.ack);
        differs(
            "window",
            expected.window.is_some() && expected.window != found.window,
        );
        differs(
            "urgent pointer",
            expected.urgent.is_some() && expected.urgent != found.urgent,
        );
        differs(
            "list of options",
            !self.alike(&expected.options, &found.options, time),
        );
        differences
    }

    fn alike(&self, expected: &Options, found: &Options, time: Time) -> bool {
        let (Options::These(expected), Options::These(found)) = (expected, found) else {
            return true;
        };
        let one = |(expected, found): (&TcpOption, &TcpOption)| match (expected, found) {
            (
                TcpOption::Timestamp { value, echo },
                TcpOption::Timestamp {
                    value: found_value,
                    echo: found_echo,
                },
            ) => echo == found_echo && self.alike_stamps(*value, *found_value, time),
            _ => expected == found,
        };
        expected.len() == found.len() && expected.iter().zip(found).all(one)
    }

    /// Whether a timestamp is as late or early as its packet may be.
    fn alike_stamps(&self, expected: u32, found: u32, time: Time) -> bool {
        let Some(tick_us) = self.script.options.stamp_tick_us else {
            return true;
        };
        let off = i64::from(found.wrapping_sub(expected).cast_signed()) * tick_us;
        let tolerance_us = self.script.options.tolerance_us;
        off.abs() <= tolerance_us + granularity_us(time.until_us.max(1))
    }

    /// The packets that came while another one was waited for.
    fn strays(&self, index: usize) -> String {
        let records = self.report.events.get(&index).into_iter().flatten();
        let strays = records.filter(|record| record.kind == Kind::Stray);
        let segments = strays.filter_map(|record| Segment::of_packet(&record.bytes));
        let texts: Vec<String> = segments
            .map(|segment| format!("\n    > {segment}"))
            .collect();
        match texts.is_empty() {
            true => String::new(),
            false => format!(", but for what is of another connection:{}", texts.concat()),
        }
    }

    /// What the script's commands complained about before an event.
    fn complaints(&self, index: usize) -> Vec<String> {
        let records = self
            .report
            .events
            .range(..index)
            .flat_map(|(_, records)| records);
        let mut complaints: Vec<String> = Vec::new();
        for record in records.filter(|record| record.kind == Kind::Output) {
            for line in String::from_utf8_lossy(&record.bytes).lines() {
                if !line.trim().is_empty() && !complaints.iter().any(|have| have == line) {
                    complaints.push(line.to_owned());
                }
            }
        }
        complaints
    }
}

fn seconds(nanoseconds: i64) -> String {
    format!("{:.6}", nanoseconds as f64 / 1e9)
}
