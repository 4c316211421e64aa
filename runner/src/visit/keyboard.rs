//! One window at a time: lines are read plainly from a pipe, or from a terminal through the line
//! editor.
//!
//! A read blocks, and a signal must be able to end the visit all the same. In a pipe a line is
//! therefore waited for together with the signals. The editor reads on a thread of its own, which
//! is left behind when a signal comes; the terminal gets its modes back here.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context as _;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;

use super::editor::{Editor, Next, Pressed};
use super::frontend::{Complete, Frontend, Situation, Typed};
use crate::screen::{self, Prompt};
use lab::system::process::{Signals, drain, set_nonblocking};
use lab::transcript::Output;
use lab::transcript::step::{Step, Terminal};

/// Whether somebody sits at a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The one place where all windows are typed into and shown.
#[derive(Debug)]
pub struct Keyboard<'a> {
    signals: &'a Signals,
    lines: Lines,
}

/// Where lines come from.
#[derive(Debug)]
enum Lines {
    /// Standard input is no terminal.
    Pipe(Pipe),
    Editor(OnTerminal),
}

impl<'a> Keyboard<'a> {
    /// The editor where there is a terminal; `folder` keeps the histories of what was typed.
    ///
    /// # Errors
    /// When the editor cannot be started.
    pub fn new(folder: PathBuf, signals: &'a Signals) -> anyhow::Result<Self> {
        let lines = match is_terminal() {
            true => Lines::Editor(OnTerminal::start(folder)?),
            false => Lines::Pipe(Pipe::default()),
        };
        Ok(Self { signals, lines })
    }
}

impl Frontend for Keyboard<'_> {
    fn read(
        &mut self,
        window: Terminal,
        _: &Situation,
        complete: Complete<'_>,
    ) -> anyhow::Result<(Terminal, Typed)> {
        let typed = match &mut self.lines {
            Lines::Pipe(pipe) => pipe.read(self.signals)?,
            Lines::Editor(editor) => editor.read(window, self.signals, complete)?,
        };
        Ok((window, typed))
    }

    fn heading(&mut self, step: &Step, own: bool) {
        // What is typed on a terminal is there already.
        if !own || matches!(self.lines, Lines::Pipe(_)) {
            screen::heading(step);
        }
    }

    fn output(&mut self, _: Terminal, output: &Output) {
        screen::output(output);
    }

    fn tell(&mut self, _: Terminal, text: &str) {
        eprintln!("{text}");
    }

    fn aside(&mut self, _: Terminal, text: &str) {
        screen::aside(text);
    }

    fn go_to(&mut self, _: Terminal, why: &str) {
        screen::aside(why);
    }

    fn ways(&self) -> &'static str {
        "the window that you type into (Ctrl-O: the next one)"
    }
}

/// Standard input that is no terminal.
#[derive(Debug, Default)]
struct Pipe {
    pending: Vec<u8>,
    closed: bool,
}

impl Pipe {
    fn read(&mut self, signals: &Signals) -> anyhow::Result<Typed> {
        let input = std::io::stdin();
        loop {
            let end = self.pending.iter().position(|byte| *byte == b'\n');
            let end =
                end.or((self.closed && !self.pending.is_empty()).then_some(self.pending.len()));
            if let Some(end) = end {
                let line: Vec<u8> = self.pending.drain(..end).collect();
                self.pending.drain(..self.pending.len().min(1));
                let line = String::from_utf8(line);
                return Ok(line.map_or(Typed::NotText, |line| {
                    Typed::Line(line.trim_end_matches('\r').to_owned())
                }));
            }
            if self.closed {
                return Ok(Typed::End);
            }
            signals.wait(&[input.as_fd()], None, String::new)?;
            let mut chunk = [0; 4096];
            let count = rustix::io::retry_on_intr(|| rustix::io::read(&input, &mut chunk))
                .context("read what is typed")?;
            self.pending.extend(&chunk[..count]);
            self.closed = count == 0;
        }
    }
}

/// What the editor's thread says.
enum Said {
    Pressed(Result<Pressed, ReadlineError>),
    /// Tab was pressed behind this.
    Complete(String),
}

/// A line that the editor is asked for: the window, its prompt, and what stands on the line
/// already.
type Ask = (Terminal, Prompt, String);

/// The editor, on its thread.
#[derive(Debug)]
struct OnTerminal {
    asks: Sender<Ask>,
    said: Receiver<Said>,
    woken: UnixStream,
    answers: Sender<Vec<String>>,
    /// What stood on the line when the reader went to another window.
    begun: String,
    /// The terminal's modes outside of the editor.
    modes: Termios,
}

impl OnTerminal {
    fn start(folder: PathBuf) -> anyhow::Result<Self> {
        let modes = tcgetattr(std::io::stdin()).context("read the terminal's modes")?;
        let (woken, wake) = UnixStream::pair().context("make the pipe for the editor")?;
        set_nonblocking(&woken)?;
        let (asks, asked) = channel::<Ask>();
        let (say, said) = channel();
        let (answers, answered) = channel();
        // Nobody may listen any more, when the visit has ended.
        let speak = move |what| {
            let _ = say.send(what);
            let _ = (&wake).write(&[0]);
        };
        let tells = std::sync::Arc::new(speak);
        let asks_back = tells.clone();
        let complete = move |begun: &str| {
            asks_back(Said::Complete(begun.to_owned()));
            answered.recv().unwrap_or_default()
        };
        let mut editor = Editor::new(folder, Box::new(complete), Next::EndsLine)?;
        std::thread::spawn(move || {
            while let Ok((window, prompt, begun)) = asked.recv() {
                tells(Said::Pressed(editor.read(window, prompt, &begun)));
            }
        });
        Ok(Self {
            asks,
            said,
            woken,
            answers,
            begun: String::new(),
            modes,
        })
    }

    fn read(
        &mut self,
        window: Terminal,
        signals: &Signals,
        complete: Complete<'_>,
    ) -> anyhow::Result<Typed> {
        let begun = std::mem::take(&mut self.begun);
        let asked = self.asks.send((window, screen::prompt(window), begun));
        asked.context("ask the editor for a line")?;
        Ok(match self.wait(window, signals, complete)? {
            Pressed::Enter(line) => Typed::Line(line),
            Pressed::NextWindow(line) => {
                self.begun = line;
                Typed::NextWindow
            }
            Pressed::CtrlC => Typed::CtrlC,
            Pressed::CtrlD => Typed::End,
        })
    }

    fn wait(
        &mut self,
        window: Terminal,
        signals: &Signals,
        complete: Complete<'_>,
    ) -> anyhow::Result<Pressed> {
        loop {
            match signals.wait(&[self.woken.as_fd()], None, String::new) {
                // A SIGINT from elsewhere; the key itself comes as a character.
                Err(_) if signals.take_ctrl_c()? => continue,
                Err(error) => {
                    println!();
                    return Err(error);
                }
                Ok(()) => {}
            }
            drain(&mut &self.woken)?;
            while let Ok(said) = self.said.try_recv() {
                match said {
                    Said::Pressed(pressed) => return pressed.context("read what is typed"),
                    Said::Complete(begun) => {
                        let answer = self.answers.send(complete(window, &begun)?);
                        answer.context("answer the editor")?;
                    }
                }
            }
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.modes);
    }
}
