//! `bewaard undo`: what a run took is put back from its quarantine.
//!
//! It is as careful as taking: the hold first, so that no later run takes the records again; then a sealed file that says
//! which records, then the intent, then one transaction for each batch that took something, then one answer for each
//! (record, part) under one signed head. Later batches come back first, for what hangs on another record went before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::Days;

use super::batch::OUTCOME_BYTES;
use super::erasing::{Retries, Watch};
use super::holds::HoldWish;
use super::quarantine::{KeptBatch, KeptRecord, is_damaged};
use super::view::WindowFact;
use super::{Engine, EngineError};
use crate::audit::commitment::Committer;
use crate::audit::entry::Body;
use crate::audit::read::entries;
use crate::codes;
use crate::connect::{Back, ConnectError, Connector, EraseError, Undo};
use crate::crash_point;
use crate::domain::decide::Fingerprint;
use crate::domain::digest::Digest;
use crate::domain::id::{BatchId, HoldId, PartId, PlanId, RuleId, RunId};
use crate::domain::outcome::Restored;
use crate::domain::rule::Rule;
use crate::domain::value::{Key, record_bytes};
use crate::random;
use crate::state::inflight::{InFlight, InFlightRecord};
use crate::state::keys::KeyId;

/// Days after which a person must look at the hold that an undo places.
const REVIEW: u64 = 30;
/// Records under one hold: its entry names each of them, and has at most 64 KiB (C2SP tlog-tiles).
const HELD_TOGETHER: usize = 500;

/// What an undo is asked to do.
#[derive(Debug, Clone)]
pub struct UndoWish {
    /// The run.
    pub run: RunId,
    /// Only the record of this key, its parts as a person types them; `None`: all of the run.
    pub record: Option<Vec<String>>,
    /// Why.
    pub reason: String,
}

/// What an undo did.
#[derive(Debug)]
pub struct UndoReport {
    /// The rule.
    pub rule: RuleId,
    /// Until when it can be asked again.
    pub window: WindowFact,
    /// Answers, counted.
    pub tally: BTreeMap<Restored, u64>,
    /// Rows of others that have changed since and were left.
    pub left: u64,
    /// (record, part) pairs in batches of which what was kept can't be opened any more.
    pub damaged: u64,
    /// The holds that were placed.
    pub holds: Vec<HoldId>,
    /// What stopped it, when something did.
    pub failure: Option<ConnectError>,
}

/// What the log says that a run took: by batch, the commitments and the key that they were made under.
#[derive(Debug, Default)]
struct Taken {
    /// Batches in the order in which they took.
    order: Vec<BatchId>,
    pairs: HashMap<BatchId, BTreeSet<(Digest, PartId)>>,
    keys: HashMap<BatchId, BTreeSet<String>>,
}

/// What an undo has done so far.
#[derive(Debug, Default)]
struct Progress {
    tally: BTreeMap<Restored, u64>,
    left: u64,
    holds: Vec<HoldId>,
}

/// One record to put back, with the parts that went.
pub(super) struct Wanted {
    pub(super) record: KeptRecord,
    pub(super) parts: Vec<PartId>,
}

impl Engine {
    /// Puts back what a run took, or one record of it. Under the run lock, after recovery and after what had to expire.
    pub async fn undo(&mut self, wish: &UndoWish) -> Result<UndoReport, EngineError> {
        let window = self.window(&wish.run)?;
        let taken = self.taken(&wish.run)?;
        let (mut batches, mut damaged) = (Vec::new(), 0);
        for batch in taken.order.iter().rev() {
            match self.kept_batch(&wish.run, batch) {
                Ok(kept) => batches.extend(kept.map(|kept| (batch.clone(), kept))),
                // One that can't be opened keeps no other from coming back.
                Err(error) if is_damaged(&error) => {
                    tracing::error!(batch = %batch, error = %error, "what a batch kept can't be opened");
                    damaged += taken.pairs.get(batch).map_or(0, |pairs| pairs.len() as u64);
                }
                Err(error) => return Err(error),
            }
        }
        let rule = match batches.first() {
            Some((_, kept)) => kept.about.rule.clone(),
            None => return Err(nothing_kept(&wish.run, damaged)),
        };
        let connector = self.system(&rule.system)?;
        let one = match &wish.record {
            Some(parts) => Some(find_one(connector.as_ref(), &rule, &batches, parts).await?),
            None => None,
        };
        if batches.iter().all(|(_, kept)| kept.records.is_empty()) {
            return Err(nothing_kept(&wish.run, damaged));
        }
        if batches.first().map(|(_, kept)| kept.about.identity.as_str()) != Some(&connector.identity().await?) {
            let what = format!("{} was of another database than system `{}` now is", wish.run, rule.system);
            return Err(EngineError::Refused(format!("{what}: nothing is put back there")));
        }
        if !connector.claim().await? {
            return Err(EngineError::BusyElsewhere(rule.system.clone()));
        }
        let mut done = Progress::default();
        let stopped = self.undo_claimed(connector.as_ref(), wish, batches, &taken, one.as_ref(), &mut done).await;
        let released = connector.release().await;
        // Also where it stopped half-way.
        let told = self.tell_undone(&rule, &done.tally, damaged, one.is_none() && matches!(stopped, Ok(None)));
        let failure = stopped?;
        told?;
        released?;
        let Progress { tally, left, holds } = done;
        Ok(UndoReport { rule: rule.id, window, tally, left, damaged, holds, failure })
    }

    /// A finding while something is not back that could have been; closed when all of a run is.
    pub(super) fn tell_undone(
        &mut self,
        rule: &Rule,
        tally: &BTreeMap<Restored, u64>,
        damaged: u64,
        all: bool,
    ) -> Result<(), EngineError> {
        let lacking = [Restored::Conflict, Restored::Failed, Restored::Unknown];
        let lacking = damaged + lacking.iter().filter_map(|word| tally.get(word)).sum::<u64>();
        let body = match lacking {
            0 if all => self.finding_closed(rule, codes::UNDO_INCOMPLETE),
            0 => None,
            _ => self.finding_opened(rule, codes::UNDO_INCOMPLETE, lacking),
        };
        self.record(&body.into_iter().collect::<Vec<_>>())
    }

    /// The window of a run, or why there is none.
    fn window(&self, run: &RunId) -> Result<WindowFact, EngineError> {
        if let Some(window) = self.view.windows.get(run) {
            return Ok(window.clone());
        }
        let lost = if self.view.after_loss { "; runs of the log before this one can't be undone" } else { "" };
        for read in entries(&self.loaded.settings.log, 0)? {
            let (_, entry, _) = read?;
            let Body::RunStarted { run: one, window, rule, .. } = &entry.body else { continue };
            if one == run {
                return Err(EngineError::Refused(match window {
                    Some(window) => format!(
                        "{run} can't be undone any more: it was kept until {}, and its key is destroyed",
                        window.until
                    ),
                    None => format!("{run} can't be undone: rule `{rule}` had no undo window when it ran"),
                }));
            }
        }
        Err(EngineError::NoSuch(format!("there is no run `{run}` in the log{lost}")))
    }

    /// What the log says that a run took and kept.
    fn taken(&self, run: &RunId) -> Result<Taken, EngineError> {
        let mut taken = Taken::default();
        for read in entries(&self.loaded.settings.log, 0)? {
            let (_, entry, _) = read?;
            match entry.body {
                Body::BatchIntended { batch, run: one, .. } if one == *run => taken.order.push(batch),
                Body::Outcome { batch, part, record, until: Some(_), .. } if taken.order.contains(&batch) => {
                    taken.pairs.entry(batch.clone()).or_default().insert((record, part));
                    taken.keys.entry(batch).or_default().insert(entry.key);
                }
                _ => {}
            }
        }
        Ok(taken)
    }

    async fn undo_claimed(
        &mut self,
        connector: &dyn Connector,
        wish: &UndoWish,
        batches: Vec<(BatchId, KeptBatch)>,
        taken: &Taken,
        one: Option<&Key>,
        done: &mut Progress,
    ) -> Result<Option<ConnectError>, EngineError> {
        for (batch, kept) in batches {
            let rule = kept.about.rule;
            let mut wanted = Vec::new();
            for record in kept.records.into_iter().filter(|record| one.is_none_or(|key| record.key == *key)) {
                let parts = self.parts_taken(&rule, &batch, taken, &record)?;
                if !parts.is_empty() {
                    wanted.push(Wanted { record, parts });
                }
            }
            if wanted.is_empty() {
                continue;
            }
            done.holds.extend(self.hold_back(&rule, &wanted, &wish.reason)?);
            crash_point!("undo-held");
            let undo = self.intend_undo(wish, &rule, &batch, &wanted)?;
            match self.restore_with_retries(connector, &undo, &wanted).await {
                Ok(backs) => done.left += self.conclude_undo(&undo, &rule, &wanted, &backs, &mut done.tally)?,
                Err(EraseError::NotDone(error)) => {
                    let failed: Vec<Back> = wanted.iter().map(|_| Back::all(Restored::Failed)).collect();
                    self.conclude_undo(&undo, &rule, &wanted, &failed, &mut done.tally)?;
                    return Ok(Some(error));
                }
                Err(EraseError::InDoubt(_)) => {
                    for (word, count) in self.settle_undo(connector, &undo).await? {
                        *done.tally.entry(word).or_default() += count;
                    }
                }
            }
        }
        Ok(None)
    }

    /// The parts of a kept record that the log says were taken.
    fn parts_taken(
        &self,
        rule: &Rule,
        batch: &BatchId,
        taken: &Taken,
        record: &KeptRecord,
    ) -> Result<Vec<PartId>, EngineError> {
        let (Some(pairs), Some(keys)) = (taken.pairs.get(batch), taken.keys.get(batch)) else {
            return Ok(Vec::new());
        };
        let bytes = record_bytes(&rule.system, &rule.selection.collection(), &record.key);
        let mut parts = Vec::new();
        for key in keys {
            let committer = Committer::new(&*self.ring()?.key(&KeyId::try_from(key.clone())?)?);
            let went = |part: &&PartId| pairs.contains(&(committer.commitment(&bytes, part), (*part).clone()));
            parts.extend(record.parts.iter().filter(went).cloned());
        }
        Ok(parts)
    }

    /// Holds on the records themselves, on the disk before they are back.
    fn hold_back(&mut self, rule: &Rule, wanted: &[Wanted], reason: &str) -> Result<Vec<HoldId>, EngineError> {
        self.refresh_holds()?;
        let collection = rule.selection.collection();
        // A hold for one rule only does not bind the others.
        let held = |key: &Key| {
            let hold = self.holds.find(&rule.id, &rule.system, &collection, key, &[]);
            hold.is_some_and(|hold| hold.rule.is_none())
        };
        let new = wanted.iter().filter(|one| !held(&one.record.key));
        let marks: BTreeSet<Digest> =
            new.map(|one| self.holds.mark_record(&rule.system, &collection, &one.record.key)).collect();
        let marks: Vec<Digest> = marks.into_iter().collect();
        let today = self.moment(crate::now::now()).today;
        let mut holds = Vec::new();
        for some in marks.chunks(HELD_TOGETHER) {
            holds.push(self.place_hold(HoldWish {
                marks: some.iter().copied().collect(),
                system: Some(rule.system.clone()),
                rule: None,
                owner: None,
                review: today.checked_add_days(Days::new(REVIEW)).unwrap_or(today),
                reason: format!("put back: {reason}"),
            })?);
        }
        Ok(holds)
    }

    /// Which records, sealed; then the intent. Both are on the disk when this returns.
    fn intend_undo(
        &mut self,
        wish: &UndoWish,
        rule: &Rule,
        batch: &BatchId,
        wanted: &[Wanted],
    ) -> Result<BatchId, EngineError> {
        let undo = BatchId::from_random(random::bytes());
        let log_key = self.log_key_id()?;
        let record = |one: &Wanted| InFlightRecord {
            key: one.record.key.clone(),
            fingerprint: Fingerprint::default(),
            parts: one.parts.iter().map(ToString::to_string).collect(),
        };
        let flight = InFlight {
            batch: undo.clone(),
            run: wish.run.clone(),
            rule: rule.clone(),
            plan: PlanId([0; 16]),
            decision: Digest([0; 32]),
            log_key,
            records: wanted.iter().map(record).collect(),
        };
        let file = self.undoing.write(&flight, &self.ring()?.sealer()?)?;
        crash_point!("undo-file");
        let note = self.keep_note(&wish.reason)?;
        let count = wanted.iter().map(|one| one.parts.len() as u64).sum();
        self.on_log(|log| log.reserve((count + 2) * OUTCOME_BYTES))?;
        self.record_unsealed(&[Body::UndoIntended {
            undo: undo.clone(),
            run: wish.run.clone(),
            batch: batch.clone(),
            rule: rule.id.clone(),
            count,
            file,
            by: self.by.clone(),
            note,
        }])?;
        crash_point!("undo-intended");
        Ok(undo)
    }

    async fn restore_with_retries(
        &self,
        connector: &dyn Connector,
        undo: &BatchId,
        wanted: &[Wanted],
    ) -> Result<Vec<Back>, EraseError> {
        let kept: Vec<&[u8]> = wanted.iter().map(|one| one.record.bytes.as_slice()).collect();
        let watch = Watch { folder: &self.undoing, batch: undo, keeper: None, intended: None };
        let mut retries = Retries::of(undo);
        loop {
            let answer = connector.restore(&Undo { id: undo, kept: &kept }, &watch).await;
            if !retries.again(&answer).await {
                return answer;
            }
        }
    }

    /// One answer for each (record, part) under one signed head, then the file goes. Gives how many rows were left.
    fn conclude_undo(
        &mut self,
        undo: &BatchId,
        rule: &Rule,
        wanted: &[Wanted],
        backs: &[Back],
        tally: &mut BTreeMap<Restored, u64>,
    ) -> Result<u64, EngineError> {
        let log_key = self.log_key_id()?;
        let mut bodies = Vec::new();
        for (one, back) in wanted.iter().zip(backs) {
            for part in &one.parts {
                let result = back.of(part.as_str());
                *tally.entry(result).or_default() += 1;
                bodies.push(Body::Restored {
                    undo: undo.clone(),
                    rule: rule.id.clone(),
                    part: part.clone(),
                    record: self.commit_to(rule, &one.record.key, part, &log_key)?,
                    result,
                    left: back.left,
                    recovered: false,
                });
            }
        }
        self.record_under(&bodies, &log_key)?;
        crash_point!("undo-recorded");
        self.drop_undo(undo)?;
        Ok(backs.iter().map(|back| back.left).sum())
    }

    pub(super) fn drop_undo(&self, undo: &BatchId) -> Result<(), EngineError> {
        self.undoing.remove(undo).map_err(|cause| EngineError::Io {
            doing: "remove the file of the undo",
            path: undo.as_str().into(),
            cause,
        })
    }
}

fn nothing_kept(run: &RunId, damaged: u64) -> EngineError {
    EngineError::Refused(match damaged {
        0 => format!("nothing of {run} is in quarantine: it took nothing, or all of it was forgotten"),
        _ => format!("what {run} kept can't be opened: its files were damaged; only a backup has it"),
    })
}

/// The kept record that a person means. A database gives keys in its own canonical text, so where the typed form is
/// none of those kept, the text decides, if it names exactly one.
async fn find_one(
    connector: &dyn Connector,
    rule: &Rule,
    batches: &[(BatchId, KeptBatch)],
    parts: &[String],
) -> Result<Key, EngineError> {
    let typed = connector.parse_key(rule, parts).await?;
    let all = || batches.iter().flat_map(|(_, kept)| &kept.records).map(|record| &record.key);
    if all().any(|key| *key == typed) {
        return Ok(typed);
    }
    let same =
        |key: &&Key| key.0.len() == parts.len() && key.0.iter().zip(parts).all(|(one, part)| one.show() == *part);
    let found: BTreeSet<&Key> = all().filter(same).collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key.clone()),
        _ => Err(EngineError::NoSuch("this record is not among those that the run keeps".into())),
    }
}
