//! A drawing of the network that the steps above have built: a box for each machine, one below the
//! other, and the cables between them.
//!
//! One below the other, and not side by side, so that a narrow screen shows it without scrolling. A
//! cable joins two boxes that stand next to each other; what cannot be laid out so is refused.

use crate::drawing::network::{Interface, Machine, Network};
use crate::drawing::svg::{Figure, link, rect, text};
use crate::html::{Html, element};
use lab::transcript::Record;

const WIDTH: usize = 460;
/// Where the names of interfaces and of facts stand, how wide an interface is, and where the rest
/// begins.
const CHIP: usize = 84;
const WIDE: usize = 56;
const TEXT: usize = CHIP + WIDE + 10;
const ROW: usize = 24;
const HIGH: usize = 18;
/// Above the first row of a box and below its last, and between two boxes.
const PAD: usize = 8;
const CABLE: usize = 40;

/// A cable between two machines: the interface on each, and its name.
struct Cable {
    ends: [(usize, usize); 2],
    name: String,
}

/// The drawing of what the steps have built.
///
/// # Errors
/// When no step tells of an interface, or when the machines do not stand in a row.
pub fn draw(records: &[Record]) -> Result<Html, String> {
    let network = Network::of(records);
    let steps = network.0.iter().flat_map(|machine| {
        let interfaces = machine.interfaces.iter().map(|interface| interface.step);
        interfaces.chain(machine.facts.iter().map(|fact| fact.step))
    });
    let (Some(first), Some(last)) = (steps.clone().min(), steps.max()) else {
        return Err("no step above tells of an interface, with `ip link` or `ip addr`".to_owned());
    };
    let cables = cables(&network);
    let row = in_a_row(&network, &cables)?;
    let (mut body, mut lines, mut told) = (Html::default(), Html::default(), String::new());
    let mut top = 1;
    for (place, machine) in row.iter().enumerate() {
        let cable = |other: Option<&usize>| {
            let other = *other?;
            cables.iter().find(|cable| cable.joins(*machine, other))
        };
        let up = cable(place.checked_sub(1).and_then(|above| row.get(above)));
        let down = cable(row.get(place + 1));
        let end = |cable: Option<&Cable>| cable.map(|cable| cable.end_at(*machine));
        let here = &network.0[*machine];
        let (rows, height) = boxed(here, end(up), end(down), top);
        body += rows;
        told += &format!("{} ", machine_told(here));
        top += height;
        if let Some(cable) = down {
            // From the lower edge of one interface to the upper edge of the other.
            let edge = PAD + (ROW - HIGH) / 2;
            let (from, to) = (top - edge, top + CABLE + edge);
            let (x, y) = (CHIP + WIDE / 2, top + CABLE / 2 + 4);
            let path = element("path").class("cable");
            lines += path.with("d", format_args!("M{x} {from}V{to}")).empty();
            lines += text("what beside", (TEXT, y), &cable.name);
            told += &format!("{} ", cable.told(&network));
        }
        if place + 1 < row.len() {
            top += CABLE;
        }
    }
    body += lines;
    let figure = Figure {
        is_narrow: true,
        size: (WIDTH, top + 1),
        label: format!("The network, steps {first} to {last}"),
        told: &told,
        caption: format!(
            "Drawn from the steps {first} to {last}, as they have left it. Each row leads to its \
             step."
        ),
    };
    Ok(figure.around(body))
}

impl Cable {
    fn joins(&self, one: usize, other: usize) -> bool {
        let [(a, _), (b, _)] = self.ends;
        (a, b) == (one, other) || (b, a) == (one, other)
    }

    fn end_at(&self, machine: usize) -> usize {
        let [a, b] = self.ends;
        if a.0 == machine { a.1 } else { b.1 }
    }

    fn told(&self, network: &Network) -> String {
        let [a, b] = self.ends.map(|(machine, interface)| {
            let machine = &network.0[machine];
            format!("{} of {}", machine.interfaces[interface].name, machine.name)
        });
        format!("A cable, {}, joins {a} and {b}.", self.name)
    }
}

/// The first cable between each two machines.
fn cables(network: &Network) -> Vec<Cable> {
    let mut cables: Vec<Cable> = Vec::new();
    for (one, a) in network.0.iter().enumerate() {
        for (other, b) in network.0.iter().enumerate().skip(one + 1) {
            let ends = a.interfaces.iter().enumerate().flat_map(|left| {
                let right = b.interfaces.iter().enumerate();
                right.map(move |right| (left, right))
            });
            let mut found = ends.filter_map(|((left, mine), (right, theirs))| {
                let name = Network::joined((a, mine), (b, theirs))?;
                Some(Cable {
                    ends: [(one, left), (other, right)],
                    name,
                })
            });
            cables.extend(found.next());
        }
    }
    cables
}

/// The machines in an order in which each cable joins two neighbours.
fn in_a_row(network: &Network, cables: &[Cable]) -> Result<Vec<usize>, String> {
    let all = 0..network.0.len();
    let degree = |machine: usize| {
        let ends = cables.iter().flat_map(|cable| cable.ends);
        ends.filter(|(other, _)| *other == machine).count()
    };
    let mut row: Vec<usize> = Vec::new();
    // From each end that is not reached yet, go along the cables.
    for start in all.clone().filter(|machine| degree(*machine) < 2) {
        let mut next = Some(start).filter(|start| !row.contains(start));
        while let Some(machine) = next {
            row.push(machine);
            let mut reached = all
                .clone()
                .filter(|other| cables.iter().any(|cable| cable.joins(machine, *other)));
            next = reached.find(|other| !row.contains(other));
        }
    }
    let stray = cables.iter().find(|cable| {
        let place = |(machine, _)| row.iter().position(|other| *other == machine);
        let [a, b] = cable.ends.map(place);
        a.zip(b).is_none_or(|(a, b)| a.abs_diff(b) != 1)
    });
    match stray {
        None => Ok(row),
        Some(cable) => Err(format!(
            "the machines cannot be drawn in a row: {} But one of them has other cables, too",
            cable.told(network)
        )),
    }
}

/// The box of a machine, and its height.
fn boxed(machine: &Machine, up: Option<usize>, down: Option<usize>, top: usize) -> (Html, usize) {
    let mut rows = Html::default();
    let mut y = top + PAD;
    let last = down.filter(|down| Some(*down) != up);
    let middle = (0..machine.interfaces.len()).filter(|index| {
        Some(*index) != up && Some(*index) != last && !is_idle(&machine.interfaces[*index])
    });
    for index in up.into_iter().chain(middle) {
        rows += interface(&machine.interfaces[index], &mut y);
    }
    for fact in &machine.facts {
        let at = y + ROW / 2 + 4;
        let kind = text("left by", (CHIP + WIDE, at), &fact.kind);
        rows += link(fact.step, [kind, text("by", (TEXT, at), &fact.text)]);
        y += ROW - 4;
    }
    if let Some(index) = last {
        rows += interface(&machine.interfaces[index], &mut y);
    }
    let height = y + PAD - top;
    let frame = rect("machine", (1, top), (WIDTH - 2, height));
    let name = text("name", (14, top + PAD + ROW / 2 + 4), &machine.name);
    let drawn = [frame.with("rx", 4).empty(), name, rows];
    (drawn.into_iter().collect(), height)
}

/// The rows of an interface: one, and one more for each further address.
fn interface(interface: &Interface, y: &mut usize) -> Html {
    let (top, line) = (*y + (ROW - HIGH) / 2, *y + ROW / 2 + 4);
    let chip = rect("chip", (CHIP, top), (WIDE, HIGH)).with("rx", 3);
    let name = text("what", (CHIP + WIDE / 2, line), &interface.name);
    let hardware = hardware(interface).map_or("", String::as_str);
    let hardware = text("left by", (WIDTH - 14, line), hardware);
    let addresses = interface.addresses.iter().zip(0..);
    let addresses =
        addresses.map(|(address, index)| text("", (TEXT, line + (ROW - 6) * index), address));
    let parts = [chip.empty(), name, hardware].into_iter();
    *y += ROW + (ROW - 6) * interface.addresses.len().saturating_sub(1);
    link(interface.step, parts.chain(addresses))
}

/// A loopback device that nobody has given an address is a part of every machine, and of no
/// picture.
fn is_idle(interface: &Interface) -> bool {
    interface.name == "lo" && interface.addresses.is_empty()
}

/// The hardware address, which a loopback device has not.
fn hardware(interface: &Interface) -> Option<&String> {
    let hardware = interface.hardware.as_ref();
    hardware.filter(|_| interface.name != "lo")
}

/// A machine in words.
fn machine_told(machine: &Machine) -> String {
    let busy = machine
        .interfaces
        .iter()
        .filter(|interface| !is_idle(interface));
    let interfaces = busy.map(|interface| {
        let all = interface.addresses.iter().chain(hardware(interface));
        let addresses: String = all.map(|address| format!(" {address}")).collect();
        format!("{}{addresses}", interface.name)
    });
    let facts = machine
        .facts
        .iter()
        .map(|fact| format!("{} {}", fact.kind, fact.text));
    let all: Vec<String> = interfaces.chain(facts).collect();
    format!("{}: {}.", machine.name, all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::backtrace::tests::records;

    const LAB: &str = "\n8.1 lab ip addr add 10.0.3.1/24 dev tap0; ip addr add 192.0.2.4/24 dev \
        up0\n= 0\n\n\
                       8.2 guest ip addr add 10.0.3.2/24 dev eth0\n= 0 at 1\n\n8.3 guest ip route \
                       add default via 10.0.3.1\n= 0 at 2\n\n\
                       8.4 lab ip -n net addr add 192.0.2.1/24 dev eth0\n= 0\n";

    #[test]
    fn machines_stand_in_the_order_of_their_cables() {
        let drawn = draw(&records(LAB)).unwrap();
        let told = "<desc>guest: eth0 10.0.3.2/24; route default via 10.0.3.1. A cable, \
            10.0.3.0/24, joins tap0 of lab and eth0 of guest. \
                    lab: tap0 10.0.3.1/24; up0 192.0.2.4/24. A cable, 192.0.2.0/24, joins up0 of \
                    lab and eth0 of net. \
                    net: eth0 192.0.2.1/24.</desc>";
        assert!(drawn.contains(told), "{drawn}");
        assert_eq!(drawn.matches("class=\"machine\"").count(), 3);
        assert_eq!(drawn.matches("class=\"cable\"").count(), 2);
        assert!(drawn.contains("<a href=\"#step-8.3\">"), "{drawn}");
        assert_eq!(drawn.lines().count(), 1);
    }

    #[test]
    fn what_does_not_stand_in_a_row_is_refused() {
        let ring = format!("{LAB}\n8.5 lab ip -n net addr add 10.0.3.9/24 dev eth1\n= 0\n");
        let error = draw(&records(&ring)).unwrap_err();
        assert!(error.contains("cannot be drawn in a row"), "{error}");
        assert!(draw(&[]).unwrap_err().contains("no step above"));
    }
}
