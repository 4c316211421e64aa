//! What "the same in meaning" is worth: a kernel that was built otherwise still passes the
//! chapters, and one that behaves otherwise does not.
//!
//! Every planted change stands beside what may not matter, in a kernel that passes without it. So
//! the change is all that a chapter can have noticed; and it has to show in the step that is about
//! it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::changes::{COMMENTS, PADDING, PLANTS, Plant};
use crate::seed::{Random, seed};
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

/// The chapters that show addresses of buffers, ports, sequence numbers or checksums byte by byte,
/// or wait for a time that is drawn. Every other kernel draws others, as interrupts and clocks are
/// what it draws from.
const DRAWN: [u32; 4] = [6, 7, 10, 11];

fn fragment() -> String {
    let path = format!("kernel-configs/{}.config", lab::SERIES);
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// The steps of the chapter that differ with this kernel, with how they differ.
fn replay(tree: &Path, chapter: u32) -> Result<Vec<(String, String)>, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(["chapter", &chapter.to_string(), "--json", "--kernel"])
        .arg(tree)
        .current_dir(repository())
        .output()
        .unwrap();
    // A replay that stopped halfway has said why, and has no verdict.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let whole: Value = serde_json::from_slice(&output.stdout).map_err(|_| said)?;
    let steps = whole["result"]["steps"].as_array();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps: Vec<_> = steps
        .into_iter()
        .flatten()
        .map(|step| (text(&step["step"]), text(&step["diff"])))
        .collect();
    assert_eq!(output.status.code(), Some(i32::from(!steps.is_empty())));
    Ok(steps)
}

/// What the replays with this kernel say of the chapters that are not the same, and should be.
fn false_alarms(tree: &Path, chapters: impl IntoIterator<Item = u32>) -> Vec<String> {
    let mut alarms = Vec::new();
    for chapter in chapters {
        let found = replay(tree, chapter);
        if found.as_ref().is_ok_and(Vec::is_empty) {
            println!("behaviour: nothing planted: chapter {chapter} is the same");
        } else {
            alarms.push(format!("chapter {chapter}: {found:#?}"));
        }
    }
    alarms
}

/// One change a day, beside the padding: an hour is not needed to see that the chapters still
/// notice.
#[test]
#[ignore = "builds a part of a kernel twice, which takes minutes; CI runs it"]
fn a_change_of_the_day_is_noticed() {
    let _turn = turn();
    let plant = Random::new("plants").sample(PLANTS.iter().collect(), 1)[0];
    println!("behaviour: THESEUS_SEED={}: {}", seed(), plant.what);
    let tree = Tree::copied(
        &[&plant.change]
            .into_iter()
            .chain(&PADDING)
            .collect::<Vec<_>>(),
    );
    tree.make(&PADDING.each_ref());
    assert_moved(&tree.root, plant.at.0);
    assert!(is_noticed(&tree, plant), "THESEUS_SEED={}", seed());
}

#[test]
#[ignore = "builds another kernel, which takes minutes"]
fn another_build_means_the_same() {
    let _turn = turn();
    let fragment = fragment().replace("CONFIG_HZ_100=y", "") + OTHERWISE;
    let tree = Tree::built(&fragment, &[]);
    let alarms = false_alarms(&tree.root, [4, 5, 8]);
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}

#[test]
#[ignore = "builds a kernel, and again for each change, which takes minutes"]
fn planted_changes_are_noticed() {
    let _turn = turn();
    let files = PLANTS.iter().map(|plant| &plant.change).chain(&PADDING);
    let tree = Tree::built(&fragment(), &files.collect::<Vec<_>>());
    let chapters: BTreeSet<_> = PLANTS.iter().map(|plant| plant.at.0).collect();

    tree.make(&COMMENTS.each_ref());
    let alarms = false_alarms(&tree.root, chapters.iter().copied());
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));

    tree.make(&PADDING.each_ref());
    for &chapter in &chapters {
        assert_moved(&tree.root, chapter);
    }

    let noticed = PLANTS
        .iter()
        .filter(|plant| is_noticed(&tree, plant))
        .count();
    println!(
        "behaviour: {noticed} of {} planted changes noticed",
        PLANTS.len()
    );
    assert_eq!(noticed, PLANTS.len());
}

/// A kernel at other addresses is the same in meaning, but where it shows the numbers that it has
/// drawn, and the moments that hang on them; no step that a change has to show in is among these.
fn assert_moved(tree: &Path, chapter: u32) {
    let found = replay(tree, chapter).unwrap();
    let steps: Vec<_> = found.iter().map(|(step, _)| step.as_str()).collect();
    println!("behaviour: only moved: chapter {chapter} differs in {steps:?}");
    assert!(steps.is_empty() || DRAWN.contains(&chapter), "{found:#?}");
    for plant in PLANTS.iter().filter(|plant| plant.at.0 == chapter) {
        assert!(!steps.contains(&plant.step().as_str()), "{found:#?}");
    }
}

/// Whether the chapter fails with the change in the kernel, at the step that is about it, and so.
fn is_noticed(tree: &Tree, plant: &Plant) -> bool {
    tree.make(&PADDING.iter().chain([&plant.change]).collect::<Vec<_>>());
    let found = replay(&tree.root, plant.at.0);
    let (sign, text) = plant.shows.split_at(1);
    let shows = |diff: &str| {
        let mut lines = diff.lines();
        lines.any(|line| line.starts_with(sign) && line.contains(text))
    };
    let step = plant.step();
    let noticed = found.as_ref().is_ok_and(|steps| {
        let mut steps = steps.iter();
        steps.any(|(name, diff)| *name == step && shows(diff))
    });
    if noticed {
        println!("behaviour: {}: step {step} shows it", plant.what);
    } else {
        println!(
            "behaviour: {}: not noticed at step {step}: {found:#?}",
            plant.what
        );
    }
    noticed
}
