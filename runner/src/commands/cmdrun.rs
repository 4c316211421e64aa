//! `runner cmdrun`: the real mdbook-cmdrun, made to work under mdbook 0.5.
//!
//! mdbook-cmdrun 0.7.3 speaks the protocol of mdbook 0.4, which differs in two points: the book's field
//! `items` was called `sections` (and a field `__non_exhaustive` stood beside it), and a configuration
//! held no nulls. It reads nothing of the context, so it gets an empty configuration. This part falls
//! away when upstream's port to 0.5 is released; then `book.toml` names `mdbook-cmdrun` itself.
//!
//! What would have to stay somewhere: mdbook-cmdrun does not care whether a command failed, so that
//! afterwards every step is looked for on its page; and it finds `runner` by PATH, on which the folder
//! of this very program is put first.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use duct::cmd;
use mdbook_preprocessor::book::Book;
use serde_json::{Value, json};

use crate::commands::mdbook::Args;
use crate::commands::preprocess::COMMAND;
use crate::tools;
use book::chapter;
use book::chapter::{Fault, Faults};
use book::page;
use lab::transcript::step::StepId;

/// The version of mdbook whose protocol mdbook-cmdrun 0.7.3 was built for.
const SPEAKS: &str = "0.4.52";

/// Passes the book from standard input through mdbook-cmdrun to standard output.
///
/// # Errors
/// When mdbook-cmdrun cannot run, or left a step out.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(answer) = args.answer() {
        return Ok(answer);
    }
    let mut input = String::new();
    std::io::stdin()
        .read_to_string(&mut input)
        .context("read the book from mdbook")?;
    let (context, book): (Value, Value) = serde_json::from_str(&input)
        .context("understand what mdbook sent; the book is built with mdbook 0.5")?;
    let before: Book = serde_json::from_value(book.clone()).context("understand mdbook's book")?;
    let after = real_cmdrun(&to_old(&context, book)?)?;
    let after: Book = serde_json::from_value(to_new(after)?)
        .context("understand the book that came back from mdbook-cmdrun")?;
    complete(&before, &after)?;
    serde_json::to_writer(std::io::stdout(), &after).context("give the book back to mdbook")?;
    Ok(ExitCode::SUCCESS)
}

/// What mdbook 0.4 would have sent.
fn to_old(context: &Value, mut book: Value) -> anyhow::Result<Value> {
    let fields = book.as_object_mut().context("mdbook's book is no object")?;
    let items = fields
        .remove("items")
        .context("mdbook's book has no `items`; the book is built with mdbook 0.5")?;
    let book = json!({ "sections": items, "__non_exhaustive": null });
    let context = json!({
        "root": context["root"],
        "config": {},
        "renderer": context["renderer"],
        "mdbook_version": SPEAKS,
    });
    Ok(json!([context, book]))
}

/// What mdbook 0.5 expects back.
fn to_new(mut book: Value) -> anyhow::Result<Value> {
    let items = book
        .get_mut("sections")
        .context("mdbook-cmdrun gave back a book without `sections`; was it updated?")?
        .take();
    Ok(json!({ "items": items }))
}

fn real_cmdrun(input: &Value) -> anyhow::Result<Value> {
    let [_, tool] = tools::TOOLS;
    let output = cmd!(tool.name)
        .env("PATH", path_with_us_first()?)
        .stdin_bytes(serde_json::to_vec(input)?)
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
    serde_json::from_slice(&output.stdout).context("understand what mdbook-cmdrun printed")
}

fn path_with_us_first() -> anyhow::Result<std::ffi::OsString> {
    let program = std::env::current_exe().context("find the path of this program")?;
    let folder = program.parent().map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folder.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("put this program's folder on PATH")
}

/// Makes sure that every step which had a directive before is on its page after.
fn complete(before: &Book, after: &Book) -> Result<(), Faults> {
    let mut faults = Vec::new();
    for (page, done) in before.chapters().zip(after.chapters()) {
        let fault = |line, message| Fault {
            path: PathBuf::from("chapters").join(page.source_path.clone().unwrap_or_default()),
            line,
            message,
        };
        for id in steps(&page.content) {
            if !done
                .content
                .contains(&format!("id=\"{}\"", page::anchor(id)))
            {
                let message = format!(
                    "mdbook-cmdrun left out step {id}; run its `runner show {id} …` in the folder \
                     chapters to see why"
                );
                faults.push(fault(1, message));
            }
        }
        if COMMAND.is_match(&done.content) || done.content.contains("**cmdrun error**") {
            faults.push(fault(1, "mdbook-cmdrun left a directive undone".to_owned()));
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Faults(faults)),
    }
}

/// The steps whose directives stand on a page that was laid out.
fn steps(content: &str) -> Vec<StepId> {
    content
        .lines()
        .filter_map(|line| chapter::directive(line).ok().flatten())
        .filter_map(|words| words.first()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(content: &str) -> Book {
        let chapter = mdbook_preprocessor::book::Chapter::new(
            "Five",
            content.to_owned(),
            "05-x.md",
            Vec::new(),
        );
        Book::new_with_items(vec![chapter.into()])
    }

    #[test]
    fn the_book_survives_the_old_protocol() {
        let sent = serde_json::to_value(book("a")).unwrap();
        let context = json!({ "root": "r", "renderer": "html", "config": { "a": null } });
        let old = to_old(&context, sent.clone()).unwrap();
        assert_eq!(old[0]["config"], json!({}));
        assert_eq!(old[1]["sections"], sent["items"]);
        assert_eq!(to_new(old[1].clone()).unwrap(), sent);
        assert!(to_old(&context, json!({})).is_err());
        assert!(to_new(json!({})).is_err());
    }

    #[test]
    fn a_step_that_is_missing_afterwards_is_named() {
        let before = book("<div>\n<!-- cmdrun runner show 5.3 guest ls -->\n</div>\n");
        complete(
            &before,
            &book("<div>\n<div id=\"step-5.3\"></div>\n</div>\n"),
        )
        .unwrap();
        let error = complete(&before, &book("<div>\n</div>\n")).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("chapters/05-x.md:1: mdbook-cmdrun left out step 5.3"),
            "{said}"
        );
        assert!(complete(&before, &before).is_err());
    }
}
