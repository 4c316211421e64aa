//! Faults of the machine, each injected: what is said, how the runner ends, and that nothing is left of it.

mod death;
mod guest;
mod impostor;
mod kill;
mod prison;
mod traces;

#[path = "../replay/fixture.rs"]
#[allow(dead_code, reason = "some of the fixture is for other tests")]
mod fixture;
