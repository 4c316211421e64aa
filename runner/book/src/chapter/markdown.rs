//! A page's Markdown, read once: where its prose, its fences and its directives are.
//!
//! Whoever looks for something in a page asks here, so that all agree on what a fence is, however
//! long it is and whatever list or quote it stands in. The text is read by the parser that mdbook
//! uses, with mdbook's extensions. The pieces lie end to end: together they are the page, and an
//! [`Edit`] of one leaves every byte of the others as it was.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd};

/// A page and its pieces.
#[derive(Debug)]
pub struct Page<'a> {
    /// The whole text.
    pub text: &'a str,
    pieces: Vec<Piece<'a>>,
    /// Where the lines begin.
    lines: Vec<usize>,
}

/// A piece of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Anything that is none of the others, with the markup around it.
    Prose {
        /// Its bytes.
        range: Range<usize>,
        /// What of it is read as text.
        spans: Vec<Span<'a>>,
    },
    /// A block of code.
    Fence(Fence<'a>),
    /// A comment, `<!-- name arguments -->`.
    Directive(Directive<'a>),
}

/// Words of the prose, or a code span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    /// What a reader sees.
    pub text: CowStr<'a>,
    /// Its bytes, with the backticks of a code span.
    pub range: Range<usize>,
    /// Whether it is a code span.
    pub is_code: bool,
    /// Whether it stands in a heading or in a link, where no other link can be.
    pub bare: bool,
    /// How many headings begin before it.
    pub section: usize,
}

/// A block of code, fenced or indented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence<'a> {
    /// The first word behind the opening marks; empty where none is, and in an indented block.
    pub language: CowStr<'a>,
    /// From the opening marks to the end of the line of the closing ones.
    pub range: Range<usize>,
    /// Each line of its content, without the indentation of a list and the marks of a quote.
    pub lines: Vec<Range<usize>>,
    margin: String,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive<'a> {
    /// The first word.
    pub name: &'a str,
    /// What follows it.
    pub arguments: &'a str,
    /// From `<!--` to `-->`.
    pub range: Range<usize>,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Whether it has the shape of a directive: alone on its line, and `<!-- name arguments -->`.
    pub is_regular: bool,
    margin: String,
}

/// What takes the place of some bytes of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes.
    pub range: Range<usize>,
    /// What stands there instead.
    pub text: String,
}

/// What mdbook adds to CommonMark.
fn extensions() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM
}

impl<'a> Page<'a> {
    /// Reads a page.
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        let pieces = Vec::new();
        let mut page = Self {
            text,
            pieces,
            lines,
        };
        page.pieces = page.parse();
        page
    }

    fn parse(&self) -> Vec<Piece<'a>> {
        let mut tiles = Tiles::default();
        let (mut bare, mut section) = (0, 0);
        let mut fence: Option<Fence> = None;
        for (event, range) in Parser::new_ext(self.text, extensions()).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => fence = Some(self.fence(kind, range)),
                Event::End(TagEnd::CodeBlock) => {
                    tiles.extend(fence.take().map(Piece::Fence));
                }
                Event::Start(Tag::HtmlBlock) => {
                    tiles.extend(self.comments(range, true).map(Piece::Directive));
                }
                Event::InlineHtml(_) => {
                    tiles.extend(self.comments(range, false).map(Piece::Directive));
                }
                Event::Start(Tag::Heading { .. }) => {
                    section += 1;
                    bare += 1;
                }
                Event::Start(Tag::Link { .. } | Tag::Image { .. }) => bare += 1,
                Event::End(TagEnd::Heading(_) | TagEnd::Link | TagEnd::Image) => bare -= 1,
                // The rest of a tab that is partly indentation stands nowhere.
                Event::Text(_) if range.is_empty() => {}
                Event::Text(text) => match &mut fence {
                    Some(fence) => fence.add(self.text, range),
                    None => tiles.spans.push(Span {
                        text,
                        range,
                        is_code: false,
                        bare: bare > 0,
                        section,
                    }),
                },
                Event::Code(text) => tiles.spans.push(Span {
                    text,
                    range,
                    is_code: true,
                    bare: bare > 0,
                    section,
                }),
                _ => {}
            }
        }
        tiles.prose(self.text.len());
        tiles.pieces
    }

    fn fence(&self, kind: CodeBlockKind<'a>, mut range: Range<usize>) -> Fence<'a> {
        let language = match kind {
            CodeBlockKind::Fenced(info) => {
                let end = |c: char| c.is_whitespace() || c == ',';
                info.split(end).next().unwrap_or_default().to_owned()
            }
            CodeBlockKind::Indented => String::new(),
        };
        if !self.text[..range.end].ends_with('\n') {
            let rest = self.text[range.end..].trim_start_matches([' ', '\t']);
            let mut ends = ["\r\n", "\n", "\r"].into_iter();
            let end = ends.find(|end| rest.starts_with(end)).unwrap_or_default();
            if !end.is_empty() || rest.is_empty() {
                range.end = self.text.len() - rest.len() + end.len();
            }
        }
        Fence {
            language: language.into(),
            margin: self.margin(range.start),
            range,
            lines: Vec::new(),
        }
    }

    /// The comments in a piece of HTML, which is a block of its own or stands between words.
    fn comments(
        &self,
        html: Range<usize>,
        is_block: bool,
    ) -> impl Iterator<Item = Directive<'a>> + use<'a, '_> {
        let mut at = html.start;
        std::iter::from_fn(move || {
            let start = at + self.text[at..html.end].find("<!--")?;
            // `<!-->` is a comment, too.
            let close = self.text[start + 2..html.end].find("-->");
            let end = close.map_or(html.end, |close| start + 2 + close + 3);
            at = end;
            Some(self.directive(start..end, html.start, is_block))
        })
    }

    fn directive(&self, range: Range<usize>, block: usize, is_block: bool) -> Directive<'a> {
        let whole = &self.text[range.clone()];
        let inner = whole.strip_prefix("<!--").unwrap_or_default();
        let inner = inner.strip_suffix("-->").unwrap_or(inner);
        let (name, arguments) = match inner.trim().split_once(char::is_whitespace) {
            Some((name, arguments)) => (name, arguments.trim()),
            None => (inner.trim(), ""),
        };
        let before = &self.text[self.start_of_line(range.start)..range.start];
        let behind = &self.text[range.end..self.end_of_line(range.end)];
        let is_alone = is_block && (range.start == block || is_margin(before));
        let is_shaped = inner.starts_with(' ') && inner.ends_with(' ') && !inner.contains('\n');
        Directive {
            name,
            arguments,
            line: self.line(range.start),
            is_regular: is_alone && behind.trim().is_empty() && is_shaped,
            margin: self.margin(block),
            range,
        }
    }

    /// The pieces in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece<'a>] {
        &self.pieces
    }

    /// The words and code spans of the prose, in order.
    pub fn spans(&self) -> impl Iterator<Item = &Span<'a>> {
        let prose = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Prose { spans, .. } => Some(spans),
            _ => None,
        });
        prose.flatten()
    }

    /// The blocks of code, in order.
    pub fn fences(&self) -> impl Iterator<Item = &Fence<'a>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Fence(fence) => Some(fence),
            _ => None,
        })
    }

    /// The directives of this name, in order.
    pub fn directives(&self, name: &str) -> impl Iterator<Item = &Directive<'a>> {
        self.pieces.iter().filter_map(move |piece| match piece {
            Piece::Directive(directive) if directive.name == name => Some(directive),
            _ => None,
        })
    }

    /// The line of a byte, from 1.
    #[must_use]
    pub fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at)
    }

    fn start_of_line(&self, at: usize) -> usize {
        self.lines[self.line(at) - 1]
    }

    /// Behind the newline of the line that the byte is in.
    fn end_of_line(&self, at: usize) -> usize {
        let next = self.lines.get(self.line(at));
        next.copied().unwrap_or(self.text.len())
    }

    /// What continues, on a new line, the lists and quotes in which the block that begins here is.
    fn margin(&self, block: usize) -> String {
        let before = &self.text[self.start_of_line(block)..block];
        let mark = |c: char| {
            if is_margin(c.encode_utf8(&mut [0; 4])) {
                c
            } else {
                ' '
            }
        };
        before.chars().map(mark).collect()
    }

    /// Puts a line of HTML in the place of a directive, between blank lines, so that Markdown
    /// begins again behind it.
    #[must_use]
    pub fn replace(&self, directive: &Directive<'_>, html: &str) -> Edit {
        let Directive { range, margin, .. } = directive;
        let end = self.end_of_line(range.end);
        let start = self.start_of_line(range.start);
        let blank = margin.trim_end();
        if is_margin(&self.text[start..range.start]) {
            let text = format!("{blank}\n{margin}{html}\n{blank}\n");
            let range = start..end;
            return Edit { range, text };
        }
        // It is the first of its list item, and nothing stands before it.
        let (range, text) = (range.start..end, format!("{html}\n{blank}\n"));
        Edit { range, text }
    }

    /// Puts lines of HTML in the place of a fence.
    #[must_use]
    pub fn replace_fence<'b>(
        &self,
        fence: &Fence<'_>,
        lines: impl IntoIterator<Item = &'b str>,
    ) -> Edit {
        let margin = &fence.margin;
        let lines = Vec::from_iter(lines).join(&format!("\n{margin}"));
        Edit {
            range: fence.range.clone(),
            text: format!("{lines}\n{}\n", margin.trim_end()),
        }
    }

    /// The text with the edits in it. Of two that overlap, the first is made.
    #[must_use]
    pub fn edited(&self, mut edits: Vec<Edit>) -> String {
        edits.sort_by_key(|edit| edit.range.start);
        let mut text = String::with_capacity(self.text.len() * 2);
        let mut done = 0;
        for edit in edits {
            if edit.range.start >= done {
                text += &self.text[done..edit.range.start];
                text += &edit.text;
                done = edit.range.end;
            }
        }
        text + &self.text[done..]
    }
}

impl Fence<'_> {
    /// Whether it can hold steps.
    #[must_use]
    pub fn is_console(&self) -> bool {
        &*self.language == "console"
    }

    /// Takes in text of its content, which comes in parts of lines or in many lines.
    fn add(&mut self, text: &str, range: Range<usize>) {
        let mut start = range.start;
        for part in text[range].split_inclusive('\n') {
            let end = start + part.trim_end_matches('\n').len();
            let between = |last: &Range<usize>| text.get(last.start..start);
            let is_on = |last: &&mut Range<usize>| between(last).is_some_and(|t| !t.contains('\n'));
            match self.lines.last_mut().filter(is_on) {
                Some(last) if end > start => last.end = end,
                Some(_) => {}
                None => self.lines.push(start..end),
            }
            start += part.len();
        }
    }
}

/// The pieces so far.
#[derive(Default)]
struct Tiles<'a> {
    pieces: Vec<Piece<'a>>,
    spans: Vec<Span<'a>>,
    done: usize,
}

impl<'a> Tiles<'a> {
    /// Ends a piece of prose here.
    fn prose(&mut self, end: usize) {
        let (range, spans) = (self.done..end, std::mem::take(&mut self.spans));
        if !range.is_empty() {
            self.pieces.push(Piece::Prose { range, spans });
        }
    }

    fn extend(&mut self, pieces: impl IntoIterator<Item = Piece<'a>>) {
        for piece in pieces {
            let range = match &piece {
                Piece::Prose { range, .. } => range,
                Piece::Fence(fence) => &fence.range,
                Piece::Directive(directive) => &directive.range,
            };
            let Range { start, end } = *range;
            self.prose(start);
            self.done = end;
            self.pieces.push(piece);
        }
    }
}

/// Whether the text is nothing but indentation and marks of quotes.
fn is_margin(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' ' | '\t' | '>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page's pieces are, in short; together they are the page.
    fn told(text: &str) -> Vec<String> {
        let page = Page::read(text);
        let mut done = 0;
        let mut told = Vec::new();
        for piece in page.pieces() {
            let range = match piece {
                Piece::Prose { range, spans } => {
                    let mut places = spans.iter().map(|span| &span.range);
                    let inside = |span: &Range<usize>| {
                        !span.is_empty() && range.start <= span.start && span.end <= range.end
                    };
                    assert!(places.all(inside), "{text}");
                    range
                }
                Piece::Fence(fence) => {
                    let lines = fence.lines.iter().map(|line| &text[line.clone()]);
                    let lines = Vec::from_iter(lines).join("|");
                    told.push(format!("{}: {lines}", fence.language));
                    &fence.range
                }
                Piece::Directive(directive) => {
                    let Directive {
                        name,
                        arguments,
                        line,
                        is_regular,
                        ..
                    } = directive;
                    told.push(format!("{line} {name}({arguments}) {is_regular}"));
                    &directive.range
                }
            };
            assert_eq!(range.start, done, "{text}");
            done = range.end;
        }
        assert_eq!(done, text.len(), "{text}");
        told
    }

    #[test]
    fn a_fence_is_what_commonmark_says() {
        for (text, expected) in [
            (
                "````console\n```\n<!-- a -->\n````\nb",
                "console: ```|<!-- a -->",
            ),
            ("~~~~c,x y\n```\n~~~\n\n  z\n~~~~~\n", "c: ```|~~~||  z"),
            ("- a\n\n  ```c\n  x\n\n    y\n  ```\n  b\n", "c: x||  y"),
            ("> 1. ```c\n>    x\n>    ```\n> b\n", "c: x"),
            ("> ```c\n> x\nb\n", "c: x"),
            ("```c\r\nx\r\n\r\ny\r\n```\r\nb", "c: x||y"),
            ("a\n\n    x\n\n    y\n\nb", ": x||y"),
            ("```c\nx", "c: x"),
            ("```c\nx\n``` \r`a`", "c: x"),
            ("[^1]: ```c\n    x\n    ```\n\nA[^1]", "c: x"),
        ] {
            assert_eq!(told(text), [expected], "{text}");
        }
        for text in [
            "``` a`b\nx\n",
            "a ```c\nb",
            "<!--\n```c\n-->\n",
            "<div>\n```c\n</div>",
        ] {
            assert!(
                !told(text).iter().any(|piece| piece.contains(": ")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_directive_is_regular_where_it_stands_alone() {
        for (text, expected) in [
            ("a\n<!-- b c  d -->\ne", "2 b(c  d) true"),
            ("- a\n\n  > <!-- b c -->\n", "3 b(c) true"),
            ("1. <!-- b -->\n", "1 b() true"),
            (">\t<!-- b -->\n", "1 b() true"),
            ("<div>\n<!-- b c -->\n</div>\n", "2 b(c) true"),
            ("a <!-- b c -->\n", "1 b(c) false"),
            ("<!-- b c --> d\n", "1 b(c) false"),
            ("<!--b c-->\n", "1 b(c) false"),
            ("<!-- b\nc -->\n", "1 b(c) false"),
            ("| x |\n| - |\n| <!-- b --> |\n", "3 b() false"),
            ("<!-- b\nc", "1 b(c) false"),
            ("<!--> a\n", "1 >() false"),
        ] {
            assert_eq!(told(text), [expected], "{text}");
        }
        for text in ["`<!-- a -->`", "\\<!-- a -->", "```\n<!-- a -->\n```\n"] {
            assert!(
                told(text).iter().all(|piece| !piece.contains('(')),
                "{text}"
            );
        }
    }

    #[test]
    fn html_stands_in_the_list_or_quote_that_it_was_asked_for_in() {
        let replaced = |text: &str| {
            let page = Page::read(text);
            let directives = page
                .directives("x")
                .map(|found| page.replace(found, "<hr>"));
            let fences = page.fences();
            let fences = fences.map(|fence| page.replace_fence(fence, ["<p>", "a", "</p>"]));
            page.edited(directives.chain(fences).collect())
        };
        for (text, expected) in [
            ("a\n<!-- x -->\nb\n", "a\n\n<hr>\n\nb\n"),
            ("> a\n> <!-- x -->\n> b\n", "> a\n>\n> <hr>\n>\n> b\n"),
            ("- <!-- x -->\n", "- <hr>\n\n"),
            ("- a\n\n  <!-- x -->\n", "- a\n\n\n  <hr>\n\n"),
            ("a\n```c\nx\n```\nb", "a\n<p>\na\n</p>\n\nb"),
            ("- ```c\n  x\n  ```\n  b", "- <p>\n  a\n  </p>\n\n  b"),
            ("> 1. ~~~c\n>    x\n", "> 1. <p>\n>    a\n>    </p>\n>\n"),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }

    #[test]
    fn of_two_edits_of_the_same_bytes_the_first_is_made() {
        let edit = |range, text: &str| Edit {
            range,
            text: text.to_owned(),
        };
        let edits = vec![edit(2..3, "x"), edit(1..3, "y"), edit(3..3, "z")];
        assert_eq!(Page::read("abcd").edited(edits), "ayzd");
    }
}
