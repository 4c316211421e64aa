//! What "the same in meaning" is worth: a kernel that was built otherwise still passes the chapters, and one that behaves
//! otherwise does not.
//!
//! Every planted change stands beside what may not matter, in a kernel that passes without it. So the change is all that a
//! chapter can have noticed; and it has to show in the step that is about it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::changes::{NEUTRAL, PLANTS, Plant};
use crate::tree::Tree;
use crate::{repository, turn};

/// The fragment's lines that differ from the book's kernel: speed in place of size, which inlines and orders the
/// code anew, another tick, and a driver that the book does not have.
const OTHERWISE: &str = "
CONFIG_CC_OPTIMIZE_FOR_SIZE=n
CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE=y
CONFIG_HZ_100=n
CONFIG_HZ_250=y
CONFIG_TUN=y
";

fn fragment() -> String {
    let path = format!("kernel-configs/{}.config", runner::SERIES);
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

/// The chapters that are not the same with this kernel, although they should be, and where.
fn false_alarms(tree: &Path, chapters: impl IntoIterator<Item = u32>) -> Vec<String> {
    let mut alarms = Vec::new();
    for chapter in chapters {
        let found = replay(tree, chapter);
        let same = found.as_ref().is_ok_and(Vec::is_empty);
        println!(
            "behaviour: nothing planted, chapter {chapter} {}",
            if same { "is the same" } else { "differs" }
        );
        if !same {
            alarms.push(format!("chapter {chapter}: {found:#?}"));
        }
    }
    alarms
}

#[test]
#[ignore = "builds another kernel, which takes minutes"]
fn another_build_means_the_same() {
    let _turn = turn();
    let fragment = fragment().replace("CONFIG_HZ_100=y", "") + OTHERWISE;
    let tree = Tree::built(&fragment, &[]);
    let alarms = false_alarms(&tree.kernel.tree, [4, 5, 8]);
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}

#[test]
#[ignore = "builds a kernel, and again for each change, which takes minutes"]
fn planted_changes_are_noticed() {
    let _turn = turn();
    let plants = PLANTS.iter().map(|plant| &plant.change);
    let tree = Tree::built(&fragment(), &plants.chain(&NEUTRAL).collect::<Vec<_>>());
    tree.make(&NEUTRAL.each_ref());
    let chapters: BTreeSet<_> = PLANTS.iter().map(|plant| plant.chapter).collect();
    let alarms = false_alarms(&tree.kernel.tree, chapters);
    let noticed = PLANTS
        .iter()
        .filter(|plant| is_noticed(&tree, plant))
        .count();
    println!(
        "behaviour: {noticed} of {} planted changes noticed",
        PLANTS.len()
    );
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
    assert_eq!(noticed, PLANTS.len());
}

/// Whether the chapter fails with the change in the kernel, at the step that is about it.
fn is_noticed(tree: &Tree, plant: &Plant) -> bool {
    let changes: Vec<_> = NEUTRAL.iter().chain([&plant.change]).collect();
    tree.make(&changes);
    let found = replay(&tree.kernel.tree, plant.chapter);
    let step = format!("{}.{}", plant.chapter, plant.step);
    let noticed = found
        .as_ref()
        .is_ok_and(|steps| steps.iter().any(|(name, _)| *name == step));
    match found {
        Ok(steps) if noticed => {
            let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
            println!("behaviour: {}: {}", plant.what, names.join(" "));
        }
        found => println!(
            "behaviour: {}: NOT NOTICED at step {step}: {found:#?}",
            plant.what
        ),
    }
    noticed
}
