//! The promise on machines that are not Debian 12: the same bytes, from an empty cache, as root and
//! as an ordinary user.
//!
//!     cargo test --test machines -- --ignored --nocapture
//!
//! makes the roots of Debian 13 and of sid below target/tmp/machines (it must be root for that, and
//! needs debootstrap), with little more in them than Rust's own linker. In each, the README's two
//! commands run: all chapters as both users, and the tests. `THESEUS_ROOTS` names other ones:
//! suites of Debian, or paths of roots that were unpacked from a container's image. They are used
//! as they are; a C linker, curl and util-linux must be in them.
//!
//! What each prints is kept below target/tmp/machines/logs. In the first root the lab is built from
//! nothing; the others get a copy of it, which must serve them. While you mend something, the first
//! can have a copy, too: `THESEUS_LAB` names a cache.

mod root;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use root::{READER, Root, Run};

/// The chapter that talks to a network in real time is compared by meaning.
const BY_MEANING: usize = 11;

/// The numbers of all chapters of the book.
fn chapters() -> RangeInclusive<usize> {
    1..=book::chapter::paths(&repository()).unwrap().len()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// What the verdict on a chapter was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Exact,
    Meaning,
    Different,
    None,
}

impl Verdict {
    fn of(run: &Run, chapter: usize) -> Self {
        let begins = format!("chapter {chapter}: ");
        let said = run
            .lines
            .iter()
            .find_map(|(_, line)| line.strip_prefix(&begins));
        match said {
            Some(said) if said.starts_with("the same, byte for byte") => Self::Exact,
            Some(said) if said.starts_with("the same in meaning") => Self::Meaning,
            Some(said) if said.starts_with("different") => Self::Different,
            _ => Self::None,
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Exact => '=',
            Self::Meaning => '~',
            Self::Different => '!',
            Self::None => '-',
        }
    }
}

/// A row of the table: what a user of a root has seen.
struct Row {
    root: String,
    user: &'static str,
    run: Run,
}

impl Row {
    fn verdicts(&self) -> impl Iterator<Item = (usize, Verdict)> {
        chapters().map(|chapter| (chapter, Verdict::of(&self.run, chapter)))
    }

    fn is_as_promised(&self) -> bool {
        let good = |(chapter, verdict)| match verdict {
            Verdict::Exact => true,
            Verdict::Meaning => chapter == BY_MEANING,
            Verdict::Different | Verdict::None => false,
        };
        self.run.well && self.verdicts().all(good)
    }
}

#[test]
#[ignore = "takes most of an hour, root's rights and debootstrap; every night has it"]
fn every_chapter_is_the_same_on_machines_that_are_not_debian_12() {
    assert!(
        rustix::process::geteuid().is_root(),
        "debootstrap and mounts want root's rights: run this as root"
    );
    let wanted = std::env::var("THESEUS_ROOTS").unwrap_or_else(|_| "trixie sid".to_owned());
    let mut rows = Vec::new();
    let mut tests = Vec::new();
    let mut lab = std::env::var_os("THESEUS_LAB").map(PathBuf::from);
    for name in wanted.split_whitespace() {
        let root = Root::of(name);
        if let Some(lab) = &lab {
            root.copy_cache(lab, READER);
        }
        // Compiling is a part of its own.
        let compiled = root.run(READER, "build", "cargo build -p runner");
        assert!(compiled.well, "the runner cannot be compiled in {name}");
        let mut verify = |user| {
            let run = root.run(user, "verify", "cargo run -q -p runner -- verify");
            let root = root.name.clone();
            rows.push(Row { root, user, run });
        };
        verify(READER);
        let lab = lab.get_or_insert_with(|| root.cache_of(READER));
        root.copy_cache(lab, "root");
        verify("root");
        let ran = root.run(READER, "test", "cargo test");
        tests.push((root.name.clone(), ran, compiled.seconds));
    }
    print!("{}", table(&rows, &tests));
    let promised = rows.iter().all(Row::is_as_promised);
    assert!(promised, "a chapter is not what the book says");
    assert!(tests.iter().all(|(_, ran, _)| ran.well), "a test fails");
}

/// What the reader of the log looks for.
fn table(rows: &[Row], tests: &[(String, Run, f64)]) -> String {
    let numbers: String = chapters().map(|chapter| format!("{chapter:>3}")).collect();
    let mut text = format!("\n{:24}{numbers}   seconds\n", "chapter");
    for row in rows {
        let signs = row
            .verdicts()
            .map(|(_, verdict)| format!("{:>3}", verdict.sign()));
        let signs: String = signs.collect();
        let name = format!("{} {}", row.root, row.user);
        text += &format!("{name:24}{signs}   {:.0}\n", row.run.seconds);
    }
    text += "= byte for byte, ~ in meaning, ! different, - not replayed\n\n";
    for (root, ran, compiled) in tests {
        let how = if ran.well { "passes" } else { "FAILS" };
        let seconds = ran.seconds;
        text += &format!("{root}: cargo test {how} ({seconds:.0} s); compiling {compiled:.0} s\n");
    }
    let parts = rows.iter().take(1).flat_map(|row| &row.run.lines);
    for (seconds, part) in parts.filter(|(_, line)| line.contains(": done (")) {
        text += &format!("{seconds:6.0} {part}\n");
    }
    text
}
