//! The runner gets a signal.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use crate::fixture::{Book, HEEDING, ended, runner};
use crate::seed::{Random, seed};
use crate::traces::{Place, send, wait_until};

const SIGNALS: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL];

/// A step that leaves processes behind: in its group and outside of it, in its folder and
/// elsewhere, with its environment and without it, deaf to what can be refused.
fn strays(place: &Place) -> String {
    let mark = place.path();
    format!(
        "host 'sleep 1000 & setsid sleep 1000 & (cd linux; setsid sleep 1000 &); \
         (cd /; env -i bash -c \"sleep 1000; : {mark}\" &); \
         (trap \"\" INT TERM HUP; while :; do mkdir -p $HOME/a/b; touch $HOME/a/b/c; sleep 0.1; done) & \
         mkdir closed; touch closed/file; chmod 0 closed'"
    )
}

/// Host, guest, server, gdb and wire, each with something to do.
fn on_the_hub(place: &Place, last: &str) -> Book {
    Book::new(&[
        &strays(place),
        "guest 'ip link set eth1 netns $(cat /run/server.pid)'",
        "guest 'ip addr add 10.0.3.2/24 dev eth0; ip link set eth0 up'",
        "server 'ip addr add 10.0.3.1/24 dev eth1; ip link set eth1 up; sleep 3'",
        "background server 'nc -l -p 9090'",
        "gdb interrupt",
        "gdb tbreak tcp_v4_connect",
        "gdb continue",
        "guest 'echo hello | nc 10.0.3.1 9090'",
        "gdb",
        "gdb backtrace 2",
        "gdb continue",
        "guest",
        "server",
        "wire 'tcpdump -qtn -r wire.pcap tcp'",
        "host 'cat linux/System.map > copy; wc -c < copy'",
        last,
    ])
}

fn in_the_lab(place: &Place, last: &str) -> Book {
    Book::new(&[
        &strays(place),
        "lab 'ip addr add 10.0.3.1/24 dev tap0; ip link set tap0 up; mkdir m; mount -t tmpfs tmpfs m; touch m/file'",
        "guest 'ip addr add 10.0.3.2/24 dev eth0; ip link set eth0 up; until ping -c 1 -W 1 10.0.3.1; do :; done > /dev/null'",
        "lab 'sleep 1000 & setsid sleep 1000 & ip netns add far; busybox ping -c 1 10.0.3.2 > /dev/null; echo $?'",
        last,
    ])
}

#[test]
fn what_a_test_starts_heeds_the_signals_that_the_test_ignores() {
    let ignoring = "trap '' HUP INT QUIT TERM PIPE; exec env \"$0\" grep SigIgn /proc/self/status";
    let heeds = Command::new("bash")
        .args(["-c", ignoring, HEEDING])
        .output()
        .unwrap();
    let heeds = String::from_utf8(heeds.stdout).unwrap();
    let ignored = heeds.trim().strip_prefix("SigIgn:\t").unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    for signal in SIGNALS {
        assert_eq!(
            ignored >> (signal.as_raw() - 1) & 1,
            0,
            "{signal:?}: {heeds}"
        );
    }
}

/// Kills a runner that waits in the last step of its chapter.
#[track_caller]
fn kill_in_a_step(book: &dyn Fn(&Place, &str) -> Book, last: &str) {
    for signal in SIGNALS {
        let place = Place::new();
        let book = book(&place, last);
        let child = place.start_until(&book, "sleep 1000.5");
        wait_until("the last step runs", || {
            !place.named("sleep 1000.5").is_empty()
        });
        let held = place.held();
        send(child.id(), signal);
        let output = ended(child);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if signal == Signal::KILL {
            assert_eq!(output.status.signal(), Some(9));
        } else {
            let code = 128 + signal.as_raw();
            assert_eq!(output.status.code(), Some(code), "{signal:?}: {stderr}");
            let told = format!("{last}: interrupted; everything that was started has been ended");
            let told = told.replace(" '", " ").replace("':", "`:");
            assert!(stderr.contains(&told), "no {told:?} in {stderr}");
            let left = place.processes();
            assert!(left.is_empty(), "not waited for: {left:?} by {signal:?}");
        }
        place.is_clean(&held);
    }
}

#[test]
fn a_signal_leaves_nothing_behind() {
    kill_in_a_step(&on_the_hub, "host 'sleep 1000.5'");
}

#[test]
fn a_signal_leaves_nothing_of_the_lab_behind() {
    kill_in_a_step(&in_the_lab, "lab 'sleep 1000.5'");
}

#[test]
fn a_signal_leaves_nothing_of_a_program_behind() {
    for signal in SIGNALS {
        let place = Place::new();
        let mut command = runner();
        command.args(["run", "/bin/sh", "-c", "echo up; while :; do :; done"]);
        let mut child = place.start(command);
        let mut up = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
        let held = place.held();
        send(child.id(), signal);
        let output = ended(child);
        if signal == Signal::KILL {
            assert_eq!(output.status.signal(), Some(9));
        } else {
            let told = "interrupted; everything that was started has been ended\n";
            assert_eq!(String::from_utf8_lossy(&output.stderr), told);
            assert_eq!(output.status.code(), Some(128 + signal.as_raw()));
            let left = place.processes();
            assert!(left.is_empty(), "not waited for: {left:?} by {signal:?}");
        }
        place.is_clean(&held);
    }
}

#[test]
fn a_chapter_that_ends_leaves_nothing_behind() {
    let place = Place::new();
    for book in [on_the_hub, in_the_lab].map(|book| book(&place, "host true")) {
        place.run(book.command(&["chapter", "5"])).ends_with(1);
    }
}

/// The last line names the step that was interrupted, if one was: between two steps, and before and
/// after all of them, none is.
fn tells_of_a_signal(stderr: &str) -> bool {
    let last = stderr.lines().last().unwrap_or_default();
    let place = last.strip_suffix("interrupted; everything that was started has been ended");
    place.is_some_and(|place| {
        place.is_empty() || place.contains("05-five.md:") && place.contains(": step 5.")
    })
}

/// Kills the runner by SIGKILL so often, and by each of the signals that can be caught, at moments
/// anywhere in its life.
fn kill_at_random(book: &dyn Fn(&Place, &str) -> Book, by_kill: usize, by_others: usize) {
    let seed = seed();
    let mut random = Random::new("signals");
    let place = Place::new();
    let book = book(&place, "host true");
    let whole = || {
        let ran = place.run(book.command(&["chapter", "5", "--json"]));
        ran.ends_with(1);
        let steps = ran.json()["steps"].as_array().unwrap().clone();
        let printed = |step: &serde_json::Value| (step["stdout"].clone(), step["stderr"].clone());
        steps.iter().map(printed).collect::<Vec<_>>()
    };
    let begun = Instant::now();
    let before = whole();
    let life = begun.elapsed();
    for signal in SIGNALS {
        let times = match signal {
            Signal::KILL => by_kill,
            _ => by_others,
        };
        for _ in 0..times {
            let moment = random.moment(life);
            let what = format!("{signal:?} after {moment:?}, THESEUS_SEED={seed}");
            let child = place.start(book.command(&["chapter", "5"]));
            std::thread::sleep(moment);
            let held = place.held();
            // Who has ended by now is still there until somebody asks how.
            send(child.id(), signal);
            let output = ended(child);
            let (code, by) = (output.status.code(), output.status.signal());
            let number = signal.as_raw();
            // Caught, or before and after that; or too late.
            let right = code == Some(128 + number) || by == Some(number) || code == Some(1);
            assert!(right, "{what}: {output:?}");
            if code == Some(128 + number) {
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(tells_of_a_signal(&stderr), "{what}: {stderr}");
            }
            println!("{what}");
            place.is_clean(&held);
        }
    }
    assert_eq!(whole(), before, "THESEUS_SEED={seed}");
}

#[test]
fn a_signal_at_a_moment_of_the_day_leaves_nothing_behind() {
    kill_at_random(&on_the_hub, 2, 1);
}

#[test]
fn a_signal_at_a_moment_of_the_day_leaves_nothing_of_the_lab_behind() {
    kill_at_random(&in_the_lab, 1, 1);
}

#[test]
#[ignore = "takes ten minutes; each day has a few moments, and every night has many"]
fn signals_at_many_moments_leave_nothing_behind() {
    kill_at_random(&on_the_hub, 20, 20);
    kill_at_random(&in_the_lab, 20, 20);
}
