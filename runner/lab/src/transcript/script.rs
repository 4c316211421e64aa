//! What a replay is told to do.

use std::path::Path;

use crate::transcript::step::{Step, Terminal};

/// The steps of a replay, in order, and the file in which they stand: errors name it, nobody reads
/// it.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    /// The file, relative to the repository.
    pub path: &'a Path,
    /// The steps, in order.
    pub steps: &'a [Step],
}

impl Script<'_> {
    /// Whether one of its steps is typed there.
    #[must_use]
    pub fn has(&self, terminal: Terminal) -> bool {
        self.steps.iter().any(|step| step.terminal == terminal)
    }
}
