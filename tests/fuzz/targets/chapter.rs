//! A chapter with anything in it: each fault has its place, and each step can be written down
//! again.
#![cfg_attr(not(test), no_main)]

use std::path::Path;

use book::chapter::Chapter;
use book::chapter::markdown::Page;
use book::chapter::value;
use book::prose::excerpt;
use book::prose::{mention, numeral};
use lab::transcript::step::{DEADLINE, Step};

pub fn read(text: &str) {
    let page = Page::read(text);
    let _ = mention::of_page(&page);
    let _ = numeral::of_page(&page);
    let _ = value::find(&page);
    excerpt::asked(&page).for_each(drop);
    match Chapter::parse(Path::new("chapters/05-five.md"), text) {
        Err(faults) => {
            let count = text.lines().count();
            let mut lines = faults.0.iter().map(|fault| fault.line);
            assert!(lines.all(|line| (1..=count.max(1)).contains(&line)));
        }
        Ok(chapter) => chapter.steps.iter().for_each(survives),
    }
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|text: &str| read(text));

/// What a visit saves is the step that was typed.
fn survives(step: &Step) {
    // A saved step has no options but those that it needs.
    let step = Step {
        deadline: DEADLINE,
        first: None,
        last: None,
        keep: Vec::new(),
        ..step.clone()
    };
    let text = format!("```console\n{}\n```\n", step.directive());
    let text = text.replacen(&format!("show {} ", step.id), "show 5.1 ", 1);
    let again = Chapter::parse(Path::new("chapters/05-five.md"), &text);
    let again = again.unwrap_or_else(|error| panic!("{text}: {error}"));
    let expected = Step {
        id: again.steps[0].id,
        line: again.steps[0].line,
        ..step
    };
    assert_eq!(again.steps, [expected]);
}
