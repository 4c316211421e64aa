//! What mdbook asks of a preprocessor besides doing its work: whether it knows a renderer.
//!
//! mdbook 0.5 starts a preprocessor in the book's folder, first with `supports RENDERER`, whose exit
//! status is the answer, and then without an argument, with a context and the book as JSON on standard
//! input. The book comes back on standard output.

use std::process::ExitCode;

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
    /// The answer, when mdbook only asks a question.
    #[must_use]
    pub fn answer(&self) -> Option<ExitCode> {
        let Question::Supports { renderer } = self.question.as_ref()?;
        Some(ExitCode::from(u8::from(renderer != "html")))
    }
}
