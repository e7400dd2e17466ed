//! The undo window: what a run takes is kept, sealed, until its day. Then the key goes, and with it everything.
//!
//! Each run has a key of its own, made when the run starts and destroyed on its day. On the way out the key's file goes
//! first, then an entry says so, then the folder goes: a kill in between leaves something to finish and nothing that the
//! log says wrongly. Until the key is destroyed nothing of it is called gone.

use std::collections::{BTreeSet, HashMap};
use std::io;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Engine, EngineError};
use crate::audit::entry::{Body, Window};
use crate::connect::{Connector, Item, Keeper, Kept};
use crate::crash_point;
use crate::domain::id::{BatchId, PartId, RuleId, RunId, SystemId};
use crate::domain::outcome::Outcome;
use crate::domain::rule::Rule;
use crate::domain::value::{Key, record_bytes};
use crate::secret::Secret;
use crate::state::keys::{KeyFault, KeyId, KeyRing, Purpose};
use crate::state::quarantine::{Quarantine, QuarantineFault};

/// What all batches of a run keep under.
#[derive(Debug, Clone)]
pub(super) struct Keeping {
    id: KeyId,
    key: Zeroizing<[u8; 32]>,
    /// The day on which the key is destroyed.
    pub(super) until: NaiveDate,
    /// Which database it is: what was taken from one is never put back into another.
    identity: String,
}

impl Keeping {
    /// The entry that the key was made.
    pub(super) fn made(&self) -> Body {
        key_changed(self.id.as_str(), "made")
    }

    /// What the run's own entry says of it.
    pub(super) fn window(&self) -> Window {
        Window { key: self.id.to_string(), until: self.until }
    }
}

fn key_changed(id: &str, change: &str) -> Body {
    Body::key_changed(Purpose::Quarantine.word(), id, change)
}

/// What slot 0 of a batch says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct About {
    /// The rule as it was then.
    pub(super) rule: Rule,
    /// The system's identity then.
    pub(super) identity: String,
}

/// One kept record.
pub(super) struct KeptRecord {
    /// Its slot.
    pub(super) slot: usize,
    /// Its key.
    pub(super) key: Key,
    /// The parts that went.
    pub(super) parts: Vec<PartId>,
    /// What it takes to put it back, as the connector gave it.
    pub(super) bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    key: Key,
    parts: Vec<PartId>,
}

/// A batch in quarantine, opened.
pub(super) struct KeptBatch {
    pub(super) about: About,
    /// Those that were not forgotten.
    pub(super) records: Vec<KeptRecord>,
}

/// A quarantine that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The run that can't be undone any more.
    pub run: RunId,
    /// The day it was kept until.
    pub until: NaiveDate,
    /// (record, part) pairs that are gone now.
    pub kept: u64,
}

/// Puts what one batch takes on the disk, before COMMIT.
pub(super) struct BatchKeeper<'a> {
    pub(super) folder: &'a Quarantine,
    pub(super) run: &'a RunId,
    pub(super) batch: &'a BatchId,
    pub(super) rule: &'a Rule,
    pub(super) items: &'a [Item],
    pub(super) keeping: &'a Keeping,
}

impl Keeper for BatchKeeper<'_> {
    fn keep(&self, kept: &[Kept]) -> io::Result<()> {
        let about = About { rule: self.rule.clone(), identity: self.keeping.identity.clone() };
        let mut slots = vec![Zeroizing::new(serde_json::to_vec(&about)?)];
        for one in kept {
            let item = self.items.get(one.item).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            let parts = item.parts.iter().filter_map(|place| self.rule.parts.get(*place));
            let head = Head { key: item.key.clone(), parts: parts.map(|part| part.id.clone()).collect() };
            slots.push(slot(&head, &one.bytes)?);
        }
        self.folder.write(self.run, self.batch, &self.keeping.key, &slots)
    }
}

/// The head's length, the head, the connector's bytes.
fn slot(head: &Head, bytes: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let head = Zeroizing::new(serde_json::to_vec(head)?);
    let length = u32::try_from(head.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut out = Zeroizing::new(Vec::with_capacity(4 + head.len() + bytes.len()));
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(bytes);
    Ok(out)
}

fn open_slot(slot: usize, plain: &Secret) -> Option<KeptRecord> {
    let (length, rest) = plain.bytes().split_first_chunk::<4>()?;
    let (head, bytes) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    Some(KeptRecord { slot, key: head.key, parts: head.parts, bytes: bytes.to_vec() })
}

/// What a batch in flight had kept before the crash.
#[derive(Default)]
pub(super) struct KeptInFlight {
    slots: HashMap<Key, usize>,
    until: Option<NaiveDate>,
}

impl KeptInFlight {
    /// The day that an outcome names, where what went is kept.
    pub(super) fn until(&self, key: &Key, outcome: Outcome) -> Option<NaiveDate> {
        let went = outcome.is_purge() || outcome == Outcome::GoneUnexplained;
        self.until.filter(|_| went && self.slots.contains_key(key))
    }
}

/// Whether what was kept is there and can't be opened.
pub(super) fn is_damaged(error: &EngineError) -> bool {
    matches!(error, EngineError::Quarantine(QuarantineFault::Sealed(_)))
}

impl Engine {
    /// Makes the key of a run's quarantine, where its rule has an undo window.
    pub(super) async fn open_window(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
    ) -> Result<Option<Keeping>, EngineError> {
        let Some(days) = rule.undo else { return Ok(None) };
        if !connector.capabilities().restore {
            let what = format!("rule `{}` has an undo window, and nothing can be put back into its system", rule.id);
            return Err(EngineError::Refused(what));
        }
        let today = self.moment(crate::now::now()).today;
        let until = today.checked_add_days(Days::new(days.into())).unwrap_or(today);
        let identity = connector.identity().await?;
        let ring = self.ring_mut()?;
        let id = ring.make_apart(Purpose::Quarantine, &until.to_string())?;
        let key = ring.key(&id)?;
        crash_point!("quarantine-key-made");
        Ok(Some(Keeping { id, key, until, identity }))
    }

    /// A batch of a run that can still be undone; `None` where nothing of it is kept.
    pub(super) fn kept_batch(&self, run: &RunId, batch: &BatchId) -> Result<Option<KeptBatch>, EngineError> {
        let Some(window) = self.view.windows.get(run) else { return Ok(None) };
        let key = match self.ring()?.key(&KeyId::try_from(window.key.clone())?) {
            Err(KeyFault::Gone(_)) => return Ok(None),
            key => key?,
        };
        let Some(slots) = self.quarantine.read(run, batch, &key)? else { return Ok(None) };
        let damaged = || EngineError::Quarantine(QuarantineFault::Sealed(batch.as_str().into()));
        let mut slots = slots.into_iter().enumerate();
        let about = slots.next().and_then(|(_, slot)| slot).ok_or_else(damaged)?;
        let about = serde_json::from_slice(about.bytes()).map_err(|_| damaged())?;
        let mut records = Vec::new();
        for (place, slot) in slots {
            if let Some(plain) = slot {
                records.push(open_slot(place, &plain).ok_or_else(damaged)?);
            }
        }
        Ok(Some(KeptBatch { about, records }))
    }

    /// What a batch that is being settled had kept.
    pub(super) fn kept_of_batch(&self, run: &RunId, batch: &BatchId) -> Result<KeptInFlight, EngineError> {
        let until = self.view.windows.get(run).map(|window| window.until);
        let kept = match self.kept_batch(run, batch) {
            // What can't be opened can't be undone; what became of the batch is settled all the same.
            Err(error) if is_damaged(&error) => {
                tracing::error!(batch = %batch, error = %error, "what a batch kept can't be opened");
                None
            }
            kept => kept?,
        };
        let slots = kept.into_iter().flat_map(|kept| kept.records).map(|record| (record.key, record.slot)).collect();
        Ok(KeptInFlight { slots, until })
    }

    /// After a crash: what was kept of records that stayed is of no use to anybody.
    pub(super) fn forget_what_stayed(
        &self,
        run: &RunId,
        batch: &BatchId,
        kept: &KeptInFlight,
        gone: &BTreeSet<Key>,
    ) -> Result<(), EngineError> {
        if !self.view.windows.contains_key(run) {
            return Ok(());
        }
        if gone.is_empty() {
            self.quarantine.drop_batch(run, batch)?;
            return Ok(());
        }
        for slot in kept.slots.iter().filter(|(key, _)| !gone.contains(*key)).map(|(_, slot)| *slot) {
            self.quarantine.forget(run, batch, slot)?;
        }
        Ok(())
    }

    /// Destroys what is kept of one record in every quarantine, and touches no other: for an erasure request. Gives
    /// how often it was kept. What can't be opened is told at the end: the others are forgotten first.
    pub fn forget_in_quarantine(&self, system: &SystemId, collection: &str, key: &Key) -> Result<u64, EngineError> {
        let wanted = record_bytes(system, collection, key);
        let (mut forgotten, mut damaged) = (0, None);
        for run in self.view.windows.keys() {
            for batch in self.quarantine.batches(run)? {
                let kept = match self.kept_batch(run, &batch) {
                    Err(error) if is_damaged(&error) => {
                        damaged = Some(error);
                        continue;
                    }
                    kept => kept?,
                };
                let Some(kept) = kept else { continue };
                let (system, collection) = (&kept.about.rule.system, kept.about.rule.selection.collection());
                let same = |one: &&KeptRecord| record_bytes(system, &collection, &one.key) == wanted;
                for record in kept.records.iter().filter(same) {
                    self.quarantine.forget(run, &batch, record.slot)?;
                    crash_point!("quarantine-forgotten");
                    forgotten += 1;
                }
            }
        }
        damaged.map_or(Ok(forgotten), Err)
    }

    /// Ends every quarantine whose day has come: key, entry, folder. Only under the run lock, and only where nothing is
    /// in doubt. Where the system that it was taken from is away, or tells another time than this host, nothing is
    /// destroyed, for it can't be made again.
    pub async fn expire_quarantines(&mut self, now: DateTime<Utc>) -> Result<Vec<Expired>, EngineError> {
        if self.doubt.is_some() || self.time_doubt().is_some() {
            return Ok(Vec::new());
        }
        let today = self.moment(now).today;
        let due: Vec<_> = self.view.windows.iter().filter(|(_, window)| window.until <= today).collect();
        let due: Vec<_> = due.into_iter().map(|(run, window)| (run.clone(), window.clone())).collect();
        let mut ended = Vec::new();
        for (run, window) in due {
            // What is being put back is settled first.
            let busy = self.view.undoing.values().any(|open| open.run == run);
            if busy || !self.time_is_sure(&window.rule).await? {
                continue;
            }
            crash_point!("quarantine-expire");
            let id = KeyId::try_from(window.key.clone())?;
            self.ring_mut()?.destroy(&id)?;
            crash_point!("quarantine-key-gone");
            self.record(&[key_changed(&window.key, "destroyed")])?;
            crash_point!("quarantine-entry");
            self.quarantine.drop_run(&run)?;
            ended.push(Expired { run, until: window.until, kept: window.kept });
        }
        self.sweep_quarantines(today)?;
        Ok(ended)
    }

    /// Whether host and system agree on the time. A rule that is no longer in the policy has only the host's.
    async fn time_is_sure(&mut self, rule: &RuleId) -> Result<bool, EngineError> {
        let Some(system) = self.loaded.policy.rules.get(rule).map(|rule| rule.system.clone()) else { return Ok(true) };
        let told = match self.system(&system) {
            Ok(connector) => self.trusted_now(connector.as_ref()).await.map(drop),
            Err(error) => Err(error),
        };
        match told {
            Ok(()) => Ok(true),
            Err(EngineError::Time(_)) => Ok(false),
            Err(error) if error.may_pass() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What a kill left: folders of runs that are over, and keys under which no run ever started. After a log that was
    /// lost, runs may have windows that nobody knows of here: what they keep stays closed until its day.
    fn sweep_quarantines(&mut self, today: NaiveDate) -> Result<(), EngineError> {
        let stays = |id: &KeyId| self.view.after_loss && last_day(id).is_some_and(|until| until > today);
        let (closed, orphans): (Vec<KeyId>, Vec<KeyId>) = self.unknown_quarantine_keys()?.into_iter().partition(stays);
        for run in self.quarantine.runs()? {
            if closed.is_empty() && !self.view.windows.contains_key(&run) {
                self.quarantine.drop_run(&run)?;
            }
        }
        for id in orphans {
            self.ring_mut()?.destroy(&id)?;
            self.record(&[key_changed(id.as_str(), "destroyed")])?;
        }
        Ok(())
    }

    /// Keys of quarantines of which the log has no run.
    fn unknown_quarantine_keys(&self) -> Result<Vec<KeyId>, EngineError> {
        let known: BTreeSet<&str> = self.view.windows.values().map(|window| window.key.as_str()).collect();
        let keys = quarantine_keys(self.ring()?)?.into_iter();
        Ok(keys.filter(|id| !known.contains(id.as_str())).collect())
    }
}

/// The keys of quarantines.
pub(super) fn quarantine_keys(ring: &KeyRing) -> Result<Vec<KeyId>, KeyFault> {
    let prefix = format!("{}-", Purpose::Quarantine.word());
    Ok(ring.ids()?.into_iter().filter(|id| id.as_str().starts_with(&prefix)).collect())
}

/// The day on which a quarantine's key is destroyed, as its name says.
pub(super) fn last_day(id: &KeyId) -> Option<NaiveDate> {
    let rest = id.as_str().strip_prefix(Purpose::Quarantine.word())?.strip_prefix('-')?;
    NaiveDate::parse_from_str(rest.get(..10)?, "%Y-%m-%d").ok()
}
