//! The guest that runs one program: it boots, starts the program, and tells of what that prints.
//!
//! The program is packed behind the guest's root with all that it needs (`closure`), and started by
//! `init.c`, which tells of its messages and its ring. What the program prints is passed on as it
//! comes; nothing of it is kept.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use fs_err as fs;

use crate::Error;
use crate::build::cache::Cache;
use crate::build::cpio::{Archive, Node};
use crate::build::rootfs;
use crate::build::setup::{Lab, Options};
use crate::machine::qemu::{self, Pace, Qemu, file};
use crate::program::closure::{self, Closure};
use crate::system::process::Signals;
use crate::system::sandbox::{Sandbox, View};

/// The folder of the guest's program, from the root of the repository.
const FOLDER: &str = "runner/lab/src/program";
/// Its source, and its place in the guest.
const INIT: (&str, &str) = ("init.c", qemu::INIT);
/// Where it reads what to start.
const PROGRAM: &str = "/.runner/program";
/// The devices of memory that a program expects, by their numbers for the driver.
const DEVICES: [(&str, u32); 5] = [
    ("null", 3),
    ("zero", 5),
    ("full", 7),
    ("random", 8),
    ("urandom", 9),
];
/// And the links beside them.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
/// As in `init.c`.
const SLOTS: u64 = 512;
const SLOT_SIZE: usize = 16384;
const MESSAGE: usize = 16;
/// How many bytes the pipe of the messages holds: fewer messages than there are slots.
const PIPE_SIZE: usize = 4096;
/// How long the guest may take to boot, in real time.
const BOOT_DEADLINE: Duration = Duration::from_secs(300);
/// A program without a deadline may take so long.
pub const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// As a shell has it for a program that SIGPIPE ended.
const NOBODY_READS: u8 = 128 + 13;

/// What takes a program's output: whether it is standard error, and the bytes.
pub type Taking<'a> = &'a mut dyn FnMut(bool, &[u8]);

/// A program, packed to run in the guest.
#[derive(Debug)]
pub struct Program {
    /// Its name as it was given, for what is said of it.
    name: String,
    archive: Archive,
}

impl Program {
    /// Packs the program and the arguments of `command`, all that it needs, its folders, what is
    /// to go `with` it, and the order to start it.
    ///
    /// # Errors
    /// [`Error::Unfit`] when the program cannot run in the guest.
    pub fn pack(command: &[OsString], with: &[PathBuf]) -> anyhow::Result<Self> {
        let program = closure::find(&command[0])?;
        let cwd = std::env::current_dir().context("find the current folder")?;
        let mut closure = Closure::new();
        closure.add_program(&program)?;
        for path in with {
            let path = closure::absolute(path)?;
            ensure!(
                path.exists(),
                Error::Unfit(format!("there is no {} to pack", path.display()))
            );
            closure.add(&path)?;
        }
        closure.add_folder(&cwd)?;
        for name in ["HOME", "TMPDIR"] {
            if let Some(folder) = std::env::var_os(name).map(PathBuf::from)
                && folder.is_absolute()
            {
                closure.add_folder(&folder)?;
            }
        }
        let mut archive = closure.into_archive();
        let environment = std::env::vars_os().filter_map(|variable| in_guest(variable, &archive));
        let environment = Vec::from_iter(environment);
        // It would be made without the sticky bit if a packed file lies in it.
        archive.put("tmp", Node::Folder(0o1777));
        let order = order(command, &cwd, &program, environment);
        archive.put(PROGRAM, Node::File(0o600, order));
        let name = command[0].display().to_string();
        Ok(Self { name, archive })
    }

    /// A program of the guest itself, which lies with all that it needs in an archive; `command` is
    /// its path and its arguments.
    #[must_use]
    pub fn of_guest(mut archive: Archive, command: &[&str], environment: &[&str]) -> Self {
        let words: Vec<OsString> = command.iter().map(OsString::from).collect();
        let environment = environment.iter().filter_map(|text| text.split_once('='));
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let order = order(
            &words,
            Path::new("/"),
            Path::new(command[0]),
            environment.collect(),
        );
        archive.put(PROGRAM, Node::File(0o600, order));
        let name = command[0].to_owned();
        Self { name, archive }
    }

    /// Boots `kernel` with the program, and passes on what it prints until it ends; gives its exit
    /// status, 128 + N if signal N ended it.
    ///
    /// # Errors
    /// [`Error::Unfit`] when the guest's kernel cannot start it, [`Error::Late`] when it has not
    /// ended within `deadline`, in real time; and what keeps the guest from running.
    pub fn run(
        &self,
        options: &Options,
        lab: &Lab,
        kernel: &Path,
        deadline: Option<Duration>,
    ) -> anyhow::Result<u8> {
        self.boot(options, lab, kernel, Pace::Book, deadline, None)
    }

    /// The same at another pace; what it prints is handed to `output`, if that is there.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn boot(
        &self,
        options: &Options,
        lab: &Lab,
        kernel: &Path,
        pace: Pace,
        deadline: Option<Duration>,
        output: Option<Taking<'_>>,
    ) -> anyhow::Result<u8> {
        let folder = lab.sandbox.private_folder(&lab.cache)?;
        let init = init(&options.cache, &lab.sandbox, &options.repository)?;
        let mut initramfs = fs::read(&lab.initramfs)?;
        initramfs.extend(self.archive.to_bytes());
        initramfs.extend(init.to_bytes());
        fs::write(folder.path().join(file::INITRAMFS), &initramfs)?;
        let signals = Signals::catch()?;
        let view = lab.sandbox.view().at_home(folder.path());
        let view = view.with(kernel).with(&lab.turns);
        let arguments = qemu::for_a_program(initramfs.len(), pace);
        Guest::start(view, lab, kernel, &arguments, &signals)?.follow(&self.name, deadline, output)
    }
}

/// Libraries that the dynamic linker of this machine loads before all others.
const PRELOADED: [&str; 2] = ["LD_PRELOAD", "LD_AUDIT"];

/// A variable of the environment as the program has it. Of the libraries that are loaded before all
/// others, only those that were packed are in the guest: the others are for this machine, as that
/// of `stdbuf` is, and the guest's linker would complain of each.
fn in_guest(
    (name, value): (OsString, OsString),
    archive: &Archive,
) -> Option<(OsString, OsString)> {
    if !PRELOADED.iter().any(|preloaded| name == *preloaded) {
        return Some((name, value));
    }
    let packed: Vec<&str> = value
        .to_str()?
        .split([' ', ':'])
        .filter(|library| library.starts_with('/') && archive.get(library).is_some())
        .collect();
    (!packed.is_empty()).then(|| (name, packed.join(":").into()))
}

/// The texts that `init.c` reads.
fn order(
    command: &[OsString],
    cwd: &Path,
    program: &Path,
    environment: Vec<(OsString, OsString)>,
) -> Vec<u8> {
    let mut bytes = format!("{}\0", command.len()).into_bytes();
    let environment = environment.into_iter().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name.into_vec()
    });
    let head = [cwd.as_os_str(), program.as_os_str()].map(|text| text.as_bytes().to_vec());
    let arguments = command.iter().map(|word| word.as_bytes().to_vec());
    for text in head.into_iter().chain(arguments).chain(environment) {
        bytes.extend(text);
        bytes.push(0);
    }
    bytes
}

/// The first program of the guest, compiled if it is not in the cache, and the devices that a
/// program expects.
///
/// # Errors
/// When it cannot be compiled, or the cache cannot be written.
pub fn init(cache: &Cache, sandbox: &Sandbox, repository: &Path) -> anyhow::Result<Archive> {
    let programs = rootfs::programs(cache, sandbox, &repository.join(FOLDER), &[INIT])?;
    let mut archive = Archive::new();
    archive.put(INIT.1, Node::File(0o755, fs::read(programs.path("init"))?));
    for (name, minor) in DEVICES {
        archive.put(&format!("dev/{name}"), Node::Device(0o666, 1, minor));
    }
    archive.put("dev/shm", Node::Folder(0o1777));
    for (name, target) in LINKS {
        archive.put(&format!("dev/{name}"), Node::Link(target.to_owned()));
    }
    Ok(archive)
}

/// A message of the guest's first program.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    Begins,
    Output { to_stderr: bool, length: usize },
    Ended(u8),
    Failed(i32),
}

impl Message {
    /// Whatever runs in the guest as root can write to the same port, so everything is checked.
    fn parse(bytes: &[u8; MESSAGE]) -> Option<Self> {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let value = number(4);
        let length = usize::try_from(value)
            .ok()
            .filter(|length| *length <= SLOT_SIZE);
        let output = |to_stderr| length.map(|length| Self::Output { to_stderr, length });
        match (char::from_u32(number(0))?, number(8) | number(12)) {
            ('b', 0) if value == 0 => Some(Self::Begins),
            ('o', 0) => output(false),
            ('e', 0) => output(true),
            ('x', 0) => u8::try_from(value).ok().map(Self::Ended),
            ('f', 0) => i32::try_from(value).ok().map(Self::Failed),
            _ => None,
        }
    }
}

/// A running guest.
struct Guest<'a> {
    qemu: Qemu,
    ring: File,
    view: View,
    signals: &'a Signals,
    /// How many messages were read.
    messages: u64,
}

impl<'a> Guest<'a> {
    fn start(
        view: View,
        lab: &Lab,
        bzimage: &Path,
        arguments: &[String],
        signals: &'a Signals,
    ) -> anyhow::Result<Self> {
        let folder = view.home();
        std::os::unix::fs::symlink(view.sandbox().inside(bzimage), folder.join(file::KERNEL))
            .context("lay out the kernel")?;
        let ring = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.join(file::RING))
            .context("make the guest's ring")?;
        ring.set_len(SLOTS * SLOT_SIZE as u64)
            .context("make the guest's ring")?;
        let qemu = Qemu::spawn(&view, &lab.turns, arguments)?;
        let size = rustix::pipe::fcntl_setpipe_size(&qemu.reports, PIPE_SIZE)
            .context("bound the pipe of the guest")?;
        ensure!(
            size < SLOTS as usize * MESSAGE,
            "the system's smallest pipe holds {size} bytes, more than the guest's ring"
        );
        Ok(Self {
            qemu,
            ring,
            view,
            signals,
            messages: 0,
        })
    }

    /// Passes on what the program prints, until it ends.
    fn follow(
        mut self,
        name: &str,
        deadline: Option<Duration>,
        mut output: Option<Taking<'_>>,
    ) -> anyhow::Result<u8> {
        let booted = Instant::now() + BOOT_DEADLINE;
        let deadline = deadline.unwrap_or(FOREVER);
        let until = Instant::now() + deadline;
        let late = || format!("the program has not ended after {} s", deadline.as_secs());
        let folder = self.view.home().to_owned();
        let hangs = || {
            format!(
                "the guest did not start the program within {} s; {}",
                BOOT_DEADLINE.as_secs(),
                qemu::last_words(&folder)
            )
        };
        let mut begun = false;
        let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        let stderr = File::from(std::io::stderr().as_fd().try_clone_to_owned()?);
        loop {
            let message = match begun {
                false if booted < until => self.next(booted, &hangs)?,
                _ => self.next(until, &late)?,
            };
            let slot = (self.messages - 1) % SLOTS;
            match message {
                Message::Begins => begun = true,
                Message::Ended(status) => return Ok(status),
                Message::Failed(error) => bail!(Error::Unfit(format!(
                    "the guest's kernel cannot start {}: {}",
                    name,
                    std::io::Error::from_raw_os_error(error)
                ))),
                Message::Output { to_stderr, length } => {
                    let mut bytes = vec![0; length];
                    self.ring
                        .read_exact_at(&mut bytes, slot * SLOT_SIZE as u64)
                        .context("read the guest's ring")?;
                    if let Some(output) = &mut output {
                        output(to_stderr, &bytes);
                        continue;
                    }
                    let to = if to_stderr { &stderr } else { &stdout };
                    if !self.pass_on(&bytes, to, until, &late)? {
                        return Ok(NOBODY_READS);
                    }
                }
            }
        }
    }

    /// Reads a message, and no byte more: what stays in the pipe holds the guest back.
    fn next(&mut self, until: Instant, late: &dyn Fn() -> String) -> anyhow::Result<Message> {
        let mut message = [0; MESSAGE];
        let mut filled = 0;
        while filled < MESSAGE {
            self.signals
                .wait(&[self.qemu.reports.as_fd()], until, late)?;
            match self.qemu.reports.read(&mut message[filled..]) {
                Ok(0) => return Err(self.qemu.ended_early(&self.view)),
                Ok(count) => filled += count,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error).context("read from the guest"),
            }
        }
        self.messages += 1;
        Message::parse(&message).with_context(|| {
            format!("the program wrote to the guest's port 0xe9 what its first program would not: {message:?}")
        })
    }

    /// Writes to one of our own streams; gives `false` if nobody reads it any more.
    fn pass_on(
        &self,
        bytes: &[u8],
        mut to: &File,
        until: Instant,
        late: &dyn Fn() -> String,
    ) -> anyhow::Result<bool> {
        // A pipe that is ready takes so many bytes without waiting, during which a signal would not
        // be seen.
        for mut chunk in bytes.chunks(4096) {
            while !chunk.is_empty() {
                self.signals.wait_for_room(to.as_fd(), until, late)?;
                match to.write(chunk) {
                    Ok(count) => chunk = &chunk[count..],
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::WouldBlock | ErrorKind::Interrupted
                        ) => {}
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
                    Err(error) => return Err(error).context("pass on what the program printed"),
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u32, value: u32, rest: u64) -> Option<Message> {
        let mut bytes = [0; MESSAGE];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&value.to_le_bytes());
        bytes[8..].copy_from_slice(&rest.to_le_bytes());
        Message::parse(&bytes)
    }

    #[test]
    fn a_forged_message_is_refused() {
        let [begins, output, ended] = [b'b', b'o', b'x'].map(u32::from);
        assert_eq!(message(begins, 0, 0), Some(Message::Begins));
        assert_eq!(message(ended, 139, 0), Some(Message::Ended(139)));
        let whole = Message::Output {
            to_stderr: false,
            length: SLOT_SIZE,
        };
        assert_eq!(message(output, 16384, 0), Some(whole));
        for (kind, value, rest) in [
            (begins, 1, 0),
            (output, 16385, 0),
            (output, u32::MAX, 0),
            (ended, 256, 0),
            (ended, 0, 1 << 63),
            (0, 0, 0),
            (u32::MAX, 0, 0),
        ] {
            assert_eq!(message(kind, value, rest), None, "{kind} {value} {rest}");
        }
    }
}
