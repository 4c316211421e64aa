//! What the system lets a process take: the limits that the runner inherits, and passes on.
//!
//! What may be raised is raised, and what decides how programs behave is the same for everybody. A
//! limit under which the lab cannot work, and which only its maker can lift, is told before
//! anything starts: what it breaks later would look like something else.

use std::sync::RwLock;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const GIB: u64 = 1 << 30;

/// A limit, and how `ulimit` and a message call it.
struct Limit {
    resource: Resource,
    option: &'static str,
    /// What it bounds.
    what: &'static str,
    /// The unit that `ulimit` counts in, and its name.
    unit: (u64, &'static str),
    /// Less is not enough.
    needed: u64,
    /// What it is set to, if not to all that is allowed.
    usual: Option<u64>,
}

/// QEMU maps 1.5 GiB, and for `runner run` twice as much; the largest file is a tarball.
const LIMITS: [Limit; 6] = [
    Limit {
        resource: Resource::As,
        option: "-v",
        what: "the memory that a program maps",
        unit: (1024, " kB"),
        needed: 4 * GIB,
        usual: None,
    },
    Limit {
        resource: Resource::Data,
        option: "-d",
        what: "the data of a program",
        unit: (1024, " kB"),
        needed: 4 * GIB,
        usual: None,
    },
    Limit {
        resource: Resource::Fsize,
        option: "-f",
        what: "the size of a file",
        unit: (1024, " kB"),
        needed: GIB / 2,
        usual: None,
    },
    Limit {
        resource: Resource::Cpu,
        option: "-t",
        what: "the processor's time for a program",
        unit: (1, " s"),
        needed: 600,
        usual: None,
    },
    Limit {
        resource: Resource::Stack,
        option: "-s",
        what: "the stack of a program",
        unit: (1024, " kB"),
        needed: 8 << 20,
        usual: Some(8 << 20),
    },
    Limit {
        resource: Resource::Nofile,
        option: "-n",
        what: "the number of files that a program has open",
        unit: (1, ""),
        needed: 256,
        usual: Some(1024),
    },
];

/// How many threads and processes more a replay, or a build, may have at once.
const PROCESSES: usize = 128;
/// The least that a thread is given; each only waits.
const STACK: usize = 16 << 10;

/// A limit that is too low.
#[derive(Debug, thiserror::Error)]
#[error("{text}; {remedy}")]
pub struct Tight {
    /// Which, and what would do.
    pub text: String,
    /// How it is lifted.
    pub remedy: String,
}

/// Raises what this process may raise, and sets what is the same for all programs of the lab.
pub fn settle() {
    for limit in &LIMITS {
        let Rlimit { current, maximum } = getrlimit(limit.resource);
        let wanted = match (limit.usual, maximum) {
            (Some(usual), Some(maximum)) => Some(usual.min(maximum)),
            (Some(usual), None) => Some(usual),
            (None, maximum) => maximum,
        };
        if wanted != current {
            set(limit.resource, wanted);
        }
    }
    set(Resource::Nproc, getrlimit(Resource::Nproc).maximum);
    // A program that crashes leaves no file, and a shell says nothing of one.
    set(Resource::Core, Some(0));
}

/// Up to the maximum, everybody may.
fn set(resource: Resource, current: Option<u64>) {
    let limit = getrlimit(resource);
    let _ = setrlimit(resource, Rlimit { current, ..limit });
}

/// Whether what is allowed is enough.
///
/// # Errors
/// The first limit that is too low.
pub fn check() -> Result<(), Tight> {
    for limit in &LIMITS {
        let (Some(maximum), (size, unit)) = (getrlimit(limit.resource).maximum, limit.unit) else {
            continue;
        };
        if maximum < limit.needed {
            let (has, needs) = (maximum / size, limit.needed / size);
            let Limit { what, option, .. } = limit;
            return Err(tight(
                format!("{what} is limited to {has}{unit} here, and the lab takes {needs}"),
                &format!("where `ulimit -H {option}` tells at least {needs}"),
            ));
        }
    }
    if !may_start(PROCESSES) {
        let bound = match getrlimit(Resource::Nproc).current {
            Some(all) => format!(", of which you may have {all}"),
            None => String::new(),
        };
        return Err(tight(
            format!("the system starts no {PROCESSES} processes and threads more for you{bound}"),
            "when fewer run, or where `ulimit -H -u` tells more",
        ));
    }
    Ok(())
}

fn tight(text: String, place: &str) -> Tight {
    let remedy = format!(
        "start the runner {place}: the limit comes from the shell or the service that started it, \
         from /etc/security/limits.conf or from a container"
    );
    Tight { text, remedy }
}

/// Whether so many more threads can be there at once. A control group may bound them as well as a
/// limit, and what others of this user have counts, so it is tried.
fn may_start(count: usize) -> bool {
    let gate = RwLock::new(());
    thread::scope(|scope| {
        let closed = gate.write();
        let all = (0..count).all(|_| {
            let waits = || drop(gate.read());
            let thread = thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, waits).is_ok()
        });
        drop(closed);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_machine_has_enough() {
        check().unwrap();
    }
}
