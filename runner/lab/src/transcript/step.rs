//! A step: one command, typed in one terminal, at one place of a chapter.
//!
//! `6.3 status=1 guest ping -c 1 10.0.3.9` is written in a chapter as `<!-- cmdrun runner show 6.3
//! status=1 guest ping -c 1 10.0.3.9 -->`. The words between the number and the terminal are the
//! only options a step has.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::transcript::packet::Packet;
use crate::transcript::words;

/// How long a step may take in real time when it does not say otherwise.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The longest deadline: a day, in seconds.
const DEADLINE_MAX: u64 = 24 * 60 * 60;

/// The reader's handle of a step: chapter and number, `6.3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId {
    /// The chapter's number, from its file's name.
    pub chapter: u32,
    /// The step's number in the chapter, from 1, without gaps.
    pub number: u32,
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.chapter, self.number)
    }
}

impl FromStr for StepId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (chapter, number) = text.split_once('.').unwrap_or((text, ""));
        match (chapter.parse(), number.parse()) {
            (Ok(chapter), Ok(number)) => Ok(Self { chapter, number }),
            _ => Err(format!(
                "`{text}` is no step; a step is CHAPTER.NUMBER, such as 6.3"
            )),
        }
    }
}

/// Where the reader would type a step's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Terminal {
    /// A shell on the reader's machine, in the folder of the lab.
    Host,
    /// A shell in the guest.
    Guest,
    /// A second shell in the guest, in a network namespace of its own.
    Server,
    /// The debugger, attached to the guest's kernel.
    Gdb,
    /// A tcpdump on the wire between the guest's network cards.
    Wire,
    /// A shell in the lab's network: the host's end of the tap.
    Lab,
}

/// When a step ends, if not with its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// When the command has ended.
    End,
    /// When it is quiet; the command goes on.
    Quiet,
    /// When the window has printed a line with this text; the command goes on.
    Text(String),
}

impl Terminal {
    /// Every terminal, in the order in which messages list them.
    pub const ALL: [Self; 6] = [
        Self::Host,
        Self::Guest,
        Self::Server,
        Self::Gdb,
        Self::Wire,
        Self::Lab,
    ];

    /// The word that names the terminal in a directive.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Guest => "guest",
            Self::Server => "server",
            Self::Gdb => "gdb",
            Self::Wire => "wire",
            Self::Lab => "lab",
        }
    }

    /// The terminal that a word names.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|terminal| terminal.word() == word)
    }

    /// The prompt that the page and the replay show before a command.
    #[must_use]
    pub fn prompt(self) -> &'static str {
        match self {
            Self::Host => "host$",
            Self::Guest => "guest#",
            Self::Server => "server#",
            Self::Gdb => "(gdb)",
            Self::Wire => "wire$",
            Self::Lab => "lab#",
        }
    }

    /// Whether it is a shell in the guest, to which the agent types.
    #[must_use]
    pub fn is_in_guest(self) -> bool {
        matches!(self, Self::Guest | Self::Server)
    }
}

impl fmt::Display for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One command of a chapter, and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// Where it is typed.
    pub terminal: Terminal,
    /// What is typed; empty for a look at what the terminal has printed since its last step.
    pub command: String,
    /// When the step ends.
    pub until: Until,
    /// The exit status that the chapter expects.
    pub status: i32,
    /// How long the step may take in real time.
    pub deadline: Duration,
    /// The page shows this many lines of the beginning, and folds what is neither first nor last.
    pub first: Option<usize>,
    /// The page shows this many lines of the end.
    pub last: Option<usize>,
    /// The page shows the lines that hold one of these texts.
    pub keep: Vec<String>,
    /// The line of the chapter's file that holds the directive, from 1.
    pub line: usize,
}

impl Step {
    /// Reads the words behind `runner show`.
    ///
    /// # Errors
    /// What is wrong with the words, and what would be right; without the place, which the caller
    /// knows.
    pub fn parse(words: &[String], line: usize) -> Result<Self, String> {
        let (id, rest) = words
            .split_first()
            .ok_or("a step needs its number, a terminal and a command: 6.3 guest ip route")?;
        let mut step = Self {
            line,
            ..Self::typed(id.parse()?, Terminal::Host, "")
        };
        let mut rest = rest.iter();
        for word in rest.by_ref() {
            if let Some(terminal) = Terminal::named(word) {
                step.terminal = terminal;
                check_order(terminal, rest.as_slice())?;
                step.command = rest.map(String::as_str).collect::<Vec<_>>().join(" ");
                return step.checked();
            }
            step.option(word)?;
        }
        Err(format!(
            "step {} names no terminal; the terminals are {}",
            step.id,
            terminals()
        ))
    }

    /// A step as somebody types it at a prompt; the empty command is a look. In a shell of the
    /// machine's, `&` at the end lets the command go on.
    #[must_use]
    pub fn typed(id: StepId, terminal: Terminal, command: &str) -> Self {
        let goes_on = command
            .trim_end()
            .strip_suffix('&')
            .filter(|rest| !rest.ends_with(['&', '\\']) && !rest.trim().is_empty());
        let (command, until) = match goes_on {
            Some(rest) if terminal.is_in_guest() || terminal == Terminal::Lab => {
                (rest.trim_end(), Until::Quiet)
            }
            _ => (command, Until::End),
        };
        Self {
            id,
            terminal,
            command: command.to_owned(),
            until,
            status: 0,
            deadline: DEADLINE,
            first: None,
            last: None,
            keep: Vec::new(),
            line: 0,
        }
    }

    /// The step as a line of a chapter.
    #[must_use]
    pub fn directive(&self) -> String {
        let Self {
            id,
            terminal,
            command,
            status,
            ..
        } = self;
        let mut options = String::new();
        match &self.until {
            Until::End => {}
            Until::Quiet => options += "background ",
            Until::Text(text) => {
                options += &format!("{} ", words::quote_word(&format!("until={text}")));
            }
        }
        if *status != 0 {
            options += &format!("status={status} ");
        }
        let command = match &**command {
            "" => String::new(),
            command => {
                let read = words::split(command).unwrap_or_default();
                match check_order(*terminal, &read) {
                    Ok(()) => format!(" {}", words::quote(command)),
                    Err(_) => format!(" {}", words::quote_word(command)),
                }
            }
        };
        format!("<!-- cmdrun runner show {id} {options}{terminal}{command} -->")
    }

    /// Whether the guest's agent has a part in it: it types, or waits for a text.
    #[must_use]
    pub fn is_typed_by_agent(&self) -> bool {
        let is_waiting_look = matches!(self.until, Until::Text(_));
        self.terminal.is_in_guest() && (!self.command.is_empty() || is_waiting_look)
    }

    /// The scripts that it plays on the chapter's kernel, if it does that; or what is wrong with
    /// its words.
    #[must_use]
    pub fn packet(&self) -> Option<Result<Packet, String>> {
        match self.terminal {
            Terminal::Host => Packet::parse(&self.command),
            _ => None,
        }
    }

    /// Refuses what cannot be asked of the step's terminal.
    fn checked(self) -> Result<Self, String> {
        if let Some(packet) = self.packet() {
            packet?;
        }
        let goes_on = self.until != Until::End;
        if goes_on && !(self.terminal.is_in_guest() || self.terminal == Terminal::Lab) {
            return Err(format!(
                "only guest, server and lab have commands that go on; {} has no background and no until=",
                self.terminal
            ));
        }
        if self.until == Until::Quiet && self.command.is_empty() {
            return Err("background needs a command that goes on".to_owned());
        }
        Ok(self)
    }

    fn option(&mut self, word: &str) -> Result<(), String> {
        if word == "background" {
            self.until = Until::Quiet;
            return Ok(());
        }
        let (name, value) = word.split_once('=').ok_or_else(|| {
            format!(
                "`{word}` is no terminal; the terminals are {}, and before them may stand \
                 background, until=, status=, deadline=, first=, last= or keep=",
                terminals()
            )
        })?;
        if let "until" | "keep" = name {
            if value.is_empty() || value.contains('\n') {
                return Err(format!("`{word}`: the text is a part of a line"));
            }
            match name {
                "until" => self.until = Until::Text(value.to_owned()),
                _ => self.keep.push(value.to_owned()),
            }
            return Ok(());
        }
        let number: u64 = value
            .parse()
            .map_err(|_| format!("`{word}`: `{value}` is not a whole number"))?;
        match name {
            "status" if number < 256 => self.status = number as i32,
            "status" => return Err(format!("`{word}`: an exit status is at most 255")),
            "deadline" if (1..=DEADLINE_MAX).contains(&number) => {
                self.deadline = Duration::from_secs(number);
            }
            "deadline" => {
                return Err(format!(
                    "`{word}`: a deadline is a number of seconds from 1 to {DEADLINE_MAX}, a day"
                ));
            }
            "first" => self.first = Some(number as usize),
            "last" => self.last = Some(number as usize),
            _ => {
                return Err(format!(
                    "`{word}` is no option of a step; there are background, until= (text), status=, \
                     deadline= (seconds), first= and last= (lines shown) and keep= (text of lines shown)"
                ));
            }
        }
        Ok(())
    }
}

/// Refuses an option of the step behind the terminal, where it would be taken for the beginning of
/// the command. It may be one in quotes, together with what follows; and an assignment alone is a
/// command of a shell.
fn check_order(terminal: Terminal, behind: &[String]) -> Result<(), String> {
    let Some((word, rest)) = behind.split_first() else {
        return Ok(());
    };
    let is_shell = !matches!(terminal, Terminal::Gdb | Terminal::Wire);
    let is_quoted = word.contains(char::is_whitespace);
    let is_option = match word.split_once('=') {
        Some(("until" | "keep", _)) => !(rest.is_empty() && (is_shell || is_quoted)),
        Some(("status" | "deadline" | "first" | "last", _)) => {
            !(is_quoted || is_shell && rest.is_empty())
        }
        Some(_) => false,
        None => word == "background",
    };
    if !is_option {
        return Ok(());
    }
    let option = words::quote_word(word);
    Err(format!(
        "`{option}` behind `{terminal}` would be a part of the command; an option of the step \
         stands before its terminal: {option} {terminal} {}",
        if rest.is_empty() { "…" } else { &rest[0] }
    ))
}

fn terminals() -> String {
    Terminal::ALL.map(Terminal::word).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Step, String> {
        Step::parse(&crate::transcript::words::split(line).unwrap(), 1)
    }

    #[test]
    fn a_step_has_options_a_terminal_and_a_command() {
        let words =
            "6.3 status=1 deadline=90 last=3 keep=via keep='dev lo' guest 'ip route | head'";
        let step = parse(words).unwrap();
        assert_eq!((step.id.chapter, step.id.number), (6, 3));
        assert_eq!(step.terminal, Terminal::Guest);
        assert_eq!(step.command, "ip route | head");
        assert_eq!(
            (step.status, step.deadline.as_secs(), step.last),
            (1, 90, Some(3))
        );
        assert_eq!(step.keep, ["via", "dev lo"]);
    }

    #[test]
    fn a_step_without_a_command_is_a_look() {
        assert_eq!(parse("6.3 gdb").unwrap().command, "");
    }

    #[test]
    fn a_command_may_go_on() {
        let step = parse("6.3 until='is up' server 'serve 9090'").unwrap();
        assert_eq!(step.until, Until::Text("is up".to_owned()));
        let directive = "<!-- cmdrun runner show 6.3 'until=is up' server serve 9090 -->";
        assert_eq!(step.directive(), directive);
        assert_eq!(step.command, "serve 9090");
        let step = parse("6.3 background guest serve").unwrap();
        assert_eq!(step.until, Until::Quiet);
        assert_eq!(parse("6.3 guest ls").unwrap().until, Until::End);
    }

    #[test]
    fn what_can_be_a_command_is_one() {
        for (line, command) in [
            ("6.3 guest 'status=1 ping'", "status=1 ping"),
            ("6.3 guest status=1", "status=1"),
            ("6.3 host 'background job'", "background job"),
            ("6.3 gdb until 5", "until 5"),
            ("6.3 'until=is up' server serve", "serve"),
            ("6.3 server nc background", "nc background"),
            ("6.3 guest x=1 y", "x=1 y"),
        ] {
            let step = parse(line).unwrap();
            assert_eq!(step.command, command, "{line}");
            let directive = step.directive();
            let words = directive.strip_prefix("<!-- cmdrun runner show ").unwrap();
            let again = parse(words.strip_suffix(" -->").unwrap()).unwrap();
            assert_eq!(again, step, "{directive}");
        }
    }

    #[test]
    fn errors_say_what_would_be_right() {
        for (line, part) in [
            ("", "needs its number"),
            ("six guest ls", "`six` is no step"),
            (
                "6.3 gust ls",
                "`gust` is no terminal; the terminals are host, guest, server, gdb",
            ),
            (
                "6.3 stat=1 guest ls",
                "no option of a step; there are background, until= (text), status=",
            ),
            ("6.3 status=x guest ls", "`x` is not a whole number"),
            ("6.3 status=256 guest ls", "at most 255"),
            ("6.3 deadline=0 guest ls", "from 1 to 86400"),
            (
                "6.3 deadline=18446744073709551615 guest ls",
                "from 1 to 86400",
            ),
            ("6.3 status=1", "names no terminal"),
            ("6.3 until= guest ls", "a part of a line"),
            ("6.3 keep= guest ls", "a part of a line"),
            ("6.3 background gdb continue", "gdb has no background"),
            ("6.3 background guest", "needs a command"),
            (
                "6.3 host 'packet packets/a.pkt | tail -1'",
                "which the runner reads and no shell",
            ),
            (
                "6.3 server background nc -l -p 9",
                "`background` behind `server` would be a part of the command; an option of the step \
                 stands before its terminal: background server nc",
            ),
            (
                "6.3 guest status=1 ping",
                "stands before its terminal: status=1 guest ping",
            ),
            (
                "6.3 lab 'until=is up' nc",
                "stands before its terminal: 'until=is up' lab nc",
            ),
            (
                "6.3 gdb deadline=90",
                "stands before its terminal: deadline=90 gdb …",
            ),
            (
                "6.3 guest background",
                "stands before its terminal: background guest …",
            ),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
