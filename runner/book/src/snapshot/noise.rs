//! What may differ in a chapter although nothing in it has changed: measured when it is recorded
//! (`snapshot::learn`), and kept beside its snapshot, `05-inet-init.noise`.
//!
//! A step whose text never varied has no entry, and must be equal. Of the others each line that
//! varied stands there, behind its number in the step, with a hole for each token that did:
//!
//! ```text
//! 6.7
//! 2 | 64 bytes from 10.0.3.1: seq=0 ttl=64 time={41.2..46.3} ms
//!
//! 6.57 any order
//! 1..1 |     {?}  {00:00:21.9..00:00:24.1} IP 10.0.3.2.{?} > 10.0.3.1.9090: Flags [S]
//! ```
//!
//! | hole | what may stand there |
//! | --- | --- |
//! | `{3..5}` | a number between these two |
//! | `{*}` | any number, but no two holes of a step that were recorded with two have the same |
//! | `{?}` | any number |
//! | `{no\|yes}` | one of these words |
//! | `{6.57a=*}` | as without the name, and others refer to it |
//! | `{6.57a}`, `{6.57a+8}` | what stood in the hole of that name, or as far from it |
//!
//! Braces of the text are doubled. `any order` is for a step that had other lines, or the same in
//! another order: there each form of a line stands behind the least and the most times that it may
//! come. Blank space in a line with holes may be longer or shorter.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use lab::transcript::step::StepId;

use crate::snapshot::path;
use crate::snapshot::shape::Number;

/// What may differ in a chapter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noise {
    /// The steps that may differ, in order.
    pub steps: Vec<(StepId, Steps)>,
}

/// How a step may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steps {
    /// In these lines, by their numbers from 1.
    Lines(Vec<(usize, Form)>),
    /// In the order and the number of its lines: how often at least, and at most, each comes.
    AnyOrder(Vec<(usize, usize, Form)>),
}

/// A line with holes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(pub Vec<Piece>);

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text that must be there.
    Text(String),
    /// A token that may differ.
    Hole {
        /// Its name, if others refer to it.
        name: Option<String>,
        /// What may stand there.
        kind: Hole,
    },
}

/// What may stand in a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hole {
    /// A number between these two.
    Span(Number, Number),
    /// Any number that no other such hole of the step has.
    Own,
    /// Any number.
    Any,
    /// One of these words.
    Words(Vec<String>),
    /// What stood in the hole of this name, and so far from it.
    As(String, i128),
}

/// Where the noise of the chapter called `name` is kept.
#[must_use]
pub fn noise_path(root: &Path, name: &str) -> PathBuf {
    path(root, lab::SERIES, name).with_extension("noise")
}

impl Noise {
    /// Reads the noise of a chapter: none where it was never measured.
    ///
    /// # Errors
    /// A file that cannot be read, or that this module did not write: with its line.
    pub fn read(root: &Path, name: &str) -> Result<Self> {
        let path = noise_path(root, name);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("read the noise {}", path.display()))?,
        };
        let remedy = "get it back with git, or measure it anew with `runner record`";
        Self::parse(&text).with_context(|| format!("{}: damaged; {remedy}", path.display()))
    }

    /// Reads what [`Noise::fmt`] wrote.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self> {
        let mut steps: Vec<(StepId, Steps)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let wrong = || format!("line {} is not understood: {line}", index + 1);
            if line.is_empty() {
                continue;
            }
            if let Ok(id) = line.parse() {
                steps.push((id, Steps::Lines(Vec::new())));
                continue;
            }
            if let Some(id) = line.strip_suffix(ANY_ORDER) {
                let id = id.trim_end().parse().ok().with_context(wrong)?;
                steps.push((id, Steps::AnyOrder(Vec::new())));
                continue;
            }
            let (number, form) = line.split_once(' ').with_context(wrong)?;
            let form = Form::parse(form).with_context(wrong)?;
            match &mut steps.last_mut().with_context(wrong)?.1 {
                Steps::Lines(lines) => lines.push((number.parse().with_context(wrong)?, form)),
                Steps::AnyOrder(forms) => {
                    let (least, most) = number.split_once("..").with_context(wrong)?;
                    let [least, most] = [least, most].map(str::parse);
                    forms.push((least.with_context(wrong)?, most.with_context(wrong)?, form));
                }
            }
        }
        Ok(Self { steps })
    }

    /// How a step may differ.
    #[must_use]
    pub fn of(&self, id: StepId) -> Option<&Steps> {
        let mut steps = self.steps.iter();
        steps.find_map(|(other, steps)| (*other == id).then_some(steps))
    }
}

/// What stands behind a step whose lines have no order.
const ANY_ORDER: &str = "any order";

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, steps)) in self.steps.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match steps {
                Steps::Lines(lines) => {
                    writeln!(f, "{id}")?;
                    for (number, form) in lines {
                        writeln!(f, "{number} {form}")?;
                    }
                }
                Steps::AnyOrder(forms) => {
                    writeln!(f, "{id} {ANY_ORDER}")?;
                    for (least, most, form) in forms {
                        writeln!(f, "{least}..{most} {form}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Form {
    /// How many holes it has.
    #[must_use]
    pub fn holes(&self) -> usize {
        let is_hole = |piece: &&Piece| matches!(piece, Piece::Hole { .. });
        self.0.iter().filter(is_hole).count()
    }

    /// Reads a line with holes.
    ///
    /// # Errors
    /// The hole that cannot be understood.
    pub fn parse(line: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = line;
        while let Some(at) = rest.find(['{', '}']) {
            text += &rest[..at];
            let (brace, behind) = rest[at..].split_at(1);
            if let Some(behind) = behind.strip_prefix(brace) {
                text += brace;
                rest = behind;
                continue;
            }
            let hole = behind.split_once('}').filter(|_| brace == "{");
            let Some((inside, behind)) = hole else {
                bail!("a brace without its other half");
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(hole_of(inside).with_context(|| format!("no hole: {{{inside}}}"))?);
            rest = behind;
        }
        text += rest;
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self(pieces))
    }
}

/// Reads what stands between the braces.
fn hole_of(inside: &str) -> Option<Piece> {
    let (name, kind) = match inside.split_once('=') {
        Some((name, kind)) => (Some(name.to_owned()), kind),
        None => (None, inside),
    };
    let kind = match kind {
        "*" => Hole::Own,
        "?" => Hole::Any,
        _ if kind.contains('|') => Hole::Words(kind.split('|').map(str::to_owned).collect()),
        _ if let Some((least, most)) = kind.split_once("..") => {
            Hole::Span(Number::parse(least)?, Number::parse(most)?)
        }
        _ if name.is_none() => {
            let at = kind.find(['+', '-']).unwrap_or(kind.len());
            let (name, distance) = kind.split_at(at);
            let distance = match distance {
                "" => 0,
                _ => distance.parse().ok()?,
            };
            Hole::As(name.to_owned(), distance)
        }
        _ => return None,
    };
    Some(Piece::Hole { name, kind })
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => {
                    write!(f, "{}", text.replace('{', "{{").replace('}', "}}"))?;
                }
                Piece::Hole { name, kind } => {
                    let name = name.as_ref().map(|name| format!("{name}="));
                    let name = name.unwrap_or_default();
                    match kind {
                        Hole::Own => write!(f, "{{{name}*}}")?,
                        Hole::Any => write!(f, "{{{name}?}}")?,
                        Hole::Span(least, most) => write!(f, "{{{name}{least}..{most}}}")?,
                        Hole::Words(words) => write!(f, "{{{name}{}}}", words.join("|"))?,
                        Hole::As(other, 0) => write!(f, "{{{other}}}")?,
                        Hole::As(other, distance) => write!(f, "{{{other}{distance:+}}}")?,
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "6.7
2 | 64 bytes from 10.0.3.1: time={41.200..46.300} ms
9 | if (a) {{ b({?}); }} {6.7a=*} {6.7a} {6.7a+8} {6.3b-16} {6.7b=1..2} {no|yes}

6.57 any order
0..1 | {00:00:21.900000..00:00:24.100000} IP
2..2 !
";

    #[test]
    fn what_was_written_is_read() {
        let noise = Noise::parse(WRITTEN).unwrap();
        assert_eq!(noise.to_string(), WRITTEN);
        assert_eq!(noise.steps.len(), 2);
        let step = "6.57".parse().unwrap();
        assert!(matches!(noise.of(step), Some(Steps::AnyOrder(forms)) if forms.len() == 2));
        assert!(noise.of("6.8".parse().unwrap()).is_none());
    }

    #[test]
    fn what_was_not_is_refused() {
        for text in [
            "6.7\nx | a\n",
            "2 | a\n",
            "6.7\n2 | {a\n",
            "6.7\n2 | a}\n",
            "6.7\n2 | {6.7a=6.7b}\n",
            "6.7\n2 | {a..b}\n",
            "6.7 any order\n1 | a\n",
            "x any order\n",
        ] {
            assert!(Noise::parse(text).is_err(), "{text:?}");
        }
    }
}
