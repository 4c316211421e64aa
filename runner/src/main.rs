//! The command line of the runner.

fn main() -> std::process::ExitCode {
    runner::cli::main()
}
