//! The README's picture of a replay. It is drawn from what chapter 5 has recorded, so it shows no
//! address that a reader would not see. Only how long it took is not recorded.

use std::path::Path;

use book::chapter::Chapter;
use book::html::element;
use book::snapshot::Snapshot;
use lab::transcript::Record;

/// The picture, from the repository.
const PICTURE: &str = ".github/images/replay.svg";
/// The steps that it shows, by their numbers. Where others come between two of them, it has a line
/// with dots.
const SHOWN: [u32; 5] = [1, 2, 18, 19, 20];

/// In the picture's units: its width, how far text is from its left side, and the height of a line.
const WIDTH: usize = 800;
const MARGIN: usize = 20;
const LINE: usize = 20;

/// A line: its pieces, each with how it is to look.
type Line = Vec<(&'static str, String)>;

const PLAIN: &str = "fill:#e6e8ee";
const TYPED: &str = "fill:#e6e8ee;font-weight:bold";
const DIM: &str = "fill:#8b93a7";
const GDB: &str = "fill:#d8a5ff;font-weight:bold";
const GOOD: &str = "fill:#7ee08a;font-weight:bold";

#[test]
fn the_readme_shows_what_the_replay_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let chapter = Chapter::find(root, "5").unwrap();
    let snapshot = Snapshot::read(root, &chapter.name).unwrap().unwrap();
    let picture = drawn(&lines(&snapshot)) + "\n";
    if std::fs::read_to_string(root.join(PICTURE)).ok().as_ref() != Some(&picture) {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replay.svg");
        std::fs::write(&made, picture).unwrap();
        panic!(
            "{PICTURE} is to be {}: look at it, and copy it",
            made.display()
        );
    }
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains(PICTURE));
}

fn lines(snapshot: &Snapshot) -> Vec<Line> {
    let command = "cargo run -p runner -- chapter 5".to_owned();
    let mut lines = vec![vec![(DIM, "$ ".to_owned()), (TYPED, command)]];
    let dots = || vec![(DIM, "…".to_owned())];
    let mut before = 0;
    for record in &snapshot.transcript.records {
        if SHOWN.contains(&record.id.number) {
            if record.id.number > before + 1 {
                lines.extend([vec![], dots()]);
            }
            before = record.id.number;
            lines.push(vec![]);
            lines.extend(step(record));
        }
    }
    let steps = snapshot.transcript.records.len();
    let verdict = "chapter 5: the same, byte for byte".to_owned();
    let count = (PLAIN, format!(" ({steps} steps, 5.0 s)"));
    lines.extend([vec![], dots(), vec![], vec![(GOOD, verdict), count]]);
    lines
}

/// A step as the replay prints it.
fn step(record: &Record) -> Vec<Line> {
    let prompt = format!("{} ", record.terminal.prompt());
    let mut lines = vec![vec![
        (DIM, format!("{} ", record.id)),
        (GDB, prompt),
        (TYPED, record.command.clone()),
    ]];
    let output = record.output.stdout.trim_end();
    lines.extend(output.lines().map(|line| vec![(PLAIN, spread(line))]));
    lines
}

/// The line with blanks in place of tabs.
fn spread(line: &str) -> String {
    let mut spread = String::new();
    for c in line.chars() {
        match c {
            '\t' => spread += &" ".repeat(8 - spread.chars().count() % 8),
            c => spread.push(c),
        }
    }
    spread
}

fn drawn(lines: &[Line]) -> String {
    let height = (lines.len() + 2) * LINE;
    let ground = element("rect").with("width", "100%").with("height", "100%");
    let mut parts = vec![ground.with("rx", 8).with("fill", "#0d1017").empty()];
    for (line, at) in lines.iter().zip(1..) {
        let pieces = line
            .iter()
            .map(|(style, text)| element("tspan").with("style", style).text(text));
        let row = element("text").with("x", MARGIN);
        let row = row.with("y", at * LINE + MARGIN / 2);
        let row = row.with("style", "white-space:pre");
        parts.push(row.holding(pieces));
    }
    let svg = element("svg").with("xmlns", "http://www.w3.org/2000/svg");
    let svg = svg.with("viewBox", format!("0 0 {WIDTH} {height}"));
    let svg = svg.with("width", WIDTH).with("height", height);
    let svg = svg.with("font-family", "monospace").with("font-size", 14);
    svg.holding(parts).to_string()
}
