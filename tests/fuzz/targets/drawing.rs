//! Any output of steps, and on its first line any command: all that can be drawn of them is drawn,
//! or refused, of the program's own elements.
#![cfg_attr(not(test), no_main)]

use book::drawing::map::{self, Leaf};
use book::drawing::{buffer, call_tree, chain, image, sequence, states, topology, trie};
use book::prose::glossary::Glossary;
use book::prose::resolve::Found;
use book::symbols::Kind;
use lab::transcript::step::{StepId, Terminal};
use lab::transcript::{Output, Record, visible};

/// Who types what; a command of the input's own stands at the end.
const STEPS: [(Terminal, &str); 10] = [
    (Terminal::Guest, "ip addr"),
    (Terminal::Server, "ip -brief link"),
    (Terminal::Guest, "ip route"),
    (Terminal::Gdb, "layer skb here"),
    (Terminal::Gdb, "backtrace"),
    (Terminal::Gdb, "continue"),
    (Terminal::Gdb, "state $client"),
    (Terminal::Gdb, "set $key = 0x0a000301"),
    (Terminal::Wire, ""),
    (Terminal::Lab, "tcpdump -n"),
];

/// What an image is drawn with that no step of its sections prints.
const FILES: &str = "4294967295 vmlinux\n1 core\n1024 bzImage\n\
    0 sectors of setup, payload at 1, 9 bytes long\n";

const ELEMENTS: [&str; 20] = [
    "a",
    "circle",
    "code",
    "desc",
    "figcaption",
    "figure",
    "g",
    "li",
    "line",
    "ol",
    "path",
    "rect",
    "span",
    "svg",
    "text",
    "tspan",
    "div",
    "p",
    "pre",
    "b",
];

pub fn read(text: &str) {
    let (command, printed) = text.split_once('\n').unwrap_or((text, ""));
    let own = [Terminal::Guest, Terminal::Lab, Terminal::Gdb].map(|terminal| (terminal, command));
    let steps = STEPS.into_iter().chain(own).zip(1..);
    let records = steps.map(|((terminal, command), number)| Record {
        id: StepId { chapter: 6, number },
        terminal,
        command: command.to_owned(),
        output: Output {
            stdout: visible(printed.as_bytes()),
            guest_ns: Some(1),
            ..Output::default()
        },
    });
    let records: Vec<Record> = records.collect();
    let mut files = records.clone();
    if let Some(last) = files.last_mut() {
        last.output.stdout += FILES;
    }
    let sides = ["left=client", "right=client"].map(str::to_owned);
    let asked = sequence::Asked::parse(&sides).unwrap();
    let states = ["of=client", "names=NONE"].map(str::to_owned);
    let states = states::Asked::parse(&states).unwrap();
    let chain = ["a=a", "fails=1", "b=b"].map(str::to_owned);
    let chain = chain::Asked::parse(&chain).unwrap();
    let none = Found {
        kind: Kind::Macro,
        place: "= 0".to_owned(),
    };
    let glossary = Glossary {
        names: [("NONE".to_owned(), none)].into(),
        ..Glossary::default()
    };
    let leaf = Leaf {
        name: "06-six".to_owned(),
        title: command.to_owned(),
        records: records.clone(),
    };
    let drawn = [
        buffer::draw(&records),
        call_tree::draw(&records),
        topology::draw(&records),
        trie::draw(&records),
        image::draw(&files),
        chain::draw(&chain, &records),
        sequence::draw(&asked, &records),
        states::draw(&states, &records, &glossary),
        map::draw(&[leaf]),
    ];
    for drawn in drawn.into_iter().flatten() {
        assert!(!drawn.contains('\n'), "mdbook would end the element");
        for part in drawn.split('<').skip(1) {
            let name = part.trim_start_matches('/').split([' ', '>', '/']).next();
            assert!(ELEMENTS.contains(&name.unwrap()), "{part}");
        }
    }
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|text: &str| read(text));
