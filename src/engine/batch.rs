//! One batch under the crash protocol: in-flight file, intent, one transaction, outcomes, one head, a look for what is left,
//! file removed. The file and the intent are written while the system locks and reads the records; outcomes, head and look
//! of one batch go beside the next one's transaction.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::flight::{Ahead, Chore, Intended, Over};
use super::quarantine::{BatchKeeper, Keeping};
use super::{Engine, EngineError};
use crate::audit::commitment::Committer;
use crate::connect::{Absence, Advice, Batch, CommitWatch, ConnectError, Connector, EraseError, Item, Judge, Keeper};
use crate::crash_point;
use crate::domain::decide::{Found, KeepReason, Moment, Verdict, decide, decide_apart};
use crate::domain::digest::Digest;
use crate::domain::hold::Holds;
use crate::domain::id::{BatchId, PartId, PlanId, RunId};
use crate::domain::outcome::{Outcome, Receipt, Tally};
use crate::domain::rule::{Part, Rule};
use crate::domain::value::record_bytes;
use crate::random;
use crate::state::inflight::{InFlight, InFlightFolder, InFlightRecord};
use crate::state::keys::KeyId;

/// Attempts at one batch when the server breaks a deadlock or gives no lock in time.
const ATTEMPTS: u32 = 6;
/// Bytes of the log that one outcome takes at most, reserved before the intent.
pub(super) const OUTCOME_BYTES: u64 = 640;

/// What every batch of a run shares.
#[derive(Debug, Clone)]
pub(super) struct RunContext<'a> {
    pub(super) rule: &'a Rule,
    pub(super) run: RunId,
    pub(super) plan: PlanId,
    pub(super) decision: Digest,
    pub(super) moment: Moment,
    /// Where what goes is kept, under a rule with an undo window.
    pub(super) keeping: Option<Keeping>,
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
    /// Purges one batch, and meanwhile writes what became of the last one and looks for what is left of that. What is
    /// found of the last one is given too. The outcomes of this one are still to be written.
    pub(super) async fn purge_batch(
        &mut self,
        connector: &dyn Connector,
        context: &RunContext<'_>,
        items: Arc<Vec<Item>>,
        last: Option<Over>,
    ) -> Result<(BatchDone, Absence), EngineError> {
        // Nothing is locked yet: the last moment of which that can be said.
        crash_point!("batch-filled");
        let id = BatchId::from_random(random::bytes());
        let log_key = self.log_key_id()?;
        let ahead = self.ahead(&id, context, &items, &log_key)?;
        let over = match &last {
            Some(over) => Some((over.clone(), context.rule.clone(), self.committer(&over.log_key)?)),
            None => None,
        };
        let writing = self.begin_writing(Chore { over, ahead: Some(ahead) })?;

        let begun = Instant::now();
        let (absence, (answer, took)) = tokio::join!(
            biased;
            async {
                match &last {
                    Some(last) => self.look_for_leftovers(connector, context.rule, last).await,
                    None => Absence::default(),
                }
            },
            async {
                let answer = self.erase_with_retries(connector, context, &id, &items, &writing.intended).await;
                (answer, begun.elapsed())
            },
        );
        self.written(writing).await?;
        if let Some(last) = &last {
            self.forget(context.rule, last, &absence)?;
        }
        let done = match answer {
            Ok(receipts) => self.done(context, id, items, receipts, log_key, took)?,
            Err(EraseError::NotDone(error)) => {
                let receipts = all_receipts(&items, Outcome::Failed);
                let done = self.done(context, id, items, receipts, log_key, took)?;
                BatchDone { failure: Some(error), refused: Vec::new(), ..done }
            }
            Err(EraseError::InDoubt(_)) => {
                // Nobody was told: it is settled as after a crash, by looking.
                let tally = self.settle_batch(connector, &id).await?;
                let absence = Absence { unlooked: tally.purged(), ..Absence::default() };
                BatchDone { tally, took, absence, ..BatchDone::default() }
            }
        };
        Ok((done, absence))
    }

    /// Writes the outcomes of the last batch, looks for what is left of it, and removes its file.
    pub(super) async fn conclude(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
        last: Over,
    ) -> Result<Absence, EngineError> {
        let over = Some((last.clone(), rule.clone(), self.committer(&last.log_key)?));
        let writing = self.begin_writing(Chore { over, ahead: None })?;
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
    fn ahead(
        &self,
        id: &BatchId,
        context: &RunContext<'_>,
        items: &[Item],
        log_key: &str,
    ) -> Result<Ahead, EngineError> {
        let names = |item: &Item| {
            item.parts
                .iter()
                .filter_map(|place| context.rule.parts.get(*place))
                .map(|part| part.id.to_string())
                .collect()
        };
        let records = items.iter().map(|item| InFlightRecord {
            key: item.key.clone(),
            fingerprint: item.fingerprint.clone(),
            parts: names(item),
        });
        let flight = InFlight {
            batch: id.clone(),
            run: context.run.clone(),
            rule: context.rule.clone(),
            plan: context.plan,
            decision: context.decision,
            log_key: log_key.to_string(),
            records: records.collect(),
        };
        Ok(Ahead { flight, sealer: self.ring()?.sealer()?, folder: self.inflight.clone() })
    }

    async fn erase_with_retries(
        &self,
        connector: &dyn Connector,
        context: &RunContext<'_>,
        id: &BatchId,
        items: &[Item],
        intended: &Intended,
    ) -> Result<Vec<Receipt>, EraseError> {
        let judge = HeldJudge { rule: context.rule, items, holds: &self.holds, moment: context.moment };
        let keeper = context.keeping.as_ref().map(|keeping| BatchKeeper {
            folder: &self.quarantine,
            run: &context.run,
            batch: id,
            rule: context.rule,
            items,
            keeping,
        });
        let watch = Watch { folder: &self.inflight, batch: id, keeper, intended: Some(intended.clone()) };
        with_retries(id, async || {
            let (now, due_by) = (crate::now::now(), context.moment.today);
            let batch = Batch { id, rule: context.rule, items, now, due_by };
            connector.erase(&batch, &judge, &watch).await
        })
        .await
    }

    /// What a batch did, by its receipts.
    fn done(
        &self,
        context: &RunContext<'_>,
        id: BatchId,
        items: Arc<Vec<Item>>,
        receipts: Vec<Receipt>,
        log_key: String,
        took: Duration,
    ) -> Result<BatchDone, EngineError> {
        let mut tally = Tally::default();
        for receipt in &receipts {
            tally.add(receipt.outcome);
        }
        if context.keeping.is_some() && tally.purged() == 0 {
            self.quarantine.drop_batch(&context.run, &id)?;
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

/// Tries again what the server rolled back because of a deadlock or a lock that did not come in time.
pub(super) async fn with_retries<T>(
    batch: &BatchId,
    once: impl AsyncFn() -> Result<T, EraseError>,
) -> Result<T, EraseError> {
    let mut pause = Duration::from_millis(50);
    let mut attempt = 1;
    loop {
        match once().await {
            Err(EraseError::NotDone(error)) if error.advice == Advice::RetryLater && attempt < ATTEMPTS => {
                tracing::info!(batch = %batch, attempt, error = %error, "batch rolled back, will be tried again");
                tokio::time::sleep(pause).await;
                pause *= 2;
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

/// One receipt with this outcome for every (item, part).
fn all_receipts(items: &[Item], outcome: Outcome) -> Vec<Receipt> {
    let each = items.iter().enumerate().flat_map(|(place, item)| item.parts.iter().map(move |part| (place, *part)));
    each.map(|(item, part)| Receipt { item, part, outcome, children: std::collections::BTreeMap::new(), pending: None })
        .collect()
}

/// Decides again, in the erasing transaction, with the holds as loaded for this batch.
struct HeldJudge<'a> {
    rule: &'a Rule,
    items: &'a [Item],
    holds: &'a Holds,
    moment: Moment,
}

impl Judge for HeldJudge<'_> {
    fn judge(&self, item: usize, found: &Found) -> Vec<(usize, Result<(), Outcome>)> {
        let Some(planned) = self.items.get(item) else { return Vec::new() };
        let goes_whole = planned.parts.iter().any(|part| self.rule.parts.get(*part).is_some_and(Part::is_record));
        // Of a record that stays for what hangs below it, which is not read here, the fields are due all the same.
        let decide = if goes_whole { decide } else { decide_apart };
        let verdicts = decide(self.rule, found, self.holds, self.moment);
        let same = found.fingerprint == planned.fingerprint && found.key == planned.key;
        let rule_on = |part: &usize| match (verdicts.get(*part), found.done.get(*part)) {
            (Some(Verdict::Kept(KeepReason::Held | KeepReason::Protected)), _) => Err(Outcome::Withheld),
            (Some(Verdict::Settled), Some(true)) => Err(Outcome::AlreadyGone),
            (Some(Verdict::Due(_)), _) if same => Ok(()),
            _ => Err(Outcome::Changed),
        };
        planned.parts.iter().map(|part| (*part, rule_on(part))).collect()
    }

    fn wants_identities(&self) -> bool {
        !self.holds.is_empty()
    }
}

/// Puts on the disk, before COMMIT, that it is about to be sent, with the transaction's number where there is one.
pub(super) struct Watch<'a> {
    pub(super) folder: &'a InFlightFolder,
    pub(super) batch: &'a BatchId,
    pub(super) keeper: Option<BatchKeeper<'a>>,
    /// Whether the intent is on the disk, where that is not waited for before the system is asked.
    pub(super) intended: Option<Intended>,
}

#[async_trait]
impl CommitWatch for Watch<'_> {
    async fn before_write(&self) -> io::Result<()> {
        let Some(mut intended) = self.intended.clone() else { return Ok(()) };
        // Who was to tell it is gone where nobody does.
        let told = intended.wait_for(Option::is_some).await.map(|told| *told);
        if matches!(told, Ok(Some(true))) { Ok(()) } else { Err(io::Error::other("the intent is not on the disk")) }
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        self.keeper.as_ref().map(|keeper| keeper as &dyn Keeper)
    }

    fn before_commit(&self, ticket: Option<&str>) -> io::Result<()> {
        self.folder.write_ticket(self.batch, ticket.unwrap_or_default())
    }

    fn point(&self, name: &'static str) {
        #[cfg(feature = "crash-points")]
        crate::crash::at(name);
        #[cfg(not(feature = "crash-points"))]
        let _ = name;
    }
}
