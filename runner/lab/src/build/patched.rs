//! The book's kernel with patches of the book's own: the machine of a chapter about planks.
//!
//! Such a kernel is built of a copy of the lab's tree, which is gone afterwards. A patch may have a
//! program beside it, which speaks to what the patch brings: `patches/NAME.c` is `/bin/NAME` in the
//! guest. And it may want more of the configuration, `patches/NAME.config`: then all of the copy
//! that looks at these options is compiled, once.
//!
//! Where a further lock stands beside a patch (`build::tools`), the chapter builds modules, and
//! what they are built with is kept of the copy.

use std::path::Path;

use anyhow::Result;

use crate::build::cache::{Cache, Inputs, Leftover};
use crate::build::patch::{self, Patch};
use crate::build::rework::{self, MAKE, Rework};
use crate::build::setup::Lab;
use crate::build::{kernel, rootfs};
use crate::system::progress::Stage;

const OUTPUTS: [&str; 2] = ["bzImage", "vmlinux"];

/// The lab with the kernel that these patches make, one after the other, built if it is not in the
/// cache.
///
/// # Errors
/// As [`Patch::apply`] and [`Patch::check`]; what the compiler says.
pub fn ready(cache: &Cache, lab: &Lab, patches: &[Patch]) -> Result<Lab> {
    let mut lab = lab.clone();
    lab.kernel.patched = patch::patched(&lab.kernel.tree, patches)?;
    let has_modules = lab.further.is_some();
    let mut inputs = Inputs::new()
        .with("kernel", &lab.kernel.sha256)
        .with("files", format!("{:?}", lab.kernel.patched))
        .with("compiler", kernel::compiler(&lab.sandbox)?);
    if has_modules {
        inputs = inputs.with("with", rework::BUILD);
    }
    let waiting = || eprintln!("the kernel of the chapter: another run is building it");
    let entry = cache.ensure("patched", &inputs, Leftover::Discard, waiting, |folder| {
        let names: Vec<&str> = patches.iter().map(|patch| patch.name.as_str()).collect();
        let stage = Stage::begin(format!("build the kernel with {}", names.join(", ")));
        let rework = Rework::copied(&lab, folder)?;
        let config = fs_err::read_to_string(rework.tree.join(patch::CONFIG))?;
        for patch in patches {
            patch.check(&config)?;
        }
        rework.remake(MAKE, |_| {})?;
        rework.keep(folder)?;
        let mut outputs = Vec::from(OUTPUTS.map(str::to_owned));
        if has_modules {
            outputs.extend(rework.keep_build(folder)?);
        }
        fs_err::remove_dir_all(&rework.tree)?;
        stage.done();
        Ok(outputs)
    })?;
    lab.kernel.build = has_modules.then(|| entry.path(rework::BUILD));
    let [bzimage, vmlinux] = OUTPUTS.map(|file| entry.path(file));
    lab.kernel.sha256 = entry.sha256(OUTPUTS[0])?.to_owned();
    lab.kernel.bzimage = bzimage;
    lab.kernel.vmlinux = vmlinux;
    lab.kernel.places.push(entry.folder);
    Ok(lab)
}

/// Adds the programs that stand beside the book's patches of these names.
///
/// # Errors
/// What the compiler says.
pub fn add_programs(
    cache: &Cache,
    lab: &mut Lab,
    repository: &Path,
    names: &[String],
) -> Result<()> {
    let folder = repository.join(patch::FOLDER);
    for name in names {
        let source = format!("{name}.c");
        if folder.join(&source).is_file() {
            let place = format!("bin/{name}");
            let made = rootfs::programs(cache, &lab.sandbox, &folder, &[(&source, &place)])?;
            lab.programs.push((place, fs_err::read(made.path(name))?));
        }
    }
    Ok(())
}
