//! `runner setup`: makes the lab and says where its parts are.

use std::process::ExitCode;

use lab::build::setup;

use crate::context::Context;
use crate::repository;

/// Makes the lab.
///
/// # Errors
/// As [`setup::ready`].
pub fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let lab = setup::ready(&context.options(&repository::find()?)?)?;
    println!("kernel     {}", lab.kernel.bzimage.display());
    println!("           {}", lab.kernel.vmlinux.display());
    println!("busybox    {}", lab.busybox.binary.display());
    println!("initramfs  {}", lab.initramfs.display());
    Ok(ExitCode::SUCCESS)
}
