//! Recipes: what becomes of fields that are anonymised.

use std::collections::BTreeMap;

use super::{Out, count};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::shape::key_of;
use crate::config::source::shown;
use crate::config::tree::{Entry, Node};
use crate::config::v1;
use crate::domain::recipe::{Recipe, Recipes, Truncate};

/// The recipes of `anonymise = { field = recipe }`.
pub(super) fn recipes(entry: &Entry, out: Out<'_>) -> Option<Recipes> {
    let entries = entry.node.entries();
    if entries.is_empty() {
        let fault = Diagnostic::fault(codes::BAD_RECIPE, "no field is anonymised", &entry.key_place).label("empty");
        out.push(
            fault.help("name the fields: then.anonymise = { phone = \"null\", name = { fixed = \"[removed]\" } }"),
        );
        return None;
    }
    let found: Vec<Option<(String, Recipe)>> =
        entries.iter().map(|one| recipe(one, true, out).map(|recipe| (one.key.clone(), recipe))).collect();
    let recipes: Recipes = found.into_iter().collect::<Option<_>>()?;
    let only_markers = recipes.values().all(|recipe| *recipe == Recipe::Marker);
    if only_markers {
        let text = "only a marker is written, and nothing is anonymised";
        out.push(
            Diagnostic::fault(codes::BAD_RECIPE, text, &entry.key_place).help("name the fields that must go as well"),
        );
        return None;
    }
    Some(recipes)
}

fn recipe(entry: &Entry, top: bool, out: Out<'_>) -> Option<Recipe> {
    if let Some(word) = entry.node.text() {
        return match word {
            "null" => Some(Recipe::Null),
            "pseudonym" => Some(Recipe::Pseudonym { length: 24 }),
            "marker" if top => Some(Recipe::Marker),
            "marker" => {
                let text = "a marker is a column of its own, not a member of a document";
                out.push(
                    Diagnostic::fault(codes::BAD_RECIPE, text, &entry.node.place).help("write it beside this field"),
                );
                None
            }
            _ => None,
        };
    }
    let known = |one: &Entry| key_of(&v1::RECIPES, &one.key).is_some();
    if !entry.node.entries().iter().all(known) {
        return None;
    }
    let [one] = entry.node.entries() else {
        let n = entry.node.entries().len();
        let text = format!("`{}` has {n} recipes, and a field has one", shown(&entry.key));
        let fault = Diagnostic::fault(codes::BAD_RECIPE, text, &entry.key_place);
        out.push(fault.help("one of: \"null\", \"pseudonym\", \"marker\", { fixed = \"..\" }, { template = \"..{key}..\" }, { truncate = \"ip\" }, { pseudonym = { length = 20 } }, { json = { .. } }, { php = { .. } }"));
        return None;
    };
    match one.key.as_str() {
        "fixed" => one.node.text().map(|text| Recipe::Fixed(text.to_string())),
        "template" => template(one, out),
        "truncate" => truncate(&one.node),
        "pseudonym" => pseudonym(one, out),
        "json" => members(one, out).map(Recipe::Json),
        "php" => members(one, out).map(Recipe::PhpSerialised),
        _ => None,
    }
}

fn template(entry: &Entry, out: Out<'_>) -> Option<Recipe> {
    let text = entry.node.text()?;
    if text.contains("{key}") {
        return Some(Recipe::Template(text.to_string()));
    }
    let fault = Diagnostic::fault(
        codes::BAD_RECIPE,
        "a template without {key} is the same for every record",
        &entry.node.place,
    );
    out.push(fault.help("write {key} where the record's key belongs: \"removed-{key}@example.invalid\"; for the same text everywhere write { fixed = \"..\" }"));
    None
}

fn truncate(node: &Node) -> Option<Recipe> {
    Some(Recipe::Truncate(match node.text()? {
        "ip" => Truncate::Ip,
        "postcode" => Truncate::Postcode,
        "month" => Truncate::Month,
        "year" => Truncate::Year,
        _ => return None,
    }))
}

fn pseudonym(entry: &Entry, out: Out<'_>) -> Option<Recipe> {
    let node = entry.node.get("length");
    match node.and_then(count).and_then(|length| u32::try_from(length).ok()) {
        Some(length) if (8..=64).contains(&length) => Some(Recipe::Pseudonym { length }),
        _ => {
            let place = node.map_or(&entry.key_place, |node| &node.place);
            let fault = Diagnostic::fault(codes::BAD_RECIPE, "a pseudonym has 8 to 64 characters", place);
            out.push(fault.help("write: { pseudonym = { length = 20 } }"));
            None
        }
    }
}

fn members(entry: &Entry, out: Out<'_>) -> Option<BTreeMap<String, Recipe>> {
    if entry.node.entries().is_empty() {
        let fault = Diagnostic::fault(codes::BAD_RECIPE, "no member is named", &entry.key_place).label("empty");
        out.push(fault.help("name the members by path: { json = { \"customer.phone\" = \"null\" } }"));
        return None;
    }
    let mut found = BTreeMap::new();
    for member in entry.node.entries() {
        found.insert(member.key.clone(), recipe(member, false, out)?);
    }
    Some(found)
}
