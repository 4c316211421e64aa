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

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::build::fetch::{self, Patience, Unreachable, Wanted};
use crate::build::recipe;
use crate::system::files;
use crate::system::progress::Stage;

/// Debian's own hosts, which lie in this domain.
const DOMAIN: &str = "debian.org";
/// The public mirrors among them: of the releases that Debian still looks after, and of the others.
const MIRRORS: [&str; 2] = ["deb", "archive"];
/// Has every file that Debian ever had, by the day.
const SNAPSHOTS: &str = "snapshot";
/// How many files in a row a provider may fail to deliver.
const PATIENCE: u32 = 3;

/// The providers of the archive's files: folders and URLs.
#[derive(Clone, Debug)]
pub struct Pool(Vec<String>);

/// A file of the archive.
#[derive(Clone, Copy, Debug)]
pub struct Pooled<'a> {
    /// The path from the top of the archive.
    pub path: &'a str,
    /// How many bytes it has.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: &'a str,
}

impl<'a> Pooled<'a> {
    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

impl Pool {
    /// The providers for this machine. `mirror` is a folder or a URL that the reader names, and
    /// `snapshot` the day at which the archive of all days has the files.
    pub fn new(mirror: Option<&str>, snapshot: &str) -> Self {
        let named = mirror.map(str::to_owned).into_iter().chain(own_mirrors());
        let public = MIRRORS.map(|host| format!("http://{host}.{DOMAIN}/debian"));
        let snapshots = format!("http://{SNAPSHOTS}.{DOMAIN}/archive/debian/{snapshot}");
        Self::of(named.chain(public).chain([snapshots]))
    }

    /// These providers, each once.
    pub fn of(bases: impl IntoIterator<Item = String>) -> Self {
        let mut known: Vec<String> = Vec::new();
        for base in bases {
            let base = base.trim_end_matches('/');
            if !known.iter().any(|known| known == base) {
                known.push(base.to_owned());
            }
        }
        Self(known)
    }

    /// Fetches one file into `target`, whatever its size.
    ///
    /// # Errors
    /// When no provider has it. Then nothing is there.
    pub fn one(&self, path: &str, sha256: &str, target: &Path, stage: &mut Stage) -> Result<()> {
        let mut failures = Vec::new();
        for base in &self.0 {
            stage.at(format!("from {base}"));
            let fetched = match fetch::is_url(base) {
                true => {
                    let url = format!("{base}/{}", escaped(path));
                    let seen = |bytes, all| stage.at_bytes(bytes, all);
                    fetch::file(&url, target, sha256, Patience::default(), seen)
                }
                false => copy(base, path, sha256, target),
            };
            let Err(error) = fetched else {
                return Ok(());
            };
            let failure = format!("{base}: {error:#}");
            stage.note(&format!("  not from {failure}"));
            failures.push(failure);
        }
        bail!("{path} could not be had:\n  {}", failures.join("\n  "))
    }

    /// Fetches the files into `folder`, each by its own name. `arrived` is given each that has
    /// arrived, and `tell` what a provider has failed at, which the next one may mend.
    ///
    /// # Errors
    /// When a file cannot be had from any provider; what `arrived` says. Some may have arrived.
    pub fn fetch(
        &self,
        files: &[Pooled],
        folder: &Path,
        patience: Patience,
        mut arrived: impl FnMut(usize) -> Result<()>,
        mut tell: impl FnMut(&str),
    ) -> Result<()> {
        let mut missing: Vec<usize> = (0..files.len()).collect();
        let mut failures = Vec::new();
        for base in &self.0 {
            let mut left = PATIENCE;
            let mut delivered = Vec::new();
            let wanted: Vec<_> = missing.iter().map(|&index| files[index]).collect();
            ask(base, &wanted, folder, patience, |number, result| {
                let index = missing[number];
                let Err(error) = result else {
                    left = PATIENCE;
                    delivered.push(index);
                    return arrived(index).map(ControlFlow::Continue);
                };
                let is_reached = !delivered.is_empty() || !error.is::<Unreachable>();
                left = if is_reached { left - 1 } else { 0 };
                let failure = format!("{} from {base}: {error:#}", files[index].name());
                tell(&format!("  no {failure}"));
                failures.push(failure);
                Ok(match left {
                    0 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                })
            })?;
            missing.retain(|index| !delivered.contains(index));
            if missing.is_empty() {
                return Ok(());
            }
        }
        bail!(
            "{} could not be had:\n  no {}",
            files[missing[0]].name(),
            failures.join("\n  no ")
        )
    }
}

/// Asks one provider for files, and tells how it went with each, by its number.
fn ask(
    base: &str,
    files: &[Pooled],
    folder: &Path,
    patience: Patience,
    mut ended: impl FnMut(usize, Result<()>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    if fetch::is_url(base) {
        let wanted = files.iter().map(|file| Wanted {
            url: format!("{base}/{}", escaped(file.path)),
            name: file.name(),
            size: file.size,
            sha256: file.sha256,
        });
        let wanted: Vec<_> = wanted.collect();
        return fetch::files(&wanted, folder, patience, ended);
    }
    for (number, file) in files.iter().enumerate() {
        let copied = copy(base, file.path, file.sha256, &folder.join(file.name()));
        if ended(number, copied)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Takes a file from a folder.
fn copy(base: &str, path: &str, sha256: &str, target: &Path) -> Result<()> {
    if !Path::new(base).join("pool").is_dir() {
        let why = "it is neither a URL nor a folder that has a pool/".to_owned();
        bail!(Unreachable(why));
    }
    let found = Path::new(base).join(path);
    fetch::pinned(found.display(), &files::sha256_of_file(&found)?, sha256)?;
    fs::copy(&found, target)?;
    Ok(())
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
    let mut lines = String::new();
    let asked = recipe::watched(
        |command| {
            command.args(["apt-get", "update", "--print-uris"]);
        },
        |line| {
            lines.push_str(line);
            lines.push('\n');
            Ok(())
        },
    );
    asked.map_or(Vec::new(), |_| pick_sites(&lines))
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
    fn what_the_reader_names_comes_first_and_the_archive_of_all_days_last() {
        let pool = Pool::new(Some("/mnt/debian/"), "20260101T000000Z");
        let bases = pool.0.iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(bases[0], "/mnt/debian");
        let all = bases
            .iter()
            .map(|base| base.contains(DOMAIN))
            .collect::<Vec<_>>();
        assert!(all.ends_with(&[true, true, true]), "{bases:?}");
        assert!(
            bases
                .last()
                .unwrap()
                .ends_with("/archive/debian/20260101T000000Z")
        );
    }

    #[test]
    fn path_is_escaped_as_apt_does() {
        assert_eq!(escaped("pool/a/b_1+2~3-4.deb"), "pool/a/b_1%2b2%7e3-4.deb");
    }
}
