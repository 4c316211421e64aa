//! What a test starts, and a book of one chapter in a temporary repository, with the lab of the
//! real one.

use book::snapshot::Snapshot;
use lab::transcript::step::Step;
use lab::transcript::{Record, Transcript};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The real repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Has `env` start a program that heeds signals: whoever starts the tests may ignore some (`nohup`,
/// `&` in a script, many a CI), and what a process ignores is ignored by all that it starts.
pub const HEEDING: &str = "--default-signal=HUP,INT,QUIT,TERM,PIPE";

/// The runner, which heeds signals.
pub fn runner() -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.args([HEEDING, env!("CARGO_BIN_EXE_runner")]);
    command
}

/// How long a command of a test may take. It is far more than any takes, so that each test has an
/// end.
const END: Duration = Duration::from_secs(600);

/// How a child has ended, and what it said. One that does not end is killed, and fails the test.
#[track_caller]
pub fn ended(child: Child) -> Output {
    let pid = Pid::from_child(&child);
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(output) = told.recv_timeout(END) else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("a command has not ended within {END:?}");
    };
    output.unwrap()
}

/// Does this with all of them at once, where most of the time is spent in waiting.
pub fn at_once<T: Sync>(all: &[T], each: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for one in all {
            scope.spawn(|| each(one));
        }
    });
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
        let mut command = runner();
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// Keeps what a replay of chapter 5 has printed with `--json` as its snapshot. That is less
    /// than `record` does, which replays it ten times.
    pub fn keep(&self, ran: &Ran) {
        let path = self.snapshot();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, from_json(&ran.json()).file("05-five")).unwrap();
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
    /// Runs a command to its end.
    #[track_caller]
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Self::from(ended(command.stderr(Stdio::piped()).spawn().unwrap()))
    }

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

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let read = serde_json::from_str(&self.stdout);
        read.unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

/// The transcript that `--json` printed, in the form of a snapshot.
pub fn from_json(json: &serde_json::Value) -> Snapshot {
    let steps = json["steps"].as_array().unwrap();
    let records = steps.iter().map(|step| {
        let words =
            ["step", "terminal", "command"].map(|key| step[key].as_str().unwrap().to_owned());
        let step_parsed = Step::parse(&words, 1).unwrap();
        Record::new(&step_parsed, serde_json::from_value(step.clone()).unwrap())
    });
    let provenance = json["provenance"].as_object().unwrap().iter();
    let provenance = provenance.map(|(name, value)| (name.clone(), value.as_str().unwrap().into()));
    let frames = json["frames"].as_array();
    let frames = frames.map(|all| all.iter().map(|f| f.as_str().unwrap().parse().unwrap()));
    let transcript = Transcript {
        records: records.collect(),
        frames: frames.map(Iterator::collect),
    };
    Snapshot {
        provenance: provenance.collect(),
        transcript,
    }
    .of_kind(false)
}
