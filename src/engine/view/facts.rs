//! What the view keeps of plans, approvals, batches, windows, ledgers and findings.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::audit::entry::Method;
use crate::domain::decide::KeepReason;
use crate::domain::digest::Digest;
use crate::domain::gate::Limit;
use crate::domain::id::{BatchId, PartId, RuleId, RunId, SystemId};
use crate::domain::rule::Limits;

/// The first bite of a rule whose gate was opened for a new decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bite {
    /// Nothing went yet.
    Ahead,
    /// The first few went, at this moment.
    Taken(DateTime<Utc>),
}

/// A plan that was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanFact {
    /// The rule.
    pub rule: RuleId,
    /// The decision digest.
    pub decision: Digest,
    /// The live schema's part of it.
    pub schema: Digest,
    /// The cut-off day.
    pub cutoff: NaiveDate,
    /// The set's digest.
    pub set: Digest,
    /// How many are due.
    pub due: u64,
    /// When it was made.
    pub made: DateTime<Utc>,
    /// The index of its entry: of two plans of one second the later.
    pub entry: u64,
    /// Whether its set is settled.
    pub settled: bool,
    /// The digest of triggers and foreign keys, where the entry has it.
    pub effects: Option<Digest>,
}

/// An approval that was given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approval {
    /// When.
    pub at: DateTime<Utc>,
    /// Limits that this plan may go beyond.
    pub beyond: Vec<Limit>,
    /// How.
    pub method: Method,
    /// The rule's limits then, where the entry has them.
    pub limits: Option<Limits>,
}

/// A batch that has not been settled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenBatch {
    /// Its run.
    pub run: RunId,
    /// Its rule.
    pub rule: RuleId,
    /// How many pairs.
    pub count: u64,
    /// SHA-256 of its in-flight file.
    pub file: Digest,
    /// Pairs that have an outcome already, by their commitment.
    pub have: BTreeSet<(Digest, PartId)>,
    /// Whether it was found to be beyond settling, and waits for `settle`.
    pub unsettled: bool,
}

/// A run that can still be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowFact {
    /// Its rule.
    pub rule: RuleId,
    /// The key that closes what it kept.
    pub key: String,
    /// The day on which that key is destroyed.
    pub until: NaiveDate,
    /// (record, part) pairs that it keeps.
    pub kept: u64,
    /// Of these, pairs that were put back or were there already.
    pub back: u64,
}

/// An undo that has not been settled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenUndo {
    /// The run that is undone.
    pub run: RunId,
    /// The batch that is undone.
    pub batch: BatchId,
    /// Its rule.
    pub rule: RuleId,
    /// How many pairs.
    pub count: u64,
    /// SHA-256 of its file.
    pub file: Digest,
    /// Pairs that have an answer already.
    pub have: BTreeSet<(Digest, PartId)>,
}

/// A batch of which the log has the intent, and perhaps all outcomes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastBatch {
    /// The batch.
    pub batch: BatchId,
    /// Its rule.
    pub rule: RuleId,
    /// Pairs that it purged.
    pub purged: u64,
}

/// The batches of which a file may still be there although all outcomes are written: one is looked for while the next is
/// erased.
const LAST: usize = 3;

/// The newest intent stands first.
pub(super) fn intended(last: &mut Vec<LastBatch>, batch: &BatchId, rule: &RuleId) {
    last.truncate(LAST - 1);
    last.insert(0, LastBatch { batch: batch.clone(), rule: rule.clone(), purged: 0 });
}

/// Counts a pair of a batch. Where many were intended together (a partition), it may be one that was pushed out.
pub(super) fn purged(last: &mut Vec<LastBatch>, batch: &BatchId, rule: &RuleId) {
    if !last.iter().any(|one| one.batch == *batch) {
        intended(last, batch, rule);
    }
    if let Some(one) = last.iter_mut().find(|one| one.batch == *batch) {
        one.purged += 1;
    }
}

/// Where a rule stood.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerFact {
    /// The day.
    pub day: NaiveDate,
    /// Pairs past their term.
    pub overdue: u64,
    /// The oldest.
    pub oldest: Option<NaiveDate>,
    /// Pairs kept, by reason.
    pub kept: BTreeMap<KeepReason, u64>,
}

/// A finding that nobody closed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OpenFinding {
    /// Its code.
    pub code: String,
    /// Its rule.
    pub rule: Option<RuleId>,
    /// Its system.
    pub system: Option<SystemId>,
    /// Its batch.
    pub batch: Option<BatchId>,
    /// Its place.
    pub place: Option<String>,
}
