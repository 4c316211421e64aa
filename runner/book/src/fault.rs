//! What can be wrong with the book, and where.

use std::fmt;
use std::path::PathBuf;

/// A fault of a file of the book, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, relative to the repository.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// The faults of a file, or of several; never empty.
#[derive(Debug)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// The errors of the book that a caller tells apart: each of them says that what was written is
/// wrong. All others say that a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A page is wrong.
    #[error("{0}")]
    Faults(Faults),
    /// The book has no such chapter.
    #[error("{0}")]
    NoChapter(String),
    /// A step cannot be shown: the snapshot does not hold it, or holds another one in its place.
    #[error("{0}")]
    Stale(String),
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

impl Error {
    /// The faults, if the error is that a page is wrong; else the error.
    ///
    /// # Errors
    /// Any other error.
    pub fn faults(error: anyhow::Error) -> anyhow::Result<Vec<Fault>> {
        match error.downcast()? {
            Self::Faults(Faults(faults)) => Ok(faults),
            other => Err(other.into()),
        }
    }
}
