//! The types of one unit of the debug information, and how they become lines of the index.
//!
//! Each of the hundreds of units repeats the types of the headers that it includes, so a type is
//! laid out once and skipped afterwards. Two things are not where a reader of the source expects
//! them. A member of an anonymous structure is a member of the anonymous structure only, so it is
//! moved to the one outside, with its offset there. And an enumerator has no line of its own; it is
//! looked for in the source, from the line of its `enum` on.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use gimli::{DwTag, UnitOffset};

use super::{Kind, Name, has_word};

/// So many members deep may anonymous structures nest.
const DEPTH_MAX: usize = 12;

/// What all units write into.
pub(super) struct Book<'a> {
    pub(super) lines: &'a mut BTreeSet<String>,
    /// The source, and its files as they are asked for.
    pub(super) tree: &'a Path,
    pub(super) files: HashMap<String, Vec<String>>,
    /// Types that were laid out: name, place and size.
    pub(super) laid_out: HashSet<(String, String, u64)>,
    /// The places of labels in assembly.
    pub(super) addresses: HashMap<u64, String>,
}

impl Book<'_> {
    pub(super) fn add(&mut self, name: &Name<'_>) {
        self.lines.insert(name.line());
    }

    /// Where an enumerator stands whose enumeration begins at `place`; `place` itself where macros
    /// made it.
    fn enumerator(&mut self, place: &str, name: &str) -> String {
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

/// The attributes of an entry that matter here.
#[derive(Default)]
pub(super) struct Entry<'a> {
    /// Empty where it has none.
    pub(super) name: Cow<'a, str>,
    /// The file's number in the unit.
    pub(super) file: u64,
    pub(super) line: u64,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) value: Option<i128>,
    /// What a typedef, a pointer, an array or a qualifier is about; what a member is.
    pub(super) target: Option<UnitOffset>,
    pub(super) specification: Option<UnitOffset>,
    pub(super) declaration: bool,
}

/// A type, as the debug information has it.
pub(super) struct Type<'a> {
    pub(super) tag: DwTag,
    pub(super) entry: Entry<'a>,
    pub(super) members: Vec<Entry<'a>>,
}

/// The types of one unit, its files, and the variables that it declares.
#[derive(Default)]
pub(super) struct Types<'a> {
    pub(super) files: Vec<String>,
    pub(super) types: BTreeMap<usize, Type<'a>>,
    pub(super) declared: HashMap<UnitOffset, Cow<'a, str>>,
}

impl Types<'_> {
    /// File and line; empty where there are none.
    pub(super) fn place(&self, entry: &Entry<'_>) -> String {
        let file = usize::try_from(entry.file).ok();
        match file.and_then(|file| self.files.get(file)) {
            Some(file) if entry.line > 0 && !file.starts_with(['/', '<']) => {
                format!("{file}:{}", entry.line)
            }
            _ => String::new(),
        }
    }

    /// Writes the line of an entry that has a name and a place.
    pub(super) fn add(&self, entry: &Entry<'_>, kind: Kind, of: &str, book: &mut Book<'_>) {
        let place = self.place(entry);
        if !entry.name.is_empty() && !place.is_empty() {
            let name = Name::new(&entry.name, kind, &place);
            book.add(&Name { of, ..name });
        }
    }

    /// Writes the lines of the unit's types that were not written before.
    pub(super) fn lay_out(&self, book: &mut Book<'_>) {
        for found in self.types.values() {
            let (name, place) = (&*found.entry.name, self.place(&found.entry));
            if place.is_empty() {
                continue;
            }
            match found.tag {
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type if !name.is_empty() => {
                    self.structure(found, kind_of(found), name, &place, book);
                }
                gimli::DW_TAG_enumeration_type => Self::enumeration(found, &place, book),
                gimli::DW_TAG_typedef => {
                    let target = found.entry.target.and_then(|at| self.types.get(&at.0));
                    let is_structure = |target: &&Type<'_>| {
                        target.entry.name.is_empty()
                            && !target.members.is_empty()
                            && target.tag != gimli::DW_TAG_enumeration_type
                    };
                    match target.filter(is_structure) {
                        Some(target) => {
                            self.structure(target, Kind::Typedef, name, &place, book);
                        }
                        None => book.add(&Name::new(name, Kind::Typedef, &place)),
                    }
                }
                _ => {}
            }
        }
    }

    fn structure(
        &self,
        found: &Type<'_>,
        kind: Kind,
        name: &str,
        place: &str,
        book: &mut Book<'_>,
    ) {
        let of = match kind {
            Kind::Typedef => name.to_owned(),
            _ => format!("{kind} {name}"),
        };
        let size = found.entry.size;
        if !book.laid_out.insert((of.clone(), place.to_owned(), size)) {
            return;
        }
        let detail = format!("{size} {}", if size == 1 { "byte" } else { "bytes" });
        book.add(&Name {
            detail: &detail,
            ..Name::new(name, kind, place)
        });
        self.members(found, &of, 0, 0, book);
    }

    fn members(&self, found: &Type<'_>, of: &str, base: u64, depth: usize, book: &mut Book<'_>) {
        for member in &found.members {
            let offset = base + member.offset;
            let (to, inner) = self.leads_to(member.target, of);
            if !member.name.is_empty() {
                book.add(&Name {
                    of,
                    detail: &format!("+{offset}"),
                    to: &to,
                    ..Name::new(&member.name, Kind::Member, &self.place(member))
                });
            }
            if let Some(inner) = inner.filter(|_| depth < DEPTH_MAX) {
                self.members(inner, of, offset, depth + 1, book);
            }
        }
    }

    /// The structure that a type is, or points to: its name, and itself where it is nameless and
    /// its members are those of the structure `of` around it.
    fn leads_to(&self, target: Option<UnitOffset>, of: &str) -> (String, Option<&Type<'_>>) {
        let mut next = target;
        let mut alias = "";
        let mut points = false;
        while let Some(found) = next.and_then(|at| self.types.get(&at.0)) {
            let name = &*found.entry.name;
            match found.tag {
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                    return match (name, alias) {
                        ("", "") if points => (of.to_owned(), None),
                        ("", "") => (of.to_owned(), Some(found)),
                        ("", alias) => (alias.to_owned(), None),
                        (name, _) => (format!("{} {name}", kind_of(found)), None),
                    };
                }
                gimli::DW_TAG_enumeration_type => break,
                gimli::DW_TAG_typedef => alias = name,
                gimli::DW_TAG_pointer_type => points = true,
                _ => {}
            }
            next = found.entry.target;
        }
        (String::new(), None)
    }

    fn enumeration(found: &Type<'_>, place: &str, book: &mut Book<'_>) {
        let Some(first) = found.members.first() else {
            return;
        };
        let key = (first.name.to_string(), place.to_owned(), found.entry.size);
        if !book.laid_out.insert(key) {
            return;
        }
        let of = match &*found.entry.name {
            "" => String::new(),
            name => {
                book.add(&Name::new(name, Kind::Enum, place));
                format!("enum {name}")
            }
        };
        for member in &found.members {
            let place = book.enumerator(place, &member.name);
            book.add(&Name {
                of: &of,
                detail: &format!("= {}", member.value.unwrap_or_default()),
                ..Name::new(&member.name, Kind::Enumerator, &place)
            });
        }
    }
}

fn kind_of(found: &Type<'_>) -> Kind {
    match found.tag {
        gimli::DW_TAG_union_type => Kind::Union,
        _ => Kind::Struct,
    }
}
