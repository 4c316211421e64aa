//! The reader on the machine: what a line does, wherever it was typed.
//!
//! What the reader types becomes a step of the same session, by the same rules, so it can be saved
//! as the steps of a chapter. What two people at two windows would do by themselves is done here as
//! steps, too: whoever types into gdb while it waits interrupts it first, and what another window
//! has printed meanwhile is looked at after each command.

use std::io::Write as _;
use std::process::ExitCode;

use super::frontend::{Frontend, Situation, Typed};
use crate::exit;
use crate::visit::draft::Draft;
use lab::Error;
use lab::machine::gdb;
use lab::replay::Replay;
use lab::system::process::Signals;
use lab::transcript::step::{Step, Terminal};
use lab::transcript::{Output, is_unseen};

/// The words of the prompt that name no window.
const WORDS: [&str; 3] = [".save ", ".help", ".quit"];

/// The reader on the machine.
pub struct Reader<'a> {
    frontend: Box<dyn Frontend + 'a>,
    replay: Replay<'a>,
    signals: &'a Signals,
    /// The windows that the machine has.
    windows: Vec<Terminal>,
    /// The window that is typed into.
    terminal: Terminal,
    /// The guest's window from which gdb has taken the reader away.
    left: Option<Terminal>,
    draft: Draft,
    /// Whether the machine has ended.
    over: bool,
}

impl<'a> Reader<'a> {
    /// Takes the frontend, in this window, on a machine that was handed over.
    #[must_use]
    pub fn new(
        frontend: Box<dyn Frontend + 'a>,
        replay: Replay<'a>,
        signals: &'a Signals,
        windows: Vec<Terminal>,
        terminal: Terminal,
        draft: Draft,
    ) -> Self {
        Self {
            frontend,
            replay,
            signals,
            windows,
            terminal,
            left: None,
            draft,
            over: false,
        }
    }

    /// Shows what has happened until now, for the reader to know the place, and what can be typed.
    ///
    /// # Errors
    /// What a look at a window says.
    pub fn greet(&mut self) -> anyhow::Result<()> {
        let records = &self.replay.records;
        // One window has no room for more than the last step.
        let seen = match self.frontend.shows_all() {
            true => 0,
            false => records.len().saturating_sub(1),
        };
        for record in &records[seen..] {
            let step = Step::typed(record.id, record.terminal, &record.command);
            self.frontend.heading(&step, false);
            self.frontend.output(record.terminal, &record.output);
        }
        if !self.frontend.shows_all() {
            let help = format!("\n{}", self.help());
            self.frontend.aside(self.terminal, &help);
        }
        self.look_around()
    }

    /// Reads lines until there are no more.
    ///
    /// # Errors
    /// A signal; a frontend that is gone.
    pub fn stay(&mut self) -> anyhow::Result<ExitCode> {
        loop {
            match self.read() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if Error::is_interrupted(&error) && self.frontend.is_left() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(ExitCode::from(if self.over { exit::LAB } else { 0 }))
    }

    /// Reads a line, and does what it says; tells whether the visit goes on.
    fn read(&mut self) -> anyhow::Result<bool> {
        let now = self.situation()?;
        let Self {
            frontend,
            replay,
            windows,
            over,
            ..
        } = self;
        let mut complete = |window, line: &str| complete(replay, windows, *over, window, line);
        let (window, typed) = frontend.read(self.terminal, &now, &mut complete)?;
        if window != self.terminal {
            self.terminal = window;
            self.left = None;
        }
        match typed {
            Typed::Line(line) => return self.line(&line),
            Typed::NextWindow => {
                let at = self.windows.iter().position(|w| *w == window);
                let next = at.map_or(0, |at| (at + 1) % self.windows.len());
                self.go_to(self.windows[next]);
            }
            Typed::CtrlC => {
                let done = self.ctrl_c();
                return self.judge(done);
            }
            Typed::NotText => self.tell("that line is not UTF-8; nothing was typed"),
            Typed::End => return Ok(false),
        }
        Ok(true)
    }

    fn situation(&mut self) -> anyhow::Result<Situation> {
        let session = self.replay.session()?;
        let busy = self.windows.iter().filter_map(|window| {
            let id = session.busy_with(*window)?;
            Some((*window, id.to_string()))
        });
        Ok(Situation {
            busy: busy.collect(),
            held: session.is_held(),
            over: self.over,
        })
    }

    /// Does what a line says; tells whether the visit goes on.
    fn line(&mut self, line: &str) -> anyhow::Result<bool> {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let done = match word {
            ".quit" => return Ok(false),
            ".help" => {
                let help = self.help();
                self.frontend.aside(self.terminal, &help);
                Ok(())
            }
            ".save" => self.save(rest.trim()),
            "" => self.look(),
            _ if is_word(word) => {
                self.name_window(word);
                Ok(())
            }
            _ if self.terminal == Terminal::Gdb && gdb::is_quit(line) => return Ok(false),
            _ => self.command(line),
        };
        self.judge(done)
    }

    /// Tells what has gone wrong with a line; gives whether the visit goes on, which it does in
    /// most cases.
    fn judge(&mut self, done: anyhow::Result<()>) -> anyhow::Result<bool> {
        match done {
            Ok(()) => {}
            Err(error) => match Error::of(&error) {
                Some(Error::Misuse(why)) => self.tell(why),
                Some(Error::Interrupted(_)) => return Err(error),
                _ => {
                    self.over = true;
                    self.tell(&format!(
                        "{error:#}\nThe visit is over. .save FILE keeps what you have typed; .quit leaves"
                    ));
                }
            },
        }
        Ok(true)
    }

    fn help(&self) -> String {
        let windows: Vec<String> = self.windows.iter().map(|w| format!(".{w}")).collect();
        format!(
            "\
{}: {}
an empty line: looks at what the window has printed
COMMAND &: in a shell of the guest or the lab, the command goes on
lx-ps, lx-dmesg, apropos lx: the kernel's own commands, in gdb; Tab completes
Ctrl-C: ends the command; in .gdb, stops the machine, and so it does if the command does not end
.save FILE: writes what you have typed as steps, numbered behind {}; what becomes of the chapter's own later steps is up to you
.help: this; .quit or Ctrl-D: leaves, and everything that was started ends
The guest stands still while you type.",
            windows.join(" "),
            self.frontend.ways(),
            self.draft.behind
        )
    }

    fn tell(&mut self, text: &str) {
        self.frontend.tell(self.terminal, text);
    }

    fn name_window(&mut self, word: &str) {
        match Terminal::named(&word[1..]) {
            Some(window) if self.windows.contains(&window) => self.go_to(window),
            Some(window) => self.tell(&format!("this chapter's machine has no window `{window}`")),
            None => self.tell(&format!(
                "`{word}` is no word of this prompt; .help tells them all"
            )),
        }
    }

    fn go_to(&mut self, window: Terminal) {
        self.terminal = window;
        self.left = None;
        self.frontend.go_to(window, "");
    }

    /// Looks at the window, if there is something to see or to wait for.
    fn look(&mut self) -> anyhow::Result<()> {
        if self.over {
            return Ok(());
        }
        let terminal = self.terminal;
        let session = self.replay.session()?;
        let unseen = session.unseen_windows().contains(&terminal);
        let waits = session.waits_for(terminal);
        if unseen || waits || terminal == Terminal::Wire {
            self.step(terminal, "")?;
            self.look_around()?;
        }
        Ok(())
    }

    /// Types a command into the window, and looks at what happens in the others.
    fn command(&mut self, line: &str) -> anyhow::Result<()> {
        let terminal = self.terminal;
        if let Some(why_not) = self.why_not(line)? {
            self.tell(&why_not);
            return Ok(());
        }
        if terminal == Terminal::Gdb
            && !self.replay.session()?.is_held()
            && line.trim() != "interrupt"
            && !self.step(terminal, "interrupt")?
        {
            return self.look_around();
        }
        self.step(terminal, line)?;
        if self.over {
            return Ok(());
        }
        self.look_around()
    }

    /// Why a command cannot be typed into the window now.
    fn why_not(&mut self, line: &str) -> anyhow::Result<Option<String>> {
        let terminal = self.terminal;
        // `words` would refuse the step that is saved.
        if line.chars().any(|c| c != '\t' && is_unseen(c)) {
            return Ok(Some(
                "a character that nobody can see cannot be typed into a step".to_owned(),
            ));
        }
        if self.over && terminal != Terminal::Host {
            return Ok(Some("the visit is over; .save FILE or .quit".to_owned()));
        }
        if matches!(terminal, Terminal::Host | Terminal::Wire) {
            return Ok(None);
        }
        let session = self.replay.session()?;
        let held = session.is_held();
        Ok(match terminal {
            Terminal::Gdb if !held && gdb::is_continue(line) => Some(
                "gdb waits already, in its last `continue`; type into another window, or `interrupt`"
                    .to_owned(),
            ),
            Terminal::Gdb => gdb::why_not(line).map(str::to_owned),
            _ if held && terminal.is_in_guest() => Some(format!(
                "gdb holds the machine, so `{terminal}` cannot read; let it run on first: .gdb, then continue"
            )),
            _ => session.busy_with(terminal).map(|id| {
                format!("the command of step {id} still runs in `{terminal}`; type into another window")
            }),
        })
    }

    /// Ctrl-C where a prompt is: takes the machine from a gdb that waits, and ends a command that
    /// goes on in a shell.
    fn ctrl_c(&mut self) -> anyhow::Result<()> {
        let terminal = self.terminal;
        if self.over {
            return Ok(());
        }
        let session = self.replay.session()?;
        let held = session.is_held();
        if terminal == Terminal::Gdb && !held {
            return self.command("interrupt");
        }
        if session.busy_with(terminal).is_none() || terminal.is_in_guest() && held {
            return Ok(());
        }
        self.stop_draft(terminal);
        self.frontend.begin(terminal);
        let done = self.cut_short(terminal);
        self.frontend.end();
        done?;
        self.look_around()
    }

    /// Looks at every window with something that nobody has seen, and goes where the reader can
    /// type.
    fn look_around(&mut self) -> anyhow::Result<()> {
        // A look at gdb may let nothing more happen, but one at the guest may be followed by its
        // end.
        while let Some(window) = self.replay.session()?.unseen_windows().first().copied() {
            self.step(window, "")?;
        }
        let held = self.replay.session()?.is_held();
        if held && self.terminal.is_in_guest() {
            self.left = Some(self.terminal);
            self.terminal = Terminal::Gdb;
            self.frontend.go_to(
                Terminal::Gdb,
                "gdb holds the machine: this is its window now",
            );
        } else if !held
            && self.terminal == Terminal::Gdb
            && let Some(left) = self.left.take()
        {
            self.terminal = left;
            let why = format!("gdb waits: this is the window `{left}` again");
            self.frontend.go_to(left, &why);
        }
        Ok(())
    }

    /// Does a step, and shows it; tells whether it went through to its end.
    fn step(&mut self, terminal: Terminal, command: &str) -> anyhow::Result<bool> {
        self.frontend.begin(terminal);
        let done = self.run(terminal, command);
        self.frontend.end();
        done
    }

    fn run(&mut self, terminal: Terminal, command: &str) -> anyhow::Result<bool> {
        let mut step = Step::typed(self.draft.next_id(), terminal, command);
        let own = terminal == self.terminal && !command.is_empty() && command != "interrupt";
        let frontend = &mut self.frontend;
        let mut has_heading = false;
        let done = self.replay.run(&step, &mut |window| {
            let lines = window.take_lines();
            if lines == Output::default() {
                return;
            }
            if !std::mem::replace(&mut has_heading, true) {
                frontend.heading(&step, own);
            }
            frontend.output(terminal, &lines);
        });
        let error = match done {
            Ok(output) => {
                step.status = output.status;
                if !has_heading {
                    self.frontend.heading(&step, own);
                }
                self.frontend.output(terminal, &output);
                self.draft.push(step);
                return Ok(true);
            }
            Err(error) => error,
        };
        let (cut, why) = match Error::of(&error) {
            Some(Error::Overrun(_)) => (false, error.to_string()),
            Some(Error::ShellEnded(why)) if terminal == Terminal::Host => (false, why.clone()),
            Some(Error::Flood(_)) => (true, error.to_string()),
            Some(Error::Late(_)) => {
                let seconds = step.deadline.as_secs();
                (true, format!("not finished after {seconds} s"))
            }
            Some(Error::Interrupted(_)) if self.signals.take_ctrl_c()? => {
                (true, "cut short".to_owned())
            }
            _ => return Err(error),
        };
        if !has_heading {
            self.frontend.heading(&step, own);
        }
        self.frontend.tell(terminal, &why);
        self.stop_draft(terminal);
        self.draft.push(step);
        if cut {
            self.cut_short(self.frontend.interrupter().unwrap_or(terminal))?;
        }
        Ok(false)
    }

    fn stop_draft(&mut self, terminal: Terminal) {
        if self.draft.stop() {
            self.frontend.tell(
                terminal,
                "(no replay can repeat that: .save keeps what you typed before)",
            );
        }
    }

    /// Does what Ctrl-C does in the window: gdb has the machine then, or the shell its prompt.
    fn cut_short(&mut self, terminal: Terminal) -> anyhow::Result<()> {
        let stopped = loop {
            match self.replay.interrupt(terminal) {
                Err(error) if Error::is_interrupted(&error) && self.signals.take_ctrl_c()? => {}
                done => break done?,
            }
        };
        self.frontend.output(terminal, &stopped.output);
        if let Some(note) = stopped.note {
            self.frontend.tell(terminal, note);
        }
        Ok(())
    }

    /// Writes what was typed as the steps of a chapter.
    fn save(&mut self, file: &str) -> anyhow::Result<()> {
        if file.is_empty() {
            self.tell("expected `.save FILE`");
            return Ok(());
        }
        if !self.over && self.draft.left_out() == 0 {
            self.complete_draft()?;
        }
        let (text, count) = self.draft.text();
        if count == 0 {
            self.tell("there is nothing to save: nothing was typed that a replay can repeat");
            return Ok(());
        }
        let new = std::fs::File::create_new(file);
        if let Err(error) = new.and_then(|mut new| new.write_all(text.as_bytes())) {
            self.tell(&format!("write {file}: {error}; name a new file"));
            return Ok(());
        }
        let behind = self.draft.behind;
        self.tell(&format!(
            "{count} steps, for behind {behind}, saved in {file}"
        ));
        let left_out = self.draft.left_out();
        if left_out > 0 {
            self.tell(&format!(
                "the last {left_out} are not among them, as no replay can repeat them"
            ));
        }
        Ok(())
    }

    /// Adds the looks that a chapter which ended here would need.
    fn complete_draft(&mut self) -> anyhow::Result<()> {
        if self.replay.session()?.has_unseen_frames()? {
            self.step(Terminal::Wire, "")?;
        }
        if let Some(unseen) = self.replay.session()?.unseen()? {
            self.tell(&format!("a chapter cannot end here: {unseen}"));
        }
        Ok(())
    }
}

/// The whole lines that the beginning of one could become.
fn complete(
    replay: &mut Replay<'_>,
    windows: &[Terminal],
    over: bool,
    window: Terminal,
    line: &str,
) -> anyhow::Result<Vec<String>> {
    if line.starts_with('.') {
        let windows = windows.iter().map(|window| format!(".{window}"));
        let words = windows.chain(WORDS.map(str::to_owned));
        return Ok(words.filter(|word| word.starts_with(line)).collect());
    }
    if window != Terminal::Gdb || over {
        return Ok(Vec::new());
    }
    replay.session()?.complete(line)
}

/// Whether it is a word for this prompt, and not `./a.sh` or `. a.sh`.
fn is_word(word: &str) -> bool {
    let name = word.strip_prefix('.').unwrap_or_default();
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())
}
