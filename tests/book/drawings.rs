//! The drawings of the book, as text: what is drawn is what the chapter recorded.

use std::path::{Path, PathBuf};

use book::chapter::markdown::Page;
use book::chapter::{self, Chapter};
use book::drawing;
use book::drawing::map::{self, Leaf};
use book::prose::glossary::Glossary;
use book::snapshot::Snapshot;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

#[test]
fn every_drawing_shows_what_its_steps_recorded() {
    let root = repository();
    let glossary = Glossary::read(&root).unwrap();
    let mut count = 0;
    for path in chapter::paths(&root).unwrap() {
        let chapter = Chapter::read(&root, &path).unwrap();
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        let snapshot = Snapshot::read(&root, &chapter.name).unwrap().unwrap();
        let drawings = drawing::all(&chapter, &Page::read(&text), &snapshot, &glossary);
        for (drawn, number) in drawings.unwrap().iter().zip(1..) {
            insta::assert_snapshot!(format!("{}-{number}", chapter.name), rows(drawn));
            count += 1;
        }
    }
    assert!(count > 0, "the book has drawings");
}

/// A row a line, so that a difference shows the row.
fn rows(drawn: &str) -> String {
    let mut rows = drawn.to_owned();
    for part in [
        "<a ",
        "<li>",
        "<desc>",
        "<g>",
        "<rect class=\"band\"",
        "<path class=\"branch\"",
        "<rect class=\"machine\"",
        "<path class=\"cable\"",
    ] {
        rows = rows.replace(part, &format!("\n{part}"));
    }
    rows
}

#[test]
fn the_map_has_each_chapter_where_its_steps_stop() {
    let root = repository();
    let leaf = |path: &PathBuf| {
        let chapter = Chapter::read(&root, path).unwrap();
        let snapshot = Snapshot::read(&root, &chapter.name).unwrap().unwrap();
        Leaf {
            title: chapter.name.clone(),
            name: chapter.name,
            records: snapshot.transcript.records,
        }
    };
    let leaves: Vec<Leaf> = chapter::paths(&root).unwrap().iter().map(leaf).collect();
    let drawn = map::draw(&leaves).unwrap();
    for chapter in 1..=leaves.len() {
        assert!(
            drawn.contains(&format!(">{chapter}</a>")),
            "chapter {chapter} has a place"
        );
    }
    insta::assert_snapshot!("map", rows(&drawn));
}
