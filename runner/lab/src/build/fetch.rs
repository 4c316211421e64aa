//! Downloads a file over HTTP, hashing it on the way: it is kept only when it is what was wanted.
//!
//! The deadlines are for silence, not for the whole: a large file over a slow line may take its
//! time as long as bytes arrive. The HTTP client only knows deadlines for the whole body, so the
//! body is read by a thread of its own, and it is the silence of that thread that is timed.

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use ureq::Agent;

use crate::build::cache;

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
        if hash == sha256 {
            fs::rename(&partial, target).with_context(|| format!("cannot write {}", target.display()))
        } else {
            bail!("{url} is not the pinned file: its SHA-256 is {hash}, not {sha256}; nothing of it was kept")
        }
    });
    if result.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&partial);
    }
    result
}

/// Fetches a short text, at most a megabyte.
pub fn text(url: &str, patience: Patience) -> Result<String> {
    let mut answer = request(url, patience)?;
    let body = answer
        .body_mut()
        .with_config()
        .limit(1 << 20)
        .read_to_string();
    body.with_context(|| format!("{url} was cut short or is no text"))
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

fn request(url: &str, patience: Patience) -> Result<ureq::http::Response<ureq::Body>> {
    let config = Agent::config_builder()
        .timeout_resolve(Some(patience.answer))
        .timeout_connect(Some(patience.answer))
        .timeout_recv_response(Some(patience.answer))
        .build();
    Agent::new_with_config(config)
        .get(url)
        .call()
        .with_context(|| format!("cannot fetch {url}"))
}

fn download(
    url: &str,
    target: &Path,
    patience: Patience,
    mut seen: impl FnMut(u64, Option<u64>),
) -> Result<String> {
    let answer = request(url, patience)?;
    let all = answer.body().content_length();
    let mut body = answer.into_body().into_reader();
    let mut file =
        File::create(target).with_context(|| format!("cannot write {}", target.display()))?;
    let (sender, receiver) = sync_channel(16);
    // After a silence the thread is left behind: it ends when its read does, or with the process.
    std::thread::spawn(move || {
        loop {
            let chunk = read_chunk(&mut body);
            let last = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
            if sender.send(chunk).is_err() || last {
                return;
            }
        }
    });
    let mut hash = Sha256::new();
    let mut count = 0;
    loop {
        let chunk = match receiver.recv_timeout(patience.silence) {
            Ok(chunk) => chunk.with_context(|| format!("{url} broke off after {count} bytes"))?,
            Err(RecvTimeoutError::Timeout) => {
                bail!(
                    "{url} fell silent for {:?} after {count} bytes",
                    patience.silence
                )
            }
            Err(RecvTimeoutError::Disconnected) => bail!("{url} broke off after {count} bytes"),
        };
        if chunk.is_empty() {
            break;
        }
        hash.update(&chunk);
        file.write_all(&chunk)
            .with_context(|| format!("cannot write {}", target.display()))?;
        count += chunk.len() as u64;
        seen(count, all);
    }
    if all.is_some_and(|all| all != count) {
        bail!(
            "{url} was cut short: {count} bytes came of {}",
            all.unwrap_or_default()
        );
    }
    file.sync_all()
        .with_context(|| format!("cannot write {}", target.display()))?;
    Ok(cache::hex(&hash.finalize()))
}

fn read_chunk(body: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1 << 16];
    let count = body.read(&mut buffer)?;
    buffer.truncate(count);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_found_in_a_signed_list() {
        let good = "a".repeat(64);
        let list = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{}  linux-6.1.1.tar.xz\n{good}  linux-6.1.176.tar.xz\n-----BEGIN PGP SIGNATURE-----\nabc linux-6.1.176.tar.xz\n",
            "b".repeat(64)
        );
        assert_eq!(
            listed_sha256(&list, "linux-6.1.176.tar.xz"),
            Some(good.as_str())
        );
        assert_eq!(listed_sha256(&list, "linux-6.1.tar.xz"), None);
    }
}
