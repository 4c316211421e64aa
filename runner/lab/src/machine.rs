//! The guest and what looks at it: QEMU, gdb, the agent, the shells, the wire.

pub mod agent;
pub mod gdb;
pub mod mi;
pub mod oops;
pub(crate) mod processor;
pub mod qemu;
pub mod session;
pub(crate) mod shell;
pub mod tap;
pub(crate) mod window;
pub(crate) mod wire;
