//! A program that is tried: bounded in time, with all that it starts, and with what it says kept.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lab::system::process::{Process, drain, set_nonblocking};
use lab::system::sandbox::{Sandbox, View};

/// How long a program may take that answers at once on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait for the end of a program that was killed. One that is stuck in the kernel has
/// none.
const LAST_RITES: Duration = Duration::from_secs(1);

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about, in one line.
    pub stderr: String,
}

/// Runs a program of this machine to its end.
///
/// # Errors
/// As [`run`].
pub fn on_machine(words: &[&str]) -> Result<Ended, String> {
    run(&Sandbox::Machine.view(), words, PATIENCE)
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started, or has not ended within `patience`.
pub fn run<S: AsRef<OsStr>>(view: &View, words: &[S], patience: Duration) -> Result<Ended, String> {
    let name = words[0].as_ref().to_string_lossy();
    let until = Instant::now() + patience;
    let mut process = start(view, words)?;
    let told = |error: anyhow::Error| format!("{name}: {error:#}");
    let mut stdout = process.child.stdout.take().ok_or("no standard output")?;
    let mut stderr = process.child.stderr.take().ok_or("no standard error")?;
    set_nonblocking(&stdout).map_err(told)?;
    set_nonblocking(&stderr).map_err(told)?;
    let (mut printed, mut complained) = (Vec::new(), Vec::new());
    loop {
        // Asked before the pipes are read: what it wrote before its end is in them.
        let status = process.ended().map_err(told)?;
        printed.extend(drain(&mut stdout).map_err(told)?.0);
        complained.extend(drain(&mut stderr).map_err(told)?.0);
        if let Some(status) = status {
            let stderr = in_one_line(&complained);
            // The program is started by sh or by env, which end so if there is none.
            let none = ["exec: ", "env: "].into_iter();
            let mut none = none.filter_map(|word| Some(stderr.split_once(word)?.1));
            return match none.next() {
                Some(why) if status.code() == Some(127) => Err(format!("cannot run {why}")),
                _ => Ok(Ended {
                    status: status.code(),
                    stdout: String::from_utf8_lossy(&printed).into_owned(),
                    stderr,
                }),
            };
        }
        if Instant::now() > until {
            let stuck = if bury(process) {
                ""
            } else {
                ", and could not even be killed"
            };
            return Err(format!(
                "{name} was not done after {} s{stuck}",
                patience.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts a program, as [`run`] does.
///
/// # Errors
/// When it cannot be started.
pub fn start<S: AsRef<OsStr>>(view: &View, words: &[S]) -> Result<Process, String> {
    let started = view.start(words, |command| {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    });
    started.map_err(|error| format!("{error:#}"))
}

/// Kills a process, and says whether it has ended. One that has not is left behind, since waiting
/// for it could take for ever.
pub fn bury(mut process: Process) -> bool {
    process.kill();
    let until = Instant::now() + LAST_RITES;
    while Instant::now() < until {
        if matches!(process.ended(), Ok(Some(_))) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    std::mem::forget(process);
    false
}

fn in_one_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let begun = Instant::now();
        let words = ["sh", "-c", "trap '' TERM; sleep 1000 & wait; sleep 1000"];
        let error = run(&Sandbox::Machine.view(), &words, Duration::from_millis(100)).unwrap_err();
        assert_eq!(error, "sh was not done after 0 s");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_there_is_not_cannot_be_started() {
        let error = on_machine(&["there-is-none"]).unwrap_err();
        assert!(error.contains("cannot run there-is-none"), "{error}");
    }

    #[test]
    fn both_streams_and_the_status_are_told() {
        let words = ["sh", "-c", "echo out; echo a >&2; echo b >&2; exit 3"];
        let ended = on_machine(&words).unwrap();
        let Ended {
            status,
            stdout,
            stderr,
        } = ended;
        assert_eq!((status, &*stdout, &*stderr), (Some(3), "out\n", "a; b"));
    }
}
