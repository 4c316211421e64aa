//! The root of another distribution below target/, with an ordinary user in it, and what is run
//! there.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use duct::{Expression, cmd};

use crate::repository;

/// The ordinary user of each root.
pub const READER: &str = "reader";
/// The reader's checkout, as it is found in the root.
pub const CHECKOUT: &str = "/home/reader/book";
/// A user's cache, in the home.
const CACHE: &str = ".cache/ship-of-theseus";
/// What the README asks for besides Rust: a C linker, curl with certificates, a clone.
const PACKAGES: &str = "--include=ca-certificates,curl,gcc,git,libc6-dev";

/// The root of another machine.
pub struct Root {
    /// How it is called in the table.
    pub name: String,
    folder: PathBuf,
}

/// What was run there.
pub struct Run {
    /// Whether it ended well.
    pub well: bool,
    /// Each line that it printed, with the seconds that had passed by then.
    pub lines: Vec<(f64, String)>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Root {
    /// A root by its name: a suite of Debian, which is made if it is not there; or the path of one
    /// that has been unpacked from a container's image.
    pub fn of(name: &str) -> Self {
        let mut folder = below_target(name);
        if name.contains('/') {
            folder = PathBuf::from(name);
        } else if !folder.exists() {
            debootstrap(name, &folder);
        }
        let root = Self {
            name: name
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap()
                .into(),
            folder,
        };
        root.furnish();
        root
    }

    /// A user who has a checkout of the working tree, and nothing else.
    fn furnish(&self) {
        let home = self.folder.join("home").join(READER);
        for leftover in [&home, &self.folder.join("root/.cache")] {
            if leftover.exists() {
                fs::remove_dir_all(leftover).unwrap();
            }
        }
        let known = self.enter("root", &["id", READER]).stdout_null();
        if !known
            .stderr_null()
            .unchecked()
            .run()
            .unwrap()
            .status
            .success()
        {
            let add = ["useradd", "--uid", "1000", READER];
            self.enter("root", &add).run().expect("add a user");
        }
        let checkout = self.outside(CHECKOUT);
        fs::create_dir_all(&checkout).unwrap();
        let files = "git ls-files -z --cached --others --exclude-standard";
        let line = format!("{files} | tar -c --null -T - | tar -x -C \"$1\" --no-same-owner");
        let copied = cmd!("sh", "-c", line, "sh", &checkout).dir(repository());
        copied.run().expect("copy the working tree");
        self.give(Path::new("/home/reader"), READER);
    }

    /// Where a path in the root lies on this machine.
    fn outside(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path.as_ref().strip_prefix("/").unwrap())
    }

    /// Gives a folder of the root to a user.
    fn give(&self, folder: &Path, user: &str) {
        let owner = format!("{user}:{user}");
        let folder = folder.to_str().unwrap();
        let given = self.enter("root", &["chown", "-R", &owner, folder]);
        given.run().expect("change the owner");
    }

    /// The cache of a user, as it is found on this machine.
    pub fn cache_of(&self, user: &str) -> PathBuf {
        self.outside(home(user).join(CACHE))
    }

    /// Copies a cache of this machine to a user of the root.
    pub fn copy_cache(&self, cache: &Path, user: &str) {
        let target = self.cache_of(user);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        cmd!("cp", "-a", "--reflink=auto", cache, target)
            .run()
            .expect("copy the cache");
        self.give(&home(user).join(".cache"), user);
    }

    /// What runs words as a user of the root.
    fn enter(&self, user: &str, words: &[&str]) -> Expression {
        let script = repository().join("tests/machines/enter.sh");
        let line = ["sh".as_ref(), script.as_os_str(), self.folder.as_os_str()];
        let words = [user].into_iter().chain(words.iter().copied());
        let line = line.into_iter().chain(words.map(AsRef::as_ref));
        let sysroot = cmd!("rustc", "--print", "sysroot").read().unwrap();
        duct::cmd(line.clone().next().unwrap(), line.skip(1)).env("RUST", sysroot)
    }

    /// Runs a line of shell in the checkout, as a user; `what` names it on the screen and in the
    /// folder of logs.
    pub fn run(&self, user: &str, what: &str, line: &str) -> Run {
        let name = format!("{} {user} {what}", self.name);
        let log = below_target("logs").join(name.replace(' ', "-"));
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        let mut log = fs::File::create(log.with_extension("log")).unwrap();
        let begun = Instant::now();
        // Root uses what the ordinary user has fetched and compiled.
        let line = format!("cd {CHECKOUT} && {{ {line}; }}");
        let run = self.enter(user, &["CARGO_HOME=/home/reader/.cargo", "sh", "-c", &line]);
        let run = run.stdin_null().stderr_to_stdout().unchecked();
        let reader = run.reader().unwrap();
        let mut lines = Vec::new();
        for read in BufReader::new(&reader).lines() {
            let line = read.unwrap_or_else(|error| format!("({error})"));
            let seconds = begun.elapsed().as_secs_f64();
            println!("{name} {seconds:6.1} {line}");
            writeln!(log, "{seconds:6.1} {line}").unwrap();
            lines.push((seconds, line));
        }
        let status = reader.try_wait().unwrap().unwrap().status;
        Run {
            well: status.success(),
            lines,
            seconds: begun.elapsed().as_secs_f64(),
        }
    }
}

/// The home of a user.
fn home(user: &str) -> PathBuf {
    match user {
        "root" => PathBuf::from("/root"),
        _ => Path::new("/home").join(user),
    }
}

/// A folder of these tests.
fn below_target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("machines")
        .join(name)
}

/// A suite of Debian, as small as it gets.
fn debootstrap(suite: &str, folder: &Path) {
    let there = cmd!("debootstrap", "--version").stdout_null().unchecked();
    if there.run().is_err() {
        assert!(
            std::env::var_os("CI").is_some(),
            "there is no debootstrap; apt-get install debootstrap (with CI=true it is installed)"
        );
        let line = "apt-get update -q && apt-get install -qy --no-install-recommends debootstrap";
        cmd!("sh", "-c", line).run().expect("install debootstrap");
    }
    let half = folder.with_extension("half");
    if half.exists() {
        fs::remove_dir_all(&half).unwrap();
    }
    fs::create_dir_all(&half).unwrap();
    cmd!("debootstrap", "--variant=minbase", PACKAGES, suite, &half)
        .run()
        .unwrap_or_else(|error| panic!("make a root of {suite}: {error}"));
    fs::rename(half, folder).unwrap();
}
