//! Whether a value is what a system gives back after a text was written to it: `0.00` after `0`, `t` after `true`.

use crate::domain::value::Scalar;

/// Whether this value is what the text reads back as, in the column's own type.
pub(crate) fn reads_as(value: &Scalar, text: &str) -> bool {
    let same_number = |shown: &str| decimal(shown).is_some() && decimal(shown) == decimal(text);
    match value {
        Scalar::Null => false,
        Scalar::Text(shown) => shown == text,
        Scalar::Bytes(bytes) => bytes == text.as_bytes(),
        Scalar::Int(_) | Scalar::UInt(_) => same_number(&value.show()),
        Scalar::Real(bits) => {
            text.trim().parse::<f64>().is_ok_and(|number| number.total_cmp(&f64::from_bits(*bits)).is_eq())
        }
        Scalar::Typed { text: shown, .. } if shown == text => true,
        Scalar::Typed { ty, text: shown } if is_number(ty) => same_number(shown),
        Scalar::Typed { ty, text: shown } if is_truth(ty) => truth(shown).is_some() && truth(shown) == truth(text),
        Scalar::Typed { text: shown, .. } => is_midnight_of(shown, text),
    }
}

/// Whether a type's name is that of numbers, on any of the engines.
pub(crate) fn is_number(ty: &str) -> bool {
    const NAMES: [&str; 11] = [
        "numeric",
        "decimal",
        "number",
        "int",
        "bigint",
        "smallint",
        "tinyint",
        "mediumint",
        "float",
        "double",
        "real",
    ];
    let ty = ty.to_ascii_lowercase();
    // "interval" begins like "int", and is none.
    !ty.starts_with("interval") && NAMES.iter().any(|name| ty.starts_with(name))
}

/// Whether a type's name is that of truth values.
pub(crate) fn is_truth(ty: &str) -> bool {
    ty.to_ascii_lowercase().starts_with("bool")
}

/// A truth value in any of the forms that programs write.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" | "on" => Some(true),
        "0" | "f" | "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A decimal number in its one form: no plus, no zeros that say nothing, no minus before zero. `None` is no number, or
/// one with an exponent.
pub(crate) fn decimal(text: &str) -> Option<String> {
    let text = text.trim();
    let (minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let part = part.trim_end_matches('0');
    let mut out = String::with_capacity(digits.len() + 2);
    if minus && !(whole.is_empty() && part.is_empty()) {
        out.push('-');
    }
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
    Some(out)
}

/// A day that was written to a column with a time comes back with midnight.
fn is_midnight_of(shown: &str, day: &str) -> bool {
    let looks_like_a_day = day.len() == 10 && day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let Some(time) = shown.strip_prefix(day) else { return false };
    looks_like_a_day
        && time.strip_prefix([' ', 'T']).and_then(|time| time.strip_prefix("00:00:00")).is_some_and(|rest| {
            let rest = rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches('0'));
            matches!(rest, "" | "Z" | "+00" | "+00:00")
        })
}
