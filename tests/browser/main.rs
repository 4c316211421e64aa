//! The book in a real browser: it is built, and Debian's chromium opens each of its pages.
//!
//! What is checked stands in `test_pages.py` and `faults.js`. Playwright drives the browser, from a
//! virtual environment below target/; its Python has axe beside it on the same index, where Rust
//! has neither. The browser is the system's.

#[path = "../book/tools.rs"]
mod tools;

use std::path::{Path, PathBuf};

use duct::cmd;

const CHROMIUM: &str = "/usr/bin/chromium";

#[test]
#[ignore = "takes minutes and a browser; CI runs it with the other slow proofs"]
fn every_page_can_be_read_in_a_browser() {
    assert!(
        Path::new(CHROMIUM).exists(),
        "there is no {CHROMIUM}; apt-get install chromium python3-venv"
    );
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let here = repository.join("tests/browser");
    let book = tempfile::tempdir().unwrap();
    cmd!("mdbook", "build", "--dest-dir", book.path())
        .dir(repository)
        .env("PATH", tools::path_with_tools())
        .env("MDBOOK_PREPROCESSOR__STEPS__COMMAND", "runner preprocess")
        .env("MDBOOK_PREPROCESSOR__CMDRUN__COMMAND", "runner cmdrun")
        .run()
        .expect("build the book");
    cmd!(python(&here), "-B", "-m", "unittest", "--verbose")
        .dir(&here)
        .env("BOOK", book.path())
        .env("CHROMIUM", CHROMIUM)
        .run()
        .expect("every page is as a reader wants it");
}

/// The Python of an environment that has what `requirements.txt` pins.
fn python(here: &Path) -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    cmd!("python3", "-m", "venv", &environment)
        .run()
        .expect("make an environment for Python; apt-get install python3-venv");
    let python = environment.join("bin/python");
    let requirements = here.join("requirements.txt");
    cmd!(
        &python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--only-binary=:all:",
        "-r",
        requirements
    )
    .run()
    .expect("install Playwright and axe");
    python
}
