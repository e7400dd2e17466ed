//! Reading records: by pages, and again by key within the erasing transaction.

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::catalogue::{Column, TypeClass};
use super::engine::{Dialect, Session, SqlFault, Statement};
use super::maps::HashMap;
use super::resolve::{RECORD, RELATED, Resolved, Source};
use crate::connect::FieldKeys;
use crate::domain::clock::{self, ClockFormat, Reading};
use crate::domain::decide::{Fingerprint, Found, Moment};
use crate::domain::digest::push_nested;
use crate::domain::identity::{Identity, Reading as IdentityReading};
use crate::domain::recipe::RecipeContext;
use crate::domain::rule::Rule;
use crate::domain::value::{Key, Scalar, record_bytes};

/// At most so many keys in one statement.
pub(super) const CHUNK: usize = 400;

/// A rule, resolved, with what is needed to read its records.
pub(super) struct Reader<'a> {
    pub(super) dialect: &'a dyn Dialect,
    pub(super) rule: &'a Rule,
    pub(super) resolved: &'a Resolved,
    pub(super) keys: &'a FieldKeys,
    pub(super) zone: Tz,
}

/// A record as it was read.
pub(super) struct Record {
    pub(super) key: Key,
    /// Whether the selection still fits it.
    pub(super) selected: bool,
    pub(super) protected: bool,
    /// The values of each clock source: one of the record itself, any number of related rows.
    pub(super) clocks: Vec<Vec<Scalar>>,
    /// The values of [`Resolved::touched`].
    pub(super) touched: Vec<Scalar>,
    pub(super) identities: Vec<Identity>,
}

impl Record {
    /// The same record, its clocks still to be read.
    pub(super) fn without_clocks(&self) -> Self {
        Self {
            key: self.key.clone(),
            selected: self.selected,
            protected: self.protected,
            clocks: self.clocks.iter().map(|_| Vec::new()).collect(),
            touched: Vec::new(),
            identities: Vec::new(),
        }
    }
}

/// Why reading stopped.
#[derive(Debug, Clone)]
pub(super) enum ReadFault {
    /// The engine's fault.
    Sql(SqlFault),
    /// A key that names no single row: NULL, floating point, text that is not UTF-8.
    Key(&'static str),
}

impl From<SqlFault> for ReadFault {
    fn from(fault: SqlFault) -> Self {
        Self::Sql(fault)
    }
}

/// `(expression, column)` for an alias.
pub(super) fn aliased<'c>(dialect: &dyn Dialect, alias: &str, columns: &'c [Column]) -> Vec<(String, &'c Column)> {
    columns.iter().map(|column| (format!("{alias}.{}", dialect.name(&column.name)), column)).collect()
}

/// How many keys fit one statement.
pub(super) fn chunk_size(dialect: &dyn Dialect, columns: usize) -> usize {
    (dialect.max_bound() / columns.max(1)).clamp(1, CHUNK)
}

/// Refuses a key part by which no single row can be named.
pub(super) fn usable_key(row: Vec<Scalar>) -> Result<Key, ReadFault> {
    for part in &row {
        match part {
            Scalar::Null => return Err(ReadFault::Key("a key holds NULL")),
            Scalar::Real(_) => return Err(ReadFault::Key("a key holds a floating-point number")),
            Scalar::Typed { ty, .. } if ty == super::sqlite::BROKEN_TEXT => {
                return Err(ReadFault::Key("a key holds text that is not UTF-8"));
            }
            _ => {}
        }
    }
    Ok(Key(row))
}

impl Reader<'_> {
    /// `SELECT` of all that a record's judgement needs, without its WHERE.
    pub(super) fn select(&self, identities: bool) -> String {
        let (dialect, resolved) = (self.dialect, self.resolved);
        let read = |column: &Column| dialect.read(&format!("{RECORD}.{}", dialect.name(&column.name)), column);
        let flag = |text: &str| format!("CASE WHEN {text} THEN 1 ELSE 0 END");
        let mut items: Vec<String> = resolved.key.iter().map(read).collect();
        items.push(resolved.filter.as_deref().map_or_else(|| "1".into(), flag));
        items.extend(resolved.protect.iter().map(|text| flag(text)));
        items.extend(self.own_sources().map(|source| read(&source.column)));
        items.extend(resolved.touched.iter().map(read));
        if identities {
            items.extend(resolved.identities.iter().map(|(_, column)| read(column)));
        }
        format!("SELECT {} FROM {} {RECORD}", items.join(", "), dialect.table(&resolved.table.name))
    }

    fn own_sources(&self) -> impl Iterator<Item = &Source> {
        self.resolved.sources.iter().filter(|source| source.link.is_none())
    }

    pub(super) fn parse(&self, row: Vec<Scalar>) -> Result<Record, ReadFault> {
        let resolved = self.resolved;
        let mut rest = row.into_iter();
        let key: Vec<Scalar> = rest.by_ref().take(resolved.key.len()).collect();
        let key = usable_key(key)?;
        let yes = |value: Option<Scalar>| value.is_some_and(|value| value.show() == "1");
        let selected = yes(rest.next());
        let flags: Vec<Scalar> = rest.by_ref().take(resolved.protect.len()).collect();
        let protected = flags.into_iter().any(|flag| yes(Some(flag)));
        let mut clocks = Vec::with_capacity(resolved.sources.len());
        for source in &resolved.sources {
            clocks.push(if source.link.is_none() { rest.by_ref().take(1).collect() } else { Vec::new() });
        }
        let touched = rest.by_ref().take(resolved.touched.len()).collect();
        let identities = resolved
            .identities
            .iter()
            .zip(rest)
            .filter(|(_, value)| !value.is_null())
            .flat_map(|((kind, _), value)| match text_of(&value).map(|text| Identity::read(*kind, &text)) {
                Some(IdentityReading::Empty) => Vec::new(),
                Some(IdentityReading::Known(known)) => known,
                Some(IdentityReading::Unreadable) | None => vec![Identity::unreadable(*kind)],
            })
            .collect();
        Ok(Record { key, selected, protected, clocks, touched, identities })
    }

    /// The next page of selected records in key order.
    pub(super) async fn page(
        &self,
        session: &mut dyn Session,
        after: Option<&Key>,
        due_by: Option<Moment>,
        identities: bool,
        limit: usize,
    ) -> Result<Vec<Record>, ReadFault> {
        let resolved = self.resolved;
        let key = aliased(self.dialect, RECORD, &resolved.key);
        let mut conditions: Vec<String> = resolved.filter.iter().cloned().collect();
        let mut values = Vec::new();
        if let Some(after) = after {
            conditions.push(self.dialect.key_after(&key, 1));
            values.extend(after.0.iter().cloned());
        }
        conditions.extend(due_by.and_then(|moment| super::preselect::may_be_due(self, moment)));
        let order: Vec<String> =
            key.iter().map(|(expression, column)| self.dialect.order(expression, column)).collect();
        let text = format!(
            "{}{} ORDER BY {} LIMIT {limit}",
            self.select(identities),
            where_all(&conditions),
            order.join(", ")
        );
        let rows = session.rows(&Statement { text, values }).await?;
        let mut records = rows.into_iter().map(|row| self.parse(row)).collect::<Result<Vec<_>, _>>()?;
        self.read_related(session, &mut records, false).await?;
        Ok(records)
    }

    /// Locks records by key; answers with nothing, for what was seen while waiting may be old.
    pub(super) async fn lock(&self, session: &mut dyn Session, keys: &[&Key]) -> Result<(), ReadFault> {
        for chunk in keys.chunks(chunk_size(self.dialect, self.resolved.key.len())) {
            let key = aliased(self.dialect, RECORD, &self.resolved.key);
            let order: Vec<String> = key.iter().map(|(expression, _)| expression.clone()).collect();
            let text = format!(
                "SELECT 1 FROM {} {RECORD} WHERE {} ORDER BY {}{}",
                self.dialect.table(&self.resolved.table.name),
                self.dialect.key_in(&key, chunk.len(), 1),
                order.join(", "),
                self.dialect.lock()
            );
            session.rows(&Statement { text, values: flat(chunk) }).await?;
        }
        Ok(())
    }

    /// Reads records by key, selected or not, without the clocks of related rows; with `lock` they are locked too.
    pub(super) async fn rows_by_key(
        &self,
        session: &mut dyn Session,
        keys: &[&Key],
        identities: bool,
        lock: bool,
    ) -> Result<Vec<Record>, ReadFault> {
        let mut records = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(chunk_size(self.dialect, self.resolved.key.len())) {
            let key = aliased(self.dialect, RECORD, &self.resolved.key);
            let text = format!(
                "{} WHERE {}{}",
                self.select(identities),
                self.dialect.key_in(&key, chunk.len(), 1),
                if lock { self.dialect.lock() } else { "" }
            );
            for row in session.rows(&Statement { text, values: flat(chunk) }).await? {
                records.push(self.parse(row)?);
            }
        }
        Ok(records)
    }

    /// Reads records by key, whole.
    pub(super) async fn by_key(
        &self,
        session: &mut dyn Session,
        keys: &[&Key],
        identities: bool,
    ) -> Result<Vec<Record>, ReadFault> {
        let mut records = self.rows_by_key(session, keys, identities, false).await?;
        self.read_related(session, &mut records, false).await?;
        Ok(records)
    }

    /// Fills in the clocks of related rows.
    pub(super) async fn read_related(
        &self,
        session: &mut dyn Session,
        records: &mut [Record],
        lock: bool,
    ) -> Result<(), ReadFault> {
        for (place, source) in self.resolved.sources.iter().enumerate().filter(|(_, source)| source.link.is_some()) {
            for chunk in records.chunks_mut(chunk_size(self.dialect, self.resolved.key.len())) {
                let keys: Vec<Key> = chunk.iter().map(|record| record.key.clone()).collect();
                let keys: Vec<&Key> = keys.iter().collect();
                let places: HashMap<&[Scalar], usize> =
                    keys.iter().enumerate().map(|(at, key)| (key.0.as_slice(), at)).collect();
                if lock && !self.dialect.lock().is_empty() {
                    session.rows(&self.related(source, &keys, Related::Lock)).await?;
                }
                let how = if newest_by_server(self.dialect, source) { Related::Newest } else { Related::Each };
                for row in session.rows(&self.related(source, &keys, how)).await? {
                    let (key, values) = row.split_at_checked(self.resolved.key.len()).unwrap_or_default();
                    let record = places.get(key).and_then(|at| chunk.get_mut(*at));
                    if let Some(clock) = record.and_then(|record| record.clocks.get_mut(place)) {
                        // Behind the first stand odd dates, where there are any.
                        let odd = values.iter().skip(1).filter(|value| !value.is_null());
                        clock.extend(values.iter().take(1).chain(odd).cloned());
                    }
                }
            }
        }
        for record in &mut *records {
            record.clocks.iter_mut().for_each(|values| values.sort());
        }
        Ok(())
    }

    /// The statement over the related rows of some records.
    fn related(&self, source: &Source, keys: &[&Key], how: Related) -> Statement {
        let (dialect, resolved) = (self.dialect, self.resolved);
        let Some(link) = &source.link else { return Statement::default() };
        let key = aliased(dialect, RECORD, &resolved.key);
        let expression = format!("{RELATED}.{}", dialect.name(&source.column.name));
        let parts: Vec<String> = key.iter().map(|(expression, column)| dialect.read(expression, column)).collect();
        let (value, tail) = match how {
            Related::Lock => ("1".to_string(), dialect.lock().to_string()),
            Related::Each => (dialect.read(&expression, &source.column), String::new()),
            Related::Newest => {
                let by: Vec<String> = key.iter().map(|(expression, _)| expression.clone()).collect();
                let mut values = vec![format!("MAX({expression})")];
                values.extend(odd(dialect, &expression, source));
                let values: Vec<String> = values.iter().map(|value| dialect.read(value, &source.column)).collect();
                (values.join(", "), format!(" GROUP BY {}", by.join(", ")))
            }
        };
        let text = format!(
            "SELECT {}, {value} FROM {} {RECORD} JOIN {} {RELATED} ON {} WHERE {}{tail}",
            parts.join(", "),
            dialect.table(&resolved.table.name),
            dialect.table(&link.table.name),
            link.joined(dialect, RECORD),
            dialect.key_in(&key, keys.len(), 1),
        );
        Statement { text, values: flat(keys) }
    }

    /// What the decision needs of a record.
    pub(super) fn found(&self, record: &Record) -> Found {
        Found {
            key: record.key.clone(),
            clocks: self.readings(record),
            protected: record.protected,
            done: self.done(record),
            identities: record.identities.clone(),
            fingerprint: self.fingerprint(record),
            below: Vec::new(),
        }
    }

    fn readings(&self, record: &Record) -> Vec<Reading> {
        let one = |(source, values): (&Source, &Vec<Scalar>)| self.reading(source, values);
        self.resolved.sources.iter().zip(&record.clocks).map(one).collect()
    }

    /// What the values of one clock say together.
    pub(super) fn reading(&self, source: &Source, values: &[Scalar]) -> Reading {
        clock::newest(values.iter().map(|value| clock::read(value, &source.format, source.zone, self.zone)))
    }

    /// The keyed digest of the key, the clocks and the columns that would be written.
    fn fingerprint(&self, record: &Record) -> Fingerprint {
        let mut bytes = Vec::with_capacity(128);
        push_nested(&mut bytes, b'K', |bytes| record.key.push_canonical(bytes));
        let values = |bytes: &mut Vec<u8>, tag, values: &[Scalar]| {
            push_nested(bytes, tag, |bytes| values.iter().for_each(|value| value.push_canonical(bytes)));
        };
        for clock in &record.clocks {
            values(&mut bytes, b'C', clock);
        }
        values(&mut bytes, b'T', &record.touched);
        Fingerprint(self.keys.fingerprint.mac16(&bytes))
    }

    /// Whether each part is in final form.
    pub(super) fn done(&self, record: &Record) -> Vec<bool> {
        if self.resolved.parts.iter().all(Vec::is_empty) {
            return vec![false; self.resolved.parts.len()];
        }
        let canonical = self.record_bytes(&record.key);
        let context = RecipeContext { key: &record.key, record: &canonical, pseudonym: &self.keys.pseudonym, now: "" };
        let is_final = |(column, recipe): &(Column, crate::domain::recipe::Recipe)| {
            self.value_of(record, column).is_some_and(|value| recipe.is_final(value, &context))
        };
        self.resolved.parts.iter().map(|fields| !fields.is_empty() && fields.iter().all(is_final)).collect()
    }

    /// The bytes that a record's commitments and pseudonyms are made over.
    pub(super) fn record_bytes(&self, key: &Key) -> Vec<u8> {
        record_bytes(&self.rule.system, &self.rule.selection.collection(), key)
    }

    /// The value of a column that a part writes.
    pub(super) fn value_of<'r>(&self, record: &'r Record, column: &Column) -> Option<&'r Scalar> {
        let place = self.resolved.touched.iter().position(|one| one.name == column.name)?;
        record.touched.get(place)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Related {
    Lock,
    Each,
    Newest,
}

/// Whether the server can say which value is the newest: a date type, or whole numbers that count seconds. Text is
/// read value by value, for what can't be read may be newer than all the others.
pub(super) fn newest_by_server(dialect: &dyn Dialect, source: &Source) -> bool {
    match (source.column.class, &source.format) {
        (TypeClass::Integer, ClockFormat::Epoch | ClockFormat::EpochMillis) => dialect.holds_to_types(),
        (TypeClass::Date | TypeClass::DateTime | TypeClass::Moment, ClockFormat::Iso) => {
            dialect.before_day("c", &source.column, NaiveDate::default()).is_some()
        }
        _ => false,
    }
}

/// What is no plain day among related rows, though another of them is newer: a date before 1970, and a date with a part
/// that is zero. One of each is enough for the clock to be unreadable.
fn odd(dialect: &dyn Dialect, expression: &str, source: &Source) -> Vec<String> {
    let day = NaiveDate::from_ymd_opt(1970, 1, 2).unwrap_or_default();
    let partial = dialect.partial_date(expression, &source.column);
    let early = match source.format {
        ClockFormat::Epoch => Some(format!("{expression} < 172800 AND {expression} <> 0")),
        ClockFormat::EpochMillis => Some(format!("{expression} < 172800000 AND {expression} <> 0")),
        _ => dialect.before_day(expression, &source.column, day),
    };
    let whole = partial.as_ref().map_or_else(String::new, |partial| format!(" AND NOT {partial}"));
    let early = early.map(|early| format!("MIN(CASE WHEN {early}{whole} THEN {expression} END)"));
    let partial = partial.map(|partial| format!("MAX(CASE WHEN {partial} THEN {expression} END)"));
    early.into_iter().chain(partial).collect()
}

pub(super) fn where_all(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

pub(super) fn flat(keys: &[&Key]) -> Vec<Scalar> {
    keys.iter().flat_map(|key| key.0.iter().cloned()).collect()
}
/// The text that an identity's column holds: bytes are the text that they are in UTF-8, without the zeros that fill a
/// column of one length. `None` where they are none, for then they may be anybody's.
fn text_of(value: &Scalar) -> Option<String> {
    match value {
        Scalar::Bytes(bytes) => {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(String::from)
        }
        Scalar::Typed { ty, .. } if ty == super::sqlite::BROKEN_TEXT => None,
        value => Some(value.show()),
    }
}
