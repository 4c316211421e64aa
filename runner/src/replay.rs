//! The replay of a chapter: its steps, in order, in their terminals.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::chapter::Chapter;
use crate::desk::{Desk, Parts};
use crate::process::Signals;
use crate::session::Session;
use crate::shell::{Shell, WATCHED};
use crate::step::{Step, Terminal};
use crate::transcript::{Record, Transcript};

/// A step that ended with another exit status than the chapter expects.
#[derive(Debug)]
pub struct UnexpectedStatus {
    found: i32,
    step: Step,
}

impl fmt::Display for UnexpectedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "exit status {} where the chapter expects {}; if it is meant, write status={} before `{}`",
            self.found, self.step.status, self.found, self.step.terminal
        )
    }
}

impl std::error::Error for UnexpectedStatus {}

/// What happens in a replay, as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// The step's command is typed now.
    Begin(&'a Step),
    /// The step has ended, after this much real time.
    End(&'a Step, &'a Record, Duration),
}

/// Replays the first `count` steps of the chapter and gives what they printed. `watch` is told of each
/// step as it begins and ends.
///
/// # Errors
/// With the place of the step in the chapter's file: what [`Session::run`] and [`Shell::run`] say, and
/// [`UnexpectedStatus`].
pub fn replay(
    root: &Path,
    chapter: &Chapter,
    count: usize,
    parts: &Parts,
    signals: &Signals,
    watch: &mut dyn FnMut(&Event<'_>),
) -> anyhow::Result<Transcript> {
    let desk = Desk::lay_out(root, parts, &chapter.steps)?;
    let on_machine: Vec<&Step> = chapter
        .steps
        .iter()
        .filter(|step| step.terminal != Terminal::Host)
        .collect();
    let mut session = None;
    let mut host = None;
    let mut records = Vec::new();
    for step in &chapter.steps[..count] {
        watch(&Event::Begin(step));
        let start = Instant::now();
        let output = match step.terminal {
            Terminal::Host => run_on_host(&mut host, desk.path(), step, signals),
            _ => {
                if session.is_none() {
                    session = Some(Session::start(desk.path(), &on_machine, signals)?);
                }
                session.as_mut().expect("it was just made").run(step)
            }
        };
        let output = output.with_context(|| place(chapter, step))?;
        let record = Record::new(step, output);
        watch(&Event::End(step, &record, start.elapsed()));
        if record.output.status != step.status {
            let error = UnexpectedStatus {
                found: record.output.status,
                step: step.clone(),
            };
            return Err(error).with_context(|| place(chapter, step));
        }
        records.push(record);
    }
    if count == chapter.steps.len()
        && let Some(session) = &session
        && let Some(unseen) = session.unseen()?
    {
        anyhow::bail!("{}: {unseen}", chapter.path.display());
    }
    let frames = match &session {
        Some(session) if chapter.has(Terminal::Wire) => Some(session.frames()?),
        _ => None,
    };
    Ok(Transcript { records, frames })
}

fn run_on_host(
    host: &mut Option<Shell>,
    folder: &Path,
    step: &Step,
    signals: &Signals,
) -> anyhow::Result<crate::transcript::Output> {
    if host.is_none() {
        *host = Some(Shell::start(Terminal::Host, &WATCHED, folder)?);
    }
    host.as_mut().expect("it was just made").run(step, signals)
}

fn place(chapter: &Chapter, step: &Step) -> String {
    let command = if step.command.is_empty() {
        "(look)"
    } else {
        &step.command
    };
    format!(
        "{}:{}: step {} `{} {command}`",
        chapter.path.display(),
        step.line,
        step.id,
        step.terminal
    )
}
