//! The processor that a machine runs on.
//!
//! With time counted in instructions QEMU's two threads take turns, many thousand times a second
//! while the guest is idle, and where another processor has to be woken up for each turn that takes
//! three times as long. So a machine stays on one processor: one that no other machine has, as long
//! as there is one, whichever runner has started it.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::{CpuSet, sched_getaffinity};

/// A processor, and the claim to it.
#[derive(Debug)]
pub struct Processor {
    number: usize,
    /// A socket with the processor's name in Linux's abstract namespace, in which only one can have
    /// it; it goes with its process, however that ends. None where each processor has its machine.
    _claim: Option<UnixDatagram>,
}

impl Processor {
    /// One of those that the runner may use; none where that is not to be had.
    pub fn claimed() -> Option<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let allowed = sched_getaffinity(None).ok()?;
        let allowed = (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number));
        let allowed = Vec::from_iter(allowed);
        let mut claims = allowed.iter().map(|number| (*number, claim(*number)));
        if let Some((number, claim)) = claims.find(|(_, claim)| claim.is_some()) {
            return Some(Self {
                number,
                _claim: claim,
            });
        }
        // Each has a machine already, so they are shared, each in its turn.
        let turn = STARTED.fetch_add(1, Ordering::Relaxed) + std::process::id() as usize;
        let number = *allowed.get(turn.checked_rem(allowed.len())?)?;
        Some(Self {
            number,
            _claim: None,
        })
    }

    /// The words that keep a program there.
    pub fn words(&self) -> [String; 3] {
        ["taskset", "-c", &self.number.to_string()].map(str::to_owned)
    }
}

fn claim(number: usize) -> Option<UnixDatagram> {
    let name = format!("ship-of-theseus/processor/{number}");
    let address = SocketAddr::from_abstract_name(name).ok()?;
    UnixDatagram::bind_addr(&address).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_claimed_once_until_its_machine_has_ended() {
        // A number that no machine has, so that those that run beside this test do not matter.
        let number = CpuSet::MAX_CPU + std::process::id() as usize;
        let first = claim(number);
        assert!(first.is_some());
        assert!(claim(number).is_none());
        drop(first);
        assert!(claim(number).is_some());
    }

    #[test]
    fn whoever_comes_late_shares_one() {
        let allowed = std::thread::available_parallelism().unwrap().get();
        let all: Vec<Processor> = (0..=allowed).filter_map(|_| Processor::claimed()).collect();
        assert_eq!(all.len(), allowed + 1);
        assert!(all.last().unwrap()._claim.is_none());
    }
}
