//! Programs that are missing, old, or hang.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Found, poorer, program, runner, with_programs};

/// A `/dev` with what programs need, and with `/dev/null` in the place of KVM if `kvm`.
fn dev(kvm: bool) -> String {
    let kvm = if kvm {
        "touch d/kvm; mount --bind /dev/null d/kvm"
    } else {
        "true"
    };
    format!(
        "mkdir d; mount -t tmpfs tmpfs d; for n in null zero full random urandom tty; do touch d/$n; mount --bind /dev/$n d/$n; done\n\
         mkdir d/net d/shm; touch d/net/tun; mount --bind /dev/net/tun d/net/tun; {kvm}\n\
         ln -s /proc/self/fd d/fd; ln -s fd/1 d/stdout; mount --rbind d /dev"
    )
}

/// The real program of this name, as PATH has it.
fn real(name: &str) -> String {
    let folders = std::env::var_os("PATH").unwrap();
    let path = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    path.unwrap().display().to_string()
}

#[test]
fn a_missing_package_is_named() {
    poorer("mount --bind /dev/null $(PATH=$PATH:/usr/sbin:/sbin command -v conntrack)").says(
        "packages",
        "bad",
        &["some are missing: conntrack", "`runner setup`"],
    );
}

#[test]
fn a_c_library_that_cannot_be_linked_is_told() {
    poorer("mount --bind /dev/null $(gcc -print-file-name=libc.a)")
        .only_bad(&["compiler"])
        .says(
            "compiler",
            "bad",
            &[
                "gcc -static makes no program",
                "undefined reference",
                "static C library",
            ],
        );
}

#[test]
fn an_old_qemu_is_told_by_the_option_that_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let old = "case $1 in --version) echo QEMU emulator version 2.5.0;; *) echo \"$0: -accel: invalid option\" >&2; exit 1;; esac";
    program(folder.path(), "qemu-system-x86_64", old);
    with_programs(folder.path())
        .only_bad(&["qemu"])
        .says(
            "qemu",
            "bad",
            &["-accel: invalid option", "version 2.5.0", "QEMU 2.12"],
        )
        .says("gdb", "skip", &["`qemu`"])
        .says("kvm", "skip", &["`qemu`"]);
}

#[test]
fn a_qemu_that_ends_well_without_a_machine_is_none() {
    let folder = tempfile::tempdir().unwrap();
    program(
        folder.path(),
        "qemu-system-x86_64",
        "echo QEMU emulator version 9.9",
    );
    with_programs(folder.path()).says(
        "qemu",
        "bad",
        &["a machine that should end with 33 ended with Some(0)"],
    );
}

#[test]
fn a_qemu_without_a_sandbox_is_odd_and_works() {
    let folder = tempfile::tempdir().unwrap();
    let qemu = real("qemu-system-x86_64");
    let built = format!("case \"$*\" in *-sandbox*) exit 1;; esac; exec {qemu} \"$@\"");
    program(folder.path(), "qemu-system-x86_64", &built);
    with_programs(folder.path()).only_bad(&[]).says(
        "qemu",
        "warn",
        &["built without seccomp", "Nothing to do for the book"],
    );
}

#[test]
fn a_gdb_without_hardware_breakpoints_in_python_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let gdb = real("gdb");
    // As gdb 10 was.
    let old = format!("exec {gdb} -iex 'python del gdb.BP_HARDWARE_BREAKPOINT' \"$@\"");
    program(folder.path(), "gdb", &old);
    with_programs(folder.path()).only_bad(&["gdb"]).says(
        "gdb",
        "bad",
        &["BP_HARDWARE_BREAKPOINT", "gdb 11", "Python"],
    );
}

#[test]
fn a_kvm_that_hangs_is_recognised_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let qemu = real("qemu-system-x86_64");
    let pids = folder.path().join("pids");
    let hangs = format!(
        "case \"$*\" in *'-accel kvm'*) sleep 1000 & echo $$ $! > {}; wait;; *) exec {qemu} \"$@\";; esac",
        pids.display()
    );
    program(folder.path(), "qemu-system-x86_64", &hangs);
    let begun = Instant::now();
    let path = format!("PATH={}:$PATH", folder.path().display());
    poorer(&format!("{}\n{path}", dev(true)))
        .only_bad(&[])
        .says(
            "kvm",
            "warn",
            &["does not work", "was not done after 5 s", "never uses it"],
        );
    assert!(begun.elapsed() < Duration::from_secs(60));
    for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
        // Killed at once, and gone when their parent has taken note.
        let until = Instant::now() + Duration::from_secs(20);
        while Path::new("/proc").join(pid).exists() {
            assert!(Instant::now() < until, "{pid} lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_kvm_that_is_none_is_told_and_harms_nobody() {
    poorer(&dev(true)).only_bad(&[]).says(
        "kvm",
        "warn",
        &["/dev/kvm is there and does not work", "-accel kvm: "],
    );
    poorer(&dev(false)).only_bad(&[]).says(
        "kvm",
        "skip",
        &["No such file or directory", "never uses it"],
    );
}

#[test]
fn without_tmux_there_is_one_window_at_a_time() {
    let mut command = runner(&["doctor", "--json"]);
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for directory in std::env::split_paths(&path) {
        for program in directory.read_dir().into_iter().flatten().flatten() {
            if program.file_name() != "tmux" {
                let link = folder.path().join(program.file_name());
                let _ = std::os::unix::fs::symlink(program.path(), link);
            }
        }
    }
    command.env("PATH", folder.path());
    let found = Found::of(command);
    let said = ["one window at a time", "apt-get install tmux"];
    found.only_bad(&[]).says("tmux", "warn", &said);
}

#[test]
fn without_mdbook_there_are_replays_all_the_same() {
    let mut command = runner(&["doctor", "--json"]);
    command.env("PATH", "/usr/bin:/bin");
    Found::of(command).only_bad(&[]).says(
        "mdbook",
        "warn",
        &["mdbook cannot be started", "install-tools"],
    );
}
