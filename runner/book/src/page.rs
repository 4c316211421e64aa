//! The HTML of a page: what a step looks like, and what a chapter was verified with.
//!
//! mdbook colours and decorates `code` elements; steps have none.

mod changes;
mod check;
mod exercise;
pub mod hint;
pub mod layout;
mod patch;
pub mod survey;
pub mod values;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::chapter::Chapter;
use crate::html::{Html, anchor, element, text};
use crate::snapshot::drift::Other;
use crate::snapshot::{KIND, Snapshot};
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

/// A step and what it printed, and what it does `elsewhere`: on other series of the kernel.
#[must_use]
pub fn step<'a>(step: &Step, record: &Record, elsewhere: impl Iterator<Item = Other<'a>>) -> Html {
    let id = step.id;
    let anchor = anchor(id);
    let terminal = step.terminal.word();
    let look = step.command.is_empty();
    let label = match look {
        true => format!("{terminal}, later:"),
        false => terminal.to_owned(),
    };
    let link = element("a").class("step-link");
    let link = link.with("href", format_args!("#{anchor}"));
    let link = link.with("aria-label", format_args!("Link to step {id}"));
    let head = [
        element("span").class("step-terminal").text(label),
        link.text(id),
    ];
    let mut parts = vec![element("div").class("step-head").holding(head)];
    parts.push(stdout(
        step,
        &command(step.terminal, &step.command),
        &record.output.stdout,
    ));
    parts.extend(stderr(step.terminal, &record.output.stderr));
    let note = |text: String| element("p").class("step-note").text(text);
    if look && record.output.stdout.is_empty() && record.output.stderr.is_empty() {
        parts.push(note("nothing new".to_owned()));
    }
    if record.output.status != 0 && !is_refusal(record) {
        parts.push(note(format!("exit status {}", record.output.status)));
    }
    parts.extend(elsewhere.map(|other| on_another(step.terminal, &other)));
    element("div")
        .class(format_args!("step step-{terminal}"))
        .with("id", anchor)
        .with("role", "group")
        .with("aria-label", format_args!("Step {id}, {terminal}"))
        .holding(parts)
}

/// What a step does on another series of the kernel, folded.
fn on_another(terminal: Terminal, other: &Other<'_>) -> Html {
    let how = match other.why {
        Some(_) => "otherwise",
        None => "another form",
    };
    let summary = element("summary").text(format_args!("{how} in {}", other.series));
    let mut parts = vec![summary];
    let reasons = [other.form.map(|form| &*form.why), other.why];
    let reasons = reasons.into_iter().flatten();
    parts.extend(reasons.map(|why| element("p").text(why)));
    let typed = other.form.map(|form| command(terminal, &form.command));
    let typed = typed.unwrap_or_default();
    match other.record {
        Some(record) => {
            let lines: Vec<&str> = record.output.stdout.split_inclusive('\n').collect();
            parts.extend(pre(&typed, &lines, "step-text"));
            parts.extend(stderr(terminal, &record.output.stderr));
        }
        None => parts.push(
            element("p")
                .class("step-note")
                .text("it cannot be typed there"),
        ),
    }
    element("details").class("step-drift").holding(parts)
}

/// The line that was typed; none for a look.
fn command(terminal: Terminal, typed: &str) -> Html {
    if typed.is_empty() {
        return Html::default();
    }
    let prompt = element("span").class("step-prompt").text(terminal.prompt());
    let arrow = || element("span").class("arrow").text("->");
    let parts = typed.split("->").flat_map(|part| [arrow(), text(part)]);
    let command = element("b").class("step-command").holding(parts.skip(1));
    [prompt, text(" "), command, text("\n")]
        .into_iter()
        .collect()
}

/// The line at a chapter's top: how it was verified, with what, and how to replay it.
#[must_use]
pub fn verified(chapter: &Chapter, snapshot: &Snapshot) -> Html {
    let Chapter { number, name, .. } = chapter;
    let frames = snapshot.transcript.frames.as_deref();
    let (kind, how) = match snapshot.fact(KIND) {
        Some("exact") => ("exact", "Verified byte for byte"),
        Some(_) => ("meaning", "Verified in meaning"),
        None => ("unknown", "Recorded"),
    };
    let with: Vec<String> = IN_SIGHT
        .iter()
        .filter_map(|(key, name)| Some(format!("{name} {}", version(snapshot.fact(key)?))))
        .collect();
    let with = match with.is_empty() {
        true => String::new(),
        false => format!(" with {}", with.join(", ")),
    };
    let differs = match kind {
        "meaning" => " Addresses, times and sizes may differ on your machine; nothing else may.",
        _ => "",
    };
    let facts = snapshot.provenance.iter();
    let facts =
        facts.flat_map(|(name, value)| [element("dt").text(name), element("dd").text(value)]);
    let summary = element("summary").text("All that it was recorded with");
    let line = element("p").holding([
        element("strong").text(how),
        text(format_args!("{with}.{differs} Replay it: ")),
        element("code").text(format_args!("cargo run -p runner -- chapter {number}")),
    ]);
    let capture = frames.map(|frames| capture(name, frames));
    let details = element("details").holding([summary, element("dl").holding(facts)]);
    element("aside")
        .class(format_args!("verified verified-{kind}"))
        .with("aria-label", "How this chapter was verified")
        .holding([line].into_iter().chain(capture).chain([details]))
}

/// The capture of the wire as a file to keep; it is a few kilobytes, so it is a part of the page.
fn capture(name: &str, frames: &[Frame]) -> Html {
    let file = format!("{name}.pcap");
    let data = BASE64.encode(capture::file(frames));
    let data = format!("data:application/vnd.tcpdump.pcap;base64,{data}");
    let link = element("a").with("download", &file).with("href", data);
    let many = if frames.len() == 1 { "" } else { "s" };
    element("p").holding([
        text("The wire of this chapter, for tcpdump or Wireshark: "),
        link.text(file),
        text(format_args!(", {} frame{many}", frames.len())),
    ])
}

/// `13.1` out of `GNU gdb (Debian 13.1-3) 13.1`: what the packager put in parentheses is left out.
fn version(value: &str) -> &str {
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let outside = value.split(['(', ')']).step_by(2);
    let mut words = outside.flat_map(str::split_whitespace);
    words.find(is_version).unwrap_or(value)
}

/// The command and the standard output, with folds.
fn stdout(step: &Step, command: &Html, output: &str) -> Html {
    let lines: Vec<&str> = output.split_inclusive('\n').collect();
    let shown = in_sight(step, &lines);
    let begin = shown.iter().take_while(|&&shown| shown).count();
    let mut html: Html = pre(command, &lines[..begin], "step-text")
        .into_iter()
        .collect();
    let mut at = begin;
    for run in shown[begin..].chunk_by(|a, b| a == b) {
        let text = pre(&Html::default(), &lines[at..at + run.len()], "step-text");
        at += run.len();
        if run[0] {
            html.extend(text);
        } else {
            let summary = format_args!("{} more lines", run.len());
            let parts = [element("summary").text(summary)].into_iter().chain(text);
            html += element("details").class("step-fold").holding(parts);
        }
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

fn stderr(terminal: Terminal, output: &str) -> Option<Html> {
    let caption = match terminal {
        Terminal::Gdb => "error",
        _ => "stderr",
    };
    let lines: Vec<&str> = output.split_inclusive('\n').collect();
    let text = pre(&Html::default(), &lines, "step-stderr")?;
    let caption = element("span").class("step-caption").text(caption);
    Some(element("div").class("step-error").holding([caption, text]))
}

/// The debugger has no exit status: it refused the command, and its message says so.
fn is_refusal(record: &Record) -> bool {
    record.terminal == Terminal::Gdb && !record.output.stderr.is_empty()
}

/// Preformatted lines behind `lead`; nothing at all when both are empty.
fn pre(lead: &Html, lines: &[&str], class: &str) -> Option<Html> {
    if lead.is_empty() && lines.is_empty() {
        return None;
    }
    let wide = lines.iter().any(|line| line.chars().count() > SCROLLS);
    let pre = element("pre").class(class);
    let pre = if wide { pre.with("tabindex", 0) } else { pre };
    let body = lines.iter().map(|line| marked(line));
    // The span keeps a browser from dropping a newline at the very beginning.
    let body = [lead.clone()].into_iter().chain(body);
    Some(pre.holding([element("span").holding(body)]))
}

/// Text that was made visible, with its escapes marked.
fn marked(visible: &str) -> Html {
    let mut html = Html::default();
    let mut rest = visible;
    while let Some(at) = rest.find("\\x") {
        let (before, from) = rest.split_at(at);
        html += text(before);
        let (found, behind) = from.split_at(if is_escape(from) { 4 } else { 2 });
        html += match is_escape(from) {
            true => element("span").class("step-escape").text(found),
            false => text(found),
        };
        rest = behind;
    }
    html += text(rest);
    html
}

fn is_escape(text: &str) -> bool {
    let digits = text.as_bytes().get(2..4);
    digits.is_some_and(|two| two.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::reasons::Form;
    use lab::transcript::Output;

    fn html(line: &str, stdout: &str, stderr: &str) -> Html {
        let words = lab::transcript::words::split(line).unwrap();
        let parsed = Step::parse(&words, 1).unwrap();
        let output = Output {
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            status: parsed.status,
            guest_ns: None,
        };
        let record = Record::new(&parsed, output);
        step(&parsed, &record, std::iter::empty())
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
    fn what_another_series_does_is_folded_behind_its_step() {
        let words = lab::transcript::words::split("5.3 guest x").unwrap();
        let parsed = Step::parse(&words, 1).unwrap();
        let record = |stdout: &str| {
            let stdout = stdout.to_owned();
            let output = Output {
                stdout,
                ..Output::default()
            };
            Record::new(&parsed, output)
        };
        let (here, there) = (record("a\n"), record("<b>\n"));
        let other = |series, record| Other {
            series,
            why: Some("It is <new>."),
            form: None,
            record,
        };
        let form = Form {
            command: "y <z>".to_owned(),
            why: "It is <y>.".to_owned(),
            line: 1,
        };
        let another_form = Other {
            why: None,
            form: Some(&form),
            ..other("5.10", Some(&there))
        };
        let others = [
            another_form,
            other("6.12", Some(&there)),
            other("7.3", None),
        ];
        let html = step(&parsed, &here, others.into_iter());
        let parts = [
            "a&#10;",
            "<summary>another form in 5.10</summary><p>It is &lt;y&gt;.</p>",
            "<b class=\"step-command\">y &lt;z&gt;</b>",
            "&lt;b&gt;&#10;",
            "<summary>otherwise in 6.12</summary><p>It is &lt;new&gt;.</p>",
            "&lt;b&gt;&#10;",
            "<summary>otherwise in 7.3</summary>",
            "it cannot be typed there</p></details></div>",
        ];
        let mut at = 0;
        for part in parts {
            at += html[at..]
                .find(part)
                .unwrap_or_else(|| panic!("{part}: {html}"));
        }
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
            &*marked(r"a\x1b[0m \xzz \x"),
            r#"a<span class="step-escape">\x1b</span>[0m \xzz \x"#
        );
        assert_eq!(&*marked("\\x1é<"), "\\x1é&lt;");
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
                "kind: exact\nlinux: 6.1.176\nqemu: QEMU emulator version 7.2.22 (Debian)\ngdb: \
                 GNU gdb (Debian 13.1-3) 13.1\nnew: <b>\n",
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
