//! The names that the text uses, as the lab knew them: `tests/snapshots/6.1/names.snap`.
//!
//! The page and the test read it, so that a book can be built where no lab is. Like the snapshots
//! it begins with insta's header and with what it was recorded with; then comes a line for each
//! name, its columns two spaces apart:
//!
//! ```text
//! tcp_v4_connect  function  net/ipv4/tcp_ipv4.c:199
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::chapter::expression::Number;
use crate::pattern::{Pattern, pattern};
use crate::prose::resolve::Found;
use crate::snapshot;
use crate::symbols::Kind;

/// The name of the file, without its ending.
pub const NAME: &str = "names";
/// The fact that tells the kernel's version.
pub(super) const LINUX: &str = "linux";
/// The fact that tells the kernel's image.
const IMAGE: &str = "kernel";
pub(super) const HEADER: &str = "---\nsource: chapters\nexpression: runner claims --record\n---\n";
pub(super) const BETWEEN: &str = "  ";

/// Recorded names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glossary {
    /// The kernel's version, `6.1.176`.
    pub linux: String,
    /// The SHA-256 of the kernel's image.
    pub image: String,
    /// The names, by the text of their spans.
    pub names: BTreeMap<String, Found>,
}

/// Where the names are recorded, for the kernel series of the book.
#[must_use]
pub fn path(root: &Path) -> PathBuf {
    snapshot::path(root, lab::SERIES, NAME)
}

impl Glossary {
    /// Reads what was recorded; a book that has recorded nothing knows no name.
    ///
    /// # Errors
    /// A file that cannot be read, or that this module did not write.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let path = path(root);
        let Some(content) = snapshot::content(&path)? else {
            return Ok(Self::default());
        };
        Self::parse(&content).with_context(|| {
            format!(
                "{}: damaged; record it anew with `cargo run -p runner -- claims --record`",
                path.display()
            )
        })
    }

    /// The value of a constant.
    ///
    /// # Errors
    /// A name that was never recorded, or that has no value.
    pub fn value(&self, name: &str) -> Result<Number, String> {
        static VALUE: Pattern = Pattern::new(|| pattern(r"^= (-?\d+)\b"));
        let Some(found) = self.names.get(name) else {
            return Err(format!(
                "`{name}` was never recorded: cargo run -p runner -- claims --record"
            ));
        };
        let value = VALUE.captures(&found.place);
        let value = value.ok_or_else(|| format!("`{name}` has no value that is known: {found}"))?;
        value[1].parse()
    }

    /// The file's whole text.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{HEADER}{}", self.content())
    }

    /// The content behind insta's header.
    #[must_use]
    pub fn content(&self) -> String {
        let Self {
            linux,
            image,
            names,
        } = self;
        let mut text = format!("{LINUX}: {linux}\n{IMAGE}: {image}\n\n");
        for (name, Found { kind, place }) in names {
            text += &format!("{name}{BETWEEN}{kind}{BETWEEN}{place}\n");
        }
        text
    }

    /// The names with their kinds alone: what is the same whichever kernel of the series was asked.
    #[must_use]
    pub fn kinds(&self) -> String {
        let names = self.names.iter();
        names
            .map(|(name, found)| format!("{name}{BETWEEN}{}\n", found.kind))
            .collect()
    }

    fn parse(content: &str) -> anyhow::Result<Self> {
        let mut glossary = Self::default();
        let (facts, names) = content.split_once("\n\n").context("no facts at its top")?;
        for line in facts.lines() {
            match line.split_once(": ") {
                Some((LINUX, value)) => value.clone_into(&mut glossary.linux),
                Some((IMAGE, value)) => value.clone_into(&mut glossary.image),
                _ => anyhow::bail!("this line is not understood: {line}"),
            }
        }
        for line in names.lines() {
            let (name, found) =
                entry(line).with_context(|| format!("this line is not understood: {line}"))?;
            glossary.names.insert(name, found);
        }
        Ok(glossary)
    }

    /// The page of a public cross-reference that shows a name's definition in this version. Its
    /// source is upstream's: where Debian has patched a file, `kernel/fork.c` for one, a link may
    /// lead some lines too far.
    #[must_use]
    pub fn link(&self, found: &Found) -> Option<String> {
        let mut parts = found.place.split(", ");
        let place = match found.kind {
            Kind::GuestFile | Kind::Sysctl | Kind::Tracepoint => None,
            Kind::Config => parts.next(),
            _ => parts.last(),
        }?;
        let (file, line) = match place.split_once(':') {
            Some((file, line)) => (file, format!("#L{line}")),
            None => (place, String::new()),
        };
        let version = &self.linux;
        let is_file = !file.contains(' ') && !version.is_empty();
        is_file.then(|| format!("https://elixir.bootlin.com/linux/v{version}/source/{file}{line}"))
    }
}

fn entry(line: &str) -> Option<(String, Found)> {
    let mut columns = line.splitn(3, BETWEEN);
    let name = columns.next()?.to_owned();
    let kind = Kind::of_word(columns.next()?)?;
    let place = columns.next()?.to_owned();
    Some((name, Found { kind, place }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &str = "linux: 6.1.176\nkernel: 00ff\n\n\
        /proc/net/arp  guest file  in the guest\n\
        CONFIG_SMP  config  arch/x86/Kconfig:407, not set\n\
        init/  source folder  init\n\
        skc_state  member  struct sock_common +18, include/net/sock.h:172\n\
        struct sock  struct  712 bytes, include/net/sock.h:352\n\
        x_y  symbol  of the linked image\n";

    #[test]
    fn what_is_recorded_comes_back() {
        let glossary = Glossary::parse(CONTENT).unwrap();
        assert_eq!(glossary.content(), CONTENT);
        assert_eq!(glossary.names.len(), 6);
        for damaged in ["", "linux: 1\n\na_b  gizmo  x\n", "linux: 1\n\na_b\n"] {
            assert!(Glossary::parse(damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn a_link_leads_to_the_definition() {
        let glossary = Glossary::parse(CONTENT).unwrap();
        let link = |name: &str| glossary.link(&glossary.names[name]);
        let source = |rest| {
            Some(format!(
                "https://elixir.bootlin.com/linux/v6.1.176/source/{rest}"
            ))
        };
        assert_eq!(link("CONFIG_SMP"), source("arch/x86/Kconfig#L407"));
        assert_eq!(link("init/"), source("init"));
        assert_eq!(link("skc_state"), source("include/net/sock.h#L172"));
        assert_eq!(link("/proc/net/arp"), None);
        assert_eq!(link("x_y"), None);
    }
}
