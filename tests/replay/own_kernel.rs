//! `--kernel`: what is said of a path that names no kernel, before anything is built or started.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::build::setup::{self, Options};
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _};

use crate::fixture::{Book, Ran, repository};

/// The built tree of the book's kernel.
fn tree() -> PathBuf {
    let options = Options::new(repository()).unwrap();
    setup::ready(&options).unwrap().kernel.tree
}

fn bzimage() -> PathBuf {
    tree().join("arch/x86/boot/bzImage")
}

fn replay_with(kernel: &Path) -> Ran {
    let kernel = kernel.to_str().unwrap();
    Book::new(&["gdb 'info line inet_init'"]).run(&["chapter", "5", "--kernel", kernel])
}

#[test]
fn a_path_that_names_no_kernel_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let give = |name: &str| {
        std::fs::create_dir(at(name)).unwrap();
        at(name)
    };
    let only_image = give("only-image");
    symlink(bzimage(), only_image.join("bzImage")).unwrap();
    let only_vmlinux = give("only-vmlinux");
    symlink(tree().join("vmlinux"), only_vmlinux.join("vmlinux")).unwrap();
    let unbuilt = give("unbuilt");
    std::fs::write(unbuilt.join("Kconfig"), "").unwrap();
    let garbage = give("garbage");
    std::fs::write(garbage.join("bzImage"), "MZ").unwrap();
    symlink(tree().join("vmlinux"), garbage.join("vmlinux")).unwrap();
    let swapped = give("swapped");
    symlink(bzimage(), swapped.join("bzImage")).unwrap();
    symlink(bzimage(), swapped.join("vmlinux")).unwrap();
    for (path, words) in [
        (
            at("nowhere"),
            "No such file or directory (os error 2); give a built tree",
        ),
        (
            bzimage(),
            "this is a file; give the folder that holds bzImage and vmlinux",
        ),
        (
            give("empty"),
            "no kernel is in it: neither vmlinux, nor bzImage",
        ),
        (only_image, "has no vmlinux beside it, which gdb reads"),
        (
            only_vmlinux,
            "there is a vmlinux, and no bzImage, which QEMU boots; `make bzImage`",
        ),
        (
            unbuilt,
            "this tree is not built; in it, after the configuration: make bzImage scripts_gdb",
        ),
        (garbage, "bzImage is no image of an x86 kernel"),
        (swapped, "vmlinux is no ELF file for 64 bits"),
    ] {
        let ran = replay_with(&path);
        ran.ends_with(2)
            .complains(&format!("--kernel {}: ", path.display()))
            .complains(words);
        assert_eq!(ran.stdout, "", "no step has begun");
    }
    // It is said before a lab is made.
    let book = Book::new(&["guest true"]);
    let mut command = book.command(&["chapter", "5", "--kernel", "/nowhere"]);
    let cache = tempfile::tempdir().unwrap();
    Ran::from(
        command
            .env("XDG_CACHE_HOME", cache.path())
            .output()
            .unwrap(),
    )
    .ends_with(2);
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_with_an_image_and_its_vmlinux_is_a_kernel() {
    let folder = tempfile::tempdir().unwrap();
    symlink(bzimage(), folder.path().join("bzImage")).unwrap();
    symlink(tree().join("vmlinux"), folder.path().join("vmlinux")).unwrap();
    let ran = replay_with(folder.path());
    ran.ends_with(1)
        .prints("net/ipv4/af_inet.c")
        .prints("nothing to compare with");
    assert_eq!(ran.stderr, "");
}

#[test]
fn the_source_of_the_book_serves_where_a_kernel_came_without_its_tree() {
    let folder = tempfile::tempdir().unwrap();
    let mut image = std::fs::read(bzimage()).unwrap();
    std::fs::write(folder.path().join("bzImage"), &image).unwrap();
    symlink(tree().join("vmlinux"), folder.path().join("vmlinux")).unwrap();
    let book = Book::new(&[
        "host 'grep -o \"fs_initcall(inet_init)\" linux/net/ipv4/af_inet.c'",
        "gdb 'list inet_init'",
    ]);
    let kernel = folder.path().to_str().unwrap();
    let ran = book.run(&["chapter", "5", "--json", "--kernel", kernel]);
    ran.ends_with(1)
        .prints("fs_initcall(inet_init)")
        .prints("static int __init inet_init(void)");
    assert_eq!(ran.json()["provenance"]["linux"], "6.1.176");
    assert_eq!(ran.stderr, "");
    // The image's own name for itself; the kernel in it is the same.
    let at = 0x200 + usize::from(u16::from_le_bytes([image[0x20e], image[0x20f]]));
    assert_eq!(&image[at..at + 8], b"6.1.176 ");
    image[at + 6] = b'5';
    std::fs::write(folder.path().join("bzImage"), &image).unwrap();
    let ran = book.run(&["chapter", "5", "--json", "--kernel", kernel]);
    ran.ends_with(1).complains(
        "note: your kernel is Linux 6.1.175 and came without its tree, \
         so the source that is shown is that of Linux 6.1.176",
    );
    assert_eq!(ran.json()["provenance"]["linux"], "6.1.175");
}

#[test]
fn an_image_and_a_vmlinux_of_two_builds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    symlink(bzimage(), folder.path().join("bzImage")).unwrap();
    let mut vmlinux = std::fs::read(tree().join("vmlinux")).unwrap();
    let elf = ElfFile64::<Endianness>::parse(&*vmlinux).unwrap();
    let id = elf.build_id().unwrap().unwrap().to_vec();
    let at = vmlinux
        .windows(id.len())
        .position(|bytes| bytes == id)
        .unwrap();
    vmlinux[at] ^= 1;
    std::fs::write(folder.path().join("vmlinux"), vmlinux).unwrap();
    replay_with(folder.path())
        .ends_with(2)
        .complains("bzImage and vmlinux are of two builds (")
        .complains("`make bzImage` makes both");
}

#[test]
fn a_vmlinux_without_debug_information_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    symlink(bzimage(), folder.path().join("bzImage")).unwrap();
    let stripped = Command::new("objcopy")
        .arg("--strip-debug")
        .args([tree().join("vmlinux"), folder.path().join("vmlinux")])
        .status()
        .unwrap();
    assert!(stripped.success());
    replay_with(folder.path())
        .ends_with(1)
        .complains("vmlinux has no debug information, so gdb knows neither lines nor arguments");
}

#[test]
fn where_it_differs_is_a_fact_about_the_kernel_and_nothing_to_record() {
    let book = Book::new(&[
        "gdb 'info line inet_init'",
        "gdb 'print sizeof(struct sock)'",
    ]);
    book.keep(&book.run(&["chapter", "5", "--json"]));
    let tree = tree();
    let with_kernel = ["chapter", "5", "--kernel", tree.to_str().unwrap()];
    book.run(&with_kernel)
        .ends_with(0)
        .prints("the same, byte for byte (2 steps");
    let text = std::fs::read_to_string(book.snapshot()).unwrap();
    let other = text.replace("af_inet.c", "af_outer.c");
    std::fs::write(book.snapshot(), other).unwrap();
    let ran = book.run(&with_kernel);
    ran.ends_with(1)
        .prints("step 5.1 (- recorded, + here)")
        .prints("different in 1 of 2 steps")
        .prints("; your kernel is not the book's there\n");
    assert!(!ran.stdout.contains("runner record"), "{ran:#?}");
}
