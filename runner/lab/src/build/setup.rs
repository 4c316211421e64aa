//! From nothing to a bootable lab: packages, sources, kernel, busybox, initramfs, in this order,
//! each only if it is not there. When all is there this takes milliseconds and prints nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;

use crate::build::busybox::{self, Busybox};
use crate::build::cache::Cache;
use crate::build::kernel::{self, Kernel};
use crate::build::pins::{self, Pins};
use crate::build::sources::{self, Source};
use crate::build::{rootfs, tools};
use crate::system::sandbox::{Sandbox, View};

/// The kernel of the book.
pub const KERNEL: &str = crate::SERIES;

/// What the caller decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The root of the repository.
    pub repository: PathBuf,
    /// A tarball or tree of the reader's own, in place of the pinned source.
    pub kernel_source: Option<PathBuf>,
    /// Whether the machine's own programs are to be used, in place of the tool root.
    pub host_tools: bool,
    /// A folder or a URL with Debian's pool, which is asked first.
    pub mirror: Option<String>,
    /// Where everything is kept.
    pub cache: Cache,
}

/// All that QEMU and gdb need.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The programs that build it and run it.
    pub sandbox: Sandbox,
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
            host_tools: false,
            mirror: None,
            cache: Cache::of_user()?,
        })
    }
}

/// The lab, ready to boot. What is missing is fetched, built and packed, with progress on
/// standard error.
pub fn ready(options: &Options) -> Result<Lab> {
    make(options).context("the lab cannot be made (`runner doctor` tries what it needs)")
}

fn make(options: &Options) -> Result<Lab> {
    let pins = Pins::read(&options.repository)?;
    let sandbox = sandbox(options)?;
    let kernel = kernel(options, &sandbox, &pins)?;
    let (busybox, initramfs) = guest(options, &sandbox, &pins)?;
    Ok(Lab {
        sandbox,
        kernel,
        busybox,
        initramfs,
    })
}

/// The programs of the options.
fn sandbox(options: &Options) -> Result<Sandbox> {
    if options.host_tools {
        return Ok(Sandbox::Machine);
    }
    Ok(Sandbox::Namespaces {
        root: tools::ready(
            &options.cache,
            &options.repository,
            options.mirror.as_deref(),
        )?,
        cache: options.cache.root().to_owned(),
    })
}

impl Lab {
    /// What a program of a replay sees, whose private folder this is.
    #[must_use]
    pub fn view(&self, home: &Path) -> View {
        let mut view = self.sandbox.view().at_home(home);
        let sources = [&self.kernel.source, &self.busybox.source];
        for path in sources.into_iter().filter_map(Source::tarball) {
            view = view.with(path);
        }
        for path in &self.kernel.places {
            view = view.with(path);
        }
        view.with(self.busybox.tree.parent().unwrap_or(&self.busybox.tree))
            .with(&self.initramfs)
    }
}

/// busybox and the guest's root.
pub fn guest(options: &Options, sandbox: &Sandbox, pins: &Pins) -> Result<(Busybox, PathBuf)> {
    let source = sources::busybox(&options.cache, &pins.busybox)?;
    let busybox = busybox::ready(&options.cache, sandbox, &pins.busybox, &source)?;
    let initramfs = rootfs::ready(&options.cache, sandbox, &options.repository, &busybox)?;
    Ok((busybox, initramfs))
}

/// The kernel of the options.
pub fn kernel(options: &Options, sandbox: &Sandbox, pins: &Pins) -> Result<Kernel> {
    let pin = pins.kernel(KERNEL)?;
    let configs = options.repository.join(pins::FOLDER);
    let fragment = fs::read_to_string(configs.join(format!("{KERNEL}.config")))?;
    let source = match &options.kernel_source {
        Some(path) => Source::given(path)?,
        None => sources::kernel(&options.cache, pin)?,
    };
    kernel::ready(&options.cache, sandbox, pin, &fragment, &source)
}
