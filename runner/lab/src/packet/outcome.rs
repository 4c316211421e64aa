//! What became of a script, in words.

use std::fmt::Write as _;
use std::path::Path;

use super::judge::Verdict;
use super::script::Fault;

/// What became of a script.
#[derive(Debug)]
pub enum Outcome {
    /// It says what is not understood, so it was not performed.
    Beyond(Fault),
    /// It was performed.
    Judged(Verdict),
}

impl Outcome {
    /// It in lines, for the script of this name.
    #[must_use]
    pub fn told(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Judged(Verdict::Pass { off_us }) => {
                let off_ms = *off_us as f64 / 1000.0;
                format!("pass    {path} ({off_ms:.3} ms off at most)\n")
            }
            Self::Judged(Verdict::Fail {
                place,
                what,
                complaints,
            }) => {
                let mut text = format!("fail    {path}:{place}: {what}\n");
                for line in complaints {
                    let _ = writeln!(text, "  before, a command said: {line}");
                }
                text
            }
            Self::Beyond(fault) => format!("beyond  {path}:{}: {}\n", fault.place, fault.message),
        }
    }

    /// A script as it is shown, with the numbers of its lines.
    #[must_use]
    pub fn shown(script: &str) -> String {
        let lines = script.lines().zip(1..);
        lines.fold(String::new(), |mut text, (line, number)| {
            let _ = writeln!(text, "{}", format!("{number:>4}  {line}").trim_end());
            text
        })
    }
}

/// How many of the scripts there are, and how many of each kind; nothing of a single one.
#[must_use]
pub fn counted<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    let [mut passed, mut failed, mut beyond] = [0; 3];
    for outcome in outcomes {
        *match outcome {
            Outcome::Judged(Verdict::Pass { .. }) => &mut passed,
            Outcome::Judged(Verdict::Fail { .. }) => &mut failed,
            Outcome::Beyond(_) => &mut beyond,
        } += 1;
    }
    match passed + failed + beyond {
        0 | 1 => String::new(),
        all => format!(
            "{all} scripts: {passed} pass, {failed} fail, {beyond} are beyond the language here\n"
        ),
    }
}
