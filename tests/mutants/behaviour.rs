//! What "the same in meaning" is worth: a kernel that was changed and does the same still passes the
//! chapters, and one that behaves otherwise does not.
//!
//! Some changes were planted by hand, and each has to show in the step that is about it. The others
//! are drawn, from the lines that the chapters run in the functions that they name: those that
//! behave otherwise (`mutate`), and those that do not (`neutral`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use book::chapter::{self, Chapter};
use lab::build::cache::Cache;
use lab::build::kernel;
use lab::build::pins::Pins;
use lab::build::setup::{self, Options};
use lab::build::sources;
use lab::transcript::step::Terminal;

use crate::changes::{PLANTS, Plant};
use crate::coverage::{Line, Lines};
use crate::judge::replay;
use crate::mutate::{self, Mutant};
use crate::neutral;
use crate::seed::{Random, seed};
use crate::survivors::Survivors;
use crate::tree::Tree;
use crate::{repository, turn};

/// The fragment's lines that differ from the book's kernel: speed in place of size, which inlines
/// and orders the code anew, another tick, and a driver that the book does not have.
const OTHERWISE: &str = "
CONFIG_CC_OPTIMIZE_FOR_SIZE=n
CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE=y
CONFIG_HZ_100=n
CONFIG_HZ_250=y
CONFIG_TUN=y
";

fn fragment() -> String {
    let path = format!("kernel-configs/{}.config", lab::SERIES);
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// A kernel of this fragment, built in a cache of this test's own if it is not there.
fn built(fragment: &str) -> PathBuf {
    let pins = Pins::read(&repository()).unwrap();
    let pin = pins.kernel(lab::SERIES).unwrap();
    let source = sources::kernel(&Cache::of_user().unwrap(), pin, None).unwrap();
    let cache = Cache::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels"));
    let options = Options {
        cache: cache.clone(),
        ..Options::new(repository()).unwrap()
    };
    let sandbox = setup::programs(&options).unwrap();
    let kernel = kernel::ready(&cache, &sandbox, pin, fragment, &source);
    kernel.unwrap().tree
}

/// What the replays with this kernel say of the chapters that are not the same, and should be.
fn false_alarms(tree: &Path, chapters: impl IntoIterator<Item = u32>) -> Vec<String> {
    let mut alarms = Vec::new();
    for chapter in chapters {
        let said = replay(tree, chapter);
        if said.is_other() {
            alarms.push(format!("chapter {chapter} {}", said.first()));
        }
    }
    alarms
}

/// One change a day: an hour is not needed to see that the chapters still notice.
#[test]
#[ignore = "makes a kernel, which takes a minute; CI runs it"]
fn a_planted_change_of_the_day_is_noticed() {
    let _turn = turn();
    let plant = Random::new("plants").sample(PLANTS.iter().collect(), 1)[0];
    println!("behaviour: THESEUS_SEED={}: {}", seed(), plant.what);
    let mut tree = Tree::copied();
    assert!(is_noticed(&mut tree, plant), "THESEUS_SEED={}", seed());
}

#[test]
#[ignore = "builds another kernel, which takes minutes"]
fn another_build_means_the_same() {
    let _turn = turn();
    let fragment = fragment().replace("CONFIG_HZ_100=y", "") + OTHERWISE;
    let alarms = false_alarms(&built(&fragment), [4, 5, 8]);
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}

#[test]
#[ignore = "makes a kernel for each change, which takes minutes"]
fn planted_changes_are_noticed() {
    let _turn = turn();
    let mut tree = Tree::copied();
    let noticed = PLANTS.iter().filter(|plant| is_noticed(&mut tree, plant));
    let noticed = noticed.count();
    println!(
        "behaviour: {noticed} of {} planted changes noticed",
        PLANTS.len()
    );
    assert_eq!(noticed, PLANTS.len());
}

/// Whether the chapter fails with the change in the kernel, at the step that is about it, and so.
fn is_noticed(tree: &mut Tree, plant: &Plant) -> bool {
    tree.make(&[plant.change.edit()]).unwrap();
    let said = replay(tree.root(), plant.at.0);
    let (sign, text) = plant.shows.split_at(1);
    let shows = |diff: &str| {
        let mut lines = diff.lines();
        lines.any(|line| line.starts_with(sign) && line.contains(text))
    };
    let step = plant.step();
    let mut steps = said.otherwise.iter();
    let noticed = steps.any(|(name, _, diff)| *name == step && shows(diff));
    if noticed {
        let all = said.otherwise.len() + said.unreached;
        println!("behaviour: {}: step {step} shows it, of {all}", plant.what);
    } else {
        println!(
            "behaviour: {}: not noticed at step {step}: {said:#?}",
            plant.what
        );
    }
    noticed
}

/// The chapters that boot the kernel.
fn chapters() -> Vec<Chapter> {
    let paths = chapter::paths(&repository()).unwrap();
    let all = paths
        .iter()
        .map(|path| Chapter::read(&repository(), path).unwrap());
    all.filter(|chapter| chapter.has(Terminal::Guest) || chapter.has(Terminal::Gdb))
        .collect()
}

/// The lines of the kernel that these chapters run.
fn run_by(tree: &Tree, chapters: &[Chapter]) -> BTreeMap<u32, BTreeSet<Line>> {
    let lines = Lines::of(&tree.lab);
    let run = |chapter: &Chapter| (chapter.number, lines.run_by(chapter.number));
    chapters.iter().map(run).collect()
}

/// Judges drawn changes that behave otherwise, until so many had an effect on the image.
fn judge_mutants(count: usize) {
    let mut tree = Tree::copied();
    // A chapter in real time would be judged by what the machine has to do besides.
    let chapters = chapters()
        .into_iter()
        .filter(|chapter| !chapter.has(Terminal::Lab));
    let chapters: Vec<Chapter> = chapters.collect();
    let run = run_by(&tree, &chapters);
    let named = chapters.iter().map(|chapter| {
        let text = std::fs::read_to_string(repository().join(&chapter.path)).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let words = words.filter(|word| !word.is_empty()).map(str::to_owned);
        (chapter.number, words.collect())
    });
    let all = mutate::all(&tree.lab.kernel.tree, &named.collect(), &run);
    println!("behaviour: {} changes can be drawn", all.len());
    let book = std::fs::read(&tree.lab.kernel.bzimage).unwrap();
    let mut drawn = Random::new("mutants").sample(all, count * 3).into_iter();
    let survivors = Survivors::read();
    let (mut noticed, mut explained, mut gaps) = (0, 0, Vec::new());
    while noticed + explained + gaps.len() < count {
        let Some(mutant) = drawn.next() else { break };
        let start = Instant::now();
        if tree.make(std::slice::from_ref(&mutant.edit)).is_err() {
            println!("behaviour: does not compile: {}", mutant.what);
            continue;
        }
        if std::fs::read(tree.image()).unwrap() == book {
            println!("behaviour: the same image: {}", mutant.what);
            continue;
        }
        let what = &mutant.what;
        let told = match (noticer(&tree, &mutant), survivors.why(what)) {
            (Some(first), _) => {
                noticed += 1;
                format!("noticed at {first}")
            }
            (None, Some(why)) => {
                explained += 1;
                format!("not noticed: {why}")
            }
            (None, None) => {
                gaps.push(what.clone());
                format!("SURVIVES chapters {:?}", mutant.chapters)
            }
        };
        println!(
            "behaviour: {what}: {told} ({} s)",
            start.elapsed().as_secs()
        );
    }
    let all = noticed + gaps.len();
    println!(
        "behaviour: THESEUS_SEED={}: {noticed} of {all} noticed, {explained} more change nothing \
         that the book is about",
        seed()
    );
    assert!(
        noticed * 100 >= all * SCORE,
        "THESEUS_SEED={}: {gaps:#?}",
        seed()
    );
}

/// How many of a hundred changes of behaviour have to be noticed.
const SCORE: usize = 80;

/// The first chapter that notices, and where.
fn noticer(tree: &Tree, mutant: &Mutant) -> Option<String> {
    let mut chapters = mutant.chapters.iter();
    chapters.find_map(|chapter| {
        let said = replay(tree.root(), *chapter);
        said.is_other().then(|| said.first())
    })
}

#[test]
#[ignore = "makes ten kernels, which takes minutes; CI runs it"]
fn drawn_changes_of_the_day_are_noticed() {
    let _turn = turn();
    judge_mutants(10);
}

#[test]
#[ignore = "makes a hundred kernels, which takes an hour or two"]
fn drawn_changes_are_noticed() {
    let _turn = turn();
    judge_mutants(100);
}

/// Judges changes of each kind that must not be noticed.
fn judge_neutral(of_each: usize) {
    let mut tree = Tree::copied();
    let chapters = chapters();
    let run = run_by(&tree, &chapters);
    let mut shown = String::new();
    for chapter in &chapters {
        let snapshot = book::snapshot::path(&repository(), &chapter.name);
        for path in [repository().join(&chapter.path), snapshot] {
            shown += &std::fs::read_to_string(path).unwrap();
        }
    }
    let all = neutral::sample(&tree.lab.kernel.tree, &run, &shown, of_each);
    let mut alarms = Vec::new();
    for change in &all {
        tree.make(&change.edits).unwrap();
        let found = false_alarms(tree.root(), chapters.iter().map(|chapter| chapter.number));
        let told = if found.is_empty() { "noise" } else { "ALARM" };
        println!("behaviour: {}: {told} {}", change.what, found.join("; "));
        alarms.extend(
            found
                .into_iter()
                .map(|found| format!("{}: {found}", change.what)),
        );
    }
    println!(
        "behaviour: THESEUS_SEED={}: {} alarms in {} neutral changes",
        seed(),
        alarms.len(),
        all.len()
    );
    assert!(alarms.is_empty(), "THESEUS_SEED={}: {alarms:#?}", seed());
}

#[test]
#[ignore = "makes twenty kernels and replays all chapters on each, which takes half an hour"]
fn neutral_changes_are_noise() {
    let _turn = turn();
    judge_neutral(4);
}
