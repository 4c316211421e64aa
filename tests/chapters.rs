//! Every chapter of the book is still true, and says the same each time.
//!
//! This file lies beside the snapshots, because `cargo insta review` looks for them there.

use std::path::Path;

use book::chapter::{self, Chapter};
use book::prose::glossary;
use book::snapshot::{Snapshot, drift};
use lab::build::pins::Pins;
use lab::replay::provenance;
use walkdir::WalkDir;

use fixture::{Ran, from_json, repository};

#[path = "support/fixture.rs"]
#[allow(dead_code, reason = "the fixture's book is for other tests")]
mod fixture;

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
        let reasons = drift::Reasons::read(&repository(), &series).unwrap();
        for id in reasons.steps() {
            let chapter = Chapter::find(&repository(), &id.chapter.to_string()).unwrap();
            let (name, last) = (&chapter.name, chapter.last());
            let fates = drift::between(&repository(), name, last, lab::SERIES, &series);
            let fates = fates.unwrap().unwrap_or_default();
            let fate = fates.iter().find(|(other, _)| *other == id);
            let is_otherwise = fate.is_some_and(|(_, fate)| {
                matches!(fate, drift::Fate::Otherwise(_) | drift::Fate::Absent)
            });
            assert!(is_otherwise, "drift/{series}.toml explains {id}: {fate:?}");
        }
    }
}

fn all_series() -> Vec<String> {
    Pins::read(&repository())
        .unwrap()
        .kernel
        .into_keys()
        .collect()
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
