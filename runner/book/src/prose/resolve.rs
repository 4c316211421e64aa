//! Whether the kernel has what a claim says, and what is said if not.

use std::collections::BTreeSet;
use std::fmt;

use crate::pattern::{Pattern, pattern};
use crate::prose::shape::{Shape, has_underscore};
use crate::symbols::near::{near, told};
use crate::symbols::{Index, Kind, Name};

/// What a claim turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// Its place, for people: `struct sock_common +18, include/net/sock.h:169`.
    pub place: String,
}

/// `function, net/ipv4/tcp_ipv4.c:199`.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = match self.place.starts_with('=') || self.place.starts_with("of ") {
            true => " ",
            false => ", ",
        };
        write!(f, "{}{between}{}", self.kind, self.place)
    }
}

/// What the place begins with of a name that is a sysctl besides.
const ALSO_A_SYSCTL: &str = "also a sysctl, ";

/// Why a claim does not hold.
#[derive(Debug)]
pub enum Miss {
    /// There is no such name: the part of the claim that is unknown, and what it should have been.
    Unknown(String, Sought),
    /// The name is there, and is something else.
    Wrong(String),
}

/// What is looked for: which kinds fit, and what they are called.
#[derive(Debug, Clone, Copy)]
pub struct Sought(fn(Kind) -> bool, &'static str);

/// Anything that has a name in C or assembly.
const NAME: Sought = Sought(
    |kind| kind < Kind::Sysctl || kind == Kind::Symbol || kind == Kind::Local,
    "name in this kernel",
);
const STRUCT: Sought = Sought(|kind| kind == Kind::Struct, "struct in this kernel");
const UNION: Sought = Sought(|kind| kind == Kind::Union, "union in this kernel");
const ENUM: Sought = Sought(|kind| kind == Kind::Enum, "enum in this kernel");
const MEMBER: Sought = Sought(|kind| kind == Kind::Member, "member in this kernel");
const FILE: Sought = Sought(
    |kind| kind == Kind::File || kind == Kind::Folder,
    "file of this kernel's source",
);
const CONFIG: Sought = Sought(|kind| kind == Kind::Config, "option of this kernel");
const GUEST: Sought = Sought(
    |kind| kind == Kind::GuestFile || kind == Kind::Sysctl,
    "file in the guest",
);
const TRACEPOINT: Sought = Sought(|kind| kind == Kind::Tracepoint, "tracepoint in the guest");

impl Miss {
    fn unknown(name: &str, what: Sought) -> Self {
        Self::Unknown(name.to_owned(), what)
    }

    /// The message, with the names that are near.
    #[must_use]
    pub fn message(&self, index: &Index) -> String {
        match self {
            Self::Wrong(message) => message.clone(),
            Self::Unknown(name, what) => {
                let all = index.all().filter(|found| what.fits(found));
                let near = near(name, all.map(|found| found.text));
                format!("`{name}` is no {}{}", what.1, told(&near))
            }
        }
    }
}

impl Sought {
    fn fits(self, found: &Name<'_>) -> bool {
        (self.0)(found.kind)
    }
}

/// Looks a claim up.
///
/// # Errors
/// [`Miss`], which can tell what would be near.
pub fn resolve(index: &Index, shape: &Shape) -> Result<Found, Miss> {
    match shape {
        Shape::Names(names) => names_of(index, names),
        Shape::Tagged(Kind::Union, name) => one(index, name, UNION),
        Shape::Tagged(Kind::Enum, name) => one(index, name, ENUM),
        Shape::Tagged(_, name) => one(index, name, STRUCT),
        Shape::Members(parts) => members(index, parts),
        Shape::File(path, line) => file(index, path, *line),
        Shape::Config(name, value) => config(index, name, value.as_deref()),
        Shape::Guest(path) => guest(index, path),
        Shape::Tracepoint(name) => one(index, name, TRACEPOINT),
    }
}

/// Whether another kernel has what a claim turned out to be in the kernel of the book. A macro that
/// is a function there is the same, but not a variable somewhere that only happens to be spelt so;
/// and a member counts in its own structure alone.
#[must_use]
pub fn has(index: &Index, shape: &Shape, found: &Found) -> bool {
    match shape {
        Shape::Names(names) => {
            let (first, others) = names.split_first().expect("a claim has a name");
            is_named(index, first, found) && others.iter().all(|name| bare(index, name).is_ok())
        }
        Shape::Tagged(_, name) => is_named(index, name, found),
        Shape::Members(parts) => {
            let last = parts.last().expect("a path has parts");
            members(index, parts).is_ok() && is_named(index, last, found)
        }
        Shape::File(path, _) if path.contains('*') => file(index, path, None).is_ok(),
        Shape::File(..) => {
            let path = found.place.split(':').next().unwrap_or_default();
            index.named(path).any(|file| FILE.fits(&file))
        }
        Shape::Config(name, _) => one(index, name, CONFIG).is_ok(),
        Shape::Guest(_) | Shape::Tracepoint(_) => resolve(index, shape).is_ok(),
    }
}

/// Whether a name is there as something akin to what was found.
fn is_named(index: &Index, name: &str, found: &Found) -> bool {
    // The text may mean the sysctl.
    if found.place.starts_with(ALSO_A_SYSCTL) && sysctl(index, name).is_some() {
        return true;
    }
    match found.kind {
        Kind::Sysctl => sysctl(index, name).is_some(),
        Kind::Config => option(index, name).is_some(),
        Kind::Member => index.named(name).any(|other| match other.kind {
            Kind::Member => found.place.starts_with(&format!("{} +", other.of)),
            kind => kind == Kind::Macro,
        }),
        kind => index.named(name).any(|other| is_akin(kind, other.kind)),
    }
}

/// Whether a name of one kind may become one of the other, and stay what it is to a reader.
fn is_akin(kind: Kind, other: Kind) -> bool {
    let is_macro = kind == Kind::Macro && other == Kind::Member;
    let is_both = |is: fn(Kind) -> bool| is(kind) && is(other);
    kind == other || is_macro || is_both(Kind::is_type) || is_both(Kind::is_code)
}

fn names_of(index: &Index, names: &[String]) -> Result<Found, Miss> {
    let found = names.iter().map(|name| bare(index, name));
    let all: Vec<Found> = found.collect::<Result<_, _>>()?;
    let first = all.into_iter().next();
    first.ok_or_else(|| Miss::Wrong("nothing is named here".to_owned()))
}

fn one(index: &Index, name: &str, what: Sought) -> Result<Found, Miss> {
    let found = best(index.named(name).filter(|found| what.fits(found)));
    found.ok_or_else(|| Miss::unknown(name, what))
}

/// A name alone: of whatever kind.
fn bare(index: &Index, name: &str) -> Result<Found, Miss> {
    let code = one(index, name, NAME).ok();
    match (code, sysctl(index, name)) {
        // The text may mean either.
        (Some(found), Some(_)) => Ok(Found {
            place: format!("{ALSO_A_SYSCTL}{}", found.place),
            ..found
        }),
        (Some(found), None) => Ok(found),
        (None, Some(sysctl)) => Ok(Found {
            kind: Kind::Sysctl,
            place: sysctl.text.to_owned(),
        }),
        (None, None) => option(index, name).ok_or_else(|| Miss::unknown(name, NAME)),
    }
}

/// The sysctl that is called so, in whatever folder.
fn sysctl<'a>(index: &'a Index, name: &str) -> Option<Name<'a>> {
    let ending = format!("/{name}");
    let mut sysctls = index.beginning("/proc/sys/");
    sysctls.find(|found| found.text.ends_with(&ending))
}

/// The option that is called so, without what options begin with.
fn option(index: &Index, name: &str) -> Option<Found> {
    best(index.named(&format!("CONFIG_{name}")))
}

/// Follows a path of members; the first part may be a variable that only the reader knows.
fn members(index: &Index, parts: &[String]) -> Result<Found, Miss> {
    // The structures that the part before may be.
    let mut of: BTreeSet<&str> = BTreeSet::new();
    let mut last = None;
    // Nobody knows what a macro leads to.
    let mut behind_macro = false;
    for (number, part) in parts.iter().enumerate() {
        let named = index.named(part);
        let all: Vec<Name<'_>> = named.filter(|found| found.kind == Kind::Member).collect();
        let fitting = all.iter().filter(|found| of.contains(found.of));
        let mut fitting: Vec<&Name<'_>> = fitting.collect();
        let before = number.checked_sub(1).map(|before| parts[before].as_str());
        match before {
            None if all.is_empty() && has_underscore(part) => {
                bare(index, part)?;
            }
            // Behind what may be a variable, any member may come.
            Some(before) if !all.is_empty() && fitting.is_empty() => {
                if !behind_macro && (number > 1 || has_underscore(before) && !of.is_empty()) {
                    let of = Vec::from_iter(of).join(", ");
                    let message = format!("`{part}` is no member of `{before}` ({of})");
                    return Err(Miss::Wrong(message));
                }
                fitting = all.iter().collect();
            }
            Some(_) if all.is_empty() => {
                // `sk->sk_prot`: a macro may stand for a member.
                let macros = index.named(part).filter(|found| found.kind == Kind::Macro);
                last = best(macros);
                if last.is_none() {
                    return Err(Miss::unknown(part, MEMBER));
                }
                behind_macro = true;
                of.clear();
                continue;
            }
            None => fitting = all.iter().collect(),
            Some(_) => {}
        }
        of = fitting.iter().map(|found| found.to).collect();
        of.remove("");
        last = best(fitting.into_iter().cloned());
        behind_macro = false;
    }
    last.ok_or_else(|| Miss::Wrong(format!("`{}` names no member", parts.join("->"))))
}

fn file(index: &Index, path: &str, line: Option<usize>) -> Result<Found, Miss> {
    let is_file = |found: &Name<'_>| FILE.fits(found);
    let is_whole = path.contains('/') && !path.contains('*');
    let found: Option<Name<'_>> = if is_whole {
        index.named(path).find(is_file)
    } else {
        let fits = |found: &Name<'_>| match path.contains('/') {
            true => matches(path, found.text),
            false => matches(path, found.text.rsplit('/').next().unwrap_or(found.text)),
        };
        let all = index.all().filter(|found| is_file(found) && fits(found));
        all.min_by_key(|found| (rank(found.text), found.text.len()))
    };
    let found = found.ok_or_else(|| Miss::unknown(path, FILE))?;
    let length = found.detail.parse().unwrap_or(usize::MAX);
    let place = match line {
        Some(line) if line == 0 || line > length => {
            let message = format!("`{path}` has {length} lines, and no line {line}");
            return Err(Miss::Wrong(message));
        }
        Some(line) => format!("{}:{line}", found.text),
        None => found.text.to_owned(),
    };
    Ok(Found {
        kind: found.kind,
        place,
    })
}

fn config(index: &Index, name: &str, value: Option<&str>) -> Result<Found, Miss> {
    let found = one(index, name, CONFIG)?;
    let now = index.named(name).next().map_or("", |found| found.detail);
    match value {
        None => Ok(found),
        Some(value) if value == now || (value == "n" && now == "not set") => Ok(found),
        Some(value) => Err(Miss::Wrong(format!(
            "`{name}` is {now} in the lab's kernel, and not {value}"
        ))),
    }
}

fn guest(index: &Index, path: &str) -> Result<Found, Miss> {
    static PROCESS: Pattern = Pattern::new(|| pattern(r"^/proc/(PID|\d+)/"));
    // The folder of any process is like that of the one who looks.
    let path = PROCESS.replace(path, "/proc/self/");
    let start = path.split('*').next().unwrap_or_default();
    let mut all = index.beginning(start).filter(|found| GUEST.fits(found));
    let found = all.find(|found| matches(&path, found.text));
    let found = found.ok_or_else(|| Miss::unknown(&path, GUEST))?;
    Ok(Found {
        kind: found.kind,
        place: "in the guest".to_owned(),
    })
}

/// Whether a path fits a pattern, in which `*` stands for any part of one component.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    let same = pattern.clone().count() == path.clone().count();
    same && pattern
        .zip(path)
        .all(|(pattern, part)| match pattern.split_once('*') {
            None => pattern == part,
            Some((start, end)) => {
                part.len() >= start.len() + end.len()
                    && part.starts_with(start)
                    && part.ends_with(end)
            }
        })
}

/// The one of several that a book about the network means.
fn best<'a>(all: impl Iterator<Item = Name<'a>>) -> Option<Found> {
    let all: Vec<Name<'a>> = all.collect();
    let kind = all.iter().map(|found| found.kind).min()?;
    let of_kind = all.iter().filter(|found| found.kind == kind);
    let key = |found: &&Name<'a>| (rank(found.place), found.place.len(), found.place.to_owned());
    let found = of_kind.clone().min_by_key(key)?;
    let owners: BTreeSet<&str> = of_kind.map(|found| found.of).collect();
    let place = place(found, owners.len() - 1);
    Some(Found { kind, place })
}

fn place(found: &Name<'_>, others: usize) -> String {
    let others = match others {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        others => format!(" and {others} others"),
    };
    let before = match found.kind {
        Kind::Config => return format!("{}, {}", found.place, found.detail),
        Kind::Member => format!("{} {}{others}", found.of, found.detail),
        Kind::Local => format!("of {}{others}", found.of),
        Kind::Tracepoint | Kind::GuestFile | Kind::Sysctl => "in the guest".to_owned(),
        Kind::Symbol if found.place.is_empty() => "of the linked image".to_owned(),
        _ => found.detail.to_owned(),
    };
    match (&*before, found.place) {
        ("", place) => place.to_owned(),
        (before, "") => before.to_owned(),
        (before, place) => format!("{before}, {place}"),
    }
}

/// How far a file is from what the book is about.
fn rank(place: &str) -> usize {
    const NEAR: [&[&str]; 5] = [
        &["net/ipv4/", "include/net/"],
        &["net/core/"],
        &["net/", "include/linux/", "include/uapi/linux/"],
        &["init/", "kernel/", "include/", "mm/"],
        &["arch/x86/", "fs/", "drivers/", "lib/"],
    ];
    let is_near = |folders: &&[&str]| folders.iter().any(|folder| place.starts_with(folder));
    NEAR.iter().take_while(|folders| !is_near(folders)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prose::shape::shape;

    fn index() -> Index {
        let mut lines = [
            "/proc/net/arp\tguest file\t\t\t\t",
            "/proc/self/maps\tguest file\t\t\t\t",
            "/proc/sys/net/ipv4/conf/all/arp_ignore\tsysctl\t\t\t\t",
            "/proc/sys/net/ipv4/ip_forward\tsysctl\t\t\t\t",
            "/proc/sys/net/ipv4/tcp_syn_retries\tsysctl\t\t\t\t",
            "CONFIG_INET\tconfig\t\ty\tnet/Kconfig:60\t",
            "CONFIG_SMP\tconfig\t\tnot set\tarch/x86/Kconfig:407\t",
            "TCP_SYN_SENT\tenumerator\t\t= 2\tinclude/net/tcp_states.h:14\t",
            "__sk_common\tmember\tstruct sock\t+0\tinclude/net/sock.h:1\tstruct sock_common",
            "arch/x86/kernel/head64.c\tsource file\t\t500\tarch/x86/kernel/head64.c\t",
            "fs_initcall\tmacro\t\t\tinclude/linux/init.h:285\t",
            "inet_init\tfunction\t\t\tnet/ipv4/af_inet.c:1949\t",
            "ip_forward\tfunction\t\t\tnet/ipv4/ip_forward.c:86\t",
            "net/ipv4\tsource folder\t\t\tnet/ipv4\t",
            "qlen\tmember\tstruct neigh_parms\t+84\tinclude/net/neighbour.h:86\t",
            "skc_state\tmember\tstruct sock_common\t+18\tinclude/net/sock.h:185\t",
            "sk_state\tmacro\t\t\tinclude/net/sock.h:380\t",
            "sock\tstruct\t\t712 bytes\tinclude/net/sock.h:352\t",
            "start_kernel\tfunction\t\t\tinit/main.c:937\t",
            "start_time\tlocal\tf\t\tfs/x.c:1\t",
            "start_time\tmember\tstruct b\t+8\tfs/b.c:1\t",
            "start_time\tmember\tstruct task_struct\t+800\tinclude/linux/sched.h:1\t",
            "tcp:tcp_probe\ttracepoint\t\t\t\t",
        ];
        lines.sort_unstable();
        Index::from(lines.join("\n") + "\n")
    }

    fn ask(text: &str) -> Result<String, String> {
        let index = index();
        let found = resolve(&index, &shape(text).expect("the shape of a claim"));
        let told = found.map(|found| format!("{}: {}", found.kind, found.place));
        told.map_err(|miss| miss.message(&index))
    }

    #[test]
    fn what_the_kernel_has_is_found_with_its_place() {
        for (text, expected) in [
            ("inet_init()", "function: net/ipv4/af_inet.c:1949"),
            (
                "ip_forward",
                "function: also a sysctl, net/ipv4/ip_forward.c:86",
            ),
            (
                "tcp_syn_retries",
                "sysctl: /proc/sys/net/ipv4/tcp_syn_retries",
            ),
            ("net.ipv4.ip_forward", "sysctl: in the guest"),
            (
                "/proc/sys/net/ipv4/conf/*/arp_ignore",
                "sysctl: in the guest",
            ),
            ("/proc/1/maps", "guest file: in the guest"),
            (
                "TCP_SYN_SENT",
                "enumerator: = 2, include/net/tcp_states.h:14",
            ),
            ("struct sock", "struct: 712 bytes, include/net/sock.h:352"),
            (
                "skc_state",
                "member: struct sock_common +18, include/net/sock.h:185",
            ),
            (
                "sk->__sk_common.skc_state",
                "member: struct sock_common +18, include/net/sock.h:185",
            ),
            (
                "start_time",
                "member: struct task_struct +800 and 1 other, include/linux/sched.h:1",
            ),
            ("sk->sk_state", "macro: include/net/sock.h:380"),
            ("CONFIG_INET=y", "config: net/Kconfig:60, y"),
            ("CONFIG_SMP=n", "config: arch/x86/Kconfig:407, not set"),
            ("net/ipv4/", "source folder: net/ipv4"),
            ("head64.c", "source file: arch/x86/kernel/head64.c"),
            ("head64.c:500", "source file: arch/x86/kernel/head64.c:500"),
            ("fs_initcall(inet_init)", "macro: include/linux/init.h:285"),
            ("tcp:tcp_probe", "tracepoint: in the guest"),
        ] {
            assert_eq!(ask(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn another_kernel_has_what_is_akin_there() {
        let book = index();
        let other = [
            "/proc/sys/net/ipv4/ip_forward\tsysctl\t\t\t\t",
            "CONFIG_SMP\tconfig\t\ty\tarch/x86/Kconfig:1\t",
            "TCP_SYN_SENT\tmacro\t\t= 2\tinclude/net/tcp_states.h:1\t",
            "arch/x86/head64.c\tsource file\t\t10\tarch/x86/head64.c\t",
            "fs_initcall\tfunction\t\t\tinclude/linux/init.h:1\t",
            "inet_init\tlocal\tf\t\tnet/ipv4/af_inet.c:1\t",
            "net/ipv4\tsource folder\t\t\tnet/ipv4\t",
            "sk_state\tmember\tstruct sock\t+18\tinclude/net/sock.h:1\t",
            "skc_state\tmember\tstruct other\t+18\tinclude/net/sock.h:1\t",
            "sock\ttypedef\t\t712 bytes\tinclude/net/sock.h:1\t",
            "start_time\tmember\tstruct task_struct\t+8\tinclude/linux/sched.h:1\t",
        ];
        let other = Index::from(other.join("\n") + "\n");
        for (text, is_there) in [
            ("CONFIG_SMP=n", true),
            ("TCP_SYN_SENT", true),
            ("fs_initcall", true),
            ("ip_forward", true),
            ("net/ipv4/", true),
            ("sk->sk_state", true),
            ("struct sock", true),
            ("start_time", true),
            // As something else, in another structure, or in another place.
            ("inet_init", false),
            ("skc_state", false),
            ("__sk_common.skc_state", false),
            ("head64.c:500", false),
            ("tcp_syn_retries", false),
            ("/proc/1/maps", false),
            ("tcp:tcp_probe", false),
        ] {
            let shape = shape(text).unwrap();
            let found = resolve(&book, &shape).unwrap();
            assert_eq!(has(&other, &shape, &found), is_there, "{text}");
        }
    }

    #[test]
    fn what_it_has_not_is_told_with_what_is_near() {
        for (text, expected) in [
            (
                "inet_intt",
                "`inet_intt` is no name in this kernel; near it: inet_init",
            ),
            (
                "tcp_rcv_nothing",
                "`tcp_rcv_nothing` is no name in this kernel; no name is near it",
            ),
            (
                "fs_initcall(inet_int)",
                "`inet_int` is no name in this kernel; near it: inet_init",
            ),
            (
                "struct sok",
                "`sok` is no struct in this kernel; near it: sock",
            ),
            (
                "sk->skc_stat",
                "`skc_stat` is no member in this kernel; near it: skc_state",
            ),
            (
                "__sk_common.qlen",
                "`qlen` is no member of `__sk_common` (struct sock_common)",
            ),
            (
                "CONFIG_SMP=y",
                "`CONFIG_SMP` is not set in the lab's kernel, and not y",
            ),
            (
                "CONFIG_INIT",
                "`CONFIG_INIT` is no option of this kernel; near it: CONFIG_INET",
            ),
            ("head64.c:501", "`head64.c` has 500 lines, and no line 501"),
            (
                "net/ipv6",
                "`net/ipv6` is no file of this kernel's source; near it: net/ipv4",
            ),
            (
                "/proc/net/arpa",
                "`/proc/net/arpa` is no file in the guest; near it: /proc/net/arp",
            ),
            (
                "tcp:tcp_prob",
                "`tcp:tcp_prob` is no tracepoint in the guest; near it: tcp:tcp_probe",
            ),
        ] {
            assert_eq!(ask(text).unwrap_err(), expected);
        }
    }
}
