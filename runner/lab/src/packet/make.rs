//! How a system call of a script is made in the guest.
//!
//! The guest knows no system call. It is given a number, six arguments and an image of memory, in
//! which the structures lie that arguments point to; and it gives back the result and the image.

use super::call::{Argument, Call, Check, Data, Made, Message, Value, error_field};
use super::text::Fault;

/// The first descriptor that a script may not name, as in `guest.c`.
const DESCRIPTORS: i64 = 64;
/// The address of the system under test.
pub const LOCAL: [u8; 4] = [192, 168, 0, 1];
/// The address of the other side.
pub const REMOTE: [u8; 4] = [192, 0, 2, 1];
/// The port at which a server listens, on either side.
pub const PORT: u16 = 8080;
/// Data of different parts of a call lie on pages of their own.
const PAGE: usize = 4096;
/// As in `guest.c`.
const SCRATCH: usize = 8 << 20;
/// How much room control messages get.
const CONTROL: usize = 512;

/// A call in the making.
struct Maker<'a> {
    call: &'a Call,
    made: Made,
    scratch: usize,
}

type Result<T> = std::result::Result<T, Fault>;

impl Call {
    /// The call as the guest makes it.
    ///
    /// # Errors
    /// The call that is not known, or the argument that is not as it should be.
    pub fn make(&self) -> Result<Made> {
        let made = Made {
            number: 0,
            arguments: [Argument::Constant(0); 6],
            image: Vec::new(),
            pointers: Vec::new(),
            result_fd: None,
            out_fds: Vec::new(),
            checks: Vec::new(),
            connection: None,
        };
        let mut maker = Maker {
            call: self,
            made,
            scratch: 0,
        };
        maker.make()?;
        let Made {
            arguments,
            result_fd,
            out_fds,
            ..
        } = &maker.made;
        let used = arguments.iter().filter_map(|argument| match argument {
            Argument::Descriptor(fd) => Some(*fd),
            _ => None,
        });
        let made = out_fds.iter().map(|(_, fd)| *fd).chain(*result_fd);
        if used.chain(made.clone()).any(|fd| fd >= DESCRIPTORS) || made.clone().any(|fd| fd < 0) {
            let last = DESCRIPTORS - 1;
            return self.fault(format!("descriptors are numbered from 0 to {last} here"));
        }
        Ok(maker.made)
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T> {
        let (place, message) = (self.place, message.into());
        Err(Fault { place, message })
    }
}

impl Maker<'_> {
    fn make(&mut self) -> Result<()> {
        use Argument::Constant;
        let result_fd = self.call.expected.result.filter(|fd| *fd >= 0);
        match self.call.name.as_str() {
            "socket" => {
                self.takes(3)?;
                let domain = match self.value(0) {
                    Value::Any => 2,
                    _ => self.number(0)?,
                };
                let rest = [Constant(self.number(1)?), Constant(self.number(2)?)];
                self.is(41, &[Constant(domain), rest[0], rest[1]]);
                self.made.result_fd = result_fd;
            }
            "bind" => {
                let arguments = self.addressed(LOCAL)?;
                self.is(49, &arguments);
            }
            "connect" => {
                let arguments = self.addressed(REMOTE)?;
                self.is(42, &arguments);
                self.made.connection = Some(self.number(0)?);
            }
            "listen" => self.plain(50, 2)?,
            "shutdown" => self.plain(48, 2)?,
            "close" => self.plain(3, 1)?,
            "accept" => {
                self.takes(3)?;
                let fd = self.fd(0)?;
                self.is(43, &[fd, Constant(0), Constant(0)]);
                (self.made.result_fd, self.made.connection) = (result_fd, result_fd);
            }
            "read" | "write" => {
                self.takes(3)?;
                let number = if self.call.name == "read" { 0 } else { 1 };
                let arguments = [self.fd(0)?, self.data(1, 2)?, Constant(self.number(2)?)];
                self.is(number, &arguments);
            }
            "readv" | "writev" => {
                self.takes(3)?;
                let Value::List(parts) = self.value(1).clone() else {
                    return self.wrong(1, "parts such as `[{..., 1000}]`");
                };
                let at = self.parts(&parts)?;
                let number = if self.call.name == "readv" { 19 } else { 20 };
                let arguments = [self.fd(0)?, at, Constant(self.number(2)?)];
                self.is(number, &arguments);
            }
            "poll" => self.poll()?,
            "send" | "recv" | "sendto" | "recvfrom" => self.transfer()?,
            "sendmsg" | "recvmsg" => self.message()?,
            "setsockopt" => self.set_option()?,
            "getsockopt" => self.get_option()?,
            "fcntl" => {
                let fd = self.fd(0)?;
                let value = match self.call.arguments.len() {
                    2 => 0,
                    _ => self.number(2)?,
                };
                let command = self.number(1)?;
                self.is(72, &[fd, Constant(command), Constant(value)]);
            }
            "ioctl" => {
                self.takes(3)?;
                let at = self.inout(2, "the value")?;
                let arguments = [self.fd(0)?, Constant(self.number(1)?), at];
                self.is(16, &arguments);
            }
            "open" => {
                let Value::Text(path) = self.value(0).clone() else {
                    return self.wrong(0, "a path in quotation marks");
                };
                let at = self.lay(&[&path[..], &[0]].concat());
                let flags = self.number(1)?;
                self.is(2, &[Argument::Image(at), Constant(flags), Constant(0o600)]);
                self.made.result_fd = result_fd;
            }
            "pipe" => self.pipe()?,
            "sendfile" => {
                self.takes(4)?;
                let offset = match self.value(2) {
                    Value::List(list) => match list[..] {
                        [Value::Number(offset)] => {
                            let at = self.lay(&offset.to_le_bytes());
                            Argument::Image(at)
                        }
                        _ => return self.wrong(2, "an offset, `[0]`"),
                    },
                    _ => Constant(self.number(2)?),
                };
                let arguments = [self.fd(0)?, self.fd(1)?, offset, Constant(self.number(3)?)];
                self.is(40, &arguments);
            }
            "splice" => {
                self.takes(6)?;
                let (from, to) = (self.fd(0)?, self.fd(2)?);
                let [a, b, c, d] = [
                    self.number(1)?,
                    self.number(3)?,
                    self.number(4)?,
                    self.number(5)?,
                ];
                let [a, b, c, d] = [a, b, c, d].map(Constant);
                self.is(275, &[from, a, to, b, c, d]);
            }
            "epoll_create" | "epoll_create1" => {
                self.takes(1)?;
                let number = if self.call.name == "epoll_create" {
                    213
                } else {
                    291
                };
                let argument = Constant(self.number(0)?);
                self.is(number, &[argument]);
                self.made.result_fd = result_fd;
            }
            "epoll_ctl" => {
                self.takes(4)?;
                let (events, fd) = self.epoll_event(3)?;
                let mut event = u32::try_from(events & 0xffff_ffff)
                    .unwrap_or(0)
                    .to_le_bytes()
                    .to_vec();
                event.extend(fd.to_le_bytes());
                let at = self.lay(&event);
                let [epoll, socket] = [self.fd(0)?, self.fd(2)?];
                let command = Constant(self.number(1)?);
                self.is(233, &[epoll, command, socket, Argument::Image(at)]);
            }
            "epoll_wait" => {
                self.takes(4)?;
                let (events, fd) = self.epoll_event(1)?;
                let count = usize::try_from(self.number(2)?).unwrap_or(0).clamp(1, 64);
                let at = self.lay(&vec![0; 12 * count]);
                if self.call.expected.result.is_some_and(|found| found > 0) {
                    self.check(at, 4, events, "events");
                    self.check(at + 4, 8, fd, "the descriptor of the event");
                }
                let epoll = self.fd(0)?;
                let rest = [Constant(self.number(2)?), Constant(self.number(3)?)];
                self.is(232, &[epoll, Argument::Image(at), rest[0], rest[1]]);
            }
            name => {
                return self
                    .call
                    .fault(format!("the system call `{name}` is not known here"));
            }
        }
        Ok(())
    }

    fn is(&mut self, number: i64, arguments: &[Argument]) {
        self.made.number = number;
        self.made.arguments[..arguments.len()].copy_from_slice(arguments);
    }

    fn takes(&self, count: usize) -> Result<()> {
        match self.call.arguments.len() {
            found if found == count => Ok(()),
            found => {
                let name = &self.call.name;
                self.call.fault(format!(
                    "`{name}` has {count} arguments, and here it has {found}"
                ))
            }
        }
    }

    fn value(&self, index: usize) -> &Value {
        self.call
            .arguments
            .get(index)
            .map_or(&Value::Any, |(_, value)| value)
    }

    fn wrong<T>(&self, index: usize, what: &str) -> Result<T> {
        let place = self
            .call
            .arguments
            .get(index)
            .map_or(self.call.place, |(place, _)| *place);
        let message = format!(
            "expected {what} as argument {} of `{}`",
            index + 1,
            self.call.name
        );
        Err(Fault { place, message })
    }

    fn number(&self, index: usize) -> Result<i64> {
        match self.value(index) {
            Value::Number(number) => Ok(*number),
            _ => self.wrong(index, "a number"),
        }
    }

    fn fd(&self, index: usize) -> Result<Argument> {
        self.number(index).map(Argument::Descriptor)
    }

    /// Puts bytes into the image, and says where.
    fn lay(&mut self, bytes: &[u8]) -> usize {
        let image = &mut self.made.image;
        image.resize(image.len().next_multiple_of(8), 0);
        let at = image.len();
        image.extend(bytes);
        at
    }

    fn check(&mut self, at: usize, size: usize, expected: i64, what: &str) {
        let what = what.to_owned();
        self.made.checks.push(Check::Number {
            at,
            size,
            expected,
            what,
        });
    }

    /// A place for data of this length, which lies on no page of another's.
    fn room(&mut self, index: usize, length: i64) -> Result<Argument> {
        let at = self.scratch;
        let length = usize::try_from(length).unwrap_or(usize::MAX / 2);
        self.scratch = at + length.next_multiple_of(PAGE) + PAGE;
        match self.scratch <= SCRATCH {
            true => Ok(Argument::Scratch(at)),
            false => self.wrong(index, &format!("at most {SCRATCH} bytes of data")),
        }
    }

    /// The data of an argument, whose length is another one.
    fn data(&mut self, index: usize, length: usize) -> Result<Argument> {
        match self.value(index).clone() {
            Value::Any => {
                let length = self.number(length)?;
                self.room(index, length)
            }
            Value::Number(0) => Ok(Argument::Constant(0)),
            Value::Text(text) => Ok(Argument::Image(self.lay(&text))),
            _ => self.wrong(index, "data: `...`, `NULL` or a text"),
        }
    }

    fn plain(&mut self, number: i64, count: usize) -> Result<()> {
        self.takes(count)?;
        let mut arguments = vec![self.fd(0)?];
        for index in 1..count {
            arguments.push(Argument::Constant(self.number(index)?));
        }
        self.is(number, &arguments);
        Ok(())
    }

    /// A `struct sockaddr_in` in the image.
    fn address(&mut self, address: [u8; 4]) -> [Argument; 2] {
        let mut bytes = 2_u16.to_le_bytes().to_vec();
        bytes.extend(PORT.to_be_bytes());
        bytes.extend(address);
        bytes.extend([0; 8]);
        let at = self.lay(&bytes);
        [Argument::Image(at), Argument::Constant(16)]
    }

    /// A descriptor and an address, which a script leaves out.
    fn addressed(&mut self, address: [u8; 4]) -> Result<[Argument; 3]> {
        self.takes(3)?;
        let fd = self.fd(0)?;
        let [mut at, length] = self.address(address);
        match self.value(1) {
            Value::Any => {}
            Value::Number(0) => at = Argument::Image(self.lay(&[0; 16])),
            _ => return self.wrong(1, "`...` or `AF_UNSPEC`"),
        }
        Ok([fd, at, length])
    }

    fn transfer(&mut self) -> Result<()> {
        use Argument::Constant;
        let addressed = matches!(self.call.name.as_str(), "sendto" | "recvfrom");
        self.takes(if addressed { 6 } else { 4 })?;
        let receives = self.call.name.starts_with("recv");
        let to = match addressed && !receives {
            true => self.address(REMOTE),
            false => [Constant(0), Constant(0)],
        };
        let arguments = [
            self.fd(0)?,
            self.data(1, 2)?,
            Constant(self.number(2)?),
            Constant(self.number(3)?),
            to[0],
            to[1],
        ];
        self.is(if receives { 45 } else { 44 }, &arguments);
        const MSG_FASTOPEN: i64 = 0x2000_0000;
        if self.number(3)? & MSG_FASTOPEN != 0 {
            self.made.connection = Some(self.number(0)?);
        }
        Ok(())
    }

    /// A value that a call reads, and that it may change.
    fn inout(&mut self, index: usize, what: &str) -> Result<Argument> {
        match self.value(index).clone() {
            Value::List(list) => match list[..] {
                [Value::Number(expected)] => {
                    let at = self.lay(&[0; 4]);
                    self.check(at, 4, expected, what);
                    Ok(Argument::Image(at))
                }
                [Value::Any] => Ok(Argument::Image(self.lay(&[0; 4]))),
                _ => self.wrong(index, "one value in brackets"),
            },
            _ => self.wrong(index, "a value in brackets"),
        }
    }

    fn set_option(&mut self) -> Result<()> {
        use Argument::Constant;
        self.takes(5)?;
        let value = match self.value(3).clone() {
            Value::List(list) => match list[..] {
                [Value::Number(value)] => {
                    let low = value & 0xffff_ffff;
                    u32::try_from(low).unwrap_or(0).to_le_bytes().to_vec()
                }
                _ => return self.wrong(3, "one value in brackets"),
            },
            Value::Text(text) => text,
            Value::Struct(fields) => {
                let numbers = fields.iter().map(|(_, value)| match value {
                    Value::Number(number) => i32::try_from(*number).ok(),
                    _ => None,
                });
                match numbers.collect::<Option<Vec<_>>>() {
                    Some(numbers) => numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
                    None => return self.wrong(3, "numbers in braces"),
                }
            }
            _ => return self.wrong(3, "a value in brackets, or a text"),
        };
        let at = self.lay(&value);
        let arguments = [
            self.fd(0)?,
            Constant(self.number(1)?),
            Constant(self.number(2)?),
            Argument::Image(at),
            Constant(self.number(4)?),
        ];
        self.is(54, &arguments);
        Ok(())
    }

    fn get_option(&mut self) -> Result<()> {
        use Argument::Constant;
        self.takes(5)?;
        let value = self.inout(3, "the option")?;
        let length = match self.value(4).clone() {
            Value::List(list) => match list[..] {
                [Value::Number(length)] => {
                    let size = u32::try_from(length).unwrap_or(4);
                    let at = self.lay(&size.to_le_bytes());
                    self.check(at, 4, length, "the option's length");
                    Argument::Image(at)
                }
                _ => return self.wrong(4, "one length in brackets"),
            },
            _ => return self.wrong(4, "a length in brackets"),
        };
        let [level, option] = [self.number(1)?, self.number(2)?].map(Constant);
        let fd = self.fd(0)?;
        self.is(55, &[fd, level, option, value, length]);
        Ok(())
    }

    fn pipe(&mut self) -> Result<()> {
        self.takes(1)?;
        let at = self.lay(&[0; 8]);
        match self.value(0).clone() {
            Value::List(list) => match list[..] {
                [Value::Number(reading), Value::Number(writing)] => {
                    self.made.out_fds = vec![(at, reading), (at + 4, writing)];
                }
                _ => return self.wrong(0, "two descriptors in brackets"),
            },
            _ => return self.wrong(0, "two descriptors in brackets"),
        }
        self.is(22, &[Argument::Image(at)]);
        Ok(())
    }

    fn epoll_event(&self, index: usize) -> Result<(i64, i64)> {
        match self.value(index) {
            Value::Struct(fields) => match &fields[..] {
                [(events, Value::Number(mask)), (data, Value::Number(fd))]
                    if events == "events" && (data == "fd" || data == "ptr") =>
                {
                    Ok((*mask, *fd))
                }
                _ => self.wrong(index, "`{events=..., fd=...}`"),
            },
            _ => self.wrong(index, "`{events=..., fd=...}`"),
        }
    }

    fn message(&mut self) -> Result<()> {
        self.takes(3)?;
        let Value::Struct(fields) = self.value(1).clone() else {
            return self.wrong(1, "a message in braces");
        };
        let receives = self.call.name == "recvmsg";
        let header = self.lay(&[0; 56]);
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("msg_name", Value::Any) => {}
                ("msg_iov", Value::List(parts)) => {
                    let at = self.parts(&parts)?;
                    self.point(header + 16, at);
                    let count = (parts.len() as u64).to_le_bytes();
                    self.made.image[header + 24..header + 32].copy_from_slice(&count);
                }
                ("msg_flags", Value::Number(flags)) if receives => {
                    self.check(header + 48, 4, flags, "msg_flags");
                }
                ("msg_flags", Value::Number(0)) => {}
                ("msg_control", Value::List(messages)) if receives => {
                    let at = self.lay(&[0; CONTROL]);
                    self.point(header + 32, Argument::Image(at));
                    self.made.image[header + 40..header + 48]
                        .copy_from_slice(&(CONTROL as u64).to_le_bytes());
                    let expected = messages.iter().map(|message| self.control(message));
                    let expected = expected.collect::<Result<_>>()?;
                    self.made.checks.push(Check::Control { at, expected });
                }
                (name, _) => {
                    return self.wrong(1, &format!("another `{name}`"));
                }
            }
        }
        let fd = self.fd(0)?;
        let flags = Argument::Constant(self.number(2)?);
        self.is(
            if receives { 47 } else { 46 },
            &[fd, Argument::Image(header), flags],
        );
        Ok(())
    }

    fn point(&mut self, at: usize, to: Argument) {
        self.made.pointers.push((at, to));
    }

    /// An array of `struct iovec` in the image.
    fn parts(&mut self, parts: &[Value]) -> Result<Argument> {
        let at = self.lay(&vec![0; 16 * parts.len()]);
        for (part, place) in parts.iter().zip((at..).step_by(16)) {
            let fields = match part {
                Value::Struct(fields) => &fields[..],
                _ => &[],
            };
            let [(_, Value::Any), (_, Value::Number(length))] = fields else {
                return self.wrong(1, "parts such as `{..., 1000}`");
            };
            let room = self.room(1, *length)?;
            self.point(place, room);
            self.made.image[place + 8..place + 16].copy_from_slice(&length.to_le_bytes());
        }
        Ok(Argument::Image(at))
    }

    fn poll(&mut self) -> Result<()> {
        const FORM: &str = "`[{fd=..., events=..., revents=...}]`";
        self.takes(3)?;
        let Value::List(entries) = self.value(0).clone() else {
            return self.wrong(0, FORM);
        };
        let at = self.lay(&vec![0; 8 * entries.len()]);
        for (entry, place) in entries.iter().zip((at..).step_by(8)) {
            let fields = match entry {
                Value::Struct(fields) => &fields[..],
                _ => &[],
            };
            let [
                (a, Value::Number(fd)),
                (b, Value::Number(events)),
                (c, Value::Number(revents)),
            ] = fields
            else {
                return self.wrong(0, FORM);
            };
            if [a, b, c] != ["fd", "events", "revents"] {
                return self.wrong(0, FORM);
            }
            self.point(place, Argument::Descriptor(*fd));
            let events = u16::try_from(*events).unwrap_or(0).to_le_bytes();
            self.made.image[place + 4..place + 6].copy_from_slice(&events);
            self.check(place + 6, 2, *revents, "revents");
        }
        let rest = [self.number(1)?, self.number(2)?].map(Argument::Constant);
        self.is(7, &[Argument::Image(at), rest[0], rest[1]]);
        Ok(())
    }

    fn control(&self, message: &Value) -> Result<Message> {
        let Value::Struct(fields) = message else {
            return self.wrong(1, "control messages in braces");
        };
        let [
            (a, Value::Number(level)),
            (b, Value::Number(kind)),
            (c, data),
        ] = &fields[..]
        else {
            return self.wrong(1, "`{cmsg_level=..., cmsg_type=..., cmsg_data=...}`");
        };
        if [a, b, c] != ["cmsg_level", "cmsg_type", "cmsg_data"] {
            return self.wrong(1, "`{cmsg_level=..., cmsg_type=..., cmsg_data=...}`");
        }
        let data = match data {
            Value::Number(number) => Data::Number(*number),
            Value::Struct(fields) => {
                let numbers = fields.iter().map(|(name, value)| match value {
                    Value::Number(number) => Some((name.clone(), *number)),
                    _ => None,
                });
                let Some(numbers) = numbers.collect::<Option<Vec<_>>>() else {
                    return self.wrong(1, "numbers in `cmsg_data`");
                };
                match &numbers[..] {
                    [(a, seconds), (b, rest)] if a == "scm_sec" && b == "scm_nsec" => Data::Time {
                        nanoseconds: seconds.saturating_mul(1_000_000_000).saturating_add(*rest),
                    },
                    _ if numbers.iter().all(|(name, _)| error_field(name).is_some()) => {
                        Data::Error(numbers)
                    }
                    _ => return self.wrong(1, "a `cmsg_data` that is known"),
                }
            }
            _ => return self.wrong(1, "a number or a structure as `cmsg_data`"),
        };
        let (level, kind) = (*level, *kind);
        Ok(Message { level, kind, data })
    }
}
