//! The drawings of a page: a line of the chapter asks for one, and it is made of what the steps
//! above it printed.
//!
//! `<!-- runner draw sequence left=client right=child -->` stands alone on its line, outside of
//! fences. It is no directive of mdbook-cmdrun: a drawing is about the steps between it and the
//! drawing of its kind before, and only who reads the whole chapter knows which these are. So no
//! number of a step stands in it that could go stale. Two kinds are about more: a topology about
//! all steps above it, and the map, on a page without steps, about all chapters.

pub mod backtrace;
pub mod buffer;
pub mod call_graph;
pub mod call_tree;
pub mod layer;
pub mod map;
pub mod network;
pub mod sequence;
pub mod svg;
pub mod topology;

use std::path::Path;

use crate::chapter::Chapter;
use crate::chapter::markdown::{Directive, Edit, Page};
use crate::drawing::map::Leaf;
use crate::fault::{Fault, Faults};
use crate::html::Html;
use crate::snapshot::Snapshot;
use lab::transcript::words;

const SHAPE: &str = "expected `<!-- runner draw sequence left=… right=… -->`, or `draw` and \
    buffer, calls or topology, alone on its line";

/// The directives of a page that ask for a drawing, or for nothing that there is; and their words.
fn asked<'a>(
    page: &'a Page<'a>,
) -> impl Iterator<Item = (&'a Directive<'a>, Result<Vec<String>, String>)> {
    let first =
        |directive: &Directive<'_>| directive.arguments.split_whitespace().next() == Some("source");
    let ours = page
        .directives("runner")
        .filter(move |directive| !first(directive));
    ours.map(|directive| {
        let words = match directive.is_regular {
            true => words::split(directive.arguments).map_err(|error| error.to_string()),
            false => Err(SHAPE.to_owned()),
        };
        (directive, words)
    })
}

/// The drawings of the chapter whose file holds `text`, in their order.
///
/// # Errors
/// Every line that asks for what cannot be drawn.
pub fn all(chapter: &Chapter, page: &Page<'_>, snapshot: &Snapshot) -> Result<Vec<Html>, Faults> {
    let mut drawn = Vec::new();
    let mut faults = Vec::new();
    // Where the last drawing of each kind stood: kind and step.
    let mut done: Vec<(String, usize)> = Vec::new();
    for (directive, words) in asked(page) {
        let at = directive.line;
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

fn draw(words: &[String], records: &[lab::transcript::Record]) -> Result<Html, String> {
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
    page: &Page<'_>,
    book: &dyn Fn() -> Vec<Leaf>,
) -> Result<Vec<Html>, Faults> {
    let mut drawn = Vec::new();
    let mut faults = Vec::new();
    for (directive, words) in asked(page) {
        let is_map = words.as_ref().is_ok_and(|words| *words == ["draw", "map"]);
        let only = || {
            Err(
                "a page without steps can hold `<!-- runner draw map -->` and no other drawing"
                    .to_owned(),
            )
        };
        match if is_map { map::draw(&book()) } else { only() } {
            Ok(html) => drawn.push(html),
            Err(message) => faults.push(fault(path, directive.line, message)),
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
/// When the page, as mdbook gives it, asks for more or fewer than the file: they are written in the
/// chapter itself.
pub fn insert(path: &Path, page: &Page<'_>, drawings: &[Html]) -> Result<Vec<Edit>, Faults> {
    let mut left = drawings.iter();
    let edits = asked(page).map(|(directive, _)| {
        let html = left.next().ok_or_else(|| {
            let message = "something that this page includes asks for a drawing; such a line is \
                written in the page itself";
            Faults(vec![fault(path, 1, message.to_owned())])
        })?;
        Ok(page.replace(directive, html))
    });
    edits.collect()
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
        let text = "```console\n<!-- cmdrun runner show 6.1 gdb state '$a' -->\n<!-- cmdrun \
            runner show 6.2 gdb state '$b' -->\n```\n\
                    <!-- runner draw sequence left=a right=b -->\n\
                    ```console\n<!-- cmdrun runner show 6.3 gdb x -->\n```\n<!-- runner draw \
                    sequence left=a right=b -->\n\
                    <!-- runner drow -->\n";
        let path = Path::new("chapters/06-x.md");
        let chapter = Chapter::parse(path, text).unwrap();
        let state = |n, name| format!("\n6.{n} gdb state ${name}\n| $1 = TCP_CLOSE\n= 0\n");
        let content = state(1, "a") + &state(2, "b") + &state(3, "b");
        let snapshot = Snapshot::parse(&content).unwrap();
        let Faults(faults) = all(&chapter, &Page::read(text), &snapshot).unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [9, 10], "the second has no steps: {faults:?}");
        let whole = text.lines().take(5).collect::<Vec<_>>().join("\n");
        let page = Page::read(&whole);
        let drawn = all(&chapter, &page, &snapshot).unwrap();
        let inserted = page.edited(insert(path, &page, &drawn).unwrap());
        assert!(inserted.contains("b: TCP_CLOSE.</desc>"), "{inserted}");
        assert!(insert(path, &page, &[]).is_err());
    }

    #[test]
    fn a_drawing_of_another_kind_takes_nothing_away() {
        let trace = "| #0  a () at net/ipv4/tcp.c:1";
        let text = "```console\n<!-- cmdrun runner show 6.1 gdb backtrace -->\n```\n<!-- runner \
            draw calls -->\n\
                    ```console\n<!-- cmdrun runner show 6.2 gdb state '$a' -->\n```\n<!-- runner \
                    draw sequence left=a right=a -->\n\
                    <!-- runner draw calls -->\n";
        let path = Path::new("chapters/06-x.md");
        let chapter = Chapter::parse(path, text).unwrap();
        let content = format!(
            "\n6.1 gdb backtrace\n{trace}\n= 0\n\n6.2 gdb state $a\n| $1 = TCP_CLOSE\n= 0\n"
        );
        let snapshot = Snapshot::parse(&content).unwrap();
        let Faults(faults) = all(&chapter, &Page::read(text), &snapshot).unwrap_err();
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
            &Page::read("# A\n<!-- runner draw calls -->\n<!-- runner draw map -->\n"),
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
