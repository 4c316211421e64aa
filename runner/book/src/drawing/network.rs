//! The network that the steps of a chapter have built: machines, their interfaces, and what they
//! know of the way.
//!
//! Two things tell of it: what `ip link`, `ip addr` and `ip route` print, and the commands that
//! change it and ended well (`ip addr add`, `ip link add … type veth`, `iptables -A`). A command
//! that a breakpoint holds has not ended. A window of the guest or of the lab is a machine, and so
//! is each namespace that `ip -n` names.

use std::net::Ipv4Addr;

use lab::transcript::Record;
use lab::transcript::step::{StepId, Terminal};

use crate::pattern::{Pattern, pattern};

/// A machine, or a namespace that plays one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The window's name, or the namespace's.
    pub name: String,
    /// In the order in which the steps show them.
    pub interfaces: Vec<Interface>,
    /// Routes and rules.
    pub facts: Vec<Fact>,
}

/// An interface of a machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// Its hardware address, if a step shows one.
    pub hardware: Option<String>,
    /// Its addresses, with the length of the prefix: `10.0.3.2/24`.
    pub addresses: Vec<String>,
    /// The other end of a pair: machine and interface.
    pub peer: Option<(String, String)>,
    /// The step that last told of it.
    pub step: StepId,
}

/// Something that a machine knows.
#[derive(Debug, PartialEq, Eq)]
pub struct Fact {
    /// `route`, the chain of a rule, or the name of a switch.
    pub kind: String,
    /// The rest, in the words of the command.
    pub text: String,
    /// The step that tells it.
    pub step: StepId,
}

/// All machines, in the order in which the steps name them.
#[derive(Debug, Default)]
pub struct Network(pub Vec<Machine>);

static HEAD: Pattern = Pattern::new(|| pattern(r"^\d+: (\w+)(?:@\S+)?: <"));
static BRIEF: Pattern = Pattern::new(|| pattern(r"^(\w+) +[A-Z]+ +(\S+:\S+) <"));
static ETHER: Pattern = Pattern::new(|| pattern(r"^ +link/ether (\S+)"));
static INET: Pattern = Pattern::new(|| pattern(r"^ +inet (\S+)"));

impl Network {
    /// The network as it is after the steps.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let mut network = Self::default();
        for record in records {
            let ended = record.output.guest_ns.is_some() || record.terminal == Terminal::Lab;
            let is_window = record.terminal.is_in_guest() || record.terminal == Terminal::Lab;
            if is_window && ended && record.output.status == 0 {
                for command in record.command.split(';') {
                    network.command(record, command);
                }
            }
        }
        network
    }

    /// Whether two interfaces are on one cable: a pair, or addresses in one prefix; and the cable's
    /// name.
    #[must_use]
    pub fn joined(a: (&Machine, &Interface), b: (&Machine, &Interface)) -> Option<String> {
        let is_peer = |(_, one): (&Machine, &Interface),
                       (machine, other): (&Machine, &Interface)| {
            let peer = one.peer.as_ref();
            peer.is_some_and(|(name, end)| *name == machine.name && *end == other.name)
        };
        let prefixes = |interface: &Interface| -> Vec<(Ipv4Addr, u32)> {
            let addresses = interface.addresses.iter();
            addresses.filter_map(|address| prefix(address)).collect()
        };
        let theirs = prefixes(b.1);
        let same = prefixes(a.1).into_iter().find(|mine| theirs.contains(mine));
        let prefix = same.map(|(network, length)| format!("{network}/{length}"));
        match (is_peer(a, b) || is_peer(b, a), prefix) {
            (true, prefix) => Some(format!("{}, veth", prefix.unwrap_or_default())),
            (false, prefix) => prefix,
        }
    }

    fn machine(&mut self, name: &str) -> &mut Machine {
        let is_it = |machine: &Machine| machine.name == name;
        first(&mut self.0, is_it, || Machine {
            name: name.to_owned(),
            ..Machine::default()
        })
    }

    fn command(&mut self, record: &Record, command: &str) {
        let (step, text) = (record.id, &record.output.stdout);
        let words: Vec<&str> = command.split_whitespace().collect();
        let here = record.terminal.word();
        match *words {
            ["ip", "-n", space, ref rest @ ..] => self.ip(space, rest, step, ""),
            ["ip", "-brief", ref rest @ ..] | ["ip", ref rest @ ..] => {
                self.ip(here, rest, step, text);
            }
            // A function of the shell's, by which it runs a command in a namespace of this name.
            [space, "ip", ref rest @ ..] if space.chars().all(char::is_alphabetic) => {
                self.ip(space, rest, step, text);
            }
            ["iptables", "-P", chain, policy] => {
                self.machine(here)
                    .learn(chain, format!("policy {policy}"), step);
            }
            ["iptables", "-A", chain, ref rule @ ..]
            | ["iptables", "-t", "nat", "-A", chain, ref rule @ ..] => {
                self.machine(here).learn(chain, rule.join(" "), step);
            }
            ["echo", "1", ">", "/proc/sys/net/ipv4/ip_forward"] => {
                self.machine(here).learn("ip_forward", "1".to_owned(), step);
            }
            _ => {}
        }
    }

    /// `ip` on a machine, without its options; `printed` is what it said.
    fn ip(&mut self, machine: &str, words: &[&str], step: StepId, printed: &str) {
        match *words {
            ["netns", "add", name] => {
                self.machine(name);
            }
            [
                "link",
                "add",
                name,
                "type",
                "veth",
                "peer",
                "name",
                other,
                "netns",
                space,
            ] => {
                let ends = [(machine, name), (space, other)];
                for ((machine, name), (there, end)) in ends.into_iter().zip([ends[1], ends[0]]) {
                    let interface = self.machine(machine).interface(name, step);
                    interface.peer = Some((there.to_owned(), end.to_owned()));
                }
            }
            ["link", "set", name, "netns", ..] => {
                self.machine(machine)
                    .interfaces
                    .retain(|interface| interface.name != name);
            }
            ["addr", "add", address, "dev", name] => {
                let interface = self.machine(machine).interface(name, step);
                interface.addresses.push(address.to_owned());
            }
            ["addr", "del", address, "dev", name] => {
                let interface = self.machine(machine).interface(name, step);
                interface.addresses.retain(|other| other != address);
            }
            ["link" | "addr"] | ["link" | "addr", "show", ..] => {
                self.interfaces(machine, step, printed);
            }
            ["route"] => {
                let machine = self.machine(machine);
                machine.facts.retain(|fact| fact.kind != "route");
                // A route with `src` has come with an address, and says no more than that.
                for line in printed.lines().filter(|line| !line.contains(" src ")) {
                    machine.learn(
                        "route",
                        line.replace(" scope link", "").trim().to_owned(),
                        step,
                    );
                }
            }
            ["route", "add", ref route @ ..] if !route.contains(&"table") => {
                self.machine(machine).learn("route", route.join(" "), step);
            }
            ["route", "del", ref route @ ..] => {
                let route = route.join(" ");
                self.machine(machine)
                    .facts
                    .retain(|fact| fact.kind != "route" || !fact.text.starts_with(&route));
            }
            _ => {}
        }
    }

    /// Reads what `ip link` or `ip addr` has printed.
    fn interfaces(&mut self, machine: &str, step: StepId, printed: &str) {
        let mut name = None;
        for line in printed.lines() {
            if let Some(found) = HEAD.captures(line) {
                self.machine(machine).interface(&found[1], step);
                name = Some(found[1].to_owned());
            } else if let Some(found) = BRIEF.captures(line) {
                self.hardware(machine, &found[1], &found[2], step);
            }
            let Some(name) = &name else { continue };
            if let Some(found) = ETHER.captures(line) {
                self.hardware(machine, name, &found[1], step);
            } else if let Some(found) = INET.captures(line) {
                let interface = self.machine(machine).interface(name, step);
                if !interface.addresses.contains(&found[1].to_owned()) {
                    interface.addresses.push(found[1].to_owned());
                }
            }
        }
    }

    /// A card is in one place: who had its address before has it no more.
    fn hardware(&mut self, machine: &str, name: &str, address: &str, step: StepId) {
        let is_it = |interface: &Interface| interface.hardware.as_deref() == Some(address);
        for other in self.0.iter_mut().filter(|other| other.name != machine) {
            other
                .interfaces
                .retain(|interface| !is_it(interface) || name == "lo");
        }
        self.machine(machine).interface(name, step).hardware = Some(address.to_owned());
    }
}

impl Machine {
    fn interface(&mut self, name: &str, step: StepId) -> &mut Interface {
        let is_it = |interface: &Interface| interface.name == name;
        let interface = first(&mut self.interfaces, is_it, || Interface {
            name: name.to_owned(),
            hardware: None,
            addresses: Vec::new(),
            peer: None,
            step,
        });
        interface.step = step;
        interface
    }

    fn learn(&mut self, kind: &str, text: String, step: StepId) {
        let kind = kind.to_owned();
        self.facts.push(Fact { kind, text, step });
    }
}

/// The first that fits, or a new one.
fn first<T>(all: &mut Vec<T>, fits: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let at = all.iter().position(fits).unwrap_or(all.len());
    if at == all.len() {
        all.push(new());
    }
    &mut all[at]
}

/// The network of an address, if others can be in it.
fn prefix(address: &str) -> Option<(Ipv4Addr, u32)> {
    let (address, length) = address.split_once('/')?;
    let (address, length): (Ipv4Addr, u32) = (address.parse().ok()?, length.parse().ok()?);
    let mask = u32::MAX.checked_shl(32_u32.checked_sub(length)?)?;
    (length < 32).then(|| (Ipv4Addr::from_bits(address.to_bits() & mask), length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::backtrace::tests::records;

    fn told(network: &Network) -> Vec<String> {
        let machines = network.0.iter();
        machines
            .map(|machine| {
                let interfaces = machine.interfaces.iter();
                let interfaces: Vec<String> = interfaces
                    .map(|one| format!("{} {}", one.name, one.addresses.join(",")))
                    .collect();
                let facts = machine.facts.iter();
                let facts: Vec<String> = facts
                    .map(|fact| format!("{} {}", fact.kind, fact.text))
                    .collect();
                format!(
                    "{}: {}; {}",
                    machine.name,
                    interfaces.join(" "),
                    facts.join(", ")
                )
            })
            .collect()
    }

    #[test]
    fn what_is_printed_counts_and_a_card_is_in_one_place() {
        let records = records(
            "\n6.1 guest ip link\n| 2: eth0: <UP> mtu 1500\n|     link/ether 52:54:00:12:34:56 \
             brd ff\n\
             | 3: eth1: <UP> mtu 1500\n|     link/ether 52:54:00:12:34:57 brd ff\n= 0 at 1\n\n\
             6.2 server ip addr show eth1\n| 3: eth1: <UP> mtu 1500\n|     link/ether \
             52:54:00:12:34:57 brd ff\n\
             |     inet 10.0.3.1/24 scope global eth1\n= 0 at 2\n\n\
             6.3 guest ip route\n| default via 10.0.3.1 dev eth0 \n| 10.0.3.0/24 dev eth0 scope \
             link  src 10.0.3.2 \n= 0 at 3\n",
        );
        let network = Network::of(&records);
        assert_eq!(
            told(&network),
            [
                "guest: eth0 ; route default via 10.0.3.1 dev eth0",
                "server: eth1 10.0.3.1/24; "
            ]
        );
    }

    #[test]
    fn a_word_before_ip_is_the_machine() {
        let records = records(
            "\n15.5 guest inside ip addr add 192.168.7.2/24 dev far; inside ip route add default via \
             192.168.7.1; $x ip addr add 10.0.0.1/8 dev no\n= 0 at 1\n",
        );
        assert_eq!(
            told(&Network::of(&records)),
            ["inside: far 192.168.7.2/24; route default via 192.168.7.1"]
        );
    }

    #[test]
    fn a_command_counts_when_it_has_ended_well() {
        let records = records(
            "\n8.1 guest ip addr add 10.0.3.2/24 dev eth0; ip route add default via 10.0.3.1\n= 0 \
             at 1\n\n\
             8.2 guest ip route add default via 10.0.4.1\n= 0\n\n8.3 guest ip route add 1.2.3.4 \
             via 10.0.4.1\n= 2 at 3\n\n\
             8.4 lab ip -n net addr add 192.0.2.1/24 dev eth0\n= 0\n\n\
             8.5 lab ip link add up0 type veth peer name eth0 netns net\n= 0\n\n\
             8.6 lab ip addr add 192.0.2.4/24 dev up0; ip addr add 10.0.4.1/32 dev up0; ip addr \
             del 10.0.4.1/32 dev up0\n= 0\n\n\
             8.7 lab iptables -t nat -A POSTROUTING -o up0 -j MASQUERADE\n= 0\n\n\
             8.8 lab echo 1 > /proc/sys/net/ipv4/ip_forward\n= 0\n",
        );
        let network = Network::of(&records);
        let expected = [
            "guest: eth0 10.0.3.2/24; route default via 10.0.3.1",
            "net: eth0 192.0.2.1/24; ",
            "lab: up0 192.0.2.4/24; POSTROUTING -o up0 -j MASQUERADE, ip_forward 1",
        ];
        assert_eq!(told(&network), expected);
        let [guest, net, lab] = &network.0[..] else {
            panic!("three machines")
        };
        let end = |machine| -> (&Machine, &Interface) { (machine, &machine.interfaces[0]) };
        assert_eq!(
            Network::joined(end(lab), end(net)).as_deref(),
            Some("192.0.2.0/24, veth")
        );
        assert_eq!(Network::joined(end(lab), end(guest)), None);
    }

    #[test]
    fn one_prefix_is_one_cable() {
        let records = records(
            "\n8.1 lab ip addr add 10.0.4.1/24 dev a; ip addr add 10.0.3.1/24 dev a\n= 0\n\n\
             8.2 guest ip addr add 10.0.5.2/24 dev b; ip addr add 10.0.3.2/24 dev b\n= 0 at 1\n",
        );
        let network = Network::of(&records);
        let [lab, guest] = &network.0[..] else {
            panic!("two machines")
        };
        let ends = ((lab, &lab.interfaces[0]), (guest, &guest.interfaces[0]));
        assert_eq!(
            Network::joined(ends.0, ends.1).as_deref(),
            Some("10.0.3.0/24")
        );
        assert_eq!(prefix("10.0.3.2/24"), prefix("10.0.3.1/24"));
        assert_ne!(prefix("10.0.3.2/24"), prefix("10.0.4.1/24"));
        for none in [
            "10.0.4.1/32",
            "10.0.0.1/33",
            "10.0.0.1/4294967295",
            "10.0.0.1/0",
            "x/1",
        ] {
            assert_eq!(prefix(none), None, "{none}");
        }
    }
}
