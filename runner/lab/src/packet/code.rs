//! What a script asserts of a connection, between `%{` and `}%`.
//!
//! packetdrill hands that to Python. Here it is the part of Python that scripts use: `assert` with
//! comparisons, arithmetic and the fields of `struct tcp_info`, one statement a line or behind `;`.

use std::fmt;

use super::text::{Cursor, Fault, Place, is_word};

/// An assertion, and where it stands.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Where.
    pub place: Place,
    /// Its text.
    pub text: String,
    expression: Expression,
}

#[derive(Clone, Debug)]
enum Expression {
    Number(i64),
    Field(&'static Field),
    Memory(usize, &'static str),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Binary(&'static str, Box<Expression>, Box<Expression>),
    /// A chain, as `a <= b < c`.
    Compare(Box<Expression>, Vec<(&'static str, Expression)>),
}

/// A field of `struct tcp_info`.
#[derive(Debug)]
struct Field {
    name: &'static str,
    at: usize,
    size: usize,
    /// Where a field of bits begins, and how many it has.
    bits: Option<(u32, u32)>,
}

macro_rules! fields {
    ($($name:ident $at:literal $size:literal $($from:literal $count:literal)?;)*) => {
        [$(Field {
            name: stringify!($name),
            at: $at,
            size: $size,
            bits: fields!(@bits $($from $count)?),
        }),*]
    };
    (@bits) => { None };
    (@bits $from:literal $count:literal) => { Some(($from, $count)) };
}

/// As `include/uapi/linux/tcp.h` has them: place, size, and the bits.
static FIELDS: [Field; 71] = fields! {
    tcpi_state 0 1; tcpi_ca_state 1 1; tcpi_retransmits 2 1; tcpi_probes 3 1;
    tcpi_backoff 4 1; tcpi_options 5 1; tcpi_snd_wscale 6 1 0 4; tcpi_rcv_wscale 6 1 4 4;
    tcpi_delivery_rate_app_limited 7 1 0 1; tcpi_fastopen_client_fail 7 1 1 2;
    tcpi_rto 8 4; tcpi_ato 12 4; tcpi_snd_mss 16 4; tcpi_rcv_mss 20 4; tcpi_unacked 24 4;
    tcpi_sacked 28 4; tcpi_lost 32 4; tcpi_retrans 36 4; tcpi_fackets 40 4;
    tcpi_last_data_sent 44 4; tcpi_last_ack_sent 48 4; tcpi_last_data_recv 52 4;
    tcpi_last_ack_recv 56 4; tcpi_pmtu 60 4; tcpi_rcv_ssthresh 64 4; tcpi_rtt 68 4;
    tcpi_rttvar 72 4; tcpi_snd_ssthresh 76 4; tcpi_snd_cwnd 80 4; tcpi_advmss 84 4;
    tcpi_reordering 88 4; tcpi_rcv_rtt 92 4; tcpi_rcv_space 96 4; tcpi_total_retrans 100 4;
    tcpi_pacing_rate 104 8; tcpi_max_pacing_rate 112 8; tcpi_bytes_acked 120 8;
    tcpi_bytes_received 128 8; tcpi_segs_out 136 4; tcpi_segs_in 140 4;
    tcpi_notsent_bytes 144 4; tcpi_min_rtt 148 4; tcpi_data_segs_in 152 4;
    tcpi_data_segs_out 156 4; tcpi_delivery_rate 160 8; tcpi_busy_time 168 8;
    tcpi_rwnd_limited 176 8; tcpi_sndbuf_limited 184 8; tcpi_delivered 192 4;
    tcpi_delivered_ce 196 4; tcpi_bytes_sent 200 8; tcpi_bytes_retrans 208 8;
    tcpi_dsack_dups 216 4; tcpi_reord_seen 220 4; tcpi_rcv_ooopack 224 4; tcpi_snd_wnd 228 4;
    tcpi_rcv_wnd 232 4; tcpi_rehash 236 4; tcpi_total_rto 240 2;
    tcpi_total_rto_recoveries 242 2; tcpi_total_rto_time 244 4; tcpi_received_ce 248 4;
    tcpi_delivered_e1_bytes 252 4; tcpi_delivered_e0_bytes 256 4; tcpi_delivered_ce_bytes 260 4;
    tcpi_received_e1_bytes 264 4; tcpi_received_e0_bytes 268 4; tcpi_received_ce_bytes 272 4;
    tcpi_accecn_fail_mode 276 2; tcpi_accecn_opt_seen 278 2; tcpi_unused 280 4;
};

/// The numbers of SO_MEMINFO, in its order.
static MEMORY: [&str; 9] = [
    "SK_MEMINFO_RMEM_ALLOC",
    "SK_MEMINFO_RCVBUF",
    "SK_MEMINFO_WMEM_ALLOC",
    "SK_MEMINFO_SNDBUF",
    "SK_MEMINFO_FWD_ALLOC",
    "SK_MEMINFO_WMEM_QUEUED",
    "SK_MEMINFO_OPTMEM",
    "SK_MEMINFO_BACKLOG",
    "SK_MEMINFO_DROPS",
];

/// What the fields are compared with.
static CONSTANTS: [(&str, i64); 26] = [
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
    ("TCP_NEW_SYN_RECV", 12),
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_ECN", 8),
    ("TCPI_OPT_ECN_SEEN", 16),
    ("TCPI_OPT_SYN_DATA", 32),
    ("TCPI_OPT_USEC_TS", 64),
    ("True", 1),
    ("False", 0),
];

/// The operators, from those that bind least, each row alike.
const OPERATORS: [&[&str]; 8] = [
    &["or"],
    &["and"],
    &["|"],
    &["^"],
    &["&"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "%"],
];
/// Comparisons stand between `and` and `|`.
const COMPARISONS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];
const COMPARED: usize = 2;

/// Reads the statements of `text`, whose first character stands at `place`.
pub fn parse(cursor: &mut Cursor<'_>) -> Result<Vec<Statement>, Fault> {
    let mut statements = Vec::new();
    cursor.is_code = true;
    while !cursor.takes("}%") {
        if cursor.takes(";") || cursor.takes("\\") {
            continue;
        }
        let place = cursor.place();
        let before = cursor.clone();
        if !cursor.takes_word("assert") {
            return cursor.expected("`assert`, the one statement of Python that is known here");
        }
        let expression = level(cursor, 0)?;
        let text = cursor.taken_since(&before);
        if cursor.takes(",") {
            message(cursor);
        }
        statements.push(Statement {
            place,
            text,
            expression,
        });
    }
    cursor.is_code = false;
    Ok(statements)
}

/// Skips what an assertion would print: up to the end of the line, of the statement or of all.
fn message(cursor: &mut Cursor<'_>) {
    let rest = cursor.rest();
    let end = rest.find("}%").unwrap_or(rest.len());
    let (mut length, mut quote) = (0, None);
    for (at, c) in rest[..end].char_indices() {
        length = at + c.len_utf8();
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, ';' | '\n') => {
                length = at;
                break;
            }
            _ => {}
        }
    }
    let mut left = length;
    cursor.raw_while(|c| {
        let fits = left > 0;
        left = left.saturating_sub(c.len_utf8());
        fits
    });
}

fn level(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, Fault> {
    let Some(operators) = OPERATORS.get(depth) else {
        return unary(cursor);
    };
    let compared = depth + 1 == COMPARED;
    let next = |cursor: &mut Cursor<'_>| match compared {
        true => comparison(cursor),
        false => level(cursor, depth + 1),
    };
    let mut left = next(cursor)?;
    while let Some(operator) = operator(cursor, operators) {
        let right = next(cursor)?;
        left = Expression::Binary(operator, Box::new(left), Box::new(right));
    }
    Ok(left)
}

fn operator(cursor: &mut Cursor<'_>, operators: &[&'static str]) -> Option<&'static str> {
    operators.iter().copied().find(|operator| {
        if operator.starts_with(is_word) {
            cursor.takes_word(operator)
        } else {
            cursor.takes(operator)
        }
    })
}

fn comparison(cursor: &mut Cursor<'_>) -> Result<Expression, Fault> {
    if cursor.takes_word("not") {
        let negated = cursor.inside(comparison)?;
        return Ok(Expression::Not(Box::new(negated)));
    }
    let first = level(cursor, COMPARED)?;
    let mut chain = Vec::new();
    while let Some(operator) = operator(cursor, &COMPARISONS) {
        chain.push((operator, level(cursor, COMPARED)?));
    }
    Ok(match chain.is_empty() {
        true => first,
        false => Expression::Compare(Box::new(first), chain),
    })
}

fn unary(cursor: &mut Cursor<'_>) -> Result<Expression, Fault> {
    if cursor.takes("-") {
        return Ok(Expression::Negative(Box::new(cursor.inside(unary)?)));
    }
    if cursor.takes("(") {
        let inner = cursor.inside(|cursor| level(cursor, 0))?;
        cursor.must(")")?;
        return Ok(inner);
    }
    if cursor
        .rest()
        .trim_start()
        .starts_with(|c: char| c.is_ascii_digit())
    {
        return cursor.number().map(Expression::Number);
    }
    let mut ahead = cursor.clone();
    let word = ahead.word();
    let field = FIELDS.iter().find(|field| field.name == word);
    let memory = MEMORY.iter().position(|name| *name == word);
    let constant = CONSTANTS.iter().find(|(name, _)| *name == word);
    let found = match (field, memory, constant) {
        (Some(field), ..) => Expression::Field(field),
        (_, Some(at), _) => Expression::Memory(at, MEMORY[at]),
        (_, _, Some((_, number))) => Expression::Number(*number),
        _ => {
            return cursor.expected("a number, or a name of `struct tcp_info` or of its values");
        }
    };
    *cursor = ahead;
    Ok(found)
}

/// What the kernel said of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Information<'a> {
    /// `struct tcp_info`, as much as the kernel has of it.
    pub info: &'a [u8],
    /// The numbers of SO_MEMINFO.
    pub memory: &'a [u8],
}

impl Information<'_> {
    fn number(bytes: &[u8], at: usize, size: usize) -> Option<i64> {
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(bytes.get(at..at + size)?);
        Some(i64::from_le_bytes(wide))
    }

    fn field(&self, field: &Field) -> Result<i64, String> {
        let number = Self::number(self.info, field.at, field.size)
            .ok_or_else(|| format!("the kernel's struct tcp_info has no {}", field.name))?;
        Ok(match field.bits {
            Some((from, count)) => number >> from & ((1 << count) - 1),
            None => number,
        })
    }
}

impl Statement {
    /// Whether it holds; with the values of the names in it if not.
    ///
    /// # Errors
    /// What cannot be said.
    pub fn holds(&self, information: Information<'_>) -> Result<Result<(), String>, String> {
        if evaluate(&self.expression, information)? != 0 {
            return Ok(Ok(()));
        }
        let mut values = Vec::new();
        collect(&self.expression, information, &mut values)?;
        Ok(Err(values.join(", ")))
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn evaluate(expression: &Expression, of: Information<'_>) -> Result<i64, String> {
    use Expression as E;
    Ok(match expression {
        E::Number(number) => *number,
        E::Field(field) => of.field(field)?,
        E::Memory(at, name) => Information::number(of.memory, at * 4, 4)
            .ok_or_else(|| format!("the kernel's SO_MEMINFO has no {name}"))?,
        E::Not(inner) => i64::from(evaluate(inner, of)? == 0),
        E::Negative(inner) => evaluate(inner, of)?.wrapping_neg(),
        E::Compare(first, chain) => {
            let mut left = evaluate(first, of)?;
            for (operator, right) in chain {
                let right = evaluate(right, of)?;
                let holds = match *operator {
                    "==" => left == right,
                    "!=" => left != right,
                    "<=" => left <= right,
                    ">=" => left >= right,
                    "<" => left < right,
                    _ => left > right,
                };
                if !holds {
                    return Ok(0);
                }
                left = right;
            }
            1
        }
        E::Binary(operator, left, right) => {
            let left = evaluate(left, of)?;
            match (*operator, left) {
                ("or", 0) => return evaluate(right, of),
                ("or", _) | ("and", 0) => return Ok(left),
                _ => {}
            }
            let right = evaluate(right, of)?;
            let shift = || u32::try_from(right).map_err(|_| "a shift by less than 0".to_owned());
            match *operator {
                "|" => left | right,
                "^" => left ^ right,
                "&" => left & right,
                "<<" => left.wrapping_shl(shift()?),
                ">>" => left.wrapping_shr(shift()?),
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                "%" => match right {
                    0 => return Err("a division by 0".to_owned()),
                    right => left.wrapping_rem_euclid(right),
                },
                _ => right,
            }
        }
    })
}

/// The names of an expression, each with its value.
fn collect(
    expression: &Expression,
    of: Information<'_>,
    values: &mut Vec<String>,
) -> Result<(), String> {
    use Expression as E;
    let name = match expression {
        E::Number(_) => return Ok(()),
        E::Field(field) => field.name,
        E::Memory(_, name) => name,
        E::Not(inner) | E::Negative(inner) => return collect(inner, of, values),
        E::Compare(first, chain) => {
            collect(first, of, values)?;
            return chain
                .iter()
                .try_for_each(|(_, right)| collect(right, of, values));
        }
        E::Binary(_, left, right) => {
            collect(left, of, values)?;
            return collect(right, of, values);
        }
    };
    let value = format!("{name} is {}", evaluate(expression, of)?);
    if !values.contains(&value) {
        values.push(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn judged(text: &str) -> Result<Result<(), String>, String> {
        let defines = BTreeMap::new();
        let mut info = vec![0; 232];
        info[5] = 32 | 2;
        info[6] = 0x8a;
        info[80] = 10;
        let memory = [0, 0, 0, 0, 0, 0, 2, 0];
        let (info, memory) = (&info[..], &memory[..]);
        let statements = parse(&mut Cursor::new(text, &defines)).unwrap();
        for statement in &statements {
            if let Err(why) = statement.holds(Information { info, memory })? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    #[test]
    fn python_is_as_python_is() {
        for text in [
            "assert tcpi_snd_cwnd == 10, 'cwnd=%d; not 10' % tcpi_snd_cwnd }%",
            "\nassert 9 <= tcpi_snd_cwnd < 11\nassert not tcpi_snd_cwnd == 11; }%",
            "assert (tcpi_options & TCPI_OPT_SYN_DATA) != 0, tcpi_options; \\\n assert 1 }%",
            "assert tcpi_snd_wscale == 10 and tcpi_rcv_wscale == 8 }%",
            "assert SK_MEMINFO_RCVBUF == 131072 }%",
            "assert 2 + 3 * 4 - -1 == 15 or False }%",
        ] {
            assert_eq!(judged(text), Ok(Ok(())), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_a_fault_and_no_comment() {
        let defines = BTreeMap::new();
        let fault = |text: &str| parse(&mut Cursor::new(text, &defines)).unwrap_err().message;
        assert!(fault("assert tcpi_snd_cwnd // 2 == 7 }%").contains("expected `assert`"));
        let deep = format!("assert {}1 }}%", "(".repeat(100_000));
        assert_eq!(fault(&deep), "this is nested too deeply");
        let deep = format!("assert {}1 }}%", "not ".repeat(100_000));
        assert_eq!(fault(&deep), "this is nested too deeply");
        let least = "assert (-9223372036854775807 - 1) % -1 == 0 # the least\n }%";
        assert_eq!(judged(least), Ok(Ok(())));
    }

    #[test]
    fn what_does_not_hold_says_what_is() {
        let failed = judged("assert tcpi_snd_cwnd == 11 or tcpi_snd_cwnd > 12 }%");
        assert_eq!(failed, Ok(Err("tcpi_snd_cwnd is 10".into())));
        let absent = judged("assert tcpi_rcv_wnd == 1 }%");
        assert_eq!(
            absent,
            Err("the kernel's struct tcp_info has no tcpi_rcv_wnd".into())
        );
    }
}
