//! An exercise on its page: its name above the statement, and behind it what is checked and how it
//! can be solved.

use std::path::Path;

use anyhow::Context as _;

use crate::chapter::markdown::{Edit, Page};
use crate::exercise::{Effort, Exercise, Kind, place};
use crate::fault::{Error, Fault};
use crate::html::{Html, element};

/// The exercises of a page, and what is wrong with them.
///
/// # Errors
/// Files that cannot be read.
pub fn fill(root: &Path, path: &Path, page: &Page<'_>) -> anyhow::Result<(Vec<Edit>, Vec<Fault>)> {
    let mut edits = Vec::new();
    let (places, mut faults) = place::of_page(path, page);
    for place in places {
        let exercise = match Exercise::find(root, place.name) {
            Ok(exercise) => exercise,
            Err(error) => {
                match error.downcast()? {
                    Error::NoExercise(message) => {
                        faults.push(Fault::new(path, place.directive.line, message));
                    }
                    error => faults.extend(Error::faults(error.into())?),
                }
                continue;
            }
        };
        edits.push(page.replace(place.directive, &heading(&exercise)));
        let end = place.statement.end;
        match behind(root, &exercise) {
            Ok(behind) => edits.push((end..end, behind)),
            Err(error) => faults.push(Fault::new(&exercise.path, 1, format!("{error:#}"))),
        }
    }
    Ok((edits, faults))
}

/// The line above the statement.
fn heading(exercise: &Exercise) -> Html {
    let Exercise { name, kind, .. } = exercise;
    let mut what = kind.word().to_owned();
    if let Some(effort) = exercise.effort.map(Effort::words) {
        what += &format!(", {effort}");
    }
    let anchor = format!("exercise-{name}");
    let link = element("a").class("exercise-name");
    let link = link.with("href", format_args!("#{anchor}")).text(name);
    let parts = [
        link,
        element("span").class("exercise-kind").text(what),
        element("code").text(format_args!("runner exercise {name}")),
    ];
    element("div")
        .class(format_args!("exercise exercise-{}", kind.word()))
        .with("id", anchor)
        .holding(parts)
}

/// What stands behind the statement, as Markdown.
fn behind(root: &Path, exercise: &Exercise) -> anyhow::Result<String> {
    let mut told = "\n\n**Checked:**\n\n".to_owned();
    for point in &exercise.points {
        told += &format!("- {}\n", point.holds);
    }
    let solution = match (exercise.solution(), &exercise.answer) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(root.join(&file))
                .with_context(|| format!("read the solution {}", file.display()))?;
            let language = match (exercise.kind, &exercise.program) {
                (Kind::Observe, _) => "text",
                (_, Some(_)) => "c",
                (_, None) => "diff",
            };
            // Longer than any mark in a source.
            let mark = "~".repeat(8);
            format!("{mark}{language}\n{}\n{mark}", text.trim_end())
        }
        (None, answer) => {
            let answer = element("code").text(answer.as_deref().unwrap_or_default());
            format!("{}", element("p").holding([answer]))
        }
    };
    let summary = element("summary").text("A solution");
    told += &format!(
        "\n<details class=\"exercise-solution\">\n{summary}\n\n{solution}\n\n</details>\n\n"
    );
    Ok(told)
}
