//! A build as a reader would type it: shell commands, one after the other, in one folder and one
//! environment, with everything they print in a log.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use fs_err::{self as fs, OpenOptions};

use crate::system::process::{Process, WATCHED};

/// How much of the log is shown when a command fails.
const TAIL_LINES: usize = 20;
/// The folder for temporary files, beside the log.
const TEMPORARY: &str = "temporary";

/// Runs a command line in `folder` with only `environment` (and the reader's `PATH` and `HOME`)
/// set, and appends it and what it prints to `log`. `seen` gets each line. When the runner ends,
/// however it ends, all that the line has started ends, too.
///
/// The rest of the reader's environment is kept out on purpose: a stray `ARCH`, `CFLAGS` or
/// `KBUILD_OUTPUT` would build something else under the same key. A path goes into the environment,
/// not into the line: it may hold a quote.
pub fn run(
    line: &str,
    folder: &Path,
    environment: &[(impl AsRef<OsStr>, impl AsRef<OsStr>)],
    log: &Path,
    mut seen: impl FnMut(&str),
) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(log)?;
    let mut note = |text: &str| Ok(writeln!(file, "{text}")?);
    note(&format!("$ {line}"))?;
    // A compiler that is killed leaves what it was writing, and here it is found by the next run.
    let temporary = log.with_file_name(TEMPORARY);
    let _ = fs::remove_dir_all(&temporary);
    fs::create_dir(&temporary)?;
    let kept = ["PATH", "HOME"].into_iter();
    let kept = kept.filter_map(|name| Some((name, std::env::var_os(name)?)));
    let prepare = |command: &mut Command| {
        command
            .args(["sh", "-c", line])
            .current_dir(folder)
            .env_clear()
            .envs(kept)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("TMPDIR", &temporary);
    };
    let status = watched(prepare, |text| {
        seen(text);
        note(text)
    });
    let status = status.with_context(|| format!("`{line}`"))?;
    let _ = fs::remove_dir_all(&temporary);
    if status.success() {
        return Ok(());
    }
    bail!(
        "`{line}` failed ({status}) in {}\n{}the whole log is {}",
        folder.display(),
        tail(log),
        log.display()
    )
}

/// Runs what `prepare` makes the arguments of a command, with each line that it prints given to
/// `seen`. When the runner ends, however it ends, all that the command has started ends, too.
///
/// # Errors
/// When it cannot be started; what `seen` says.
pub fn watched(
    prepare: impl FnOnce(&mut Command),
    mut seen: impl FnMut(&str) -> Result<()>,
) -> Result<ExitStatus> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let errors = writer.try_clone().context("cannot share a pipe")?;
    let mut process = Process::start(WATCHED[0], |command| {
        command
            .args(&WATCHED[1..])
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(errors);
        prepare(command);
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
    process.child.wait().context("cannot wait for its end")
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

    const NONE: &[(&str, &str)] = &[];

    #[test]
    fn lines_are_seen_and_logged() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        let environment = [("GREETING".to_owned(), "hello".to_owned())];
        let mut seen = Vec::new();
        run(
            "echo $GREETING; echo there >&2",
            temp.path(),
            &environment,
            &log,
            |line| seen.push(line.to_owned()),
        )
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
        let error = run("seq 30; exit 3", temp.path(), NONE, &log, |_| {})
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
