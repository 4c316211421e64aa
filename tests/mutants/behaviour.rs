//! What "the same in meaning" is worth: a kernel that was changed and does the same still passes
//! the chapters, and one that behaves otherwise does not.
//!
//! Some changes were planted by hand, and each has to show in the step that is about it. The others
//! are drawn, from the lines that the chapters run in the functions that they name: those that
//! behave otherwise (`mutate`), and those that do not (`neutral`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use book::chapter::{self, Chapter};
use lab::build::cache::Cache;
use lab::build::kernel;
use lab::build::pins::Pins;
use lab::build::setup::{self, Lab, Options};
use lab::build::sources;
use lab::transcript::step::Terminal;

use crate::changes::{PLANTS, Plant};
use crate::coverage::{Line, Lines};
use crate::judge::replay;
use crate::mutate::{self, Mutant};
use crate::neutral;
use crate::seed::{Random, seed};
use crate::survivors::Survivors;
use crate::tree::{Tree, fingerprint};
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
    let mut tree = Tree::copied(0);
    assert!(is_noticed(&mut tree, plant), "THESEUS_SEED={}", seed());
}

#[test]
#[ignore = "builds another kernel, which takes minutes"]
fn another_build_means_the_same() {
    let _turn = turn();
    let fragment = fragment().replace("CONFIG_HZ_100=y", "") + OTHERWISE;
    let alarms = false_alarms(&built(&fragment), [4, 5, 11]);
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}

#[test]
#[ignore = "makes a kernel for each change, which takes minutes"]
fn planted_changes_are_noticed() {
    let _turn = turn();
    let mut tree = Tree::copied(0);
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
    let steps = steps_about(plant);
    let mut otherwise = said.otherwise.iter();
    let shown = otherwise.find(|(name, _, diff)| steps.contains(name) && shows(diff));
    match shown {
        Some((step, ..)) => {
            let all = said.otherwise.len() + said.unreached;
            println!("behaviour: {}: step {step} shows it, of {all}", plant.what);
        }
        None => println!(
            "behaviour: {}: not noticed at {steps:?}: {said:#?}",
            plant.what
        ),
    }
    shown.is_some()
}

/// The steps that are about a planted change, by their numbers.
fn steps_about(plant: &Plant) -> Vec<String> {
    let path = chapter::find(&repository(), &plant.at.0.to_string()).unwrap();
    let steps = Chapter::read(&repository(), &path).unwrap().steps;
    let about = steps
        .iter()
        .filter(|step| plant.is_about(&step.terminal.to_string(), &step.command));
    about.map(|step| step.id.to_string()).collect()
}

#[test]
fn each_planted_change_has_a_step_that_is_about_it() {
    for plant in &PLANTS {
        let (chapter, step) = plant.at;
        let found = !steps_about(plant).is_empty();
        assert!(found, "{}: chapter {chapter} has no {step}", plant.what);
    }
}

/// The chapters that boot the book's kernel.
fn chapters() -> Vec<Chapter> {
    let paths = chapter::paths(&repository()).unwrap();
    let all = paths
        .iter()
        .map(|path| Chapter::read(&repository(), path).unwrap());
    all.filter(|chapter| chapter.patches.is_empty())
        .filter(|chapter| chapter.has(Terminal::Guest) || chapter.has(Terminal::Gdb))
        .collect()
}

/// The lines of the kernel that these chapters run. To see that takes a chapter a minute, so the
/// tests of one process share it.
fn run_by(lab: &Lab, chapters: &[Chapter]) -> BTreeMap<u32, BTreeSet<Line>> {
    static SEEN: Mutex<BTreeMap<u32, BTreeSet<Line>>> = Mutex::new(BTreeMap::new());
    let is_new = |number| !SEEN.lock().unwrap().contains_key(&number);
    let new: Vec<&Chapter> = chapters
        .iter()
        .filter(|chapter| is_new(chapter.number))
        .collect();
    if !new.is_empty() {
        let lines = Lines::of(lab);
        at_once(&new, |_, chapter| {
            let found = lines.run_by(chapter);
            SEEN.lock().unwrap().insert(chapter.number, found);
        });
    }
    let seen = SEEN.lock().unwrap();
    let of = |chapter: &Chapter| (chapter.number, seen[&chapter.number].clone());
    chapters.iter().map(of).collect()
}

/// Does this with each of all, as many at a time as there are processors, whose numbers it is
/// given.
pub fn at_once<T: Sync>(all: &[T], each: impl Fn(usize, &T) + Sync) {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for core in 0..cores.min(all.len()) {
            let (next, each) = (&next, &each);
            scope.spawn(move || {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    each(core, one);
                }
            });
        }
    });
}

/// A tree for each processor.
fn trees() -> Vec<Mutex<Tree>> {
    let cores = std::thread::available_parallelism().unwrap().get();
    (0..cores)
        .map(|core| Mutex::new(Tree::copied(core)))
        .collect()
}

/// What has become of the drawn changes.
#[derive(Default)]
struct Tally {
    noticed: usize,
    explained: usize,
    gaps: Vec<String>,
}

impl Tally {
    fn all(&self) -> usize {
        self.noticed + self.explained + self.gaps.len()
    }
}

/// Those changes of all that have a line of `texts` where the test tells what is done.
fn asked<T>(all: Vec<T>, texts: &str, what: impl Fn(&T) -> &str) -> Vec<T> {
    let is_asked = |one: &T| texts.lines().any(|text| what(one).contains(text));
    let found: Vec<T> = all.into_iter().filter(is_asked).collect();
    assert!(!found.is_empty(), "no change has the text {texts:?}");
    found
}

/// The chapters that can judge changes: one in real time would be judged by what the machine has to
/// do besides.
pub fn judges() -> Vec<Chapter> {
    let chapters = chapters().into_iter();
    chapters
        .filter(|chapter| !chapter.has(Terminal::Lab))
        .collect()
}

/// Judges drawn changes of what these chapters run, until so many had an effect on the image; with
/// `THESEUS_MUTANT`, those that have a line of it where the test tells what is done.
fn judge_mutants(chapters: &[Chapter], count: usize, score: usize) {
    let trees = trees();
    let lab = trees[0].lock().unwrap().lab.clone();
    let run = run_by(&lab, chapters);
    let named = chapters.iter().map(|chapter| {
        let text = std::fs::read_to_string(repository().join(&chapter.path)).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let words = words.filter(|word| !word.is_empty()).map(str::to_owned);
        (chapter.number, words.collect())
    });
    let all = mutate::all(&lab.kernel.tree, &named.collect(), &run);
    println!("behaviour: {} changes can be drawn", all.len());
    let book = fingerprint(&lab.kernel.vmlinux);
    let drawn = match std::env::var("THESEUS_MUTANT") {
        Ok(texts) => asked(all, &texts, |one| &one.what),
        Err(_) => mutate::draw(all, &mut Random::new("mutants"), count * 3),
    };
    let survivors = Survivors::read();
    let tally = Mutex::new(Tally::default());
    at_once(&drawn, |core, mutant| {
        if tally.lock().unwrap().all() >= count {
            return;
        }
        let start = Instant::now();
        let mut tree = trees[core].lock().unwrap();
        let what = &mutant.what;
        if tree.make(std::slice::from_ref(&mutant.edit)).is_err() {
            println!("behaviour: does not compile: {what}");
            return;
        }
        if tree.fingerprint() == book {
            println!("behaviour: the same instructions: {what}");
            return;
        }
        let first = noticer(&tree, mutant);
        let mut tally = tally.lock().unwrap();
        let told = match (first, survivors.why(what)) {
            (Some(first), _) => {
                tally.noticed += 1;
                format!("noticed at {first}")
            }
            (None, Some(why)) => {
                tally.explained += 1;
                format!("not noticed: {why}")
            }
            (None, None) => {
                tally.gaps.push(what.clone());
                format!("SURVIVES chapters {:?}", mutant.chapters)
            }
        };
        println!(
            "behaviour: {what}: {told} ({} s)",
            start.elapsed().as_secs()
        );
    });
    let Tally {
        noticed,
        explained,
        gaps,
    } = tally.into_inner().unwrap();
    let all = noticed + gaps.len();
    println!(
        "behaviour: THESEUS_SEED={}: {noticed} of {all} noticed, {explained} more change nothing \
         that the book is about",
        seed()
    );
    assert!(
        noticed * 100 >= all * score,
        "THESEUS_SEED={}: {gaps:#?}",
        seed()
    );
}

/// How many of a hundred changes of behaviour have to be noticed.
const SCORE: usize = 80;
/// How many of a few: survivors of a day are told, and an unlucky day is no reason to stop; fewer
/// than this mean that nobody judges any more.
const SCORE_OF_A_DAY: usize = 30;
/// Whose lines are changed on a day: to see which lines a chapter runs takes a minute each.
const CHAPTERS_OF_A_DAY: usize = 4;

/// The first chapter that notices, and where; those come first that name what is changed.
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
    let chapters = Random::new("chapters").sample(judges(), CHAPTERS_OF_A_DAY);
    let numbers: Vec<u32> = chapters.iter().map(|chapter| chapter.number).collect();
    println!("behaviour: of what chapters {numbers:?} run");
    judge_mutants(&chapters, 10, SCORE_OF_A_DAY);
}

#[test]
#[ignore = "makes a hundred kernels, which takes an hour or two"]
fn drawn_changes_are_noticed() {
    let _turn = turn();
    judge_mutants(&judges(), 100, SCORE);
}

/// Judges changes of each kind that must not be noticed, of `THESEUS_MUTANT` as above.
fn judge_neutral(of_each: usize) {
    let trees = trees();
    let lab = trees[0].lock().unwrap().lab.clone();
    let chapters = chapters();
    let run = run_by(&lab, &chapters);
    let mut shown = String::new();
    for chapter in &chapters {
        let snapshot = book::snapshot::path(&repository(), lab::SERIES, &chapter.name);
        for path in [repository().join(&chapter.path), snapshot] {
            shown += &std::fs::read_to_string(path).unwrap();
        }
    }
    let mut all = neutral::sample(&lab.kernel.tree, &run, &shown, of_each);
    if let Ok(texts) = std::env::var("THESEUS_MUTANT") {
        all = asked(all, &texts, |one| &one.what);
    }
    let alarms = Mutex::new(Vec::new());
    at_once(&all, |core, change| {
        let mut tree = trees[core].lock().unwrap();
        tree.make(&change.edits).unwrap();
        let found = false_alarms(tree.root(), chapters.iter().map(|chapter| chapter.number));
        let told = if found.is_empty() { "noise" } else { "ALARM" };
        println!("behaviour: {}: {told} {}", change.what, found.join("; "));
        let found = found
            .into_iter()
            .map(|found| format!("{}: {found}", change.what));
        alarms.lock().unwrap().extend(found);
    });
    let alarms = alarms.into_inner().unwrap();
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
