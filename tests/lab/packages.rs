//! Packages that are missing, and an apt that only plays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// Runs the command with `--yes` on a machine that has nothing but this apt-get, a script for sh.
/// Gives what it says, and the lines that apt-get was given.
fn run(command: &[&str], apt: &str) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let sudo = "exec \"$@\"".to_owned();
    let apt = format!("echo \"$*\" >>{}\n{apt}", log.display());
    for (name, script) in [("apt-get", apt), ("sudo", sudo)] {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(command)
        .arg("--yes")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", folder.path())
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let calls = fs::read_to_string(&log).unwrap();
    (
        String::from_utf8(output.stderr).unwrap(),
        calls.lines().map(str::to_owned).collect(),
    )
}

#[test]
fn no_package_is_removed_to_install_another() {
    let apt = "case \"$*\" in\n\
               -s*) echo 'Remv qemu-utils [1:8.2.1-2~bpo12+1]'\n\
               echo 'Inst qemu-system-x86 (1:7.2 Debian)';;\n\
               esac";
    let (said, calls) = run(&["setup"], apt);
    for words in [
        "apt would have to remove qemu-utils to install ",
        "nothing was installed",
        "`apt-cache policy qemu-utils` tells which release that is of",
        "(apt-get install -t RELEASE ",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let actions: Vec<_> = calls
        .iter()
        .filter(|call| !call.starts_with("-s "))
        .collect();
    assert_eq!(
        actions,
        ["update"],
        "old lists are no reason to give up, and nothing else is done"
    );
}

#[test]
fn apt_itself_is_told_to_remove_nothing() {
    let (said, calls) = run(&["setup"], "exit 0");
    assert!(said.contains("something is missing"), "{said}");
    let install = calls
        .iter()
        .find(|call| call.starts_with("-y install "))
        .unwrap();
    assert!(install.contains(" --no-remove "), "{install}");
    // Where it refuses for a reason that only it knows, its own line is passed on.
    let (said, calls) = run(&["setup"], "case \"$*\" in -y*) exit 100;; esac");
    assert!(said.contains("try it yourself: "), "{said}");
    assert!(
        said.contains("apt-get install --no-install-recommends --no-remove "),
        "{said}"
    );
    assert_eq!(
        calls
            .iter()
            .filter(|call| call.starts_with("-y install "))
            .count(),
        2
    );
}

#[test]
fn packages_are_installed_before_the_network_is_tried_that_takes_them() {
    let (said, calls) = run(&["chapter", "8"], "exit 0");
    assert!(
        said.contains("The lab needs what this machine does not have"),
        "{said}"
    );
    assert!(
        calls.iter().any(|call| call.starts_with("-y install ")),
        "{calls:?}"
    );
}
