//! What holds a run, in the state folder: for `status`, which another process asks. It decides nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::brake::Held;
use crate::domain::id::SystemId;
use crate::durable;

/// The systems that a run found held, until a later run finds them free.
pub type Told = BTreeMap<SystemId, HeldSystem>;

/// What holds a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSystem {
    /// The brakes.
    pub on: Vec<Held>,
    /// When the run met them.
    pub since: DateTime<Utc>,
    /// Until when that run waits at most.
    pub until: DateTime<Utc>,
    /// Whether it ended because of them.
    pub ended: bool,
}

impl HeldSystem {
    /// Whether a run may still be waiting.
    pub fn waits(&self, now: DateTime<Utc>) -> bool {
        !self.ended && now <= self.until
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("brakes.json")
}

/// What the file says; one that can't be read says nothing.
pub(super) fn read(state: &Path) -> Told {
    let bytes = std::fs::read(path(state)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Puts or takes away what is said of one system.
pub(super) fn put(state: &Path, system: &SystemId, on: Vec<Held>, wait: Duration, ended: bool) -> io::Result<()> {
    let before = read(state);
    let mut told = before.clone();
    if on.is_empty() {
        told.remove(system);
    } else {
        let now = crate::now::now();
        let known = told.get(system).filter(|known| known.waits(now));
        let since = known.map_or(now, |known| known.since);
        let until = since.checked_add_signed(chrono::TimeDelta::from_std(wait).unwrap_or_default()).unwrap_or(now);
        told.insert(system.clone(), HeldSystem { on, since, until, ended });
    }
    if told == before {
        return Ok(());
    }
    durable::replace(&path(state), &serde_json::to_vec_pretty(&told)?, durable::PRIVATE, state)
}
