//! Names that the book's own patches bring: what a page says of them is no claim about the kernel
//! of the lab.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use crate::chapter::KERNEL;
use crate::chapter::markdown::Page;
use crate::exercise::{Exercise, place};
use crate::pattern::{Pattern, pattern};
use lab::build::patch::Patch;

static IDENTIFIER: Pattern = Pattern::new(|| pattern(r"[A-Za-z_][A-Za-z0-9_]*"));
static FILE: Pattern = Pattern::new(|| pattern(r"(?m)^\+\+\+ b/(\S+)"));

/// A text of the book, with what could be claims in it.
#[derive(Debug)]
pub struct Text {
    /// The file, relative to the repository.
    pub path: PathBuf,
    /// The text.
    pub text: String,
    /// The words that patches add.
    pub own: BTreeSet<String>,
    /// The patches of the page's kernel, if they have more of the configuration: it has names that
    /// the book's own kernel does without.
    pub kernel: Vec<String>,
}

/// The text of a page, and those of the exercises on it.
///
/// # Errors
/// Files that cannot be read. What is wrong with an exercise is told where the page is laid out.
pub fn texts(root: &Path, path: &Path, text: &str) -> anyhow::Result<Vec<Text>> {
    let page = Page::read(text);
    let (mut own, mut kernel, mut has_more) = (BTreeSet::new(), Vec::new(), false);
    for directive in page.directives("runner") {
        let mut words = directive.arguments.split_whitespace();
        if words.next() == Some(KERNEL) {
            for name in words {
                let patch = Patch::of_book(root, name);
                own.extend(patch.iter().flat_map(added));
                has_more |= patch.is_ok_and(|patch| !patch.config.is_empty());
                kernel.push(name.to_owned());
            }
        }
    }
    kernel.retain(|_| has_more);
    let mut texts = Vec::new();
    for place in place::of_page(path, &page).0 {
        let Ok(exercise) = Exercise::find(root, place.name) else {
            continue;
        };
        let file = fs_err::read_to_string(root.join(&exercise.path))?;
        let mut words = own.clone();
        if let Some(solution) = exercise.solution() {
            let patch = Patch::read(&root.join(solution));
            words.extend(patch.iter().flat_map(added));
        }
        texts.push(Text {
            text: exercise.words(&file),
            path: exercise.path,
            own: words,
            kernel: kernel.clone(),
        });
    }
    texts.push(Text {
        path: path.to_owned(),
        text: text.to_owned(),
        own,
        kernel,
    });
    Ok(texts)
}

impl Text {
    /// Whether a name is one that a patch brings: `struct theseus_sock`, `net/theseus.c`.
    #[must_use]
    pub fn brings(&self, name: &str) -> bool {
        let last = name.rsplit([' ', '.', '>']).next().unwrap_or(name);
        self.own.contains(name) || self.own.contains(last)
    }
}

/// The words that a patch adds, and its files.
fn added(patch: &Patch) -> Vec<String> {
    let words = |pattern: &Regex, text: &str| -> Vec<String> {
        let all = pattern.captures_iter(text);
        let last = |found: regex_lite::Captures<'_>| {
            let last = found.iter().flatten().last();
            last.map(|word| word.as_str().to_owned())
        };
        all.filter_map(last).collect()
    };
    let mut all = words(&FILE, &patch.text);
    for line in patch.added() {
        all.extend(words(&IDENTIFIER, line));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_patch_adds_is_no_claim() {
        let patch = Patch {
            name: "x".to_owned(),
            text: "--- /dev/null\n+++ b/net/theseus.c\n@@ -0,0 +1 @@\n+static int my_rcv(struct my_sock *sk)\n"
                .to_owned(),
            config: String::new(),
        };
        let text = Text {
            path: "chapters/12-x.md".into(),
            text: String::new(),
            own: added(&patch).into_iter().collect(),
            kernel: Vec::new(),
        };
        for name in ["my_rcv", "struct my_sock", "net/theseus.c"] {
            assert!(text.brings(name), "{name}");
        }
        assert!(!text.brings("tcp_v4_rcv"));
    }
}
