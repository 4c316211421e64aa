//! The programs, headers and libraries of the machine that the lab needs, and how to get them.
//!
//! Nothing is installed unasked. Where there is no apt, the reader gets the list and does it: the
//! names for Fedora and Arch are known, the state of such a machine is not.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use duct::cmd;

use crate::system::ask::confirm;

/// How to see whether something is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probe {
    /// A program on the `PATH` or in one of the folders for administrators.
    Command(&'static str),
    /// A header, somewhere below `/usr/include`.
    Header(&'static str),
    /// A library to link with.
    Library(&'static str),
}

/// Something that the lab needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Need {
    /// How to see whether it is there.
    pub probe: Probe,
    /// What it is for.
    pub why: &'static str,
    /// The package in Debian and its descendants.
    pub debian: &'static str,
    /// The package in Fedora.
    pub fedora: &'static str,
    /// The package in Arch.
    pub arch: &'static str,
}

/// In the order of its use: how to see it, its package in Debian, Fedora and Arch, what it is for.
const NEEDS: &str = include_str!("packages.txt");

/// All that the lab needs of the machine.
///
/// # Panics
/// Never: each line of the table is read by a test.
pub fn needs() -> impl Iterator<Item = Need> {
    NEEDS
        .lines()
        .map(|line| need(line).expect("a line of the table"))
}

fn need(line: &'static str) -> Option<Need> {
    let mut cells = line.split('|').map(str::trim);
    let (kind, name) = cells.next()?.split_once(' ')?;
    let probe = match kind {
        "command" => Probe::Command(name),
        "header" => Probe::Header(name),
        "library" => Probe::Library(name),
        _ => return None,
    };
    Some(Need {
        probe,
        debian: cells.next()?,
        fedora: cells.next()?,
        arch: cells.next()?,
        why: cells.next()?,
    })
}

use Probe::{Command, Header, Library};

/// What decides how missing packages are got.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// There is an apt-get.
    pub apt: bool,
    /// The runner is root.
    pub root: bool,
    /// There is a sudo.
    pub sudo: bool,
    /// The reader has agreed beforehand.
    pub agreed: bool,
    /// There is somebody to ask.
    pub terminal: bool,
}

/// What to do about missing packages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Plan {
    /// Nothing is missing.
    Nothing,
    /// Run this, after asking if `ask`.
    Install {
        /// `apt-get`, behind `sudo` where it takes that.
        apt: &'static str,
        /// The packages.
        packages: Vec<String>,
        /// Whether the reader has yet to agree.
        ask: bool,
    },
    /// It cannot be done from here; the text says what to do.
    Refuse(String),
}

/// How apt-get is told to install packages, and to refuse if others would have to go.
const INSTALL: &str = "install --no-install-recommends --no-remove";

/// What the machine lacks.
pub fn missing() -> Vec<Need> {
    missing_by(is_there)
}

/// Installs what is missing, once the reader agrees (`agreed`: has done so already).
pub fn ready(agreed: bool) -> Result<()> {
    let missing = missing();
    let situation = Situation {
        apt: is_there(Command("apt-get")),
        root: rustix::process::geteuid().is_root(),
        sudo: is_there(Command("sudo")),
        agreed: agreed || std::env::var_os("CI").is_some_and(|value| value == "true"),
        terminal: io::stdin().is_terminal() && io::stderr().is_terminal(),
    };
    match plan(&missing, &situation) {
        Plan::Nothing => Ok(()),
        Plan::Refuse(text) => bail!(text),
        Plan::Install { apt, packages, ask } => {
            eprintln!("{}", listing(&missing));
            if ask {
                eprintln!("They come with: {}", install_line(apt, &packages));
                if !confirm("Install them now?")? {
                    bail!("nothing was installed; the lab needs these packages");
                }
            }
            install(apt, &packages)?;
            let missing = self::missing();
            ensure!(
                missing.is_empty(),
                "apt-get ended well, and yet something is missing.\n{}",
                listing(&missing)
            );
            Ok(())
        }
    }
}

/// Decides what to do. Pure, so that it is tested without installing anything.
pub fn plan(missing: &[Need], situation: &Situation) -> Plan {
    if missing.is_empty() {
        return Plan::Nothing;
    }
    if !situation.apt {
        return Plan::Refuse(format!(
            "{}\nThis machine has no apt, and the runner installs with nothing else. Install these, and run again:\n  \
             Fedora: sudo dnf install {}\n  Arch:   sudo pacman -S --needed {}",
            listing(missing),
            names(missing, |need| need.fedora).join(" "),
            names(missing, |need| need.arch).join(" "),
        ));
    }
    let packages = names(missing, |need| need.debian);
    let apt = match situation.root {
        true => "apt-get",
        false => "sudo apt-get",
    };
    if !situation.root && !situation.sudo {
        return Plan::Refuse(format!(
            "{}\nInstalling takes root, and there is no sudo. As root: apt-get {INSTALL} {}",
            listing(missing),
            packages.join(" ")
        ));
    }
    if !situation.agreed && !situation.terminal {
        return Plan::Refuse(format!(
            "{}\nThere is no terminal to ask on. Agree beforehand with --yes (or CI=true), or run:\n  {}",
            listing(missing),
            install_line(apt, &packages)
        ));
    }
    Plan::Install {
        apt,
        packages,
        ask: !situation.agreed,
    }
}

fn missing_by(is_there: impl Fn(Probe) -> bool) -> Vec<Need> {
    needs().filter(|need| !is_there(need.probe)).collect()
}

fn listing(missing: &[Need]) -> String {
    let mut text = "The lab needs what this machine does not have:".to_owned();
    for need in missing {
        let (Command(name) | Header(name) | Library(name)) = need.probe;
        text.push_str(&format!("\n  {name:<20} {}", need.why));
    }
    text
}

fn names(missing: &[Need], name: impl Fn(&Need) -> &'static str) -> Vec<String> {
    let mut names: Vec<String> = missing.iter().map(|need| name(need).to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

fn install_line(apt: &str, packages: &[String]) -> String {
    format!("{apt} {INSTALL} {}", packages.join(" "))
}

fn install(apt: &str, packages: &[String]) -> Result<()> {
    // In the reader's own process group, as sudo asks on its terminal; and it is not killed with
    // the runner: dpkg would leave packages that are half installed.
    let run = |line: &str| -> Result<bool> {
        let words: Vec<&str> = apt.split(' ').chain(line.split(' ')).collect();
        // Standard output is for what the reader asked of the runner.
        let command = cmd(words[0], &words[1..])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout_to_stderr();
        Ok(command.unchecked().run()?.status.success())
    };
    // Fresh machines have no package lists, or old ones that name files which are gone.
    for lists_are_new in [false, true] {
        if lists_are_new && !run("update")? {
            break;
        }
        let may_work = match would_remove(packages)? {
            Some(removed) if lists_are_new && !removed.is_empty() => bail!(
                "apt would have to remove {0} to install {1}, so nothing was installed. \
                 `apt-cache policy {0}` tells which release that is of; install from the same one \
                 (apt-get install -t RELEASE {1}), or remove it yourself, and run again",
                removed.join(" "),
                packages.join(" ")
            ),
            Some(removed) => removed.is_empty(),
            // Then it says why.
            None => lists_are_new,
        };
        if may_work && run(&format!("-y {INSTALL} {}", packages.join(" ")))? {
            return Ok(());
        }
    }
    bail!(
        "the packages could not be installed; try it yourself: {}",
        install_line(apt, packages)
    )
}

/// The packages that apt would remove to install others; none if it could not install them.
fn would_remove(packages: &[String]) -> Result<Option<Vec<String>>> {
    let words = ["-s", "install", "--no-install-recommends"].into_iter();
    let simulated = cmd("apt-get", words.chain(packages.iter().map(String::as_str)))
        .env("LC_ALL", "C")
        .stderr_null()
        .stdout_capture()
        .unchecked()
        .run()?;
    let said = String::from_utf8_lossy(&simulated.stdout);
    let removed = said
        .lines()
        .filter_map(|line| line.strip_prefix("Remv ")?.split(' ').next());
    let removed = removed.map(str::to_owned).collect();
    Ok(simulated.status.success().then_some(removed))
}

/// The reader's PATH, and behind it the folders for administrators, which ordinary users of Debian
/// do not have on theirs.
#[must_use]
pub fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

fn is_there(probe: Probe) -> bool {
    let any = |folders: &[&str], name: &str| {
        folders
            .iter()
            .any(|folder| Path::new(folder).join(name).exists())
    };
    match probe {
        Command(name) => std::env::split_paths(&path()).any(|folder| folder.join(name).is_file()),
        Header(name) => any(
            &[
                "/usr/include",
                "/usr/include/x86_64-linux-gnu",
                "/usr/include/libelf",
            ],
            name,
        ),
        Library(name) => any(
            &["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"],
            name,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Situation = Situation {
        apt: true,
        root: false,
        sudo: true,
        agreed: false,
        terminal: true,
    };

    fn some() -> Vec<Need> {
        missing_by(|probe| {
            !matches!(
                probe,
                Command("qemu-system-x86_64") | Header(_) | Library(_)
            )
        })
    }

    fn refusal(situation: Situation) -> String {
        match plan(&some(), &situation) {
            Plan::Refuse(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_line_of_the_table_is_read() {
        let filled = |need: Need| ![need.debian, need.fedora, need.arch, need.why].contains(&"");
        assert!(needs().all(filled));
        assert_eq!(needs().count(), 26);
    }

    #[test]
    fn nothing_missing_is_nothing_to_do() {
        assert_eq!(plan(&[], &Situation { apt: false, ..FREE }), Plan::Nothing);
    }

    #[test]
    fn packages_are_named_once_and_asked_for_once() {
        let packages = ["libc6-dev", "libelf-dev", "qemu-system-x86"]
            .map(str::to_owned)
            .to_vec();
        let expected = Plan::Install {
            apt: "sudo apt-get",
            packages: packages.clone(),
            ask: true,
        };
        assert_eq!(plan(&some(), &FREE), expected);
        let root = Situation {
            root: true,
            sudo: false,
            agreed: true,
            terminal: false,
            ..FREE
        };
        let expected = Plan::Install {
            apt: "apt-get",
            packages,
            ask: false,
        };
        assert_eq!(plan(&some(), &root), expected);
    }

    #[test]
    fn without_a_terminal_the_command_is_named() {
        let text = refusal(Situation {
            terminal: false,
            ..FREE
        });
        assert!(text.contains(
            "sudo apt-get install --no-install-recommends --no-remove \
             libc6-dev libelf-dev qemu-system-x86"
        ));
        assert!(text.contains("--yes"));
    }

    #[test]
    fn without_sudo_root_is_told_the_command() {
        assert!(
            refusal(Situation {
                sudo: false,
                ..FREE
            })
            .contains("As root: apt-get install")
        );
    }

    #[test]
    fn without_apt_other_distributions_names_are_given() {
        let text = refusal(Situation { apt: false, ..FREE });
        assert!(text.contains(
            "dnf install elfutils-libelf-devel glibc-devel glibc-static qemu-system-x86-core"
        ));
        assert!(text.contains("pacman -S --needed glibc libelf qemu-system-x86"));
    }
}
