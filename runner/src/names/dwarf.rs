//! What the debug information knows: functions, variables, types with their members, and values.
//!
//! Each of the hundreds of units repeats the types of the headers that it includes, so a type is laid out once and
//! skipped afterwards. Two things are not where a reader of the source expects them. A member of an anonymous
//! structure is a member of the anonymous structure only, so it is moved to the one outside, with its offset
//! there. And an enumerator has no line of its own; it is looked for in the source, from the line of its `enum` on.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use gimli::{AttributeValue, DwTag, EndianSlice, LittleEndian, UnitOffset};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use super::{Kind, Name};

type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Dwarf<'a> = gimli::Dwarf<Reader<'a>>;
type Unit<'a> = gimli::Unit<Reader<'a>>;

/// Symbols that macros of the kernel make up, a few for each function or module.
const MADE_UP: [&str; 6] = [
    "__ksym",
    "__kstr",
    "__UNIQUE",
    "__pfx",
    "__SCK",
    "__initcall_",
];
/// So many members deep may anonymous structures nest.
const DEPTH_MAX: usize = 12;

/// Adds a line for each name.
///
/// # Errors
/// When `vmlinux` cannot be read, or has no debug information.
pub fn collect(vmlinux: &Path, tree: &Path, lines: &mut BTreeSet<String>) -> Result<()> {
    let context = || format!("cannot read the debug information of {}", vmlinux.display());
    let bytes = std::fs::read(vmlinux).with_context(context)?;
    let elf = object::File::parse(&*bytes).with_context(context)?;
    let section = |id: gimli::SectionId| -> Result<Reader<'_>, gimli::Error> {
        let section = elf.section_by_name(id.name());
        // Sections of an uncompressed file are slices of it.
        let data = section.and_then(|section| section.data().ok());
        Ok(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    let dwarf = Dwarf::load(section).with_context(context)?;
    let mut book = Book {
        lines,
        source: Source::of(tree),
        laid_out: HashSet::new(),
        addresses: HashMap::new(),
    };
    let mut units = dwarf.units();
    while let Some(header) = units.next().with_context(context)? {
        let unit = dwarf.unit(header).with_context(context)?;
        let read = read(&dwarf, &unit, &mut book).with_context(context)?;
        read.lay_out(&mut book);
    }
    symbols(&elf, &mut book);
    Ok(())
}

/// What all units write into.
struct Book<'a> {
    lines: &'a mut BTreeSet<String>,
    source: Source,
    /// Types that were laid out: name, place and size.
    laid_out: HashSet<(String, String, u64)>,
    /// The places of labels in assembly.
    addresses: HashMap<u64, String>,
}

impl Book<'_> {
    fn add(&mut self, name: &Name<'_>) {
        self.lines.insert(name.line());
    }
}

/// A type, as the debug information has it.
struct Type {
    tag: DwTag,
    name: String,
    size: u64,
    place: Place,
    members: Vec<Member>,
    /// What a typedef, a pointer, an array or a qualifier is about.
    target: Option<UnitOffset>,
}

struct Member {
    name: String,
    offset: u64,
    value: Option<i128>,
    place: Place,
    target: Option<UnitOffset>,
}

/// File and line: the file's number in the unit.
#[derive(Clone, Copy, Default)]
struct Place {
    file: u64,
    line: u64,
}

/// The types of one unit, and its files.
struct Types {
    files: Vec<String>,
    types: BTreeMap<usize, Type>,
}

/// The attributes of an entry that matter here.
#[derive(Default)]
struct Entry<'a> {
    name: Option<Reader<'a>>,
    place: Place,
    size: u64,
    offset: u64,
    value: Option<i128>,
    target: Option<UnitOffset>,
    specification: Option<UnitOffset>,
    declaration: bool,
}

/// What an entry is inside of.
#[derive(Clone)]
enum Within {
    Unit,
    Function(String),
    Type(usize),
    Nothing,
}

fn read<'a>(dwarf: &Dwarf<'a>, unit: &Unit<'a>, book: &mut Book<'_>) -> gimli::Result<Types> {
    let mut types = Types {
        files: files(dwarf, unit)?,
        types: BTreeMap::new(),
    };
    let mut variables: HashMap<UnitOffset, String> = HashMap::new();
    let mut within = vec![Within::Nothing];
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let at = entries.next_offset();
        let depth = usize::try_from(entries.next_depth()).unwrap_or_default();
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        let mut entry = Entry::default();
        for wanted in abbreviation.attributes() {
            let attribute = entries.read_attribute(*wanted)?;
            entry.take(dwarf, unit, &attribute)?;
        }
        let tag = abbreviation.tag();
        if tag == gimli::DW_TAG_compile_unit {
            addresses(unit, &types.files, &entry, book)?;
        }
        within.truncate(depth + 1);
        within.resize(depth + 1, Within::Nothing);
        let outside = within[depth].clone();
        let name = entry.name.map(|name| name.to_string_lossy());
        let inside = types.note(tag, at, &entry, name, &outside, &mut variables, book);
        within.push(inside);
    }
    Ok(types)
}

impl<'a> Entry<'a> {
    fn take(
        &mut self,
        dwarf: &Dwarf<'a>,
        unit: &Unit<'a>,
        attribute: &gimli::Attribute<Reader<'a>>,
    ) -> gimli::Result<()> {
        let value = attribute.value();
        let number = || attribute.udata_value().unwrap_or_default();
        let unit_offset = || match value {
            AttributeValue::UnitRef(offset) => Some(offset),
            _ => None,
        };
        match attribute.name() {
            gimli::DW_AT_name => self.name = Some(dwarf.attr_string(unit, value)?),
            gimli::DW_AT_decl_file => {
                self.place.file = match value {
                    AttributeValue::FileIndex(index) => index,
                    _ => number(),
                }
            }
            gimli::DW_AT_decl_line => self.place.line = number(),
            gimli::DW_AT_byte_size => self.size = number(),
            gimli::DW_AT_data_member_location => self.offset = number(),
            gimli::DW_AT_data_bit_offset => self.offset = number() / 8,
            gimli::DW_AT_const_value => {
                self.value = match value {
                    AttributeValue::Sdata(value) => Some(value.into()),
                    _ => attribute.udata_value().map(Into::into),
                }
            }
            gimli::DW_AT_type => self.target = unit_offset(),
            gimli::DW_AT_specification => self.specification = unit_offset(),
            gimli::DW_AT_declaration => self.declaration = true,
            _ => {}
        }
        Ok(())
    }
}

impl Types {
    /// Takes note of an entry; gives what its children are within.
    #[expect(clippy::too_many_arguments, reason = "all of one entry, taken apart")]
    fn note(
        &mut self,
        tag: DwTag,
        at: UnitOffset,
        entry: &Entry<'_>,
        name: Option<Cow<'_, str>>,
        outside: &Within,
        variables: &mut HashMap<UnitOffset, String>,
        book: &mut Book<'_>,
    ) -> Within {
        let known = |name: &str, kind, of: &str, book: &mut Book<'_>| {
            let place = self.place(entry.place);
            if !place.is_empty() {
                book.add(&plain(name, kind, of, &place));
            }
        };
        match (tag, outside) {
            (gimli::DW_TAG_compile_unit, _) => Within::Unit,
            (gimli::DW_TAG_subprogram, _) => {
                let Some(name) = name else {
                    return Within::Nothing;
                };
                if !entry.declaration {
                    known(&name, Kind::Function, "", book);
                }
                Within::Function(name.into_owned())
            }
            (gimli::DW_TAG_variable, Within::Unit) => {
                let declared = entry.specification.and_then(|at| variables.get(&at));
                let name = name.map(Cow::into_owned).or_else(|| declared.cloned());
                if let Some(name) = name {
                    if entry.declaration {
                        variables.insert(at, name);
                    } else {
                        known(&name, Kind::Variable, "", book);
                    }
                }
                Within::Nothing
            }
            (
                gimli::DW_TAG_variable | gimli::DW_TAG_formal_parameter,
                Within::Function(function),
            ) => {
                // Names without an underscore are no claims.
                if let Some(name) = name.filter(|name| name.contains('_')) {
                    known(&name, Kind::Local, function, book);
                }
                Within::Nothing
            }
            (gimli::DW_TAG_lexical_block, Within::Function(_)) => outside.clone(),
            (gimli::DW_TAG_member | gimli::DW_TAG_enumerator, Within::Type(whole)) => {
                if let Some(whole) = self.types.get_mut(whole) {
                    whole.members.push(Member {
                        name: name.map(Cow::into_owned).unwrap_or_default(),
                        offset: entry.offset,
                        value: entry.value,
                        place: entry.place,
                        target: entry.target,
                    });
                }
                Within::Nothing
            }
            (
                gimli::DW_TAG_structure_type
                | gimli::DW_TAG_union_type
                | gimli::DW_TAG_enumeration_type
                | gimli::DW_TAG_typedef
                | gimli::DW_TAG_pointer_type
                | gimli::DW_TAG_array_type
                | gimli::DW_TAG_const_type
                | gimli::DW_TAG_volatile_type,
                _,
            ) => {
                let found = Type {
                    tag,
                    name: name.map(Cow::into_owned).unwrap_or_default(),
                    size: entry.size,
                    place: entry.place,
                    members: Vec::new(),
                    target: entry.target,
                };
                self.types.insert(at.0, found);
                // A type that is only declared has no members, and no place.
                Within::Type(at.0)
            }
            _ => Within::Nothing,
        }
    }

    fn place(&self, place: Place) -> String {
        let file = usize::try_from(place.file).ok();
        match file.and_then(|file| self.files.get(file)) {
            Some(file) if place.line > 0 && !file.starts_with(['/', '<']) => {
                format!("{file}:{}", place.line)
            }
            _ => String::new(),
        }
    }

    /// Writes the lines of the unit's types that were not written before.
    fn lay_out(&self, book: &mut Book<'_>) {
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

    /// The structure that a type is, or points to: its name, and itself where it is nameless and its members are
    /// those of the structure `of` around it.
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

fn plain<'a>(text: &'a str, kind: Kind, of: &'a str, place: &'a str) -> Name<'a> {
    Name {
        text,
        kind,
        of,
        detail: "",
        place,
        to: "",
    }
}

fn kind_of(found: &Type) -> Kind {
    match found.tag {
        gimli::DW_TAG_union_type => Kind::Union,
        _ => Kind::Struct,
    }
}

/// `struct sock`.
fn tagged(found: &Type) -> String {
    format!("{} {}", kind_of(found), found.name)
}

/// The files of a unit, relative to the tree.
fn files<'a>(dwarf: &Dwarf<'a>, unit: &Unit<'a>) -> gimli::Result<Vec<String>> {
    let Some(program) = &unit.line_program else {
        return Ok(Vec::new());
    };
    let header = program.header();
    let text = |value| -> gimli::Result<String> {
        let text = dwarf.attr_string(unit, value)?;
        Ok(text.to_string_lossy().into_owned())
    };
    let mut files = Vec::new();
    for file in header.file_names() {
        let name = text(file.path_name())?;
        let folder = file.directory(header).map(text).transpose()?;
        let path = match folder.as_deref() {
            None | Some("" | ".") => name,
            Some(_) if name.starts_with('/') => name,
            Some(folder) => format!("{folder}/{name}"),
        };
        files.push(simplified(&path));
    }
    Ok(files)
}

/// Without `.` and `..`.
fn simplified(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Keeps where each address of an assembly unit comes from; C has better.
fn addresses(
    unit: &Unit<'_>,
    files: &[String],
    entry: &Entry<'_>,
    book: &mut Book<'_>,
) -> gimli::Result<()> {
    let is_assembly = entry
        .name
        .is_some_and(|name| name.to_string_lossy().ends_with(".S"));
    let Some(program) = unit.line_program.clone().filter(|_| is_assembly) else {
        return Ok(());
    };
    let mut rows = program.rows();
    while let Some((_, row)) = rows.next_row()? {
        let file = usize::try_from(row.file_index()).ok();
        if let (Some(file), Some(line)) = (file.and_then(|file| files.get(file)), row.line()) {
            let place = format!("{file}:{line}");
            book.addresses.entry(row.address()).or_insert(place);
        }
    }
    Ok(())
}

/// Adds what has an address and no entry: labels of assembly, and symbols that the linker script makes.
fn symbols(elf: &object::File<'_>, book: &mut Book<'_>) {
    let mut found = Vec::new();
    for symbol in elf.symbols() {
        let Ok(text) = symbol.name() else { continue };
        let is_code = matches!(
            symbol.kind(),
            SymbolKind::Text | SymbolKind::Unknown | SymbolKind::Label | SymbolKind::Data
        );
        let is_made_up = MADE_UP.iter().any(|start| text.starts_with(start));
        if !is_code || is_made_up || !text.contains('_') || text.contains(['.', '$']) {
            continue;
        }
        let place = book.addresses.get(&symbol.address());
        found.push(plain(text, Kind::Symbol, "", place.map_or("", String::as_str)).line());
    }
    book.lines.extend(found);
}

/// The source, file by file, as it is asked for.
struct Source {
    tree: PathBuf,
    files: HashMap<String, Vec<String>>,
}

impl Source {
    fn of(tree: &Path) -> Self {
        Self {
            tree: tree.to_owned(),
            files: HashMap::new(),
        }
    }

    /// Where an enumerator stands whose enumeration begins at `place`; `place` itself where macros made it.
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

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
typedef struct { int counter; } count_t;
struct inner_s { long x_1, x_2; };
struct outer_s {
\tchar a_b;
\tunion {
\t\tint c_d;
\t\tstruct { short e_f, g_h; };
\t};
\tstruct { count_t i_j; } named_one;
\tstruct inner_s *k_l;
\tunsigned bit_1 : 3, bit_2 : 9;
};
enum state_e {
\tS_ONE = 1,
\tS_LOW = -2,
};
extern struct outer_s the_outer;
struct outer_s the_outer;
static int add_up(int arg_1) { int sum_1 = arg_1 + the_outer.a_b; return sum_1; }
enum state_e start_up(void) { return add_up(2) ? S_ONE : S_LOW; }
";

    #[test]
    fn a_small_program_is_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.c"), SOURCE).unwrap();
        let compiled = duct::cmd!(
            "gcc",
            "-gdwarf-5",
            "-nostdlib",
            "-static",
            "-Wl,-e,start_up",
            "-o",
            "vmlinux",
            "a.c"
        );
        compiled.dir(folder.path()).run().unwrap();
        let mut lines = BTreeSet::new();
        collect(&folder.path().join("vmlinux"), folder.path(), &mut lines).unwrap();
        let found: Vec<_> = lines
            .iter()
            .map(|line| line.replace('\t', "|"))
            .filter(|line| !line.contains("symbol"))
            .collect();
        let expected = [
            "S_LOW|enumerator|enum state_e|= -2|a.c:15|",
            "S_ONE|enumerator|enum state_e|= 1|a.c:14|",
            "a_b|member|struct outer_s|+0|a.c:4|",
            "add_up|function|||a.c:19|",
            "arg_1|local|add_up||a.c:19|",
            "bit_1|member|struct outer_s|+24|a.c:11|",
            "bit_2|member|struct outer_s|+24|a.c:11|",
            "c_d|member|struct outer_s|+4|a.c:6|",
            "count_t|typedef||4 bytes|a.c:1|",
            "counter|member|count_t|+0|a.c:1|",
            "e_f|member|struct outer_s|+4|a.c:7|",
            "g_h|member|struct outer_s|+6|a.c:7|",
            "i_j|member|struct outer_s|+8|a.c:9|count_t",
            "inner_s|struct||16 bytes|a.c:2|",
            "k_l|member|struct outer_s|+16|a.c:10|struct inner_s",
            "named_one|member|struct outer_s|+8|a.c:9|struct outer_s",
            "outer_s|struct||32 bytes|a.c:3|",
            "start_up|function|||a.c:20|",
            "state_e|enum|||a.c:13|",
            "sum_1|local|add_up||a.c:19|",
            "the_outer|variable|||a.c:18|",
            "x_1|member|struct inner_s|+0|a.c:2|",
            "x_2|member|struct inner_s|+8|a.c:2|",
        ];
        assert_eq!(found, expected);
    }
}
