//! The book's exercises: what there is of them, and whether solutions and wrong answers do what
//! they are there for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use book::chapter::markdown::Page;
use book::chapter::{self, Chapter};
use book::exercise::{Exercise, Kind, place};

/// How many wrong answers an exercise has, at least.
const WRONG: usize = 3;
/// The first chapter that has exercises, and how many each has at least.
const FROM: u32 = 4;
const IN_CHAPTER: usize = 3;
/// How many of all are changes, at least.
const CHANGES: usize = 12;
/// How many are proved a day.
const A_DAY: usize = 3;

fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap().to_owned()
}

/// The exercises of each chapter, by its number.
fn placed() -> BTreeMap<u32, Vec<Exercise>> {
    let root = repository();
    let mut all = BTreeMap::new();
    for path in chapter::paths(&root).unwrap() {
        let text = chapter::text(&root, &path).unwrap();
        let number = Chapter::read(&root, &path).unwrap().number;
        let page = Page::read(&text);
        let (places, faults) = place::of_page(&path, &page);
        assert!(faults.is_empty(), "{faults:?}");
        let exercises = places
            .iter()
            .map(|place| Exercise::find(&root, place.name).unwrap());
        all.insert(number, exercises.collect());
    }
    all
}

#[test]
fn each_exercise_stands_in_a_chapter_and_has_answers_that_must_fail() {
    let root = repository();
    let placed = placed();
    for (number, exercises) in placed.range(FROM..) {
        assert!(exercises.len() >= IN_CHAPTER, "chapter {number}");
    }
    let all: Vec<&Exercise> = placed.values().flatten().collect();
    let mut names: Vec<&str> = all.iter().map(|exercise| &*exercise.name).collect();
    names.sort_unstable();
    assert_eq!(names, Exercise::names(&root).unwrap());
    for exercise in &all {
        let name = &exercise.name;
        assert!(exercise.wrong.len() >= WRONG, "{name}");
        let said = exercise.points.iter().flat_map(|point| {
            let known = point.wrong.iter().map(|miss| &miss.why);
            known.chain([&point.otherwise])
        });
        let said: Vec<&String> = said.collect();
        for wrong in &exercise.wrong {
            let is_said = said.iter().any(|text| text.contains(&wrong.why));
            assert!(is_said, "{name}: nobody is told {:?}", wrong.why);
        }
        let wrong = exercise.wrong.iter();
        let files = wrong.map(|wrong| exercise.wrong_file(wrong));
        let files = files.filter(|_| exercise.kind != Kind::Predict);
        for file in files
            .chain(exercise.solution())
            .chain(exercise.start(&root))
        {
            assert!(root.join(&file).is_file(), "{}", file.display());
        }
    }
    let changes = all.iter().filter(|exercise| exercise.kind == Kind::Change);
    assert!(changes.count() >= CHANGES);
}

/// Whether the solution reaches all points so many times, and each wrong answer fails for its
/// reason.
fn prove(names: &[&str], times: usize) {
    let mut failed = Vec::new();
    for name in names {
        let times = times.to_string();
        let status = Command::new(env!("CARGO_BIN_EXE_runner"))
            .args(["exercise", name, "prove", "--times", &times])
            .current_dir(repository())
            .status();
        if !status.unwrap().success() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
#[ignore = "it builds kernels for minutes"]
fn exercises_of_the_day_are_graded_as_their_authors_say() {
    let seed: usize = match std::env::var("THESEUS_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => 0,
    };
    let all = Exercise::names(&repository()).unwrap();
    // Day after day the next ones.
    let days = all.len().div_ceil(A_DAY).max(1);
    let drawn: Vec<&str> = all
        .iter()
        .skip(seed % days)
        .step_by(days)
        .map(String::as_str)
        .collect();
    println!("exercises: THESEUS_SEED={seed}: {}", drawn.join(", "));
    prove(&drawn, 1);
}

#[test]
#[ignore = "it builds kernels for hours"]
fn all_exercises_are_graded_as_their_authors_say() {
    let all = Exercise::names(&repository()).unwrap();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    prove(&all, 20);
}
