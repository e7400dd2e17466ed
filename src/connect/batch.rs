//! Records that go together, or come back together: what a connector is handed, whom it asks, and how it ends.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::ConnectError;
use crate::domain::decide::{Fingerprint, Found, Moment};
use crate::domain::id::BatchId;
use crate::domain::outcome::{Outcome, Restored};
use crate::domain::rule::Rule;
use crate::domain::value::Key;

/// One record of a batch.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Item {
    /// Its key.
    pub key: Key,
    /// As it was found.
    pub fingerprint: Fingerprint,
    /// The parts that are to go, by their place in the rule.
    pub parts: Vec<usize>,
}

/// Records that go together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Its id, already on disk with its keys.
    pub id: &'a BatchId,
    /// The rule.
    pub rule: &'a Rule,
    /// The records.
    pub items: &'a [Item],
    /// The moment of the purge, for markers.
    pub now: DateTime<Utc>,
    /// The moment at which all of its records were found to be due, as in [`Query::due_by`](super::Query::due_by).
    pub due_by: Moment,
}

/// Decides again inside the erasing transaction.
pub trait Judge: Sync {
    /// For each part of the item: whether it goes (`Ok`), or what it is instead. Called with the record as it is now,
    /// locked; `found.identities` is filled where [`Judge::wants_identities`].
    fn judge(&self, item: usize, found: &Found) -> Vec<(usize, Result<(), Outcome>)>;
    /// Whether identities must be read.
    fn wants_identities(&self) -> bool;
}

/// What it takes to put one item of a batch back, in the connector's own canonical bytes. They are personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// The item's place in its batch.
    pub item: usize,
    /// Opaque to everybody but the connector that made them.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept({})", self.item)
    }
}

/// Items that are to be put back together.
#[derive(Debug, Clone, Copy)]
pub struct Undo<'a> {
    /// Its id, already on disk.
    pub id: &'a BatchId,
    /// What was kept of each item: the bytes of [`Kept`].
    pub kept: &'a [&'a [u8]],
}

/// What became of one item that was to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// Of the whole record, and of every part that has no answer of its own.
    pub whole: Restored,
    /// Of parts that were rewritten in a record that stayed.
    pub parts: BTreeMap<String, Restored>,
    /// Rows of others whose reference or fields were rewritten with the record and have changed since: left alone.
    pub left: u64,
}

impl Back {
    /// One answer for all of an item.
    pub fn all(whole: Restored) -> Self {
        Self { whole, parts: BTreeMap::new(), left: 0 }
    }

    /// The answer for a part.
    pub fn of(&self, part: &str) -> Restored {
        self.parts.get(part).copied().unwrap_or(self.whole)
    }
}

/// Takes what a batch would lose, before it is lost.
pub trait Keeper: Sync {
    /// Called once in each attempt, before COMMIT, with every item of which something goes. It is on disk when this
    /// returns; an error means ROLLBACK.
    fn keep(&self, kept: &[Kept]) -> std::io::Result<()>;
}

/// Why a batch may not write what it has judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNow {
    /// It must be judged again: something that the judgement rests on has changed. The error of the batch is one that may be
    /// tried again ([`Advice::RetryLater`](super::Advice::RetryLater)).
    Again,
    /// Never.
    Never,
}

/// Stands before the first statement that writes, and between the last statement and COMMIT.
#[async_trait]
pub trait CommitWatch: Sync {
    /// Waits until what must stand on this host's disk before anything is erased does, and until it is this batch's turn:
    /// awaited before the first statement that writes. An error means that nothing may be written now.
    async fn before_write(&self) -> Result<(), NotNow> {
        Ok(())
    }

    /// Who keeps what goes, where the rule has an undo window.
    fn keeper(&self) -> Option<&dyn Keeper> {
        None
    }

    /// Called once before COMMIT is sent, with the transaction's number where the system has one. It is on disk when
    /// this returns; an error means ROLLBACK.
    fn before_commit(&self, ticket: Option<&str>) -> std::io::Result<()>;
    /// A named point between two statements: a place to be killed at in tests.
    fn point(&self, name: &'static str);
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was committed: what was to go is gone, by us.
    Committed,
    /// It was not, and never will be.
    NotCommitted,
    /// It still runs: what becomes of it is not decided.
    Running,
    /// The system did not record it.
    CannotTell,
}

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It is gone.
    Gone,
    /// It is there.
    Here {
        /// With the same fingerprint.
        same: bool,
        /// Whether each of the rule's parts is in final form.
        done: Vec<bool>,
    },
    /// The system can't say.
    CannotTell,
}

/// How an erase can fail.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EraseError {
    /// Nothing happened: the transaction was rolled back or never committed.
    #[error("nothing was erased")]
    NotDone(#[source] ConnectError),
    /// The answer to COMMIT was lost: it may have happened.
    #[error("the answer was lost")]
    InDoubt(#[source] ConnectError),
}
