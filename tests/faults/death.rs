//! Somebody else ends what a replay consists of: QEMU, gdb, a shell.

use std::time::Instant;

use rustix::process::Signal;

use crate::fixture::{Book, Ran};
use crate::processes::parent;
use crate::seed::{Random, seed};
use crate::traces::{Held, Place, ended, send, wait_until};

const QEMU: &str = "qemu-system-x86_64 ";
const GDB: &str = "gdb ";
const BASH: &str = "bash --noprofile";

/// A step that no guest ends.
const BUSY: &str = "guest 'while :; do :; done'";

/// Kills the process whose command line begins so when the step with the mark runs.
#[track_caller]
fn kill_in_step(steps: &[&str], mark: &str, victim: &str) -> Ran {
    kill_ancestor_in_step(steps, mark, victim, 0)
}

/// As [`kill_in_step`], but so many generations before the victim.
#[track_caller]
fn kill_ancestor_in_step(steps: &[&str], mark: &str, victim: &str, generation: usize) -> Ran {
    let place = Place::new();
    let book = Book::new(steps);
    let child = place.start_until(&book, mark);
    let pid = (0..generation).fold(place.one(victim), |pid, _| parent(pid).unwrap());
    let held = place.held();
    send(pid, Signal::KILL);
    let ran = ended(child);
    place.is_clean(&held);
    ran
}

/// Kills it while a step of the host waits, and then lets the next step begin.
#[track_caller]
fn kill_between_two_steps(steps: [&str; 3], victim: &str) -> Ran {
    let place = Place::new();
    let waits = "host 'until [ -e go ]; do sleep 0.05; done'";
    let book = Book::new(&[steps[0], steps[1], waits, steps[2]]);
    let child = place.start_until(&book, "until [ -e go ]");
    let pid = place.one(victim);
    let held = place.held();
    send(pid, Signal::KILL);
    wait_until("its end", || !place.named(victim).contains(&pid));
    std::fs::write(place.private().join("go"), "").unwrap();
    let ran = ended(child);
    place.is_clean(&held);
    ran
}

const KILLED: &str = "(signal: 9 (SIGKILL))";

#[test]
fn a_killed_machine_is_told_in_the_step_and_before_the_next() {
    let told = format!(
        "05-five.md:5: step 5.2 `guest while :; do :; done`: the machine ended before its time {KILLED}; its console ends"
    );
    for debugged in [&[][..], &["gdb interrupt"]] {
        let steps = [&["guest true", BUSY][..], debugged].concat();
        kill_in_step(&steps, "while :", QEMU)
            .ends_with(3)
            .complains(&told);
    }
    for steps in [
        // Without a debugger the guest runs ahead of the replay, so its last step is one that does
        // not end.
        ["guest true", "guest true", BUSY],
        ["guest true", "gdb interrupt", "gdb continue"],
    ] {
        kill_between_two_steps(steps, QEMU)
            .ends_with(3)
            .complains("05-five.md:7: step 5.4")
            .complains("the machine ended before its time (signal: 9");
    }
}

#[test]
fn a_killed_debugger_is_told_in_the_step_and_before_the_next() {
    let told = format!("gdb has ended {KILLED}; a step of the chapter must leave it running");
    kill_in_step(&["guest true", BUSY, "gdb interrupt"], "while :", GDB)
        .ends_with(3)
        .complains("05-five.md:5: step 5.2 `guest while :; do :; done`")
        .complains(&told);
    for next in ["guest true", "gdb interrupt"] {
        let steps = ["guest true", "wire 'tcpdump -n -r wire.pcap'", next];
        kill_between_two_steps(steps, GDB)
            .ends_with(3)
            .complains("05-five.md:7: step 5.4 `")
            .complains(&told);
    }
}

#[test]
fn a_debugger_that_a_step_ends_is_told() {
    let place = Place::new();
    place
        .run(Book::new(&["gdb quit"]).command(&["chapter", "5"]))
        .ends_with(3)
        .complains("05-five.md:4: step 5.1 `gdb quit`: gdb has ended (exit status: 0)");
}

#[test]
fn a_killed_shell_of_the_host_is_told() {
    let told = format!("the shell of `host` ended {KILLED}; a step must leave it running");
    kill_in_step(&["guest true", "host 'sleep 1000.5'"], "sleep 1000.5", BASH)
        .ends_with(3)
        .complains("05-five.md:5: step 5.2 `host sleep 1000.5`")
        .complains(&told);
}

#[test]
fn a_shell_that_closes_its_output_is_told() {
    let place = Place::new();
    for terminal in ["host", "lab"] {
        let closes = format!("{terminal} 'exec >&-'");
        let book = Book::new(&[&format!("{terminal} true"), &closes]);
        place
            .run(book.command(&["chapter", "5"]))
            .ends_with(3)
            .complains(&format!(
                "05-five.md:5: step 5.2 `{terminal} exec >&-`: the shell of `{terminal}` has closed \
                 its output; a step must leave it running"
            ));
    }
}

#[test]
fn a_debugger_that_closes_its_output_is_told() {
    let place = Place::new();
    let book = Book::new(&["gdb 'python import os; os.close(1); os.close(2)'"]);
    place
        .run(book.command(&["chapter", "5"]))
        .ends_with(3)
        .complains("gdb has ended; a step of the chapter must leave it running");
}

#[test]
fn a_killed_lab_is_told() {
    // The shell, the first process of its namespaces, and what waits for that.
    for generation in 0..3 {
        kill_ancestor_in_step(
            &["guest true", "lab 'sleep 1000.5'"],
            "sleep 1000.5",
            BASH,
            generation,
        )
        .ends_with(3)
        .complains("05-five.md:5: step 5.2 `lab sleep 1000.5`")
        .complains("the shell of `lab` ended (");
    }
}

#[test]
fn the_next_run_works() {
    let book = Book::new(&["guest true", BUSY]);
    let place = Place::new();
    let child = place.start_until(&book, "while :");
    send(place.one(QEMU), Signal::KILL);
    ended(child).ends_with(3);
    let good = Book::new(&["guest 'echo up'"]);
    place.is_clean(&Held::default());
    place.run(good.command(&["chapter", "5"])).prints("up");
}

#[test]
#[ignore = "takes five minutes; it runs every night"]
fn deaths_at_many_moments_are_told_and_leave_nothing_behind() {
    let seed = seed();
    let mut random = Random::new("deaths");
    for (steps, victims) in [
        (&HUB[..], &[QEMU, GDB, BASH][..]),
        (&LAB, &[QEMU, GDB, BASH]),
    ] {
        let place = Place::new();
        let book = Book::new(steps);
        let begun = Instant::now();
        place.run(book.command(&["chapter", "5"])).ends_with(1);
        let life = begun.elapsed();
        for victim in victims {
            for _ in 0..10 {
                let moment = random.moment(life);
                let what = format!("{victim} after {moment:?}, THESEUS_SEED={seed}");
                let child = place.start(book.command(&["chapter", "5"]));
                std::thread::sleep(moment);
                let held = place.held();
                let found = place.named(victim);
                if let Some(pid) = found.first() {
                    send(*pid, Signal::KILL);
                }
                let ran = ended(child);
                println!("{what}: {ran:?}");
                // It came before the victim, or after the last step; or in a step, which tells; or
                // when gdb only told its version.
                if ran.code != Some(1) {
                    ran.ends_with(3);
                    if !ran.stderr.contains("`gdb --version` failed") {
                        ran.complains("05-five.md:").complains("ended");
                    }
                    assert!(!found.is_empty(), "{what}: {ran:#?}");
                }
                place.is_clean(&held);
            }
        }
        place.run(book.command(&["chapter", "5"])).ends_with(1);
    }
}

const HUB: [&str; 6] = [
    "host 'sleep 0.3'",
    "guest 'ip link set eth0 up; sleep 3'",
    "gdb interrupt",
    "gdb 'print jiffies'",
    "wire 'tcpdump -n -r wire.pcap'",
    "host 'sleep 0.3'",
];

const LAB: [&str; 5] = [
    "host 'sleep 0.3'",
    "lab 'sleep 0.3'",
    "guest 'sleep 1'",
    "lab 'sleep 0.3'",
    "host 'sleep 0.3'",
];
