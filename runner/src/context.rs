//! What every command is given: what stands anywhere on the line.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lab::build::cache::Given;
use lab::build::setup::Options;

/// Built once, in `main`, of what stands anywhere on the line.
#[derive(Debug, Default)]
pub struct Context {
    /// Whether the user has agreed beforehand to what would be asked.
    pub yes: bool,
    /// Whether the machine's own programs are to be used.
    pub host_tools: bool,
    /// A folder or URL with Debian's pool.
    pub mirror: Option<String>,
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
        options.host_tools = self.host_tools;
        options.mirror.clone_from(&self.mirror);
        options.kernel_source.clone_from(&self.kernel_source);
        Ok(options)
    }
}
