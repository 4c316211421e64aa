//! The HTML of a page: what a step looks like, and what a chapter was verified with.
//!
//! Everything here is one line of text, with `&#10;` for a newline: a blank line would end the HTML
//! block that mdbook-cmdrun puts it into, and Markdown would begin again. No `<` ever comes from a
//! transcript, so that mdbook-cmdrun, which scans what it inserted once more, finds nothing to run.
//! mdbook colours and decorates `code` elements; steps have none.

pub mod check;
pub mod excerpt;
pub mod hint;
pub mod survey;
pub mod values;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::chapter::Chapter;
use crate::snapshot::Snapshot;
use lab::transcript::Record;
use lab::transcript::capture::{self, Frame};
use lab::transcript::step::{Step, Terminal};

/// A block of text wider than this many columns can be scrolled with the keyboard.
const SCROLLS: usize = 72;

/// An output of more lines folds, if its step does not say what stays in sight.
const LONG: usize = 24;

/// How many lines of its beginning and of its end stay in sight then.
const ENDS: (usize, usize) = (12, 4);

/// The facts of the provenance that stand in the line at the top: key, and name on the page.
const IN_SIGHT: [(&str, &str); 4] = [
    ("linux", "Linux"),
    ("qemu", "QEMU"),
    ("gdb", "gdb"),
    ("gcc", "gcc"),
];

/// The id of the element that holds a step: `step-5.3`.
#[must_use]
pub fn anchor(id: lab::transcript::step::StepId) -> String {
    format!("step-{id}")
}

/// A step and what it printed, as one line of HTML.
#[must_use]
pub fn step(step: &Step, record: &Record) -> String {
    let id = step.id;
    let anchor = anchor(id);
    let terminal = step.terminal.word();
    let look = step.command.is_empty();
    let label = if look {
        format!("{terminal}, later:")
    } else {
        terminal.to_owned()
    };
    let mut html = format!(
        "<div class=\"step step-{terminal}\" id=\"{anchor}\" role=\"group\" \
         aria-label=\"Step {id}, {terminal}\"><div class=\"step-head\">\
         <span class=\"step-terminal\">{label}</span>\
         <a class=\"step-link\" href=\"#{anchor}\" aria-label=\"Link to step {id}\">{id}</a></div>"
    );
    let command = if look {
        String::new()
    } else {
        format!(
            "<span class=\"step-prompt\">{}</span> <b class=\"step-command\">{}</b>&#10;",
            escape(step.terminal.prompt()),
            escape(&step.command).replace("-&gt;", "<span class=\"arrow\">-&gt;</span>")
        )
    };
    html += &stdout(step, &command, &record.output.stdout);
    html += &stderr(step.terminal, &record.output.stderr);
    if look && record.output.stdout.is_empty() && record.output.stderr.is_empty() {
        html += "<p class=\"step-note\">nothing new</p>";
    }
    if record.output.status != 0 && !is_refusal(record) {
        html += &format!(
            "<p class=\"step-note\">exit status {}</p>",
            record.output.status
        );
    }
    html + "</div>"
}

/// The line at a chapter's top, as one line of HTML: how it was verified, with what, and how to
/// replay it.
#[must_use]
pub fn verified(chapter: &Chapter, snapshot: &Snapshot) -> String {
    let Chapter { number, name, .. } = chapter;
    let frames = snapshot.transcript.frames.as_deref();
    let capture = frames.map_or_else(String::new, |frames| capture(name, frames));
    let fact = |key: &str| {
        let found = snapshot.provenance.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    };
    let (kind, how) = match fact("kind") {
        Some("exact") => ("exact", "Verified byte for byte"),
        Some(_) => ("meaning", "Verified in meaning"),
        None => ("unknown", "Recorded"),
    };
    let with: Vec<String> = IN_SIGHT
        .iter()
        .filter_map(|(key, name)| Some(format!("{name} {}", escape(version(fact(key)?)))))
        .collect();
    let with = match with.is_empty() {
        true => String::new(),
        false => format!(" with {}", with.join(", ")),
    };
    let differs = match kind {
        "meaning" => " Addresses, times and sizes may differ on your machine; nothing else may.",
        _ => "",
    };
    let facts: String = snapshot
        .provenance
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value)))
        .collect();
    format!(
        "<aside class=\"verified verified-{kind}\" aria-label=\"How this chapter was verified\">\
         <p><strong>{how}</strong>{with}.{differs} Replay it: \
         <code>cargo run -p runner -- chapter {number}</code></p>{capture}\
         <details><summary>All that it was recorded with</summary><dl>{facts}</dl></details></aside>"
    )
}

/// The capture of the wire as a file to keep; it is a few kilobytes, so it is a part of the page.
fn capture(name: &str, frames: &[Frame]) -> String {
    let data = BASE64.encode(capture::file(frames));
    format!(
        "<p>The wire of this chapter, for tcpdump or Wireshark: \
         <a download=\"{name}.pcap\" href=\"data:application/vnd.tcpdump.pcap;base64,{data}\">\
         {name}.pcap</a>, {} frame{}</p>",
        frames.len(),
        if frames.len() == 1 { "" } else { "s" }
    )
}

/// `13.1` out of `GNU gdb (Debian 13.1-3) 13.1`: what the packager put in parentheses is left out.
fn version(value: &str) -> &str {
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let mut depth = 0;
    value
        .split_whitespace()
        .filter(|word| {
            let outside = depth == 0 && !word.starts_with('(');
            depth += word.matches('(').count();
            depth = depth.saturating_sub(word.matches(')').count());
            outside
        })
        .find(is_version)
        .unwrap_or(value)
}

/// The command and the standard output, with folds.
fn stdout(step: &Step, command: &str, output: &str) -> String {
    let lines: Vec<&str> = output.split_inclusive('\n').collect();
    let shown = in_sight(step, &lines);
    let begin = shown.iter().take_while(|&&shown| shown).count();
    let mut html = pre(command, &lines[..begin], "step-text");
    let mut at = begin;
    for run in shown[begin..].chunk_by(|a, b| a == b) {
        let text = pre("", &lines[at..at + run.len()], "step-text");
        at += run.len();
        html += &match run[0] {
            true => text,
            false => format!(
                "<details class=\"step-fold\"><summary>{} more lines</summary>{text}</details>",
                run.len()
            ),
        };
    }
    html
}

/// Which lines stay in sight, and do not fold.
fn in_sight(step: &Step, lines: &[&str]) -> Vec<bool> {
    let is_asked = step.first.is_some() || step.last.is_some() || !step.keep.is_empty();
    let (first, last) = match is_asked {
        true => (step.first.unwrap_or(0), step.last.unwrap_or(0)),
        false if lines.len() > LONG => ENDS,
        false => (lines.len(), 0),
    };
    let mut shown: Vec<bool> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            at < first
                || lines.len() - at <= last
                || step.keep.iter().any(|text| line.contains(text))
        })
        .collect();
    // A fold takes as much room as a line, and as much attention as two.
    let runs = shown.chunk_by_mut(|a, b| a == b);
    for run in runs.filter(|run| run.len() < 3) {
        run.fill(true);
    }
    shown
}

fn stderr(terminal: Terminal, output: &str) -> String {
    if output.is_empty() {
        return String::new();
    }
    let caption = match terminal {
        Terminal::Gdb => "error",
        _ => "stderr",
    };
    let lines: Vec<&str> = output.split_inclusive('\n').collect();
    format!(
        "<div class=\"step-error\"><span class=\"step-caption\">{caption}</span>{}</div>",
        pre("", &lines, "step-stderr")
    )
}

/// The debugger has no exit status: it refused the command, and its message says so.
fn is_refusal(record: &Record) -> bool {
    record.terminal == Terminal::Gdb && !record.output.stderr.is_empty()
}

/// Preformatted lines behind `lead`, which is HTML; nothing at all when both are empty.
fn pre(lead: &str, lines: &[&str], class: &str) -> String {
    if lead.is_empty() && lines.is_empty() {
        return String::new();
    }
    let wide = lines.iter().any(|line| line.chars().count() > SCROLLS);
    let tab = if wide { " tabindex=\"0\"" } else { "" };
    let body: String = lines.iter().map(|line| text(line)).collect();
    // The span keeps a browser from dropping a newline at the very beginning.
    format!("<pre class=\"{class}\"{tab}><span>{lead}{body}</span></pre>")
}

/// Text that was made visible: escaped, and with its escapes marked.
fn text(visible: &str) -> String {
    let mut html = String::with_capacity(visible.len());
    let mut rest = visible;
    while let Some(at) = rest.find("\\x") {
        let (before, from) = rest.split_at(at);
        html += &escape(before);
        let width = if is_escape(from) { 4 } else { 2 };
        let (found, behind) = from.split_at(width);
        html += &match width {
            4 => format!("<span class=\"step-escape\">{found}</span>"),
            _ => escape(found),
        };
        rest = behind;
    }
    html + &escape(rest)
}

fn is_escape(text: &str) -> bool {
    let digits = text.as_bytes().get(2..4);
    digits.is_some_and(|two| two.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Text as HTML: nothing in it is markup.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            '\n' => html += "&#10;",
            '\t' => html += "&#9;",
            c if c.is_control() => html.push('\u{fffd}'),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::transcript::Output;

    fn html(line: &str, stdout: &str, stderr: &str) -> String {
        let words = lab::transcript::words::split(line).unwrap();
        let parsed = Step::parse(&words, 1).unwrap();
        let output = Output {
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            status: parsed.status,
            guest_ns: None,
        };
        let record = Record::new(&parsed, output);
        step(&parsed, &record)
    }

    #[test]
    fn a_step_is_one_line_whatever_it_printed() {
        let hostile =
            "\n\n<!-- cmdrun touch x -->\n```\n</pre><script>alert(1)</script>\n---\n\t'\"&";
        let html = html("5.3 gdb 'x </pre>'", hostile, hostile);
        assert!(!html.contains('\n') && !html.contains("<!--") && !html.contains("<script"));
        assert_eq!(html.matches("</pre>").count(), 2, "{html}");
        assert!(html.contains("&lt;!-- cmdrun touch x --&gt;&#10;```&#10;"));
    }

    #[test]
    fn a_fold_hides_the_middle_and_counts_it() {
        let lines = "1\n2\n3\n4\n5\n6\n";
        let kept =
            "2&#10;</span></pre><details class=\"step-fold\"><summary>3 more lines</summary>";
        for (options, shown) in [
            (
                "",
                "1&#10;2&#10;3&#10;4&#10;5&#10;6&#10;</span></pre></div>",
            ),
            ("first=2 last=1", "<summary>3 more lines</summary>"),
            ("first=2", "<summary>4 more lines</summary>"),
            ("last=2", "<summary>4 more lines</summary>"),
            ("keep=2 keep=6", kept),
            ("first=3 last=2", "4&#10;5&#10;"),
            ("first=9 last=9", "4&#10;5&#10;"),
        ] {
            let html = html(&format!("5.3 {options} guest x"), lines, "");
            assert!(html.contains(shown), "{options}: {html}");
            let folds = html.contains("<details");
            assert_eq!(folds, shown.contains("summary"), "{options}");
        }
    }

    #[test]
    fn a_long_output_folds_unasked() {
        let lines = |count| (1..=count).map(|n| format!("{n}\n")).collect::<String>();
        assert!(!html("5.3 guest x", &lines(LONG), "").contains("<details"));
        let long = html("5.3 guest x", &lines(LONG + 1), "");
        let (fold, end) = (
            "<summary>9 more lines</summary>",
            "&#10;25&#10;</span></pre></div>",
        );
        assert!(long.contains(fold) && long.ends_with(end), "{long}");
        assert!(!html("5.3 first=99 guest x", &lines(99), "").contains("<details"));
    }

    #[test]
    fn escapes_are_marked_and_look_alikes_are_not() {
        assert_eq!(
            text(r"a\x1b[0m \xzz \x"),
            r#"a<span class="step-escape">\x1b</span>[0m \xzz \x"#
        );
        assert_eq!(text("\\x1é<"), "\\x1é&lt;");
    }

    #[test]
    fn what_went_wrong_is_said() {
        assert!(html("5.3 status=1 guest x", "", "no\n").contains("exit status 1"));
        let refused = html("5.3 status=1 gdb x", "", "no\n");
        assert!(refused.contains("error</span>") && !refused.contains("exit status"));
        assert!(html("5.3 gdb", "", "").contains("nothing new"));
        assert!(html("5.3 gdb", "x\n", "").contains("gdb, later:"));
    }

    fn chapter(number: u32) -> Chapter {
        let path = format!("chapters/{number:02}-name.md");
        Chapter::parse(path.as_ref(), "").unwrap()
    }

    #[test]
    fn the_capture_is_a_file_to_keep() {
        let frames = "qemu: 7.2\n\n6.1 wire\n= 0\n\nframes\n7 ff00\n";
        let html = verified(&chapter(6), &Snapshot::parse(frames).unwrap());
        let link = r#"<a download="06-name.pcap" href="data:application/vnd.tcpdump.pcap;base64,1MOyoQIABAA"#;
        assert!(html.contains(link), "{html}");
        assert!(html.contains("06-name.pcap</a>, 1 frame</p>"));
        assert!(!verified(&chapter(6), &Snapshot::parse("").unwrap()).contains("pcap"));
    }

    #[test]
    fn the_kind_of_verification_is_said() {
        let snapshot = |text| Snapshot::parse(text).unwrap();
        let exact = verified(
            &chapter(5),
            &snapshot(
                "kind: exact\nlinux: 6.1.176\nqemu: QEMU emulator version 7.2.22 (Debian)\ngdb: GNU gdb (Debian 13.1-3) 13.1\nnew: <b>\n",
            ),
        );
        assert!(
            exact.contains(
                "byte for byte</strong> with Linux 6.1.176, QEMU 7.2.22, gdb 13.1. Replay"
            )
        );
        assert!(exact.contains("<dt>new</dt><dd>&lt;b&gt;</dd>"));
        let meaning = verified(&chapter(1), &snapshot("kind: meaning\n"));
        assert!(meaning.contains("in meaning</strong>. Addresses"));
        assert!(verified(&chapter(1), &snapshot("")).contains("<strong>Recorded</strong>. Replay"));
    }
}
