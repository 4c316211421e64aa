//! The command line of the runner: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::cli::main()
}
