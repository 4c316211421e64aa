//! What the reader sees while something takes long: a moving line on a terminal, plain lines in a
//! pipe, and always on standard error, so that standard output stays what the command is about.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// How often a pipe gets a line about a stage that goes on.
const PLAIN_INTERVAL: Duration = Duration::from_secs(15);

/// One stage of the work, from its beginning to its end.
pub struct Stage {
    name: String,
    begun: Instant,
    bar: Option<ProgressBar>,
    last_line: Instant,
    detail: String,
}

impl Stage {
    /// Begins a stage and says so.
    pub fn begin(name: impl Into<String>) -> Self {
        let name = name.into();
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_message(name.clone());
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            eprintln!("{name} ...");
        }
        let begun = Instant::now();
        Self {
            name,
            begun,
            bar,
            last_line: begun,
            detail: String::new(),
        }
    }

    /// Says how far the stage has come, for example `612 objects`.
    pub fn at(&mut self, detail: impl Into<String>) {
        self.detail = detail.into();
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {}", self.name, self.detail));
        } else if self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            eprintln!(
                "{}: {}, {}",
                self.name,
                self.detail,
                seconds(self.begun.elapsed())
            );
        }
    }

    /// Says how many bytes of how many have come.
    pub fn at_bytes(&mut self, bytes: u64, of: Option<u64>) {
        self.at(match of {
            Some(all) => format!("{} of {}", HumanBytes(bytes), HumanBytes(all)),
            None => HumanBytes(bytes).to_string(),
        });
    }

    /// A line that stays, above the moving one.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// Ends the stage well, with the time it took.
    pub fn done(mut self) {
        self.end("done");
    }

    fn end(&mut self, how: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let detail = if self.detail.is_empty() {
            String::new()
        } else {
            format!("{}, ", self.detail)
        };
        eprintln!(
            "{}: {how} ({detail}{})",
            self.name,
            seconds(self.begun.elapsed())
        );
        self.name.clear();
    }
}

impl Drop for Stage {
    /// A stage that was not ended well has failed: its error follows from elsewhere.
    fn drop(&mut self) {
        if !self.name.is_empty() {
            self.end("not finished");
        }
    }
}

/// A duration as a reader says it: `3.2 s`, `4 min 7 s`.
pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        whole @ 0..60 => format!("{}.{} s", whole, time.subsec_millis() / 100),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(3_240)), "3.2 s");
        assert_eq!(seconds(Duration::from_secs(247)), "4 min 7 s");
    }
}
