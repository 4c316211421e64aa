//! A build as a reader would type it: shell commands, one after the other, in one folder and one
//! environment, with everything they print in a log.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use fs_err::{self as fs, OpenOptions};

use crate::system::process::{Process, WATCHED};
use crate::system::sandbox::View;

/// Where the builds have their log, in the folder of their entry.
pub const LOG: &str = "build.log";
/// How much of the log is shown when a command fails.
const TAIL_LINES: usize = 20;
/// The folder for temporary files, beside the log.
const TEMPORARY: &str = "temporary";

/// Runs a command line where `view` begins, and appends it and what it prints to `log`, which lies
/// in a folder that the view can write to. `seen` gets each line. When the runner ends, however it
/// ends, all that the line has started ends, too.
///
/// The reader's environment is kept out on purpose: a stray `ARCH`, `CFLAGS` or `KBUILD_OUTPUT`
/// would build something else under the same key. A path goes into the environment, not into the
/// line: it may hold a quote.
pub fn run(line: &str, view: &View, log: &Path, mut seen: impl FnMut(&str)) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(log)?;
    let mut note = |text: &str| Ok(writeln!(file, "{text}")?);
    note(&format!("$ {line}"))?;
    // A compiler that is killed leaves what it was writing, and here it is found by the next run.
    let temporary = log.with_file_name(TEMPORARY);
    let _ = fs::remove_dir_all(&temporary);
    fs::create_dir(&temporary)?;
    let inside = view.sandbox().inside(&temporary);
    let view = view.clone().with_variable("TMPDIR", inside);
    let status = read_lines(
        |command| view.start(&["sh", "-c", line], command),
        |text| {
            seen(text);
            note(text)
        },
    );
    let status = status.with_context(|| format!("`{line}`"))?;
    let _ = fs::remove_dir_all(&temporary);
    if status.success() {
        return Ok(());
    }
    bail!(
        "`{line}` failed ({status})\n{}the whole log is {}",
        tail(log),
        log.display()
    )
}

/// Runs what `prepare` makes the arguments of a command of this machine, with each line that it
/// prints given to `seen`. When the runner ends, however it ends, all that the command has started
/// ends, too.
///
/// # Errors
/// When it cannot be started; what `seen` says.
pub fn watched(
    prepare: impl FnOnce(&mut Command),
    seen: impl FnMut(&str) -> Result<()>,
) -> Result<ExitStatus> {
    let start = |pipes: &mut dyn FnMut(&mut Command)| {
        Process::start(WATCHED[0], |command| {
            command.args(&WATCHED[1..]);
            pipes(command);
            prepare(command);
        })
    };
    read_lines(start, seen)
}

/// Gives `seen` each line of what is started with the pipes for that.
fn read_lines(
    start: impl FnOnce(&mut dyn FnMut(&mut Command)) -> Result<Process>,
    mut seen: impl FnMut(&str) -> Result<()>,
) -> Result<ExitStatus> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let errors = writer.try_clone().context("cannot share a pipe")?;
    let mut pipes = Some((writer, errors));
    let mut process = start(&mut |command| {
        if let Some((writer, errors)) = pipes.take() {
            command.stdin(Stdio::null()).stdout(writer).stderr(errors);
        }
    })?;
    let mut lines = BufReader::new(reader);
    let mut bytes = Vec::new();
    while lines
        .read_until(b'\n', &mut bytes)
        .context("cannot read what it prints")?
        > 0
    {
        seen(String::from_utf8_lossy(&bytes).trim_end())?;
        bytes.clear();
    }
    process.wait()
}

/// The last lines of a log, indented.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    last.iter().map(|line| format!("  | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::system::sandbox::Sandbox;

    #[test]
    fn lines_are_seen_and_logged() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        let view = Sandbox::Machine.view().starting_in(temp.path());
        let view = view.with_variable("GREETING", "hello");
        let mut seen = Vec::new();
        run("echo $GREETING; echo there >&2", &view, &log, |line| {
            seen.push(line.to_owned());
        })
        .unwrap();
        assert_eq!(seen, ["hello", "there"]);
        assert_eq!(
            std::fs::read_to_string(&log).unwrap(),
            "$ echo $GREETING; echo there >&2\nhello\nthere\n"
        );
    }

    #[test]
    fn failure_shows_the_end_of_the_log() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        let view = Sandbox::Machine.view().starting_in(temp.path());
        let error = run("seq 30; exit 3", &view, &log, |_| {})
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("  | 30") && error.contains("  | 11") && !error.contains("  | 10\n"),
            "{error}"
        );
        assert!(
            error.contains("exit status: 3") && error.contains(&log.display().to_string()),
            "{error}"
        );
    }
}
