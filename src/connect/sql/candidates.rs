//! Which records a walk reads, and how many there are.
//!
//! Where an index serves every branch of what may be due and there are few of them, their keys are read first, and the
//! pages follow them. Else the pages walk the whole key, with the one condition that says the same.

use std::sync::PoisonError;

use super::catalogue::{Column, TypeClass};
use super::connector::SqlConnector;
use super::engine::{Session, Statement};
use super::fault;
use super::maps::HashMap;
use super::preselect::{self, Branch};
use super::records::{ReadFault, Reader, Record, usable_key, where_all};
use super::resolve::{RECORD, RELATED};
use crate::connect::{Advice, ConnectError, Count, Query};
use crate::domain::decide::Moment;
use crate::domain::rule::Rule;
use crate::domain::value::{Key, Scalar};

/// More candidates are not remembered: reading their table in the order of its key is then as good.
const MOST: usize = 20_000;
/// The alias of the keys that were found.
const FOUND: &str = "k";

/// The candidates of one walk, in key order.
pub(super) struct Walk {
    rule: Rule,
    moment: Moment,
    keys: Vec<Key>,
    /// How many of them were handed out.
    given: usize,
}

impl Walk {
    /// The next keys behind one, if that is where this walk is.
    fn next(&mut self, query: &Query<'_>, after: Option<&Key>) -> Option<Vec<Key>> {
        let last = self.given.checked_sub(1).and_then(|last| self.keys.get(last));
        if query.due_by != Some(self.moment) || last != after || *query.rule != self.rule {
            return None;
        }
        let keys: Vec<Key> = self.keys.iter().skip(self.given).take(query.limit.max(1)).cloned().collect();
        self.given += keys.len();
        Some(keys)
    }
}

impl SqlConnector {
    /// The next page of a walk, and the key behind which the one after it begins.
    pub(super) async fn next_records(
        &self,
        reader: &Reader<'_>,
        session: &mut dyn Session,
        query: &Query<'_>,
        after: Option<&Key>,
    ) -> Result<(Vec<Record>, Option<Key>), ReadFault> {
        if after.is_none() {
            let walk = match query.due_by {
                Some(moment) => reader.candidates(session, moment).await?.map(|keys| (moment, keys)),
                None => None,
            };
            let walk = walk.map(|(moment, keys)| Walk { rule: query.rule.clone(), moment, keys, given: 0 });
            let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
            match walk {
                Some(walk) => walks.insert(query.rule.id.clone(), walk),
                None => walks.remove(&query.rule.id),
            };
        }
        if let Some((keys, more)) = self.next_keys(query, after) {
            let wanted: Vec<&Key> = keys.iter().collect();
            let mut records = reader.by_key(session, &wanted, query.identities).await?;
            let places: HashMap<&Key, usize> = keys.iter().enumerate().map(|(place, key)| (key, place)).collect();
            if records.len() == keys.len() && records.iter().all(|record| places.contains_key(&record.key)) {
                records.retain(|record| record.selected);
                records.sort_by_key(|record| places.get(&record.key).copied());
                return Ok((records, keys.last().filter(|_| more).cloned()));
            }
            // A record has gone, or its key is not what the list says: what is due must not hang on which it is.
            self.walks.lock().unwrap_or_else(PoisonError::into_inner).remove(&query.rule.id);
        }
        let limit = query.limit.max(1);
        let records = reader.page(session, after, query.due_by, query.identities, limit).await?;
        let next = if records.len() == limit { records.last().map(|record| record.key.clone()) } else { None };
        Ok((records, next))
    }

    /// The next candidates' keys, and whether more follow. `None` where the walk goes by the whole key.
    fn next_keys(&self, query: &Query<'_>, after: Option<&Key>) -> Option<(Vec<Key>, bool)> {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        let walk = walks.get_mut(&query.rule.id)?;
        let keys = walk.next(query, after)?;
        let more = walk.given < walk.keys.len();
        if !more {
            walks.remove(&query.rule.id);
        }
        Some((keys, more))
    }

    /// Counts by one reading of the table, of which nothing but numbers comes over.
    pub(super) async fn count_of(&self, rule: &Rule, left_out_at: Option<Moment>) -> Result<Count, ConnectError> {
        let doing = "count the records";
        let resolved = self.resolved(rule, doing).await?;
        let text = self.reader(rule, &resolved).count(left_out_at);
        match self.numbers(doing, text).await?.as_slice() {
            [all] => Ok(Count { all: *all, selected: *all, protected: 0 }),
            [all, selected, protected] => Ok(Count { all: *all, selected: *selected, protected: *protected }),
            _ => Err(self.no_number(doing)),
        }
    }

    pub(super) async fn has_records(&self, rule: &Rule, records: u64) -> Result<bool, ConnectError> {
        let doing = "ask whether there are as many records";
        let resolved = self.resolved(rule, doing).await?;
        let table = self.engine.dialect().table(&resolved.table.name);
        let text = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {table} {RECORD} LIMIT {records}) {FOUND}");
        let there = self.numbers(doing, text).await?;
        there.first().map(|there| *there == records).ok_or_else(|| self.no_number(doing))
    }

    /// The only row of a statement that answers with numbers.
    async fn numbers(&self, doing: &'static str, text: String) -> Result<Vec<u64>, ConnectError> {
        let mut lease = self.reading(doing).await?;
        let rows = lease.session().rows(&Statement::plain(text)).await.map_err(self.sql(doing))?;
        lease.keep();
        let number = |value: &Scalar| match value {
            Scalar::Int(number) => u64::try_from(*number).ok(),
            Scalar::UInt(number) => Some(*number),
            other => other.as_text().and_then(|text| text.parse().ok()),
        };
        rows.first().and_then(|row| row.iter().map(number).collect()).ok_or_else(|| self.no_number(doing))
    }

    fn no_number(&self, doing: &'static str) -> ConnectError {
        fault::own(&self.system, doing, "the server gave no number".into(), Advice::Stop)
    }
}

/// Kinds of key that come out of a list of found ones as they are in their table, and in the same order: enums and bits
/// may become numbers or texts there, and MariaDB sorts texts by their first thousand bytes (`max_sort_length`).
fn is_plain(column: &Column) -> bool {
    match column.class {
        TypeClass::Integer | TypeClass::Decimal | TypeClass::Uuid | TypeClass::Date | TypeClass::DateTime => true,
        TypeClass::Text => column.max_chars.is_none_or(|most| most <= 255),
        _ => false,
    }
}

impl Reader<'_> {
    /// The keys of what may be due, in key order. `None` where they are many, or no index serves.
    async fn candidates(&self, session: &mut dyn Session, moment: Moment) -> Result<Option<Vec<Key>>, ReadFault> {
        let Some(statement) = self.candidate_keys(moment) else { return Ok(None) };
        let rows = session.rows(&statement).await?;
        if rows.len() > MOST {
            return Ok(None);
        }
        rows.into_iter().map(usable_key).collect::<Result<Vec<Key>, _>>().map(Some)
    }

    /// The statement that finds them.
    pub(super) fn candidate_keys(&self, moment: Moment) -> Option<Statement> {
        let (dialect, resolved) = (self.dialect, self.resolved);
        if !resolved.key.iter().all(is_plain) {
            return None;
        }
        let branches = preselect::branches(self, moment)?;
        let table = format!("{} {RECORD}", dialect.table(&resolved.table.name));
        let keys = |alias: &str| -> Vec<(String, &Column)> {
            let name = |place: usize| format!("{alias}.{FOUND}{place}");
            resolved.key.iter().enumerate().map(|(place, column)| (name(place), column)).collect()
        };
        let key: Vec<String> = resolved
            .key
            .iter()
            .enumerate()
            .map(|(place, column)| format!("{RECORD}.{} AS {FOUND}{place}", dialect.name(&column.name)))
            .collect();
        let select = |branch: &Branch<'_>| {
            let (distinct, from) = match branch.related {
                None => ("", table.clone()),
                Some(link) => {
                    let related = dialect.table(&link.table.name);
                    ("DISTINCT ", format!("{related} {RELATED} JOIN {table} ON {}", link.joined(dialect, RECORD)))
                }
            };
            let conditions: Vec<String> =
                resolved.filter.iter().cloned().chain(std::iter::once(branch.text.clone())).collect();
            format!("(SELECT {distinct}{} FROM {from}{} LIMIT {})", key.join(", "), where_all(&conditions), MOST + 1)
        };
        let found: Vec<String> = branches.iter().map(select).collect();
        let read: Vec<String> = keys(FOUND).iter().map(|(name, column)| dialect.read(name, column)).collect();
        let order: Vec<String> = keys(FOUND).iter().map(|(name, column)| dialect.order(name, column)).collect();
        let (read, found, order) = (read.join(", "), found.join(" UNION "), order.join(", "));
        Some(Statement::plain(format!("SELECT {read} FROM ({found}) {FOUND} ORDER BY {order}")))
    }

    /// The statement that counts all, the selected, and those that are protected and left out; all alone where the rule
    /// selects all and protects none.
    fn count(&self, left_out_at: Option<Moment>) -> String {
        let resolved = self.resolved;
        let table = self.dialect.table(&resolved.table.name);
        let narrow = left_out_at.and_then(|moment| preselect::may_be_due(self, moment));
        let narrow = narrow.filter(|_| !resolved.protect.is_empty());
        if resolved.filter.is_none() && narrow.is_none() {
            return format!("SELECT COUNT(*) FROM {table} {RECORD}");
        }
        let filter = resolved.filter.as_deref().unwrap_or("1 = 1");
        let protected = narrow.map_or_else(
            || "0".to_string(),
            |narrow| {
                let protected: Vec<String> =
                    resolved.protect.iter().map(|text| format!("WHEN {text} THEN 1")).collect();
                let left_out = format!("CASE WHEN {narrow} THEN NULL {} END", protected.join(" "));
                format!("COUNT(CASE WHEN {filter} THEN {left_out} END)")
            },
        );
        format!("SELECT COUNT(*), COUNT(CASE WHEN {filter} THEN 1 END), {protected} FROM {table} {RECORD}")
    }
}
