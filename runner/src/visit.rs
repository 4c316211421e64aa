//! `runner shell`: a visit to the machine where a chapter has brought it.
//!
//! What the reader types becomes a step of the same session, by the same rules, so it can be saved as the steps of a chapter. What
//! two people at two windows would do by themselves is done here as steps, too: whoever types into gdb while it waits interrupts it
//! first, and what another window has printed meanwhile is looked at after each command.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::chapter::Chapter;
use crate::cli::Global;
use crate::desk::Parts;
use crate::process::Signals;
use crate::progress::Stage;
use crate::replay::{Event, Replay};
use crate::session::{Debugger, Misuse};
use crate::snapshot::Snapshot;
use crate::step::{Step, StepId, Terminal};
use crate::transcript::Transcript;
use crate::verdict::{Verdict, compare};
use crate::{provenance, root, screen, setup};

const HELP: &str = "\
.guest .server .gdb .wire .host .lab   the window that you type into
.save FILE                             writes what you have typed as the steps of a chapter
.quit                                  leaves, and everything that was started ends
COMMAND &                              in a shell: the command goes on";

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
    let parts = Parts::from(setup::ready(&options)?);
    let signals = Signals::catch()?;
    let replay = Replay::new(&root, &chapter, &parts, Debugger::Always, &signals)?;
    let mut visit = Visit::arrive(&root, &chapter, count, &parts, replay)?;
    visit.greet();
    visit.stay(&mut std::io::stdin().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// The reader on the machine.
struct Visit<'a> {
    replay: Replay<'a>,
    /// The window that is typed into.
    terminal: Terminal,
    /// Where the chapter was left.
    at: StepId,
    /// What was typed since.
    typed: Vec<Step>,
}

impl<'a> Visit<'a> {
    /// Replays the chapter up to there, and says whether all was as in the book.
    fn arrive(
        root: &Path,
        chapter: &Chapter,
        count: usize,
        parts: &Parts,
        mut replay: Replay<'a>,
    ) -> anyhow::Result<Self> {
        let at = chapter.steps[..count]
            .last()
            .map_or(chapter.last(), |step| step.id);
        let mut stage = Stage::begin(format!("replay chapter {} up to step {at}", chapter.number));
        let shown = u32::try_from(count).unwrap_or(u32::MAX);
        replay.run_first(count, &mut |event| {
            if let Event::Begin(step) = event {
                stage.at(format!("{} of {shown}", step.id.number));
            }
        })?;
        stage.done();
        let now = Snapshot {
            provenance: provenance::of(root, parts)?,
            transcript: Transcript {
                records: replay.records.clone(),
                frames: None,
            },
        };
        let recorded = Snapshot::read(root, &chapter.name)?;
        let verdict = recorded.map(|recorded| compare(&recorded, &now, at));
        let how = match verdict {
            Some(Verdict::Exact) => "all as on the page, byte for byte",
            Some(Verdict::SameMeaning { .. }) => "all as on the page, in meaning",
            Some(Verdict::Different { .. }) => {
                "not all as on the page; `runner chapter` shows where"
            }
            None => "a chapter that was never recorded",
        };
        eprintln!("step {at}: {how}");
        replay.session()?.hand_over()?;
        let last = chapter.steps[..count].iter().rev();
        let terminal = match replay.session()?.is_held() {
            true => Terminal::Gdb,
            false => {
                let in_guest = last
                    .map(|step| step.terminal)
                    .find(|terminal| terminal.is_in_guest());
                in_guest.unwrap_or(Terminal::Guest)
            }
        };
        Ok(Self {
            replay,
            terminal,
            at,
            typed: Vec::new(),
        })
    }

    /// Shows the last step, for the reader to know the place, and what can be typed.
    fn greet(&self) {
        if let Some(record) = self.replay.records.last() {
            screen::heading(&Step::typed(record.id, record.terminal, &record.command));
            screen::output(&record.output);
        }
        eprintln!("\n{HELP}");
    }

    /// Reads lines until there are no more.
    fn stay(&mut self, input: &mut dyn BufRead) -> anyhow::Result<()> {
        let mut line = String::new();
        while {
            line.clear();
            input.read_line(&mut line).context("read what is typed")? > 0
        } {
            match self.line(line.trim_end_matches(['\n', '\r'])) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.is::<Misuse>() => eprintln!("{error}"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does what a line says; tells whether the visit goes on.
    fn line(&mut self, line: &str) -> anyhow::Result<bool> {
        let mut words = line.split_whitespace();
        match words.next() {
            None => {}
            Some(".quit") => return Ok(false),
            Some(".help") => eprintln!("{HELP}"),
            Some(".save") => self.save(words.next())?,
            Some(word) if word.starts_with('.') => {
                let named = Terminal::ALL
                    .into_iter()
                    .find(|terminal| terminal.word() == &word[1..]);
                match named {
                    Some(terminal) => self.terminal = terminal,
                    None => eprintln!("`{word}` is no word of this prompt; .help tells them all"),
                }
            }
            Some(_) => self.command(line)?,
        }
        Ok(true)
    }

    /// Types a command into the window, and looks at what happens in the others.
    fn command(&mut self, line: &str) -> anyhow::Result<()> {
        let terminal = self.terminal;
        if terminal == Terminal::Gdb && !self.replay.session()?.is_held() && line != "interrupt" {
            self.step(terminal, "interrupt")?;
        }
        self.step(terminal, line)?;
        // A look at gdb may let nothing more happen, but one at the guest may be followed by its end.
        loop {
            let unseen = self.replay.session()?.unseen_windows();
            let Some(window) = unseen.first().copied() else {
                break;
            };
            self.step(window, "")?;
        }
        if self.replay.session()?.is_held() && terminal.is_in_guest() {
            self.terminal = Terminal::Gdb;
            eprintln!("(gdb holds the machine: this is its window now)");
        }
        Ok(())
    }

    fn step(&mut self, terminal: Terminal, command: &str) -> anyhow::Result<()> {
        let id = StepId {
            number: self.at.number + 1 + u32::try_from(self.typed.len()).unwrap_or(0),
            ..self.at
        };
        let mut step = Step::typed(id, terminal, command);
        let output = self.replay.run(&step)?;
        step.status = output.status;
        screen::heading(&step);
        screen::output(&output);
        self.typed.push(step);
        Ok(())
    }

    /// Writes what was typed as the steps of a chapter.
    fn save(&self, file: Option<&str>) -> anyhow::Result<()> {
        let Some(file) = file.map(PathBuf::from) else {
            eprintln!("expected `.save FILE`");
            return Ok(());
        };
        if file.exists() {
            eprintln!("{} is there already; name another file", file.display());
            return Ok(());
        }
        let lines = self.typed.iter().map(|step| step.directive() + "\n");
        let text = format!("```console\n{}```\n", lines.collect::<String>());
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        eprintln!(
            "{} steps, for behind {}, saved in {}",
            self.typed.len(),
            self.at,
            file.display()
        );
        Ok(())
    }
}
