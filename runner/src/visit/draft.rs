//! What a reader has typed behind a chapter's step, as a draft of the steps that follow it.
//!
//! Pure. A draft holds only what a replay repeats: it ends where something happened at a moment of
//! the real clock.

use lab::machine::gdb::Gdb;
use lab::transcript::step::{Step, StepId, Terminal};

/// The steps.
#[derive(Debug)]
pub struct Draft {
    /// The step of the chapter behind which they were typed.
    pub behind: StepId,
    steps: Vec<Step>,
    /// How many of them a replay repeats, if not all.
    repeatable: Option<usize>,
    /// Whether the chapter itself has loaded the kernel's own commands for gdb by then.
    has_scripts: bool,
}

impl Draft {
    /// An empty draft behind `before`, the steps of the chapter that have run; `none` is the number
    /// where there is none.
    #[must_use]
    pub fn new(before: &[Step], none: StepId) -> Self {
        let loads = |step: &Step| step.terminal == Terminal::Gdb && step.command == Gdb::SCRIPTS;
        Self {
            behind: before.last().map_or(none, |step| step.id),
            steps: Vec::new(),
            repeatable: None,
            has_scripts: before.iter().any(loads),
        }
    }

    /// The number of the next step.
    #[must_use]
    pub fn next_id(&self) -> StepId {
        self.id(self.steps.len())
    }

    /// Takes in a step that was typed.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Says that the next step, and so all behind it, cannot be repeated; tells whether that is
    /// new.
    pub fn stop(&mut self) -> bool {
        let new = self.repeatable.is_none();
        self.repeatable.get_or_insert(self.steps.len());
        new
    }

    /// How many steps a replay cannot repeat.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.steps.len() - self.kept().len()
    }

    /// The steps as a chapter has them, numbered behind the chapter's, and how many they are. gdb
    /// loads the kernel's own commands before the first of them, as it has done for the reader.
    #[must_use]
    pub fn text(&self) -> (String, usize) {
        let mut steps: Vec<Step> = self.kept().to_vec();
        let uses = steps.iter().position(uses_scripts);
        if let (Some(at), false) = (uses, self.has_scripts) {
            let loads = Step::typed(self.behind, Terminal::Gdb, Gdb::SCRIPTS);
            steps.insert(at, loads);
        }
        let lines = steps.iter_mut().enumerate().map(|(index, step)| {
            step.id = self.id(index);
            step.directive() + "\n"
        });
        let lines: String = lines.collect();
        (format!("```console\n{lines}```\n"), steps.len())
    }

    fn kept(&self) -> &[Step] {
        &self.steps[..self.repeatable.unwrap_or(self.steps.len())]
    }

    fn id(&self, index: usize) -> StepId {
        StepId {
            number: self.behind.number + 1 + u32::try_from(index).unwrap_or(u32::MAX - 1),
            ..self.behind
        }
    }
}

/// Whether gdb knows the command from the kernel's scripts: `lx-ps`, `print $lx_current().comm`.
fn uses_scripts(step: &Step) -> bool {
    step.terminal == Terminal::Gdb
        && (step.command.contains("lx-") || step.command.contains("$lx_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use book::chapter::Chapter;

    const AT: StepId = StepId {
        chapter: 6,
        number: 4,
    };

    fn step(number: u32, terminal: Terminal, command: &str) -> Step {
        let id = StepId { number, ..AT };
        Step::typed(id, terminal, command)
    }

    fn typed(draft: &mut Draft, terminal: Terminal, command: &str) {
        let step = Step::typed(draft.next_id(), terminal, command);
        draft.push(step);
    }

    #[test]
    fn what_was_typed_comes_back_from_the_chapter() {
        let before: Vec<Step> = (1..=4).map(|n| step(n, Terminal::Guest, "true")).collect();
        let mut draft = Draft::new(&before, AT);
        let commands = [
            (
                Terminal::Guest,
                r#"echo 'it'"'"'s' "$HOME" \n ü  <!-- x -->"#,
            ),
            (Terminal::Guest, "sleep 9 &"),
            (Terminal::Gdb, "print a-->b"),
            (Terminal::Gdb, "lx-ps"),
            (Terminal::Server, ""),
        ];
        for (terminal, command) in commands {
            typed(&mut draft, terminal, command);
        }
        let (text, count) = draft.text();
        assert_eq!(count, 6, "{text}");
        let own: String = before.iter().map(|step| step.directive() + "\n").collect();
        let whole = format!("```console\n{own}```\n\n{text}");
        let chapter = Chapter::parse("chapters/06-x.md".as_ref(), &whole).unwrap();
        let read: Vec<_> = chapter.steps[4..]
            .iter()
            .map(|step| (step.terminal, &*step.command))
            .collect();
        assert_eq!(read[0], commands[0]);
        assert_eq!(read[1], (Terminal::Guest, "sleep 9"));
        assert_eq!(read[2], commands[2]);
        assert_eq!(read[3], (Terminal::Gdb, Gdb::SCRIPTS));
        assert_eq!(read[4..], commands[3..]);
        assert_eq!(chapter.steps[5].until, lab::transcript::step::Until::Quiet);
    }

    #[test]
    fn a_draft_ends_where_it_cannot_be_repeated() {
        let loads = step(4, Terminal::Gdb, Gdb::SCRIPTS);
        let mut draft = Draft::new(&[loads], AT);
        typed(&mut draft, Terminal::Gdb, "lx-ps");
        assert!(draft.stop());
        typed(&mut draft, Terminal::Guest, "nc -l");
        assert!(!draft.stop());
        typed(&mut draft, Terminal::Gdb, "backtrace");
        assert_eq!(draft.left_out(), 2);
        let expected = "```console\n<!-- cmdrun runner show 6.5 gdb lx-ps -->\n```\n";
        assert_eq!(draft.text(), (expected.to_owned(), 1));
    }
}
