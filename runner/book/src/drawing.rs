//! The drawings of a page: a line of the chapter asks for one, and it is made of what the steps above it printed.
//!
//! `<!-- runner draw sequence left=client right=child -->` stands alone on its line, outside of fences. It is no directive of
//! mdbook-cmdrun: a drawing is about the steps between it and the drawing of its kind before, and only who reads the whole
//! chapter knows which these are. So no number of a step stands in it that could go stale.
//! Two kinds are about more: a topology about all steps above it, and the map, on a page without steps, about all chapters.

pub mod backtrace;
pub mod buffer;
pub mod call_graph;
pub mod call_tree;
pub mod layer;
pub mod map;
pub mod network;
pub mod sequence;
pub mod topology;

use std::path::Path;

use crate::chapter::{Chapter, Fault, Faults};
use crate::drawing::map::Leaf;
use crate::page::excerpt;
use crate::snapshot::Snapshot;
use lab::transcript::words;

const BEGIN: &str = "<!-- runner ";
const END: &str = " -->";
const SHAPE: &str = "expected `<!-- runner draw sequence left=… right=… -->`, or `draw` and buffer, calls or topology, alone on its line";

/// The words of a line that asks for a drawing.
fn asked(line: &str) -> Option<Result<Vec<String>, String>> {
    if excerpt::asked(line).is_some() {
        return None;
    }
    let inner = line.trim().strip_prefix(BEGIN)?.strip_suffix(END);
    Some(match inner.map(words::split) {
        Some(Ok(words)) => Ok(words),
        Some(Err(error)) => Err(error.to_string()),
        None => Err(SHAPE.to_owned()),
    })
}

/// The drawings of the chapter whose file holds `text`, in their order.
///
/// # Errors
/// Every line that asks for what cannot be drawn.
pub fn all(chapter: &Chapter, text: &str, snapshot: &Snapshot) -> Result<Vec<String>, Faults> {
    let mut drawn = Vec::new();
    let mut faults = Vec::new();
    // Where the last drawing of each kind stood: kind and step.
    let mut done: Vec<(String, usize)> = Vec::new();
    for (line, at) in text.lines().zip(1..) {
        let Some(words) = asked(line) else { continue };
        let above = chapter.steps.iter().filter(|step| step.line < at).count();
        let kind = words
            .as_ref()
            .map(|words| words.get(1).cloned().unwrap_or_default());
        let kind = kind.unwrap_or_default();
        let before = done.iter().rev().find(|(other, _)| *other == kind);
        // A network is what all the steps until now have made of it.
        let from = before.map_or(0, |(_, step)| *step) * usize::from(kind != "topology");
        let records = snapshot.transcript.records.get(from..above);
        done.push((kind, above));
        match words.and_then(|words| draw(&words, records.unwrap_or_default())) {
            Ok(html) => drawn.push(html),
            Err(message) => faults.push(fault(&chapter.path, at, message)),
        }
    }
    if faults.is_empty() {
        Ok(drawn)
    } else {
        Err(Faults(faults))
    }
}

fn draw(words: &[String], records: &[lab::transcript::Record]) -> Result<String, String> {
    match words {
        [draw, sequence, rest @ ..] if draw == "draw" && sequence == "sequence" => {
            sequence::draw(&sequence::Asked::parse(rest)?, records)
        }
        [draw, kind] if draw == "draw" => match kind.as_str() {
            "buffer" => buffer::draw(records),
            "calls" => call_tree::draw(records),
            "topology" => topology::draw(records),
            _ => Err(SHAPE.to_owned()),
        },
        _ => Err(SHAPE.to_owned()),
    }
}

/// The drawings of a page that is no chapter: the map of the chapters, and nothing else.
///
/// # Errors
/// Every line that asks for something else.
pub fn of_page(
    path: &Path,
    text: &str,
    book: &dyn Fn() -> Vec<Leaf>,
) -> Result<Vec<String>, Faults> {
    let mut drawn = Vec::new();
    let mut faults = Vec::new();
    for (line, at) in text.lines().zip(1..) {
        let Some(words) = asked(line) else { continue };
        let is_map = words.as_ref().is_ok_and(|words| *words == ["draw", "map"]);
        let only = || {
            Err(
                "a page without steps can hold `<!-- runner draw map -->` and no other drawing"
                    .to_owned(),
            )
        };
        match if is_map { map::draw(&book()) } else { only() } {
            Ok(html) => drawn.push(html),
            Err(message) => faults.push(fault(path, at, message)),
        }
    }
    if faults.is_empty() {
        Ok(drawn)
    } else {
        Err(Faults(faults))
    }
}

/// Puts the drawings in the place of the lines that ask for them.
///
/// # Errors
/// When `content`, which mdbook gives, asks for more or fewer than the file: they are written in the chapter itself.
pub fn insert(path: &Path, content: &str, drawings: &[String]) -> Result<String, Faults> {
    let mut left = drawings.iter();
    let mut lines = Vec::new();
    for line in content.lines() {
        if asked(line).is_none() {
            lines.push(line.to_owned());
        } else if let Some(html) = left.next() {
            lines.push(format!("\n{html}\n"));
        } else {
            let message = "something that this page includes asks for a drawing; such a line is written in the page itself";
            return Err(Faults(vec![fault(path, 1, message.to_owned())]));
        }
    }
    Ok(lines.join("\n") + "\n")
}

fn fault(path: &Path, line: usize, message: String) -> Fault {
    Fault {
        path: path.to_owned(),
        line,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_is_of_the_steps_between_it_and_the_one_before() {
        let text = "```console\n<!-- cmdrun runner show 6.1 gdb state '$a' -->\n<!-- cmdrun runner show 6.2 gdb state '$b' -->\n```\n\
                    <!-- runner draw sequence left=a right=b -->\n\
                    ```console\n<!-- cmdrun runner show 6.3 gdb x -->\n```\n<!-- runner draw sequence left=a right=b -->\n\
                    <!-- runner drow -->\n";
        let path = Path::new("chapters/06-x.md");
        let chapter = Chapter::parse(path, text).unwrap();
        let state = |n, name| format!("\n6.{n} gdb state ${name}\n| $1 = TCP_CLOSE\n= 0\n");
        let content = state(1, "a") + &state(2, "b") + &state(3, "b");
        let snapshot = Snapshot::parse(&content).unwrap();
        let Faults(faults) = all(&chapter, text, &snapshot).unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [9, 10], "the second has no steps: {faults:?}");
        let whole = text.lines().take(5).collect::<Vec<_>>().join("\n");
        let drawn = all(&chapter, &whole, &snapshot).unwrap();
        let page = insert(path, &whole, &drawn).unwrap();
        assert!(page.contains("b: TCP_CLOSE.</desc>"), "{page}");
        assert!(insert(path, &whole, &[]).is_err());
    }

    #[test]
    fn a_drawing_of_another_kind_takes_nothing_away() {
        let trace = "| #0  a () at net/ipv4/tcp.c:1";
        let text = "```console\n<!-- cmdrun runner show 6.1 gdb backtrace -->\n```\n<!-- runner draw calls -->\n\
                    ```console\n<!-- cmdrun runner show 6.2 gdb state '$a' -->\n```\n<!-- runner draw sequence left=a right=a -->\n\
                    <!-- runner draw calls -->\n";
        let path = Path::new("chapters/06-x.md");
        let chapter = Chapter::parse(path, text).unwrap();
        let content = format!(
            "\n6.1 gdb backtrace\n{trace}\n= 0\n\n6.2 gdb state $a\n| $1 = TCP_CLOSE\n= 0\n"
        );
        let snapshot = Snapshot::parse(&content).unwrap();
        let Faults(faults) = all(&chapter, text, &snapshot).unwrap_err();
        assert_eq!(
            faults.len(),
            1,
            "the sequence goes back past the calls: {faults:?}"
        );
        assert_eq!(
            (faults[0].line, &*faults[0].message),
            (9, "no step above shows a backtrace")
        );
    }

    #[test]
    fn a_page_without_steps_has_the_map_alone() {
        let path = Path::new("chapters/map.md");
        let Faults(faults) = of_page(
            path,
            "# A\n<!-- runner draw calls -->\n<!-- runner draw map -->\n",
            &Vec::new,
        )
        .unwrap_err();
        let told: Vec<_> = faults
            .iter()
            .map(|fault| (fault.line, &fault.message[..11]))
            .collect();
        assert_eq!(told, [(2, "a page with"), (3, "no chapter ")]);
    }
}
