//! `runner claims` on a small book, with the real kernel's names.

use crate::fixture::Book;

const TEXT: &str =
    "# Five\n\nIn `tcp_v4_conect` the `skc_state` is `TCP_SYN_SENT`, and `x86_64` is exempt.\n";

fn exempt(book: &Book, name: &str, also: &str) {
    let tests = book.folder.path().join("tests");
    std::fs::create_dir_all(&tests).unwrap();
    let entry = format!("exempt = [{{ name = \"{name}\", reason = \"a machine\"{also} }}]\n");
    std::fs::write(tests.join("exempt.toml"), entry).unwrap();
}

#[test]
fn a_name_is_checked_then_recorded_and_then_nothing_is_said() {
    let book = Book::with_text(TEXT.as_bytes());
    exempt(&book, "x86_64", ", also = \"member\"");
    book.run(&["claims"])
        .ends_with(1)
        .prints("chapters/05-five.md:3: `tcp_v4_conect` is no name in this kernel; near it: tcp_v4_connect")
        .prints("1 exempt (1 on the list)")
        .prints("1 unknown");
    let right = TEXT.replace("conect", "connect");
    std::fs::write(book.folder.path().join("chapters/05-five.md"), right).unwrap();
    book.run(&["claims"]).ends_with(1).prints("claims --record");
    book.run(&["claims", "--record"])
        .ends_with(0)
        .prints("+tcp_v4_connect  function  net/ipv4/tcp_ipv4.c:");
    book.run(&["claims"]).ends_with(0).prints("0 unknown");
}

#[test]
fn an_exemption_that_the_kernel_knows_is_a_fault() {
    let book = Book::with_text(b"# Five\n\n`tcp_v4_connect`\n");
    exempt(&book, "tcp_v4_connect", "");
    book.run(&["claims"])
        .ends_with(2)
        .complains("tests/exempt.toml:1: `tcp_v4_connect` is exempt, and the kernel has it: function, net/ipv4/");
}

#[test]
fn an_excerpt_must_be_of_the_lines_that_the_text_was_written_for() {
    let text = "# Five\n\n<!-- runner source inet_init from='tcp_init()' to='tcp_init()' -->\n";
    let book = Book::with_text(text.as_bytes());
    book.run(&["claims", "--record"]).ends_with(1);
    let ran = book.run(&["claims"]);
    ran.ends_with(1);
    let hash = ran.stdout.split("write hash=").nth(1).unwrap();
    let hash = hash.split_whitespace().next().unwrap();
    let page = book.folder.path().join("chapters/05-five.md");
    let right = text.replace("inet_init from", &format!("inet_init hash={hash} from"));
    std::fs::write(&page, &right).unwrap();
    book.run(&["claims"]).ends_with(0);
    std::fs::write(&page, right.replace("tcp_init", "udp_init")).unwrap();
    book.run(&["claims"]).ends_with(1).prints(
        "chapters/05-five.md:3: the excerpt of `inet_init` has changed since its text was written",
    );
}

#[test]
fn a_number_that_is_exempt_is_none_of_the_kernels_affairs() {
    let book = Book::with_text(b"# Five\n\n64 bytes\n");
    exempt(&book, "64", "");
    book.run(&["claims", "--record"]).ends_with(0);
    exempt(&book, "65", "");
    book.run(&["claims"])
        .ends_with(2)
        .complains("`65` is exempt, and the text has no such name");
}
