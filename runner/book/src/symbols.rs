//! The index: every name that the kernel of the lab has, with its kind and its place.
//!
//! It is made once for each kernel, which takes seconds, and kept in the cache as sorted text, a
//! name a line, its fields between tabs. Reading it is then one read, and finding a name a search
//! by halves: nothing is parsed but the lines that are asked for. A tab sorts before every
//! character of a name, so sorted lines are sorted names. `dwarf` (with `types`) has what the debug
//! information knows, `tree` (with `macros`) what only the source does, and `guest` what the
//! guest shows in its file systems.

mod dwarf;
mod guest;
mod macros;
pub(crate) mod near;
mod tree;
mod types;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};

use lab::build::cache::{Cache, Entry, Inputs, Leftover};
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
    /// All of them in their order, each in a word or two.
    const WORDS: [(Self, &'static str); 17] = [
        (Self::Function, "function"),
        (Self::Variable, "variable"),
        (Self::Enumerator, "enumerator"),
        (Self::Macro, "macro"),
        (Self::Struct, "struct"),
        (Self::Union, "union"),
        (Self::Enum, "enum"),
        (Self::Typedef, "typedef"),
        (Self::Member, "member"),
        (Self::Sysctl, "sysctl"),
        (Self::Config, "config"),
        (Self::Symbol, "symbol"),
        (Self::Local, "local"),
        (Self::File, "source file"),
        (Self::Folder, "source folder"),
        (Self::GuestFile, "guest file"),
        (Self::Tracepoint, "tracepoint"),
    ];

    /// The kind in a word or two.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].1
    }

    /// Whether it is a type's.
    #[must_use]
    pub(crate) fn is_type(self) -> bool {
        (Self::Struct..=Self::Typedef).contains(&self)
    }

    /// Whether it is something that code speaks of by its name alone: a macro may become a
    /// function, or a function assembly.
    #[must_use]
    pub(crate) fn is_code(self) -> bool {
        self <= Self::Macro || self == Self::Symbol
    }

    /// The kind that has this word.
    #[must_use]
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let mut all = Self::WORDS.into_iter();
        all.find_map(|(kind, other)| (other == word).then_some(kind))
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

impl<'a> Name<'a> {
    /// A name and its place, and nothing more.
    fn new(text: &'a str, kind: Kind, place: &'a str) -> Self {
        let (of, detail, to) = ("", "", "");
        Self {
            text,
            kind,
            of,
            detail,
            place,
            to,
        }
    }

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
/// The input of the index that names the kernel, by the SHA-256 of its image.
const KERNEL: &str = "kernel";

impl Index {
    /// The index of this lab, made if it is not in the cache.
    ///
    /// # Errors
    /// When the kernel's files cannot be read, or the guest cannot be asked.
    pub fn ready(root: &Path, cache: &Cache, lab: &Lab) -> Result<Self> {
        let guest = guest::ready(root, cache, lab)?;
        let inputs = Inputs::new()
            .with("form", FORM)
            .with(KERNEL, &lab.kernel.sha256)
            .with("guest", files::sha256_of(guest.as_bytes()));
        let waiting = "names of the kernel: another run collects them, waiting";
        let text = cached(cache, KIND, &inputs, waiting, || {
            let mut stage = Stage::begin("collect the names of the kernel");
            let mut lines = BTreeSet::new();
            stage.at("debug information");
            dwarf::collect(&lab.kernel.vmlinux, &lab.kernel.tree, &mut lines)?;
            stage.at("source");
            tree::collect(&lab.kernel.tree, &mut lines)?;
            lines.extend(guest.lines().map(str::to_owned));
            let mut text: String = Vec::from_iter(lines).join("\n");
            text.push('\n');
            stage.done();
            Ok(text)
        })?;
        Ok(Self::from(text))
    }

    /// The index of the kernel with this image, if it was made: for a better message where no lab
    /// is asked for.
    #[must_use]
    pub fn at_hand(cache: &Cache, image: &str) -> Option<Self> {
        let is_its = |entry: &Entry| entry.stamp.inputs.get(KERNEL) == Some(image);
        let text = std::fs::read_to_string(cache.newest(KIND, is_its)?.join(OUTPUT));
        text.ok().map(Self::from)
    }

    /// The names that are spelt so.
    pub fn named<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Name<'a>> {
        self.beginning(text)
            .take_while(move |name| name.text == text)
    }

    /// The names that begin so.
    pub fn beginning<'a>(&'a self, start: &'a str) -> impl Iterator<Item = Name<'a>> {
        let first = self
            .starts
            .partition_point(|at| self.name_at(*at).text < start);
        let all = self.starts[first..].iter().map(|at| self.name_at(*at));
        all.take_while(move |name| name.text.starts_with(start))
    }

    /// All names.
    pub fn all(&self) -> impl Iterator<Item = Name<'_>> {
        self.starts.iter().map(|start| self.name_at(*start))
    }

    /// Which of these names its source, in `tree`, defines or declares: a word in a line that
    /// begins at the margin, and is no label. The debug information has no inline function that
    /// nobody calls, and nothing of what is not configured.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn in_source<'a>(
        &self,
        tree: &Path,
        names: &BTreeSet<&'a str>,
    ) -> Result<BTreeSet<&'a str>> {
        let is_asked = |file: &Name<'_>| {
            let is_near = ["net/", "include/"]
                .iter()
                .any(|top| file.text.starts_with(top));
            let is_code = [".c", ".h", ".S"]
                .iter()
                .any(|end| file.text.ends_with(end));
            file.kind == Kind::File && is_code && (is_near || !file.detail.is_empty())
        };
        let mut found = BTreeSet::new();
        for file in self.all().filter(is_asked) {
            let path = tree.join(file.text);
            let text = std::fs::read(&path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            let text = String::from_utf8_lossy(&text);
            let at_margin = text
                .lines()
                .filter(|line| !line.starts_with([' ', '\t', '*', '/']) && !line.ends_with(':'));
            let words = at_margin.flat_map(|line| line.split(|c| !is_part(c)));
            found.extend(words.filter_map(|word| names.get(word)));
        }
        Ok(found)
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

/// A text in the cache, made if it is not there.
fn cached(
    cache: &Cache,
    kind: &str,
    inputs: &Inputs,
    waiting: &str,
    make: impl FnOnce() -> Result<String>,
) -> Result<String> {
    let waiting = || eprintln!("{waiting}");
    let entry = cache.ensure(kind, inputs, Leftover::Discard, waiting, |folder| {
        files::write_whole(&folder.join(OUTPUT), make()?.as_bytes())?;
        Ok(vec![OUTPUT.to_owned()])
    })?;
    let path = entry.path(OUTPUT);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether a name can have this character in it.
pub(crate) fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a line has a word in it, and not only as a part of a longer one.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.split(|c| !is_part(c)).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_word() {
        for (kind, word) in Kind::WORDS {
            assert_eq!((kind.word(), Kind::of_word(word)), (word, Some(kind)));
        }
    }

    #[test]
    fn the_source_defines_what_stands_at_the_margin() {
        let tree = tempfile::tempdir().unwrap();
        let files = [
            (
                "net/a.c",
                "int in_net(void)\n{\n\tcalled();\nlabel:\n}\n// said\n/*\n * said\n */\n",
            ),
            ("mm/b.h", "static inline void in_build(int x)\n"),
            ("mm/c.c", "void unread(void)\n"),
        ];
        for (path, text) in files {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let lines = "mm/b.h\tsource file\t\t1\tmm/b.h\t\nmm/c.c\tsource file\t\t\tmm/c.c\t\n\
                     net/a.c\tsource file\t\t\tnet/a.c\t\n";
        let index = Index::from(lines.to_owned());
        let names = BTreeSet::from(["in_net", "in_build", "called", "label", "said", "unread"]);
        let found = index.in_source(tree.path(), &names).unwrap();
        assert_eq!(found, BTreeSet::from(["in_build", "in_net"]));
    }

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
