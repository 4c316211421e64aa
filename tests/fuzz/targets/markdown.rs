//! Any text in place of a page: its pieces are the page, end to end, and an edit of one leaves the
//! others.
#![cfg_attr(not(test), no_main)]

use book::chapter::markdown::{Page, Piece};

pub fn read(text: &str) {
    let page = Page::read(text);
    let mut done = 0;
    let mut edits = Vec::new();
    for piece in page.pieces() {
        let range = match piece {
            Piece::Prose { range, spans } => {
                let mut inside = spans.iter().map(|span| &span.range);
                assert!(inside.all(|span| range.start <= span.start && span.end <= range.end));
                range
            }
            Piece::Fence(fence) => {
                let mut inside = fence.lines.iter();
                assert!(inside.all(|line| !text[line.clone()].contains('\n')));
                edits.push(page.replace_fence(fence, ["<hr>"]));
                &fence.range
            }
            Piece::Directive(directive) => {
                assert!((1..=text.lines().count()).contains(&directive.line));
                if directive.is_regular {
                    edits.push(page.replace(directive, "<hr>"));
                }
                &directive.range
            }
        };
        assert_eq!(range.start, done);
        done = range.end;
    }
    assert_eq!(done, text.len());
    assert_eq!(page.edited(Vec::new()), text);
    let _ = page.edited(edits);
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|text: &str| read(text));
