//! Caches that cannot be written, and caches that many use at once.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::build::cache::Cache;

use crate::fixture::{Book, Ran, ended};
use crate::kill::{hangs, wait_until_it_hangs};
use crate::place::{Place, in_own_mounts};

/// A command with this cache mounted read-only, as an ordinary user: tcpdump as root wants to be
/// another.
fn sealed(place: &Place, like: &Command) -> Command {
    let root = place.root().display().to_string();
    let lines = format!(
        "mount --bind {root} {root}; mount -o remount,bind,ro {root}\n\
         exec unshare --user --map-user=1000 --map-group=1000 -- \"$@\""
    );
    in_own_mounts(like, &lines)
}

#[test]
fn a_cache_that_is_read_only_serves_all_that_only_reads() {
    let place = Place::made();
    let book = Book::new(&[
        "guest 'ip link set lo up'",
        "wire 'tcpdump -n -r wire.pcap'",
    ]);
    book.keep(&place.run_in(&book, &["chapter", "5", "--json"]));
    let run = |arguments: &[&str]| {
        let command = sealed(&place, &place.command_in(&book, arguments));
        Ran::of(command)
    };
    run(&["setup"]).ends_with(0);
    run(&["chapter", "5"])
        .ends_with(0)
        .prints("not kept: cannot write ")
        .prints("Read-only file system");
    run(&["verify"]).ends_with(0);
    let command = sealed(&place, &place.command(&["run", "echo", "well"]));
    Ran::of(command).ends_with(0).prints("well");
    run(&["shell", "5"]).ends_with(0);
    let ran = run(&["doctor", "--json"]);
    let json = ran.json();
    let checks = json["checks"].as_array().unwrap();
    let check = |id: &str| checks.iter().find(|check| check["id"] == id).unwrap();
    assert_eq!(check("cache")["state"], "warn", "{json:#}");
    let found = check("cache")["found"].as_str().unwrap();
    for words in ["Read-only file system", "the lab in it is made"] {
        assert!(found.contains(words), "{found}");
    }
    assert_eq!(check("lab")["state"], "ok", "{json:#}");
    run(&["clean", "--yes"])
        .ends_with(3)
        .complains("not everything could be removed");
    place.is_as_made();
}

#[test]
fn a_cache_that_is_read_only_and_lacks_something_says_so() {
    let place = Place::without(&["initramfs"]);
    Ran::of(sealed(&place, &place.command(&["setup"])))
        .ends_with(3)
        .complains("the entry initramfs of the cache is not there")
        .complains("Read-only file system")
        .complains("set XDG_CACHE_HOME to a folder of yours");
    place.run(&["setup"]).ends_with(0);
    place.is_as_made();
    // Damage that cannot be mended is told as well.
    let busybox = place.entries("busybox").remove(0).join("busybox/busybox");
    crate::place::flip(&busybox, 1000);
    Ran::of(sealed(&place, &place.command(&["setup"])))
        .ends_with(3)
        .complains("the entry busybox of the cache is damaged: ")
        .complains("Read-only file system");
    place.run(&["setup"]).ends_with(0);
    place.is_as_made();
}

fn start(mut command: Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn all(commands: impl Iterator<Item = Command>) -> Vec<Ran> {
    let children: Vec<_> = commands.map(start).collect();
    let ends = children.into_iter().map(ended);
    ends.map(Ran::from).collect()
}

#[test]
fn ten_runs_at_once_make_each_entry_once_and_agree() {
    let place = Place::without(&["kernel", "programs", "initramfs"]);
    let mut told = 0;
    for ran in all((0..10).map(|_| place.command(&["setup"]))) {
        ran.ends_with(0);
        told += ran.stderr.matches("build Linux 6.1.176: done").count();
    }
    assert_eq!(told, 1, "the kernel was built so often");
    place.run(&["run", "true"]).ends_with(0);
    place.is_as_made();
    // With all there, none waits for another.
    for ran in all((0..10).map(|_| place.command(&["setup"]))) {
        ran.ends_with(0);
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn replays_at_once_are_the_same_byte_for_byte() {
    let place = Place::made();
    let book = Book::new(&[
        "guest 'cat /proc/uptime; ip link set lo up'",
        "wire 'tcpdump -n -r wire.pcap'",
    ]);
    book.keep(&place.run_in(&book, &["chapter", "5", "--json"]));
    for ran in all((0..4).map(|_| place.command_in(&book, &["chapter", "5"]))) {
        ran.ends_with(0)
            .prints("the same, byte for byte")
            .prints("kept in");
    }
}

#[test]
fn what_a_run_uses_is_not_cleaned_away() {
    let place = Place::made();
    let book = Book::new(&["guest 'echo there'"]);
    let mut shell = place.command_in(&book, &["shell", "5"]);
    shell.stdin(Stdio::piped());
    let mut shell = start(shell);
    // It has arrived when it answers.
    let mut stdin = shell.stdin.take().unwrap();
    let mut stdout = std::io::BufReader::new(shell.stdout.take().unwrap());
    std::io::Write::write_all(&mut stdin, b"echo ar''rived\n").unwrap();
    let mut line = String::new();
    while !line.contains("arrived") {
        line.clear();
        let count = std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        assert!(count > 0, "the shell has ended");
    }
    let ran = place.run(&["clean", "--yes"]);
    ran.ends_with(3)
        .complains("not everything could be removed");
    for kind in ["kernel/", "busybox/", "initramfs/"] {
        let stays =
            |line: &str| line.contains(kind) && line.contains("used by another run; it stays");
        assert!(ran.stderr.lines().any(stays), "{ran:#?}");
    }
    drop(stdin);
    assert!(ended(shell).status.success());
    place
        .run(&["clean", "--yes"])
        .ends_with(0)
        .prints("removed");
    assert!(Cache::at(place.root()).list().unwrap().is_empty());
}

#[test]
fn the_lab_that_a_fresh_replay_builds_is_not_cleaned_away() {
    let place = Place::made();
    let book = Book::new(&["guest 'echo there'"]);
    let mut replay = place.command_in(&book, &["chapter", "5", "--fresh"]);
    hangs(&mut replay, &place, "make");
    let replay = replay.spawn().unwrap();
    wait_until_it_hangs(&place);
    let listed = Cache::at(place.root()).list().unwrap();
    let fresh: Vec<_> = listed
        .iter()
        .filter(|entry| entry.kind == "fresh")
        .collect();
    assert_eq!(fresh.len(), 1, "{listed:#?}");
    let folder = fresh[0].folder.clone();
    let files = || walkdir::WalkDir::new(&folder).into_iter().flatten().count();
    let before = files();
    place
        .run(&["clean", "--yes"])
        .ends_with(3)
        .complains(&format!(
            "{} is used by another run; it stays",
            folder.display()
        ));
    assert_eq!(files(), before);
    // The reader's own lab is another, which nobody uses now.
    assert_eq!(place.entries("kernel").len(), 0);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&replay),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    ended(replay);
    let until = Instant::now() + Duration::from_secs(20);
    while folder.exists() {
        assert!(Instant::now() < until, "{} stays", folder.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}
