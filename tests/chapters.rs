//! Every chapter of the book is still true, and says the same each time.
//!
//! This file lies beside the snapshots, because `cargo insta review` looks for them there.

use std::collections::BTreeMap;
use std::path::Path;

use book::chapter::{self, Chapter};
use book::prose::glossary;
use book::snapshot::noise::Noise;
use book::snapshot::reasons::Reasons;
use book::snapshot::{Snapshot, drift};
use lab::build::pins::Pins;
use lab::replay::provenance;
use lab::transcript::step::StepId;
use walkdir::WalkDir;

use fixture::{Ran, from_json, repository};

#[path = "support/fixture.rs"]
#[allow(dead_code, reason = "the fixture's book is for other tests")]
mod fixture;
#[path = "support/seed.rs"]
#[allow(dead_code, reason = "nothing is drawn here")]
mod seed;

fn chapter_names() -> Vec<String> {
    let paths = chapter::paths(&repository()).unwrap();
    paths
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn runner(arguments: &[&str]) -> Ran {
    let mut command = fixture::runner();
    command.args(arguments).current_dir(repository());
    Ran::of(command)
}

/// On a difference insta shows it, and keeps what ran for `cargo insta review`.
#[test]
fn every_chapter_replays_as_recorded() {
    let names = chapter_names();
    assert!(names.len() >= 5, "{names:?}");
    let verified = runner(&["verify"]);
    if verified.code == Some(0) {
        verified.prints(&format!("{} chapters: all the same", names.len()));
        return;
    }
    // What differs is in the chapter's own replay.
    for name in names {
        let ran = runner(&["chapter", &name, "--json"]);
        if ran.code == Some(0) {
            continue;
        }
        assert_eq!(ran.code, Some(1), "{name}: {ran:#?}");
        let now = from_json(&ran.json());
        let folder = repository().join("tests/snapshots/6.1");
        insta::with_settings!({
            snapshot_path => folder,
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(name.as_str(), now.content()) });
        panic!("{name}: {ran:#?}");
    }
    panic!("{verified:#?}");
}

/// The names in the text, too, and the list of what is none.
#[test]
fn every_name_in_the_text_is_the_kernels_and_recorded() {
    runner(&["claims"]).ends_with(0).prints("0 unknown");
}

/// A lab of this repository that differs from the recorded one differs because of the machine, and
/// the chapter may be the same in meaning. After a change of the repository the chapters are
/// recorded anew.
#[test]
fn every_snapshot_was_recorded_with_what_the_repository_holds_now() {
    for series in all_series() {
        let now = provenance::repository(&repository(), &series).unwrap();
        for name in chapter_names() {
            let recorded = Snapshot::of_series(&repository(), &series, &name).unwrap();
            let is_book = series == lab::SERIES;
            let Some(recorded) = recorded else {
                assert!(!is_book, "{name} was never recorded");
                continue;
            };
            let fact = (provenance::REPOSITORY.to_owned(), now.clone());
            assert!(
                recorded.provenance.contains(&fact),
                "kernel-configs/ or rootfs/ has changed since {name} was recorded on {series}; \
                 read what changes: cargo run -p runner -- record {name} --series {series}"
            );
        }
    }
}

/// What has changed from the book's kernel to another is explained only where it has.
#[test]
fn what_is_explained_of_another_series_is_otherwise_there() {
    for series in all_series() {
        let reasons = Reasons::read(&repository(), &series).unwrap();
        let fates: BTreeMap<_, _> = fates(&series).into_iter().collect();
        for id in reasons.steps() {
            let fate = fates.get(&id);
            let is_otherwise = fate.is_some_and(|fate| {
                matches!(fate, drift::Fate::Otherwise(_) | drift::Fate::Absent)
            });
            assert!(is_otherwise, "drift/{series}.toml explains {id}: {fate:?}");
        }
    }
}

/// What has become of all steps on a series on which their chapters were recorded.
fn fates(series: &str) -> Vec<(StepId, drift::Fate)> {
    let fates = chapter_names().into_iter().map(|name| {
        let chapter = Chapter::find(&repository(), &name).unwrap();
        let fates = drift::between(&repository(), &chapter, lab::SERIES, series);
        fates.unwrap().unwrap_or_default()
    });
    fates.flatten().collect()
}

/// Each step that does something else on another series, or is not there, is explained.
#[test]
fn no_step_that_is_otherwise_on_another_series_is_unexplained() {
    for series in all_series() {
        let reasons = Reasons::read(&repository(), &series).unwrap();
        let counts = drift::Counts::of(&fates(&series), &reasons);
        assert_eq!(
            counts.unexplained, 0,
            "runner drift --to {series} counts them, and runner drift CHAPTER shows them"
        );
    }
}

/// The other forms are those with which the chapters were recorded.
#[test]
fn every_other_form_was_recorded() {
    for series in all_series() {
        let reasons = Reasons::read(&repository(), &series).unwrap();
        for (id, form) in reasons.forms() {
            let chapter = Chapter::find(&repository(), &id.chapter.to_string()).unwrap();
            let recorded = Snapshot::of_series(&repository(), &series, &chapter.name).unwrap();
            let recorded = recorded.unwrap_or_else(|| {
                panic!("step {id} has another form on {series}, where it was never recorded")
            });
            reasons.typed(chapter).unwrap();
            let record = recorded.record(id).map(|record| &*record.command);
            assert_eq!(record, Some(&*form.command), "step {id} on {series}");
        }
    }
}

/// Without its other form a step does not say what the book says, or one that follows from it is
/// another than with it. One of them is tried, which is another every day.
#[test]
fn a_form_is_needed() {
    let forms = all_forms();
    if let Some(turn) = seed::seed().checked_rem(forms.len() as u64) {
        eprintln!("THESEUS_SEED={}", seed::seed());
        try_without(&forms[turn as usize]);
    }
}

#[test]
#[ignore = "replays a chapter for each form"]
fn every_form_is_needed() {
    all_forms().iter().for_each(try_without);
}

/// All other forms: their series and steps.
fn all_forms() -> Vec<(String, StepId)> {
    let mut found = Vec::new();
    for series in all_series() {
        let reasons = Reasons::read(&repository(), &series).unwrap();
        found.extend(reasons.forms().map(|(id, _)| (series.clone(), id)));
    }
    found
}

fn try_without((series, id): &(String, StepId)) {
    let chapter = Chapter::find(&repository(), &id.chapter.to_string()).unwrap();
    let (number, step) = (chapter.number.to_string(), id.to_string());
    let arguments = ["--series", series, "--without-form", &step, "--json"];
    let ran = runner(&[&["chapter", &number], &arguments[..]].concat());
    let without = from_json(&ran.json());
    let noise = Noise::read(&repository(), &chapter.name).unwrap();
    let read = |series| Snapshot::of_series(&repository(), series, &chapter.name);
    let [book, with] = [lab::SERIES, series].map(|series| read(series).unwrap().unwrap());
    let reasons = Reasons::read(&repository(), series).unwrap();
    let otherwise = |replays, reasons| -> Vec<StepId> {
        let fates = drift::fates(&chapter, &noise, replays, &reasons);
        let is_otherwise =
            |fate: &drift::Fate| matches!(fate, drift::Fate::Otherwise(_) | drift::Fate::Absent);
        let otherwise = fates.into_iter().filter(|(_, fate)| is_otherwise(fate));
        otherwise.map(|(id, _)| id).collect()
    };
    let none = Reasons::default();
    let less = reasons.clone().without_form(*id);
    let than_the_book = otherwise([book, without.clone()], [none, less.clone()]);
    let than_with_it = otherwise([with, without], [reasons, less]);
    assert!(
        than_the_book.contains(id) || than_with_it.iter().any(|step| step > id),
        "without its other form step {id} says on {series} what the book says, and each step \
         behind it the same as with it; remove it from drift/{series}.toml"
    );
}

fn all_series() -> Vec<String> {
    let pins = Pins::read(&repository()).unwrap();
    pins.recorded().map(str::to_owned).collect()
}

#[test]
fn a_replay_repeats_itself() {
    let ran = runner(&["chapter", "5", "--repeat", "3", "--json"]);
    ran.ends_with(0)
        .complains("3 of 3 replays agree byte for byte");
}

#[test]
fn the_snapshots_are_of_the_books_chapters() {
    let folder = repository().join("tests/snapshots");
    let names = chapter_names();
    for entry in WalkDir::new(folder).min_depth(2) {
        let path = entry.unwrap().into_path();
        if path.extension() == Some(Path::new("snap").as_os_str()) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(
                name == glossary::NAME || names.contains(&name),
                "{name} has no chapter; remove its snapshot"
            );
        }
    }
}
