//! The lab's network: what it can do, and that nothing outside notices.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Book, ended};
use crate::processes::of_place;
use crate::toolbox;

/// Lays the guest's cable and lets a host at the other end answer. The network has real time, so on
/// a busy machine the card may come up later than the first question.
const CABLE: [&str; 2] = [
    "lab 'ip addr add 10.0.3.1/24 dev tap0; ip link set tap0 up'",
    "guest 'ip addr add 10.0.3.2/24 dev eth0; ip link set eth0 up; \
     until ping -c 1 -W 1 10.0.3.1; do :; done > /dev/null'",
];

/// What a chapter does to its own network, and what must not be seen outside.
const CHANGES: [&str; 4] = [
    "lab 'ip link add up0 type veth peer name up1; ip netns add far; ip link set up1 netns far'",
    "lab 'ip addr add 192.0.2.4/24 dev up0; ip link set up0 up; ip route add default dev up0; ip rule add to 192.0.2.9 table 9'",
    "lab 'iptables -P FORWARD DROP; iptables -t nat -A POSTROUTING -j MASQUERADE'",
    "lab 'echo 1 > /proc/sys/net/ipv4/ip_forward; mount -t tmpfs tmpfs /mnt; echo changed > /run/lab'",
];

fn with_cable(steps: &[&'static str]) -> Book {
    let all: Vec<&str> = CABLE.iter().chain(steps).copied().collect();
    Book::new(&all)
}

#[test]
fn guest_and_lab_talk_and_a_look_waits_for_the_end() {
    let book = with_cable(&[
        "background guest 'nc -l -p 9090; echo closed'",
        "background lab 'sleep 1; until echo hello | busybox nc 10.0.3.2 9090 2>/dev/null; do sleep 0.1; done; echo sent'",
        "guest",
        "lab",
        "until=listening lab 'tcpdump -nt -c 2 -i tap0 icmp 2>&1'",
        "guest 'ping -c 1 10.0.3.1 > /dev/null'",
        "lab",
    ]);
    let ran = book.run(&["chapter", "5", "--json"]);
    ran.ends_with(1);
    let json = ran.json();
    let stdout = |number: usize| json["steps"][number - 1]["stdout"].as_str().unwrap();
    assert_eq!([stdout(5), stdout(6)], ["hello\nclosed\n", "sent\n"]);
    let frames: Vec<&str> = stdout(9).lines().collect();
    assert!(
        frames[0].starts_with("IP 10.0.3.2 > 10.0.3.1: ICMP echo request"),
        "{frames:?}"
    );
    assert!(
        frames[1].starts_with("IP 10.0.3.1 > 10.0.3.2: ICMP echo reply"),
        "{frames:?}"
    );
}

#[test]
fn a_breakpoint_waits_for_what_the_lab_sends() {
    let book = with_cable(&[
        "gdb interrupt",
        "gdb tbreak icmp_echo",
        "gdb continue",
        "background lab 'sleep 1; busybox ping -c 1 10.0.3.2 > /dev/null && echo answered'",
        "gdb",
        "gdb continue",
        "lab",
    ]);
    let ran = book.run(&["chapter", "5", "--json"]);
    ran.ends_with(1);
    let json = ran.json();
    let stdout = |number: usize| json["steps"][number - 1]["stdout"].as_str().unwrap();
    assert!(stdout(7).contains("icmp_echo (skb="), "{}", stdout(7));
    assert_eq!(stdout(9), "answered\n");
}

#[test]
fn the_lab_begins_the_same_on_every_machine() {
    let book = Book::new(&[
        "lab 'ip -brief link | cut -d \" \" -f 1; ls /run /sys'",
        "lab 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/default/rp_filter'",
        "lab 'iptables-save; ip rule; ip route'",
        "lab 'ps -e | wc -l'",
    ]);
    let ran = book.run(&["chapter", "5", "--json"]);
    let json = ran.json();
    let stdout = |number: usize| json["steps"][number - 1]["stdout"].as_str().unwrap();
    assert_eq!(stdout(1), "lo\ntap0\n/run:\n\n/sys:\n");
    assert_eq!(stdout(2), "0\n0\n");
    let rules = "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n";
    assert_eq!(stdout(3), rules);
    assert_eq!(
        stdout(4).trim(),
        "5",
        "a heading, what keeps the namespaces, the shell and the two programs"
    );
}

/// All that a chapter could change on the machine's own network, as text.
fn network() -> String {
    let mut all = String::new();
    for command in [
        "ip -details link",
        "ip addr",
        "ip route show table all",
        "ip rule",
        "ip netns",
        "iptables-save",
        "cat /proc/mounts",
        "ls /run /dev/net",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        // The machine may have none of these programs.
        let mut command_line = toolbox::on_machine(words[0]);
        let done = command_line
            .args(&words[1..])
            .output()
            .unwrap_or_else(|error| panic!("{command}: {error}"));
        let text = String::from_utf8_lossy(&done.stdout);
        // How long an address is good for counts down, and iptables-save tells the time.
        let lines = text
            .lines()
            .filter(|l| !l.contains("valid_lft") && !l.starts_with('#'));
        writeln!(all, "$ {command}\n{}", lines.collect::<Vec<_>>().join("\n")).unwrap();
    }
    for entry in walkdir::WalkDir::new("/proc/sys/net").sort_by_file_name() {
        let entry = entry.unwrap();
        // Counters, which change by themselves, and files that may not be read.
        let counts = ["count", "stat", "fib_info", "rand"];
        if entry.file_type().is_file()
            && !counts
                .iter()
                .any(|c| entry.path().to_string_lossy().contains(c))
            && let Ok(value) = std::fs::read_to_string(entry.path())
        {
            writeln!(all, "{} = {}", entry.path().display(), value.trim_end()).unwrap();
        }
    }
    all
}

/// Starts the chapter and waits until its last step, `host sleep 1000`, runs.
fn start_and_wait(book: &Book, scratch: &std::path::Path) -> std::process::Child {
    let mut child = book
        .command(&["chapter", "5"])
        .env("TMPDIR", scratch)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains("host$ sleep 1000")),
        "the last step has begun"
    );
    child
}

/// The processes of the run whose folder for temporary files this is.
fn processes_of(scratch: &std::path::Path) -> Vec<u32> {
    of_place(scratch.to_str().unwrap())
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_outside_is_changed_not_even_by_a_kill() {
    let steps: Vec<&str> = CABLE
        .iter()
        .chain(&CHANGES)
        .copied()
        .chain([
            "background lab 'sleep 1000 & sleep 1000'",
            "host sleep 1000",
        ])
        .collect();
    let book = Book::new(&steps);
    let before = network();
    for signal in [Signal::INT, Signal::KILL] {
        let scratch = tempfile::tempdir().unwrap();
        let child = start_and_wait(&book, scratch.path());
        // The runner, and who keeps its folder; QEMU, gdb, and the two shells, each with two
        // processes that keep its namespaces; two programs of the lab and one of the host.
        wait_until("all seventeen run", || {
            processes_of(scratch.path()).len() == 17
        });
        assert_eq!(network(), before, "while the chapter runs");
        kill_process(Pid::from_child(&child), signal).unwrap();
        ended(child);
        wait_until("all have ended", || processes_of(scratch.path()).is_empty());
        assert_eq!(network(), before, "after {signal:?}");
    }
}

#[test]
fn a_lab_has_no_wire_between_two_cards() {
    Book::new(&["lab true", "wire 'tcpdump -r wire.pcap'"])
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("05-five.md:5: the guest of a chapter with a lab has one card");
}

#[test]
fn a_command_of_the_lab_that_still_runs_at_the_end_must_be_looked_at() {
    Book::new(&["background lab sleep 1000"])
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("the command of step 5.1 still runs; add a step `lab`, which waits for its end");
}
