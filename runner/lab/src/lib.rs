//! The lab of *The Ship of Theseus*: it builds the machine, and drives it. It knows no Markdown, no
//! book and no command line.
//!
//! The folders stand in the order in which they build on each other: a folder uses those before it.

mod error;
pub mod system;

pub mod transcript;

pub mod build;

pub mod machine;

pub mod program;

pub mod packet;

pub mod replay;

pub use error::Error;

/// The kernel series of the book; it names the configuration and the folder of the snapshots.
pub const SERIES: &str = "6.1";
