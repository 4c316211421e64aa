//! A copy of the fixture book, and what can be done with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Output;

use scraper::Html;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tools::{RUNNER, path_with_tools};

/// Makes an entry of the cache a complete one.
pub const STAMP: &str = r#"{"inputs":{},"outputs":{},"seen":{}}"#;

/// A page: its file, and its text.
pub type Page = (String, String);

/// The fixture book in a folder of its own, which goes with it.
pub struct Fixture {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Fixture {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self::in_folder(temporary.path().to_owned(), Some(temporary))
    }

    /// The fixture book in an empty folder.
    pub fn in_folder(folder: PathBuf, temporary: Option<TempDir>) -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        copy(&repository.join("tests/book/fixture"), &folder);
        copy(
            &repository.join("chapters/theme"),
            &folder.join("chapters/theme"),
        );
        let config = std::fs::read_to_string(repository.join("book.toml")).unwrap();
        let ours = config.replace("cargo run --quiet --locked -p runner --", "runner");
        assert_ne!(ours, config, "book.toml starts the runner in another way");
        std::fs::write(folder.join("book.toml"), ours).unwrap();
        Self {
            folder,
            _temporary: temporary,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Replaces `old`, which must be there, by `new` in a file.
    pub fn edit(self, name: &str, old: &str, new: &str) -> Self {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "{name} holds no {old:?}");
        std::fs::write(self.path(name), text.replace(old, new)).unwrap();
        self
    }

    pub fn remove(self, name: &str) -> Self {
        std::fs::remove_file(self.path(name)).unwrap();
        self
    }

    /// Runs the runner in `folder` of the book.
    pub fn runner(&self, folder: &str, args: &[&str], stdin: &str) -> Output {
        run(RUNNER, args, &self.path(folder), path_with_tools(), stdin)
    }

    /// What mdbook sends to a preprocessor.
    pub fn sent(&self, pages: &[Page]) -> String {
        let chapter = |(name, text): &Page| {
            json!({ "Chapter": {
                "name": name,
                "content": text,
                "number": null,
                "sub_items": [],
                "path": name,
                "source_path": name,
                "parent_names": [],
            }})
        };
        let items: Vec<Value> = pages.iter().map(chapter).collect();
        let context = json!({
            "root": self.folder,
            "config": { "book": { "src": "chapters" } },
            "renderer": "html",
            "mdbook_version": "0.5.4",
        });
        json!([context, { "items": items }]).to_string()
    }

    /// The fixture's pages as mdbook would load them.
    pub fn book(&self) -> Vec<Page> {
        let pages = ["introduction.md", "05-hostile.md", "06-plain.md"];
        let page = |name: &str| {
            let text = std::fs::read_to_string(self.path("chapters").join(name)).unwrap();
            (name.to_owned(), text)
        };
        pages.map(page).into()
    }

    /// Builds the book with the real tools. The test fails where they are not installed.
    pub fn build(&self) -> Output {
        run("mdbook", &["build"], &self.folder, path_with_tools(), "")
    }

    /// A page that was built.
    pub fn page(&self, name: &str) -> Html {
        let file = self.path("book").join(name);
        Html::parse_document(&std::fs::read_to_string(file).unwrap())
    }
}

/// The pages that a preprocessor gave back.
pub fn given_back(output: &Output) -> Vec<Page> {
    let book: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pages = book["items"].as_array().unwrap().iter();
    let field = |page: &Value, name| page["Chapter"][name].as_str().unwrap().to_owned();
    pages
        .map(|page| (field(page, "source_path"), field(page, "content")))
        .collect()
}

/// Runs a program, with `path` for PATH.
pub fn run(program: &str, args: &[&str], folder: &Path, path: OsString, stdin: &str) -> Output {
    duct::cmd(program, args)
        .dir(folder)
        .env("PATH", path)
        // No lab of the reader's: what a message says does not hang on it.
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .stdin_bytes(stdin)
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .unwrap()
}

/// What a process said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(target).unwrap();
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
