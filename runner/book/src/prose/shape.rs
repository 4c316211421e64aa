//! The shape of a code span: what it claims to be, if it has the shape of a kernel's name, such as
//! `tcp_v4_connect`.
//!
//! The shape alone decides what is a claim, so that an author marks nothing: a word without an
//! underscore, a command or an address is none.

use crate::symbols::{Kind, is_part};

/// What the shape of a span says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// `tcp_v4_connect`, or the names in `fs_initcall(inet_init)`: whatever the kernel calls so.
    Names(Vec<String>),
    /// `struct sock`, and likewise with `union` and `enum`.
    Tagged(Kind, String),
    /// `sk->__sk_common.skc_state`: each is a member of the one before. The first may be a
    /// variable.
    Members(Vec<String>),
    /// `net/ipv4/tcp.c`, perhaps `net/ipv4/tcp.c:12`; or `tcp.c` alone.
    File(String, Option<usize>),
    /// `CONFIG_SMP`, perhaps with `=y`.
    Config(String, Option<String>),
    /// `/proc/net/arp`, or `net.ipv4.ip_forward` as the file that it is. A `*` stands for one
    /// folder.
    Guest(String),
    /// `tcp:tcp_probe`.
    Tracepoint(String),
}

/// The folders at the top of a kernel tree.
const TOP: [&str; 22] = [
    "arch",
    "block",
    "certs",
    "crypto",
    "Documentation",
    "drivers",
    "fs",
    "include",
    "init",
    "io_uring",
    "ipc",
    "kernel",
    "lib",
    "mm",
    "net",
    "rust",
    "samples",
    "scripts",
    "security",
    "sound",
    "tools",
    "virt",
];

/// How the names of source files end.
const SOURCE: [&str; 5] = [".c", ".h", ".S", ".rst", ".lds"];

/// What sysctl's dotted names begin with.
const SYSCTL: [&str; 4] = ["net.", "kernel.", "vm.", "fs."];

/// What a span claims, by its shape alone; nothing if it is an ordinary word.
#[must_use]
pub fn shape(text: &str) -> Option<Shape> {
    let text = text.trim();
    config(text)
        .or_else(|| tagged(text))
        .or_else(|| guest(text))
        .or_else(|| file(text))
        .or_else(|| tracepoint(text))
        .or_else(|| names(text))
        .or_else(|| members(text))
}

/// The shape of what is a name for certain, as in a directive, where it needs no underscore: `HZ`.
#[must_use]
pub fn of_name(text: &str) -> Shape {
    shape(text).unwrap_or_else(|| Shape::Names(vec![text.to_owned()]))
}

fn config(text: &str) -> Option<Shape> {
    let comment = text.strip_prefix("# ");
    let unset = comment.and_then(|comment| comment.strip_suffix(" is not set"));
    let (name, value) = match (unset, text.split_once('=')) {
        (Some(name), _) => (name, Some("n")),
        (None, Some((name, value))) => (name, Some(value)),
        (None, None) => (text, None),
    };
    let rest = name.strip_prefix("CONFIG_")?;
    let is_option = !rest.is_empty() && is_word(rest);
    is_option.then(|| Shape::Config(name.to_owned(), value.map(str::to_owned)))
}

fn tagged(text: &str) -> Option<Shape> {
    let (word, name) = text.split_once(' ')?;
    let mut tags = [Kind::Struct, Kind::Union, Kind::Enum].into_iter();
    let tag = tags.find(|tag| tag.word() == word)?;
    let name = name.trim_end_matches([' ', '*']);
    is_identifier(name).then(|| Shape::Tagged(tag, name.to_owned()))
}

fn guest(text: &str) -> Option<Shape> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-*:".contains(c);
    if !text.chars().all(plain) {
        return None;
    }
    if text.starts_with("/proc/") || text.starts_with("/sys/") {
        let path = text.trim_end_matches('/');
        return (path.matches('/').count() > 1).then(|| Shape::Guest(path.to_owned()));
    }
    let dotted = SYSCTL.iter().any(|root| text.starts_with(root));
    let is_sysctl = dotted && text.contains('_') && !text.contains(['/', ':', '-']);
    is_sysctl.then(|| Shape::Guest(format!("/proc/sys/{}", text.replace('.', "/"))))
}

fn file(text: &str) -> Option<Shape> {
    let (path, line) = match text.rsplit_once(':') {
        Some((path, line)) => (path, Some(line.parse().ok()?)),
        None => (text, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-+*".contains(c);
    if path.starts_with(['/', '.']) || !path.chars().all(plain) {
        return None;
    }
    let is_source = SOURCE
        .iter()
        .any(|end| path.len() > end.len() && path.ends_with(end));
    let is_below_top = path
        .split_once('/')
        .is_some_and(|(top, _)| TOP.contains(&top));
    (is_source || is_below_top).then(|| Shape::File(path.trim_end_matches('/').to_owned(), line))
}

fn tracepoint(text: &str) -> Option<Shape> {
    let (group, event) = text.split_once(':')?;
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_part =
        |part: &str| part.starts_with(|c: char| c.is_ascii_lowercase()) && part.chars().all(lower);
    let is_both = is_part(group) && is_part(event) && text.contains('_');
    is_both.then(|| Shape::Tracepoint(text.to_owned()))
}

fn names(text: &str) -> Option<Shape> {
    let text = text.trim_start_matches(['&', '*']);
    let (name, arguments) = match text.strip_suffix(')').and_then(|call| call.split_once('(')) {
        Some((name, arguments)) => (name, arguments),
        None => (without_index(text), ""),
    };
    // `clock_settime(2)` is a page of the manual, and so not the kernel's.
    let is_page = !arguments.is_empty() && arguments.bytes().all(|b| b.is_ascii_digit());
    if !is_identifier(name) || is_page {
        return None;
    }
    let words = arguments.split(|c| !is_part(c));
    let all = std::iter::once(name).chain(words);
    let names: Vec<String> = all
        .filter(|word| is_identifier(word) && has_underscore(word))
        .map(str::to_owned)
        .collect();
    (!names.is_empty()).then_some(Shape::Names(names))
}

fn members(text: &str) -> Option<Shape> {
    let path = text.trim_start_matches(['&', '*']).trim_end_matches("()");
    let parts: Vec<String> = path
        .split("->")
        .flat_map(|part| part.split('.'))
        .map(|part| without_index(part).to_owned())
        .collect();
    let is_path = parts.len() > 1
        && parts.iter().all(|part| is_identifier(part))
        && (path.contains("->") || parts.iter().any(|part| has_underscore(part)));
    is_path.then_some(Shape::Members(parts))
}

/// `inetsw` out of `inetsw[1]`.
fn without_index(text: &str) -> &str {
    let indexed = text.strip_suffix(']').and_then(|text| text.split_once('['));
    indexed.map_or(text, |(name, _)| name)
}

fn is_word(text: &str) -> bool {
    text.chars().all(is_part)
}

fn is_identifier(text: &str) -> bool {
    is_word(text) && !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// An underscore that joins something: `_` alone is none.
pub(crate) fn has_underscore(text: &str) -> bool {
    text.contains('_') && !text.trim_matches('_').is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_words_claim_nothing() {
        for text in [
            "connect",
            "ping",
            "sk",
            "-nographic",
            "ip route | head -3",
            "10.0.3.1",
            "ff:ff:ff:ff:ff:ff",
            "f000:e05b",
            "1:0",
            "main()",
            "clock_settime(2)",
            "argv[0]",
            "/proc",
            "/sys/",
            "/etc/fstab",
            "/dev/net/tun",
            "libc.so.6",
            "root.ext3",
            "kernel-configs/6.1.config",
            "tests/snapshots/6.1",
            "console=ttyS0",
            "printk.time=1",
            "break tcp_v4_connect",
            "Makefile",
            ".init.text",
            "_",
            "<optimized out>",
            "0x0000_0001",
            "",
        ] {
            assert_eq!(shape(text), None, "{text}");
        }
    }

    fn names(list: &[&str]) -> Option<Shape> {
        Some(Shape::Names(list.iter().map(|&n| n.to_owned()).collect()))
    }

    fn members(list: &[&str]) -> Option<Shape> {
        Some(Shape::Members(list.iter().map(|&n| n.to_owned()).collect()))
    }

    #[test]
    fn a_name_has_an_underscore() {
        assert_eq!(shape("tcp_v4_connect"), names(&["tcp_v4_connect"]));
        assert_eq!(shape("tcp_v4_connect()"), names(&["tcp_v4_connect"]));
        assert_eq!(shape("&init_task"), names(&["init_task"]));
        assert_eq!(shape("fib_table_hash[1]"), names(&["fib_table_hash"]));
        assert_eq!(
            shape("fs_initcall(inet_init)"),
            names(&["fs_initcall", "inet_init"])
        );
        assert_eq!(shape("socket(AF_INET, …)"), names(&["AF_INET"]));
        assert_eq!(shape("HAVE_ARCH_X"), names(&["HAVE_ARCH_X"]));
    }

    #[test]
    fn a_path_of_members_is_read_part_by_part() {
        let expected = members(&["sk", "__sk_common", "skc_state"]);
        assert_eq!(shape("sk->__sk_common.skc_state"), expected);
        assert_eq!(
            shape("icsk_accept_queue.qlen"),
            members(&["icsk_accept_queue", "qlen"])
        );
        assert_eq!(shape("neigh->output()"), members(&["neigh", "output"]));
        assert_eq!(shape("a.b"), None);
    }

    #[test]
    fn the_other_shapes() {
        let file = |path: &str, line| Some(Shape::File(path.to_owned(), line));
        assert_eq!(shape("net/ipv4/tcp.c"), file("net/ipv4/tcp.c", None));
        assert_eq!(shape("net/ipv4/tcp.c:12"), file("net/ipv4/tcp.c", Some(12)));
        assert_eq!(shape("init/"), file("init", None));
        assert_eq!(shape("head64.c"), file("head64.c", None));
        assert_eq!(shape("libbb/appletlib.c"), file("libbb/appletlib.c", None));
        let config = |name: &str, value: Option<&str>| {
            Some(Shape::Config(name.to_owned(), value.map(str::to_owned)))
        };
        assert_eq!(shape("CONFIG_SMP"), config("CONFIG_SMP", None));
        assert_eq!(
            shape("CONFIG_NR=\"a b\""),
            config("CONFIG_NR", Some("\"a b\""))
        );
        assert_eq!(
            shape("# CONFIG_SMP is not set"),
            config("CONFIG_SMP", Some("n"))
        );
        let tagged = |word, name: &str| Some(Shape::Tagged(word, name.to_owned()));
        assert_eq!(shape("struct sock"), tagged(Kind::Struct, "sock"));
        assert_eq!(shape("struct sock *"), tagged(Kind::Struct, "sock"));
        assert_eq!(shape("enum pid_type"), tagged(Kind::Enum, "pid_type"));
        let guest = |path: &str| Some(Shape::Guest(path.to_owned()));
        assert_eq!(shape("/proc/net/arp"), guest("/proc/net/arp"));
        assert_eq!(shape("/proc/uptime"), guest("/proc/uptime"));
        let forward = "/proc/sys/net/ipv4/ip_forward";
        assert_eq!(shape("net.ipv4.ip_forward"), guest(forward));
        let probe = Some(Shape::Tracepoint("tcp:tcp_probe".to_owned()));
        assert_eq!(shape("tcp:tcp_probe"), probe);
    }
}
