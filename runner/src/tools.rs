//! The two programs that render the book, pinned: cargo builds them from their published crates.
//!
//! cargo leaves alone what is installed at the wanted version, and puts programs where it always
//! does (`~/.cargo/bin`, or what `CARGO_INSTALL_ROOT` says).

use std::process::ExitCode;

use anyhow::{Context, bail};
use duct::cmd;

/// A program of the toolchain.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// The crate, which is also the program.
    pub name: &'static str,
    /// The version that the book is built with.
    pub version: &'static str,
}

/// What `mdbook build` needs. This is the only place that names the versions.
pub const TOOLS: [Tool; 2] = [
    Tool {
        name: "mdbook",
        version: "0.5.4",
    },
    Tool {
        name: "mdbook-cmdrun",
        version: "0.7.3",
    },
];

/// They render a book in a second as they are, and optimizing them takes minutes.
const UNOPTIMIZED: &str = "profile.release.opt-level=0";

/// How to get them.
pub const REMEDY: &str = "install it with `cargo run -p runner -- install-tools`";

/// Installs what is not there.
///
/// # Errors
/// When cargo cannot build one of them.
pub fn install() -> anyhow::Result<ExitCode> {
    for (tool, at) in TOOLS.iter().zip(1..) {
        let package = format!("{}@{}", tool.name, tool.version);
        eprintln!("{package}, {at} of {}:", TOOLS.len());
        cmd!(
            "cargo",
            "install",
            "--locked",
            "--config",
            UNOPTIMIZED,
            &package
        )
        .run()
        .with_context(|| format!("`cargo install --locked {package}` failed; see above"))?;
    }
    for tool in TOOLS {
        tool.find()?;
    }
    println!("The tools are there. Build the book: mdbook build --open");
    Ok(ExitCode::SUCCESS)
}

impl Tool {
    /// Makes sure that the program can be started.
    ///
    /// # Errors
    /// When it is not on PATH, and how to install it.
    pub fn find(&self) -> anyhow::Result<()> {
        // Both answer this without reading a book.
        let probe = cmd!(self.name, "--help")
            .stdout_null()
            .stderr_null()
            .unchecked();
        if probe.run().is_err() {
            bail!(
                "{} is not on PATH; {REMEDY}; if that was done, add cargo's folder of programs \
                 (~/.cargo/bin) to PATH",
                self.name
            );
        }
        Ok(())
    }
}
