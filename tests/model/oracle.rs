//! The model: what a rule does to the rows of a data set, written from DESIGN.md and the reference configuration. It
//! shares no code with bewaard.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;

use super::calendar::{self, Day};
use super::clocks::{Reading, read};
use super::condition::{Condition, Judge};
use super::engines::Engine;
use super::rules::{Act, Child, Clock, Ground, Link, Part, Protect, Recipes, Rule};
use super::schema::{Row, Table};
use super::texts::{EMAILS, applied};
use super::value::{Value, compare, hex};

/// A data set and what holds for all of it.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    /// Whether foreign keys are enforced while bewaard writes.
    pub(crate) enforced: bool,
    pub(crate) zone: Tz,
    /// First month and day of the financial year.
    pub(crate) year: (i64, i64),
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) holds: Vec<Hold>,
}

/// Whom a hold is about.
#[derive(Debug, Clone)]
pub(crate) enum Hold {
    Email(&'static str),
    /// One record of one rule, by its key.
    Key(String, Vec<Value>),
}

/// What becomes of a part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Due(Day),
    Kept(&'static str),
    Settled,
}

/// A row: its table and its place in it.
pub(crate) type Place = (String, usize);

impl World {
    pub(crate) fn table(&self, name: &str) -> &Table {
        &self.tables[name]
    }

    /// The rows that belong to a row by a link, its own condition included.
    pub(crate) fn related(&self, above: &str, row: &Row, link: &Link) -> Vec<usize> {
        let (above, table) = (self.table(above), self.table(&link.table));
        let same = |other: &Row| {
            link.on.iter().zip(&link.to).all(|(on, to)| {
                compare(self.engine, above.kind(to), &other[on], &row[to]).is_some_and(std::cmp::Ordering::is_eq)
            })
        };
        let fits =
            |other: &Row| link.condition.as_ref().is_none_or(|one| self.plain().holds(one, table, other) == Some(true));
        let all = table.rows.iter().enumerate().filter(|(_, other)| same(other) && fits(other));
        all.map(|(place, _)| place).collect()
    }

    /// For conditions that can't ask for other tables.
    fn plain(&self) -> Judge<'_> {
        Judge { engine: self.engine, related: &|_, _, _| panic!("no relation may stand here") }
    }

    pub(crate) fn fits(&self, rule: &Rule, condition: &Condition, row: &Row) -> bool {
        let links = rule.declared();
        let related = |name: &str, row: &Row, inner: Option<&Condition>| {
            // All of its rows where one names it without a condition.
            let named = || links.iter().filter(|link| link.table == name);
            let link = named().find(|link| link.condition.is_none()).or_else(|| named().next()).unwrap();
            let table = self.table(name);
            self.related(&rule.table, row, link).into_iter().any(|place| {
                inner.is_none_or(|inner| self.plain().holds(inner, table, &table.rows[place]) == Some(true))
            })
        };
        let judge = Judge { engine: self.engine, related: &related };
        judge.holds(condition, self.table(&rule.table), row) == Some(true)
    }

    pub(crate) fn protected(&self, rule: &Rule, row: &Row) -> bool {
        let by_rule = rule.protect.iter().any(|one| match one {
            Protect::Where(condition) => self.fits(rule, condition, row),
            Protect::Related(link) => !self.related(&rule.table, row, link).is_empty(),
        });
        by_rule || rule.by_system.iter().any(|condition| self.fits(rule, condition, row))
    }

    fn held(&self, rule: &Rule, row: &Row) -> bool {
        self.holds.iter().any(|hold| match hold {
            Hold::Key(of, key) => *of == rule.name && rule.key.iter().map(|column| &row[column]).eq(key),
            Hold::Email(_) if !rule.person => false,
            Hold::Email(whose) => match &row["email"] {
                Value::Text(text) if text.trim().is_empty() => false,
                Value::Text(text) => match EMAILS.iter().find(|(known, _)| known == text) {
                    // What can't be read may be hers.
                    Some((_, [])) => true,
                    Some((_, known)) => known.contains(whose),
                    None => !text.contains('@') || *whose == text,
                },
                // A pseudonym is no address, so it may be anybody's.
                Value::Pseudonym(_) => true,
                _ => false,
            },
        })
    }

    fn source(&self, rule: &Rule, row: &Row, clock: &Clock) -> Reading {
        let of = |table: &Table, row: &Row| {
            let zone = clock.zone.unwrap_or(self.zone);
            read(&row[&clock.column], table.kind(&clock.column), clock.format, zone, self.zone)
        };
        match &clock.link {
            None => of(self.table(&rule.table), row),
            Some(link) => {
                let table = self.table(&link.table);
                let all = self.related(&rule.table, row, link).into_iter().map(|place| of(table, &table.rows[place]));
                all.max().unwrap_or(Reading::Absent)
            }
        }
    }

    /// Until when a ground keeps: a day, that it does not apply, or why it can't say.
    fn ground(&self, rule: &Rule, row: &Row, ground: &Ground, today: Day) -> Result<Option<Day>, Reading> {
        match ground.clocks.iter().map(|clock| self.source(rule, row, clock)).max().unwrap() {
            Reading::Day(day) if day > today => Err(Reading::Day(day)),
            Reading::Day(day) => Ok(Some(calendar::due(day, ground.term, ground.from, self.year))),
            Reading::Absent | Reading::Zero if ground.optional => Ok(None),
            other => Err(other),
        }
    }

    fn part(&self, rule: &Rule, row: &Row, part: &Part, today: Day) -> Verdict {
        let all: Vec<_> = part.grounds.iter().map(|ground| self.ground(rule, row, ground, today)).collect();
        // Of several reasons the gravest is told.
        let gravest = all.iter().filter_map(|one| one.err()).map(|reading| (reading.gravity(), reading)).max();
        if let Some((_, reading)) = gravest {
            return Verdict::Kept(reading.word());
        }
        match all.into_iter().flatten().flatten().max() {
            None => Verdict::Kept("no-clock"),
            Some(day) if day <= today => Verdict::Due(day),
            Some(_) => Verdict::Kept("not-yet-due"),
        }
    }

    fn is_final(key: &[String], row: &Row, recipes: &Recipes) -> bool {
        let key = written(key, row);
        recipes.iter().all(|(column, recipe)| applied(recipe, &row[column], &key) == row[column])
    }

    /// The records of the rule's own table that hang below one, at any depth.
    fn below(&self, rule: &Rule, place: usize) -> BTreeSet<usize> {
        let table = self.table(&rule.table);
        let (mut all, mut open) = (BTreeSet::new(), vec![place]);
        while let Some(above) = open.pop() {
            for link in loops(&rule.table, &rule.children) {
                for found in self.related(&rule.table, &table.rows[above], link) {
                    if all.insert(found) {
                        open.push(found);
                    }
                }
            }
        }
        all.remove(&place);
        all
    }

    /// A record's parts, apart from what hangs below it.
    fn alone(&self, rule: &Rule, place: usize, today: Day) -> Vec<Verdict> {
        let row = &self.table(&rule.table).rows[place];
        let (protected, held) = (self.protected(rule, row), self.held(rule, row));
        let verdict = |part: &Part| match &part.recipes {
            Some(recipes) if Self::is_final(&rule.key, row, recipes) => Verdict::Settled,
            _ if protected => Verdict::Kept("protected"),
            _ if held => Verdict::Kept("held"),
            _ => self.part(rule, row, part, today),
        };
        rule.parts.iter().map(verdict).collect()
    }

    fn selected(&self, rule: &Rule, place: usize) -> bool {
        let row = &self.table(&rule.table).rows[place];
        rule.condition.as_ref().is_none_or(|condition| self.fits(rule, condition, row))
    }

    /// Every selected record with the verdict on each part.
    pub(crate) fn verdicts(&self, rule: &Rule, today: Day) -> BTreeMap<usize, Vec<Verdict>> {
        let selected = (0..self.table(&rule.table).rows.len()).filter(|place| self.selected(rule, *place));
        let alone: BTreeMap<usize, Vec<Verdict>> =
            selected.map(|place| (place, self.alone(rule, place, today))).collect();
        let Some(whole) = rule.parts.iter().position(|part| part.recipes.is_none()) else { return alone };
        let mut all = alone.clone();
        for (place, verdicts) in &mut all {
            let Verdict::Due(mut since) = verdicts[whole] else { continue };
            let below = self.below(rule, *place);
            let days: Option<Vec<Day>> = below
                .iter()
                .map(|one| match alone.get(one).map(|verdicts| verdicts[whole]) {
                    Some(Verdict::Due(day)) => Some(day),
                    _ => None,
                })
                .collect();
            match days {
                None => verdicts[whole] = Verdict::Kept("record-below"),
                Some(days) => {
                    since = days.into_iter().fold(since, Day::max);
                    // The other parts go with the record.
                    verdicts.fill(Verdict::Settled);
                    verdicts[whole] = Verdict::Due(since);
                }
            }
        }
        all
    }
}

/// A key as a template writes it.
pub(crate) fn written(key: &[String], row: &Row) -> String {
    let part = |column: &String| match &row[column] {
        Value::Int(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => hex(bytes),
        other => panic!("no part of a key: {other:?}"),
    };
    key.iter().map(part).collect::<Vec<_>>().join("-")
}

pub(crate) fn is_loop(table: &str, child: &Child) -> bool {
    child.link.table == table && matches!(child.act, Act::Delete)
}

pub(crate) fn loops<'r>(table: &'r str, children: &'r [Child]) -> impl Iterator<Item = &'r Link> {
    children.iter().filter(move |child| is_loop(table, child)).map(|child| &child.link)
}
