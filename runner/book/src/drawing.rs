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
pub mod cachelines;
mod call_graph;
pub mod call_tree;
pub mod chain;
mod fib;
pub mod image;
mod layer;
pub mod map;
pub mod memory;
mod network;
pub mod repeats;
pub mod sequence;
pub mod states;
mod svg;
pub mod topology;
pub mod trie;

use std::collections::HashMap;
use std::path::Path;

use crate::chapter::Chapter;
use crate::chapter::markdown::{Directive, Edit, Page};
use crate::drawing::map::Leaf;
use crate::fault::{Error, Fault};
use crate::html::Html;
use crate::prose::glossary::Glossary;
use crate::snapshot::Snapshot;
use lab::transcript::{Record, words};

const SHAPE: &str = "expected `<!-- runner draw sequence left=… right=… -->`, `<!-- runner draw \
    states of=… names=… -->`, `<!-- runner draw chain NAME=TEXT NAME=TEXT -->`, or `draw` and buffer, cachelines, calls, image, memory, repeats, topology or trie, alone on its line";

/// The first words of directives that ask for something else.
const OTHERS: [&str; 6] = ["source", "kernel", "beside", "patch", "exercise", "drift"];

/// The directives of a page that ask for a drawing, or for nothing that there is; and their words.
fn asked<'a>(
    page: &'a Page<'a>,
) -> impl Iterator<Item = (&'a Directive<'a>, Result<Vec<String>, String>)> {
    let is_others = |directive: &&Directive<'_>| {
        let first = directive.arguments.split_whitespace().next();
        first.is_some_and(|word| OTHERS.contains(&word))
    };
    let ours = page
        .directives("runner")
        .filter(move |directive| !is_others(directive));
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
pub fn all(
    chapter: &Chapter,
    page: &Page<'_>,
    snapshot: &Snapshot,
    glossary: &Glossary,
) -> Result<Vec<Html>, Error> {
    let mut drawn = Vec::new();
    let mut faults = Vec::new();
    // How many steps are above the last drawing of each kind.
    let mut done: HashMap<String, usize> = HashMap::new();
    for (directive, words) in asked(page) {
        let at = directive.line;
        let above = chapter.steps.iter().filter(|step| step.line < at).count();
        let kind = words.as_ref().ok().and_then(|words| words.get(1));
        let kind = kind.cloned().unwrap_or_default();
        // A network is what all the steps until now have made of it.
        let is_of_all = kind == "topology";
        let before = done.insert(kind, above).filter(|_| !is_of_all);
        let records = snapshot.transcript.records.get(before.unwrap_or(0)..above);
        let records = records.unwrap_or_default();
        match words.and_then(|words| draw(&words, records, glossary)) {
            Ok(html) => drawn.push(html),
            Err(message) => faults.push(Fault::new(&chapter.path, at, message)),
        }
    }
    Error::unless_empty(faults)?;
    Ok(drawn)
}

fn draw(words: &[String], records: &[Record], glossary: &Glossary) -> Result<Html, String> {
    match words {
        [draw, sequence, rest @ ..] if draw == "draw" && sequence == "sequence" => {
            sequence::draw(&sequence::Asked::parse(rest)?, records)
        }
        [draw, states, rest @ ..] if draw == "draw" && states == "states" => {
            states::draw(&states::Asked::parse(rest)?, records, glossary)
        }
        [draw, chain, rest @ ..] if draw == "draw" && chain == "chain" => {
            chain::draw(&chain::Asked::parse(rest)?, records)
        }
        [draw, kind] if draw == "draw" => match kind.as_str() {
            "buffer" => buffer::draw(records),
            "cachelines" => cachelines::draw(records),
            "calls" => call_tree::draw(records),
            "image" => image::draw(records),
            "memory" => memory::draw(records),
            "repeats" => repeats::draw(records),
            "topology" => topology::draw(records),
            "trie" => trie::draw(records),
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
) -> Result<Vec<Html>, Error> {
    let mut drawn = Vec::new();
    let mut faults = Vec::new();
    for (directive, words) in asked(page) {
        let is_map = words.as_ref().is_ok_and(|words| *words == ["draw", "map"]);
        let only = "a page without steps can hold `<!-- runner draw map -->` and no other drawing";
        match if is_map {
            map::draw(&book())
        } else {
            Err(only.to_owned())
        } {
            Ok(html) => drawn.push(html),
            Err(message) => faults.push(Fault::new(path, directive.line, message)),
        }
    }
    Error::unless_empty(faults)?;
    Ok(drawn)
}

/// Puts the drawings in the place of the lines that ask for them.
///
/// # Errors
/// When the page, as mdbook gives it, asks for more or fewer than the file: they are written in the
/// chapter itself.
pub fn insert(path: &Path, page: &Page<'_>, drawings: &[Html]) -> Result<Vec<Edit>, Error> {
    let mut left = drawings.iter();
    let edits = asked(page).map(|(directive, _)| {
        let html = left.next().ok_or_else(|| {
            let message = "something that this page includes asks for a drawing; such a line is \
                written in the page itself";
            Fault::new(path, 1, message)
        })?;
        Ok(page.replace(directive, html))
    });
    edits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(drawn: Result<Vec<Html>, Error>) -> Vec<Fault> {
        Error::faults(drawn.unwrap_err().into()).unwrap()
    }

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
        let faults = faults_of(all(
            &chapter,
            &Page::read(text),
            &snapshot,
            &Glossary::default(),
        ));
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [9, 10], "the second has no steps: {faults:?}");
        let whole = text.lines().take(5).collect::<Vec<_>>().join("\n");
        let page = Page::read(&whole);
        let drawn = all(&chapter, &page, &snapshot, &Glossary::default()).unwrap();
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
        let faults = faults_of(all(
            &chapter,
            &Page::read(text),
            &snapshot,
            &Glossary::default(),
        ));
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
        let text = "# A\n<!-- runner draw calls -->\n<!-- runner draw map -->\n";
        let faults = faults_of(of_page(path, &Page::read(text), &Vec::new));
        let told: Vec<_> = faults
            .iter()
            .map(|fault| (fault.line, &fault.message[..11]))
            .collect();
        assert_eq!(told, [(2, "a page with"), (3, "no chapter ")]);
    }
}
