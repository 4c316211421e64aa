//! A visit with all windows side by side. The terminal that it runs in is itself a pane of a tmux,
//! which tells what a reader would see. Where there is no tmux, there is nothing to see.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Book, HEEDING};
use crate::processes::{and_theirs, command_line, has};

const CHAPTER: [&str; 2] = ["guest echo up", "guest 'echo not seen'"];

fn is_there() -> bool {
    Command::new("tmux").arg("-V").output().is_ok()
}

/// Whether the reader sits in a tmux, or the terminal is a plain one.
#[derive(Clone, Copy, PartialEq)]
enum Around {
    Nothing,
    Tmux,
}

/// A terminal, with a visit behind step 5.1 in it.
struct Screen {
    book: Book,
    /// Where the visit puts its temporary files.
    scratch: tempfile::TempDir,
    around: Around,
    runner: u32,
}

impl Screen {
    fn begin(around: Around, columns: u16, rows: u16) -> Self {
        Self::begin_as(around, columns, rows, "TERM=screen-256color")
    }

    /// `set` is a variable and its value, for the runner.
    fn begin_as(around: Around, columns: u16, rows: u16, set: &str) -> Self {
        let mut screen = Self {
            book: Book::new(&CHAPTER),
            scratch: tempfile::tempdir().unwrap(),
            around,
            runner: 0,
        };
        let size = [format!("-x{columns}"), format!("-y{rows}")];
        // As a reader has it: a shell outlives the runner, and keeps the terminal open.
        let shell = "\"$@\"; echo $? > status; exec sleep 1000";
        let mut words = vec!["new-session", "-d", &size[0], &size[1]];
        words.extend(["sh", "-c", shell, "sh", "env", HEEDING]);
        if around == Around::Nothing {
            words.extend(["-u", "TMUX", "-u", "TMUX_PANE"]);
        }
        let temporary = format!("TMPDIR={}", screen.scratch.path().display());
        let runner = env!("CARGO_BIN_EXE_runner");
        words.extend([&*temporary, set, runner, "shell", "5", "--at", "5.1"]);
        let mut tmux = screen.outer();
        tmux.args(["-f", "/dev/null"]).args(words);
        assert!(tmux.status().unwrap().success());
        let shell = screen.ask_outer(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let child = || std::fs::read_to_string(&children).unwrap();
        screen.wait("started", || !child().is_empty());
        screen.runner = child().trim().parse().unwrap();
        screen
    }

    fn outer(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.args(["-S", "terminal"])
            .current_dir(self.book.folder.path());
        tmux.env_remove("TMUX").env("TERM", "screen-256color");
        tmux
    }

    fn ask_outer(&self, words: &[&str]) -> String {
        let told = self.outer().args(words).output().unwrap();
        String::from_utf8(told.stdout).unwrap()
    }

    /// The socket of the tmux that has the panes, if it is the visit's own.
    fn socket(&self) -> Option<PathBuf> {
        let folders = self.scratch.path().read_dir().unwrap();
        let mut sockets = folders.map(|folder| folder.unwrap().path().join("tmux"));
        sockets.find(|socket| socket.exists())
    }

    /// Asks the tmux that has the panes.
    fn ask(&self, words: &[&str]) -> String {
        if self.around == Around::Tmux {
            return self.ask_outer(words);
        }
        let Some(socket) = self.socket() else {
            return String::new();
        };
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(socket).args(words).env_remove("TMUX");
        String::from_utf8(tmux.output().unwrap().stdout).unwrap()
    }

    /// The panes: tmux's name, whether it is the active one, the title.
    fn panes(&self) -> Vec<(String, bool, String)> {
        let format = "#{pane_id} #{pane_active} #{pane_title}";
        let listed = self.ask(&["list-panes", "-F", format]);
        let parse = |line: &str| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            (next(), next() == "1", next())
        };
        listed.lines().map(parse).collect()
    }

    fn pane(&self, window: &str) -> Option<(String, bool, String)> {
        let mut panes = self.panes().into_iter();
        panes.find(|(_, _, title)| title.split(':').next() == Some(window))
    }

    /// What stands in the pane of a window, and in what scrolled out of it.
    fn text(&self, window: &str) -> String {
        let pane = self.pane(window);
        pane.map_or_else(String::new, |(name, ..)| {
            self.ask(&["capture-pane", "-p", "-S", "-1000", "-t", &name])
        })
    }

    #[track_caller]
    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(
                Instant::now() < until,
                "not {what}: {:?}\n{}",
                self.panes(),
                self.ask_outer(&["capture-pane", "-p"])
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn shows(&self, window: &str, text: &str) {
        self.wait(&format!("{text:?} in {window}"), || {
            self.text(window).contains(text)
        });
    }

    /// Waits until a line can be typed into the window, where the reader is.
    #[track_caller]
    fn is_in(&self, window: &str, title: &str, prompt: &str) {
        self.wait(&format!("in {title:?} at {prompt:?}"), || {
            let there = self.pane(window);
            there.is_some_and(|(_, active, now)| active && now == title)
                && self.text(window).trim_end().ends_with(prompt)
        });
    }

    fn press(&self, keys: &[&str]) {
        // A key is one only if it does not come in a heap.
        for key in keys {
            self.outer().args(["send-keys", key]).status().unwrap();
        }
    }

    fn enter(&self, line: &str) {
        let mut tmux = self.outer();
        tmux.args(["send-keys", "-l", line]).status().unwrap();
        self.press(&["Enter"]);
    }

    /// Waits for the end of the runner, and until the shell has the terminal again; gives the exit
    /// status.
    #[track_caller]
    fn ended(&self) -> String {
        let file = self.book.folder.path().join("status");
        let status = || std::fs::read_to_string(&file).unwrap_or_default();
        self.wait("the end", || status().ends_with('\n'));
        let format = ["display-message", "-p", "-t", "%0", "#{alternate_on}"];
        self.wait("the terminal back", || self.ask_outer(&format) == "0\n");
        status().trim_end().to_owned()
    }

    /// Waits until no process and no file of the visit is there any more.
    #[track_caller]
    fn leaves_nothing(&self) {
        self.wait("all files gone", || {
            self.scratch.path().read_dir().unwrap().count() == 0
        });
        let left = || processes_in(self.scratch.path());
        self.wait("all processes gone", || left().is_empty());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.outer().arg("kill-server").output();
    }
}

/// The command lines of the processes whose temporary folder this is, and of those that they have
/// started.
fn processes_in(folder: &Path) -> Vec<String> {
    let variable = format!("TMPDIR={}\0", folder.display());
    let found = and_theirs(|pid| has(pid, "environ", &variable));
    found.into_iter().map(command_line).collect()
}

#[test]
fn the_windows_lie_side_by_side_on_one_machine() {
    if !is_there() {
        return;
    }
    let screen = Screen::begin(Around::Nothing, 120, 32);
    screen.is_in("guest", "guest", "guest#");
    screen.shows("guest", "5.1 guest# echo up\nup\n");
    let seen = screen.ask_outer(&["capture-pane", "-p"]);
    let beside = |line: &str| line.contains(" guest ") && line.contains(" gdb: waits ");
    assert!(seen.lines().any(beside), "{seen}");
    screen.enter("echo $((6*7))");
    screen.shows("guest", "guest# echo $((6*7))\n42\n");
    assert!(!screen.text("gdb").contains("42"));
    screen.is_in("guest", "guest", "guest#");
    screen.press(&["C-o"]);
    screen.is_in("gdb", "gdb: waits", "(gdb)");
    screen.enter("break kernel_clone");
    screen.shows("gdb", "Breakpoint 1 at 0x");
    screen.is_in("gdb", "gdb: holds the machine", "(gdb)");
    screen.press(&["info", "Space", "li", "Tab"]);
    screen.shows("gdb", "(gdb) info line");
    screen.press(&["C-c"]);
    screen.is_in("gdb", "gdb: holds the machine", "(gdb)");
    screen.enter("continue");
    screen.is_in("gdb", "gdb: waits", "(gdb)");
    screen.enter(".guest");
    screen.is_in("guest", "guest", "guest#");
    screen.enter("uname");
    screen.shows("gdb", "\nBreakpoint 1, kernel_clone (args=");
    screen.is_in("gdb", "gdb: holds the machine", "(gdb)");
    let (_, _, title) = screen.pane("guest").unwrap();
    assert_eq!(title, "guest: gdb holds the machine");
    screen.enter("lx-ps");
    screen.shows("gdb", "  agent\n");
    screen.enter("list kernel_clone");
    screen.shows("gdb", "pid_t kernel_clone(struct kernel_clone_args *args)");
    screen.enter("delete");
    screen.is_in("gdb", "gdb: holds the machine", "(gdb)");
    screen.enter("continue");
    screen.shows("guest", "\nLinux\n");
    screen.is_in("guest", "guest", "guest#");
    screen.enter(".host");
    screen.is_in("host", "host", "host$");
    screen.enter("ls vmlinux");
    screen.shows("host", "host$ ls vmlinux\nvmlinux\n");
    screen.is_in("host", "host", "host$");
    screen.enter(".save saved.md");
    screen.shows("host", "13 steps, for behind 5.1, saved in saved.md");
    let saved = std::fs::read_to_string(screen.book.folder.path().join("saved.md")).unwrap();
    let steps: Vec<&str> = saved
        .lines()
        .filter_map(|line| line.strip_prefix("<!-- cmdrun runner show 5."))
        .collect();
    assert_eq!(
        steps,
        [
            "2 guest 'echo $((6*7))' -->",
            "3 gdb interrupt -->",
            "4 gdb break kernel_clone -->",
            "5 gdb continue -->",
            "6 guest uname -->",
            "7 gdb -->",
            "8 gdb source linux/vmlinux-gdb.py -->",
            "9 gdb lx-ps -->",
            "10 gdb list kernel_clone -->",
            "11 gdb delete -->",
            "12 gdb continue -->",
            "13 guest -->",
            "14 host ls vmlinux -->"
        ]
    );
    screen.enter(".quit");
    assert_eq!(screen.ended(), "0");
    screen.leaves_nothing();
}

#[test]
fn ctrl_c_ends_a_command_of_the_guest_or_stops_the_machine_that_gdb_waits_for() {
    if !is_there() {
        return;
    }
    let screen = Screen::begin(Around::Nothing, 120, 32);
    screen.is_in("guest", "guest", "guest#");
    // What a command prints is there to see while it runs.
    screen.enter("echo li''ve; nc -l -p 9");
    screen.shows("guest", "\nlive\n");
    screen.is_in("guest", "guest: runs", "live");
    screen.press(&["C-c"]);
    screen.shows("guest", "cut short");
    screen.shows("guest", "exit status 130");
    screen.is_in("guest", "guest", "guest#");
    // One that goes on.
    screen.enter("nc -l -p 9 &");
    screen.is_in("guest", "guest: 5.4 goes on", "guest#");
    screen.press(&["C-c"]);
    screen.is_in("guest", "guest", "guest#");
    assert_eq!(screen.text("guest").matches("exit status 130").count(), 2);
    // One that never lets the kernel idle, and gdb's own window.
    screen.enter("while :; do :; done");
    screen.is_in("guest", "guest: runs", "done");
    screen.press(&["C-o"]);
    screen.wait("in gdb", || screen.pane("gdb").is_some_and(|pane| pane.1));
    screen.press(&["C-c"]);
    screen.shows("gdb", "received signal SIGINT");
    screen.is_in("gdb", "gdb: holds the machine", "(gdb)");
    assert!(!screen.text("guest").contains("did not end at Ctrl-C"));
    screen.enter(".quit");
    assert_eq!(screen.ended(), "0");
    screen.leaves_nothing();
}

#[test]
fn however_a_visit_ends_nothing_is_left_of_it() {
    if !is_there() {
        return;
    }
    type Way = fn(&Screen);
    let ways: [(&str, Way); 6] = [
        ("a pane is closed", |screen| {
            let (name, ..) = screen.pane("gdb").unwrap();
            screen.ask(&["kill-pane", "-t", &name]);
            assert_eq!(screen.ended(), "0");
        }),
        (".quit beside a command that runs", |screen| {
            screen.enter("nc -l -p 9");
            screen.is_in("guest", "guest: runs", "nc -l -p 9");
            screen.press(&["C-o"]);
            screen.wait("in gdb", || screen.pane("gdb").is_some_and(|pane| pane.1));
            screen.enter(".quit");
            assert_eq!(screen.ended(), "0");
        }),
        ("the client of tmux leaves", |screen| {
            screen.press(&["C-b", "d"]);
            assert_eq!(screen.ended(), "0");
        }),
        ("SIGTERM", |screen| {
            kill(screen.runner, Signal::TERM);
            assert_eq!(screen.ended(), "143");
        }),
        ("SIGKILL", |screen| {
            kill(screen.runner, Signal::KILL);
            assert_eq!(screen.ended(), "137");
        }),
        ("the terminal is closed", |screen| {
            screen.ask_outer(&["kill-session"]);
        }),
    ];
    for (way, end) in ways {
        let screen = Screen::begin(Around::Nothing, 120, 32);
        screen.is_in("guest", "guest", "guest#");
        let processes = processes_in(screen.scratch.path()).concat();
        for program in ["tmux", "pane", "qemu-system", "gdb"] {
            assert!(processes.contains(program), "no {program} in {processes}");
        }
        eprintln!("{way}");
        end(&screen);
        screen.leaves_nothing();
    }
}

fn kill(process: u32, signal: Signal) {
    let process = Pid::from_raw(process.try_into().unwrap());
    kill_process(process.unwrap(), signal).unwrap();
}

#[test]
fn in_a_tmux_of_the_readers_it_is_one_more_window() {
    if !is_there() {
        return;
    }
    let ways: [fn(&Screen); 2] = [
        |screen| {
            screen.press(&["C-d"]);
            assert_eq!(screen.ended(), "0");
        },
        |screen| {
            kill(screen.runner, Signal::KILL);
            assert_eq!(screen.ended(), "137");
        },
    ];
    for end in ways {
        let screen = Screen::begin(Around::Tmux, 120, 32);
        screen.is_in("guest", "guest", "guest#");
        let format = "#{window_name} #{window_panes}";
        let windows = || screen.ask_outer(&["list-windows", "-F", format]);
        assert!(windows().ends_with("\nchapter 5 2\n"), "{}", windows());
        assert_eq!(screen.socket(), None);
        screen.enter("echo $((6*7))");
        screen.shows("guest", "\n42\n");
        screen.is_in("guest", "guest", "guest#");
        screen.press(&["C-o"]);
        screen.is_in("gdb", "gdb: waits", "(gdb)");
        end(&screen);
        screen.wait("one window", || windows().lines().count() == 1);
        screen.leaves_nothing();
    }
}

#[test]
fn a_terminal_that_tmux_does_not_know_shows_one_window_at_a_time() {
    if !is_there() {
        return;
    }
    let screen = Screen::begin_as(Around::Nothing, 120, 32, "TERM=dumb");
    let seen = || screen.ask_outer(&["capture-pane", "-p"]);
    screen.wait("at the prompt", || seen().trim_end().ends_with("guest#"));
    let why = "no panes, so one window at a time: tmux does not take this terminal";
    assert!(seen().contains(why), "{}", seen());
    screen.enter(".quit");
    assert_eq!(screen.ended(), "0");
    screen.leaves_nothing();
}

#[test]
fn a_tmux_that_never_takes_the_terminal_is_given_up() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // All is as with the real one, but its client only looks as if it were at work.
    let path = std::env::var("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|folder| folder.join("tmux"));
    let real = real.into_iter().find(|tmux| tmux.is_file()).unwrap();
    let script = format!(
        "#!/bin/bash\ncase \" $* \" in *' attach-session '*)\n\
         while {0} -S tmux has-session 2>/dev/null; do sleep 0.1; done; exit;;\n\
         esac\nexec {0} \"$@\"\n",
        real.display()
    );
    let tmux = folder.path().join("tmux");
    std::fs::write(&tmux, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&tmux, executable).unwrap();
    let path = format!("PATH={}:{path}", folder.path().display());
    let screen = Screen::begin_as(Around::Nothing, 120, 32, &path);
    let shows = |text: &str| {
        screen.wait(text, || {
            screen.ask_outer(&["capture-pane", "-p"]).contains(text)
        });
    };
    shows("one window at a time: tmux has not taken this terminal within 10 s");
    shows("guest#");
    screen.enter("echo $((6*7))");
    shows("\n42\n");
    screen.enter(".quit");
    assert_eq!(screen.ended(), "0");
    screen.leaves_nothing();
}

#[test]
fn a_small_terminal_shows_one_window_at_a_time() {
    if !is_there() {
        return;
    }
    let screen = Screen::begin(Around::Nothing, 80, 24);
    let seen = || screen.ask_outer(&["capture-pane", "-p"]);
    screen.wait("at the prompt", || seen().trim_end().ends_with("guest#"));
    assert!(seen().contains("stands still while you type"), "{}", seen());
    assert_eq!(screen.socket(), None);
    screen.press(&["C-d"]);
    assert_eq!(screen.ended(), "0");
    screen.leaves_nothing();
}
