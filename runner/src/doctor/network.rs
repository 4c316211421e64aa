//! What the lab's network takes: namespaces, the driver of the tap, and the translation of
//! addresses.

use std::io::ErrorKind;
use std::path::Path;

use super::Found;
use super::probe::{self, PATIENCE};
use lab::system::sandbox::{Network, Sandbox, Way};

const TUN: &str = "/dev/net/tun";
const TUN_REMEDY: &str = "Load the driver: sudo modprobe tun\n\
                          In a container: start it with --device /dev/net/tun";

/// Runs a program as the lab runs them all. Without the lab's own, the machine's is tried.
pub fn namespaces(sandbox: Option<&Sandbox>) -> Found {
    let mut used = None;
    let said = match sandbox {
        Some(Sandbox::Machine) => return Found::skip("the machine's own programs are to be used"),
        Some(sandbox) => {
            used = sandbox.clone().tried().ok();
            if let Some(Way::UserWithoutProcesses) = used.as_ref().and_then(Sandbox::way) {
                return Found::ok("the system makes them for you, without a /proc of their own");
            }
            probe::run(&sandbox.view(), &["true"], PATIENCE)
        }
        None => probe::on_machine(&["unshare", "--user", "--map-root-user", "--mount", "true"]),
    };
    match said {
        Ok(ended) if ended.status == Some(0) => Found::ok("the system makes them for you"),
        Ok(ended) => {
            let Found { text, remedy, .. } = no_namespaces(&ended.stderr, &setting);
            let remedy = remedy.unwrap_or_default();
            let without = match used.as_ref().and_then(Sandbox::way) {
                Some(Way::Chroot) => {
                    "root changes the root for the lab's programs, which print the same; they have \
                     the machine's network, and chapter 11 has none of its own"
                }
                Some(_) => {
                    "root makes the other namespaces for the lab's programs, which print the same; \
                     but chapter 11 has no network of its own"
                }
                None => "the machine's own programs are used, and compared by meaning",
            };
            Found::warn(format!("{text}; so {without}"), remedy)
        }
        Err(said) => Found::skip(format!("not tried: {said}")),
    }
}

/// Makes a network as chapter 11 has it.
pub fn rights(sandbox: &Sandbox) -> Found {
    // Another way is tried only when this one fails.
    let sandbox = sandbox.in_best_way();
    match within(&sandbox, &["true"]) {
        Ok(()) => Found::ok("the system makes one for you"),
        Err(said) => no_namespaces(&said, &setting),
    }
}

/// Opens the device that a tap is made with.
pub fn tun() -> Found {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open(TUN);
    let Err(error) = opened else {
        return Found::ok(format!("{TUN} can be opened"));
    };
    let text = format!("{TUN}, with which a tap is made, cannot be opened: {error}");
    if error.kind() == ErrorKind::NotFound {
        return Found::bad(text, TUN_REMEDY);
    }
    let remedy = format!("Allow it to users, as most distributions do: sudo chmod 666 {TUN}");
    Found::bad(text, remedy)
}

/// Makes a tap and a pair of cards, and has addresses translated, all in namespaces of its own.
pub fn nat(sandbox: &Sandbox) -> Found {
    if sandbox.way().is_some_and(Way::is_roots) {
        return rights(sandbox);
    }
    if let Err(said) = within(
        sandbox,
        &["ip", "tuntap", "add", "dev", "tap0", "mode", "tap"],
    ) {
        return Found::bad(format!("no tap can be made: {said}"), TUN_REMEDY);
    }
    let script = "ip link add type veth \
                  && iptables -t nat -A POSTROUTING -j MASQUERADE \
                  && iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT && conntrack -L";
    match within(sandbox, &["bash", "-c", script]) {
        Ok(()) => Found::ok("all of them work in namespaces"),
        Err(said) => Found::bad(
            format!("your kernel makes no veth pair or translates no addresses: {said}"),
            "Load its modules for that: sudo modprobe -a veth nf_tables nft_compat \
             nft_chain_nat xt_MASQUERADE xt_conntrack nf_conntrack_netlink",
        ),
    }
}

fn within(sandbox: &Sandbox, words: &[&str]) -> Result<(), String> {
    let view = sandbox.view().with_network(Network::Rights);
    let ended = probe::run(&view, words, PATIENCE)?;
    match ended.status {
        Some(0) => Ok(()),
        _ => Err(ended.stderr),
    }
}

fn setting(name: &str) -> Option<String> {
    let value = std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
    Some(value.trim().to_owned())
}

/// Why the system makes no namespaces. `setting` reads a file below /proc/sys.
fn no_namespaces(said: &str, setting: &dyn Fn(&str) -> Option<String>) -> Found {
    let text = |why: &str| format!("the system makes no namespaces for you ({why}): {said}");
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
            return Found::bad(
                text(why),
                format!("Until the next boot: sudo sysctl -w {name}={allows}"),
            );
        }
    }
    Found::bad(
        text("unshare was refused"),
        "In a container: start it with --privileged, or run the chapter outside",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_told_by_the_setting_that_forbids() {
        let with = |name: &'static str, value: &'static str| {
            let found = no_namespaces("unshare failed", &move |asked: &str| {
                (asked == name).then(|| value.to_owned())
            });
            (found.text, found.remedy.unwrap())
        };
        let ubuntu = with("kernel/apparmor_restrict_unprivileged_userns", "1");
        assert!(ubuntu.0.contains("AppArmor") && ubuntu.0.contains("unshare failed"));
        let sysctl = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
        assert!(ubuntu.1.contains(sysctl));
        let debian = with("kernel/unprivileged_userns_clone", "0");
        assert!(debian.1.contains("unprivileged_userns_clone=1"));
        let allowed = with("kernel/unprivileged_userns_clone", "1");
        assert!(allowed.1.contains("--privileged"));
    }
}
