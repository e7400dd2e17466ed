//! Batches whose keys are whole numbers that lie close together: they are locked, deleted or rewritten, and looked for by
//! one range of the key, which a server serves several times as fast as a list of keys.
//!
//! The range may hold other rows. What is read in it is compared with the batch, key by key; it is deleted or rewritten by
//! without the few that were read and locked there and stay, and the count must be that of the batch. A row that comes into the range
//! in between makes the count another, and the batch is done again by its keys.

use super::engine::{Session, Statement};
use super::records::{ReadFault, Reader, Record, aliased, where_all};
use super::resolve::RECORD;
use crate::domain::decide::Moment;
use crate::domain::value::{Key, Scalar};

/// Fewer keys are as quickly listed.
const LEAST: usize = 20;
/// Where the range could hold more rows for each one that is wanted, the keys are listed.
const SPARSE: u64 = 8;
/// Where more rows that are locked in the range stay, those that go are listed.
const MOST_STAY: usize = 256;

/// A range of keys, both ends in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    first: i64,
    last: i64,
}

/// How records of a span are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpanRead {
    /// With the identities of the person.
    pub(super) identities: bool,
    /// They are locked too.
    pub(super) lock: bool,
}

impl Span {
    /// The span of these keys, where it is worth it.
    pub(super) fn of<'k>(keys: impl Iterator<Item = &'k Key>) -> Option<Self> {
        let (mut first, mut last, mut count) = (i64::MAX, i64::MIN, 0);
        for key in keys {
            let number = number_of(key)?;
            (first, last, count) = (first.min(number), last.max(number), count + 1);
        }
        let width = last.checked_sub(first)?.unsigned_abs();
        (count >= LEAST && width / (count as u64) < SPARSE).then_some(Self { first, last })
    }

    /// The condition over the record's key, its placeholders the first ones.
    fn condition(self, reader: &Reader<'_>) -> Option<(String, Vec<Scalar>)> {
        let [column] = reader.resolved.key.as_slice() else { return None };
        let dialect = reader.dialect;
        let key = format!("{RECORD}.{}", dialect.name(&column.name));
        let bound = |n| dialect.bound(n, column);
        if dialect.locks_behind_ranges() {
            // Behind the range stands its own last row, which is named by itself.
            let text = format!("({key} >= {} AND {key} <= {} OR {key} = {})", bound(1), bound(2), bound(3));
            return Some((text, [self.first, self.last.checked_sub(1)?, self.last].map(Scalar::Int).into()));
        }
        let text = format!("{key} >= {} AND {key} <= {}", bound(1), bound(2));
        Some((text, [self.first, self.last].map(Scalar::Int).into()))
    }

    /// These keys of it, marked by their places.
    pub(super) fn marks<'k>(self, keys: impl Iterator<Item = &'k Key>) -> Vec<bool> {
        let width = self.last.checked_sub(self.first).and_then(|width| usize::try_from(width).ok());
        let mut marks = vec![false; width.map_or(0, |width| width + 1)];
        for place in keys.filter_map(number_of).filter_map(|number| self.place(number)) {
            if let Some(mark) = marks.get_mut(place) {
                *mark = true;
            }
        }
        marks
    }

    /// Whether a key is marked.
    pub(super) fn is_marked(self, marks: &[bool], key: &Key) -> bool {
        number_of(key).and_then(|number| self.place(number)).and_then(|place| marks.get(place)) == Some(&true)
    }

    /// Takes the mark from a key; whether it was marked.
    pub(super) fn unmark(self, marks: &mut [bool], number: i64) -> bool {
        self.place(number).and_then(|place| marks.get_mut(place)).is_some_and(std::mem::take)
    }

    /// The place of a key in it.
    fn place(self, number: i64) -> Option<usize> {
        let inside = (self.first..=self.last).contains(&number);
        number.checked_sub(self.first).filter(|_| inside).and_then(|place| usize::try_from(place).ok())
    }
}

/// A span in which every row that the rule selects and that may be due was read and locked.
pub(super) struct Locked {
    pub(super) span: Span,
    /// The keys of those rows.
    pub(super) keys: Vec<i64>,
}

impl Locked {
    /// Those that stay where these go, filled up to a power of two, so that few statements are prepared.
    fn stay(&self, go: &[&Key]) -> Option<Vec<i64>> {
        let mut goes = self.span.marks(go.iter().copied());
        let mut left = goes.iter().filter(|goes| **goes).count();
        if left != go.len() {
            return None;
        }
        let mut stay = Vec::new();
        for key in &self.keys {
            if self.span.unmark(&mut goes, *key) {
                left -= 1;
            } else {
                stay.push(*key);
            }
        }
        if left != 0 {
            return None;
        }
        if let Some(last) = stay.last().copied() {
            stay.resize(stay.len().next_power_of_two(), last);
        }
        (stay.len() <= MOST_STAY).then_some(stay)
    }
}

/// A key that is one whole number.
pub(super) fn number_of(key: &Key) -> Option<i64> {
    match key.0.as_slice() {
        [Scalar::Int(number)] => Some(*number),
        _ => None,
    }
}

impl Reader<'_> {
    /// What the rule selects in a span and may be due by a day: the conditions, with their values.
    fn due_in(&self, span: Span, due_by: Moment) -> (Vec<String>, Vec<Scalar>) {
        let (range, values) = span.condition(self).unwrap_or_else(|| ("1 = 0".into(), Vec::new()));
        let mut conditions = vec![range];
        conditions.extend(self.resolved.filter.iter().cloned());
        // Rows of other tables are not looked at here: they are locked and judged for themselves.
        if self.resolved.sources.iter().all(|source| source.link.is_none()) {
            conditions.extend(super::preselect::may_be_due_by_key(self, due_by));
        }
        (conditions, values)
    }

    /// Reads the selected records of a span that may be due, without the clocks of related rows.
    pub(super) async fn rows_in(
        &self,
        session: &mut dyn Session,
        span: Span,
        due_by: Moment,
        how: SpanRead,
    ) -> Result<Vec<Record>, ReadFault> {
        let (conditions, values) = self.due_in(span, due_by);
        let lock = if how.lock { self.dialect.lock() } else { "" };
        let text = format!("{}{}{lock}", self.select(how.identities), where_all(&conditions));
        let rows = session.rows(&Statement { text, values }).await?;
        rows.into_iter().map(|row| self.parse(row)).collect()
    }

    /// The condition of a span for exactly these of its locked records, with its values; `None` where others than those that
    /// were locked are among them, or too many stay.
    pub(super) fn only(&self, locked: &Locked, go: &[&Key], due_by: Moment) -> Option<(String, Vec<Scalar>)> {
        let stay = locked.stay(go)?;
        let (mut conditions, mut values) = self.due_in(locked.span, due_by);
        if !stay.is_empty() {
            let key = aliased(self.dialect, RECORD, &self.resolved.key);
            conditions.push(format!("NOT ({})", self.dialect.key_in(&key, stay.len(), values.len() + 1)));
            values.extend(stay.into_iter().map(Scalar::Int));
        }
        Some((where_all(&conditions), values))
    }

    /// The statement that deletes exactly these of a span's locked records, where there is one.
    pub(super) fn delete_span(&self, locked: &Locked, go: &[&Key], due_by: Moment) -> Option<Statement> {
        let (conditions, values) = self.only(locked, go, due_by)?;
        let from = self.dialect.delete_from(&self.dialect.table(&self.resolved.table.name), RECORD);
        Some(Statement { text: format!("{from}{conditions}"), values })
    }

    /// Leaves those of a span's keys that are there, whatever the rule says of them.
    pub(super) async fn retain_there(
        &self,
        session: &mut dyn Session,
        span: Span,
        keys: &mut Vec<&Key>,
    ) -> Result<(), ReadFault> {
        let Some((range, values)) = span.condition(self) else { return Ok(()) };
        let [column] = self.resolved.key.as_slice() else { return Ok(()) };
        let numbers = self.dialect.joined(&format!("{RECORD}.{}", self.dialect.name(&column.name)));
        let table = self.dialect.table(&self.resolved.table.name);
        let text = format!("SELECT COUNT(*), {numbers} FROM {table} {RECORD} WHERE {range}");
        let rows = session.rows(&Statement { text, values }).await?;
        // Who does not understand the answer asks for each of them.
        let Some(there) = rows.first().and_then(|row| there(span, row)) else { return Ok(()) };
        keys.retain(|key| {
            number_of(key).and_then(|number| span.place(number)).is_none_or(|place| there.get(place) != Some(&false))
        });
        Ok(())
    }
}

/// Which keys of a span are there, by their places: the server gives their number, and all of them in one text.
fn there(span: Span, row: &[Scalar]) -> Option<Vec<bool>> {
    let [Scalar::Int(count), numbers] = row else { return None };
    let width = span.last.checked_sub(span.first)?.checked_add(1)?;
    let (mut there, mut left) = (vec![false; usize::try_from(width).ok()?], *count);
    let text = numbers.as_text().unwrap_or_default();
    for number in text.split(',').filter(|_| !text.is_empty()) {
        let place = number.parse::<i64>().ok()?.checked_sub(span.first)?;
        *there.get_mut(usize::try_from(place).ok()?)? = true;
        left -= 1;
    }
    // A text that was cut short.
    (left == 0).then_some(there)
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

    #[test]
    fn what_is_there_is_read_from_one_text_that_is_whole() {
        let span = Span { first: -2, last: 3 };
        let row = |count: i64, text: Option<&str>| {
            [Scalar::Int(count), text.map_or(Scalar::Null, |t| Scalar::Text(t.into()))]
        };
        assert_eq!(there(span, &row(3, Some("-2,0,3"))), Some(vec![true, false, true, false, false, true]));
        assert_eq!(there(span, &row(0, None)), Some(vec![false; 6]));
        assert_eq!(there(span, &row(4, Some("-2,0,3"))), None, "it was cut short");
        assert_eq!(there(span, &row(3, Some("-2,0,4"))), None, "outside the range");
        assert_eq!(there(span, &row(1, Some("1.0"))), None);
        assert_eq!(there(span, &row(1, None)), None);
    }

    #[test]
    fn those_that_stay_are_named_in_few_forms() {
        let stay = |locked: i64, go: std::ops::Range<i64>| {
            let locked = Locked { span: Span { first: 0, last: 999 }, keys: (0..locked).collect() };
            locked.stay(&keys(go).iter().collect::<Vec<_>>())
        };
        assert_eq!(stay(40, 0..40), Some(vec![]));
        assert_eq!(stay(40, 1..40), Some(vec![0]));
        assert_eq!(stay(40, 3..40), Some(vec![0, 1, 2, 2]));
        assert_eq!(stay(297, 257..297).map(|stay| stay.len()), None, "too many");
        assert_eq!(stay(296, 256..296).map(|stay| stay.len()), Some(256));
        assert_eq!(stay(40, 1..41), None, "one that goes was not locked");
    }
}
