//! The calls that the backtraces of several steps show, as trees: what two backtraces have in
//! common stands there once.
//!
//! A backtrace that was cut short says nothing of what lies below. It is continued where another
//! one passes through its lowest function; where none does, it begins a tree. Among siblings the
//! one that was shown first stands first.

use std::cmp::Reverse;

use crate::drawing::backtrace::{self, Call};
use crate::drawing::layer::Layer;
use lab::transcript::Record;
use lab::transcript::step::StepId;

/// A function, called by the one above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub function: String,
    /// Its own layer, or its caller's; of a tree's first functions that have none, the first that
    /// follows.
    pub layer: Option<Layer>,
    /// Whether the compiler has put it into its caller.
    pub inlined: bool,
    /// The first step that shows it.
    pub step: StepId,
    /// The first step that finds the machine in it.
    pub stop: Option<StepId>,
    /// What it calls: places in [`Calls::nodes`].
    pub children: Vec<usize>,
}

impl Node {
    fn stop(&mut self, step: StepId) {
        self.stop = Some(self.stop.map_or(step, |other| other.min(step)));
    }
}

/// The trees.
#[derive(Debug, Default)]
pub struct Calls {
    /// All functions.
    pub nodes: Vec<Node>,
    /// Where the trees begin.
    pub roots: Vec<usize>,
}

impl Calls {
    /// The trees of what the steps show; empty where no step shows a backtrace.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let mut paths: Vec<(&Record, Vec<Call>)> = records
            .iter()
            .map(|record| (record, backtrace::calls(record)))
            .filter(|(_, path)| !path.is_empty())
            .collect();
        // The long ones first: they say best where a short one belongs.
        paths.sort_by_key(|(_, path)| Reverse(path.len()));
        let mut calls = Self::default();
        for (record, path) in &paths {
            let last = calls.insert(path, record.id);
            if backtrace::stop(record).is_some() {
                calls.nodes[last].stop(record.id);
            }
        }
        for record in records {
            if let Some(function) = backtrace::stop(record) {
                calls.mark(&function, record.id);
            }
        }
        calls.settle();
        calls
    }

    /// Adds a path where it belongs, and returns its last function.
    fn insert(&mut self, path: &[Call], step: StepId) -> usize {
        let from = (0..self.nodes.len())
            .rev()
            .max_by_key(|node| self.common(*node, path));
        if let Some(node) = from.filter(|node| self.common(*node, path) > 0) {
            return self.add(node, path, step);
        }
        // A tree that began in the middle of this path goes on from it.
        let passed = path.iter().position(|call| {
            let mut roots = self.roots.iter();
            roots.any(|root| self.nodes[*root].function == call.function)
        });
        let end = passed.unwrap_or(1);
        let first = self.nodes.len();
        for call in &path[..end] {
            let node = self.push(call, step);
            if node > first {
                self.nodes[node - 1].children.push(node);
            }
        }
        if passed.is_some() {
            let best = self.roots.iter().copied().rev();
            if let Some(root) = best.max_by_key(|root| self.common(*root, &path[end..])) {
                self.roots.retain(|other| *other != root);
                self.nodes[first + end - 1].children.push(root);
            }
        }
        self.roots.push(first);
        self.add(first, path, step)
    }

    /// Notes that the machine has stopped in a function, if it is clear in which place of the trees
    /// that is.
    fn mark(&mut self, function: &str, step: StepId) {
        let mut same = self
            .nodes
            .iter_mut()
            .filter(|node| node.function == function);
        if let (Some(node), None) = (same.next(), same.next()) {
            node.stop(step);
        }
    }

    fn push(&mut self, call: &Call, step: StepId) -> usize {
        self.nodes.push(Node {
            function: call.function.clone(),
            layer: call.layer,
            inlined: call.inlined,
            step,
            stop: None,
            children: Vec::new(),
        });
        self.nodes.len() - 1
    }

    /// How many of the path's functions, from the first on, are known as a path that begins at
    /// `node`.
    fn common(&self, node: usize, path: &[Call]) -> usize {
        match path.split_first() {
            Some((first, rest)) if first.function == self.nodes[node].function => {
                let below = self.nodes[node].children.iter();
                1 + below
                    .map(|child| self.common(*child, rest))
                    .max()
                    .unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Adds a path whose first function is the one at `node`, and returns its last.
    fn add(&mut self, mut node: usize, path: &[Call], step: StepId) -> usize {
        for (call, at) in path.iter().zip(0..) {
            if at > 0 {
                let mut below = self.nodes[node].children.iter().copied();
                let known = below.find(|child| self.nodes[*child].function == call.function);
                let child = known.unwrap_or_else(|| {
                    let child = self.push(call, step);
                    self.nodes[node].children.push(child);
                    child
                });
                node = child;
            }
            let here = &mut self.nodes[node];
            here.step = here.step.min(step);
            // Whether the lowest function of a short backtrace is inlined, only a longer one knows.
            here.inlined |= call.inlined;
        }
        node
    }

    /// Brings siblings into their order, and gives a layer to what has none.
    fn settle(&mut self) {
        let steps: Vec<StepId> = self.nodes.iter().map(|node| node.step).collect();
        self.roots.sort_by_key(|root| steps[*root]);
        for node in &mut self.nodes {
            node.children.sort_by_key(|child| steps[*child]);
        }
        for root in self.roots.clone() {
            let layer = self.first_layer(root);
            self.inherit(root, layer);
        }
    }

    fn first_layer(&self, node: usize) -> Option<Layer> {
        let Node {
            layer, children, ..
        } = &self.nodes[node];
        let mut below = children.iter();
        layer.or_else(|| below.find_map(|child| self.first_layer(*child)))
    }

    fn inherit(&mut self, root: usize, above: Option<Layer>) {
        let mut left = vec![(root, above)];
        while let Some((node, above)) = left.pop() {
            let node = &mut self.nodes[node];
            node.layer = node.layer.or(above);
            left.extend(node.children.iter().map(|child| (*child, node.layer)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::backtrace::tests::records;

    /// A line for each function, indented.
    fn told(calls: &Calls) -> String {
        fn one(calls: &Calls, node: usize, depth: usize) -> String {
            let Node {
                function,
                layer,
                children,
                ..
            } = &calls.nodes[node];
            let layer = layer.map_or("-", Layer::name);
            let below: String = children
                .iter()
                .map(|child| one(calls, *child, depth + 1))
                .collect();
            format!("{:depth$}{function} {layer}\n{below}", "")
        }
        calls
            .roots
            .iter()
            .map(|root| one(calls, *root, 0))
            .collect()
    }

    #[test]
    fn what_backtraces_have_in_common_stands_there_once() {
        let records = records(
            "\n9.1 gdb backtrace 2\n| #0  copy (...) at lib/iov_iter.c:1\n| #1  0xff in send \
             (...) at net/ipv4/tcp.c:2\n= 0\n\n\
             9.2 gdb backtrace 3\n| #0  out (...) at net/ipv4/ip_output.c:1\n| #1  0xff in push \
             (...) at net/ipv4/tcp.c:2\n\
             | #2  0xfe in send (...) at net/ipv4/tcp.c:3\n= 0\n\n\
             9.3 gdb backtrace 3\n| #0  push (...) at net/ipv4/tcp.c:2\n| #1  0xfe in send (...) \
             at net/ipv4/tcp.c:3\n\
             | #2  0xfd in write (...) at net/socket.c:4\n= 0\n\n\
             9.4 gdb backtrace\n| #0  sleep (...) at kernel/sched/core.c:2\n= 0\n",
        );
        let calls = Calls::of(&records);
        let expected = "write socket\n send TCP\n  copy TCP\n  push TCP\n   out IP\nsleep task\n";
        assert_eq!(told(&calls), expected);
        let push = calls
            .nodes
            .iter()
            .find(|node| node.function == "push")
            .unwrap();
        assert_eq!((push.step.number, push.stop.unwrap().number), (2, 3));
        assert!(Calls::of(&records[..0]).nodes.is_empty());
    }

    #[test]
    fn a_short_backtrace_goes_where_most_of_it_is_known() {
        let records = records(
            "\n9.1 gdb backtrace\n| #0  c () at net/ipv4/tcp.c:1\n| #1  0xff in b () at \
             net/ipv4/tcp.c:2\n\
             | #2  0xff in a () at net/ipv4/tcp.c:2\n| #3  0xff in b () at net/ipv4/tcp.c:2\n| \
             #4  0xff in z () at net/ipv4/tcp.c:2\n= 0\n\n\
             9.2 gdb backtrace 3\n| #0  d () at net/ipv4/tcp.c:1\n| #1  0xff in c () at \
             net/ipv4/tcp.c:1\n| #2  0xff in b () at net/ipv4/tcp.c:2\n= 0\n",
        );
        let expected = "z TCP\n b TCP\n  a TCP\n   b TCP\n    c TCP\n     d TCP\n";
        assert_eq!(told(&Calls::of(&records)), expected);
    }
}
