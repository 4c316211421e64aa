//! Two outputs of a step side by side.

use similar::{DiffOp, TextDiff};

/// How wide the terminal is; as wide as two of the usual ones where there is none.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(160, |size| usize::from(size.ws_col).max(40))
}

/// Two texts in two columns, which fill the terminal, with a mark between lines that differ.
#[must_use]
pub fn beside(left: &str, right: &str) -> String {
    columns(left, right, width())
}

fn columns(left: &str, right: &str, width: usize) -> String {
    let column = (width - 3) / 2;
    let diff = TextDiff::from_lines(left, right);
    let [left, right] = [left, right].map(|text| Vec::from_iter(text.lines()));
    let mut told = String::new();
    for operation in diff.ops() {
        let mark = match operation {
            DiffOp::Equal { .. } => ' ',
            DiffOp::Delete { .. } => '<',
            DiffOp::Insert { .. } => '>',
            DiffOp::Replace { .. } => '|',
        };
        let [olds, news] = [&left[operation.old_range()], &right[operation.new_range()]];
        for row in 0..olds.len().max(news.len()) {
            let pieces = [olds, news].map(|lines| folded(lines.get(row).unwrap_or(&""), column));
            for at in 0..pieces[0].len().max(pieces[1].len()) {
                let [old, new] = [0, 1].map(|side| pieces[side].get(at).map_or("", |piece| piece));
                let line = format!("{old:<column$} {mark} {new}");
                told += line.trim_end();
                told.push('\n');
            }
        }
    }
    told
}

/// A line cut into pieces that a column holds, with its tabs as blanks.
fn folded(line: &str, column: usize) -> Vec<String> {
    let chars: Vec<char> = line.replace('\t', "    ").chars().collect();
    let pieces = chars.chunks(column.max(1)).map(String::from_iter);
    match chars.is_empty() {
        true => vec![String::new()],
        false => pieces.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_beside_each_other_and_long_lines_go_on() {
        let told = columns("a\nb\nc\n", "a\nB is longer\nc\nd\n", 23);
        assert_eq!(
            told,
            "a            a\n\
             b          | B is longe\n           | r\n\
             c            c\n           > d\n"
        );
    }
}
