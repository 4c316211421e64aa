//! What the outcomes mean to the shell. The README has them as a table.

/// A chapter is not what the book says.
pub const DIFFERENT: u8 = 1;
/// The chapter or the command line is wrong.
pub const WRONG: u8 = 2;
/// The lab cannot run.
pub const LAB: u8 = 3;
/// A signal of this number ended the runner: as a shell has it.
pub const SIGNAL: u8 = 128;
/// Nobody reads the output any more.
pub const SIGPIPE: u8 = SIGNAL + 13;

/// The exit code for an error: what no caller tells apart is a lab that cannot run.
#[must_use]
pub fn code(error: &anyhow::Error) -> u8 {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(error), _) => of_book(error),
        (_, Some(error)) => of_lab(error),
        (None, None) => LAB,
    }
}

/// Every error of the book is named here: the compiler finds the one that is forgotten.
fn of_book(error: &book::fault::Error) -> u8 {
    use book::fault::Error;
    match error {
        Error::Faults(_) | Error::NoChapter(_) | Error::NoExercise(_) | Error::Stale(_) => WRONG,
    }
}

/// And every error of the lab.
fn of_lab(error: &lab::Error) -> u8 {
    use lab::Error;
    match error {
        Error::UnexpectedStatus { .. } | Error::Unbuilt(_) => DIFFERENT,
        Error::Unfit(_) | Error::Misuse(_) | Error::Overrun(_) => WRONG,
        Error::Absent { .. }
        | Error::NoNamespaces(_)
        | Error::MachineEnded(_)
        | Error::Unprinted { .. }
        | Error::ShellEnded(_)
        | Error::Flood(_)
        | Error::Late(_) => LAB,
        Error::Interrupted(signal) => u8::try_from(*signal).map_or(u8::MAX, |n| SIGNAL + n),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use book::fault::{self, Fault, Faults};
    use lab::Error;

    use super::*;

    #[test]
    fn each_error_has_its_code_whatever_context_it_has() {
        let text = || "why".to_owned();
        let absent = Error::Absent {
            kind: text(),
            how: text(),
        };
        let status = Error::UnexpectedStatus {
            found: 1,
            expected: 0,
            terminal: "guest",
        };
        let unprinted = Error::Unprinted {
            text: text(),
            stdout: text(),
            stderr: text(),
            status: 0,
        };
        let fault = Fault {
            path: "chapters/05-five.md".into(),
            line: 1,
            message: text(),
        };
        let table: [(anyhow::Error, u8); 21] = [
            (Error::Unbuilt(text()).into(), DIFFERENT),
            (status.into(), DIFFERENT),
            (Error::Unfit(text()).into(), WRONG),
            (Error::Misuse(text()).into(), WRONG),
            (Error::Overrun(text()).into(), WRONG),
            (absent.into(), LAB),
            (Error::NoNamespaces(text()).into(), LAB),
            (Error::ShellEnded(text()).into(), LAB),
            (Error::MachineEnded(text()).into(), LAB),
            (unprinted.into(), LAB),
            (Error::Flood(1).into(), LAB),
            (Error::Late(text()).into(), LAB),
            (Error::Interrupted(1).into(), 129),
            (Error::Interrupted(2).into(), 130),
            (Error::Interrupted(15).into(), 143),
            (fault::Error::Faults(Faults(vec![fault])).into(), WRONG),
            (fault::Error::NoChapter(text()).into(), WRONG),
            (fault::Error::NoExercise(text()).into(), WRONG),
            (fault::Error::Stale(text()).into(), WRONG),
            (anyhow::anyhow!("a pipe broke"), LAB),
            (std::io::Error::other("a disk broke").into(), LAB),
        ];
        for (error, expected) in table {
            let told = format!("{error:#}");
            let error = Err::<(), _>(error).context("step 5.1").context("where");
            assert_eq!(code(&error.unwrap_err()), expected, "{told}");
        }
    }
}
