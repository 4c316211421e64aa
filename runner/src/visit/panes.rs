//! All windows side by side: a pane of tmux for each.
//!
//! The machine is one, and stands still while nobody types. So this process has the session, and
//! takes the lines of the panes one after the other; a line that comes while a command runs waits
//! its turn. Each pane has a thread here that reads from it. What cannot wait, the thread does at
//! once: Ctrl-C becomes the signal that it would be without panes, and leaving ends what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::frontend::{Complete, Frontend, Situation, Typed};
use super::keyboard;
use super::pane::{Order, Report, received, send};
use super::tmux::Tmux;
use crate::screen;
use book::chapter::Chapter;
use lab::Error;
use lab::system::process::{Signals, drain, set_nonblocking};
use lab::transcript::Output;
use lab::transcript::step::{Step, Terminal};

/// How long the panes may take to come up, in real time.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// How long a pane may take to read what it is told, in real time.
const PATIENCE: Duration = Duration::from_secs(10);
const SOCKET: &str = "panes";

/// What the threads tell.
enum Event {
    Here(Terminal, Pane),
    Typed(Terminal, Typed),
    Complete(Terminal, String),
    /// A pane was closed, or the client of tmux has ended.
    Left,
}

/// What the threads share with the session.
#[derive(Debug)]
struct Shared {
    events: Sender<Event>,
    wake: UnixStream,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    /// The window whose command runs.
    running: Option<Terminal>,
    /// The window in which Ctrl-C was pressed for it.
    pressed: Option<Terminal>,
    left: bool,
    /// Whether the client has given the terminal back.
    client_has_ended: bool,
}

impl Shared {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) {
        // Nobody may listen any more, when the visit has ended.
        let _ = self.events.send(event);
        let _ = (&self.wake).write(&[0]);
    }

    /// The reader has left: a command that runs is no reason to stay.
    fn leave(&self) {
        let mut now = self.now();
        if now.running.is_some() && !now.left {
            let _ = signal_hook::low_level::raise(SIGTERM);
        }
        now.left = true;
        drop(now);
        self.tell(Event::Left);
    }

    /// Ctrl-C in a window: for the command that runs there, or in gdb's for the machine that it
    /// waits for.
    fn press_ctrl_c(&self, window: Terminal) {
        let mut now = self.now();
        match now.running {
            None => {
                drop(now);
                self.tell(Event::Typed(window, Typed::CtrlC));
            }
            Some(running)
                if running == window || window == Terminal::Gdb && running.is_in_guest() =>
            {
                now.pressed = Some(window);
                let _ = signal_hook::low_level::raise(SIGINT);
            }
            Some(_) => {}
        }
    }
}

/// A pane that is there.
#[derive(Debug)]
struct Pane {
    /// What tmux calls it.
    name: String,
    stream: UnixStream,
    /// What stands in its border.
    title: String,
    /// Whether a line is edited in it.
    asked: bool,
}

/// The panes.
#[derive(Debug)]
pub struct Panes<'a> {
    signals: &'a Signals,
    panes: BTreeMap<Terminal, Pane>,
    /// Panes that are about to be there.
    coming: BTreeSet<Terminal>,
    /// What there is to see in windows that have no pane yet.
    unshown: BTreeMap<Terminal, String>,
    events: Receiver<Event>,
    woken: UnixStream,
    shared: Arc<Shared>,
    histories: PathBuf,
    coloured: bool,
    tmux: Tmux,
}

impl<'a> Panes<'a> {
    /// Opens a pane for each window that the chapter uses, as far as the terminal has room for
    /// them, if there is a tmux. The reader is in `window`, and `folder` keeps the histories of
    /// what was typed.
    ///
    /// # Errors
    /// A signal; a private folder that cannot be made.
    pub fn open(
        chapter: &Chapter,
        windows: &[Terminal],
        window: Terminal,
        folder: &Path,
        signals: &'a Signals,
    ) -> anyhow::Result<Option<Self>> {
        if !keyboard::is_terminal() {
            return Ok(None);
        }
        let name = match chapter.number {
            // An exercise is no chapter.
            0 => chapter.name.clone(),
            number => format!("chapter {number}"),
        };
        let Some(tmux) = Tmux::find(&name)? else {
            return Ok(None);
        };
        let is_used = |window: &Terminal| match window {
            Terminal::Guest | Terminal::Gdb => true,
            Terminal::Wire | Terminal::Host => chapter.has(*window) && tmux.is_high(),
            Terminal::Server | Terminal::Lab => chapter.has(*window),
        };
        let shown: Vec<Terminal> = windows.iter().copied().filter(is_used).collect();
        match Self::start(tmux, &shown, window, folder, signals) {
            Ok(panes) => Ok(Some(panes)),
            Err(error) if Error::is_interrupted(&error) => Err(error),
            Err(error) => {
                eprintln!("no panes, so one window at a time: {error:#}");
                Ok(None)
            }
        }
    }

    fn start(
        tmux: Tmux,
        windows: &[Terminal],
        window: Terminal,
        folder: &Path,
        signals: &'a Signals,
    ) -> anyhow::Result<Self> {
        let socket = tmux.folder().join(SOCKET);
        let listener = UnixListener::bind(&socket)
            .with_context(|| format!("make the socket {}", socket.display()))?;
        let (woken, wake) = UnixStream::pair().context("make the pipe for the panes")?;
        set_nonblocking(&woken)?;
        let (tell, events) = channel();
        let shared = Arc::new(Shared {
            events: tell,
            wake,
            now: Mutex::default(),
        });
        let listens = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = listens.clone();
                std::thread::spawn(move || attend(stream, &shared));
            }
        });
        let coloured =
            anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
        let mut panes = Self {
            signals,
            panes: BTreeMap::new(),
            coming: windows.iter().copied().collect(),
            unshown: BTreeMap::new(),
            events,
            woken,
            shared,
            histories: folder.to_owned(),
            coloured,
            tmux,
        };
        let program = panes.program()?;
        panes.tmux.open(windows, &program)?;
        panes.wait_for_all()?;
        panes.select(window);
        if let Some(mut client) = panes.tmux.attach()? {
            let shared = panes.shared.clone();
            std::thread::spawn(move || {
                let _ = client.wait();
                shared.now().client_has_ended = true;
                shared.leave();
            });
        } else {
            panes.shared.now().client_has_ended = true;
            let key = "the windows lie side by side in a window of tmux; it closes when you leave";
            screen::aside(key);
        }
        Ok(panes)
    }

    /// The words that run in the pane of a window.
    fn program(&self) -> anyhow::Result<impl Fn(Terminal) -> Vec<OsString> + use<>> {
        let runner = std::env::current_exe().context("ask for the runner's own file")?;
        let socket = self.tmux.folder().join(SOCKET);
        let histories = self.histories.clone();
        Ok(move |window: Terminal| {
            vec![
                runner.clone().into(),
                "pane".into(),
                socket.clone().into(),
                window.word().into(),
                histories.clone().into(),
            ]
        })
    }

    fn wait_for_all(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + START_DEADLINE;
        while !self.coming.is_empty() {
            while let Ok(event) = self.events.try_recv() {
                match event {
                    Event::Here(window, pane) => self.admit(window, pane)?,
                    Event::Left => bail!("a pane ended at once"),
                    Event::Typed(..) | Event::Complete(..) => {}
                }
            }
            if !self.coming.is_empty() {
                self.wait(Some(until))?;
            }
        }
        Ok(())
    }

    fn wait(&self, until: Option<Instant>) -> anyhow::Result<()> {
        let late = || "the panes did not come up".to_owned();
        match self.signals.wait(&[self.woken.as_fd()], until, late) {
            Err(_) if self.signals.take_ctrl_c()? => return Ok(()),
            waited => waited?,
        }
        drain(&mut &self.woken)?;
        Ok(())
    }

    /// Takes in a pane that has come up, and shows it what there is to see.
    fn admit(&mut self, window: Terminal, pane: Pane) -> anyhow::Result<()> {
        let limit = pane.stream.set_write_timeout(Some(PATIENCE));
        limit.context("limit the time for a message")?;
        self.coming.remove(&window);
        let unshown = self.unshown.remove(&window).unwrap_or_default();
        self.panes.insert(window, pane);
        self.print(window, unshown);
        Ok(())
    }

    fn print(&mut self, window: Terminal, mut lines: String) {
        if lines.is_empty() {
            return;
        }
        if !self.coloured {
            lines = anstream::adapter::strip_str(&lines).to_string();
        }
        match self.panes.get(&window) {
            // One that is gone tells so by itself.
            Some(pane) => drop(send(&pane.stream, &Order::Print(lines))),
            None => *self.unshown.entry(window).or_default() += &lines,
        }
    }

    fn select(&self, window: Terminal) {
        if let Some(pane) = self.panes.get(&window) {
            // Where it fails, the reader stays.
            let _ = self.tmux.select(&pane.name);
        }
    }

    fn entitle(&mut self, window: Terminal, title: String) {
        if let Some(pane) = self.panes.get_mut(&window)
            && pane.title != title
        {
            let _ = send(&pane.stream, &Order::Title(title.clone()));
            pane.title = title;
        }
    }

    /// Lets a line be typed in each pane whose last one was dealt with, and says in the borders how
    /// the windows stand.
    fn ask(&mut self, now: &Situation) {
        let windows: Vec<Terminal> = self.panes.keys().copied().collect();
        for window in windows {
            self.entitle(window, title(window, now));
            let mut prompt = screen::prompt(window);
            if !self.coloured {
                prompt.coloured.clone_from(&prompt.plain);
            }
            if let Some(pane) = self.panes.get_mut(&window)
                && !std::mem::replace(&mut pane.asked, true)
            {
                let _ = send(&pane.stream, &Order::Ask(prompt));
            }
        }
    }
}

impl Frontend for Panes<'_> {
    fn read(
        &mut self,
        _: Terminal,
        now: &Situation,
        complete: Complete<'_>,
    ) -> anyhow::Result<(Terminal, Typed)> {
        loop {
            self.ask(now);
            while let Ok(event) = self.events.try_recv() {
                match event {
                    Event::Here(window, pane) => {
                        self.admit(window, pane)?;
                        self.ask(now);
                    }
                    Event::Typed(window, typed) => {
                        if typed != Typed::CtrlC
                            && let Some(pane) = self.panes.get_mut(&window)
                        {
                            pane.asked = false;
                            // Its thread may have given it another one.
                            pane.title.clear();
                        }
                        return Ok((window, typed));
                    }
                    Event::Complete(window, begun) => {
                        let matches = complete(window, &begun)?;
                        if let Some(pane) = self.panes.get(&window) {
                            let _ = send(&pane.stream, &Order::Matches(matches));
                        }
                    }
                    Event::Left => return Ok((Terminal::Guest, Typed::End)),
                }
            }
            self.wait(None)?;
        }
    }

    fn begin(&mut self, window: Terminal) {
        self.shared.now().running = Some(window);
        self.entitle(window, format!("{window}: runs"));
    }

    fn end(&mut self) {
        let mut now = self.shared.now();
        now.running = None;
        if now.pressed.take().is_some() {
            // It may have come too late to end the command, and must not end the next.
            let _ = self.signals.take_ctrl_c();
        }
    }

    fn interrupter(&self) -> Option<Terminal> {
        self.shared.now().pressed
    }

    fn heading(&mut self, step: &Step, own: bool) {
        if !own && !step.command.is_empty() {
            self.print(step.terminal, screen::heading_line(step));
        }
    }

    fn output(&mut self, window: Terminal, output: &Output) {
        self.print(window, screen::output_lines(output));
    }

    fn tell(&mut self, window: Terminal, text: &str) {
        self.print(window, format!("{text}\n"));
    }

    fn aside(&mut self, window: Terminal, text: &str) {
        self.print(window, screen::aside_lines(text));
    }

    fn go_to(&mut self, window: Terminal, _: &str) {
        if self.panes.contains_key(&window) {
            self.select(window);
            return;
        }
        let beside = [Terminal::Gdb, Terminal::Guest];
        let beside = beside.iter().find_map(|window| self.panes.get(window));
        if let Some(beside) = beside
            && self.coming.insert(window)
            && let Ok(program) = self.program()
        {
            let added = self.tmux.add(window, &beside.name, program(window));
            if let Err(error) = added {
                self.coming.remove(&window);
                self.tell(Terminal::Gdb, &format!("{error:#}"));
            }
        }
    }

    fn ways(&self) -> &'static str {
        "goes to that window's pane, and opens it if it is not there (Ctrl-O: the next pane)"
    }

    fn shows_all(&self) -> bool {
        true
    }

    fn is_left(&self) -> bool {
        self.shared.now().left
    }
}

impl Drop for Panes<'_> {
    fn drop(&mut self) {
        let shared = self.shared.clone();
        self.tmux.close(&mut move || shared.now().client_has_ended);
    }
}

/// What the border of a window's pane says.
fn title(window: Terminal, now: &Situation) -> String {
    let busy = now.busy.iter().find(|(busy, _)| *busy == window);
    let state = match (window, busy) {
        (Terminal::Host, _) => String::new(),
        _ if now.over => ": the machine has ended".to_owned(),
        (Terminal::Gdb, _) if now.held => ": holds the machine".to_owned(),
        (Terminal::Gdb, _) => ": waits".to_owned(),
        _ if now.held && window.is_in_guest() => ": gdb holds the machine".to_owned(),
        (_, Some((_, step))) => format!(": {step} goes on"),
        _ => String::new(),
    };
    format!("{window}{state}")
}

/// Reads what one pane says, as long as it is there.
fn attend(stream: UnixStream, shared: &Shared) {
    let Ok(reports) = stream.try_clone().map(received::<Report>) else {
        return;
    };
    let mut window = None;
    for report in reports {
        match (report, window) {
            (Report::Here { window: word, name }, None) => {
                window = Terminal::named(&word);
                if let (Some(window), Ok(stream)) = (window, stream.try_clone()) {
                    let (title, asked) = (String::new(), false);
                    let pane = Pane {
                        name,
                        stream,
                        title,
                        asked,
                    };
                    shared.tell(Event::Here(window, pane));
                }
            }
            (Report::Line(line), Some(_)) if line.trim() == ".quit" => break,
            (Report::Line(line), Some(window)) => {
                let running = shared.now().running;
                if let Some(running) = running {
                    let title = format!("{window}: waits for `{running}`");
                    let _ = send(&stream, &Order::Title(title));
                }
                shared.tell(Event::Typed(window, Typed::Line(line)));
            }
            (Report::CtrlC, Some(window)) => shared.press_ctrl_c(window),
            (Report::CtrlD, Some(_)) => break,
            // The line that is typed meanwhile must not wait for the command.
            (Report::Complete(_), Some(_)) if shared.now().running.is_some() => {
                let _ = send(&stream, &Order::Matches(Vec::new()));
            }
            (Report::Complete(begun), Some(window)) => {
                shared.tell(Event::Complete(window, begun));
            }
            (_, _) => break,
        }
    }
    shared.leave();
}
