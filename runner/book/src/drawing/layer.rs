//! A layer of the stack, and which one a file of the kernel belongs to.
//!
//! The file is all that counts, as gdb prints it beside a function. A header of plumbing
//! (`include/linux/netfilter.h`, `include/net/sock.h`) and a helper that many use
//! (`net/core/skbuff.c`) have no layer: they stay with whoever calls them.

/// From the program down to the card, and then what stands beside that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The way from a program's instruction to the function of the call.
    SystemCall,
    /// What all files have in common.
    File,
    /// What all protocols have in common, and what the Internet's have.
    Socket,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Raw sockets and ICMP, which stand beside the two above.
    Icmp,
    /// IP, on its way down and up.
    Ip,
    /// Who finds a packet's way.
    Routing,
    /// What may drop and change packets.
    Netfilter,
    /// Neighbours, and ARP, which finds them.
    Neighbour,
    /// The device, its queue and GRO.
    Device,
    /// The card's driver.
    Driver,
    /// Interrupts and softirqs.
    Interrupt,
    /// Timers.
    Timer,
    /// Tasks, and who makes, wakes and schedules them.
    Task,
    /// What runs once.
    Boot,
    /// The planks of the book.
    Plank,
}

/// The beginnings of paths, with their layer; the longest that fits counts.
const PLACES: [(&str, Layer); 46] = [
    ("arch/x86/entry/common.c", Layer::SystemCall),
    ("arch/x86/include/generated/asm/syscalls", Layer::SystemCall),
    ("fs/", Layer::File),
    ("include/linux/fs.h", Layer::File),
    ("net/socket.c", Layer::Socket),
    ("net/core/sock.c", Layer::Socket),
    ("net/core/datagram.c", Layer::Socket),
    ("net/ipv4/af_inet.c", Layer::Socket),
    ("net/packet/", Layer::Socket),
    ("net/ipv4/tcp", Layer::Tcp),
    ("net/ipv4/inet_connection_sock.c", Layer::Tcp),
    ("net/ipv4/inet_timewait_sock.c", Layer::Tcp),
    ("net/ipv4/inet_hashtables.c", Layer::Tcp),
    ("include/net/tcp.h", Layer::Tcp),
    ("net/ipv4/udp", Layer::Udp),
    ("net/ipv4/raw.c", Layer::Icmp),
    ("net/ipv4/icmp.c", Layer::Icmp),
    ("net/ipv4/ping.c", Layer::Icmp),
    ("net/ipv4/ip_", Layer::Ip),
    ("net/ipv4/route.c", Layer::Routing),
    ("net/ipv4/fib_", Layer::Routing),
    ("net/core/fib_rules.c", Layer::Routing),
    ("include/net/ip_fib.h", Layer::Routing),
    ("net/netfilter/", Layer::Netfilter),
    ("net/ipv4/netfilter/", Layer::Netfilter),
    ("net/ipv4/arp.c", Layer::Neighbour),
    ("net/core/neighbour.c", Layer::Neighbour),
    ("include/net/neighbour.h", Layer::Neighbour),
    ("net/core/dev.c", Layer::Device),
    ("net/core/gro.c", Layer::Device),
    ("net/sched/", Layer::Device),
    ("net/ethernet/", Layer::Device),
    ("include/net/gro.h", Layer::Device),
    ("include/linux/netdevice.h", Layer::Device),
    ("drivers/net/", Layer::Driver),
    ("kernel/softirq.c", Layer::Interrupt),
    ("kernel/irq/", Layer::Interrupt),
    ("arch/x86/kernel/irq.c", Layer::Interrupt),
    ("kernel/time/", Layer::Timer),
    ("kernel/", Layer::Task),
    ("init/", Layer::Boot),
    ("arch/x86/kernel/head", Layer::Boot),
    ("net/ethernet/awake.c", Layer::Plank),
    ("net/ipv4/bottle.c", Layer::Plank),
    ("net/ipv4/tcp_gentle.c", Layer::Plank),
    ("net/core/careless.c", Layer::Plank),
];

impl Layer {
    /// Every layer in its order, with its name on a drawing.
    const NAMES: [(Self, &'static str); 17] = [
        (Self::SystemCall, "system call"),
        (Self::File, "file"),
        (Self::Socket, "socket"),
        (Self::Tcp, "TCP"),
        (Self::Udp, "UDP"),
        (Self::Icmp, "ICMP, raw"),
        (Self::Ip, "IP"),
        (Self::Routing, "routing"),
        (Self::Netfilter, "netfilter"),
        (Self::Neighbour, "neighbour"),
        (Self::Device, "device"),
        (Self::Driver, "driver"),
        (Self::Interrupt, "interrupt"),
        (Self::Timer, "timer"),
        (Self::Task, "task"),
        (Self::Boot, "boot"),
        (Self::Plank, "plank"),
    ];

    /// Every layer, in its order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.into_iter().map(|(layer, _)| layer)
    }

    /// The layer of a file of the kernel, by its path in the tree.
    #[must_use]
    pub fn of(file: &str) -> Option<Self> {
        let fits = PLACES.iter().filter(|(start, _)| file.starts_with(start));
        fits.max_by_key(|(start, _)| start.len())
            .map(|(_, layer)| *layer)
    }

    /// Its name on a drawing.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// Whether it stands beside the way from the program to the card.
    #[must_use]
    pub fn is_beside(self) -> bool {
        self >= Self::Interrupt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_decides() {
        assert_eq!(Layer::of("net/ipv4/tcp_input.c"), Some(Layer::Tcp));
        assert_eq!(Layer::of("kernel/fork.c"), Some(Layer::Task));
        assert_eq!(Layer::of("kernel/softirq.c"), Some(Layer::Interrupt));
        assert_eq!(
            Layer::of("net/ipv4/netfilter/ip_tables.c"),
            Some(Layer::Netfilter)
        );
        assert_eq!(Layer::of("include/linux/netfilter.h"), None);
    }

    #[test]
    fn each_layer_has_a_place_and_a_name_of_its_own() {
        for (layer, name) in Layer::NAMES {
            assert!(PLACES.iter().any(|(_, place)| *place == layer), "{layer:?}");
            let same = Layer::NAMES.iter().filter(|(_, other)| *other == name);
            assert_eq!(same.count(), 1);
            assert_eq!(layer.name(), name, "NAMES is in order");
        }
    }
}
