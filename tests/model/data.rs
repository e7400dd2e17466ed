//! Random rows for the tables of a rule.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::draw::Draw;
use super::engines::Engine;
use super::family::Family;
use super::rules::{Child, Clock, Link, Protect, Rule};
use super::schema::{Row, Table};
use super::value::{Kind, Value};

/// Fills the tables.
pub(crate) fn fill(draw: &mut Draw, family: &mut Family) {
    draw.terms = family.rule.parts.iter().flat_map(|part| &part.grounds).map(|ground| ground.term).collect();
    let zones = zones(draw, &family.rule);
    let count = 4 + draw.below(28);
    let mut root = family.tables[0].clone();
    for number in 0..count {
        let row = record(draw, &root, i64::try_from(number).unwrap(), &zones);
        root.rows.push(row);
    }
    for child in family.rule.children.iter().filter(|child| child.link.table == family.rule.table) {
        hang(draw, &mut root, child);
    }
    let mut done: BTreeMap<String, Table> = BTreeMap::from([(root.name.clone(), root)]);
    let links = links(&family.rule);
    for table in family.tables.iter().skip(1) {
        let mut table = table.clone();
        // A table that the rule does not name refers to its records all the same.
        let link = links.iter().find(|link| link.table == table.name && link.on != ["up"]).cloned();
        let link = link.unwrap_or_else(|| unnamed(&table));
        let above = table.name.strip_suffix("_x").unwrap_or(&family.rule.table).to_string();
        rows(draw, &mut table, &done[&above], &link, &zones);
        done.insert(table.name.clone(), table);
    }
    family.tables = done.into_values().collect();
    family.tables.sort_by_key(|table| table.name.len());
}

/// Where the times of each clock are written.
fn zones(draw: &Draw, rule: &Rule) -> BTreeMap<(String, String), Tz> {
    let clocks = rule.parts.iter().flat_map(|part| &part.grounds).flat_map(|ground| &ground.clocks);
    let of = |clock: &Clock| clock.link.as_ref().map_or(rule.table.clone(), |link| link.table.clone());
    clocks.map(|clock| ((of(clock), clock.column.clone()), clock.zone.unwrap_or(draw.zone))).collect()
}

fn links(rule: &Rule) -> Vec<Link> {
    fn below(children: &[Child], out: &mut Vec<Link>) {
        for child in children {
            out.push(child.link.clone());
            below(&child.children, out);
        }
    }
    let mut out = Vec::new();
    below(&rule.children, &mut out);
    out.extend(rule.protect.iter().filter_map(|one| match one {
        Protect::Related(link) => Some(link.clone()),
        Protect::Where(_) => None,
    }));
    let clocks = rule.parts.iter().flat_map(|part| &part.grounds).flat_map(|ground| &ground.clocks);
    out.extend(clocks.filter_map(|clock| clock.link.clone()));
    out
}

fn unnamed(table: &Table) -> Link {
    let named = table.columns.iter().map(|column| &column.name);
    let on: Vec<String> = named.filter(|name| name.starts_with("own_")).cloned().collect();
    let to = on.iter().map(|name| name.trim_start_matches("own_").to_string()).collect();
    Link { table: table.name.clone(), on, to, spelled: (true, true), condition: None }
}

fn record(draw: &mut Draw, table: &Table, number: i64, zones: &BTreeMap<(String, String), Tz>) -> Row {
    let mut row = Row::new();
    for column in &table.columns {
        let name = column.name.as_str();
        let value = match name {
            "no" | "id" | "shop" | "code" => {
                // The parts of a key repeat, the whole does not.
                let number = if name == "shop" { number % 3 } else { number };
                draw.key(column.kind, number)
            }
            _ if name.starts_with("up_") => Value::Null,
            _ if name.starts_with("since_") => {
                let zone = zones.get(&(table.name.clone(), column.name.clone())).copied().unwrap_or(draw.zone);
                draw.clock(column.kind, zone, column.null)
            }
            _ => draw.field(name, column.kind, column.null),
        };
        row.insert(column.name.clone(), value);
    }
    row
}

/// Lets records refer to each other: mostly to an earlier one, some to themselves, and in circles where no foreign key
/// forbids it.
fn hang(draw: &mut Draw, root: &mut Table, child: &Child) {
    let free = root.references.is_empty();
    let count = root.rows.len() as u64;
    for place in 0..root.rows.len() {
        let above = match draw.below(20) {
            0..=9 => continue,
            10 => place,
            11 if free => usize::try_from(draw.below(count)).unwrap(),
            _ if place == 0 => continue,
            _ => usize::try_from(draw.below(place as u64)).unwrap(),
        };
        for (on, to) in child.link.on.iter().zip(&child.link.to) {
            let value = root.rows[above][to].clone();
            root.rows[place].insert(on.clone(), value);
        }
    }
}

fn rows(draw: &mut Draw, table: &mut Table, above: &Table, link: &Link, zones: &BTreeMap<(String, String), Tz>) {
    let bound = table.references.iter().any(|key| key.on == link.on);
    let nullable = |column: &String| table.columns.iter().any(|one| one.name == *column && one.null);
    let nullable = link.on.iter().all(nullable);
    let count = draw.below(1 + 2 * above.rows.len() as u64);
    let mut all: Vec<Row> = Vec::new();
    for number in 0..count {
        let number = i64::try_from(number).unwrap();
        let mut row = Row::new();
        for column in &table.columns {
            let value = match column.name.as_str() {
                "id" => Value::Int(if draw.chance(3) { -number - 1 } else { 1 + number }),
                "up" => up(draw, &all),
                "at" => {
                    let zone = zones.get(&(table.name.clone(), "at".into())).copied().unwrap_or(draw.zone);
                    draw.clock(column.kind, zone, true)
                }
                name if name.starts_with("own_") => Value::Null,
                name => draw.field(name, column.kind, column.null),
            };
            row.insert(column.name.clone(), value);
        }
        let refers = match draw.below(20) {
            0 | 1 if nullable => None,
            2 if !bound => Some(link.to.iter().map(|to| draw.key(above.kind(to), 5_000 + number)).collect()),
            _ => {
                let row = draw.pick(&above.rows);
                Some(link.to.iter().map(|to| row[to].clone()).collect::<Vec<Value>>())
            }
        };
        for (column, value) in link.on.iter().zip(refers.into_iter().flatten()) {
            let free = !bound || draw.engine == Engine::Mariadb;
            let value = if free && draw.chance(15) { otherwise(table.kind(column), value) } else { value };
            row.insert(column.clone(), value);
        }
        all.push(row);
    }
    table.rows = all;
}

/// Below which row of its own table a row hangs.
fn up(draw: &mut Draw, all: &[Row]) -> Value {
    if all.is_empty() || draw.chance(50) { Value::Null } else { draw.pick(all)["id"].clone() }
}

/// The same text written otherwise: some engines take it for the same, others do not.
fn otherwise(kind: Kind, value: Value) -> Value {
    match value {
        Value::Text(text) if kind == Kind::Text => {
            let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            Value::Text(text.chars().map(swap).collect::<String>() + " ")
        }
        value => value,
    }
}
