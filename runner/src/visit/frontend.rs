//! Where the reader sits: where lines come from, and where what happens is shown.
//!
//! What a line does is the visit's affair, and the same at every frontend.

use lab::transcript::Output;
use lab::transcript::step::{Step, Terminal};

/// What came from the reader.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line, without its end.
    Line(String),
    /// The key for the next window.
    NextWindow,
    /// Ctrl-C, on an empty line.
    CtrlC,
    /// Something that is no text: the line must be typed again.
    NotText,
    /// Ctrl-D, or the end of the input.
    End,
}

/// How the windows stand while a line is waited for.
#[derive(Debug, Default)]
pub struct Situation {
    /// Whether gdb holds the machine.
    pub held: bool,
    /// The windows in which a command goes on, and its step.
    pub busy: Vec<(Terminal, String)>,
    /// Whether the machine has ended.
    pub over: bool,
}

/// Finds the whole lines that the beginning of one could become in a window.
pub type Complete<'a> = &'a mut dyn FnMut(Terminal, &str) -> anyhow::Result<Vec<String>>;

/// A place to type at. Windows may be there all at once, or one at a time.
pub trait Frontend {
    /// Waits for a line, and tells into which window it was typed. `window` is the one in which the
    /// reader is expected.
    ///
    /// # Errors
    /// [`lab::system::process::Interrupted`] on a signal; input that cannot be read.
    fn read(
        &mut self,
        window: Terminal,
        now: &Situation,
        complete: Complete<'_>,
    ) -> anyhow::Result<(Terminal, Typed)>;

    /// A command runs in the window from now on: Ctrl-C there is meant for it.
    fn begin(&mut self, _window: Terminal) {}

    /// The command has ended.
    fn end(&mut self) {}

    /// The window in which Ctrl-C was pressed for the command that runs, if not in its own.
    fn interrupter(&self) -> Option<Terminal> {
        None
    }

    /// Shows what is typed in a step; `own` says that the reader has typed it in the step's window.
    fn heading(&mut self, step: &Step, own: bool);

    /// Shows what the window has printed.
    fn output(&mut self, window: Terminal, output: &Output);

    /// Says something to who types into the window.
    fn tell(&mut self, window: Terminal, text: &str);

    /// Says something beside it.
    fn aside(&mut self, window: Terminal, text: &str);

    /// Brings the reader to another window, and says why if that is not plain to see.
    fn go_to(&mut self, window: Terminal, why: &str);

    /// What the help says about going from window to window.
    fn ways(&self) -> &'static str;

    /// Whether all windows can be seen at once.
    fn shows_all(&self) -> bool {
        false
    }

    /// Whether the reader has left while a command ran.
    fn is_left(&self) -> bool {
        false
    }
}
