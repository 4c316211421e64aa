//! The kernel: configured from a fragment over tinyconfig, and built so that two builds anywhere
//! with the same compiler give the same bytes.
//!
//! The tree is unpacked for this kernel alone and kept: gdb reads sources from it, and chapter 1
//! replays the recipe in it by hand, where a `make` then finds nothing to do. It is built in-tree,
//! so that the debug information names files as the kernel does (`net/ipv4/af_inet.c`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;

use crate::build::cache::{Cache, Entry, Inputs, Leftover};
use crate::build::patch::Patched;
use crate::build::pins::KernelPin;
use crate::build::sources::{self, Source};
use crate::build::{recipe, tarball};
use crate::system::files;
use crate::system::progress::Stage;
use crate::system::sandbox::Sandbox;

/// The recipe, as a reader types it in the top folder of the unpacked source, with
/// [`environment`] exported. `FRAGMENT` is beside the tree.
pub const RECIPE: [&str; 2] = [
    "scripts/kconfig/merge_config.sh -n kernel/configs/tiny.config arch/x86/configs/tiny.config ../fragment.config",
    "make -j$(nproc) bzImage scripts_gdb",
];

/// Where the recipe finds the fragment.
pub(super) const BESIDE: &str = "../fragment.config";
/// The fragment's name beside the tree, which the recipe uses.
const FRAGMENT: &str = "fragment.config";
pub(super) const TREE: &str = "linux";
const LOG: &str = recipe::LOG;
const UNPACKED: &str = "unpacked";
const BZIMAGE: &str = "linux/arch/x86/boot/bzImage";
const VMLINUX: &str = "linux/vmlinux";
const SCRIPTS: &str = "linux/scripts/gdb";

/// What the chapters look at of what the build has left in the tree, besides its outputs.
pub const LOOKED_AT: [&str; 5] = [
    ".config",
    "System.map",
    "arch/x86/boot/compressed/vmlinux.bin",
    "net/ipv4/af_inet.o",
    "vmlinux-gdb.py",
];

/// A built kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// What it was built from.
    pub source: Source,
    /// The files and folders in which all of it lies.
    pub places: Vec<PathBuf>,
    /// The source tree that it was built in.
    pub tree: PathBuf,
    /// The image that QEMU boots.
    pub bzimage: PathBuf,
    /// The ELF file with debug information that gdb reads.
    pub vmlinux: PathBuf,
    /// The SHA-256 of `bzimage`.
    pub sha256: String,
    /// How it was built, if with another compiler or another configuration than the book's.
    pub built_otherwise: Option<String>,
    /// The files that were otherwise than in `tree` when it was built.
    pub patched: Patched,
    /// What modules for it are built with, if a chapter builds some.
    pub build: Option<PathBuf>,
}

/// The variables that make the build reproducible, for a tree at this path.
pub fn environment(tree: &Path) -> Vec<(String, String)> {
    let map = format!("-ffile-prefix-map={}=.", tree.display());
    [
        // Sorting and messages as everywhere else.
        ("LC_ALL", "C"),
        // These three are in the kernel's banner.
        ("KBUILD_BUILD_TIMESTAMP", "2026-01-01"),
        ("KBUILD_BUILD_USER", "reader"),
        ("KBUILD_BUILD_HOST", "theseus"),
        // Paths in the debug information change the build id, which is in the image.
        ("KCFLAGS", &map),
        ("KAFLAGS", &map),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The kernel of this pin and fragment, built if it is not in the cache. `source` is asked for
/// only then or when it decides which kernel is meant.
pub fn ready(
    cache: &Cache,
    sandbox: &Sandbox,
    pin: &KernelPin,
    fragment: &str,
    source: &Source,
) -> Result<Kernel> {
    if sandbox.is_machine() {
        check_path(cache.root())?;
    }
    let inputs = inputs(fragment, source, &compiler(sandbox)?);
    let waiting = || eprintln!("the kernel: another run is building it, waiting for that");
    let entry = cache.ensure("kernel", &inputs, Leftover::Resume, waiting, |folder| {
        build(folder, sandbox, pin, fragment, source)?;
        Ok(outputs(folder))
    })?;
    Ok(Kernel {
        source: source.clone(),
        places: vec![entry.folder.clone()],
        tree: entry.path(TREE),
        bzimage: entry.path(BZIMAGE),
        vmlinux: entry.path(VMLINUX),
        sha256: entry.sha256(BZIMAGE)?.to_owned(),
        built_otherwise: None,
        patched: Patched::new(),
        build: None,
    })
}

/// The tree of this version that was built last: to quote from, where no lab is asked for.
#[must_use]
pub fn tree_at_hand(cache: &Cache, version: &str) -> Option<PathBuf> {
    let is_of_version =
        |entry: &Entry| tree_version(&entry.path(TREE)).is_ok_and(|found| found == version);
    let folder = cache.newest("kernel", is_of_version)?;
    Some(folder.join(TREE))
}

/// Whether a file that the build has made in the tree is of use to whoever compiles no kernel: what
/// the chapters look at, sources, the commands that were run, and what configures a kernel and
/// compiles one file of it.
#[must_use]
pub(super) fn is_of_use(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let is_config = name.contains("include/config/");
    LOOKED_AT.contains(&&*name)
        || is_config
        || ends(&[".c", ".h", ".S", ".cmd"]) && !begins(&[".tmp_"])
        || begins(&["scripts/", "tools/"]) && !ends(&[".pyc"])
}

/// The versions of the compiler and the linker, which decide what comes out.
pub fn compiler(sandbox: &Sandbox) -> Result<String> {
    let [gcc, ld] = ["gcc", "ld"].map(|program| sandbox.first_line(&[program, "--version"]));
    let versions = format!("{}; {}", gcc?, ld?);
    // Paths are in what it makes.
    Ok(match sandbox.is_machine() {
        true => versions + "; the machine's own",
        false => versions,
    })
}

/// What QEMU and gdb read, and what tells how it was made. Some trees lack gdb's scripts.
fn outputs(folder: &Path) -> Vec<String> {
    let mut outputs = [BZIMAGE, VMLINUX, "linux/.config"]
        .map(str::to_owned)
        .to_vec();
    let scripts = walkdir::WalkDir::new(folder.join(SCRIPTS)).sort_by_file_name();
    for script in scripts.into_iter().flatten() {
        let path = script
            .path()
            .strip_prefix(folder)
            .ok()
            .and_then(Path::to_str);
        outputs.extend(path.filter(|path| path.ends_with(".py")).map(str::to_owned));
    }
    outputs
}

fn inputs(fragment: &str, source: &Source, compiler: &str) -> Inputs {
    let environment = environment(Path::new("TREE"));
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Inputs::new()
        .with("source", source.identity())
        // Only what counts: a better comment is no reason to build.
        .with(
            "fragment",
            settings(fragment).collect::<Vec<_>>().join("\n"),
        )
        .with("recipe", RECIPE.join("\n"))
        .with("environment", environment.join("\n"))
        .with("compiler", compiler)
}

fn build(
    folder: &Path,
    sandbox: &Sandbox,
    pin: &KernelPin,
    fragment: &str,
    source: &Source,
) -> Result<()> {
    let real;
    let folder = match sandbox.is_machine() {
        // The compiler names its folder without links, and the prefix map has to say the same: a
        // reader's home may be a link.
        true => {
            real = fs::canonicalize(folder)?;
            check_path(&real)?;
            &real
        }
        false => folder,
    };
    let tree = folder.join(TREE);
    let log = folder.join(LOG);
    unpack_once(folder, sandbox, source)?;
    let version = tree_version(&tree)?;
    if version != pin.version {
        eprintln!(
            "note: this is Linux {version}, and the book is about {}: expect other lines and addresses",
            pin.version
        );
    }
    fs::write(folder.join(FRAGMENT), fragment)?;

    let mut view = sandbox.view().with_writable(folder).starting_in(&tree);
    for (name, value) in environment(&sandbox.inside(&tree)) {
        view = view.with_variable(name, value);
    }
    let mut stage = Stage::begin(format!("configure Linux {version}"));
    recipe::run(RECIPE[0], &view, &log, |_| {
        stage.at("merge_config.sh");
    })?;
    let config = fs::read_to_string(tree.join(".config"));
    let config = config
        .with_context(|| format!("kconfig has written nothing; why, is in {}", log.display()))?;
    let refused = refused(fragment, &config);
    if !refused.is_empty() {
        bail!(
            "kconfig did not honour these lines of the fragment:\n  {}\nthey lack something that they depend on, or another line selects the opposite; the log is {}",
            refused.join("\n  "),
            log.display()
        );
    }
    stage.done();

    let mut stage = Stage::begin(format!("build Linux {version}"));
    // A run that was cut short has counted already: the banner would say #2 and be other bytes.
    let _ = fs::remove_file(tree.join(".version"));
    let mut objects = 0;
    recipe::run(RECIPE[1], &view, &log, |line| {
        objects += u64::from(is_object(line));
        stage.at(format!("{objects} of about {} objects", pin.objects));
    })?;
    stage.done();
    Ok(())
}

/// Unpacks a source into `<folder>/linux` (for a kernel) unless an earlier run did so wholly. What
/// that run has built since is worth something only as long as the machine was up: after a power
/// cut, files may be empty that `make` takes for new.
fn unpack_once(folder: &Path, sandbox: &Sandbox, source: &Source) -> Result<()> {
    let done = folder.join(UNPACKED);
    let boot = boot();
    if fs::read_to_string(&done).is_ok_and(|then| then == boot) {
        return Ok(());
    }
    // It may be of any version.
    let stage = Stage::begin(match source {
        Source::Tarball { path, .. } => {
            let name = path.file_name().unwrap_or_default();
            format!("unpack {}", name.display())
        }
        Source::Tree { path, .. } => format!("copy {}", path.display()),
    });
    let tree = folder.join(TREE);
    unpack(sandbox, source, &tree)?;
    if !sources::is_linux(&tree) {
        remove(&tree)?;
        bail!(
            "the kernel source is no Linux tarball: behind the first folder of its names there is no {}",
            sources::MARK
        );
    }
    // 4.19 makes the scripts for gdb with `vmlinux`, and has no target for them. With a file of its
    // name there is nothing to be done for it.
    let makefile = fs::read_to_string(tree.join("Makefile"))?;
    if !makefile
        .lines()
        .any(|line| line.starts_with("scripts_gdb:"))
    {
        fs::write(tree.join("scripts_gdb"), "")?;
    }
    files::write_whole(&done, boot.as_bytes())?;
    stage.done();
    Ok(())
}

/// Tells one start of the machine from the next: the same for all processes until then.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Unpacks a tarball, or copies a tree, into the folder `tree`, which is made anew. Nothing is left
/// of a source that is refused.
///
/// # Errors
/// When the source is damaged or refused, or the folder cannot be written.
pub fn unpack(sandbox: &Sandbox, source: &Source, tree: &Path) -> Result<()> {
    remove(tree)?;
    fs::create_dir_all(tree)?;
    let filled = fill(sandbox, source, tree);
    if filled.is_err() {
        // The error matters more than whether its traces could be removed.
        let _ = remove(tree);
    }
    filled
}

fn remove(tree: &Path) -> Result<()> {
    match fs::remove_dir_all(tree) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Unpacks or copies a source into a folder that is there.
///
/// # Errors
/// As [`unpack`]. Then part of it may be there.
pub(super) fn fill(sandbox: &Sandbox, source: &Source, tree: &Path) -> Result<()> {
    match source {
        Source::Tarball { path, sha256 } => {
            let hash = files::sha256_of_file(path)?;
            if hash != *sha256 {
                bail!(
                    "{} has changed: its SHA-256 is {hash}, and was {sha256}",
                    path.display()
                );
            }
            tarball::unpack(sandbox, path, tree).with_context(|| {
                format!(
                    "{} cannot be unpacked, and nothing of it was kept",
                    path.display()
                )
            })
        }
        Source::Tree { path, .. } => {
            // `/.` copies what is in the folder. Where the file system can share blocks, it does.
            // The reader may have built in the tree, with other flags.
            let line = r#"cp -a --reflink=auto "$SOURCE/." . && make -s mrproper"#;
            let log = tree.with_file_name(LOG);
            let view = sandbox.view().with(path).starting_in(tree);
            let view = view.with_writable(tree.parent().context("a tree has a folder")?);
            let view = view.with_variable("SOURCE", sandbox.inside(path));
            recipe::run(line, &view, &log, |_| {})
                .with_context(|| format!("cannot copy {} to {}", path.display(), tree.display()))
        }
    }
}

/// What kbuild, make or their shells take for something else than a part of a name. kbuild itself
/// complains of a few, and fails at the others with messages about something else.
const SPECIAL: &str = " \t\n:'\"\\$`#%&;|<>()*?[]{}!=";

/// Refuses a path under which no kernel can be built.
pub fn check_path(root: &Path) -> Result<()> {
    let path = root.display();
    let special = match root.to_str() {
        None => Some("what is no UTF-8".to_owned()),
        Some(text) => text
            .chars()
            .find(|character| SPECIAL.contains(*character))
            .map(|character| format!("{character:?}")),
    };
    if let Some(special) = special {
        bail!(
            "a kernel cannot be built under {path}: its path holds {special}; \
             set XDG_CACHE_HOME to another folder"
        );
    }
    Ok(())
}

fn tree_version(tree: &Path) -> Result<String> {
    let path = tree.join("Makefile");
    version(&fs::read_to_string(&path)?)
        .with_context(|| format!("{} gives no version: is this a Linux tree?", path.display()))
}

/// The version that the text of a tree's Makefile gives.
pub(super) fn version(makefile: &str) -> Option<String> {
    let value = |name: &str| {
        makefile
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))
            .map(str::trim)
    };
    let [version, patchlevel, sublevel] = ["VERSION", "PATCHLEVEL", "SUBLEVEL"].map(value);
    Some(format!("{}.{}.{}", version?, patchlevel?, sublevel?))
}

/// The lines of a fragment that set something.
pub(super) fn settings(fragment: &str) -> impl Iterator<Item = &str> {
    let unset = |line: &str| line.starts_with("# CONFIG_") && line.ends_with(" is not set");
    fragment
        .lines()
        .map(str::trim)
        .filter(move |line| line.starts_with("CONFIG_") || unset(line))
}

/// The lines of a fragment that the final configuration does not have. Off is written in two ways,
/// and an option that cannot be chosen at all is not written, which is off as well.
pub(super) fn refused<'a>(fragment: &'a str, config: &str) -> Vec<&'a str> {
    let honoured = |line: &str| {
        let off = line
            .strip_prefix("# ")
            .and_then(|rest| rest.strip_suffix(" is not set"));
        match off.or_else(|| line.strip_suffix("=n")) {
            Some(name) => !config.lines().any(|have| {
                have.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('='))
            }),
            None => config.lines().any(|have| have == line),
        }
    };
    settings(fragment).filter(|line| !honoured(line)).collect()
}

/// A configuration with the lines of a fragment in the place of its own.
pub(super) fn merged(config: &str, fragment: &str) -> String {
    let name = |line: &str| {
        let line = line.trim_start_matches("# ");
        let end = line.find(['=', ' ']).unwrap_or(line.len());
        line[..end].to_owned()
    };
    let set: BTreeSet<String> = settings(fragment).map(name).collect();
    let kept = config.lines().filter(|line| !set.contains(&name(line)));
    let lines = kept.chain(settings(fragment));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Whether a line of `make` is about an object of the kernel: `  CC      net/ipv4/arp.o`.
pub(super) fn is_object(line: &str) -> bool {
    line.starts_with("  CC  ") || line.starts_with("  AS  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unhonoured_lines_are_found() {
        let fragment = "# why\nCONFIG_NET=y\nCONFIG_IPV6=y\n# CONFIG_VT is not set\nCONFIG_SMP=n\nCONFIG_INPUT=n\nCONFIG_N=8\n";
        let config =
            "CONFIG_NET=y\n# CONFIG_IPV6 is not set\nCONFIG_SMP=y\nCONFIG_VT_X=y\nCONFIG_N=8\n";
        assert_eq!(refused(fragment, config), ["CONFIG_IPV6=y", "CONFIG_SMP=n"]);
    }

    fn repository() -> &'static Path {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        manifest.ancestors().nth(2).unwrap()
    }

    fn tools() -> Sandbox {
        use crate::build::setup::{Options, programs};
        programs(&Options::new(repository()).unwrap()).unwrap()
    }

    #[test]
    fn comments_of_the_fragment_do_not_change_the_key() {
        let source = Source::Tarball {
            path: "a".into(),
            sha256: "1".into(),
        };
        let key = |fragment: &str| inputs(fragment, &source, "gcc").key();
        assert_eq!(key("# one\nCONFIG_NET=y\n"), key("# two\n\nCONFIG_NET=y"));
        assert_ne!(
            key("CONFIG_NET=y"),
            key("CONFIG_NET=y\n# CONFIG_VT is not set")
        );
        let moved = Source::Tarball {
            path: "b".into(),
            sha256: "1".into(),
        };
        assert_eq!(
            key("CONFIG_NET=y"),
            inputs("CONFIG_NET=y", &moved, "gcc").key()
        );
    }

    #[test]
    fn tarball_and_tree_are_unpacked_anew() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().join("linux-1");
        fs::create_dir(&top).unwrap();
        fs::write(top.join("Makefile"), "mrproper:\n\trm -f vmlinux\n").unwrap();
        fs::write(top.join("vmlinux"), "of another build").unwrap();
        let tarball = temp.path().join("linux.tar");
        let tar = duct::cmd!("tar", "-c", "-f", &tarball, "linux-1").dir(temp.path());
        tar.run().unwrap();
        let tree = temp.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("half"), "of an earlier run").unwrap();
        let names = || {
            let entries = fs::read_dir(&tree).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let sha256 = files::sha256_of_file(&tarball).unwrap();
        let tools = tools();
        unpack(
            &tools,
            &Source::Tarball {
                path: tarball,
                sha256,
            },
            &tree,
        )
        .unwrap();
        assert_eq!(names(), ["Makefile", "vmlinux"]);
        let fingerprint = String::new();
        let path = top.clone();
        unpack(&tools, &Source::Tree { path, fingerprint }, &tree).unwrap();
        assert_eq!(names(), ["Makefile"]);
        assert!(
            top.join("vmlinux").exists(),
            "the reader's own tree was changed"
        );
    }

    #[test]
    fn version_is_read_from_the_makefile() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(
            temp.path().join("Makefile"),
            "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 176\nEXTRAVERSION =\n",
        )
        .unwrap();
        assert_eq!(tree_version(temp.path()).unwrap(), "6.1.176");
    }

    #[test]
    fn prefix_map_names_the_folder_that_the_compiler_sees() {
        let temp = tempfile::tempdir().unwrap();
        let source = temp.path().join("source");
        let (real, linked) = (temp.path().join("real"), temp.path().join("linked"));
        fs::create_dir_all(source.join("scripts/kconfig")).unwrap();
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &linked).unwrap();
        // A tree that only looks at what it is given.
        // As in 4.19 there is no target `scripts_gdb`.
        let makefile = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 176\nmrproper bzImage:\n\
                        \t@test $@ = mrproper || test \"$(KCFLAGS)\" = \"-ffile-prefix-map=`pwd -P`=.\"\n";
        fs::write(source.join("Makefile"), makefile).unwrap();
        let script = source.join("scripts/kconfig/merge_config.sh");
        fs::write(&script, "#!/bin/sh\ntouch .config\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&script, executable).unwrap();
        let mark = source.join(sources::MARK);
        fs::create_dir_all(mark.parent().unwrap()).unwrap();
        fs::write(mark, "").unwrap();
        let source = Source::Tree {
            path: source,
            fingerprint: "1".into(),
        };
        let pins = crate::build::pins::Pins::read(repository()).unwrap();
        let pin = pins.kernel("6.1").unwrap();
        build(&linked, &tools(), pin, "", &source).unwrap();
    }

    #[test]
    fn path_that_kbuild_cannot_take_is_refused() {
        for (path, character) in [
            ("a b", "' '"),
            ("o'brien", "'\\''"),
            ("a:b", "':'"),
            ("$a", "'$'"),
        ] {
            let error = check_path(&Path::new("/home").join(path))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&format!("holds {character}; set XDG_CACHE_HOME")),
                "{error}"
            );
        }
        check_path(Path::new("/home/ab/.cache")).unwrap();
    }
}
