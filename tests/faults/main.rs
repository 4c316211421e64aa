//! Faults of the machine, each injected: what is said, how the runner ends, and that nothing is
//! left of it.

mod death;
mod guest;
mod impostor;
mod jail;
#[path = "../support/jail.rs"]
mod jailed;
mod kill;
mod prison;
#[path = "../support/processes.rs"]
mod processes;
mod traces;

#[path = "../support/seed.rs"]
#[allow(dead_code, reason = "each target draws in its own way")]
mod seed;

#[path = "../support/fixture.rs"]
#[allow(dead_code, reason = "some of the fixture is for other tests")]
mod fixture;

/// Makes a static program of a source with this name.
fn compile(folder: &std::path::Path, name: &str, source: &str, flags: &[&str]) -> String {
    std::fs::write(folder.join(name), source).unwrap();
    let program = folder.join("program");
    let mut gcc = std::process::Command::new("gcc");
    gcc.args(["-static", "-o"]).arg(&program).args(flags);
    let compiled = gcc.arg(name).current_dir(folder).status().unwrap();
    assert!(compiled.success());
    program.display().to_string()
}
