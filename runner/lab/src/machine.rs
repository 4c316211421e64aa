//! The guest and what looks at it: QEMU, gdb, the agent, the shells, the wire.

pub mod gdb;
pub mod lab;
pub mod mi;
pub mod qemu;
pub mod report;
pub mod session;
pub mod shell;
pub mod window;
pub mod wire;
