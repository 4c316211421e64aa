//! `runner doctor`: what the lab needs of the machine, whether it is there, and what to do if not.
//!
//! Each check tries the very thing that the runner will do later. Only when that fails it looks
//! for the reason, because the settings that could be one differ between systems.

use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::bail;
use duct::cmd;

use crate::lab::WITHIN;
use crate::packages;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Why something does not work, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What was tried, and what came of it.
    pub cause: String,
    /// What the reader can do.
    pub remedy: String,
}

impl Trouble {
    fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (cause, remedy) = (cause.into(), remedy.into());
        Self { cause, remedy }
    }
}

/// Runs the subcommand: 0 when all chapters can run.
///
/// # Errors
/// None; a trouble is shown and makes the exit code that of a lab that cannot run.
pub fn run() -> anyhow::Result<ExitCode> {
    let checks = [
        ("packages", "all chapters", packages_are_there()),
        ("lab", "chapter 8", lab_can_run()),
    ];
    let mut code = 0;
    for (name, who, outcome) in checks {
        match outcome {
            Ok(()) => anstream::println!("{GOOD}ok{GOOD:#}    {name:<9} {who}"),
            Err(Trouble { cause, remedy }) => {
                code = crate::cli::LAB;
                let remedy = remedy.replace('\n', "\n      ");
                anstream::println!("{BAD}wrong{BAD:#} {name:<9} {who}: {cause}\n      {remedy}");
            }
        }
    }
    Ok(ExitCode::from(code))
}

/// Refuses a chapter whose lab cannot run, before anything is built for it.
///
/// # Errors
/// What is in the way and what helps.
pub fn check_lab() -> anyhow::Result<()> {
    if let Err(Trouble { cause, remedy }) = lab_can_run() {
        bail!("this chapter needs a network of its own, and {cause}\n{remedy}");
    }
    Ok(())
}

fn packages_are_there() -> Result<(), Trouble> {
    let missing: Vec<&str> = packages::missing().iter().map(|n| n.debian).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let cause = format!("some are missing: {}", missing.join(" "));
    Err(Trouble::new(
        cause,
        "runner setup shows what each is for, and asks before it installs them",
    ))
}

/// Tries all that the lab does: the namespaces, the tap, and the translation of addresses.
fn lab_can_run() -> Result<(), Trouble> {
    let run = |words: &[&str]| -> Result<(), String> {
        let done = cmd(words[0], &words[1..])
            .env("LC_ALL", "C")
            .env("PATH", packages::path())
            .stdin_null()
            .stdout_null()
            .stderr_capture()
            .unchecked()
            .run()
            .map_err(|error| format!("{} cannot be started: {error}", words[0]))?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        Err(said.trim_end().replace('\n', "; "))
    };
    let within = |words: &[&'static str]| run(&[&WITHIN[..], words].concat());
    within(&["true"]).map_err(|said| no_namespaces(&said, &setting))?;
    let tun = std::fs::OpenOptions::new().read(true).write(true).open(TUN);
    tun.map_err(|error| no_tun(&error))?;
    within(&["ip", "tuntap", "add", "dev", "tap0", "mode", "tap"])
        .map_err(|said| Trouble::new(format!("no tap can be made: {said}"), TUN_REMEDY))?;
    let nat = "mount -t tmpfs tmpfs /run && ip link add type veth \
               && iptables -t nat -A POSTROUTING -j MASQUERADE \
               && iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT && conntrack -L";
    within(&["bash", "-c", nat]).map_err(|said| {
        let cause = format!("your kernel makes no veth pair or translates no addresses: {said}");
        let remedy = "Load its modules for that: sudo modprobe -a veth nf_tables nft_compat \
                      nft_chain_nat xt_MASQUERADE xt_conntrack nf_conntrack_netlink";
        Trouble::new(cause, remedy)
    })
}

fn setting(name: &str) -> Option<String> {
    let value = std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
    Some(value.trim().to_owned())
}

const TUN: &str = "/dev/net/tun";
const TUN_REMEDY: &str = "Load the driver: sudo modprobe tun\n\
                          In a container: start it with --device /dev/net/tun";

/// Why the system makes no namespaces. `setting` reads a file below /proc/sys.
fn no_namespaces(said: &str, setting: &dyn Fn(&str) -> Option<String>) -> Trouble {
    let cause = |why: &str| format!("the system makes no namespaces for you ({why}): {said}");
    for (name, forbids, allows, why) in [
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "0",
            "AppArmor restricts them, as on Ubuntu 24.04",
        ),
        (
            "kernel/unprivileged_userns_clone",
            "0",
            "1",
            "they are switched off for users",
        ),
        ("user/max_user_namespaces", "0", "15000", "none may be made"),
    ] {
        if setting(name).is_some_and(|value| value == forbids) {
            let name = name.replace('/', ".");
            return Trouble::new(
                cause(why),
                format!("Until the next boot: sudo sysctl -w {name}={allows}"),
            );
        }
    }
    Trouble::new(
        cause("unshare was refused"),
        "In a container: start it with --privileged, or run the chapter outside",
    )
}

fn no_tun(error: &std::io::Error) -> Trouble {
    let cause = format!("{TUN}, with which a tap is made, cannot be opened: {error}");
    if error.kind() == std::io::ErrorKind::NotFound {
        return Trouble::new(cause, TUN_REMEDY);
    }
    let remedy = format!("Allow it to users, as most distributions do: sudo chmod 666 {TUN}");
    Trouble::new(cause, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_told_by_the_setting_that_forbids() {
        let with = |name: &'static str, value: &'static str| {
            no_namespaces("unshare failed", &move |asked: &str| {
                (asked == name).then(|| value.to_owned())
            })
        };
        let ubuntu = with("kernel/apparmor_restrict_unprivileged_userns", "1");
        assert!(ubuntu.cause.contains("AppArmor") && ubuntu.cause.contains("unshare failed"));
        assert!(
            ubuntu
                .remedy
                .contains("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
        );
        let debian = with("kernel/unprivileged_userns_clone", "0");
        assert!(debian.remedy.contains("unprivileged_userns_clone=1"));
        let allowed = with("kernel/unprivileged_userns_clone", "1");
        assert!(allowed.remedy.contains("--privileged"));
    }
}
