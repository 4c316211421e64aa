//! The repository: the folder that holds `book.toml` and `chapters/`.
//!
//! mdbook starts a preprocessor in it, and mdbook-cmdrun starts `runner show` in `chapters/`; so it
//! is looked for from the current folder upward.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Finds the repository that the current folder lies in.
///
/// # Errors
/// When no folder from here upward is one.
pub fn find() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("ask for the current folder")?;
    above(&here)
}

/// Finds the repository that the current folder lies in, or else the one that this program was
/// built from: for what is used in other projects.
///
/// # Errors
/// When there is neither.
pub fn find_or_own() -> anyhow::Result<PathBuf> {
    find().or_else(|_| above(Path::new(env!("CARGO_MANIFEST_DIR"))))
}

fn above(here: &Path) -> anyhow::Result<PathBuf> {
    let is_root =
        |folder: &&Path| folder.join("book.toml").is_file() && folder.join("chapters").is_dir();
    match here.ancestors().find(is_root) {
        Some(root) => Ok(root.to_owned()),
        None => bail!(lab::Error::Unfit(format!(
            "{} is not inside the book: no folder from here upward holds book.toml and chapters/; \
             change to the repository",
            here.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_with_both_is_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        let deep = inner.join("chapters/theme");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(folder.path().join("chapters")).unwrap();
        std::fs::write(folder.path().join("book.toml"), "").unwrap();
        assert_eq!(above(&deep).unwrap(), folder.path());
        std::fs::write(inner.join("book.toml"), "").unwrap();
        assert_eq!(above(&deep).unwrap(), inner);
        let error = above(Path::new("/")).unwrap_err().to_string();
        assert!(error.contains("not inside the book"), "{error}");
    }
}
