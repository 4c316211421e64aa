//! A drawing as the page has it: the picture, its words for who does not see it, and its caption.

use crate::html::{Element, Html, anchor, element};
use lab::transcript::step::StepId;
use std::fmt::Display;

/// The width of a drawing that fits a narrow screen; one with long lines gets wider.
pub const WIDTH: usize = 460;
/// The width of a character of a name, and of a smaller one, in tenths.
pub const CHARACTER: usize = 76;
pub const SMALL: usize = 66;

/// What all drawings have.
#[derive(Debug)]
pub struct Figure<'a> {
    /// Whether it fits a narrow screen.
    pub is_narrow: bool,
    /// Its width and height.
    pub size: (usize, usize),
    /// What it is.
    pub label: String,
    /// The same as the picture, in words.
    pub told: &'a str,
    /// What it was made from.
    pub caption: String,
}

impl Figure<'_> {
    /// The drawing around a picture.
    #[must_use]
    pub fn around(self, picture: Html) -> Html {
        let (width, height) = self.size;
        let class = if self.is_narrow {
            "drawing narrow"
        } else {
            "drawing"
        };
        let svg = element("svg")
            .with("viewBox", format_args!("0 0 {width} {height}"))
            .with("role", "group")
            .with("aria-label", self.label)
            .holding([element("desc").text(self.told.trim_end()), picture]);
        let caption = element("figcaption").text(self.caption);
        element("figure").class(class).holding([svg, caption])
    }
}

/// What leads to a step.
#[must_use]
pub fn link(step: StepId, parts: impl IntoIterator<Item = Html>) -> Html {
    let href = format_args!("#{}", anchor(step));
    element("a").with("href", href).holding(parts)
}

/// A rectangle at its place, of a width and a height.
pub fn rect(
    class: &str,
    (x, y): (impl Display, impl Display),
    (width, height): (impl Display, impl Display),
) -> Element {
    let rect = element("rect").class(class).with("x", x).with("y", y);
    rect.with("width", width).with("height", height)
}

/// A text at its place.
#[must_use]
pub fn text(class: &str, (x, y): (impl Display, impl Display), text: impl Display) -> Html {
    let element = match class {
        "" => element("text"),
        class => element("text").class(class),
    };
    element.with("x", x).with("y", y).text(text)
}

/// As much of a name as has room, with a sign that there is more.
#[must_use]
pub fn cut(name: &str, room: usize) -> String {
    match name.chars().count() > room {
        true => name
            .chars()
            .take(room.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => name.to_owned(),
    }
}
