//! Within the erasing transaction: what the records are now, what hangs on them, and whether that changed meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::children::Below;
use super::engine::Session;
use super::erase::{Eraser, Halt, Intent, Settled, Try};
use super::maps::HashMap;
use super::records::{Record, newest_by_server};
use super::span::{Locked, Span, SpanRead, number_of};
use crate::domain::outcome::Outcome;
use crate::domain::value::{Key, Scalar};

impl Eraser<'_> {
    /// (a1), (a2): lock, read in a new statement, judge.
    pub(super) async fn read_and_judge(
        &self,
        session: &mut dyn Session,
        this: Try<'_>,
        settled: &mut Settled,
    ) -> Result<Intent, Halt> {
        let keys: Vec<&Key> = this.items.iter().filter_map(|item| self.key(*item)).collect();
        let reader = &self.reader;
        let locks = !reader.dialect.lock().is_empty();
        if locks && self.resolved().looks_aside {
            reader.lock(session, &keys).await?;
        }
        let wants = self.judge.wants_identities();
        let span = self.span(this, &keys);
        let (mut records, locked) = match span {
            Some(span) => self.read_span(session, span, &keys, SpanRead { identities: wants, lock: true }).await?,
            None => (reader.rows_by_key(session, &keys, wants, true).await?, Vec::new()),
        };
        self.point(this, "after-lock");
        reader.read_related(session, &mut records, true).await?;
        let mut by_key = ByKey::of(records);
        let mut intent = Intent { records: HashMap::default(), delete: Vec::new(), write: Vec::new(), span: None };
        let mut found = |item: &usize| (*item, self.key(*item).and_then(|key| by_key.take(key)));
        let found: Vec<(usize, Option<Record>)> = this.items.iter().map(&mut found).collect();
        // A record that the server takes for one of these although its key is written otherwise now (another case, a
        // space at the end): whoever it was is not gone.
        let missing = if by_key.is_empty() { Outcome::AlreadyGone } else { Outcome::Changed };
        for (item, record) in found {
            match record {
                Some(record) => self.judge_one(item, record, settled, &mut intent),
                None => self.settle(settled, item, missing),
            }
        }
        intent.span = span.map(|span| Locked { span, keys: locked });
        Ok(intent)
    }

    /// The span of these items, where a range of the key may stand for a list.
    fn span(&self, this: Try<'_>, keys: &[&Key]) -> Option<Span> {
        let may = this.commit && self.transactional() && !self.resolved().looks_aside;
        if may && self.by_span.load(Ordering::SeqCst) { Span::of(keys.iter().copied()) } else { None }
    }

    /// Reads the records of a span, and gives the keys of all that are in it. What is not among them is read by its key: it is
    /// gone, or has changed.
    pub(super) async fn read_span(
        &self,
        session: &mut dyn Session,
        span: Span,
        keys: &[&Key],
        how: SpanRead,
    ) -> Result<(Vec<Record>, Vec<i64>), Halt> {
        let mut records = self.reader.rows_in(session, span, self.batch.due_by, how).await?;
        let all = records.iter().filter_map(|record| number_of(&record.key)).collect();
        let mut wanted = span.marks(keys.iter().copied());
        records.retain(|record| number_of(&record.key).is_some_and(|number| span.unmark(&mut wanted, number)));
        // What is still marked was not found.
        let missing: Vec<&Key> = keys.iter().copied().filter(|key| span.is_marked(&wanted, key)).collect();
        let more = self.reader.rows_by_key(session, &missing, how.identities, how.lock).await?;
        records.extend(more);
        Ok((records, all))
    }

    fn judge_one(&self, place: usize, record: Record, settled: &mut Settled, intent: &mut Intent) {
        let Some(item) = self.batch.items.get(place) else { return };
        let found = self.reader.found(&record);
        let same = record.selected && found.fingerprint == item.fingerprint;
        let verdicts = if same { self.judge.judge(place, &found) } else { Vec::new() };
        let verdict = |part: usize| verdicts.iter().find(|(one, _)| *one == part).map(|(_, verdict)| verdict);
        let (mut deletes, mut writes) = (false, Vec::new());
        let entry = settled.entry(place).or_default();
        for part in &item.parts {
            let done = !self.is_record(*part) && found.done.get(*part) == Some(&true);
            match verdict(*part) {
                _ if done => {
                    entry.insert(*part, Outcome::AlreadyGone.into());
                }
                Some(Ok(())) if self.is_record(*part) => deletes = true,
                Some(Ok(())) => writes.push(*part),
                Some(Err(outcome)) => {
                    entry.insert(*part, (*outcome).into());
                }
                None => {
                    entry.insert(*part, Outcome::Changed.into());
                }
            }
        }
        if deletes {
            intent.delete.push(place);
        } else if !writes.is_empty() {
            intent.write.push((place, writes));
        }
        if deletes || intent.write.last().is_some_and(|(item, _)| *item == place) {
            intent.records.insert(place, record);
        }
    }

    /// The child rows of those that go, locked. A row of the record's own table that hangs below it and is no item of
    /// this batch that goes too is a record in its own right: it stays, and so does what stands above it.
    pub(super) async fn read_children(&self, session: &mut dyn Session, intent: &Intent) -> Result<Below, Halt> {
        let roots: Vec<(usize, &Key)> =
            intent.delete.iter().filter_map(|item| self.key(*item).map(|key| (*item, key))).collect();
        if roots.is_empty() {
            return Ok(Below { rows: self.resolved().nodes.iter().map(|_| Vec::new()).collect() });
        }
        let below = self.reader.below(session, &roots, true).await?;
        let others = below.rows.first().map_or(&[][..], |rows| rows.get(roots.len()..).unwrap_or_default());
        if others.is_empty() {
            return Ok(below);
        }
        let mut kept: BTreeMap<usize, Outcome> = BTreeMap::new();
        let keys: Vec<&Key> = others.iter().map(|row| &row.key).collect();
        let records = self.reader.by_key(session, &keys, self.judge.wants_identities()).await?;
        for row in others {
            let record = records.iter().find(|record| record.key == row.key);
            let held = |record: &Record| {
                let verdicts = self.judge.judge(row.owner, &self.reader.found(record));
                record.protected || verdicts.iter().any(|(_, verdict)| *verdict == Err(Outcome::Withheld))
            };
            let outcome = if record.is_some_and(held) { Outcome::Withheld } else { Outcome::Changed };
            let known = kept.entry(row.owner).or_insert(outcome);
            *known = if outcome == Outcome::Withheld { outcome } else { *known };
        }
        Err(Halt::Again(kept.into_iter().collect()))
    }

    /// What other tables say of the records, once more before the first row goes: a protection that came in since we
    /// judged. Behind that it can't be asked, for the rows that it asks about may be children that are gone.
    pub(super) async fn look_aside_again(&self, session: &mut dyn Session, intent: &Intent) -> Result<(), Halt> {
        if !self.resolved().looks_aside {
            return Ok(());
        }
        let keys: Vec<&Key> = intent.records.values().map(|record| &record.key).collect();
        let now = self.reader.rows_by_key(session, &keys, false, false).await?;
        let now: HashMap<&Key, &Record> = now.iter().map(|record| (&record.key, record)).collect();
        let mut changed = Vec::new();
        for (item, before) in &intent.records {
            match now.get(&before.key) {
                Some(after) if after.protected => changed.push((*item, Outcome::Withheld)),
                Some(after) if after.selected => {}
                _ => changed.push((*item, Outcome::Changed)),
            }
        }
        if changed.is_empty() { Ok(()) } else { Err(Halt::Again(changed)) }
    }

    /// (c) for clocks: a related row that was not there when we judged.
    pub(super) async fn look_again(&self, session: &mut dyn Session, intent: &Intent) -> Result<(), Halt> {
        if self.resolved().sources.iter().all(|source| source.link.is_none()) {
            return Ok(());
        }
        let mut now: Vec<Record> = intent.records.values().map(Record::without_clocks).collect();
        self.reader.read_related(session, &mut now, false).await?;
        let mut changed = Vec::new();
        for (item, before) in &intent.records {
            let Some(after) = now.iter().find(|record| record.key == before.key) else { continue };
            let pairs = self.resolved().sources.iter().zip(before.clocks.iter().zip(&after.clocks));
            for (source, (before, after)) in pairs {
                let newer = if newest_by_server(self.reader.dialect, source) {
                    let reading = |values: &[Scalar]| self.reader.reading(source, values);
                    after.iter().max() > before.iter().max() || reading(after) > reading(before)
                } else {
                    !contains_all(before, after)
                };
                if source.link.is_some() && newer {
                    changed.push((*item, Outcome::Changed));
                    break;
                }
            }
        }
        if changed.is_empty() { Ok(()) } else { Err(Halt::Again(changed)) }
    }
}

/// Records by their keys: handed out as they come where they are asked for in that order, else from a map.
struct ByKey {
    next: std::iter::Peekable<std::vec::IntoIter<Record>>,
    rest: HashMap<Key, Record>,
}

impl ByKey {
    fn of(records: Vec<Record>) -> Self {
        Self { next: records.into_iter().peekable(), rest: HashMap::default() }
    }

    fn take(&mut self, key: &Key) -> Option<Record> {
        if let Some(record) = self.next.next_if(|record| record.key == *key) {
            return Some(record);
        }
        self.rest.extend(self.next.by_ref().map(|record| (record.key.clone(), record)));
        self.rest.remove(key)
    }

    fn is_empty(&mut self) -> bool {
        self.rest.is_empty() && self.next.peek().is_none()
    }
}

/// Whether every value of `after` was there before, as often. Both are sorted.
fn contains_all(before: &[Scalar], after: &[Scalar]) -> bool {
    let mut before = before.iter();
    after.iter().all(|value| before.by_ref().any(|one| one == value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_among_clock_values_is_seen() {
        let values = |numbers: &[i64]| numbers.iter().copied().map(Scalar::Int).collect::<Vec<_>>();
        assert!(contains_all(&values(&[1, 2, 2, 3]), &values(&[2, 2])));
        assert!(contains_all(&values(&[1]), &values(&[])));
        assert!(!contains_all(&values(&[1, 2]), &values(&[2, 2])));
        assert!(!contains_all(&values(&[]), &values(&[5])));
    }
}
