//! A command of the host's window that the shell does not get: `packet [--show] SCRIPT…` plays
//! packet scripts on the chapter's kernel.

use crate::transcript::words;

/// Its first word.
const NAME: &str = "packet";
/// What has each script printed before it is played.
const SHOW: &str = "--show";
/// The folder of the book's scripts, in the repository and in the host's folder.
pub const FOLDER: &str = "packets";

/// What is to be played.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whether each script is shown, too.
    pub show: bool,
    /// The files, from the host's folder.
    pub scripts: Vec<String>,
}

impl Packet {
    /// Reads a command; `None` if it is another one, for the shell.
    #[must_use]
    pub fn parse(command: &str) -> Option<Result<Self, String>> {
        let behind = command.trim_start().strip_prefix(NAME)?;
        if !(behind.is_empty() || behind.starts_with(char::is_whitespace)) {
            return None;
        }
        Some(Self::of_words(behind))
    }

    fn of_words(behind: &str) -> Result<Self, String> {
        let usage = format!(
            "expected {NAME} [{SHOW}] {FOLDER}/SCRIPT.pkt…, which the runner reads and no shell"
        );
        let words = words::split(behind).map_err(|_| usage.clone())?;
        let (options, scripts): (Vec<String>, Vec<String>) =
            words.into_iter().partition(|word| word.starts_with('-'));
        if scripts.is_empty() || options.iter().any(|option| option != SHOW) {
            return Err(usage);
        }
        let show = !options.is_empty();
        Ok(Self { show, scripts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_from_commands_of_the_shell() {
        for command in ["packets/a.pkt", "packetdrill a", "cat packets/a.pkt", ""] {
            assert_eq!(Packet::parse(command), None, "{command}");
        }
        let read = |command| Packet::parse(command).unwrap();
        let scripts = vec!["packets/a.pkt".to_owned(), "b c".to_owned()];
        let (show, all) = (true, scripts.clone());
        assert_eq!(
            read("packet packets/a.pkt 'b c'"),
            Ok(Packet {
                show: false,
                scripts
            })
        );
        assert_eq!(
            read("packet --show packets/a.pkt 'b c'"),
            Ok(Packet { show, scripts: all })
        );
        for wrong in [
            "packet",
            "packet --show",
            "packet --all a",
            "packet a | head",
        ] {
            assert!(
                read(wrong)
                    .unwrap_err()
                    .contains("packet [--show] packets/"),
                "{wrong}"
            );
        }
    }
}
