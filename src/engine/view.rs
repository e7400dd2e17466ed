//! What the log says of the present: gates, holds, freezes, open batches. Derived from the entries and from nothing
//! else, so that the log is the truth and this may be thrown away at any time.

mod facts;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub use self::facts::{Approval, Bite, LastBatch, LedgerFact, OpenBatch, OpenFinding, OpenUndo, PlanFact, WindowFact};
use crate::audit::entry::{Body, Entry, Window};
use crate::codes;
use crate::domain::digest::Digest;
use crate::domain::hold::Hold;
use crate::domain::id::{BatchId, HoldId, PlanId, RuleId, RunId, SystemId};
use crate::domain::outcome::Restored;
use crate::domain::trace::Traces;

/// Days that an approval releases a plan's own set.
pub const APPROVAL_DAYS: u64 = 14;

/// The present, as the log has it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct View {
    /// How many entries it was derived from.
    pub size: u64,
    /// The time of the newest entry.
    pub last: Option<DateTime<Utc>>,
    /// The time of the newest entry that says that the clock was right.
    pub vouched: Option<DateTime<Utc>>,
    /// The segment of the newest entry.
    pub segment: String,
    /// Plans by id.
    pub plans: BTreeMap<PlanId, PlanFact>,
    /// Approvals by plan.
    pub approvals: BTreeMap<PlanId, Approval>,
    /// The newest approval of each rule: its gate is open for this decision digest.
    pub gates: BTreeMap<RuleId, PlanId>,
    /// Frozen rules, and the code of the reason.
    pub frozen_rules: BTreeMap<RuleId, String>,
    /// Frozen systems, and the code of the reason.
    pub frozen_systems: BTreeMap<SystemId, String>,
    /// Since when everything is paused.
    pub paused: Option<DateTime<Utc>>,
    /// Holds in force.
    pub holds: BTreeMap<HoldId, Hold>,
    /// The digest that the newest HoldChanged names, and the id of its key.
    pub holds_digest: Option<(Digest, String)>,
    /// Batches with an intent and without all outcomes.
    pub open: BTreeMap<BatchId, OpenBatch>,
    /// The batches that were intended last, the newest first, for files of them that are still there.
    #[serde(default)]
    pub last_batches: Vec<LastBatch>,
    /// Runs that have not ended, and the plan that each carries out.
    pub running: BTreeMap<RunId, PlanId>,
    /// Runs that can still be undone.
    #[serde(default)]
    pub windows: BTreeMap<RunId, WindowFact>,
    /// Undos with an intent and without all their answers.
    #[serde(default)]
    pub undoing: BTreeMap<BatchId, OpenUndo>,
    /// Each rule's newest ledger entry.
    pub ledgers: BTreeMap<RuleId, LedgerFact>,
    /// What each system still keeps of what was purged there, by the rule that did.
    #[serde(default)]
    pub traces: BTreeMap<SystemId, BTreeMap<RuleId, Traces>>,
    /// Each rule's last settled plans' due counts, oldest first, at most five.
    pub history: BTreeMap<RuleId, Vec<u64>>,
    /// Purged in all, by rule.
    pub purged: BTreeMap<RuleId, u64>,
    /// Purged since a plan was approved, by plan of the gate.
    pub purged_since: BTreeMap<PlanId, u64>,
    /// Plans that were refused by their limits, so that it is said once.
    pub refused: BTreeSet<PlanId>,
    /// Open findings.
    pub findings: BTreeSet<OpenFinding>,
    /// The last plan of each rule that waits for a person, and since when.
    pub waiting: BTreeMap<RuleId, (PlanId, DateTime<Utc>)>,
    /// Rules whose gate a person opened for a new decision, and whether the first few records went and were looked for.
    pub bites: BTreeMap<RuleId, Bite>,
    /// How many days of waiting have been told, by rule.
    pub escalated: BTreeMap<RuleId, u64>,
    /// The newest policy's digest.
    pub policy: Option<Digest>,
    /// The verifier key in force.
    pub verifier: String,
    /// Whether the log succeeds one that was lost: its open windows are not known here.
    pub after_loss: bool,
    /// The keyed digest of the machine that the log is bound to.
    pub machine: Option<Digest>,
    /// One for each part of it; a log of the first form has none.
    pub machines: BTreeMap<String, Digest>,
}

/// Whether a person's word ends a finding: what is left of records whose old values nobody knows any more.
pub(super) fn ends_by_word(finding: &OpenFinding, about: Option<&RuleId>) -> bool {
    let left = [codes::CAME_BACK, codes::LEFT_BEHIND, codes::NOT_LOOKED_FOR];
    left.iter().any(|code| code.id == finding.code) && (about.is_none() || finding.rule.as_ref() == about)
}

impl View {
    /// Takes one entry in. Entries come in order.
    pub fn apply(&mut self, entry: &Entry) {
        self.take(entry.index, entry.time, &entry.segment, &entry.body);
    }

    /// Takes in what the entry at `index` says.
    pub fn take(&mut self, index: u64, time: DateTime<Utc>, segment: &str, body: &Body) {
        self.size = index + 1;
        self.last = self.last.max(Some(time));
        if super::time::vouches(body) {
            self.vouched = self.vouched.max(Some(time));
        }
        if self.segment != segment {
            self.segment = segment.into();
        }
        match body {
            Body::Init { verifier, machine, machines, .. } => {
                self.verifier.clone_from(verifier);
                self.bind(*machine, machines);
            }
            Body::Adopted { machine, machines, .. } => self.bind(*machine, machines),
            Body::LogContinued { why, .. } => self.after_loss = why == super::continuing::LOST_HEAD,
            Body::KeyChanged { purpose, id, change, .. } if purpose == "signing" && change == "replaced" => {
                self.verifier.clone_from(id);
            }
            Body::KeyChanged { purpose, id, change, .. } if purpose == "quarantine" && change == "destroyed" => {
                self.windows.retain(|_, window| window.key != *id);
            }
            Body::PolicyInForce { policy, .. } => self.policy = Some(*policy),
            Body::PlanMade { .. } | Body::Approved { .. } => self.apply_plan(index, time, body),
            Body::Refused { .. } | Body::Resumed { .. } | Body::PauseChanged { .. } => {
                self.apply_stop(body, time);
            }
            Body::RunStarted { .. } | Body::RunEnded { .. } => self.apply_run(body, time),
            Body::BatchIntended { .. } | Body::Outcome { .. } | Body::Settled { .. } => self.apply_batch(body),
            Body::UndoIntended { .. } | Body::Restored { .. } => self.apply_undo(body),
            Body::HoldChanged { .. } => self.apply_hold(body, time),
            Body::Finding { code, change, rule, system, batch, place, count } => {
                if let (true, "opened", Some(rule)) = (code == codes::WAITING.id, change.as_str(), rule) {
                    self.escalated.insert(rule.clone(), *count);
                }
                let finding = OpenFinding {
                    code: code.clone(),
                    rule: rule.clone(),
                    system: system.clone(),
                    batch: batch.clone(),
                    place: place.clone(),
                };
                self.apply_finding(finding, change);
            }
            Body::Ledger { rule, system, day, overdue, oldest, kept, purged, traces, .. } => {
                let fact = LedgerFact { day: *day, overdue: *overdue, oldest: *oldest, kept: kept.clone() };
                self.ledgers.insert(rule.clone(), fact);
                let of_rule = self.traces.entry(system.clone()).or_default().entry(rule.clone()).or_default();
                of_rule.note(*day, *purged, traces.as_ref());
            }
            _ => {}
        }
    }

    fn bind(&mut self, machine: Digest, machines: &BTreeMap<String, Digest>) {
        self.machine = Some(machine);
        self.machines.clone_from(machines);
    }

    fn apply_plan(&mut self, index: u64, time: DateTime<Utc>, body: &Body) {
        match body {
            Body::PlanMade { plan, rule, decision, schema, cutoff, set, due, effects, .. } => {
                let fact = PlanFact {
                    rule: rule.clone(),
                    decision: *decision,
                    schema: *schema,
                    cutoff: *cutoff,
                    set: *set,
                    due: *due,
                    made: time,
                    entry: index,
                    settled: self.plans.get(plan).is_some_and(|known| known.settled),
                    effects: *effects,
                };
                self.plans.insert(*plan, fact);
                let open = self.gates.get(rule).and_then(|gate| self.plans.get(gate));
                if *due == 0 {
                    self.no_longer_waiting(rule);
                } else if open.is_none_or(|gate| gate.decision != *decision) {
                    let since = self.waiting.get(rule).map_or(time, |(_, since)| *since);
                    self.waiting.insert(rule.clone(), (*plan, since));
                }
                self.forget_old_plans(rule, time);
            }
            Body::Approved { plan, rule, decision, beyond, method, basis, limits, .. } => {
                let before = self.gates.get(rule).and_then(|gate| self.plans.get(gate));
                if basis == "person" && before.is_none_or(|before| before.decision != *decision) {
                    self.bites.insert(rule.clone(), Bite::Ahead);
                }
                let (beyond, method, limits) = (beyond.clone(), method.clone(), limits.clone());
                self.approvals.insert(*plan, Approval { at: time, beyond, method, limits });
                self.gates.insert(rule.clone(), *plan);
                self.purged_since.insert(*plan, 0);
                self.no_longer_waiting(rule);
            }
            _ => {}
        }
    }

    /// Old plans of a rule are forgotten, but for the one that its gate rests on.
    fn forget_old_plans(&mut self, rule: &RuleId, now: DateTime<Utc>) {
        let Some(before) = now.checked_sub_days(Days::new(2 * APPROVAL_DAYS)) else { return };
        let gate = self.gates.get(rule).copied();
        self.plans.retain(|id, plan| plan.rule != *rule || plan.made >= before || Some(*id) == gate);
        let plans = &self.plans;
        self.approvals.retain(|id, _| plans.contains_key(id));
        self.purged_since.retain(|id, _| plans.contains_key(id));
        self.refused.retain(|id| plans.contains_key(id));
    }

    fn no_longer_waiting(&mut self, rule: &RuleId) {
        self.waiting.remove(rule);
        self.escalated.remove(rule);
    }

    fn apply_stop(&mut self, body: &Body, time: DateTime<Utc>) {
        if let Body::Refused { plan: Some(plan), rule, frozen: false, .. } = body {
            self.refused.insert(*plan);
            if let Some(rule) = rule {
                let since = self.waiting.get(rule).map_or(time, |(_, since)| *since);
                self.waiting.insert(rule.clone(), (*plan, since));
            }
        }
        match body {
            Body::Refused { rule, system, code, frozen: true, .. } => {
                if let Some(rule) = rule {
                    self.frozen_rules.insert(rule.clone(), code.clone());
                } else if let Some(system) = system {
                    self.frozen_systems.insert(system.clone(), code.clone());
                }
            }
            Body::Resumed { rule: None, system: None, .. } => {
                self.findings.retain(|finding| !ends_by_word(finding, None));
                self.frozen_rules.clear();
                self.frozen_systems.clear();
            }
            Body::Resumed { rule, system, .. } => {
                if let Some(rule) = rule {
                    self.frozen_rules.remove(rule);
                    self.findings.retain(|finding| !ends_by_word(finding, Some(rule)));
                }
                if let Some(system) = system {
                    self.frozen_systems.remove(system);
                }
            }
            Body::PauseChanged { change, .. } => self.paused = (change == "paused").then_some(time),
            _ => {}
        }
    }

    fn apply_run(&mut self, body: &Body, time: DateTime<Utc>) {
        match body {
            Body::RunStarted { run, rule, plan, window, .. } => {
                if let Some(Window { key, until }) = window.clone() {
                    self.windows.insert(run.clone(), WindowFact { rule: rule.clone(), key, until, kept: 0, back: 0 });
                }
                self.running.insert(run.clone(), *plan);
                self.no_longer_waiting(rule);
            }
            Body::RunEnded { run, rule, how, tally, settled } => {
                let plan = self.running.remove(run);
                if how != "failed" && tally.purged() > 0 {
                    self.bites.entry(rule.clone()).and_modify(|bite| {
                        if *bite == Bite::Ahead {
                            *bite = Bite::Taken(time);
                        }
                    });
                }
                if *settled {
                    let Some(plan) = plan.and_then(|plan| self.plans.get_mut(&plan)) else { return };
                    plan.settled = true;
                    let history = self.history.entry(rule.clone()).or_default();
                    history.push(plan.due);
                    if history.len() > 5 {
                        history.remove(0);
                    }
                }
            }
            _ => {}
        }
    }

    fn apply_batch(&mut self, body: &Body) {
        match body {
            Body::BatchIntended { batch, run, rule, count, file, .. } => {
                let open = OpenBatch {
                    run: run.clone(),
                    rule: rule.clone(),
                    count: *count,
                    file: *file,
                    have: BTreeSet::new(),
                    unsettled: false,
                };
                self.open.insert(batch.clone(), open);
                // While one is erased the one before it is still looked for.
                facts::intended(&mut self.last_batches, batch, rule);
            }
            Body::Outcome { batch, rule, part, record, result, until, .. } => {
                if result.is_purge() {
                    facts::purged(&mut self.last_batches, batch, rule);
                    match self.purged.get_mut(rule) {
                        Some(purged) => *purged += 1,
                        None => drop(self.purged.insert(rule.clone(), 1)),
                    }
                    if let Some(plan) = self.gates.get(rule) {
                        *self.purged_since.entry(*plan).or_default() += 1;
                    }
                }
                let run = self.open.get(batch).map(|open| &open.run).filter(|_| until.is_some());
                if let Some(window) = run.and_then(|run| self.windows.get_mut(run)) {
                    window.kept += 1;
                }
                if let Some(open) = self.open.get_mut(batch) {
                    open.have.insert((*record, part.clone()));
                    // An unknown outcome is final for the protocol; the finding that comes with it waits for a person.
                    if open.have.len() as u64 >= open.count {
                        self.open.remove(batch);
                    }
                }
            }
            Body::Settled { batch, .. } => {
                let settled = self.open.remove(batch);
                if let Some(settled) = settled
                    && !self.open.values().any(|open| open.rule == settled.rule && open.unsettled)
                {
                    self.frozen_rules.remove(&settled.rule);
                }
                self.findings.retain(|finding| finding.batch.as_ref() != Some(batch));
            }
            _ => {}
        }
    }

    fn apply_undo(&mut self, body: &Body) {
        match body {
            Body::UndoIntended { undo, run, batch, rule, count, file, .. } => {
                let open = OpenUndo {
                    run: run.clone(),
                    batch: batch.clone(),
                    rule: rule.clone(),
                    count: *count,
                    file: *file,
                    have: BTreeSet::new(),
                };
                self.undoing.insert(undo.clone(), open);
            }
            Body::Restored { undo, part, record, result, .. } => {
                let Some(open) = self.undoing.get_mut(undo) else { return };
                open.have.insert((*record, part.clone()));
                if *result == Restored::Restored
                    && let Some(window) = self.windows.get_mut(&open.run)
                {
                    window.back += 1;
                }
                if open.have.len() as u64 >= open.count {
                    self.undoing.remove(undo);
                }
            }
            _ => {}
        }
    }

    fn apply_hold(&mut self, body: &Body, time: DateTime<Utc>) {
        let Body::HoldChanged { hold, change, marks, system, rule, owner, review, set, hold_key, .. } = body else {
            return;
        };
        if change == "placed" {
            let placed = Hold {
                id: hold.clone(),
                marks: marks.iter().copied().collect(),
                system: system.clone(),
                rule: rule.clone(),
                owner: owner.clone(),
                review: review.unwrap_or(NaiveDate::MAX),
                placed: time.date_naive(),
            };
            self.holds.insert(hold.clone(), placed);
        } else {
            self.holds.remove(hold);
        }
        self.holds_digest = Some((*set, hold_key.clone()));
    }

    fn apply_finding(&mut self, finding: OpenFinding, change: &str) {
        if change == "opened" {
            if let Some(open) = finding.batch.as_ref().and_then(|batch| self.open.get_mut(batch)) {
                open.unsettled = true;
            }
            // An undo that can't be settled is over for the protocol; the finding waits for a person.
            if let Some(batch) = &finding.batch {
                self.undoing.remove(batch);
            }
            self.findings.insert(finding);
        } else {
            self.findings.remove(&finding);
        }
    }

    /// The plan that a rule's gate rests on.
    pub fn gate_of(&self, rule: &RuleId) -> Option<(PlanId, &PlanFact, &Approval)> {
        let id = *self.gates.get(rule)?;
        Some((id, self.plans.get(&id)?, self.approvals.get(&id)?))
    }

    /// An approved plan of this rule whose own set is released beyond a limit: not settled, and not too old.
    pub fn released_beyond(&self, rule: &RuleId, now: DateTime<Utc>) -> Option<(PlanId, &PlanFact, &Approval)> {
        let (id, plan, approval) = self.gate_of(rule)?;
        let ends = approval.at.checked_add_days(Days::new(APPROVAL_DAYS))?;
        (!approval.beyond.is_empty() && !plan.settled && now < ends).then_some((id, plan, approval))
    }
}
