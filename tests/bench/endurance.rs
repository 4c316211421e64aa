//! The whole book again and again in one process of the runner:
//! `cargo bench --bench endurance -- 200`.
//!
//! Each round replays every chapter and compares it with its snapshot. After each round the process
//! is looked at from outside: its memory, its open files, its threads and its children. At the end
//! nothing may be left in the folder for temporary files, and no process that had it in its
//! environment. `LOAD=4` adds four processes that do nothing but work.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;
use std::{fmt, fs};

use book::chapter;

/// The process that replays, as the kernel sees it.
struct Sample {
    /// Resident memory of its own, in KiB.
    memory: u64,
    /// Open file descriptors.
    files: usize,
    threads: u64,
    children: usize,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory,
            files,
            threads,
            children,
        } = self;
        write!(
            f,
            "{memory} KiB, {files} files, {threads} threads, {children} children"
        )
    }
}

fn main() -> ExitCode {
    let rounds: usize = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(200);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let chapters = chapter::paths(root).unwrap().len();
    let names: Vec<String> = (1..=chapters).map(|number| number.to_string()).collect();
    let load = std::env::var("LOAD").map_or(0, |count| count.parse().expect("LOAD is a number"));
    let load: Vec<Load> = (0..load).map(|_| Load::start()).collect();
    let scratch = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut verify = Command::new(env!("CARGO_BIN_EXE_runner"))
        .arg("verify")
        .args((0..rounds).flat_map(|_| &names))
        .current_dir(root)
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut replays, mut same) = (0, 0);
    let mut samples = Vec::new();
    for line in BufReader::new(verify.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if !line.starts_with("chapter ") {
            // Where something differs, the difference follows.
            println!("{line}");
            continue;
        }
        replays += 1;
        if line.contains(": the same") {
            same += 1;
        } else {
            println!("{line}");
        }
        if replays % chapters == 0 {
            let sample = sample(verify.id());
            println!(
                "{} of {rounds} rounds, {} of {replays} replays the same, {} s; {sample}",
                replays / chapters,
                same,
                start.elapsed().as_secs()
            );
            samples.push(sample);
        }
    }
    let code = verify.wait().unwrap();
    drop(load);
    let left = left(scratch.path());
    println!("left behind: {left:?}");
    println!("the runner after the first round: {}", samples[0]);
    println!("after the last: {}", samples[samples.len() - 1]);
    let sound = code.success() && same == rounds * chapters && left.is_empty();
    ExitCode::from(u8::from(!sound))
}

fn sample(pid: u32) -> Sample {
    let folder = Path::new("/proc").join(pid.to_string());
    let status = fs::read_to_string(folder.join("status")).unwrap();
    let number = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let word = line.and_then(|rest| rest.split_whitespace().next());
        word.and_then(|word| word.parse().ok())
            .expect("proc(5) names it")
    };
    let threads = fs::read_dir(folder.join("task")).unwrap();
    let children = threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .map(|children| children.split_whitespace().count());
    Sample {
        memory: number("RssAnon:"),
        files: fs::read_dir(folder.join("fd")).unwrap().count(),
        threads: number("Threads:"),
        children: children.sum(),
    }
}

/// What is left: files in the folder for temporary ones, and processes that had it in their
/// environment.
fn left(scratch: &Path) -> Vec<String> {
    let files = fs::read_dir(scratch).unwrap();
    let files = files.map(|entry| entry.unwrap().path().display().to_string());
    let mark = format!("TMPDIR={}", scratch.display());
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let folder = entry.ok()?.path();
        let environment = fs::read(folder.join("environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        let marked = variables.any(|variable| variable == mark.as_bytes());
        marked.then(|| folder.display().to_string())
    });
    files.chain(processes).collect()
}

/// A process that keeps a processor busy.
struct Load(Child);

impl Load {
    fn start() -> Self {
        let busy = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn();
        Self(busy.expect("sh is there"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
