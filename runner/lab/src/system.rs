//! This machine: processes, files, progress and questions, on which every other folder stands.

pub mod ask;
pub mod files;
pub mod limits;
pub mod process;
pub mod progress;
pub mod sandbox;
pub mod scratch;
mod stage;
