//! Whatever a guest, a tap, a capture or a snapshot says, the page has the elements that the
//! program makes, and no others, and nothing on it would be run.

use std::collections::BTreeSet;
use std::path::Path;

use book::chapter::Chapter;
use book::chapter::markdown::Page;
use book::drawing;
use book::drawing::map::{self, Leaf};
use book::page::values::Values;
use book::page::{self, hint};
use book::prose::absent::Absent;
use book::prose::excerpt;
use book::prose::glossary::Glossary;
use book::prose::resolve::Found;
use book::snapshot::Snapshot;
use book::symbols::Kind;
use lab::transcript::step::Step;
use lab::transcript::{is_unseen, visible, words};
use scraper::{Html, Node};

use crate::fixture::Fixture;

const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script>",
    "</svg></figure></pre><script>",
    "\"><img src=x onerror=alert(1)>",
    "'><b>",
    "\" onload=\"alert(1)",
    "&lt;script&gt; &amp; &#60;b&#62;",
    "--> <b>",
    "<!-- cmdrun touch ran -->",
    "<!-- runner draw buffer -->",
    "{{1.1}} {{#include /etc/passwd}}",
    "`</code>` **b** [x](javascript:alert(1))",
    "\u{1b}[31m\u{0}\u{7}",
    "a\u{202e}b\u{2066}c\u{200b}",
    "]]><![CDATA[<b>",
];

/// Drawings, what asks for them, and what was recorded.
const DRAWINGS: [(&str, &str, &str); 9] = [
    (
        "states",
        "states of=nud_state names=NUD_NONE,NUD_STALE",
        "\n6.1 gdb continue\n| Hardware watchpoint 1: nud_state\n|\n\
         | Old value = 0 TEXT\n| New value = 4 TEXT\n| f (TEXT) at FILE:1\n= 0\n",
    ),
    (
        "printed network",
        "topology",
        "\n6.1 guest ip addr\n| 2: eth0: <UP> mtu 1\n|     link/ether WORD brd x\n|     inet WORD\n\
         |     inet 10.0.3.1/33\n= 0 at 1\n\n6.2 guest ip -brief link\n| eth1 UP WORD:WORD <UP>\n= 0 at 2\n\n\
         6.3 guest ip route\n| TEXT\n= 0 at 3\n",
    ),
    (
        "typed network",
        "topology",
        "\n6.1 lab ip netns add WORD; ip -n WORD addr add 10.0.3.1/24 dev WORD\n= 0\n\n\
         6.2 lab ip addr add 10.0.3.2/24 dev WORDWORD; iptables -A WORD -j WORD\n= 0\n\n\
         6.3 lab ip link add WORDx type veth peer name WORDy netns WORDz\n= 0\n",
    ),
    (
        "sequence",
        "sequence left=client right=client",
        "\n6.1 gdb state $client\n| $1 = TCP_CLOSE\n= 0\n\n\
         6.2 wire\n|  5  0 IP WORD > WORD: Flags [WORD], TEXT length 5\n= 0\n",
    ),
    (
        "calls",
        "calls",
        "\n6.1 gdb backtrace\n| #0  copy (TEXT) at FILE:1\n| #1  0xff in f (TEXT) at net/ipv4/tcp.c:2\n= 0\n",
    ),
    (
        "buffer",
        "buffer",
        "\n6.1 gdb layer skb a\n| TEXT\n\
         | a: head 0 data 160 tail 192 end 192 transport 160 network 0 mac -1 len 37\n= 0\n",
    ),
    (
        "trie",
        "trie",
        "\n6.1 guest cat x\n| TEXT:\n|   +-- 10.0.0.0/8 1 0 1\n|      |-- 10.0.0.0\n\
         |         /24 TEXT\n= 0 at 1\n\n6.2 gdb node\n| TEXT\n= 0\n",
    ),
    (
        "image",
        "image",
        "\n6.1 host x\n| TEXT\n| 9 vmlinux\n| 9 core\n| 9999 bzImage\n= 0\n\n\
         6.2 host x\n|   [ 1] WORD  PROGBITS  ff 0 9 00\n\
         | 1 sectors of setup, payload at 1, 9 bytes long\n= 0\n",
    ),
    (
        "chain",
        "chain 'a>=see' fails=fail '\"b=see'",
        "\n6.1 guest x\n| see TEXT\n= 0 at 1\n\n6.2 host x\n| WORD fail TEXT\n= 0\n",
    ),
];

/// With what a chapter was recorded.
const FACTS: &str =
    "kind: exact\nlinux: TEXT\nqemu: TEXT\nnew: TEXT\n\n6.1 wire\n= 0\n\nframes\n7 ff00\n";

/// All that the program makes of texts of others, each under a name.
fn made(text: &str) -> Vec<(&'static str, String)> {
    // Where a column ends at a blank, there is none.
    let word = text.replace(|c: char| c.is_whitespace() || c == ';' || c == ',', "/");
    // A snapshot that is read holds no control characters; here it has been changed since.
    let told = |told: &str| {
        let file = word.replace(':', "/");
        told.replace("TEXT", text)
            .replace("WORD", &word)
            .replace("FILE", &file)
    };
    let recorded = |content: &str| {
        let mut snapshot = Snapshot::parse(content).unwrap();
        for record in &mut snapshot.transcript.records {
            record.command = told(&record.command);
            record.output.stdout = told(&record.output.stdout);
        }
        for (name, value) in &mut snapshot.provenance {
            (*name, *value) = (told(name), told(value));
        }
        snapshot
    };
    let mut made = Vec::new();
    let constant = |(name, value): (&str, u32)| {
        let kind = Kind::Macro;
        let place = format!("= {value}, {text}");
        (name.to_owned(), Found { kind, place })
    };
    let glossary = Glossary {
        names: [("NUD_NONE", 0), ("NUD_STALE", 4)].map(constant).into(),
        ..Glossary::default()
    };
    for (name, asked, content) in DRAWINGS {
        let snapshot = recorded(content);
        let steps = snapshot.transcript.records.iter();
        let steps =
            steps.map(|record| format!("<!-- cmdrun runner show {} host x -->\n", record.id));
        let fence = steps.collect::<String>();
        let page = format!("```console\n{fence}```\n<!-- runner draw {asked} -->\n");
        let chapter = Chapter::parse(Path::new("chapters/06-x.md"), &page).unwrap();
        let drawn = drawing::all(&chapter, &Page::read(&page), &snapshot, &glossary).unwrap();
        made.push((name, drawn[0].to_string()));
    }
    let leaf = Leaf {
        name: word.clone(),
        title: text.to_owned(),
        records: recorded(DRAWINGS[4].2).transcript.records,
    };
    made.push(("map", map::draw(&[leaf]).unwrap().to_string()));
    made.extend(steps(text));
    made.extend(names(text));
    let path = format!("chapters/06-{}.md", word.replace('/', "_"));
    let chapter = Chapter::parse(path.as_ref(), "").unwrap();
    let verified = page::verified(&chapter, &recorded(FACTS));
    made.push(("line at the top", verified.to_string()));
    made
}

/// Steps with folds and errors.
fn steps(text: &str) -> Vec<(&'static str, String)> {
    let lines = format!("{text}\n").repeat(9);
    let cases = [
        ("step", "6.1 guest x", lines.clone(), String::new()),
        (
            "fold",
            "6.1 first=1 last=1 guest x",
            lines.clone(),
            String::new(),
        ),
        ("error", "6.1 status=1 gdb x", lines.clone(), lines.clone()),
        ("status", "6.1 status=1 host x", String::new(), lines),
    ];
    let shown = cases.map(|(name, line, stdout, stderr)| {
        let step = Step::parse(&words::split(line).unwrap(), 1).unwrap();
        let mut snapshot = Snapshot::parse("\n6.1 guest x\n= 0\n").unwrap();
        let record = &mut snapshot.transcript.records[0];
        (record.terminal, record.output.status) = (step.terminal, step.status);
        (record.output.stdout, record.output.stderr) = (stdout, stderr);
        record.command = text.to_owned();
        let step = Step {
            command: text.to_owned(),
            ..step
        };
        (
            name,
            page::step(&step, record, std::iter::empty()).to_string(),
        )
    });
    shown.into()
}

/// Hints, values and excerpts.
fn names(text: &str) -> Vec<(&'static str, String)> {
    let found = |kind, place: String| Found { kind, place };
    let word = text.replace(char::is_whitespace, "/");
    let names = [
        ("a_b", found(Kind::Function, format!("{text}, {word}:1"))),
        ("c_d", found(Kind::GuestFile, text.to_owned())),
        ("E_F", found(Kind::Enumerator, format!("= 5, {text}"))),
        ("g_h", found(Kind::Function, "net/a.c:1".to_owned())),
    ];
    let names = Glossary {
        linux: word,
        image: text.to_owned(),
        names: names.map(|(name, found)| (name.to_owned(), found)).into(),
    };
    let markdown = "`a_b` `c_d` `a_b` `c_d`\n\n| {{E_F}} | `{{5.5 '#'}}` | {{step 5.1}} |\n| - | - | - |\n\n\
                    <!-- runner source a_b -->\n<!-- runner source g_h hash=0 -->\n";
    let page = Page::read(markdown);
    let absent = Absent {
        series: text.to_owned(),
        names: [("a_b".to_owned(), Kind::Function)].into(),
        ..Absent::default()
    };
    let mut edits = hint::decorate(&page, &names, &[absent]);
    let value = format!(
        "5.5 host printf x
| {0} 7 {0}",
        visible(text.as_bytes())
    );
    let snapshot = "tests/snapshots/6.1/05-hostile.snap";
    let book = Fixture::new().edit(
        snapshot,
        "5.5 host printf x
| x",
        &value,
    );
    let mut values = Values::read(&book.path(""), names.clone()).unwrap();
    let (filled, faults) = values.fill(Path::new("chapters/06-plain.md"), &page);
    assert!(faults.is_empty(), "{faults:?}");
    edits.extend(filled);
    let tree = book.path("tree");
    std::fs::create_dir_all(tree.join("net")).unwrap();
    let source = format!("int g_h(void)\n{{\n\t{}\n}}\n", text.replace('\u{0}', ""));
    std::fs::write(tree.join("net/a.c"), source).unwrap();
    let here = excerpt::fill(Path::new("x.md"), &page, Some(&tree), &names);
    let nowhere = excerpt::fill(Path::new("x.md"), &page, None, &names);
    let excerpts = here.edits.into_iter().chain(nowhere.edits);
    let excerpts = excerpts.map(|(_, text)| ("excerpt", text.trim().to_owned()));
    let excerpts: Vec<_> = excerpts.collect();
    assert_eq!(excerpts.len(), 3);
    let mut made = excerpts;
    let edits = edits.into_iter().map(|(_, text)| ("name or value", text));
    made.extend(edits);
    made
}

/// The elements of a piece of HTML with their attributes, in order.
fn elements(html: &str) -> Vec<String> {
    let parsed = Html::parse_fragment(html);
    let nodes = parsed.tree.nodes().filter_map(|node| match node.value() {
        // An arrow in a command is one of ours, however many there are.
        Node::Element(element) if element.attr("class") == Some("arrow") => None,
        Node::Element(element) => {
            let attributes: BTreeSet<_> = element.attrs().map(|(name, _)| name).collect();
            Some(format!("{} {attributes:?}", element.name()))
        }
        Node::Comment(comment) => Some(format!("comment {comment:?}")),
        _ => None,
    });
    nodes.collect()
}

#[test]
fn no_text_of_others_becomes_an_element_or_an_attribute_or_runs() {
    let harmless = made("x9");
    for hostile in HOSTILE {
        let made = made(hostile);
        assert_eq!(made.len(), harmless.len());
        for ((name, html), (_, expected)) in made.iter().zip(&harmless) {
            assert_eq!(
                elements(html),
                elements(expected),
                "{name}, {hostile:?}: {html}"
            );
            assert!(!html.contains("<!--"), "{name}, {hostile:?}: {html}");
            assert!(!html.contains(is_unseen), "{name}, {hostile:?}: {html}");
        }
    }
}

/// The text is there, and is text.
#[test]
fn a_text_of_others_is_shown_as_it_is() {
    let hostile = "</svg><script>\"&amp;'";
    for (name, html) in made(hostile) {
        let parsed = Html::parse_fragment(&html);
        let shown: String = parsed.root_element().text().collect();
        let has_text =
            ["step", "fold", "error", "printed network", "trie", "chain"].contains(&name);
        assert!(!has_text || shown.contains(hostile), "{name}: {html}");
    }
}
