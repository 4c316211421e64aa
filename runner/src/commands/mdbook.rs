//! What mdbook asks of a preprocessor, and the book that it sends.
//!
//! mdbook 0.5 starts a preprocessor in the book's folder, first with `supports RENDERER`, whose
//! exit status is the answer, and then without an argument, with a context and the book as JSON on
//! standard input. The book comes back on standard output. Of all that, two fields of each page are
//! of interest here, and the rest is passed on as it came; so mdbook's own types, which bring along
//! its whole core, are not needed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use book::fault::{Error, Fault};
use serde_json::Value;

/// The arguments of a preprocessor.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(Debug, clap::Subcommand)]
enum Question {
    /// Exits with 0 when pages can be made for the renderer, else with 1
    Supports {
        /// Such as html
        renderer: String,
    },
}

impl Args {
    /// Answers, when mdbook only asks a question; else passes the book from standard input through
    /// `work`, which tells what is wrong with it, to standard output.
    ///
    /// # Errors
    /// What `work` has, [`Error::Faults`], and a book that cannot be read or written.
    pub fn preprocess(
        &self,
        work: impl FnOnce(&mut Book) -> anyhow::Result<Vec<Fault>>,
    ) -> anyhow::Result<ExitCode> {
        if let Some(Question::Supports { renderer }) = &self.question {
            return Ok(ExitCode::from(u8::from(renderer != "html")));
        }
        let mut book = Book::read()?;
        Error::unless_empty(work(&mut book)?)?;
        serde_json::to_writer(std::io::stdout().lock(), &book.book)
            .context("give the book back to mdbook")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The book, as mdbook sends it to a preprocessor.
pub struct Book {
    /// The folder of the pages, relative to the book's own.
    pub source: PathBuf,
    book: Value,
}

impl Book {
    fn read() -> anyhow::Result<Self> {
        let (context, book): (Value, Value) = serde_json::from_reader(std::io::stdin().lock())
            .context("understand what mdbook sent; the book is built with mdbook 0.5")?;
        book.get("items")
            .context("mdbook's book has no `items`; the book is built with mdbook 0.5")?;
        let source = context.pointer("/config/book/src");
        let source = source.and_then(Value::as_str).unwrap_or("src").into();
        Ok(Self { source, book })
    }

    /// Shows each page that has a file: the file, relative to the folder of the pages, and the
    /// text.
    ///
    /// # Errors
    /// The first that `visit` has.
    pub fn pages(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        pages(&mut self.book["items"], visit)
    }
}

/// What is done with each page.
type Visit<'a> = dyn FnMut(&Path, &mut String) -> anyhow::Result<()> + 'a;

fn pages(items: &mut Value, visit: &mut Visit) -> anyhow::Result<()> {
    for item in items.as_array_mut().into_iter().flatten() {
        let Some(chapter) = item.get_mut("Chapter") else {
            continue;
        };
        let path = chapter["source_path"].as_str().map(PathBuf::from);
        if let (Some(path), Value::String(content)) = (path, &mut chapter["content"]) {
            visit(&path, content)?;
        }
        pages(&mut chapter["sub_items"], visit)?;
    }
    Ok(())
}
