//! The machine: QEMU's arguments, and the process.
//!
//! A machine on a wire of its own repeats itself: everything that real time could touch is kept
//! away from the guest (ARCHITECTURE.md tells how each was found). Instructions are counted and are
//! the clock (`-icount`, `-rtc clock=vm`), idle time passes at once (`sleep=off`), the network
//! cards are e1000, whose transmission runs in the virtual CPU, and the guest's reports leave
//! through a port that QEMU writes synchronously.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::sync::OnceLock;

use anyhow::Context;

use crate::Error;
use crate::machine::oops::Oops;
use crate::machine::processor::Processor;
use crate::machine::tap::Tap;
use crate::system::process::{Process, set_nonblocking};
use crate::system::sandbox::{Sandbox, View};
use crate::transcript::visible;

/// The program, as it is found on PATH.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// What the kernel is told; a page fault or a panic ends the machine, since it never reboots.
const APPEND: &str = "console=ttyS0 quiet panic=-1";

/// The first program of a machine that runs one program.
pub const INIT: &str = "/.runner/init";

/// How much memory a program has, in MiB, beside what is packed for it.
const MEMORY: usize = 1024;

/// How many lines of the console a message shows.
const CONSOLE_LINES: usize = 12;
/// How much of the end of a file these lines are looked for in, in bytes.
const TAIL: u64 = 4096;
/// How long each of QEMU's files may grow, in bytes. A guest can write to its console for ever;
/// what is beyond is lost.
const FILE_MAX: u64 = 64 << 20;

/// What QEMU, and whoever has taken it over, may do no more once it runs: start programs, become
/// somebody else, change how it is scheduled.
const SANDBOX: [&str; 2] = [
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

/// Behind these words QEMU can write to its standard output as to a file, by [`REPORTS`]: without a
/// /proc there is no `/dev/stdout`.
pub const REPORTING: [&str; 4] = ["sh", "-c", "exec \"$@\" 3>&1", "sh"];
/// The file that leads there.
const REPORTS: &str = "/dev/fdset/1";
/// What makes it one.
const OPENED: &str = "-add-fd fd=3,set=1";

/// The files of a machine, by name, in the folder that QEMU runs in.
pub mod file {
    /// The kernel image.
    pub const KERNEL: &str = "bzImage";
    /// The initramfs with the chapter's steps.
    pub const INITRAMFS: &str = "initramfs.cpio";
    /// What the kernel prints to its serial console.
    pub const CONSOLE: &str = "console.log";
    /// The debugger's stub, a unix socket.
    pub const STUB: &str = "gdb.sock";
    /// Every frame on the wire between the network cards, in libpcap's format.
    pub const CAPTURE: &str = "wire.pcap";
    /// The memory that a program's output passes through.
    pub const RING: &str = "ring";
    /// What QEMU itself complains about.
    pub const ERRORS: &str = "qemu.log";
}

/// What the guest's network cards are plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Both of them into a hub. Nothing from outside reaches the machine, and time is counted in
    /// instructions.
    Hub,
    /// One into `tap0` of the network that QEMU runs in. What is at the other end has its own
    /// clock, so the machine has the real one.
    Tap,
}

/// QEMU's arguments for the machine of the book, with the kernel in it.
#[must_use]
pub fn arguments(network: Network, debugger: bool) -> Vec<String> {
    let mut arguments = machine(network, debugger);
    let kernel = ["-kernel", file::KERNEL, "-initrd", file::INITRAMFS];
    arguments.extend(kernel.map(str::to_owned));
    arguments.extend(["-append", APPEND].map(str::to_owned));
    arguments
}

/// A machine on the hub. At each stop for the debugger QEMU takes the processor for idle, and its
/// clock jumps to the next timer there is. In a timer's interrupt the guest has none, and the next
/// would be the clock chip's, at midnight. So a filter on a wire that leads nowhere has one every
/// 100 ms, and touches nothing else. `boundary.py` adds a finer one where stops may come.
const HUB: &str = "-icount shift=7,sleep=off -rtc base=2026-01-01T00:00:00,clock=vm \
    -netdev hubport,id=h0,hubid=0 -device e1000,netdev=h0,mac=52:54:00:12:34:56 \
    -netdev hubport,id=h1,hubid=0 -device e1000,netdev=h1,mac=52:54:00:12:34:57 \
    -object filter-dump,id=wire,netdev=h0,file=wire.pcap \
    -netdev hubport,id=tick,hubid=1 -object filter-buffer,id=ticks,netdev=tick,interval=100000";

/// A machine on the tap.
const TAP: &str = "-rtc base=2026-01-01T00:00:00 \
    -netdev tap,id=h0,ifname=tap0,script=no,downscript=no \
    -device e1000,netdev=h0,mac=52:54:00:12:34:56";

/// The machine alone.
#[must_use]
pub fn machine(network: Network, debugger: bool) -> Vec<String> {
    let network = match network {
        Network::Hub => HUB,
        Network::Tap => TAP,
    };
    let stub = match debugger {
        true => format!("-S -gdb unix:{},server=on,wait=off", file::STUB),
        false => String::new(),
    };
    words(&format!(
        "-accel tcg -M q35 -m 128 -nodefaults -display none -no-reboot {network} -serial file:{} \
         {OPENED} -chardev file,id=agent,path={REPORTS},append=on -device isa-debugcon,iobase=0xe9,chardev=agent {stub}",
        file::CONSOLE
    ))
}

fn words(line: &str) -> Vec<String> {
    line.split_ascii_whitespace().map(str::to_owned).collect()
}

/// How long an instruction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// 128 ns, as in the book.
    Book,
    /// 4 ns: what the code costs hardly counts beside the times that a test is about.
    Fast,
}

impl Pace {
    /// How far 1 ns is shifted to the left.
    fn shift(self) -> u8 {
        match self {
            Self::Book => 7,
            Self::Fast => 2,
        }
    }
}

/// QEMU's arguments for the machine of one program of the reader's: no network cards and no
/// debugger, but a ring of memory for what the program prints. The processor has all that TCG
/// knows, as the program was made for another machine, but no random numbers of the host's.
/// `packed` is the size of the initramfs in bytes.
#[must_use]
pub fn for_a_program(packed: usize, pace: Pace) -> Vec<String> {
    // While the files are unpacked they are in memory twice, and the file system there takes half
    // of it at most.
    let memory = MEMORY + 3 * packed.div_ceil(1024 * 1024);
    let line = format!(
        "-accel tcg -M pc -cpu max,-rdrand,-rdseed -m {memory} -nodefaults -display none -no-reboot \
         -icount shift={},sleep=off -rtc base=2026-01-01T00:00:00,clock=vm \
         -kernel {} -initrd {} -serial file:{} \
         -object memory-backend-file,id=ring,size=8M,share=on,mem-path={} -device ivshmem-plain,memdev=ring,addr=0x1e \
         {OPENED} -chardev file,id=messages,path={REPORTS},append=on -device isa-debugcon,iobase=0xe9,chardev=messages",
        pace.shift(),
        file::KERNEL,
        file::INITRAMFS,
        file::CONSOLE,
        file::RING
    );
    let mut words = words(&line);
    // Of the boot's instructions, 28 in 100 replace names in the formats of trace events. No
    // program needs that. The machine has no clock against which a kernel could check its first
    // one, which counts instructions as all of it does; newer kernels have timers no finer than a
    // tick until it is checked, or called reliable.
    let append = format!("{APPEND} tsc=reliable rdinit={INIT} initcall_blacklist=trace_eval_init");
    words.extend(["-append".to_owned(), append]);
    words
}

/// The arguments that have QEMU lock itself in; none if it was built without seccomp.
#[must_use]
pub fn sandbox(sandbox: &Sandbox) -> &'static [&'static str] {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let knows = || {
        let words = [&[PROGRAM], &SANDBOX[..], &["-version"]].concat();
        sandbox.first_line(&words).is_ok()
    };
    if *KNOWN.get_or_init(knows) {
        &SANDBOX
    } else {
        &[]
    }
}

/// A running machine.
#[derive(Debug)]
pub struct Qemu {
    /// The process.
    pub process: Process,
    /// What the guest's agent reports.
    pub reports: ChildStdout,
    /// Where it runs, if it keeps to one place.
    _processor: Option<Processor>,
}

impl Qemu {
    /// Starts the machine whose files lie in a private folder: on a hub, or on a tap in the lab,
    /// where time is the real one. On a hub it takes the library of `build::turns`.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn start(
        view: &View,
        turns: &Path,
        lab: Option<&Tap>,
        debugger: bool,
    ) -> anyhow::Result<Self> {
        let Some(lab) = lab else {
            let arguments = arguments(Network::Hub, debugger);
            return Self::spawn_on(Processor::claimed(), view, Some(turns), &arguments);
        };
        let view = view.clone().with_network(lab.network()?);
        Self::spawn_on(None, &view, None, &arguments(Network::Tap, debugger))
    }

    /// Starts a machine in a private folder by QEMU's arguments, which count its time in
    /// instructions; `turns` is the library of `build::turns`.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn spawn(view: &View, turns: &Path, arguments: &[String]) -> anyhow::Result<Self> {
        Self::spawn_on(None, view, Some(turns), arguments)
    }

    /// Starts a machine on a processor, with a library before its own, which the view has.
    fn spawn_on(
        processor: Option<Processor>,
        view: &View,
        library: Option<&Path>,
        arguments: &[String],
    ) -> anyhow::Result<Self> {
        let preload = library.map(|path| {
            let inside = view.sandbox().inside(path);
            format!("LD_PRELOAD={}", inside.display())
        });
        let errors = view.home().join(file::ERRORS);
        let errors = File::options().create(true).append(true).open(errors);
        let errors = errors.context("create QEMU's log")?;
        let bound = format!("--fsize={FILE_MAX}");
        let mut words = REPORTING.to_vec();
        let before = processor.as_ref().map(Processor::words);
        words.extend(before.iter().flatten().map(String::as_str));
        words.extend(["prlimit", &bound]);
        words.extend(preload.iter().flat_map(|variable| ["env", variable]));
        words.push(PROGRAM);
        words.extend(sandbox(view.sandbox()));
        words.extend(arguments.iter().map(String::as_str));
        let mut process = view.start(&words, |command| {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(errors);
        })?;
        let reports = process
            .child
            .stdout
            .take()
            .context("QEMU has no standard output")?;
        set_nonblocking(&reports)?;
        Ok(Self {
            process,
            reports,
            _processor: processor,
        })
    }

    /// What is said of a machine that has ended although it was still needed: what the kernel has
    /// said of its end, or else the last words of all.
    pub fn ended_early(&mut self, view: &View) -> anyhow::Error {
        let how = self.process.end();
        let console = fs_err::read(view.home().join(file::CONSOLE)).unwrap_or_default();
        let words = match Oops::find(&visible(&console)) {
            Some(oops) => oops.told(view),
            None => last_words(view.home()),
        };
        Error::MachineEnded(format!("the machine ended before its time{how}; {words}")).into()
    }
}

/// What the console ends with, for a message about a guest that says no more; nothing if it has
/// said nothing.
#[must_use]
pub fn console(folder: &Path) -> String {
    match end_of(&folder.join(file::CONSOLE)).unwrap_or_default() {
        text if text.is_empty() => String::new(),
        text => format!("\nthe guest's console ends with\n    {text}"),
    }
}

/// The last lines of a file, indented.
fn end_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = visible(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(CONSOLE_LINES)..];
    Ok(last.join("\n    "))
}

/// The end of a machine's console, and of QEMU's complaints.
#[must_use]
pub fn last_words(folder: &Path) -> String {
    let tail = |name| end_of(&folder.join(name)).unwrap_or_default();
    format!(
        "its console ends with\n    {}\nand QEMU said\n    {}",
        tail(file::CONSOLE),
        tail(file::ERRORS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_on_the_hub_has_no_way_out() {
        for debugger in [false, true] {
            let all = arguments(Network::Hub, debugger).join(" ");
            for needed in ["-nodefaults", "-icount shift=7,sleep=off", "clock=vm"] {
                assert!(all.contains(needed), "{needed}: {all}");
            }
            for outside in ["tcp:", "user", "tap", "virtfs", "virtio", "hostfwd"] {
                assert!(!all.contains(outside), "{outside}: {all}");
            }
            assert_eq!(all.contains("-S -gdb unix:"), debugger);
            assert!(all.contains(&format!(",file={} ", file::CAPTURE)), "{all}");
        }
    }

    #[test]
    fn a_machine_for_a_program_has_room_for_it_and_no_way_out() {
        let small = for_a_program(1, Pace::Book).join(" ");
        assert!(small.contains(" -m 1027 "), "{small}");
        let large = for_a_program(1 << 30, Pace::Fast).join(" ");
        assert!(large.contains(" -m 4096 "), "{large}");
        for outside in ["tcp:", "net", "virtfs", "virtio", "hostfwd"] {
            assert!(!small.contains(outside), "{outside}: {small}");
        }
    }
}
