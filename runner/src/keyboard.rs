//! What the reader types, line by line: read plainly from a pipe, and on a terminal through an editor with history and completion.
//!
//! A read blocks, and a signal must be able to end the visit all the same. In a pipe a line is therefore waited for together
//! with the signals. The editor reads on a thread of its own, which is left behind when a signal comes; the terminal gets its
//! modes back here.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event,
    EventContext, EventHandler, Helper, KeyEvent, RepeatCount,
};

use crate::process::{Late, Signals, drain};
use crate::screen::Prompt;

/// The key that goes to the next window.
pub const NEXT_WINDOW: &str = "Ctrl-O";
/// How many commands the history keeps.
const HISTORY_MAX: usize = 2000;
/// So many completions are shown without being asked for again.
const SHOWN_MAX: usize = 100;

/// What came from the reader.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line, without its end.
    Line(String),
    /// The key for the next window, and what stood on the line.
    NextWindow(String),
    /// Something that is no text: the line must be typed again.
    NotText,
    /// Ctrl-D, or the end of the pipe.
    End,
}

/// Where lines come from.
#[derive(Debug)]
pub enum Keyboard {
    /// Standard input is no terminal.
    Pipe(Pipe),
    /// The editor.
    Terminal(Terminal),
}

impl Keyboard {
    /// The editor where there is a terminal; `history` is the file that keeps what was typed.
    ///
    /// # Errors
    /// When the editor cannot be started.
    pub fn new(history: PathBuf) -> anyhow::Result<Self> {
        let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        Ok(match on_terminal {
            true => Self::Terminal(Terminal::start(history)?),
            false => Self::Pipe(Pipe::default()),
        })
    }

    /// Whether what is typed is on the screen already.
    #[must_use]
    pub fn echoes(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Waits for a line. On a terminal `prompt` stands before it, and the line begins with `begun`; `complete` is asked for the whole lines
    /// that a beginning could become.
    ///
    /// # Errors
    /// [`crate::process::Interrupted`] on a signal other than Ctrl-C, which begins a new line; input that cannot be read.
    pub fn read(
        &mut self,
        prompt: &Prompt,
        begun: &str,
        signals: &Signals,
        complete: &mut dyn FnMut(&str) -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<Typed> {
        match self {
            Self::Pipe(pipe) => pipe.read(signals),
            Self::Terminal(terminal) => terminal.read(prompt, begun, signals, complete),
        }
    }
}

/// Waits for one of the pipes, as long as it takes.
fn wait(pipe: std::os::fd::BorrowedFd<'_>, signals: &Signals) -> anyhow::Result<()> {
    loop {
        let until = Instant::now() + Duration::from_secs(3600);
        match signals.wait(&[pipe], until, String::new) {
            Err(error) if error.is::<Late>() => {}
            waited => return waited,
        }
    }
}

/// Standard input that is no terminal.
#[derive(Debug, Default)]
pub struct Pipe {
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
            wait(input.as_fd(), signals)?;
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
    Read(Result<Typed, ReadlineError>),
    /// Tab was pressed behind this.
    Complete(String),
}

/// The editor, on its thread.
#[derive(Debug)]
pub struct Terminal {
    asks: Sender<(Prompt, String)>,
    said: Receiver<Said>,
    woken: UnixStream,
    answers: Sender<Vec<String>>,
    /// The terminal's modes outside of the editor.
    modes: Termios,
}

impl Terminal {
    fn start(history: PathBuf) -> anyhow::Result<Self> {
        let modes = tcgetattr(std::io::stdin()).context("read the terminal's modes")?;
        let (woken, wake) = UnixStream::pair().context("make the pipe for the editor")?;
        crate::process::set_nonblocking(&woken)?;
        let (asks, asked) = channel::<(Prompt, String)>();
        let (say, said) = channel();
        let (answers, answered) = channel();
        let speaker = Speaker { say, wake };
        let mut editor = editor(speaker.try_clone()?, answered)?;
        // A history that is not there yet, or cannot be kept, is no reason not to go on.
        let _ = editor.load_history(&history);
        std::thread::spawn(move || {
            while let Ok((prompt, begun)) = asked.recv() {
                let read = read_line(&mut editor, prompt, &begun);
                if let Ok(Typed::Line(line)) = &read
                    && editor.add_history_entry(line.as_str()).unwrap_or(false)
                {
                    let _ = editor.append_history(&history);
                }
                speaker.say(Said::Read(read));
            }
        });
        Ok(Self {
            asks,
            said,
            woken,
            answers,
            modes,
        })
    }

    fn read(
        &mut self,
        prompt: &Prompt,
        begun: &str,
        signals: &Signals,
        complete: &mut dyn FnMut(&str) -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<Typed> {
        let ask = (prompt.clone(), begun.to_owned());
        self.asks.send(ask).context("ask the editor for a line")?;
        loop {
            match wait(self.woken.as_fd(), signals) {
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
                    Said::Read(read) => return read.context("read what is typed"),
                    Said::Complete(begun) => {
                        let answer = self.answers.send(complete(&begun)?);
                        answer.context("answer the editor")?;
                    }
                }
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.modes);
    }
}

/// The thread's way to speak.
struct Speaker {
    say: Sender<Said>,
    wake: UnixStream,
}

impl Speaker {
    fn try_clone(&self) -> anyhow::Result<Self> {
        let wake = self.wake.try_clone();
        Ok(Self {
            say: self.say.clone(),
            wake: wake.context("share the pipe for the editor")?,
        })
    }

    /// Nobody may listen any more, when the visit has ended.
    fn say(&self, said: Said) {
        let _ = self.say.send(said);
        let _ = (&self.wake).write(&[0]);
    }
}

type Lines = Editor<Reader, FileHistory>;

fn editor(speaker: Speaker, answered: Receiver<Vec<String>>) -> anyhow::Result<Lines> {
    let coloured = match anstream::AutoStream::choice(&std::io::stdout()) {
        anstream::ColorChoice::Never => ColorMode::Disabled,
        _ => ColorMode::Enabled,
    };
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_prompt_limit(SHOWN_MAX)
        .max_history_size(HISTORY_MAX)
        .and_then(|config| config.history_ignore_dups(true))
        .context("set up the history")?
        .color_mode(coloured)
        // Each pasted line is a command of its own.
        .bracketed_paste(false)
        .build();
    let mut editor = Lines::with_config(config).context("start the line editor")?;
    let pressed = Arc::new(AtomicBool::new(false));
    let next = NextWindow(pressed.clone());
    editor.bind_sequence(
        KeyEvent::ctrl('O'),
        EventHandler::Conditional(Box::new(next)),
    );
    editor.set_helper(Some(Reader {
        speaker,
        answered,
        pressed,
        prompt: Prompt::default(),
    }));
    Ok(editor)
}

fn read_line(editor: &mut Lines, prompt: Prompt, mut begun: &str) -> Result<Typed, ReadlineError> {
    let plain = prompt.plain.clone();
    if let Some(helper) = editor.helper_mut() {
        helper.prompt = prompt;
    }
    loop {
        match editor.readline_with_initial(&plain, (begun, "")) {
            Ok(line) => {
                let pressed = editor.helper().map(|helper| &helper.pressed);
                let next = pressed.is_some_and(|pressed| pressed.swap(false, Ordering::SeqCst));
                return Ok(match next {
                    true => Typed::NextWindow(line),
                    false => Typed::Line(line),
                });
            }
            Err(ReadlineError::Eof) => return Ok(Typed::End),
            // Ctrl-C: the line is given up.
            Err(ReadlineError::Interrupted) => begun = "",
            Err(error) => return Err(error),
        }
    }
}

/// Remembers that the line ends for the next window's sake.
struct NextWindow(Arc<AtomicBool>);

impl ConditionalEventHandler for NextWindow {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        self.0.store(true, Ordering::SeqCst);
        Some(Cmd::AcceptLine)
    }
}

/// What the editor asks while a line is typed.
struct Reader {
    speaker: Speaker,
    answered: Receiver<Vec<String>>,
    pressed: Arc<AtomicBool>,
    prompt: Prompt,
}

impl Completer for Reader {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        self.speaker.say(Said::Complete(line[..pos].to_owned()));
        let whole = self.answered.recv().unwrap_or_default();
        let pairs = whole.into_iter().map(|replacement| Pair {
            display: replacement
                .rsplit([' ', '\t'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            replacement,
        });
        Ok((0, pairs.collect()))
    }
}

impl Highlighter for Reader {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        default: bool,
    ) -> Cow<'b, str> {
        match default {
            true => Cow::Borrowed(&self.prompt.coloured),
            false => Cow::Borrowed(prompt),
        }
    }
}

impl Hinter for Reader {
    type Hint = String;
}

impl Validator for Reader {}

impl Helper for Reader {}
