//! `--json`: the same facts for programs. One schema version for all commands.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::brake::Held;
use crate::domain::decide::KeepReason;
use crate::domain::gate::Gate;
use crate::domain::outcome::{Outcome, Tally};
use crate::domain::plan::{Plan, Survey};

/// Raised when a field changes its meaning or goes; new fields do not raise it.
pub const SCHEMA: u32 = 1;

/// Counts by reason: every reason stands there, so that a program never has to guess what is missing.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Kept(BTreeMap<&'static str, u64>);

impl From<&BTreeMap<KeepReason, u64>> for Kept {
    fn from(kept: &BTreeMap<KeepReason, u64>) -> Self {
        Self(KeepReason::ALL.iter().map(|reason| (reason.word(), kept.get(reason).copied().unwrap_or(0))).collect())
    }
}

/// A brake that is on.
pub fn held(held: &Held) -> serde_json::Value {
    serde_json::json!({
        "brake": held.brake.word(), "reading": held.reading, "limit": held.limit, "place": held.place,
        "failure": held.failure, "words": held.words(),
    })
}

/// One element of `plans`.
#[derive(Debug, Clone, Serialize)]
pub struct PlanJson {
    /// The plan's id; `null` for a preview.
    pub id: Option<String>,
    /// The rule.
    pub rule: String,
    /// The system.
    pub system: String,
    /// The cut-off day.
    pub cutoff: String,
    /// Records in the collection.
    pub of: u64,
    /// Whether `of`, `found` and what is not yet due are the system's own estimate.
    pub about: bool,
    /// (record, part) pairs judged.
    pub found: u64,
    /// Pairs due.
    pub due: u64,
    /// Pairs due, by part.
    pub due_by_part: BTreeMap<String, u64>,
    /// Pairs that stay, by reason.
    pub kept: Kept,
    /// Child rows that go or change, by table.
    pub children: BTreeMap<String, u64>,
    /// The oldest day since which one has been due.
    pub oldest_due: Option<String>,
    /// Days that it is past its term.
    pub oldest_days: Option<i64>,
    /// The share of the collection that is due, in per cent.
    pub share: f64,
    /// Runs until nothing is due, at the rule's `per-run`.
    pub runs: u64,
    /// `open`, `needs-approval`, `refused`, `frozen`, `paused`, `preview`.
    pub gate: &'static str,
    /// The limits that refuse it, or that were raised since the approval.
    pub limits: Vec<String>,
    /// The decision digest.
    pub decision: String,
    /// The set's digest.
    pub set: String,
}

/// The gate's word and the limits that refuse.
pub fn gate_words(gate: &Gate) -> (&'static str, Vec<String>) {
    match gate {
        Gate::Open => ("open", Vec::new()),
        Gate::NeedsApproval { raised } => ("needs-approval", raised.clone()),
        Gate::Refused { limits } => ("refused", limits.iter().map(|limit| limit.word().into()).collect()),
        Gate::Paused => ("paused", Vec::new()),
        Gate::Frozen { .. } => ("frozen", Vec::new()),
        Gate::Preview => ("preview", Vec::new()),
    }
}

/// The share of the collection that is due, in per cent.
#[expect(clippy::cast_precision_loss, reason = "a percentage for the eye")]
pub fn share(survey: &Survey) -> f64 {
    let most = survey.due_by_part.values().copied().max().unwrap_or(0);
    if survey.of == 0 { 0.0 } else { (most as f64 * 10_000.0 / survey.of as f64).round() / 100.0 }
}

/// Runs that `per_run` needs for so many.
pub fn runs(due: u64, per_run: u64) -> u64 {
    due.div_ceil(per_run.max(1))
}

impl PlanJson {
    /// A plan with its gate.
    pub fn new(plan: &Plan, gate: &Gate, per_run: u64) -> Self {
        let survey = &plan.survey;
        let (gate_word, limits) = gate_words(gate);
        Self {
            id: (*gate != Gate::Preview).then(|| plan.id.to_string()),
            rule: plan.rule.to_string(),
            system: plan.system.to_string(),
            cutoff: plan.cutoff.to_string(),
            of: survey.of,
            about: survey.about,
            found: survey.found,
            due: survey.due,
            due_by_part: survey.due_by_part.iter().map(|(part, n)| (part.to_string(), *n)).collect(),
            kept: (&survey.kept).into(),
            children: survey.children.clone(),
            oldest_due: survey.oldest_due.map(|day| day.to_string()),
            oldest_days: survey.oldest_days(plan.cutoff),
            share: share(survey),
            runs: runs(survey.due, per_run),
            gate: gate_word,
            limits,
            decision: plan.decision.to_string(),
            set: plan.set.to_string(),
        }
    }
}

/// Outcomes by name, every one of them.
pub fn tally(tally: &Tally) -> BTreeMap<&'static str, u64> {
    Outcome::ALL.iter().map(|outcome| (outcome.word(), tally.of(*outcome))).collect()
}
