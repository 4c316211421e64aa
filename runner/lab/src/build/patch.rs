//! Patches of the kernel, as `diff -u` and `runner plank diff` write them, and what they want of
//! its configuration: lines as in the kernel's fragment, in a file that ends in `.config`.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use anyhow::{Context as _, Result, anyhow, bail};
use diffy::patch_set::{FileOperation, FilePatch, ParseOptions, PatchSet};
use fs_err as fs;

use crate::Error;
use crate::build::kernel;

/// The folder of the book's own patches, in the repository.
pub const FOLDER: &str = "patches";

/// A patch, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The name, for what is said of it.
    pub name: String,
    /// The text; empty if there is a configuration alone.
    pub text: String,
    /// The lines that go into the configuration.
    pub config: String,
}

/// The configuration, from the top of the tree.
pub const CONFIG: &str = ".config";
/// How the name of a file ends that has lines for the configuration.
const FRAGMENT: &str = "config";

/// The files of a tree that are otherwise than in the book's: their names, as seen from the top of
/// the tree, and their texts. None is a file that is not there any more.
pub type Patched = BTreeMap<String, Option<String>>;

impl Patch {
    /// Reads a file: a patch, or lines for the configuration.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let (mut text, mut config) = (fs::read_to_string(path)?, String::new());
        if path.extension().is_some_and(|end| end == FRAGMENT) {
            std::mem::swap(&mut text, &mut config);
        }
        Ok(Self { name, text, config })
    }

    /// The patch of the book that is called so, or its lines for the configuration, or both; it may
    /// also be a program of the guest's alone, or a lock of further programs.
    ///
    /// # Errors
    /// [`Error::Unfit`] when there is none.
    pub fn of_book(repository: &Path, name: &str) -> Result<Self> {
        let [patch, config] = ["patch", FRAGMENT].map(|end| format!("{FOLDER}/{name}.{end}"));
        let read = |file: &str| {
            let path = repository.join(file);
            path.is_file().then(|| fs::read_to_string(path)).transpose()
        };
        let is_there = |end| repository.join(format!("{FOLDER}/{name}.{end}")).is_file();
        let has_others = is_there("c") || is_there("lock");
        Ok(match (read(&patch)?, read(&config)?) {
            (None, None) if !has_others => bail!(Error::Unfit(format!("there is no {patch}"))),
            (text, fragment) => Self {
                name: match text {
                    Some(_) => patch,
                    None => config,
                },
                text: text.unwrap_or_default(),
                config: fragment.unwrap_or_default(),
            },
        })
    }

    /// The lines that it adds, without their marks.
    pub fn added(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().filter(|line| !line.starts_with("+++ "));
        let lines = lines.filter_map(|line| line.strip_prefix('+'));
        lines.chain(kernel::settings(&self.config))
    }

    /// Whether this configuration has all lines that the patch wants.
    ///
    /// # Errors
    /// [`Error::Unfit`] with those that kconfig did not honour.
    pub fn check(&self, config: &str) -> Result<(), Error> {
        match &kernel::refused(&self.config, config)[..] {
            [] => Ok(()),
            lines => Err(Error::Unfit(format!(
                "{}: kconfig did not honour {}: a line lacks something that it depends on, or \
                 another line selects the opposite",
                Path::new(&self.name).with_extension(FRAGMENT).display(),
                lines.join(", ")
            ))),
        }
    }

    /// Makes the patch's changes in `files`, whose texts are the tree's where they are not there.
    ///
    /// # Errors
    /// [`Error::Unfit`] when it is no patch, climbs out of the tree, or does not fit.
    pub fn apply(&self, tree: &Path, files: &mut Patched) -> Result<()> {
        let parsed = PatchSet::parse(&self.text, ParseOptions::unidiff());
        let parsed: Vec<FilePatch<'_, str>> = match self.text.is_empty() {
            true => Vec::new(),
            false => parsed
                .collect::<Result<_, _>>()
                .map_err(|error| self.unfit(&format!("this is no patch: {error}")))?,
        };
        for part in &parsed {
            let operation = part.operation().strip_prefix(1);
            let (file, is_deleted) = match operation {
                FileOperation::Create(file) => (file, false),
                FileOperation::Delete(file) => (file, true),
                FileOperation::Modify { original, modified } if original == modified => {
                    (modified, false)
                }
                _ => return Err(self.unfit("it gives a file another name").into()),
            };
            let is_inside = |part| matches!(part, Component::Normal(_));
            if !Path::new(&*file).components().all(is_inside) {
                let why = format!("{file} is no file of the kernel's tree");
                return Err(self.unfit(&why).into());
            }
            let before = match files.get(&*file) {
                Some(text) => text.clone().unwrap_or_default(),
                None => text(&tree.join(&*file))?,
            };
            let patch = part.patch().as_text().ok_or_else(|| anyhow!("no text"))?;
            let after = diffy::apply(&before, patch)
                .map_err(|error| self.unfit(&format!("it does not fit {file}: {error}")))?;
            files.insert(file.into_owned(), (!is_deleted).then_some(after));
        }
        if !self.config.is_empty() {
            let before = match files.remove(CONFIG) {
                Some(text) => text.unwrap_or_default(),
                None => text(&tree.join(CONFIG))?,
            };
            let after = kernel::merged(&before, &self.config);
            files.insert(CONFIG.to_owned(), Some(after));
        }
        Ok(())
    }

    fn unfit(&self, why: &str) -> Error {
        Error::Unfit(format!("{}: {why}", self.name))
    }
}

/// What becomes of the files of a tree by these patches, one after the other.
///
/// # Errors
/// As [`Patch::apply`].
pub fn patched(tree: &Path, patches: &[Patch]) -> Result<Patched> {
    let mut files = Patched::new();
    for patch in patches {
        patch.apply(tree, &mut files)?;
    }
    Ok(files)
}

/// Puts the texts of files into a tree. One that is the same already keeps its time, so that it is
/// not compiled again.
///
/// # Errors
/// When one cannot be written.
pub fn put(tree: &Path, files: &Patched) -> Result<()> {
    for (file, wanted) in files {
        let path = tree.join(file);
        match wanted {
            Some(wanted) if path.is_file() && text(&path)? == *wanted => {}
            Some(wanted) => {
                fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
                fs::write(&path, wanted)?;
            }
            None if path.exists() => fs::remove_file(&path)?,
            None => {}
        }
    }
    Ok(())
}

/// The text of a file of the kernel; none is empty.
///
/// # Errors
/// When it cannot be read, or is no text.
pub fn text(path: &Path) -> Result<String> {
    if !path.is_file() {
        return Ok(String::new());
    }
    let bytes = fs::read(path)?;
    String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(text: &str) -> Patch {
        Patch {
            name: "some.patch".to_owned(),
            text: text.to_owned(),
            config: String::new(),
        }
    }

    /// A tree with one file of five lines.
    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("net")).unwrap();
        fs::write(tree.path().join("net/a.c"), "1\n2\n3\n4\n5\n").unwrap();
        tree
    }

    const CHANGE: &str = "--- a/net/a.c\n+++ b/net/a.c\n@@ -2,3 +2,3 @@\n 2\n-3\n+three\n 4\n";

    #[test]
    fn patches_build_on_each_other_and_make_files() {
        let tree = tree();
        let more = "--- a/net/a.c\n+++ b/net/a.c\n@@ -1,3 +1,4 @@\n 1\n+1.5\n 2\n three\n\
                    --- /dev/null\n+++ b/net/new/b.c\n@@ -0,0 +1 @@\n+new\n";
        let files = patched(tree.path(), &[patch(CHANGE), patch(more)]).unwrap();
        put(tree.path(), &files).unwrap();
        let read = |file: &str| fs::read_to_string(tree.path().join(file)).unwrap();
        assert_eq!(read("net/a.c"), "1\n1.5\n2\nthree\n4\n5\n");
        assert_eq!(read("net/new/b.c"), "new\n");
        // A new file, as `runner plank diff` writes it.
        let plank = patch("--- a/c.c\n+++ b/c.c\n@@ -0,0 +1 @@\n+c\n");
        let files = patched(tree.path(), &[plank]).unwrap();
        assert_eq!(files["c.c"].as_deref(), Some("c\n"));
        let gone = patch("--- a/net/new/b.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-new\n");
        put(tree.path(), &patched(tree.path(), &[gone]).unwrap()).unwrap();
        assert!(!tree.path().join("net/new/b.c").exists());
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_file() {
        let tree = tree();
        for (text, why) in [
            ("no patch\n", "some.patch: this is no patch"),
            (
                "--- a/net/a.c\n+++ b/net/a.c\n@@ -1,2 +1,2 @@\n one\n-2\n+two\n",
                "some.patch: it does not fit net/a.c",
            ),
            (
                "--- a/../b\n+++ b/../b\n@@ -0,0 +1 @@\n+x\n",
                "some.patch: ../b is no file of the kernel's tree",
            ),
            (
                "--- a/net/a.c\n+++ b/net/b.c\n@@ -1 +1 @@\n-1\n+one\n",
                "some.patch: it gives a file another name",
            ),
        ] {
            let error = patched(tree.path(), &[patch(text)]).unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with(why), "{message}");
            assert!(matches!(Error::of(&error), Some(Error::Unfit(_))));
        }
    }

    #[test]
    fn what_is_the_same_keeps_its_time() {
        let tree = tree();
        let path = tree.path().join("net/a.c");
        let time = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        let files = patched(tree.path(), &[patch(CHANGE)]).unwrap();
        put(tree.path(), &files).unwrap();
        let before = time(&path);
        put(tree.path(), &files).unwrap();
        assert_eq!(time(&path), before);
    }

    #[test]
    fn added_lines_have_no_marks() {
        let mut change = patch(CHANGE);
        change.config = "# why\nCONFIG_X=y\n".to_owned();
        assert_eq!(change.added().collect::<Vec<_>>(), ["three", "CONFIG_X=y"]);
    }

    #[test]
    fn a_configuration_comes_with_a_patch_or_alone() {
        let tree = tree();
        let at = |file: &str| tree.path().join(file);
        fs::write(
            at(CONFIG),
            "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_BB=y\n",
        )
        .unwrap();
        fs::create_dir(at(FOLDER)).unwrap();
        fs::write(at("patches/alone.config"), "# why\nCONFIG_B=y\n").unwrap();
        fs::write(at("patches/both.config"), "CONFIG_A=n\n").unwrap();
        fs::write(at("patches/both.patch"), CHANGE).unwrap();
        let of = |name| Patch::of_book(tree.path(), name).unwrap();
        let files = patched(tree.path(), &[of("alone"), of("both")]).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), [CONFIG, "net/a.c"]);
        let merged = files[CONFIG].as_deref().unwrap();
        assert_eq!(merged, "CONFIG_BB=y\nCONFIG_B=y\nCONFIG_A=n\n");
        assert_eq!(
            Patch::read(&at("patches/alone.config")).unwrap().config,
            of("alone").config
        );

        assert!(of("alone").check("CONFIG_B=y\n").is_ok());
        let error = of("alone").check("# CONFIG_B is not set\n").unwrap_err();
        let message = error.to_string();
        let start = "patches/alone.config: kconfig did not honour CONFIG_B=y: ";
        assert!(message.starts_with(start), "{message}");
        let error = Patch::of_book(tree.path(), "none").unwrap_err();
        assert_eq!(error.to_string(), "there is no patches/none.patch");
    }
}
