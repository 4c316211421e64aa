//! Changes of the kernel that change nothing that a chapter is about: drawn from the lines that the
//! chapters run, as the others are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lab::build::rework::Edit;

use crate::coverage::Line;
use crate::mutate::{Function, edit, functions, is_call};
use crate::seed::Random;

/// A change, and what it is.
#[derive(Debug, Clone)]
pub struct Neutral {
    pub what: String,
    pub edits: Vec<Edit>,
}

/// Never true, as the compiler cannot know.
const NEVER: &str = " if (unlikely(loops_per_jiffy == 7)) dump_stack();";
/// Some instructions for nothing.
const NOTHING: &str = " asm volatile(\".rept 20; nop; .endr\");";
/// The kinds that make a function longer.
const GROWING: [&str; 2] = ["a branch that is never taken", "some instructions more"];
/// What stands in no chapter, and is compiled for speed in place of size.
const FASTER: [(&str, &str); 3] = [
    ("net/ipv4/Makefile", "igmp"),
    ("net/core/Makefile", "gen_stats"),
    ("fs/Makefile", "seq_file"),
];
/// Structures that no chapter shows whole, by what ends them.
const LONGER: [(&str, &str); 2] = [
    (
        "include/net/dst_ops.h",
        "\tstruct percpu_counter\tpcpuc_entries ____cacheline_aligned_in_smp;\n};",
    ),
    ("include/net/netns/unix.h", "};\n\n#endif"),
];

/// So many changes of each kind. `shown` is all that the chapters say and print.
pub fn sample(
    tree: &Path,
    run: &BTreeMap<u32, BTreeSet<Line>>,
    shown: &str,
    of_each: usize,
) -> Vec<Neutral> {
    let run: BTreeSet<&Line> = run.values().flatten().collect();
    let files: BTreeSet<&str> = run.iter().map(|(file, _)| file.as_str()).collect();
    let shown: BTreeSet<&str> = shown
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let symbols = std::fs::read_to_string(tree.join("System.map")).unwrap();
    let symbols: BTreeSet<&str> = symbols.split_whitespace().collect();
    let mut kinds: BTreeMap<&str, Vec<Neutral>> = BTreeMap::new();
    for file in files
        .into_iter()
        .filter(|file| file.starts_with("net/") && file.ends_with(".c"))
    {
        let Ok(text) = std::fs::read_to_string(tree.join(file)) else {
            continue;
        };
        let lines: Vec<&str> = text.lines().collect();
        for function in functions(&lines) {
            // One that is inlined wherever it is called may get a place of its own when its body
            // grows, and a function graph shows that: to a chapter with one it is another kernel.
            let is_inlined = !symbols.contains(function.name.as_str());
            for (kind, index, edit) in changes(file, &lines, &function, &shown) {
                if is_inlined && GROWING.contains(&kind) {
                    continue;
                }
                let number = u32::try_from(index + 1).unwrap();
                if run.contains(&(file.to_owned(), number)) || kind == "inlined otherwise" {
                    kinds.entry(kind).or_default().push(Neutral {
                        what: format!("{file}:{number} {}: {kind}", function.name),
                        edits: vec![edit],
                    });
                }
            }
        }
    }
    let mut random = Random::new("neutral");
    let drawn = kinds
        .into_values()
        .flat_map(|all| random.sample(all, of_each));
    let mut all: Vec<Neutral> = drawn.collect();
    for (file, object) in FASTER.into_iter().take(of_each) {
        let text = std::fs::read_to_string(tree.join(file)).unwrap();
        let first = text.lines().find(|line| line.starts_with("obj-y")).unwrap();
        let to = format!("CFLAGS_{object}.o := -O2\n{first}");
        all.push(given(
            format!("{object}.o: compiled for speed"),
            file,
            first,
            to,
        ));
    }
    for (file, end) in LONGER.into_iter().take(of_each) {
        let to = end.replacen("};", "\tlong unused[2]; };", 1);
        all.push(given(format!("{file}: a longer structure"), file, end, to));
    }
    all
}

fn given(what: String, file: &str, from: &str, to: String) -> Neutral {
    let edit = Edit {
        file: file.to_owned(),
        from: from.to_owned(),
        to,
    };
    Neutral {
        what,
        edits: vec![edit],
    }
}

/// What can be done to a function that changes nothing: the kind, the line, and the change.
fn changes(
    file: &str,
    lines: &[&str],
    function: &Function,
    shown: &BTreeSet<&str>,
) -> Vec<(&'static str, usize, Edit)> {
    let mut all = Vec::new();
    for index in function.body.clone() {
        let line = lines[index];
        let mut add = |kind, from: &str, to: &str| {
            all.extend(edit(file, lines, index, from, to).map(|edit| (kind, index, edit)));
        };
        // Behind an `else` or an `if` without braces a second statement is another program.
        let alone = |line: &str| line.trim().ends_with([';', '{', '}']) || line.trim().is_empty();
        if is_call(line.trim()) && alone(lines[index - 1]) {
            add(
                "a branch that is never taken",
                line,
                &format!("{line}{NEVER}"),
            );
            add("some instructions more", line, &format!("{line}{NOTHING}"));
        }
        if let Some(next) = lines
            .get(index + 1)
            .filter(|_| index + 1 < function.body.end)
            && alone(lines[index - 1])
            && independent(line.trim(), next.trim())
        {
            let both = |one: &str, two: &str| format!("{one}\n{two}");
            add(
                "two assignments exchanged",
                &both(line, next),
                &both(next, line),
            );
        }
    }
    let head = function.body.start.saturating_sub(8)..function.body.start;
    for index in head {
        let start = format!("static int {}(", function.name);
        if lines[index].starts_with(&start) && !shown.contains(function.name.as_str()) {
            let to = lines[index].replacen("static ", "static noinline ", 1);
            let edit = edit(file, lines, index, lines[index], &to);
            all.extend(edit.map(|edit| ("inlined otherwise", index, edit)));
        }
    }
    all.extend(renamed(file, lines, function, shown));
    all
}

/// Two members of a structure that are given values which need no call.
fn independent(one: &str, two: &str) -> bool {
    let parts = |line: &str| -> Option<(String, String)> {
        let (left, right) = line.strip_suffix(';')?.split_once(" = ")?;
        let simple = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_->.".contains(c))
        };
        (simple(left) && simple(right) && left.contains("->"))
            .then(|| (left.to_owned(), right.to_owned()))
    };
    let (Some((left, right)), Some((other, value))) = (parts(one), parts(two)) else {
        return false;
    };
    left != other && !right.contains(&other) && !value.contains(&left)
}

/// A local variable with another name, which no chapter shows.
fn renamed(
    file: &str,
    lines: &[&str],
    function: &Function,
    shown: &BTreeSet<&str>,
) -> Option<(&'static str, usize, Edit)> {
    let body = &lines[function.body.clone()];
    let declared = body.iter().find_map(|line| {
        let (kind, rest) = line.strip_prefix('\t')?.split_once(' ')?;
        let name = rest.strip_suffix(';')?;
        let is_name = name.len() > 2 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (["int", "bool", "u32", "long"].contains(&kind) && is_name && !shown.contains(name))
            .then_some(name)
    })?;
    let text = body.join("\n");
    let mut renamed = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(declared) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = rest[..at].chars().next_back().unwrap_or(' ');
        let behind = rest[at + declared.len()..].chars().next().unwrap_or(' ');
        renamed += &rest[..at + declared.len()];
        if !is_part(before) && !is_part(behind) {
            // A member of that name, or a text that has it, would have to keep it.
            if ['>', '.', '"', '%'].contains(&before) {
                return None;
            }
            renamed.push_str("_else");
        }
        rest = &rest[at + declared.len()..];
    }
    renamed += rest;
    let start = function.body.start;
    let line = (start..function.body.end).find(|&line| lines[line].contains("if ("))?;
    let edit = Edit {
        file: file.to_owned(),
        from: text,
        to: renamed,
    };
    let whole = lines.join("\n");
    (whole.matches(&edit.from).count() == 1).then_some(("a local variable renamed", line, edit))
}
