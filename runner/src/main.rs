//! The command line of *The Ship of Theseus*: it replays the steps of a chapter in a deterministic
//! QEMU guest, compares what they print with the recorded snapshot, and shows it on the rendered
//! page.

mod beside;
mod cli;
mod commands;
mod context;
mod doctor;
mod exit;
mod help;
mod ready;
mod repository;
mod screen;
mod stdout;
mod tools;
mod visit;

fn main() -> std::process::ExitCode {
    stdout::guard(cli::main)
}
