//! The runner of *The Ship of Theseus*: it replays the steps of a chapter in a deterministic QEMU
//! guest, compares what they print with the recorded snapshot, and shows it on the rendered page.

pub mod apt;
pub mod busybox;
pub mod cache;
pub mod clean;
pub mod cli;
pub mod cpio;
pub mod fetch;
pub mod kernel;
pub mod packages;
pub mod pins;
pub mod progress;
pub mod recipe;
pub mod rootfs;
pub mod setup;
pub mod sources;
