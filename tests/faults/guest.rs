//! The guest misbehaves: a program, its shell, the agent, the kernel.

use crate::compile;
use crate::fixture::{Book, Ran, at_once, runner};
use crate::traces::Place;

/// Replays the steps; nothing may be left.
#[track_caller]
fn replay(steps: &[&str]) -> Ran {
    let place = Place::new();
    place.run(Book::new(steps).command(&["chapter", "5"]))
}

/// The outputs of steps that all go well.
#[track_caller]
fn outputs(steps: &[&str]) -> Vec<String> {
    let place = Place::new();
    let ran = place.run(Book::new(steps).command(&["chapter", "5", "--json"]));
    ran.ends_with(1);
    assert!(ran.stderr.is_empty(), "{ran:#?}");
    let json = ran.json();
    let steps = json["steps"].as_array().unwrap();
    let stdout = |step: &serde_json::Value| step["stdout"].as_str().unwrap().to_owned();
    steps.iter().map(stdout).collect()
}

#[test]
fn a_wild_command_leaves_the_guest_to_the_next_step() {
    let every: String = (0..=255).map(|byte| format!("\\{byte:03o}")).collect();
    let outputs = outputs(&[
        &format!("guest 'printf \"{every}\"'"),
        "guest 'printf \"no newline\"'",
        "guest 'printf \"end guest 0 1\\nnext\\nbegin 5.9\\n\"'",
        "status=137 guest 'sh -c \"kill -9 \\$\\$\"'",
        "guest 'date -s 2040-01-01; sleep 3600; date +%Y'",
        "status=137 guest 'tail /dev/zero'",
        "status=1 guest 'exec >&-; echo lost'",
        "guest 'exec >&2; echo seen'",
        "server '(f() { f | f & }; f) 2> /dev/null; true'",
        // Nothing can be started, but a shell can still say so.
        "server 'echo on'",
    ]);
    assert!(outputs[0].starts_with("\\x00\\x01"), "{}", outputs[0]);
    assert!(outputs[0].ends_with("\\xff"), "{}", outputs[0]);
    assert_eq!(outputs[1], "no newline");
    assert_eq!(outputs[2], "end guest 0 1\nnext\nbegin 5.9\n");
    assert!(outputs[4].ends_with("\n2040\n"), "{}", outputs[4]);
}

#[test]
fn a_machine_that_ends_shows_its_console_and_what_qemu_said() {
    replay(&["guest true", "guest reboot -f"])
        .ends_with(3)
        .complains("05-five.md:5: step 5.2 `guest reboot -f`: the machine ended before its time (exit status: 0)")
        .complains("its console ends with\n")
        .complains("and QEMU said\n");
}

#[test]
fn a_shell_that_is_killed_takes_no_further_step() {
    let shell = "status=137 guest 'kill -9 $$'";
    replay(&["status=7 guest exit 7", "guest ls"])
        .ends_with(2)
        .complains("05-five.md:5: step 5.2 `guest ls`: the shell of the window `guest` has ended");
    replay(&[shell, "server 'echo alive'", "guest ls"])
        .ends_with(2)
        .prints("alive")
        .complains("05-five.md:6: step 5.3 `guest ls`: the shell of the window `guest` has ended in an earlier step");
}

#[test]
fn an_agent_that_is_killed_is_missed_at_the_deadline() {
    for debugged in [&[][..], &["gdb interrupt"]] {
        let kills = "deadline=3 guest 'kill -9 $(pidof agent); sleep 1'";
        replay(&[&["guest true", kills][..], debugged].concat())
            .ends_with(3)
            .complains("05-five.md:5: step 5.2 `guest kill -9")
            .complains("not finished after 3 s; if it may take longer, say so: deadline=6");
    }
}

/// Stops the idle machine.
const STOP: [&str; 2] = ["guest true", "gdb interrupt"];

#[test]
fn a_panic_and_an_oops_are_read() {
    let jump = "gdb 'set $pc = 0'";
    replay(&[&STOP[..], &[jump, "gdb continue"]].concat())
        .ends_with(3)
        .complains("05-five.md:7: step 5.4 `gdb continue`: the machine ended before its time")
        .complains("the kernel has stopped: BUG: kernel NULL pointer dereference")
        .complains("Kernel panic - not syncing: Attempted to kill the idle task!\n")
        .complains("    cpu_startup_entry at kernel/sched/idle.c:");
    let held = [
        &STOP[..],
        &[
            "gdb 'tbreak kernel_clone'",
            "gdb continue",
            "guest uname",
            "gdb",
        ],
        &[jump, "gdb continue", "status=137 guest"],
    ]
    .concat();
    let dead = "guest true";
    replay(&[&held[..], &[dead]].concat())
        .ends_with(2)
        .complains("step 5.10 `guest true`: the shell of the window `guest` has ended");
    // The agent, which is the first to write, says no more.
    let held = [
        &STOP[..],
        &[
            "gdb 'tbreak ksys_write'",
            "gdb continue",
            "guest uname",
            "gdb",
        ],
        &[jump, "deadline=3 gdb continue"],
    ];
    replay(&held.concat())
        .ends_with(3)
        .complains("step 5.8 `gdb continue`: not finished after 3 s")
        .complains("the guest's console ends with\n")
        .complains("note: agent[")
        .complains("] exited with irqs disabled");
}

#[test]
fn a_kernel_that_hangs_is_ended_at_the_deadline() {
    let steps = [
        &STOP[..],
        &[
            "gdb 'set {unsigned short}$pc = 0xfeeb'",
            "gdb 'set $eflags = $eflags & ~0x200'",
        ],
        &["deadline=3 gdb continue"],
    ];
    replay(&steps.concat())
        .ends_with(3)
        .complains("05-five.md:8: step 5.5 `gdb continue`: not finished after 3 s");
}

#[test]
fn each_terminal_has_its_deadline() {
    let endless = "deadline=2 gdb 'python import time; time.sleep(1000)'";
    let all = [
        ["guest true", "deadline=2 guest 'while :; do :; done'"],
        ["guest true", "deadline=2 server 'while :; do :; done'"],
        [
            "guest true",
            "deadline=2 wire 'tcpdump -n -r wire.pcap; sleep 1000'",
        ],
        ["gdb print 1", endless],
        ["host true", "deadline=2 host 'sleep 1000'"],
        ["lab true", "deadline=2 lab 'sleep 1000'"],
    ];
    at_once(&all, |steps| {
        let step = steps[1].strip_prefix("deadline=2 ").unwrap();
        let told = format!(
            "05-five.md:5: step 5.2 `{}`: not finished",
            step.replace('\'', "")
        );
        replay(steps)
            .ends_with(3)
            .complains(&told)
            .complains(" after 2 s; if it may take longer, say so: deadline=4 before `");
    });
}

#[test]
fn each_terminal_has_its_limit_of_output() {
    for steps in [
        ["guest true", "guest yes"],
        ["guest true", "server 'tr \"\\0\" x < /dev/zero'"],
        ["guest true", "wire 'tcpdump -n -r wire.pcap; yes'"],
        ["gdb print 1", "gdb 'x/400000xb $pc'"],
        ["gdb print 1", "gdb 'python print(\"x\" * 10000000)'"],
        ["host true", "host 'cat /dev/zero'"],
        ["lab true", "lab 'yes >&2'"],
    ] {
        replay(&steps)
            .ends_with(3)
            .complains("05-five.md:5: step 5.2 `")
            .complains("`: the step printed more than 1048576 bytes; let it print less");
    }
}

#[test]
fn a_breakpoint_that_is_never_hit_is_told() {
    let on_the_hub = [
        &STOP[..],
        &["gdb 'break panic'", "gdb continue"],
        &["guest true", "gdb"],
    ];
    replay(&on_the_hub.concat())
        .ends_with(2)
        .complains("05-five.md:9: step 5.6 `gdb (look)`: nothing has stopped the machine since gdb's last step")
        .complains("no step in between reaches a breakpoint");
    let in_the_lab = [
        &["lab true"][..],
        &STOP,
        &["gdb 'break panic'", "gdb continue", "deadline=2 gdb"],
    ];
    replay(&in_the_lab.concat())
        .ends_with(3)
        .complains("05-five.md:9: step 5.6 `gdb (look)`: no breakpoint was hit after 2 s");
}

/// Runs a program in the guest; nothing may be left.
#[track_caller]
fn run(arguments: &[&str]) -> Ran {
    let mut command = runner();
    command.args(["run", "--deadline", "100"]).args(arguments);
    Place::new().run(command)
}

#[test]
fn a_wild_program_ends_as_it_would_elsewhere() {
    for (script, code, stdout) in [
        ("kill -9 $$", 137, ""),
        // All but the first program, which is not ours.
        ("kill -9 -1; echo all", 0, "all\n"),
        ("exec >&- 2>&-; sleep 5; exit 3", 3, ""),
        (
            "date -s 2040-01-01 > /dev/null; sleep 3600; date +%Y",
            0,
            "2040\n",
        ),
        ("printf 'no newline'; exec sleep 1", 0, "no newline"),
    ] {
        let ran = run(&["/bin/sh", "-c", script]);
        assert_eq!(
            (ran.code, &*ran.stdout),
            (Some(code), stdout),
            "{script}: {ran:#?}"
        );
    }
}

#[test]
fn a_program_that_starts_itself_without_end_is_ended_at_the_deadline() {
    let mut command = runner();
    let script = "echo up; (f() { f | f & }; f) 2> /dev/null; while :; do :; done";
    command.args(["run", "--deadline", "20", "/bin/sh", "-c", script]);
    Place::new()
        .run(command)
        .ends_with(3)
        .prints("up")
        .complains("the program has not ended after 20 s");
}

#[test]
fn a_program_that_takes_all_memory_is_killed_by_its_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include <stdlib.h>\n#include <stdio.h>\nint main(void) { puts(\"up\"); fflush(stdout);\n\
        for (;;) { volatile char *m = malloc(1 << 20); for (int i = 0; m && i < 1 << 20; i += 4096) m[i] = 1; } }\n";
    let program = compile(folder.path(), "main.c", source, &[]);
    run(&[&program]).ends_with(137).prints("up");
}
