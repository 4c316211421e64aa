//! Changes of the kernel that nobody has thought of: drawn from the lines that a chapter runs, in
//! the functions that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lab::build::rework::Edit;

use crate::coverage::Line;
use crate::seed::Random;

/// A change, and who may notice it.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// What is done, as `net/ipv4/tcp.c:2301 tcp_set_state: a call is omitted: …`.
    pub what: String,
    /// The function that is changed.
    pub function: String,
    /// The chapters that run the line: those first that name the function.
    pub chapters: Vec<u32>,
    /// The change.
    pub edit: Edit,
}

/// A function of the kernel.
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its lines, from the one behind the opening brace, counted from 0.
    pub body: std::ops::Range<usize>,
}

/// All changes there are in the files of a tree. `named` and `run` are the words of a chapter's
/// text and the lines that it runs.
pub fn all(
    tree: &Path,
    named: &BTreeMap<u32, BTreeSet<String>>,
    run: &BTreeMap<u32, BTreeSet<Line>>,
) -> Vec<Mutant> {
    let files: BTreeSet<&String> = run.values().flatten().map(|(file, _)| file).collect();
    let mut mutants = Vec::new();
    for file in files.into_iter().filter(|file| file.ends_with(".c")) {
        let Ok(text) = std::fs::read_to_string(tree.join(file)) else {
            continue;
        };
        let lines: Vec<&str> = text.lines().collect();
        for function in functions(&lines) {
            let naming = named
                .iter()
                .filter(|(_, words)| words.contains(&function.name));
            let naming: Vec<u32> = naming.map(|(chapter, _)| *chapter).collect();
            if naming.is_empty() {
                continue;
            }
            for index in function.body.clone() {
                let number = u32::try_from(index + 1).unwrap();
                let key = (file.clone(), number);
                let runs = |chapter: &&u32| run[chapter].contains(&key);
                let mut chapters: Vec<u32> = naming.iter().filter(runs).copied().collect();
                if chapters.is_empty() {
                    continue;
                }
                let others = run.keys().filter(|chapter| !naming.contains(chapter));
                chapters.extend(others.filter(runs));
                let next = lines
                    .get(index + 1)
                    .filter(|_| index + 1 < function.body.end);
                for (how, from, to) in changes(lines[index], next.copied()) {
                    let Some(edit) = edit(file, &lines, index, &from, &to) else {
                        continue;
                    };
                    mutants.push(Mutant {
                        what: format!(
                            "{file}:{number} {}: {how}: {}",
                            function.name,
                            lines[index].trim()
                        ),
                        function: function.name.clone(),
                        chapters: chapters.clone(),
                        edit,
                    });
                }
            }
        }
    }
    mutants
}

/// So many of all, of as many functions as possible: a long function is not named more often than a
/// short one.
pub fn draw(all: Vec<Mutant>, random: &mut Random, count: usize) -> Vec<Mutant> {
    let mut by_function: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
    for mutant in all {
        let function = mutant.function.clone();
        by_function.entry(function).or_default().push(mutant);
    }
    let mut drawn = Vec::new();
    while drawn.len() < count && !by_function.is_empty() {
        let names = by_function.keys().cloned().collect::<Vec<_>>();
        for name in random.sample(names, by_function.len()) {
            let left = by_function.get_mut(&name).unwrap();
            drawn.push(left.swap_remove(random.below(left.len())));
            if left.is_empty() {
                by_function.remove(&name);
            }
        }
    }
    drawn.truncate(count);
    drawn
}

/// The functions of a file: a line at the margin with a name and an opening parenthesis, and a
/// brace at the margin behind it.
pub fn functions(lines: &[&str]) -> Vec<Function> {
    let mut functions = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if *line != "{" {
            continue;
        }
        let end = lines[index..].iter().position(|line| *line == "}");
        let head = lines[..index].iter().rev().take(6);
        let name = head
            .take_while(|line| !line.is_empty() && **line != "}")
            .filter(|line| line.starts_with(|c: char| c.is_alphabetic() || c == '_'))
            .find_map(|line| {
                let (before, _) = line.split_once('(')?;
                before.rsplit([' ', '*', '\t']).next()
            });
        if let (Some(end), Some(name)) = (end, name) {
            functions.push(Function {
                name: name.to_owned(),
                body: index + 1..index + end,
            });
        }
    }
    functions
}

/// Calls whose absence hangs or breaks the machine in ways that are no subject of the book.
const KEPT: [&str; 14] = [
    "lock",
    "rcu",
    "preempt",
    "irq",
    "_bh",
    "WARN",
    "BUG",
    "trace",
    "prefetch",
    "barrier",
    "lockdep",
    "might_sleep",
    "pr_",
    "printk",
];

/// What can be done to a line: how, what is there, and what is to be there.
fn changes(line: &str, next: Option<&str>) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    let code = line.trim();
    let indent = &line[..line.len() - line.trim_start().len()];
    let is_kept = |code: &str| KEPT.iter().any(|kept| code.contains(kept));
    if code.starts_with("/*") || code.starts_with('*') || code.starts_with('#') {
        return all;
    }
    if let Some(condition) = condition(line)
        && !is_kept(&condition)
    {
        let from = format!("if ({condition})");
        let to = format!("if (!({condition}))");
        all.push((
            "a condition is negated",
            line.to_owned(),
            line.replacen(&from, &to, 1),
        ));
    }
    if is_call(code) && !is_kept(code) {
        all.push(("a call is omitted", line.to_owned(), format!("{indent};")));
        if let Some(next) = next
            && is_call(next.trim())
            && !is_kept(next)
            && next.trim() != code
        {
            let both = |one: &str, two: &str| format!("{one}\n{two}");
            all.push((
                "two calls are exchanged",
                both(line, next),
                both(next, line),
            ));
        }
    }
    if is_assignment(code) && !is_kept(code) {
        all.push((
            "an assignment is dropped",
            line.to_owned(),
            format!("{indent};"),
        ));
    }
    if !is_kept(code)
        && !code.starts_with("case ")
        && let Some((at, digits)) = constant(line)
        && let Ok(number) = digits.parse::<u64>()
    {
        let to = format!(
            "{}{}{}",
            &line[..at],
            number + 1,
            &line[at + digits.len()..]
        );
        all.push(("a constant is one more", line.to_owned(), to));
    }
    all
}

/// What stands between the parentheses of an `if`, if it ends on its line.
fn condition(line: &str) -> Option<String> {
    let behind = line.split_once("if (")?.1;
    let mut depth = 1;
    let end = behind.find(|c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    })?;
    Some(behind[..end].to_owned())
}

/// Whether a line is one call whose value nobody takes.
pub fn is_call(code: &str) -> bool {
    let name = code.split('(').next().unwrap_or_default();
    code.ends_with(");")
        && !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        && code.matches('(').count() == code.matches(')').count()
        && !["return", "if", "for", "while", "switch", "sizeof"].contains(&name)
}

/// Whether a line gives a value to something that lives on.
fn is_assignment(code: &str) -> bool {
    let Some((left, right)) = code.split_once(" = ") else {
        return false;
    };
    let ends = right.ends_with(';') && right.matches('(').count() == right.matches(')').count();
    let left = left.trim();
    ends && !left.contains(' ') && (left.contains("->") || left.contains('.'))
}

/// The first number of a line that stands alone.
fn constant(line: &str) -> Option<(usize, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '"';
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c.is_ascii_digit() && !is_word(before) {
            let rest = &line[at..];
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let behind = rest[end..].chars().next().unwrap_or(' ');
            return (!is_word(behind)).then_some((at, &rest[..end]));
        }
        before = c;
    }
    None
}

/// The change of one line, told by so many lines before it that no other place is meant.
pub fn edit(file: &str, lines: &[&str], index: usize, from: &str, to: &str) -> Option<Edit> {
    let text = lines.join("\n");
    for before in 0..20.min(index) {
        let context = lines[index - before..index].join("\n");
        let context = if before == 0 {
            String::new()
        } else {
            context + "\n"
        };
        let whole = format!("{context}{from}\n");
        if text.matches(&whole).count() == 1 {
            return Some(Edit {
                file: file.to_owned(),
                to: format!("{context}{to}\n"),
                from: whole,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_to_a_line() {
        let told = |line: &str, next: Option<&str>| {
            let all = changes(line, next);
            all.into_iter().map(|(_, _, to)| to).collect::<Vec<_>>()
        };
        assert_eq!(told("\tif (a(b) && c)", None), ["\tif (!(a(b) && c))"]);
        assert_eq!(
            told("\tf(x);", Some("\tg(y);")),
            ["\t;", "\tg(y);\n\tf(x);"]
        );
        assert_eq!(told("\tsk->a = 1;", None), ["\t;", "\tsk->a = 2;"]);
        assert_eq!(told("\tx = y16 + 0x3;", None), Vec::<String>::new());
        assert_eq!(told("\treturn 0;", None), ["\treturn 1;"]);
        for kept in [
            "\trcu_read_lock();",
            "\t/* 7 */",
            "\tint a = b;",
            "\tcase 3:",
        ] {
            assert_eq!(told(kept, None), Vec::<String>::new(), "{kept}");
        }
    }

    #[test]
    fn functions_are_found_by_their_braces() {
        let text = "static int f(int a,\n\t     int b)\n{\n\tg();\n}\n\nvoid *h(void)\n{\n}";
        let lines: Vec<&str> = text.lines().collect();
        let found: Vec<_> = functions(&lines)
            .into_iter()
            .map(|f| (f.name, f.body))
            .collect();
        assert_eq!(found, [("f".to_owned(), 3..4), ("h".to_owned(), 8..8)]);
    }
}
