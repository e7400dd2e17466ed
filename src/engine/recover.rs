//! After a crash or a lost answer: what is in flight is settled by looking, never by guessing.
//!
//! | found at start | means | do |
//! |---|---|---|
//! | file, no intent | nothing was erased | drop it, no entry |
//! | intent and file, outcomes missing | unknown for those | settle those: [`Engine::settle_batch`] |
//! | intent, file, all outcomes | nobody looked for what is left | finding, head, then drop it |
//! | intent, and no file, another file, or one that can't be opened | can't be known | finding, rule frozen until `settle` |

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::codes;
use crate::connect::{Connector, Fate, Item, Presence};
use crate::crash_point;
use crate::domain::digest::Digest;
use crate::domain::id::{BatchId, PartId, RuleId, SystemId};
use crate::domain::outcome::{Outcome, Restored, Tally};
use crate::domain::rule::{Action, Part, Rule};
use crate::domain::selection::Selection;
use crate::state::inflight::{InFlight, InFlightError, InFlightFolder};

/// What recovery did.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Undos settled, and how.
    pub undone: BTreeMap<BatchId, BTreeMap<Restored, u64>>,
    /// Batches settled, and how.
    pub settled: BTreeMap<BatchId, Tally>,
    /// Batches that only a person can settle.
    pub beyond: Vec<BatchId>,
    /// Batches whose system could not be reached: tried again at the next run of their rule.
    pub waiting: Vec<(BatchId, String)>,
}

impl Engine {
    /// Settles everything in flight. Only under the run lock, and only where neither log, machine nor clock are in doubt.
    pub async fn recover(&mut self) -> Result<Recovered, EngineError> {
        self.sure()?;
        self.sure_of_time()?;
        // What others wrote before we had the lock: a batch that began or ended meanwhile.
        self.catch_up()?;
        let mut recovered = Recovered::default();
        let files = self.inflight.batches().map_err(|cause| EngineError::Io {
            doing: "list the in-flight files in",
            path: self.loaded.settings.state.join("inflight"),
            cause,
        })?;
        for batch in &files {
            if self.view.open.contains_key(batch) {
                continue;
            }
            // No intent, or all outcomes: either way nothing is open. The head makes the outcomes final first.
            if let Some(log) = self.log.as_mut() {
                log.seal()?;
            }
            self.tell_unlooked(batch)?;
            self.drop_inflight(batch)?;
        }
        let open: Vec<BatchId> =
            self.view.open.iter().filter(|(_, open)| !open.unsettled).map(|(batch, _)| batch.clone()).collect();
        for batch in open {
            crash_point!("recover-batch");
            match self.recover_batch(&batch).await {
                Ok(Some(tally)) => drop(recovered.settled.insert(batch, tally)),
                Ok(None) => recovered.beyond.push(batch),
                Err(error) if error.may_pass() => recovered.waiting.push((batch, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        self.recover_undos(&mut recovered).await?;
        Ok(recovered)
    }

    /// Settles what is still open on a system: a batch whose system was away when it was looked for, or went away in
    /// the middle of this very run. Before that nothing else may touch its records, or one purge would count twice.
    pub(super) async fn settle_waiting(&mut self, system: &SystemId) -> Result<(), EngineError> {
        let rules = &self.loaded.policy.rules;
        let here = |rule: &RuleId| rules.get(rule).is_some_and(|rule| rule.system == *system);
        let open = self.view.open.iter().filter(|(_, open)| !open.unsettled && here(&open.rule));
        let open: Vec<BatchId> = open.map(|(batch, _)| batch.clone()).collect();
        for batch in open {
            self.recover_batch(&batch).await?;
        }
        Ok(())
    }

    async fn recover_batch(&mut self, batch: &BatchId) -> Result<Option<Tally>, EngineError> {
        let Some(open) = self.view.open.get(batch).cloned() else { return Ok(Some(Tally::default())) };
        let Some(flight) = self.flight(&self.inflight, batch, open.file)? else {
            self.freeze_beyond_settling(batch, &open.rule, open.count)?;
            return Ok(None);
        };
        let connector = self.system(&flight.rule.system)?;
        self.settle_batch(connector.as_ref(), batch).await.map(Some)
    }

    /// A file of something in flight, where it is the one that the intent names.
    pub(super) fn flight(
        &self,
        folder: &InFlightFolder,
        batch: &BatchId,
        named: Digest,
    ) -> Result<Option<InFlight>, EngineError> {
        match folder.read(batch, self.ring()?) {
            Ok(Some((digest, flight))) if digest == named => Ok(Some(flight)),
            Ok(_) | Err(InFlightError::Sealed(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn freeze_beyond_settling(&mut self, batch: &BatchId, rule: &RuleId, count: u64) -> Result<(), EngineError> {
        let system = self.loaded.policy.rules.get(rule).map(|rule| rule.system.clone());
        self.record(&[
            Body::Finding {
                code: codes::BEYOND_SETTLING.id.into(),
                change: "opened".into(),
                rule: Some(rule.clone()),
                system,
                batch: Some(batch.clone()),
                place: None,
                count,
            },
            Body::Refused {
                rule: Some(rule.clone()),
                system: None,
                plan: None,
                limits: Vec::new(),
                code: codes::BEYOND_SETTLING.id.into(),
                frozen: true,
            },
        ])
    }

    /// Settles what a batch's outcomes lack: by the system's own record of the transaction, else by looking at the
    /// records with locks, which waits for the dead connection's transaction.
    pub(super) async fn settle_batch(
        &mut self,
        connector: &dyn Connector,
        batch: &BatchId,
    ) -> Result<Tally, EngineError> {
        let Some(open) = self.view.open.get(batch).cloned() else { return Ok(Tally::default()) };
        let Some(flight) = self.flight(&self.inflight, batch, open.file)? else {
            self.freeze_beyond_settling(batch, &open.rule, open.count)?;
            return Ok(Tally::default());
        };
        let rule = &flight.rule;
        let items = items_of(&flight);
        let mut fate = fate_of(connector, &self.inflight, batch).await?;
        let presence = connector.locate(rule, &items).await?;
        if matches!(fate, Fate::CannotTell | Fate::Running) {
            // The locking look has waited for the transaction's end; now the server may know.
            fate = ended(connector, &self.inflight, batch).await?;
        }
        let Selection::Sql(sql) = &rule.selection;
        if sql.allow_no_transactions {
            // Each statement stood for itself, so no COMMIT says anything of the others.
            fate = Fate::CannotTell;
        }
        let parts_alone = sql.allow_no_transactions && (sql.follow_foreign_keys || !sql.children.is_empty());
        let (kept, mut gone) = (self.kept_of_batch(&open.run, batch)?, BTreeSet::new());
        let (mut tally, mut bodies) = (Tally::default(), Vec::new());
        for (item, presence) in items.iter().zip(&presence) {
            for place in &item.parts {
                let Some(part) = rule.parts.get(*place) else { continue };
                let record = self.commit_to(rule, &item.key, &part.id, &flight.log_key)?;
                if open.have.contains(&(record, part.id.clone())) {
                    // What became of it stands in the log; if it went, it is kept.
                    gone.insert(item.key.clone());
                    continue;
                }
                let outcome = settle(part, *place, fate, presence);
                // What hangs below a record that is here may be gone without it.
                let outcome = if parts_alone && outcome == Outcome::NotDone { Outcome::Unknown } else { outcome };
                if !matches!(outcome, Outcome::NotDone | Outcome::Changed) {
                    gone.insert(item.key.clone());
                }
                tally.add(outcome);
                let until = kept.until(&item.key, outcome);
                bodies.push(outcome_body(batch, rule, &part.id, record, outcome, until));
            }
        }
        let told = [(Outcome::Unknown, codes::UNKNOWN_OUTCOME), (Outcome::GoneUnexplained, codes::GONE_UNEXPLAINED)];
        for (outcome, code) in told.into_iter().filter(|(outcome, _)| tally.of(*outcome) > 0) {
            bodies.push(Body::Finding {
                code: code.id.into(),
                change: "opened".into(),
                rule: Some(rule.id.clone()),
                system: Some(rule.system.clone()),
                batch: Some(batch.clone()),
                place: None,
                count: tally.of(outcome),
            });
        }
        if tally.purged() > 0 {
            // Their old values died with the process that knew them, or with the connection.
            bodies.extend(self.finding_opened(rule, codes::NOT_LOOKED_FOR, tally.purged()));
        }
        crash_point!("recover-settled");
        self.record_under(&bodies, &flight.log_key)?;
        crash_point!("recover-recorded");
        self.forget_what_stayed(&open.run, batch, &kept, &gone)?;
        self.drop_inflight(batch)?;
        Ok(tally)
    }
}

/// What became of the transaction of something in flight. Where COMMIT was never about to be sent, nothing needs asking.
pub(super) async fn fate_of(
    connector: &dyn Connector,
    folder: &InFlightFolder,
    id: &BatchId,
) -> Result<Fate, EngineError> {
    let ticket = folder.ticket(id).map_err(|cause| EngineError::Io {
        doing: "read the ticket of",
        path: id.as_str().into(),
        cause,
    })?;
    let Some(ticket) = ticket else { return Ok(Fate::NotCommitted) };
    Ok(connector.fate(id, Some(ticket.as_str()).filter(|ticket| !ticket.is_empty())).await?)
}

/// The same after the records were looked at. A transaction that still runs is nothing to go on from.
pub(super) async fn ended(
    connector: &dyn Connector,
    folder: &InFlightFolder,
    id: &BatchId,
) -> Result<Fate, EngineError> {
    match fate_of(connector, folder, id).await? {
        Fate::Running => Err(EngineError::StillRuns(id.clone())),
        fate => Ok(fate),
    }
}

fn outcome_body(
    batch: &BatchId,
    rule: &Rule,
    part: &PartId,
    record: Digest,
    result: Outcome,
    until: Option<NaiveDate>,
) -> Body {
    Body::Outcome {
        batch: batch.clone(),
        rule: rule.id.clone(),
        part: part.clone(),
        record,
        result,
        children: BTreeMap::new(),
        pending: None,
        recovered: true,
        until,
    }
}

/// The one table of settling: what the system recorded, and what the record looks like now.
fn settle(part: &Part, place: usize, fate: Fate, presence: &Presence) -> Outcome {
    let ours = match part.action {
        Action::Delete => Outcome::Erased,
        Action::Anonymise(_) => Outcome::Anonymised,
    };
    let done = |done: &[bool]| done.get(place).copied().unwrap_or(false);
    match (fate, presence) {
        // A committed batch erased all but those that its judge left, and those are still here.
        (Fate::Committed, Presence::Gone) => ours,
        (Fate::Committed, Presence::Here { done: parts, .. }) if !part.is_record() && done(parts) => ours,
        (Fate::Committed, Presence::Here { .. }) => Outcome::Changed,
        (Fate::NotCommitted, Presence::Gone) => Outcome::GoneUnexplained,
        (Fate::NotCommitted, Presence::Here { done: parts, .. }) if !part.is_record() && done(parts) => {
            Outcome::GoneUnexplained
        }
        (Fate::NotCommitted, Presence::Here { .. }) => Outcome::NotDone,
        (Fate::CannotTell, Presence::Gone) => Outcome::GoneUnexplained,
        (Fate::CannotTell, Presence::Here { done: parts, .. }) if !part.is_record() && done(parts) => {
            Outcome::GoneUnexplained
        }
        (Fate::CannotTell, Presence::Here { same: true, .. }) => Outcome::NotDone,
        (Fate::Running, _) | (_, Presence::CannotTell) | (Fate::CannotTell, Presence::Here { same: false, .. }) => {
            Outcome::Unknown
        }
    }
}

pub(super) fn items_of(flight: &InFlight) -> Vec<Item> {
    let place_of = |name: &String| flight.rule.parts.iter().position(|part| part.id.as_str() == name);
    let item = |record: &crate::state::inflight::InFlightRecord| Item {
        key: record.key.clone(),
        fingerprint: record.fingerprint,
        parts: record.parts.iter().filter_map(place_of).collect(),
    };
    flight.records.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(action: Action) -> Part {
        Part { id: PartId::record(), action, grounds: Vec::new() }
    }

    #[test]
    fn nothing_is_claimed_that_is_not_known() {
        let (whole, fields) = (part(Action::Delete), part(Action::Anonymise(BTreeMap::new())));
        let here = |same, done| Presence::Here { same, done: vec![done] };
        for (part, fate, presence, outcome) in [
            (&whole, Fate::Committed, Presence::Gone, Outcome::Erased),
            (&whole, Fate::Committed, here(true, false), Outcome::Changed),
            (&whole, Fate::NotCommitted, here(true, false), Outcome::NotDone),
            (&whole, Fate::NotCommitted, Presence::Gone, Outcome::GoneUnexplained),
            (&whole, Fate::CannotTell, Presence::Gone, Outcome::GoneUnexplained),
            (&whole, Fate::CannotTell, here(true, false), Outcome::NotDone),
            (&whole, Fate::CannotTell, here(false, false), Outcome::Unknown),
            (&whole, Fate::CannotTell, Presence::CannotTell, Outcome::Unknown),
            (&fields, Fate::Committed, here(false, true), Outcome::Anonymised),
            (&fields, Fate::Committed, here(true, false), Outcome::Changed),
            (&fields, Fate::CannotTell, here(false, true), Outcome::GoneUnexplained),
            (&fields, Fate::CannotTell, here(true, false), Outcome::NotDone),
        ] {
            assert_eq!(settle(part, 0, fate, &presence), outcome, "{fate:?} {presence:?}");
        }
    }
}
