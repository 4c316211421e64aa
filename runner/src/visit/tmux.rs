//! tmux: how the windows of a visit come to lie side by side.
//!
//! In a plain terminal the runner has a tmux of its own, with its socket and its settings in a
//! private folder, and a client that has the terminal as long as the visit lasts. A reader who sits
//! in a tmux gets one more window there, with its keys and its looks.
//!
//! It is the server that takes the terminal out of the state of full-screen programs, so it is
//! never killed: it ends with its last pane, and the panes end with their socket, even after a
//! runner that was killed.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::screen;
use lab::system::process::MOMENT;
use lab::system::scratch::Scratch;
use lab::transcript::step::Terminal;

/// The smallest terminal that is worth dividing: columns and rows.
const SMALLEST: (u16, u16) = (100, 24);
/// So many rows have room for small panes below the one of gdb.
const HIGH: u16 = 36;
/// How many rows a small pane has at least.
const SMALL: u16 = 5;
/// How long tmux may take to answer, and its client to take the terminal.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long the client may take to give the terminal back.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);
const CONFIGURATION: &str = include_str!("tmux.conf");
const CONFIGURATION_FILE: &str = "tmux.conf";
const SOCKET: &str = "tmux";

/// The border of a pane, which has its title; `@colour` is that of its window's prompt.
const BORDERS: [&str; 4] = [
    "pane-border-status top",
    "pane-border-format ' #[fg=#{@colour}]#{?pane_active,#[bold],}#{pane_title}#[default] '",
    "pane-border-style fg=colour240",
    "pane-active-border-style fg=colour250",
];

/// Whose tmux it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Readers,
}

/// Where the panes are.
#[derive(Debug)]
pub struct Tmux {
    whose: Whose,
    /// What it is called for the reader.
    name: String,
    size: (u16, u16),
    /// The window with the panes, in the reader's tmux.
    window: Option<String>,
    /// Ours has its socket here.
    folder: Scratch,
}

impl Tmux {
    /// The tmux that this terminal has room for, if any. Nothing is opened yet.
    ///
    /// # Errors
    /// When the private folder cannot be made.
    pub fn find(name: &str) -> anyhow::Result<Option<Self>> {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let whose = match is_set("TMUX") {
            true => Whose::Readers,
            false => Whose::Ours,
        };
        let Some(size) = size(whose) else {
            return Ok(None);
        };
        if size.0 < SMALLEST.0 || size.1 < SMALLEST.1 {
            return Ok(None);
        }
        Ok(Some(Self {
            whose,
            name: name.to_owned(),
            size,
            window: None,
            folder: Scratch::for_sockets()?,
        }))
    }

    /// Whether there is room for more windows than the shells on the machines and gdb.
    #[must_use]
    pub fn is_high(&self) -> bool {
        self.size.1 >= HIGH
    }

    /// Where the sockets are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens a pane for each window; `program` gives the words that run there.
    ///
    /// # Errors
    /// What tmux says.
    pub fn open(
        &mut self,
        windows: &[Terminal],
        program: &dyn Fn(Terminal) -> Vec<OsString>,
    ) -> anyhow::Result<()> {
        let mut tmux = self.tmux();
        for part in parts(windows, self.size) {
            let opening = match (part.opening, self.whose) {
                (Opening::First, Whose::Ours) => {
                    let (columns, rows) = self.size;
                    format!("new-session -d -x {columns} -y {rows} -P -F #{{window_id}}")
                }
                (Opening::First, Whose::Readers) => "new-window -P -F #{window_id}".to_owned(),
                (Opening::Right(columns), _) => format!("split-window -h -f -l {columns}"),
                (Opening::Below(rows), _) => format!("split-window -v -l {rows}"),
            };
            tmux.args(opening.split(' '));
            if part.opening == Opening::First {
                tmux.args(["-n", &self.name]);
            }
            fill(&mut tmux, part.window, program(part.window));
            tmux.arg(";");
        }
        for border in BORDERS {
            let (option, value) = border.split_once(' ').unwrap_or((border, ""));
            let value = value.trim_matches('\'');
            tmux.args(["set-option", "-w", option, value, ";"]);
        }
        if self.whose == Whose::Ours {
            fs_err::write(self.folder().join(CONFIGURATION_FILE), CONFIGURATION)?;
            tmux.args(["set-option", "-g", "@visit", &self.name]);
        } else {
            tmux.args(["set-option", "-w", "automatic-rename", "off"]);
        }
        let told = output(&mut tmux)?;
        let window = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        // What was opened must be closed, even if the rest has failed.
        self.window = Some(window).filter(|window| !window.is_empty());
        check(&told)
    }

    /// Gives the terminal to the panes, if that takes somebody: a client, which ends when the
    /// reader has left.
    ///
    /// # Errors
    /// When tmux cannot be started, or not on this terminal.
    pub fn attach(&mut self) -> anyhow::Result<Option<Child>> {
        if self.whose == Whose::Readers {
            return Ok(None);
        }
        let mut client = self.tmux();
        // In our process group, which has the terminal. It ends with its server, and gives back the
        // terminal then: nobody may kill it before.
        client.args([
            "attach-session",
            ";",
            "set-option",
            "destroy-unattached",
            "on",
        ]);
        let mut client = client.spawn().context("start tmux")?;
        if let Err(error) = self.wait_for_client(&mut client) {
            self.close(&mut || !matches!(client.try_wait(), Ok(None)));
            // It may have ended.
            let _ = client.kill();
            let _ = client.wait();
            return Err(error);
        }
        Ok(Some(client))
    }

    fn wait_for_client(&self, client: &mut Child) -> anyhow::Result<()> {
        let ask = ["display-message", "-p", "#{session_attached}"];
        let until = Instant::now() + DEADLINE;
        while output(self.tmux().args(ask))?.stdout != b"1\n" {
            if let Some(status) = client.try_wait().context("ask for tmux's state")? {
                bail!("tmux does not take this terminal ({status})");
            }
            if Instant::now() > until {
                bail!(
                    "tmux has not taken this terminal within {} s",
                    DEADLINE.as_secs()
                );
            }
            std::thread::sleep(MOMENT);
        }
        Ok(())
    }

    /// Opens one more pane, below `beside`.
    ///
    /// # Errors
    /// What tmux says.
    pub fn add(
        &self,
        window: Terminal,
        beside: &str,
        program: Vec<OsString>,
    ) -> anyhow::Result<()> {
        let rows = (self.size.1 / 4).max(SMALL).to_string();
        let mut tmux = self.tmux();
        tmux.args(["split-window", "-v", "-l", &rows, "-t", beside]);
        fill(&mut tmux, window, program);
        check(&output(&mut tmux)?)
    }

    /// Brings the reader to the pane that tmux calls this.
    ///
    /// # Errors
    /// What tmux says.
    pub fn select(&self, pane: &str) -> anyhow::Result<()> {
        self.run(&["select-pane", "-Z", "-t", pane])
    }

    /// Closes all panes, and waits for the client to give the terminal back.
    pub fn close(&mut self, client_has_ended: &mut dyn FnMut() -> bool) {
        let Some(window) = self.window.take() else {
            return;
        };
        // They may be gone already.
        let _ = match self.whose {
            Whose::Ours => self.run(&["kill-session"]),
            Whose::Readers => self.run(&["kill-window", "-t", &window]),
        };
        let until = Instant::now() + CLOSE_DEADLINE;
        while !client_has_ended() && Instant::now() < until {
            std::thread::sleep(MOMENT);
        }
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        if self.whose == Whose::Ours {
            // Relative, as a socket's path may not be long.
            tmux.args(["-S", SOCKET, "-f", CONFIGURATION_FILE])
                .current_dir(self.folder.path())
                .env_remove("TMUX");
        }
        tmux
    }

    fn run(&self, words: &[&str]) -> anyhow::Result<()> {
        check(&output(self.tmux().args(words))?)
    }
}

/// What a command of tmux's prints.
fn output(tmux: &mut Command) -> anyhow::Result<Output> {
    let pipes = tmux.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = pipes.stderr(Stdio::piped()).spawn().context("start tmux")?;
    let until = Instant::now() + DEADLINE;
    while child.try_wait().context("ask for tmux's state")?.is_none() {
        if Instant::now() > until {
            // It is not the server.
            let _ = child.kill();
            let _ = child.wait();
            bail!("tmux has not answered within {} s", DEADLINE.as_secs());
        }
        std::thread::sleep(MOMENT);
    }
    child.wait_with_output().context("read what tmux prints")
}

fn check(told: &Output) -> anyhow::Result<()> {
    if !told.status.success() {
        bail!("tmux: {}", String::from_utf8_lossy(&told.stderr).trim_end());
    }
    Ok(())
}

/// The columns and rows that there are.
fn size(whose: Whose) -> Option<(u16, u16)> {
    if whose == Whose::Ours {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        let is_there = output(Command::new("tmux").arg("-V"));
        return is_there.is_ok().then_some((size.ws_col, size.ws_row));
    }
    let ask = ["display-message", "-p", "#{window_width} #{window_height}"];
    let told = output(Command::new("tmux").args(ask)).ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (columns, rows) = told.trim().split_once(' ')?;
    Some((columns.parse().ok()?, rows.parse().ok()?))
}

/// How a pane is made of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    First,
    /// A column of its own on the right, so wide.
    Right(u16),
    /// The lower part of the pane before, so high.
    Below(u16),
}

/// A pane to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    window: Terminal,
    opening: Opening,
}

/// The shells on the machines at the left, one below the other; at the right gdb, which has the
/// most to say, and below it what is small.
fn parts(windows: &[Terminal], (columns, rows): (u16, u16)) -> Vec<Part> {
    let mut parts = Vec::new();
    let is_left = |window: &Terminal| window.is_in_guest() || *window == Terminal::Lab;
    let (left, right): (Vec<Terminal>, Vec<Terminal>) = windows.iter().partition(|w| is_left(w));
    let mut height = rows;
    for (index, window) in left.iter().enumerate() {
        let below = u16::try_from(left.len() - index).unwrap_or(1);
        let opening = match index {
            0 => Opening::First,
            _ => {
                height = height * below / (below + 1);
                Opening::Below(height)
            }
        };
        parts.push(Part {
            window: *window,
            opening,
        });
    }
    let small = (rows / 5).max(SMALL);
    for (index, window) in right.iter().enumerate() {
        let below = u16::try_from(right.len() - index).unwrap_or(1);
        let opening = match index {
            0 => Opening::Right(columns - (columns * 9 / 20).min(84)),
            _ => Opening::Below(below * (small + 1) - 1),
        };
        parts.push(Part {
            window: *window,
            opening,
        });
    }
    parts
}

/// Says what runs in a new pane, and has tmux know the colour of its window's prompt.
fn fill(tmux: &mut Command, window: Terminal, program: Vec<OsString>) {
    let colour = anstyle::Ansi256Color::from_ansi(screen::colour(window));
    let colour = format!("colour{}", colour.index());
    tmux.args(program);
    tmux.args([";", "set-option", "-p", "@colour", &colour]);
}
