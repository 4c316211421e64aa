//! A QEMU that has made the debugger's socket and does not listen there yet, as it happens by
//! chance on a busy machine.

use crate::fixture::{Book, Ran, runner};
use crate::front;

#[test]
fn gdb_waits_until_qemu_listens() {
    let front = front::qemu(include_str!("late.c"));
    let book = Book::new(&["gdb print 1"]);
    let mut command = runner();
    command.args(["chapter", "5"]);
    command.current_dir(book.folder.path());
    command.env("THESEUS_PROGRAMS", front.path());
    let ran = Ran::of(command);
    assert!(ran.stdout.contains("$1 = 1"), "{ran:#?}");
}
