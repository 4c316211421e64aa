//! Any text in place of what describes an exercise, or of a patch: a fault has its line, and a
//! patch changes no file outside of the tree.
#![cfg_attr(not(test), no_main)]

use std::path::Path;

use book::chapter::markdown::Page;
use book::exercise::{Exercise, place, steps};
use book::fault::{Error, Faults};
use lab::build::patch::{Patch, Patched};

pub fn read(text: &str) {
    let path = Path::new("exercises/x/exercise.toml");
    match Exercise::parse(path, "x", text) {
        Ok(exercise) => {
            let words = exercise.words(text);
            assert_eq!(words.lines().count(), text.lines().count());
        }
        Err(Error::Faults(Faults(faults))) => {
            let lines = text.lines().count().max(1) + 1;
            assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
        }
        Err(error) => panic!("{error}"),
    }
    if let Err((line, _)) = steps(text, 1) {
        assert!((1..=text.lines().count()).contains(&line));
    }
    let page = Page::read(text);
    for place in place::of_page(path, &page).0 {
        let _ = place::split_hint(&text[place.statement]);
    }
    let patch = Patch {
        name: "x".to_owned(),
        text: text.to_owned(),
        config: text.to_owned(),
    };
    let mut files = Patched::new();
    if patch.apply(Path::new("/nonexistent"), &mut files).is_ok() {
        let inside =
            |file: &String| !file.split('/').any(|part| part == "..") && !file.starts_with('/');
        assert!(files.keys().all(inside));
    }
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|text: &str| read(text));
