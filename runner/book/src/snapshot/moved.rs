//! Lines of the kernel's source that stand elsewhere in a tree that was changed: what the debugger
//! and `grep -n` say of them is told by the book's numbers.

use std::collections::BTreeMap;

use regex_lite::Captures;
use similar::{DiffOp, TextDiff};

use crate::pattern::{Pattern, pattern};

/// A line of a file, as gdb names it.
static PLACE: Pattern = Pattern::new(|| pattern(r"([\w./-]+\.[chS])(:|, line )(\d+)"));

/// The files that were changed, by their name as seen from the top of the tree.
#[derive(Debug, Default)]
pub struct Moved {
    files: BTreeMap<String, File>,
}

#[derive(Debug)]
struct File {
    /// The book's number of each line, from 1; none for a line that the book has not.
    numbers: Vec<Option<usize>>,
    lines: Vec<String>,
}

impl Moved {
    /// Notes a file, by its text in the book's tree and in the changed one.
    pub fn add(&mut self, file: &str, book: &str, changed: &str) {
        let lines: Vec<String> = changed.lines().map(str::to_owned).collect();
        let mut numbers = vec![None; lines.len()];
        for operation in TextDiff::from_lines(book, changed).ops() {
            if let DiffOp::Equal {
                old_index,
                new_index,
                len,
            } = *operation
            {
                for at in 0..len {
                    if let Some(number) = numbers.get_mut(new_index + at) {
                        *number = Some(old_index + at + 1);
                    }
                }
            }
        }
        self.files.insert(file.to_owned(), File { numbers, lines });
    }

    /// A text in which each line of these files has the number that it has in the book's tree, as
    /// far as it has one: behind a file's name, `net/ipv4/tcp.c:1138` or `file net/ipv4/tcp.c, line
    /// 1138`, and before its own text, as gdb and `grep -n` print it.
    ///
    /// The lines of a listing come together, and all of them are lines of one file: of that which
    /// gdb has named just before, with the number of the first, or of that which has these lines.
    /// One that says little, such as a brace, could be of any.
    #[must_use]
    pub fn as_in_the_book(&self, text: &str) -> String {
        static NUMBERED: Pattern = Pattern::new(|| pattern(r"^(\d+)[\t:-](.*)"));
        if self.files.is_empty() {
            return text.to_owned();
        }
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let is_numbered = |line: &str| NUMBERED.is_match(line);
        let mut told = String::with_capacity(text.len());
        let mut before = "";
        for run in lines.chunk_by(|a, b| is_numbered(a) == is_numbered(b)) {
            let parts = run.iter().filter_map(|line| NUMBERED.captures(line));
            let parts: Vec<Captures<'_>> = parts.collect();
            let has = |file: &&File| {
                let mut all = parts.iter();
                all.all(|part| file.line(&part[1]) == Some(&part[2]))
            };
            let is_told = parts.iter().any(|part| says_something(&part[2]));
            let named = parts
                .first()
                .and_then(|first| self.named(before, &first[1]));
            let known = || self.files.values().find(|file| is_told && has(file));
            match named.or_else(known) {
                Some(file) => {
                    for (part, whole) in parts.iter().zip(run) {
                        let number = file.number(&part[1]);
                        told += &number.map_or(part[1].to_owned(), |number| number.to_string());
                        told += &whole[part[1].len()..];
                    }
                }
                None => told += &self.placed(&run.concat()),
            }
            before = run.last().copied().unwrap_or_default();
        }
        told
    }

    /// A text with the book's numbers behind the names of files.
    fn placed(&self, text: &str) -> String {
        let placed = PLACE.replace_all(text, |found: &Captures<'_>| {
            match self.file(&found[1]).and_then(|file| file.number(&found[3])) {
                Some(number) => format!("{}{}{number}", &found[1], &found[2]),
                None => found[0].to_owned(),
            }
        });
        placed.into_owned()
    }

    /// The file that a line ends with, if it is at this number.
    fn named(&self, line: &str, number: &str) -> Option<&File> {
        let place = PLACE.captures_iter(line.trim_end()).last()?;
        let is_last = line.trim_end().ends_with(&place[0]);
        self.file(&place[1])
            .filter(|_| is_last && &place[3] == number)
    }

    fn file(&self, name: &str) -> Option<&File> {
        self.files.get(name.trim_start_matches("./"))
    }

    /// A text in which each line of these files that the book has not is marked, behind its place.
    #[must_use]
    pub fn marking_new(&self, text: &str) -> String {
        let is_new = |line: &str| {
            let place = line
                .rsplit_once(' ')
                .and_then(|(_, place)| place.rsplit_once(':'));
            place.is_some_and(|(file, line)| {
                let file = self.files.get(file);
                file.is_some_and(|file| file.number(line).is_none())
            })
        };
        let lines = text
            .split_inclusive('\n')
            .map(|line| match line.trim_end() {
                end if is_new(end) => format!("{end}, a line of yours\n"),
                _ => line.to_owned(),
            });
        lines.collect()
    }
}

/// Whether a line of source has enough in it to be known by it.
fn says_something(line: &str) -> bool {
    line.chars().filter(|c| c.is_alphanumeric()).count() >= 8
}

impl File {
    fn number(&self, changed: &str) -> Option<usize> {
        let index = changed.parse::<usize>().ok()?.checked_sub(1)?;
        *self.numbers.get(index)?
    }

    fn line(&self, changed: &str) -> Option<&str> {
        let index = changed.parse::<usize>().ok()?.checked_sub(1)?;
        self.lines.get(index).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_of_one_file_and_a_brace_may_be_of_any() {
        let mut moved = Moved::default();
        let book = "int first_function(void)\n{\n}\n";
        moved.add("net/a.c", book, &format!("\n{book}"));
        let told = |text: &str| moved.as_in_the_book(text);
        let listed = "2\tint first_function(void)\n3\t{\n4\t}\n";
        let expected = "1\tint first_function(void)\n2\t{\n3\t}\n";
        assert_eq!(told(listed), expected);
        assert_eq!(
            told(&format!("$1 = 3\n{listed}--\n3-{{\n")),
            format!("$1 = 3\n{expected}--\n3-{{\n")
        );
        let other = "2\tint another_function(void)\n3\t{\n4\t}\n";
        assert_eq!(told(other), other);
    }

    #[test]
    fn a_line_that_says_little_is_of_the_file_that_gdb_has_named_before() {
        let mut moved = Moved::default();
        let book = "int f(void)\n{\n\tret = fn();\n}\n";
        moved.add("net/a.c", book, &format!("\n{book}"));
        let told = |text: &str| moved.as_in_the_book(text);
        assert_eq!(
            told("Breakpoint 1, f () at net/a.c:3\n3\t{\n"),
            "Breakpoint 1, f () at net/a.c:2\n2\t{\n"
        );
        assert_eq!(
            told("f () at ./net/a.c:4\n4\t\tret = fn();\nValue returned is $1 = 0\n"),
            "f () at ./net/a.c:3\n3\t\tret = fn();\nValue returned is $1 = 0\n"
        );
        // Of another line, or of another file, it is not.
        let others = "g () at net/b.c:3\n3\t{\n";
        assert_eq!(told(others), others);
        assert_eq!(
            told("f () at net/a.c:2\n9\t{\n"),
            "f () at net/a.c:1\n9\t{\n"
        );
    }

    #[test]
    fn a_line_that_moved_has_the_books_number_and_a_new_one_its_own() {
        let mut moved = Moved::default();
        moved.add(
            "net/a.c",
            "one more line\ntwo\nthree\n",
            "zero\none more line\nTWO\nthree\n",
        );
        let told = |text: &str| moved.as_in_the_book(text);
        assert_eq!(
            told("f () at net/a.c:2\n2\tone more line\n"),
            "f () at net/a.c:1\n1\tone more line\n"
        );
        assert_eq!(told("at ./net/a.c:4"), "at ./net/a.c:3");
        assert_eq!(told("file net/a.c, line 4."), "file net/a.c, line 3.");
        // What is new or another has no number of the book's, and another file none at all.
        assert_eq!(
            told("net/a.c:1 net/a.c:3 net/b.c:2"),
            "net/a.c:1 net/a.c:3 net/b.c:2"
        );
        assert_eq!(told("2\tanother\n4:three\n"), "2\tanother\n4:three\n");
        assert_eq!(Moved::default().as_in_the_book("net/a.c:2"), "net/a.c:2");
        let marked = moved.marking_new("  f at net/a.c:3\n  g at net/a.c:4\n");
        assert_eq!(
            marked,
            "  f at net/a.c:3, a line of yours\n  g at net/a.c:4\n"
        );
    }
}
