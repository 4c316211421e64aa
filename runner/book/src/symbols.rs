//! The index: every name that the kernel of the lab has, with its kind and its place.
//!
//! It is made once for each kernel, which takes seconds, and kept in the cache as sorted text, a
//! name a line, its fields between tabs. Reading it is then one read, and finding a name a search
//! by halves: nothing is parsed but the lines that are asked for. A tab sorts before every
//! character of a name, so sorted lines are sorted names. `dwarf` (with `types`) has what the debug
//! information knows, `tree` (with `constant`) what only the source does, and `guest` what the
//! guest shows in its file systems.

pub mod dwarf;
pub mod guest;
mod macros;
pub mod near;
pub mod tree;
mod types;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};

use lab::build::cache::{Cache, Inputs, Leftover};
use lab::build::setup::Lab;
use lab::system::files;
use lab::system::progress::Stage;

/// What a name stands for. The order is that in which one of several is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A function, inlined or not.
    Function,
    /// A variable outside of functions.
    Variable,
    /// A value of an enumeration.
    Enumerator,
    /// A `#define` that the build read.
    Macro,
    /// A structure.
    Struct,
    /// A union.
    Union,
    /// An enumeration.
    Enum,
    /// A name for another type.
    Typedef,
    /// A member of a structure or a union.
    Member,
    /// A file below `/proc/sys`.
    Sysctl,
    /// An option of kconfig.
    Config,
    /// A label of assembly, or another symbol without debug information.
    Symbol,
    /// A variable or an argument within a function.
    Local,
    /// A file of the source.
    File,
    /// A folder of the source.
    Folder,
    /// A file or a folder that the kernel shows in the guest.
    GuestFile,
    /// A tracepoint.
    Tracepoint,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Function,
        Self::Variable,
        Self::Enumerator,
        Self::Macro,
        Self::Struct,
        Self::Union,
        Self::Enum,
        Self::Typedef,
        Self::Member,
        Self::Sysctl,
        Self::Config,
        Self::Symbol,
        Self::Local,
        Self::File,
        Self::Folder,
        Self::GuestFile,
        Self::Tracepoint,
    ];

    /// The kind in a word or two.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Variable => "variable",
            Self::Enumerator => "enumerator",
            Self::Macro => "macro",
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Enum => "enum",
            Self::Typedef => "typedef",
            Self::Member => "member",
            Self::Sysctl => "sysctl",
            Self::Config => "config",
            Self::Symbol => "symbol",
            Self::Local => "local",
            Self::File => "source file",
            Self::Folder => "source folder",
            Self::GuestFile => "guest file",
            Self::Tracepoint => "tracepoint",
        }
    }

    /// The kind that has this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A line of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name.
    pub text: &'a str,
    /// What it stands for.
    pub kind: Kind,
    /// What it belongs to: a member's structure, a local's function.
    pub of: &'a str,
    /// A size, an offset or a value.
    pub detail: &'a str,
    /// File and line.
    pub place: &'a str,
    /// The structure that a member is, or points to.
    pub to: &'a str,
}

impl Name<'_> {
    /// The line of the index, without its end.
    fn line(&self) -> String {
        let Self {
            text,
            kind,
            of,
            detail,
            place,
            to,
        } = self;
        format!("{text}\t{kind}\t{of}\t{detail}\t{place}\t{to}")
    }
}

/// The whole index, in memory.
#[derive(Debug, Clone)]
pub struct Index {
    text: String,
    /// Where each line begins.
    starts: Vec<usize>,
}

/// Counts up when the form or the content of the index changes.
const FORM: &str = "2";
const KIND: &str = "names";
const OUTPUT: &str = "names.txt";

impl Index {
    /// The index of this lab, made if it is not in the cache.
    ///
    /// # Errors
    /// When the kernel's files cannot be read, or the guest cannot be asked.
    pub fn ready(root: &Path, cache: &Cache, lab: &Lab) -> Result<Self> {
        let guest = guest::ready(root, cache, lab)?;
        let inputs = Inputs::new()
            .with("form", FORM)
            .with("kernel", &lab.kernel.sha256)
            .with("guest", files::sha256_of(guest.as_bytes()));
        let waiting = || eprintln!("names of the kernel: another run collects them, waiting");
        let entry = cache.ensure(KIND, &inputs, Leftover::Discard, waiting, |folder| {
            let mut stage = Stage::begin("collect the names of the kernel");
            let mut lines = BTreeSet::new();
            stage.at("debug information");
            dwarf::collect(&lab.kernel.vmlinux, &lab.kernel.tree, &mut lines)?;
            stage.at("source");
            tree::collect(&lab.kernel.tree, &mut lines)?;
            lines.extend(guest.lines().map(str::to_owned));
            let mut text: String = Vec::from_iter(lines).join("\n");
            text.push('\n');
            files::write_whole(&folder.join(OUTPUT), text.as_bytes())?;
            stage.done();
            Ok(vec![OUTPUT.to_owned()])
        })?;
        Self::read(&entry.path(OUTPUT))
    }

    /// The index that was made last, if there is one: for a better message where no lab is asked
    /// for.
    #[must_use]
    pub fn at_hand(cache: &Cache) -> Option<Self> {
        Self::read(&cache.newest(KIND)?.join(OUTPUT)).ok()
    }

    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read the names of the kernel from {}", path.display()))?;
        Ok(Self::from(text))
    }

    /// The names that are spelt so.
    pub fn named<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Name<'a>> {
        let first = self
            .starts
            .partition_point(|start| self.key_at(*start) < text);
        let starts = self.starts[first..].iter();
        starts
            .map(|start| self.name_at(*start))
            .take_while(move |name| name.text == text)
    }

    /// The names that begin so.
    pub fn beginning<'a>(&'a self, start: &'a str) -> impl Iterator<Item = Name<'a>> {
        let first = self.starts.partition_point(|at| self.key_at(*at) < start);
        let all = self.starts[first..].iter().map(|at| self.name_at(*at));
        all.take_while(move |name| name.text.starts_with(start))
    }

    /// All names.
    pub fn all(&self) -> impl Iterator<Item = Name<'_>> {
        self.starts.iter().map(|start| self.name_at(*start))
    }

    fn key_at(&self, start: usize) -> &str {
        let rest = &self.text[start..];
        rest.split('\t').next().unwrap_or(rest)
    }

    fn name_at(&self, start: usize) -> Name<'_> {
        Self::name(self.text[start..].lines().next().unwrap_or_default())
    }

    /// What a line says.
    fn name(line: &str) -> Name<'_> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (text, kind) = (next(), next());
        Name {
            text,
            kind: Kind::of_word(kind).unwrap_or(Kind::Symbol),
            of: next(),
            detail: next(),
            place: next(),
            to: next(),
        }
    }
}

impl From<String> for Index {
    /// Takes sorted lines, as [`Name::line`] writes them.
    fn from(text: String) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let mut starts: Vec<usize> = std::iter::once(0).chain(ends).collect();
        starts.retain(|start| *start < text.len());
        Self { text, starts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_with_all_that_it_stands_for() {
        let lines = [
            "ip_forward\tfunction\t\t\tnet/ipv4/ip_forward.c:80\t",
            "ip_forward\tlocal\tf\t\tx.c:1\t",
            "ip_forward_finish\tfunction\t\t\tnet/ipv4/ip_forward.c:60\t",
            "net/ipv4/tcp.c\tsource file\t\t\tnet/ipv4/tcp.c\t",
            "skc_state\tmember\tstruct sock_common\t+18\tinclude/net/sock.h:1\t",
        ];
        let mut sorted = lines;
        sorted.sort_unstable();
        assert_eq!(sorted, lines);
        let index = Index::from(lines.join("\n") + "\n");
        let found: Vec<_> = index.named("ip_forward").map(|name| name.kind).collect();
        assert_eq!(found, [Kind::Function, Kind::Local]);
        let state = index.named("skc_state").next().unwrap();
        assert_eq!((state.of, state.detail), ("struct sock_common", "+18"));
        assert_eq!(state.line(), lines[4]);
        for unknown in ["", "ip", "ip_forwar", "zzz"] {
            assert_eq!(index.named(unknown).count(), 0, "{unknown}");
        }
        assert_eq!(index.all().count(), lines.len());
        assert_eq!(index.beginning("ip_forward").count(), 3);
        assert_eq!(index.beginning("net/").count(), 1);
    }
}
