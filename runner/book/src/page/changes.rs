//! What has changed from one series of the kernel to another, on a page: `<!-- runner drift -->`
//! counts the steps of all chapters, and lists what the authors say about those that do something
//! else.

use std::path::Path;

use crate::chapter::markdown::{Edit, Page};
use crate::chapter::{self, Chapter};
use crate::fault::Fault;
use crate::html::{Html, anchor, element, text};
use crate::snapshot::drift::{self, Counts};
use crate::snapshot::reasons::{self, Form, Reasons};
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
        let all = reasons::all(root)?.into_iter();
        let all = all.map(|series| Recorded::read(root, series, &chapters));
        let all: Vec<Recorded<'_>> = all.collect::<anyhow::Result<_>>()?;
        let parts = all.iter().map(|recorded| of_series(recorded, &chapters));
        let html: Html = [overview(&all, &chapters)]
            .into_iter()
            .chain(parts)
            .collect();
        edits.push(page.replace(directive, &element("div").class("drift").holding([html])));
    }
    Ok((edits, faults))
}

/// What was recorded on one series: the chapters, and what has become of their steps.
struct Recorded<'a> {
    series: String,
    reasons: Reasons,
    chapters: Vec<(&'a Chapter, Counts)>,
}

impl<'a> Recorded<'a> {
    fn read(root: &Path, series: String, chapters: &'a [Chapter]) -> anyhow::Result<Self> {
        let reasons = Reasons::read(root, &series)?;
        let mut counted = Vec::new();
        for chapter in chapters {
            let fates = drift::between(root, chapter, lab::SERIES, &series)?;
            counted.extend(fates.map(|fates| (chapter, Counts::of(&fates, &reasons))));
        }
        Ok(Self {
            series,
            reasons,
            chapters: counted,
        })
    }

    /// How many steps of a chapter say what the book says; none if it was not recorded.
    fn agreeing(&self, chapter: &Chapter) -> Option<usize> {
        let mut all = self.chapters.iter();
        let (_, counts) = all.find(|(other, _)| other.number == chapter.number)?;
        Some(counts.same + counts.same_meaning + counts.another_form)
    }
}

/// The chapters that were recorded on any series: how many of their steps say there what the book
/// says.
fn overview(all: &[Recorded<'_>], chapters: &[Chapter]) -> Html {
    let names = all.iter().map(|recorded| &*recorded.series);
    let mut rows = vec![head(["chapter", "steps"].into_iter().chain(names))];
    for chapter in chapters {
        let agreeing: Vec<_> = all.iter().map(|series| series.agreeing(chapter)).collect();
        if agreeing.iter().all(Option::is_none) {
            continue;
        }
        let cells = agreeing.into_iter().map(|count| match count {
            Some(count) => element("td").text(count),
            None => element("td").text("–"),
        });
        let steps = [element("td").text(chapter.steps.len())];
        rows.push(row(chapter, steps.into_iter().chain(cells)));
    }
    let caption = "How many steps of each chapter say on another kernel what the book says:";
    let parts = [element("p").text(caption), element("table").holding(rows)];
    parts.into_iter().collect()
}

/// The head of a table.
fn head<'a>(names: impl Iterator<Item = &'a str>) -> Html {
    let cells = names.map(|name| element("th").with("scope", "col").text(name));
    element("tr").holding(cells)
}

/// A row about a chapter.
fn row(chapter: &Chapter, cells: impl Iterator<Item = Html>) -> Html {
    let link = element("a").with("href", format_args!("{}.html", chapter.name));
    let heading = element("th").with("scope", "row");
    let heading = heading.holding([link.text(chapter.number)]);
    element("tr").holding([heading].into_iter().chain(cells))
}

/// One series: how many steps of each chapter, and why.
fn of_series(recorded: &Recorded<'_>, chapters: &[Chapter]) -> Html {
    let Recorded {
        series, reasons, ..
    } = recorded;
    let names = [
        "chapter",
        "the same",
        "in meaning",
        "another form",
        "otherwise",
        "not there",
    ];
    let mut rows = vec![head(names.into_iter())];
    for (chapter, counts) in &recorded.chapters {
        let Counts {
            same,
            same_meaning,
            another_form,
            otherwise,
            absent,
            ..
        } = counts;
        let cells = [same, same_meaning, another_form, otherwise, absent];
        rows.push(row(
            chapter,
            cells.into_iter().map(|count| element("td").text(count)),
        ));
    }
    let changes = reasons.changes().iter().map(|(steps, why)| {
        let links = steps
            .iter()
            .flat_map(|id| [text(", "), link(*id, chapters)]);
        let links = element("small").holding(links.skip(1));
        element("li").holding([text(format_args!("{why} ")), links])
    });
    let parts = [
        element("h2")
            .with("id", format_args!("linux-{series}"))
            .text(format_args!("In Linux {series}")),
        element("table").holding(rows),
        element("ul").holding(changes),
        forms(reasons, chapters),
    ];
    parts.into_iter().collect()
}

/// What is typed in another form.
fn forms(reasons: &Reasons, chapters: &[Chapter]) -> Html {
    let forms = reasons.forms().map(|(id, Form { command, why, .. })| {
        let typed = element("code").text(command);
        element("li").holding([
            link(id, chapters),
            text(": "),
            typed,
            text(format_args!(". {why}")),
        ])
    });
    let forms: Vec<Html> = forms.collect();
    if forms.is_empty() {
        return Html::default();
    }
    let heading = element("p").text("These steps are typed in another form there:");
    [heading, element("ul").holding(forms)]
        .into_iter()
        .collect()
}

fn link(id: StepId, chapters: &[Chapter]) -> Html {
    let name = chapters.iter().find(|chapter| chapter.number == id.chapter);
    let name = name.map_or("", |chapter| &*chapter.name);
    let href = format!("{name}.html#{}", anchor(id));
    element("a").with("href", href).text(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_counted_and_said() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let fence = "```console\n<!-- cmdrun runner show 5.1 guest ls -->\n```\n";
        write("chapters/05-x.md", &format!("# X\n\n{fence}"));
        let recorded = |series: &str, printed: &str| {
            let text = format!(
                "---\n---\nkind: exact\nlinux: {series}.1\n\n5.1 guest ls\n| {printed}\n= 0\n"
            );
            write(&format!("tests/snapshots/{series}/05-x.snap"), &text);
        };
        recorded("6.1", "a");
        recorded("6.12", "b");
        recorded("5.10", "a");
        let reason = "[[change]]\nsteps = [\"5.1\"]\nwhy = \"A <new> name.\"\n";
        write("drift/6.12.toml", reason);
        write("drift/5.10.toml", "");
        let filled = |text: &str| {
            let path = Path::new("chapters/changes.md");
            fill(root.path(), path, &Page::read(text)).unwrap()
        };
        let page = "# Changes\n\n<!-- runner drift -->\n";
        let (edits, faults) = filled(page);
        assert!(faults.is_empty(), "{faults:?}");
        let html = Page::read(page).edited(edits);
        let parts = [
            "<th scope=\"col\">steps</th><th scope=\"col\">5.10</th>",
            "5</a></th><td>1</td><td>1</td><td>0</td></tr>",
            "In Linux 5.10</h2>",
            "<td>1</td><td>0</td><td>0</td><td>0</td><td>0</td>",
            "In Linux 6.12</h2>",
            "<a href=\"05-x.html\">5</a></th><td>0</td><td>0</td><td>0</td><td>1</td><td>0</td>",
            "<li>A &lt;new&gt; name. <small><a href=\"05-x.html#step-5.1\">5.1</a></small></li>",
        ];
        let mut at = 0;
        for part in parts {
            at += html[at..]
                .find(part)
                .unwrap_or_else(|| panic!("{part}: {html}"));
        }
        let (edits, faults) = filled("<!-- runner drift 6.12 -->\n");
        assert_eq!((edits.len(), faults.len()), (0, 1));
    }
}
