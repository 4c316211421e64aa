//! busybox: one static program that is every command of the guest.
//!
//! Its tree is kept like the kernel's, with the tree of links that `make install` gives.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::build::cache::{Cache, Inputs, Leftover};
use crate::build::kernel::{self, compiler};
use crate::build::pins::BusyboxPin;
use crate::build::recipe;
use crate::build::sources::Source;
use crate::system::progress::Stage;
use crate::system::sandbox::Sandbox;

/// The recipe, as a reader types it in the top folder of the unpacked source, with
/// [`environment`] exported.
pub const RECIPE: [&str; 5] = [
    "make defconfig",
    // Static, because the guest has no C library. Without tc, which names what the headers of Linux
    // 6.8 and later have dropped (CBQ), so that it does not compile there.
    "sed -i 's/^# CONFIG_STATIC is not set$/CONFIG_STATIC=y/; s/^CONFIG_TC=y$/# CONFIG_TC is not set/' .config",
    "yes '' | make oldconfig",
    "make -j$(nproc)",
    "make install",
];

pub(super) const TREE: &str = "busybox";
const BINARY: &str = "busybox/busybox";
const INSTALL: &str = "busybox/_install";
const INSTALLED: &str = "busybox/_install/bin/busybox";
const LOG: &str = recipe::LOG;

/// A built busybox.
#[derive(Clone, Debug)]
pub struct Busybox {
    /// What it was built from.
    pub source: Source,
    /// The source tree that it was built in.
    pub tree: PathBuf,
    /// The static program.
    pub binary: PathBuf,
    /// What `make install` made: the program and a link for each command.
    pub install: PathBuf,
    /// The SHA-256 of `binary`.
    pub sha256: String,
}

/// Whether a file that the build has made in the tree is of use to whoever compiles nothing: what
/// chapter 2 looks at.
#[must_use]
pub(super) fn is_of_use(path: &Path) -> bool {
    path.starts_with("_install")
        || [".config", "busybox.links"]
            .iter()
            .any(|name| path == *name)
}

/// The variables that make the build reproducible.
pub fn environment() -> Vec<(String, String)> {
    [
        ("LC_ALL", "C"),
        // Without it the time of the build is in the banner, and so in the program.
        ("KCONFIG_NOTIMESTAMP", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// busybox, built if it is not in the cache.
pub fn ready(
    cache: &Cache,
    sandbox: &Sandbox,
    pin: &BusyboxPin,
    source: &Source,
) -> Result<Busybox> {
    let environment = environment();
    let inputs = Inputs::new()
        .with("source", source.identity())
        .with("recipe", RECIPE.join("\n"))
        .with("environment", format!("{environment:?}"))
        .with("compiler", compiler(sandbox)?);
    let waiting = || {
        eprintln!(
            "busybox {}: another run is building it, waiting for that",
            pin.version
        );
    };
    let entry = cache.ensure("busybox", &inputs, Leftover::Discard, waiting, |folder| {
        build(folder, sandbox, pin, source, environment)?;
        Ok(vec![BINARY.to_owned(), INSTALLED.to_owned()])
    })?;
    Ok(Busybox {
        source: source.clone(),
        tree: entry.path(TREE),
        binary: entry.path(BINARY),
        install: entry.path(INSTALL),
        sha256: entry.sha256(BINARY)?.to_owned(),
    })
}

fn build(
    folder: &Path,
    sandbox: &Sandbox,
    pin: &BusyboxPin,
    source: &Source,
    environment: Vec<(String, String)>,
) -> Result<()> {
    let mut stage = Stage::begin(format!("build busybox {}", pin.version));
    let (tree, log) = (folder.join(TREE), folder.join(LOG));
    kernel::unpack(sandbox, source, &tree)?;
    let mut view = sandbox.view().with_writable(folder).starting_in(&tree);
    for (name, value) in environment {
        view = view.with_variable(name, value);
    }
    let mut objects = 0;
    for line in RECIPE {
        recipe::run(line, &view, &log, |line| {
            objects += u64::from(line.starts_with("  CC  "));
            stage.at(format!("{objects} objects"));
        })?;
    }
    stage.done();
    Ok(())
}
