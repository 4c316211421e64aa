//! What has changed from one series of the kernel to another, on a page: `<!-- runner drift -->`
//! counts the steps of all chapters, and lists what the authors say about those that do something
//! else.

use std::path::Path;

use crate::chapter::markdown::{Edit, Page};
use crate::chapter::{self, Chapter};
use crate::fault::Fault;
use crate::html::{Html, anchor, element, text};
use crate::snapshot::drift::{self, Counts, Reasons};
use lab::transcript::step::StepId;

/// What begins the directive.
const WORD: &str = "drift";

/// Puts what has changed in the place of the lines that ask for it.
///
/// # Errors
/// When a chapter, a snapshot or an explanation cannot be read.
pub fn fill(root: &Path, path: &Path, page: &Page<'_>) -> anyhow::Result<(Vec<Edit>, Vec<Fault>)> {
    let (mut edits, mut faults) = (Vec::new(), Vec::new());
    for directive in page.directives("runner") {
        let mut words = directive.arguments.split_whitespace();
        if words.next() != Some(WORD) {
            continue;
        }
        if words.next().is_some() || !directive.is_regular {
            let message = "expected `<!-- runner drift -->`, alone on its line";
            faults.push(Fault::new(path, directive.line, message));
            continue;
        }
        let chapters = chapter::paths(root)?;
        let chapters = chapters.iter().map(|path| Chapter::read(root, path));
        let chapters: Vec<Chapter> = chapters.collect::<Result<_, _>>()?;
        let series = drift::explained(root)?;
        let parts = series
            .iter()
            .map(|series| of_series(root, series, &chapters));
        let html: Html = parts.collect::<anyhow::Result<_>>()?;
        edits.push(page.replace(directive, &element("div").class("drift").holding([html])));
    }
    Ok((edits, faults))
}

/// One series: how many steps of each chapter, and why.
fn of_series(root: &Path, series: &str, chapters: &[Chapter]) -> anyhow::Result<Html> {
    let reasons = Reasons::read(root, series)?;
    let head = [
        "chapter",
        "the same",
        "in meaning",
        "otherwise",
        "not there",
    ];
    let head = head.map(|name| element("th").with("scope", "col").text(name));
    let mut rows = vec![element("tr").holding(head)];
    for chapter in chapters {
        let (name, last) = (&chapter.name, chapter.last());
        let Some(fates) = drift::between(root, name, last, lab::SERIES, series)? else {
            continue;
        };
        let Counts {
            same,
            same_meaning,
            otherwise,
            absent,
            ..
        } = Counts::of(&fates, &reasons);
        let link = element("a").with("href", format_args!("{name}.html"));
        let heading = element("th").with("scope", "row");
        let cells = [same, same_meaning, otherwise, absent].map(|count| element("td").text(count));
        let row = [heading.holding([link.text(chapter.number)])]
            .into_iter()
            .chain(cells);
        rows.push(element("tr").holding(row));
    }
    let changes = reasons.changes().iter().map(|(steps, why)| {
        let links = steps
            .iter()
            .flat_map(|id| [text(", "), link(*id, chapters)]);
        let links = element("small").holding(links.skip(1));
        element("li").holding([text(format_args!("{why} ")), links])
    });
    Ok([
        element("h2")
            .with("id", format_args!("linux-{series}"))
            .text(format_args!("In Linux {series}")),
        element("table").holding(rows),
        element("ul").holding(changes),
    ]
    .into_iter()
    .collect())
}

fn link(id: StepId, chapters: &[Chapter]) -> Html {
    let name = chapters.iter().find(|chapter| chapter.number == id.chapter);
    let name = name.map_or("", |chapter| &*chapter.name);
    let href = format!("{name}.html#{}", anchor(id));
    element("a").with("href", href).text(id)
}
