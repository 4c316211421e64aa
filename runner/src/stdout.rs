//! A standard output that takes no more: the disk is full, or its reader has left.
//!
//! `print!` panics then, in the middle of whatever runs. The unwinding ends that in good order, and
//! here the panic becomes a message and an exit code.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use crate::exit::{LAB, SIGPIPE};

/// How `print!` and `eprint!` begin to tell why they panic.
const LOST: &str = "failed printing to ";

/// Runs the program, and gives its exit code: its own, or what becomes of an output that takes no
/// more.
pub fn guard(main: impl FnOnce() -> ExitCode) -> ExitCode {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if lost(panic.payload()).is_none() {
            report(panic);
        }
    }));
    let payload = match panic::catch_unwind(AssertUnwindSafe(main)) {
        Ok(code) => return code,
        Err(payload) => payload,
    };
    let Some(reason) = lost(&*payload) else {
        panic::resume_unwind(payload)
    };
    if reason.contains("Broken pipe") {
        return SIGPIPE.into();
    }
    // When standard error takes no more either, there is nobody to tell.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("cannot write to {reason}\n").as_bytes(),
    );
    LAB.into()
}

/// What could not be written to, and why: `stdout: No space left on device (os error 28)`.
fn lost(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>()?.strip_prefix(LOST)
}
