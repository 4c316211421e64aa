//! A kernel of the reader's own, for `--kernel`: where its parts lie, and whether they belong
//! together.
//!
//! An image holds its vmlinux without debug information, packed. Both carry the build id, which the
//! linker makes of the whole kernel, so a vmlinux of another build is noticed before gdb shows
//! lines that do not run.

use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use fs_err as fs;
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _};

use crate::Error;
use crate::build::setup::Lab;
use crate::build::tarball::PACKERS;
use crate::machine::qemu::file;
use crate::system::files;
use crate::system::sandbox::Sandbox;

/// A kernel that can be replayed with.
#[derive(Debug, Clone)]
pub struct OwnKernel {
    /// The image that QEMU boots.
    pub bzimage: PathBuf,
    /// The ELF file that gdb reads.
    pub vmlinux: PathBuf,
    /// The tree in which it was built, if the user has given one.
    pub tree: Option<PathBuf>,
    /// What gdb will lack, as a note for the reader.
    pub note: Option<String>,
    /// What the user has given.
    given: PathBuf,
    /// The build id of `vmlinux`.
    build: Option<Vec<u8>>,
    /// The compiler that its banner names.
    compiler: Option<String>,
}

impl OwnKernel {
    /// Looks into `given`: a built tree, or a folder that holds bzImage and vmlinux.
    ///
    /// # Errors
    /// [`NoKernel`].
    pub fn find(given: &Path) -> Result<Self, Error> {
        let no = |why: String| unfit(given, &why);
        let folder = fs::canonicalize(given).map_err(|error| {
            no(format!(
                "{error}; give a built tree, or a folder with bzImage and vmlinux"
            ))
        })?;
        if !folder.is_dir() {
            return Err(no(
                "this is a file; give the folder that holds bzImage and vmlinux, or the built tree"
                    .to_owned(),
            ));
        }
        let is_tree = folder.join("Kconfig").is_file();
        let in_tree = folder.join("arch/x86/boot/bzImage");
        let images = [in_tree, folder.join(file::KERNEL)];
        let bzimage = images.into_iter().find(|image| image.is_file());
        let vmlinux = Some(folder.join("vmlinux")).filter(|vmlinux| vmlinux.is_file());
        let (bzimage, vmlinux) = match (bzimage, vmlinux) {
            (Some(bzimage), Some(vmlinux)) => (bzimage, vmlinux),
            (None, None) if is_tree => {
                return Err(no("this tree is not built; in it, after the configuration: make bzImage scripts_gdb (chapter 1 shows both)".to_owned()));
            }
            (bzimage, vmlinux) => return Err(no(lacks(bzimage.as_deref(), vmlinux.as_deref()))),
        };
        let Elf {
            build,
            debug,
            compiler,
        } = read_elf(&vmlinux).map_err(no)?;
        image(&bzimage).map_err(no)?;
        let note = (!debug).then(|| {
            format!(
                "note: {} has no debug information, so gdb knows neither lines nor arguments, and each of its steps \
                 will differ; CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y gives it some",
                vmlinux.display()
            )
        });
        Ok(Self {
            bzimage,
            vmlinux,
            tree: is_tree.then_some(folder),
            note,
            given: given.to_owned(),
            build,
            compiler,
        })
    }

    /// Takes this kernel in place of the book's. Without a tree of its own it is shown with the
    /// source of the book's; gives a note if that is of another release.
    ///
    /// # Errors
    /// When the image cannot be read; [`Error::Unfit`] when it is of another build than the
    /// vmlinux.
    pub fn replace_in(self, lab: &mut Lab) -> anyhow::Result<Option<String>> {
        self.check(&lab.sandbox)?;
        let otherwise = self.built_otherwise(lab);
        let kernel = &mut lab.kernel;
        kernel.built_otherwise = otherwise;
        let [book, user] = [&kernel.bzimage, &self.bzimage].map(|image| release(image));
        let note = (self.tree.is_none() && book != user).then(|| {
            format!(
                "note: your kernel is Linux {user} and came without its tree, so the source \
                 that is shown is that of Linux {book}; --kernel takes a built tree, too"
            )
        });
        kernel.sha256 = files::sha256_of_file(&self.bzimage)?;
        let own = [&self.bzimage, &self.vmlinux].into_iter().chain(&self.tree);
        kernel.places.extend(own.cloned());
        kernel.bzimage = self.bzimage;
        kernel.vmlinux = self.vmlinux;
        kernel.tree = self.tree.unwrap_or_else(|| kernel.tree.clone());
        Ok(note)
    }
}

impl OwnKernel {
    /// How this kernel was built, if not as the book's is: with the lab's compiler, and configured
    /// like it.
    fn built_otherwise(&self, lab: &Lab) -> Option<String> {
        let gcc = lab.sandbox.first_line(&["gcc", "--version"]).ok();
        let Some(compiler) = self.compiler.clone().filter(|_| gcc != self.compiler) else {
            let configuration = |tree: &Path| fs::read_to_string(tree.join(".config")).ok();
            let book = configuration(&lab.kernel.tree);
            let own = configuration(self.tree.as_deref().unwrap_or(&self.given));
            return (own.is_none() || own != book)
                .then(|| "that of a kernel with another configuration".to_owned());
        };
        Some(compiler)
    }

    /// Whether image and vmlinux belong together. The lab's programs unpack the image.
    fn check(&self, sandbox: &Sandbox) -> Result<(), Error> {
        let no = |why: String| unfit(&self.given, &why);
        let packed = build_id_of_image(sandbox, &self.bzimage).map_err(no)?;
        match (&self.build, packed) {
            (Some(build), Some(packed)) if *build != packed => Err(no(format!(
                "bzImage and vmlinux are of two builds ({} and {}), so gdb would show lines that do not run; \
                 `make bzImage` makes both, or copy both from one build",
                hex(&packed),
                hex(build)
            ))),
            _ => Ok(()),
        }
    }
}

/// A kernel that is no kernel to replay with.
fn unfit(given: &Path, why: &str) -> Error {
    Error::Unfit(format!("--kernel {}: {why}", given.display()))
}

fn lacks(bzimage: Option<&Path>, vmlinux: Option<&Path>) -> String {
    match (bzimage, vmlinux) {
        (Some(bzimage), _) => format!(
            "{} has no vmlinux beside it, which gdb reads; copy it from the top of the tree that the image was built in",
            bzimage.display()
        ),
        (_, Some(_)) => {
            "there is a vmlinux, and no bzImage, which QEMU boots; `make bzImage` makes it in arch/x86/boot".to_owned()
        }
        (None, None) => "no kernel is in it: neither vmlinux, nor bzImage or arch/x86/boot/bzImage".to_owned(),
    }
}

/// What is read from a vmlinux.
struct Elf {
    /// Its build id.
    build: Option<Vec<u8>>,
    /// Whether it has debug information.
    debug: bool,
    /// The compiler that its banner names.
    compiler: Option<String>,
}

fn read_elf(path: &Path) -> Result<Elf, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let elf = ElfFile64::<Endianness>::parse(&*bytes);
    let elf =
        elf.map_err(|error| format!("{} is no ELF file for 64 bits: {error}", path.display()))?;
    let debug = elf.section_by_name(".debug_info").is_some();
    let data = elf.section_by_name(".rodata");
    let data = data.and_then(|section| section.uncompressed_data().ok());
    Ok(Elf {
        build: elf.build_id().ok().flatten().map(<[u8]>::to_vec),
        debug,
        compiler: data.and_then(|data| compiler(&data)),
    })
}

/// The compiler in the banner of a kernel: `Linux version 6.1.176 (reader@theseus) (gcc 12, …`.
fn compiler(data: &[u8]) -> Option<String> {
    let finder = |text: &[u8]| data.windows(text.len()).position(|window| window == text);
    let banner = &data[finder(b"Linux version ")?..];
    let banner = std::str::from_utf8(&banner[..banner.iter().position(|&b| b == b'\n')?]).ok()?;
    let (_, compiler) = banner.split_once(") (")?;
    Some(compiler.split_once(", ")?.0.to_owned())
}

/// The bytes of an image of an x86 kernel.
fn image(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    if bytes.get(0x202..0x206) != Some(b"HdrS") {
        return Err(format!("{} is no image of an x86 kernel", path.display()));
    }
    Ok(bytes)
}

/// The build id that is packed in an image; none if the programs cannot unpack it, or if it has
/// none.
fn build_id_of_image(sandbox: &Sandbox, path: &Path) -> Result<Option<Vec<u8>>, String> {
    let bytes = image(path)?;
    let unpacked = payload(&bytes).and_then(|packed| unpack(sandbox, packed));
    let id = |elf: Vec<u8>| -> Option<Vec<u8>> {
        let elf = ElfFile64::<Endianness>::parse(&*elf).ok()?;
        Some(elf.build_id().ok()??.to_vec())
    };
    Ok(unpacked.and_then(id))
}

/// The packed vmlinux; Documentation/x86/boot.rst of the kernel says where it lies.
fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| -> Option<usize> {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    let sectors = match usize::from(bytes[0x1f1]) {
        0 => 4,
        sectors => sectors,
    };
    let begin = (sectors + 1) * 512 + word(0x248)?;
    bytes.get(begin..begin.checked_add(word(0x24c)?)?)
}

fn unpack(sandbox: &Sandbox, packed: &[u8]) -> Option<Vec<u8>> {
    let (magic, words) = PACKERS
        .iter()
        .find(|(magic, _)| packed.starts_with(magic))?;
    // The kernel's build appends the unpacked size, which only gzip has of itself.
    let size = if magic.starts_with(b"\x1f") { 0 } else { 4 };
    let packed = &packed[..packed.len().checked_sub(size)?];
    let mut input = tempfile::tempfile().ok()?;
    input.write_all(packed).ok()?;
    input.rewind().ok()?;
    let process = sandbox.view().start(words, |command| {
        command.stdin(input).stdout(Stdio::piped());
        command.stderr(Stdio::null());
    });
    Some(process.ok()?.output().ok()?.stdout)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = files::hex(bytes);
    text.truncate(12);
    text
}

/// What the kernel calls itself; Documentation/x86/boot.rst says where an image has it.
pub(super) fn release(image: &Path) -> String {
    let read = || {
        let bytes = std::fs::read(image).ok()?;
        let at: [u8; 2] = bytes.get(0x20e..0x210)?.try_into().ok()?;
        let text = bytes.get(0x200 + usize::from(u16::from_le_bytes(at))..)?;
        let end = text.iter().position(|byte| matches!(byte, 0 | b' '))?;
        String::from_utf8(text[..end].to_vec()).ok()
    };
    read().unwrap_or_else(|| "unknown".to_owned())
}
