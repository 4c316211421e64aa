//! What can be wrong with the book, and where.

use std::fmt;
use std::path::{Path, PathBuf};

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

impl Fault {
    /// A fault of the file at `path`.
    #[must_use]
    pub fn new(path: &Path, line: usize, message: impl Into<String>) -> Self {
        let (path, message) = (path.to_owned(), message.into());
        Self {
            path,
            line,
            message,
        }
    }
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
    /// The book has no such exercise.
    #[error("{0}")]
    NoExercise(String),
    /// A step cannot be shown: the snapshot does not hold it, or holds another one in its place.
    #[error("{0}")]
    Stale(String),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Faults(Faults(vec![fault]))
    }
}

impl Error {
    /// Nothing, if nothing is wrong.
    ///
    /// # Errors
    /// The faults, all at once.
    pub fn unless_empty(faults: Vec<Fault>) -> Result<(), Self> {
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Self::Faults(Faults(faults))),
        }
    }

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
