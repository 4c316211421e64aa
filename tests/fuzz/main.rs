//! The parsers of what others write, fuzzed: chapters, gdb's records, the guest's reports, captures, snapshots, programs.
//!
//! cargo-fuzz builds the targets beside this file. Each runs for a fixed number of inputs, from a fixed seed and from what
//! the repository holds of its kind. What was found once is a test of the module that it was found in.
//! One target for longer, once this has run:
//! `PATH=$PWD/target/tmp/tools/bin:$PATH cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none mi target/tmp/fuzz/mi`

use std::fs;
use std::path::Path;

use duct::cmd;
use runner::capture::file;
use runner::chapter::{Chapter, pages, paths, text};
use runner::markdown::Page;
use runner::snapshot::Snapshot;
use runner::value;

/// How many inputs each target has. A program is written to the disk and read again, and a value makes patterns of what
/// it looks for, which is slow.
const TARGETS: [(&str, u32); 8] = [
    ("capture", 100_000),
    ("chapter", 50_000),
    ("mi", 500_000),
    ("program", 10_000),
    ("report", 500_000),
    ("snapshot", 50_000),
    ("value", 20_000),
    ("words", 500_000),
];

/// The release that the targets are built with.
const VERSION: &str = "0.13.2";

#[test]
#[ignore = "takes minutes; CI runs it with the other slow proofs"]
fn no_input_breaks_a_parser() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
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
    for (name, count) in TARGETS {
        let corpus = target.join("fuzz").join(name);
        let _ = fs::remove_dir_all(&corpus);
        fs::create_dir_all(&corpus).unwrap();
        for (number, seed) in seeds(repository, name).iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), seed).unwrap();
        }
        // The parsers are safe Rust, where a sanitizer has nothing to find, and without one stable Rust will do.
        let line = format!(
            "fuzz run --fuzz-dir tests/fuzz --sanitizer none {name} {} -- -runs={count} -seed=1 -max_len=65536 -timeout=10",
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
        "chapter" => texts
            .flat_map(|text| Vec::from_iter(text.split("\n## ").map(str::to_owned)))
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
            let found = value::find(&page);
            let directives = found.iter().map(|(_, directive)| directive);
            let shown = "$1 = 192 is 0x20 of 08.5\nqlen 1000 mtu 1500\n";
            directives
                .map(|directive| format!("{directive}\n{shown}").into_bytes())
                .collect()
        }
        "program" => vec![fs::read("/bin/true").unwrap(), b"#!/bin/sh\n".to_vec()],
        "report" => vec![REPORTS.to_vec()],
        "mi" => RECORDS
            .iter()
            .map(|line| line.as_bytes().to_vec())
            .collect(),
        _ => Vec::new(),
    }
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
