//! A file of Debian's archive by its hash, from wherever it can be had.
//!
//! The archive has the same layout everywhere, so a file is known by its path from the top:
//! `pool/main/b/bash/bash_5.2.15-2+b13_amd64.deb`. The providers are asked in order: what the
//! reader names, the machine's own mirror if it is a Debian, the public mirrors, and the archive of
//! all days, which is slow and forgets nothing.
//!
//! A provider that delivers other bytes than the pinned ones has failed, and nothing of them is
//! kept. One that cannot be reached, or that has failed a few times before it delivered anything,
//! is not asked again.

use std::path::Path;
use std::sync::Mutex;

use anyhow::{Result, bail};
use duct::cmd;
use fs_err as fs;

use crate::build::fetch::{self, Patience};
use crate::system::files;

/// The public mirrors: of the releases that Debian still looks after, and of the others.
const MIRRORS: [&str; 2] = [
    "http://mirror.example/debian",
    "http://mirror.example/debian",
];
/// Has every file that Debian ever had, by the day.
const SNAPSHOTS: &str = "http://mirror.example/archive/debian";
/// How often in a row a provider may fail.
const PATIENCE: u32 = 3;

/// The providers of the archive's files.
#[derive(Debug)]
pub struct Pool(Vec<Provider>);

/// A folder or a mirror.
#[derive(Debug)]
struct Provider {
    base: String,
    state: Mutex<State>,
}

/// What a provider has shown of itself.
#[derive(Debug)]
struct State {
    /// How many more failures it is forgiven.
    left: u32,
    /// Whether it has ever delivered anything.
    delivered: bool,
    /// How it has failed last.
    why: String,
}

/// A file of the archive.
#[derive(Clone, Copy, Debug)]
pub struct Pooled<'a> {
    /// The path from the top of the archive.
    pub path: &'a str,
    /// The SHA-256 of its bytes.
    pub sha256: &'a str,
}

impl Pool {
    /// The providers for this machine. `mirror` is a folder or a URL that the reader names, and
    /// `snapshot` the day at which the archive of all days has the files.
    pub fn new(mirror: Option<&str>, snapshot: &str) -> Self {
        let named = mirror.map(|mirror| mirror.trim_end_matches('/').to_owned());
        let public = MIRRORS.map(str::to_owned);
        let all = named.into_iter().chain(own_mirrors()).chain(public);
        Self::of(all.chain([format!("{SNAPSHOTS}/{snapshot}")]))
    }

    /// These providers, each once.
    pub fn of(bases: impl IntoIterator<Item = String>) -> Self {
        let mut providers: Vec<Provider> = Vec::new();
        for base in bases {
            if !providers.iter().any(|known| known.base == base) {
                let state = Mutex::new(State {
                    left: PATIENCE,
                    delivered: false,
                    why: String::new(),
                });
                providers.push(Provider { base, state });
            }
        }
        Self(providers)
    }

    /// Where a file would be asked for, in order.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|provider| &*provider.base)
    }

    /// Fetches a file into `target`. `seen` is told the bytes so far and, where known, in all;
    /// `tell` what has failed, and will not fail the whole.
    ///
    /// # Errors
    /// When no provider has it. Then nothing is there.
    pub fn fetch(
        &self,
        file: Pooled,
        target: &Path,
        patience: Patience,
        mut seen: impl FnMut(u64, Option<u64>),
        tell: impl Fn(&str),
    ) -> Result<()> {
        let name = file.path.rsplit('/').next().unwrap_or(file.path);
        let mut failures = Vec::new();
        for provider in &self.0 {
            if let Some(why) = provider.given_up() {
                failures.push(format!("{}, not asked again: {why}", provider.base));
                continue;
            }
            match provider.fetch(file, target, patience, &mut seen) {
                Ok(()) => {
                    provider.delivered();
                    return Ok(());
                }
                Err(error) => {
                    let failure = format!("{}: {error:#}", provider.base);
                    if provider.failed(&error) {
                        tell(&format!("  no {name} from {failure}"));
                    }
                    failures.push(failure);
                }
            }
        }
        bail!("{name} could not be had:\n  {}", failures.join("\n  "))
    }
}

impl Provider {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn given_up(&self) -> Option<String> {
        let state = self.state();
        (state.left == 0).then(|| state.why.clone())
    }

    fn delivered(&self) {
        let mut state = self.state();
        (state.left, state.delivered) = (PATIENCE, true);
    }

    /// Notes a failure, and says whether it is news: who has been given up fails no more.
    fn failed(&self, error: &anyhow::Error) -> bool {
        let mut state = self.state();
        if state.left == 0 {
            return false;
        }
        let is_reached = state.delivered || !error.is::<fetch::Unreachable>();
        state.left = if is_reached { state.left - 1 } else { 0 };
        state.why = format!("{error:#}");
        true
    }

    fn fetch(
        &self,
        file: Pooled,
        target: &Path,
        patience: Patience,
        seen: impl FnMut(u64, Option<u64>),
    ) -> Result<()> {
        let Pooled { path, sha256 } = file;
        let is_url = ["http://", "https://"]
            .iter()
            .any(|start| self.base.starts_with(start));
        if is_url {
            let url = format!("{}/{}", self.base, escaped(path));
            return fetch::file(&url, target, sha256, patience, seen);
        }
        let found = Path::new(&self.base).join(path);
        if !Path::new(&self.base).join("pool").is_dir() {
            let why = "it is neither a URL nor a folder that has a pool/".to_owned();
            bail!(fetch::Unreachable(why));
        }
        let hash = files::sha256_of_file(&found)?;
        if hash != sha256 {
            bail!(
                "{} is not the pinned file: its SHA-256 is {hash}, not {sha256}",
                found.display()
            );
        }
        fs::copy(&found, target)?;
        Ok(())
    }
}

/// A path as it stands in a URL. Some servers take a plus for a blank.
fn escaped(path: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02x}"),
    };
    path.bytes().map(escape).collect()
}

/// The machine's own mirrors, as its apt would ask them; none where there is no apt. (`apt-get
/// indextargets` names them too, but not on a machine that has never fetched its lists.)
fn own_mirrors() -> Vec<String> {
    let asked = cmd!("apt-get", "update", "--print-uris");
    let lines = asked.stderr_null().unchecked().read();
    lines.map(|lines| pick_sites(&lines)).unwrap_or_default()
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
    fn path_is_escaped_as_apt_does() {
        assert_eq!(escaped("pool/a/b_1+2~3-4.deb"), "pool/a/b_1%2b2%7e3-4.deb");
    }
}
