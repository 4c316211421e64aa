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
fn an_unknown_chapter_or_step_names_what_there_is() {
    let book = Book::new(&["host true"]);
    book.run(&["chapter", "9"])
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
    let book = Book::new(&[&held[..], &["gdb", "guest pwd"]].concat());
    book.run(&["chapter", "5"])
        .ends_with(2)
        .complains("the window `guest` is busy with step 5.5");
}
