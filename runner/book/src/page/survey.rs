//! All names of the kernel in the text of the book, and what the kernel says to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::chapter::markdown::Page;
use crate::chapter::{self, value};
use crate::fault::Fault;
use crate::prose::exempt::{Exempt, Used};
use crate::prose::mention::{self, Mention};
use crate::prose::patched::Text;
use crate::prose::resolve::{Found, resolve};
use crate::prose::{excerpt, numeral, patched};
use crate::symbols::{Index, Kind};

/// The claims of the book, page by page.
#[derive(Debug, Default)]
pub struct Book {
    /// Each text, with its claims: the pages, and the exercises on them.
    texts: Vec<(Text, Vec<Mention>)>,
    /// The files of the pages, relative to the repository.
    pub pages: Vec<PathBuf>,
    /// All that could be exempt: the claims, and the numbers that are typed, which are not the
    /// kernel's to answer.
    pub used: Used,
    /// How many values are computed, and how many excerpts of the source are quoted.
    directives: (usize, usize),
}

/// What the kernel says to the claims of a book.
#[derive(Debug, Default)]
pub struct Answer {
    /// What is there, by the text of the span.
    pub found: BTreeMap<String, Found>,
    /// Those of it that only a page's own kernel has.
    pub further: BTreeSet<String>,
    /// What is not.
    pub unknown: Vec<Fault>,
    /// How often each kind is claimed.
    pub kinds: BTreeMap<Kind, usize>,
    /// How many claims are exempt.
    pub exempt: usize,
}

impl Book {
    /// Reads the pages of a repository.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut book = Self::default();
        for path in chapter::pages(root)? {
            let text = chapter::text(root, &path)?;
            for text in patched::texts(root, &path, &text)? {
                let page = Page::read(&text.text);
                let claims = mention::of_page(&page);
                let claimed = claims.iter().map(|claim| claim.text.clone());
                book.used
                    .extend(claimed.map(|name| (text.path.clone(), name)));
                book.texts.push((text, claims));
            }
            let page = Page::read(&text);
            let numerals = numeral::of_page(&page).into_iter();
            book.used
                .extend(numerals.map(|found| (path.clone(), found.text)));
            book.directives.0 += value::find(&page).len();
            book.directives.1 += excerpt::asked(&page).count();
            book.pages.push(path);
        }
        Ok(book)
    }

    /// The kernels of pages that say of their own kernel what the book's does not have: which
    /// patches each is made of.
    #[must_use]
    pub fn further(&self, index: &Index, exempt: &Exempt) -> BTreeSet<Vec<String>> {
        let mut kernels = BTreeSet::new();
        for (text, claims) in &self.texts {
            let is_further = |mention: &Mention| {
                !exempt.has(&mention.text, &text.path)
                    && !text.brings(&mention.text)
                    && resolve(index, &mention.shape).is_err()
            };
            if !text.kernel.is_empty() && claims.iter().any(is_further) {
                kernels.insert(text.kernel.clone());
            }
        }
        kernels
    }

    /// Asks the kernel about every claim that is not exempt; and where it has no such name, the one
    /// of the page, if that is another.
    #[must_use]
    pub fn ask(
        &self,
        index: &Index,
        further: &BTreeMap<Vec<String>, Index>,
        exempt: &Exempt,
    ) -> Answer {
        let mut answer = Answer::default();
        // A name that comes a hundred times is looked up once, and so is a wrong one.
        let mut asked: BTreeMap<&str, Result<Found, String>> = BTreeMap::new();
        let mut of_further = BTreeMap::new();
        for (text, claims) in &self.texts {
            for mention in claims {
                if exempt.has(&mention.text, &text.path) {
                    answer.exempt += 1;
                    continue;
                }
                let reply = asked.entry(&mention.text);
                match reply.or_insert_with(|| {
                    resolve(index, &mention.shape).map_err(|miss| miss.message(index))
                }) {
                    Ok(found) => *answer.kinds.entry(found.kind).or_default() += 1,
                    Err(_) if text.brings(&mention.text) => answer.exempt += 1,
                    Err(message) => {
                        let own = further.get(&text.kernel);
                        if let Some(found) = own.and_then(|own| resolve(own, &mention.shape).ok()) {
                            *answer.kinds.entry(found.kind).or_default() += 1;
                            of_further.insert(mention.text.clone(), found);
                            continue;
                        }
                        let fault = Fault::new(&text.path, mention.line, message.clone());
                        answer.unknown.push(fault);
                    }
                }
            }
        }
        answer.further = of_further.keys().cloned().collect();
        let found = asked.into_iter();
        answer.found = found
            .filter_map(|(text, reply)| Some((text.to_owned(), reply.ok()?)))
            .chain(of_further)
            .collect();
        answer
    }
}

impl Answer {
    /// How many there are of each kind, a line each.
    #[must_use]
    pub fn summary(&self, book: &Book, exempt: &Exempt) -> String {
        let claims: usize = book.texts.iter().map(|(_, claims)| claims.len()).sum();
        let mut text = format!(
            "{claims} claims in {} pages, {} names\n",
            book.pages.len(),
            self.found.len()
        );
        for (kind, count) in &self.kinds {
            text += &format!("{count:6} {kind}\n");
        }
        text += &format!(
            "{:6} exempt ({} on the list)\n",
            self.exempt,
            exempt.count()
        );
        let (values, excerpts) = book.directives;
        text += &format!("{values:6} values and {excerpts} excerpts besides\n");
        text + &format!("{:6} unknown", self.unknown.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str) -> Index {
        Index::from(format!("{name}\tfunction\t\t\tnet/x.c:1\t\n"))
    }

    #[test]
    fn a_page_s_own_kernel_is_asked_for_what_the_book_s_does_not_have() {
        let kernel = vec!["router".to_owned()];
        let book_with = |kernel: &[String]| Book {
            texts: vec![(
                Text {
                    path: "chapters/15-x.md".into(),
                    text: String::new(),
                    own: BTreeSet::new(),
                    kernel: kernel.to_vec(),
                },
                mention::of_page(&Page::read("`of_both` `of_one`\n")),
            )],
            ..Book::default()
        };
        let (book, exempt) = (book_with(&kernel), Exempt::default());
        let (plain, own) = (index("of_both"), index("of_one"));
        assert_eq!(
            book.further(&plain, &exempt),
            BTreeSet::from([kernel.clone()])
        );
        let further = BTreeMap::from([(kernel, own)]);
        let answer = book.ask(&plain, &further, &exempt);
        assert!(answer.unknown.is_empty(), "{:?}", answer.unknown);
        assert_eq!(Vec::from_iter(answer.found.keys()), ["of_both", "of_one"]);
        assert_eq!(Vec::from_iter(&answer.further), ["of_one"]);
        let of_the_book = book_with(&[]);
        assert!(of_the_book.further(&plain, &exempt).is_empty());
        assert_eq!(of_the_book.ask(&plain, &further, &exempt).unknown.len(), 1);
    }
}
