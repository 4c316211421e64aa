//! The command line of the runner.

fn main() -> std::process::ExitCode {
    runner::stdout::guard(runner::cli::main)
}
