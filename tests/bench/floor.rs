//! How far the runner is from what cannot be beaten: `cargo bench --bench floor`.
//!
//! Each figure is measured in turn with its floor, several times, and the medians are compared:
//! - chapter 5 by the runner, against plain QEMU, `gdb -batch` and `bash` with the same commands;
//! - boot to the guest's first command, against the bare kernel with an init that exits;
//! - a visit whose windows lie side by side, from its start to the output of a command that was
//!   typed in advance, against one with a window at a time;
//! - one program by `runner run`, against `vng` of virtme-ng with the same kernel, if VNG_KERNEL
//!   names an image that suits both (the fragment with ACPI, virtio's PCI and console drivers, 9p
//!   and overlayfs) and `vng` is on PATH.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use book::chapter::Chapter;
use lab::build::cpio::{Archive, Node};
use lab::build::setup::{self, Lab};
use lab::machine::gdb::{BOUNDARY, Gdb};
use lab::machine::qemu::{self, file};
use lab::replay::workdir::Workdir;
use lab::transcript::step::Terminal;

const ROUNDS: usize = 5;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned();
    let lab = setup::ready(&setup::Options::new(&root).unwrap()).unwrap();
    let chapter = Chapter::find(&root, "5").unwrap();
    let desk = Workdir::lay_out(&root, &lab, &chapter.steps).unwrap();
    let script = script(&chapter, desk.path());
    let host: Vec<_> = chapter
        .steps
        .iter()
        .filter(|step| step.terminal == Terminal::Host)
        .collect();
    let host = host
        .iter()
        .map(|step| format!("{}\n", step.command))
        .collect::<String>();
    compare(
        "chapter 5 against plain QEMU, gdb -batch and bash (target 1.3)",
        || chapter_by_runner(&root),
        || chapter_by_hand(desk.path(), &script, &host),
    );
    let bare = bare_desk(&root, &lab);
    compare(
        "boot to the first guest command against a bare kernel (target 1.2)",
        || boot_to_first_command(desk.path()),
        || boot_bare(bare.path()),
    );
    compare(
        "a command behind runner shell 6 --at 6.4, side by side against one window at a time",
        || command_of_visit(&root, 120, 32),
        || command_of_visit(&root, 80, 24),
    );
    if let Some(image) = std::env::var_os("VNG_KERNEL") {
        compare(
            "runner run true against vng -- true (target 1.0)",
            || true_by_runner(Path::new(&image)),
            || true_by_vng(Path::new(&image)),
        );
    }
}

fn compare(what: &str, ours: impl Fn() -> Duration, floor: impl Fn() -> Duration) {
    let (mut a, mut b): (Vec<_>, Vec<_>) = (0..ROUNDS).map(|_| (ours(), floor())).unzip();
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let (ours, floor) = (median(&mut a), median(&mut b));
    println!("{what}: {ours:.2} s / {floor:.2} s = {:.2}", ours / floor);
}

fn true_by_runner(image: &Path) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
    command.args(["run", "--kernel"]).arg(image).arg("true");
    timed(|| assert!(command.status().unwrap().success()))
}

fn true_by_vng(image: &Path) -> Duration {
    let mut command = Command::new("vng");
    command.arg("--run").arg(image);
    command
        .args(["--disable-kvm", "--cpus", "1", "--", "true"])
        .stdin(Stdio::null());
    timed(|| assert!(command.status().unwrap().success()))
}

/// The time until a visit on a terminal of this size has run a command that was typed before it
/// could be read.
fn command_of_visit(root: &Path, columns: u16, rows: u16) -> Duration {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&keys).unwrap();
    unlockpt(&keys).unwrap();
    let size = rustix::termios::Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&keys, size).unwrap();
    let name = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
    let mut keys = File::from(keys);
    let open = || File::options().read(true).write(true).open(&name).unwrap();
    let [stdin, stdout, stderr] = [open(), open(), open()].map(Stdio::from);
    let mut command = Command::new("setsid");
    command.args(["--ctty", env!("CARGO_BIN_EXE_runner")]);
    command.args(["shell", "6", "--at", "6.4"]);
    command.current_dir(root).env("TERM", "screen-256color");
    command.env_remove("TMUX");
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    let start = Instant::now();
    let mut visit = command.spawn().unwrap();
    // It holds the other end of the terminal.
    drop(command);
    keys.write_all(b"echo $((1000003*7))\r").unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("7000021") {
        let mut chunk = [0; 4096];
        let count = keys.read(&mut chunk).unwrap();
        seen.extend(&chunk[..count]);
    }
    let took = start.elapsed();
    keys.write_all(b".quit\r").unwrap();
    // It may have more to say than the terminal holds.
    let _ = keys.read_to_end(&mut seen);
    assert!(visit.wait().unwrap().success());
    took
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn chapter_by_runner(root: &Path) -> Duration {
    timed(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command
            .args(["chapter", "5"])
            .current_dir(root)
            .stdout(Stdio::null());
        assert!(
            command.status().unwrap().success(),
            "chapter 5 is not what was recorded"
        );
    })
}

/// The chapter's commands as a script of gdb: where the guest types a command, the machine runs on.
fn script(chapter: &Chapter, folder: &Path) -> PathBuf {
    let mut text =
        String::from("set pagination off\nset confirm off\nset width 0\ndirectory linux\n");
    writeln!(text, "{}\nhbreak *{BOUNDARY:#x}", Gdb::connect()).unwrap();
    for step in &chapter.steps {
        match (step.terminal, &*step.command) {
            (Terminal::Host | Terminal::Wire | Terminal::Lab, _) | (_, "") => {}
            (Terminal::Guest | Terminal::Server, _) => text += "continue\n",
            (Terminal::Gdb, "interrupt") => {
                text += "set $rdi = 1\ntbreak default_idle\ncontinue\n";
            }
            // The boundary's breakpoint has a number here, and must stay.
            (Terminal::Gdb, "delete") => text += "delete 2-100\n",
            (Terminal::Gdb, command) if *command == Gdb::connect() => {}
            (Terminal::Gdb, command) => writeln!(text, "{command}").unwrap(),
        }
    }
    text += "kill\n";
    let path = folder.join("floor.gdb");
    std::fs::write(&path, text).unwrap();
    path
}

fn qemu(folder: &Path, debugger: bool) -> Child {
    let mut command = Command::new(qemu::REPORTING[0]);
    command
        .args(&qemu::REPORTING[1..])
        .arg(qemu::PROGRAM)
        .args(qemu::arguments(qemu::Network::Hub, debugger))
        .current_dir(folder);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn chapter_by_hand(folder: &Path, script: &Path, host: &str) -> Duration {
    let _ = std::fs::remove_file(folder.join(file::STUB));
    timed(|| {
        let mut bash = Command::new("bash");
        bash.args(["-c", host]).current_dir(folder);
        assert!(bash.stdout(Stdio::null()).status().unwrap().success());
        let mut machine = qemu(folder, true);
        while !folder.join(file::STUB).exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut gdb = Command::new("gdb");
        gdb.args(["-batch", "-nx", "-x"])
            .arg(script)
            .arg("vmlinux")
            .current_dir(folder);
        gdb.stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        machine.kill().unwrap();
        machine.wait().unwrap();
    })
}

fn boot_to_first_command(folder: &Path) -> Duration {
    let mut machine = None;
    let took = timed(|| {
        let mut child = qemu(folder, false);
        let mut first = [0; 5];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        assert_eq!(&first, b"begin");
        machine = Some(child);
    });
    let mut machine = machine.unwrap();
    machine.kill().unwrap();
    machine.wait().unwrap();
    took
}

/// A desk whose initramfs holds one program, which exits: the kernel panics, and QEMU ends.
fn bare_desk(root: &Path, lab: &Lab) -> Workdir {
    let desk = Workdir::lay_out(root, lab, &[]).unwrap();
    let program = desk.path().join("init");
    let source = desk.path().join("init.c");
    std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let compiled = Command::new("gcc")
        .args(["-static", "-O1", "-o"])
        .args([&program, &source])
        .status();
    assert!(compiled.unwrap().success());
    let mut archive = Archive::new();
    let bytes = std::fs::read(&program).unwrap();
    archive.put("init", Node::File(0o755, bytes));
    std::fs::write(desk.path().join(file::INITRAMFS), archive.to_bytes()).unwrap();
    desk
}

fn boot_bare(folder: &Path) -> Duration {
    timed(|| {
        assert!(qemu(folder, false).wait().unwrap().success());
    })
}
