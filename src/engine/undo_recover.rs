//! After a crash or a lost answer in an undo: what became of it is found out by looking.
//!
//! | found | means | do |
//! |---|---|---|
//! | file, no intent | nothing was put back | drop it, no entry |
//! | intent and file, answers missing | unknown for those | look, under lock, whether what was kept is there |
//! | intent, file, all answers | finished | drop the file |
//! | intent, and no file or one that can't be opened, or what it names is not kept any more | can't be known | finding |

use std::collections::BTreeMap;

use super::quarantine::is_damaged;
use super::recover::{Recovered, ended, fate_of};
use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::codes;
use crate::connect::{Back, Connector, Fate, Undo};
use crate::crash_point;
use crate::domain::id::{BatchId, PartId};
use crate::domain::outcome::Restored;
use crate::domain::value::Key;
use crate::state::inflight::InFlight;

impl Engine {
    /// Settles every undo that was interrupted.
    pub(super) async fn recover_undos(&mut self, recovered: &mut Recovered) -> Result<(), EngineError> {
        let files = self.undoing.batches().map_err(|cause| EngineError::Io {
            doing: "list the files in",
            path: self.loaded.settings.state.join("undo"),
            cause,
        })?;
        for undo in files.iter().filter(|undo| !self.view.undoing.contains_key(*undo)) {
            if let Some(log) = self.log.as_mut() {
                log.seal()?;
            }
            self.drop_undo(undo)?;
        }
        let open: Vec<BatchId> = self.view.undoing.keys().cloned().collect();
        for undo in open {
            crash_point!("recover-undo");
            let Some(system) = self.flight_of(&undo)?.map(|flight| flight.rule.system) else {
                self.beyond_knowing(&undo)?;
                recovered.beyond.push(undo);
                continue;
            };
            let settled = match self.system(&system) {
                Ok(connector) => self.settle_undo(connector.as_ref(), &undo).await,
                Err(error) => Err(error),
            };
            match settled {
                Ok(tally) => drop(recovered.undone.insert(undo, tally)),
                Err(error) if error.may_pass() => recovered.waiting.push((undo, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The file of an open undo, where it is the one that the intent names.
    fn flight_of(&self, undo: &BatchId) -> Result<Option<InFlight>, EngineError> {
        let Some(open) = self.view.undoing.get(undo) else { return Ok(None) };
        self.flight(&self.undoing, undo, open.file)
    }

    fn beyond_knowing(&mut self, undo: &BatchId) -> Result<(), EngineError> {
        let Some(open) = self.view.undoing.get(undo).cloned() else { return Ok(()) };
        let system = self.loaded.policy.rules.get(&open.rule).map(|rule| rule.system.clone());
        self.record(&[Body::Finding {
            code: codes::UNKNOWN_OUTCOME.id.into(),
            change: "opened".into(),
            rule: Some(open.rule),
            system,
            batch: Some(undo.clone()),
            place: None,
            count: open.count - open.have.len() as u64,
        }])?;
        self.drop_undo(undo)
    }

    /// Gives each pair of an undo that has no answer yet the one that looking gives.
    pub(super) async fn settle_undo(
        &mut self,
        connector: &dyn Connector,
        undo: &BatchId,
    ) -> Result<BTreeMap<Restored, u64>, EngineError> {
        let mut tally = BTreeMap::new();
        let Some(open) = self.view.undoing.get(undo).cloned() else { return Ok(tally) };
        let Some(flight) = self.flight_of(undo)? else {
            self.beyond_knowing(undo)?;
            return Ok(tally);
        };
        let kept = match self.kept_batch(&open.run, &open.batch) {
            Ok(Some(kept)) => kept,
            Err(error) if !is_damaged(&error) => return Err(error),
            _ => {
                self.beyond_knowing(undo)?;
                return Ok(tally);
            }
        };
        let kept: BTreeMap<Key, Vec<u8>> = kept.records.into_iter().map(|one| (one.key, one.bytes)).collect();
        let records: Vec<_> = flight.records.iter().filter_map(|one| Some((one, kept.get(&one.key)?))).collect();
        let bytes: Vec<&[u8]> = records.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        let mut fate = fate_of(connector, &self.undoing, undo).await?;
        let backs = connector.look_back(&Undo { id: undo, kept: &bytes }).await?;
        if matches!(fate, Fate::CannotTell | Fate::Running) {
            // The look may have waited for the transaction's end; a row that is not committed yet keeps nobody waiting.
            fate = ended(connector, &self.undoing, undo).await?;
        }
        let mut bodies = Vec::new();
        let looked: BTreeMap<&Key, &Back> = records.iter().map(|(one, _)| &one.key).zip(&backs).collect();
        for one in &flight.records {
            for part in &one.parts {
                let part =
                    PartId::new(part.clone()).map_err(|_| EngineError::Refused("an undo names no part".into()))?;
                let record = self.commit_to(&flight.rule, &one.key, &part, &flight.log_key)?;
                if open.have.contains(&(record, part.clone())) {
                    continue;
                }
                let back = looked.get(&one.key);
                let result = back.map_or(Restored::Unknown, |back| settled(fate, back.of(part.as_str())));
                *tally.entry(result).or_default() += 1;
                let (undo, rule) = (undo.clone(), flight.rule.id.clone());
                let left = back.map_or(0, |back| back.left);
                bodies.push(Body::Restored { undo, rule, part, record, result, left, recovered: true });
            }
        }
        crash_point!("recover-undo-settled");
        self.record_under(&bodies, &flight.log_key)?;
        crash_point!("recover-undo-recorded");
        self.tell_undone(&flight.rule, &tally, 0, false)?;
        self.drop_undo(undo)?;
        Ok(tally)
    }
}

/// What was found, held against what the server says of the transaction. A transaction that was committed put back all
/// that it could, so what is not there then was refused in it, or went again since.
fn settled(fate: Fate, looked: Restored) -> Restored {
    match (fate, looked) {
        // There, though our transaction did not do it: it was there before, or somebody else's.
        (Fate::NotCommitted, Restored::Restored) => Restored::AlreadyThere,
        (_, looked) => looked,
    }
}
