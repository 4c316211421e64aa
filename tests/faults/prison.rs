//! A guest that wants out: what it finds, what it can forge, and what QEMU holds that it could
//! misuse.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::compile;
use crate::fixture::{Book, Ran, runner};
use crate::traces::{Place, ended, links, send};

/// Looks for a way out of the guest, and prints what it finds.
const SEARCH: &str = include_str!("search.c");
/// Writes its argument to the port of the reports, with a newline for each `|`.
const FORGE: &str = include_str!("forge.s");

fn run(arguments: &[&str]) -> Command {
    let mut command = runner();
    command.args(["run", "--deadline", "100"]).args(arguments);
    command
}

#[test]
fn a_program_finds_no_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile(
        folder.path(),
        "search.c",
        SEARCH,
        &["-O1", "-Wall", "-Werror"],
    );
    // What the reader's machine answers to, if anything leads there.
    let ours = Command::new("hostname").arg("-I").output().unwrap().stdout;
    let ours = String::from_utf8(ours).unwrap();
    let arguments = [
        &[&*program][..],
        &ours.split_whitespace().collect::<Vec<_>>(),
    ]
    .concat();
    let ran = Place::new().run(run(&arguments));
    let expected = "pci 0x8086 0x1237\npci 0x8086 0x7000\npci 0x8086 0x7010\npci 0x8086 0x7113\n\
        pci 0x1af4 0x1110\nring 8388608\n";
    assert_eq!(ran.stdout, expected, "{ran:#?}");
    ran.ends_with(0);
}

/// The steps that put the forger into a chapter's guest, and have it write these reports.
fn forge(reports: &str, before: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-nostdlib", "-s", "-Wl,-N,--build-id=none"];
    let program = compile(folder.path(), "forge.s", FORGE, &flags);
    let bytes = fs::read(program).unwrap();
    let mut steps = vec![before.to_owned()];
    let mut to = ">";
    for part in bytes.chunks(256) {
        let mut octal = String::new();
        part.iter()
            .for_each(|byte| write!(octal, "\\{byte:03o}").unwrap());
        steps.push(format!("guest 'printf \"{octal}\" {to} /tmp/forge'"));
        to = ">>";
    }
    steps.push("guest 'chmod +x /tmp/forge'".to_owned());
    steps.push(format!("deadline=4 guest '/tmp/forge \"{reports}\"'"));
    steps.push("deadline=4 guest 'echo after'".to_owned());
    steps
}

#[track_caller]
fn replay(steps: &[String]) -> Ran {
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    Place::new().run(Book::new(&steps).command(&["chapter", "5"]))
}

#[test]
fn a_forged_report_spoils_its_own_replay_and_no_more() {
    for (reports, told) in [
        (
            "hello|",
            "wrote to the agent's port 0xe9 what the agent would not: `hello`; a command of the chapter must leave that port alone",
        ),
        ("begin 5.99|", "the guest runs step 5.99 instead of"),
        (
            "begin ../../etc|",
            "the guest runs step ../../etc instead of",
        ),
        (
            "out gdb 3|abc",
            "wrote to the agent's port 0xe9 what the agent would not: `out gdb 3`",
        ),
        (
            "out guest 99999999999999999999|",
            "what the agent would not",
        ),
        ("out guest 4096|", "not finished after 4 s"),
        ("end guest 2147483648 1|", "what the agent would not"),
        ("done|", "the guest has no further command"),
        ("next|", "the window `guest` is busy with step 5."),
        (
            "gone guest|",
            "the shell of the window `guest` has ended in an earlier step",
        ),
    ] {
        let ran = replay(&forge(reports, "guest true"));
        let is_clean = matches!(ran.code, Some(2 | 3)) && !ran.stderr.contains("panicked");
        assert!(is_clean, "{reports}: {ran:#?}");
        ran.complains("05-five.md:").complains(told);
    }
}

#[test]
fn a_forged_report_spoils_a_debugged_replay_and_no_more() {
    for (reports, told) in [
        ("hello|", "what the agent would not: `hello`"),
        ("begin 5.99|", "the guest runs step 5.99 instead of"),
        ("done|", "the guest has no further command"),
    ] {
        let mut steps = forge(reports, "guest true");
        steps.push("gdb interrupt".to_owned());
        replay(&steps).ends_with(3).complains(told);
    }
    // What the agent would have sent is as good as the agent's, or comes at the wrong moment.
    for reports in ["next|", "end guest 0 1|next|"] {
        let mut steps = forge(reports, "guest true");
        steps.push("gdb interrupt".to_owned());
        let ran = replay(&steps);
        assert!(matches!(ran.code, Some(1..=3)), "{ran:#?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
    }
}

#[test]
fn a_forged_message_ends_its_own_run_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-nostdlib", "-s", "-Wl,-N,--build-id=none"];
    let program = compile(folder.path(), "forge.s", FORGE, &flags);
    for forged in ["hello hello hello hello", "0123456789abcdef"] {
        Place::new()
            .run(run(&[&program, forged]))
            .ends_with(3)
            .complains(
                "the program wrote to the guest's port 0xe9 what its first program would not",
            );
    }
    // Less than a message: what follows is out of step.
    let ran = Place::new().run(run(&[&program, "hello"]));
    ran.ends_with(3)
        .complains("the program wrote to the guest's port 0xe9");
}

#[test]
fn a_chapters_guest_reaches_nobody() {
    let place = Place::new();
    let steps = [
        "guest 'ls /sys/bus/virtio 2>&1; for f in 9p virtiofs nfs cifs; do mount -t $f x /mnt && echo $f; done 2> /dev/null; true'",
        "guest 'for d in /sys/bus/pci/devices/*; do cat $d/vendor $d/device; done | tr \"\\n\" \" \"'",
        "guest 'ip link set eth0 up; sleep 3; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2'",
        "guest 'for a in 10.0.2.2 10.0.2.3 192.168.0.1 8.8.8.8; do ping -c 1 -W 2 $a > /dev/null && echo $a; done; true'",
        "guest 'udhcpc -n -q -i eth0 -t 2 -T 1 -s /bin/true > /dev/null 2>&1 && echo leased; true'",
        "wire 'tcpdump -nt -r wire.pcap not ether src 52:54:00:12:34:56 2> /dev/null'",
        "host 'ls; cat /dev/null'",
    ];
    let ran = place.run(Book::new(&steps).command(&["chapter", "5", "--json"]));
    ran.ends_with(1);
    let json = ran.json();
    let stdout = |step: usize| json["steps"][step - 1]["stdout"].as_str().unwrap();
    assert!(stdout(1).contains("No such file"), "{}", stdout(1));
    assert_eq!(stdout(1).lines().count(), 1, "{}", stdout(1));
    // The bridges of a Q35, its disk controller, and two e1000.
    let devices =
        "0x8086 0x29c0 0x8086 0x100e 0x8086 0x100e 0x8086 0x2918 0x8086 0x2922 0x8086 0x2930 ";
    assert_eq!(stdout(2), devices);
    assert_eq!([stdout(4), stdout(5)], ["", ""], "somebody answers");
    assert_eq!(stdout(6), "", "somebody else sends");
}

/// Looks at QEMU from outside while it runs.
#[track_caller]
fn inspect(place: &Place, has_tap: bool) {
    let qemu = place.one(lab::machine::qemu::PROGRAM);
    let status = fs::read_to_string(format!("/proc/{qemu}/status")).unwrap();
    assert!(status.contains("\nSeccomp:\t2\n"), "no sandbox: {status}");
    assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
    // Nothing of the machine's: neither its network nor its files, nor its processes.
    for kind in ["net", "mnt", "pid", "user", "ipc", "uts"] {
        let [its, ours] = [&qemu.to_string(), "self"]
            .map(|process| fs::read_link(format!("/proc/{process}/ns/{kind}")).unwrap());
        assert_ne!(its, ours);
    }
    let sockets = format!("/proc/{qemu}/net");
    let held: Vec<String> = links(qemu, "fd")
        .iter()
        .map(|link| link.display().to_string())
        .collect();
    for kind in [
        "tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "netlink",
    ] {
        let all = fs::read_to_string(format!("{sockets}/{kind}")).unwrap_or_default();
        for socket in held.iter().filter_map(|link| link.strip_prefix("socket:[")) {
            let inode = socket.trim_end_matches(']');
            let is_there = all.split_whitespace().any(|word| word == inode);
            assert!(!is_there, "QEMU holds a {kind} socket: {all}");
        }
    }
    // It has other names for the files of its private folder.
    let private = place.private();
    let of_file = |data: fs::Metadata| (data.dev(), data.ino());
    let inside: Vec<_> = fs::read_dir(&private)
        .unwrap()
        .map(|entry| of_file(entry.unwrap().metadata().unwrap()))
        .collect();
    let is_inside =
        |link: &Path| fs::metadata(link).is_ok_and(|data| inside.contains(&of_file(data)));
    for entry in fs::read_dir(format!("/proc/{qemu}/fd")).unwrap() {
        let entry = entry.unwrap();
        let link = fs::read_link(entry.path()).unwrap().display().to_string();
        let number = entry.file_name().into_string().unwrap();
        let info = fs::read_to_string(format!("/proc/{qemu}/fdinfo/{number}")).unwrap();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:\t"))
            .unwrap();
        let writes = u32::from_str_radix(flags, 8).unwrap() & 3 != 0;
        let is_harmless = !link.starts_with('/')
            || is_inside(&entry.path())
            || link == "/dev/null"
            || (has_tap && link == "/dev/net/tun");
        assert!(!writes || is_harmless, "QEMU can write to {link}");
    }
    let maps = fs::read_to_string(format!("/proc/{qemu}/maps")).unwrap();
    for map in maps.lines() {
        let words: Vec<&str> = map.split_whitespace().collect();
        if words[1].starts_with("rw") && words[1].ends_with('s') {
            let file = words.get(5).unwrap_or(&"");
            let inode: u64 = words[4].parse().unwrap();
            assert!(
                inside.iter().any(|(_, own)| *own == inode) || !file.starts_with('/'),
                "QEMU can write to {map}"
            );
        }
    }
    let mode = fs::metadata(&private).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

#[test]
fn qemu_holds_nothing_that_leads_outside() {
    for (steps, has_tap) in [
        (
            ["guest true", "host 'sleep 1000.5'", "gdb interrupt"],
            false,
        ),
        (["guest true", "host 'sleep 1000.5'", "host true"], false),
        (["guest true", "host 'sleep 1000.5'", "lab true"], true),
    ] {
        let place = Place::new();
        let book = Book::new(&steps);
        let child = place.start_until(&book, "sleep 1000.5");
        inspect(&place, has_tap);
        let held = place.held();
        send(child.id(), Signal::INT);
        ended(child).ends_with(130);
        place.is_clean(&held);
    }
    let place = Place::new();
    let mut command = run(&["/bin/sh", "-c", "echo up; while :; do :; done"]);
    command.stdout(Stdio::piped());
    let mut child = place.start(command);
    let mut up = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
    inspect(&place, false);
    send(child.id(), Signal::INT);
    ended(child).ends_with(130);
}
