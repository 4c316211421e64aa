//! The map of the stack: its layers, and which chapters stop in them.
//!
//! A chapter's place is found, not typed: each function that a step shows lies in a file, and the
//! file in a layer. A trace has no files, so a function in a trace counts where some step of the
//! book shows it with its file. It is HTML and not SVG, because on a narrow screen the columns must
//! come closer and the names go below.

use std::collections::{BTreeMap, BTreeSet};

use crate::drawing::backtrace;
use crate::drawing::layer::Layer;
use crate::html::{Html, anchor, element, text};
use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::{StepId, Terminal};

/// A chapter, and what its steps have printed.
#[derive(Debug)]
pub struct Leaf {
    /// The name of its file, without the ending.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What was recorded.
    pub records: Vec<Record>,
}

/// How many functions a layer names.
const NAMED: usize = 4;

/// A line of the function-graph tracer, with the task in front or without.
static TRACED: Pattern =
    Pattern::new(|| pattern(r"(?m)^(?: *\S+ +\|)? *(\w+)(?:\.\w+)*\(\)(?: \{|;)$"));

/// What the book shows of a function.
#[derive(Default)]
struct Shown {
    layer: Option<Layer>,
    /// The steps that find the machine in it.
    stops: usize,
    /// The steps that show it, by chapter.
    steps: BTreeMap<usize, BTreeSet<StepId>>,
}

/// The map of all chapters.
///
/// # Errors
/// When no chapter shows a function of the kernel.
pub fn draw(leaves: &[Leaf]) -> Result<Html, String> {
    let functions = functions(leaves);
    if functions.is_empty() {
        return Err("no chapter shows a function of the kernel; record one first".to_owned());
    }
    let (beside, way): (Vec<Layer>, Vec<Layer>) = Layer::all().partition(|layer| layer.is_beside());
    let row = |layer: Layer| {
        let mut here: Vec<(&str, &Shown)> = functions
            .iter()
            .filter(|(_, shown)| shown.layer == Some(layer))
            .map(|(name, shown)| (&**name, shown))
            .collect();
        here.sort_by_key(|(name, shown)| {
            let steps: usize = shown.steps.values().map(BTreeSet::len).sum();
            // Of functions in which nobody stops, a name without underscores in front tells more.
            let is_plain = !name.starts_with('_');
            std::cmp::Reverse((shown.stops, is_plain, shown.steps.len(), steps))
        });
        let mut firsts: BTreeMap<usize, StepId> = BTreeMap::new();
        for (leaf, steps) in here.iter().flat_map(|(_, shown)| &shown.steps) {
            let known = firsts.get(leaf).into_iter().copied();
            let first = steps.iter().copied().chain(known).min();
            firsts.extend(first.map(|first| (*leaf, first)));
        }
        here.truncate(NAMED);
        self::row(leaves, layer.name(), &firsts, &here)
    };
    let rows = |layers: Vec<Layer>| layers.into_iter().map(row).collect::<Html>();
    let seen = |leaf: usize| {
        functions
            .values()
            .any(|shown| shown.steps.contains_key(&leaf))
    };
    let list = |label, parts: [Html; 2]| element("ol").with("aria-label", label).holding(parts);
    let on_wire = |record: &Record| matches!(record.terminal, Terminal::Wire | Terminal::Lab);
    let wire = firsts(leaves, |_, record| on_wire(record));
    let outside = firsts(leaves, |leaf, _| !seen(leaf));
    let lists = [
        list(
            "From the program to the wire",
            [rows(way), self::row(leaves, "wire", &wire, &[])],
        ),
        list(
            "Beside the way",
            [rows(beside), self::row(leaves, "outside", &outside, &[])],
        ),
        element("figcaption").text(
            "Made from what the steps of all chapters show. A number is a chapter, and leads to \
             its first step in the layer.",
        ),
    ];
    let figure = element("figure").class("drawing map");
    let style = format_args!("--chapters:{}", leaves.len());
    Ok(figure.with("style", style).holding(lists))
}

/// Every function that a step shows, and whose layer is known.
fn functions(leaves: &[Leaf]) -> BTreeMap<String, Shown> {
    let mut functions: BTreeMap<String, Shown> = BTreeMap::new();
    let records = || {
        leaves
            .iter()
            .enumerate()
            .flat_map(|(leaf, here)| here.records.iter().map(move |record| (leaf, record)))
    };
    for (leaf, record) in records().filter(|(_, record)| record.terminal == Terminal::Gdb) {
        for (function, file) in backtrace::places(record) {
            let Some(layer) = Layer::of(file) else {
                continue;
            };
            let shown = functions.entry(function.to_owned()).or_default();
            shown.layer = shown.layer.or(Some(layer));
            shown.steps.entry(leaf).or_default().insert(record.id);
        }
        if let Some(shown) = backtrace::stop(record).and_then(|name| functions.get_mut(&name)) {
            shown.stops += 1;
        }
    }
    for (leaf, record) in records().filter(|(_, record)| record.terminal == Terminal::Guest) {
        for found in TRACED.captures_iter(&record.output.stdout) {
            if let Some(shown) = functions.get_mut(&found[1]) {
                shown.steps.entry(leaf).or_default().insert(record.id);
            }
        }
    }
    functions
}

/// The first step of each chapter for which `is_it` holds.
fn firsts(leaves: &[Leaf], is_it: impl Fn(usize, &Record) -> bool) -> BTreeMap<usize, StepId> {
    let all = leaves.iter().enumerate();
    all.filter_map(|(leaf, here)| {
        let first = here.records.iter().find(|record| is_it(leaf, record))?;
        Some((leaf, first.id))
    })
    .collect()
}

/// A layer: its name, its chapters, each in a column of its own, and some of its functions.
fn row(
    leaves: &[Leaf],
    name: &str,
    firsts: &BTreeMap<usize, StepId>,
    functions: &[(&str, &Shown)],
) -> Html {
    if firsts.is_empty() {
        return Html::default();
    }
    let href = |leaf: usize, step| format!("{}.html#{}", leaves[leaf].name, anchor(step));
    let chapters = firsts.iter().map(|(leaf, step)| {
        let (title, chapter) = (&leaves[*leaf].title, step.chapter);
        let label = format!("chapter {chapter}, {title}, step {step}");
        let column = format_args!("grid-column:{}", leaf + 1);
        let link = element("a").with("style", column);
        let link = link.with("href", href(*leaf, *step)).with("title", title);
        link.with("aria-label", label).text(chapter)
    });
    let names = functions.iter().filter_map(|(function, shown)| {
        let mut steps = shown.steps.iter();
        let first = steps.find_map(|(leaf, steps)| Some((*leaf, *steps.first()?)));
        let (leaf, step) = first?;
        let name = element("code").text(function);
        let link = element("a").with("href", href(leaf, step));
        Some(link.holding([name]))
    });
    let span = |class, parts: Vec<Html>| element("span").class(class).holding(parts);
    element("li").holding([
        span("map-layer", vec![text(name)]),
        text(" "),
        span("map-chapters", spaced(chapters)),
        text(" "),
        span("map-names", spaced(names)),
    ])
}

/// The parts with a blank between each two.
fn spaced(parts: impl Iterator<Item = Html>) -> Vec<Html> {
    let spaced = parts.flat_map(|part| [text(" "), part]);
    spaced.skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::backtrace::tests::records;

    fn leaves() -> Vec<Leaf> {
        let leaf = |name: &str, content| Leaf {
            name: name.to_owned(),
            title: format!("The {name}"),
            records: records(content),
        };
        vec![
            leaf("01-build", "\n1.1 host make\n= 0\n"),
            leaf(
                "05-init",
                "\n5.1 gdb continue\n| Breakpoint 1, inet_init () at net/ipv4/af_inet.c:1\n= \
                 0\n\n5.2 wire\n= 0\n\n\
                 5.3 gdb backtrace\n| #0  tcp_ack () at net/ipv4/tcp_input.c:1\n| #1  0xff in \
                 inet_init () at net/ipv4/af_inet.c:2\n= 0\n",
            ),
            leaf(
                "10-send",
                "\n10.1 guest cat trace\n|  nc-51 |   tcp_ack.part.0() {\n|  nc-51 |     \
                 unknown();\n= 0 at 1\n",
            ),
        ]
    }

    #[test]
    fn a_chapter_stands_where_its_functions_are() {
        let drawn = draw(&leaves()).unwrap();
        let link =
            |column, href: &str| format!("<a style=\"grid-column:{column}\" href=\"{href}\"");
        for part in [
            link(1, "01-build.html#step-1.1"),
            link(2, "05-init.html#step-5.1"),
            link(2, "05-init.html#step-5.2"),
            link(3, "10-send.html#step-10.1"),
            "<a href=\"05-init.html#step-5.3\"><code>tcp_ack</code></a>".to_owned(),
            "aria-label=\"chapter 10, The 10-send, step 10.1\">10</a>".to_owned(),
        ] {
            assert!(drawn.contains(&part), "{part}: {drawn}");
        }
        let layers: Vec<_> = drawn
            .split("map-layer\">")
            .skip(1)
            .filter_map(|part| part.split('<').next())
            .collect();
        assert_eq!(layers, ["socket", "TCP", "wire", "outside"]);
        assert!(!drawn.contains("unknown"));
        let outside = drawn.split("outside").nth(1).unwrap();
        assert!(
            !outside.contains("10-send"),
            "a trace gives it a place: {drawn}"
        );
    }

    #[test]
    fn a_book_without_functions_has_no_map() {
        assert!(
            draw(&leaves()[..1])
                .unwrap_err()
                .contains("no chapter shows")
        );
    }
}
