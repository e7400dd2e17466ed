//! Numbered placeholders for a server that knows only `?`.
//!
//! The dialect writes `?3i`: the third value, as a whole number. Here the numbers become places, and each value is
//! fitted to the kind that its column has. The server itself would compare `'5abc'` with the number 5 and call them
//! equal: a delete would take more than it was given.

use mysql_async::Value;

use crate::connect::sql::engine::{FaultKind, SqlFault};
use crate::domain::value::Scalar;

/// The kind of value that a placeholder wants: the letter behind its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// `i`: a whole number.
    Whole,
    /// `d`: a decimal number as text. The server would take any other text for zero.
    Decimal,
    /// `t`: text, compared in the column's collation.
    Text,
    /// `x`: bytes, sent as hexadecimal text.
    Hex,
    /// `f`: a floating-point number.
    Float,
    /// No letter: as it is.
    Any,
}

/// Turns `?N` into `?` and puts the values in the order of their places.
pub(super) fn translate(text: &str, values: &[Scalar]) -> Result<(String, Vec<Value>), SqlFault> {
    let mut out = String::with_capacity(text.len());
    let mut bound = Vec::with_capacity(values.len());
    let mut chars = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        out.push(c);
        match (quote, c) {
            // A doubled quote closes and opens again, which comes to the same.
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '`' | '"') => quote = Some(c),
            (None, '?') => {
                let mut number = 0usize;
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    number = number.saturating_mul(10).saturating_add(digit as usize);
                    chars.next();
                }
                let want = match chars.peek() {
                    Some('i') => Want::Whole,
                    Some('d') => Want::Decimal,
                    Some('t') => Want::Text,
                    Some('x') => Want::Hex,
                    Some('f') => Want::Float,
                    _ => Want::Any,
                };
                if want != Want::Any {
                    chars.next();
                }
                let value = number.checked_sub(1).and_then(|index| values.get(index));
                bound.push(fit(value.ok_or_else(|| refused("a placeholder without a value"))?, want)?);
            }
            _ => {}
        }
    }
    Ok((out, bound))
}

fn refused(code: &str) -> SqlFault {
    SqlFault { kind: FaultKind::Other, code: code.into() }
}

fn fit(value: &Scalar, want: Want) -> Result<Value, SqlFault> {
    let text = |text: &str| Value::Bytes(text.as_bytes().to_vec());
    Ok(match (want, value) {
        (_, Scalar::Null) => Value::NULL,
        (Want::Whole | Want::Float | Want::Any, Scalar::Int(number)) => Value::Int(*number),
        (Want::Whole | Want::Float | Want::Any, Scalar::UInt(number)) => Value::UInt(*number),
        (Want::Whole, Scalar::Text(digits) | Scalar::Typed { text: digits, .. }) => whole(digits)?,
        (Want::Decimal, Scalar::Text(digits) | Scalar::Typed { text: digits, .. }) if is_decimal(digits) => {
            text(digits)
        }
        (Want::Text | Want::Decimal, Scalar::Int(number)) => text(&number.to_string()),
        (Want::Text | Want::Decimal, Scalar::UInt(number)) => text(&number.to_string()),
        (Want::Text | Want::Any, Scalar::Text(words) | Scalar::Typed { text: words, .. }) => text(words),
        (Want::Hex, Scalar::Bytes(bytes)) => text(&hex::encode(bytes)),
        (Want::Hex, Scalar::Text(words)) => text(&hex::encode(words)),
        (Want::Any, Scalar::Bytes(bytes)) => Value::Bytes(bytes.clone()),
        (Want::Float | Want::Any, Scalar::Real(bits)) => Value::Double(f64::from_bits(*bits)),
        (Want::Float, Scalar::Text(digits) | Scalar::Typed { text: digits, .. }) => {
            Value::Double(digits.parse().map_err(|_| unfit())?)
        }
        _ => return Err(unfit()),
    })
}

fn unfit() -> SqlFault {
    refused("a value does not fit the type of its column")
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all(whole) && all(fraction)
}

fn whole(digits: &str) -> Result<Value, SqlFault> {
    let signed = digits.parse().map(Value::Int);
    signed.or_else(|_| digits.parse().map(Value::UInt)).map_err(|_| unfit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_places_and_values_repeat() {
        let values = [Scalar::Int(7), Scalar::Text("a".into())];
        let (text, bound) = translate("a > ?2t OR (a = ?2t AND b > ?1i)", &values).unwrap();
        assert_eq!(text, "a > ? OR (a = ? AND b > ?)");
        assert_eq!(bound, [Value::from("a"), Value::from("a"), Value::from(7)]);
    }

    #[test]
    fn a_question_mark_in_quotes_is_no_placeholder() {
        let (text, bound) = translate("`w?1i``x?` = 'it''s ?2' AND n = ?1", &[Scalar::Int(1)]).unwrap();
        assert_eq!(text, "`w?1i``x?` = 'it''s ?2' AND n = ?");
        assert_eq!(bound.len(), 1);
    }

    #[test]
    fn a_value_that_does_not_fit_its_column_is_refused() {
        assert!(translate("id = ?1i", &[Scalar::Text("5abc".into())]).is_err());
        assert!(translate("id = ?1i", &[Scalar::Bytes(vec![1])]).is_err());
        assert!(translate("id = ?2i", &[Scalar::Int(1)]).is_err());
        for (digits, fits) in [("-12.50", true), ("7", true), ("x", false), ("", false), ("1.", false), ("1e5", false)]
        {
            assert_eq!(translate("d = ?1d", &[Scalar::Text(digits.into())]).is_ok(), fits, "{digits}");
        }
        let (_, bound) = translate("name = ?1t", &[Scalar::Int(5)]).unwrap();
        assert_eq!(bound, [Value::from("5")], "a number is compared with a text as text");
    }
}
