//! A chapter that is wrong: exit code 2, and the place in the file.

use crate::fixture::Book;

#[test]
fn each_fault_has_file_and_line() {
    let steps = ["gust ls", "guest 'ls", "stat=1 guest ls", "guest ls | wc"];
    Book::new(&steps)
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains(
            "chapters/05-five.md:4: `gust` is no terminal; the terminals are host, guest, server, gdb",
        )
        .complains("chapters/05-five.md:5: the quote ' is never closed")
        .complains("chapters/05-five.md:6: `stat=1` is no option of a step")
        .complains("chapters/05-five.md:7: your own shell would act on the unquoted |");
}

#[test]
fn gaps_and_foreign_steps_are_refused() {
    let text = b"```console\n<!-- cmdrun runner show 5.2 guest ls -->\n\
                 <!-- cmdrun runner show 6.3 guest ls -->\n```\n";
    Book::with_text(text)
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("chapters/05-five.md:2: step 5.2 should be 5.1")
        .complains("chapters/05-five.md:3: step 6.3 stands in chapter 5");
}

#[test]
fn a_file_that_is_not_utf8_says_where() {
    Book::with_text(b"a\nb\n\xff\n")
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("chapters/05-five.md:3: this line is not UTF-8");
}

#[test]
fn another_encoding_says_where() {
    let text = "# Fünf\n```console\n<!-- cmdrun runner show 5.1 host true -->\n```\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [&[0xff, 0xfe][..], &utf16].concat();
    let latin1: Vec<u8> = text.chars().map(|c| c as u8).collect();
    for bytes in [utf16, with_mark, latin1] {
        Book::with_text(&bytes)
            .run(&["chapter", "5"])
            .ends_with(2)
            .complains("chapters/05-five.md:1: ");
    }
    let with_mark_and_returns = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    Book::with_text(with_mark_and_returns.as_bytes())
        .run(&["chapter", "5"])
        .ends_with(1)
        .prints("5.1 host$ true\n")
        .prints("nothing to compare with");
}

#[test]
fn a_step_that_the_page_would_not_show_is_no_step() {
    for text in [
        "<!--\n```console\n<!-- cmdrun runner show 5.1 host true -->\n```\n-->\n",
        "```console\n<!-- <!-- cmdrun runner show 5.1 host true --> -->\n```\n",
        "`<!-- cmdrun runner show 5.1 host true -->`\n",
        "    <!-- cmdrun runner show 5.1 host true -->\n",
    ] {
        let ran = Book::with_text(text.as_bytes()).run(&["chapter", "5"]);
        ran.ends_with(2).complains("chapters/05-five.md:");
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
    // The page shows the steps of a quotation and of a list.
    for text in [
        "> ```console\n> <!-- cmdrun runner show 5.1 host true -->\n> ```\n",
        "- ~~~console\n  <!-- cmdrun runner show 5.1 host true -->\n  ~~~\n",
    ] {
        Book::with_text(text.as_bytes())
            .run(&["chapter", "5"])
            .ends_with(1)
            .prints("5.1 host$ true\n");
    }
}

#[test]
fn a_command_that_hides_something_is_refused() {
    for (hidden, name) in [('\u{1b}', "001B"), ('\0', "0000"), ('\u{202e}', "202E")] {
        Book::new(&[&format!("host 'echo {hidden}'")])
            .run(&["chapter", "5"])
            .ends_with(2)
            .complains("chapters/05-five.md:4: the command holds the character U+")
            .complains(name);
    }
}

#[test]
fn a_million_steps_are_as_good_as_two() {
    let steps = vec!["guest true"; 1_000_000];
    Book::new(&steps)
        .run(&["chapter", "5", "--to", "5.2"])
        .ends_with(1)
        .prints("5.2 guest# true\n");
    Book::new(&[&steps[..], &["gust true"]].concat())
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("chapters/05-five.md:1000004: `gust` is no terminal");
}

#[test]
fn lines_of_any_length_are_read() {
    // As long as a shell takes, which mdbook-cmdrun hands it to.
    let long = "a".repeat(99_000);
    let commands = [
        format!("gdb 'print 1 +{} 1'", " ".repeat(9_000)),
        format!("host 'echo {long} | wc -c'"),
        format!("guest 'echo {long} | wc -c'"),
    ];
    let [gdb, host, guest] = commands.each_ref().map(String::as_str);
    let commands = [gdb, host, "gdb continue", guest];
    let ran = Book::new(&commands).run(&["chapter", "5"]);
    ran.ends_with(1)
        .prints("\n$1 = 2\n\n5.2")
        .prints("\n99001\n\n5.3")
        .prints("\n99001\nchapter 5: nothing to compare with");
    let prose = "word ".repeat(10_000_000);
    let text = format!("{prose}\n```console\n<!-- cmdrun runner show 5.1 gust true -->\n```\n");
    Book::with_text(text.as_bytes())
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("chapters/05-five.md:3: `gust`");
    Book::new(&[&format!("guest 'false {long}'")])
        .run(&["chapter", "5"])
        .ends_with(1)
        .complains("aaa…`: exit status 1 where the chapter expects 0");
}

#[test]
fn an_unknown_chapter_or_step_names_what_there_is() {
    let book = Book::new(&["host true"]);
    book.run(&["chapter", "9"])
        .ends_with(2)
        .complains("there is no chapter `9`; the book has 05-five");
    book.run(&["chapter", "5", "--to", "5.7"])
        .ends_with(2)
        .complains("its steps are 5.1 to 5.1");
    book.run(&["chapter", "5", "--to", "x"])
        .ends_with(2)
        .complains("such as 6.3");
}

#[test]
fn a_guest_that_the_debugger_holds_cannot_read() {
    Book::new(&["gdb break start_kernel", "gdb continue", "guest ls"])
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("chapters/05-five.md:6: step 5.3 `guest ls`: the debugger holds the machine");
}

#[test]
fn what_nobody_has_seen_must_be_looked_at() {
    let trips = [
        "gdb break inet_init",
        "gdb delete",
        "gdb continue",
        "guest ls",
    ];
    Book::new(&[&trips[..], &["gdb backtrace"]].concat())
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains(
            "05-five.md:8: step 5.5 `gdb backtrace`: gdb still waits in its last `continue`",
        );
    let held = [
        "guest true",
        "gdb interrupt",
        "gdb break kernel_clone",
        "gdb continue",
        "guest ls",
    ];
    let book = Book::new(&[&held[..], &["gdb backtrace 1"]].concat());
    book.run(&["chapter", "5"])
        .ends_with(2)
        .complains("gdb has printed something since its last step");
    Book::new(&["background server 'sleep 1; echo late'", "guest sleep 2"])
        .run(&["chapter", "5"])
        .ends_with(2)
        .complains("what step 5.1 printed in the window `server` is shown nowhere");
    let book = Book::new(&[&held[..], &["gdb", "guest pwd"]].concat());
    book.run(&["chapter", "5"])
        .ends_with(2)
        .complains("the window `guest` is busy with step 5.5");
}
