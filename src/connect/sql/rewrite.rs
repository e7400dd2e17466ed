//! Anonymising in sets: what many rows become is written by few statements.
//!
//! What a recipe gives is worked out here, never by the server, so that it is the same to the byte on every system. Rows
//! of which the same columns are written share their statements. A column that becomes the same in all of them is assigned
//! that one value; one that becomes another in each (a pseudonym, a template with the key, a document) is assigned a CASE
//! over the key. A CASE wants no table beside the statement, which a server would write to its disk; it compares keys as a
//! statement for one row does, in the collation of the column; and its alternatives are bound as the value of one row is.
//! Where that is not safe ([`Dialect::takes_cases`]), rows share a statement only where all values are equal.
//!
//! A statement names its rows by their keys, or by a span of the key where they become the same ([`Locked`]).
//! Its count must be theirs.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::catalogue::{Column, Table};
use super::children::ChildRow;
use super::engine::{Dialect, Session, Statement};
use super::erase::{Done, Eraser, Halt, Intent, Settled};
use super::maps::HashMap;
use super::reads_back::as_written;
use super::records::{chunk_size, flat};
use super::relate::Node;
use super::resolve::{RECORD, Resolved};
use super::span::{Locked, SpanRead};
use crate::domain::outcome::Outcome;
use crate::domain::recipe::{Recipe, RecipeContext};
use crate::domain::value::{Key, Scalar, record_bytes};

/// At most so many rows to a CASE: each row of a statement is compared with half of them.
const CASES: usize = 64;
/// About as many bytes of values in one statement: far below what a server takes in one packet.
const BYTES: usize = 256 * 1024;

/// What is written to one row.
pub(super) struct Change<'r> {
    pub(super) key: &'r Key,
    /// Columns and what they become, in the order of the rule.
    pub(super) set: Vec<(&'r Column, Scalar)>,
}

impl Change<'_> {
    /// The bytes of its values, roughly.
    fn bytes(&self) -> usize {
        let of = |value: &Scalar| match value {
            Scalar::Text(text) | Scalar::Typed { text, .. } => text.len(),
            Scalar::Bytes(bytes) => 2 * bytes.len(),
            Scalar::Null | Scalar::Int(_) | Scalar::UInt(_) | Scalar::Real(_) => 8,
        };
        self.set.iter().map(|(_, value)| of(value)).sum()
    }

    fn value(&self, place: usize) -> Option<&Scalar> {
        self.set.get(place).map(|(_, value)| value)
    }
}

/// Where rows are rewritten.
#[derive(Clone, Copy)]
pub(super) struct Target<'t> {
    pub(super) dialect: &'t dyn Dialect,
    pub(super) table: &'t Table,
    pub(super) key: &'t [Column],
}

impl Target<'_> {
    fn names(&self) -> Vec<(String, &Column)> {
        self.key.iter().map(|column| (self.dialect.name(&column.name), column)).collect()
    }

    /// The statement that rewrites exactly these rows, which write the same columns.
    fn by_keys(&self, rows: &[&Change<'_>]) -> Statement {
        let keys: Vec<&Key> = rows.iter().map(|row| row.key).collect();
        let condition = self.dialect.key_in(&self.names(), rows.len(), 1);
        let mut values = flat(&keys);
        let set = self.assignments(rows, &mut values);
        let table = self.dialect.table(&self.table.name);
        Statement { text: format!("UPDATE {table} SET {set} WHERE {condition}"), values }
    }

    /// The statement that rewrites a range of rows which become the same: its conditions, their values, and one of them.
    fn by_range(&self, (conditions, mut values): (String, Vec<Scalar>), row: &Change<'_>) -> Statement {
        let set = self.assignments(&[row], &mut values);
        let table = self.dialect.table(&self.table.name);
        Statement { text: format!("UPDATE {table} AS {RECORD} SET {set}{conditions}"), values }
    }

    /// What stands behind SET. The keys of the rows are the first of the values where there are several rows.
    fn assignments(&self, rows: &[&Change<'_>], values: &mut Vec<Scalar>) -> String {
        let columns: Vec<&Column> =
            rows.first().into_iter().flat_map(|row| &row.set).map(|(column, _)| *column).collect();
        let names = self.names();
        let mut out = Vec::with_capacity(columns.len());
        for (place, column) in columns.iter().enumerate() {
            let mut bound = |row: &Change<'_>| {
                values.push(row.value(place).cloned().unwrap_or(Scalar::Null));
                self.dialect.bound(values.len(), column)
            };
            let becomes = match rows {
                [first, ..] if !differs(rows, place) => bound(first),
                rows => {
                    let case = |(at, row): (usize, &&Change<'_>)| {
                        let one = self.dialect.key_in(&names, 1, 1 + at * names.len());
                        format!("WHEN {one} THEN {}", bound(row))
                    };
                    format!("CASE {} END", rows.iter().enumerate().map(case).collect::<Vec<_>>().join(" "))
                }
            };
            out.push(format!("{} = {becomes}", self.dialect.name(&column.name)));
        }
        let written = |name: &str| columns.iter().any(|column| column.name == name);
        for column in self.table.columns.iter().filter(|column| column.set_by_updates && !written(&column.name)) {
            let name = self.dialect.name(&column.name);
            out.push(format!("{name} = {name}"));
        }
        out.join(", ")
    }

    /// Rows that write the same columns, cut into those of one statement each.
    fn cut<'c, 'r>(&self, rows: &[&'c Change<'r>]) -> Vec<Vec<&'c Change<'r>>> {
        let width = rows.first().map_or(0, |row| row.set.len());
        let differ: Vec<usize> = (0..width).filter(|place| differs(rows, *place)).collect();
        let column = |place: &usize| rows.first().and_then(|row| row.set.get(*place)).map(|(column, _)| *column);
        if differ.iter().filter_map(column).all(|column| self.dialect.takes_cases(column)) && !differ.is_empty() {
            let bound = self.key.len() + differ.len() * (self.key.len() + 1);
            let most = self.dialect.max_bound().saturating_sub(width) / bound;
            return by_size(rows, most.clamp(1, CASES));
        }
        let mut alike: BTreeMap<Vec<&Scalar>, Vec<&'c Change<'r>>> = BTreeMap::new();
        for row in rows.iter().copied() {
            alike.entry(row.set.iter().map(|(_, value)| value).collect()).or_default().push(row);
        }
        let most = chunk_size(self.dialect, self.key.len());
        alike.values().flat_map(|rows| rows.chunks(most)).map(<[_]>::to_vec).collect()
    }
}

/// Rows in their order, at most so many together, and about so many bytes.
fn by_size<'c, 'r>(rows: &[&'c Change<'r>], most: usize) -> Vec<Vec<&'c Change<'r>>> {
    let mut out: Vec<Vec<&'c Change<'r>>> = Vec::new();
    let mut bytes = 0;
    for row in rows.iter().copied() {
        bytes += row.bytes();
        if let Some(last) = out.last_mut().filter(|last| last.len() < most && bytes <= BYTES) {
            last.push(row);
        } else {
            bytes = row.bytes();
            out.push(vec![row]);
        }
    }
    out
}

/// Whether a column becomes another value in one of these rows than in the first.
fn differs(rows: &[&Change<'_>], place: usize) -> bool {
    let first = rows.first().and_then(|row| row.value(place));
    rows.iter().any(|row| row.value(place) != first)
}

/// Rows that write the same columns, together. Those of which nothing is written are left out.
fn by_columns<'c, 'r>(changes: &'c [Change<'r>]) -> Vec<Vec<&'c Change<'r>>> {
    let mut out: BTreeMap<Vec<&str>, Vec<&Change<'_>>> = BTreeMap::new();
    for change in changes.iter().filter(|change| !change.set.is_empty()) {
        out.entry(change.set.iter().map(|(column, _)| column.name.as_str()).collect()).or_default().push(change);
    }
    out.into_values().collect()
}

impl Eraser<'_> {
    /// Writes to each row what it becomes; false where a statement wrote another number of rows than it named. All of them were
    /// read in a span, where there is one.
    pub(super) async fn rewrite(
        &self,
        session: &mut dyn Session,
        target: Target<'_>,
        changes: &[Change<'_>],
        span: Option<&Locked>,
    ) -> Result<bool, Halt> {
        let groups = by_columns(changes);
        if let (Some(locked), [group]) = (span, groups.as_slice())
            && let [first, ..] = group.as_slice()
            && (0..first.set.len()).all(|place| !differs(group, place))
            && let keys = group.iter().map(|change| change.key).collect::<Vec<_>>()
            && let Some(range) = self.reader.only(locked, &keys, self.batch.due_by)
        {
            if session.execute(&target.by_range(range, first)).await? == group.len() as u64 {
                return Ok(true);
            }
            // Another row came into the range: all is rolled back and done again by the keys.
            self.by_span.store(false, Ordering::SeqCst);
            return Err(Halt::Again(Vec::new()));
        }
        for group in &groups {
            for rows in target.cut(group) {
                if session.execute(&target.by_keys(&rows)).await? != rows.len() as u64 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The child rows that stay, without what the rule takes from them.
    pub(super) async fn anonymise_children(
        &self,
        session: &mut dyn Session,
        node: &Node,
        fields: &[(Column, Recipe)],
        rows: &[&ChildRow],
    ) -> Result<(), Halt> {
        let collection = node.table.name.to_string();
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            let canonical = record_bytes(self.system, &collection, &row.key);
            let new = self.new_values(fields.iter().zip(&row.values), &row.key, &canonical);
            let set = new.map_err(|()| Halt::Again(vec![(row.owner, Outcome::Failed)]))?;
            changes.push(Change { key: &row.key, set });
        }
        let target = Target { dialect: self.reader.dialect, table: &node.table, key: &node.key };
        if self.rewrite(session, target, &changes, None).await? { Ok(()) } else { Err(Halt::Mismatch) }
    }

    /// What the columns of one row become, without those that are final already; an error where a recipe can't be applied.
    pub(super) fn new_values<'f>(
        &self,
        fields: impl Iterator<Item = (&'f (Column, Recipe), &'f Scalar)>,
        key: &Key,
        canonical: &[u8],
    ) -> Result<Vec<(&'f Column, Scalar)>, ()> {
        let mut out = Vec::new();
        for ((column, recipe), value) in fields {
            let now = match recipe {
                Recipe::Marker => self.reader.dialect.moment(self.batch.now, column).show(),
                _ => String::new(),
            };
            let context = RecipeContext { key, record: canonical, pseudonym: &self.reader.keys.pseudonym, now: &now };
            // What the recipe leaves as it is, is in final form.
            let new = recipe.apply(value, &context).map_err(|_| ())?;
            if new != *value {
                out.push((column, as_written(column, &new)));
            }
        }
        Ok(out)
    }

    /// Writes the due fields of each record, several parts in one statement, and reads them again: what is not in
    /// final form then would be found again every night.
    pub(super) async fn anonymise(
        &self,
        session: &mut dyn Session,
        intent: &Intent,
        settled: &mut Settled,
    ) -> Result<(), Halt> {
        let (mut changes, mut written) = (Vec::with_capacity(intent.write.len()), Vec::new());
        for (item, parts) in &intent.write {
            let Some(record) = intent.records.get(item) else { continue };
            let canonical = self.reader.record_bytes(&record.key);
            let (mut set, mut done) = (Vec::new(), Vec::new());
            for part in parts {
                let fields = self.resolved().parts.get(*part).map_or(&[][..], Vec::as_slice);
                let value = |column| self.reader.value_of(record, column).unwrap_or(&Scalar::Null);
                let fields = fields.iter().map(|field| (field, value(&field.0)));
                match self.new_values(fields, &record.key, &canonical) {
                    Ok(new) => {
                        set.extend(new);
                        done.push(*part);
                    }
                    Err(()) => {
                        settled.entry(*item).or_default().insert(*part, Outcome::Failed.into());
                    }
                }
            }
            changes.push(Change { key: &record.key, set });
            written.push((*item, done));
        }
        let Resolved { table, key, .. } = self.resolved();
        let target = Target { dialect: self.reader.dialect, table, key };
        if !self.rewrite(session, target, &changes, intent.span.as_ref()).await? {
            return Err(Halt::Stop("the database wrote another number of records than those that were locked"));
        }
        self.check_written(session, intent, &written).await?;
        for (item, parts) in written {
            let entry = settled.entry(item).or_default();
            for part in parts {
                entry.insert(part, Done::from(Outcome::Anonymised));
            }
        }
        Ok(())
    }

    async fn check_written(
        &self,
        session: &mut dyn Session,
        intent: &Intent,
        written: &[(usize, Vec<usize>)],
    ) -> Result<(), Halt> {
        let keys: Vec<&Key> = written.iter().filter_map(|(item, _)| self.key(*item)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let now = match &intent.span {
            Some(locked) => {
                self.read_span(session, locked.span, &keys, SpanRead { identities: false, lock: false }).await?.0
            }
            None => self.reader.rows_by_key(session, &keys, false, false).await?,
        };
        let done: HashMap<&Key, Vec<bool>> = now.iter().map(|record| (&record.key, self.reader.done(record))).collect();
        let failed: Vec<(usize, Outcome)> = written
            .iter()
            .filter(|(item, parts)| {
                let done = self.key(*item).and_then(|key| done.get(key));
                !parts.iter().all(|part| done.is_some_and(|done| done.get(*part) == Some(&true)))
            })
            .map(|(item, _)| (*item, Outcome::Failed))
            .collect();
        if failed.is_empty() { Ok(()) } else { Err(Halt::Again(failed)) }
    }
}
