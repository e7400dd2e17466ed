//! Random parts: grounds with their clocks, and recipes.

use super::calendar::{From, Term};
use super::draw::Draw;
use super::rules::{Clock, Ground, Part, Recipe, Recipes};
use super::schema::Table;

/// Terms, and how a policy may write them.
const TERMS: [(i64, i64, &str); 16] = [
    (24, 0, "2 years"),
    (24, 0, "2 jaar"),
    (18, 0, "18 months"),
    (18, 0, "1 year 6 months"),
    (30, 0, "P2Y6M"),
    (12, 0, "1 year"),
    (1, 0, "1 month"),
    (6, 0, "6 maanden"),
    (84, 0, "7 years"),
    (0, 90, "90 days"),
    (0, 28, "4 weeks"),
    (0, 7, "1 week"),
    (0, 1, "1 day"),
    (13, 10, "1 year 1 month and 10 days"),
    (1, 1, "1 maand en 1 dag"),
    (36, 365, "P3Y365D"),
];

const FROM: [From; 6] = [From::Day, From::Day, From::Day, From::Month, From::Year, From::FinancialYear];

/// The grounds of a part; new clocks become columns of the records.
pub(crate) fn grounds(draw: &mut Draw, root: &mut Table, related: &[Clock]) -> Vec<Ground> {
    let count = if draw.chance(75) { 1 } else { 2 + draw.below(2) };
    let single = count == 1 && draw.chance(80);
    (0..count)
        .map(|number| {
            let clocks = clocks(draw, root, related);
            let (months, days, written) = draw.pick(&TERMS);
            let optional = number > 0 && draw.chance(40);
            let name = if single { "term".to_string() } else { format!("g{number}") };
            let because = "test".to_string();
            if draw.chance(8) {
                // The catalogue brings term and period.
                let term = Term { months: 84, days: 0 };
                let (written, from) = (String::new(), From::FinancialYear);
                return Ground { name, clocks, term, written, from, because: "nl.awr-52".into(), optional };
            }
            let term = Term { months, days };
            Ground { name, clocks, term, written: written.into(), from: draw.pick(&FROM), because, optional }
        })
        .collect()
}

fn clocks(draw: &mut Draw, root: &mut Table, related: &[Clock]) -> Vec<Clock> {
    let count = if draw.chance(72) { 1 } else { 2 + draw.below(2) };
    (0..count)
        .map(|_| {
            if !related.is_empty() && draw.chance(45) {
                return draw.pick(related);
            }
            let own: Vec<_> = root.columns.iter().filter(|one| one.name.starts_with("since_")).cloned().collect();
            let column = if !own.is_empty() && draw.chance(35) {
                draw.pick(&own)
            } else {
                let (name, kind) = (format!("since_{}", own.len()), draw.clock_kind());
                root.add(&name, kind, draw.chance(80));
                if draw.chance(60) {
                    root.indexes.push(vec![name]);
                }
                root.columns.last().unwrap().clone()
            };
            let zone = draw.chance(25).then(|| draw.pick(&super::ZONES));
            Clock { column: column.name, link: None, format: Draw::format(column.kind), zone }
        })
        .collect()
}

/// Parts that write fields, each its own; still without grounds.
pub(crate) fn field_parts(draw: &mut Draw, count: usize) -> Vec<Part> {
    let mut left = vec!["name", "note", "email", "postcode", "ip", "born", "meta", "php", "num", "cleaned"];
    let names = ["contact", "core", "zip"];
    (0..count)
        .map(|place| {
            let mut recipes: Recipes = Vec::new();
            for _ in 0..=draw.below(3) {
                let field = draw.pick(&left);
                let only_marker = recipes.is_empty() && field == "cleaned";
                if !only_marker {
                    left.retain(|one| *one != field);
                    recipes.push((field.to_string(), recipe(draw, field)));
                }
            }
            if recipes.is_empty() {
                // At most nine of the ten are taken by the parts before.
                let field = left.iter().copied().find(|field| *field != "cleaned").unwrap();
                left.retain(|one| *one != field);
                recipes.push((field.to_string(), recipe(draw, field)));
            }
            Part { name: names[place].into(), grounds: Vec::new(), recipes: Some(recipes), lists: draw.chance(25) }
        })
        .collect()
}

fn text(draw: &mut Draw) -> Recipe {
    let fixed = ["[removed]", "", "weg 'n \"ding\" \\ é"];
    match draw.below(5) {
        0 => Recipe::Null,
        1 => Recipe::Template("x-{key}".into()),
        _ => Recipe::Fixed(draw.pick(&fixed).into()),
    }
}

fn member(draw: &mut Draw) -> Recipe {
    if draw.chance(50) { Recipe::Null } else { Recipe::Fixed("[removed]".into()) }
}

fn recipe(draw: &mut Draw, field: &str) -> Recipe {
    match field {
        "cleaned" => Recipe::Marker,
        "num" => Recipe::Null,
        _ if draw.chance(10) => Recipe::Null,
        "postcode" | "ip" => Recipe::Truncate(if field == "ip" { "ip" } else { "postcode" }),
        "born" => Recipe::Truncate(if draw.chance(50) { "month" } else { "year" }),
        "meta" => Recipe::Json("customer.phone", Box::new(member(draw))),
        "php" => Recipe::Php("phone", Box::new(member(draw))),
        "note" if draw.chance(40) => {
            let length = if draw.chance(50) { None } else { Some(draw.pick(&[8, 20, 64])) };
            Recipe::Pseudonym(length)
        }
        "email" if draw.chance(40) => Recipe::Template("removed-{key}@example.invalid".into()),
        _ => text(draw),
    }
}

/// What becomes of rows below a record that are anonymised.
pub(crate) fn child_recipes(draw: &mut Draw) -> Recipes {
    let mut recipes = vec![("author".to_string(), text(draw))];
    if draw.chance(40) {
        let body = if draw.chance(50) { Recipe::Pseudonym(None) } else { text(draw) };
        recipes.push(("body".to_string(), body));
    }
    if draw.chance(20) {
        recipes.push(("num".to_string(), Recipe::Null));
    }
    recipes
}
