//! An excerpt: lines of the kernel's source, quoted from the reader's own tree while the book is
//! built.
//!
//! `<!-- runner source tcp_v4_rcv hash=1f2e3d4c from='sk = __inet' to='goto no_tcp_socket' -->`
//! stands alone on its line. It shows a definition, or its lines from the first that has one text
//! to the next that has the other. Nothing of the source is kept in the repository but the hash,
//! which tells when the lines are no more those that the text was written for. Where no tree is,
//! the page says what would stand there. The place of the definition is the recorded one
//! ([`crate::prose::glossary`]), or the nearest to it that has the name.

use std::path::{Component, Path};

use crate::chapter::markdown::{Directive, Edit, Page};
use crate::fault::Fault;
use crate::html::{Html, element, text};
use crate::prose::glossary::Glossary;
use crate::prose::resolve::Found;
use crate::prose::shape::shape;
use crate::symbols::{Kind, has_word};
use lab::transcript::words;

/// How many digits of the SHA-256 tell one excerpt from another.
const DIGITS: usize = 8;
/// An excerpt of more lines is no excerpt.
const MOST_LINES: usize = 40;

/// What has a definition in a file.
const DEFINED: [Kind; 6] = [
    Kind::Function,
    Kind::Variable,
    Kind::Macro,
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
];

/// What a line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The name of what is quoted, as a code span would have it: `tcp_v4_rcv`, `struct sk_buff`.
    pub symbol: String,
    /// The first digits of the SHA-256 of the lines that the text was written for.
    hash: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// What was found in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The number of the first line, from 1.
    line: usize,
    /// The lines, each with its end, as the tree has them.
    lines: String,
    /// Whether there are lines of the definition before and behind.
    cut: (bool, bool),
}

/// What the directives of a page ask for that ask for source.
pub fn asked<'a>(
    page: &'a Page<'a>,
) -> impl Iterator<Item = (&'a Directive<'a>, Result<Excerpt, String>)> {
    page.directives("runner").filter_map(|directive| {
        let mut words = directive.arguments.splitn(2, char::is_whitespace);
        let is_ours = words.next() == Some("source");
        let rest = words.next().unwrap_or_default();
        let asked = || {
            if !directive.is_regular {
                return Err("expected `<!-- runner source NAME -->`, alone on its line".to_owned());
            }
            Excerpt::parse(&words::split(rest).map_err(|error| error.to_string())?)
        };
        is_ours.then(|| (directive, asked()))
    })
}

/// The excerpts of a page.
#[derive(Debug, Default)]
pub struct Filled {
    /// What takes the place of the directives.
    pub edits: Vec<Edit>,
    /// What cannot be shown.
    pub faults: Vec<Fault>,
    /// What is shown, and is not what it was.
    pub changed: Vec<Fault>,
}

/// Puts excerpts in the place of the lines that ask for them.
#[must_use]
pub fn fill(path: &Path, page: &Page<'_>, tree: Option<&Path>, names: &Glossary) -> Filled {
    let mut filled = Filled::default();
    for (directive, asked) in asked(page) {
        let fault = |message| Fault::new(path, directive.line, message);
        let quoted = asked.and_then(|excerpt| {
            let quote = tree.map(|tree| excerpt.quote(tree, names)).transpose()?;
            Ok((excerpt, quote))
        });
        match quoted {
            Err(message) => filled.faults.push(fault(message)),
            Ok((excerpt, quote)) => {
                let stale = quote.as_ref().and_then(|quote| excerpt.stale(quote));
                let told = match excerpt.hash {
                    None => &mut filled.faults,
                    Some(_) => &mut filled.changed,
                };
                told.extend(stale.map(fault));
                let html = excerpt.html(quote.as_ref(), names);
                filled.edits.push(page.replace(directive, &html));
            }
        }
    }
    filled
}

impl Excerpt {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut excerpt = Self::default();
        let mut symbol = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some(("hash", value)) => excerpt.hash = Some(value.to_owned()),
                Some(("from", value)) => excerpt.from = Some(value.to_owned()),
                Some(("to", value)) => excerpt.to = Some(value.to_owned()),
                _ => symbol.push(word.as_str()),
            }
        }
        excerpt.symbol = symbol.join(" ");
        if shape(&excerpt.symbol).is_none() {
            return Err(format!(
                "expected `<!-- runner source SYMBOL hash=… from='…' to='…' -->`, and `{}` has \
                 not the shape of a kernel's name",
                excerpt.symbol
            ));
        }
        Ok(excerpt)
    }

    /// The lines of the tree.
    ///
    /// # Errors
    /// What the tree has not, and why.
    pub fn quote(&self, tree: &Path, names: &Glossary) -> Result<Quote, String> {
        let (found, file, line) = self.place(names)?;
        let is_inside = |part| matches!(part, Component::Normal(_));
        if !Path::new(file).components().all(is_inside) {
            return Err(format!("{file} is no file of the kernel's tree"));
        }
        let text = std::fs::read(tree.join(file))
            .map_err(|error| format!("read {file} of the kernel's tree: {error}"))?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let name = self.symbol.rsplit(' ').next().unwrap_or(&self.symbol);
        let at = nearest(&lines, name, line)
            .ok_or_else(|| format!("{file} has no line that defines `{name}`"))?;
        let (start, end) = match found.kind {
            Kind::Macro => (at, end_of_macro(&lines, at)),
            _ => (start(&lines, at), end(&lines, at)),
        };
        self.cut(&lines, start, end)
    }

    /// The part of a definition that is asked for.
    fn cut(&self, lines: &[&str], start: usize, end: usize) -> Result<Quote, String> {
        let seek = |text: &str, from: usize| {
            let found = lines[from..end].iter().position(|line| line.contains(text));
            found
                .map(|at| from + at)
                .ok_or_else(|| format!("no line of `{}` has `{text}`", self.symbol))
        };
        let first = match &self.from {
            Some(text) => seek(text, start)?,
            None => start,
        };
        let last = match &self.to {
            Some(text) => seek(text, first)?,
            None => end - 1,
        };
        let count = last + 1 - first;
        if count > MOST_LINES {
            return Err(format!(
                "`{}` would be {count} lines; choose at most {MOST_LINES} with from= and to=",
                self.symbol
            ));
        }
        Ok(Quote {
            line: first + 1,
            lines: lines[first..=last].concat(),
            cut: (first > start, last + 1 < end),
        })
    }

    /// What the name is, its file, and the line from 1.
    fn place<'a>(&self, names: &'a Glossary) -> Result<(&'a Found, &'a str, usize), String> {
        let symbol = &self.symbol;
        let Some(found) = names.names.get(symbol) else {
            return Err(format!(
                "`{symbol}` was never recorded: cargo run -p runner -- claims --record"
            ));
        };
        let place = found.place.rsplit(", ").next();
        let place = place.and_then(|place| place.rsplit_once(':'));
        let place = place.and_then(|(file, line)| Some((found, file, line.parse().ok()?)));
        let no_definition = || {
            let kind = found.kind;
            format!("a {kind} such as `{symbol}` is no definition to quote")
        };
        place
            .filter(|_| DEFINED.contains(&found.kind))
            .ok_or_else(no_definition)
    }

    /// What is wrong with the hash, if the lines are these.
    fn stale(&self, quote: &Quote) -> Option<String> {
        let (symbol, now) = (&self.symbol, quote.hash());
        match &self.hash {
            Some(hash) if *hash == now => None,
            Some(_) => Some(format!(
                "the excerpt of `{symbol}` has changed since its text was written; read it, mend \
                 the text, and write hash={now}"
            )),
            None => Some(format!(
                "the excerpt of `{symbol}` has no hash; read what it quotes, and write hash={now} \
                 behind the name"
            )),
        }
    }

    /// The excerpt on the page: the lines, or what would be there.
    #[must_use]
    pub fn html(&self, quote: Option<&Quote>, names: &Glossary) -> Html {
        let found = names.names.get(&self.symbol);
        let link = found.and_then(|found| names.link(found));
        let link = link.unwrap_or_default();
        let symbol = element("code").text(&self.symbol);
        let file = self.place(names).map_or("", |(_, file, _)| file);
        let figure = element("figure").class("excerpt");
        let caption = element("figcaption");
        let Some(quote) = quote else {
            let read = element("a")
                .with("href", link)
                .text(format_args!("Read them in {file}"));
            return figure.holding([caption.holding([
                text("Here stand lines of "),
                symbol,
                text(" as soon as the kernel's source is on the machine that builds the book. "),
                read,
                text("."),
            ])]);
        };
        let (base, line) = (link.split("#L").next().unwrap_or_default(), quote.line);
        let place = element("a").with("href", format_args!("{base}#L{line}"));
        let caption =
            caption.holding([symbol, text(" "), place.text(format_args!("{file}:{line}"))]);
        let lines = element("code").class("language-c").text(quote.shown());
        let changed = self.stale(quote).map(|_| {
            let note = "These lines are not those that the text was written for.";
            element("p").class("step-note").text(note)
        });
        let parts = [caption, element("pre").holding([lines])];
        figure.holding(parts.into_iter().chain(changed))
    }
}

impl Quote {
    /// The first digits of the SHA-256 of the lines.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hash = lab::system::files::sha256_of(self.lines.as_bytes());
        hash.truncate(DIGITS);
        hash
    }

    /// The lines with as little indentation as they can have, and dots where something was left
    /// out.
    fn shown(&self) -> String {
        let indent = |line: &str| line.len() - line.trim_start_matches('\t').len();
        let filled = self.lines.lines().filter(|line| !line.trim().is_empty());
        let common = filled.map(indent).min().unwrap_or(0);
        let dots = |is_cut: bool| is_cut.then_some("…").into_iter();
        let lines = self.lines.lines();
        let lines = lines.map(|line| line.get(common..).unwrap_or_default());
        let shown = dots(self.cut.0).chain(lines).chain(dots(self.cut.1));
        shown.flat_map(|line| [line, "\n"]).collect()
    }
}

/// The line, from 0, that is nearest to the recorded one (from 1) and begins with a definition of
/// the name.
fn nearest(lines: &[&str], name: &str, recorded: usize) -> Option<usize> {
    let defines = |line: &str| {
        has_word(line, name)
            && !line.starts_with(char::is_whitespace)
            && !line.starts_with(['*', '/'])
    };
    let numbered = lines.iter().enumerate();
    let all = numbered.filter(|(_, line)| defines(line)).map(|(at, _)| at);
    all.min_by_key(|at| at.abs_diff(recorded.saturating_sub(1)))
}

/// A definition may begin on the line before its name, with its type.
fn start(lines: &[&str], at: usize) -> usize {
    let is_begun = |line: &str| {
        let end = line.trim_end();
        let is_whole = end.is_empty() || end.ends_with([';', '}', '/', ':', '\\', ')']);
        !is_whole && !line.starts_with(['#', ' ', '\t', '*'])
    };
    let before = lines[..at]
        .iter()
        .rev()
        .take_while(|line| is_begun(line))
        .count();
    at - before
}

/// Behind the last line of a definition: kernel style closes it with a brace in the first column.
fn end(lines: &[&str], at: usize) -> usize {
    let rest = &lines[at..];
    let opens = rest.iter().position(|line| line.contains('{'));
    let ends = rest.iter().position(|line| line.trim_end().ends_with(';'));
    let last = match (opens, ends) {
        (Some(opens), Some(ends)) if ends < opens => Some(ends),
        (Some(opens), _) if rest[opens].trim_end().ends_with(['}', ';']) => Some(opens),
        (Some(opens), _) => rest[opens..]
            .iter()
            .position(|line| line.starts_with('}'))
            .map(|end| opens + end),
        (None, ends) => ends,
    };
    last.map_or(lines.len(), |last| at + last + 1)
}

fn end_of_macro(lines: &[&str], at: usize) -> usize {
    let goes_on = |line: &&&str| line.trim_end().ends_with('\\');
    let end = at + lines[at..].iter().take_while(goes_on).count() + 1;
    end.min(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "#define A_LEN (1 + \\\n\t2)\n\nstatic int b_call(int x);\n\n/* b_call() \
        is here */\nstatic\nint b_call(int x)\n{\n\
        \tint y = 1;\n\n\tif (x) {\n\t\ty = 2;\n\t}\n\treturn y;\n}\n\nstruct c_d {\n\tint \
        e;\n};\nint f_g = 3;\n";

    fn names() -> Glossary {
        let found = |kind, place: &str| Found {
            kind,
            place: place.to_owned(),
        };
        let names = [
            ("A_LEN", found(Kind::Macro, "= 3, net/a.c:1")),
            ("b_call", found(Kind::Function, "net/a.c:9")),
            ("struct c_d", found(Kind::Struct, "4 bytes, net/a.c:18")),
            ("f_g", found(Kind::Variable, "net/a.c:21")),
            ("g_h", found(Kind::Function, "net/a.c:2")),
            ("e_e", found(Kind::Member, "struct c_d +0, net/a.c:19")),
        ];
        Glossary {
            linux: "1.2".to_owned(),
            names: names.map(|(name, found)| (name.to_owned(), found)).into(),
            ..Glossary::default()
        }
    }

    fn asked_by(line: &str) -> Result<Excerpt, String> {
        asked(&Page::read(line)).next().unwrap().1
    }

    fn quoted(line: &str) -> Result<Quote, String> {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("net")).unwrap();
        std::fs::write(tree.path().join("net/a.c"), SOURCE).unwrap();
        asked_by(&format!("<!-- runner source {line} -->"))?.quote(tree.path(), &names())
    }

    #[test]
    fn a_definition_is_quoted_whole() {
        for (symbol, line, shown) in [
            ("A_LEN", 1, "#define A_LEN (1 + \\\n\t2)\n"),
            (
                "b_call",
                7,
                "static\nint b_call(int x)\n{\n\tint y = 1;\n\n\tif (x) {\n\t\ty = \
                 2;\n\t}\n\treturn y;\n}\n",
            ),
            ("struct c_d", 18, "struct c_d {\n\tint e;\n};\n"),
            ("f_g", 21, "int f_g = 3;\n"),
            (
                "b_call from='if (x)' to=2",
                12,
                "…\nif (x) {\n\ty = 2;\n…\n",
            ),
        ] {
            let quote = quoted(symbol).unwrap();
            assert_eq!((quote.line, &*quote.shown()), (line, shown), "{symbol}");
        }
    }

    #[test]
    fn what_cannot_be_quoted_says_why() {
        for (line, message) in [
            ("x", "`x` has not the shape"),
            ("z_z", "never recorded"),
            ("g_h", "net/a.c has no line that defines `g_h`"),
            ("e_e", "a member such as `e_e` is no definition"),
            ("b_call from=nothing", "no line of `b_call` has `nothing`"),
            ("b_call 'x", "never closed"),
        ] {
            let error = quoted(line).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
    }

    #[test]
    fn no_place_and_no_source_breaks_an_excerpt() {
        for (place, source, message) in [
            ("net/a.c:1", "#define A_B 1 \\\n", ""),
            ("net/a.c:99999999999", "#define A_B", ""),
            ("net/a.c:1", "", "no line that defines"),
            (
                "../net/a.c:1",
                "#define A_B 1",
                "no file of the kernel's tree",
            ),
            ("/etc/passwd:1", "", "no file of the kernel's tree"),
        ] {
            let tree = tempfile::tempdir().unwrap();
            std::fs::create_dir(tree.path().join("net")).unwrap();
            std::fs::write(tree.path().join("net/a.c"), source).unwrap();
            let found = Found {
                kind: Kind::Macro,
                place: format!("= 1, {place}"),
            };
            let names = Glossary {
                names: [("A_B".to_owned(), found)].into(),
                ..Glossary::default()
            };
            let excerpt = asked_by("<!-- runner source A_B -->").unwrap();
            let quote = excerpt.quote(tree.path(), &names);
            assert!(quote.map_or_else(|error| error.contains(message), |_| message.is_empty()));
        }
    }

    #[test]
    fn a_hash_tells_other_lines() {
        let quote = quoted("f_g").unwrap();
        let stale = |line: &str| asked_by(line).unwrap().stale(&quote);
        let now = quote.hash();
        for (hash, told) in [("", "has no hash"), ("hash=00", "has changed")] {
            let message = stale(&format!("<!-- runner source f_g {hash} -->")).unwrap();
            assert!(
                message.contains(told) && message.contains(&now),
                "{message}"
            );
        }
        let line = format!("<!-- runner source f_g hash={now} -->");
        assert_eq!(stale(&line), None);
    }

    #[test]
    fn the_page_has_the_lines_or_says_what_they_would_be() {
        let names = names();
        let line = "<!-- runner source b_call from='if (x)' to=2 hash=00 -->";
        let excerpt = asked_by(line).unwrap();
        let without = excerpt.html(None, &names);
        assert!(
            without.contains("lines of <code>b_call</code>")
                && without.contains("v1.2/source/net/a.c#L9\">Read them in net/a.c")
        );
        let with = excerpt.html(quoted("b_call from='if (x)' to=2").ok().as_ref(), &names);
        assert!(
            with.contains("source/net/a.c#L12\">net/a.c:12</a>")
                && with.contains("…&#10;if (x) {&#10;&#9;y = 2;&#10;…")
        );
        assert!(
            with.contains("not those that the text was written for") && !with.contains('\n'),
            "{with}"
        );
    }
}
