//! What the debug information knows: functions, variables, types and values, read entry by entry.
//!
//! Assembly has no entries for its labels; they are taken from the symbols, with the line of their
//! address.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use gimli::{AttributeValue, DwTag, EndianSlice, LittleEndian, UnitOffset};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use super::types::{Book, Entry, Type, Types};
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
        tree,
        files: HashMap::new(),
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

/// What an entry is inside of.
#[derive(Clone)]
enum Within {
    Unit,
    Function(String),
    Type(usize),
    Nothing,
}

fn read<'a>(dwarf: &Dwarf<'a>, unit: &Unit<'a>, book: &mut Book<'_>) -> gimli::Result<Types<'a>> {
    let mut types = Types {
        files: files(dwarf, unit)?,
        ..Types::default()
    };
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
            take(&mut entry, dwarf, unit, &attribute)?;
        }
        let tag = abbreviation.tag();
        if tag == gimli::DW_TAG_compile_unit && entry.name.ends_with(".S") {
            addresses(unit, &types.files, book)?;
        }
        within.truncate(depth + 1);
        within.resize(depth + 1, Within::Nothing);
        let inside = note(&mut types, tag, at, entry, &within[depth], book);
        within.push(inside);
    }
    Ok(types)
}

/// Adds an attribute to an entry.
fn take<'a>(
    entry: &mut Entry<'a>,
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    attribute: &gimli::Attribute<Reader<'a>>,
) -> gimli::Result<()> {
    let number = attribute.udata_value();
    let offset = match attribute.value() {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    };
    match attribute.name() {
        gimli::DW_AT_name => {
            entry.name = dwarf
                .attr_string(unit, attribute.value())?
                .to_string_lossy();
        }
        gimli::DW_AT_decl_file => entry.file = number.unwrap_or_default(),
        gimli::DW_AT_decl_line => entry.line = number.unwrap_or_default(),
        gimli::DW_AT_byte_size => entry.size = number.unwrap_or_default(),
        gimli::DW_AT_data_member_location => entry.offset = number.unwrap_or_default(),
        gimli::DW_AT_data_bit_offset => entry.offset = number.unwrap_or_default() / 8,
        gimli::DW_AT_const_value => {
            let negative = attribute.sdata_value().map(i128::from);
            entry.value = number.map(i128::from).or(negative);
        }
        gimli::DW_AT_type => entry.target = offset,
        gimli::DW_AT_specification => entry.specification = offset,
        gimli::DW_AT_declaration => entry.declaration = true,
        _ => {}
    }
    Ok(())
}

/// Takes note of an entry; gives what its children are within.
fn note<'a>(
    types: &mut Types<'a>,
    tag: DwTag,
    at: UnitOffset,
    mut entry: Entry<'a>,
    outside: &Within,
    book: &mut Book<'_>,
) -> Within {
    match (tag, outside) {
        (gimli::DW_TAG_compile_unit, _) => return Within::Unit,
        (gimli::DW_TAG_subprogram, _) if !entry.name.is_empty() => {
            if !entry.declaration {
                types.add(&entry, Kind::Function, "", book);
            }
            return Within::Function(entry.name.into_owned());
        }
        (gimli::DW_TAG_variable, Within::Unit) => {
            let declared = entry.specification.and_then(|at| types.declared.get(&at));
            if let Some(name) = declared.filter(|_| entry.name.is_empty()) {
                entry.name = name.clone();
            }
            if entry.declaration {
                types.declared.insert(at, entry.name);
            } else {
                types.add(&entry, Kind::Variable, "", book);
            }
        }
        // Names without an underscore are no claims.
        (gimli::DW_TAG_variable | gimli::DW_TAG_formal_parameter, Within::Function(function))
            if entry.name.contains('_') =>
        {
            types.add(&entry, Kind::Local, function, book);
        }
        (gimli::DW_TAG_lexical_block, Within::Function(_)) => return outside.clone(),
        (gimli::DW_TAG_member | gimli::DW_TAG_enumerator, Within::Type(whole)) => {
            if let Some(whole) = types.types.get_mut(whole) {
                whole.members.push(entry);
            }
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
            let members = Vec::new();
            // A type that is only declared has no members, and no place.
            types.types.insert(
                at.0,
                Type {
                    tag,
                    entry,
                    members,
                },
            );
            return Within::Type(at.0);
        }
        _ => {}
    }
    Within::Nothing
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
fn addresses(unit: &Unit<'_>, files: &[String], book: &mut Book<'_>) -> gimli::Result<()> {
    let Some(program) = unit.line_program.clone() else {
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
        let place = place.map_or("", String::as_str);
        let line = Name::new(text, Kind::Symbol, place).line();
        book.lines.insert(line);
    }
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
