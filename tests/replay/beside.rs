//! A chapter that has another series of the kernel beside its own. The book's own series stands in
//! for it, as any other takes minutes to build.

use lab::build::setup::{self, Options};

use crate::fixture::{Book, repository};

const TEXT: &str = "# Five\n\n<!-- runner beside 6.1 -->\n\n```console\n\
    <!-- cmdrun runner show 5.1 host 'cmp bzImage 6.1/bzImage; cmp vmlinux 6.1/vmlinux; grep -h -m 1 ^PATCHLEVEL 6.1/linux/Makefile' -->\n\
    ```\n";

#[test]
fn a_chapter_sees_the_kernel_beside_its_own() {
    let book = Book::with_text(TEXT.as_bytes());
    let ran = book.run(&["chapter", "5", "--json"]);
    // Nothing is recorded yet.
    ran.ends_with(1);
    let step = &ran.json()["steps"][0];
    assert_eq!(step["stdout"], "PATCHLEVEL = 1\n");
    assert_eq!(step["stderr"], "");

    // It is about these two, and says nothing of another.
    let lab = setup::ready(&Options::new(repository()).unwrap()).unwrap();
    let tree = lab.kernel.tree.to_str().unwrap();
    book.run(&["chapter", "5", "--kernel", tree])
        .ends_with(2)
        .complains("chapter 5 is about the book's kernel beside 6.1, so it says nothing of yours");

    let book = Book::with_text(TEXT.replace("6.1 -->", "9.9 -->").as_bytes());
    book.run(&["chapter", "5"])
        .ends_with(2)
        .complains("there is no kernel 9.9 in kernel-configs/sources.toml; it has: ");
}
