//! The hint on a claim: a link to the definition, and kind and place for whoever points at it, and
//! which other series of the kernel do not have it.
//!
//! The tags are put around the span's own backticks, so that Markdown makes the code element as it
//! makes all others. A name that comes again in a section keeps its link and its hint for the
//! mouse, and is left out of the tour that the Tab key makes: a page would have hundreds of stops
//! otherwise.

use std::collections::BTreeSet;

use crate::chapter::markdown::{Edit, Page};
use crate::html::{Element, element};
use crate::prose::absent::{self, Absent};
use crate::prose::glossary::Glossary;
use crate::prose::mention;
use crate::prose::resolve::Found;

/// Decorates the claims of a page that the glossary knows.
#[must_use]
pub fn decorate(page: &Page<'_>, glossary: &Glossary, others: &[Absent]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut seen = BTreeSet::new();
    for mention in mention::of_page(page)
        .into_iter()
        .filter(|mention| !mention.bare)
    {
        let Some(found) = glossary.names.get(&mention.text) else {
            continue;
        };
        let hint = match absent::told(others, &mention.text) {
            Some(told) => format!("{found}; {told}"),
            None => found.to_string(),
        };
        let is_first = seen.insert((mention.section, mention.text));
        let element = element_of(found, &hint, glossary, is_first);
        let text = element.around(&page.text[mention.range.clone()]);
        edits.push((mention.range, text));
    }
    edits
}

/// The element around a span.
fn element_of(found: &Found, hint: &str, glossary: &Glossary, is_first: bool) -> Element {
    let (element, stop) = match glossary.link(found) {
        Some(link) => (
            element("a").class("claim").with("href", link),
            (!is_first).then_some(-1),
        ),
        None => (element("span").class("claim"), is_first.then_some(0)),
    };
    let element = element.with("data-claim", hint);
    match stop {
        Some(index) => element.with("tabindex", index),
        None => element,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Kind;

    fn glossary() -> Glossary {
        let found = |kind, place: &str| Found {
            kind,
            place: place.to_owned(),
        };
        let names = [
            ("a_b", found(Kind::Function, "net/a.c:1")),
            ("/proc/x", found(Kind::GuestFile, "in the guest")),
            ("T_X", found(Kind::Enumerator, "= 2, net/a.h:2")),
        ];
        Glossary {
            linux: "1.2".to_owned(),
            names: names.map(|(name, found)| (name.to_owned(), found)).into(),
            ..Glossary::default()
        }
    }

    fn decorated(text: &str) -> String {
        let page = Page::read(text);
        page.edited(decorate(&page, &glossary(), &[]))
    }

    #[test]
    fn the_first_of_a_section_is_a_stop_of_the_tab_key() {
        let text = "# The `a_b`\n\n`a_b`, `a_b` and `c_d`.\n\n## Two\n\n| `/proc/x` | `T_X` |\n";
        let link = "<a class=\"claim\" href=\"https://elixir.bootlin.com/linux/v1.2/source/net/a.";
        let function = "data-claim=\"function, net/a.c:1\"";
        let expected = format!(
            "# The `a_b`\n\n{link}c#L1\" {function}>`a_b`</a>, {link}c#L1\" {function} \
             tabindex=\"-1\">`a_b`</a> \
             and `c_d`.\n\n## Two\n\n| <span class=\"claim\" data-claim=\"guest file, in the \
             guest\" \
             tabindex=\"0\">`/proc/x`</span> | {link}h#L2\" data-claim=\"enumerator = 2, \
             net/a.h:2\">`T_X`</a> |\n"
        );
        assert_eq!(decorated(text), expected);
    }

    #[test]
    fn what_is_no_prose_stays_as_it_is() {
        let text = "```c\n`a_b`\n```\n\n<div>`a_b`</div>\n\n[`a_b`](x.md) ![`a_b`](y.svg)\n";
        assert_eq!(decorated(text), text);
    }
}
