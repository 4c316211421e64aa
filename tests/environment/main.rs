//! An environment that somebody lives in cannot matter: under each setting of a table, a chapter is
//! replayed that looks at all that a setting could change. What it prints is the same, byte for
//! byte, or the runner has refused before anything started, with the cause and what helps.
//!
//! `cargo test --test environment -- --nocapture` prints the table.

mod table;

#[path = "../support/fixture.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod fixture;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use fixture::{Book, Ran, repository, runner};
use lab::build::cache::Cache;
use lab::build::setup::{self, Options};
use table::{Expected, ROWS, Row};

/// What the lines of a row can use.
const PRELUDE: &str = concat!(
    include_str!("prelude.sh"),
    include_str!("../support/jail.sh")
);

/// The chapter that is replayed, if a row names no other: its shell, its compiler, what it builds,
/// gdb with its Python and the kernel's source, and so the machine.
const STEPS: [&str; 11] = [
    "host 'pwd; umask; ulimit -n; ulimit -c; ulimit -s; env | sort; grep Sig[BI] /proc/self/status'",
    "host 'printf \"%s\\n\" b A a B ü | sort; LC_ALL=C ls -lR rootfs kernel-configs | cut -c1-10 | sort | uniq -c'",
    "host 'sort --version | head -1; date +%Z; printf \"%.1f\\n\" 1.5; ls -A /'",
    "host 'printf \"int main(void) { return 7; }\" > seven.c; gcc -static -o seven seven.c; ls -l seven | cut -c1-10; mkdir new; stat -c %A new'",
    "status=7 host ./seven",
    "host 'printf \"all: ; @echo CC is $(CC)\\n\" > Makefile; make; python3 --version 2>&1 | cut -c1-6'",
    "gdb tbreak inet_init",
    "gdb continue",
    "gdb backtrace 3",
    "gdb list net/ipv4/af_inet.c:2088,2090",
    "gdb 'python import enum; print(sorted({3, 1, 2}), enum.__file__)'",
];

/// The book with that chapter, and what it prints in a plain environment.
static PAGE: LazyLock<Book> = LazyLock::new(|| {
    let book = Book::new(&STEPS);
    book.keep(&book.run(&["chapter", "5", "--json"]));
    book
});

/// The cache of this machine, with the lab in it.
static LAB: LazyLock<Cache> = LazyLock::new(|| {
    setup::ready(&Options::new(repository()).unwrap()).unwrap();
    Cache::of_user().unwrap()
});

/// What came of a row.
struct Told {
    row: &'static Row,
    fault: Option<String>,
    took: Duration,
    said: String,
}

#[test]
fn every_setting_is_the_same_or_refused_before_anything_starts() {
    LazyLock::force(&LAB);
    LazyLock::force(&PAGE);
    let begun = Instant::now();
    let only = std::env::var("ONLY").unwrap_or_default();
    let rows = ROWS.iter().filter(|row| row.name.contains(&only));
    let left = Mutex::new(VecDeque::from_iter(rows));
    let told = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(2, usize::from) + 2;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(row) = { left.lock().unwrap().pop_front() } {
                    let one = replay(row);
                    told.lock().unwrap().push(one);
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    let mut faults = String::new();
    for Told {
        row,
        fault,
        took,
        said,
    } in &told
    {
        let seconds = took.as_secs_f32();
        println!("{:<60} {seconds:5.1} s  {said}", row.name);
        if let Some(fault) = fault {
            let _ = writeln!(faults, "== {}\n{fault}\n", row.name);
        }
    }
    println!("{} rows in {:.1?}", told.len(), begun.elapsed());
    assert!(faults.is_empty(), "{faults}");
}

/// Replays under the setting of a row, and tells what is not as expected.
fn replay(row: &'static Row) -> Told {
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let temporary = here.join("tmp");
    fs::create_dir(&temporary).unwrap();
    let ran = Ran::of(command(row, here, &temporary));
    let fault = fault(row, &ran).or_else(|| left_behind(&temporary));
    Told {
        row,
        fault: fault.map(|fault| format!("{fault}: {ran:#?}")),
        took: begun.elapsed(),
        said: match row.expected {
            Expected::Refused(_) => {
                let first = ran.stderr.lines().next().unwrap_or_default();
                format!("refused: {first}")
            }
            _ => "the same".to_owned(),
        },
    }
}

fn command(row: &Row, here: &Path, temporary: &Path) -> Command {
    let like = runner();
    let mut command = Command::new(like.get_program());
    // As the fixture's, but with a shell in between.
    let heeding: Vec<_> = like.get_args().collect();
    command.args(&heeding[..1]);
    if row.is_root {
        command.args(["unshare", "--user", "--map-root-user", "--mount"]);
    }
    let ends = match row.lines.contains("\"$@\"") {
        true => "",
        false => "exec \"$@\"",
    };
    let script = format!("{PRELUDE}\n{}\n{ends}\n", row.lines);
    command.args(["bash", "-c", &script, "bash"]);
    command.args(&heeding[1..]).args(row.arguments);
    command
        .env("HERE", here)
        .env("LAB", LAB.root())
        .env("PAGE", PAGE.folder.path())
        .env("BOOK", repository())
        .env("TMPDIR", temporary);
    command
}

/// What is not as expected.
fn fault(row: &Row, ran: &Ran) -> Option<String> {
    let code = |expected| {
        let is_other = ran.code != Some(expected);
        is_other.then(|| format!("ends with {:?} instead of {expected}", ran.code))
    };
    match row.expected {
        Expected::Same => code(0).or_else(|| {
            let is_same = ran.stdout.contains(", byte for byte");
            (!is_same).then(|| "is not the same".to_owned())
        }),
        Expected::Silent => code(0),
        Expected::Prints(text) => code(0).or_else(|| {
            let prints = ran.stdout == text && ran.stderr.is_empty();
            (!prints).then(|| "prints something else".to_owned())
        }),
        Expected::Refused(words) => code(3)
            .or_else(|| {
                let missing = words.iter().find(|word| !ran.stderr.contains(**word));
                missing.map(|word| format!("does not say {word:?}"))
            })
            .or_else(|| (!ran.stdout.is_empty()).then(|| "has begun".to_owned()))
            .or_else(|| {
                let is_blamed = ran.stderr.contains("the disk is full");
                is_blamed.then(|| "blames the disk".to_owned())
            }),
    }
}

/// What a run has left where temporary files belong.
fn left_behind(temporary: &Path) -> Option<String> {
    let left: Vec<_> = fs::read_dir(temporary).unwrap().flatten().collect();
    (!left.is_empty()).then(|| format!("has left {left:?}"))
}
