//! Programs that are missing, old, or hang.

use crate::{Found, WITHOUT_LIBC, poorer, program, runner, with_programs};

#[test]
fn a_program_that_the_machine_lacks_is_named_where_its_own_are_to_be_used() {
    let no_tar = "mount --bind /dev/null $(command -v tar); export THESEUS_HOST_TOOLS=true";
    poorer(no_tar).says(
        "tools",
        "bad",
        &["missing: ", " tar", "leave --host-tools away"],
    );
}

#[test]
fn a_c_library_that_cannot_be_linked_is_told() {
    poorer(WITHOUT_LIBC).only_bad(&["compiler"]).says(
        "compiler",
        "bad",
        &[
            "gcc -static makes no program",
            "cannot find -lc",
            "report it",
        ],
    );
}

#[test]
fn a_linker_that_takes_no_addresses_is_told_where_the_machines_own_is_to_be_used() {
    // As mold is.
    let mold = "cp $(readlink -f $(command -v ld)) real\n\
        printf '#!/bin/sh\\ncase \"$*\" in *section-start*) echo unknown option: --section-start >&2; exit 1;; esac\\n\
        exec '$HERE'/real \"$@\"' > mold; chmod +x mold; mount --bind mold $(readlink -f $(command -v ld))\n\
        export THESEUS_HOST_TOOLS=true";
    let found = poorer(mold);
    if found.check("tools")["state"] == "ok" {
        found.says("compiler", "bad", &["unknown option: --section-start"]);
    }
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
            &["-accel: invalid option", "version 2.5.0", "report it"],
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
    let built = "case \"$*\" in *-sandbox*) exit 1;; esac; exec /usr/bin/qemu-system-x86_64 \"$@\"";
    program(folder.path(), "qemu-system-x86_64", built);
    with_programs(folder.path()).only_bad(&[]).says(
        "qemu",
        "warn",
        &["built without seccomp", "Nothing to do for the book"],
    );
}

#[test]
fn a_gdb_without_hardware_breakpoints_in_python_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // As gdb 10 was.
    let old = "exec /usr/bin/gdb -iex 'python del gdb.BP_HARDWARE_BREAKPOINT' \"$@\"";
    program(folder.path(), "gdb", old);
    with_programs(folder.path()).only_bad(&["gdb"]).says(
        "gdb",
        "bad",
        &["BP_HARDWARE_BREAKPOINT", "report it"],
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
