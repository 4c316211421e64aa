//! System calls: what a script writes, and whether what came back is right. `make` says how the
//! guest makes them.

use super::name;
use super::text::Place;

/// An argument, or a part of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `...`: whatever is right.
    Any,
    /// A number, or names of such, joined by `|`.
    Number(i64),
    /// A string.
    Text(Vec<u8>),
    /// `[...]`.
    List(Vec<Value>),
    /// `{...}` with names, or without, where a name is empty.
    Struct(Vec<(String, Value)>),
}

/// What a call is expected to return.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expected {
    /// The number; `None` if any will do.
    pub result: Option<i64>,
    /// The name of the error, if one is said.
    pub error: Option<String>,
}

/// A system call of a script.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Its arguments, each with its place.
    pub arguments: Vec<(Place, Value)>,
    /// What it is expected to return.
    pub expected: Expected,
}

/// An argument as the guest has it. The numbers of the kinds are `guest.c`'s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Argument {
    /// A number.
    Constant(i64),
    /// A descriptor, as the script numbers it.
    Descriptor(i64),
    /// A place in the image.
    Image(usize),
    /// A place in the area for data that nobody looks at.
    Scratch(usize),
}

impl Argument {
    /// Its kind and its value.
    pub fn raw(self) -> (u32, i64) {
        let wide = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
        match self {
            Self::Constant(number) => (0, number),
            Self::Descriptor(number) => (1, number),
            Self::Image(place) => (2, wide(place)),
            Self::Scratch(place) => (3, wide(place)),
        }
    }
}

/// What must be in the image after the call.
#[derive(Clone, Debug)]
pub enum Check {
    /// A number of so many bytes.
    Number {
        /// Where.
        at: usize,
        /// How many bytes.
        size: usize,
        /// What it must be.
        expected: i64,
        /// What it is.
        what: String,
    },
    /// The control messages of a `struct msghdr` that begins the image.
    Control {
        /// Where they lie.
        at: usize,
        /// What they must be.
        expected: Vec<Message>,
    },
}

/// A control message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its level.
    pub level: i64,
    /// Its type.
    pub kind: i64,
    /// What is in it.
    pub data: Data,
}

/// What is in a control message.
#[derive(Clone, Debug)]
pub enum Data {
    /// A number.
    Number(i64),
    /// A time since the first event.
    Time {
        /// In nanoseconds.
        nanoseconds: i64,
    },
    /// Fields of a `struct sock_extended_err`.
    Error(Vec<(String, i64)>),
}

/// A call as the guest makes it.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its number on x86-64.
    pub number: i64,
    /// Its arguments.
    pub arguments: [Argument; 6],
    /// The memory that it is given.
    pub image: Vec<u8>,
    /// Pointers in that.
    pub pointers: Vec<(usize, Argument)>,
    /// The script's name of the descriptor that it returns.
    pub result_fd: Option<i64>,
    /// Descriptors that it writes into the image, and the script's names of them.
    pub out_fds: Vec<(usize, i64)>,
    /// What must be in the image when it succeeds.
    pub checks: Vec<Check>,
    /// The script's name of the descriptor of the connection that it makes.
    pub connection: Option<i64>,
}

/// Where a field of `struct sock_extended_err` lies, and how long it is.
pub fn error_field(name: &str) -> Option<(usize, usize)> {
    let fields = [
        ("ee_errno", (0, 4)),
        ("ee_origin", (4, 1)),
        ("ee_type", (5, 1)),
        ("ee_code", (6, 1)),
        ("ee_info", (8, 4)),
        ("ee_data", (12, 4)),
    ];
    let found = fields.into_iter().find(|(have, _)| *have == name);
    found.map(|(_, place)| place)
}

/// What came back from a call.
#[derive(Clone, Copy, Debug)]
pub struct Returned<'a> {
    /// The result.
    pub result: i64,
    /// The error, if it failed.
    pub error: i64,
    /// The memory, as it was afterwards.
    pub image: &'a [u8],
    /// The moment of the first event, in nanoseconds of the real time.
    pub start_ns: i64,
    /// How far a time may be off, in nanoseconds.
    pub tolerance_ns: i64,
}

impl Returned<'_> {
    fn number(&self, at: usize, size: usize) -> Option<i64> {
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(self.image.get(at..at + size)?);
        Some(i64::from_le_bytes(wide))
    }

    fn told(&self) -> String {
        match self.result {
            -1 => format!("-1 {}", name::of_error(self.error)),
            result => result.to_string(),
        }
    }
}

impl Call {
    /// What is otherwise than expected.
    ///
    /// # Errors
    /// That.
    pub fn check(&self, made: &Made, returned: Returned<'_>) -> std::result::Result<(), String> {
        let Expected { result, error } = &self.expected;
        let wrong = || Err(format!("{} returned {}", self.name, returned.told()));
        if made.result_fd.is_some() {
            if returned.result < 0 {
                return wrong();
            }
        } else if result.is_some_and(|result| result != returned.result) {
            return wrong();
        }
        if let Some(error) = error
            && returned.result == -1
            && name::error(error) != Some(returned.error)
        {
            return wrong();
        }
        if returned.result < 0 {
            return Ok(());
        }
        made.checks.iter().try_for_each(|check| match check {
            Check::Number {
                at,
                size,
                expected,
                what,
            } => {
                let mask = if *size == 4 { 0xffff_ffff } else { -1 };
                match returned.number(*at, *size) {
                    Some(found) if found & mask == expected & mask => Ok(()),
                    found => Err(format!(
                        "{what} is {}, not {expected}",
                        found.map_or_else(|| "not there".to_owned(), |found| found.to_string())
                    )),
                }
            }
            Check::Control { at, expected } => check_control(returned, *at, expected),
        })
    }
}

fn check_control(
    returned: Returned<'_>,
    mut at: usize,
    expected: &[Message],
) -> std::result::Result<(), String> {
    let length = returned.number(40, 8).unwrap_or(0);
    let end = at + usize::try_from(length).unwrap_or(0);
    let mut found = Vec::new();
    while at + 16 <= end {
        let size = returned
            .number(at, 8)
            .and_then(|size| usize::try_from(size).ok());
        let size = size
            .filter(|size| *size >= 16)
            .ok_or("a control message has no length")?;
        let header = |offset| returned.number(at + offset, 4).unwrap_or(-1);
        found.push((header(8), header(12), at + 16));
        at += size.next_multiple_of(8);
    }
    if found.len() != expected.len() {
        let (found, expected) = (found.len(), expected.len());
        return Err(format!(
            "there are {found} control messages, not {expected}"
        ));
    }
    for ((level, kind, at), expected) in found.into_iter().zip(expected) {
        if (level, kind) != (expected.level, expected.kind) {
            return Err(format!(
                "a control message has level {level} and type {kind}, not {} and {}",
                expected.level, expected.kind
            ));
        }
        let number = |offset, size| returned.number(at + offset, size).unwrap_or(-1);
        match &expected.data {
            Data::Number(expected) if number(0, 4) != *expected => {
                return Err(format!("cmsg_data is {}, not {expected}", number(0, 4)));
            }
            Data::Number(_) => {}
            Data::Time { nanoseconds } => {
                let after = number(0, 8)
                    .wrapping_mul(1_000_000_000)
                    .wrapping_add(number(8, 8));
                let after = after.wrapping_sub(returned.start_ns);
                if after.wrapping_sub(*nanoseconds).wrapping_abs() > returned.tolerance_ns {
                    return Err(format!(
                        "the timestamp lies {:.6} s after the first event, not {:.6} s",
                        after as f64 / 1e9,
                        *nanoseconds as f64 / 1e9
                    ));
                }
            }
            Data::Error(fields) => {
                for (name, expected) in fields {
                    let (offset, size) = error_field(name).ok_or("an unknown field")?;
                    if number(offset, size) != *expected {
                        return Err(format!(
                            "{name} is {}, not {expected}",
                            number(offset, size)
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}
