//! From nothing to a bootable lab: packages, sources, kernel, busybox, initramfs, in this order,
//! each only if it is not there. When all is there this takes milliseconds and prints nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::busybox::{self, Busybox};
use crate::cache::Cache;
use crate::kernel::{self, Kernel};
use crate::packages;
use crate::pins::{self, Pins};
use crate::rootfs;
use crate::sources::{self, Source};

/// The kernel of the book.
pub const KERNEL: &str = "6.1";

/// What the caller decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The root of the repository, see [`repository`].
    pub repository: PathBuf,
    /// The kernel, by the name of its fragment.
    pub kernel: String,
    /// A tarball or tree of the reader's own, in place of the pinned source.
    pub kernel_source: Option<PathBuf>,
    /// Whether packages may be installed without asking.
    pub yes: bool,
    /// Where everything is kept.
    pub cache: Cache,
}

/// All that QEMU and gdb need.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The kernel.
    pub kernel: Kernel,
    /// busybox.
    pub busybox: Busybox,
    /// The guest's root, as an uncompressed cpio archive. A further archive may be appended to it.
    pub initramfs: PathBuf,
}

impl Options {
    /// The kernel of the book in the reader's cache, with nothing agreed to.
    pub fn new(repository: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            repository: repository.into(),
            kernel: KERNEL.to_owned(),
            kernel_source: None,
            yes: false,
            cache: Cache::of_user()?,
        })
    }
}

/// The root of the repository: the closest folder from `start` upwards that has
/// `kernel-configs/` and `chapters/`.
pub fn repository(start: &Path) -> Result<PathBuf> {
    let found = start
        .ancestors()
        .find(|folder| folder.join(pins::FOLDER).is_dir() && folder.join("chapters").is_dir());
    let Some(found) = found else {
        bail!(
            "{} is not inside the repository of the book: no folder above it has {}/ and chapters/; change to the clone and run again",
            start.display(),
            pins::FOLDER
        );
    };
    Ok(found.to_owned())
}

/// The lab, ready to boot. What is missing is fetched, built and packed, with progress on
/// standard error.
pub fn ready(options: &Options) -> Result<Lab> {
    packages::ready(options.yes)?;
    let pins = Pins::read(&options.repository)?;
    let kernel = kernel(options, &pins)?;
    let source = sources::busybox(&options.cache, &pins.busybox)?;
    let busybox = busybox::ready(&options.cache, &pins.busybox, &source)?;
    let initramfs = rootfs::ready(&options.cache, &options.repository, &busybox)?;
    Ok(Lab {
        kernel,
        busybox,
        initramfs,
    })
}

fn kernel(options: &Options, pins: &Pins) -> Result<Kernel> {
    let pin = pins.kernel(&options.kernel)?;
    let path = options
        .repository
        .join(pins::FOLDER)
        .join(format!("{}.config", options.kernel));
    let fragment = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the fragment {}", path.display()))?;
    let source = match &options.kernel_source {
        Some(path) => Source::given(path)?,
        None => sources::kernel(&options.cache, pin)?,
    };
    kernel::ready(&options.cache, pin, &fragment, &source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_is_found_from_below() {
        let temp = tempfile::tempdir().unwrap();
        let deep = temp.path().join("runner/src");
        for folder in [
            &deep,
            &temp.path().join("kernel-configs"),
            &temp.path().join("chapters"),
        ] {
            fs::create_dir_all(folder).unwrap();
        }
        assert_eq!(repository(&deep).unwrap(), temp.path());
        assert!(
            repository(Path::new("/"))
                .unwrap_err()
                .to_string()
                .contains("change to the clone")
        );
    }
}
