//! From nothing to a bootable lab: packages, sources, kernel, busybox, initramfs, in this order,
//! each only if it is not there. When all is there this takes milliseconds and prints nothing.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use fs_err as fs;

use crate::build::busybox::{self, Busybox};
use crate::build::cache::Cache;
use crate::build::kernel::{self, Kernel};
use crate::build::pins::{self, Pins};
use crate::build::sources::{self, Source};
use crate::build::{packages, rootfs};

/// The kernel of the book.
pub const KERNEL: &str = crate::SERIES;

/// What the caller decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The root of the repository.
    pub repository: PathBuf,
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
            kernel_source: None,
            yes: false,
            cache: Cache::of_user()?,
        })
    }
}

/// The lab, ready to boot. What is missing is fetched, built and packed, with progress on
/// standard error.
pub fn ready(options: &Options) -> Result<Lab> {
    packages::ready(options.yes)?;
    make(options).context("the lab cannot be made (`runner doctor` tries what it needs)")
}

fn make(options: &Options) -> Result<Lab> {
    let pins = Pins::read(&options.repository)?;
    let kernel = kernel(options, &pins)?;
    let (busybox, initramfs) = guest(options, &pins)?;
    Ok(Lab {
        kernel,
        busybox,
        initramfs,
    })
}

/// busybox and the guest's root.
pub fn guest(options: &Options, pins: &Pins) -> Result<(Busybox, PathBuf)> {
    let source = sources::busybox(&options.cache, &pins.busybox, None)?;
    let busybox = busybox::ready(&options.cache, &pins.busybox, &source)?;
    let initramfs = rootfs::ready(&options.cache, &options.repository, &busybox)?;
    Ok((busybox, initramfs))
}

/// The kernel of the options.
pub fn kernel(options: &Options, pins: &Pins) -> Result<Kernel> {
    let pin = pins.kernel(KERNEL)?;
    let configs = options.repository.join(pins::FOLDER);
    let fragment = fs::read_to_string(configs.join(format!("{KERNEL}.config")))?;
    let source = match &options.kernel_source {
        Some(path) => Source::given(path)?,
        None => sources::kernel(&options.cache, pin, None)?,
    };
    kernel::ready(&options.cache, pin, &fragment, &source)
}
