//! One batch under the crash protocol: in-flight file, intent, one transaction, outcomes, one head, a look for what is left,
//! file removed. The file and the intent are written while the system locks and reads the records; outcomes, head and look
//! of one batch go beside the transactions of those behind it.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;

use super::erasing::{Ended, Erasing, Work};
use super::flight::{Ahead, Chore, Over};
use super::quarantine::Keeping;
use super::{Engine, EngineError};
use crate::audit::commitment::Committer;
use crate::connect::{Absence, ConnectError, Connector, EraseError, Item};
use crate::crash_point;
use crate::domain::decide::Moment;
use crate::domain::digest::Digest;
use crate::domain::id::{BatchId, PartId, PlanId, RunId};
use crate::domain::outcome::{Outcome, Receipt, Tally};
use crate::domain::rule::Rule;
use crate::domain::value::record_bytes;
use crate::random;
use crate::state::inflight::{InFlight, InFlightRecord};
use crate::state::keys::KeyId;

/// Bytes of the log that one outcome takes at most, reserved before the intent.
pub(super) const OUTCOME_BYTES: u64 = 640;

/// What every batch of a run shares.
pub(super) struct RunContext {
    pub(super) rule: Arc<Rule>,
    pub(super) run: RunId,
    pub(super) plan: PlanId,
    pub(super) decision: Digest,
    pub(super) moment: Moment,
    /// Where what goes is kept, under a rule with an undo window.
    pub(super) keeping: Option<Arc<Keeping>>,
}

impl RunContext {
    /// What the in-flight file of one of its batches says.
    pub(super) fn flight(&self, batch: BatchId, log_key: &str, records: Vec<InFlightRecord>) -> InFlight {
        InFlight {
            batch,
            run: self.run.clone(),
            rule: self.rule.as_ref().clone(),
            plan: self.plan,
            decision: self.decision,
            log_key: log_key.to_string(),
            records,
        }
    }

    /// How a file names parts of the rule, which it has by their places.
    pub(super) fn names(&self, parts: &[usize]) -> Vec<String> {
        parts.iter().filter_map(|place| self.rule.parts.get(*place)).map(|part| part.id.to_string()).collect()
    }
}

/// What a batch did, as far as it is known before its outcomes are written.
#[derive(Debug, Default)]
pub(super) struct BatchDone {
    pub(super) tally: Tally,
    /// Items that the system refused for reasons of their own, by their place.
    pub(super) refused: Vec<usize>,
    /// Items of which something was purged, by their place.
    pub(super) purged: Vec<usize>,
    /// Why nothing happened, when nothing did.
    pub(super) failure: Option<ConnectError>,
    /// How long the system had it, with every attempt.
    pub(super) took: Duration,
    /// What is still there of it, where that was looked for already.
    pub(super) absence: Absence,
    /// Its outcomes, to be written with the next batch or by [`Engine::conclude`].
    pub(super) over: Option<Over>,
}

impl Engine {
    /// Hands the next batch to the system, and meanwhile writes what became of the last one and looks for what is left of
    /// that. The batch writes nothing before its turn.
    pub(super) async fn begin_batch(
        &mut self,
        connector: &Arc<dyn Connector>,
        context: &RunContext,
        (items, since): (Vec<Item>, Vec<NaiveDate>),
        last: Option<Over>,
        aloft: u64,
    ) -> Result<(Erasing, Absence), EngineError> {
        // Nothing is locked yet: the last moment of which that can be said.
        crash_point!("batch-filled");
        let (id, items) = (BatchId::from_random(random::bytes()), Arc::new(items));
        let log_key = self.log_key_id()?;
        let ahead = self.ahead(&id, context, &items, &log_key)?;
        let over = match &last {
            Some(over) => Some((over.clone(), Arc::clone(&context.rule), self.committer(&over.log_key)?)),
            None => None,
        };
        let writing = self.begin_writing(Chore { over, ahead: Some(ahead), aloft })?;
        let work = Work {
            id,
            run: context.run.clone(),
            rule: Arc::clone(&context.rule),
            items,
            moment: context.moment,
            inflight: self.inflight.clone(),
            intended: writing.intended.clone(),
            keeping: context.keeping.as_ref().map(|keeping| (Arc::clone(keeping), self.quarantine.clone())),
        };
        let erasing = Erasing::begin(Arc::clone(connector), work, since, log_key, Arc::clone(&self.holds));
        if aloft == 0 {
            erasing.goes(&self.holds);
        }
        let absence = match &last {
            Some(last) => self.look_for_leftovers(connector.as_ref(), &context.rule, last).await,
            None => Absence::default(),
        };
        self.written(writing).await?;
        if let Some(last) = &last {
            self.forget(&context.rule, last, &absence)?;
        }
        Ok((erasing, absence))
    }

    /// What a batch did that has ended. Its outcomes are still to be written.
    pub(super) async fn end_batch(
        &mut self,
        connector: &dyn Connector,
        context: &RunContext,
        batch: &Erasing,
        ended: Option<Ended>,
    ) -> Result<BatchDone, EngineError> {
        let (answer, took) = match ended {
            Some((answer, took)) => (Some(answer), took),
            None => (None, Duration::ZERO),
        };
        match answer {
            Some(Ok(receipts)) => self.done(context, batch, receipts, took),
            Some(Err(EraseError::NotDone(_))) if batch.is_denied() => {
                self.done(context, batch, all_receipts(&batch.items, Outcome::NotDone), took)
            }
            Some(Err(EraseError::NotDone(error))) => {
                let done = self.done(context, batch, all_receipts(&batch.items, Outcome::Failed), took)?;
                Ok(BatchDone { failure: Some(error), refused: Vec::new(), ..done })
            }
            Some(Err(EraseError::InDoubt(_))) | None => {
                // Nobody was told: it is settled as after a crash, by looking.
                let tally = self.settle_batch(connector, &batch.id).await?;
                let absence = Absence { unlooked: tally.purged(), ..Absence::default() };
                Ok(BatchDone { tally, took, absence, ..BatchDone::default() })
            }
        }
    }

    /// Writes the outcomes of the last batch, looks for what is left of it, and removes its file.
    pub(super) async fn conclude(
        &mut self,
        connector: &dyn Connector,
        rule: &Arc<Rule>,
        last: Over,
        aloft: u64,
    ) -> Result<Absence, EngineError> {
        let over = Some((last.clone(), Arc::clone(rule), self.committer(&last.log_key)?));
        let writing = self.begin_writing(Chore { over, ahead: None, aloft })?;
        let absence = self.look_for_leftovers(connector, rule, &last).await;
        self.written(writing).await?;
        self.forget(rule, &last, &absence)?;
        Ok(absence)
    }

    /// The file stays until its records were looked for: who finds it tells that they were not.
    fn forget(&mut self, rule: &Rule, last: &Over, absence: &Absence) -> Result<(), EngineError> {
        crash_point!("looked");
        self.tell_leftovers(rule, absence)?;
        self.drop_inflight(&last.id)?;
        crash_point!("inflight-removed");
        Ok(())
    }

    /// What its in-flight file and its intent will say.
    fn ahead(&self, id: &BatchId, context: &RunContext, items: &[Item], log_key: &str) -> Result<Ahead, EngineError> {
        let records = items.iter().map(|item| InFlightRecord {
            key: item.key.clone(),
            fingerprint: item.fingerprint,
            parts: context.names(&item.parts),
        });
        let flight = context.flight(id.clone(), log_key, records.collect());
        Ok(Ahead { flight, sealer: self.ring()?.sealer()?, folder: self.inflight.clone() })
    }

    /// What a batch did, by its receipts.
    fn done(
        &self,
        context: &RunContext,
        batch: &Erasing,
        receipts: Vec<Receipt>,
        took: Duration,
    ) -> Result<BatchDone, EngineError> {
        let Erasing { id, items, log_key, .. } = batch;
        let mut tally = Tally::default();
        for receipt in &receipts {
            tally.add(receipt.outcome);
        }
        if context.keeping.is_some() && tally.purged() == 0 {
            self.quarantine.drop_batch(&context.run, id)?;
        }
        crash_point!("erased");
        let with = |fits: fn(Outcome) -> bool| {
            let mut places: Vec<usize> =
                receipts.iter().filter(|one| fits(one.outcome)).map(|receipt| receipt.item).collect();
            places.dedup();
            places
        };
        let (refused, purged) = (with(|outcome| outcome == Outcome::Failed), with(Outcome::is_purge));
        let until = context.keeping.as_ref().map(|keeping| keeping.until);
        let (id, items, log_key) = (id.clone(), Arc::clone(items), log_key.clone());
        let over = Some(Over { id, items, receipts: Arc::new(receipts), log_key, until });
        Ok(BatchDone { tally, refused, purged, failure: None, took, absence: Absence::default(), over })
    }

    /// A record's commitment in the log.
    pub(super) fn commit_to(
        &self,
        rule: &Rule,
        key: &crate::domain::value::Key,
        part: &PartId,
        log_key: &str,
    ) -> Result<Digest, EngineError> {
        let record = record_bytes(&rule.system, &rule.selection.collection(), key);
        Ok(self.committer(log_key)?.commitment(&record, part))
    }

    /// What commits to records under a segment's key.
    pub(super) fn committer(&self, log_key: &str) -> Result<Committer, EngineError> {
        let id = KeyId::try_from(log_key.to_string())?;
        let key = self.ring()?.key(&id)?;
        Ok(Committer::new(&key))
    }

    pub(super) fn drop_inflight(&self, id: &BatchId) -> Result<(), EngineError> {
        self.inflight.remove(id).map_err(|cause| EngineError::Io {
            doing: "remove the in-flight file of",
            path: id.as_str().into(),
            cause,
        })
    }
}

/// One receipt with this outcome for every (item, part).
pub(super) fn all_receipts(items: &[Item], outcome: Outcome) -> Vec<Receipt> {
    let each = items.iter().enumerate().flat_map(|(place, item)| item.parts.iter().map(move |part| (place, *part)));
    each.map(|(item, part)| Receipt { item, part, outcome, children: std::collections::BTreeMap::new(), pending: None })
        .collect()
}
