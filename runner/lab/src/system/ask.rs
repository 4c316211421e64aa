//! A question to the user.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};

/// Asks a question that is answered with yes or no; no is the default.
pub fn confirm(question: &str) -> Result<bool> {
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
