//! Any file in place of a snapshot: what is understood means the same when it is written and read
//! again. And all that is made of it for the page is made, or refused, but never fails.
#![cfg_attr(not(test), no_main)]

use std::path::Path;

use book::chapter::Chapter;
use book::chapter::markdown::Page;
use book::drawing;
use book::drawing::backtrace;
use book::drawing::buffer;
use book::drawing::call_tree;
use book::drawing::topology;
use book::page;
use book::prose::glossary::Glossary;
use book::snapshot::Snapshot;
use lab::transcript::Record;
use lab::transcript::step::Step;

pub fn read(content: &str) {
    let Ok(snapshot) = Snapshot::parse(content) else {
        return;
    };
    let again = Snapshot::parse(&snapshot.content());
    assert_eq!(again.unwrap(), snapshot, "{}", snapshot.content());
    let records = &snapshot.transcript.records;
    records.iter().for_each(show);
    let _ = buffer::draw(records);
    let _ = call_tree::draw(records);
    let _ = topology::draw(records);
    draw_sequence(&snapshot);
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|content: &str| read(content));

fn show(record: &Record) {
    let step = Step::typed(record.id, record.terminal, &record.command);
    let html = page::step(&step, record, std::iter::empty());
    assert!(!html.contains('\n'), "mdbook would end the element");
    let _ = backtrace::calls(record);
    let _ = backtrace::stop(record);
}

fn draw_sequence(snapshot: &Snapshot) {
    let steps = (1..=snapshot.transcript.records.len())
        .map(|number| format!("<!-- cmdrun runner show 6.{number} host true -->\n"));
    let text = format!(
        "```console\n{}```\n<!-- runner draw sequence left=client right=listener,child -->\n",
        steps.collect::<String>()
    );
    let chapter = Chapter::parse(Path::new("chapters/06-six.md"), &text).unwrap();
    let _ = drawing::all(&chapter, &Page::read(&text), snapshot, &Glossary::default());
}
