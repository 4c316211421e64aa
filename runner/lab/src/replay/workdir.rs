//! The folder in which a chapter is replayed: private, with the names that the book uses in it.
//!
//! `bzImage`, `vmlinux`, `linux`, `busybox` and the tarballs lead to the lab, where its programs
//! find it; `rootfs` and `kernel-configs` are copies of the repository's; `initramfs.cpio` is the
//! root file system with the chapter's guest steps packed behind it. The files that the patches of
//! a chapter's kernel change are in `patched`, where gdb looks for a source before it looks in
//! `linux`. What modules for such a kernel are built with is `build`, if the chapter builds some. A
//! kernel that lies beside the chapter's has a folder of its name, with its own `bzImage`,
//! `vmlinux`, `linux` and, if it has patches, `patched`.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fs_err::os::unix::fs::symlink;
use fs_err::{self as fs, File};
use walkdir::WalkDir;

use crate::build::cpio::{Archive, Node};
use crate::build::kernel::Kernel;
use crate::build::setup::Lab;
use crate::build::{patch, pins, rework, rootfs};
use crate::machine::agent;
use crate::machine::gdb::PATCHED;
use crate::machine::qemu::file;
use crate::system::scratch::Scratch;
use crate::transcript::packet;
use crate::transcript::step::{Step, Terminal};

/// The steps are padded to a multiple of this, in bytes, so that editing one seldom moves what the
/// kernel allocates behind the initramfs.
const STEPS_BLOCK: usize = 64 * 1024;

/// A folder that is gone when it is dropped.
#[derive(Debug)]
pub struct Workdir {
    folder: Scratch,
}

impl Workdir {
    /// Lays out the folder for the chapter whose steps are given.
    ///
    /// # Errors
    /// When a part of the lab is missing, or the folder cannot be written.
    pub fn lay_out(root: &Path, lab: &Lab, steps: &[Step]) -> anyhow::Result<Self> {
        let workdir = Self {
            folder: lab.sandbox.private_folder(&lab.cache)?,
        };
        let link = |name: &OsStr, target: &Path| {
            symlink(lab.sandbox.inside(target), workdir.path().join(name))
        };
        for (name, target) in [
            (file::KERNEL, &lab.kernel.bzimage),
            ("vmlinux", &lab.kernel.vmlinux),
            ("linux", &lab.kernel.tree),
            ("busybox", &lab.busybox.tree),
            ("rootfs.cpio", &lab.initramfs),
        ] {
            link(name.as_ref(), target)?;
        }
        let mut is_patched = workdir.put_patched(Path::new(""), &lab.kernel)?;
        for (name, kernel) in &lab.beside {
            let folder = Path::new(name);
            fs::create_dir(workdir.path().join(folder))?;
            is_patched |= workdir.put_patched(folder, kernel)?;
            for (name, target) in [
                (file::KERNEL, &kernel.bzimage),
                ("vmlinux", &kernel.vmlinux),
                ("linux", &kernel.tree),
            ] {
                link(folder.join(name).as_ref(), target)?;
            }
        }
        if let Some(build) = &lab.kernel.build {
            link(rework::BUILD.as_ref(), build)?;
        }
        for source in [&lab.kernel.source, &lab.busybox.source] {
            if let Some(tarball) = source.tarball() {
                link(tarball.file_name().unwrap_or_default(), tarball)?;
            }
        }
        for name in [rootfs::FOLDER, pins::FOLDER] {
            copy(&root.join(name), &workdir.path().join(name))?;
        }
        if is_patched {
            copy(
                &root.join(patch::FOLDER),
                &workdir.path().join(patch::FOLDER),
            )?;
        }
        // A chapter that plays packet scripts has a copy of them, too, as its steps may add some.
        if steps.iter().any(|step| step.packet().is_some()) {
            copy(
                &root.join(packet::FOLDER),
                &workdir.path().join(packet::FOLDER),
            )?;
        }
        let mut initramfs = fs::read(&lab.initramfs)?;
        initramfs.extend(pack(steps));
        initramfs.extend(programs(&lab.programs));
        let init = fs::read(root.join(rootfs::FOLDER).join("init"))?;
        initramfs.extend(lab.variant.archive(&init));
        let path = workdir.path().join(file::INITRAMFS);
        fs::write(&path, initramfs)?;
        fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        Ok(workdir)
    }

    /// Puts the patched files of a kernel below a folder, and says whether there are any. They are
    /// as old as the kernel: gdb warns of a source that is younger than its program.
    fn put_patched(&self, below: &Path, kernel: &Kernel) -> anyhow::Result<bool> {
        let folder = self.path().join(below).join(PATCHED);
        patch::put(&folder, &kernel.patched)?;
        let built = fs::metadata(&kernel.vmlinux)?.modified()?;
        let all = kernel.patched.iter();
        for (file, _) in all.filter(|(_, text)| text.is_some()) {
            let file = File::options().write(true).open(folder.join(file))?;
            file.set_modified(built)?;
        }
        Ok(!kernel.patched.is_empty())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Tries whether the disk still has a block for it: programs on it, and QEMU with its capture,
    /// may not tell when it has not.
    ///
    /// # Errors
    /// Why nothing more can be written.
    pub fn check_room(&self) -> anyhow::Result<()> {
        let block = self.path().join(".block");
        let written = fs::write(&block, [0; 4096]);
        let _ = fs::remove_file(&block);
        Ok(written?)
    }
}

/// An archive of programs that take the place of the guest's own, or stand beside them.
fn programs(all: &[(String, Vec<u8>)]) -> Vec<u8> {
    if all.is_empty() {
        return Vec::new();
    }
    let mut archive = Archive::new();
    for (place, bytes) in all {
        archive.put(place, Node::File(0o755, bytes.clone()));
    }
    archive.to_bytes()
}

/// Copies a folder of the repository, with the same modes for everybody.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in WalkDir::new(from).follow_links(true) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        let mode = if entry.file_type().is_dir() {
            fs::create_dir(&target)?;
            0o755
        } else {
            let bytes = fs::read(entry.path())?;
            fs::write(&target, &bytes)?;
            rootfs::mode(&bytes)
        };
        fs::set_permissions(&target, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// An archive with the file /steps, as `rootfs/agent.c` reads it.
fn pack(steps: &[Step]) -> Vec<u8> {
    let in_guest = || steps.iter().filter(|step| step.terminal.is_in_guest());
    let mut bytes = b"guest".to_vec();
    if in_guest().any(|step| step.terminal == Terminal::Server) {
        bytes.extend(b" server");
    }
    bytes.push(b'\n');
    for step in in_guest().filter(|step| step.is_typed_by_agent()) {
        bytes.extend(agent::step(step));
    }
    let mut archive = Archive::new();
    archive.put("steps", Node::File(0o600, bytes));
    let mut packed = archive.to_bytes();
    packed.resize(packed.len().next_multiple_of(STEPS_BLOCK), 0);
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_guest_types_is_packed() {
        let step =
            |words: &str| Step::parse(&crate::transcript::words::split(words).unwrap(), 1).unwrap();
        let steps = [
            step("5.1 gdb continue"),
            step("5.2 guest 'echo ü'"),
            step("5.3 guest"),
            step("5.4 until=up server serve"),
            step("5.5 until=hello server"),
        ];
        let packed = pack(&steps);
        assert_eq!(packed.len(), STEPS_BLOCK);
        let text = String::from_utf8_lossy(&packed);
        let expected = "guest server\n5.2 guest wait 7 0\necho ü\n\n\
                        5.4 server until 5 2\nserve\nup\n5.5 server until 0 5\n\nhello\n\0";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("5.1") && !text.contains("5.3"));
    }
}
