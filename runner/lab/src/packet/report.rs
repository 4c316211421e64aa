//! What the guest reports. The layout is `guest.c`'s.

use std::collections::BTreeMap;

/// A record: what happened at an event, or beside one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// When, in nanoseconds since the guest's boot.
    pub time_ns: i64,
    /// When it was over, or how the clock of the day is ahead of that since boot.
    pub other_ns: i64,
    /// A result.
    pub value: i64,
    /// An error.
    pub error: i64,
    /// What belongs to it.
    pub bytes: Vec<u8>,
}

/// What a record is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A script begins.
    Begin,
    /// A call has returned.
    Result,
    /// A command has ended.
    Output,
    /// A packet has come where one was expected.
    Packet,
    /// What the kernel says of a connection.
    Information,
    /// A packet was injected.
    Sent,
    /// A packet of another connection, or one that nobody has waited for.
    Stray,
    /// A call has not returned.
    Stuck,
    /// No packet has come.
    Silence,
    /// The script is over.
    End,
    /// It has ended otherwise.
    Broken,
}

/// What happened in a script.
#[derive(Debug, Default)]
pub struct Report {
    /// By event.
    pub events: BTreeMap<usize, Vec<Record>>,
    /// The moment of the first event, by the clock since boot, and how that of the day is ahead.
    pub end: Option<(i64, i64)>,
    /// How it ended otherwise.
    pub broken: Option<i64>,
}

const HEADER: usize = 48;

/// Reads the reports of all scripts that were begun, in order.
///
/// # Errors
/// What is not as the guest writes it.
pub fn read(mut bytes: &[u8]) -> Result<Vec<Report>, String> {
    let mut reports: Vec<Report> = Vec::new();
    while !bytes.is_empty() {
        let header = bytes
            .get(..HEADER)
            .ok_or("the report ends within a record")?;
        let small = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let wide = |at: usize| i64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        let kind = kind(small(0)).ok_or("a record of an unknown kind")?;
        let end = HEADER + small(40) as usize;
        let body = bytes
            .get(HEADER..end)
            .ok_or("the report ends within a record")?;
        let record = Record {
            kind,
            time_ns: wide(8),
            other_ns: wide(16),
            value: wide(24),
            error: wide(32),
            bytes: body.to_vec(),
        };
        let event = small(4) as usize;
        bytes = &bytes[end..];
        if kind == Kind::Begin {
            reports.push(Report::default());
            continue;
        }
        let report = reports
            .last_mut()
            .ok_or("a record before the first script")?;
        match kind {
            Kind::End => report.end = Some((record.time_ns, record.other_ns)),
            Kind::Broken => report.broken = Some(record.value),
            _ => report.events.entry(event).or_default().push(record),
        }
    }
    Ok(reports)
}

fn kind(number: u32) -> Option<Kind> {
    use Kind as K;
    let kinds = [
        K::Begin,
        K::Result,
        K::Output,
        K::Packet,
        K::Information,
        K::Sent,
        K::Stray,
        K::Stuck,
        K::Silence,
        K::End,
        K::Broken,
    ];
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    kinds.get(at).copied()
}
