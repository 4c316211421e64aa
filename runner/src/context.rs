//! What every command is given: what stands anywhere on the line, and the lab that follows from it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use book::chapter::Chapter;
use lab::build::cache::Given;
use lab::build::packages;
use lab::build::setup::{self, Options};
use lab::replay::workdir::Parts;
use lab::transcript::step::Terminal;

use crate::doctor;

/// Built once, in `main`, of what stands anywhere on the line.
#[derive(Debug, Default)]
pub struct Context {
    /// Whether the user has agreed beforehand to what would be asked.
    pub yes: bool,
    /// A Linux tarball or unpacked tree of the user's own.
    pub kernel_source: Option<PathBuf>,
    /// What the run is given of the cache.
    pub given: Given,
}

impl Context {
    /// How the lab of the repository is to be made.
    ///
    /// # Errors
    /// When the place of the cache is not known.
    pub fn options(&self, repository: &Path) -> Result<Options> {
        let mut options = Options::new(repository)?;
        options.cache = options.cache.noting(self.given.clone());
        options.yes = self.yes;
        options.kernel_source.clone_from(&self.kernel_source);
        Ok(options)
    }

    /// The lab with which these chapters are replayed, made if it is not there. What keeps the
    /// network of a chapter from being made is told before anything is built.
    ///
    /// # Errors
    /// As [`setup::ready`], and why there can be no network.
    pub fn parts<'a>(
        &self,
        options: &Options,
        chapters: impl IntoIterator<Item = &'a Chapter>,
    ) -> Result<Parts> {
        // With them the network is made.
        packages::ready(options.yes)?;
        let mut labs = chapters
            .into_iter()
            .filter(|chapter| chapter.has(Terminal::Lab));
        if let Some(chapter) = labs.next() {
            doctor::check_lab(chapter.number)?;
        }
        Ok(Parts::from(setup::ready(options)?))
    }
}
