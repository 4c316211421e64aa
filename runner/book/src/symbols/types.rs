//! The types of one unit of the debug information, and how they become lines of the index.
//!
//! Each of the hundreds of units repeats the types of the headers that it includes, so a type is
//! laid out once and skipped afterwards. Two things are not where a reader of the source expects
//! them. A member of an anonymous structure is a member of the anonymous structure only, so it is
//! moved to the one outside, with its offset there. And an enumerator has no line of its own; it is
//! looked for in the source, from the line of its `enum` on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use gimli::{DwTag, UnitOffset};

use super::{Kind, Name};

/// So many members deep may anonymous structures nest.
const DEPTH_MAX: usize = 12;

/// What all units write into.
pub(super) struct Book<'a> {
    pub(super) lines: &'a mut BTreeSet<String>,
    pub(super) source: Source,
    /// Types that were laid out: name, place and size.
    pub(super) laid_out: HashSet<(String, String, u64)>,
    /// The places of labels in assembly.
    pub(super) addresses: HashMap<u64, String>,
}

impl Book<'_> {
    pub(super) fn add(&mut self, name: &Name<'_>) {
        self.lines.insert(name.line());
    }
}

/// A type, as the debug information has it.
pub(super) struct Type {
    pub(super) tag: DwTag,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) place: Place,
    pub(super) members: Vec<Member>,
    /// What a typedef, a pointer, an array or a qualifier is about.
    pub(super) target: Option<UnitOffset>,
}

pub(super) struct Member {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) value: Option<i128>,
    pub(super) place: Place,
    pub(super) target: Option<UnitOffset>,
}

/// File and line: the file's number in the unit.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) file: u64,
    pub(super) line: u64,
}

/// The types of one unit, and its files.
pub(super) struct Types {
    pub(super) files: Vec<String>,
    pub(super) types: BTreeMap<usize, Type>,
}

impl Types {
    pub(super) fn place(&self, place: Place) -> String {
        let file = usize::try_from(place.file).ok();
        match file.and_then(|file| self.files.get(file)) {
            Some(file) if place.line > 0 && !file.starts_with(['/', '<']) => {
                format!("{file}:{}", place.line)
            }
            _ => String::new(),
        }
    }

    /// Writes the lines of the unit's types that were not written before.
    pub(super) fn lay_out(&self, book: &mut Book<'_>) {
        for found in self.types.values() {
            let place = self.place(found.place);
            if place.is_empty() {
                continue;
            }
            match found.tag {
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type
                    if !found.name.is_empty() =>
                {
                    let of = tagged(found);
                    self.structure(found, &of, &found.name, kind_of(found), &place, book);
                }
                gimli::DW_TAG_enumeration_type => self.enumeration(found, &place, book),
                gimli::DW_TAG_typedef => {
                    let nameless = found.target.and_then(|at| self.types.get(&at.0));
                    let nameless = nameless
                        .filter(|target| target.name.is_empty() && !target.members.is_empty());
                    match nameless {
                        Some(target) if target.tag != gimli::DW_TAG_enumeration_type => {
                            let (of, kind) = (&found.name, Kind::Typedef);
                            self.structure(target, of, of, kind, &place, book);
                        }
                        _ => book.add(&plain(&found.name, Kind::Typedef, "", &place)),
                    }
                }
                _ => {}
            }
        }
    }

    fn structure(
        &self,
        found: &Type,
        of: &str,
        name: &str,
        kind: Kind,
        place: &str,
        book: &mut Book<'_>,
    ) {
        if !book
            .laid_out
            .insert((of.to_owned(), place.to_owned(), found.size))
        {
            return;
        }
        let detail = match found.size {
            1 => "1 byte".to_owned(),
            size => format!("{size} bytes"),
        };
        let name = Name {
            detail: &detail,
            ..plain(name, kind, "", place)
        };
        book.add(&name);
        self.members(found, of, 0, 0, book);
    }

    fn members(&self, found: &Type, of: &str, base: u64, depth: usize, book: &mut Book<'_>) {
        for member in &found.members {
            let offset = base + member.offset;
            let (to, inner) = self.leads_to(member.target, of);
            if !member.name.is_empty() {
                let place = self.place(member.place);
                let name = Name {
                    detail: &format!("+{offset}"),
                    to: &to,
                    ..plain(&member.name, Kind::Member, of, &place)
                };
                book.add(&name);
            }
            if let Some(inner) = inner.filter(|_| depth < DEPTH_MAX) {
                self.members(inner, of, offset, depth + 1, book);
            }
        }
    }

    /// The structure that a type is, or points to: its name, and itself where it is nameless and
    /// its members are those of the structure `of` around it.
    fn leads_to(&self, target: Option<UnitOffset>, of: &str) -> (String, Option<&Type>) {
        let mut next = target;
        let mut alias = "";
        let mut points = false;
        while let Some(found) = next.and_then(|at| self.types.get(&at.0)) {
            match found.tag {
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                    return match (&*found.name, alias) {
                        ("", "") if points => (of.to_owned(), None),
                        ("", "") => (of.to_owned(), Some(found)),
                        ("", alias) => (alias.to_owned(), None),
                        _ => (tagged(found), None),
                    };
                }
                gimli::DW_TAG_enumeration_type => break,
                gimli::DW_TAG_typedef => alias = &found.name,
                gimli::DW_TAG_pointer_type => points = true,
                _ => {}
            }
            next = found.target;
        }
        (String::new(), None)
    }

    fn enumeration(&self, found: &Type, place: &str, book: &mut Book<'_>) {
        let first = found.members.first().map(|member| member.name.clone());
        let key = (first.unwrap_or_default(), place.to_owned(), found.size);
        if found.members.is_empty() || !book.laid_out.insert(key) {
            return;
        }
        let of = match &*found.name {
            "" => String::new(),
            name => {
                book.add(&plain(name, Kind::Enum, "", place));
                format!("enum {name}")
            }
        };
        for member in &found.members {
            let place = book.source.enumerator(place, &member.name);
            let value = member.value.unwrap_or_default();
            let name = Name {
                detail: &format!("= {value}"),
                ..plain(&member.name, Kind::Enumerator, &of, &place)
            };
            book.add(&name);
        }
    }
}

pub(super) fn plain<'a>(text: &'a str, kind: Kind, of: &'a str, place: &'a str) -> Name<'a> {
    Name {
        text,
        kind,
        of,
        detail: "",
        place,
        to: "",
    }
}

pub(super) fn kind_of(found: &Type) -> Kind {
    match found.tag {
        gimli::DW_TAG_union_type => Kind::Union,
        _ => Kind::Struct,
    }
}

/// `struct sock`.
pub(super) fn tagged(found: &Type) -> String {
    format!("{} {}", kind_of(found), found.name)
}

/// The source, file by file, as it is asked for.
pub(super) struct Source {
    tree: PathBuf,
    files: HashMap<String, Vec<String>>,
}

impl Source {
    pub(super) fn of(tree: &Path) -> Self {
        Self {
            tree: tree.to_owned(),
            files: HashMap::new(),
        }
    }

    /// Where an enumerator stands whose enumeration begins at `place`; `place` itself where macros
    /// made it.
    pub(super) fn enumerator(&mut self, place: &str, name: &str) -> String {
        let Some((path, first)) = place.rsplit_once(':') else {
            return place.to_owned();
        };
        if !self.files.contains_key(path) {
            let bytes = std::fs::read(self.tree.join(path)).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let lines = text.lines().map(str::to_owned).collect();
            self.files.insert(path.to_owned(), lines);
        }
        let first: usize = first.parse().unwrap_or(1);
        let lines = self.files[path].iter().zip(1..);
        let found = lines
            .skip(first.saturating_sub(1))
            .take_while(|(line, at)| *at == first || !line.starts_with('}'))
            .find(|(line, _)| has_word(line, name));
        found.map_or_else(|| place.to_owned(), |(_, at)| format!("{path}:{at}"))
    }
}

pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|part| part == word)
}
