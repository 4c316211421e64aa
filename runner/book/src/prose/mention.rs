//! A mention of the kernel: a code span of the text that has the shape of one of its names, or a
//! name in a directive (`{{NUD_STALE}}`, `<!-- runner source … -->`).
//!
//! Whether the kernel has the name is not asked here; this module only reads.

use std::ops::Range;

use crate::chapter::markdown::Page;
use crate::chapter::value;
use crate::prose::excerpt;
use crate::prose::shape::{Shape, of_name, shape};

/// A code span that claims something about the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// What stands between the backticks.
    pub text: String,
    /// What it claims.
    pub shape: Shape,
    /// The line, from 1.
    pub line: usize,
    /// The span's bytes in the text, backticks included.
    pub range: Range<usize>,
    /// Whether it stands in a heading or in a link, where no other link can be.
    pub bare: bool,
    /// How many headings stand before it.
    pub section: usize,
}

/// The claims of a page, in its order.
#[must_use]
pub fn of_page(page: &Page<'_>) -> Vec<Mention> {
    let spans = page.spans().filter(|span| span.is_code);
    let claims = spans.filter_map(|span| {
        Some(Mention {
            shape: shape(&span.text)?,
            text: span.text.to_string(),
            line: page.line(span.range.start),
            range: span.range.clone(),
            bare: span.bare,
            section: span.section,
        })
    });
    let mut found: Vec<Mention> = claims.chain(of_directives(page)).collect();
    found.sort_by_key(|claim| claim.range.start);
    found
}

/// The names that a value is computed from, or that an excerpt is of. They cannot be links
/// themselves.
fn of_directives(page: &Page<'_>) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut add = |name: &str, range: &Range<usize>| {
        found.push(Mention {
            text: name.to_owned(),
            shape: of_name(name),
            line: page.line(range.start),
            range: range.clone(),
            bare: true,
            section: 0,
        });
    };
    for (range, inner) in value::find(page) {
        // What is wrong with it is told where it is filled in.
        let directive = value::Directive::parse(inner);
        for name in directive.iter().flat_map(value::Directive::names) {
            add(name, &range);
        }
    }
    for (directive, asked) in excerpt::asked(page) {
        if let Ok(excerpt) = asked {
            add(&excerpt.symbol, &directive.range);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_has_names() {
        let text = "{{A_B / HZ}} and {{1.1 c_d}}\n<!-- runner source struct e_f hash=1 -->\n";
        let found = of_page(&Page::read(text));
        let found: Vec<_> = found
            .iter()
            .map(|mention| (&*mention.text, mention.line))
            .collect();
        assert_eq!(found, [("A_B", 1), ("HZ", 1), ("struct e_f", 2)]);
    }

    #[test]
    fn spans_are_found_where_markdown_has_them() {
        let text = "# The `a_b`\n\nA `c_d` and ``e_f``, `not\nx_y here` and [`g_h`](x.md).\n\n\
                    ```c\n`i_j`\n```\n\n    `k_l`\n\n<div>\n`m_n`\n</div>\n\n\
                    | x |\n| - |\n| `o_p` |\n\n- item `q_r`\n\\`s_t`\n<!-- `u_v` -->\n";
        let found: Vec<_> = of_page(&Page::read(text))
            .into_iter()
            .map(|mention| {
                assert!(text[mention.range.clone()].contains(&mention.text));
                (mention.text, mention.line, mention.bare)
            })
            .collect();
        let expected = [
            ("a_b", 1, true),
            ("c_d", 3, false),
            ("e_f", 3, false),
            ("g_h", 4, true),
            ("o_p", 18, false),
            ("q_r", 20, false),
        ];
        let expected = expected.map(|(text, line, bare)| (text.to_owned(), line, bare));
        assert_eq!(found, expected);
    }
}
