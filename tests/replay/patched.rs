//! A chapter whose kernel has patches, and a program and a configuration beside one of them.

use std::fs;

use lab::build::setup::{self, Options};

use crate::fixture::{Book, repository};

const TEXT: &str = "# Five\n\n<!-- runner kernel short-life -->\n\n```console\n\
    <!-- cmdrun runner show 5.1 host 'grep -c IPDEFTTL patched/net/ipv4/af_inet.c' -->\n\
    <!-- cmdrun runner show 5.2 guest short-life -->\n\
    <!-- cmdrun runner show 5.3 gdb interrupt -->\n\
    <!-- cmdrun runner show 5.4 gdb 'list af_inet.c:1,1' -->\n\
    <!-- cmdrun runner show 5.5 host 'grep HOSTNAME patched/.config; strings vmlinux | grep -x -m 1 plank' -->\n\
    ```\n";

const PATCH: &str = "\
--- a/net/ipv4/af_inet.c
+++ b/net/ipv4/af_inet.c
@@ -1,4 +1,5 @@
+/* A plank. */
 // SPDX-License-Identifier: GPL-2.0-or-later
 /*
  * INET\t\tAn implementation of the TCP/IP protocol suite for the LINUX
  *\t\toperating system.  INET is implemented using the  BSD Socket
";

const PROGRAM: &str = "#include <stdio.h>\nint main(void) { puts(\"a plank\"); return 0; }\n";

/// It is in one file of the kernel, so little is compiled.
const CONFIG: &str = "# A name.\nCONFIG_DEFAULT_HOSTNAME=\"plank\"\n";

#[test]
fn a_chapter_is_replayed_on_its_patched_kernel() {
    let book = Book::with_text(TEXT.as_bytes());
    let of = |file: &str| book.folder.path().join(file);
    fs::create_dir(of("patches")).unwrap();
    fs::write(of("patches/short-life.patch"), PATCH).unwrap();
    fs::write(of("patches/short-life.c"), PROGRAM).unwrap();
    fs::write(of("patches/short-life.config"), CONFIG).unwrap();
    let ran = book.run(&["chapter", "5", "--json"]);
    // Nothing is recorded yet.
    ran.ends_with(1);
    let json = ran.json();
    let printed = |step: usize| json["steps"][step]["stdout"].as_str().unwrap().to_owned();
    assert_eq!(printed(0), "1\n");
    assert_eq!(printed(1), "a plank\n");
    // gdb shows the patched file.
    assert_eq!(printed(3), "1\t/* A plank. */\n");
    assert_eq!(printed(4), "CONFIG_DEFAULT_HOSTNAME=\"plank\"\nplank\n");
    book.keep(&ran);
    book.run(&["verify"]).ends_with(0).prints("byte for byte");

    // It says nothing of another kernel, be it the book's own.
    let lab = setup::ready(&Options::new(repository()).unwrap()).unwrap();
    let tree = lab.kernel.tree.to_str().unwrap();
    book.run(&["chapter", "5", "--kernel", tree])
        .ends_with(2)
        .complains("chapter 5 is about a kernel that has patches of the book's own");
    book.run(&["verify", "--kernel", tree])
        .ends_with(0)
        .complains("note: chapter 5 is left out");
    // Kprobes are there for kernels that load modules.
    fs::write(of("patches/short-life.config"), "CONFIG_KPROBES=y\n").unwrap();
    book.run(&["chapter", "5"])
        .ends_with(2)
        .complains("patches/short-life.config: kconfig did not honour CONFIG_KPROBES=y");
    fs::remove_file(of("patches/short-life.config")).unwrap();
    fs::write(
        of("patches/short-life.patch"),
        PATCH.replace("INET", "INTE"),
    )
    .unwrap();
    book.run(&["chapter", "5"])
        .ends_with(2)
        .complains("patches/short-life.patch: it does not fit net/ipv4/af_inet.c");
    fs::remove_file(of("patches/short-life.patch")).unwrap();
    fs::remove_file(of("patches/short-life.c")).unwrap();
    book.run(&["chapter", "5"])
        .ends_with(2)
        .complains("there is no patches/short-life.patch");
}
