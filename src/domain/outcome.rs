//! What became of one (record, part) of a batch.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The outcome that a connector reports for one (record, part).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The record is gone, by this batch.
    Erased,
    /// The fields are in final form, by this batch.
    Anonymised,
    /// It was gone before this batch. No purge of ours.
    AlreadyGone,
    /// It is no longer what was planned (a newer clock, other values, a new child row). It stays.
    Changed,
    /// A hold or a protection came in between. It stays.
    Withheld,
    /// The system refused. It stays.
    Failed,
    /// Interrupted before it happened, and found unchanged afterwards; or never tried, since the batch before it ended the run.
    /// It stays.
    NotDone,
    /// The answer was lost and could not be settled.
    Unknown,
    /// Asked for, not yet done; see [`Pending`].
    Pending,
    /// Found gone, or in final form, after a crash; by whom is not known. No purge of ours.
    GoneUnexplained,
}

impl Outcome {
    /// Every outcome, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Erased,
        Self::Anonymised,
        Self::AlreadyGone,
        Self::Changed,
        Self::Withheld,
        Self::Failed,
        Self::NotDone,
        Self::Unknown,
        Self::Pending,
        Self::GoneUnexplained,
    ];

    /// Whether this is a purge that we performed.
    pub fn is_purge(self) -> bool {
        matches!(self, Self::Erased | Self::Anonymised)
    }

    /// The word for it in the log and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::Anonymised => "anonymised",
            Self::AlreadyGone => "already-gone",
            Self::Changed => "changed",
            Self::Withheld => "withheld",
            Self::Failed => "failed",
            Self::NotDone => "not-done",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::GoneUnexplained => "gone-unexplained",
        }
    }

    /// The outcome that this is the word for.
    pub fn of_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word().as_bytes() == word)
    }
}

/// One receipt: the outcome of one (record, part) of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The item's place in the batch.
    pub item: usize,
    /// The part's place in the rule.
    pub part: usize,
    /// What became of it.
    pub outcome: Outcome,
    /// Child rows that went or were changed with it, by table.
    pub children: BTreeMap<String, u64>,
    /// For [`Outcome::Pending`].
    pub pending: Option<Pending>,
}

/// An erasure that another party still has to carry out (a vendor's asynchronous job, a backup's rotation).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// By which to ask again. Names no person.
    pub handle: String,
    /// When to look again.
    pub look_again: NaiveDate,
    /// When it must be final; afterwards it is a finding.
    pub final_by: NaiveDate,
}

/// Outcomes counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally(pub BTreeMap<Outcome, u64>);

impl Tally {
    /// Counts one.
    pub fn add(&mut self, outcome: Outcome) {
        *self.0.entry(outcome).or_default() += 1;
    }
    /// How many of this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0.get(&outcome).copied().unwrap_or(0)
    }
    /// How many purges.
    pub fn purged(&self) -> u64 {
        self.of(Outcome::Erased) + self.of(Outcome::Anonymised)
    }
    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        for (outcome, count) in &other.0 {
            *self.0.entry(*outcome).or_default() += count;
        }
    }
}

/// What became of one (record, part) that was to be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restored {
    /// It is back as it was.
    Restored,
    /// It was there already, as it was.
    AlreadyThere,
    /// Something newer stands in its place, and was left alone.
    Conflict,
    /// It could not be put back.
    Failed,
    /// The answer was lost and could not be settled.
    Unknown,
}

impl Restored {
    /// Every one, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Restored, Self::AlreadyThere, Self::Conflict, Self::Failed, Self::Unknown];

    /// The word for it in the log and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::AlreadyThere => "already-there",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
