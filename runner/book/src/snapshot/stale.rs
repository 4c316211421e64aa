//! Whether a step of a chapter is the one that was recorded.

use std::path::Path;

use lab::transcript::Record;
use lab::transcript::step::{Step, Terminal};

use crate::snapshot::{self, Snapshot};

/// The record of `step`, when it is the same step.
///
/// # Errors
/// What differs between the chapter and the snapshot, and how to make them agree.
pub fn check<'a>(step: &Step, snapshot: &'a Snapshot) -> Result<&'a Record, String> {
    let id = step.id;
    let remedy = format!(
        "replay it with `cargo run -p runner -- chapter {0}`, then record it with \
         `cargo run -p runner -- record {0}`",
        id.chapter
    );
    let Some(record) = snapshot.record(id) else {
        return Err(format!("step {id} was never recorded; {remedy}"));
    };
    let stale = |recorded: String, now: String| {
        Err(format!(
            "step {id} is {now}, and the snapshot has {recorded}; {remedy}"
        ))
    };
    if (record.terminal, &record.command) != (step.terminal, &step.command) {
        return stale(
            typed(record.terminal, &record.command),
            typed(step.terminal, &step.command),
        );
    }
    if record.output.status != step.status {
        return stale(
            format!("exit status {}", record.output.status),
            format!("expected to end with exit status {}", step.status),
        );
    }
    let stdout = &record.output.stdout;
    if let Some(text) = step.keep.iter().find(|text| !stdout.contains(*text)) {
        let message = format!("step {id}: keep={text}: none of its lines holds this text");
        return Err(message);
    }
    Ok(record)
}

/// Says that a chapter has no snapshot.
#[must_use]
pub fn never_recorded(name: &str, number: u32) -> String {
    format!(
        "no step of this chapter was recorded: {} does not exist; record it with \
         `cargo run -p runner -- record {number}`",
        snapshot::path(Path::new(""), lab::SERIES, name).display()
    )
}

fn typed(terminal: Terminal, command: &str) -> String {
    match command {
        "" => format!("a look at `{terminal}`"),
        _ => format!("`{terminal} {command}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str) -> String {
        let snapshot = Snapshot::parse(
            "\n5.1 gdb backtrace 6\n| #0 f ()\n= 0\n\n5.2 guest false\n= 1\n\n5.3 gdb\n= 0\n",
        )
        .unwrap();
        let step = Step::parse(&lab::transcript::words::split(line).unwrap(), 1).unwrap();
        check(&step, &snapshot).map_or_else(|error| error.to_string(), |_| "same".to_owned())
    }

    #[test]
    fn a_step_is_the_recorded_one_or_says_how_it_differs() {
        for (line, part) in [
            ("5.1 gdb backtrace 6", "same"),
            ("5.1 last=3 gdb backtrace 6", "same"),
            ("5.1 keep=#0 gdb backtrace 6", "same"),
            ("5.1 keep=#1 gdb backtrace 6", "keep=#1: none of its lines"),
            ("5.2 status=1 guest false", "same"),
            ("5.3 gdb", "same"),
            (
                "5.1 gdb backtrace 7",
                "is `gdb backtrace 7`, and the snapshot has `gdb backtrace 6`",
            ),
            ("5.1 guest backtrace 6", "is `guest backtrace 6`"),
            (
                "5.1 gdb",
                "is a look at `gdb`, and the snapshot has `gdb backtrace 6`",
            ),
            (
                "5.2 guest false",
                "expected to end with exit status 0, and the snapshot has exit status 1",
            ),
            ("5.4 gdb x", "step 5.4 was never recorded; replay"),
        ] {
            let said = check_line(line);
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
