//! Any directive for a number, on the first line, read in any output of a step, behind it.
#![cfg_attr(not(test), no_main)]

use book::chapter::expression::Number;
use book::chapter::value::{Directive, Source, written};
use lab::transcript::step::{StepId, Terminal};
use lab::transcript::{Output, Record, visible};

struct Shown(Record);

impl Source for Shown {
    fn record(&mut self, _: StepId) -> Result<&Record, String> {
        Ok(&self.0)
    }

    fn named(&mut self, name: &str) -> Result<Number, String> {
        name.len().to_string().parse()
    }
}

pub fn read(text: &str) {
    let (directive, stdout) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(directive) = Directive::parse(directive) else {
        return;
    };
    let _ = directive.names();
    let _ = directive.steps();
    let Directive::Value(form, tokens) = directive else {
        return;
    };
    let output = Output {
        stdout: visible(stdout.as_bytes()),
        ..Output::default()
    };
    let mut source = Shown(Record {
        id: StepId {
            chapter: 5,
            number: 1,
        },
        terminal: Terminal::Guest,
        command: "cat x".to_owned(),
        output,
    });
    let _ = written(form, &tokens, &mut source);
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|text: &str| read(text));
