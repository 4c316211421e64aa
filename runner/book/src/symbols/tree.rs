//! What only the source knows: macros, options of kconfig, and the files themselves.
//!
//! A macro counts if the build read its file, which the `.cmd` files beside the objects tell: the
//! whole tree has millions of macros, most of them registers of drivers, and half the alphabet
//! would be a name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use walkdir::{DirEntry, WalkDir};

use super::macros::Constants;
use super::{Index, Kind, Name};

/// Adds a line for each name.
///
/// # Errors
/// When the tree cannot be read.
pub fn collect(tree: &Path, lines: &mut BTreeSet<String>) -> Result<()> {
    let config = tree.join(".config");
    let config = std::fs::read_to_string(&config)
        .with_context(|| format!("cannot read {}", config.display()))?;
    let values = values(&config);
    let mut read_by_build = BTreeSet::new();
    for entry in WalkDir::new(tree).into_iter().filter_entry(is_source) {
        let entry = entry.with_context(|| format!("cannot list {}", tree.display()))?;
        let path = entry.path().strip_prefix(tree).unwrap_or(entry.path());
        let Some(path) = path.to_str().filter(|path| !path.is_empty()) else {
            continue;
        };
        let name = entry.file_name().to_string_lossy();
        if entry.file_type().is_dir() {
            lines.insert(file(path, Kind::Folder, ""));
        } else if name.ends_with(".cmd") {
            // The programs that run while building are no part of the kernel.
            if !path.starts_with("scripts/") && !path.starts_with("tools/") {
                read_by_build.extend(dependencies(&read(entry.path())?));
            }
        } else if !name.starts_with('.') && !is_product(&name) {
            lines.insert(file(path, Kind::File, ""));
            if name.starts_with("Kconfig") && !is_foreign(path) {
                options(path, &read(entry.path())?, &values, lines);
            }
        }
    }
    let mut macros = Vec::new();
    for path in read_by_build {
        let whole = tree.join(&path);
        if whole.is_file() {
            let text = read(&whole)?;
            let length = text.lines().count().to_string();
            lines.remove(&file(&path, Kind::File, ""));
            lines.insert(file(&path, Kind::File, &length));
            macros.extend(macros_of(&path, &text));
        }
    }
    lines.extend(with_values(&macros, lines));
    Ok(())
}

/// A few files of the tree are not UTF-8.
fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the build generated has no place that could be looked up.
fn is_source(entry: &DirEntry) -> bool {
    let path = entry.path().to_string_lossy();
    !["/include/generated", "/include/config"]
        .iter()
        .any(|generated| path.ends_with(generated))
}

fn is_product(name: &str) -> bool {
    [
        ".o", ".a", ".d", ".order", ".mod", ".symvers", ".pyc", ".tmp", ".elf",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}

/// Another architecture's.
fn is_foreign(path: &str) -> bool {
    path.strip_prefix("arch/")
        .is_some_and(|rest| rest.contains('/') && !rest.starts_with("x86/"))
}

/// A file is as many lines long as `detail` says; only those that the build read are counted.
fn file(path: &str, kind: Kind, detail: &str) -> String {
    let (text, of, to) = (path, "", "");
    let name = Name {
        text,
        kind,
        of,
        detail,
        place: path,
        to,
    };
    name.line()
}

/// The files that a `.cmd` file names, relative to the tree.
fn dependencies(cmd: &str) -> BTreeSet<String> {
    let source = cmd
        .lines()
        .filter(|line| line.starts_with("source_"))
        .filter_map(|line| line.split_once(" := "))
        .map(|(_, path)| path.trim());
    let others = cmd
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(" \\"))
        .filter(|path| !path.contains('$'));
    source
        .chain(others)
        .map(|path| path.trim_start_matches("./").to_owned())
        .filter(|path| !path.starts_with('/') && !path.contains("/generated/"))
        .collect()
}

/// The values in a `.config`.
fn values(config: &str) -> BTreeMap<&str, &str> {
    config
        .lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .filter_map(|line| line.split_once('='))
        .collect()
}

fn options(path: &str, text: &str, values: &BTreeMap<&str, &str>, lines: &mut BTreeSet<String>) {
    for (line, at) in text.lines().zip(1..) {
        let mut words = line.split_whitespace();
        let (Some("config" | "menuconfig"), Some(option), None) =
            (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let text = format!("CONFIG_{option}");
        let name = Name {
            text: &text,
            kind: Kind::Config,
            of: "",
            detail: values.get(&*text).copied().unwrap_or("not set"),
            place: &format!("{path}:{at}"),
            to: "",
        };
        lines.insert(name.line());
    }
}

/// A `#define`.
struct Macro {
    name: String,
    /// What it stands for, if it takes no arguments and ends on its line.
    text: Option<String>,
    file: String,
    line: usize,
}

fn macros_of(path: &str, text: &str) -> Vec<Macro> {
    let numbered = text.lines().zip(1..);
    let defined = numbered.filter_map(|(line, at)| {
        let rest = line.trim_start().strip_prefix('#')?;
        let rest = rest.trim_start().strip_prefix("define")?.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let is_whole = !behind.starts_with('(') && !behind.ends_with('\\');
        let text = behind
            .split("/*")
            .next()
            .and_then(|text| text.split("//").next());
        (end > 0).then(|| Macro {
            name: name.to_owned(),
            text: text.filter(|_| is_whole).map(|text| text.trim().to_owned()),
            file: path.to_owned(),
            line: at,
        })
    });
    defined.collect()
}

/// The lines of the macros, each with the value that it has for this kernel, if that is a number.
fn with_values(macros: &[Macro], others: &BTreeSet<String>) -> Vec<String> {
    let mut constants = Constants::default();
    for line in others {
        constants.know(&Index::name(line));
    }
    for Macro {
        name, text, file, ..
    } in macros
    {
        constants.define(name, text.as_deref().unwrap_or_default(), file);
    }
    let line = |found: &Macro| {
        let value = constants.value(&found.name);
        let name = Name {
            text: &found.name,
            kind: Kind::Macro,
            of: "",
            detail: &value.map(|value| format!("= {value}")).unwrap_or_default(),
            place: &format!("{}:{}", found.file, found.line),
            to: "",
        };
        name.line()
    };
    macros.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tree_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(".config", "CONFIG_NET=y\n# CONFIG_SMP is not set\n");
        write("net/Kconfig", "menuconfig NET\n\tbool \"x\"\nconfig SMP\n");
        write("arch/arm/Kconfig", "config ARM\n");
        write("net/a.c", "#define A_B 1\n  # define C(x) x\n");
        write("net/unread.c", "#define D_E\n");
        write("net/a.o", "");
        write(
            "net/.a.o.cmd",
            "source_net/a.o := net/a.c\n\ndeps_net/a.o := \\\n  include/b.h \\\n    $(wildcard \
             include/config/X) \\\n  /usr/include/x.h \\\n",
        );
        write("include/b.h", "#ifndef B_H\n#define B_H\n");
        write("scripts/.s.cmd", "source_scripts/s := net/unread.c\n");
        let mut lines = BTreeSet::new();
        collect(folder.path(), &mut lines).unwrap();
        let found: Vec<_> = lines
            .iter()
            .map(|line| line.replace('\t', " "))
            .filter(|line| !line.contains("source f"))
            .collect();
        let expected = [
            "A_B macro  = 1 net/a.c:1 ",
            "B_H macro   include/b.h:2 ",
            "C macro   net/a.c:2 ",
            "CONFIG_NET config  y net/Kconfig:1 ",
            "CONFIG_SMP config  not set net/Kconfig:3 ",
        ];
        assert_eq!(found, expected);
        assert!(lines.contains("net/a.c\tsource file\t\t2\tnet/a.c\t"));
        assert!(lines.contains("net\tsource folder\t\t\tnet\t"));
        assert!(!lines.iter().any(|line| line.starts_with("net/a.o")));
    }
}
