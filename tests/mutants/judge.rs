//! What the chapters say of a kernel.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::repository;

/// What a chapter says of a kernel.
#[derive(Debug)]
pub struct Said {
    /// The steps that behave otherwise: with the first line that does, and the whole difference.
    pub otherwise: Vec<(String, String, String)>,
    /// How many steps could not be reached.
    pub unreached: usize,
    /// Why there was no replay.
    pub failed: Option<String>,
}

impl Said {
    /// Whether the chapter says that it is another kernel.
    pub fn is_other(&self) -> bool {
        !self.otherwise.is_empty() || self.unreached > 0 || self.failed.is_some()
    }

    /// Where it notices first, in a line.
    pub fn first(&self) -> String {
        let Some((step, line, _)) = self.otherwise.first() else {
            let failed = self.failed.as_deref().unwrap_or("steps were not reached");
            return failed.lines().next().unwrap_or_default().to_owned();
        };
        format!("{step}: {line}")
    }
}

/// The runner, about to replay a chapter.
fn runner(chapter: u32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
    command
        .args(["chapter", &chapter.to_string(), "--json"])
        .current_dir(repository());
    command
}

/// Replays a chapter on the kernel of a tree.
///
/// A kernel that hangs or panics ends the replay. So does a disk that is full, which a second
/// replay and one on the book's own kernel tell, and a machine that is too busy for a step.
pub fn replay(tree: &Path, chapter: u32) -> Said {
    let first = replay_once(tree, chapter);
    if first.failed.is_none() {
        return first;
    }
    let second = replay_once(tree, chapter);
    if let Some(why) = &second.failed {
        let book = runner(chapter).output().unwrap();
        assert!(book.status.success(), "nor does the book's kernel: {why}");
    }
    second
}

fn replay_once(tree: &Path, chapter: u32) -> Said {
    let output = runner(chapter).arg("--kernel").arg(tree).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let whole: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let list = |name: &str| {
        let found = whole
            .as_ref()
            .and_then(|whole| whole["result"][name].as_array());
        found.cloned().unwrap_or_default()
    };
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let otherwise = list("steps");
    let said = Said {
        otherwise: otherwise
            .iter()
            .map(|step| (text(step, "step"), text(step, "line"), text(step, "diff")))
            .collect(),
        unreached: list("unreached").len(),
        failed: whole.is_none().then_some(said),
    };
    if said.failed.is_none() {
        assert_eq!(output.status.code(), Some(i32::from(said.is_other())));
    }
    said
}
