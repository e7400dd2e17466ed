//! Values that rules make coarser or rewrite, each beside what must become of it, worked out by hand.

use super::rules::Recipe;
use super::value::Value;

/// Addresses of machines, and their networks.
pub(crate) const ADDRESSES: [(&str, &str); 9] = [
    ("192.168.1.77", "192.168.1.0"),
    ("10.20.30.0", "10.20.30.0"),
    ("192.168.1.77/24", "192.168.1.0/24"),
    ("2001:db8:1:2:3::4", "2001:db8:1::"),
    ("2001:db8:1::", "2001:db8:1::"),
    ("::ffff:192.168.1.77", "::ffff:192.168.1.0"),
    ("unknown", ""),
    ("300.1.1.1", ""),
    ("", ""),
];

/// Postcodes, and their digits.
pub(crate) const POSTCODES: [(&str, &str); 8] = [
    ("1234 AB", "1234"),
    ("1234ab", "1234"),
    ("1234", "1234"),
    (" 5678 CD ", "5678"),
    ("0123 AB", ""),
    ("12345", ""),
    ("B-1000", ""),
    ("", ""),
];

/// Days and times, and what is left of them by month and by year.
pub(crate) const BIRTHS: [(&str, &str, &str); 8] = [
    ("1984-07-23", "1984-07-01", "1984-01-01"),
    ("1984-07-01", "1984-07-01", "1984-01-01"),
    ("2000-02-29", "2000-02-01", "2000-01-01"),
    ("1999-12-31", "1999-12-01", "1999-01-01"),
    ("1990-01-01", "1990-01-01", "1990-01-01"),
    ("1984-07-23 12:34:56", "1984-07-01 00:00:00", "1984-01-01 00:00:00"),
    ("1984-07-23T12:34", "1984-07-01T00:00", "1984-01-01T00:00"),
    ("", "", ""),
];

/// JSON documents in three: what stands before a telephone number, the number itself, and the rest.
pub(crate) const JSON: [(&str, &str, &str); 6] = [
    (r#"{"customer":{"name":"Jan","phone":"#, r#""0612345678""#, r#"},"total":1.50}"#),
    (r#"{ "customer" : { "phone" : "#, r#""020-\u00e9""#, r#" , "vip":true } }"#),
    (r#"{"customer":{"phone":"#, "612345678", r#","x":[1,2,{"phone":"7"}]}}"#),
    (r#"{"customer":{"phone":"#, "null", "}}"),
    (r#"{"customer":{"name":"Piet"},"total":1e3"#, "", "}"),
    ("[1, 2, 3", "", "]"),
];

/// PHP-serialised values in the same way.
pub(crate) const PHP: [(&str, &str, &str); 5] = [
    ("a:2:{s:5:\"phone\";", "s:10:\"0612345678\";", "s:4:\"note\";s:3:\"é!\";}"),
    ("a:2:{s:5:\"phone\";", "i:612345678;", "i:7;b:1;}"),
    ("a:1:{s:5:\"phone\";", "N;", "}"),
    ("a:1:{s:4:\"note\";s:2:\"ok\";", "", "}"),
    ("a:0:{", "", "}"),
];

/// What a field of addresses says: whose it is, in the one form in which it is compared. No known one, and a text all
/// the same: it may be anybody's.
pub(crate) const EMAILS: [(&str, &[&str]); 12] = [
    ("jan@example.nl", &["jan@example.nl"]),
    ("JAN@Example.NL", &["jan@example.nl"]),
    (" jan@example.nl ", &["jan@example.nl"]),
    ("Jan Jansen <jan@example.nl>", &["jan@example.nl"]),
    ("mailto:piet@example.nl", &["piet@example.nl"]),
    ("piet@example.nl; Jan <jan@example.nl>", &["piet@example.nl", "jan@example.nl"]),
    ("piet@example.nl", &["piet@example.nl"]),
    ("zoë@example.nl", &["zoë@example.nl"]),
    ("klaas@example.nl", &["klaas@example.nl"]),
    ("geen", &[]),
    ("", &[]),
    ("  ", &[]),
];

fn member(pool: &[(&str, &str, &str)], text: &str, new: &dyn Fn(&str) -> String) -> String {
    for (before, old, rest) in pool {
        let inner = text.strip_prefix(before).and_then(|left| left.strip_suffix(rest));
        // What a recipe wrote is known too, so that a value in final form stays as it is.
        if let Some(inner) = inner.filter(|inner| inner == old || *inner == new(old)) {
            return if old.is_empty() { text.to_string() } else { format!("{before}{}{rest}", new(inner)) };
        }
    }
    text.to_string()
}

/// What becomes of a value; `key` is the record's key as a template writes it.
pub(crate) fn applied(recipe: &Recipe, value: &Value, key: &str) -> Value {
    let text = match (recipe, value) {
        (Recipe::Marker, Value::Null) => return Value::Now,
        (Recipe::Marker, value) => return value.clone(),
        (_, Value::Null) | (Recipe::Null, _) => return Value::Null,
        (Recipe::Pseudonym(length), _) => return Value::Pseudonym(length.unwrap_or(24)),
        (_, Value::Text(text)) => text.as_str(),
        (Recipe::Fixed(_) | Recipe::Template(_), _) => "",
        (recipe, value) => panic!("the model has no {recipe:?} of {value:?}"),
    };
    let pair = |pool: &[(&str, &str)]| {
        let known = pool.iter().find(|(old, new)| *old == text || *new == text);
        known.unwrap_or_else(|| panic!("the model does not know `{text}`")).1.to_string()
    };
    Value::Text(match recipe {
        Recipe::Fixed(new) => new.clone(),
        Recipe::Template(new) => new.replace("{key}", key),
        Recipe::Truncate("ip") => pair(&ADDRESSES),
        Recipe::Truncate("postcode") => pair(&POSTCODES),
        Recipe::Truncate(how) => {
            let known = BIRTHS.iter().find(|(old, month, year)| [*old, *month, *year].contains(&text));
            let (_, month, year) = known.unwrap_or_else(|| panic!("the model does not know `{text}`"));
            if *how == "month" { (*month).to_string() } else { (*year).to_string() }
        }
        Recipe::Json(_, inner) => member(&JSON, text, &|old| match inner.as_ref() {
            _ if old == "null" => "null".into(),
            Recipe::Null => "null".into(),
            Recipe::Fixed(new) => format!("\"{new}\""),
            other => panic!("the model has no {other:?} of a member"),
        }),
        Recipe::Php(_, inner) => member(&PHP, text, &|old| match inner.as_ref() {
            _ if old == "N;" => "N;".into(),
            Recipe::Null => "N;".into(),
            Recipe::Fixed(new) => format!("s:{}:\"{new}\";", new.len()),
            other => panic!("the model has no {other:?} of a member"),
        }),
        Recipe::Null | Recipe::Marker | Recipe::Pseudonym(_) => unreachable!(),
    })
}
