//! The replay on the reader's screen: what the page says, as it happens, and the verdict.
//!
//! Colours go to a terminal only (anstream decides, and honours `NO_COLOR`).

use std::time::Duration;

use anstream::{print, println};
use anstyle::{AnsiColor, Style};
use serde::{Deserialize, Serialize};

use book::chapter::Chapter;
use book::snapshot::compare::{Difference, Verdict};
use lab::replay::Event;
use lab::transcript::Output;
use lab::transcript::step::{Step, Terminal};

/// What is beside the point.
pub const DIM: Style = Style::new().dimmed();
/// What heads something.
pub const BOLD: Style = Style::new().bold();
/// What is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// How much of a replay is shown.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// The first step that is shown.
    pub from: u32,
    /// Whether each step tells its real and its guest time.
    pub timings: bool,
}

impl Screen {
    /// Shows one event of a replay.
    pub fn show(&self, event: &Event<'_>) {
        match event {
            Event::Begin(step) if step.id.number >= self.from => heading(step),
            Event::End(step, record, real) if step.id.number >= self.from => {
                output(&record.output);
                if self.timings {
                    timing(*real, record.output.guest_ns);
                }
            }
            Event::Skip(step, why) if step.id.number >= self.from => {
                println!("{BAD}not reached{BAD:#}: {why}");
            }
            Event::Begin(_) | Event::End(..) | Event::Skip(..) => {}
        }
    }
}

/// Shows what a step printed, and how it ended if not well.
pub fn output(output: &Output) {
    print!("{}", output_lines(output));
}

/// What [`output`] shows, in colour: whole lines, or nothing.
#[must_use]
pub fn output_lines(output: &Output) -> String {
    let Output { stdout, stderr, .. } = output;
    let mut lines = stdout.clone();
    if !stderr.is_empty() {
        lines += &format!("{DIM}{stderr}{DIM:#}");
    }
    let last = if stderr.is_empty() { stdout } else { stderr };
    if !last.is_empty() && !last.ends_with('\n') {
        lines.push('\n');
    }
    if output.status != 0 {
        lines += &format!("{DIM}exit status {}{DIM:#}\n", output.status);
    }
    lines
}

/// What stands before a command on a terminal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Prompt {
    /// The text.
    pub plain: String,
    /// The same in colour.
    pub coloured: String,
}

/// The prompt of a window, as [`heading`] shows it.
#[must_use]
pub fn prompt(terminal: Terminal) -> Prompt {
    let (style, text) = (style(terminal), terminal.prompt());
    Prompt {
        plain: format!("{text} "),
        coloured: format!("{style}{text}{style:#} "),
    }
}

/// Says on which series of the kernel the chapters that follow are replayed.
pub fn series(name: &str) {
    println!("{BOLD}on Linux {name}{BOLD:#}");
}

/// Says something beside the replay.
pub fn aside(text: &str) {
    anstream::eprint!("{}", aside_lines(text));
}

/// What [`aside`] says, in colour.
#[must_use]
pub fn aside_lines(text: &str) -> String {
    format!("{DIM}{text}{DIM:#}\n")
}

fn style(terminal: Terminal) -> Style {
    colour(terminal).on_default().bold()
}

/// The colour of a window's prompt.
#[must_use]
pub fn colour(terminal: Terminal) -> AnsiColor {
    match terminal {
        Terminal::Host => AnsiColor::Yellow,
        Terminal::Guest => AnsiColor::Cyan,
        Terminal::Server => AnsiColor::Green,
        Terminal::Gdb => AnsiColor::Magenta,
        Terminal::Wire => AnsiColor::Blue,
        Terminal::Lab => AnsiColor::Red,
    }
}

/// Shows a step's number, and what is typed.
pub fn heading(step: &Step) {
    if step.id.number > 1 {
        println!();
    }
    print!("{}", heading_line(step));
}

/// What [`heading`] shows, in colour.
#[must_use]
pub fn heading_line(step: &Step) -> String {
    let style = style(step.terminal);
    let Step {
        id,
        terminal,
        command,
        ..
    } = step;
    if command.is_empty() {
        format!("{DIM}{id}{DIM:#} {style}{terminal}, later{style:#}\n")
    } else {
        let prompt = terminal.prompt();
        format!("{DIM}{id}{DIM:#} {style}{prompt}{style:#} {BOLD}{command}{BOLD:#}\n")
    }
}

fn timing(real: Duration, guest_ns: Option<u64>) {
    let guest = guest_ns.map_or_else(String::new, |ns| {
        format!(
            ", guest clock {:.6} s",
            Duration::from_nanos(ns).as_secs_f64()
        )
    });
    println!("{DIM}{:8.3} s real{guest}{DIM:#}", real.as_secs_f64());
}

/// How a command asks for a series of the kernel, if it is not the book's.
#[must_use]
pub fn of_series(series: &str) -> String {
    match series {
        lab::SERIES => String::new(),
        series => format!(" --series {series}"),
    }
}

/// Shows the verdict on a replay: the last line, and before it the steps that differ. With a kernel
/// of the reader's own a difference is a fact about that kernel, and nothing to record.
pub fn verdict(
    chapter: &Chapter,
    series: &str,
    count: usize,
    real: Duration,
    verdict: &Verdict,
    own_kernel: bool,
) {
    let number = chapter.number;
    let seconds = real.as_secs_f64();
    println!();
    match verdict {
        Verdict::Exact => println!(
            "{GOOD}chapter {number}: the same, byte for byte{GOOD:#} ({count} steps, {seconds:.1} s)"
        ),
        Verdict::SameMeaning { because, noise } => {
            println!(
                "{GOOD}chapter {number}: the same in meaning{GOOD:#} ({count} steps, {}{seconds:.1} s); \
                 not byte for byte, because {}",
                of_noise(noise),
                match &because[..] {
                    [] => "the chapter depends on real time and was recorded by meaning".to_owned(),
                    reasons => reasons.join(", "),
                }
            );
        }
        Verdict::Different {
            steps,
            noise,
            unreached,
        } => {
            steps.iter().for_each(difference);
            if let Some(first) = unreached.first() {
                println!(
                    "\n{BOLD}{} steps from {first} on were not reached{BOLD:#}",
                    unreached.len()
                );
            }
            let advice = if own_kernel {
                "your kernel is not the book's there".to_owned()
            } else {
                let series = of_series(series);
                format!("if the change is meant, record it: runner record {number}{series}")
            };
            println!(
                "{BAD}chapter {number}: different{BAD:#} in {} of {count} steps ({}{seconds:.1} s); {advice}",
                steps.len() + unreached.len(),
                of_noise(noise)
            );
        }
    }
}

/// How many steps differ no more than noise does.
fn of_noise(steps: &[String]) -> String {
    match steps.len() {
        0 => String::new(),
        1 => "1 differs as it may, ".to_owned(),
        some => format!("{some} differ as they may, "),
    }
}

/// The widest line of a difference, in characters: of a frame as it is recorded, in hexadecimal,
/// the headers are shown.
const WIDEST: usize = 240;

/// Shows where a replay differs.
pub fn difference(step: &Difference) {
    println!("\n{BOLD}{}{BOLD:#} (- recorded, + here)", step.place());
    for line in step.diff.lines() {
        let style = match line.bytes().next() {
            Some(b'-') => AnsiColor::Red.on_default(),
            Some(b'+') => AnsiColor::Green.on_default(),
            _ => DIM,
        };
        println!("{style}{}{style:#}", clipped(line));
    }
}

/// The beginning of a line that is too wide, and how much of it is left out.
fn clipped(line: &str) -> String {
    match line.char_indices().nth(WIDEST) {
        Some((end, _)) => format!(
            "{}… ({} characters more)",
            &line[..end],
            line[end..].chars().count()
        ),
        None => line.to_owned(),
    }
}

/// Says that a chapter has no snapshot of a series.
pub fn never_recorded(number: u32, series: &str) {
    match series {
        lab::SERIES => {
            println!(
                "chapter {number}: nothing to compare with; record it: runner record {number}"
            );
        }
        _ => println!(
            "chapter {number}: nothing to compare with, as it was never recorded on {series}"
        ),
    }
}

/// The last line of a verification of several chapters.
pub fn summary(total: usize, at_a_time: usize, real: Duration, code: u8) {
    let (style, what) = match code {
        0 => (GOOD, "all the same"),
        1 => (BAD, "not all the same"),
        _ => (BAD, "not all could be replayed"),
    };
    println!(
        "\n{style}{total} {}: {what}{style:#} ({:.1} s, {at_a_time} at a time)",
        if total == 1 { "chapter" } else { "chapters" },
        real.as_secs_f64()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_wide_says_how_much_is_left_out() {
        let fits = "é".repeat(WIDEST);
        assert_eq!(clipped(&fits), fits);
        let wide = format!("{fits}éé");
        assert_eq!(clipped(&wide), format!("{fits}… (2 characters more)"));
    }
}
