//! Holds: placed and released as entries; seen at the latest by the next batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;

use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::domain::digest::Digest;
use crate::domain::hold::{Hold, Holds};
use crate::domain::id::{ActorId, HoldId, RuleId, SystemId};
use crate::random;
use crate::state::keys::{KeyId, Purpose};
use crate::state::lock::HoldsLock;

/// A hold that somebody wants.
#[derive(Debug, Clone)]
pub struct HoldWish {
    /// Marks of the identities and the record, made with [`Engine::holds`].
    pub marks: BTreeSet<Digest>,
    /// Only in this system.
    pub system: Option<SystemId>,
    /// Only under this rule.
    pub rule: Option<RuleId>,
    /// Who answers for it.
    pub owner: Option<ActorId>,
    /// When to look again.
    pub review: NaiveDate,
    /// Why.
    pub reason: String,
}

impl Engine {
    /// Makes the holds in memory those of the log, by the digest of the newest HoldChanged. If that can't be done,
    /// nothing may be erased.
    pub fn refresh_holds(&mut self) -> Result<(), EngineError> {
        self.catch_up()?;
        let Some((digest, key_id)) = self.view.holds_digest.clone() else {
            return Ok(());
        };
        if self.holds.digest() == digest {
            return Ok(());
        }
        let lost = |error: crate::state::keys::KeyFault| EngineError::Holds(error.to_string());
        let key = self.ring()?.mac(&KeyId::try_from(key_id).map_err(lost)?).map_err(lost)?;
        let mut holds = Holds::new(key);
        for hold in self.view.holds.values() {
            holds.add(hold.clone());
        }
        if holds.digest() != digest {
            return Err(EngineError::Holds("the entries do not add up to the newest digest".into()));
        }
        self.holds = Arc::new(holds);
        Ok(())
    }

    /// Places a hold.
    pub fn place_hold(&mut self, wish: HoldWish) -> Result<HoldId, EngineError> {
        let _lock = self.lock_holds()?;
        self.refresh_holds()?;
        let hold = Hold {
            id: HoldId::from_random(random::bytes()),
            marks: wish.marks,
            system: wish.system,
            rule: wish.rule,
            owner: wish.owner,
            review: wish.review,
            placed: crate::now::now().date_naive(),
        };
        let mut after = self.holds.as_ref().clone();
        after.add(hold.clone());
        self.record_hold(&hold, "placed", &after, &wish.reason)?;
        Ok(hold.id)
    }

    /// Releases a hold.
    pub fn release_hold(&mut self, id: &HoldId, reason: &str) -> Result<(), EngineError> {
        let _lock = self.lock_holds()?;
        self.refresh_holds()?;
        let hold = self.holds.iter().find(|hold| hold.id == *id).cloned();
        let hold = hold.ok_or_else(|| {
            EngineError::NoSuch(format!("there is no hold `{id}`: `bewaard hold list` shows those in force"))
        })?;
        let mut after = self.holds.as_ref().clone();
        after.release(id);
        self.record_hold(&hold, "released", &after, reason)
    }

    fn lock_holds(&self) -> Result<HoldsLock, EngineError> {
        let state = &self.loaded.settings.state;
        let failed = |cause| EngineError::Io { doing: "take the lock of holds in", path: state.clone(), cause };
        HoldsLock::take(state).map_err(failed)
    }

    fn record_hold(&mut self, hold: &Hold, change: &str, after: &Holds, reason: &str) -> Result<(), EngineError> {
        let note = self.keep_note(reason)?;
        let hold_key = self.ring()?.current(Purpose::Holds).map(String::from).unwrap_or_default();
        let body = Body::HoldChanged {
            hold: hold.id.clone(),
            change: change.into(),
            marks: hold.marks.iter().copied().collect(),
            system: hold.system.clone(),
            rule: hold.rule.clone(),
            owner: hold.owner.clone(),
            review: Some(hold.review),
            set: after.digest(),
            hold_key,
            by: self.by.clone(),
            note,
        };
        self.record(&[body])?;
        self.refresh_holds()
    }

    /// Keeps a reason; its digest is for the entry.
    pub fn keep_note(&self, text: &str) -> Result<Digest, EngineError> {
        self.notes.keep(text).map_err(|cause| EngineError::Io {
            doing: "write a note in",
            path: self.loaded.settings.state.join("notes"),
            cause,
        })
    }
}
