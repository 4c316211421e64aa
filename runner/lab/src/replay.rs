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
use crate::packet::window;
use crate::replay::workdir::Workdir;
use crate::system::process::Signals;
use crate::system::sandbox::View;
use crate::transcript::capture::Frame;
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
    /// The step could not be typed, for this reason, in a replay that goes on.
    Skip(&'a Step, &'a str),
}

/// What a replay does with a step that is not as the chapter has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It ends, with an error: the chapter is wrong.
    Fails,
    /// It goes on at the next step that can be typed: the machine is another, and what it does is
    /// what somebody wants to know.
    Counts,
}

/// What has gone wrong so far in a replay that goes on.
#[derive(Default)]
struct Troubles {
    machine_ended: bool,
    late: usize,
}

/// After so many steps that did not end in time nothing more can be expected.
const LATE_MAX: usize = 2;

/// A replay under way: the machine, the reader's shell, and what was printed so far.
#[derive(Debug)]
pub struct Replay<'a> {
    script: Script<'a>,
    root: PathBuf,
    lab: Lab,
    view: View,
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
            root: root.to_owned(),
            lab: lab.clone(),
            view: lab.view(workdir.path()),
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
    /// [`UnexpectedStatus`], and a disk that is full. If what is otherwise counts, only what no
    /// other machine can be the cause of.
    pub fn run_first(
        &mut self,
        count: usize,
        otherwise: Otherwise,
        watch: &mut dyn FnMut(&Event<'_>),
    ) -> anyhow::Result<()> {
        let script = self.script;
        let fails = otherwise == Otherwise::Fails;
        let mut troubles = Troubles::default();
        for step in &script.steps[..count] {
            watch(&Event::Begin(step));
            let start = Instant::now();
            let output = match troubles.machine_ended && step.terminal != Terminal::Host {
                true => Err(Error::MachineEnded("the machine is lost".to_owned()).into()),
                false => self.run(step, &mut |_| {}),
            };
            // What a full disk has cut off would look like a kernel that does something else.
            let room = self.workdir.check_room();
            let output = match output {
                Err(error) if !fails => self.after(step, error, &mut troubles),
                output => output.map(Ok),
            };
            let output = output.and_then(|output| room.map(|()| output));
            let output = match output.with_context(|| place(script, step))? {
                Ok(output) => output,
                Err(why) => {
                    if let Some(session) = &mut self.session {
                        session.skip(step);
                    }
                    watch(&Event::Skip(step, &why));
                    continue;
                }
            };
            let record = Record::new(step, output);
            watch(&Event::End(step, &record, start.elapsed()));
            if fails && record.output.status != step.status {
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

    /// What a step comes to that could not be done as the chapter has it: what it printed, or why
    /// it was not typed.
    ///
    /// # Errors
    /// With the error, if no other machine can be the cause of it.
    fn after(
        &mut self,
        step: &Step,
        error: anyhow::Error,
        troubles: &mut Troubles,
    ) -> anyhow::Result<Result<Output, String>> {
        if step.terminal == Terminal::Host || Error::is_interrupted(&error) {
            return Err(error);
        }
        if troubles.machine_ended {
            return Ok(Err(format!("{error:#}")));
        }
        match Error::of(&error) {
            Some(Error::Unprinted {
                stdout,
                stderr,
                status,
                ..
            }) => {
                return Ok(Ok(Output {
                    stdout: stdout.clone(),
                    stderr: stderr.clone(),
                    status: *status,
                    guest_ns: None,
                }));
            }
            Some(Error::Misuse(_)) => {
                // As a reader would: see what gdb has said, and let the machine run on.
                match self.session()?.make_way(step) {
                    Ok(false) => return Ok(Err(format!("{error:#}"))),
                    Ok(true) => match self.run(step, &mut |_| {}) {
                        Ok(output) => return Ok(Ok(output)),
                        Err(error) if matches!(Error::of(&error), Some(Error::Misuse(_))) => {
                            return Ok(Err(format!("{error:#}")));
                        }
                        Err(error) => return self.after(step, error, troubles),
                    },
                    Err(error) => return self.after(step, error, troubles),
                }
            }
            _ => {}
        }
        let output = self.left_over(step);
        let output = Output {
            stderr: output.stderr + &format!("{error:#}\n"),
            status: -1,
            ..output
        };
        // Where a command goes on that cannot be ended, nothing can follow on the machine.
        troubles.machine_ended = match Error::of(&error) {
            Some(Error::Overrun(_)) => false,
            Some(Error::Late(_) | Error::Flood(_)) => {
                troubles.late += 1;
                troubles.late > LATE_MAX || !self.end_command(step.terminal)
            }
            _ => true,
        };
        Ok(Ok(output))
    }

    /// Ends a command that does not end by itself, as Ctrl-C would; tells whether it could.
    fn end_command(&mut self, terminal: Terminal) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        let ended = match terminal {
            Terminal::Guest | Terminal::Server => session
                .load_scripts()
                .and_then(|()| session.interrupt_guest(terminal)),
            _ => self.interrupt(terminal).map(|_| true),
        };
        ended.unwrap_or(false)
    }

    /// What a command has printed whose end was not waited for.
    fn left_over(&mut self, step: &Step) -> Output {
        match &mut self.session {
            Some(session) => session.left_over(step.terminal),
            None => Output::default(),
        }
    }

    /// Runs a step, of the chapter or of the reader's, for somebody who watches the window of a
    /// shell.
    ///
    /// # Errors
    /// What [`Session::run`], [`Shell::run`] and [`window::play`] say.
    pub fn run(&mut self, step: &Step, watch: Watch<'_>) -> anyhow::Result<Output> {
        if let Some(packet) = step.packet() {
            return window::play(&packet, self.workdir.path(), &self.root, &self.lab);
        }
        match step.terminal {
            Terminal::Host => {
                if self.host.is_none() {
                    // Chapter 1 types what builds the kernel, in its tree.
                    let places = self.lab.kernel.places.iter();
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
            _ => self.session()?.hold()?,
        }
        Ok(stopped)
    }

    /// The frames that have passed the wire by now, if there is a machine, and a step looks at it.
    ///
    /// # Errors
    /// What [`Session::frames`] says.
    pub fn frames(&self) -> anyhow::Result<Option<Vec<Frame>>> {
        let session = self.session.as_ref();
        let session = session.filter(|_| self.script.has(Terminal::Wire));
        session.map(Session::frames).transpose()
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
            let session = Session::start(
                &self.view,
                &self.lab.turns,
                &on_machine,
                self.debugger,
                self.signals,
            )?;
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
    otherwise: Otherwise,
    signals: &Signals,
    watch: &mut dyn FnMut(&Event<'_>),
) -> anyhow::Result<Transcript> {
    let mut replay = Replay::new(root, script, lab, Debugger::AsNeeded, signals)?;
    replay.run_first(count, otherwise, watch)?;
    let session = &replay.session;
    if otherwise == Otherwise::Fails
        && count == script.steps.len()
        && let Some(session) = session
        && let Some(unseen) = session.unseen()?
    {
        return Err(Error::Misuse(unseen)).with_context(|| script.path.display().to_string());
    }
    let frames = match (replay.frames(), otherwise) {
        // A machine that is lost may leave a part of a frame.
        (Err(_), Otherwise::Counts) => None,
        (frames, _) => frames?,
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
