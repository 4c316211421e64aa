//! Where the lab's programs run: the tool root, with nothing of the reader's machine in sight.
//!
//! The tool root is a folder with pinned programs (`build::tools`). bubblewrap, which is one of
//! them, makes it the root of namespaces of an ordinary user's own, and everything lies at the same
//! places in there for everybody: the private folder of a replay at [`WORK`], the cache at
//! [`CACHE`]. The environment is made anew. There is no network but the loopback.
//!
//! Where the system makes no user namespaces, root makes the others without one, and where root may
//! not do that either, as in a container, changes the root alone ([`Way`]). What a replay runs is
//! no root's in any of them, and so prints the same.
//!
//! Nothing of the machine is needed for it but its kernel and a `sh`: the programs of the tool root
//! that make the namespaces are started by the tool root's own dynamic linker.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::Error;
use crate::system::files::write_whole;
use crate::system::process::{Process, WATCHED, with_us};
use crate::system::scratch::Scratch;
use crate::system::stage::{self, Stage};

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
/// sandbox, and not for bubblewrap, which waits for its end. Nor is standard output: bubblewrap
/// keeps the first three files open for as long as it waits, and a program that closes its own
/// would not be noticed. What is made there has the usual modes, whatever the reader's umask is.
const START: &str = r#"trap '' INT; umask 022; [ $PPID = $0 ] && exec "$@" 3>&1 >/dev/null"#;
/// Starts the rest of the line in there, with its standard output.
const INSIDE: [&str; 4] = ["/usr/bin/sh", "-c", r#"exec "$@" >&3 3>&-"#, "sh"];
/// Starts the rest of the line where no namespace ends its children: somebody in its process group
/// waits for the runner's end, and then ends the group. The first four words run `tail`.
const START_WATCHED: &str = r#"umask 022; [ $PPID = $0 ] || exit
    ("$1" "$2" "$3" "$4" --pid=$0 -s 0.1 -f /dev/null; kill -KILL 0) </dev/null >/dev/null 2>&1 &
    shift 4; exec "$@""#;
/// Who runs a program of a replay. It is no `root`: tcpdump would change to another user, and there
/// is none.
const USER: &str = "--unshare-user --uid 1000 --gid 1000";
/// How root becomes this user, where no namespace makes it one.
const BECOME: &str = "/usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs";
/// Rights that go with it if there is something in the cache to write to, which is root's.
const WRITING: &str = "--inh-caps=-all,+dac_override,+fowner \
    --ambient-caps=-all,+dac_override,+fowner";
/// What a root has who builds: nothing but the files that are seen.
const BUILD: &str = "/usr/bin/setpriv --bounding-set=-all,+chown,+dac_override,+fowner \
    --inh-caps=-all --no-new-privs";
/// What is the same for every program in namespaces.
const ALWAYS: &str = "--die-with-parent --unshare-ipc --unshare-uts --hostname theseus --clearenv \
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
    /// The lab's own programs.
    Tools {
        /// The tool root.
        root: PathBuf,
        /// The cache.
        cache: PathBuf,
        /// How the tool root becomes theirs.
        way: Way,
    },
    /// The machine's own programs, with the machine's own files in sight.
    Machine,
}

/// How the tool root becomes the root of a program. The first that the system allows is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In a user namespace, and others in it.
    User,
    /// As before, without a process namespace, and so with the machine's /proc: in a container in
    /// which parts of /proc are covered, the system mounts no other.
    UserWithoutProcesses,
    /// In namespaces that root makes without a user namespace.
    Root,
    /// By root, which changes to a copy of it ([`stage`]) and makes no namespaces: the network and
    /// the processes are the machine's, and there is no /proc.
    Chroot,
}

impl Way {
    /// All of them, the best one first.
    const ALL: [Self; 4] = [
        Self::User,
        Self::UserWithoutProcesses,
        Self::Root,
        Self::Chroot,
    ];

    /// Whether only root can go it.
    #[must_use]
    pub fn is_roots(self) -> bool {
        matches!(self, Self::Root | Self::Chroot)
    }
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
    /// The tool root, to be used in the best way.
    #[must_use]
    pub fn new(root: PathBuf, cache: &Path) -> Self {
        Self::Tools {
            root,
            cache: cache.to_owned(),
            way: Way::User,
        }
    }

    /// The way in which the tool root is used; none for the machine's own programs.
    #[must_use]
    pub fn way(&self) -> Option<Way> {
        match self {
            Self::Tools { way, .. } => Some(*way),
            Self::Machine => None,
        }
    }

    /// The sandbox in the best way, whether the system allows it or not.
    #[must_use]
    pub fn in_best_way(&self) -> Self {
        match self {
            Self::Tools { root, cache, way } if way.is_roots() => Self::new(root.clone(), cache),
            _ => self.clone(),
        }
    }

    /// The sandbox in the best way that the system allows.
    ///
    /// # Errors
    /// [`Error::NoNamespaces`], with what the system says to the first attempt; why the programs
    /// cannot even be run without namespaces.
    pub fn tried(mut self) -> Result<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let mut first = None;
        for tried in Way::ALL {
            let Self::Tools { way, .. } = &mut self else {
                return Ok(self);
            };
            *way = tried;
            if tried.is_roots() && !is_root {
                continue;
            }
            match self.attempt(tried) {
                Ok(()) => return Ok(self),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        self.runs()?;
        let first = first.context("no way was tried")?;
        bail!(Error::NoNamespaces(format!("{first:#}")));
    }

    /// Runs a program in a way, and for root's ways as the user of a replay.
    fn attempt(&self, way: Way) -> Result<()> {
        let Self::Tools { cache, .. } = self else {
            return Ok(());
        };
        if !way.is_roots() {
            return self.view().output(&["true"], Stdio::null()).map(drop);
        }
        let home = self.private_folder(cache)?;
        let view = self.view().at_home(home.path());
        let words = ["sh", "-c", ": </dev/null >/dev/null >made"];
        view.output(&words, Stdio::null()).map(drop)
    }

    /// Makes a private folder for a replay, which lies where temporary files belong, or else in the
    /// cache; a program whose view has it as its home can write to it.
    ///
    /// # Errors
    /// Why it can be made in neither.
    pub fn private_folder(&self, cache: &Path) -> Result<Scratch> {
        match self {
            Self::Tools {
                way: Way::Chroot, ..
            } => Scratch::with_stage(cache),
            _ => Scratch::new(cache),
        }
    }

    /// Whether a program of the tool root runs, without namespaces.
    fn runs(&self) -> Result<()> {
        let Self::Tools { root, .. } = self else {
            return Ok(());
        };
        let words = linked(root, "bin/true");
        let run = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .current_dir(root)
            .output();
        let ended =
            run.with_context(|| format!("run the lab's own programs in {}", root.display()));
        let ended = ended.map_err(|error| match error.downcast_ref::<std::io::Error>() {
            Some(why) if why.kind() == ErrorKind::PermissionDenied => error.context(
                "no program can be run where the lab's own are (a file system that is mounted \
                 noexec?); set XDG_CACHE_HOME to a folder on another disk",
            ),
            _ => error,
        })?;
        ensure!(
            ended.status.success(),
            "the lab's own programs do not run ({}): {}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr).trim()
        );
        Ok(())
    }

    /// Whether it is the machine's own programs that run.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        matches!(self, Self::Machine)
    }

    /// Where a program finds a file or folder of the machine, if its view has it.
    #[must_use]
    pub fn inside(&self, path: &Path) -> PathBuf {
        let Self::Tools { cache, .. } = self else {
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

    /// The first line that a program prints, which tells its version. A program of the tool root
    /// always says the same, so that is kept beside the root: gdb takes long to start.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn first_line(&self, words: &[&str]) -> Result<String> {
        let kept = match self {
            Self::Tools { root, .. } if std::env::var_os(IN_FRONT).is_none() => {
                Some(root.with_file_name("said").join(words.join(" ")))
            }
            _ => None,
        };
        if let Some(said) = kept
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok())
        {
            return Ok(said);
        }
        let output = self.view().output(words, Stdio::null())?;
        let text = String::from_utf8_lossy(&output);
        let line = text.lines().next().unwrap_or_default();
        if let Some(path) = kept {
            // Where nothing can be written, it is asked again.
            let folder = path.parent().map(std::fs::create_dir_all);
            let _ = folder.map(|_| write_whole(&path, line.as_bytes()));
        }
        Ok(line.to_owned())
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
            Sandbox::Tools { .. } if self.home.is_some() => Path::new(WORK),
            Sandbox::Tools { .. } => Path::new("/tmp"),
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
        let words_of = |command: &mut Command| {
            command.args(environment.iter().map(|(name, value)| {
                let mut setting = name.clone();
                setting.push("=");
                setting.push(value);
                setting
            }));
            command.args(words).env_clear();
        };
        let name = words[0].as_ref().display();
        let us = std::process::id().to_string();
        match &self.sandbox {
            Sandbox::Tools {
                root,
                cache,
                way: Way::Chroot,
            } => {
                ensure!(
                    self.network == Network::None,
                    "a network of its own takes a user namespace"
                );
                let stage = self.on_stage(root, cache)?;
                let process = Process::start_group("/bin/sh", |command| {
                    command.args(["-c", START_WATCHED, &us]);
                    command.args(linked(root, "bin/tail"));
                    command.args(linked(root, "sbin/chroot")).arg(stage.path());
                    command.args(self.identity(Way::Chroot));
                    command.args(["/usr/bin/env", "-i", "--default-signal", "-C"]);
                    command.arg(self.folder_inside());
                    words_of(command);
                    command.env("HOME", stage.path()).current_dir(root);
                    prepare(command);
                });
                let process = process.with_context(|| format!("start {name} in the tool root"))?;
                Ok(process.on(stage))
            }
            Sandbox::Tools { root, way, .. } => {
                if let (Way::Root, Some(home)) = (way, &self.home) {
                    stage::hand_over(home)?;
                }
                let enter = self.enter(root, *way)?;
                let process = Process::start_group("/bin/sh", |command| {
                    command.args(["-c", START, &us]).args(enter);
                    words_of(command);
                    // Whoever takes the private folder away finds it by its home.
                    command.env("HOME", self.home()).current_dir(root);
                    prepare(command);
                });
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
                Sandbox::Tools { .. } => FRONT.into(),
                Sandbox::Machine => front,
            });
            path.push(":");
        }
        path.push(match &self.sandbox {
            Sandbox::Tools { .. } => PATH.into(),
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

    /// The stage of the private folder, or else one of the program's own, with all on it that is
    /// seen.
    fn on_stage(&self, root: &Path, cache: &Path) -> Result<Stage> {
        let mut stage = Stage::of(self.home.as_deref(), cache)?;
        let mut seen = self.seen.clone();
        if let Some(front) = std::env::var_os(IN_FRONT) {
            seen.push((front.into(), FRONT.into(), false));
        }
        let home = stage.path().to_owned();
        let copy = |from: &Path, to: &Path| {
            let attempt = |how: &str| {
                let words = linked(root, "bin/cp");
                let mut copy = Command::new(&words[0]);
                copy.args(&words[1..]).args([how, "-HT"]).arg(from).arg(to);
                // So it ends with the folder if the runner does.
                copy.env_clear().env("HOME", &home);
                copy.current_dir(root).output()
            };
            let linked = attempt("-al")?;
            let ended = match linked.status.success() {
                true => linked,
                // On another file system.
                false => attempt("-a")?,
            };
            let complaint = String::from_utf8_lossy(&ended.stderr);
            ensure!(ended.status.success(), "{}", complaint.trim());
            Ok(())
        };
        stage.lay_out(root, &seen, copy)?;
        Ok(stage)
    }

    /// The words that make the rest of the line run as who it should be, where root has started it.
    fn identity(&self, way: Way) -> Vec<OsString> {
        let writes = self.seen.iter().any(|(.., writable)| *writable);
        let line = match (way.is_roots(), &self.home) {
            (false, _) => String::new(),
            (true, None) => BUILD.to_owned(),
            (true, Some(_)) if writes && way == Way::Root => format!("{BECOME} {WRITING}"),
            (true, Some(_)) => format!("{BECOME} --inh-caps=-all"),
        };
        line.split_ascii_whitespace().map(OsString::from).collect()
    }

    /// The words behind which stand the variables and the words of a program in namespaces.
    fn enter(&self, root: &Path, way: Way) -> Result<Vec<OsString>> {
        // Root's own rights over the network are none to lend.
        ensure!(
            way != Way::Root || self.network == Network::None,
            "a network of its own takes a user namespace"
        );
        let words = |line: &str| Vec::from_iter(line.split_ascii_whitespace().map(OsString::from));
        let bind = |option: &str, path: &Path, inside: &Path| -> [OsString; 3] {
            [option.into(), path.into(), inside.into()]
        };
        let mut all = Vec::new();
        if let Network::Of(process) = self.network {
            let others = format!("--target {process} --user --net --preserve-credentials");
            let nsenter = linked(root, "bin/nsenter").into_iter();
            all.extend(nsenter.chain(words(&others)));
        }
        all.extend(linked(root, "bin/bwrap"));
        all.extend(bind("--ro-bind", root, Path::new("/")));
        if way != Way::Root {
            all.extend(words(USER));
        }
        all.extend(words(ALWAYS));
        all.extend(words(match way {
            Way::UserWithoutProcesses => "--bind /proc /proc",
            _ => "--unshare-pid --proc /proc",
        }));
        all.extend(words(match self.network {
            Network::None => "--unshare-net",
            Network::Rights => RIGHTS,
            Network::Of(_) => "--dev-bind /dev/net/tun /dev/net/tun",
        }));
        for (path, inside, writable) in &self.seen {
            // Those that bubblewrap makes can be entered by their owner alone.
            let above = inside.ancestors().skip(1);
            let above = Vec::from_iter(above.take_while(|above| above.components().count() > 2));
            for folder in above.into_iter().rev() {
                all.extend(words("--perms 0755 --dir"));
                all.push(folder.into());
            }
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
        all.push("--".into());
        all.extend(self.identity(way));
        all.extend(INSIDE.map(OsString::from));
        all.extend(words("/usr/bin/env --default-signal"));
        Ok(all)
    }
}

/// The words that run a program of the tool root, by its path below `usr`, by its own dynamic
/// linker. They belong into the tool root: the path of its libraries is relative, as a colon in the
/// path of a cache would end it.
fn linked(root: &Path, program: &str) -> [OsString; 4] {
    let program = root.join("usr").join(program);
    [
        root.join(LINKER).into(),
        "--library-path".into(),
        LIBRARIES.into(),
        program.into(),
    ]
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
