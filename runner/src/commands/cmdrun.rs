//! `runner cmdrun`: the real mdbook-cmdrun, made to work under mdbook 0.5, and asked once a
//! chapter.
//!
//! mdbook-cmdrun starts a shell for each directive, and a book has a thousand. So it is given one
//! directive for all steps of a chapter, such as `runner show '5.1 guest ls' '5.2 gdb backtrace'`,
//! and nothing else of the page. What that prints is a line for each step, in which no newline can
//! be of a guest's making ([`page::step`]), and each line goes to the place of its own directive.
//!
//! mdbook-cmdrun 0.7.3 speaks the protocol of mdbook 0.4, in which the book's items were called
//! sections, and it reads nothing of the context but the version. When upstream's port to 0.5 is
//! released, only that changes here.
//!
//! mdbook-cmdrun does not care whether a command failed, so every step is looked for in what came
//! back; and it finds `runner` by PATH, on which the folder of this very program is put first.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use duct::cmd;
use serde_json::{Value, json};

use crate::commands::mdbook::Args;
use crate::tools;
use book::chapter::DIRECTIVE_MAX;
use book::chapter::markdown::{Directive, Page};
use book::fault::Fault;
use book::html;
use book::page::layout::commands;
use lab::transcript::step::StepId;
use lab::transcript::words;

/// The version of mdbook whose protocol mdbook-cmdrun 0.7.3 was built for.
const SPEAKS: &str = "0.4.52";

/// Passes the steps of the book from standard input through mdbook-cmdrun, and the book to standard
/// output.
///
/// # Errors
/// When mdbook-cmdrun cannot run, or left a step out.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.preprocess(|book| {
        let mut asked = Vec::new();
        book.pages(&mut |path, page| {
            asked.push((path.to_owned(), directives(page)));
            Ok(())
        })?;
        asked.retain(|(_, directives)| !directives.is_empty());
        let shown = real_cmdrun(&asked)?;
        let mut faults = Vec::new();
        let source = book.source.clone();
        book.pages(&mut |path, page| {
            let steps = shown.get(path).map_or("", String::as_str);
            let (filled, missing) = fill(page, steps);
            *page = filled;
            let missing = missing.into_iter();
            faults.extend(missing.map(|message| Fault::new(&source.join(path), 1, message)));
            Ok(())
        })?;
        Ok(faults)
    })
}

/// The directives that show all steps of a page: one, or more where a shell would not take it.
fn directives(page: &str) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    let mut alone = Vec::new();
    for (range, _, words) in steps(&Page::read(page)) {
        let quoted: Vec<String> = words.iter().map(|word| words::quote_word(word)).collect();
        let word = words::quote_word(&quoted.join(" "));
        match groups.last_mut() {
            // Quotes of quotes are long; of the author's own line the length was checked.
            _ if word.len() > DIRECTIVE_MAX => alone.push(page[range].to_owned()),
            Some(group) if group.len() + word.len() < DIRECTIVE_MAX => {
                *group += &format!(" {word}");
            }
            _ => groups.push(word),
        }
    }
    let groups = groups
        .iter()
        .map(|words| format!("<!-- cmdrun runner show {words} -->"));
    groups.chain(alone).collect()
}

/// The steps of a page that was laid out, each with the place of its directive and its words.
fn steps(page: &Page<'_>) -> Vec<(Range<usize>, StepId, Vec<String>)> {
    let step = |directive: &Directive<'_>| {
        let words = words::split(directive.arguments).ok()?;
        let words = words.strip_prefix(&["runner", "show"].map(str::to_owned))?;
        let id = words.first()?.parse().ok()?;
        Some((directive.range.clone(), id, words.to_vec()))
    };
    page.directives("cmdrun").filter_map(step).collect()
}

/// What mdbook-cmdrun makes of the directives of each page: the lines that were printed.
fn real_cmdrun(asked: &[(PathBuf, Vec<String>)]) -> anyhow::Result<HashMap<PathBuf, String>> {
    let [_, tool] = tools::TOOLS;
    let input = serde_json::to_vec(&to_old(asked))?;
    let output = cmd!(tool.name)
        .env("PATH", path_with_us_first()?)
        .stdin_bytes(input)
        .stdout_capture()
        .unchecked()
        .run();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{} is not on PATH; {}", tool.name, tools::REMEDY)
        }
        Err(error) => return Err(error).context("run mdbook-cmdrun"),
    };
    if !output.status.success() {
        bail!("mdbook-cmdrun ended with {}; see above", output.status);
    }
    let book = serde_json::from_slice(&output.stdout);
    from_old(book.context("understand what mdbook-cmdrun printed")?)
}

/// What mdbook 0.4 would have sent, if the pages were nothing but their directives.
fn to_old(asked: &[(PathBuf, Vec<String>)]) -> Value {
    let section = |(path, directives): &(PathBuf, Vec<String>)| {
        json!({ "Chapter": {
            "name": path,
            "content": directives.join("\n") + "\n",
            "number": null,
            "sub_items": [],
            "path": path,
            "source_path": path,
            "parent_names": [],
        }})
    };
    let sections: Vec<Value> = asked.iter().map(section).collect();
    let context =
        json!({ "root": ".", "config": {}, "renderer": "html", "mdbook_version": SPEAKS });
    json!([context, { "sections": sections, "__non_exhaustive": null }])
}

/// The texts of the pages that came back.
fn from_old(mut book: Value) -> anyhow::Result<HashMap<PathBuf, String>> {
    let sections = book["sections"]
        .as_array_mut()
        .context("mdbook-cmdrun gave back a book without `sections`; was it updated?")?;
    let page = |section: &mut Value| {
        let chapter = section.get_mut("Chapter")?;
        let path = chapter["source_path"].as_str()?.into();
        let Value::String(content) = chapter["content"].take() else {
            return None;
        };
        Some((path, content))
    };
    Ok(sections.iter_mut().filter_map(page).collect())
}

fn path_with_us_first() -> anyhow::Result<std::ffi::OsString> {
    let program = std::env::current_exe().context("find the path of this program")?;
    let folder = program.parent().map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folder.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("put this program's folder on PATH")
}

/// The page with the shown steps in the places of their directives, and what is missing.
fn fill(page: &str, shown: &str) -> (String, Vec<String>) {
    // `<div class="…" id="step-5.3" …`
    let lines = shown
        .lines()
        .filter_map(|line| Some((line.split('"').nth(3)?, line)));
    let shown: HashMap<&str, &str> = lines.collect();
    let mut missing = Vec::new();
    let mut edits = Vec::new();
    let page = Page::read(page);
    for (range, id, _) in steps(&page) {
        match shown.get(&*html::anchor(id)) {
            Some(html) => edits.push((range, (*html).to_owned())),
            None => missing.push(format!(
                "mdbook-cmdrun left out step {id}; run its `runner show {id} …` in the folder \
                 chapters to see why"
            )),
        }
    }
    let filled = page.edited(edits);
    if missing.is_empty() && commands(&filled) > 0 {
        missing.push("mdbook-cmdrun left a directive undone".to_owned());
    }
    (filled, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<div>\n<!-- cmdrun runner show 5.3 guest ls -->\n\
                        <!-- cmdrun runner show 5.4 gdb 'p \"it'\\''s\"' -->\n</div>\nwords\n";

    #[test]
    fn all_steps_of_a_page_are_asked_for_at_once() {
        let asked = directives(PAGE);
        let [directive] = &asked[..] else {
            panic!("{asked:?}")
        };
        let read = Page::read(directive);
        let words = words::split(read.directives("cmdrun").next().unwrap().arguments).unwrap();
        assert_eq!(words[..2], ["runner", "show"]);
        let steps: Vec<_> = words[2..].iter().map(|word| words::split(word)).collect();
        let expected = [&["5.3", "guest", "ls"][..], &["5.4", "gdb", "p \"it's\""]];
        assert_eq!(
            steps,
            expected.map(|words| Ok(words.iter().map(std::string::ToString::to_string).collect()))
        );
        assert_eq!(directives("words\n"), [""; 0]);
    }

    #[test]
    fn no_directive_is_longer_than_a_shell_takes() {
        let line =
            |id: usize, text: &str| format!("<!-- cmdrun runner show 5.{id} guest {text} -->\n");
        let quotes = line(101, &format!("\"{}\"", "'".repeat(40_000)));
        let page: String = (1..=100).map(|id| line(id, &"x".repeat(5_000))).collect();
        let asked = directives(&(page + &quotes));
        assert_eq!(asked.len(), 7);
        assert!(asked.iter().all(|directive| directive.len() < 128 << 10));
        assert_eq!(asked[6], quotes.trim_end());
    }

    #[test]
    fn a_step_goes_to_its_place_and_one_that_is_missing_is_named() {
        let [three, four] =
            [3, 4].map(|id| format!("<div class=\"step\" id=\"step-5.{id}\">&#10;</div>\n"));
        let expected = format!("<div>\n{three}{four}</div>\nwords\n");
        for shown in [format!("{three}{four}"), format!("{four}\n{three}")] {
            assert_eq!(fill(PAGE, &shown), (expected.clone(), vec![]));
        }
        let (_, missing) = fill(PAGE, &four);
        assert_eq!(missing.len(), 1);
        assert!(
            missing[0].starts_with("mdbook-cmdrun left out step 5.3"),
            "{missing:?}"
        );
        let (_, missing) = fill("a <!-- cmdrun ls --> b\n", "");
        assert_eq!(missing, ["mdbook-cmdrun left a directive undone"]);
    }

    #[test]
    fn what_is_no_book_of_the_old_protocol_is_refused() {
        assert!(from_old(json!({ "items": [] })).is_err());
    }
}
