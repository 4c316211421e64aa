//! Markup, made of its parts: the one place where text becomes HTML or SVG.
//!
//! The names of elements and attributes are written in this program. All that stands in them may
//! come from a guest, and is escaped here, so that it can neither end them nor become one.
//! The markup is one line, with `&#10;` for a newline: a blank line would end the block that
//! Markdown puts it into. No `<` of a text is left in it, so whoever looks for commands in a page,
//! as mdbook-cmdrun does, finds none.

use std::fmt::{self, Display, Write as _};
use std::ops::{AddAssign, Deref};

use lab::transcript::is_unseen;

/// Whole elements and text between them, as markup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

/// An element that has only begun.
#[derive(Debug)]
#[must_use]
pub struct Element {
    name: &'static str,
    markup: String,
}

/// Begins an element.
pub fn element(name: &'static str) -> Element {
    let markup = format!("<{name}");
    Element { name, markup }
}

/// Escapes text.
#[must_use]
pub fn text(text: impl Display) -> Html {
    Html(escaped(text))
}

impl Element {
    /// Gives it an attribute.
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.markup += &format!(" {name}=\"{}\"", escaped(value));
        self
    }

    /// Gives it a class.
    pub fn class(self, class: impl Display) -> Self {
        self.with("class", class)
    }

    /// Ends it as an element of SVG that holds nothing.
    #[must_use]
    pub fn empty(self) -> Html {
        Html(self.markup + "/>")
    }

    /// Ends it behind a text.
    #[must_use]
    pub fn text(self, text: impl Display) -> Html {
        self.holding([self::text(text)])
    }

    /// Ends it behind other elements.
    #[must_use]
    pub fn holding(self, parts: impl IntoIterator<Item = Html>) -> Html {
        let Self { name, markup } = self;
        let mut html = Html(markup + ">");
        html.extend(parts);
        html.0 += &format!("</{name}>");
        html
    }

    /// Puts it around Markdown, in a line of the prose.
    #[must_use]
    pub fn around(self, markdown: &str) -> String {
        let Self { name, markup } = self;
        format!("{}>{markdown}</{name}>", Html(markup).in_prose())
    }
}

impl Html {
    /// The markup as a part of a line of the prose, where a `|` would end the cell of a table.
    #[must_use]
    pub fn in_prose(&self) -> String {
        self.0.replace('|', "&#124;")
    }
}

impl Deref for Html {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AddAssign for Html {
    fn add_assign(&mut self, other: Self) {
        self.0 += &other.0;
    }
}

impl Extend<Html> for Html {
    fn extend<T: IntoIterator<Item = Html>>(&mut self, parts: T) {
        parts.into_iter().for_each(|part| *self += part);
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<T: IntoIterator<Item = Html>>(parts: T) -> Self {
        let mut html = Self::default();
        html.extend(parts);
        html
    }
}

fn escaped(text: impl Display) -> String {
    struct Escaping(String);
    impl fmt::Write for Escaping {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for c in text.chars() {
                match c {
                    '&' => self.0 += "&amp;",
                    '<' => self.0 += "&lt;",
                    '>' => self.0 += "&gt;",
                    '"' => self.0 += "&quot;",
                    '\'' => self.0 += "&#39;",
                    '\n' => self.0 += "&#10;",
                    '\t' => self.0 += "&#9;",
                    c if is_unseen(c) => self.0.push('\u{fffd}'),
                    c => self.0.push(c),
                }
            }
            Ok(())
        }
    }
    let mut escaping = Escaping(String::new());
    // Only a text that cannot be displayed would fail; it stays out.
    let _ = write!(escaping, "{text}");
    escaping.0
}

/// The id of the element that holds a step: `step-5.3`.
#[must_use]
pub fn anchor(id: lab::transcript::step::StepId) -> String {
    format!("step-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let hostile = "</b><i>\"'&amp;\n\t\u{1b}\u{202e}";
        let html = element("b").class(hostile).holding([text(hostile)]);
        let safe = "&lt;/b&gt;&lt;i&gt;&quot;&#39;&amp;amp;&#10;&#9;\u{fffd}\u{fffd}";
        assert_eq!(&*html, format!("<b class=\"{safe}\">{safe}</b>"));
        let rect = element("rect").with("x", 1).empty();
        assert_eq!(&*element("g").holding([rect]), "<g><rect x=\"1\"/></g>");
        let cell = element("i").class("a|b").around("`c`");
        assert_eq!(cell, "<i class=\"a&#124;b\">`c`</i>");
    }
}
