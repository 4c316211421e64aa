//! A trie of routes, as `/proc/net/fib_trie` prints it, and the way of an address down, as chapter
//! 9's command `node` prints it for the address in `$key`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::pattern::{Pattern, pattern};
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// A node, with its prefix, how many bits it looks at, and how many of its children are empty; or a
/// leaf.
static LINE: Pattern = Pattern::new(|| {
    pattern(r"^( *)(?:\+-- ([0-9.]+)/(\d{1,2}) (\d{1,2}) \d+ (\d+)|\|-- ([0-9.]+))$")
});
static ROUTE: Pattern = Pattern::new(|| pattern(r"^ +(/\d{1,2} .*)$"));
/// What `node` prints.
static WALKED: Pattern =
    Pattern::new(|| pattern(r"(?m)^([0-9a-f]{8}), from bit (\d+), (\d+) bits: child (\d+)$"));
static KEY: Pattern = Pattern::new(|| pattern(r"^set \$key = 0x([0-9a-f]{1,8})$"));

/// A node or a leaf.
#[derive(Debug)]
pub struct Vector {
    indent: usize,
    key: u32,
    /// Its address; of a node with the length of its prefix.
    pub name: String,
    /// Which of the two it is.
    pub kind: Kind,
}

/// What a line is.
#[derive(Debug)]
pub enum Kind {
    /// A line with `+--`.
    Node(Node),
    /// A line with `|--`, and its routes.
    Leaf(Vec<String>),
}

/// A node that looks at `bits` bits from bit `pos` on.
#[derive(Debug)]
pub struct Node {
    /// The lowest bit that it looks at.
    pub pos: u32,
    /// How many bits these are.
    pub bits: u32,
    /// How many of its children are empty.
    pub empty: usize,
    /// The children that are not empty, by their numbers.
    pub children: BTreeMap<u32, usize>,
}

/// A table, as a step printed it.
#[derive(Debug)]
pub struct Trie {
    /// The name that stands above it.
    pub table: String,
    /// The step that printed it.
    pub step: StepId,
    /// All nodes and leaves, a node before its children.
    pub vectors: Vec<Vector>,
}

/// The way of an address: the child that each node leads it to, and the step that says so.
#[derive(Debug, Default)]
pub struct Way {
    /// The address.
    pub address: u32,
    /// The numbers of the children, by the places of their nodes in the trie.
    pub taken: BTreeMap<usize, (u32, StepId)>,
}

impl Trie {
    /// The trie that a step printed last.
    ///
    /// # Errors
    /// None, or a part of one.
    pub fn last(records: &[Record]) -> Result<Self, String> {
        let last = records.iter().rev().find_map(Self::read);
        last.ok_or("no step above prints a trie of routes")?
            .joined()
    }

    /// The first table that a step shows.
    fn read(record: &Record) -> Option<Self> {
        let mut table = None;
        let mut vectors: Vec<Vector> = Vec::new();
        for line in record.output.stdout.lines() {
            if let Some(found) = LINE.captures(line) {
                vectors.push(Vector::read(&found)?);
            } else if let Some(found) = ROUTE.captures(line) {
                if let Some(Kind::Leaf(routes)) = vectors.last_mut().map(|last| &mut last.kind) {
                    routes.push(found[1].to_owned());
                }
            } else if vectors.is_empty() {
                table = line.strip_suffix(':').map(str::to_owned);
            } else {
                break;
            }
        }
        let table = table.filter(|_| !vectors.is_empty())?;
        let step = record.id;
        Some(Self {
            table,
            step,
            vectors,
        })
    }

    /// Gives each node its children.
    fn joined(mut self) -> Result<Self, String> {
        let step = self.step;
        let mut above: Vec<usize> = Vec::new();
        for index in 0..self.vectors.len() {
            let Vector { indent, key, .. } = self.vectors[index];
            while let Some(last) = above.pop_if(|last| self.vectors[*last].indent >= indent) {
                self.vectors[last].complete(step)?;
            }
            let parent = above.last().map(|last| &mut self.vectors[*last]);
            if !parent.map_or(index == 0, |parent| parent.adopt(key, index)) {
                let name = &self.vectors[index].name;
                return Err(format!(
                    "step {step} prints {name} where no node leads to it"
                ));
            }
            above.push(index);
        }
        for index in above {
            self.vectors[index].complete(step)?;
        }
        Ok(self)
    }

    /// The node with this place in the addresses.
    fn node(&self, key: u32, place: (u32, u32)) -> Option<usize> {
        self.vectors.iter().position(|vector| match &vector.kind {
            Kind::Node(node) => (vector.key, (node.pos, node.bits)) == (key, place),
            Kind::Leaf(_) => false,
        })
    }
}

impl Vector {
    fn read(found: &regex_lite::Captures<'_>) -> Option<Self> {
        let part = |index: usize| found.get(index).map(|part| part.as_str());
        let number = |index: usize| part(index)?.parse::<u32>().ok();
        let address = part(2).or_else(|| part(6))?;
        let (name, kind) = match number(3) {
            Some(length) => {
                let bits = number(4).filter(|bits| (1..32).contains(bits))?;
                let node = Node {
                    pos: 32_u32.checked_sub(length)?.checked_sub(bits)?,
                    bits,
                    empty: part(5)?.parse().ok()?,
                    children: BTreeMap::new(),
                };
                (format!("{address}/{length}"), Kind::Node(node))
            }
            None => (address.to_owned(), Kind::Leaf(Vec::new())),
        };
        Some(Self {
            indent: part(1)?.len(),
            key: address.parse::<Ipv4Addr>().ok()?.into(),
            name,
            kind,
        })
    }

    /// Takes a child, if it is one.
    fn adopt(&mut self, child: u32, index: usize) -> bool {
        match &mut self.kind {
            Kind::Node(node) => {
                let number = (child ^ self.key) >> node.pos;
                number < 1 << node.bits && node.children.insert(number, index).is_none()
            }
            Kind::Leaf(_) => false,
        }
    }

    /// Nothing, when all children are known.
    fn complete(&self, step: StepId) -> Result<(), String> {
        match &self.kind {
            Kind::Node(node)
                if node.children.len().checked_add(node.empty) != Some(1 << node.bits) =>
            {
                let name = &self.name;
                Err(format!("step {step} does not print all children of {name}"))
            }
            _ => Ok(()),
        }
    }
}

impl Node {
    /// The number of a child, as the bits of an address that lead to it.
    #[must_use]
    pub fn binary(&self, number: u32) -> String {
        format!("{number:00$b}", self.bits as usize)
    }

    /// Which bits it looks at, in words.
    #[must_use]
    pub fn looks_at(&self) -> String {
        let Self { pos, bits, .. } = self;
        match bits {
            1 => format!("bit {pos}"),
            _ => format!("{bits} bits, from bit {pos}"),
        }
    }
}

impl Way {
    /// The way that the steps print; it is empty where they print none.
    ///
    /// # Errors
    /// A node that the trie does not have, and a child that is not for the address.
    pub fn read(records: &[Record], trie: &Trie) -> Result<Self, String> {
        let mut address = None;
        let mut taken = BTreeMap::new();
        for record in records {
            let id = record.id;
            if let Some(found) = KEY.captures(&record.command) {
                address = u32::from_str_radix(&found[1], 16).ok();
            }
            for found in WALKED.captures_iter(&record.output.stdout) {
                let number = |index: usize| found[index].parse::<u32>().unwrap_or(u32::MAX);
                let (pos, bits, child) = (number(2), number(3), number(4));
                let key = u32::from_str_radix(&found[1], 16).unwrap_or_default();
                let node = trie.node(key, (pos, bits)).ok_or_else(|| {
                    let (step, key) = (trie.step, &found[1]);
                    format!(
                        "step {id} prints the node {key}, which step {step} does not have there"
                    )
                })?;
                if address.is_none_or(|address: u32| (address ^ key) >> pos != child) {
                    return Err(format!(
                        "step {id} prints child {child}, and no step above sets `$key` to an \
                         address that this child is for"
                    ));
                }
                taken.insert(node, (child, id));
            }
        }
        let address = address.unwrap_or_default();
        Ok(Self { address, taken })
    }
}
