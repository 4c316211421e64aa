//! A chapter that has kernels beside its own: another series, for which the book's own stands in,
//! as any other takes minutes to build; and the book's with more of the configuration.

use std::fs;

use lab::build::setup::{self, Options};

use crate::fixture::{Book, repository};

const TEXT: &str = "# Five\n\n<!-- runner beside 6.1 named -->\n\n```console\n\
    <!-- cmdrun runner show 5.1 host 'cmp bzImage 6.1/bzImage; cmp vmlinux 6.1/vmlinux; grep -h -m 1 ^PATCHLEVEL 6.1/linux/Makefile' -->\n\
    <!-- cmdrun runner show 5.2 host 'cat patches/named.config; grep HOSTNAME named/patched/.config; strings named/vmlinux | grep -x -m 1 plank; strings vmlinux | grep -c -x plank || :' -->\n\
    ```\n";

/// It is in one file of the kernel, so little is compiled: the tree is copied, and linked.
const CONFIG: &str = "CONFIG_DEFAULT_HOSTNAME=\"plank\"\n";

#[test]
fn a_chapter_sees_the_kernels_beside_its_own() {
    let book = Book::with_text(TEXT.as_bytes());
    let folder = book.folder.path().join("patches");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("named.config"), CONFIG).unwrap();
    let ran = book.run(&["chapter", "5", "--json"]);
    // Nothing is recorded yet.
    ran.ends_with(1);
    let step = &ran.json()["steps"][0];
    assert_eq!(step["stdout"], "PATCHLEVEL = 1\n");
    assert_eq!(step["stderr"], "");
    let step = &ran.json()["steps"][1];
    assert_eq!(step["stdout"], format!("{CONFIG}{CONFIG}plank\n0\n"));

    // It is about these, and says nothing of another.
    let lab = setup::ready(&Options::new(repository()).unwrap()).unwrap();
    let tree = lab.kernel.tree.to_str().unwrap();
    book.run(&["chapter", "5", "--kernel", tree])
        .ends_with(2)
        .complains("chapter 5 is about the book's kernel beside 6.1 and named, so it says nothing");

    // Here there is no such configuration.
    Book::with_text(TEXT.as_bytes())
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("there is no kernel named in kernel-configs/sources.toml; it has: ")
        .complains("nor is there patches/named.patch or patches/named.config");
}
