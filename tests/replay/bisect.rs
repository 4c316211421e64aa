//! `runner bisect`: the commit of a clone that has changed a step.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use lab::build::cache::Inputs;
use lab::build::setup::{self, Options};
use rustix::process::{Pid, Signal, kill_process};
use walkdir::WalkDir;

use crate::fixture::{Book, Ran, repository, runner};

/// A clone, and what the runner keeps of it in the cache, which goes with it.
struct Clone {
    folder: tempfile::TempDir,
}

impl Clone {
    fn new() -> Self {
        let clone = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        clone.git(&["init", "--quiet"]);
        clone
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, words: &[&str]) -> String {
        let who = ["-c", "user.name=reader", "-c", "user.email=reader@theseus"];
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path()).args(who).args(words);
        let ran = Ran::from(git.output().unwrap());
        ran.ends_with(0).stdout.trim_end().to_owned()
    }

    /// Gives the hash of a commit of all that is there.
    fn commit(&self, subject: &str) -> String {
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", subject]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{file}: {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn bisect<'a>(&'a self, step: &'a str, good: &'a str, bad: &'a str) -> [&'a str; 8] {
        let tree = self.path().to_str().unwrap();
        ["bisect", step, "--good", good, "--bad", bad, "--git", tree]
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        let common = fs::canonicalize(self.path()).unwrap().join(".git");
        let inputs = Inputs::new().with("clone", common.display().to_string());
        let cache = Options::new(repository()).unwrap().cache;
        let folder = cache.folder("bisect", &inputs);
        let _ = fs::remove_dir_all(&folder);
        let _ = fs::remove_file(folder.with_extension("lock"));
    }
}

#[test]
fn what_cannot_be_bisected_is_told_before_anything_is_built() {
    let book = Book::new(&["guest true"]);
    let clone = Clone::new();
    let first = clone.commit("nothing");
    fs::write(clone.path().join("a"), "").unwrap();
    let side = clone.commit("to one side");
    clone.git(&["checkout", "--quiet", "--detach", &first]);
    fs::write(
        clone.path().join("Makefile"),
        "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 3\n",
    )
    .unwrap();
    let last = clone.commit("to the other");
    let cache = tempfile::tempdir().unwrap();
    let refused = |words: &[&str], complaint: &str| {
        let mut command = book.command(words);
        command.env("XDG_CACHE_HOME", cache.path());
        // As in a hook of another clone.
        command.env("GIT_DIR", "/nowhere");
        Ran::of(command).ends_with(2).complains(complaint);
    };
    refused(
        &clone.bisect("5.9", &first, &last),
        "there is no step 5.9; its steps are 5.1 to 5.1",
    );
    refused(&clone.bisect("9.1", &first, &last), "no chapter `9`");
    refused(&clone.bisect("5", &first, &last), "`5` is no step");
    refused(&clone.bisect("5.1", "v6.1", &last), "no commit `v6.1`");
    refused(&clone.bisect("5.1", "--help", &last), "--help");
    refused(&clone.bisect("5.1", &last, &last), "the same commit");
    refused(
        &clone.bisect("5.1", &last, &first),
        "--good must be the older commit",
    );
    refused(
        &clone.bisect("5.1", &side, &last),
        &format!("both come from {}, which may serve as --good", &first[..12]),
    );
    refused(&clone.bisect("5.1", &first, &last), "holds no Linux");
    let folder = tempfile::tempdir().unwrap();
    for (place, complaint) in [
        (folder.path(), "git knows no clone there"),
        (Path::new("/nowhere"), "there is no such folder"),
    ] {
        let place = place.to_str().unwrap();
        let words = ["bisect", "5.1", "--good", "a", "--bad", "b", "--git", place];
        refused(&words, complaint);
    }
    assert_eq!(cache.path().read_dir().unwrap().count(), 0);
    assert_eq!(clone.git(&["worktree", "list"]).lines().count(), 1);
}

const FILE: &str = "net/ipv4/af_inet.c";
const INIT: &str = "static int __init inet_init(void)\n";
const UDP: &str = "\tif (inet_add_protocol(&udp_protocol, IPPROTO_UDP) < 0)\n\
    \t\tpr_crit(\"%s: Cannot add UDP protocol\\n\", __func__);\n";
const TCP: &str = "\tif (inet_add_protocol(&tcp_protocol, IPPROTO_TCP) < 0)\n\
    \t\tpr_crit(\"%s: Cannot add TCP protocol\\n\", __func__);\n";

/// The whole way, among 16 commits: one moves lines, one changes what a step prints, the next does
/// not build, one does not boot, and the others do not matter.
#[test]
#[ignore = "builds some eight kernels, which takes minutes"]
fn the_commit_that_changes_a_step_is_found() {
    let clone = Clone::new();
    put_kernel(clone.path());
    let mut commits = vec![clone.commit("all of it")];
    for number in 1..=16 {
        let change = |from: &str, to: &str| clone.edit(FILE, from, to);
        commits.push(match number {
            8 => {
                change(INIT, &format!("/*\n * It begins here.\n */\n\n{INIT}"));
                clone.commit("inet: say where it begins")
            }
            9 => {
                change(&format!("{UDP}{TCP}"), &format!("{TCP}{UDP}"));
                clone.commit("inet: add TCP before UDP")
            }
            10 => {
                change("\tarp_init();", "\tarp_initialise();");
                clone.commit("inet: a better name")
            }
            11 => {
                change("\tarp_initialise();", "\tarp_init();");
                clone.commit("inet: the old name")
            }
            12 => {
                change("\tarp_init();", "\tBUG();\n\tarp_init();");
                clone.commit("inet: stop here")
            }
            13 => {
                change("\tBUG();\n\tarp_init();", "\tarp_init();");
                clone.commit("inet: do not stop here")
            }
            _ => {
                let names = ["route.c", "arp.c", "icmp.c", "devinet.c"];
                let path = clone.path().join("net/ipv4").join(names[number % 4]);
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, format!("{text}\n/* {number} */\n")).unwrap();
                clone.commit(&format!("ipv4: comment {number}"))
            }
        });
    }
    let head = clone.git(&["status", "--branch", "--porcelain=v2"]);
    let runner = |words: &[&str]| {
        let mut command = runner();
        command.args(words).current_dir(repository());
        command
    };
    let words = clone.bisect("5.41", &commits[0], &commits[16]);

    // Interrupted while it builds the third kernel.
    let begun = Instant::now();
    let mut child = runner(&words).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = lines.map(Result::unwrap);
    let is_begun = |line: &String| line.starts_with("build ") && line.ends_with(" ...");
    assert_eq!(said.by_ref().filter(is_begun).take(3).count(), 3);
    let log = said.by_ref().find(|line| line.contains(" objects"));
    assert!(log.is_some(), "the third kernel is compiled for a while");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());

    let found = Ran::of(runner(&words));
    found
        .ends_with(0)
        .complains("going on: 2 commits were tried before\n")
        .complains(" inet: say where it begins (")
        .complains("error: implicit declaration of function 'arp_initialise'")
        .complains("the kernel has stopped: ")
        .prints(&format!("commit {}\nDate:   ", commits[9]))
        .prints("\n\n    inet: add TCP before UDP\n")
        .prints("> inet_add_protocol 6\n")
        .prints("16 commits: ")
        .prints(" 2 skipped, ");
    let skipped = [10, 12].map(|number: usize| format!("skip {}", &commits[number][..12]));
    for line in skipped {
        found.complains(&line);
    }
    eprintln!(
        "{}in all {} s",
        found.stdout.split("\n\n").last().unwrap(),
        begun.elapsed().as_secs()
    );
    let again = Ran::of(runner(&words));
    assert_eq!(again.ends_with(0).stdout, found.stdout);
    assert!(!again.stderr.contains("build "), "{}", again.stderr);

    // Lines that have moved are no difference, and a kernel that does not build is no end.
    Ran::of(runner(&clone.bisect("5.41", &commits[7], &commits[8])))
        .ends_with(2)
        .complains("step 5.41 is the same at both ends");
    Ran::of(runner(&clone.bisect("5.41", &commits[8], &commits[10])))
        .ends_with(1)
        .complains("does not build: net/ipv4/af_inet.c:");
    assert_eq!(clone.git(&["status", "--branch", "--porcelain=v2"]), head);
}

/// Copies what the lab's kernel was built of.
fn put_kernel(folder: &Path) {
    let tree = setup::ready(&Options::new(repository()).unwrap()).unwrap();
    let tree = tree.kernel.tree;
    let files = WalkDir::new(&tree).into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let files = files.map(|entry| entry.path().strip_prefix(&tree).unwrap().to_owned());
    let files: BTreeSet<PathBuf> = files.collect();
    let mut read = BTreeSet::new();
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy();
        let of_build = ["Kconfig", "Kbuild", "Makefile", ".gitignore"];
        let is_of_build = of_build.iter().any(|start| name.starts_with(start))
            || name.ends_with(".config")
            || name.ends_with(".lds.S")
            || file.starts_with("scripts")
            || file.starts_with("tools");
        if is_of_build {
            read.insert(file.clone());
        }
        if name.ends_with(".cmd") {
            // What a command has read is named in it, as seen from the top or from its folder.
            let text = fs::read(tree.join(file)).unwrap();
            for word in String::from_utf8_lossy(&text).split_whitespace() {
                let word = Path::new(word.trim_end_matches([')', ':']));
                let beside = file.parent().unwrap().join(word);
                let named = [plain(word), plain(&beside)].into_iter();
                read.extend(named.filter(|named| files.contains(named)));
            }
        }
    }
    for file in read {
        let place = folder.join(&file);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(tree.join(&file), place).unwrap();
    }
    // Debian's has git ignore all that is not Debian's.
    let path = folder.join(".gitignore");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.split("\n/*\n").next().unwrap()).unwrap();
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
