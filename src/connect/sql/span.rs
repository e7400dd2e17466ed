//! Batches whose keys are whole numbers that lie close together: they are locked, deleted and looked for by one range
//! of the key, which a server serves several times as fast as a list of keys.
//!
//! The range may hold other rows. What is read in it is compared with the batch, key by key, and it is deleted by only
//! where every row that was read and locked there goes; the count must then be theirs. A row that comes into the range
//! in between makes the count another, and the batch is done again by its keys.

use std::collections::HashSet;

use chrono::NaiveDate;

use super::engine::{Session, Statement};
use super::records::{ReadFault, Reader, Record, usable_key, where_all};
use super::resolve::{RECORD, Resolved};
use crate::domain::value::{Key, Scalar};

/// Fewer keys are as quickly listed.
const LEAST: usize = 20;
/// Where the range could hold more rows for each one that is wanted, the keys are listed.
const SPARSE: u64 = 8;

/// A range of keys, both ends in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    first: i64,
    last: i64,
}

impl Span {
    /// The span of these keys, where it is worth it.
    pub(super) fn of<'k>(keys: impl Iterator<Item = &'k Key>) -> Option<Self> {
        let (mut first, mut last, mut count) = (i64::MAX, i64::MIN, 0);
        for key in keys {
            let [Scalar::Int(number)] = key.0.as_slice() else { return None };
            (first, last, count) = (first.min(*number), last.max(*number), count + 1);
        }
        let width = last.checked_sub(first)?.unsigned_abs();
        (count >= LEAST && width / (count as u64) < SPARSE).then_some(Self { first, last })
    }

    /// The condition over the record's key, its placeholders the first two.
    fn condition(self, reader: &Reader<'_>) -> Option<(String, Vec<Scalar>)> {
        let [column] = reader.resolved.key.as_slice() else { return None };
        let dialect = reader.dialect;
        let key = format!("{RECORD}.{}", dialect.name(&column.name));
        let text = format!("{key} >= {} AND {key} <= {}", dialect.bound(1, column), dialect.bound(2, column));
        Some((text, vec![Scalar::Int(self.first), Scalar::Int(self.last)]))
    }
}

impl Reader<'_> {
    /// What the rule selects in a span and may be due by a day: the conditions, with their values.
    fn due_in(&self, span: Span, due_by: NaiveDate) -> (String, Vec<Scalar>) {
        let (range, values) = span.condition(self).unwrap_or_else(|| ("1 = 0".into(), Vec::new()));
        let mut conditions = vec![range];
        conditions.extend(self.resolved.filter.iter().cloned());
        conditions.extend(super::preselect::may_be_due(self, due_by));
        (where_all(&conditions), values)
    }

    /// Reads and locks the selected records of a span that may be due, without the clocks of related rows.
    pub(super) async fn lock_span(
        &self,
        session: &mut dyn Session,
        span: Span,
        due_by: NaiveDate,
        identities: bool,
    ) -> Result<Vec<Record>, ReadFault> {
        let (conditions, values) = self.due_in(span, due_by);
        let text = format!("{}{conditions}{}", self.select(identities), self.dialect.lock());
        let rows = session.rows(&Statement { text, values }).await?;
        rows.into_iter().map(|row| self.parse(row)).collect()
    }

    /// The statement that deletes what [`lock_span`](Self::lock_span) reads.
    pub(super) fn delete_span(&self, span: Span, due_by: NaiveDate) -> Statement {
        let (conditions, values) = self.due_in(span, due_by);
        let from = self.dialect.delete_from(&self.dialect.table(&self.resolved.table.name), RECORD);
        Statement { text: format!("{from}{conditions}"), values }
    }

    /// Leaves those of a span's keys that are there, whatever the rule says of them: where most are gone, the others are
    /// read in passing.
    pub(super) async fn retain_there(
        &self,
        session: &mut dyn Session,
        span: Span,
        keys: &mut Vec<&Key>,
    ) -> Result<(), ReadFault> {
        let Some((range, values)) = span.condition(self) else { return Ok(()) };
        let Resolved { key, table, .. } = self.resolved;
        let read = |column: &super::catalogue::Column| {
            self.dialect.read(&format!("{RECORD}.{}", self.dialect.name(&column.name)), column)
        };
        let columns: Vec<String> = key.iter().map(read).collect();
        let table = self.dialect.table(&table.name);
        let text = format!("SELECT {} FROM {table} {RECORD} WHERE {range}", columns.join(", "));
        let rows = session.rows(&Statement { text, values }).await?;
        let there = rows.iter().map(|row| usable_key(row)).collect::<Result<HashSet<Key>, _>>()?;
        keys.retain(|key| there.contains(*key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: impl IntoIterator<Item = i64>) -> Vec<Key> {
        numbers.into_iter().map(|number| Key(vec![Scalar::Int(number)])).collect()
    }

    #[test]
    fn close_numbers_have_a_span_and_others_none() {
        assert_eq!(Span::of(keys((0..100).map(|n| n * 3)).iter()), Some(Span { first: 0, last: 297 }));
        assert_eq!(Span::of(keys((0..100).rev()).iter()), Some(Span { first: 0, last: 99 }), "in any order");
        assert_eq!(Span::of(keys((0..100).map(|n| n * 9)).iter()), None, "too far apart");
        assert_eq!(Span::of(keys(0..19).iter()), None, "too few");
        assert_eq!(Span::of(keys([i64::MIN, i64::MAX].into_iter().cycle().take(40)).iter()), None);
        assert_eq!(Span::of([].iter()), None);
        let texts: Vec<Key> = (0..100).map(|n: i64| Key(vec![Scalar::Text(n.to_string())])).collect();
        assert_eq!(Span::of(texts.iter()), None, "texts have another order");
        let pairs: Vec<Key> = (0..100).map(|n| Key(vec![Scalar::Int(1), Scalar::Int(n)])).collect();
        assert_eq!(Span::of(pairs.iter()), None);
    }
}
