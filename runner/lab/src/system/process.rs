//! A child process that cannot outlive the runner, and pipes that are read without blocking.
//!
//! A child leads a process group of its own, which is killed and reaped when the [`Process`] is
//! dropped: on success, on failure and on a signal alike. A runner that is itself killed takes it
//! along ([`with_us`]).

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use signal_hook::SigId;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, TERM_SIGNALS};

use crate::Error;
use crate::system::stage::Stage;

/// Runs a command whose children do not outlive the runner either, not even when that is killed:
/// somebody in its process group waits for the runner's end, and then ends the group. What they
/// make has the usual modes, whatever the reader's umask is.
pub const WATCHED: [&str; 4] = [
    "sh",
    "-c",
    "umask 022
     (tail --pid=$PPID -s 0.1 -f /dev/null; kill -KILL 0) </dev/null >/dev/null 2>&1 & exec \"$@\"",
    "sh",
];

/// The words that run a child of ours which the kernel kills when we end. util-linux's setpriv
/// needs no unsafe code for that; and if we have ended before it asked, the child has another
/// parent by now, and does nothing.
#[must_use]
pub fn with_us() -> Vec<String> {
    let us = std::process::id().to_string();
    let words = "setpriv --pdeathsig KILL -- sh -c".split(' ');
    let words = words.chain([r#"[ $PPID = $0 ] && exec "$@""#, &us]);
    words.map(str::to_owned).collect()
}

/// Has the system tell the ends of children, whatever the parent has chosen: for a process that
/// ignores SIGCHLD, and for all that it starts, there are none to be waited for.
///
/// # Errors
/// When the system refuses.
pub fn heed_children() -> anyhow::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    if ignored.is_some_and(|signals| signals >> (SIGCHLD - 1) & 1 == 1) {
        // What has a handler here does in a child what it does by default.
        signal_hook::flag::register(SIGCHLD, Arc::default()).context("heed SIGCHLD")?;
    }
    Ok(())
}

/// How long the end of a child may lie behind the end of its output.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often somebody looks who has nothing to wait for.
pub const MOMENT: Duration = Duration::from_millis(2);

/// A running child.
#[derive(Debug)]
pub struct Process {
    /// The child; its pipes may be taken.
    pub child: Child,
    /// Whether it stands for another, whose end by a signal it tells as a shell does.
    stands_for_another: bool,
    /// Where it runs, if that is there for it.
    stage: Option<Stage>,
}

impl Process {
    /// Starts `program`; `prepare` adds arguments, pipes and the working folder.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(program: &str, prepare: impl FnOnce(&mut Command)) -> anyhow::Result<Self> {
        let words = with_us();
        let process = Self::start_group(&words[0], |command| {
            command.args(&words[1..]).arg(program);
            prepare(command);
        });
        process.with_context(|| format!("start {program} (through setpriv, of util-linux)"))
    }

    /// Starts `program` as the leader of a process group, and leaves it to it to end with the
    /// runner.
    pub(super) fn start_group(
        program: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> std::io::Result<Self> {
        let mut command = Command::new(program);
        command.process_group(0);
        prepare(&mut command);
        Ok(Self {
            child: command.spawn()?,
            stands_for_another: false,
            stage: None,
        })
    }

    /// The same process, whose exit status is that of another: 128 + N if signal N ended that.
    pub(super) fn standing_for_another(mut self) -> Self {
        self.stands_for_another = true;
        self
    }

    /// The same process, which runs on a stage.
    pub(super) fn on(mut self, stage: Stage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// Reads its pipes to their ends, and waits for its own.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn output(mut self) -> anyhow::Result<Output> {
        let stderr = self.child.stderr.take();
        let complaints = std::thread::spawn(move || read(stderr));
        let stdout = read(self.child.stdout.take())?;
        let stderr = complaints.join().expect("reading does not panic")?;
        Ok(Output {
            status: self.wait()?,
            stdout,
            stderr,
        })
    }

    /// The exit status of the one that matters.
    fn truly(&self, status: ExitStatus) -> ExitStatus {
        match status.code() {
            // Of a signal; there are 64.
            Some(code) if self.stands_for_another && (129..=192).contains(&code) => {
                ExitStatus::from_raw(code - 128)
            }
            _ => status,
        }
    }

    /// Waits for the child's end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let status = self.child.wait().context("wait for a child's end")?;
        self.leave_stage()?;
        Ok(self.truly(status))
    }

    /// Has what it has written lie where it belongs.
    fn leave_stage(&mut self) -> anyhow::Result<()> {
        self.stage.take().map_or(Ok(()), Stage::give_back)
    }

    /// The number of a process that the child has started. What runs in a sandbox has been started
    /// by the one that waits for its end.
    ///
    /// # Errors
    /// When there is none.
    pub fn first_child(&self) -> anyhow::Result<u32> {
        let child = self.child.id();
        let is_its_child = |process: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // NUMBER (NAME) STATE PARENT …
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?;
            Some(parent.parse() == Ok(child))
        };
        let processes = std::fs::read_dir("/proc").context("list the processes")?;
        let found = processes
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .find(|process| is_its_child(process) == Some(true));
        found.with_context(|| format!("process {child} has started no other"))
    }

    /// Tells the child and what it has started that the reader pressed Ctrl-C.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn press_ctrl_c(&self) -> anyhow::Result<()> {
        kill_process_group(Pid::from_child(&self.child), Signal::INT).context("send a child SIGINT")
    }

    /// The exit status of a child that has ended.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let status = self.child.try_wait().context("ask for a child's state")?;
        if status.is_some() {
            self.leave_stage()?;
        }
        Ok(status.map(|status| self.truly(status)))
    }

    /// A file that can be read once the child has ended.
    ///
    /// # Errors
    /// When the system is older than Linux 5.3.
    pub fn end_as_file(&self) -> anyhow::Result<OwnedFd> {
        pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            .context("watch a child (Linux 5.3 and newer can)")
    }

    /// How a child has ended that closed its output, as it stands in a message:
    /// ` (signal: 9 (SIGKILL))`; nothing if it goes on.
    pub fn end(&mut self) -> String {
        let until = Instant::now() + LAST_WORDS;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return format!(" ({})", self.truly(status)),
                Ok(None) if Instant::now() < until => std::thread::sleep(MOMENT),
                _ => return String::new(),
            }
        }
    }

    /// Kills the child and all of its group, and does not wait for their end.
    pub fn kill(&self) {
        // They may have ended by themselves.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }
}

fn read(pipe: Option<impl Read>) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).context("read from a child")?;
    }
    Ok(bytes)
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Makes reads from a pipe return at once when it is empty.
///
/// # Errors
/// When the system refuses.
pub fn set_nonblocking(pipe: &impl AsFd) -> anyhow::Result<()> {
    let flags = rustix::fs::fcntl_getfl(pipe).context("read a pipe's flags")?;
    rustix::fs::fcntl_setfl(pipe, flags | rustix::fs::OFlags::NONBLOCK)
        .context("set a pipe's flags")
}

/// The most that [`drain`] takes at once, in bytes: who writes for ever must not keep us from
/// looking at the clock.
const DRAIN_MAX: usize = 1 << 20;

/// What a non-blocking pipe holds now, or the beginning of it, and whether its other end is closed.
///
/// # Errors
/// When the read fails for another reason than emptiness.
pub fn drain(pipe: &mut impl Read) -> anyhow::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16384];
    while bytes.len() < DRAIN_MAX {
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok((bytes, true)),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Ok((bytes, false));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("read from a child's pipe"),
        }
    }
    Ok((bytes, false))
}

/// Says whether a signal does what it does by default. A handler cannot be taken back, only be told
/// to act as if there were none, so this is registered once.
static LET_THROUGH: LazyLock<std::io::Result<Arc<AtomicBool>>> = LazyLock::new(|| {
    let flag = Arc::new(AtomicBool::new(false));
    for &signal in TERM_SIGNALS.iter().chain(&[SIGHUP]) {
        signal_hook::flag::register_conditional_default(signal, flag.clone())?;
    }
    Ok(flag)
});

/// How many [`Signals`] there are. The last one that goes lets the signals through.
static CATCHING: Mutex<usize> = Mutex::new(0);

fn catching() -> MutexGuard<'static, usize> {
    CATCHING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SIGINT, SIGQUIT, SIGTERM and SIGHUP, caught as long as this lives: once nobody catches them any
/// more they end the runner again, so that a question can be answered with Ctrl-C. Where there are
/// several, each is told.
#[derive(Debug)]
pub struct Signals {
    woken: UnixStream,
    /// The last one that was another than SIGINT, or 0.
    told_to_end: Arc<AtomicUsize>,
    registered: Vec<SigId>,
    let_through: Arc<AtomicBool>,
}

impl Signals {
    /// Catches the signals; [`Signals::wait`] tells of them.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn catch() -> anyhow::Result<Self> {
        let (woken, write) = UnixStream::pair().context("make the pipe for signals")?;
        set_nonblocking(&woken)?;
        let told_to_end = Arc::new(AtomicUsize::new(0));
        let let_through = LET_THROUGH
            .as_ref()
            .map_err(|error| anyhow::anyhow!("catch the signals: {error}"))?;
        let mut registered = Vec::new();
        for &signal in TERM_SIGNALS.iter().chain(&[SIGHUP]) {
            // First, so that who is woken can see it.
            if signal != SIGINT {
                let id =
                    signal_hook::flag::register_usize(signal, told_to_end.clone(), signal as usize);
                registered.push(id.context("catch a signal")?);
            }
            let write = write.try_clone().context("share the pipe for signals")?;
            let id = signal_hook::low_level::pipe::register(signal, write);
            registered.push(id.context("catch a signal")?);
        }
        *catching() += 1;
        let_through.store(false, Ordering::SeqCst);
        Ok(Self {
            woken,
            told_to_end,
            registered,
            let_through: let_through.clone(),
        })
    }

    /// Whether what was caught is just Ctrl-C; then it is forgotten, and [`Signals::wait`] waits
    /// again.
    ///
    /// # Errors
    /// When the pipe for signals cannot be read.
    pub fn take_ctrl_c(&self) -> anyhow::Result<bool> {
        let (bytes, _) = drain(&mut &self.woken)?;
        Ok(!bytes.is_empty() && self.told_to_end.load(Ordering::SeqCst) == 0)
    }

    /// Waits until one of `pipes` can be read or has been closed; without `until`, as long as it
    /// takes.
    ///
    /// # Errors
    /// [`Error::Interrupted`] on a signal; [`Error::Late`] with what `late` says once `until` has
    /// passed.
    pub fn wait(
        &self,
        pipes: &[BorrowedFd<'_>],
        until: impl Into<Option<Instant>>,
        late: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let fds = pipes
            .iter()
            .map(|pipe| PollFd::from_borrowed_fd(*pipe, PollFlags::IN));
        self.poll(fds.collect(), until.into(), late)
    }

    /// Waits until `pipe` takes 4096 bytes at once, or until its other end is closed.
    ///
    /// # Errors
    /// As [`Signals::wait`].
    pub fn wait_for_room(
        &self,
        pipe: BorrowedFd<'_>,
        until: Instant,
        late: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let fds = vec![PollFd::from_borrowed_fd(pipe, PollFlags::OUT)];
        self.poll(fds, Some(until), late)
    }

    fn poll<'a>(
        &'a self,
        mut fds: Vec<PollFd<'a>>,
        until: Option<Instant>,
        late: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        fds.push(PollFd::new(&self.woken, PollFlags::IN));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map(Timespec::try_from).transpose();
            let timeout = timeout.context("the deadline lies too far away")?;
            match poll(&mut fds, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error).context("wait for the guest and the debugger"),
                Ok(_) if !fds.last().expect("it was pushed").revents().is_empty() => {
                    let signal = match self.told_to_end.load(Ordering::SeqCst) {
                        0 => SIGINT,
                        other => other as i32,
                    };
                    bail!(Error::Interrupted(signal))
                }
                // Somebody who never pauses is no reason to miss the deadline.
                Ok(_) if left.is_some_and(|left| left.is_zero()) => bail!(Error::Late(late())),
                Ok(0) => continue,
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
        let mut others = catching();
        *others -= 1;
        self.let_through.store(*others == 0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::Stdio;

    #[test]
    fn a_dropped_process_takes_its_children_along() {
        let mut process = Process::start("sh", |command| {
            command
                .args(["-c", "sleep 1000 & echo $!; wait"])
                .stdout(Stdio::piped());
        })
        .unwrap();
        let mut stdout = process.child.stdout.take().unwrap();
        let mut line = [0; 16];
        let count = stdout.read(&mut line).unwrap();
        let grandchild: i32 = std::str::from_utf8(&line[..count])
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        drop(process);
        // The pipe closes when its last holder, the sleep, is gone.
        assert_eq!(
            stdout.read(&mut line).unwrap(),
            0,
            "process {grandchild} lives on"
        );
    }

    #[test]
    fn signals_are_caught_until_the_last_one_who_wants_them_has_gone() {
        let (first, second) = (Signals::catch().unwrap(), Signals::catch().unwrap());
        let let_through = || LET_THROUGH.as_ref().unwrap().load(Ordering::SeqCst);
        drop(first);
        assert!(!let_through(), "the second no longer catches any");
        // Other tests of this process may catch them.
        drop(second);
    }

    #[test]
    fn a_deadline_ends_a_wait_however_much_there_is_to_read() {
        let signals = Signals::catch().unwrap();
        let (silent, other) = UnixStream::pair().unwrap();
        let until = Instant::now() + Duration::from_millis(20);
        let wait = || signals.wait(&[silent.as_fd()], until, || "late".to_owned());
        assert_eq!(wait().unwrap_err().to_string(), "late");
        (&other).write_all(b"more").unwrap();
        assert_eq!(wait().unwrap_err().to_string(), "late");
    }
}
