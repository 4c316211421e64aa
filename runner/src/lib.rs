//! The runner of *The Ship of Theseus*: it replays the steps of a chapter in a deterministic QEMU
//! guest, compares what they print with the recorded snapshot, and shows it on the rendered page.

pub mod cli;
pub mod commands;
pub mod context;

pub mod doctor;
pub mod exit;
pub mod help;
pub mod root;
pub mod screen;
pub mod stdout;
pub mod tools;
pub mod visit;
