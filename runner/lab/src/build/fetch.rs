//! Downloads a file with curl, hashing it on the way: it is kept only when it is what was wanted.
//!
//! curl does TLS, proxies and redirects, and writes the answer to a pipe. The deadlines are for
//! silence, not for the whole: a large file over a slow line may take its time as long as bytes
//! arrive. curl measures silence in whole seconds and after its own buffers, so the pipe is timed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use fs_err::{self as fs, File};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sha2::{Digest as _, Sha256};

use crate::system::files;
use crate::system::process::Process;

/// What curl is told besides the URL: no file of the reader's own, nothing but HTTP, no answer that
/// is an error, no endless chain of redirects.
const OPTIONS: &str = "--disable --globoff --silent --show-error --fail \
                       --location --max-redirs 10 --proto =http,https";
/// For one file: each byte at once, behind the heads.
const ONE: &str = "--no-buffer --include --suppress-connect-headers";
/// For many files: so many at once, and for each that has ended a line, which does not wait for
/// others. No curl before 7.75 says how and why.
const MANY: &str = "--no-progress-meter --parallel --parallel-max 6 --config - --speed-limit 1 --write-out \
                    %{stderr}%{http_code}\\t%{filename_effective}\\t%{exitcode}\\t%{errormsg}\\n";
/// How curl ends, as it says itself, when it cannot write what it has fetched.
const UNWRITTEN: &str = "23";
/// How curl ends when it reaches nobody: neither proxy nor site can be found, or answers.
const UNREACHABLE: [i32; 4] = [5, 6, 7, 28];
/// The longest text, in bytes.
const TEXT_MAX: u64 = 1 << 20;

/// Nobody has answered: it is of no use to ask the same site for something else.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the connection, and again for the first line of the answer.
    pub answer: Duration,
    /// For the next bytes of the body.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(20),
            silence: Duration::from_secs(30),
        }
    }
}

/// Whether it is the address of something that can be fetched, and not a path.
pub fn is_url(place: &str) -> bool {
    let schemes = ["http://", "https://"];
    schemes.iter().any(|scheme| place.starts_with(scheme))
}

/// Fetches `url` into the file `target`. The file is there afterwards only if every byte came and
/// their SHA-256 is `sha256`. `seen` is told the bytes so far and, where known, in all.
pub fn file(
    url: &str,
    target: &Path,
    sha256: &str,
    patience: Patience,
    seen: impl FnMut(u64, Option<u64>),
) -> Result<()> {
    let partial = target.with_extension("partial");
    let result = download(url, &partial, patience, seen).and_then(|hash| {
        pinned(url, &hash, sha256)?;
        Ok(fs::rename(&partial, target)?)
    });
    if result.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&partial);
    }
    result
}

/// Refuses what has another hash than it should. Whoever calls keeps nothing of it.
pub(super) fn pinned(what: impl Display, hash: &str, sha256: &str) -> Result<()> {
    ensure!(
        hash == sha256,
        "{what} is not the pinned file: its SHA-256 is {hash}, not {sha256}; nothing of it was kept"
    );
    Ok(())
}

/// Fetches a short text, at most a megabyte.
pub fn text(url: &str, patience: Patience) -> Result<String> {
    let mut text = Vec::new();
    Answer::to(url, patience)?.read(|chunk, count, _| {
        text.extend_from_slice(chunk);
        match count <= TEXT_MAX {
            true => Ok(()),
            false => bail!("{url} is longer than {TEXT_MAX} bytes"),
        }
    })?;
    String::from_utf8(text).with_context(|| format!("{url} is no text"))
}

/// One of many files.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Where it is.
    pub url: String,
    /// What it is called here.
    pub name: &'a str,
    /// How many bytes it has.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: &'a str,
}

/// Fetches many files into `folder`, a few at a time and over few connections, roughly in their
/// order. `ended` is told how it went with each, by its number, and may say that the rest is not
/// wanted any more. A file is there afterwards only if it went well.
///
/// # Errors
/// When curl cannot be started, or what it fetches cannot be written; what `ended` says.
pub fn files(
    wanted: &[Wanted],
    folder: &Path,
    patience: Patience,
    mut ended: impl FnMut(usize, Result<()>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let numbered = wanted.iter().enumerate();
    let mut missing: BTreeMap<_, _> = numbered.map(|(number, one)| (one.name, number)).collect();
    let config: String = wanted.iter().map(Wanted::config).collect();
    let [answer, silence] = [patience.answer, patience.silence].map(|time| time.as_secs().max(1));
    let mut curl = Process::start("curl", |command| {
        command
            .args(words(&[OPTIONS, MANY]))
            .args(["--connect-timeout", &answer.to_string()])
            .args(["--speed-time", &silence.to_string()])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
    })?;
    let mut stdin = curl.child.stdin.take().context("curl has no input")?;
    // If it has ended already, it says why.
    let _ = stdin.write_all(config.as_bytes());
    drop(stdin);
    let stderr = curl.child.stderr.take().context("curl has no errors")?;
    let mut said = Vec::new();
    let mut is_enough = false;
    for line in BufReader::new(stderr).lines() {
        let line = line.context("read from curl")?;
        let mut parts = line.splitn(4, '\t');
        let [status, name, code, why] = [(); 4].map(|()| parts.next().unwrap_or_default());
        let Some(number) = missing.remove(name) else {
            said.push(line);
            continue;
        };
        // Nobody else's bytes could be written either.
        ensure!(
            code != UNWRITTEN,
            "cannot write {}: {why}",
            folder.join(name).display()
        );
        let result = wanted[number].arrived(&folder.join(name), status, why);
        if result.is_err() {
            // It may never have been made.
            let _ = fs::remove_file(folder.join(name));
        }
        is_enough = ended(number, result)?.is_break();
        if is_enough {
            break;
        }
    }
    // What it has not told of is not whole.
    let end = match is_enough {
        true => String::new(),
        false => curl.end(),
    };
    drop(curl);
    for (name, number) in missing {
        let _ = fs::remove_file(folder.join(name));
        if !is_enough {
            let (url, said) = (&wanted[number].url, said.join("; "));
            let error = anyhow!("{url} was not fetched: {said}{end}");
            is_enough = ended(number, Err(error))?.is_break();
        }
    }
    Ok(())
}

impl Wanted<'_> {
    /// Has curl fetch it into the current folder.
    fn config(&self) -> String {
        let quoted = |text: &str| {
            let text = text.replace('\\', r"\\").replace('"', r#"\""#);
            text.replace('\n', r"\n")
        };
        let (url, name) = (quoted(&self.url), quoted(self.name));
        format!("url = \"{url}\"\noutput = \"{name}\"\n")
    }

    /// Whether what has arrived is what was wanted.
    fn arrived(&self, path: &Path, status: &str, why: &str) -> Result<()> {
        let url = &self.url;
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(": {why}")
        };
        if status == "000" {
            bail!(Unreachable(format!("cannot fetch {url}{why}")));
        }
        ensure!(status.starts_with('2'), "cannot fetch {url}: {status}{why}");
        let size = fs::metadata(path)?.len();
        let all = self.size;
        ensure!(
            size >= all,
            "{url} broke off after {size} of {all} bytes{why}"
        );
        pinned(url, &files::sha256_of_file(path)?, self.sha256)
    }
}

/// The SHA-256 that a list in the format of `sha256sum` has for a file name. Text around the list,
/// such as a signature, is passed over.
pub fn listed_sha256<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.lines().find_map(|line| {
        let (hash, rest) = line.split_once(' ')?;
        let listed = rest.trim_start_matches([' ', '*']);
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hash && listed == name).then_some(hash)
    })
}

/// A download that has begun.
struct Answer<'a> {
    url: &'a str,
    patience: Patience,
    curl: Process,
    stdout: ChildStdout,
}

impl<'a> Answer<'a> {
    fn to(url: &'a str, patience: Patience) -> Result<Self> {
        let seconds = patience.answer.as_secs_f64().to_string();
        let mut curl = Process::start("curl", |command| {
            command
                .args(words(&[OPTIONS, ONE]))
                .args(["--connect-timeout", &seconds, "--url", url])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        })?;
        let stdout = curl.child.stdout.take().context("curl has no output")?;
        Ok(Self {
            url,
            patience,
            curl,
            stdout,
        })
    }

    /// Hands on the body as it comes: the new bytes, how many there are so far, and in all.
    fn read(mut self, mut take: impl FnMut(&[u8], u64, Option<u64>) -> Result<()>) -> Result<()> {
        let (url, patience) = (self.url, self.patience);
        // Heads as long as there is no body: one for each redirect, and the body's own.
        let mut heads = Vec::new();
        let mut all = None;
        let mut count = None;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let silence = match count {
                None => patience.answer * 2,
                Some(_) => patience.silence,
            };
            if !is_ready(&self.stdout, silence)? {
                match count {
                    None => bail!(Unreachable(format!(
                        "cannot fetch {url}: timeout, no answer in {silence:?}"
                    ))),
                    Some(count) => bail!("{url} fell silent for {silence:?} after {count} bytes"),
                }
            }
            let read = self.stdout.read(&mut buffer).context("read from curl")?;
            if read == 0 {
                return self.end(count);
            }
            let mut chunk = &buffer[..read];
            if count.is_none() {
                heads.extend_from_slice(chunk);
                let Some((length, body)) = behind_heads(&heads) else {
                    continue;
                };
                (all, count, chunk) = (length, Some(0), body);
            }
            let so_far = count.unwrap_or_default() + chunk.len() as u64;
            count = Some(so_far);
            if !chunk.is_empty() {
                take(chunk, so_far, all)?;
            }
        }
    }

    /// Says what went wrong, if curl has not got all of it.
    fn end(mut self, count: Option<u64>) -> Result<()> {
        let end = self.curl.end();
        let status = self.curl.ended()?;
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        // It has ended, or is about to be killed; what it has said is short, and waits in the pipe.
        self.curl.kill();
        let mut said = String::new();
        let stderr = self
            .curl
            .child
            .stderr
            .take()
            .context("curl has no errors")?;
        let _ = stderr.take(TEXT_MAX).read_to_string(&mut said);
        let (url, said) = (self.url, said.trim());
        let code = status.and_then(|status| status.code());
        match count {
            None if code.is_some_and(|code| UNREACHABLE.contains(&code)) => {
                bail!(Unreachable(format!("cannot fetch {url}: {said}{end}")))
            }
            None | Some(0) => bail!("cannot fetch {url}: {said}{end}"),
            Some(count) => bail!("{url} broke off after {count} bytes: {said}{end}"),
        }
    }
}

fn words<'a>(lists: &[&'a str]) -> impl Iterator<Item = &'a str> {
    lists.iter().flat_map(|list| list.split_ascii_whitespace())
}

/// Whether the pipe can be read, or has been closed, before so much time has passed.
fn is_ready(pipe: &impl AsFd, silence: Duration) -> Result<bool> {
    let timeout = Timespec::try_from(silence).context("the deadline lies too far away")?;
    loop {
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other.context("wait for curl")? > 0),
        }
    }
}

/// The length of the body that the last head tells, and what is there of the body; `None` as long
/// as there are only heads. Such of redirects and of interim answers have no body that curl shows.
fn behind_heads(printed: &[u8]) -> Option<(Option<u64>, &[u8])> {
    let end = printed.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&printed[..end]).to_lowercase();
    let body = &printed[end + 4..];
    let field = |name| head.lines().find_map(|line| line.strip_prefix(name));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('1') || status.starts_with('3') && field("location:").is_some() {
        return behind_heads(body);
    }
    let length = field("content-length:").and_then(|length| length.trim().parse().ok());
    Some((length, body))
}

fn download(
    url: &str,
    target: &Path,
    patience: Patience,
    mut seen: impl FnMut(u64, Option<u64>),
) -> Result<String> {
    let answer = Answer::to(url, patience)?;
    let mut file = File::create(target)?;
    let mut hash = Sha256::new();
    answer.read(|chunk, count, all| {
        hash.update(chunk);
        file.write_all(chunk)?;
        seen(count, all);
        Ok(())
    })?;
    Ok(files::hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_begins_behind_its_own_head() {
        let moved = "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 9\r\n\r\n";
        let head = "HTTP/2 200 \r\ncontent-length: 4\r\n\r\n";
        let printed = format!("HTTP/1.1 100 Continue\r\n\r\n{moved}{head}\r\n\r\n");
        let found = behind_heads(printed.as_bytes());
        assert_eq!(found, Some((Some(4), b"\r\n\r\n".as_slice())));
        assert_eq!(behind_heads(moved.as_bytes()), None);
        assert_eq!(behind_heads(&head.as_bytes()[..head.len() - 1]), None);
        let bare = b"HTTP/1.0 304 Not Modified\r\n\r\nx";
        assert_eq!(behind_heads(bare), Some((None, b"x".as_slice())));
    }

    #[test]
    fn checksum_is_found_in_a_signed_list() {
        let good = "a".repeat(64);
        let list = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n\
             {}  linux-6.1.1.tar.xz\n{good}  linux-6.1.176.tar.xz\n\
             -----BEGIN PGP SIGNATURE-----\nabc linux-6.1.176.tar.xz\n",
            "b".repeat(64)
        );
        assert_eq!(
            listed_sha256(&list, "linux-6.1.176.tar.xz"),
            Some(good.as_str())
        );
        assert_eq!(listed_sha256(&list, "linux-6.1.tar.xz"), None);
    }
}
