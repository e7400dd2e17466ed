//! Carrying out a mandate: what is still due and still in the set is found again and purged in batches.

use std::collections::{BTreeMap, HashSet};

use chrono::NaiveDate;

use super::batch::{BatchDone, RunContext};
use super::run::Mandate;
use super::survey::{DueDays, PAGE, Progress, mark};
use super::{Engine, EngineError};
use crate::connect::{ConnectError, Connector, Item, Presence, Query};
use crate::domain::decide::{Found, Verdict, decide};
use crate::domain::digest::MacKey;
use crate::domain::outcome::Tally;
use crate::domain::rule::{Part, Rule};
use crate::domain::value::Key;
use crate::state::keys::Purpose;
use crate::state::spool::Mark;

/// Records in one batch.
const BATCH: usize = 500;

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
    /// Whether somebody stopped it.
    pub(super) stopped: bool,
    /// Why the system stopped it.
    pub(super) failure: Option<ConnectError>,
}

impl Walked {
    fn ends(&self) -> bool {
        self.stopped || self.failure.is_some() || self.back > 0
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

/// What is being filled for the next batch.
struct Next {
    items: Vec<Item>,
    since: Vec<NaiveDate>,
    /// Records that went into a batch since they hang below another.
    below: HashSet<Key>,
}

impl Next {
    /// Takes a record, and with its whole record those below it: they are due themselves, and must go in one
    /// transaction, each with an outcome of its own.
    fn take(&mut self, rule: &Rule, found: Found, parts: Vec<usize>, since: NaiveDate) {
        let whole = rule.parts.iter().position(Part::is_record).filter(|place| parts.contains(place));
        let in_batch = |items: &[Item], key: &Key| items.iter().any(|item| item.key == *key);
        for one in found.below.into_iter().map(|below| below.found) {
            if let Some(whole) = whole
                && !in_batch(&self.items, &one.key)
                && self.below.insert(one.key.clone())
            {
                self.items.push(Item { key: one.key, fingerprint: one.fingerprint, parts: vec![whole] });
                self.since.push(since);
            }
        }
        self.items.push(Item { key: found.key, fingerprint: found.fingerprint, parts });
        self.since.push(since);
    }
}

/// What the walk asks of each record.
struct Pick<'a> {
    rule: &'a Rule,
    collection: String,
    key: MacKey,
}

impl Pick<'_> {
    /// A record's place among those that were tried.
    fn tried_mark(&self, record: &Key) -> Option<Mark> {
        self.rule.parts.first().map(|part| mark(&self.key, self.rule, &self.collection, record, &part.id))
    }
}

impl Engine {
    /// Finds what is still due and still in the set, and purges it in batches.
    pub(super) async fn purge_walk(
        &mut self,
        connector: &dyn Connector,
        context: &RunContext<'_>,
        mandate: &Mandate,
        tried: &mut Tried,
        progress: &dyn Progress,
    ) -> Result<Walked, EngineError> {
        let rule = context.rule;
        let pick = Pick { rule, collection: rule.selection.collection(), key: self.mac_key(Purpose::Plan)? };
        let mut walked = Walked::default();
        let mut next =
            Next { items: Vec::with_capacity(BATCH), since: Vec::with_capacity(BATCH), below: HashSet::new() };
        let (mut after, mut last_day_left) = (None, mandate.on_last_day);
        loop {
            let identities = !self.holds.is_empty();
            let query = Query { rule, due_by: Some(mandate.moment.today), identities, limit: PAGE };
            let page = connector.find(&query, after.as_ref()).await?;
            for found in page.found {
                let verdicts = decide(rule, &found, &self.holds, mandate.moment);
                let Some(oldest) = oldest_due(&verdicts) else { continue };
                if oldest > mandate.last_day || (oldest == mandate.last_day && last_day_left == 0) {
                    continue;
                }
                let parts = parts_in_set(&pick, mandate, &found.key, &verdicts)?;
                let was_tried = pick.tried_mark(&found.key).is_some_and(|mark| tried.contains_key(&mark));
                if parts.is_empty() || was_tried || next.below.contains(&found.key) {
                    continue;
                }
                last_day_left -= u64::from(oldest == mandate.last_day);
                next.take(rule, found, parts, oldest);
                if next.items.len() >= BATCH {
                    self.next_batch(connector, context, &pick, &mut next, tried, &mut walked, mandate, progress)
                        .await?;
                    if walked.ends() {
                        return Ok(walked);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                self.next_batch(connector, context, &pick, &mut next, tried, &mut walked, mandate, progress).await?;
                return Ok(walked);
            }
        }
    }

    /// Asks again whether it may, then purges the batch.
    #[expect(clippy::too_many_arguments, reason = "one step of one walk: it works on all that the walk holds")]
    async fn next_batch(
        &mut self,
        connector: &dyn Connector,
        context: &RunContext<'_>,
        pick: &Pick<'_>,
        next: &mut Next,
        tried: &mut Tried,
        walked: &mut Walked,
        mandate: &Mandate,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let (batch, since) = (std::mem::take(&mut next.items), std::mem::take(&mut next.since));
        if batch.is_empty() {
            return Ok(());
        }
        self.refresh_holds()?;
        let frozen = self.view.frozen_rules.contains_key(&context.rule.id)
            || self.view.frozen_systems.contains_key(&context.rule.system);
        if self.heed_pause(progress)? || progress.stop() || frozen {
            walked.stopped = true;
            return Ok(());
        }
        let done = self.purge_batch(connector, context, &batch).await?;
        walked.seen += batch.iter().map(|item| item.parts.len() as u64).sum::<u64>();
        walked.records += batch.len() as u64;
        walked.refused += done.refused.len() as u64;
        walked.tally.merge(&done.tally);
        for place in &done.refused {
            let mark = batch.get(*place).and_then(|item| pick.tried_mark(&item.key));
            tried.extend(mark.zip(since.get(*place).copied()));
        }
        if mandate.look_again {
            walked.back += found_again(connector, context.rule, &batch, &done).await?;
        }
        walked.failure = done.failure;
        progress.at(context.rule.id.as_str(), walked.seen, mandate.set.len());
        Ok(())
    }
}

/// The parts of a record that are due and in the mandate's set.
fn parts_in_set(
    pick: &Pick<'_>,
    mandate: &Mandate,
    record: &Key,
    verdicts: &[Verdict],
) -> Result<Vec<usize>, EngineError> {
    let mut parts = Vec::new();
    for (place, part) in pick.rule.parts.iter().enumerate() {
        if !matches!(verdicts.get(place), Some(Verdict::Due(_))) {
            continue;
        }
        let mark = mark(&pick.key, pick.rule, &pick.collection, record, &part.id);
        let in_set = mandate.set.contains(&mark).map_err(|cause| EngineError::Io {
            doing: "read the plan's set for",
            path: pick.collection.clone().into(),
            cause,
        })?;
        if in_set {
            parts.push(place);
        }
    }
    Ok(parts)
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

fn oldest_due(verdicts: &[Verdict]) -> Option<NaiveDate> {
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
