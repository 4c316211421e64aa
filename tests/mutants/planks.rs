//! The planks of chapter 16: a table there says which chapters notice each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use lab::build::patch::{self, Patch};
use lab::build::rework::Rework;
use lab::build::setup::{self, Options};

use crate::behaviour::{at_once, judges};
use crate::judge::replay;
use crate::{repository, turn};

/// The first chapter that the table does not leave out: chapter 1 looks at the image's bytes.
const FIRST: u32 = 2;
/// The chapter with the table, and so the first of those on kernels of their own.
const OWN: u32 = 16;
const HEAD: &str = "| plank | who notices | in what |";

/// Who notices each plank, by the table.
fn table() -> BTreeMap<String, BTreeSet<u32>> {
    let page = std::fs::read_to_string(repository().join("chapters/16-planks.md")).unwrap();
    let (_, table) = page.split_once(HEAD).unwrap();
    let rows = table.trim_start().lines().skip(1);
    let mut planks: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    let mut plank = String::new();
    for row in rows.take_while(|row| row.starts_with('|')) {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, who, ..] = columns[..] else {
            panic!("{row}");
        };
        if !name.is_empty() {
            plank = name.trim_matches('`').to_owned();
        }
        let words = who.split(|c: char| !c.is_ascii_digit());
        let chapters = words.filter_map(|word| word.parse::<u32>().ok());
        planks.entry(plank.clone()).or_default().extend(chapters);
    }
    planks
}

#[test]
fn the_table_has_each_plank_of_the_book() {
    let names: BTreeSet<String> = table().into_keys().collect();
    let page = std::fs::read_to_string(repository().join("chapters/16-planks.md")).unwrap();
    let shown = page.lines().filter_map(|line| {
        let name = line.strip_prefix("<!-- runner patch ")?;
        name.split_ascii_whitespace().next().map(str::to_owned)
    });
    assert_eq!(names, shown.collect());
}

#[test]
#[ignore = "makes seven kernels and replays thirteen chapters on each, which takes half an hour"]
fn each_plank_is_noticed_by_those_whom_the_table_names() {
    let _turn = turn();
    let lab = setup::ready(&Options::new(repository()).unwrap()).unwrap();
    let judges = judges().into_iter().map(|chapter| chapter.number);
    let judges: Vec<u32> = judges
        .filter(|number| (FIRST..OWN).contains(number))
        .collect();
    let wrong = Mutex::new(Vec::new());
    let planks: Vec<(String, BTreeSet<u32>)> = table().into_iter().collect();
    at_once(&planks, |core, (plank, says)| {
        let mut lab = lab.clone();
        let patch = Patch::of_book(&repository(), plank).unwrap();
        lab.kernel.patched = patch::patched(&lab.kernel.tree, &[patch]).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("planks/{core}"));
        // Whoever was killed here has left something.
        let _ = std::fs::remove_dir_all(&folder);
        let tree = Rework::copied(&lab, &folder).unwrap();
        tree.make(&[], &mut BTreeSet::new()).unwrap();
        let notice = |number: &u32| replay(&tree.tree, *number).is_other();
        let notice: BTreeSet<u32> = judges.iter().copied().filter(notice).collect();
        println!("planks: {plank} is noticed by {notice:?}");
        let told = says.iter().copied();
        let told = told.filter(|number| judges.contains(number));
        if notice != told.collect() {
            let mut wrong = wrong.lock().unwrap();
            wrong.push(format!(
                "{plank}: chapter 16 says {says:?}, and it is {notice:?}"
            ));
        }
        std::fs::remove_dir_all(&folder).unwrap();
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
