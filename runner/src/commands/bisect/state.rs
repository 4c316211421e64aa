//! What a bisection has found so far, in a file beside its work tree: a run that is cut short is
//! gone on with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use book::snapshot::Snapshot;
use fs_err as fs;
use lab::system::files::write_whole;
use serde::{Deserialize, Serialize};

const FILE: &str = "bisect.json";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The step.
    pub step: String,
    /// The commit at which it is as it was.
    pub good: String,
    /// The later one at which it is not.
    pub bad: String,
    /// The hash of what is typed up to the step, and of the machine on which.
    pub replay: String,
}

/// What a commit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The step is as at `good`.
    Good,
    /// It is not.
    Bad,
    /// Nothing can be said, for this reason.
    Skip(String),
}

/// A commit that was tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tried {
    /// Its hash.
    pub commit: String,
    /// What it is.
    pub verdict: Verdict,
    /// Whether it could be built.
    pub is_built: bool,
    /// What the steps have printed, as a snapshot, if it was replayed.
    pub printed: Option<String>,
    /// How long that took.
    pub took: Duration,
}

/// The file.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    kept: Kept,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    question: Question,
    tried: Vec<Tried>,
}

impl Verdict {
    /// What git calls it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Skip(_) => "skip",
        }
    }
}

impl Tried {
    /// What the steps have printed, if it was replayed.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn snapshot(&self) -> Result<Option<Snapshot>> {
        let parsed = self.printed.as_deref().map(Snapshot::parse);
        parsed.transpose().context("what a bisection has kept")
    }
}

impl State {
    /// What was found so far of this question, in this folder. Of another one nothing is kept.
    #[must_use]
    pub fn of(folder: &Path, question: Question) -> Self {
        let path = folder.join(FILE);
        let read = || serde_json::from_slice::<Kept>(&fs::read(&path).ok()?).ok();
        let kept = read().filter(|kept| kept.question == question);
        let tried = Vec::new();
        let kept = kept.unwrap_or(Kept { question, tried });
        Self { path, kept }
    }

    /// The commits that were tried, in this order.
    #[must_use]
    pub fn tried(&self) -> &[Tried] {
        &self.kept.tried
    }

    /// What was found of a commit.
    #[must_use]
    pub fn get(&self, commit: &str) -> Option<&Tried> {
        self.tried().iter().find(|tried| tried.commit == commit)
    }

    /// Keeps what was found of a commit.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&mut self, tried: Tried) -> Result<()> {
        self.kept.tried.push(tried);
        write_whole(&self.path, &serde_json::to_vec(&self.kept)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_kept_for_the_same_question() {
        let folder = tempfile::tempdir().unwrap();
        let question = |step: &str| Question {
            step: step.to_owned(),
            good: "a".to_owned(),
            bad: "b".to_owned(),
            replay: "1".to_owned(),
        };
        let of = |step| State::of(folder.path(), question(step));
        assert_eq!(of("5.1").tried().len(), 0);
        let tried = Tried {
            commit: "c".to_owned(),
            verdict: Verdict::Skip("it does not boot".to_owned()),
            is_built: true,
            printed: None,
            took: Duration::from_millis(1500),
        };
        of("5.1").keep(tried.clone()).unwrap();
        let kept = of("5.1");
        let found = kept.get("c").unwrap();
        assert_eq!(found.verdict, tried.verdict);
        assert_eq!((found.took, found.is_built), (tried.took, true));
        assert_eq!(of("5.2").tried().len(), 0);
        // A disk that has lost a part of it costs what was found, and nothing else.
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(of("5.1").tried().len(), 0);
    }
}
