//! A book of one chapter in a temporary repository, with the lab of the real one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The real repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

pub struct Book {
    pub folder: tempfile::TempDir,
}

impl Book {
    /// A book whose chapter 5 has these steps, without their numbers.
    pub fn new(steps: &[&str]) -> Self {
        let lines: Vec<_> = (1..)
            .zip(steps)
            .map(|(n, step)| format!("<!-- cmdrun runner show 5.{n} {step} -->\n"))
            .collect();
        Self::with_text(format!("# Five\n\n```console\n{}```\n", lines.concat()).as_bytes())
    }

    /// A book whose chapter 5 is this file.
    pub fn with_text(text: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("chapters")).unwrap();
        std::fs::write(root.join("book.toml"), "").unwrap();
        std::fs::write(root.join("chapters/05-five.md"), text).unwrap();
        for shared in ["kernel-configs", "rootfs"] {
            std::os::unix::fs::symlink(repository().join(shared), root.join(shared)).unwrap();
        }
        Self { folder }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    pub fn snapshot(&self) -> PathBuf {
        self.folder.path().join("tests/snapshots/6.1/05-five.snap")
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn prints(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "no {text:?} in {self:#?}");
        self
    }

    #[track_caller]
    pub fn complains(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:#?}");
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}
