//! Any value under the recipes for plain fields: what is done once stays as it is, and what had to go is gone.

use bewaard::domain::digest::MacKey;
use bewaard::domain::id::SystemId;
use bewaard::domain::recipe::{Recipe, RecipeContext, RecipeFault, Truncate};
use bewaard::domain::value::{Key, Scalar, record_bytes};

use super::input::Input;

const TYPES: [&str; 6] = ["numeric", "boolean", "timestamptz", "date", "uuid", "inet"];
const COARSER: [Truncate; 4] = [Truncate::Ip, Truncate::Postcode, Truncate::Month, Truncate::Year];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let recipe = recipe(&mut input);
    let value = scalar(&mut input);
    let Ok(after) = apply(&recipe, &value) else { return };
    assert_eq!(apply(&recipe, &after), Ok(after.clone()), "what is done is not done again");
    assert!(is_final(&recipe, &after), "what is done is known as done");
    assert_eq!(is_final(&recipe, &value), after == value, "final form is what stays as it is");
    if value.is_null() && !matches!(recipe, Recipe::Marker) {
        assert!(after.is_null(), "a record gains data by being anonymised");
    }
    if let Recipe::Truncate(how) = recipe {
        is_coarser(how, &value, &after);
    }
}

/// A recipe that stands for one field, or for one member of a document.
pub(super) fn recipe(input: &mut Input<'_>) -> Recipe {
    match input.byte() % 7 {
        0 => Recipe::Null,
        1 => Recipe::Fixed("weg".into()),
        2 => Recipe::Fixed(String::from_utf8_lossy(input.counted()).into_owned()),
        3 => Recipe::Template("wis-{key}@example.invalid".into()),
        4 => Recipe::Pseudonym { length: u32::from(input.byte()) },
        5 => Recipe::Marker,
        _ => Recipe::Truncate(*input.one_of(&COARSER)),
    }
}

/// Applies a recipe to a value of one and the same record.
pub(super) fn apply(recipe: &Recipe, value: &Scalar) -> Result<Scalar, RecipeFault> {
    with_context(|ctx| recipe.apply(value, ctx))
}

pub(super) fn is_final(recipe: &Recipe, value: &Scalar) -> bool {
    with_context(|ctx| recipe.is_final(value, ctx))
}

fn with_context<T>(work: impl FnOnce(&RecipeContext<'_>) -> T) -> T {
    let key = Key(vec![Scalar::Int(7), Scalar::Bytes(vec![0xff])]);
    let record = record_bytes(&SystemId::new("shop").expect("a name"), "customers", &key);
    let pseudonym = MacKey::new(&[5; 32]);
    work(&RecipeContext { key: &key, record: &record, pseudonym: &pseudonym, now: "2026-11-27 10:00:00" })
}

fn scalar(input: &mut Input<'_>) -> Scalar {
    match input.byte() % 7 {
        0 => Scalar::Null,
        1 => Scalar::Int(i64::from(input.number().cast_signed())),
        2 => Scalar::from_u64(u64::MAX - u64::from(input.number())),
        3 => Scalar::Real(u64::from(input.number()) << 32 | u64::from(input.number())),
        4 => Scalar::Bytes(input.rest().to_vec()),
        5 => Scalar::Typed { ty: (*input.one_of(&TYPES)).into(), text: input.text() },
        _ => Scalar::Text(input.text()),
    }
}

/// What a coarser value may still say.
fn is_coarser(how: Truncate, value: &Scalar, after: &Scalar) {
    let Some(text) = after.as_text().map(str::trim) else { return };
    match how {
        Truncate::Postcode => {
            let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
            assert!(text.is_empty() || digits, "more than four digits of a postcode stay");
        }
        Truncate::Ip => {
            let address = text.split('/').next().unwrap_or_default();
            let coarse = match address.parse::<std::net::IpAddr>() {
                Ok(std::net::IpAddr::V4(v4)) => v4.octets()[3] == 0,
                Ok(std::net::IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                    Some(v4) => v4.octets()[3] == 0,
                    None => v6.segments()[3..].iter().all(|part| *part == 0),
                },
                Err(_) => text.is_empty(),
            };
            assert!(coarse, "an address is left whole");
        }
        Truncate::Month | Truncate::Year => {
            if matches!(text, "" | "infinity" | "-infinity") || text.starts_with("0000-00-00") {
                return;
            }
            let end = if how == Truncate::Year { "-01-01" } else { "-01" };
            assert!(text.get(..10).is_some_and(|day| day.ends_with(end)), "a day is left");
            let clock = text.get(10..).unwrap_or_default();
            let clock = clock.split(['Z', '+', '-']).next().unwrap_or_default();
            let silent = |c: char| matches!(c, '0' | ':' | '.' | 'T') || c.is_whitespace();
            assert!(clock.chars().all(silent), "a time of day is left");
        }
    }
    let before: String = value.as_text().unwrap_or_default().split_whitespace().collect();
    assert!(how == Truncate::Ip || text.is_empty() || before.get(..3) == text.get(..3), "another value comes in");
}
