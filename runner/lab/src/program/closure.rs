//! What a program of this machine needs to run elsewhere: itself, its interpreter and its shared
//! libraries.
//!
//! Nothing of it is executed here: the ELF headers say what is needed, and [`Linker`] where it
//! lies. What a program opens while it runs, such as a plugin or a file, is not among it. Every
//! file keeps its own path, and a path that leads through links becomes a link to where it ends: a
//! program finds its libraries from where it lies itself.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use fs_err as fs;
use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use walkdir::WalkDir;

use crate::Error;
use crate::build::cpio::{Archive, Node};
use crate::program::ldso::{CACHE, Linker};

/// The kernel follows so many scripts that are interpreted by scripts.
const SCRIPTS_MAX: usize = 4;

/// Finds a program as a shell does: a name without a slash is looked for on PATH.
///
/// # Errors
/// [`Unfit`] when there is none.
pub fn find(name: &OsStr) -> anyhow::Result<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let shown = Path::new(name).display();
    if name.as_bytes().contains(&b'/') {
        let path = absolute(Path::new(name))?;
        return match path.metadata() {
            Ok(_) if is_program(&path) => Ok(path),
            Ok(_) => bail!(Error::Unfit(format!("{shown} is not an executable file"))),
            Err(error) => bail!(Error::Unfit(format!(
                "there is no program {shown}: {error}"
            ))),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    match places.find(is_program) {
        Some(path) => absolute(&path),
        None => bail!(Error::Unfit(format!(
            "there is no program {shown} on PATH; a program in the current folder is called ./{shown}"
        ))),
    }
}

/// The whole path of a file, without `..`, so that each file has one place in the archive.
///
/// # Errors
/// When the current folder is gone.
pub fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    let whole = std::path::absolute(path).context("find the current folder")?;
    if !whole.components().any(|part| part == Component::ParentDir) {
        return Ok(whole);
    }
    let mut folded = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => _ = folded.pop(),
            part => folded.push(part),
        }
    }
    // Behind a link to a folder, `..` leads elsewhere.
    Ok(match (whole.canonicalize(), folded.canonicalize()) {
        (Ok(real), Ok(other)) if real == other => folded,
        (Ok(real), _) => real,
        (Err(_), _) => folded,
    })
}

/// The files that go into the guest, by path.
#[derive(Debug, Default)]
pub struct Closure {
    archive: Archive,
    linker: Linker,
    /// The libraries of the present program that are there already, by the name under which they
    /// were asked for.
    libraries: BTreeSet<String>,
}

/// What an ELF file says about what it needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Headers {
    interpreter: Option<PathBuf>,
    libraries: Vec<String>,
    rpath: Vec<PathBuf>,
    runpath: Vec<PathBuf>,
}

impl Closure {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            linker: Linker::of_this_machine(),
            ..Self::default()
        }
    }

    /// All of it, as an archive for the guest.
    #[must_use]
    pub fn into_archive(self) -> Archive {
        self.archive
    }

    /// Packs a program with all that it needs.
    ///
    /// # Errors
    /// [`Unfit`] when it is neither a program for x86-64 nor a script, or when something that it
    /// needs is not there.
    pub fn add_program(&mut self, path: &Path) -> anyhow::Result<()> {
        self.add_program_or_script(path, SCRIPTS_MAX)
    }

    /// Packs a file or a folder as it is, programs in it with all that they need.
    ///
    /// # Errors
    /// When something cannot be read, or a program lacks something.
    pub fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        for entry in WalkDir::new(path)
            .follow_root_links(true)
            .sort_by_file_name()
        {
            let entry = entry?;
            let inside = entry.path();
            if entry.depth() > 0 && entry.path_is_symlink() {
                let target = text(&fs::read_link(inside)?)?.to_owned();
                self.archive.put(text(inside)?, Node::Link(target));
            } else if entry.file_type().is_dir() {
                self.add_folder(inside)?;
            } else if is_elf(inside)? {
                self.libraries.clear();
                self.add_elf(inside, &[])?;
            } else if entry.file_type().is_file() || entry.depth() == 0 {
                self.add_file(inside)?;
            }
        }
        Ok(())
    }

    /// Makes sure that there is a folder.
    ///
    /// # Errors
    /// When its path is not UTF-8.
    pub fn add_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        let path = text(path)?;
        if self.archive.get(path).is_none() {
            self.archive.put(path, Node::Folder(0o755));
        }
        Ok(())
    }

    fn add_program_or_script(&mut self, path: &Path, scripts: usize) -> anyhow::Result<()> {
        if is_elf(path)? {
            self.libraries.clear();
            return self.add_elf(path, &[]);
        }
        let bytes = self.add_file(path)?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        let Some(line) = line.strip_prefix(b"#!") else {
            bail!(Error::Unfit(format!(
                "{} is neither an ELF program nor a script that begins with #!",
                path.display()
            )));
        };
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .map(OsStr::from_bytes);
        let interpreter = words.next().unwrap_or_default();
        if scripts == 0 || !Path::new(interpreter).is_absolute() {
            bail!(Error::Unfit(format!(
                "the kernel would not find the interpreter of {}: {}",
                path.display(),
                interpreter.display()
            )));
        }
        let place = |error: anyhow::Error| {
            Error::Unfit(format!("the script {}: {error:#}", path.display()))
        };
        let interpreter = find(interpreter).map_err(place)?;
        self.add_program_or_script(&interpreter, scripts - 1)?;
        // `/usr/bin/env NAME` looks NAME up on PATH.
        if let (true, Some(name)) = (interpreter.ends_with("env"), words.next())
            && !name.as_bytes().starts_with(b"-")
        {
            self.add_program_or_script(&find(name).map_err(place)?, scripts - 1)?;
        }
        Ok(())
    }

    /// Packs an ELF file and what it needs; `rpath` is what those that need it say of where
    /// libraries lie.
    fn add_elf(&mut self, path: &Path, rpath: &[PathBuf]) -> anyhow::Result<()> {
        let bytes = self.add_file(path)?;
        let origin = path.canonicalize()?;
        let origin = origin.parent().unwrap_or(Path::new("/"));
        let headers = headers(&bytes, origin)
            .map_err(|error| Error::Unfit(format!("{}: {error}", path.display())))?;
        drop(bytes);
        if let Some(interpreter) = &headers.interpreter {
            let shown = path.display();
            // A program that nobody trusts may name any file of this machine, to read it in the
            // guest.
            if interpreter.exists() && !is_elf(interpreter)? {
                bail!(Error::Unfit(format!(
                    "{shown} names an interpreter that is no ELF program: {}",
                    interpreter.display()
                )));
            }
            self.add_file(interpreter).map_err(|error| {
                Error::Unfit(format!("{shown} needs its interpreter: {error:#}"))
            })?;
        }
        // A runpath puts the rpaths out of force for what this file needs, and its own rpath
        // altogether.
        let has_runpath = !headers.runpath.is_empty();
        let mut inherited = if has_runpath {
            Vec::new()
        } else {
            headers.rpath
        };
        inherited.extend_from_slice(rpath);
        let own: &[PathBuf] = if has_runpath { &[] } else { &inherited };
        for name in &headers.libraries {
            if self.libraries.contains(name) {
                continue;
            }
            let place = self
                .linker
                .places(name, own, &headers.runpath)
                .find(|place| is_elf(place).unwrap_or(false));
            let Some(place) = place else {
                bail!(Error::Unfit(format!(
                    "{} needs the shared library {name}, which is in none of the folders where the dynamic linker looks; \
                     LD_LIBRARY_PATH may name its folder",
                    path.display()
                )));
            };
            self.libraries.insert(name.clone());
            self.add_elf(&place, &inherited)?;
        }
        if !headers.libraries.is_empty() && Path::new(CACHE).is_file() {
            self.add_file(Path::new(CACHE))?;
        }
        Ok(())
    }

    /// Packs a file, and gives its bytes.
    fn add_file(&mut self, path: &Path) -> anyhow::Result<Vec<u8>> {
        let real = fs::canonicalize(path)?;
        let bytes = fs::read(&real)?;
        let mode = real.metadata()?.permissions().mode() & 0o777;
        self.archive
            .put(text(&real)?, Node::File(mode, bytes.clone()));
        let path = absolute(path)?;
        if real != path {
            let target = text(&real)?.to_owned();
            self.archive.put(text(&path)?, Node::Link(target));
        }
        Ok(bytes)
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| {
        let shown = path.display();
        format!("the path {shown} is not UTF-8; only such files can be packed for the guest")
    })
}

fn is_elf(path: &Path) -> anyhow::Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut magic = Vec::new();
    fs::File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(magic == elf::ELFMAG)
}

/// Reads the headers of an ELF file that lies in the folder `origin`.
fn headers(bytes: &[u8], origin: &Path) -> Result<Headers, String> {
    type Header = elf::FileHeader64<LittleEndian>;
    let header = Header::parse(bytes).ok();
    let header = header.filter(|header| header.is_little_endian());
    let Some(header) = header.filter(|header| header.e_machine.get(LittleEndian) == elf::EM_X86_64)
    else {
        return Err("this is no program for x86-64".to_owned());
    };
    let damaged = |error: object::Error| format!("its ELF headers are damaged: {error}");
    let segments = header
        .program_headers(LittleEndian, bytes)
        .map_err(damaged)?;
    let at = |address| {
        let found = segments.iter().find_map(|segment| {
            let size = segment.p_filesz(LittleEndian);
            let end = segment.p_vaddr(LittleEndian).checked_add(size)?;
            let length = end.checked_sub(address)?;
            segment
                .data_range(LittleEndian, bytes, address, length)
                .ok()?
        });
        let text = found.and_then(|data| data.split(|byte| *byte == 0).next());
        text.and_then(|text| std::str::from_utf8(text).ok())
            .ok_or("its ELF headers are damaged: a text lies nowhere".to_owned())
    };
    let mut headers = Headers::default();
    for segment in segments {
        if let Some(path) = segment.interpreter(LittleEndian, bytes).map_err(damaged)? {
            headers.interpreter = Some(OsStr::from_bytes(path).into());
        }
        let Some(entries) = segment.dynamic(LittleEndian, bytes).map_err(damaged)? else {
            continue;
        };
        let entries: Vec<(u64, u64)> = entries
            .iter()
            .map(|entry| (entry.d_tag(LittleEndian), entry.d_val(LittleEndian)))
            .take_while(|(tag, _)| *tag != u64::from(elf::DT_NULL))
            .collect();
        let strings = entries
            .iter()
            .find(|(tag, _)| *tag == u64::from(elf::DT_STRTAB))
            .map_or(0, |(_, address)| *address);
        let folders = |offset: u64| -> Result<Vec<PathBuf>, String> {
            let list = at(strings.wrapping_add(offset))?;
            let place = origin.to_string_lossy();
            let expand = |folder: &str| {
                let folder = folder.replace("${ORIGIN}", "$ORIGIN");
                PathBuf::from(folder.replace("$ORIGIN", &place))
            };
            Ok(list
                .split(':')
                .filter(|f| !f.is_empty())
                .map(expand)
                .collect())
        };
        for (tag, value) in &entries {
            match u32::try_from(*tag).unwrap_or_default() {
                elf::DT_NEEDED => headers
                    .libraries
                    .push(at(strings.wrapping_add(*value))?.to_owned()),
                elf::DT_RPATH => headers.rpath = folders(*value)?,
                elf::DT_RUNPATH => headers.runpath = folders(*value)?,
                _ => {}
            }
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(folder: &Path, arguments: &str) {
        let line = format!("gcc {arguments}");
        let done = std::process::Command::new("sh")
            .args(["-c", &line])
            .current_dir(folder)
            .status();
        assert!(done.unwrap().success(), "{line}");
    }

    fn packed(program: &Path) -> Vec<String> {
        let mut closure = Closure::new();
        closure.add_program(program).unwrap();
        closure.into_archive().paths().map(str::to_owned).collect()
    }

    #[test]
    fn a_library_beside_the_program_is_found_from_where_the_program_really_lies() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for inside in ["zbin", "lib", "far"] {
            std::fs::create_dir(root.join(inside)).unwrap();
        }
        std::fs::write(root.join("a.c"), "int a(void) { return 7; }").unwrap();
        std::fs::write(
            root.join("main.c"),
            "int a(void); int main(void) { return a(); }",
        )
        .unwrap();
        std::os::unix::fs::symlink("../zbin/main", root.join("far/main")).unwrap();
        compile(
            &root,
            "-shared -fPIC -Wl,-soname,libours.so -o lib/libours.so a.c",
        );
        for tags in ["--enable-new-dtags", "--disable-new-dtags"] {
            let rpath = format!("-Wl,{tags},-rpath,'$ORIGIN/../lib'");
            compile(&root, &format!("-o zbin/main main.c -Llib -lours {rpath}"));
            let paths = packed(&root.join("far/main"));
            for expected in ["far/main", "zbin/main", "lib/libours.so"] {
                assert!(paths.iter().all(|path| !path.contains("..")));
                let path = root.join(expected).display().to_string();
                assert!(
                    paths.contains(&path[1..].to_owned()),
                    "{expected}: {paths:#?}"
                );
            }
            for expected in ["libc.so.6", "ld-linux-x86-64.so.2", "ld.so.cache"] {
                let found = paths.iter().any(|path| path.ends_with(expected));
                assert!(found, "{expected}: {paths:#?}");
            }
        }
        std::fs::remove_file(root.join("lib/libours.so")).unwrap();
        let error = Closure::new()
            .add_program(&root.join("zbin/main"))
            .unwrap_err();
        assert!(matches!(Error::of(&error), Some(Error::Unfit(_))));
        assert!(
            error
                .to_string()
                .contains("needs the shared library libours.so"),
            "{error}"
        );
    }

    #[test]
    fn what_a_program_says_of_its_libraries_counts_for_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (name, text) in [
            ("deep.c", "int deep(void) { return 1; }"),
            ("mid.c", "int deep(void); int mid(void) { return deep(); }"),
            ("main.c", "int mid(void); int main(void) { return mid(); }"),
        ] {
            std::fs::write(root.join(name), text).unwrap();
        }
        for inside in ["a", "b"] {
            std::fs::create_dir(root.join(inside)).unwrap();
        }
        let library = "-shared -fPIC -Wl,-soname";
        compile(
            &root,
            &format!("{library},libdeep.so -o b/libdeep.so deep.c"),
        );
        compile(
            &root,
            &format!("{library},libmid.so -o a/libmid.so mid.c -Lb -ldeep"),
        );
        let rpath = "-Wl,--disable-new-dtags,-rpath,'$ORIGIN/a:$ORIGIN/b'";
        compile(
            &root,
            &format!("-o main main.c -La -lmid -Lb -ldeep {rpath}"),
        );
        let paths = packed(&root.join("main"));
        let deep = root.join("b/libdeep.so").display().to_string();
        assert!(paths.contains(&deep[1..].to_owned()), "{paths:#?}");
    }

    #[test]
    fn a_program_cannot_have_a_secret_packed_as_its_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::write(root.join("secret"), "the password").unwrap();
        std::fs::write(root.join("main.c"), "int main(void) { return 0; }").unwrap();
        let secret = root.join("secret").display().to_string();
        compile(
            &root,
            &format!("-o main main.c -Wl,--dynamic-linker={secret}"),
        );
        let error = Closure::new().add_program(&root.join("main")).unwrap_err();
        assert!(matches!(Error::of(&error), Some(Error::Unfit(_))));
        let expected = format!("names an interpreter that is no ELF program: {secret}");
        assert!(error.to_string().ends_with(&expected), "{error}");
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let whole = std::fs::read("/proc/self/exe").unwrap();
        let here = Path::new("/");
        assert!(headers(&whole, here).unwrap().interpreter.is_some());
        for length in [4, 63, 64, 200, 4096] {
            assert!(headers(&whole[..length], here).is_err(), "{length} bytes");
        }
        let mut other = whole;
        other[18] = 40;
        assert_eq!(
            headers(&other, here).unwrap_err(),
            "this is no program for x86-64"
        );
    }
}
