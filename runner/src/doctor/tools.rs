//! The programs: each does in little what the runner has it do later.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Found;
use super::probe::{self, Ended, PATIENCE};
use crate::tools::{REMEDY, TOOLS};
use lab::build::rootfs;
use lab::machine::gdb::{Gdb, SETTINGS};
use lab::machine::qemu::{self, Network, file};
use lab::system::sandbox::{Sandbox, View};

/// A firmware of two instructions, which ends QEMU with [`SAID`]:
/// `mov al, 16; mov dx, 0xf4; out dx, al`.
const FIRMWARE: [u8; 7] = [0xb0, 16, 0xba, 0xf4, 0x00, 0xee, 0xf4];
const FIRMWARE_FILE: &str = "tiny.bin";
/// Where a processor begins is 16 bytes before the end of the firmware.
const FIRMWARE_SIZE: usize = 1 << 16;
const ENDING: [&str; 4] = [
    "-bios",
    FIRMWARE_FILE,
    "-device",
    "isa-debug-exit,iobase=0xf4,iosize=1",
];
/// What the device makes of 16.
const SAID: i32 = 16 << 1 | 1;

/// A program with a section at an unusual address, like the guest's agent.
const SEVEN: &str = "int main(void) { return 7; }\n\
    __attribute__((section(\".boundary\"), used)) static int boundary(void) { return 0; }\n";

/// Whether there is a program that fetches.
pub fn curl() -> Found {
    match probe::on_machine(&["curl", "--version"]) {
        Ok(ended) if ended.status == Some(0) => {
            let words: Vec<&str> = ended.stdout.split(' ').take(2).collect();
            Found::ok(words.join(" "))
        }
        _ => Found::warn(
            "it cannot be started; what the lab still lacks cannot be fetched",
            "Install curl: sudo apt-get install curl, or as your distribution does",
        ),
    }
}

/// Compiles a static program and runs it, as the lab and chapter 2 do.
pub fn compiler(sandbox: &Sandbox) -> Found {
    let versions = format!("{}, {}", version(sandbox, "gcc"), version(sandbox, "make"));
    let tried = in_folder(sandbox, |view, folder| {
        std::fs::write(folder.join("seven.c"), SEVEN).map_err(|error| error.to_string())?;
        let words = rootfs::COMPILE.split(' ').chain(["-o", "seven", "seven.c"]);
        let compiled = probe::run(view, &Vec::from_iter(words), PATIENCE)?;
        if compiled.status != Some(0) {
            return Err(format!("gcc -static makes no program: {}", compiled.stderr));
        }
        match probe::run(view, &["./seven"], PATIENCE)?.status {
            Some(7) => Ok(()),
            other => Err(format!(
                "a program that should end with 7 ended with {other:?}"
            )),
        }
    });
    match tried {
        Ok(()) => Found::ok(versions),
        Err(said) => Found::bad(
            format!("{said} ({versions})"),
            remedy(
                sandbox,
                "Install a compiler for this machine with the static C library",
            ),
        ),
    }
}

/// Has QEMU run the firmware on the book's machine.
pub fn qemu(sandbox: &Sandbox) -> Found {
    let locked = locked(sandbox);
    let words = [
        &program()[..],
        &locked[..],
        &qemu::machine(Network::Hub, false)[..],
        // So chapter 3 types it.
        &["-nic", "none"].map(str::to_owned),
        &ENDING.map(str::to_owned),
    ]
    .concat();
    let version = version(sandbox, qemu::PROGRAM);
    match in_folder(sandbox, |view, folder| runs_firmware(view, &words, folder)) {
        Ok(()) if locked.is_empty() => Found::warn(
            format!(
                "it runs the book's machine, but was built without seccomp and does not lock itself in ({version})"
            ),
            "Nothing to do for the book; with your distribution's QEMU, a guest that breaks out of it can start no programs",
        ),
        Ok(()) => Found::ok(version),
        Err(said) => Found::bad(
            format!("it does not run the book's machine: {said} ({version})"),
            remedy(
                sandbox,
                "QEMU 2.12 and newer have all its options (`-nic` came last); the book was recorded with 7.2",
            ),
        ),
    }
}

fn program() -> Vec<String> {
    let words = qemu::REPORTING.iter().chain(&[qemu::PROGRAM]);
    words.map(ToString::to_string).collect()
}

fn locked(sandbox: &Sandbox) -> Vec<String> {
    let words = qemu::sandbox(sandbox).iter();
    words.map(ToString::to_string).collect()
}

/// Has gdb stop the book's machine as the runner does, and do one step.
pub fn gdb(sandbox: &Sandbox) -> Found {
    let version = version(sandbox, "gdb");
    let tried = in_folder(sandbox, |view, folder| {
        let words = [
            &program()[..],
            &locked(sandbox)[..],
            &qemu::machine(Network::Hub, true)[..],
            &ENDING.map(str::to_owned),
        ]
        .concat();
        prepare(folder)?;
        let machine = probe::start(view, &words)?;
        let until = Instant::now() + PATIENCE;
        while !folder.join(file::STUB).exists() {
            if Instant::now() > until {
                probe::bury(machine);
                return Err("QEMU opens no socket for it".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let stepped = steps(view, folder);
        probe::bury(machine);
        stepped
    });
    match tried {
        Ok(()) => Found::ok(version),
        Err(said) => Found::bad(
            format!("it cannot stop the book's machine: {said} ({version})"),
            remedy(
                sandbox,
                "gdb 11 and newer can, if Python is built in; the book was recorded with 13.1",
            ),
        ),
    }
}

fn steps(view: &View, folder: &Path) -> Result<(), String> {
    let mut script: Vec<&str> = SETTINGS.to_vec();
    let target = format!("target remote {}", file::STUB);
    let boundary = Gdb::watch_boundary();
    script.retain(|setting| !setting.starts_with("directory"));
    script.extend([&*target, &boundary, "stepi", "print $al"]);
    std::fs::write(folder.join("script"), script.join("\n")).map_err(|error| error.to_string())?;
    let words = ["gdb", "-nx", "-q", "-batch", "-x", "script"];
    let Ended { stdout, stderr, .. } = probe::run(view, &words, PATIENCE)?;
    if stdout.contains("$1 = 16") {
        return Ok(());
    }
    Err(if stderr.is_empty() { stdout } else { stderr })
}

fn runs_firmware(view: &View, words: &[String], folder: &Path) -> Result<(), String> {
    prepare(folder)?;
    let ended = probe::run(view, words, PATIENCE)?;
    match ended.status {
        Some(SAID) => Ok(()),
        _ if !ended.stderr.is_empty() => Err(ended.stderr),
        other => Err(format!(
            "a machine that should end with {SAID} ended with {other:?}"
        )),
    }
}

fn prepare(folder: &Path) -> Result<(), String> {
    let mut firmware = vec![0; FIRMWARE_SIZE - 16];
    firmware.extend(FIRMWARE);
    firmware.resize(FIRMWARE_SIZE, 0);
    std::fs::write(folder.join(FIRMWARE_FILE), firmware).map_err(|error| error.to_string())
}

/// Whether the programs are there that lay out the pages.
pub fn mdbook() -> Found {
    let lacks = TOOLS.iter().find_map(|tool| {
        let ended = probe::on_machine(&[tool.name, "--help"]);
        ended.err().map(|_| tool.name)
    });
    match lacks {
        None => Found::ok("both are there"),
        Some(name) => Found::warn(
            format!(
                "{name} cannot be started, so that no pages are laid out; replays do not need it"
            ),
            format!("{REMEDY}, and have cargo's folder of programs (~/.cargo/bin) on PATH"),
        ),
    }
}

/// Whether a visit can have its windows side by side.
pub fn tmux() -> Found {
    let said = probe::on_machine(&["tmux", "-V"]);
    match said.map(|ended| ended.stdout.trim().to_owned()) {
        Ok(version) if !version.is_empty() => Found::ok(version),
        _ => Found::warn(
            "it cannot be started; `runner shell` shows one window at a time without it",
            "Install tmux if you would rather see all windows: sudo apt-get install tmux",
        ),
    }
}

/// What a program calls itself.
fn version(sandbox: &Sandbox, program: &str) -> String {
    let said = probe::run(&sandbox.view(), &[program, "--version"], PATIENCE);
    let said = said.map(|ended| ended.stdout).unwrap_or_default();
    match said.lines().next() {
        Some(line) if !line.is_empty() => line.to_owned(),
        _ => format!("{program} of unknown version"),
    }
}

fn in_folder<T>(
    sandbox: &Sandbox,
    work: impl FnOnce(&View, &Path) -> Result<T, String>,
) -> Result<T, String> {
    let spare = super::place::spare().ok_or("there is no place for the cache")?;
    let folder = sandbox.private_folder(&spare);
    let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?;
    work(&sandbox.view().at_home(folder.path()), folder.path())
}

/// What helps: with the lab's own programs, another attempt to have them right.
fn remedy(sandbox: &Sandbox, own: &str) -> String {
    match sandbox.is_machine() {
        true => own.to_owned(),
        false => "`runner clean` removes the lab's programs, and the next run fetches them anew; \
                  if that does not help, it is a mistake of the book's: report it"
            .to_owned(),
    }
}
