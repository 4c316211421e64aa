//! A setup that is killed at moments of the day, and gone on with each time.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab::build::cache::Cache;
use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{self, Ran, repository, runner};
use crate::place::Place;
use crate::processes::{command_line, of_place};
use crate::seed::{Random, seed};

const SIGNALS: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL];

/// The command lines of the processes that have the folder in their environment, and of those that
/// they have started.
fn processes(folder: &Path) -> Vec<String> {
    let found = of_place(&folder.to_string_lossy());
    found.into_iter().map(command_line).collect()
}

/// Kills the run `after` so long, and waits until all that it has started has ended; tells whether
/// it had ended by itself.
fn killed(mut child: Child, signal: Signal, after: Duration, folder: &Path) -> bool {
    sleep(after);
    let ended = child.try_wait().unwrap().is_some();
    if !ended {
        kill_process(Pid::from_child(&child), signal).unwrap();
        fixture::ended(child);
    }
    let begun = Instant::now();
    while !processes(folder).is_empty() {
        let left = processes(folder);
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{signal:?} has left {left:#?}"
        );
        sleep(Duration::from_millis(20));
    }
    ended
}

/// No entry is unfinished, and no temporary file is left.
fn is_tidy(place: &Place, temporary: &Path) {
    place.whole();
    let left: Vec<_> = fs::read_dir(temporary).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    for file in walkdir::WalkDir::new(place.root())
        .max_depth(3)
        .into_iter()
        .flatten()
    {
        let name = file.file_name().to_string_lossy();
        assert!(
            !name.ends_with(".partial") && name != "temporary",
            "{file:?}"
        );
    }
}

#[test]
fn a_setup_that_is_killed_at_moments_of_the_day_is_gone_on_with() {
    kill_at_random(2, 1);
}

#[test]
#[ignore = "takes minutes; each day has a few moments, and every night has many"]
fn a_setup_that_is_killed_at_many_moments_is_gone_on_with() {
    kill_at_random(20, 5);
}

/// Kills a setup by SIGKILL so often, and by each of the signals that can be caught.
fn kill_at_random(by_kill: usize, by_others: usize) {
    let made = ["kernel", "busybox", "programs", "initramfs"];
    let place = Place::without(&made);
    let temporary = tempfile::tempdir().unwrap();
    eprintln!("THESEUS_SEED={}", seed());
    let mut random = Random::new("setups");
    let setup = || {
        let mut command = place.command(&["setup"]);
        command.env("TMPDIR", temporary.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let begin_again = || {
        for kind in made {
            let _ = fs::remove_dir_all(place.root().join(kind));
        }
    };
    let begun = Instant::now();
    assert!(setup().status().unwrap().success());
    let whole = begun.elapsed();
    begin_again();
    for signal in SIGNALS {
        let times = match signal {
            Signal::KILL => by_kill,
            _ => by_others,
        };
        let mut kills = 0;
        while kills < times {
            let after = random.moment(whole);
            let child = setup().spawn().unwrap();
            match killed(child, signal, after, place.folder.path()) {
                true => begin_again(),
                false => kills += 1,
            }
        }
    }
    assert!(setup().status().unwrap().success());
    place.run(&["run", "true"]).ends_with(0);
    is_tidy(&place, temporary.path());
    place.is_as_made();
}

/// Has this program hang in what the command starts, whatever it is told.
pub fn hangs(command: &mut Command, place: &Place, name: &str) {
    let programs = place.folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    // curl starts nobody.
    let exec = if name == "curl" { "exec " } else { "" };
    let script = format!("#!/bin/bash\ntrap '' INT TERM HUP PIPE\n{exec}sleep 1000\n");
    let program = programs.join(name);
    fs::write(&program, script).unwrap();
    fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let path = std::env::var("PATH").unwrap();
    command
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("THESEUS_PROGRAMS", &programs)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}

/// Waits until the program has come to [`hangs`].
#[track_caller]
pub fn wait_until_it_hangs(place: &Place) {
    let until = Instant::now() + Duration::from_secs(60);
    let is_asleep = |line: &String| line.starts_with("sleep 1000");
    while !processes(place.folder.path()).iter().any(is_asleep) {
        assert!(Instant::now() < until, "nothing hangs");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_build_ends_with_its_runner_whatever_it_does() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        let place = Place::without(&["kernel"]);
        let mut command = place.command(&["setup"]);
        hangs(&mut command, &place, "make");
        let child = command.spawn().unwrap();
        wait_until_it_hangs(&place);
        assert!(!killed(child, signal, Duration::ZERO, place.folder.path()));
        place.run(&["setup"]).ends_with(0);
        place.is_as_made();
    }
}

#[test]
fn what_copies_a_tree_or_fetches_ends_with_its_runner() {
    for (program, signal) in [
        ("cp", Signal::KILL),
        ("make", Signal::KILL),
        ("make", Signal::INT),
        ("apt-get", Signal::KILL),
        ("curl", Signal::KILL),
    ] {
        let place = Place::without(&["kernel"]);
        let mut command = place.command(&["setup"]);
        if ["apt-get", "curl"].contains(&program) {
            command.env_remove("THESEUS_KERNEL_SOURCE");
        } else {
            let tree = place.folder.path().join("tree");
            fs::create_dir_all(tree.join("kernel/configs")).unwrap();
            fs::write(tree.join("kernel/configs/tiny.config"), "").unwrap();
            command.env("THESEUS_KERNEL_SOURCE", tree);
        }
        hangs(&mut command, &place, program);
        let child = command.spawn().unwrap();
        wait_until_it_hangs(&place);
        assert!(!killed(child, signal, Duration::ZERO, place.folder.path()));
    }
}

#[test]
fn a_killed_export_leaves_no_part_of_its_file() {
    for signal in SIGNALS {
        let place = Place::made();
        let folder = tempfile::tempdir().unwrap();
        let left = || Vec::from_iter(fs::read_dir(folder.path()).unwrap().flatten());
        let file = folder.path().join("lab.tar.xz");
        let mut command = place.command(&["lab", "export", file.to_str().unwrap()]);
        hangs(&mut command, &place, "gcc");
        let child = command.spawn().unwrap();
        wait_until_it_hangs(&place);
        assert_eq!(left().len(), 1, "{:?}", left());
        assert!(!killed(child, signal, Duration::ZERO, place.folder.path()));
        let until = Instant::now() + Duration::from_secs(20);
        while !left().is_empty() {
            assert!(Instant::now() < until, "{signal:?} has left {:?}", left());
            sleep(Duration::from_millis(10));
        }
    }
}

#[test]
#[ignore = "it builds the whole lab, which takes ten minutes and the network"]
fn a_real_setup_that_is_killed_at_twenty_random_moments_ends_with_the_same_bytes() {
    let place = Place::empty();
    let temporary = place.folder.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    eprintln!("THESEUS_SEED={}", seed());
    let mut random = Random::new("setups");
    let setup = || {
        let mut command = runner();
        command
            .arg("setup")
            .current_dir(repository())
            .env("XDG_CACHE_HOME", place.folder.path())
            .env("TMPDIR", &temporary)
            .env_remove("THESEUS_KERNEL_SOURCE");
        command
    };
    for round in 1..=20 {
        let signal = SIGNALS[random.below(SIGNALS.len())];
        let after = random.moment(Duration::from_secs(45));
        let begun = Instant::now();
        let child = setup()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ended = killed(child, signal, after, place.folder.path());
        eprintln!(
            "{round}: {signal:?} after {after:?}, ended by itself: {ended}, gone after {:?}",
            begun.elapsed() - after
        );
    }
    Ran::from(setup().output().unwrap()).ends_with(0);
    is_tidy(&place, &temporary);
    let own = Cache::of_user().unwrap();
    for kind in [
        "kernel-source",
        "kernel",
        "busybox-source",
        "busybox",
        "initramfs",
    ] {
        let made = place.entries(kind).remove(0);
        let stamp = |folder: &Path| -> serde_json::Value {
            serde_json::from_slice(&fs::read(folder.join("complete")).unwrap()).unwrap()
        };
        let own = own.root().join(kind).join(made.file_name().unwrap());
        let (made, own) = (stamp(&made), stamp(&own));
        assert_eq!(made["outputs"], own["outputs"], "{kind}");
    }
}
