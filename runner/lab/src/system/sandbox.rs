//! Where the lab's programs run: the tool root, with nothing of the reader's machine in sight.
//!
//! The tool root is a folder with pinned programs (`build::tools`). bubblewrap, which is one of
//! them, makes it the root of namespaces of an ordinary user's own, and everything lies at the same
//! places in there for everybody: the private folder of a replay at [`WORK`], the cache at
//! [`CACHE`]. The environment is made anew. There is no network but the loopback.
//!
//! Nothing of the machine is needed for it but its kernel and a `sh`: the programs of the tool root
//! that make the namespaces are started by the tool root's own dynamic linker.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::system::process::{Process, WATCHED, with_us};

/// Where a program finds its private folder.
pub const WORK: &str = "/work";
/// Where it finds those parts of the cache that it may see.
pub const CACHE: &str = "/lab";
/// Where it finds what else it may see.
const HOST: &str = "/host";

/// The dynamic linker of the tool root, and its libraries.
const LINKER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
/// The folders of programs in the tool root.
const PATH: &str = "/usr/sbin:/usr/bin";

/// Starts the rest of the line, unless the runner has ended by now. Ctrl-C is for what runs in the
/// sandbox, and not for bubblewrap, which waits for its end.
const START: &str = r#"trap '' INT; [ $PPID = $0 ] && exec "$@""#;
/// What is the same for every program in the sandbox. It is no `root`: tcpdump would change to
/// another user, and there is none.
const ALWAYS: &str = "--die-with-parent --unshare-user --uid 1000 --gid 1000 \
    --unshare-ipc --unshare-uts --hostname theseus --clearenv \
    --perms 0755 --tmpfs /dev --dev-bind /dev/null /dev/null --dev-bind /dev/zero /dev/zero \
    --dev-bind /dev/full /dev/full --dev-bind /dev/random /dev/random \
    --dev-bind /dev/urandom /dev/urandom --symlink /proc/self/fd /dev/fd \
    --symlink /proc/self/fd/0 /dev/stdin --symlink /proc/self/fd/1 /dev/stdout \
    --symlink /proc/self/fd/2 /dev/stderr --perms 1777 --tmpfs /tmp --tmpfs /lab --tmpfs /host";
/// All rights over a network of its own, the driver of taps, and a /sys to cover: without one, none
/// can be mounted for a further network namespace.
const RIGHTS: &str = "--unshare-net --cap-add ALL --dev-bind /dev/net/tun /dev/net/tun \
    --ro-bind /sys /sys --tmpfs /run";

/// The programs that the lab runs, and how they are kept apart from the machine.
#[derive(Clone, Debug)]
pub enum Sandbox {
    /// The tool root, in namespaces.
    Namespaces {
        /// The tool root.
        root: PathBuf,
        /// The cache.
        cache: PathBuf,
        /// Whether there is a process namespace, too, with a /proc of its own.
        processes: bool,
    },
    /// The machine's own programs, with the machine's own files in sight.
    Machine,
}

/// What network a program has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A loopback, in a network namespace that is its own.
    #[default]
    None,
    /// As before, with all rights over it, and the driver of taps.
    Rights,
    /// That of the process of this number, which is the first in a sandbox, without rights.
    Of(u32),
}

impl Network {
    /// The words that run the rest of the line in it, by the machine's own programs. The user
    /// namespace comes first, as it lends the right to make the others.
    fn on_machine(self) -> Vec<String> {
        let words = |line: &str| Vec::from_iter(line.split(' ').map(str::to_owned));
        match self {
            Self::None => Vec::new(),
            Self::Rights => {
                let user = "unshare --user --map-user=1000 --map-group=1000 --keep-caps";
                let others = "unshare --net --mount --pid --fork --kill-child --mount-proc";
                // New credentials take back the signal for the runner's death.
                let own = "mount -t tmpfs tmpfs /run && exec \"$@\"";
                let own = ["sh", "-c", own, "sh"].map(str::to_owned);
                [words(user), with_us(), words(others), own.into()].concat()
            }
            // Its /proc belongs to other processes, so the mount namespace stays.
            Self::Of(process) => words(&format!(
                "nsenter --target {process} --user --net --preserve-credentials"
            )),
        }
    }
}

/// What a program sees beside the tools.
#[derive(Clone, Debug)]
pub struct View {
    sandbox: Sandbox,
    /// Its private folder, which is its home.
    home: Option<PathBuf>,
    /// Where it begins, if not at home.
    folder: Option<PathBuf>,
    /// Its network.
    network: Network,
    /// What else it sees, where, and whether it may write to it.
    seen: Vec<(PathBuf, PathBuf, bool)>,
    environment: Vec<(OsString, OsString)>,
}

impl Sandbox {
    /// The tool root in namespaces.
    #[must_use]
    pub fn new(root: PathBuf, cache: &Path) -> Self {
        Self::Namespaces {
            root,
            cache: cache.to_owned(),
            processes: true,
        }
    }

    /// The sandbox as far as the system makes it. In a container in which parts of /proc are
    /// covered, the system mounts no other: there the machine's own processes are seen.
    ///
    /// # Errors
    /// What the system says to the first attempt.
    pub fn tried(mut self) -> Result<Self> {
        let attempt = |sandbox: &Self| sandbox.view().output(&["true"], Stdio::null()).map(drop);
        let first = attempt(&self);
        if let Self::Namespaces { processes, .. } = &mut self
            && first.is_err()
        {
            *processes = false;
            if attempt(&self).is_ok() {
                return Ok(self);
            }
        }
        first.map(|()| self)
    }

    /// Whether it is the machine's own programs that run.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        matches!(self, Self::Machine)
    }

    /// Where a program finds a file or folder of the machine, if its view has it.
    #[must_use]
    pub fn inside(&self, path: &Path) -> PathBuf {
        let Self::Namespaces { cache, .. } = self else {
            return path.to_owned();
        };
        match path.strip_prefix(cache) {
            Ok(rest) => Path::new(CACHE).join(rest),
            Err(_) => Path::new(HOST).join(path.strip_prefix("/").unwrap_or(path)),
        }
    }

    /// The view of a program that sees nothing but the tools.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            sandbox: self.clone(),
            home: None,
            folder: None,
            network: Network::None,
            seen: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The first line that a program prints, which tells its version.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn first_line(&self, words: &[&str]) -> Result<String> {
        let output = self.view().output(words, Stdio::null())?;
        let text = String::from_utf8_lossy(&output);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

impl View {
    /// The same view with a private folder, which is the program's home; it begins there.
    #[must_use]
    pub fn at_home(mut self, home: &Path) -> Self {
        self.home = Some(home.to_owned());
        self
    }

    /// The same view for a program that begins in another folder, which it sees.
    #[must_use]
    pub fn starting_in(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// The same view with another network.
    #[must_use]
    pub fn with_network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// The same view with a file or folder in it that can be read.
    #[must_use]
    pub fn with(mut self, path: &Path) -> Self {
        let inside = self.sandbox.inside(path);
        self.seen.push((path.to_owned(), inside, false));
        self
    }

    /// The same view with a folder in it that can be written.
    #[must_use]
    pub fn with_writable(mut self, path: &Path) -> Self {
        let inside = self.sandbox.inside(path);
        self.seen.push((path.to_owned(), inside, true));
        self
    }

    /// The same view with another folder, which can be written, in place of one.
    #[must_use]
    pub fn with_another(mut self, path: &Path, in_place_of: &Path) -> Self {
        let inside = self.sandbox.inside(in_place_of);
        self.seen.push((path.to_owned(), inside, true));
        self
    }

    /// The same view with a variable of the environment.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same view with a folder in front of those in which programs are looked for.
    #[must_use]
    pub fn with_path(self, first: OsString) -> Self {
        let mut path = first;
        path.push(":");
        path.push(self.path());
        self.with_variable("PATH", path)
    }

    /// Where programs run that have this view.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The private folder, as the runner finds it.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.as_deref().unwrap_or(Path::new("/"))
    }

    /// The private folder, as the program finds it.
    #[must_use]
    pub fn home_inside(&self) -> &Path {
        match self.sandbox {
            Sandbox::Namespaces { .. } if self.home.is_some() => Path::new(WORK),
            Sandbox::Namespaces { .. } => Path::new("/tmp"),
            Sandbox::Machine => self.home(),
        }
    }

    /// Where the program begins, as it finds it.
    #[must_use]
    pub fn folder_inside(&self) -> PathBuf {
        match &self.folder {
            Some(folder) => self.sandbox.inside(folder),
            None => self.home_inside().to_owned(),
        }
    }

    /// Starts a program; `words` are its name and its arguments, and `prepare` adds the pipes. What
    /// it has started ends with it, and it ends with the runner.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        &self,
        words: &[impl AsRef<OsStr>],
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Process> {
        let environment = self.environment();
        match &self.sandbox {
            Sandbox::Namespaces {
                root, processes, ..
            } => {
                let us = std::process::id().to_string();
                let process = Process::start_group("/bin/sh", |command| {
                    command
                        .args(["-c", START, &us])
                        .args(self.enter(root, *processes));
                    command.args(environment.iter().map(|(name, value)| {
                        let mut setting = name.clone();
                        setting.push("=");
                        setting.push(value);
                        setting
                    }));
                    command.args(words).env_clear().current_dir("/");
                    // Whoever takes the private folder away finds it by its home.
                    command.env("HOME", self.home());
                    prepare(command);
                });
                let name = words[0].as_ref().display();
                let process = process.with_context(|| format!("start {name} in the tool root"))?;
                Ok(process.standing_for_another())
            }
            Sandbox::Machine => Process::start(WATCHED[0], |command| {
                command.args(&WATCHED[1..]).args(self.network.on_machine());
                command.args(words).env_clear().envs(environment);
                command.current_dir(self.folder.as_deref().unwrap_or(self.home()));
                prepare(command);
            }),
        }
    }

    /// What a program prints, given this for its standard input.
    ///
    /// # Errors
    /// When it cannot be run, or fails: with what it complains about.
    pub fn output(&self, words: &[&str], input: Stdio) -> Result<Vec<u8>> {
        let process = self.start(words, |command| {
            command
                .stdin(input)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        })?;
        let output = process.output()?;
        ensure!(
            output.status.success(),
            "`{}` failed ({}): {}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(output.stdout)
    }

    fn path(&self) -> OsString {
        let mut path = OsString::new();
        if let Some(front) = std::env::var_os(IN_FRONT) {
            path.push(match &self.sandbox {
                Sandbox::Namespaces { .. } => FRONT.into(),
                Sandbox::Machine => front,
            });
            path.push(":");
        }
        path.push(match &self.sandbox {
            Sandbox::Namespaces { .. } => PATH.into(),
            Sandbox::Machine => machine_path(),
        });
        path
    }

    /// All variables of the program.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let home = self.home_inside().into();
        let mut all: Vec<(OsString, OsString)> = COMMON
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        all.extend([("PATH".into(), self.path()), ("HOME".into(), home)]);
        all.extend(self.environment.iter().cloned());
        all
    }

    /// The words behind which stand the variables and the words of a program in the sandbox.
    fn enter(&self, root: &Path, processes: bool) -> Vec<OsString> {
        let words = |line: &str| Vec::from_iter(line.split_ascii_whitespace().map(OsString::from));
        let linked = |program: &str| -> Vec<OsString> {
            let program = root.join("usr/bin").join(program);
            let libraries = root.join(LIBRARIES);
            let linker = root.join(LINKER);
            vec![
                linker.into(),
                "--library-path".into(),
                libraries.into(),
                program.into(),
            ]
        };
        let bind = |option: &str, path: &Path, inside: &Path| -> [OsString; 3] {
            [option.into(), path.into(), inside.into()]
        };
        let mut all = Vec::new();
        if let Network::Of(process) = self.network {
            let others = format!("--target {process} --user --net --preserve-credentials");
            all.extend(linked("nsenter").into_iter().chain(words(&others)));
        }
        all.extend(linked("bwrap"));
        all.extend(bind("--ro-bind", root, Path::new("/")));
        all.extend(words(ALWAYS));
        all.extend(words(match processes {
            true => "--unshare-pid --proc /proc",
            false => "--bind /proc /proc",
        }));
        all.extend(words(match self.network {
            Network::None => "--unshare-net",
            Network::Rights => RIGHTS,
            Network::Of(_) => "--dev-bind /dev/net/tun /dev/net/tun",
        }));
        for (path, inside, writable) in &self.seen {
            let option = if *writable { "--bind" } else { "--ro-bind" };
            all.extend(bind(option, path, inside));
        }
        if let Some(front) = std::env::var_os(IN_FRONT) {
            all.extend(bind("--ro-bind", front.as_ref(), Path::new(FRONT)));
        }
        if let Some(home) = &self.home {
            all.extend(bind("--bind", home, Path::new(WORK)));
        }
        all.extend(["--chdir".into(), self.folder_inside().into()]);
        all.extend(words("-- /usr/bin/env --default-signal=INT"));
        all
    }
}

/// A folder of programs that stand in front of all others: a test's, which are not what they should
/// be.
const IN_FRONT: &str = "THESEUS_PROGRAMS";
/// Where it is found.
const FRONT: &str = "/home";

/// The same for every program that the lab runs.
const COMMON: [(&str, &str); 3] = [("LC_ALL", "C.UTF-8"), ("TERM", "dumb"), ("TZ", "UTC")];

/// What the lab runs of the machine's own programs, where there is no tool root.
const PROGRAMS: [&str; 24] = [
    "bash",
    "bc",
    "bison",
    "bzip2",
    "cmp",
    "cpio",
    "file",
    "find",
    "flex",
    "gcc",
    "gdb",
    "ip",
    "iptables",
    "ld",
    "lz4",
    "make",
    "mke2fs",
    "prlimit",
    "qemu-system-x86_64",
    "setpriv",
    "tar",
    "tcpdump",
    "unshare",
    "xz",
];

/// Those that are not on this machine.
#[must_use]
pub fn missing_programs() -> Vec<&'static str> {
    let path = machine_path();
    let is_there = |name: &&str| std::env::split_paths(&path).any(|at| at.join(name).is_file());
    PROGRAMS
        .into_iter()
        .filter(|name| !is_there(name))
        .collect()
}

/// The reader's PATH, and behind it the folders for administrators, which ordinary users of Debian
/// do not have on theirs.
#[must_use]
pub fn machine_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}
