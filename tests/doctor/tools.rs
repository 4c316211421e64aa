//! Programs that are missing, old, or hang.

use crate::{Found, poorer, program, runner, with_programs};

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
        .says("gdb", "skip", &["`qemu`"]);
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
