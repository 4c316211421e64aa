//! An expression: numbers that are computed with, in the text's `{{10.36 - 10.35}}` and in a
//! macro's `(60*HZ)`.
//!
//! Numbers are decimal and exact, so what is computed is what a reader would get on paper; a
//! division that never comes out is refused instead of rounded. The operators are C's, with C's
//! precedence.

use std::fmt;
use std::str::FromStr;

/// A decimal number: `units` divided by ten to the power of `digits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    units: i128,
    digits: u32,
}

/// More digits behind the point than any clock has.
const MOST_DIGITS: u32 = 12;

/// More parentheses within each other than a reader can match.
const DEEPEST: usize = 100;

impl Number {
    /// The number without a fraction, if it has none.
    #[must_use]
    pub fn whole(self) -> Option<i128> {
        (self.digits == 0).then_some(self.units)
    }

    /// The same number with as few digits as it takes.
    fn reduced(mut self) -> Self {
        while self.digits > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.digits -= 1;
        }
        self
    }

    /// Both in units of the same size.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let digits = self.digits.max(other.digits);
        let scaled = |number: Self| {
            let factor = 10_i128.checked_pow(digits - number.digits)?;
            number.units.checked_mul(factor)
        };
        Some((scaled(self)?, scaled(other)?, digits))
    }
}

impl From<i128> for Number {
    fn from(units: i128) -> Self {
        Self { units, digits: 0 }
    }
}

impl FromStr for Number {
    type Err = String;

    /// Reads `12`, `-1`, `0x2382`, `010` (octal, as in C) and `1.06`; suffixes of C's such as `UL`
    /// do not count.
    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is no number");
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let plain = digits.trim_end_matches(['u', 'U', 'l', 'L']);
        // A sign within the number is none of its digits.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let whole = |text: &str, radix| match is_plain(text) {
            true => i128::from_str_radix(text, radix).map_err(|_| fault()),
            false => Err(fault()),
        };
        if !plain.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(fault());
        }
        if let Some(hex) = plain.strip_prefix("0x").or(plain.strip_prefix("0X")) {
            return Ok((sign * whole(hex, 16)?).into());
        }
        match plain.split_once('.') {
            None if plain.len() > 1 && plain.starts_with('0') => {
                Ok((sign * whole(plain, 8)?).into())
            }
            None => Ok((sign * whole(plain, 10)?).into()),
            Some((before, behind)) => {
                let units = sign * whole(&format!("{before}{behind}"), 10)?;
                let digits = u32::try_from(behind.len()).map_err(|_| fault())?;
                if digits > MOST_DIGITS {
                    return Err(fault());
                }
                Ok(Self { units, digits }.reduced())
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { units, digits } = self.reduced();
        let sign = if units < 0 { "-" } else { "" };
        let text = units.unsigned_abs().to_string();
        let Some(width) = usize::try_from(digits).ok().filter(|width| *width > 0) else {
            return write!(f, "{sign}{text}");
        };
        let text = format!("{text:0>least$}", least = width + 1);
        let (before, behind) = text.split_at(text.len() - width);
        write!(f, "{sign}{before}.{behind}")
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
        let both = left.aligned(right);
        let whole = || Some((left.whole()?, right.whole()?));
        let computed = match self {
            Self::Or => whole().map(|(l, r)| (l | r).into()),
            Self::Shift => whole().and_then(|(l, r)| {
                let factor = 2_i128.checked_pow(u32::try_from(r).ok()?)?;
                Some(l.checked_mul(factor)?.into())
            }),
            Self::Plus => both.and_then(|(l, r, digits)| {
                let units = l.checked_add(r)?;
                Some(Number { units, digits })
            }),
            Self::Minus => both.and_then(|(l, r, digits)| {
                let units = l.checked_sub(r)?;
                Some(Number { units, digits })
            }),
            Self::Times => left.units.checked_mul(right.units).map(|units| Number {
                units,
                digits: left.digits + right.digits,
            }),
            Self::Over => both.and_then(|(l, r, _)| divide(l, r)),
        };
        let short = computed.map(Number::reduced);
        short
            .filter(|number| number.digits <= MOST_DIGITS)
            .ok_or_else(|| {
                format!(
                    "{left} and {right} do not come out as a number of at most {MOST_DIGITS} \
                digits behind the point"
                )
            })
    }
}

/// The quotient, if its digits come to an end.
fn divide(left: i128, right: i128) -> Option<Number> {
    (0..=MOST_DIGITS).find_map(|digits| {
        let scaled = left.checked_mul(10_i128.checked_pow(digits)?)?;
        let rest = scaled.checked_rem(right)?;
        (rest == 0).then(|| Number {
            units: scaled / right,
            digits,
        })
    })
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
pub fn evaluate<L>(
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
