//! `runner shell`: a visit to the machine where a chapter has brought it.
//!
//! What the reader types becomes a step of the same session, by the same rules, so it can be saved as the steps of a chapter. What
//! two people at two windows would do by themselves is done here as steps, too: whoever types into gdb while it waits interrupts it
//! first, and what another window has printed meanwhile is looked at after each command.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::chapter::Chapter;
use crate::cli::{self, Global};
use crate::desk::Parts;
use crate::draft::Draft;
use crate::gdb;
use crate::keyboard::{Keyboard, NEXT_WINDOW, Typed};
use crate::process::{Interrupted, Late, Signals};
use crate::progress::Stage;
use crate::replay::{Event, Replay};
use crate::session::{Debugger, Overrun};
use crate::shell::ShellEnded;
use crate::snapshot::Snapshot;
use crate::step::{Step, StepId, Terminal};
use crate::transcript::Transcript;
use crate::verdict::{Verdict, compare};
use crate::window::{Flood, Misuse};
use crate::{provenance, root, screen, setup};

/// The words of the prompt that name no window.
const WORDS: [&str; 3] = [".save ", ".help", ".quit"];

/// Where to go, and how far.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chapter: its number or its slug, such as 6 or tcp-handshake
    chapter: String,
    /// Replay up to this step and hand over; without it, the whole chapter
    #[arg(long, value_name = "N.M")]
    at: Option<StepId>,
}

/// Runs the subcommand.
///
/// # Errors
/// When the chapter is wrong or the lab cannot run.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<ExitCode> {
    let root = root::find()?;
    let chapter = Chapter::find(&root, &args.chapter)?;
    let whole = chapter.steps.len();
    let count = args.at.map_or(Ok(whole), |at| chapter.position(at))?;
    let mut options = setup::options(&root, global)?;
    options.lab = chapter.has(Terminal::Lab);
    let history = options.cache.root().join("history");
    let parts = Parts::from(setup::ready(&options)?);
    let signals = Signals::catch()?;
    let replay = Replay::new(&root, &chapter, &parts, Debugger::Always, &signals)?;
    let mut visit = Visit::arrive(&root, &chapter, count, &parts, replay, &signals)?;
    let mut keyboard = Keyboard::new(history)?;
    visit.echoes = keyboard.echoes();
    visit.greet()?;
    visit.stay(&mut keyboard)
}

/// The reader on the machine.
struct Visit<'a> {
    replay: Replay<'a>,
    signals: &'a Signals,
    /// The windows that the machine has.
    windows: Vec<Terminal>,
    /// The window that is typed into.
    terminal: Terminal,
    /// The guest's window from which gdb has taken the reader away.
    left: Option<Terminal>,
    draft: Draft,
    /// Whether what is typed is on the screen already.
    echoes: bool,
    /// Whether the machine has ended.
    over: bool,
}

impl<'a> Visit<'a> {
    /// Replays the chapter up to there, and says whether all was as in the book.
    fn arrive(
        root: &Path,
        chapter: &Chapter,
        count: usize,
        parts: &Parts,
        mut replay: Replay<'a>,
        signals: &'a Signals,
    ) -> anyhow::Result<Self> {
        let before = &chapter.steps[..count];
        let draft = Draft::new(before, chapter.last());
        let at = draft.behind;
        let mut stage = Stage::begin(format!("replay chapter {} up to step {at}", chapter.number));
        replay.run_first(count, &mut |event| {
            if let Event::Begin(step) = event {
                stage.at(format!("{} of {count}", step.id.number));
            }
        })?;
        stage.done();
        eprintln!(
            "step {at}: {}",
            as_recorded(root, chapter, at, parts, &replay)?
        );
        replay.session()?.hand_over()?;
        let mut last = before.iter().rev().map(|step| step.terminal);
        let window = match last.clone().next() {
            Some(host @ (Terminal::Host | Terminal::Lab)) => host,
            _ => last
                .find(|terminal| terminal.is_in_guest())
                .unwrap_or(Terminal::Guest),
        };
        Ok(Self {
            replay,
            signals,
            windows: windows(chapter),
            terminal: window,
            left: None,
            draft,
            echoes: false,
            over: false,
        })
    }

    /// Shows the last step, for the reader to know the place, and what can be typed.
    fn greet(&mut self) -> anyhow::Result<()> {
        if let Some(record) = self.replay.records.last() {
            screen::heading(&Step::typed(record.id, record.terminal, &record.command));
            screen::output(&record.output);
        }
        screen::aside(&format!("\n{}", self.help()));
        self.look_around()
    }

    fn help(&self) -> String {
        let windows: Vec<String> = self.windows.iter().map(|w| format!(".{w}")).collect();
        format!(
            "\
{}: the window that you type into ({NEXT_WINDOW}: the next one)
an empty line: looks at what the window has printed
COMMAND &: in a shell of the guest or the lab, the command goes on
lx-ps, lx-dmesg, apropos lx: the kernel's own commands, in gdb; Tab completes
Ctrl-C: stops the machine, and gdb has it; in .host and .lab, ends the command
.save FILE: writes what you have typed as steps, numbered behind {}; what becomes of the chapter's own later steps is up to you
.help: this; .quit or Ctrl-D: leaves, and everything that was started ends
The guest stands still while you type.",
            windows.join(" "),
            self.draft.behind
        )
    }

    /// Reads lines until there are no more.
    fn stay(&mut self, keyboard: &mut Keyboard) -> anyhow::Result<ExitCode> {
        let signals = self.signals;
        let mut begun = String::new();
        loop {
            let prompt = screen::prompt(self.terminal);
            let mut complete = |line: &str| self.complete(line);
            match keyboard.read(&prompt, &std::mem::take(&mut begun), signals, &mut complete)? {
                Typed::Line(line) => {
                    if !self.line(&line)? {
                        break;
                    }
                }
                Typed::NextWindow(line) => {
                    begun = line;
                    let at = self
                        .windows
                        .iter()
                        .position(|window| *window == self.terminal);
                    let next = at.map_or(0, |at| (at + 1) % self.windows.len());
                    self.go_to(self.windows[next]);
                }
                Typed::NotText => eprintln!("that line is not UTF-8; nothing was typed"),
                Typed::End => break,
            }
        }
        Ok(ExitCode::from(if self.over { cli::LAB } else { 0 }))
    }

    /// The whole lines that the beginning of one could become.
    fn complete(&mut self, line: &str) -> anyhow::Result<Vec<String>> {
        if line.starts_with('.') {
            let windows = self.windows.iter().map(|window| format!(".{window}"));
            let words = windows.chain(WORDS.map(str::to_owned));
            return Ok(words.filter(|word| word.starts_with(line)).collect());
        }
        if self.terminal != Terminal::Gdb || self.over {
            return Ok(Vec::new());
        }
        self.replay.session()?.complete(line)
    }

    /// Does what a line says; tells whether the visit goes on.
    fn line(&mut self, line: &str) -> anyhow::Result<bool> {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let done = match word {
            ".quit" => return Ok(false),
            ".help" => {
                screen::aside(&self.help());
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
        match done {
            Ok(()) => {}
            Err(error) if error.is::<Misuse>() => eprintln!("{error}"),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => {
                self.over = true;
                eprintln!(
                    "{error:#}\nThe visit is over. .save FILE keeps what you have typed; .quit leaves"
                );
            }
        }
        Ok(true)
    }

    fn name_window(&mut self, word: &str) {
        let named = Terminal::ALL
            .into_iter()
            .find(|window| window.word() == &word[1..]);
        match named {
            Some(window) if self.windows.contains(&window) => self.go_to(window),
            Some(window) => eprintln!("this chapter's machine has no window `{window}`"),
            None => eprintln!("`{word}` is no word of this prompt; .help tells them all"),
        }
    }

    fn go_to(&mut self, window: Terminal) {
        self.terminal = window;
        self.left = None;
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
            eprintln!("{why_not}");
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
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Ok(Some(
                "a control character cannot be typed into a step".to_owned(),
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

    /// Looks at every window with something that nobody has seen, and goes where the reader can type.
    fn look_around(&mut self) -> anyhow::Result<()> {
        // A look at gdb may let nothing more happen, but one at the guest may be followed by its end.
        while let Some(window) = self.replay.session()?.unseen_windows().first().copied() {
            self.step(window, "")?;
        }
        let held = self.replay.session()?.is_held();
        if held && self.terminal.is_in_guest() {
            self.left = Some(self.terminal);
            self.terminal = Terminal::Gdb;
            screen::aside("gdb holds the machine: this is its window now");
        } else if !held
            && self.terminal == Terminal::Gdb
            && let Some(left) = self.left.take()
        {
            self.terminal = left;
            screen::aside(&format!("gdb waits: this is the window `{left}` again"));
        }
        Ok(())
    }

    /// Does a step, and shows it; tells whether it went through to its end.
    fn step(&mut self, terminal: Terminal, command: &str) -> anyhow::Result<bool> {
        let mut step = Step::typed(self.draft.next_id(), terminal, command);
        let done = self.replay.run(&step);
        let own = terminal == self.terminal && !command.is_empty() && command != "interrupt";
        let show = |step: &Step| {
            if !(self.echoes && own) {
                screen::heading(step);
            }
        };
        let error = match done {
            Ok(output) => {
                step.status = output.status;
                show(&step);
                screen::output(&output);
                self.draft.push(step);
                return Ok(true);
            }
            Err(error) => error,
        };
        let failed =
            error.is::<Overrun>() || error.is::<ShellEnded>() && terminal == Terminal::Host;
        let cut = error.is::<Late>()
            || error.is::<Flood>()
            || error.is::<Interrupted>() && self.signals.take_ctrl_c()?;
        if !failed && !cut {
            return Err(error);
        }
        show(&step);
        let why = match error.is::<Interrupted>() {
            true => "cut short".to_owned(),
            false if error.is::<Late>() => {
                format!("not finished after {} s", step.deadline.as_secs())
            }
            false => error.to_string(),
        };
        eprintln!("{why}");
        if self.draft.stop() {
            eprintln!("(no replay can repeat that: .save keeps what you typed before)");
        }
        self.draft.push(step);
        if cut {
            self.cut_short(terminal)?;
        }
        Ok(false)
    }

    /// Ends what a window does: gdb has the machine then, or the shell its prompt.
    fn cut_short(&mut self, terminal: Terminal) -> anyhow::Result<()> {
        let stopped = loop {
            match self.replay.interrupt(terminal) {
                Err(error) if error.is::<Interrupted>() && self.signals.take_ctrl_c()? => {}
                done => break done?,
            }
        };
        screen::output(&stopped.output);
        if let Some(note) = stopped.note {
            eprintln!("{note}");
        }
        Ok(())
    }

    /// Writes what was typed as the steps of a chapter.
    fn save(&mut self, file: &str) -> anyhow::Result<()> {
        if file.is_empty() {
            eprintln!("expected `.save FILE`");
            return Ok(());
        }
        if !self.over && self.draft.left_out() == 0 {
            self.complete_draft()?;
        }
        let (text, count) = self.draft.text();
        if count == 0 {
            eprintln!("there is nothing to save: nothing was typed that a replay can repeat");
            return Ok(());
        }
        let new = std::fs::File::create_new(file);
        if let Err(error) = new.and_then(|mut new| new.write_all(text.as_bytes())) {
            eprintln!("write {file}: {error}; name a new file");
            return Ok(());
        }
        eprintln!(
            "{count} steps, for behind {}, saved in {file}",
            self.draft.behind
        );
        let left_out = self.draft.left_out();
        if left_out > 0 {
            eprintln!("the last {left_out} are not among them, as no replay can repeat them");
        }
        Ok(())
    }

    /// Adds the looks that a chapter which ended here would need.
    fn complete_draft(&mut self) -> anyhow::Result<()> {
        if self.replay.session()?.has_unseen_frames()? {
            self.step(Terminal::Wire, "")?;
        }
        if let Some(unseen) = self.replay.session()?.unseen()? {
            eprintln!("a chapter cannot end here: {unseen}");
        }
        Ok(())
    }
}

/// Whether it is a word for this prompt, and not `./a.sh` or `. a.sh`.
fn is_word(word: &str) -> bool {
    let name = word.strip_prefix('.').unwrap_or_default();
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())
}

/// The windows that the chapter's machine has. Those that would need another machine are only there if the chapter uses them.
fn windows(chapter: &Chapter) -> Vec<Terminal> {
    let exists = |window: &Terminal| match window {
        Terminal::Guest | Terminal::Gdb | Terminal::Host => true,
        Terminal::Wire => !chapter.has(Terminal::Lab),
        Terminal::Server | Terminal::Lab => chapter.has(*window),
    };
    let order = [
        Terminal::Guest,
        Terminal::Server,
        Terminal::Gdb,
        Terminal::Wire,
        Terminal::Lab,
        Terminal::Host,
    ];
    order.into_iter().filter(exists).collect()
}

/// How the replay compares with the page.
fn as_recorded(
    root: &Path,
    chapter: &Chapter,
    at: StepId,
    parts: &Parts,
    replay: &Replay<'_>,
) -> anyhow::Result<&'static str> {
    let Some(recorded) = Snapshot::read(root, &chapter.name)? else {
        return Ok("of a chapter that was never recorded");
    };
    let now = Snapshot {
        provenance: provenance::of(root, parts)?,
        transcript: Transcript {
            records: replay.records.clone(),
            frames: None,
        },
    };
    Ok(match compare(&recorded, &now, at) {
        Verdict::Exact => "all as on the page, byte for byte",
        Verdict::SameMeaning { .. } => "all as on the page, in meaning",
        Verdict::Different { .. } => "not all as on the page; `runner chapter` shows where",
    })
}
