//! The runner of *The Ship of Theseus*: it replays the steps of a chapter in a deterministic QEMU
//! guest, compares what they print with the recorded snapshot, and shows it on the rendered page.

pub mod apt;
pub mod buffer;
pub mod busybox;
pub mod cache;
pub mod capture;
pub mod chapter;
pub mod clean;
pub mod cli;
pub mod cmdrun;
pub mod cpio;
pub mod desk;
pub mod doctor;
pub mod drawing;
pub mod fetch;
pub mod gdb;
pub mod kernel;
pub mod lab;
pub mod mdbook;
pub mod meaning;
pub mod mi;
pub mod packages;
pub mod page;
pub mod pins;
pub mod play;
pub mod preprocess;
pub mod process;
pub mod progress;
pub mod provenance;
pub mod qemu;
pub mod recipe;
pub mod record;
pub mod renumber;
pub mod replay;
pub mod report;
pub mod root;
pub mod rootfs;
pub mod screen;
pub mod sequence;
pub mod session;
pub mod setup;
pub mod shell;
pub mod show;
pub mod snapshot;
pub mod sources;
pub mod step;
pub mod tools;
pub mod transcript;
pub mod verdict;
pub mod verify;
pub mod window;
pub mod wire;
pub mod words;

/// The kernel series of the book; it names the configuration and the folder of the snapshots.
pub const SERIES: &str = "6.1";
