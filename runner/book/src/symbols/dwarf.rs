//! What the debug information knows: functions, variables, types and values, read entry by entry.
//!
//! Assembly has no entries for its labels; they are taken from the symbols, with the line of their
//! address.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use gimli::{AttributeValue, DwTag, EndianSlice, LittleEndian, UnitOffset};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use super::Kind;
use super::types::{Book, Member, Place, Source, Type, Types, plain};

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

/// Adds what has an address and no entry: labels of assembly, and symbols that the linker script
/// makes.
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
        let map = format!("-ffile-prefix-map={}=.", folder.path().display());
        let compiled = duct::cmd!(
            "gcc",
            map,
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
