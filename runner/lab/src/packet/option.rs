//! The options of a TCP header: as a script has them, and as bytes.

use std::fmt;

use super::text::{Cursor, Fault};

/// How many bytes of options a TCP header has room for.
const SPACE: usize = 40;

/// An option.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TcpOption {
    /// The end of the options, and padding.
    End,
    /// Nothing.
    Nop,
    /// The largest segment that its sender takes.
    Mss(u16),
    /// By how many bits windows are shifted.
    WindowScale(u8),
    /// SACK may be used.
    SackPermitted,
    /// Data that has arrived out of order.
    Sack(Vec<(u32, u32)>),
    /// A timestamp, and the one that is echoed.
    Timestamp {
        /// The sender's.
        value: u32,
        /// The other side's.
        echo: u32,
    },
    /// A signature.
    Md5(Vec<u8>),
    /// A cookie of TCP Fast Open, or the request for one.
    FastOpen(Vec<u8>),
    /// The same, as it was before it had a number of its own.
    FastOpenExperiment(Vec<u8>),
    /// Counters of bytes by their ECN (AccECN), with that of ECT(1) first or that of ECT(0).
    AccEcn {
        /// Whether ECT(1) is first.
        ect1_first: bool,
        /// The counters, as many as there are.
        counters: Vec<u32>,
    },
    /// Another one.
    Other(u8, Vec<u8>),
}

use TcpOption::{
    AccEcn, End, FastOpen, FastOpenExperiment, Md5, Mss, Nop, Other, Sack, SackPermitted,
    Timestamp, WindowScale,
};

/// What marks the experimental option as that of TCP Fast Open.
const FAST_OPEN: [u8; 2] = [0xf9, 0x89];
/// The names of the counters of AccECN, with ECT(0) first.
const COUNTERS: [&str; 3] = ["e0b", "ceb", "e1b"];

/// A field of an option that is a sequence number or a timestamp, and where it lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// A sequence number of the data that SACK is about.
    Sack(usize),
    /// The echoed timestamp.
    Echo(usize),
}

/// The options as bytes, without padding, and the fields that the connection decides.
pub fn write(options: &[TcpOption]) -> (Vec<u8>, Vec<Field>) {
    let (mut bytes, mut fields) = (Vec::new(), Vec::new());
    for option in options {
        let (kind, body) = match option {
            End => (0, Vec::new()),
            Nop => (1, Vec::new()),
            Mss(mss) => (2, mss.to_be_bytes().to_vec()),
            WindowScale(shift) => (3, vec![*shift]),
            SackPermitted => (4, Vec::new()),
            Sack(blocks) => {
                let at = bytes.len() + 2;
                fields.extend((0..2 * blocks.len()).map(|n| Field::Sack(at + 4 * n)));
                let edges = blocks.iter().flat_map(|(from, to)| [from, to]);
                (5, edges.flat_map(|edge| edge.to_be_bytes()).collect())
            }
            Timestamp { value, echo } => {
                fields.push(Field::Echo(bytes.len() + 6));
                (8, [value.to_be_bytes(), echo.to_be_bytes()].concat())
            }
            Md5(digest) => (19, digest.clone()),
            FastOpen(cookie) => (34, cookie.clone()),
            FastOpenExperiment(cookie) => (254, [&FAST_OPEN[..], cookie].concat()),
            AccEcn {
                ect1_first,
                counters,
            } => {
                let counters = counters.iter().flat_map(|c| c.to_be_bytes()[1..].to_vec());
                (if *ect1_first { 174 } else { 172 }, counters.collect())
            }
            Other(kind, body) => (*kind, body.clone()),
        };
        bytes.push(kind);
        if kind > 1 {
            bytes.push(u8::try_from(body.len() + 2).unwrap_or(u8::MAX));
            bytes.extend(body);
        }
    }
    (bytes, fields)
}

/// The options of a header; what cannot be one ends them as it is.
pub fn read(mut bytes: &[u8]) -> Vec<TcpOption> {
    let mut options = Vec::new();
    while let [kind, rest @ ..] = bytes {
        if *kind < 2 {
            options.push(if *kind == 0 { End } else { Nop });
            bytes = rest;
            continue;
        }
        let length = rest.first().map_or(0, |length| usize::from(*length));
        let Some(body) = bytes.get(2..length) else {
            options.push(Other(*kind, rest.to_vec()));
            break;
        };
        options.push(one(*kind, body));
        bytes = &bytes[length..];
    }
    options
}

fn one(kind: u8, body: &[u8]) -> TcpOption {
    let numbers: Vec<u32> = body
        .chunks_exact(4)
        .map(|four| u32::from_be_bytes(four.try_into().expect("4 bytes")))
        .collect();
    match (kind, body) {
        (2, [high, low]) => Mss(u16::from_be_bytes([*high, *low])),
        (3, [shift]) => WindowScale(*shift),
        (4, []) => SackPermitted,
        (5, _) if body.len().is_multiple_of(8) => Sack(
            numbers
                .chunks_exact(2)
                .map(|two| (two[0], two[1]))
                .collect(),
        ),
        (8, _) if body.len() == 8 => Timestamp {
            value: numbers[0],
            echo: numbers[1],
        },
        (19, _) => Md5(body.to_vec()),
        (34, _) => FastOpen(body.to_vec()),
        (254, [a, b, cookie @ ..]) if [*a, *b] == FAST_OPEN => FastOpenExperiment(cookie.to_vec()),
        (172 | 174, _) if body.len().is_multiple_of(3) => AccEcn {
            ect1_first: kind == 174,
            counters: body
                .chunks_exact(3)
                .map(|three| u32::from_be_bytes([0, three[0], three[1], three[2]]))
                .collect(),
        },
        _ => Other(kind, body.to_vec()),
    }
}

/// Reads the options of a script, behind `<`, up to `>`.
pub fn parse(cursor: &mut Cursor<'_>) -> Result<Vec<TcpOption>, Fault> {
    let mut before = cursor.clone();
    let mut options = Vec::new();
    while !cursor.takes(">") {
        if !options.is_empty() {
            cursor.must(",")?;
        }
        let mut ahead = cursor.clone();
        let option = match ahead.word().as_str() {
            "eol" => End,
            "nop" => Nop,
            "mss" => Mss(ahead.small()?),
            "wscale" => WindowScale(ahead.small()?),
            "sackOK" => SackPermitted,
            "sack" => Sack(blocks(&mut ahead)?),
            "TS" => {
                ahead.must("val")?;
                let value = ahead.small()?;
                ahead.must("ecr")?;
                let echo = ahead.small()?;
                Timestamp { value, echo }
            }
            "FO" => FastOpen(hexadecimal(&mut ahead)?),
            "FOEXP" => FastOpenExperiment(hexadecimal(&mut ahead)?),
            "md5" => Md5(hexadecimal(&mut ahead)?),
            "ECN" => counters(&mut ahead)?,
            _ => return cursor.expected("an option of TCP that is known here"),
        };
        *cursor = ahead;
        options.push(option);
    }
    if write(&options).0.len() > SPACE {
        return before.fault(format!(
            "these options take more than the {SPACE} bytes that a TCP header has for them"
        ));
    }
    Ok(options)
}

fn blocks(cursor: &mut Cursor<'_>) -> Result<Vec<(u32, u32)>, Fault> {
    let mut blocks = Vec::new();
    while blocks.is_empty() || !(cursor.sees(",") || cursor.sees(">")) {
        let from = cursor.small()?;
        cursor.must(":")?;
        blocks.push((from, cursor.small()?));
    }
    Ok(blocks)
}

fn hexadecimal(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Fault> {
    let place = cursor.place();
    let digits = cursor.word();
    let bytes = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2);
        u8::from_str_radix(pair?, 16).ok()
    });
    bytes.collect::<Option<_>>().ok_or_else(|| Fault {
        place,
        message: format!(
            "expected pairs of hexadecimal digits, not `{digits}`; a name is given a value by -D \
             {digits}=VALUE"
        ),
    })
}

fn counters(cursor: &mut Cursor<'_>) -> Result<TcpOption, Fault> {
    let ect1_first = cursor.sees("e1b");
    let mut names: Vec<&str> = COUNTERS.to_vec();
    if ect1_first {
        names.reverse();
    }
    let mut counters = Vec::new();
    for name in names {
        if cursor.takes_word(name) {
            counters.push(cursor.small()?);
        }
    }
    Ok(AccEcn {
        ect1_first,
        counters,
    })
}

impl fmt::Display for TcpOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |f: &mut fmt::Formatter<'_>, name: &str, bytes: &[u8]| {
            f.write_str(name)?;
            if !bytes.is_empty() {
                f.write_str(" ")?;
            }
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        };
        match self {
            End => f.write_str("eol"),
            Nop => f.write_str("nop"),
            Mss(mss) => write!(f, "mss {mss}"),
            WindowScale(shift) => write!(f, "wscale {shift}"),
            SackPermitted => f.write_str("sackOK"),
            Sack(blocks) => {
                let blocks = blocks.iter().map(|(from, to)| format!(" {from}:{to}"));
                write!(f, "sack{}", blocks.collect::<String>())
            }
            Timestamp { value, echo } => write!(f, "TS val {value} ecr {echo}"),
            Md5(digest) => with(f, "md5", digest),
            FastOpen(cookie) => with(f, "FO", cookie),
            FastOpenExperiment(cookie) => with(f, "FOEXP", cookie),
            AccEcn {
                ect1_first,
                counters,
            } => {
                f.write_str("ECN")?;
                let mut names: Vec<&str> = COUNTERS.to_vec();
                if *ect1_first {
                    names.reverse();
                }
                let mut pairs = names.iter().zip(counters);
                pairs.try_for_each(|(name, counter)| write!(f, " {name} {counter}"))
            }
            Other(kind, body) => with(f, &format!("option {kind}"), body),
        }
    }
}
