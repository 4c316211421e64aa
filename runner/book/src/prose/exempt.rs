//! The list `tests/exempt.toml`: what has the shape of a kernel's name and is none, with a reason
//! each.
//!
//! A list like this grows blind spots, so it is held short: an entry that the text does not use is
//! a fault, and so is one that the kernel does have (`claims` looks).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::fault::Fault;
use crate::prose::resolve::Found;

/// Where the list lies, from the root of the repository.
pub const PATH: &str = "tests/exempt.toml";

/// The list.
#[derive(Debug, Clone, Default)]
pub struct Exempt {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    exempt: Vec<Entry>,
}

/// One exemption.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The text of the span.
    name: toml::Spanned<String>,
    /// What it is, if it is not the kernel's.
    reason: String,
    /// The only page on which it is exempt, such as `04-start-kernel`, if not all.
    page: Option<String>,
    /// The kind of what the kernel happens to call so as well, such as `member`.
    also: Option<String>,
    #[serde(skip)]
    line: usize,
}

/// Spans and numbers that could be exempt, each behind the file of its page.
pub type Used = BTreeSet<(PathBuf, String)>;

impl Entry {
    /// Whether this is the span that is exempt, on the page in this file.
    fn covers(&self, file: &Path, text: &str) -> bool {
        let stem = file.file_stem().unwrap_or_default();
        let is_here = self.page.as_ref().is_none_or(|page| stem == page.as_str());
        is_here && self.name.get_ref() == text
    }

    /// Whether a span can be exempt by both.
    fn overlaps(&self, other: &Self) -> bool {
        let is_both = self.page == other.page || self.page.is_none() || other.page.is_none();
        is_both && self.name.get_ref() == other.name.get_ref()
    }
}

impl Exempt {
    /// Reads the list of a repository; one without a list exempts nothing.
    ///
    /// # Errors
    /// A list that is not understood.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(root.join(PATH)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("read {PATH}")),
            Ok(text) => Self::parse(&text),
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let file: File =
            toml::from_str(text).with_context(|| format!("{PATH} is not understood"))?;
        let mut entries = file.exempt;
        for entry in &mut entries {
            let before = &text[..entry.name.span().start];
            entry.line = 1 + before.matches('\n').count();
        }
        Ok(Self { entries })
    }

    /// Whether a span of the page in this file is on the list.
    #[must_use]
    pub fn has(&self, text: &str, file: &Path) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.covers(file, text))
    }

    /// How many spans are on the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries that are faults whatever the kernel has: not in `used`, the spans of all pages,
    /// for the same page twice, or without a reason.
    #[must_use]
    pub fn faults(&self, used: &Used) -> Vec<Fault> {
        let mut found = Vec::new();
        for (entry, at) in self.entries.iter().zip(0..) {
            let name = entry.name.get_ref().as_str();
            let mut before = self.entries[..at].iter();
            let mut used = used.iter();
            let message = if entry.reason.trim().is_empty() {
                format!("`{name}` is exempt without a reason; say what it is")
            } else if before.any(|other| other.overlaps(entry)) {
                format!("`{name}` is exempt twice; remove one")
            } else if !used.any(|(file, text)| entry.covers(file, text)) {
                let whose = match &entry.page {
                    Some(page) => format!("the page {page}"),
                    None => "the text".to_owned(),
                };
                format!("`{name}` is exempt, and {whose} has no such name; remove the exemption")
            } else {
                continue;
            };
            found.push(fault(entry, message));
        }
        found
    }

    /// The entries of which `real` knows that the kernel has them, and that do not say so
    /// themselves.
    pub fn real(&self, mut real: impl FnMut(&str) -> Option<Found>) -> Vec<Fault> {
        let found = self.entries.iter().filter_map(|entry| {
            let name = entry.name.get_ref();
            let found = real(name)?;
            let kind = found.kind.word();
            let message = format!(
                "`{name}` is exempt, and the kernel has it: {found}; remove the exemption, or \
                 write also = \"{kind}\" if \
                 another thing is meant"
            );
            (entry.also.as_deref() != Some(kind)).then(|| fault(entry, message))
        });
        found.collect()
    }
}

fn fault(entry: &Entry, message: String) -> Fault {
    Fault {
        path: PATH.into(),
        line: entry.line,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_says_too_much_is_told_line_by_line() {
        let text = "exempt = [\n  { name = \"a_b\", reason = \"x\" },\n  { name = \"c_d\", reason \
            = \"x\" },\n\
                    { name = \"a_b\", reason = \"x\" },\n  { name = \"e_f\", reason = \" \" \
                    },\n]\n";
        let exempt = Exempt::parse(text).unwrap();
        let page = Path::new("chapters/04-x.md");
        assert!(exempt.has("a_b", page) && !exempt.has("a", page));
        let used = Used::from(["a_b", "e_f"].map(|name| (page.to_owned(), name.to_owned())));
        let lines: Vec<_> = exempt
            .faults(&used)
            .iter()
            .map(|fault| fault.line)
            .collect();
        assert_eq!(lines, [3, 4, 5]);
        let found = Found {
            kind: crate::symbols::Kind::Member,
            place: "struct s +0".to_owned(),
        };
        let real = |exempt: &Exempt| exempt.real(|name| (name == "c_d").then(|| found.clone()));
        assert_eq!((real(&exempt).len(), real(&exempt)[0].line), (1, 3));
        for (also, faults) in [("member", 0), ("function", 1)] {
            let entry = format!("{{ name = \"c_d\", reason = \"x\", also = \"{also}\" }}");
            let exempt = Exempt::parse(&format!("exempt = [ {entry} ]")).unwrap();
            assert_eq!(real(&exempt).len(), faults, "{also}");
        }
    }

    #[test]
    fn an_exemption_can_be_for_one_page() {
        let text = "exempt = [ { name = \"a_b\", reason = \"x\", page = \"04-x\" } ]";
        let exempt = Exempt::parse(text).unwrap();
        assert!(exempt.has("a_b", Path::new("chapters/04-x.md")));
        assert!(!exempt.has("a_b", Path::new("chapters/05-y.md")));
    }

    #[test]
    fn an_exemption_for_a_page_is_used_on_that_page_and_twice_only_there() {
        let entry = |page: &str| format!("{{ name = \"a_b\", reason = \"x\"{page} }}");
        let (four, five, all) = (
            entry(", page = \"04-x\""),
            entry(", page = \"05-y\""),
            entry(""),
        );
        let used = |file: &str| Used::from([(file.into(), "a_b".to_owned())]);
        let faults = |entries: &[&str], used: &Used| {
            let list = Exempt::parse(&format!("exempt = [\n{}\n]", entries.join(",\n"))).unwrap();
            let faults = list.faults(used).into_iter();
            let lines = faults.map(|fault| (fault.line, fault.message));
            lines.collect::<Vec<_>>()
        };
        let unused = "`a_b` is exempt, and the page 04-x has no such name; remove the exemption";
        let twice = "`a_b` is exempt twice; remove one";
        let told = |line, message: &str| vec![(line, message.to_owned())];
        assert_eq!(faults(&[&four], &used("chapters/04-x.md")), []);
        assert_eq!(faults(&[&four], &used("chapters/05-y.md")), told(2, unused));
        let mut both = used("chapters/04-x.md");
        both.extend(used("chapters/05-y.md"));
        assert_eq!(faults(&[&four, &five], &both), []);
        assert_eq!(faults(&[&four, &four], &both), told(3, twice));
        assert_eq!(faults(&[&four, &all], &both), told(3, twice));
    }

    #[test]
    fn an_entry_needs_its_reason() {
        assert!(Exempt::parse("exempt = [ { name = \"a_b\" } ]").is_err());
        assert_eq!(Exempt::parse("exempt = []").unwrap().len(), 0);
    }
}
