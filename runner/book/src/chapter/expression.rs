//! An expression: numbers that are computed with, in the text's `{{10.36 - 10.35}}` and in a
//! macro's `(60*HZ)`.
//!
//! Numbers are decimal and exact, so what is computed is what a reader would get on paper; a
//! division that never comes out is refused instead of rounded. The operators are C's, with C's
//! precedence.

use std::fmt;
use std::str::FromStr;

/// A decimal number, counted in units of the last digit that it may have behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(i128);

/// More digits behind the point than any clock has.
const MOST_DIGITS: u32 = 12;
const ONE: i128 = 10_i128.pow(MOST_DIGITS);

/// More parentheses within each other than a reader can match.
const DEEPEST: usize = 100;

impl Number {
    /// A number without a fraction, if it is not too large.
    #[must_use]
    pub fn of(whole: i128) -> Option<Self> {
        whole.checked_mul(ONE).map(Self)
    }

    /// The number without a fraction, if it has none.
    #[must_use]
    pub fn whole(self) -> Option<i128> {
        exactly(self.0, ONE)
    }
}

impl FromStr for Number {
    type Err = String;

    /// Reads `12`, `-1`, `0x2382`, `010` (octal, as in C) and `1.06`; suffixes of C's such as `UL`
    /// do not count.
    fn from_str(text: &str) -> Result<Self, String> {
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let plain = unsigned.trim_end_matches(['u', 'U', 'l', 'L']);
        let hex = plain.strip_prefix("0x").or(plain.strip_prefix("0X"));
        let (radix, before, behind) = match (hex, plain.split_once('.')) {
            (Some(hex), _) => (16, hex, ""),
            (None, Some((before, behind))) => (10, before, behind),
            (None, None) if plain.len() > 1 && plain.starts_with('0') => (8, plain, ""),
            (None, None) => (10, plain, ""),
        };
        let number = || {
            let digits = format!("{before}{behind}");
            // A sign within the number is none of its digits.
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let is_number = is_plain && plain.starts_with(|c: char| c.is_ascii_digit());
            let units = i128::from_str_radix(&digits, radix).ok();
            let missing = MOST_DIGITS.checked_sub(u32::try_from(behind.len()).ok()?)?;
            let units = units.filter(|_| is_number)?;
            Some(Self(units.checked_mul(sign * 10_i128.pow(missing))?))
        };
        number().ok_or_else(|| format!("`{text}` is no number"))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let one = ONE.unsigned_abs();
        let (before, behind) = (self.0.unsigned_abs() / one, self.0.unsigned_abs() % one);
        let text = format!(
            "{sign}{before}.{behind:0>width$}",
            width = MOST_DIGITS as usize
        );
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// What is done with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `|`
    Or,
    /// `<<`
    Shift,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `/`
    Over,
}

impl Operator {
    /// The operator that `text` begins with, and how long it is.
    #[must_use]
    pub fn beginning(text: &str) -> Option<(Self, usize)> {
        let all = [
            ("<<", Self::Shift),
            ("|", Self::Or),
            ("+", Self::Plus),
            ("-", Self::Minus),
            ("*", Self::Times),
            ("/", Self::Over),
        ];
        let found = all.into_iter().find(|(sign, _)| text.starts_with(sign))?;
        Some((found.1, found.0.len()))
    }

    fn precedence(self) -> u8 {
        match self {
            Self::Or => 0,
            Self::Shift => 1,
            Self::Plus | Self::Minus => 2,
            Self::Times | Self::Over => 3,
        }
    }

    fn apply(self, left: Number, right: Number) -> Result<Number, String> {
        let (Number(l), Number(r)) = (left, right);
        let both = left.whole().zip(right.whole());
        let computed = match self {
            Self::Or => both.and_then(|(l, r)| Number::of(l | r)),
            Self::Shift => both.and_then(|(l, r)| {
                let factor = 2_i128.checked_pow(u32::try_from(r).ok()?)?;
                Number::of(l.checked_mul(factor)?)
            }),
            Self::Plus => l.checked_add(r).map(Number),
            Self::Minus => l.checked_sub(r).map(Number),
            Self::Times => match (left.whole(), right.whole()) {
                (_, Some(whole)) => l.checked_mul(whole),
                (Some(whole), None) => r.checked_mul(whole),
                (None, None) => l.checked_mul(r).and_then(|units| exactly(units, ONE)),
            }
            .map(Number),
            Self::Over => match right.whole() {
                Some(whole) => exactly(l, whole),
                None => l.checked_mul(ONE).and_then(|units| exactly(units, r)),
            }
            .map(Number),
        };
        computed.ok_or_else(|| {
            format!(
                "{left} and {right} do not come out as a number of at most {MOST_DIGITS} digits \
                 behind the point"
            )
        })
    }
}

/// The quotient, if there is no remainder.
fn exactly(left: i128, right: i128) -> Option<i128> {
    (left.checked_rem(right)? == 0).then(|| left / right)
}

/// A part of an expression; what a leaf is, its reader knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token<L> {
    /// What has a value.
    Leaf(L),
    /// What stands between two values.
    Operator(Operator),
    /// `(`
    Open,
    /// `)`
    Close,
}

/// Computes an expression, whose leaves have the values that `value` gives.
///
/// # Errors
/// What `value` says of a leaf, tokens that are no expression, and what cannot be computed.
pub(crate) fn evaluate<L>(
    tokens: &[Token<L>],
    value: &mut dyn FnMut(&L) -> Result<Number, String>,
) -> Result<Number, String> {
    let mut rest = tokens;
    let number = chain(&mut rest, 0, 0, value)?;
    if rest.is_empty() {
        Ok(number)
    } else {
        Err("an operator is missing between two values".to_owned())
    }
}

/// A chain of operators that bind at least as strongly as `least`, within so many parentheses.
fn chain<L>(
    rest: &mut &[Token<L>],
    least: u8,
    depth: usize,
    value: &mut dyn FnMut(&L) -> Result<Number, String>,
) -> Result<Number, String> {
    let mut left = operand(rest, depth, value)?;
    while let [Token::Operator(operator), behind @ ..] = *rest {
        if operator.precedence() < least {
            break;
        }
        *rest = behind;
        let right = chain(rest, operator.precedence() + 1, depth, value)?;
        left = operator.apply(left, right)?;
    }
    Ok(left)
}

fn operand<L>(
    rest: &mut &[Token<L>],
    depth: usize,
    value: &mut dyn FnMut(&L) -> Result<Number, String>,
) -> Result<Number, String> {
    let [first, behind @ ..] = *rest else {
        return Err("a value is missing at the end".to_owned());
    };
    *rest = behind;
    match first {
        Token::Leaf(leaf) => value(leaf),
        Token::Open if depth == DEEPEST => {
            Err(format!("more than {DEEPEST} parentheses are open at once"))
        }
        Token::Open => {
            let number = chain(rest, 0, depth + 1, value)?;
            let [Token::Close, behind @ ..] = *rest else {
                return Err("a parenthesis is never closed".to_owned());
            };
            *rest = behind;
            Ok(number)
        }
        Token::Operator(_) | Token::Close => Err("a value is missing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computed(text: &str) -> Result<String, String> {
        let tokens: Vec<Token<&str>> = text
            .split(' ')
            .map(|word| match word {
                "(" => Token::Open,
                ")" => Token::Close,
                _ => Operator::beginning(word)
                    .filter(|(_, length)| *length == word.len())
                    .map_or(Token::Leaf(word), |(operator, _)| Token::Operator(operator)),
            })
            .collect();
        evaluate(&tokens, &mut |leaf| leaf.parse()).map(|number| number.to_string())
    }

    #[test]
    fn numbers_are_computed_as_on_paper() {
        for (text, expected) in [
            ("192", "192"),
            ("-0x10", "-16"),
            ("010", "8"),
            ("64UL", "64"),
            ("1.060", "1.06"),
            ("1 + 2 * 3 - 4", "3"),
            ("( 1 + 2 ) * 3", "9"),
            ("10 - 4 - 3", "3"),
            ("1 << 3 | 1", "9"),
            ("1.5 + 0.25", "1.75"),
            ("0.1 - 0.35", "-0.25"),
            ("1000 / 8 / 10", "12.5"),
            ("1.2 * 10", "12"),
        ] {
            assert_eq!(computed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_computed_is_refused() {
        for (text, message) in [
            ("1 / 3", "do not come out"),
            ("1 / 0", "do not come out"),
            ("1.5 | 1", "do not come out"),
            ("1 +", "missing at the end"),
            ("1 2", "an operator is missing"),
            ("( 1", "never closed"),
            ("* 1", "a value is missing"),
            ("x", "`x` is no number"),
            ("1.2.3", "no number"),
            ("0x", "no number"),
            ("-0x-80000000000000000000000000000000", "no number"),
            ("0x+1", "no number"),
            ("0.000000000001 * 0.1", "do not come out"),
        ] {
            let error = computed(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        let deep = format!("{}1", "( ".repeat(100_000));
        assert!(
            computed(&deep)
                .unwrap_err()
                .contains("parentheses are open at once")
        );
    }
}
