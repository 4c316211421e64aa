//! The windows on one machine: the guest's shells, the debugger, the wire, and the lab.
//!
//! Without the debugger the guest runs through its commands by itself, and the reports wait here
//! until their step comes. With it the machine stops at the boundary before each command, and a
//! step of the guest lets it run on: until the boundary again, or until a breakpoint holds it. What
//! a window has printed since its last step belongs to its next step, and a step without a command
//! just looks. A chapter that looks at the wire has a debugger in any case, since a look needs a
//! machine that stands still.
//!
//! A machine in the lab has company that does not stand still. So there the guest lives on whenever
//! this waits for something else: at the boundary it is told to take a nap, again and again. And as
//! real time has no moment at which all is quiet, a look waits for the end of the command, or for
//! what gdb prints.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::Error;
use crate::machine::agent::{self, Report, Reports};
use crate::machine::gdb::{Gdb, Place, is_continue};
use crate::machine::qemu::{self, Qemu, file};
use crate::machine::shell::{Shell, late};
use crate::machine::tap::Tap;
use crate::machine::window::{OUTPUT_MAX, Watch, Window};
use crate::machine::wire::Wire;
use crate::system::process::{MOMENT, Signals, drain};
use crate::system::sandbox::View;
use crate::transcript::capture::{self, Frame};
use crate::transcript::step::{Step, StepId, Terminal, Until};
use crate::transcript::{Output, visible};

/// How long QEMU and gdb may take to come up, in real time. A test that waits so long gives less.
static START_DEADLINE: LazyLock<Duration> = LazyLock::new(|| {
    let given = std::env::var("THESEUS_START_DEADLINE").ok();
    let seconds = given.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(120))
});
/// How long gdb may look for the ways in which a command could go on, in real time.
const COMPLETE_DEADLINE: Duration = Duration::from_secs(5);
/// After how long gdb is asked again to stop the machine, in real time.
const CTRL_C_AGAIN: Duration = Duration::from_secs(2);
/// How long a command in the guest may take to end at Ctrl-C, in real time.
const CTRL_C_DEADLINE: Duration = Duration::from_secs(3);
/// How often the machine is let run on that breakpoints stop which nobody waits for.
const CONTINUES_MAX: usize = 100;
/// How long a step may be that is written into the agent's memory (`typed` in `rootfs/agent.c`), in
/// bytes.
const TYPED_MAX: usize = 16384;

/// Whether a machine has a debugger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debugger {
    /// If a step of the chapter needs one.
    AsNeeded,
    /// In any case: somebody will type what the chapter does not know.
    Always,
}

/// A running machine with its windows.
#[derive(Debug)]
pub struct Session<'a> {
    // gdb goes first, so that it does not see its connection break.
    gdb: Option<Gdb>,
    qemu: Qemu,
    lab: Option<Tap>,
    signals: &'a Signals,
    view: View,
    reports: Reports,
    queue: VecDeque<Report>,
    /// The step that the agent is at.
    current: Option<StepId>,
    windows: BTreeMap<Terminal, Window>,
    wire: Wire,
    /// Whether gdb is connected to the machine.
    connected: bool,
    /// Whether the guest's steps come from a reader, and no more from the initramfs.
    typed: bool,
}

impl<'a> Session<'a> {
    /// Starts the machine whose files lie in the private folder of `view`, for `steps`, the
    /// chapter's steps on the machine; `turns` is the library of `build::turns`.
    ///
    /// # Errors
    /// When QEMU or gdb cannot be started or do not come up.
    pub fn start(
        view: &View,
        turns: &Path,
        steps: &[&Step],
        debugger: Debugger,
        signals: &'a Signals,
    ) -> anyhow::Result<Self> {
        let first_gdb = steps.iter().find(|step| step.terminal == Terminal::Gdb);
        let has = |terminal| steps.iter().any(|step| step.terminal == terminal);
        let debugger = debugger == Debugger::Always
            || first_gdb.is_some()
            || has(Terminal::Wire)
            || has(Terminal::Lab);
        let lab = has(Terminal::Lab)
            .then(|| Tap::start(view, signals))
            .transpose()?;
        let qemu = Qemu::start(view, turns, lab.as_ref(), debugger)?;
        let gdb = debugger.then(|| Gdb::start(view)).transpose()?;
        let mut session = Self {
            gdb,
            qemu,
            lab,
            signals,
            view: view.clone(),
            reports: Reports::default(),
            queue: VecDeque::new(),
            current: None,
            windows: BTreeMap::new(),
            wire: Wire::default(),
            connected: false,
            typed: false,
        };
        if debugger {
            session.wait_for_stub()?;
            if first_gdb.is_none_or(|step| step.command != Gdb::connect()) {
                session.connect()?;
                if !matches!(steps, [first, ..] if first.terminal == Terminal::Gdb) {
                    session.resume()?;
                    session.settle_at_start()?;
                }
            }
            // What gdb says while it loads its symbols: all of it, once gdb has answered.
            session.command("echo")?;
            session.gdb_mut()?.take_printed();
        }
        Ok(session)
    }

    /// Does a step on the machine, for somebody who watches the window of a shell.
    ///
    /// # Errors
    /// [`Misuse`]; a deadline; a machine or a debugger that has ended; a signal.
    pub fn run(&mut self, step: &Step, watch: Watch<'_>) -> anyhow::Result<Output> {
        match step.terminal {
            Terminal::Guest | Terminal::Server => self.guest(step, watch),
            Terminal::Gdb => self.debugger(step),
            Terminal::Wire => self.wire.run(&self.view, step, self.signals),
            Terminal::Lab => self.lab(step, watch),
            Terminal::Host => bail!("{} is not on the machine", step.terminal),
        }
    }

    /// Gives the machine to a reader, who types what no chapter knows: from now on the guest's
    /// steps are those that [`Session::run`] is given. gdb gets the kernel's own commands, `lx-ps`
    /// and the like.
    ///
    /// # Errors
    /// When gdb refuses, or the session has none.
    pub fn hand_over(&mut self) -> anyhow::Result<()> {
        if !self.connected {
            self.quietly(Self::connect)?;
        }
        self.load_scripts()?;
        self.typed = true;
        Ok(())
    }

    /// Gives gdb the kernel's own commands, which [`Session::interrupt_guest`] needs.
    ///
    /// # Errors
    /// When gdb refuses, or the session has none.
    pub fn load_scripts(&mut self) -> anyhow::Result<()> {
        // They are Python's, so it does not matter what the machine does.
        self.stop()?;
        self.quietly(|session| session.command(Gdb::SCRIPTS))
    }

    /// Stops the machine, whatever it does, as Ctrl-C at gdb does: at a moment that nobody can
    /// repeat. If gdb itself was busy, only that ends.
    ///
    /// # Errors
    /// A machine or a debugger that has ended, or does not answer; a signal.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + *START_DEADLINE;
        while !self.gdb_mut()?.is_settled() {
            self.gdb_mut()?.press_ctrl_c()?;
            // gdb loses one that comes while it deals with a stop of the agent's.
            let again = (Instant::now() + CTRL_C_AGAIN).min(until);
            while !self.gdb_mut()?.is_settled() {
                match self.intake_of_flood(again, |_| "gdb does not answer Ctrl-C".to_owned()) {
                    Err(error) if Error::is_late(&error) && again < until => break,
                    taken => taken?,
                }
            }
        }
        Ok(())
    }

    /// Stops the machine for somebody who wants to have it, as Ctrl-C in gdb's window does. While a
    /// command runs, a stop of the agent's may come first, and is none for anybody to see.
    ///
    /// # Errors
    /// As [`Session::stop`].
    pub fn hold(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + *START_DEADLINE;
        loop {
            self.stop()?;
            let is_agents = self.gdb_mut()?.place == Place::Boundary && self.current.is_some();
            if !is_agents || Instant::now() > until {
                return Ok(());
            }
            self.resume()?;
        }
    }

    /// Ends the command that runs in the lab's shell; tells whether it did end.
    ///
    /// # Errors
    /// A shell that has ended; a signal.
    pub fn interrupt_lab(&mut self) -> anyhow::Result<bool> {
        let signals = self.signals;
        self.shell_mut()?.interrupt(signals)
    }

    /// Ends the command that runs in a shell of the guest, as Ctrl-C would there; tells whether it
    /// did end. If not, gdb holds the machine, or the command goes on in the background.
    ///
    /// # Errors
    /// A machine or a debugger that has ended; a signal.
    pub fn interrupt_guest(&mut self, terminal: Terminal) -> anyhow::Result<bool> {
        let (ended, stopped) = self.quietly(|session| {
            session.stop()?;
            let shell = usize::from(terminal == Terminal::Server);
            session.command(&Gdb::prepare_interrupt(shell))?;
            let ended = session.signal_guest(terminal)?;
            let stopped = session.gdb_mut()?.take_printed();
            session.command("python theseus.unwatch()")?;
            Ok((ended, stopped))
        })?;
        if self.is_held() {
            // What has stopped the machine now is something to see.
            self.gdb_mut()?.put_back(stopped);
        }
        Ok(ended)
    }

    fn signal_guest(&mut self, terminal: Terminal) -> anyhow::Result<bool> {
        // gdb may take long for what it is told, and only while the machine runs can a command end.
        let mut until = None;
        let mut somebody = true;
        while self.window(terminal).is_busy() {
            if somebody {
                self.command("python theseus.watch()")?;
            }
            let end = *until.get_or_insert_with(|| Instant::now() + CTRL_C_DEADLINE);
            if !self.go_on(end)? {
                // The kernel never idles, or the command does not care.
                self.hold()?;
                return Ok(false);
            }
            if !self.is_held() {
                continue;
            }
            let said = self.quietly(|session| {
                session.command("python theseus.send()")?;
                Ok(session.gdb_mut()?.take_printed().0)
            })?;
            match said.trim_end() {
                "sent" => until = None,
                "nobody" => somebody = false,
                // A breakpoint of the reader's.
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Lets the machine run on until it stops by itself; gives `false` if it has to be stopped
    /// then, or if the time was over before.
    fn go_on(&mut self, until: Instant) -> anyhow::Result<bool> {
        self.gdb_mut()?.take_printed();
        if Instant::now() > until {
            return Ok(false);
        }
        if self.gdb_mut()?.place == Place::Boundary && self.current.is_none() {
            self.nap()?;
        } else {
            self.resume()?;
        }
        while !self.gdb_mut()?.is_settled() {
            match self.intake_of_flood(until, |_| String::new()) {
                Err(error) if Error::is_late(&error) => {
                    self.stop()?;
                    return Ok(false);
                }
                taken => taken?,
            }
        }
        Ok(true)
    }

    /// How a command of gdb's could go on: whole commands, 200 at most, and none where gdb takes
    /// too long.
    ///
    /// # Errors
    /// A debugger that has ended; a signal.
    pub fn complete(&mut self, command: &str) -> anyhow::Result<Vec<String>> {
        if !self.gdb_mut()?.is_settled() {
            return Ok(Vec::new());
        }
        self.quietly(|session| {
            session.gdb_mut()?.ask_matches(command)?;
            let until = Instant::now() + COMPLETE_DEADLINE;
            while !session.gdb_mut()?.is_settled() {
                match session.intake(until, |_| String::new()) {
                    Err(error) if Error::is_late(&error) => session.stop()?,
                    taken => taken?,
                }
            }
            Ok(session.gdb_mut()?.take_matches())
        })
    }

    /// Makes way for a step that could not be typed: sees what gdb has printed, lets the machine
    /// run on until the guest waits for its next command, if the step is the guest's, and looks at
    /// the end of an earlier command. Gives whether anything of that was to do.
    ///
    /// # Errors
    /// A machine or a debugger that has ended, or does not answer; a signal.
    pub fn make_way(&mut self, step: &Step) -> anyhow::Result<bool> {
        let mut done = false;
        if let Some(gdb) = &mut self.gdb {
            if gdb.has_printed() {
                gdb.take_printed();
                done = true;
            }
            let is_guests = matches!(step.terminal, Terminal::Guest | Terminal::Server);
            for _ in 0..CONTINUES_MAX {
                if !is_guests || !self.is_held() {
                    break;
                }
                done = true;
                self.set_tick(false)?;
                self.command("continue")?;
                self.gdb_mut()?.take_printed();
            }
        }
        let window = self.window(step.terminal);
        // Nobody has looked at the end of an earlier command.
        if window.taken_by().is_some() && !window.is_busy() && !step.command.is_empty() {
            window.look(&Until::End);
            done = true;
        }
        Ok(done)
    }

    /// Leaves out a step. The agent has the chapter's steps in their order, so if it would type
    /// this one, those behind it are given to it one by one.
    pub fn skip(&mut self, step: &Step) {
        self.typed |= step.terminal.is_in_guest() && step.is_typed_by_agent();
    }

    /// What a window has printed that no look has shown.
    pub fn left_over(&mut self, terminal: Terminal) -> Output {
        match (terminal, &mut self.gdb) {
            (Terminal::Gdb, Some(gdb)) => {
                let (stdout, stderr) = gdb.take_printed();
                Output {
                    stdout: visible(stdout.as_bytes()),
                    stderr: visible(stderr.as_bytes()),
                    ..Output::default()
                }
            }
            _ => self.window(terminal).look(&Until::Quiet),
        }
    }

    /// Whether gdb holds the machine, so that nobody can type into the guest.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(&self.gdb, Some(gdb) if gdb.place == Place::Held)
    }

    /// The windows with something that nobody has seen.
    #[must_use]
    pub fn unseen_windows(&self) -> Vec<Terminal> {
        let gdb = self.gdb.as_ref().filter(|gdb| gdb.has_printed());
        let gdb = gdb.map(|_| Terminal::Gdb).into_iter();
        let shells = self.shells().into_iter();
        let unseen = shells.filter(|(_, window)| window.has_unseen() || window.has_ended());
        gdb.chain(unseen.map(|(terminal, _)| terminal)).collect()
    }

    /// The windows that have a shell, of the guest and of the lab.
    fn shells(&self) -> BTreeMap<Terminal, &Window> {
        let lab = self
            .lab
            .iter()
            .map(|lab| (Terminal::Lab, &lab.shell.window));
        let guest = self
            .windows
            .iter()
            .map(|(terminal, window)| (*terminal, window));
        guest.chain(lab).collect()
    }

    /// The step whose command still runs in a shell.
    #[must_use]
    pub fn busy_with(&self, terminal: Terminal) -> Option<StepId> {
        let shells = self.shells();
        let window = shells.get(&terminal)?;
        window.is_busy().then(|| window.taken_by())?
    }

    /// Whether a look at the window waits for something: in the lab, where the guest goes on
    /// meanwhile.
    #[must_use]
    pub fn waits_for(&self, terminal: Terminal) -> bool {
        let gdb_waits = terminal == Terminal::Gdb && !self.is_held();
        self.lab.is_some() && (gdb_waits || self.busy_with(terminal).is_some())
    }

    /// Whether frames have passed that no look at the wire has shown.
    ///
    /// # Errors
    /// When the capture cannot be read.
    pub fn has_unseen_frames(&self) -> anyhow::Result<bool> {
        self.wire.has_unseen(&self.view, self.signals)
    }

    fn connect(&mut self) -> anyhow::Result<()> {
        self.command(&Gdb::connect())?;
        self.prepare()
    }

    /// What the runner itself needs of gdb once it is connected.
    fn prepare(&mut self) -> anyhow::Result<()> {
        self.command(&Gdb::watch_boundary())?;
        self.connected = true;
        Ok(())
    }

    /// What would be lost if the chapter ended here.
    ///
    /// # Errors
    /// When the capture cannot be read.
    pub fn unseen(&self) -> anyhow::Result<Option<String>> {
        if let Some(id) = self.busy_with(Terminal::Lab) {
            return Ok(Some(format!(
                "the command of step {id} still runs; add a step `lab`, which waits for its end"
            )));
        }
        for (terminal, window) in self.shells() {
            if let (true, Some(id)) = (window.has_unseen(), window.taken_by()) {
                return Ok(Some(format!(
                    "what step {id} printed in the window `{terminal}` is shown nowhere; add a step `{terminal}`"
                )));
            }
        }
        if self.gdb.as_ref().is_some_and(Gdb::has_printed) {
            return Ok(Some(
                "what gdb printed last is shown nowhere; add a step `gdb`".to_owned(),
            ));
        }
        Ok(self
            .has_unseen_frames()?
            .then(|| "the frames that came last are shown nowhere; add a step `wire`".to_owned()))
    }

    /// The frames that have passed the wire by now.
    ///
    /// # Errors
    /// When the capture cannot be read.
    pub fn frames(&self) -> anyhow::Result<Vec<Frame>> {
        let path = self.view.home().join(file::CAPTURE);
        capture::parse(&fs_err::read(path)?)
    }

    fn guest(&mut self, step: &Step, watch: Watch<'_>) -> anyhow::Result<Output> {
        let terminal = step.terminal;
        check_turn(self.window(terminal), step)?;
        if step.is_typed_by_agent() {
            self.type_into_guest(step, watch)?;
        } else if self.lab.is_some() {
            let until = Instant::now() + step.deadline;
            while self.window(terminal).is_busy() {
                self.pump(until, step)?;
                watch(self.window(terminal));
            }
        }
        look(self.window(terminal), step)
    }

    fn lab(&mut self, step: &Step, watch: Watch<'_>) -> anyhow::Result<Output> {
        let until = Instant::now() + step.deadline;
        let shell = self.shell_mut()?;
        check_turn(&shell.window, step)?;
        if !step.command.is_empty() {
            shell.begin(step)?;
        }
        while match &step.until {
            Until::End => self.shell_mut()?.window.is_busy(),
            Until::Quiet => false,
            Until::Text(text) => {
                let window = &self.shell_mut()?.window;
                window.is_busy() && !window.shows(text)
            }
        } {
            self.pump(until, step)?;
            watch(&mut self.shell_mut()?.window);
        }
        look(&mut self.shell_mut()?.window, step)
    }

    fn shell_mut(&mut self) -> anyhow::Result<&mut Shell> {
        let lab = self.lab.as_mut().context("the chapter has no lab")?;
        Ok(&mut lab.shell)
    }

    /// Gives the agent its part of the step; with the debugger, until it holds the machine again.
    fn type_into_guest(&mut self, step: &Step, watch: Watch<'_>) -> anyhow::Result<()> {
        if self.window(step.terminal).is_gone() {
            bail!(Error::Misuse(format!(
                "the shell of the window `{}` has ended in an earlier step",
                step.terminal
            )));
        }
        let until = Instant::now() + step.deadline;
        if self.gdb.is_some() {
            self.wait_until_settled(until, step, watch)?;
            if self.gdb_mut()?.place != Place::Boundary {
                bail!(Error::Misuse(
                    "the debugger holds the machine, so the guest cannot read the command; \
                     let it run on first: gdb continue"
                        .to_owned()
                ));
            }
            if self.typed {
                self.write_step(step)?;
            }
            self.resume()?;
        }
        if !step.command.is_empty() {
            self.window(step.terminal).begin(step.id);
        }
        self.current = Some(step.id);
        self.take_reports()?;
        if self.gdb.is_none() {
            while self.current.is_some() {
                self.pump(until, step)?;
            }
            return Ok(());
        }
        self.wait_until_settled(until, step, watch)?;
        while self.gdb_mut()?.place == Place::Boundary && self.current.is_some() {
            // The step has not ended, so this is one stop that was told twice: seen once in about a
            // thousand.
            self.resume()?;
            self.wait_until_settled(until, step, watch)?;
        }
        Ok(())
    }

    /// Puts a step into the memory of the agent, which waits at the boundary, in place of the next
    /// in the initramfs.
    fn write_step(&mut self, step: &Step) -> anyhow::Result<()> {
        let packed = agent::step(step);
        if packed.len() > TYPED_MAX {
            bail!(Error::Misuse(format!(
                "a command typed into the guest has at most {TYPED_MAX} bytes"
            )));
        }
        self.quietly(|session| {
            session.gdb_mut()?.write_typed(&packed)?;
            session.settle_at_start()?;
            session.command(Gdb::TYPED)
        })
    }

    fn debugger(&mut self, step: &Step) -> anyhow::Result<Output> {
        let until = Instant::now() + step.deadline;
        let looks = step.command.is_empty();
        while looks && self.lab.is_some() && self.gdb_mut()?.place != Place::Held {
            self.pump(until, step)?;
        }
        let gdb = self.gdb_mut()?;
        if looks != gdb.has_printed() {
            bail!(Error::Misuse(if looks {
                "nothing has stopped the machine since gdb's last step, so there is nothing to see: no step in between \
                 reaches a breakpoint"
                    .to_owned()
            } else {
                "gdb has printed something since its last step, as a breakpoint was hit; \
                 a step `gdb` without a command shows it first"
                    .to_owned()
            }));
        }
        if !looks {
            self.type_into_gdb(step)?;
        }
        let gdb = self.gdb_mut()?;
        let (stdout, stderr) = gdb.take_printed();
        Ok(Output {
            stdout: visible(stdout.as_bytes()),
            stderr: visible(stderr.as_bytes()),
            status: i32::from(!looks && gdb.has_refused()),
            guest_ns: None,
        })
    }

    fn type_into_gdb(&mut self, step: &Step) -> anyhow::Result<()> {
        let until = Instant::now() + step.deadline;
        if self.lab.is_some() {
            // It may be on its way from a nap.
            self.wait_until_settled(until, step, &mut |_| {})?;
        }
        let interrupts = step.command == "interrupt";
        match (self.gdb_mut()?.place, interrupts) {
            (Place::Held, false) => {
                self.set_tick(!is_continue(&step.command))?;
                self.gdb_mut()?.send(&step.command)?;
            }
            (Place::Boundary, true) => {
                self.quietly(|session| {
                    let mut commands = Gdb::watch_idle().into_iter();
                    commands.try_for_each(|command| session.command(&command))
                })?;
                self.resume()?;
            }
            (Place::Held, true) => {
                bail!(Error::Misuse(
                    "the debugger holds the machine already".to_owned()
                ))
            }
            _ => bail!(Error::Misuse(
                "gdb still waits in its last `continue`, and the guest for its next command; \
                 take the machine first: gdb interrupt"
                    .to_owned()
            )),
        }
        self.wait_until_settled(until, step, &mut |_| {})?;
        while interrupts && self.gdb_mut()?.place == Place::Boundary {
            // A command that goes on has woken the agent before the kernel was idle.
            self.nap()?;
            self.wait_until_settled(until, step, &mut |_| {})?;
        }
        if step.command == Gdb::connect() {
            self.quietly(Self::prepare)?;
        }
        if self.gdb_mut()?.place == Place::Boundary && !is_continue(&step.command) {
            bail!(Error::Overrun(step.command.clone()));
        }
        Ok(())
    }

    fn gdb_mut(&mut self) -> anyhow::Result<&mut Gdb> {
        self.gdb.as_mut().context("the chapter has no debugger")
    }

    fn wait_until_settled(
        &mut self,
        until: Instant,
        step: &Step,
        watch: Watch<'_>,
    ) -> anyhow::Result<()> {
        while !self.gdb_mut()?.is_settled() {
            self.intake(until, |folder| late(step) + &qemu::console(folder))?;
            if let Some(window) = self.windows.get_mut(&step.terminal) {
                watch(window);
            }
        }
        Ok(())
    }

    /// Does something with gdb that leaves no trace in its window.
    fn quietly<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let printed = self.gdb_mut()?.take_printed();
        let done = work(self);
        self.gdb_mut()?.put_back(printed);
        done
    }

    /// A command of the runner's own, outside the transcript.
    fn command(&mut self, command: &str) -> anyhow::Result<()> {
        self.gdb_mut()?.send(command)?;
        self.settle_at_start()?;
        let gdb = self.gdb_mut()?;
        if gdb.has_refused() {
            bail!(
                "gdb refused `{command}`: {}",
                gdb.take_printed().1.trim_end()
            );
        }
        Ok(())
    }

    fn settle_at_start(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + *START_DEADLINE;
        while !self.gdb_mut()?.is_settled() {
            self.intake(until, |folder| {
                format!(
                    "gdb or the machine did not come up within {} s; {}",
                    START_DEADLINE.as_secs(),
                    qemu::last_words(folder)
                )
            })?;
        }
        Ok(())
    }

    /// Whether QEMU listens at the debugger's socket, whose file is there a little earlier.
    fn stub_listens(&self) -> bool {
        let qemu = &self.qemu.process;
        // What a sandbox runs has a network of its own.
        let process = qemu.first_child().unwrap_or(qemu.child.id());
        let sockets = std::fs::read_to_string(format!("/proc/{process}/net/unix"));
        let sockets = sockets.unwrap_or_default();
        let mut stubs = sockets.lines().filter(|line| line.ends_with(file::STUB));
        // Number, references, protocol, flags: __SO_ACCEPTCON of include/linux/net.h is 1 << 16.
        let listens = |line: &str| line.split_whitespace().nth(3) == Some("00010000");
        self.view.home().join(file::STUB).exists()
            && stubs
                .next()
                .is_none_or(|first| listens(first) || stubs.any(listens))
    }

    /// Waits for QEMU to open the debugger's socket.
    fn wait_for_stub(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + *START_DEADLINE;
        while !self.stub_listens() {
            if self.qemu.process.ended()?.is_some() {
                return Err(self.qemu.ended_early(&self.view));
            }
            if Instant::now() > until {
                bail!(
                    "QEMU opened no socket for the debugger within {} s; {}",
                    START_DEADLINE.as_secs(),
                    qemu::last_words(self.view.home())
                );
            }
            match self.signals.wait(&[], Instant::now() + MOMENT, String::new) {
                Err(error) if Error::is_late(&error) => {}
                waited => waited?,
            }
        }
        Ok(())
    }

    /// Waits for something to happen outside of the guest's present step. In the lab the machine
    /// runs meanwhile.
    fn pump(&mut self, until: Instant, step: &Step) -> anyhow::Result<()> {
        let waits = |gdb: &Gdb| gdb.is_settled() && gdb.place == Place::Boundary;
        if self.lab.is_some() && self.current.is_none() && self.gdb.as_ref().is_some_and(waits) {
            self.nap()?;
        }
        self.intake(until, |folder| late(step) + &qemu::console(folder))
    }

    /// Sends the agent, which waits at the boundary, to sleep for a moment. It leaves no trace in
    /// gdb's window.
    fn nap(&mut self) -> anyhow::Result<()> {
        self.quietly(|session| session.command(Gdb::SLEEP))?;
        self.resume()
    }

    /// Lets the machine run on, as a `continue` that the reader typed before.
    fn resume(&mut self) -> anyhow::Result<()> {
        self.set_tick(false)?;
        self.gdb_mut()?.resume()
    }

    /// Makes the machine's clock ready to run on; see [`Gdb::tick`]. In the lab it is the real one.
    fn set_tick(&mut self, can_stop: bool) -> anyhow::Result<()> {
        if self.lab.is_some() || !self.connected {
            return Ok(());
        }
        self.quietly(|session| session.command(Gdb::tick(can_stop)))
    }

    /// Waits for something to happen, and takes it in. The debugger is read first: what the guest
    /// had reported before the debugger stopped it is then in the pipe.
    fn intake(&mut self, until: Instant, late: impl FnOnce(&Path) -> String) -> anyhow::Result<()> {
        let mut pipes = vec![self.qemu.reports.as_fd()];
        pipes.extend(self.gdb.as_ref().map(|gdb| gdb.output.as_fd()));
        pipes.extend(self.lab.iter().flat_map(|lab| lab.shell.pipes()));
        self.signals
            .wait(&pipes, until, || late(self.view.home()))?;
        if let Some(lab) = &mut self.lab {
            lab.shell.read()?;
        }
        if let Some(gdb) = &mut self.gdb {
            gdb.read()?;
        }
        let (bytes, closed) = drain(&mut self.qemu.reports)?;
        self.queue.extend(self.reports.feed(&bytes)?);
        self.take_reports()?;
        if closed || self.gdb.as_ref().is_some_and(|gdb| gdb.machine_ended) {
            return Err(self.qemu.ended_early(&self.view));
        }
        Ok(())
    }

    /// As [`Session::intake`], where a flood is no error: what nobody has seen of it is dropped.
    fn intake_of_flood(
        &mut self,
        until: Instant,
        late: impl FnOnce(&Path) -> String,
    ) -> anyhow::Result<()> {
        self.windows.values_mut().for_each(Window::forget_flood);
        match self.intake(until, late) {
            Err(error) if Error::is_flood(&error) => Ok(()),
            taken => taken,
        }
    }

    /// Takes in the reports of the step that the agent is at. Without the debugger the guest may be
    /// further, and the reports of later steps are left.
    fn take_reports(&mut self) -> anyhow::Result<()> {
        while self.current.is_some() || self.gdb.is_some() {
            let Some(report) = self.queue.pop_front() else {
                break;
            };
            match report {
                Report::Begin(number) => match self.current {
                    Some(id) if number == id.to_string() => {}
                    Some(id) => bail!("the guest runs step {number} instead of {id}"),
                    None => bail!("the guest runs step {number} unasked"),
                },
                Report::Out(window, bytes) => self.window(window).print(false, &bytes),
                Report::Err(window, bytes) => self.window(window).print(true, &bytes),
                Report::End {
                    window,
                    status,
                    guest_ns,
                } => self.window(window).end(status, Some(guest_ns)),
                Report::Gone(window) => self.window(window).leave(),
                Report::Next => self.current = None,
                Report::Done => bail!("the guest has no further command"),
            }
            if self.windows.values().any(Window::is_flooded) {
                bail!(Error::Flood(OUTPUT_MAX));
            }
        }
        Ok(())
    }

    fn window(&mut self, terminal: Terminal) -> &mut Window {
        match (terminal, &mut self.lab) {
            (Terminal::Lab, Some(lab)) => &mut lab.shell.window,
            _ => self.windows.entry(terminal).or_default(),
        }
    }
}

/// A command needs an idle shell, and a look something to see.
fn check_turn(window: &Window, step: &Step) -> Result<(), Error> {
    let terminal = step.terminal;
    match (window.taken_by(), step.command.is_empty()) {
        (None, true) if window.unseen_bytes() == 0 => Err(Error::Misuse(format!(
            "nothing has happened in the window `{terminal}` since its last step; give a command"
        ))),
        (Some(id), false) => Err(Error::Misuse(format!(
            "the window `{terminal}` is busy with step {id}, or nobody has looked at its end; \
             a step `{terminal}` without a command shows it"
        ))),
        _ => Ok(()),
    }
}

/// What the step shows of its window; an awaited text must be in it.
fn look(window: &mut Window, step: &Step) -> anyhow::Result<Output> {
    let output = window.look(&step.until);
    if let Until::Text(text) = &step.until
        && !(output.stdout.contains(text.as_str()) || output.stderr.contains(text.as_str()))
        && !window.is_busy()
    {
        bail!(Error::Unprinted {
            text: text.clone(),
            stdout: output.stdout,
            stderr: output.stderr,
            status: output.status,
        });
    }
    Ok(output)
}
