//! The parts of the lab that touch the world outside: a web server, `cpio`, the runner's own
//! program.

mod cpio;
mod exit;
mod fetch;
mod help;
mod house;
mod program;

#[path = "../support/server.rs"]
mod server;
