//! A patch of the book's on its page: `<!-- runner patch NAME -->` shows it whole, with its lines
//! for the configuration, if it has some; and with `from=` and `to=` the lines that it adds from
//! the first with one text to the next with the other.

use std::path::Path;

use crate::chapter::markdown::{Edit, Page};
use crate::fault::Fault;
use crate::html::{Html, element};
use lab::build::patch::{FOLDER, Patch};
use lab::transcript::words;

/// What begins the directive.
const WORD: &str = "patch";

/// Puts the patches of a page in the place of the lines that ask for them.
#[must_use]
pub fn fill(root: &Path, path: &Path, page: &Page<'_>) -> (Vec<Edit>, Vec<Fault>) {
    let (mut edits, mut faults) = (Vec::new(), Vec::new());
    for directive in page.directives("runner") {
        if directive.arguments.split_whitespace().next() != Some(WORD) {
            continue;
        }
        let shown = words::split(directive.arguments)
            .map_err(|error| error.to_string())
            .and_then(|words| {
                let asked = Asked::parse(&words[1..], directive.is_regular)?;
                asked.html(root)
            });
        match shown {
            Ok(html) => edits.push(page.replace(directive, &html)),
            Err(message) => faults.push(Fault::new(path, directive.line, message)),
        }
    }
    (edits, faults)
}

/// What a line asks for.
struct Asked<'a> {
    name: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn parse(words: &'a [String], is_regular: bool) -> Result<Self, String> {
        let shape = "expected `<!-- runner patch NAME from='…' to='…' -->`, alone on its line; \
                     from and to may be missing";
        let [name, rest @ ..] = words else {
            return Err(shape.to_owned());
        };
        let (mut from, mut to) = (None, None);
        for word in rest {
            match word.split_once('=') {
                Some(("from", text)) => from = Some(text),
                Some(("to", text)) => to = Some(text),
                _ => return Err(shape.to_owned()),
            }
        }
        match is_regular {
            true => Ok(Self { name, from, to }),
            false => Err(shape.to_owned()),
        }
    }

    /// The patch, or the lines that it adds between two.
    fn html(&self, root: &Path) -> Result<Html, String> {
        let file = format!("{FOLDER}/{}.patch", self.name);
        let patch = Patch::of_book(root, self.name).map_err(|error| error.to_string())?;
        let shown = match (self.from, self.to) {
            (None, None) => {
                let config = format!("{FOLDER}/{}.config", self.name);
                let nothing = format!("there is no {file} and no {config} to be shown");
                let all = [
                    (file, "language-diff", patch.text),
                    (config, "language-ini", patch.config),
                ];
                let shown: Vec<_> = all
                    .into_iter()
                    .filter(|(.., text)| !text.is_empty())
                    .collect();
                if shown.is_empty() {
                    return Err(nothing);
                }
                shown
            }
            (from, to) => {
                let added: Vec<&str> = patch.added().collect();
                let seek = |text: &str, after: usize| {
                    let found = added[after..].iter().position(|line| line.contains(text));
                    found
                        .map(|at| after + at)
                        .ok_or_else(|| format!("no line that {file} adds has `{text}`"))
                };
                let first = from.map_or(Ok(0), |text| seek(text, 0))?;
                let last = to.map_or(Ok(added.len() - 1), |text| seek(text, first))?;
                let lines = added[first..=last].join("\n") + "\n";
                vec![(file, "language-c", lines)]
            }
        };
        let figures = shown.into_iter().map(|(file, language, lines)| {
            let caption = element("figcaption").holding([element("code").text(&file)]);
            let code = element("code").class(language).text(lines);
            let parts = [caption, element("pre").holding([code])];
            element("figure").class("excerpt").holding(parts)
        });
        Ok(figures.collect())
    }
}
