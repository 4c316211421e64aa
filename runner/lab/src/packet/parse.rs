//! From the text of a script to what it says.

use std::collections::BTreeMap;
use std::path::Path;

use super::call::{Call, Expected, Value};
use super::script::{Action, Base, Event, Icmp, Options, Script, Span, Time};
use super::segment::{self, ECN, FLAGS, Segment};
use super::text::{Cursor, Fault, Place, is_word};
use super::{code, name, option};

/// The last time that an event can have: a day.
const LAST_US: i64 = 24 * 60 * 60 * 1_000_000;
/// What an IP packet has room for, beside its headers with all options.
const LENGTH_MAX: u32 = 65_535 - 20 - 60;

type Result<T> = std::result::Result<T, Fault>;

impl Script {
    /// Understands a script; some words in it may stand for others.
    ///
    /// # Errors
    /// What is wrong with it, or beyond the part of the language that is understood.
    pub fn parse(path: &Path, text: &str, defines: &BTreeMap<String, String>) -> Result<Self> {
        let mut cursor = Cursor::new(text, defines);
        let mut options = Options::default();
        while cursor.takes("--") {
            one_option(&mut cursor, &mut options)?;
        }
        let mut events = Vec::new();
        while !cursor.is_at_end() {
            events.push(event(&mut cursor)?);
        }
        if events.is_empty() {
            return cursor.expected("an event");
        }
        check(&events)?;
        let path = path.to_owned();
        Ok(Self {
            path,
            options,
            events,
        })
    }
}

/// What only a whole script can be wrong about.
fn check(events: &[Event]) -> Result<()> {
    for event in events {
        let wrong = match (&event.action, event.time) {
            (Action::Shell(_), _) => None,
            (_, time) if time.base == Base::Untimed => Some("only a command can do without a time"),
            (Action::Call(call), time) => {
                call.make()?;
                (time.base == Base::Any || time.span == Span::Range).then_some(
                    "a call is made at one time: `TIME`, or `TIME...TIME` if it has to wait",
                )
            }
            (Action::Expect(_), time) => {
                (time.span == Span::Blocking).then_some("only a call can have a time with `...`")
            }
            (_, time) => (time.base == Base::Any || time.span != Span::Moment)
                .then_some("only what the kernel sends can come at any time, or within a range"),
        };
        if let Some(message) = wrong {
            let (place, message) = (event.place, message.to_owned());
            return Err(Fault { place, message });
        }
    }
    Ok(())
}

fn one_option(cursor: &mut Cursor<'_>, options: &mut Options) -> Result<()> {
    let mut ahead = cursor.clone();
    match ahead.while_fits(is_word) {
        "mss" => {
            ahead.must("=")?;
            options.mss = Some(ahead.small()?);
        }
        "tolerance_usecs" => {
            ahead.must("=")?;
            options.tolerance_us = ahead.small::<u32>()?.into();
        }
        "tcp_ts_tick_usecs" => {
            ahead.must("=")?;
            let tick: u32 = ahead.small()?;
            options.stamp_tick_us = (tick > 0).then_some(tick.into());
        }
        "ip_version" => {
            ahead.must("=")?;
            if !ahead.takes_word("ipv4") || ahead.sees("-") {
                return cursor
                    .fault("only --ip_version=ipv4 can run: the guest's kernel has no IPv6");
            }
        }
        // Each send has memory of its own here.
        "send_omit_free" => {}
        _ => {
            return cursor.expected(
                "one of the options mss, tolerance_usecs, tcp_ts_tick_usecs, \
                ip_version and send_omit_free",
            );
        }
    }
    *cursor = ahead;
    Ok(())
}

fn event(cursor: &mut Cursor<'_>) -> Result<Event> {
    let place = cursor.place();
    let time = time(cursor)?;
    cursor.place();
    let before = cursor.clone();
    let action = action(cursor)?;
    let text = cursor.taken_since(&before);
    Ok(Event {
        place,
        text,
        time,
        action,
    })
}

fn time(cursor: &mut Cursor<'_>) -> Result<Time> {
    let untimed = |base| Time {
        base,
        from_us: 0,
        until_us: 0,
        span: Span::Moment,
    };
    if cursor.sees("`") || cursor.sees("%{") {
        return Ok(untimed(Base::Untimed));
    }
    if cursor.takes("*") {
        return Ok(untimed(Base::Any));
    }
    let base = if cursor.takes("+") {
        Base::Last
    } else {
        Base::Start
    };
    let from_us = moment(cursor)?;
    let span = if cursor.takes("...") {
        Span::Blocking
    } else if cursor.takes("~") {
        Span::Range
    } else {
        Span::Moment
    };
    let until_us = match span {
        Span::Moment => from_us,
        _ => {
            let place = cursor.place();
            cursor.takes("+");
            let until = moment(cursor)?;
            if until < from_us {
                let message = "the second time is before the first".to_owned();
                return Err(Fault { place, message });
            }
            until
        }
    };
    Ok(Time {
        base,
        from_us,
        until_us,
        span,
    })
}

/// A time in seconds, given in microseconds.
fn moment(cursor: &mut Cursor<'_>) -> Result<i64> {
    let mut ahead = cursor.clone();
    let whole = ahead.while_fits(|c| c.is_ascii_digit());
    // Behind a number, three points are no fraction.
    let fraction = match ahead.rest().starts_with('.') && !ahead.rest().starts_with("...") {
        true => {
            ahead.takes(".");
            ahead.raw_while(|c| c.is_ascii_digit())
        }
        false => "",
    };
    if whole.is_empty() && fraction.is_empty() {
        return cursor.expected("the time of an event");
    }
    let parsed = format!("{whole}{:0<6}", &fraction[..fraction.len().min(6)]).parse();
    match parsed {
        Ok(microseconds) if fraction.len() <= 6 && microseconds <= LAST_US => {
            *cursor = ahead;
            Ok(microseconds)
        }
        _ => cursor.expected("a time of whole microseconds, and not of days,"),
    }
}

fn action(cursor: &mut Cursor<'_>) -> Result<Action> {
    if cursor.takes("`") {
        let command = cursor.up_to("`", "the command")?;
        return Ok(Action::Shell(command.trim().to_owned()));
    }
    if cursor.takes("%{") {
        return Ok(Action::Code(code::parse(cursor)?));
    }
    if cursor.takes("<") {
        if cursor.takes_word("icmp") {
            return Ok(Action::InjectIcmp(icmp(cursor)?));
        }
        return Ok(Action::Inject(packet(cursor)?));
    }
    if cursor.takes(">") {
        if cursor.sees("icmp") {
            return cursor.expected("a segment of TCP");
        }
        return Ok(Action::Expect(packet(cursor)?));
    }
    let place = cursor.place();
    let mut ahead = cursor.clone();
    let name = ahead.word();
    if name.is_empty() || !ahead.takes("(") {
        return cursor.expected("a system call, a packet, a command or a test");
    }
    *cursor = ahead;
    let mut arguments = Vec::new();
    while !cursor.takes(")") {
        if !arguments.is_empty() {
            cursor.must(",")?;
        }
        arguments.push((cursor.place(), value(cursor)?));
    }
    let expected = expected(cursor)?;
    Ok(Action::Call(Call {
        place,
        name,
        arguments,
        expected,
    }))
}

/// What a call is to return: `= 3`, `= -1 EAGAIN (text)`, `= 0x2 (flags O_RDWR)`.
fn expected(cursor: &mut Cursor<'_>) -> Result<Expected> {
    cursor.must("=")?;
    let result = match cursor.takes("...") {
        true => None,
        false => Some(cursor.number()?),
    };
    let mut error = None;
    if cursor.sees("E") {
        let mut ahead = cursor.clone();
        let word = ahead.word();
        if name::error(&word).is_none() {
            return cursor.expected("the name of an error that is known here");
        }
        *cursor = ahead;
        error = Some(word);
    }
    if cursor.takes("(") {
        cursor.up_to(")", "the explanation")?;
    }
    Ok(Expected { result, error })
}

fn value(cursor: &mut Cursor<'_>) -> Result<Value> {
    if cursor.takes("...") {
        return Ok(Value::Any);
    }
    if cursor.takes("\"") {
        return text(cursor).map(Value::Text);
    }
    if cursor.takes("[") {
        let mut list = Vec::new();
        while !cursor.takes("]") {
            if !list.is_empty() {
                cursor.must(",")?;
            }
            list.push(cursor.inside(value)?);
        }
        return Ok(Value::List(list));
    }
    if cursor.takes("{") {
        let mut fields = Vec::new();
        while !cursor.takes("}") {
            if !fields.is_empty() {
                cursor.must(",")?;
            }
            fields.push(cursor.inside(field)?);
        }
        return Ok(Value::Struct(fields));
    }
    let mut all = one_number(cursor)?;
    while cursor.takes("|") {
        all |= one_number(cursor)?;
    }
    Ok(Value::Number(all))
}

/// A part of a structure: `name=value`, `name(count)=value`, or only a value.
fn field(cursor: &mut Cursor<'_>) -> Result<(String, Value)> {
    let mut ahead = cursor.clone();
    let name = ahead.while_fits(is_word).to_owned();
    if ahead.takes("(") && !name.is_empty() {
        ahead.up_to(")", "the count")?;
    }
    if name.is_empty() || !ahead.takes("=") {
        return Ok((String::new(), value(cursor)?));
    }
    *cursor = ahead;
    Ok((name, value(cursor)?))
}

fn one_number(cursor: &mut Cursor<'_>) -> Result<i64> {
    let mut ahead = cursor.clone();
    let word = ahead.word();
    if word.starts_with(|c: char| c.is_ascii_digit()) || word.is_empty() {
        return cursor.number();
    }
    match name::number(&word) {
        Some(number) => {
            *cursor = ahead;
            Ok(number)
        }
        None => cursor.fault(format!("the name `{word}` is not known here")),
    }
}

/// A text behind its first quotation mark, with the escapes of C.
fn text(cursor: &mut Cursor<'_>) -> Result<Vec<u8>> {
    let place = cursor.here();
    let mut bytes = Vec::new();
    let mut chars = cursor.up_to("\"", "the text")?.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend(c.to_string().bytes());
            continue;
        }
        let escaped = match chars.next() {
            Some('n') => Some(b'\n'),
            Some('t') => Some(b'\t'),
            Some('0') => Some(0),
            Some('\\') => Some(b'\\'),
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).ok()
            }
            _ => None,
        };
        match escaped {
            Some(byte) => bytes.push(byte),
            None => {
                let message =
                    "an escape that is not known: there are \\n, \\t, \\0, \\\\ and \\xNN";
                let message = message.to_owned();
                return Err(Fault { place, message });
            }
        }
    }
    Ok(bytes)
}

fn packet(cursor: &mut Cursor<'_>) -> Result<Segment> {
    let ecn = match cursor.takes("[") {
        true => Some(ecn(cursor)?),
        false => None,
    };
    let flags = flags(cursor)?;
    let (seq, length) = range(cursor)?;
    let mut segment = Segment {
        ecn,
        flags,
        seq,
        length,
        ack: None,
        window: None,
        urgent: None,
        options: segment::Options::These(Vec::new()),
    };
    if cursor.takes_word("ack") {
        segment.ack = Some(cursor.small()?);
    }
    if cursor.takes_word("win") {
        segment.window = Some(cursor.small()?);
    }
    if cursor.takes_word("urg") {
        segment.urgent = Some(cursor.small()?);
    }
    if cursor.takes("<") {
        segment.options = match cursor.takes("...") {
            true => {
                cursor.must(">")?;
                segment::Options::Any
            }
            false => segment::Options::These(option::parse(cursor)?),
        };
    }
    Ok(segment)
}

fn ecn(cursor: &mut Cursor<'_>) -> Result<u8> {
    let mut ahead = cursor.clone();
    let word = ahead.word();
    match ECN.iter().find(|(name, _)| *name == word) {
        Some((_, bits)) => {
            *cursor = ahead;
            cursor.must("]")?;
            Ok(*bits)
        }
        None => cursor.expected("noecn, ect0, ect1 or ce"),
    }
}

fn flags(cursor: &mut Cursor<'_>) -> Result<u16> {
    let mut ahead = cursor.clone();
    let mut flags = 0;
    for c in ahead.while_fits(|c| !c.is_whitespace()).chars() {
        let flag = FLAGS.iter().find(|(letter, _)| *letter == c);
        flags |= match (flag, c.to_digit(8)) {
            (Some((_, flag)), _) => *flag,
            // The counter of AccECN, whose bits are A, W and E.
            (None, Some(counter)) => u16::try_from(counter << 6).unwrap_or(0),
            (None, None) if c == '-' => 0,
            _ => return cursor.expected("the flags of a segment"),
        };
    }
    *cursor = ahead;
    Ok(flags)
}

/// `1:1001(1000)`: the first sequence number, and the length.
fn range(cursor: &mut Cursor<'_>) -> Result<(u32, u32)> {
    let place: Place = cursor.place();
    let from: u32 = cursor.small()?;
    cursor.must(":")?;
    let to: u32 = cursor.small()?;
    cursor.must("(")?;
    let length: u32 = cursor.small()?;
    cursor.must(")")?;
    if to.wrapping_sub(from) != length {
        let message = format!("from {from} to {to} there are not {length} bytes");
        return Err(Fault { place, message });
    }
    if length > LENGTH_MAX {
        let message = format!("{length} bytes do not fit into one packet");
        return Err(Fault { place, message });
    }
    Ok((from, length))
}

/// `unreachable [host_unreachable | frag_needed mtu 1200] [1:1461(1460)]`.
fn icmp(cursor: &mut Cursor<'_>) -> Result<Icmp> {
    if !cursor.takes_word("unreachable") {
        return cursor.expected("`unreachable`, the one ICMP message that is known here");
    }
    let codes = [
        ("net_unreachable", 0),
        ("host_unreachable", 1),
        ("protocol_unreachable", 2),
        ("port_unreachable", 3),
        ("frag_needed", 4),
    ];
    let code = codes.iter().find(|(name, _)| cursor.takes_word(name));
    let code = code.map_or(0, |(_, code)| *code);
    let mtu = match cursor.takes_word("mtu") {
        true => cursor.small()?,
        false => 0,
    };
    cursor.must("[")?;
    let (seq, length) = range(cursor)?;
    cursor.must("]")?;
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    Ok(Icmp {
        code,
        mtu,
        seq,
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Script> {
        let defines = BTreeMap::from([("COOKIE".to_owned(), "a1b2".to_owned())]);
        Script::parse(Path::new("a.pkt"), text, &defines)
    }

    fn fault(text: &str) -> String {
        let Fault { place, message } = parse(text).unwrap_err();
        format!("{place}: {message}")
    }

    #[test]
    fn a_text_is_taken_as_it_is() {
        for text in ["# x", " x", "// x"] {
            let script = parse(&format!("0 write(3, \"{text}\", 3) = 3\n")).unwrap();
            assert!(format!("{script:?}").contains(&format!("Text({:?})", text.as_bytes())));
        }
        assert!(fault(&format!("0 f({}", "[".repeat(100_000))).contains("nested too deeply"));
    }

    #[test]
    fn options_have_to_fit_into_a_header() {
        let options = |sack: &str| {
            format!("0 < . 1:1(0) ack 1 win 9 <nop,nop,TS val 1 ecr 1,nop,nop,sack {sack}>\n")
        };
        parse(&options("1:2 3:4 5:6")).unwrap();
        let fault = fault(&options("1:2 3:4 5:6 7:8"));
        assert!(fault.contains("more than the 40 bytes"), "{fault}");
    }

    #[test]
    fn times_are_read() {
        let text = "0 close(3) = 0\n+.01...0.011 close(3) = 0\n 1.5 close(3) = 0\n\
            +0~+.04 > . 1:1(0)\n* > . 1:1(0)\n+.02 ~ +1.1 > . 1:1(0)";
        let times: Vec<_> = parse(text)
            .unwrap()
            .events
            .iter()
            .map(|event| event.time)
            .collect();
        let time = |base, from_us, until_us, span| Time {
            base,
            from_us,
            until_us,
            span,
        };
        let expected = [
            time(Base::Start, 0, 0, Span::Moment),
            time(Base::Last, 10_000, 11_000, Span::Blocking),
            time(Base::Start, 1_500_000, 1_500_000, Span::Moment),
            time(Base::Last, 0, 40_000, Span::Range),
            time(Base::Any, 0, 0, Span::Moment),
            time(Base::Last, 20_000, 1_100_000, Span::Range),
        ];
        assert_eq!(times, expected);
    }

    #[test]
    fn a_segment_reads_as_it_is_written() {
        for text in [
            "S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>",
            "P. 1:1001(1000) ack 1 <nop,nop,sack 1:2 3001:4001>",
            "- 1:1001(1000) win 20000",
            "[ce] PEA. 1:1(0) ack 1 <ECN e1b 1 ceb 0 e0b 1,nop>",
            "R 1:1(0)",
            "U. 1:101(100) ack 1 urg 100 <...>",
            "S 0:10(10) <FO a1b2,FOEXP>",
        ] {
            let script = parse(&format!("0 > {text}")).unwrap();
            let Action::Expect(segment) = &script.events[0].action else {
                panic!("{text}");
            };
            assert_eq!(segment.to_string(), text);
        }
    }

    #[test]
    fn flags_are_letters_or_a_counter() {
        let flags = |text: &str| {
            let script = parse(&format!("0 > {text} 1:1(0)")).unwrap();
            match &script.events[0].action {
                Action::Expect(segment) => segment.flags,
                _ => 0,
            }
        };
        assert_eq!(flags("P.5"), flags("EAP."));
        assert_eq!(flags(".6"), flags("WA."));
        assert_eq!(flags("SEWA"), 0x1c2);
    }

    #[test]
    fn a_fault_says_where_and_what() {
        for (text, expected) in [
            (
                "0 socket(..., 1) = 3",
                "1:3: `socket` has 3 arguments, and here it has 2",
            ),
            (
                "\n +0 fly(3) = 0",
                "2:5: the system call `fly` is not known here",
            ),
            ("0 > S 0:1(0)", "1:7: from 0 to 1 there are not 0 bytes"),
            (
                "0 > S 0:0(0) <mss 1,shine 2>",
                "1:21: expected an option of TCP that is known here, not `shine`",
            ),
            (
                "0 < X 1:1(0)",
                "1:5: expected the flags of a segment, not `X`",
            ),
            ("+0 close(3)", "1:12: expected `=`, and the script ends"),
            (
                "--wings=2",
                "1:3: expected one of the options mss, tolerance_usecs, \
              tcp_ts_tick_usecs, ip_version and send_omit_free, not `wings=2`",
            ),
            (
                "0 setsockopt(3, SOL_TCP, TCP_HOPE, [1], 4) = 0",
                "1:26: the name `TCP_HOPE` is not known here",
            ),
            (
                "`true",
                "1:2: the command has no end: there is no ``` behind it",
            ),
            (
                "0 > S 0:0(0) <FO CAKE>",
                "1:18: expected pairs of hexadecimal digits, not `CAKE`; a \
              name is given a value by -D CAKE=VALUE",
            ),
            (
                "0 %{ print(1) }%",
                "1:6: expected `assert`, the one statement of Python that is known \
              here, not `print(1)`",
            ),
            (
                "* close(3) = 0",
                "1:1: a call is made at one time: `TIME`, or `TIME...TIME` if it has \
              to wait",
            ),
        ] {
            assert_eq!(fault(text), expected, "{text}");
        }
    }
}
