//! Any text as a JSON document whose members are anonymised: those go, and everything else stays.
//!
//! The model is another reader: both documents are read as values, what the path leads to is blanked in both, and then
//! they are the same.

use bewaard::domain::recipe::{Recipe, RecipeFault, Step, parse_path};
use bewaard::domain::value::Scalar;
use serde_json::Value;

use super::input::Input;
use super::value::{apply, is_final, recipe};

const PATHS: [&str; 8] = ["email", "*", "a.b", "items[*].email", "[0]", "[\"a.b\"]", "*.*", "a[1]"];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let member = recipe(&mut input);
    let path = path(&mut input, &PATHS);
    let recipe = Recipe::Json([(path.clone(), member.clone())].into());
    let text = input.text();
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    let Some(steps) = parse_path(&path) else {
        assert!(apply(&recipe, &Scalar::Text("{}".into())) == Err(RecipeFault::Path), "a path that is none is used");
        return;
    };
    let value = Scalar::Text(text.clone());
    let after = match apply(&recipe, &value) {
        Ok(Scalar::Text(after)) => after,
        Ok(_) => panic!("a document becomes something else"),
        Err(fault) => return assert!(fault != RecipeFault::NotJson || !is_json, "a document is refused"),
    };
    if text.trim_ascii().is_empty() {
        return assert_eq!(after, text, "an empty text is no document");
    }
    assert!(is_json, "what is no document is anonymised");
    let again = Scalar::Text(after.clone());
    assert!(is_final(&recipe, &again), "what is done is known as done");
    assert_eq!(apply(&recipe, &again), Ok(again), "what is done is not done again");
    compare(&member, &steps, &text, &after);
}

pub(super) fn path(input: &mut Input<'_>, paths: &[&str]) -> String {
    let place = input.below(paths.len() + 1);
    paths.get(place).map_or_else(|| String::from_utf8_lossy(input.counted()).into_owned(), |path| (*path).into())
}

fn compare(member: &Recipe, steps: &[Step], before: &str, after: &str) {
    let Ok(mut old) = serde_json::from_str::<Value>(before) else { return };
    let mut new = serde_json::from_str::<Value>(after).expect("a document stays one");
    let (mut were, mut are) = (Vec::new(), Vec::new());
    blank(&mut old, steps, &mut were);
    blank(&mut new, steps, &mut are);
    assert_eq!(old, new, "something else changed");
    assert_eq!(were.len(), are.len());
    for (was, is) in were.iter().zip(are) {
        match member {
            Recipe::Null => assert_eq!(is, Value::Null, "a member is left"),
            _ if was.is_null() => assert_eq!(is, Value::Null, "a member comes in"),
            Recipe::Fixed(text) if text == "weg" => assert_eq!(is, Value::from("weg"), "a member is left"),
            _ => {}
        }
    }
}

/// Takes out what the path leads to.
fn blank(value: &mut Value, steps: &[Step], found: &mut Vec<Value>) {
    let Some((step, rest)) = steps.split_first() else { return found.push(value.take()) };
    match (value, step) {
        (Value::Object(members), Step::All) => members.values_mut().for_each(|one| blank(one, rest, found)),
        (Value::Object(members), Step::Name(name)) => {
            members.get_mut(name).into_iter().for_each(|one| blank(one, rest, found));
        }
        (Value::Array(elements), Step::All) => elements.iter_mut().for_each(|one| blank(one, rest, found)),
        (Value::Array(elements), Step::Index(place)) => {
            let one = usize::try_from(*place).ok().and_then(|place| elements.get_mut(place));
            if let Some(one) = one {
                blank(one, rest, found);
            }
        }
        _ => {}
    }
}
