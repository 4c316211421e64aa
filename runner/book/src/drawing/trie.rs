//! A drawing of a trie of routes, and of the way of one address down.
//!
//! Each child of a node has a row, an empty one too, behind the bits of the address that lead to
//! it. The bits that its nodes have looked at are framed in those of the whole address, above the
//! trie.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::drawing::fib::{Kind, Node, Trie, Vector, Way};
use crate::drawing::svg::{CHARACTER, Figure, SMALL, WIDTH, link, rect, text};
use crate::html::{Html, element};
use lab::transcript::Record;

/// The drawing of what the steps printed.
///
/// # Errors
/// No trie, a part of one, and a way that does not lead through it.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let trie = Trie::last(records)?;
    let way = Way::read(records, &trie)?;
    let (picture, size) = Picture::of(&trie, &way);
    let (table, step) = (&trie.table, trie.step);
    let steps = way.taken.values().map(|(_, step)| step);
    let walked = match steps.clone().min().zip(steps.max()) {
        Some((first, last)) => {
            format!("; the way is that of the steps {first} to {last}, and its nodes lead there")
        }
        None => String::new(),
    };
    let figure = Figure {
        is_narrow: true,
        size,
        label: format!("The trie of the table {table}, step {step}"),
        told: &told(&trie, &way),
        caption: format!("Drawn from the table {table} of step {step}{walked}."),
    };
    Ok(figure.around(picture))
}

const PAD: usize = 8;
const ROW: usize = 20;
/// Of the address: the width of a bit, what is between two bytes, and the height of it all.
const BIT: usize = 12;
const APART: usize = 14;
const ADDRESS: usize = 74;
/// A node with more children shows those that are not empty.
const ALL: usize = 8;

/// What is drawn already, and how far down and to the right.
struct Picture<'a> {
    trie: &'a Trie,
    way: &'a Way,
    top: usize,
    right: usize,
    /// How far down branches hang from a dot.
    hung: BTreeMap<(usize, usize), usize>,
    branches: Html,
    walked: Html,
    names: Html,
}

/// A row that is still to be drawn.
struct Row {
    /// The dot that it hangs from.
    from: Option<(usize, usize)>,
    bits: String,
    is_walked: bool,
    what: What,
}

enum What {
    Vector(usize),
    Empty,
    /// How many children are empty, of a node with many.
    Others(usize),
}

impl<'a> Picture<'a> {
    fn of(trie: &'a Trie, way: &'a Way) -> (Html, (usize, usize)) {
        let mut picture = Self {
            trie,
            way,
            top: 0,
            right: WIDTH,
            hung: BTreeMap::new(),
            branches: Html::default(),
            walked: Html::default(),
            names: Html::default(),
        };
        let is_walked = !way.taken.is_empty();
        if is_walked {
            picture.address();
        }
        picture.table();
        let mut left = vec![Row {
            from: None,
            bits: String::new(),
            is_walked,
            what: What::Vector(0),
        }];
        while let Some(row) = left.pop() {
            let below = picture.row(&row);
            left.extend(below.into_iter().rev());
        }
        let parts = [picture.branches, picture.walked, picture.names];
        let size = (picture.right, picture.top + PAD);
        (parts.into_iter().collect(), size)
    }

    /// The address in bits, and a frame around those that a node looks at.
    fn address(&mut self) {
        let x = |bit: u32| {
            let place = 31 - bit as usize;
            PAD + BIT * place + APART * (place / 8)
        };
        let Way { address, taken } = self.way;
        self.names += text("name", (PAD, 16), Ipv4Addr::from(*address));
        for node in taken.keys() {
            let Kind::Node(Node { pos, bits, .. }) = self.trie.vectors[*node].kind else {
                continue;
            };
            let (from, to) = (x(pos + bits - 1), x(pos) + BIT);
            let frame = rect("chosen", (from, 26), (to - from, 20));
            self.branches += frame.with("rx", 3).empty();
            self.names += text("by middle", (x(pos) + BIT / 2, 59), pos);
        }
        for (byte, index) in address.to_be_bytes().iter().zip(0..) {
            let middle = |bit: u32| (x(31 - 8 * index - bit) + BIT / 2).to_string();
            let middles: Vec<String> = (0..8).map(middle).collect();
            let bits = format_args!("{byte:08b}");
            self.names += text("middle", (middles.join(" "), 41), bits);
        }
        self.top = ADDRESS;
    }

    /// Which table it is, and where it was printed.
    fn table(&mut self) {
        let Trie { table, step, .. } = self.trie;
        let (line, behind) = (
            self.top + 14,
            PAD + (table.chars().count() + 1) * CHARACTER / 10,
        );
        let name = [
            text("own", (PAD, line), table),
            text("by", (behind, line), step),
        ];
        self.names += link(*step, name);
        self.top += ROW;
    }

    /// Draws a row, and returns those that hang from its dot.
    fn row(&mut self, row: &Row) -> Vec<Row> {
        let y = self.top + ROW / 2;
        self.top += ROW;
        let by = if row.is_walked { "by walked" } else { "by" };
        let mut x = PAD + 4;
        if let Some((from, dot)) = row.from {
            let to = from + 8;
            let above = self.hung.insert((from, dot), y).unwrap_or(dot);
            self.branches += branch("branch", format_args!("M{from} {above}V{y}H{to}"));
            if row.is_walked {
                let way = format_args!("M{from} {dot}V{y}H{to}");
                self.walked += branch("branch walked", way);
            }
            self.names += text(by, (to + 4, y + 4), &row.bits);
            x = to + 14 + row.bits.len() * SMALL / 10;
        }
        match row.what {
            What::Vector(index) => return self.vector(index, (x, y), row.is_walked),
            What::Empty => self.names += text(by, (x - 4, y + 4), "empty"),
            What::Others(count) => {
                self.names += text(by, (x - 10, y + 4), format_args!("{count} are empty"));
            }
        }
        Vec::new()
    }

    fn vector(&mut self, index: usize, (x, y): (usize, usize), is_walked: bool) -> Vec<Row> {
        let Vector { name, kind, .. } = &self.trie.vectors[index];
        let dot = element("circle").class(if is_walked { "stop" } else { "call" });
        self.names += dot.with("cx", x).with("cy", y).with("r", 4).empty();
        let (at, line) = (x + 10, y + 4);
        let behind = at + name.len() * CHARACTER / 10;
        match kind {
            Kind::Leaf(routes) => {
                self.names += text("own", (at, line), name);
                for (route, index) in routes.iter().zip(0..) {
                    self.note((behind, line + ROW * index), route);
                }
                self.top += ROW * routes.len().saturating_sub(1);
                Vec::new()
            }
            Kind::Node(node) => {
                let taken = self.way.taken.get(&index);
                let step = taken.map(|(_, step)| step.to_string()).unwrap_or_default();
                let name = text("name", (at, line), name);
                self.names += match taken {
                    Some((_, id)) => link(*id, [name, text("by", (behind + 8, line), &step)]),
                    None => name,
                };
                let behind = behind + (step.len() + 1) * SMALL / 10;
                self.note((behind, line), &node.looks_at());
                node.rows((x, y), taken.map(|(child, _)| *child))
            }
        }
    }

    /// What stands at the right end of a row; where there is no room, the drawing gets wider.
    fn note(&mut self, (behind, y): (usize, usize), note: &str) {
        let width = note.chars().count() * SMALL / 10;
        self.right = self.right.max(behind + width + 3 * PAD);
        self.names += text("left by", (self.right - PAD, y), note);
    }
}

impl Node {
    /// The rows of the children, which hang from the node's dot.
    fn rows(&self, from: (usize, usize), taken: Option<u32>) -> Vec<Row> {
        let row = |number: u32, what| Row {
            from: Some(from),
            bits: self.binary(number),
            is_walked: taken == Some(number),
            what,
        };
        let vector = |(number, child): (&u32, &usize)| row(*number, What::Vector(*child));
        if self.children.len() + self.empty > ALL {
            let mut rows: Vec<Row> = self.children.iter().map(vector).collect();
            rows.push(Row {
                from: Some(from),
                bits: String::new(),
                is_walked: taken.is_some_and(|taken| !self.children.contains_key(&taken)),
                what: What::Others(self.empty),
            });
            return rows;
        }
        let child = |number: u32| match self.children.get(&number) {
            Some(child) => row(number, What::Vector(*child)),
            None => row(number, What::Empty),
        };
        (0..1 << self.bits).map(child).collect()
    }
}

fn branch(class: &str, way: std::fmt::Arguments<'_>) -> Html {
    element("path").class(class).with("d", way).empty()
}

/// The same in words.
fn told(trie: &Trie, way: &Way) -> String {
    let mut told = String::new();
    for (Vector { name, kind, .. }, index) in trie.vectors.iter().zip(0..) {
        match kind {
            Kind::Leaf(routes) => {
                let _ = write!(told, "{name} is a leaf: {}. ", routes.join(" and "));
            }
            Kind::Node(node) => {
                let _ = write!(told, "{name} looks at {}: ", node.looks_at());
                for (number, child) in &node.children {
                    let child = &trie.vectors[*child].name;
                    let _ = write!(told, "{} leads to {child}, ", node.binary(*number));
                }
                let _ = write!(told, "{} are empty. ", node.empty);
                if let Some((child, step)) = way.taken.get(&index) {
                    let (address, bits) = (Ipv4Addr::from(way.address), node.binary(*child));
                    let _ = write!(told, "{address} has {bits} there (step {step}). ");
                }
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    const PRINTED: &str = "\n7.1 guest cat /proc/net/fib_trie\n| Main:\n|   +-- 0.0.0.0/1 2 0 2\n\
        |      +-- 10.0.3.0/30 2 0 2\n|         |-- 10.0.3.0\n|            /24 link UNICAST\n\
        |         |-- 10.0.3.2\n|            /32 host LOCAL\n|      |-- 127.0.0.1\n\
        |         /8 host LOCAL\n|         /32 host LOCAL\n| Local:\n|   |-- 1.1.1.1\n= 0 at 1\n";
    const WAY: &str = "\n7.2 gdb set $key = 0x0a000301\n= 0\n\n\
        7.3 gdb node\n| 00000000, from bit 29, 2 bits: child 0\n= 0\n\n\
        7.4 gdb node\n| 0a000300, from bit 0, 2 bits: child 1\n= 0\n";

    fn draw_it(content: &str) -> Result<Html, String> {
        draw(&Snapshot::parse(content).unwrap().transcript.records)
    }

    #[test]
    fn each_child_has_a_row_behind_the_bits_that_lead_to_it() {
        let drawn = draw_it(PRINTED).unwrap();
        let told = "<desc>0.0.0.0/1 looks at 2 bits, from bit 29: 00 leads to 10.0.3.0/30, 11 \
            leads to 127.0.0.1, 2 are empty. 10.0.3.0/30 looks at 2 bits, from bit 0: 00 leads to \
            10.0.3.0, 10 leads to 10.0.3.2, 2 are empty. 10.0.3.0 is a leaf: /24 link UNICAST. \
            10.0.3.2 is a leaf: /32 host LOCAL. 127.0.0.1 is a leaf: /8 host LOCAL and /32 host \
            LOCAL.</desc>";
        assert!(drawn.contains(told), "{drawn}");
        assert!(
            drawn.contains("Drawn from the table Main of step 7.1.<"),
            "{drawn}"
        );
        assert_eq!(drawn.matches(">empty<").count(), 4, "{drawn}");
        assert_eq!(drawn.matches("class=\"branch\"").count(), 8, "{drawn}");
        // The table, nine rows, and one more for the second route.
        assert!(drawn.contains("viewBox=\"0 0 460 228\""), "{drawn}");
        assert!(!drawn.contains("walked"), "{drawn}");
    }

    #[test]
    fn the_way_of_an_address_is_marked_down_to_where_it_ends() {
        let drawn = draw_it(&format!("{PRINTED}{WAY}")).unwrap();
        for (bits, step) in [("00", "7.3"), ("01", "7.4")] {
            let told = format!("10.0.3.1 has {bits} there (step {step}). ");
            assert!(drawn.contains(&told), "{drawn}");
            assert!(
                drawn.contains(&format!("<a href=\"#step-{step}\">")),
                "{drawn}"
            );
        }
        assert_eq!(drawn.matches("branch walked").count(), 2, "{drawn}");
        assert_eq!(drawn.matches("chosen").count(), 2, "{drawn}");
        let marked = drawn.split("by walked").skip(1);
        let marked = marked.filter_map(|text| text.split(['>', '<']).nth(1));
        let marked: Vec<&str> = marked.collect();
        assert_eq!(marked, ["00", "01", "empty"]);
    }

    #[test]
    fn of_a_node_with_many_children_the_empty_ones_are_counted() {
        let drawn = draw_it(
            "\n7.1 guest x\n| Id 100:\n|   +-- 10.9.0.0/16 8 0 255\n|      |-- 10.9.5.0\n|         \
             /24 universe UNICAST\n= 0 at 1\n",
        );
        let drawn = drawn.unwrap();
        assert!(drawn.contains(">00000101<"), "{drawn}");
        assert!(drawn.contains(">255 are empty<"), "{drawn}");
    }

    #[test]
    fn a_trie_of_any_depth_is_drawn() {
        let node = |depth: usize| {
            let (indent, length) = (" ".repeat(3 * depth + 2), depth);
            format!("| {indent}+-- 0.0.0.0/{length} 1 0 1\n")
        };
        let (nodes, leaf) = ((0..32).map(node).collect::<String>(), " ".repeat(99));
        let content = format!("\n7.1 guest x\n| Main:\n{nodes}| {leaf}|-- 0.0.0.0\n= 0 at 1\n");
        let drawn = draw_it(&content).unwrap();
        assert!(!drawn.contains("viewBox=\"0 0 460 "), "{drawn}");
        assert_eq!(drawn.matches(">empty<").count(), 32, "{drawn}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let part = PRINTED.replace("|      |-- 127.0.0.1\n", "");
        let foreign = PRINTED.replace("|-- 10.0.3.2", "|-- 10.0.4.2");
        let elsewhere = format!("{PRINTED}{}", WAY.replace("bit 29", "bit 28"));
        let otherwise = format!("{PRINTED}{}", WAY.replace("0x0a", "0x7f"));
        let nowhere = format!("{PRINTED}{}", WAY.replace("$key", "$kay"));
        for (content, expected) in [
            (
                "\n7.1 guest x\n| Main:\n= 0 at 1\n",
                "no step above prints a trie",
            ),
            (&*part, "7.1 does not print all children of 0.0.0.0/1"),
            (&foreign, "7.1 prints 10.0.4.2 where no node leads to it"),
            (
                &elsewhere,
                "7.3 prints the node 00000000, which step 7.1 does not",
            ),
            (&otherwise, "7.3 prints child 0, and no step above sets"),
            (&nowhere, "7.3 prints child 0, and no step above sets"),
        ] {
            let error = draw_it(content).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
