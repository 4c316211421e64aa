//! Machines that differ from the book's in nothing that a chapter is about.
//!
//! The guest repeats itself, so what else could have come can be provoked: a larger initramfs moves
//! what the kernel allocates, a shell that does something before the first step moves moments and
//! process numbers, and a kernel with code and data that nobody uses moves its addresses. From all
//! of them follow other random numbers, ports and pointers. One kernel moreover loses some time at
//! each interrupt and each change of the process, as a change of the kernel will that somebody
//! tries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::build::cache::{Cache, Inputs, Leftover};
use crate::build::cpio::{Archive, Node};
use crate::build::kernel;
use crate::build::rework::{self, Edit, Rework};
use crate::build::setup::Lab;
use crate::system::files;
use crate::system::progress::Stage;

/// How a machine differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Variant {
    /// Which of the other kernels it has.
    kernel: Option<usize>,
    /// By how many blocks of 64 KiB its initramfs is larger.
    blocks: usize,
    /// How many processes its first shell makes before the first step.
    processes: usize,
}

/// The machines on which the noise of a chapter is measured.
pub const VARIANTS: [Variant; 8] = [
    of(None, 1, 0),
    of(None, 2, 1),
    of(None, 8, 4),
    of(Some(0), 0, 0),
    of(Some(1), 3, 2),
    of(Some(2), 1, 1),
    of(Some(2), 6, 3),
    of(Some(0), 4, 6),
];

const fn of(kernel: Option<usize>, blocks: usize, processes: usize) -> Variant {
    Variant {
        kernel,
        blocks,
        processes,
    }
}

/// A block of an initramfs, in bytes.
const BLOCK: usize = 64 * 1024;

/// Lines of the kernel that stand alone at the top of a file, behind which more may stand.
const LINES: [(&str, &str); 6] = [
    (
        "init/main.c",
        "bool early_boot_irqs_disabled __read_mostly;",
    ),
    (
        "kernel/softirq.c",
        "DEFINE_PER_CPU(struct task_struct *, ksoftirqd);",
    ),
    ("net/core/dev.c", "static DEFINE_SPINLOCK(ptype_lock);"),
    (
        "net/core/skbuff.c",
        "struct kmem_cache *skbuff_head_cache __ro_after_init;",
    ),
    ("net/ipv4/tcp.c", "long sysctl_tcp_mem[3] __read_mostly;"),
    (
        "net/ipv4/tcp_ipv4.c",
        "static DEFINE_MUTEX(tcp_exit_batch_mutex);",
    ),
];

/// How many bytes of code and of data each kernel has more of, in each of so many files.
const KERNELS: [(usize, usize, usize); 3] = [(48, 96, 1), (4000, 5000, 6), (700, 1024, 4)];
/// Where the kernels that have more in several files allocate some pages that nobody uses, before
/// the drivers allocate theirs.
const EARLY: (&str, &str) = ("net/core/dev.c", "\tBUG_ON(!dev_boot_phase);");
/// The kernel that loses time.
const SLOWER: usize = 2;

impl Variant {
    /// Whether it has another kernel than the book's.
    #[must_use]
    pub fn has_own_kernel(self) -> bool {
        self.kernel.is_some()
    }

    /// What is appended to the initramfs, whose archives the kernel unpacks one after the other.
    #[must_use]
    pub fn archive(self, init: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.processes > 0 {
            let text = String::from_utf8_lossy(init);
            let more = "(:); ".repeat(self.processes);
            let text = text.replace("exec /sbin/init", &format!("{more}exec /sbin/init"));
            let mut archive = Archive::new();
            archive.put("init", Node::File(0o755, text.into_bytes()));
            bytes = archive.to_bytes();
        }
        bytes.resize(bytes.len().next_multiple_of(BLOCK) + self.blocks * BLOCK, 0);
        bytes
    }

    /// The lab whose machine differs so. `kernels` is what [`kernels`] has made.
    ///
    /// # Errors
    /// When a kernel cannot be read.
    pub fn lab(self, lab: &Lab, kernels: &Path) -> Result<Lab> {
        let mut lab = lab.clone();
        lab.variant = self;
        if let Some(kernel) = self.kernel {
            let folder = kernels.join(kernel.to_string());
            lab.kernel.bzimage = folder.join("bzImage");
            lab.kernel.vmlinux = folder.join("vmlinux");
            lab.kernel.sha256 = files::sha256_of_file(&lab.kernel.bzimage)?;
            lab.kernel.build = lab.kernel.build.map(|_| folder.join(rework::BUILD));
            lab.kernel.places.push(folder);
        }
        Ok(lab)
    }
}

/// The folder with the kernels of the variants, made if they are not in the cache.
///
/// # Errors
/// When they cannot be made: what the compiler says.
pub fn kernels(cache: &Cache, lab: &Lab) -> Result<PathBuf> {
    let all: Vec<Vec<Edit>> = (0..KERNELS.len()).map(edits).collect();
    let has_modules = lab.kernel.build.is_some();
    let mut inputs = Inputs::new()
        .with("kernel", &lab.kernel.sha256)
        .with("edits", format!("{all:?}"))
        .with("compiler", kernel::compiler(&lab.sandbox)?);
    if has_modules {
        inputs = inputs.with("with", rework::BUILD);
    }
    let waiting = || eprintln!("the kernels to compare with: another run is making them");
    let entry = cache.ensure("variants", &inputs, Leftover::Discard, waiting, |folder| {
        let mut stage = Stage::begin("make kernels to compare with");
        let rework = Rework::copied(lab, folder)?;
        let mut touched = BTreeSet::new();
        let mut outputs = Vec::new();
        for (index, edits) in all.iter().enumerate() {
            stage.at(format!("{} of {}", index + 1, all.len()));
            rework.make(edits, &mut touched)?;
            let name = index.to_string();
            let place = folder.join(&name);
            rework.keep(&place)?;
            if has_modules {
                let files = rework.keep_build(&place)?;
                outputs.extend(files.map(|file| format!("{name}/{file}")));
            }
            outputs.extend(["bzImage", "vmlinux"].map(|file| format!("{name}/{file}")));
        }
        fs_err::remove_dir_all(&rework.tree)?;
        stage.done();
        Ok(outputs)
    })?;
    Ok(entry.folder)
}

/// What is changed for one of the kernels. No line moves.
fn edits(kernel: usize) -> Vec<Edit> {
    let (code, data, files) = KERNELS[kernel];
    let mut edits: Vec<Edit> = LINES[..files]
        .iter()
        .map(|(file, line)| {
            let skip = format!("asm volatile(\".skip {code}, 0x90\");");
            let more = format!(
                " static noinline __used void padding(void) {{ {skip} }} \
                 static noinline __used void __init padding_init(void) {{ {skip} }} \
                 static const char __used padded_const[{data}] = \"x\"; \
                 static char __used padded[{data}] = \"x\", __used empty[{data}];"
            );
            edit(file, line, &format!("{line}{more}"))
        })
        .collect();
    if files > 1 {
        let (file, line) = EARLY;
        let lost = "(void)alloc_pages_exact(24576, GFP_KERNEL);";
        edits.push(edit(file, line, &format!("{line} {lost}")));
    }
    if kernel == SLOWER {
        for (file, line) in [
            (
                "kernel/softirq.c",
                "\t__irq_enter_raw();\n\n\tif (tick_nohz",
            ),
            (
                "kernel/sched/core.c",
                "\tstruct mm_struct *mm = rq->prev_mm;\n\tunsigned int prev_state;\n\n\t/*\n\t * The previous task",
            ),
        ] {
            let lost = " asm volatile(\"mov $60, %%ecx\\n1:\\tdec %%ecx\\n\\tjnz 1b\" ::: \"ecx\", \"cc\");";
            edits.push(edit(
                file,
                line,
                &line.replacen("\n\n", &format!("{lost}\n\n"), 1),
            ));
        }
    }
    edits
}

fn edit(file: &str, from: &str, to: &str) -> Edit {
    let [file, from, to] = [file, from, to].map(str::to_owned);
    Edit { file, from, to }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kernel_has_moved_lines() {
        for kernel in 0..KERNELS.len() {
            for Edit { from, to, .. } in edits(kernel) {
                assert_eq!(from.lines().count(), to.lines().count(), "{to}");
                assert_ne!(from, to);
            }
        }
    }

    #[test]
    fn an_archive_is_whole_blocks() {
        let init = b"#!/bin/sh\nexec /sbin/init\n";
        assert_eq!(Variant::default().archive(init).len(), 0);
        for variant in VARIANTS {
            let archive = variant.archive(init);
            assert_eq!(archive.len() % BLOCK, 0);
            let text = String::from_utf8_lossy(&archive);
            assert_eq!(text.matches("(:); ").count(), variant.processes);
        }
    }
}
