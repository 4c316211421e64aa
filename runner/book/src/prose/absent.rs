//! The names of the text that another series of the kernel does not have:
//! `tests/snapshots/6.12/names.snap`.
//!
//! A hint says in which of the book's series a name is not there, and this file knows it where no
//! kernel is. `runner claims --record` asks each kernel and writes it. Its form is that of the
//! names of the book's own kernel (`glossary`), without their places:
//!
//! ```text
//! linux: 6.12.107
//! asked: 81a0…
//!
//! ksoftirqd_running  function
//! ```
//!
//! `asked` is the hash of all names that were asked for. So a name that is new in the text is
//! noticed where the other kernel is not at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::fault::Fault;
use crate::prose::glossary::{self, BETWEEN, Glossary, HEADER, LINUX};
use crate::prose::resolve::has;
use crate::prose::shape::{self, Shape};
use crate::snapshot::{self, reasons};
use crate::symbols::{Index, Kind};
use lab::system::files;

/// The fact that tells which names were asked for.
const ASKED: &str = "asked";
/// The lines of the facts, and of the first name.
const LINUX_LINE: usize = 5;
const ASKED_LINE: usize = 6;
const NAMES_LINE: usize = 8;

/// What a series does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absent {
    /// The series, `6.12`.
    pub series: String,
    /// The kernel's version, `6.12.107`.
    pub linux: String,
    /// The hash of the names that were asked for.
    pub asked: String,
    /// The names that are not there, by the text of their spans, and what they are in the book's
    /// own kernel.
    pub names: BTreeMap<String, Kind>,
}

/// Where it is kept what a series does not have, relative to the repository.
#[must_use]
pub fn path(series: &str) -> PathBuf {
    snapshot::path(Path::new(""), series, glossary::NAME)
}

/// The hash of all names that are asked for.
fn asked(names: &Glossary) -> String {
    files::sha256_of(names.kinds().as_bytes())
}

impl Absent {
    /// Asks a kernel for the names of the book. Its source, in `tree`, is asked for what it has and
    /// was not compiled, and it alone for what only a page's own kernel has (`further`).
    ///
    /// # Errors
    /// When a file of the source cannot be read.
    pub fn ask(
        series: &str,
        linux: &str,
        names: &Glossary,
        further: &BTreeSet<String>,
        index: &Index,
        tree: &Path,
    ) -> anyhow::Result<Self> {
        let mut missed = BTreeMap::new();
        for (name, found) in &names.names {
            let shape = shape::of_name(name);
            if !has(index, &shape, found) {
                missed.insert(name, (found.kind, identifier(&shape, found.kind)));
            }
        }
        let identifiers = missed.values().filter_map(|(_, name)| name.as_deref());
        let in_source = index.in_source(tree, &identifiers.collect())?;
        let is_absent =
            |(name, (_, identifier)): &(&&String, &(Kind, Option<String>))| match identifier {
                Some(identifier) => !in_source.contains(&**identifier),
                None => !further.contains(**name),
            };
        let absent = missed.iter().filter(is_absent);
        let absent = absent.map(|(name, (kind, _))| ((*name).clone(), *kind));
        Ok(Self {
            series: series.to_owned(),
            linux: linux.to_owned(),
            asked: asked(names),
            names: absent.collect(),
        })
    }

    /// What was recorded of a series; nothing if nobody has asked it.
    ///
    /// # Errors
    /// A file that cannot be read, or that this module did not write.
    pub fn read(root: &Path, series: &str) -> anyhow::Result<Option<Self>> {
        let path = path(series);
        let Some(content) = snapshot::content(&root.join(&path))? else {
            return Ok(None);
        };
        let absent = Self::parse(series, &content).with_context(|| {
            format!(
                "{}: damaged; record it anew with `cargo run -p runner -- claims --record`",
                path.display()
            )
        })?;
        Ok(Some(absent))
    }

    /// What was recorded of all series besides the book's, the oldest first.
    ///
    /// # Errors
    /// As [`Absent::read`] and [`reasons::all`].
    pub fn all(root: &Path) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for series in reasons::all(root)? {
            all.extend(Self::read(root, &series)?);
        }
        Ok(all)
    }

    /// The file's whole text.
    #[must_use]
    pub fn file(&self) -> String {
        let Self {
            linux,
            asked,
            names,
            ..
        } = self;
        let mut text = format!("{HEADER}{LINUX}: {linux}\n{ASKED}: {asked}\n\n");
        for (name, kind) in names {
            text += &format!("{name}{BETWEEN}{kind}\n");
        }
        text
    }

    fn parse(series: &str, content: &str) -> anyhow::Result<Self> {
        let (facts, names) = content.split_once("\n\n").context("no facts at its top")?;
        let mut absent = Self {
            series: series.to_owned(),
            ..Self::default()
        };
        for line in facts.lines() {
            match line.split_once(": ") {
                Some((LINUX, value)) => value.clone_into(&mut absent.linux),
                Some((ASKED, value)) => value.clone_into(&mut absent.asked),
                _ => bail!("this line is not understood: {line}"),
            }
        }
        for line in names.lines() {
            let columns = line.split_once(BETWEEN);
            let entry = columns.and_then(|(name, kind)| Some((name, Kind::of_word(kind)?)));
            let (name, kind) =
                entry.with_context(|| format!("this line is not understood: {line}"))?;
            absent.names.insert(name.to_owned(), kind);
        }
        Ok(absent)
    }

    /// What is stale of it: `names` are those of the text now, and `linux` is the version that the
    /// series has.
    #[must_use]
    pub fn faults(&self, names: &Glossary, linux: &str) -> Vec<Fault> {
        let path = path(&self.series);
        let mut found = Vec::new();
        if self.linux != linux {
            let message = format!(
                "Linux {} was asked, and the series is at {linux}",
                self.linux
            );
            found.push(Fault::new(&path, LINUX_LINE, message));
        }
        let unused = self.names.keys().zip(NAMES_LINE..);
        let unused = unused.filter(|(name, _)| !names.names.contains_key(*name));
        let unused: Vec<Fault> = unused
            .map(|(name, line)| {
                Fault::new(
                    &path,
                    line,
                    format!("the text has no name `{name}` any more"),
                )
            })
            .collect();
        if unused.is_empty() && self.asked != asked(names) {
            let message = "the text has other names than those that were asked for";
            found.push(Fault::new(&path, ASKED_LINE, message));
        }
        found.extend(unused);
        found
    }
}

/// The word by which the source would define a name at its margin.
fn identifier(shape: &Shape, kind: Kind) -> Option<String> {
    let is_at_margin = kind.is_type() || kind.is_code() && kind != Kind::Enumerator;
    match shape {
        Shape::Names(names) if is_at_margin => names.first().cloned(),
        Shape::Tagged(_, name) => Some(name.clone()),
        _ => None,
    }
}

/// In which of these series, the oldest first, a name is not there, in a few words: `not yet in
/// 5.10, gone by 7.3`. When it came and went between two of them is not known.
#[must_use]
pub fn told(all: &[Absent], name: &str) -> Option<String> {
    let lacks = |series: &&Absent| series.names.contains_key(name);
    let own = reasons::age(lab::SERIES);
    let book = all.partition_point(|series| reasons::age(&series.series) < own);
    let came = all[..book].iter().take_while(lacks).count();
    let went = all.len() - all[book..].iter().rev().take_while(lacks).count();
    let not_yet = all[..came]
        .iter()
        .rev()
        .take(1)
        .map(|series| ("not yet in", series));
    let between = all[came..went]
        .iter()
        .filter(lacks)
        .map(|series| ("not in", series));
    let gone = all[went..].iter().take(1).map(|series| ("gone by", series));
    let told = not_yet.chain(between).chain(gone);
    let told: Vec<String> = told
        .map(|(word, absent)| format!("{word} {}", absent.series))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prose::resolve::Found;

    fn absent(series: &str, names: &[&str]) -> Absent {
        Absent {
            series: series.to_owned(),
            linux: format!("{series}.9"),
            asked: "00ff".to_owned(),
            names: names
                .iter()
                .map(|name| ((*name).to_owned(), Kind::Function))
                .collect(),
        }
    }

    #[test]
    fn what_is_recorded_comes_back() {
        let recorded = absent("6.12", &["a_b", "struct c_d *"]);
        let file = recorded.file();
        let content = file.strip_prefix(HEADER).unwrap();
        assert_eq!(Absent::parse("6.12", content).unwrap(), recorded);
        for damaged in [
            "",
            "linux: 1\n\na_b  gizmo\n",
            "linux: 1\n\na_b\n",
            "x: 1\n\n",
        ] {
            assert!(Absent::parse("6.12", damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn a_name_has_come_and_gone_between_two_series() {
        let all = [
            absent("4.19", &["new", "newer", "odd"]),
            absent("5.10", &["newer", "short", "both"]),
            absent("6.12", &["old", "gap", "both"]),
            absent("7.3", &["old", "older", "both"]),
        ];
        for (name, expected) in [
            ("all", None),
            ("new", Some("not yet in 4.19")),
            ("newer", Some("not yet in 5.10")),
            ("odd", Some("not yet in 4.19")),
            ("short", Some("not in 5.10")),
            ("gap", Some("not in 6.12")),
            ("old", Some("gone by 6.12")),
            ("older", Some("gone by 7.3")),
            ("both", Some("not in 5.10, gone by 6.12")),
        ] {
            assert_eq!(told(&all, name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_kernel_is_asked_and_then_its_source() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("net")).unwrap();
        let text = "static inline int in_line(void)\n\tin_deep();\n";
        std::fs::write(tree.path().join("net/a.h"), text).unwrap();
        let index = "built\tmacro\t\t\tnet/a.h:1\t\nnet/a.h\tsource file\t\t2\tnet/a.h\t\n";
        let index = Index::from(index.to_owned());
        let found = |kind| Found {
            kind,
            place: "struct s +0".to_owned(),
        };
        let names = [
            ("built", Kind::Function),
            ("in_deep", Kind::Function),
            ("in_line()", Kind::Function),
            ("of_further", Kind::Function),
            ("of_struct", Kind::Member),
            ("x->further_of", Kind::Member),
        ];
        let names = Glossary {
            names: names
                .map(|(name, kind)| (name.to_owned(), found(kind)))
                .into(),
            ..Glossary::default()
        };
        let further = ["of_further", "x->further_of"].map(str::to_owned).into();
        let now = Absent::ask("6.12", "6.12.9", &names, &further, &index, tree.path()).unwrap();
        let absent = ["in_deep", "of_further", "of_struct"];
        assert_eq!(Vec::from_iter(now.names.keys()), absent);
        assert!(now.faults(&names, "6.12.9").is_empty());
    }
}
