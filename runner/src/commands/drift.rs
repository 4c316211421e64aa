//! `runner drift`: what the book's steps do otherwise on another series of the kernel, from what
//! was recorded on both. Nothing is replayed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use similar::{DiffOp, TextDiff};

use crate::repository;
use crate::screen::{BOLD, DIM, GOOD};
use book::chapter::{self, Chapter};
use book::snapshot::Snapshot;
use book::snapshot::drift::{self, Counts, Fate};
use book::snapshot::reasons::{Form, Reasons};
use lab::build::pins::Pins;
use lab::transcript::step::StepId;

/// What to look at, and between which kernels.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A chapter, to list its steps, or one step, such as 6.239, to see both outputs; without it,
    /// all chapters are counted
    what: Option<String>,
    /// The series to look from
    #[arg(long, value_name = "SERIES", default_value = lab::SERIES)]
    from: String,
    /// The series to look at; each that was recorded if not given
    #[arg(long, value_name = "SERIES")]
    to: Option<String>,
}

/// Runs the subcommand.
///
/// # Errors
/// No such series, chapter or step; when a snapshot cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let root = repository::find()?;
    let pins = Pins::read(&root)?;
    pins.kernel(&args.from)?;
    let series: Vec<String> = match &args.to {
        Some(to) => {
            pins.kernel(to)?;
            vec![to.clone()]
        }
        None => {
            let others = pins.kernel.keys().filter(|series| **series != args.from);
            others.cloned().collect()
        }
    };
    let mut found = false;
    for to in &series {
        let heading = format!(
            "from Linux {} to {}",
            pins.kernel(&args.from)?.version,
            pins.kernel(to)?.version
        );
        let reasons = Reasons::read(&root, to)?;
        let between = Between {
            root: &root,
            from: &args.from,
            to,
            reasons,
        };
        found |= match &args.what {
            None => between.count(&heading)?,
            Some(what) => match what.parse::<StepId>() {
                Ok(id) => between.step(&heading, id)?,
                Err(_) => between.list(&heading, &Chapter::find(&root, what)?)?,
            },
        };
    }
    if !found {
        bail!(lab::Error::Unfit(format!(
            "nothing of it was recorded on {}; `runner record CHAPTER --series SERIES` does",
            series.join(", ")
        )));
    }
    Ok(ExitCode::SUCCESS)
}

/// Two series.
struct Between<'a> {
    root: &'a Path,
    from: &'a str,
    to: &'a str,
    reasons: Reasons,
}

impl Between<'_> {
    fn fates(&self, chapter: &Chapter) -> anyhow::Result<Option<Vec<(StepId, Fate)>>> {
        drift::between(self.root, chapter, self.from, self.to)
    }

    /// Counts the steps of all chapters; tells whether any was recorded.
    fn count(&self, heading: &str) -> anyhow::Result<bool> {
        let mut rows = Vec::new();
        for path in chapter::paths(self.root)? {
            let chapter = Chapter::read(self.root, &path)?;
            let Some(fates) = self.fates(&chapter)? else {
                continue;
            };
            let counts = Counts::of(&fates, &self.reasons);
            rows.push((chapter.number.to_string(), counts));
        }
        if rows.is_empty() {
            return Ok(false);
        }
        let sum = rows.iter().map(|(_, counts)| *counts).sum();
        rows.push(("all".to_owned(), sum));
        anstream::println!("{BOLD}{heading}{BOLD:#}");
        println!("chapter  same  in meaning  other form  otherwise  not there  unexplained");
        for (name, counts) in rows {
            let Counts {
                same,
                same_meaning,
                another_form,
                otherwise,
                absent,
                unexplained,
            } = counts;
            println!(
                "{name:>7}  {same:>4}  {same_meaning:>10}  {another_form:>10}  {otherwise:>9}  \
                 {absent:>9}  {unexplained:>11}"
            );
        }
        println!();
        Ok(true)
    }

    /// Lists the steps of a chapter that do something else; tells whether it was recorded.
    fn list(&self, heading: &str, chapter: &Chapter) -> anyhow::Result<bool> {
        let Some(fates) = self.fates(chapter)? else {
            return Ok(false);
        };
        anstream::println!("{BOLD}{heading}, chapter {}{BOLD:#}", chapter.number);
        for (id, fate) in fates {
            let told = match fate {
                Fate::Same | Fate::SameMeaning => continue,
                Fate::AnotherForm => format!("{DIM}the same in another form{DIM:#}"),
                Fate::Otherwise(difference) => difference.line,
                Fate::Absent => format!("{DIM}not there{DIM:#}"),
            };
            let command = chapter.steps.iter().find(|step| step.id == id);
            let command = command.map_or("", |step| &*step.command);
            anstream::println!("{id:<7} {BOLD}{command}{BOLD:#}");
            if let Some(Form { command, why, .. }) = self.reasons.form(id) {
                anstream::println!("     -> {BOLD}{command}{BOLD:#}\n        {GOOD}{why}{GOOD:#}");
            }
            anstream::println!("        {told}");
            if let Some(why) = self.reasons.of(id) {
                anstream::println!("        {GOOD}{why}{GOOD:#}");
            }
        }
        println!();
        Ok(true)
    }

    /// Shows a step on both, side by side; tells whether it was recorded.
    fn step(&self, heading: &str, id: StepId) -> anyhow::Result<bool> {
        let chapter = Chapter::find(self.root, &id.chapter.to_string())?;
        let step = &chapter.steps[chapter.position(id)? - 1];
        let read = |series| Snapshot::of_series(self.root, series, &chapter.name);
        let (Some(from), Some(to)) = (read(self.from)?, read(self.to)?) else {
            return Ok(false);
        };
        anstream::println!("{BOLD}{heading}, step {id}{BOLD:#}");
        let prompt = step.terminal.prompt();
        anstream::println!("{prompt} {BOLD}{}{BOLD:#}", step.command);
        if let Some(Form { command, why, .. }) = self.reasons.form(id) {
            let to = self.to;
            anstream::println!("on {to}, {prompt} {BOLD}{command}{BOLD:#}\n{GOOD}{why}{GOOD:#}");
        }
        let texts = [from, to].map(|snapshot| {
            let record = snapshot.record(id);
            record.map_or("(not there)\n".to_owned(), |record| {
                let output = &record.output;
                format!("{}{}", output.stdout, output.stderr)
            })
        });
        print!("{}", beside(&texts[0], &texts[1], width()));
        if let Some(why) = self.reasons.of(id) {
            anstream::println!("{GOOD}{why}{GOOD:#}");
        }
        println!();
        Ok(true)
    }
}

/// How wide the terminal is; as wide as two of the usual ones where there is none.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(160, |size| usize::from(size.ws_col).max(40))
}

/// Two texts in two columns, with a mark between lines that differ.
fn beside(left: &str, right: &str, width: usize) -> String {
    let column = (width - 3) / 2;
    let diff = TextDiff::from_lines(left, right);
    let [left, right] = [left, right].map(|text| Vec::from_iter(text.lines()));
    let mut told = String::new();
    for operation in diff.ops() {
        let mark = match operation {
            DiffOp::Equal { .. } => ' ',
            DiffOp::Delete { .. } => '<',
            DiffOp::Insert { .. } => '>',
            DiffOp::Replace { .. } => '|',
        };
        let [olds, news] = [&left[operation.old_range()], &right[operation.new_range()]];
        for row in 0..olds.len().max(news.len()) {
            let pieces = [olds, news].map(|lines| folded(lines.get(row).unwrap_or(&""), column));
            for at in 0..pieces[0].len().max(pieces[1].len()) {
                let [old, new] = [0, 1].map(|side| pieces[side].get(at).map_or("", |piece| piece));
                let line = format!("{old:<column$} {mark} {new}");
                told += line.trim_end();
                told.push('\n');
            }
        }
    }
    told
}

/// A line cut into pieces that a column holds, with its tabs as blanks.
fn folded(line: &str, column: usize) -> Vec<String> {
    let chars: Vec<char> = line.replace('\t', "    ").chars().collect();
    let pieces = chars.chunks(column.max(1)).map(String::from_iter);
    match chars.is_empty() {
        true => vec![String::new()],
        false => pieces.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_beside_each_other_and_long_lines_go_on() {
        let told = beside("a\nb\nc\n", "a\nB is longer\nc\nd\n", 23);
        assert_eq!(
            told,
            "a            a\n\
             b          | B is longe\n           | r\n\
             c            c\n           > d\n"
        );
    }
}
