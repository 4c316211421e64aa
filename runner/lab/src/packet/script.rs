//! What a script says.

use std::path::PathBuf;

use super::call::Call;
use super::code::Statement;
pub use super::segment::Segment;
pub use super::text::{Fault, Place};

/// A script that was understood.
#[derive(Debug)]
pub struct Script {
    /// Its file, as the user named it.
    pub path: PathBuf,
    /// What stands at its top.
    pub options: Options,
    /// What happens, in order.
    pub events: Vec<Event>,
}

/// What the words at the top of a script choose.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The size of the segments that a larger injected packet is said to consist of.
    pub mss: Option<u16>,
    /// How early or late a packet may be, in microseconds.
    pub tolerance_us: i64,
    /// How long a tick of the timestamps is, in microseconds. Without it they are not compared.
    pub stamp_tick_us: Option<i64>,
}

impl Default for Options {
    fn default() -> Self {
        let (mss, stamp_tick_us) = (None, None);
        let tolerance_us = super::judge::TOLERANCE_US;
        Self {
            mss,
            tolerance_us,
            stamp_tick_us,
        }
    }
}

/// Something that happens at a time.
#[derive(Debug)]
pub struct Event {
    /// Where it begins.
    pub place: Place,
    /// Its text, in one line, without the time.
    pub text: String,
    /// When.
    pub time: Time,
    /// What.
    pub action: Action,
}

/// What the times of an event are measured from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Base {
    /// The event before, when it really was.
    Last,
    /// The first event.
    Start,
    /// Nothing: it may happen at any time.
    Any,
    /// A command before the first event, or behind the last.
    Untimed,
}

/// What the second time of an event is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Span {
    /// There is none.
    Moment,
    /// The last moment at which it may happen.
    Range,
    /// The moment at which a call returns that has to wait.
    Blocking,
}

/// The time of an event, in microseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Time {
    /// What the others are measured from.
    pub base: Base,
    /// The first moment.
    pub from_us: i64,
    /// The last moment, or the same one.
    pub until_us: i64,
    /// What the last moment is.
    pub span: Span,
}

/// An injected ICMP message about a segment that the kernel has sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Icmp {
    /// Its code; the type is "destination unreachable".
    pub code: u8,
    /// The next hop's MTU, where one is said.
    pub mtu: u16,
    /// The segment's first sequence number.
    pub seq: u32,
    /// How long it was.
    pub length: u16,
}

/// What happens.
#[derive(Debug)]
pub enum Action {
    /// The program makes a system call.
    Call(Call),
    /// A command of the shell.
    Shell(String),
    /// A segment comes from the network.
    Inject(Segment),
    /// An ICMP message does.
    InjectIcmp(Icmp),
    /// The kernel sends a segment.
    Expect(Segment),
    /// Something holds of the connection.
    Code(Vec<Statement>),
}
