//! The errors that a caller tells apart. All others say that the lab cannot run on this machine.

/// What went wrong, beneath the context that says where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the user named cannot be used: a program, a kernel, a source. The command line is
    /// wrong.
    #[error("{0}")]
    Unfit(String),
    /// A kernel that the reader has changed, and that the compiler or the linker refuses; with what
    /// they say.
    #[error("{0}")]
    Unbuilt(String),
    /// A step that two people at two windows could not have typed. It was not typed; the chapter is
    /// wrong.
    #[error("{0}")]
    Misuse(String),
    /// A command of gdb's that let the machine run further than a chapter may: the chapter is
    /// wrong.
    #[error(
        "`{0}` did not end before the guest asked for its next command; only `continue` can go on \
         waiting"
    )]
    Overrun(String),
    /// A step that ended with another exit status than the chapter expects.
    #[error(
        "exit status {found} where the chapter expects {expected}; if it is meant, write \
         status={found} before `{terminal}`"
    )]
    UnexpectedStatus {
        /// The status.
        found: i32,
        /// What the chapter says.
        expected: i32,
        /// Where the step is typed.
        terminal: &'static str,
    },
    /// A frozen cache was asked for what it does not have.
    #[error("the entry {kind} of the cache is {how}")]
    Absent {
        /// `kernel`, `busybox` and so on.
        kind: String,
        /// Whether it is not there, not finished, or damaged.
        how: String,
    },
    /// The system makes no namespaces for the lab's own programs, or not those of a chapter's
    /// network; with what it said.
    #[error("{0}")]
    NoNamespaces(String),
    /// The machine has ended, with its last words.
    #[error("{0}")]
    MachineEnded(String),
    /// A command has ended without the text that its step waits for.
    #[error("the command ended without printing `{text}`; it printed\n{stdout}{stderr}")]
    Unprinted {
        /// What was waited for.
        text: String,
        /// What came on standard output.
        stdout: String,
        /// What came on standard error.
        stderr: String,
        /// How it ended.
        status: i32,
    },
    /// A step has ended its shell.
    #[error("{0}")]
    ShellEnded(String),
    /// A step has printed more than so many bytes.
    #[error("the step printed more than {0} bytes; let it print less")]
    Flood(usize),
    /// What was waited for did not come in time.
    #[error("{0}")]
    Late(String),
    /// The runner was told to stop, by this signal.
    #[error("interrupted; everything that was started has been ended")]
    Interrupted(i32),
}

impl Error {
    /// The error beneath the context, if it is one that callers tell apart.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Option<&Self> {
        error.downcast_ref()
    }

    /// Whether it is [`Error::Flood`].
    #[must_use]
    pub fn is_flood(error: &anyhow::Error) -> bool {
        matches!(Self::of(error), Some(Self::Flood(_)))
    }

    /// Whether it is [`Error::Late`].
    #[must_use]
    pub fn is_late(error: &anyhow::Error) -> bool {
        matches!(Self::of(error), Some(Self::Late(_)))
    }

    /// Whether it is [`Error::Interrupted`].
    #[must_use]
    pub fn is_interrupted(error: &anyhow::Error) -> bool {
        matches!(Self::of(error), Some(Self::Interrupted(_)))
    }
}
