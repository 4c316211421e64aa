//! A pane: the process at the terminal of one window, where windows are side by side (tmux starts
//! it).
//!
//! It edits lines and shows what it is told to. All else is the affair of the process that has the
//! session, at the other end of a socket. A pane lives as long as that socket does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use rustyline::ExternalPrinter;
use serde::{Deserialize, Serialize};

use super::editor::{Editor, Next, Pressed};
use crate::screen::Prompt;
use lab::system::process::Signals;
use lab::transcript::step::Terminal;

/// What a pane is told. A message is a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Show these lines.
    Print(String),
    /// Read a line.
    Ask(Prompt),
    /// Call the pane this, in its border.
    Title(String),
    /// So the line that Tab was pressed on could go on.
    Matches(Vec<String>),
}

/// What a pane says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// The pane of the window is there, and tmux calls it this.
    Here {
        /// The window's word.
        window: String,
        /// tmux's name for the pane.
        name: String,
    },
    /// A line was typed.
    Line(String),
    /// Ctrl-C was pressed.
    CtrlC,
    /// Ctrl-D was pressed.
    CtrlD,
    /// Tab was pressed behind this.
    Complete(String),
}

/// Sends a message.
///
/// # Errors
/// When the other end is gone, or does not read.
pub fn send(mut to: &UnixStream, message: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(message).context("pack a message")?;
    line.push('\n');
    to.write_all(line.as_bytes()).context("send a message")
}

/// Reads the messages that come, until the other end is gone.
pub fn received<M: for<'m> Deserialize<'m>>(from: UnixStream) -> impl Iterator<Item = M> {
    let lines = BufReader::new(from).lines();
    lines.map_while(|line| serde_json::from_str(&line.ok()?).ok())
}

/// Which window it is, and whose.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The socket of the process that has the session
    socket: PathBuf,
    /// The window
    window: String,
    /// The folder of the histories
    histories: PathBuf,
}

/// Runs the subcommand.
///
/// # Errors
/// When nobody is at the other end, or there is no terminal.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let window = Terminal::named(&args.window);
    let window = window.with_context(|| format!("there is no window `{}`", args.window))?;
    let signals = Signals::catch()?;
    let socket = UnixStream::connect(&args.socket);
    let socket = socket.with_context(|| format!("connect to {}", args.socket.display()))?;
    let socket = Arc::new(socket);
    let name = std::env::var("TMUX_PANE").context("a pane of tmux has a name in TMUX_PANE")?;
    hide_what_nobody_reads()?;

    let (answers, answered) = channel();
    let asks = socket.clone();
    // One at a time: there is one key to press.
    let answered = Mutex::new(answered);
    let complete = move |begun: &str| -> Vec<String> {
        let asked = send(&asks, &Report::Complete(begun.to_owned()));
        let answered = answered.lock().ok().filter(|_| asked.is_ok());
        answered.and_then(|a| a.recv().ok()).unwrap_or_default()
    };
    let mut editor = Editor::new(args.histories, Box::new(complete), Next::Goes(next_pane))?;
    let printer = editor.printer()?;
    let (prompts, prompted) = channel();
    let (orders, ordered) = channel();
    let reader = socket.try_clone().context("share the socket")?;
    let said = socket.clone();
    std::thread::spawn(move || type_lines(&mut editor, window, &prompted, &said));
    std::thread::spawn(move || obey(printer, &ordered, &prompts));
    send(
        &socket,
        &Report::Here {
            window: args.window,
            name,
        },
    )?;
    std::thread::spawn(move || {
        for order in received(reader) {
            let obeyed = match order {
                // The editor waits for it, and so may who prints.
                Order::Matches(matches) => answers.send(matches).is_ok(),
                other => orders.send(other).is_ok(),
            };
            if !obeyed {
                break;
            }
        }
        // The visit is over, and with this process goes the pane.
        std::process::exit(0);
    });
    loop {
        match signals.wait(&[], None, String::new) {
            // While no line is edited, the key is a signal.
            Err(_) if signals.take_ctrl_c()? => send(&socket, &Report::CtrlC)?,
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
}

/// What is typed while no line is edited waits for the next one, and is shown only then.
fn hide_what_nobody_reads() -> anyhow::Result<()> {
    let mut modes = tcgetattr(std::io::stdin()).context("read the terminal's modes")?;
    modes.local_modes -= LocalModes::ECHO;
    tcsetattr(std::io::stdin(), OptionalActions::Now, &modes).context("set the terminal's modes")
}

/// Reads a line for each prompt.
fn type_lines(
    editor: &mut Editor,
    window: Terminal,
    prompted: &Receiver<Prompt>,
    socket: &UnixStream,
) {
    while let Ok(prompt) = prompted.recv() {
        loop {
            let report = match editor.read(window, prompt.clone(), "") {
                Ok(Pressed::Enter(line) | Pressed::NextWindow(line)) => Report::Line(line),
                Ok(Pressed::CtrlD) | Err(_) => Report::CtrlD,
                Ok(Pressed::CtrlC) => Report::CtrlC,
            };
            if send(socket, &report).is_err() {
                return;
            }
            if !matches!(report, Report::CtrlC) {
                break;
            }
        }
    }
}

/// Goes to the next pane of the window, in whatever tmux this runs.
fn next_pane() {
    let mut tmux = Command::new("tmux");
    tmux.args(["select-pane", "-Z", "-t", ":.+"]);
    // Where it fails, the reader stays.
    let _ = tmux.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Shows what is to be shown, in order: while a line is edited, above it.
fn obey(mut printer: impl ExternalPrinter, ordered: &Receiver<Order>, prompts: &Sender<Prompt>) {
    while let Ok(order) = ordered.recv() {
        match order {
            Order::Print(lines) => {
                let _ = printer.print(lines);
            }
            Order::Title(title) => {
                print!("\u{1b}]2;{title}\u{1b}\\");
                let _ = std::io::stdout().flush();
            }
            Order::Ask(prompt) => {
                let _ = prompts.send(prompt);
            }
            Order::Matches(_) => {}
        }
    }
}
