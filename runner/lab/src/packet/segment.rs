//! A TCP segment, as a script has it and as it was on the wire.

use std::fmt;

use super::option::{self, TcpOption};

/// The flags, by their letters, in the order in which they are written.
pub const FLAGS: [(char, u16); 9] = [
    ('F', 0x001),
    ('S', SYN),
    ('R', 0x004),
    ('P', PSH),
    ('U', 0x020),
    ('E', 0x040),
    ('W', 0x080),
    ('A', 0x100),
    ('.', ACK),
];
/// SYN.
pub const SYN: u16 = 0x002;
/// PSH.
pub const PSH: u16 = 0x008;
/// ACK, which is written as a point.
pub const ACK: u16 = 0x010;

/// The bits of ECN in the IP header, by their names.
pub const ECN: [(&str, u8); 4] = [("noecn", 0), ("ect1", 1), ("ect0", 2), ("ce", 3)];

/// The options of a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Options {
    /// Whatever they are (`<...>`).
    Any,
    /// These.
    These(Vec<TcpOption>),
}

/// A segment. What a script does not say is `None`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Segment {
    /// ECN in the IP header.
    pub ecn: Option<u8>,
    /// The flags, as the two bytes of the header have them.
    pub flags: u16,
    /// The first sequence number.
    pub seq: u32,
    /// How many bytes of data.
    pub length: u32,
    /// The acknowledged sequence number.
    pub ack: Option<u32>,
    /// The window as it is in the header.
    pub window: Option<u16>,
    /// The urgent pointer.
    pub urgent: Option<u16>,
    /// The options.
    pub options: Options,
}

/// The fields of a packet's headers that lie at fixed places, and where they do.
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Segment {
    /// Reads the headers of an IPv4 packet, with the numbers as they are in them; `None` if it has
    /// no TCP in it.
    pub fn of_packet(ip: &[u8]) -> Option<Self> {
        let header = usize::from(ip.first()? & 15) * 4;
        if ip.get(9)? != &6 {
            return None;
        }
        let tcp = ip.get(header..)?;
        let flags = be16(tcp, 12)?;
        let options_end = usize::from(flags >> 12) * 4;
        let data = usize::from(be16(ip, 2)?).checked_sub(header + options_end)?;
        let flags = flags & 0x1ff;
        let urgent = be16(tcp, 18)?;
        Some(Self {
            ecn: Some(ip[1] & 3),
            flags,
            seq: be32(tcp, 4)?,
            length: u32::try_from(data).ok()?,
            ack: (flags & ACK != 0).then_some(be32(tcp, 8)?),
            window: Some(be16(tcp, 14)?),
            urgent: (flags & 0x20 != 0).then_some(urgent),
            options: Options::These(option::read(tcp.get(20..options_end)?)),
        })
    }

    /// Whether it has all of these flags.
    #[must_use]
    pub fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }

    /// The size of segments that it announces.
    #[must_use]
    pub fn mss(&self) -> Option<u16> {
        let Options::These(options) = &self.options else {
            return None;
        };
        options.iter().find_map(|option| match option {
            TcpOption::Mss(mss) => Some(*mss),
            _ => None,
        })
    }

    /// By how many bits it says that its sender's windows are shifted.
    #[must_use]
    pub fn window_scale(&self) -> Option<u8> {
        let Options::These(options) = &self.options else {
            return None;
        };
        options.iter().find_map(|option| match option {
            TcpOption::WindowScale(bits) => Some(*bits),
            _ => None,
        })
    }

    /// How many bytes of its header the options take.
    #[must_use]
    pub fn options_size(&self) -> u32 {
        match &self.options {
            Options::Any => 0,
            Options::These(options) => {
                let size = option::write(options).0.len().next_multiple_of(4);
                u32::try_from(size).unwrap_or(40)
            }
        }
    }

    /// The timestamp of it, and the one that it echoes.
    #[must_use]
    pub fn stamps(&self) -> Option<(u32, u32)> {
        let Options::These(options) = &self.options else {
            return None;
        };
        options.iter().find_map(|option| match option {
            TcpOption::Timestamp { value, echo } => Some((*value, *echo)),
            _ => None,
        })
    }
}

impl fmt::Display for Segment {
    /// As a script has it; ECN only where it says more than that there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = ECN.iter().find(|(_, ecn)| self.ecn == Some(*ecn))
            && *name != "noecn"
        {
            write!(f, "[{name}] ")?;
        }
        if self.flags == 0 {
            f.write_str("-")?;
        }
        for (letter, flag) in FLAGS {
            if self.has(flag) {
                write!(f, "{letter}")?;
            }
        }
        let Self { seq, length, .. } = self;
        write!(f, " {seq}:{}({length})", seq.wrapping_add(*length))?;
        for (word, number) in [
            ("ack", self.ack),
            ("win", self.window.map(u32::from)),
            ("urg", self.urgent.map(u32::from)),
        ] {
            if let Some(number) = number {
                write!(f, " {word} {number}")?;
            }
        }
        match &self.options {
            Options::Any => f.write_str(" <...>"),
            Options::These(options) if options.is_empty() => Ok(()),
            Options::These(options) => {
                let texts: Vec<String> = options.iter().map(ToString::to_string).collect();
                write!(f, " <{}>", texts.join(","))
            }
        }
    }
}
