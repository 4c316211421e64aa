//! What the checks have found, for people and for programs.

use anstream::println;
use anstyle::{AnsiColor, Style};

use super::{Check, State};

const DIM: Style = Style::new().dimmed();

/// Shows one check: a line, and what helps below it.
pub fn show(check: &Check) {
    let (style, word) = match check.found.state {
        State::Ok => (AnsiColor::Green.on_default().bold(), "ok"),
        State::Warn => (AnsiColor::Yellow.on_default().bold(), "warn"),
        State::Bad => (AnsiColor::Red.on_default().bold(), "bad"),
        State::Skip => (DIM, "skip"),
    };
    let (id, meaning, text) = (check.id, check.meaning, &check.found.text);
    println!("{style}{word:<4}{style:#}  {id:<10}  {meaning:<22}  {text}");
    for line in check.found.remedy.iter().flat_map(|remedy| remedy.lines()) {
        println!("{:42}{DIM}->{DIM:#} {line}", "");
    }
}

/// Shows what it comes to.
pub fn conclude(checks: &[Check]) {
    let bad: Vec<_> = checks
        .iter()
        .filter(|c| c.found.state == State::Bad)
        .collect();
    let Some(first) = bad.first() else {
        println!("\nAll that the book needs is there.");
        return;
    };
    let is_needed = |who: &str| bad.iter().any(|check| check.meaning == who);
    // Without the lab no chapter runs.
    let is_all = is_needed("all chapters") || is_needed("the lab");
    let only = !is_all && bad.iter().all(|c| c.meaning == first.meaning);
    if only {
        let (letter, rest) = first.meaning.split_at(1);
        let letter = letter.to_uppercase();
        println!("\n{letter}{rest} cannot run; the rest of the book can.");
        return;
    }
    let are = match bad.len() {
        1 => "One thing is".to_owned(),
        count => format!("{count} things are"),
    };
    println!("\n{are} in the way; begin with `{}`.", first.id);
}

/// Prints all checks as one object.
///
/// # Errors
/// When standard output is closed.
pub fn print_json(checks: &[Check]) -> anyhow::Result<()> {
    let ok = checks.iter().all(|check| check.found.state != State::Bad);
    let whole = serde_json::json!({ "ok": ok, "checks": checks });
    println!("{}", serde_json::to_string_pretty(&whole)?);
    Ok(())
}
