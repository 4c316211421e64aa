//! Where an exercise stands in the text: a line of its own, `<!-- runner exercise NAME -->`, and
//! its statement up to the next such line, the next heading or the next thematic break.

use std::ops::Range;
use std::path::Path;

use crate::chapter::markdown::{Directive, Page};
use crate::fault::Fault;

/// The first word of the directive.
pub const WORD: &str = "exercise";

/// An exercise in the text of a page.
#[derive(Debug)]
pub struct Place<'a> {
    /// Its name.
    pub name: &'a str,
    /// The line that begins it.
    pub directive: &'a Directive<'a>,
    /// The statement's bytes.
    pub statement: Range<usize>,
}

/// The exercises of a page, and the lines that ask for one and are malformed.
#[must_use]
pub fn of_page<'a>(path: &Path, page: &'a Page<'a>) -> (Vec<Place<'a>>, Vec<Fault>) {
    let (mut places, mut faults) = (Vec::new(), Vec::new());
    for directive in page.directives("runner") {
        let words: Vec<&str> = directive.arguments.split_whitespace().collect();
        match words[..] {
            [WORD, name] if directive.is_regular => places.push(Place {
                name,
                directive,
                statement: directive.range.end..end(page, directive.range.end),
            }),
            [WORD, ..] => {
                let message = "expected `<!-- runner exercise NAME -->`, alone on its line";
                faults.push(Fault::new(path, directive.line, message));
            }
            _ => {}
        }
    }
    (places, faults)
}

/// Where the statement ends that begins here.
fn end(page: &Page<'_>, start: usize) -> usize {
    let mut at = start;
    let in_fence = |at: usize| page.fences().any(|fence| fence.range.contains(&at));
    for line in page.text[start..].split_inclusive('\n') {
        let shown = line.trim();
        let is_break = shown.len() >= 3 && shown.chars().all(|c| c == '-');
        let is_next = shown.starts_with("<!-- runner exercise ");
        if at > start && !in_fence(at) && (line.starts_with('#') || is_break || is_next) {
            return at;
        }
        at += line.len();
    }
    page.text.len()
}

/// The statement of a place as plain Markdown: without what is folded, which is the hint.
#[must_use]
pub fn split_hint(statement: &str) -> (String, Option<String>) {
    let fold = |text: &str| {
        let start = text.find("<details>")?;
        let end = start + text[start..].find("</details>")? + "</details>".len();
        Some((start, end))
    };
    let Some((start, end)) = fold(statement) else {
        return (statement.trim().to_owned(), None);
    };
    let hint = &statement[start + "<details>".len()..end - "</details>".len()];
    let hint = match hint.split_once("</summary>") {
        Some((_, hint)) => hint,
        None => hint,
    };
    let rest = format!("{}{}", &statement[..start], &statement[end..]);
    (rest.trim().to_owned(), Some(hint.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "## Exercises\n\n<!-- runner exercise one -->\n\nDo it.\n\n<details>\n\
                        <summary>Hint</summary>\n\nThink.\n\n</details>\n\n\
                        <!-- runner exercise two -->\n\nSee:\n\n```c\n# no heading\n---\n```\n\n\
                        ### More\n\n- x\n\n<!-- runner exercise -->\n";

    #[test]
    fn a_statement_goes_to_the_next_of_its_kind_or_to_a_heading() {
        let page = Page::read(TEXT);
        let (places, faults) = of_page(Path::new("chapters/06-x.md"), &page);
        let found: Vec<_> = places
            .iter()
            .map(|place| (place.name, split_hint(&TEXT[place.statement.clone()])))
            .collect();
        assert_eq!(
            found[0],
            ("one", ("Do it.".to_owned(), Some("Think.".to_owned())))
        );
        let two = "See:\n\n```c\n# no heading\n---\n```".to_owned();
        assert_eq!(found[1], ("two", (two, None)));
        assert_eq!(found.len(), 2);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].line, 27);
    }
}
