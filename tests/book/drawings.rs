//! The drawings of the book, as text: what is drawn is what the chapter recorded.

use std::path::{Path, PathBuf};

use runner::chapter::{self, Chapter};
use runner::drawing;
use runner::snapshot::Snapshot;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

#[test]
fn every_drawing_shows_what_its_steps_recorded() {
    let root = repository();
    let mut count = 0;
    for path in chapter::paths(&root).unwrap() {
        let chapter = Chapter::read(&root, &path).unwrap();
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        let snapshot = Snapshot::read(&root, &chapter.name).unwrap().unwrap();
        for (drawn, number) in drawing::all(&chapter, &text, &snapshot)
            .unwrap()
            .iter()
            .zip(1..)
        {
            // A row a line, so that a difference shows the row.
            let mut rows = drawn.clone();
            for part in [
                "<a ",
                "<desc>",
                "<g>",
                "<rect class=\"band\"",
                "<path class=\"branch\"",
                "<rect class=\"machine\"",
                "<path class=\"cable\"",
            ] {
                rows = rows.replace(part, &format!("\n{part}"));
            }
            insta::assert_snapshot!(format!("{}-{number}", chapter.name), rows);
            count += 1;
        }
    }
    assert!(count > 0, "the book has drawings");
}
