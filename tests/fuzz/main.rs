//! The parsers of what others write, fuzzed: chapters, gdb's records, the guest's reports,
//! captures, snapshots, programs, exercises.
//!
//! The ordinary run changes what the repository holds of each kind at random, and reads that, for
//! some seconds. cargo-fuzz builds the same targets for the whole run, where libFuzzer sees which
//! changes lead to new code. What was found once is a test of the module that it was found in. One
//! target for longer, once the whole run has been: `PATH=$PWD/target/tmp/tools/bin:$PATH cargo fuzz
//! run --fuzz-dir tests/fuzz --sanitizer none mi target/tmp/fuzz/mi`

mod mutate;

#[path = "targets/capture.rs"]
mod capture;
#[path = "targets/chapter.rs"]
mod chapter;
#[path = "targets/drawing.rs"]
mod drawing;
#[path = "targets/exercise.rs"]
mod exercise;
#[path = "targets/markdown.rs"]
mod markdown;
#[path = "targets/mi.rs"]
mod mi;
#[path = "targets/program.rs"]
mod program;
#[path = "targets/report.rs"]
mod report;
#[path = "../support/seed.rs"]
#[allow(dead_code, reason = "each target draws in its own way")]
mod seed;
#[path = "targets/snapshot.rs"]
mod snapshot;
#[path = "targets/value.rs"]
mod value;
#[path = "targets/words.rs"]
mod words;

use std::borrow::Cow;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use book::chapter::markdown::Page;
use book::chapter::{Chapter, pages, paths, text};
use book::snapshot::Snapshot;
use duct::cmd;
use lab::transcript::Record;
use lab::transcript::capture::file;

use seed::{Random, seed};

/// Reads an input, and panics where the parser breaks its word.
type Target = fn(&[u8]);

/// The targets, and how many inputs each has in the whole run; in the ordinary one a tenth. A
/// program is written to the disk and read again, and a value makes patterns of what it looks for,
/// which is slow.
const TARGETS: [(&str, usize, Target); 11] = [
    ("capture", 100_000, capture::read),
    ("chapter", 50_000, |bytes| chapter::read(&lossy(bytes))),
    ("drawing", 10_000, |bytes| drawing::read(&lossy(bytes))),
    ("exercise", 20_000, |bytes| exercise::read(&lossy(bytes))),
    ("markdown", 100_000, |bytes| markdown::read(&lossy(bytes))),
    ("mi", 500_000, |bytes| mi::read(&lossy(bytes))),
    ("program", 10_000, program::read),
    ("report", 500_000, report::read),
    ("snapshot", 50_000, |bytes| snapshot::read(&lossy(bytes))),
    ("value", 20_000, |bytes| value::read(&lossy(bytes))),
    ("words", 500_000, |bytes| words::read(&lossy(bytes))),
];

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The release that the targets are built with.
const VERSION: &str = "0.13.2";

#[test]
fn no_input_of_the_day_breaks_a_parser() {
    for (name, count, read) in TARGETS {
        let mut random = Random::new(name);
        let seeds = seeds(&repository(), name);
        for number in 0..count / 10 {
            let input = mutate::any(&seeds, &mut random);
            if catch_unwind(|| read(&input)).is_err() {
                let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("input-of-{name}"));
                fs::write(&path, input).unwrap();
                let (seed, path) = (seed(), path.display());
                panic!("{name}: input {number} of THESEUS_SEED={seed}, kept in {path}");
            }
        }
    }
}

#[test]
#[ignore = "takes minutes, and installs cargo-fuzz; it runs every night"]
fn no_input_breaks_a_parser() {
    let repository = &repository();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let tools = target.join("tools");
    cmd!(
        "cargo",
        "install",
        "cargo-fuzz",
        "--version",
        VERSION,
        "--locked",
        "--quiet",
        "--root",
        &tools
    )
    .run()
    .expect("install cargo-fuzz");
    let path = format!(
        "{}:{}",
        tools.join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let seed = seed() as u32;
    println!("THESEUS_SEED={seed}");
    for (name, count, _) in TARGETS {
        let corpus = target.join("fuzz").join(name);
        let _ = fs::remove_dir_all(&corpus);
        fs::create_dir_all(&corpus).unwrap();
        for (number, seed) in seeds(repository, name).iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), seed).unwrap();
        }
        // The parsers are safe Rust, where a sanitizer has nothing to find, and without one stable
        // Rust will do.
        let line = format!(
            "fuzz run --fuzz-dir tests/fuzz --sanitizer none {name} {} -- -runs={count} -seed={seed} -max_len=65536 -timeout=10",
            corpus.display()
        );
        cmd("cargo", line.split(' '))
            .dir(repository)
            .env("PATH", &path)
            .env("CARGO_TARGET_DIR", target.join("fuzz-build"))
            .run()
            .unwrap_or_else(|error| panic!("{error}: the input is in tests/fuzz/artifacts/{name}"));
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// What the repository holds of the kind that a target reads.
fn seeds(repository: &Path, target: &str) -> Vec<Vec<u8>> {
    let chapters = paths(repository)
        .unwrap()
        .into_iter()
        .map(|path| Chapter::read(repository, &path).unwrap());
    let snapshots = chapters.map(|chapter| Snapshot::read(repository, &chapter.name));
    let snapshots = snapshots.map(|snapshot| snapshot.unwrap().expect("it was recorded"));
    let pages = pages(repository).unwrap().into_iter();
    let mut texts = pages.map(|page| text(repository, &page).unwrap());
    match target {
        "capture" => snapshots
            .filter_map(|snapshot| Some(file(&snapshot.transcript.frames?)))
            .collect(),
        // Many small inputs find more than a few large ones.
        "chapter" | "markdown" => texts
            .flat_map(|text| Vec::from_iter(text.split("\n## ").map(str::to_owned)))
            .map(String::into_bytes)
            .collect(),
        "drawing" => snapshots
            .flat_map(|snapshot| snapshot.transcript.records)
            .map(
                |Record {
                     command, output, ..
                 }| format!("{command}\n{}", output.stdout),
            )
            .filter(|text| text.len() < 10_000)
            .map(String::into_bytes)
            .collect(),
        "snapshot" => snapshots
            .flat_map(|snapshot| {
                let content = snapshot.content();
                let steps = content.split("\n\n").map(|step| format!("\n{step}\n"));
                Vec::from_iter(steps.map(String::into_bytes))
            })
            .collect(),
        "value" => {
            let all = texts.by_ref().collect::<String>();
            let page = Page::read(&all);
            let found = book::chapter::value::find(&page);
            let directives = found.iter().map(|(_, directive)| directive);
            let shown = "$1 = 192 is 0x20 of 08.5\nqlen 1000 mtu 1500\n";
            directives
                .map(|directive| format!("{directive}\n{shown}").into_bytes())
                .collect()
        }
        "exercise" => exercises(repository),
        "program" => vec![fs::read("/bin/true").unwrap(), b"#!/bin/sh\n".to_vec()],
        "report" => vec![REPORTS.to_vec()],
        "mi" => RECORDS
            .iter()
            .map(|line| line.as_bytes().to_vec())
            .collect(),
        _ => Vec::new(),
    }
}

/// What the exercises and the patches of the repository hold, file by file.
fn exercises(repository: &Path) -> Vec<Vec<u8>> {
    let folders = ["exercises", "patches"].map(|folder| repository.join(folder));
    let entries = folders.iter().flat_map(walkdir::WalkDir::new).flatten();
    let files = entries.filter(|entry| entry.file_type().is_file());
    files.map(|file| fs::read(file.path()).unwrap()).collect()
}

/// What the agent says of two short steps, behind the size of the pieces that it comes in.
const REPORTS: &[u8] =
    b"\x05begin 5.1\nout guest 4\na\nb\nerr server 0\nend server 2 17\ngone server\nnext\ndone\n";

/// What gdb says of a command, of a stop and of itself.
const RECORDS: [&str; 4] = [
    r#"~"start_kernel () at init/main.c:936\n""#,
    r#"*stopped,reason="breakpoint-hit",bkptno="1",frame={addr="0xffffffff81b2d6d0",func="start_kernel",args=[{name="a",value="1"}],line="936"},thread-id="1""#,
    r#"12^error,msg="No symbol \"x\" in current context.",list=["a","b"]"#,
    r#"=thread-group-added,id="i1""#,
];
