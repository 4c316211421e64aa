//! `runner setup`: makes the lab, or takes it from a file, and says where its parts are.

use std::process::ExitCode;

use lab::build::bundle::import;
use lab::build::setup;

use super::lab::whole;
use crate::context::Context;
use crate::ready::SeriesArgs;
use crate::repository;

/// Where to take the lab from.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take the made lab from a file that `runner lab export` has written, from a URL, or from the
    /// one that was `published`
    #[arg(long, value_name = "FILE|URL|published")]
    from: Option<String>,
    /// The SHA-256 that the file must have
    #[arg(long, value_name = "HASH", requires = "from")]
    sha256: Option<String>,
    #[command(flatten)]
    series: SeriesArgs,
}

/// Makes the lab.
///
/// # Errors
/// As [`setup::ready`] and [`import::import`].
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let mut options = context.options(&repository::find()?)?;
    // A file has the book's own kernel.
    if let Some(place) = &args.from {
        import::import(&options, place, args.sha256.as_deref(), &whole)?;
    }
    args.series.choose(&mut options)?;
    let lab = setup::ready(&options)?;
    println!("kernel     {}", lab.kernel.bzimage.display());
    println!("           {}", lab.kernel.vmlinux.display());
    println!("busybox    {}", lab.busybox.binary.display());
    println!("initramfs  {}", lab.initramfs.display());
    Ok(ExitCode::SUCCESS)
}
