//! The replay of a chapter: its steps, in order, in their terminals; and whatever somebody types
//! after them.

pub mod own_kernel;
pub mod provenance;
pub mod workdir;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::Error;
use crate::build::setup::Lab;
use crate::machine::session::{Debugger, Session};
use crate::machine::shell::Shell;
use crate::machine::window::Watch;
use crate::replay::workdir::Workdir;
use crate::system::process::Signals;
use crate::system::sandbox::View;
use crate::transcript::script::Script;
use crate::transcript::step::{Step, Terminal, Until};
use crate::transcript::{Output, Record, Transcript};

/// What has become of a command that was cut short.
#[derive(Debug, Default)]
pub struct Stopped {
    /// What it had printed, where no look shows it.
    pub output: Output,
    /// What the reader should know.
    pub note: Option<&'static str>,
}

/// What happens in a replay, as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// The step's command is typed now.
    Begin(&'a Step),
    /// The step has ended, after this much real time.
    End(&'a Step, &'a Record, Duration),
}

/// A replay under way: the machine, the reader's shell, and what was printed so far.
#[derive(Debug)]
pub struct Replay<'a> {
    script: Script<'a>,
    view: View,
    kernel: Vec<PathBuf>,
    signals: &'a Signals,
    debugger: Debugger,
    session: Option<Session<'a>>,
    host: Option<Shell>,
    /// The steps that ran.
    pub records: Vec<Record>,
    // The folder goes last, when nothing runs in it any more.
    workdir: Workdir,
}

impl<'a> Replay<'a> {
    /// Lays everything out; nothing runs yet.
    ///
    /// # Errors
    /// When a part of the lab is missing, or the private folder cannot be written.
    pub fn new(
        root: &Path,
        script: Script<'a>,
        lab: &Lab,
        debugger: Debugger,
        signals: &'a Signals,
    ) -> anyhow::Result<Self> {
        let workdir = Workdir::lay_out(root, lab, script.steps)?;
        Ok(Self {
            script,
            view: lab.view(workdir.path()),
            kernel: lab.kernel.places.clone(),
            signals,
            debugger,
            session: None,
            host: None,
            records: Vec::new(),
            workdir,
        })
    }

    /// Runs the first `count` steps of the chapter. `watch` is told of each as it begins and ends.
    ///
    /// # Errors
    /// With the place of the step in the chapter's file: what [`Replay::run`] says,
    /// [`UnexpectedStatus`], and a disk that is full.
    pub fn run_first(
        &mut self,
        count: usize,
        watch: &mut dyn FnMut(&Event<'_>),
    ) -> anyhow::Result<()> {
        let script = self.script;
        for step in &script.steps[..count] {
            watch(&Event::Begin(step));
            let start = Instant::now();
            let output = self.run(step, &mut |_| {}).and_then(|output| {
                // What a full disk has cut off would look like a kernel that does something else.
                self.workdir.check_room()?;
                Ok(output)
            });
            let output = output.with_context(|| place(script, step))?;
            let record = Record::new(step, output);
            watch(&Event::End(step, &record, start.elapsed()));
            if record.output.status != step.status {
                let error = Error::UnexpectedStatus {
                    found: record.output.status,
                    expected: step.status,
                    terminal: step.terminal.word(),
                };
                return Err(error).with_context(|| place(script, step));
            }
            self.records.push(record);
        }
        Ok(())
    }

    /// Runs a step, of the chapter or of the reader's, for somebody who watches the window of a
    /// shell.
    ///
    /// # Errors
    /// What [`Session::run`] and [`Shell::run`] say.
    pub fn run(&mut self, step: &Step, watch: Watch<'_>) -> anyhow::Result<Output> {
        match step.terminal {
            Terminal::Host => {
                if self.host.is_none() {
                    // Chapter 1 types what builds the kernel, in its tree.
                    let places = self.kernel.iter();
                    let view =
                        places.fold(self.view.clone(), |view, place| view.with_writable(place));
                    self.host = Some(Shell::start(Terminal::Host, &view)?);
                }
                let host = self.host.as_mut().expect("it was just made");
                let done = host.run_watched(step, self.signals, watch);
                if let Err(error) = &done
                    && let Some(Error::ShellEnded(_)) = Error::of(error)
                {
                    self.host = None;
                }
                done
            }
            _ => self.session()?.run(step, watch),
        }
    }

    /// Ctrl-C in a window: in a shell it ends the command that runs, and one of this machine's that
    /// does not come back is replaced; in gdb's window it stops the machine. Tells what has become
    /// of it.
    ///
    /// # Errors
    /// What [`Session::stop`], [`Session::interrupt_guest`] and [`Shell::interrupt`] say.
    pub fn interrupt(&mut self, terminal: Terminal) -> anyhow::Result<Stopped> {
        let mut stopped = Stopped::default();
        match (terminal, &mut self.host) {
            (Terminal::Host, Some(host)) => {
                let ended = host.interrupt(self.signals)?;
                stopped.output = host.window.look(&Until::End);
                if !ended {
                    self.host = None;
                    stopped.note = Some("the shell did not come back from it; a new one begins");
                }
            }
            (Terminal::Lab, _) => {
                if !self.session()?.interrupt_lab()? {
                    stopped.note = Some("the command still runs");
                }
            }
            (Terminal::Guest | Terminal::Server, _) => {
                let session = self.session()?;
                if !session.interrupt_guest(terminal)? {
                    stopped.note = Some(match session.is_held() {
                        true => "the command did not end at Ctrl-C, and gdb has the machine now",
                        false => "the command still runs",
                    });
                }
            }
            _ => self.session()?.stop()?,
        }
        Ok(stopped)
    }

    /// The machine, started if it is not.
    ///
    /// # Errors
    /// When QEMU or gdb do not come up.
    pub fn session(&mut self) -> anyhow::Result<&mut Session<'a>> {
        if self.session.is_none() {
            let steps = self.script.steps.iter();
            let on_machine: Vec<&Step> = steps
                .filter(|step| step.terminal != Terminal::Host)
                .collect();
            let session = Session::start(&self.view, &on_machine, self.debugger, self.signals)?;
            self.session = Some(session);
        }
        Ok(self.session.as_mut().expect("it was just made"))
    }
}

/// Replays the first `count` steps of the chapter and gives what they printed. `watch` is told of
/// each step as it begins and ends.
///
/// # Errors
/// What [`Replay::run_first`] says.
pub fn replay(
    root: &Path,
    script: Script<'_>,
    count: usize,
    lab: &Lab,
    signals: &Signals,
    watch: &mut dyn FnMut(&Event<'_>),
) -> anyhow::Result<Transcript> {
    let mut replay = Replay::new(root, script, lab, Debugger::AsNeeded, signals)?;
    replay.run_first(count, watch)?;
    let session = &replay.session;
    if count == script.steps.len()
        && let Some(session) = session
        && let Some(unseen) = session.unseen()?
    {
        return Err(Error::Misuse(unseen)).with_context(|| script.path.display().to_string());
    }
    let frames = match session {
        Some(session) if script.has(Terminal::Wire) => Some(session.frames()?),
        _ => None,
    };
    Ok(Transcript {
        records: replay.records,
        frames,
    })
}

/// How much of a command an error shows, in characters.
const COMMAND_SHOWN: usize = 200;

fn place(script: Script<'_>, step: &Step) -> String {
    let command = match step.command.char_indices().nth(COMMAND_SHOWN) {
        Some((end, _)) => format!("{}…", &step.command[..end]),
        None if step.command.is_empty() => "(look)".to_owned(),
        None => step.command.clone(),
    };
    format!(
        "{}:{}: step {} `{} {command}`",
        script.path.display(),
        step.line,
        step.id,
        step.terminal
    )
}
