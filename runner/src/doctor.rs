//! `runner doctor`: what the lab needs of the machine, whether it is there, and what to do if not.
//!
//! Each check tries the very thing that the runner will do later, under a deadline. Only when that
//! fails it looks for the reason, because the settings that could be one differ between systems. A
//! check whose ground another check has found missing is skipped.

mod machine;
mod made;
mod network;
mod place;
mod probe;
mod screen;
mod tools;

use std::process::ExitCode;

use anyhow::bail;
use lab::system::sandbox::Sandbox;
use serde::Serialize;

use crate::context::Context;
use crate::exit::LAB;

/// How to look, and how to tell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

/// How a precondition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there.
    Ok,
    /// Nothing needs it now, or it is odd and works.
    Warn,
    /// What needs it cannot run.
    Bad,
    /// It was not tried.
    Skip,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// How the precondition stands.
    pub state: State,
    /// What was tried, and what came of it.
    #[serde(rename = "found")]
    pub text: String,
    /// What the reader can do about a `Bad` or a `Warn`.
    pub remedy: Option<String>,
}

impl Found {
    fn ok(text: impl Into<String>) -> Self {
        Self::new(State::Ok, text, None)
    }

    fn skip(text: impl Into<String>) -> Self {
        Self::new(State::Skip, text, None)
    }

    fn warn(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(State::Warn, text, Some(remedy.into()))
    }

    fn bad(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(State::Bad, text, Some(remedy.into()))
    }

    fn new(state: State, text: impl Into<String>, remedy: Option<String>) -> Self {
        let text = text.into();
        Self {
            state,
            text,
            remedy,
        }
    }
}

/// A check that was made.
#[derive(Debug, Serialize)]
struct Check {
    /// One word, which stays the same from version to version.
    id: &'static str,
    /// What it is about.
    title: &'static str,
    /// Who needs it.
    meaning: &'static str,
    #[serde(flatten)]
    found: Found,
}

/// All checks: their word, what they are about, and who needs it.
const CHECKS: [[&str; 3]; 18] = [
    ["machine", "processor and system", "all chapters"],
    ["limits", "what the system lets you take", "all chapters"],
    ["tools", "the lab's own programs", "all chapters"],
    ["namespaces", "namespaces for them", "all chapters"],
    ["curl", "the program that fetches", "the lab"],
    ["temp", "the temporary folder", "all chapters"],
    ["compiler", "a static program", "the lab, chapters 1, 2"],
    ["qemu", "QEMU with the book's machine", "all chapters"],
    ["gdb", "gdb on that machine", "chapters 4 to 19"],
    ["cache", "the folder of the lab", "all chapters"],
    ["disk", "space for the lab", "the lab"],
    ["memory", "memory for guest and build", "all chapters"],
    ["lab", "kernel, busybox, guest's files", "all chapters"],
    ["sources", "where they come from", "the lab"],
    ["tun", "the driver of the tap", "chapter 11"],
    ["nat", "tap, veth, address translation", "chapter 11"],
    ["tmux", "windows side by side", "`runner shell`"],
    ["mdbook", "mdbook and mdbook-cmdrun", "the rendered book"],
];

/// What the check of this word has found.
fn check(word: &str, found: Found) -> Check {
    let row = CHECKS.into_iter().find(|row| row[0] == word);
    let [id, title, meaning] = row.expect("each check has its row");
    Check {
        id,
        title,
        meaning,
        found,
    }
}

/// Makes the check if its ground stands, the check of this word.
fn on(stands: bool, word: &str, check: impl FnOnce() -> Found) -> Found {
    if stands { check() } else { untried(word) }
}

fn untried(ground: &str) -> Found {
    Found::skip(format!("not tried, as it takes what `{ground}` is about"))
}

/// Runs the subcommand: 0 when everything is there that the book needs.
///
/// # Errors
/// When the output cannot be written; what a check finds is shown, and makes the exit code that of
/// a lab that cannot run.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let silent = |_: &Check| {};
    let tell: &dyn Fn(&Check) = if args.json { &silent } else { &screen::show };
    let checks = visit(context, tell);
    if args.json {
        screen::print_json(&checks)?;
    } else {
        screen::conclude(&checks);
    }
    let bad = checks.iter().any(|check| check.found.state == State::Bad);
    Ok(ExitCode::from(if bad { LAB } else { 0 }))
}

/// Makes all checks, in an order in which the first one that is bad is the first to mend. `tell` is
/// told of each as soon as it is made.
fn visit(context: &Context, tell: &dyn Fn(&Check)) -> Vec<Check> {
    let mut checks = Vec::new();
    // Says whether others can build on it.
    let mut note = |word: &str, found: Found| {
        let stands = matches!(found.state, State::Ok | State::Warn);
        checks.push(check(word, found));
        tell(checks.last().expect("it was just pushed"));
        stands
    };
    note("machine", machine::is_right());
    note("limits", machine::limits());
    let (sandbox, said) = made::sandbox(context);
    note("tools", said);
    note("namespaces", network::namespaces(sandbox.as_ref()));
    let sandbox = sandbox.and_then(|sandbox| sandbox.tried().ok());
    note("curl", tools::curl());
    let temp = note("temp", place::temp());
    let try_it = |stands: bool, word: &str, check: fn(&Sandbox) -> Found| match &sandbox {
        Some(sandbox) => on(stands, word, || check(sandbox)),
        None => untried("tools"),
    };
    note("compiler", try_it(temp, "temp", tools::compiler));
    let qemu = note("qemu", try_it(temp, "temp", tools::qemu));
    note("gdb", try_it(qemu, "qemu", tools::gdb));
    let mut place = place::cache(context.host_tools);
    let mut lab = Err(untried("cache"));
    if place.state != State::Bad {
        lab = made::look(context, sandbox.as_ref());
    } else if let Ok(made) = made::look(context, sandbox.as_ref())
        && made.is_made()
    {
        place.state = State::Warn;
        place.text +=
            "; the lab in it is made, so what only reads works, and captures are not kept";
        lab = Ok(made);
    }
    let cache = note("cache", place);
    note("disk", on(cache, "cache", || place::disk(&lab)));
    note("memory", machine::memory(&lab));
    note("lab", made::made(&lab));
    let sources = lab.map_or_else(|_| untried("lab"), |lab| made::sources(&lab));
    note("sources", sources);
    let tun = note("tun", network::tun());
    note("nat", try_it(tun, "tun", network::nat));
    note("tmux", tools::tmux());
    note("mdbook", tools::mdbook());
    checks
}

pub use place::remedy;

/// Refuses a chapter whose lab cannot run, before anything is built for it.
///
/// # Errors
/// What is in the way and what helps.
pub fn check_lab(sandbox: &Sandbox, chapter: u32) -> anyhow::Result<()> {
    for check in [|_: &Sandbox| network::tun(), network::rights, network::nat] {
        if let Found {
            state: State::Bad,
            text,
            remedy,
        } = check(sandbox)
        {
            let remedy = remedy.unwrap_or_default();
            let told =
                format!("chapter {chapter} needs a network of its own, and {text}\n{remedy}");
            bail!(lab::Error::NoNamespaces(told));
        }
    }
    Ok(())
}
