//! From what a script says to the events that the guest performs. The layout is `guest.c`'s.

use std::path::Path;

use super::call::Made;
use super::make::{LOCAL, PORT, REMOTE};
use super::option::{self, Field};
use super::script::{Action, Base, Event, Icmp, Script, Segment, Span};
use super::segment::{ACK, Options, SYN};
use super::text::Fault;

const BLOCKING: u32 = 1;
/// A packet begins a connection, or gives the other side's first sequence number.
const NEW: u32 = 1;
const WITH_SYN: u32 = 2;
/// What is added to a field of a packet, or put into it.
const LOCAL_ISN: u32 = 1;
const REMOTE_ISN: u32 = 2;
const STAMP: u32 = 3;
const LOCAL_PORT: u32 = 4;
const REMOTE_PORT: u32 = 5;
/// The headers of IP and TCP without options.
const HEADER: usize = 20;
/// How much an injected segment holds before it must be one of several that a card has put
/// together: what a wire takes.
const MSS: u16 = 1460;

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u32(&mut self, number: u32) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn size(&mut self, number: usize) -> &mut Self {
        self.u32(u32::try_from(number).expect("a script is smaller than 4 GiB"))
    }

    fn i64(&mut self, number: i64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }
}

/// What of a connection is known before it happens.
#[derive(Default)]
struct Connection {
    /// Whether the next SYN of the other side begins a connection.
    listens: bool,
    /// The first sequence number of the system under test, as the script has it.
    local_isn: u32,
    /// The descriptor of the connection, as the script has it.
    fd: i64,
}

/// A script as the guest reads it.
///
/// # Errors
/// What cannot be made of it.
pub fn script(script: &Script, folder: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Bytes(folder.as_os_str().as_encoded_bytes().to_vec());
    bytes.0.push(0);
    bytes.pad();
    let mut connection = Connection::default();
    for event in &script.events {
        let (kind, body) = body(event, script, &mut connection)?;
        let when = match event.time.base {
            Base::Last => 0,
            Base::Start => 1,
            Base::Any => 2,
            Base::Untimed => 3,
        };
        let blocking = event.time.span == Span::Blocking;
        bytes
            .u32(kind)
            .u32(if blocking { BLOCKING } else { 0 })
            .u32(when);
        bytes.size(body.len());
        bytes.i64(event.time.from_us).i64(event.time.until_us);
        bytes.0.extend(body);
        bytes.pad();
    }
    let mut whole = Bytes::default();
    whole.size(bytes.0.len()).u32(0);
    whole.0.extend(bytes.0);
    Ok(whole.0)
}

fn body(
    event: &Event,
    script: &Script,
    connection: &mut Connection,
) -> Result<(u32, Vec<u8>), Fault> {
    let mss = script.options.mss.unwrap_or(MSS);
    Ok(match &event.action {
        Action::Call(call) => {
            let made = call.make()?;
            if call.name == "listen" {
                connection.listens = true;
            }
            connection.fd = made.connection.unwrap_or(connection.fd);
            (1, call_body(&made))
        }
        Action::Shell(command) => (2, [command.as_bytes(), &[0]].concat()),
        Action::Inject(segment) => (3, inject(segment, mss, connection)),
        Action::InjectIcmp(icmp) => (3, inject_icmp(*icmp)),
        Action::Expect(segment) => {
            if segment.has(SYN) {
                connection.local_isn = segment.seq;
            }
            let stamp = segment.stamps().map_or(-1, |(value, _)| i64::from(value));
            let mut body = Bytes::default();
            body.i64(stamp).i64(segment.length.into());
            (4, body.0)
        }
        Action::Code(_) => (5, connection.fd.to_le_bytes().to_vec()),
    })
}

fn call_body(made: &Made) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.i64(made.number);
    for argument in made.arguments {
        let (kind, value) = argument.raw();
        bytes.u32(kind).u32(0).i64(value);
    }
    let fd = |fd: i64| u32::from_le_bytes(i32::try_from(fd).unwrap_or(-1).to_le_bytes());
    bytes.u32(fd(made.result_fd.unwrap_or(-1)));
    bytes
        .size(made.pointers.len())
        .size(made.out_fds.len())
        .size(made.image.len());
    for (at, to) in &made.pointers {
        let (kind, value) = to.raw();
        bytes.size(*at).u32(kind).i64(value);
    }
    for (at, to) in &made.out_fds {
        bytes.size(*at).u32(fd(*to));
    }
    bytes.0.extend(&made.image);
    bytes.0
}

/// The header of an IPv4 packet, without its length and its sum.
fn ip_header(ecn: u8, protocol: u8, from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let mut ip = vec![0x45, ecn, 0, 0, 0, 0, 0, 0, 255, protocol, 0, 0];
    ip.extend(from);
    ip.extend(to);
    ip
}

fn packet(flags: u32, headers: &[u8], data: u32, gso: u16, fixups: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes
        .u32(flags)
        .size(headers.len())
        .u32(data)
        .u32(gso.into());
    bytes.size(fixups.len()).u32(0);
    for (at, kind) in fixups {
        bytes.size(*at).u32(*kind);
    }
    bytes.0.extend(headers);
    bytes.0
}

fn inject(segment: &Segment, mss: u16, connection: &mut Connection) -> Vec<u8> {
    let (mut options, fields) = match &segment.options {
        Options::These(options) => option::write(options),
        Options::Any => Default::default(),
    };
    options.resize(options.len().next_multiple_of(4), 0);
    let syn = segment.has(SYN);
    let mut flags = 0;
    if syn {
        flags |= WITH_SYN;
        if !segment.has(ACK) && connection.listens {
            flags |= NEW;
            connection.listens = false;
        }
    }
    let mut fixups = vec![(HEADER, REMOTE_PORT), (HEADER + 2, LOCAL_PORT)];
    if !syn {
        fixups.push((HEADER + 4, REMOTE_ISN));
    }
    let mut ack = segment.ack.unwrap_or(0);
    if segment.ack.is_some() {
        fixups.push((HEADER + 8, LOCAL_ISN));
        if syn {
            ack = ack.wrapping_sub(connection.local_isn);
        }
    }
    fixups.extend(fields.into_iter().map(|field| match field {
        Field::Sack(at) => (2 * HEADER + at, LOCAL_ISN),
        Field::Echo(at) => (2 * HEADER + at, STAMP),
    }));
    let mut headers = ip_header(segment.ecn.unwrap_or(0), 6, REMOTE, LOCAL);
    headers.extend([0; 4]);
    headers.extend(segment.seq.to_be_bytes());
    headers.extend(ack.to_be_bytes());
    let words = u16::try_from((HEADER + options.len()) / 4).unwrap_or(15);
    headers.extend((words << 12 | segment.flags).to_be_bytes());
    headers.extend(segment.window.unwrap_or(0).to_be_bytes());
    headers.extend([0; 2]);
    headers.extend(segment.urgent.unwrap_or(0).to_be_bytes());
    headers.extend(options);
    packet(flags, &headers, segment.length, mss, &fixups)
}

fn inject_icmp(icmp: Icmp) -> Vec<u8> {
    const ICMP: usize = HEADER + 8;
    let mut headers = ip_header(0, 1, REMOTE, LOCAL);
    headers.extend([3, icmp.code, 0, 0, 0, 0]);
    headers.extend(icmp.mtu.to_be_bytes());
    // The segment that it is about, as the router would have got it.
    let mut inner = ip_header(0, 6, LOCAL, REMOTE);
    inner[2..4].copy_from_slice(&icmp.length.saturating_add(40).to_be_bytes());
    headers.extend(inner);
    headers.extend([0; 4]);
    headers.extend(icmp.seq.to_be_bytes());
    headers.extend([0; 4]);
    headers.extend((5_u16 << 12 | ACK).to_be_bytes());
    headers.extend([0; 6]);
    let inner = ICMP + HEADER;
    let fixups = [
        (inner, LOCAL_PORT),
        (inner + 2, REMOTE_PORT),
        (inner + 4, LOCAL_ISN),
    ];
    packet(0, &headers, 0, 0, &fixups)
}

// The port of a server is in both of them, as `guest.c` has it.
const _: () = assert!(PORT == 8080);
