//! The values of the pages: looks up what the directives of [`crate::chapter::value`] ask for, and
//! writes them as HTML.
//!
//! A value leads to the step that it comes from, on whatever page that is, and says so to whoever
//! points at it. Most of them are left out of the tour that the Tab key makes, as the steps
//! themselves are stops already.

use std::collections::BTreeMap;
use std::path::Path;

use regex_lite::Regex;

use crate::chapter;
use crate::chapter::expression::Number;
use crate::chapter::markdown::{Edit, Page};
use crate::chapter::value::{self, Directive, Form, Source, edge, written};
use crate::fault::Fault;
use crate::html::{Html, anchor, element, text};
use crate::prose::glossary::Glossary;
use crate::snapshot::Snapshot;
use crate::symbols::has_word;
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// What the values are made of: the recorded chapters and names.
#[derive(Debug)]
pub struct Values {
    /// By the chapters' numbers: the file's name without its ending, and what was recorded.
    chapters: BTreeMap<u32, (String, Snapshot)>,
    names: Glossary,
}

impl Values {
    /// Reads all snapshots.
    ///
    /// # Errors
    /// Files that cannot be read or are damaged.
    pub fn read(root: &Path, names: Glossary) -> anyhow::Result<Self> {
        let mut chapters = BTreeMap::new();
        for path in chapter::paths(root)? {
            // What is no chapter's name is told elsewhere.
            let Ok((number, name)) = chapter::name_of(&path) else {
                continue;
            };
            if let Some(snapshot) = Snapshot::read(root, &name)? {
                chapters.insert(number, (name, snapshot));
            }
        }
        Ok(Self { chapters, names })
    }

    /// The values of a page, and what is wrong with those that have none, by line.
    pub fn fill(&mut self, path: &Path, page: &Page<'_>) -> (Vec<Edit>, Vec<Fault>) {
        let here = chapter::name_of(path).ok().map(|(number, _)| number);
        let (mut edits, mut faults) = (Vec::new(), Vec::new());
        for (range, inner) in value::find(page) {
            let is_code = page.text[range.clone()].starts_with('`');
            let html =
                Directive::parse(inner).and_then(|directive| self.html(here, &directive, is_code));
            match html {
                Ok(html) => edits.push((range, html.in_prose())),
                Err(message) => {
                    let message = format!("{{{{{inner}}}}}: {message}");
                    faults.push(Fault::new(path, page.line(range.start), message));
                }
            }
        }
        for range in value::kept(page) {
            let directive = &page.text[range.clone()];
            let message = format!(
                "{directive} stands in a code span with other text, so the page would show it as \
                 it is written; let the span be the directive alone"
            );
            faults.push(Fault::new(path, page.line(range.start), message));
        }
        (edits, faults)
    }

    /// The steps of the page's chapter that show a number.
    #[must_use]
    pub fn who_shows(&self, path: &Path, number: &str) -> Vec<StepId> {
        let chapter = chapter::name_of(path)
            .ok()
            .and_then(|(number, _)| self.chapters.get(&number));
        let records = chapter
            .iter()
            .flat_map(|(_, snapshot)| &snapshot.transcript.records);
        // A sign is no part of a word.
        let number = number.trim_start_matches('-');
        let shows = |text: &str| has_word(text, number);
        records
            .filter(|record| shows(&record.output.stdout) || shows(&record.command))
            .map(|record| record.id)
            .collect()
    }

    fn html(
        &mut self,
        here: Option<u32>,
        directive: &Directive,
        is_code: bool,
    ) -> Result<Html, String> {
        match directive {
            Directive::Step(id) => {
                self.record(*id)?;
                Ok(self.link(here, *id))
            }
            Directive::Seen(shown) => self.seen(here, shown),
            Directive::Value(form, tokens) => {
                let written = written(*form, tokens, self)?;
                let value = match is_code {
                    true => element("code").text(&written),
                    false => text(&written),
                };
                let bar = match form {
                    Form::Bar => bar(&written),
                    _ => Html::default(),
                };
                let from = self.origin(directive);
                let element = match directive.steps().first() {
                    None => element("span")
                        .class("claim value")
                        .with("data-claim", from),
                    Some(first) => {
                        let link = element("a").class("claim value");
                        let link = link.with("href", self.href(here, *first));
                        link.with("data-claim", from).with("tabindex", -1)
                    }
                };
                Ok([bar, element.holding([value])].into_iter().collect())
            }
        }
    }

    /// Where a value comes from, in words.
    fn origin(&self, directive: &Directive) -> String {
        let steps = directive.steps().into_iter().map(|id| format!("step {id}"));
        let names = directive.names().into_iter().map(|name| {
            let found = self.names.names.get(name).map(ToString::to_string);
            format!("{name}, {}", found.unwrap_or_default())
        });
        let mut from: Vec<String> = steps.chain(names).collect();
        from.dedup();
        let from = from.join("; ");
        match from.is_empty() {
            true => "computed".to_owned(),
            false => format!("from {from}"),
        }
    }

    fn href(&self, here: Option<u32>, id: StepId) -> String {
        let page = match self.chapters.get(&id.chapter) {
            Some((name, _)) if here != Some(id.chapter) => format!("{name}.html"),
            _ => String::new(),
        };
        format!("{page}#{}", anchor(id))
    }

    fn link(&self, here: Option<u32>, id: StepId) -> Html {
        let link = element("a").class("step-reference");
        link.with("href", self.href(here, id)).text(id)
    }

    /// Links to the first step of each chapter that shows a text.
    fn seen(&self, here: Option<u32>, shown: &str) -> Result<Html, String> {
        let (first, last) = (edge(shown.chars().next()), edge(shown.chars().last()));
        let pattern = format!("{first}{}{last}", regex_lite::escape(shown));
        let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
        let shows = |record: &&Record| {
            let Record {
                command, output, ..
            } = record;
            let mut all = [command, &output.stdout, &output.stderr].into_iter();
            all.any(|shown| pattern.is_match(shown))
        };
        let chapters = self.chapters.values();
        let records = chapters.map(|(_, snapshot)| &snapshot.transcript.records);
        let firsts = records.filter_map(|records| records.iter().find(shows));
        let links: Vec<Html> = firsts.map(|record| self.link(here, record.id)).collect();
        if links.is_empty() {
            return Err("no step shows this text".to_owned());
        }
        let last = links.len() - 1;
        let joined = links.into_iter().enumerate().flat_map(|(at, link)| {
            let before = match at {
                0 => "",
                _ if at == last => " and ",
                _ => ", ",
            };
            [text(before), link]
        });
        Ok(joined.collect())
    }
}

impl Source for Values {
    fn record(&mut self, id: StepId) -> Result<&Record, String> {
        let chapter = self.chapters.get(&id.chapter);
        let (_, snapshot) =
            chapter.ok_or_else(|| format!("chapter {} has no recorded step", id.chapter))?;
        let record = snapshot.record(id);
        record.ok_or_else(|| format!("there is no recorded step {id}"))
    }

    fn named(&mut self, name: &str) -> Result<Number, String> {
        self.names.value(name)
    }
}

/// The bar of a number: as many steps long as it has factors of ten.
fn bar(number: &str) -> Html {
    let tens = number.parse::<f64>().map_or(0.0, f64::log10);
    let style = format_args!("--tens:{tens:.2}");
    element("span").class("bar").with("style", style).text("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prose::resolve::Found;
    use crate::symbols::Kind;

    fn filled(text: &str) -> (String, Vec<String>) {
        let snapshot = |text| Snapshot::parse(text).unwrap();
        let first =
            snapshot("\n1.1 gdb 'print len'\n| $1 = 192\n= 0\n\n1.2 guest ls\n| a_len <x>\n= 0\n");
        let second = snapshot("\n2.1 gdb 'print len'\n| $1 = 5\n= 0\n");
        let found = Found {
            kind: Kind::Macro,
            place: "= 6000, include/net/tcp.h:1".to_owned(),
        };
        let names = Glossary {
            names: [("LEN".to_owned(), found)].into(),
            ..Glossary::default()
        };
        let chapters = [
            (1, ("01-one".to_owned(), first)),
            (2, ("02-two".to_owned(), second)),
        ];
        let mut values = Values {
            chapters: chapters.into(),
            names,
        };
        let page = Page::read(text);
        let (edits, faults) = values.fill(Path::new("chapters/01-one.md"), &page);
        (
            page.edited(edits),
            faults.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn a_value_leads_to_its_step() {
        let (page, faults) = filled(
            "has {{1.1}}, {{2.1}}\nand {{LEN / 100}}, see {{step 2.1}}: {{seen len}}, {{seen \
             a_len}}",
        );
        let link = |href: &str, from: &str, text: &str| {
            format!(
                "<a class=\"claim value\" href=\"{href}\" data-claim=\"from {from}\" \
                 tabindex=\"-1\">{text}</a>"
            )
        };
        let step = |href: &str, text: &str| {
            format!("<a class=\"step-reference\" href=\"{href}\">{text}</a>")
        };
        let expected = format!(
            "has {}, {}\nand <span class=\"claim value\" data-claim=\"from LEN, macro = 6000, \
             include/net/tcp.h:1\">60</span>, \
             see {}: {} and {}, {}",
            link("#step-1.1", "step 1.1", "192"),
            link("02-two.html#step-2.1", "step 2.1", "5"),
            step("02-two.html#step-2.1", "2.1"),
            step("#step-1.1", "1.1"),
            step("02-two.html#step-2.1", "2.1"),
            step("#step-1.2", "1.2"),
        );
        assert_eq!(page, expected);
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn a_bar_is_a_step_longer_for_each_factor_of_ten() {
        for (number, tens) in [("1", "0.00"), ("1000", "3.00"), ("1700", "3.23")] {
            let (page, _) = filled(&format!("{{{{bar {number}}}}}"));
            let bar = format!("<span class=\"bar\" style=\"--tens:{tens}\"></span>");
            assert!(page.starts_with(&bar), "{page}");
        }
        for number in ["0", "1 - 2", "3 / 2"] {
            let (_, faults) = filled(&format!("{{{{bar {number}}}}}"));
            let [fault] = &faults[..] else {
                panic!("{faults:?}");
            };
            assert!(
                fault.ends_with("a bar needs a whole number above zero"),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_fault_has_its_line() {
        let (_, faults) = filled("a\n{{1.2}} {{3.1}}\n{{seen nothing}} {{NONE}}");
        let expected = [
            "chapters/01-one.md:2: {{1.2}}: step 1.2 printed no number",
            "chapters/01-one.md:2: {{3.1}}: chapter 3 has no recorded step",
            "chapters/01-one.md:3: {{seen nothing}}: no step shows this text",
            "chapters/01-one.md:3: {{NONE}}: `NONE` was never recorded: cargo run -p runner -- \
             claims --record",
        ];
        assert_eq!(faults, expected);
    }
}
