//! What the kernel shows in the guest's file systems: `/proc`, sysctl, `/sys` and tracepoints.
//!
//! The guest is booted once, by a chapter of one step that stands in no file, and what it lists is
//! kept. Folders of processes are left out but for that of the one who asks, as `/proc/self`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Kind, Name, cached};
use lab::build::cache::{Cache, Inputs};
use lab::build::setup::Lab;
use lab::replay::{Otherwise, replay};
use lab::system::files;
use lab::system::process::Signals;
use lab::system::progress::Stage;
use lab::transcript::script::Script;
use lab::transcript::step::Step;

/// Lists all that is of interest. `/proc/net` is a link into a process.
const LIST: &str = "find /proc /sys -path \"/proc/[0-9]*\" -prune -o -print; \
                    find /proc/self/ /proc/net/ -maxdepth 3; cat \
                    /sys/kernel/tracing/available_events";

const KIND: &str = "guest-names";

/// The lines of the index that the guest knows.
///
/// # Errors
/// When the guest cannot be booted, or lists nothing.
pub fn ready(root: &Path, cache: &Cache, lab: &Lab) -> Result<String> {
    let inputs = Inputs::new()
        .with("list", LIST)
        .with("kernel", &lab.kernel.sha256)
        .with("initramfs", files::sha256_of_file(&lab.initramfs)?);
    let waiting = "files of the guest: another run lists them, waiting";
    cached(cache, KIND, &inputs, waiting, || {
        let stage = Stage::begin("list the files of the guest");
        let lines = Vec::from_iter(lines(&listing(root, lab)?));
        stage.done();
        Ok(lines.join("\n") + "\n")
    })
}

/// What the guest prints.
fn listing(root: &Path, lab: &Lab) -> Result<String> {
    let words = ["0.1", "deadline=300", "guest"].map(str::to_owned);
    let mut step = Step::parse(&words, 1).map_err(anyhow::Error::msg)?;
    step.command = format!("{LIST} 2>/dev/null; true");
    let script = Script {
        path: Path::new("names of the guest"),
        steps: &[step],
    };
    let signals = Signals::catch()?;
    let transcript = replay(
        root,
        script,
        1,
        lab,
        Otherwise::Fails,
        &signals,
        &mut |_| {},
    )
    .context("ask a guest which files its kernel shows")?;
    Ok(transcript.records[0].output.stdout.clone())
}

/// The lines of the index for a listing: paths, and tracepoints.
fn lines(listing: &str) -> BTreeSet<String> {
    listing.lines().filter_map(line).collect()
}

fn line(found: &str) -> Option<String> {
    let text = found.trim_end_matches('/').replace("//", "/");
    let kind = if text.starts_with("/proc/sys/") {
        Kind::Sysctl
    } else if text.starts_with('/') {
        Kind::GuestFile
    } else if text.contains(':') {
        Kind::Tracepoint
    } else {
        return None;
    };
    Some(Name::new(&text, kind, "").line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_becomes_names() {
        let listing = "/proc\n/proc/net/\n/proc/net//arp\n/proc/sys/net/ipv4/ip_forward\n\
                       tcp:tcp_probe\nnot a name\n";
        let found: Vec<_> = lines(listing)
            .iter()
            .map(|line| line.replace('\t', " ").trim_end().to_owned())
            .collect();
        let expected = [
            "/proc guest file",
            "/proc/net guest file",
            "/proc/net/arp guest file",
            "/proc/sys/net/ipv4/ip_forward sysctl",
            "tcp:tcp_probe tracepoint",
        ];
        assert_eq!(found, expected);
    }
}
