//! What a run may leave behind: processes, namespaces, sockets, mounts, files.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{self, Book, Ran};
use crate::processes::{self, command_line};

/// A folder for the temporary files of some runs, by whose name their processes are found.
pub struct Place(tempfile::TempDir);

/// What cannot be seen any more once its last process has ended.
#[derive(Debug, Default)]
pub struct Held {
    namespaces: BTreeSet<PathBuf>,
    sockets: BTreeSet<String>,
}

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// The private folder of the only run.
    pub fn private(&self) -> PathBuf {
        let mut all = fs::read_dir(self.path()).unwrap();
        all.next().unwrap().unwrap().path()
    }

    /// Runs a command to its end; nothing may be left of it.
    #[track_caller]
    pub fn run(&self, mut command: Command) -> Ran {
        command.env("TMPDIR", self.path());
        let ran = Ran::of(command);
        self.is_clean(&Held::default());
        ran
    }

    /// Starts a command whose output is kept.
    pub fn start(&self, mut command: Command) -> Child {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).env("TMPDIR", self.path());
        command.spawn().unwrap()
    }

    /// Starts the replay of a book's chapter, and reads on until this step has begun.
    #[track_caller]
    pub fn start_until(&self, book: &Book, step: &str) -> Child {
        let mut child = self.start(book.command(&["chapter", "5"]));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if lines.any(|line| line.unwrap().contains(step)) {
            return child;
        }
        panic!("{step} has not begun: {:#?}", ended(child));
    }

    /// The processes that were started in this place, and those that they have started.
    pub fn processes(&self) -> Vec<u32> {
        processes::of_place(self.path())
    }

    /// The processes whose command line begins so.
    pub fn named(&self, name: &str) -> Vec<u32> {
        let mut all = self.processes();
        all.retain(|pid| command_line(*pid).starts_with(name));
        all
    }

    /// The one process whose command line begins so, awaited.
    #[track_caller]
    pub fn one(&self, name: &str) -> u32 {
        let mut found = Vec::new();
        wait_until(&format!("one {name}"), || {
            found = self.named(name);
            found.len() == 1
        });
        found[0]
    }

    /// What the processes hold now.
    pub fn held(&self) -> Held {
        let mut held = Held::default();
        for pid in self.processes() {
            held.namespaces.extend(links(pid, "ns"));
            let sockets = links(pid, "fd").into_iter().filter_map(|link| {
                let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
                Some(inode.to_owned())
            });
            held.sockets.extend(sockets);
        }
        for ours in links(std::process::id(), "ns") {
            held.namespaces.remove(&ours);
        }
        held
    }

    /// Waits for the end of all that a run has started and made: the system ends a process some
    /// time after it was killed.
    #[track_caller]
    pub fn is_clean(&self, held: &Held) {
        let mut left = Vec::new();
        // The system gives the number of a namespace that is gone to the next one, which may be
        // another test's.
        let ended = processes::uptime();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            left = self.left(held, ended);
            if left.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("left behind: {left:#?}");
    }

    fn left(&self, held: &Held, ended: u64) -> Vec<String> {
        let processes = self.processes();
        let mut left: Vec<String> = processes
            .iter()
            .map(|pid| format!("process {pid}: {}", command_line(*pid)))
            .collect();
        let is_older = |pid: &u32| processes::started(*pid).is_some_and(|start| start <= ended);
        for pid in processes::all().into_iter().filter(is_older) {
            let inside = links(pid, "ns");
            let inside = inside.iter().filter(|ns| held.namespaces.contains(*ns));
            left.extend(inside.map(|ns| format!("process {pid} in {}", ns.display())));
        }
        let sockets = fs::read_to_string("/proc/net/unix").unwrap();
        let sockets = sockets.lines().filter(|line| {
            let inode = line.split_whitespace().nth(6);
            inode.is_some_and(|inode| held.sockets.contains(inode))
        });
        left.extend(sockets.map(|socket| format!("socket {socket}")));
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mounts = mounts.lines().filter(|line| line.contains(self.path()));
        left.extend(mounts.map(|mount| format!("mount {mount}")));
        let files = fs::read_dir(self.path()).unwrap();
        left.extend(files.map(|file| format!("file {}", file.unwrap().path().display())));
        left
    }
}

/// Where the links in a folder of the process lead.
pub fn links(pid: u32, folder: &str) -> Vec<PathBuf> {
    let Ok(all) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join(folder)) else {
        return Vec::new();
    };
    let links = all.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.collect()
}

pub fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How a child has ended, whose standard output may have been read in part.
pub fn ended(child: Child) -> Ran {
    Ran::from(fixture::ended(child))
}
