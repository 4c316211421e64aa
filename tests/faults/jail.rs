//! Where root can only change the root, no namespace ends what a chapter has started, and nothing
//! of the cache is mounted.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lab::build::cache::Cache;
use lab::system::scratch::{PREFIX_IN_CACHE, Scratch};
use rustix::process::Signal;

use crate::fixture::Book;
use crate::jailed::jail;
use crate::processes::{self, command_line};
use crate::traces::{Place, ended, send, wait_until};

/// A cache in the place, with the lab in it.
fn cache(place: &Place) -> PathBuf {
    let home = Path::new(place.path()).join("cache");
    let root = home.join("ship-of-theseus");
    fs::create_dir_all(&root).unwrap();
    for kind in [
        "kernel",
        "kernel-source",
        "busybox",
        "busybox-source",
        "tools",
        "initramfs",
        "turns",
    ] {
        symlink(Cache::of_user().unwrap().root().join(kind), root.join(kind)).unwrap();
    }
    home
}

/// The processes whose root lies in the folder.
fn rooted(folder: &Path) -> Vec<u32> {
    let is_in = |pid: &u32| {
        let root = fs::read_link(format!("/proc/{pid}/root"));
        root.is_ok_and(|root| root.to_string_lossy().contains(&*folder.to_string_lossy()))
    };
    processes::all().into_iter().filter(is_in).collect()
}

fn replay(book: &Book, cache: &Path) -> Option<Command> {
    let mut command = jail("container")?;
    command.args([env!("CARGO_BIN_EXE_runner"), "chapter", "5"]);
    command.current_dir(book.folder.path());
    command.env("XDG_CACHE_HOME", cache);
    Some(command)
}

#[track_caller]
fn nothing_is_left(cache: &Path) {
    wait_until("the end of all that was started", || {
        rooted(cache).is_empty()
    });
    let root = cache.join("ship-of-theseus");
    wait_until("the end of the private folder", || {
        let names = fs::read_dir(&root).unwrap().flatten();
        !names
            .map(|entry| entry.file_name())
            .any(|name| name.to_string_lossy().starts_with("replay"))
    });
}

#[test]
fn a_signal_leaves_nothing_behind_where_no_namespace_ends_it() {
    for signal in [Signal::INT, Signal::KILL] {
        let place = Place::new();
        let cache = cache(&place);
        let book = Book::new(&[
            "gdb print 1",
            "host 'sleep 1000 & setsid sleep 1000 & (cd /; env -i setsid sleep 1000 &); \
             (trap \"\" INT TERM HUP; while :; do mkdir -p a/b; touch a/b/c; sleep 0.1; done) &'",
            "host 'sleep 1000.5'",
        ]);
        let Some(command) = replay(&book, &cache) else {
            return;
        };
        let child: Child = place.start(command);
        wait_until("the last step runs", || {
            let all = rooted(&cache);
            all.into_iter()
                .any(|pid| command_line(pid).starts_with("sleep 1000.5"))
        });
        assert!(rooted(&cache).len() > 6, "{:?}", rooted(&cache));
        send(child.id(), signal);
        let ran = ended(child);
        if signal == Signal::INT {
            ran.ends_with(130);
        }
        nothing_is_left(&cache);
    }
}

#[test]
fn who_has_a_folder_as_its_home_hides_nobody_who_has_it_as_its_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let scratch = Scratch::new_in(Path::new(place.path()), PREFIX_IN_CACHE).unwrap();
    let root = scratch.path().to_owned();
    // As a folder that is the root of programs has it.
    fs::create_dir(root.join("proc")).unwrap();
    fs::write(root.join("proc/mounts"), "").unwrap();
    let source = "#include <unistd.h>\nint main(void) { return pause(); }\n";
    crate::compile(&root, "pause.c", source, &[]);
    let start = |command: &mut Command| {
        let command = command.process_group(0).stdout(Stdio::null());
        command.stderr(Stdio::null()).spawn().unwrap()
    };
    let mut all = [
        start(Command::new("sleep").arg("1000").env("HOME", &root)),
        start(Command::new("chroot").arg(&root).arg("/program")),
    ];
    wait_until("both run", || {
        all.iter()
            .map(|child| command_line(child.id()))
            .eq(["sleep 1000 ", "/program "])
    });
    drop(scratch);
    wait_until("the end of both", || {
        all.iter_mut()
            .all(|child| child.try_wait().unwrap().is_some())
    });
}

#[test]
fn what_a_step_does_to_the_cache_is_gone_with_it() {
    let place = Place::new();
    let cache = cache(&place);
    let book = Book::new(&[
        "status=1 host 'id -u; echo x >> linux/Makefile'",
        "status=1 host 'echo x >> /usr/bin/gcc'",
        "host 'echo x > linux/new && rm linux/Makefile && ls linux | grep -c -e new -e Makefile'",
        "host 'ls /proc /dev; cat /dev/null; head -c 1 /dev/zero | wc -c'",
    ]);
    let Some(command) = replay(&book, &cache) else {
        return;
    };
    let ran = ended(place.start(command));
    assert!(
        ran.stdout.contains("cannot be compared") || ran.code == Some(1),
        "{ran:#?}"
    );
    ran.prints("1000\n").prints("Permission denied");
    let kernel = fs::read_dir(cache.join("ship-of-theseus/kernel")).unwrap();
    for entry in kernel.flatten() {
        let tree = entry.path().join("linux");
        assert!(!tree.join("new").exists(), "it was written to the cache");
        assert!(!tree.is_dir() || tree.join("Makefile").is_file());
    }
    nothing_is_left(&cache);
}
