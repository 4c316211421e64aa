//! A window: what its shell does, and what it has printed since somebody looked.

use crate::transcript::step::{StepId, Until};
use crate::transcript::{Output, visible};

/// The most that a step may print, in bytes.
pub const OUTPUT_MAX: usize = 1 << 20;

/// What the shell does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Busy(StepId),
    /// The command has ended, and no step has shown it.
    Ended {
        id: StepId,
        status: i32,
        guest_ns: Option<u64>,
    },
}

/// A window.
#[derive(Debug, Default)]
pub struct Window {
    state: State,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// How much of what the command printed was shown while it ran, in bytes.
    shown: usize,
    gone: bool,
}

/// Is told of a step's window whenever something may have been printed in it while the step runs.
pub type Watch<'a> = &'a mut dyn FnMut(&mut Window);

impl Window {
    /// The step whose command runs, or has ended unseen.
    #[must_use]
    pub fn taken_by(&self) -> Option<StepId> {
        match self.state {
            State::Idle => None,
            State::Busy(id) | State::Ended { id, .. } => Some(id),
        }
    }

    /// Whether a command runs.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Busy(_))
    }

    /// Whether a command has ended, and no step has shown it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// Whether the shell itself has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// The step's command was typed.
    pub fn begin(&mut self, id: StepId) {
        self.state = State::Busy(id);
        self.shown = 0;
    }

    /// The command has ended, at this time of the guest's clock if it ran there.
    pub fn end(&mut self, status: i32, guest_ns: Option<u64>) {
        if let State::Busy(id) = self.state {
            self.state = State::Ended {
                id,
                status,
                guest_ns,
            };
        }
    }

    /// The shell has ended.
    pub fn leave(&mut self) {
        self.gone = true;
    }

    /// Takes in what was printed, to standard output or to standard error.
    pub fn print(&mut self, to_stderr: bool, bytes: &[u8]) {
        if to_stderr {
            self.stderr.extend(bytes);
        } else {
            self.stdout.extend(bytes);
        }
    }

    /// How much nobody has seen, in bytes.
    #[must_use]
    pub fn unseen_bytes(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    /// Whether the command has printed more than [`OUTPUT_MAX`].
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.shown + self.unseen_bytes() > OUTPUT_MAX
    }

    /// Drops what nobody has seen of a flood.
    pub fn forget_flood(&mut self) {
        if self.is_flooded() {
            self.stdout.clear();
            self.stderr.clear();
            self.shown = 0;
        }
    }

    /// Takes the whole lines that the command has printed by now, to show them while it runs. The
    /// step's look shows the rest.
    pub fn take_lines(&mut self) -> Output {
        let [stdout, stderr] = [&mut self.stdout, &mut self.stderr].map(|bytes| {
            let whole = bytes
                .iter()
                .rposition(|b| *b == b'\n')
                .map_or(0, |at| at + 1);
            self.shown += whole;
            visible(&bytes.drain(..whole).collect::<Vec<_>>())
        });
        Output {
            stdout,
            stderr,
            ..Output::default()
        }
    }

    /// Whether there is something that a reader would miss: output, or a command that failed.
    #[must_use]
    pub fn has_unseen(&self) -> bool {
        let failed = matches!(self.state, State::Ended { status, .. } if status != 0);
        failed || self.unseen_bytes() > 0
    }

    /// Whether a whole line with `text` is among what nobody has seen.
    #[must_use]
    pub fn shows(&self, text: &str) -> bool {
        [&self.stdout, &self.stderr].into_iter().any(|bytes| {
            let mut lines = bytes.split_inclusive(|b| *b == b'\n');
            lines.any(|line| line.ends_with(b"\n") && String::from_utf8_lossy(line).contains(text))
        })
    }

    /// What a step shows of the window. A step that waited for a text shows the lines up to that
    /// with the text, so that it shows the same however the output was cut on its way.
    pub fn look(&mut self, until: &Until) -> Output {
        let mut output = Output::default();
        if let Until::Text(text) = until {
            output.stdout = visible(&take_through(&mut self.stdout, text));
            output.stderr = visible(&take_through(&mut self.stderr, text));
        } else {
            output.stdout = visible(&std::mem::take(&mut self.stdout));
            output.stderr = visible(&std::mem::take(&mut self.stderr));
        }
        if let State::Ended {
            status, guest_ns, ..
        } = self.state
            && self.unseen_bytes() == 0
        {
            output.status = status;
            output.guest_ns = guest_ns;
            self.state = State::Idle;
        }
        output
    }
}

/// Takes the lines up to and with the first that holds `text`, or all when none does.
pub fn take_through(bytes: &mut Vec<u8>, text: &str) -> Vec<u8> {
    let mut taken = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        taken += line.len();
        if String::from_utf8_lossy(line).contains(text) {
            break;
        }
    }
    bytes.drain(..taken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: StepId = StepId {
        chapter: 6,
        number: 2,
    };

    #[test]
    fn a_look_shows_each_byte_once_and_frees_the_window_at_the_end() {
        let mut window = Window::default();
        window.begin(ID);
        window.print(false, b"a\n");
        assert_eq!(window.look(&Until::Quiet).stdout, "a\n");
        assert_eq!(window.taken_by(), Some(ID));
        assert!(!window.has_unseen());
        window.end(1, Some(7));
        assert!(window.has_unseen(), "a failure is something to see");
        assert_eq!(window.look(&Until::End).status, 1);
        assert_eq!(window.taken_by(), None);
    }

    #[test]
    fn lines_that_were_shown_while_the_command_ran_are_not_shown_again_and_count() {
        let mut window = Window::default();
        window.begin(ID);
        window.print(false, b"one\ntw");
        assert_eq!(window.take_lines().stdout, "one\n");
        assert_eq!(window.take_lines(), Output::default());
        window.print(false, b"o\nthree");
        window.print(true, b"oh\n");
        let lines = window.take_lines();
        assert_eq!((&*lines.stdout, &*lines.stderr), ("two\n", "oh\n"));
        window.end(3, None);
        let rest = window.look(&Until::End);
        assert_eq!((&*rest.stdout, rest.status), ("three", 3));
        window.begin(ID);
        for _ in 0..=OUTPUT_MAX / 8 {
            assert!(!window.is_flooded());
            window.print(false, b"1234567\n");
            window.take_lines();
        }
        assert!(window.is_flooded());
        window.begin(ID);
        assert!(!window.is_flooded());
    }

    #[test]
    fn what_comes_behind_the_awaited_line_is_for_the_next_look() {
        let mut window = Window::default();
        window.begin(ID);
        window.print(false, b"one\ntwo up\nthree\n");
        window.end(0, Some(7));
        let until = Until::Text("up".to_owned());
        assert_eq!(window.look(&until).stdout, "one\ntwo up\n");
        assert!(window.taken_by().is_some());
        assert_eq!(window.look(&Until::End).stdout, "three\n");
        assert_eq!(window.taken_by(), None);
    }
}
