//! `runner preprocess`: checks every step of the book against its snapshot, and lays out the pages.

use std::process::ExitCode;

use book::fault::{Error, Faults};
use book::page::layout::Layout;

use crate::commands::mdbook::{Args, Book};
use crate::repository;

/// Reads the book from standard input, and writes it to standard output.
///
/// # Errors
/// [`Error::Faults`] of all chapters, and files that cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(answer) = args.answer() {
        return Ok(answer);
    }
    let mut book = Book::read()?;
    let mut layout = Layout::read(&repository::find()?)?;
    let mut faults = Vec::new();
    let source = book.source.clone();
    book.pages(|file, page| {
        if let Err(error) = layout.lay_out(&source.join(file), page) {
            faults.extend(Error::faults(error)?);
        }
        Ok(())
    })?;
    faults.splice(0..0, layout.exemptions());
    if !faults.is_empty() {
        return Err(Error::Faults(Faults(faults)).into());
    }
    for changed in layout.changed {
        eprintln!("warning: {changed}");
    }
    book.write()?;
    Ok(ExitCode::SUCCESS)
}
