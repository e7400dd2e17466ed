//! A plan: what a rule would purge, counted, with the set as keyed commitments.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::decide::{KeepReason, Verdict};
use super::digest::{Digest, push_field};
use super::id::{PartId, PlanId, RuleId, SystemId};
use super::rule::Rule;

/// What one look at a rule's records found, counted by (record, part).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Records in the whole collection, selected or not: what a share is a share of.
    pub of: u64,
    /// Whether `of`, and with it `found` and what is not yet due, is the system's own estimate. Verdicts rest on none: see
    /// [`least_for_share`](super::gate::least_for_share).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub about: bool,
    /// (record, part) pairs judged: due and kept together.
    pub found: u64,
    /// Pairs that are due.
    pub due: u64,
    /// Pairs that are due, by part.
    pub due_by_part: BTreeMap<PartId, u64>,
    /// Pairs that stay, by reason.
    pub kept: BTreeMap<KeepReason, u64>,
    /// Pairs with nothing left to do.
    pub settled: u64,
    /// The oldest day since which a pair has been due.
    pub oldest_due: Option<NaiveDate>,
    /// Child rows that go or change with what is due, by table.
    pub children: BTreeMap<String, u64>,
}

impl Survey {
    /// Counts one record's verdicts.
    pub fn add(&mut self, rule: &Rule, verdicts: &[Verdict]) {
        for (part, verdict) in rule.parts.iter().zip(verdicts) {
            match verdict {
                Verdict::Due(day) => {
                    self.found += 1;
                    self.due += 1;
                    *self.due_by_part.entry(part.id.clone()).or_default() += 1;
                    self.oldest_due = Some(self.oldest_due.map_or(*day, |oldest| oldest.min(*day)));
                }
                Verdict::Kept(reason) => {
                    self.found += 1;
                    *self.kept.entry(*reason).or_default() += 1;
                }
                Verdict::Settled => self.settled += 1,
            }
        }
    }

    /// Counts records that nobody read: of each, every part is kept since the record is protected, or until its term has
    /// passed.
    pub fn add_left_out(&mut self, rule: &Rule, records: u64, protected: u64) {
        let (parts, protected) = (rule.parts.len() as u64, protected.min(records));
        for (reason, records) in [(KeepReason::Protected, protected), (KeepReason::NotYetDue, records - protected)] {
            if records * parts > 0 {
                self.found += records * parts;
                *self.kept.entry(reason).or_default() += records * parts;
            }
        }
    }

    /// How many days the oldest due record is past its term.
    pub fn oldest_days(&self, today: NaiveDate) -> Option<i64> {
        self.oldest_due.map(|day| (today - day).num_days())
    }

    /// Pairs without a usable clock: no term will ever end them.
    pub fn without_clock(&self) -> u64 {
        self.kept.iter().filter(|(reason, _)| reason.needs_decision()).map(|(_, count)| count).sum()
    }
}

/// A plan's summary. Its set is spooled beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What was planned is what is run.
    pub id: PlanId,
    /// The rule.
    pub rule: RuleId,
    /// Its system.
    pub system: SystemId,
    /// The rule's decision digest, see [`super::gate`].
    pub decision: Digest,
    /// The part of it that the live schema and [`super::SEMANTICS`] make.
    pub schema: Digest,
    /// The digest of what else the schema does when these go: triggers and foreign keys.
    #[serde(default)]
    pub effects: Option<Digest>,
    /// The cut-off day.
    pub cutoff: NaiveDate,
    /// The digest of the sorted set of commitments.
    pub set: Digest,
    /// What was counted.
    pub survey: Survey,
}

/// The id of a plan: the same rule, day and set give the same id.
pub fn plan_id(decision: &Digest, cutoff: NaiveDate, set: &Digest) -> PlanId {
    let mut bytes = Vec::with_capacity(128);
    push_field(&mut bytes, b'd', &decision.0);
    push_field(&mut bytes, b'c', cutoff.to_string().as_bytes());
    push_field(&mut bytes, b's', &set.0);
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(Digest::of(&bytes).0) {
        *to = from;
    }
    PlanId(id)
}
