//! Scripts as a step of a chapter: the command `packet` of the host's window.
//!
//! They are played in a machine of their own, which has the chapter's kernel: the chapter's own
//! machine goes at the pace of the book, and an instruction there costs 32 times as much. It is
//! gone when the step ends, and what the chapter's machine does is not touched.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use fs_err as fs;

use super::guest;
use super::judge::Verdict;
use super::outcome::{Outcome, counted};
use super::script::Script;
use crate::build::cache::Cache;
use crate::build::setup::{Lab, Options};
use crate::transcript::packet::Packet;
use crate::transcript::{Output, visible};

/// The private folder as the guest has it, which is what the host's shell calls it: where that
/// really lies must not be seen in what a script does.
const HOME: &str = "/work";

/// The exit status if a script fails, and if one is not understood or not there.
const FAILED: i32 = 1;
const WRONG: i32 = 2;

/// Plays scripts of a private folder on the kernel of `lab`; `root` is the repository's.
///
/// # Errors
/// What keeps the guest from running.
pub fn play(
    packet: &Result<Packet, String>,
    folder: &Path,
    root: &Path,
    lab: &Lab,
) -> anyhow::Result<Output> {
    let packet = match packet {
        Ok(packet) => packet,
        Err(why) => return Ok(refused(format!("packet: {why}\n"))),
    };
    let mut texts = Vec::new();
    for name in &packet.scripts {
        match read(folder, name) {
            Ok(text) => texts.push(text),
            Err(why) => return Ok(refused(format!("packet: cannot read {name}: {why}\n"))),
        }
    }
    let mut outcomes = BTreeMap::new();
    let (mut understood, mut places) = (Vec::new(), Vec::new());
    for (place, (name, text)) in packet.scripts.iter().zip(&texts).enumerate() {
        match Script::parse(&folder.join(name), text, &guest::defined()) {
            Ok(script) => {
                understood.push(script);
                places.push(place);
            }
            Err(fault) => {
                outcomes.insert(place, Outcome::Beyond(fault));
            }
        }
    }
    if !understood.is_empty() {
        let options = Options {
            repository: root.to_owned(),
            series: crate::SERIES.to_owned(),
            kernel_source: None,
            host_tools: false,
            mirror: None,
            cache: Cache::at(&lab.cache),
        };
        let moved = Some((folder, Path::new(HOME)));
        let verdicts = guest::run(&understood, &options, lab, &lab.kernel.bzimage, moved)
            .context("perform the scripts")?;
        outcomes.extend(
            places
                .into_iter()
                .zip(verdicts.into_iter().map(Outcome::Judged)),
        );
    }
    let mut stdout = String::new();
    for (place, outcome) in &outcomes {
        if packet.show {
            stdout += &Outcome::shown(&texts[*place]);
        }
        stdout += &outcome.told(Path::new(&packet.scripts[*place]));
    }
    stdout += &counted(outcomes.values());
    let status = outcomes.values().map(|outcome| match outcome {
        Outcome::Judged(Verdict::Pass { .. }) => 0,
        Outcome::Judged(Verdict::Fail { .. }) => FAILED,
        Outcome::Beyond(_) => WRONG,
    });
    Ok(Output {
        stdout: visible(stdout.as_bytes()),
        status: status.max().unwrap_or(0),
        ..Output::default()
    })
}

/// The text of a script, which lies in the private folder: a link may lead to what the programs of
/// the lab do not see.
fn read(folder: &Path, name: &str) -> Result<String, String> {
    let is_inside = || {
        let path = folder.join(name).canonicalize()?;
        Ok(path.starts_with(folder.canonicalize()?).then_some(path))
    };
    let found = is_inside().map_err(|error: std::io::Error| error.kind().to_string())?;
    let path = found.ok_or("it does not lie in the host's folder")?;
    let bytes = fs::read(path).map_err(|error| error.kind().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn refused(why: String) -> Output {
    Output {
        stderr: why,
        status: WRONG,
        ..Output::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_the_folder_is_read() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("private");
        fs::create_dir_all(folder.join("packets")).unwrap();
        fs::write(folder.join("packets/a.pkt"), "0 `true`").unwrap();
        fs::write(outer.path().join("b.pkt"), "secret").unwrap();
        std::os::unix::fs::symlink("../../b.pkt", folder.join("packets/link.pkt")).unwrap();
        assert_eq!(read(&folder, "packets/a.pkt"), Ok("0 `true`".to_owned()));
        let outside = Err("it does not lie in the host's folder".to_owned());
        for name in ["../b.pkt", "packets/link.pkt", "/proc/self/environ"] {
            assert_eq!(read(&folder, name), outside, "{name}");
        }
        let absent = Err("entity not found".to_owned());
        assert_eq!(read(&folder, "packets/absent.pkt"), absent);
    }
}
