//! What gdb shows of calls: the frames of a backtrace, and the function in which the machine has
//! stopped.
//!
//! gdb leaves the address out of a frame whose code lies in the one above it. So the frames from
//! one with an address to the last one without are a single function of the machine's, the lowest
//! of them; the others are inlined.

use crate::drawing::layer::Layer;
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::Terminal;

/// A function in a backtrace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub function: String,
    /// The layer of the file that it is in.
    pub layer: Option<Layer>,
    /// Whether the compiler has put it into its caller.
    pub inlined: bool,
}

/// A line that tells of a function: a frame, with its number; a breakpoint that was hit; where a
/// watchpoint has stopped.
static LINE: Pattern = Pattern::new(|| {
    pattern(
        r"(?m)^(?:Run till exit from )?(?:(?:Temporary b|B)reakpoint [\d.]+, )?(?:#(\d+) +)?(0x\w+ in )?(\w+) \(.*\) at (?:\./)?([^ :]+):\d+$",
    )
});

/// More frames than any stack of the kernel's has.
const DEEPEST: usize = 1000;

/// The commands that show where the machine has stopped; one of them is a look. (`finish` and
/// `next` lead back to who called.)
const STOPS: [&str; 3] = ["", "continue", "backtrace"];

/// The calls of the backtrace that the step shows, outermost first; none where it shows none. A
/// function that gdb names twice in a row, because a part of it is inlined into the rest, counts
/// once.
#[must_use]
pub fn calls(record: &Record) -> Vec<Call> {
    if record.terminal != Terminal::Gdb || !record.command.starts_with("backtrace") {
        return Vec::new();
    }
    let mut calls: Vec<Call> = Vec::new();
    for found in LINE.captures_iter(&record.output.stdout).take(DEEPEST) {
        let function = found[3].to_owned();
        let has_address = found.get(2).is_some();
        // Who has no address holds the one above it.
        if let Some(above) = calls.last_mut() {
            above.inlined = !has_address;
            if above.function == function {
                above.inlined = false;
                continue;
            }
        }
        calls.push(Call {
            layer: Layer::of(&found[4]),
            function,
            inlined: false,
        });
    }
    calls.reverse();
    calls
}

/// The function in which a breakpoint, a watchpoint or a backtrace shows the machine.
#[must_use]
pub fn stop(record: &Record) -> Option<String> {
    let word = record.command.split(' ').next().unwrap_or_default();
    if record.terminal != Terminal::Gdb || !STOPS.contains(&word) {
        return None;
    }
    let found = LINE.captures_iter(&record.output.stdout);
    let mut stands = found.filter(|found| match found.get(1) {
        Some(level) => word == "backtrace" && level.as_str() == "0",
        None => true,
    });
    stands.next().map(|found| found[3].to_owned())
}

/// Every function that the step shows with the file that it is in.
pub fn places(record: &Record) -> impl Iterator<Item = (&str, &str)> {
    let found = LINE.captures_iter(&record.output.stdout);
    found.filter_map(|found| Some((found.get(3)?.as_str(), found.get(4)?.as_str())))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    /// The records of a snapshot's content.
    pub fn records(content: &str) -> Vec<Record> {
        Snapshot::parse(content).unwrap().transcript.records
    }

    #[test]
    fn a_frame_without_an_address_holds_the_one_above() {
        let records = records(
            "\n9.1 gdb backtrace 6\n| #0  c (...) at net/core/dev.c:1\n| #1  0xff in b (...) at \
             ./include/net/neighbour.h:2\n\
             | #2  a (...) at net/ipv4/ip_output.c:3\n| #3  0xfe in t (...) at kernel/softirq.c:4\n\
             | #4  t () at kernel/softirq.c:5\n| #5  0x0 in ?? ()\n= 0\n",
        );
        let calls = calls(&records[0]);
        let shown: Vec<_> = calls
            .iter()
            .map(|call| (&*call.function, call.inlined, call.layer))
            .collect();
        let expected = [
            ("t", false, Some(Layer::Interrupt)),
            ("a", false, Some(Layer::Ip)),
            ("b", true, Some(Layer::Neighbour)),
            ("c", false, Some(Layer::Device)),
        ];
        assert_eq!(shown, expected);
        assert_eq!(stop(&records[0]).as_deref(), Some("c"));
    }

    #[test]
    fn a_stop_is_where_a_breakpoint_holds_the_machine() {
        let records = records(
            "\n9.1 gdb continue\n| Continuing.\n|\n| Temporary breakpoint 13.1, arp_rcv (...) at \
             net/ipv4/arp.c:968\n| 968\t{\n= 0\n\n\
             9.2 gdb finish\n| Run till exit from #0  a (...) at a.c:1\n| 0xff in b (...) at \
             ./b.c:2\n= 0\n\n\
             9.3 gdb frame function b\n| #1  0xff in b (...) at b.c:2\n= 0\n\n9.4 gdb backtrace \
             -1\n| #9  0xff in z (...) at z.c:2\n= 0\n",
        );
        let stops: Vec<_> = records.iter().map(stop).collect();
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(stops, [some("arp_rcv"), None, None, None]);
        assert_eq!(
            places(&records[1]).collect::<Vec<_>>(),
            [("a", "a.c"), ("b", "b.c")]
        );
    }
}
