//! A chain in which each link starts the next, and what is on the screen where it does not find
//! the next.
//!
//! The author names the links in their order, and for each a text that a step printed: the line is
//! shown from there on.

use std::fmt::Write as _;

use crate::drawing::svg::{CHARACTER, Figure, SMALL, WIDTH, link, rect, text};
use crate::html::{Html, element};
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// What the author asks for: `firmware='Booting from' fails='No bootable device' kernel=Run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    links: Vec<Wanted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    name: String,
    text: String,
    /// Texts of what is seen where the next link is missing.
    fails: Vec<String>,
}

/// The word that is no name.
const FAILS: &str = "fails";

impl Asked {
    /// Reads the words behind `chain`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut links: Vec<Wanted> = Vec::new();
        for word in words {
            let parts = word.split_once('=');
            let parts = parts.filter(|(name, text)| !name.is_empty() && !text.is_empty());
            let (name, text) = parts.ok_or_else(|| {
                format!("`{word}`: expected NAME=TEXT, a link and what a step printed of it")
            })?;
            match links.last_mut() {
                Some(last) if name == FAILS => last.fails.push(text.to_owned()),
                None if name == FAILS => {
                    return Err(format!("`{word}` stands behind no link of the chain"));
                }
                _ => links.push(Wanted {
                    name: name.to_owned(),
                    text: text.to_owned(),
                    fails: Vec::new(),
                }),
            }
        }
        match links.len() {
            0 | 1 => Err("a chain needs two links: NAME=TEXT NAME=TEXT".to_owned()),
            _ => Ok(Self { links }),
        }
    }
}

/// What a step printed, from a text on.
#[derive(Debug)]
struct Line {
    words: String,
    step: StepId,
}

#[derive(Debug)]
struct Link<'a> {
    name: &'a str,
    line: Line,
    fails: Vec<Line>,
}

/// The drawing of what the steps printed.
///
/// # Errors
/// A text that no step printed.
pub fn draw(asked: &Asked, records: &[Record]) -> Result<Html, String> {
    let find = |text: &str| {
        let found = records.iter().find_map(|record| Line::find(record, text));
        found.ok_or_else(|| format!("no step above prints `{text}`"))
    };
    let mut links = Vec::new();
    for Wanted { name, text, fails } in &asked.links {
        let fails: Result<Vec<Line>, String> = fails.iter().map(|text| find(text)).collect();
        links.push(Link {
            name,
            line: find(text)?,
            fails: fails?,
        });
    }
    let lines = links
        .iter()
        .flat_map(|link| [&link.line].into_iter().chain(&link.fails));
    let steps = lines.map(|line| line.step);
    let (Some(first), Some(last)) = (steps.clone().min(), steps.max()) else {
        return Err("a chain needs two links".to_owned());
    };
    let (picture, size) = picture(&links);
    let figure = Figure {
        is_narrow: true,
        size,
        label: format!("A chain of {} links, steps {first} to {last}", links.len()),
        told: &told(&links),
        caption: format!(
            "Drawn from lines of the steps {first} to {last}. Behind a cross stands what was seen \
             where a link did not lead to the next. Each line leads to its step."
        ),
    };
    Ok(figure.around(picture))
}

impl Line {
    fn find(record: &Record, text: &str) -> Option<Self> {
        let mut lines = record.output.stdout.lines();
        let words = lines.find_map(|line| line.find(text).map(|at| &line[at..]))?;
        let words: Vec<&str> = words.split_whitespace().collect();
        let (words, step) = (words.join(" "), record.id);
        Some(Self { words, step })
    }

    /// The line at its place, in a link to its step, and where it ends.
    fn drawn(&self, class: &str, (x, y): (usize, usize)) -> (Html, usize) {
        let Self { words, step } = self;
        let behind = x + (words.chars().count() + 1) * SMALL / 10;
        let number = step.to_string();
        let end = behind + number.len() * SMALL / 10;
        let parts = [text(class, (x, y), words), text("by", (behind, y), number)];
        (link(*step, parts), end)
    }
}

const PAD: usize = 6;
/// The height of a link, between two, and that of a line in between.
const BOX: usize = 24;
const GAP: usize = 20;
const LINE: usize = 18;
/// Where the way down stands, and the lines beside it.
const DOWN: usize = 28;
const BESIDE: usize = 58;

/// The links from top to bottom, and the lines of the steps.
fn picture(links: &[Link<'_>]) -> (Html, (usize, usize)) {
    let longest = links.iter().map(|link| link.name.chars().count()).max();
    let width = longest.unwrap_or_default() * CHARACTER / 10 + 2 * PAD;
    let (mut ways, mut names) = (Html::default(), Html::default());
    let (mut top, mut right) = (PAD, WIDTH - PAD);
    for (link, left) in links.iter().zip((0..links.len()).rev()) {
        names += rect("band", (PAD, top), (width, BOX)).with("rx", 3).empty();
        names += text("name", (2 * PAD, top + 16), link.name);
        let (line, end) = link.line.drawn("by", (width + 3 * PAD, top + 16));
        names += line;
        right = right.max(end);
        let above = top + BOX;
        top = above;
        for fails in &link.fails {
            top += LINE;
            let (line, end) = fails.drawn("by broken", (BESIDE, top + 2));
            ways += cross(BESIDE - 10, top - 2);
            names += line;
            right = right.max(end);
        }
        if left > 0 {
            top += GAP;
            ways += down(above, top);
        }
    }
    let picture = [ways, names].into_iter().collect();
    (picture, (right + PAD, top + PAD))
}

/// The way to the next link.
fn down(from: usize, to: usize) -> Html {
    let (base, left, right) = (to - 7, DOWN - 4, DOWN + 4);
    let way = element("path").class("branch");
    let way = way.with("d", format_args!("M{DOWN} {from}V{to}")).empty();
    let tip = element("path").class("tip");
    let tip = tip.with("d", format_args!("M{DOWN} {to}L{left} {base}H{right}z"));
    [way, tip.empty()].into_iter().collect()
}

/// A way that leads nowhere.
fn cross(x: usize, y: usize) -> Html {
    let (left, right, up, down) = (x - 4, x + 4, y - 4, y + 4);
    let way =
        format_args!("M{DOWN} {y}H{left}M{left} {up}L{right} {down}M{right} {up}L{left} {down}");
    element("path")
        .class("branch broken")
        .with("d", way)
        .empty()
}

/// The same in words.
fn told(links: &[Link<'_>]) -> String {
    let mut told = String::new();
    for Link { name, line, fails } in links {
        let _ = write!(told, "{name}: {} (step {}). ", line.words, line.step);
        for Line { words, step } in fails {
            let _ = write!(
                told,
                "Where it does not lead to the next: {words} (step {step}). "
            );
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    const PRINTED: &str = "\n3.1 host boot\n| Bios   1\n| Booting.. No disk \n= 0\n\n\
        3.2 host boot\n| Booting..init: hello\n= 0\n\n3.3 guest x\n| Kernel panic\n= 0 at 1\n";

    fn draw_it(words: &str) -> Result<Html, String> {
        let snapshot = Snapshot::parse(PRINTED).unwrap();
        let asked = Asked::parse(&lab::transcript::words::split(words).unwrap())?;
        draw(&asked, &snapshot.transcript.records)
    }

    #[test]
    fn links_stand_in_their_order_and_what_was_seen_where_one_broke() {
        let drawn = draw_it("'the bios=Bios' fails='No disk' fails=panic init=init:").unwrap();
        let told = "<desc>the bios: Bios 1 (step 3.1). Where it does not lead to the next: No disk (step \
            3.1). Where it does not lead to the next: panic (step 3.3). init: init: hello (step 3.2).</desc>";
        assert!(drawn.contains(told), "{drawn}");
        assert!(drawn.contains("<a href=\"#step-3.2\">"), "{drawn}");
        assert_eq!(drawn.matches("branch broken").count(), 2, "{drawn}");
        assert_eq!(drawn.matches("class=\"tip\"").count(), 1, "{drawn}");
        assert!(drawn.contains("viewBox=\"0 0 460 116\""), "{drawn}");
    }

    #[test]
    fn what_no_step_prints_is_not_drawn() {
        for (words, expected) in [
            ("bios=Bios init=bye", "no step above prints `bye`"),
            (
                "bios=Bios fails=bye init=init",
                "no step above prints `bye`",
            ),
            ("fails=bye bios=Bios", "`fails=bye` stands behind no link"),
            ("bios=Bios fails=panic", "a chain needs two links"),
            ("bios=Bios init", "`init`: expected NAME=TEXT"),
            ("bios=Bios init=", "`init=`: expected NAME=TEXT"),
            ("", "a chain needs two links"),
        ] {
            let error = draw_it(words).unwrap_err();
            assert!(error.contains(expected), "{words}: {error}");
        }
    }
}
