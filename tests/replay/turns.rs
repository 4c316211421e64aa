//! A chapter repeats itself, however often QEMU's main loop wakes up between the instructions of
//! the guest, as it does by chance on a busy machine.

use crate::fixture::{Ran, runner};
use crate::front;

#[test]
fn a_main_loop_that_wakes_up_all_the_time_changes_nothing() {
    let front = front::qemu(include_str!("impatient.c"));
    let mut command = runner();
    // Many of its steps say what the clock or a timer of the guest says.
    command.args(["chapter", "7"]);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.env("THESEUS_PROGRAMS", front.path());
    let ran = Ran::of(command);
    assert!(
        ran.stdout.contains("chapter 7: the same, byte for byte"),
        "{ran:#?}"
    );
}
