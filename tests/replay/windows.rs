//! Several windows on one machine: commands that go on, and the wire between the two cards.

use crate::fixture::{Book, repository};

/// The two ends of the wire; the cards need a moment until they have a carrier.
const ENDS: [&str; 3] = [
    "guest 'ip link set eth1 netns $(cat /run/server.pid)'",
    "guest 'ip addr add 10.0.3.2/24 dev eth0; ip link set eth0 up'",
    "server 'ip addr add 10.0.3.1/24 dev eth1; ip link set eth1 up; sleep 3'",
];

fn with_ends(steps: &[&'static str]) -> Book {
    let all: Vec<&str> = ENDS.iter().chain(steps).copied().collect();
    Book::new(&all)
}

#[test]
fn both_windows_talk_over_the_wire_and_each_look_shows_what_is_new() {
    let book = with_ends(&[
        "background server 'nc -l -p 9090; echo closed'",
        "guest 'echo hello | nc 10.0.3.1 9090'",
        "server",
        "wire 'tcpdump -qtn -r wire.pcap tcp'",
        "guest 'ping -c 1 10.0.3.1 >/dev/null'",
        "wire",
        "wire 'tcpdump -qtn -r wire.pcap icmp'",
    ]);
    let ran = book.run(&["chapter", "5", "--json", "--repeat", "2"]);
    ran.ends_with(1)
        .complains("2 of 2 replays agree byte for byte");
    let json = ran.json();
    let stdout = |number: usize| json["steps"][number - 1]["stdout"].as_str().unwrap();
    assert_eq!(stdout(6), "hello\nclosed\n");
    let frames: Vec<&str> = stdout(7).lines().collect();
    assert!(frames.len() >= 7, "{frames:?}");
    assert!(frames[0].starts_with("IP 10.0.3.2.") && frames[0].ends_with("> 10.0.3.1.9090: tcp 0"));
    assert_eq!(stdout(9), "", "the ping is no TCP");
    assert_eq!(stdout(10).lines().count(), 2);
    let captured = json["frames"].as_array().unwrap();
    // ARP both ways, TCP, ICMP.
    assert!(captured.len() >= frames.len() + 4, "{captured:?}");
}

#[test]
fn the_hosts_window_plays_packet_scripts_on_the_chapters_kernel() {
    let book = Book::new(&[
        "host 'sed \"s/ack 1/ack 2/\" packets/closed.pkt > packets/wrong.pkt; ls packets'",
        "host 'packet --show packets/closed.pkt'",
        "status=1 host 'packet packets/wrong.pkt packets/closed.pkt'",
        "status=2 host 'packet packets/absent.pkt'",
    ]);
    let script = "    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n   +0 bind(3, ..., ...) = 0\n   \
                  +0 listen(3, 1) = 0\n   +0 close(3) = 0\n   +0 < S 0:0(0) win 9\n   \
                  +0 > R. 0:0(0) ack 1\n";
    let root = book.folder.path();
    std::fs::create_dir(root.join("packets")).unwrap();
    std::fs::write(root.join("packets/closed.pkt"), script).unwrap();
    std::os::unix::fs::symlink(repository().join("runner"), root.join("runner")).unwrap();
    let ran = book.run(&["chapter", "5", "--json", "--repeat", "2"]);
    ran.ends_with(1)
        .complains("2 of 2 replays agree byte for byte");
    let json = ran.json();
    let printed = |number: usize, of: &str| json["steps"][number - 1][of].as_str().unwrap();
    assert_eq!(printed(1, "stdout"), "closed.pkt\nwrong.pkt\n");
    let shown = script.lines().zip(1..);
    let shown = shown.map(|(line, number)| format!("{number:>4}  {line}\n"));
    let (text, verdict) = printed(2, "stdout").split_at(shown.clone().map(|line| line.len()).sum());
    assert_eq!(text, shown.collect::<String>());
    assert!(
        verdict.starts_with("pass    packets/closed.pkt ("),
        "{verdict}"
    );
    let lines: Vec<&str> = printed(3, "stdout").lines().collect();
    let fails = "fail    packets/wrong.pkt:6:4: expected `> R. 0:0(0) ack 2`; on the wire was";
    assert!(lines[0].starts_with(fails), "{lines:?}");
    assert!(lines[3].starts_with("pass    packets/closed.pkt ("));
    assert_eq!(
        lines[4],
        "2 scripts: 1 pass, 1 fail, 0 are beyond the language here"
    );
    assert_eq!(
        printed(4, "stderr"),
        "packet: cannot read packets/absent.pkt: entity not found\n"
    );
}

#[test]
fn a_step_waits_for_a_text_and_leaves_the_rest_to_the_next() {
    let book = Book::new(&[
        "until=two guest 'for i in one two three; do echo $i; sleep 5; done; exit 3'",
        "until=three guest",
        "server 'sleep 60'",
        "status=3 guest",
    ]);
    let ran = book.run(&["chapter", "5", "--json"]);
    ran.ends_with(1);
    let json = ran.json();
    let stdout = |number: usize| json["steps"][number - 1]["stdout"].as_str().unwrap();
    assert_eq!(
        [stdout(1), stdout(2), stdout(4)],
        ["one\ntwo\n", "three\n", ""]
    );
}

#[test]
fn a_text_that_never_comes_is_an_error_with_what_came() {
    Book::new(&["until=four guest 'echo three'"])
        .run(&["chapter", "5"])
        .ends_with(3)
        .complains("05-five.md:4: step 5.1 `guest echo three`")
        .complains("the command ended without printing `four`; it printed\nthree");
    Book::new(&["until=four deadline=2 server 'echo three; cat /dev/zero >/dev/null'"])
        .run(&["chapter", "5"])
        .ends_with(3)
        .complains("2 s");
}

#[test]
fn a_command_that_failed_behind_the_readers_back_must_be_looked_at() {
    Book::new(&["background server 'sleep 5; false'", "guest 'sleep 9'"])
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("what step 5.1 printed in the window `server` is shown nowhere");
}

#[test]
fn the_wire_shows_a_capture_and_nothing_else() {
    Book::new(&["guest true", "wire ls"])
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("step 5.2 `wire ls`: the wire's command is a tcpdump that reads wire.pcap");
    with_ends(&[
        "wire 'tcpdump -n -r wire.pcap arp'",
        "guest 'ping -c 1 10.0.3.1 >/dev/null'",
    ])
    .run(&["chapter", "5"])
    .ends_with(2)
    .complains("the frames that came last are shown nowhere; add a step `wire`");
}

/// A conversation over TCP, of which gdb watches as much as `breakpoints` say, and lets it run on
/// by `looks`: the time of each frame since the first, in microseconds, and who said what.
fn conversation(breakpoints: &[&'static str], looks: &[&'static str]) -> Vec<(i64, String)> {
    let before = [
        "background server 'nc -l -p 9090 > /dev/null'",
        "guest 'ping -c 1 10.0.3.1 > /dev/null'",
        "gdb interrupt",
    ];
    let talk = ["gdb continue", "guest 'echo hello | nc 10.0.3.1 9090'"];
    let after = [
        "server",
        "gdb interrupt",
        "gdb delete",
        "gdb continue",
        "wire 'tcpdump -tttttn -r wire.pcap tcp'",
    ];
    let steps = [&before, breakpoints, &talk, looks, &after].concat();
    let ran = with_ends(&steps).run(&["chapter", "5", "--json"]);
    ran.ends_with(1);
    let json = ran.json();
    let wire = json["steps"].as_array().unwrap().last().unwrap();
    let frames = wire["stdout"].as_str().unwrap().lines();
    let frames = frames.map(|line| {
        let (time, frame) = line.trim_start().split_once(' ').unwrap();
        let seconds: f64 = time.rsplit(':').next().unwrap().parse().unwrap();
        let words: Vec<&str> = frame.split(' ').collect();
        let from = words[1].rsplit_once('.').unwrap().0;
        let said = format!("{from} {} {}", words[5], words.last().unwrap());
        ((seconds * 1e6).round() as i64, said)
    });
    frames.collect()
}

/// The most that a stop may cost, in microseconds.
const STOP: i64 = 50;
/// After how long the kernel may give the processor to another program, in microseconds: where in
/// this a conversation begins, it does not say.
const TICK: i64 = 10_000;

#[test]
fn a_conversation_takes_as_long_with_the_debugger_as_without() {
    let plain = conversation(&[], &[]);
    // Each of these stops the machine, and gdb lets it run on at once.
    let stopped = conversation(
        &[
            "gdb 'dprintf tcp_v4_rcv,\"received\\n\"'",
            "gdb 'break __tcp_transmit_skb'",
        ],
        &["gdb", "gdb 'continue 100'", "guest"],
    );
    assert!(plain.len() >= 7, "{plain:?}");
    let said = |frames: &[(i64, String)]| -> Vec<String> {
        frames.iter().map(|(_, said)| said.clone()).collect()
    };
    assert_eq!(said(&plain), said(&stopped));
    for (frames, ((as_is, _), (watched, said))) in plain.iter().zip(&stopped).enumerate() {
        // One where it is sent, and one where it is received; the handshake is the kernels' alone.
        let stops = 2 * frames as i64;
        let programs = if frames < 3 { 0 } else { TICK };
        assert!(
            (watched - as_is).abs() <= stops * STOP + programs,
            "{said}: {as_is} µs, and {watched} µs with {stops} stops: {plain:?} {stopped:?}"
        );
    }
}
