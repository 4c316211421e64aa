//! A visit to the machine: what a reader types behind a chapter's step, through a pipe and on a
//! terminal.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Book, Ran, ended, runner};

const CHAPTER: [&str; 2] = ["guest echo up", "guest 'echo not seen'"];

/// A visit behind step 5.1, with these lines in a pipe.
fn visit(book: &Book, lines: &str) -> Ran {
    visit_at(book, &["--at", "5.1"], lines)
}

fn visit_at(book: &Book, place: &[&str], lines: &str) -> Ran {
    let mut child = book
        .command(&[&["shell", "5"], place].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    Ran::from(ended(child))
}

#[test]
fn what_was_typed_is_done_and_saved_as_steps_that_record() {
    let book = Book::new(&CHAPTER);
    let ran = visit(
        &book,
        "echo 'it'\"'\"'s' \"$HOME\"\n.gdb\nbreak kernel_clone\ncontinue\n.guest\nuname\nbacktrace 1\nlx-ps\nprint nosuch\n\
         delete\ncontinue\n\necho back\n.save saved steps.md\n",
    );
    ran.ends_with(0)
        .prints("5.2 guest# echo 'it'\"'\"'s' \"$HOME\"\nit's /root\n")
        .prints("5.3 (gdb) interrupt\n")
        .prints("5.7 gdb, later\n\nBreakpoint 1, kernel_clone (args=")
        .prints("#0  kernel_clone (args=")
        .prints("  agent\n")
        .prints("exit status 1")
        .prints("5.13 guest, later\nLinux\n")
        .prints("5.14 guest# echo back\nback\n")
        .complains("gdb holds the machine: this is its window now")
        .complains("14 steps, for behind 5.1, saved in saved steps.md");
    assert!(!ran.stdout.contains("not seen"), "{ran:#?}");
    let saved = std::fs::read_to_string(book.folder.path().join("saved steps.md")).unwrap();
    let scripts = "<!-- cmdrun runner show 5.9 gdb source linux/vmlinux-gdb.py -->\n";
    assert!(saved.contains(scripts), "{saved}");
    assert!(
        saved.contains("show 5.11 status=1 gdb print nosuch"),
        "{saved}"
    );
    let text = format!(
        "# Five\n\n```console\n<!-- cmdrun runner show 5.1 guest echo up -->\n```\n\n{saved}"
    );
    let book = Book::with_text(text.as_bytes());
    book.run(&["record", "5", "--yes"]).ends_with(0);
    book.run(&["chapter", "5"])
        .ends_with(0)
        .prints("chapter 5: the same, byte for byte (15 steps");
    let shot = std::fs::read_to_string(book.snapshot()).unwrap();
    for line in ["| it's /root\n", "  agent\n", "| Linux\n", "| back\n"] {
        assert!(shot.contains(line), "no {line:?} in {shot}");
    }
}

#[test]
fn behind_the_last_step_all_is_as_on_the_page_and_so_are_the_frames() {
    let book = Book::new(&[
        "guest 'ip link set eth0 up; ip addr add 10.0.3.2/24 dev eth0'",
        "guest 'ping -c 1 -W 1 10.0.3.9 > /dev/null; true'",
        "wire 'tcpdump -n -r wire.pcap arp'",
    ]);
    book.run(&["record", "5", "--yes"]).ends_with(0);
    visit_at(&book, &[], "uname\n")
        .ends_with(0)
        .complains("all as on the page, byte for byte");
}

#[test]
fn what_cannot_be_typed_is_told_and_leaves_no_step() {
    let book = Book::new(&CHAPTER);
    visit(
        &book,
        ".save x.md\n.gdb\ncontinue\nprint 1\n.server\n.nowhere\nshell ls\ndefine x\nkill\n.guest\nls\n.gdb\n\
         continue\n.guest\ntrue; true &\n.save x.md\n.save x.md\n.save /nowhere/x.md\n\u{1}\n\
         reboot -f\nls\n.save y.md\n",
    )
    .ends_with(3)
    .complains("there is nothing to save")
    .complains("gdb waits already, in its last `continue`")
    .complains("this chapter's machine has no window `server`")
    .complains("`.nowhere` is no word of this prompt")
    .complains("programs have a window of their own")
    .complains("gdb would ask for more lines")
    .complains("that would take the machine from gdb for good")
    .complains("gdb holds the machine, so `guest` cannot read")
    .complains("4 steps, for behind 5.1, saved in x.md")
    .complains("write x.md: File exists (os error 17); name a new file")
    .complains("write /nowhere/x.md: No such file")
    .complains("a character that nobody can see cannot be typed")
    .complains("the machine ended before its time")
    .complains("the visit is over; .save FILE or .quit")
    .complains("4 steps, for behind 5.1, saved in y.md");
    let saved = std::fs::read_to_string(book.folder.path().join("y.md")).unwrap();
    let expected = "```console\n\
        <!-- cmdrun runner show 5.2 gdb interrupt -->\n\
        <!-- cmdrun runner show 5.3 gdb print 1 -->\n\
        <!-- cmdrun runner show 5.4 gdb continue -->\n\
        <!-- cmdrun runner show 5.5 background guest 'true; true' -->\n```\n";
    assert_eq!(saved, expected);
}

/// A visit on a terminal.
struct OnTerminal {
    child: Child,
    keys: std::fs::File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl OnTerminal {
    fn begin(book: &Book, scratch: &Path) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
        let open = || {
            let mut options = std::fs::File::options();
            options.read(true).write(true).open(&name).unwrap()
        };
        // A session of its own, whose terminal this is: Ctrl-C becomes a signal there.
        let mut command = std::process::Command::new("setsid");
        command.arg("--ctty");
        command
            .arg(runner().get_program())
            .args(runner().get_args());
        command.args(["shell", "5", "--at", "5.1"]);
        command.current_dir(book.folder.path());
        command
            .env("TMPDIR", scratch)
            .env("TERM", "xterm")
            .env("XDG_CACHE_HOME", cache());
        let [stdin, stdout, stderr] = [open(), open(), open()].map(Stdio::from);
        let child = command
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut reader = std::fs::File::from(keys.try_clone().unwrap());
        let (say, screen) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count) = reader.read(&mut chunk) {
                if say.send(chunk[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = std::fs::File::from(keys);
        Self {
            child,
            keys,
            screen,
            seen: String::new(),
        }
    }

    /// Waits for a text behind what was waited for before.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(_) => panic!("no {text:?} in {:?}", self.seen),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }
}

/// The lab's cache, which the shell's history is a part of.
fn cache() -> std::path::PathBuf {
    let home = || std::path::PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, Into::into)
}

#[test]
fn on_a_terminal_ctrl_c_ends_a_command_or_stops_the_machine_and_a_signal_ends_all() {
    let book = Book::new(&CHAPTER);
    let scratch = tempfile::tempdir().unwrap();
    let mut visit = OnTerminal::begin(&book, scratch.path());
    visit.shows("stands still while you type");
    visit.shows("guest#");
    visit.press("echo $((6*7))\r");
    visit.shows("\n42");
    visit.shows("guest#");
    visit.press("echo $((6*8))\recho $((6*9))\r");
    visit.shows("\n48");
    visit.shows("\n54");
    visit.shows("guest#");
    // What a command prints is there to see while it runs.
    visit.press("echo li''ve; nc -l -p 9\r");
    visit.shows("\nlive");
    visit.press("\u{3}");
    visit.shows("exit status 130");
    visit.shows("guest#");
    visit.press("echo li''ve; while :; do :; done\r");
    visit.shows("\nlive");
    visit.press("\u{3}");
    visit.shows("did not end at Ctrl-C");
    visit.shows("received signal SIGINT");
    visit.shows("gdb holds the machine");
    visit.shows("(gdb)");
    visit.press("print jiffies_64 *\t\u{15}info li\t\r");
    visit.shows("info line");
    visit.shows("Line ");
    visit.shows("(gdb)");
    visit.press("given up");
    visit.shows("given up");
    visit.press("\u{3}");
    visit.shows("(gdb)");
    visit.press(".host\r");
    visit.shows("host$");
    visit.press("sh -c \"echo li''ve; exec sleep 1000\"\r");
    visit.shows("\nlive");
    visit.press("\u{3}");
    visit.shows("exit status 130");
    visit.shows("host$");
    visit.press("half a line\u{f}");
    visit.shows("guest#");
    // setsid has become the runner.
    let runner = visit.child.id();
    let processes = children_of(runner);
    assert!(processes.len() >= 3, "QEMU, gdb and bash: {processes:?}");
    kill_process(Pid::from_child(&visit.child), Signal::TERM).unwrap();
    assert_eq!(visit.child.wait().unwrap().code(), Some(143));
    let alive = processes
        .iter()
        .filter(|id| Path::new(&format!("/proc/{id}")).exists());
    assert_eq!(alive.count(), 0, "of {processes:?}");
    assert_eq!(
        scratch.path().read_dir().unwrap().count(),
        0,
        "a folder is left"
    );
}

fn children_of(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).unwrap();
    text.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}
