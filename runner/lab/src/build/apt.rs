//! apt with a private root: package lists and sources of our own, in the cache.
//!
//! So one pinned Debian release can be asked on any machine with apt, without root, whatever the
//! machine's own lists hold and however old they are, and without any change to them. The site is
//! the machine's own mirror; the archive's signature is checked by apt with the machine's keys.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use duct::cmd;
use fs_err as fs;

use crate::build::recipe;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A private root that knows one release.
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Makes the private root in `folder` and fetches the lists of `suite`, of the binary packages
    /// (`deb`) or of the sources (`deb-src`).
    pub fn prepare(folder: &Path, kind: &str, suite: &str) -> Result<Self> {
        let apt = Self {
            folder: folder.to_owned(),
        };
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let mut failures = Vec::new();
        for site in debian_sites()? {
            let list = sources_list(kind, &site, suite, Path::new(KEYRING).exists());
            fs::write(folder.join("sources.list"), list)?;
            match apt.run(&["-q", "update", "--error-on=any"]) {
                Ok(()) => return Ok(apt),
                Err(error) => failures.push(format!("{site}: {error:#}")),
            }
        }
        bail!(
            "no site that apt knows has Debian {suite}: {}",
            failures.join("; ")
        )
    }

    /// Fetches a binary package of one version, and returns its `.deb`.
    pub fn download(&self, package: &str, version: &str) -> Result<PathBuf> {
        self.run(&["-q", "download", &format!("{package}={version}")])?;
        self.fetched(|name| name.starts_with(&format!("{package}_")) && name.ends_with(".deb"))
    }

    /// Fetches the tarballs of a source package, and returns the one that is named.
    pub fn source(&self, package: &str, file: &str) -> Result<PathBuf> {
        self.run(&["-q", "source", "--download-only", "--tar-only", package])?;
        self.fetched(|name| name == file)
    }

    fn fetched(&self, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if wanted(&name) {
                return Ok(entry.path());
            }
            names.push(name);
        }
        bail!(
            "apt-get ended well, but what it fetched is another version: {}",
            names.join(", ")
        )
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut all = options(&self.folder, rustix::process::geteuid().is_root());
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut complaints = Vec::new();
        let prepare = |command: &mut Command| {
            command.arg("apt-get").args(&all).current_dir(&self.folder);
        };
        let status = recipe::watched(prepare, |line| {
            if line.starts_with("E:") || line.starts_with("Err") {
                complaints.push(line.to_owned());
            }
            Ok(())
        })
        .context("cannot run apt-get")?;
        if status.success() {
            return Ok(());
        }
        bail!(
            "apt-get {} failed: {}",
            arguments.join(" "),
            complaints.join(" ")
        )
    }
}

/// The options that point apt at the private root. With an empty sandbox user, root fetches into
/// the reader's cache as itself: apt's own user cannot look into a home folder.
fn options(folder: &Path, root: bool) -> Vec<String> {
    let inside = |name: &str| folder.join(name).display().to_string();
    let mut options = vec![
        format!("-oDir::Etc::sourcelist={}", inside("sources.list")),
        "-oDir::Etc::sourceparts=/dev/null".to_owned(),
        format!("-oDir::State::Lists={}", inside("lists")),
        format!("-oDir::Cache={}", inside("cache")),
        "-oAPT::Get::List-Cleanup=false".to_owned(),
        "-oAcquire::Languages=none".to_owned(),
        "-oAcquire::Retries=2".to_owned(),
        "-oAcquire::http::Timeout=30".to_owned(),
    ];
    if root {
        options.push("-oAPT::Sandbox::User=root".to_owned());
    }
    options
}

fn sources_list(kind: &str, site: &str, suite: &str, keyring: bool) -> String {
    match keyring {
        true => format!("{kind} [signed-by={KEYRING}] {site} {suite} main\n"),
        false => format!("{kind} {site} {suite} main\n"),
    }
}

/// The machine's own mirrors, as its apt would ask them. (`apt-get indextargets` names them too,
/// but not on a machine that has never fetched its lists.)
fn debian_sites() -> Result<Vec<String>> {
    let output = cmd!("apt-get", "update", "--print-uris")
        .stderr_null()
        .unchecked()
        .read()
        .context("cannot ask apt-get which sites it uses; is there an apt on this machine?")?;
    let sites = pick_sites(&output);
    if sites.is_empty() {
        bail!("apt-get names no Debian mirror that it uses");
    }
    Ok(sites)
}

/// Of lines `'site/dists/suite/file' ...`, the sites that may be mirrors of Debian, likely ones
/// first. Sites of security updates hold no whole release.
fn pick_sites(lines: &str) -> Vec<String> {
    let mut sites: Vec<String> = Vec::new();
    for line in lines.lines() {
        let site = line
            .strip_prefix('\'')
            .and_then(|uri| uri.split_once("/dists/"))
            .map(|(site, _)| site);
        if let Some(site) = site
            && !site.contains("security")
            && !sites.iter().any(|known| known == site)
        {
            sites.push(site.to_owned());
        }
    }
    // The sort is stable: among likely sites the reader's order holds.
    sites.sort_by_key(|site| !site.contains("debian"));
    sites
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_of_debian_are_asked_first_and_once() {
        let lines = "'http://other/tools/dists/stable/InRelease' other 0\n\
            'http://one/debian/dists/bookworm/InRelease' one 0\n\
            'http://one/debian-security/dists/bookworm-security/InRelease' one 0\n\
            'http://one/debian/dists/bookworm-updates/InRelease' one 0\n\
            Reading package lists...\n";
        assert_eq!(
            pick_sites(lines),
            ["http://one/debian", "http://other/tools"]
        );
    }

    #[test]
    fn private_root_stays_in_its_folder() {
        let options = options(Path::new("/cache/apt"), false).join(" ");
        assert!(options.contains("Dir::State::Lists=/cache/apt/lists"));
        assert!(!options.contains("Sandbox"));
        assert_eq!(
            sources_list("deb-src", "http://one/debian", "bookworm", false),
            "deb-src http://one/debian bookworm main\n"
        );
    }
}
