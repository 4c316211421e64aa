//! The line editor on a terminal: a history for each window, and completion by whoever knows the
//! words.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Context, Event, EventContext,
    EventHandler, ExternalPrinter, Helper, KeyEvent, RepeatCount,
};

use crate::screen::Prompt;
use lab::transcript::step::Terminal;

/// How many commands a history keeps.
const HISTORY_MAX: usize = 2000;
/// So many completions are shown without being asked for again.
const SHOWN_MAX: usize = 100;

/// Finds the whole lines that the beginning of one could become.
pub type Complete = Box<dyn Fn(&str) -> Vec<String> + Send>;

/// How the key for the next window works.
#[derive(Debug, Clone, Copy)]
pub enum Next {
    /// The line ends, and another window has the terminal.
    EndsLine,
    /// The line stays, and this goes to another terminal.
    Goes(fn()),
}

/// What was done at the editor.
#[derive(Debug, PartialEq, Eq)]
pub enum Pressed {
    /// Enter, behind this line.
    Enter(String),
    /// The key for the next window, and what stood on the line.
    NextWindow(String),
    /// Ctrl-C, on an empty line; on another one it gives up the line.
    CtrlC,
    /// Ctrl-D, on an empty line.
    CtrlD,
}

type Lines = rustyline::Editor<Reader, FileHistory>;

/// The editor of this process's terminal.
pub struct Editor {
    lines: Lines,
    config: Config,
    /// The folder that keeps the histories.
    folder: PathBuf,
    /// The histories of the windows that were typed into.
    histories: BTreeMap<Terminal, FileHistory>,
}

impl Editor {
    /// Sets up the terminal's editor; `folder` keeps what was typed, in a file for each window.
    /// `next` says what Ctrl-O does.
    ///
    /// # Errors
    /// When there is no terminal.
    pub fn new(folder: PathBuf, complete: Complete, next: Next) -> anyhow::Result<Self> {
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
        let mut lines = Lines::with_config(config.clone()).context("start the line editor")?;
        let pressed = Arc::new(AtomicBool::new(false));
        let next = NextWindow(next, pressed.clone());
        let emptied = Arc::new(AtomicBool::new(false));
        lines.bind_sequence(
            KeyEvent::ctrl('C'),
            EventHandler::Conditional(Box::new(CtrlC(emptied.clone()))),
        );
        lines.bind_sequence(
            KeyEvent::ctrl('O'),
            EventHandler::Conditional(Box::new(next)),
        );
        lines.set_helper(Some(Reader {
            complete,
            pressed,
            emptied,
            prompt: Prompt::default(),
        }));
        Ok(Self {
            lines,
            config,
            folder,
            histories: BTreeMap::new(),
        })
    }

    /// What prints above the line while it is edited.
    ///
    /// # Errors
    /// When there is no terminal.
    pub fn printer(&mut self) -> anyhow::Result<impl ExternalPrinter + Send + use<>> {
        let printer = self.lines.create_external_printer();
        printer.context("print beside the line editor")
    }

    /// Waits for a line in the window, behind `prompt`; it begins with `begun`.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn read(
        &mut self,
        window: Terminal,
        prompt: Prompt,
        begun: &str,
    ) -> Result<Pressed, ReadlineError> {
        let file = self.folder.join(format!("history-{window}"));
        let mut history = self.histories.remove(&window).unwrap_or_else(|| {
            let mut history = FileHistory::with_config(&self.config);
            // One that is not there yet, or cannot be kept, is no reason not to go on.
            let _ = rustyline::history::History::load(&mut history, &file);
            history
        });
        std::mem::swap(self.lines.history_mut(), &mut history);
        let pressed = self.read_with_history(prompt, begun);
        if let Ok(Pressed::Enter(line)) = &pressed
            && self.lines.add_history_entry(line.as_str()).unwrap_or(false)
        {
            let _ = self.lines.append_history(&file);
        }
        std::mem::swap(self.lines.history_mut(), &mut history);
        self.histories.insert(window, history);
        pressed
    }

    fn read_with_history(
        &mut self,
        prompt: Prompt,
        mut begun: &str,
    ) -> Result<Pressed, ReadlineError> {
        let plain = prompt.plain.clone();
        if let Some(helper) = self.lines.helper_mut() {
            helper.prompt = prompt;
        }
        loop {
            let read = self.lines.readline_with_initial(&plain, (begun, ""));
            let was = |flag: fn(&Reader) -> &AtomicBool| {
                let helper = self.lines.helper();
                helper.is_some_and(|helper| flag(helper).swap(false, Ordering::SeqCst))
            };
            match read {
                Ok(line) if was(|helper| &helper.pressed) => return Ok(Pressed::NextWindow(line)),
                Ok(line) => return Ok(Pressed::Enter(line)),
                Err(ReadlineError::Eof) => return Ok(Pressed::CtrlD),
                Err(ReadlineError::Interrupted) if was(|helper| &helper.emptied) => begun = "",
                Err(ReadlineError::Interrupted) => return Ok(Pressed::CtrlC),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Remembers that the line ends for the next window's sake.
struct NextWindow(Next, Arc<AtomicBool>);

impl ConditionalEventHandler for NextWindow {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        match self.0 {
            Next::EndsLine => {
                self.1.store(true, Ordering::SeqCst);
                Some(Cmd::AcceptLine)
            }
            Next::Goes(go) => {
                go();
                Some(Cmd::Noop)
            }
        }
    }
}

/// Remembers that there was a line to give up.
struct CtrlC(Arc<AtomicBool>);

impl ConditionalEventHandler for CtrlC {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, line: &EventContext) -> Option<Cmd> {
        self.0.store(!line.line().is_empty(), Ordering::SeqCst);
        Some(Cmd::Interrupt)
    }
}

/// What the editor asks while a line is typed.
struct Reader {
    complete: Complete,
    pressed: Arc<AtomicBool>,
    emptied: Arc<AtomicBool>,
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
        let whole = (self.complete)(&line[..pos]);
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
