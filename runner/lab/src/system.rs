//! Processes, private folders and progress: what every other folder stands on.

pub mod process;
pub mod progress;
pub mod scratch;
