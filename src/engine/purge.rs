//! Carrying out a mandate: what is still due and still in the set is found again and purged in batches.

mod partition;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::NaiveDate;

use super::batch::{BatchDone, RunContext};
use super::batch_size::BatchSize;
use super::erasing::Erasing;
use super::flight::Over;
use super::run::Mandate;
use super::survey::{DueDays, PAGE, Progress, mark};
use super::{Engine, EngineError};
use crate::connect::{Absence, ConnectError, Connector, Item, Presence, Query};
use crate::crash_point;
use crate::domain::brake::{Held, Pace};
use crate::domain::decide::{Found, Verdict, decide};
use crate::domain::digest::MacKey;
use crate::domain::hold::Holds;
use crate::domain::outcome::Tally;
use crate::domain::rule::{Part, Rule};
use crate::domain::value::Key;
use crate::state::items::{self as planned, Items};
use crate::state::keys::Purpose;
use crate::state::spool::Mark;

/// What one walk of purging did.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Outcomes, counted.
    pub(super) tally: Tally,
    /// (record, part) pairs handed to the system.
    pub(super) seen: u64,
    /// Records handed to the system.
    pub(super) records: u64,
    /// Records that it refused.
    pub(super) refused: u64,
    /// Records that were found again after they were erased.
    pub(super) back: u64,
    /// What is still there of those that went.
    pub(super) absence: Absence,
    /// Whether somebody stopped it.
    pub(super) stopped: bool,
    /// The brakes that held it for longer than it may wait.
    pub(super) brakes: Vec<Held>,
    /// Why the system stopped it.
    pub(super) failure: Option<ConnectError>,
}

impl Walked {
    fn ends(&self) -> bool {
        self.stopped || !self.brakes.is_empty() || self.failure.is_some() || self.back > 0
    }
}

/// Records that the system refused in this very run, with the day since which each is due: they are not tried twice
/// in one run, and take nothing from its pace.
pub(super) type Tried = BTreeMap<Mark, NaiveDate>;

/// The due days without those that were tried.
pub(super) fn untried(days: &DueDays, tried: &Tried) -> DueDays {
    let mut days = days.clone();
    for day in tried.values() {
        if let Some(count) = days.get_mut(day) {
            *count = count.saturating_sub(1);
        }
    }
    days
}

/// A record that goes, and the day since which it is due.
struct Due {
    item: Item,
    since: NaiveDate,
}

/// What is being filled for the next batch, and how far the pace still goes.
struct Next {
    due: Vec<Due>,
    /// Records of this page or of the batch that is being filled, where what was found below another may be one of them.
    taken: Option<HashSet<Key>>,
    /// Records that went into a batch since they hang below another.
    below: HashSet<Key>,
    /// How many records of the last due day still fit.
    last_day_left: u64,
    /// How many records the batch takes.
    size: BatchSize,
}

impl Next {
    /// Takes a record with those below it, if all of them are within the pace; else it waits until they have gone.
    fn take(&mut self, all: Vec<Due>, last_day: NaiveDate) {
        let of_last_day = all.iter().filter(|one| one.since == last_day).count() as u64;
        if of_last_day > self.last_day_left || all.iter().any(|one| one.since > last_day) {
            return;
        }
        self.last_day_left -= of_last_day;
        let above = all.len().saturating_sub(1);
        for (place, one) in all.into_iter().enumerate() {
            if place < above {
                self.below.insert(one.item.key.clone());
            }
            if let Some(taken) = &mut self.taken {
                taken.insert(one.item.key.clone());
            }
            self.due.push(one);
        }
    }

    fn reaches(&self, day: NaiveDate, last_day: NaiveDate) -> bool {
        day < last_day || (day == last_day && self.last_day_left > 0)
    }

    fn has(&self, key: &Key) -> bool {
        self.taken.as_ref().is_some_and(|taken| taken.contains(key)) || self.below.contains(key)
    }
}

/// What the walk asks of each record.
struct Pick<'a> {
    rule: &'a Rule,
    mandate: &'a Mandate,
    collection: String,
    key: MacKey,
}

impl Pick<'_> {
    fn mark(&self, record: &Key, part: &Part) -> Mark {
        mark(&self.key, self.rule, &self.collection, record, &part.id)
    }

    /// A record's place among those that were tried.
    fn tried_mark(&self, record: &Key) -> Option<Mark> {
        self.rule.parts.first().map(|part| self.mark(record, part))
    }

    fn was_tried(&self, tried: &Tried, record: &Key) -> bool {
        !tried.is_empty() && self.tried_mark(record).is_some_and(|mark| tried.contains_key(&mark))
    }

    /// The parts of a record that are due and in the mandate's set.
    fn parts_in_set(&self, record: &Key, verdicts: &[Verdict]) -> Result<Vec<usize>, EngineError> {
        let mut parts = Vec::new();
        for (place, part) in self.rule.parts.iter().enumerate() {
            if !matches!(verdicts.get(place), Some(Verdict::Due(_))) {
                continue;
            }
            let in_set = self.mandate.set.contains(&self.mark(record, part)).map_err(|cause| EngineError::Io {
                doing: "read the plan's set for",
                path: self.collection.clone().into(),
                cause,
            })?;
            if in_set {
                parts.push(place);
            }
        }
        Ok(parts)
    }

    /// What goes when this record goes, itself last: with its whole record those below it, for they are due themselves
    /// and must go in one transaction, each with an outcome of its own. Nothing, where it is not in the set or was
    /// tried, or one of those below it.
    fn with_below(&self, found: Found, holds: &Holds, tried: &Tried, next: &Next) -> Result<Vec<Due>, EngineError> {
        let verdicts = decide(self.rule, &found, holds, self.mandate.moment);
        let Some(since) = oldest_due(&verdicts).filter(|day| next.reaches(*day, self.mandate.last_day)) else {
            return Ok(Vec::new());
        };
        let parts = self.parts_in_set(&found.key, &verdicts)?;
        if parts.is_empty() || self.was_tried(tried, &found.key) {
            return Ok(Vec::new());
        }
        let whole = self.rule.parts.iter().position(Part::is_record).filter(|place| parts.contains(place));
        let mut all = Vec::new();
        for below in found.below.into_iter().map(|below| below.found).filter(|_| whole.is_some()) {
            if next.has(&below.key) {
                continue;
            }
            let verdicts = decide(self.rule, &below, holds, self.mandate.moment);
            let mut its_parts = self.parts_in_set(&below.key, &verdicts)?;
            its_parts.retain(|place| Some(*place) == whole);
            let (Some(since), false) = (oldest_due(&verdicts), its_parts.is_empty()) else { return Ok(Vec::new()) };
            if self.was_tried(tried, &below.key) {
                return Ok(Vec::new());
            }
            let item = Item { key: below.key, fingerprint: below.fingerprint, parts: its_parts };
            all.push(Due { item, since });
        }
        all.push(Due { item: Item { key: found.key, fingerprint: found.fingerprint, parts }, since });
        Ok(all)
    }
}

/// Where the records come from that are still to go.
enum Supply {
    /// From the plan that was just made.
    Planned(Box<Items>),
    /// They are found again, page by page.
    Found {
        after: Option<Key>,
        page: std::vec::IntoIter<Found>,
        /// Whether the last page was read.
        end: bool,
    },
}

/// One walk of purging.
struct Walk<'w> {
    connector: Arc<dyn Connector>,
    context: &'w RunContext,
    pick: Pick<'w>,
    next: Next,
    supply: Supply,
    /// Whether the next batch may be locked and judged while one is being erased.
    side_by_side: bool,
    /// The batches that the system has, the oldest first.
    aloft: VecDeque<Erasing>,
    /// The batch whose outcomes are not yet written.
    last: Option<Over>,
    walked: Walked,
}

impl Walk<'_> {
    /// (record, part) pairs of batches that the system has.
    fn pairs_aloft(&self) -> u64 {
        self.aloft.iter().map(Erasing::pairs).sum()
    }
}

impl Engine {
    /// Purges in batches what is still due and still in the set.
    pub(super) async fn purge_walk(
        &mut self,
        context: &RunContext,
        mandate: &mut Mandate,
        tried: &mut Tried,
        progress: &dyn Progress,
    ) -> Result<Walked, EngineError> {
        let supply = match mandate.items.take() {
            Some(items) => Supply::Planned(Box::new(items)),
            None => Supply::Found { after: None, page: Vec::new().into_iter(), end: false },
        };
        let rule: &Rule = &context.rule;
        let connector = self.system(&rule.system)?;
        // Where a second look stops the run, or each batch is kept, they go one by one.
        let alone = mandate.look_again || context.keeping.is_some();
        let side_by_side = !alone && connector.side_by_side(rule).await?;
        let pick = Pick { rule, mandate, collection: rule.selection.collection(), key: self.mac_key(Purpose::Plan)? };
        let next = Next {
            due: Vec::new(),
            taken: matches!(supply, Supply::Found { .. }).then(HashSet::new),
            below: HashSet::new(),
            last_day_left: mandate.on_last_day,
            size: BatchSize::first(),
        };
        let (aloft, last, walked) = (VecDeque::new(), None, Walked::default());
        let mut walk = Walk { connector, context, pick, next, supply, side_by_side, aloft, last, walked };
        let mut went = self.drop_partitions(&mut walk, tried, progress).await;
        if went.is_ok() && !walk.walked.ends() {
            went = self.batches(&mut walk, tried, progress).await;
        }
        // Whatever ended it: what is done is written.
        if went.is_err() {
            walk.aloft.iter().for_each(Erasing::never);
        }
        let ended = self.end_all(&mut walk, tried).await;
        went?;
        ended?;
        Ok(walk.walked)
    }

    /// Waits for every batch that the system has, and writes what became of them.
    async fn end_all(&mut self, walk: &mut Walk<'_>, tried: &mut Tried) -> Result<(), EngineError> {
        while !walk.aloft.is_empty() {
            self.end_oldest(walk, tried).await?;
        }
        self.conclude_last(walk).await
    }

    /// Writes the outcomes of the last batch, before anything else is done.
    async fn conclude_last(&mut self, walk: &mut Walk<'_>) -> Result<(), EngineError> {
        let Some(last) = walk.last.take() else { return Ok(()) };
        let (connector, aloft) = (Arc::clone(&walk.connector), walk.pairs_aloft());
        let absence = self.conclude(connector.as_ref(), &walk.context.rule, last, aloft).await?;
        walk.walked.absence.merge(&absence);
        Ok(())
    }

    async fn batches(
        &mut self,
        walk: &mut Walk<'_>,
        tried: &mut Tried,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        loop {
            let more = self.fill(walk, tried).await?;
            let (batch, since): (Vec<Item>, Vec<NaiveDate>) =
                walk.next.due.drain(..).map(|one| (one.item, one.since)).unzip();
            if batch.is_empty() {
                return Ok(());
            }
            self.next_batch(walk, (batch, since), tried, progress).await?;
            if walk.walked.ends() || !more {
                return Ok(());
            }
        }
    }

    /// Fills the next batch. False: nothing comes behind it.
    async fn fill(&mut self, walk: &mut Walk<'_>, tried: &Tried) -> Result<bool, EngineError> {
        let (last_day, rule) = (walk.pick.mandate.last_day, walk.pick.rule);
        while walk.next.due.len() < walk.next.size.get() {
            match &mut walk.supply {
                Supply::Planned(items) => {
                    let Some(due) = items.next().transpose().map_err(planned_error)? else { return Ok(false) };
                    if walk.next.reaches(due.since, last_day) && !walk.pick.was_tried(tried, &due.key) {
                        let planned::Due { key, fingerprint, parts, since } = due;
                        walk.next.take(vec![Due { item: Item { key, fingerprint, parts }, since }], last_day);
                    }
                }
                Supply::Found { after, page, end } => {
                    let Some(found) = page.next() else {
                        if *end {
                            return Ok(false);
                        }
                        let identities = !self.holds.is_empty();
                        let due_by = Some(walk.pick.mandate.moment);
                        let query = Query { rule, due_by, identities, limit: PAGE };
                        let read = walk.connector.find(&query, after.as_ref()).await?;
                        (*page, *after) = (read.found.into_iter(), read.next);
                        *end = after.is_none();
                        walk.next.taken = Some(walk.next.due.iter().map(|one| one.item.key.clone()).collect());
                        continue;
                    };
                    if !walk.next.has(&found.key) {
                        let all = walk.pick.with_below(found, &self.holds, tried, &walk.next)?;
                        walk.next.take(all, last_day);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Asks brakes, holds and stops once more, and waits where a brake says so. False: the walk ends here.
    async fn may_go_on(
        &mut self,
        walk: &mut Walk<'_>,
        tried: &mut Tried,
        progress: &dyn Progress,
    ) -> Result<bool, EngineError> {
        let rule: &Rule = &walk.context.rule;
        if self.must_wait(walk.connector.as_ref(), rule, progress).await {
            // What is done is written before anybody waits.
            self.end_all(walk, tried).await?;
            if walk.walked.ends() {
                return Ok(false);
            }
            walk.walked.brakes = self.wait_for_brakes(walk.connector.as_ref(), rule, progress).await;
            if walk.walked.ends() {
                return Ok(false);
            }
        }
        self.refresh_holds()?;
        let frozen =
            self.view.frozen_rules.contains_key(&rule.id) || self.view.frozen_systems.contains_key(&rule.system);
        if self.heed_pause(progress)? || progress.stop() || frozen {
            walk.walked.stopped = true;
        }
        Ok(!walk.walked.stopped)
    }

    /// Asks again whether it may, then purges the batch.
    async fn next_batch(
        &mut self,
        walk: &mut Walk<'_>,
        batch: (Vec<Item>, Vec<NaiveDate>),
        tried: &mut Tried,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let rule: &Rule = &walk.context.rule;
        if !self.may_go_on(walk, tried, progress).await? {
            return Ok(());
        }
        let (last, aloft) = (walk.last.take(), walk.pairs_aloft());
        let (batch, absence) = self.begin_batch(&walk.connector, walk.context, batch, last, aloft).await?;
        walk.walked.absence.merge(&absence);
        walk.aloft.push_back(batch);
        let behind = walk.side_by_side && self.pace(&rule.system) == Pace::Fast;
        while walk.aloft.len() > usize::from(behind) {
            self.end_oldest(walk, tried).await?;
        }
        progress.at(rule.id.as_str(), walk.walked.seen, walk.pick.mandate.set.len());
        Ok(())
    }

    /// Waits for the oldest batch that the system has, gives the next one its turn, and takes in what became of it.
    async fn end_oldest(&mut self, walk: &mut Walk<'_>, tried: &mut Tried) -> Result<(), EngineError> {
        self.conclude_last(walk).await?;
        let Some(mut batch) = walk.aloft.pop_front() else { return Ok(()) };
        let Walk { aloft, side_by_side, .. } = &mut *walk;
        let answer = batch.end(|| {
            // It may have met the one behind it, and would again.
            *side_by_side = false;
            aloft.iter().for_each(Erasing::lets_go);
        });
        let answer = answer.await;
        // What happens from here on is behind the oldest batch and before those behind it.
        crash_point!("turn");
        let well = matches!(answer, Some((Ok(_), _))) && !walk.walked.ends();
        if well && !walk.aloft.is_empty() {
            self.refresh_holds()?;
        }
        for next in walk.aloft.iter().take(1) {
            if well { next.goes(&self.holds) } else { next.never() }
        }
        let connector = Arc::clone(&walk.connector);
        let mut done = self.end_batch(connector.as_ref(), walk.context, &batch, answer).await?;
        walk.last = done.over.take();
        let rule: &Rule = &walk.context.rule;
        let pace = self.after_batch(&rule.system, done.took);
        let walked = &mut walk.walked;
        walk.next.size.learn(batch.items.len(), done.took, pace);
        walked.seen += batch.pairs();
        walked.records += batch.items.len() as u64;
        walked.refused += done.refused.len() as u64;
        walked.tally.merge(&done.tally);
        walked.absence.merge(&done.absence);
        for place in &done.refused {
            let mark = batch.items.get(*place).and_then(|item| walk.pick.tried_mark(&item.key));
            tried.extend(mark.zip(batch.since.get(*place).copied()));
        }
        walked.failure = walked.failure.take().or(done.failure.take());
        if walk.pick.mandate.look_again {
            self.conclude_last(walk).await?;
            walk.walked.back += found_again(connector.as_ref(), rule, &batch.items, &done).await?;
        }
        Ok(())
    }
}

fn planned_error(cause: std::io::Error) -> EngineError {
    EngineError::Io { doing: "read back the records of the plan in", path: "plans".into(), cause }
}

/// How many of the records that this batch purged are found again.
async fn found_again(
    connector: &dyn Connector,
    rule: &Rule,
    batch: &[Item],
    done: &BatchDone,
) -> Result<u64, EngineError> {
    let purged: Vec<Item> = done.purged.iter().filter_map(|place| batch.get(*place)).cloned().collect();
    if purged.is_empty() {
        return Ok(0);
    }
    let presence = connector.locate(rule, &purged).await?;
    let back = |(item, presence): &(&Item, &Presence)| match presence {
        Presence::Gone => false,
        Presence::CannotTell => true,
        Presence::Here { done, .. } => item.parts.iter().any(|part| done.get(*part) != Some(&true)),
    };
    Ok(purged.iter().zip(&presence).filter(back).count() as u64)
}

pub(super) fn oldest_due(verdicts: &[Verdict]) -> Option<NaiveDate> {
    let days = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Due(day) => Some(*day),
        Verdict::Kept(_) | Verdict::Settled => None,
    });
    days.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_takes_nothing_from_the_pace() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let days: DueDays = [(day("2024-01-01"), 2), (day("2024-02-01"), 10)].into();
        let tried: Tried = [([1; 16], day("2024-01-01")), ([2; 16], day("2024-02-01"))].into();
        let left = untried(&days, &tried);
        assert_eq!(left, [(day("2024-01-01"), 1), (day("2024-02-01"), 9)].into());
    }
}
