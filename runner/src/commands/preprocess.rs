//! `runner preprocess`: checks every step of the book against its snapshot, and lays out the pages.

use std::process::ExitCode;

use book::fault::Error;
use book::page::layout::Layout;

use crate::commands::mdbook::Args;
use crate::repository;

/// Reads the book from standard input, and writes it to standard output.
///
/// # Errors
/// [`Error::Faults`] of all chapters, and files that cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.preprocess(|book| {
        let mut layout = Layout::read(&repository::find()?)?;
        let mut faults = Vec::new();
        let source = book.source.clone();
        book.pages(&mut |file, page| {
            if let Err(error) = layout.lay_out(&source.join(file), page) {
                faults.extend(Error::faults(error)?);
            }
            Ok(())
        })?;
        faults.splice(0..0, layout.exemptions());
        for changed in layout.changed.iter().filter(|_| faults.is_empty()) {
            eprintln!("warning: {changed}");
        }
        Ok(faults)
    })
}
