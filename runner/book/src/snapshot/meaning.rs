//! When two transcripts say the same, although their bytes differ.
//!
//! A different compiler, emulator or moment changes addresses, sizes and times, and nothing else
//! that the book is about. So the two texts are read token by token. What may differ is compared by
//! identity: a pointer of the one text stands for one pointer of the other throughout the chapter,
//! in both directions. Where a debugger cannot tell a value, it contradicts nothing. All other text
//! must be equal.

use std::collections::HashMap;

use crate::pattern::{Pattern, pattern};

/// What a piece of text is to the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// Text that must be equal.
    Text(&'a str),
    /// A value that must correspond, one to one.
    Name(Kind, &'a str),
    /// A value behind `=` that must be equal, where both debuggers know it.
    Value(&'a str),
    /// A value that the debugger does not know.
    Unknown,
    /// Text that does not count.
    Noise,
}

/// What is counted apart: a pointer does not correspond to a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Pointer,
    Number,
    Initcall,
    Process,
}

/// The alternatives, the most telling first; the group's name decides what a match is.
static TOKENS: Pattern = Pattern::new(|| {
    let alternatives = [
        // An address and a port that the kernel has chosen, as tcpdump and netstat write them.
        r"(?P<port>\b\d+(\.\d+){3}[.:]\d{5}\b)",
        // A version or an IP address is no time: it must be equal.
        r"(?P<dotted>\b\d+(\.\d+){2,}\b)",
        // printk's time, `[    1.203456] `; seconds with a fraction.
        r"(?P<time>\[ *\d+\.\d{6}\]|\b\d+\.\d+ ?(s|ms|us|seconds)\b|(= ?)?\b\d+\.\d{2,}\b)",
        // A frame's program counter, which gdb leaves out at the beginning of a line.
        r"(?P<counter>\b0x[0-9a-f]{16} in )",
        // `<inet_init+42>`, `inet_init+0x1a/0x30`.
        r"(?P<offset>\+\d+>|\+0x[0-9a-f]+/0x[0-9a-f]+)",
        r"(?P<unknown><optimized out>)",
        // The entry of an initcall: module, a counter of the compiler's, line, function, level.
        r"(?P<initcall>\b__initcall__kmod_\w+?__\d+_)",
        // How many threads the kernel has made before is not what a chapter is about. ping's id is
        // its process.
        r"(?P<process>\b(process|echo (request|reply), id) \d+\b)",
        r"(?P<pointer>\b0x[0-9a-f]{5,16}\b|\bffff[0-9a-f]{12}\b)",
        r"(?P<number>\b[0-9]{5,}\b|\b[0-9a-f]{40,64}\b)",
        "(?P<value>(?:= ?)(?:-?\\d+\\b|0x[0-9a-f]{1,4}\\b|\"[^\"]*\"|true\\b|false\\b))",
    ];
    pattern(&alternatives.join("|"))
});

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut end = 0;
    for found in TOKENS.captures_iter(text) {
        let whole = found.get(0).expect("group 0 is the match");
        let mut begin = whole.start();
        let name = TOKENS
            .capture_names()
            .flatten()
            .find(|name| found.name(name).is_some());
        let matched = whole.as_str();
        let token = match name {
            Some("dotted") => Token::Text(matched),
            Some("time" | "counter" | "offset") => Token::Noise,
            Some("unknown") => Token::Unknown,
            Some("pointer") => Token::Name(Kind::Pointer, matched),
            Some("number") => Token::Name(Kind::Number, matched),
            Some("initcall") => Token::Name(Kind::Initcall, matched),
            Some(name @ ("process" | "port")) => {
                let value = &matched[matched.rfind([' ', '.', ':']).map_or(0, |at| at + 1)..];
                begin = whole.end() - value.len();
                let kind = if name == "port" {
                    Kind::Number
                } else {
                    Kind::Process
                };
                Token::Name(kind, value)
            }
            _ => {
                // The equals sign is text: `level=5` says the same as `level=<optimized out>`.
                let value = matched.trim_start_matches(['=', ' ']);
                begin = whole.end() - value.len();
                Token::Value(value)
            }
        };
        tokens.push(Token::Text(&text[end..begin]));
        tokens.push(token);
        end = whole.end();
    }
    tokens.push(Token::Text(&text[end..]));
    tokens
}

/// The text of a line with a hole for each value; noise leaves nothing behind.
fn frame(tokens: &[Token<'_>]) -> String {
    let piece = |token: &Token<'_>| match token {
        Token::Text(text) => (*text).to_owned(),
        Token::Noise => String::new(),
        Token::Name(..) | Token::Value(_) | Token::Unknown => "\0".to_owned(),
    };
    tokens.iter().map(piece).collect()
}

/// What stands in the holes.
fn values<'a>(tokens: &'a [Token<'a>]) -> impl Iterator<Item = Token<'a>> {
    tokens
        .iter()
        .copied()
        .filter(|token| !matches!(token, Token::Text(_) | Token::Noise))
}

/// The correspondence of two transcripts' names, which grows as they are compared.
#[derive(Debug, Default)]
pub struct Correspondence {
    pairs: HashMap<(bool, Kind, String), String>,
}

impl Correspondence {
    /// Whether `recorded` and `now` say the same, given all that was compared before.
    #[must_use]
    pub fn same(&mut self, recorded: &str, now: &str) -> bool {
        recorded.lines().count() == now.lines().count()
            && recorded
                .lines()
                .zip(now.lines())
                .all(|(a, b)| self.same_line(a, b))
    }

    fn same_line(&mut self, recorded: &str, now: &str) -> bool {
        let (recorded, now) = (tokens(recorded), tokens(now));
        frame(&recorded) == frame(&now)
            && values(&recorded).zip(values(&now)).all(|pair| match pair {
                (Token::Unknown, _) | (_, Token::Unknown) => true,
                (Token::Name(a, x), Token::Name(b, y)) => a == b && self.correspond(a, x, y),
                (a, b) => a == b,
            })
    }

    fn correspond(&mut self, kind: Kind, recorded: &str, now: &str) -> bool {
        let mut pair = |forth: bool, from: &str, to: &str| {
            self.pairs
                .entry((forth, kind, from.to_owned()))
                .or_insert_with(|| to.to_owned())
                == to
        };
        let forth = pair(true, recorded, now);
        let back = pair(false, now, recorded);
        forth && back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(recorded: &str, now: &str) -> bool {
        Correspondence::default().same(recorded, now)
    }

    #[test]
    fn what_the_compiler_and_the_clock_choose_may_differ() {
        for (recorded, now) in [
            (
                "#1  0xffffffff81b213ee in f (level=5) at init/main.c:9",
                "#1  f (level=5) at init/main.c:9",
            ),
            ("[    0.123456] x", "[   17.000001] x"),
            (
                "fn=0xffffffff81b4583f <inet_init>",
                "fn=0xffffffff81000000 <inet_init>",
            ),
            ("<f+42> call", "<f+7> call"),
            (
                "f (a=<optimized out>, b=0xffff888002)",
                "f (a=3, b=<optimized out>)",
            ),
            (
                "__initcall__kmod_af_inet__699_2090_inet_init5",
                "__initcall__kmod_af_inet__704_2090_inet_init5",
            ),
            ("3023872 bzImage", "3100000 bzImage"),
            ("I am process 29\nprocess 30", "I am process 31\nprocess 32"),
            ("time 0.25 s", "time 1.5 s"),
            ("max = 0.303/0.303 ms", "max = 10.000/23.761 ms"),
            (
                "10.0.3.2.46353 > 203.0.113.53.53\n192.0.2.4:46353",
                "10.0.3.2.60950 > 203.0.113.53.53\n192.0.2.4:60950",
            ),
            (
                "echo request, id 38, seq 0\necho reply, id 38",
                "echo request, id 41, seq 0\necho reply, id 41",
            ),
        ] {
            assert!(same(recorded, now), "{recorded} / {now}");
        }
    }

    #[test]
    fn all_else_may_not() {
        for (recorded, now) in [
            ("f (level=5)", "f (level=6)"),
            ("proto_register TCP", "proto_register UDP"),
            ("a\nb", "b\na"),
            ("a\n", "a\nb\n"),
            ("port 9090", "port 9091"),
            ("10.0.3.2.9090", "10.0.3.2.9091"),
            ("10.0.3.2.46353", "10.0.3.1.46353"),
            ("10.0.3.2.46353 46353", "10.0.3.2.60950 46353"),
            ("10.0.3.1 lladdr", "10.0.3.2 lladdr"),
            ("10.0.3.0/24 metric", "192.0.2.0/24 metric"),
            ("Linux 6.1.176", "Linux 6.2.176"),
            ("series 6.1", "series 6.2"),
            ("state = 7", "state = 1"),
            ("x = 0x0", "x = 0xffffffff81000000"),
            ("f (a=1)", "f (b=1)"),
            ("net/a.c:10", "net/a.c:11"),
            ("12345 a", "b 12345"),
            ("process 29\nprocess 29", "process 29\nprocess 30"),
            ("echo request, id 38, seq 0", "echo request, id 38, seq 1"),
            ("echo request, id 38, seq 0", "echo reply, id 38, seq 0"),
            ("__initcall__kmod_a__1_2_f5", "__initcall__kmod_a__1_2_f6"),
            ("__initcall__kmod_a__1_2_f5", "__initcall__kmod_a__1_2_g5"),
        ] {
            assert!(!same(recorded, now), "{recorded} / {now}");
        }
    }

    #[test]
    fn identity_counts_in_both_directions() {
        let (a, b) = ("0xffff888000000001", "0xffff888000000002");
        assert!(same(&format!("{a} {b} {a}"), &format!("{b} {a} {b}")));
        assert!(!same(&format!("{a} {b}"), &format!("{a} {a}")));
        assert!(!same(&format!("{a} {a}"), &format!("{a} {b}")));
        let mut chapter = Correspondence::default();
        assert!(chapter.same(a, b));
        assert!(!chapter.same(a, a), "the first step has said otherwise");
    }
}
