//! The names and numbers of the text while pages are laid out, where no lab may be: each name is
//! recorded or exempt, and each number comes from a step or is exempt.
//!
//! If a lab left its index in the cache, a fault can say more: that a name is real and only has to
//! be recorded, or which of all the kernel's names is near. The index is read at the first fault,
//! and not before.

use std::cell::OnceCell;
use std::path::Path;

use crate::chapter::markdown::Page;
use crate::fault::Fault;
use crate::page::values::Values;
use crate::prose::absent::Absent;
use crate::prose::exempt::{self, Exempt, Used};
use crate::prose::glossary::Glossary;
use crate::prose::mention::{self, Mention};
use crate::prose::numeral;
use crate::prose::patched;
use crate::prose::resolve::resolve;
use crate::symbols::Index;
use crate::symbols::near::{near, told};
use lab::build::cache::Cache;

/// What is known about the names, and which the pages had so far.
#[derive(Debug)]
pub struct Text {
    /// What was recorded.
    pub glossary: Glossary,
    /// What other series do not have of it.
    pub absent: Vec<Absent>,
    /// What is exempt.
    pub exempt: Exempt,
    used: Used,
    index: OnceCell<Option<Index>>,
}

impl Text {
    /// Reads what the repository has.
    ///
    /// # Errors
    /// Files that are not understood.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            glossary: Glossary::read(root)?,
            absent: Absent::all(root)?,
            exempt: Exempt::read(root)?,
            used: Used::new(),
            index: OnceCell::new(),
        })
    }

    /// The faults of the names in a text.
    pub fn check(&mut self, text: &patched::Text) -> Vec<Fault> {
        let path = &text.path;
        let mut found = Vec::new();
        for mention in mention::of_page(&Page::read(&text.text)) {
            let is_known = self.glossary.names.contains_key(&mention.text);
            let is_free = self.exempt.has(&mention.text, path) || text.brings(&mention.text);
            if !is_known && !is_free {
                found.push(Fault::new(path, mention.line, self.message(&mention)));
            }
            self.used.insert((path.to_owned(), mention.text));
        }
        found
    }

    /// The faults of the numbers that were typed into a page.
    pub fn numerals(&mut self, path: &Path, page: &Page<'_>, values: &Values) -> Vec<Fault> {
        let mut found = Vec::new();
        for numeral in numeral::of_page(page) {
            if !self.exempt.has(&numeral.text, path) {
                let steps = values.who_shows(path, &numeral.text).into_iter().take(4);
                let shown: String = steps.map(|id| format!(" {{{{{id}}}}}")).collect();
                let shown = match &*shown {
                    "" => "no step of the chapter shows it".to_owned(),
                    shown => format!("it is shown by{shown}"),
                };
                let message = format!(
                    "the number {} is typed, and should come from where it is seen ({shown}); one \
                     that nothing can change stands in {}",
                    numeral.text,
                    exempt::PATH
                );
                found.push(Fault::new(path, numeral.line, message));
            }
            self.used.insert((path.to_owned(), numeral.text));
        }
        found
    }

    /// The faults of the list of exemptions, once all pages were seen.
    #[must_use]
    pub fn exemptions(&self) -> Vec<Fault> {
        let mut found = self.exempt.faults(&self.used);
        let recorded = |name: &str| self.glossary.names.get(name).cloned();
        found.extend(self.exempt.real(recorded));
        found
    }

    fn message(&self, mention: &Mention) -> String {
        let cached = || Index::at_hand(&Cache::of_user().ok()?, &self.glossary.image);
        let index = self.index.get_or_init(cached).as_ref();
        let reply = |index| resolve(index, &mention.shape).map_err(|miss| miss.message(index));
        match index.map(reply) {
            Some(Ok(found)) => format!(
                "`{}` ({}) was never recorded; do it: cargo run -p runner -- claims --record",
                mention.text, found
            ),
            Some(Err(message)) => {
                format!("{message}; if it is none of the kernel's: {}", exempt::PATH)
            }
            None => {
                let names = self.glossary.names.keys();
                let near = near(&mention.text, names.map(String::as_str));
                format!(
                    "`{}` was never recorded as a name of the kernel{}; a new one is recorded by \
                     `cargo run -p runner \
                     -- claims --record`, and if it is none of the kernel's: {}",
                    mention.text,
                    told(&near),
                    exempt::PATH
                )
            }
        }
    }
}
