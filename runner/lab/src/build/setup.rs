//! From nothing to a bootable lab: programs, sources, kernel, busybox, initramfs, in this order,
//! each only if it is not there. When all is there this takes milliseconds and prints nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::Error;
use crate::build::busybox::{self, Busybox};
use crate::build::cache::Cache;
use crate::build::kernel::{self, Kernel};
use crate::build::pins::Pins;
use crate::build::sources::{self, Source};
use crate::build::variant::Variant;
use crate::build::{patch, rootfs, tools, turns};
use crate::system::limits;
use crate::system::sandbox::{self, Sandbox, View};

/// Names a tool root that lies elsewhere: the caches of tests share one.
const TOOLS: &str = "THESEUS_TOOLS";

/// What the caller decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The root of the repository.
    pub repository: PathBuf,
    /// The series of the kernel, by its name in the pins: `6.1`.
    pub series: String,
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
    /// The cache, which has room.
    pub cache: PathBuf,
    /// The programs that build it and run it.
    pub sandbox: Sandbox,
    /// The kernel.
    pub kernel: Kernel,
    /// busybox.
    pub busybox: Busybox,
    /// The guest's root, as an uncompressed cpio archive. A further archive may be appended to it.
    pub initramfs: PathBuf,
    /// What QEMU loads before all other libraries.
    pub turns: PathBuf,
    /// Kernels that only lie beside this one, by their names: of other series, or with patches.
    pub beside: Vec<(String, Kernel)>,
    /// Programs of the reader's in the guest: place, and bytes.
    pub programs: Vec<(String, Vec<u8>)>,
    /// What tells which further programs there are among those of the sandbox, if there are some.
    pub further: Option<String>,
    /// How its machine differs from the book's.
    pub variant: Variant,
}

impl Options {
    /// The kernel of the book in the reader's cache, with nothing agreed to.
    pub fn new(repository: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            repository: repository.into(),
            series: crate::SERIES.to_owned(),
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
    made_with(options, sandbox(options)?)
}

/// As [`ready`], with programs that are there.
///
/// # Errors
/// As [`ready`].
pub fn made_with(options: &Options, sandbox: Sandbox) -> Result<Lab> {
    let pins = Pins::read(&options.repository)?;
    let kernel = kernel(options, &sandbox, &pins)?;
    let (busybox, initramfs) = guest(options, &sandbox, &pins)?;
    let turns = turns::ready(&options.cache, &sandbox)?;
    Ok(Lab {
        cache: options.cache.root().to_owned(),
        sandbox,
        kernel,
        busybox,
        initramfs,
        turns,
        beside: Vec::new(),
        programs: Vec::new(),
        further: None,
        variant: Variant::default(),
    })
}

/// The programs of the options, whether this machine can run them or not.
///
/// # Errors
/// When the tool root cannot be made.
pub fn programs(options: &Options) -> Result<Sandbox> {
    if options.host_tools {
        return Ok(Sandbox::Machine);
    }
    let Options { cache, mirror, .. } = options;
    let root = match std::env::var_os(TOOLS) {
        Some(root) => root.into(),
        None => tools::ready(cache, &options.repository, mirror.as_deref())?,
    };
    Ok(Sandbox::new(root, cache.root()))
}

/// The programs of the options: those of the tool root, in namespaces. Where the system makes none,
/// they are the machine's own, and what they print is compared by meaning.
///
/// # Errors
/// What keeps the lab from working on this machine or from this checkout: a limit, a cache in an
/// odd place, lines that end otherwise; when the tool root cannot be made, or the machine's own
/// programs are not all there.
pub fn sandbox(options: &Options) -> Result<Sandbox> {
    limits::check()?;
    rootfs::check_lines(&options.repository)?;
    let sandbox = programs(options)?;
    if !sandbox.is_machine() {
        match sandbox.tried() {
            Ok(sandbox) => return Ok(sandbox),
            Err(error) if !matches!(Error::of(&error), Some(Error::NoNamespaces(_))) => {
                return Err(error);
            }
            Err(error) => eprintln!(
                "note: the system makes no namespaces for the lab's own programs, so this machine's \
                 are used, and what they print is compared by meaning; `runner doctor` says what \
                 helps ({error:#})"
            ),
        }
    }
    // Before anything is fetched.
    kernel::check_path(options.cache.root())?;
    let missing = sandbox::missing_programs();
    ensure!(
        missing.is_empty(),
        "this machine's own programs are to be used, and it has no {}: install them{}",
        missing.join(", "),
        if options.host_tools {
            ", or leave --host-tools away"
        } else {
            ""
        }
    );
    Ok(Sandbox::Machine)
}

impl Lab {
    /// The lab with the programs of the further locks of these names (`build::tools`), which are
    /// fetched if they are not in the cache. Without one among the names it stays as it is.
    ///
    /// # Errors
    /// When they cannot be had; [`Error::Unfit`] where the machine's own programs are used, among
    /// which they are not.
    pub fn with_further(mut self, options: &Options, names: &[String]) -> Result<Self> {
        let Options {
            repository,
            cache,
            mirror,
            ..
        } = options;
        let Sandbox::Tools { root, .. } = &mut self.sandbox else {
            for name in names {
                if tools::Lock::further(repository, name)?.is_some() {
                    bail!(Error::Unfit(format!(
                        "the chapter runs programs of {}/{name}.lock, and they run with the lab's \
                         own alone; here this machine's are used (`runner doctor` says why)",
                        patch::FOLDER
                    )));
                }
            }
            return Ok(self);
        };
        let further = tools::with_further(cache, repository, mirror.as_deref(), root, names)?;
        if let Some((larger, hash)) = further {
            *root = larger;
            self.further = Some(hash);
        }
        Ok(self)
    }

    /// What a program of a replay sees, whose private folder this is.
    #[must_use]
    pub fn view(&self, home: &Path) -> View {
        let mut view = self.sandbox.view().at_home(home);
        let sources = [&self.kernel.source, &self.busybox.source];
        for path in sources.into_iter().filter_map(Source::tarball) {
            view = view.with(path);
        }
        let beside = self.beside.iter().map(|(_, kernel)| kernel);
        for path in beside
            .chain([&self.kernel])
            .flat_map(|kernel| &kernel.places)
        {
            view = view.with(path);
        }
        view.with(self.busybox.tree.parent().unwrap_or(&self.busybox.tree))
            .with(&self.initramfs)
            .with(&self.turns)
    }
}

/// busybox and the guest's root.
pub fn guest(options: &Options, sandbox: &Sandbox, pins: &Pins) -> Result<(Busybox, PathBuf)> {
    let source = sources::busybox(&options.cache, &pins.busybox, options.mirror.as_deref())?;
    let busybox = busybox::ready(&options.cache, sandbox, &pins.busybox, &source)?;
    let initramfs = rootfs::ready(&options.cache, sandbox, &options.repository, &busybox)?;
    Ok((busybox, initramfs))
}

/// The source of the options' kernel.
///
/// # Errors
/// When it cannot be had.
pub fn kernel_source(options: &Options, pins: &Pins) -> Result<Source> {
    match &options.kernel_source {
        Some(path) => Source::given(path),
        None => sources::kernel(
            &options.cache,
            pins.kernel(&options.series)?,
            options.mirror.as_deref(),
        ),
    }
}

/// The kernel of the options.
pub fn kernel(options: &Options, sandbox: &Sandbox, pins: &Pins) -> Result<Kernel> {
    let pin = pins.kernel(&options.series)?;
    let fragment = pins.fragment(&options.repository, &options.series)?;
    let source = kernel_source(options, pins)?;
    kernel::ready(&options.cache, sandbox, pin, &fragment, &source)
}

/// Whether the kernel of the options is in the cache. Nothing is made for the answer.
///
/// # Errors
/// What keeps it from being looked for.
pub fn has_kernel(options: &Options, pins: &Pins) -> Result<bool> {
    let frozen = Options {
        cache: options.cache.clone().frozen(),
        ..options.clone()
    };
    let found = sandbox(&frozen).and_then(|sandbox| kernel(&frozen, &sandbox, pins));
    match found {
        Ok(_) => Ok(true),
        Err(error) if matches!(Error::of(&error), Some(Error::Absent { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}
