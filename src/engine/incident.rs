//! What the log and the policy say of a run that was wrong.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Engine, EngineError};
use crate::audit::entry::{Body, Entry, Method, Window};
use crate::audit::read::entries;
use crate::domain::digest::Digest;
use crate::domain::id::{BatchId, RuleId, RunId};
use crate::domain::outcome::Outcome;
use crate::domain::policy::Role;
use crate::report::incident::{Approved, Incident, UndoState, Undone};
use crate::report::text::does;

/// Art. 33(1): not later than 72 hours after having become aware of it.
const HOURS: i64 = 72;

/// What one pass over the log finds.
struct Pass {
    run: RunId,
    incident: Option<Incident>,
    window: Option<Window>,
    batches: BTreeSet<BatchId>,
    records: BTreeSet<Digest>,
    kept: u64,
    back: u64,
    announced: u64,
    told: u64,
    destroyed: bool,
    undos: BTreeMap<BatchId, Undone>,
    approvals: BTreeMap<RuleId, Approved>,
    plans: BTreeMap<String, DateTime<Utc>>,
}

impl Engine {
    /// The facts about a run. Reads only.
    pub fn incident(&self, run: &RunId, known_since: DateTime<Utc>) -> Result<Incident, EngineError> {
        let mut pass = Pass {
            run: run.clone(),
            incident: None,
            window: None,
            batches: BTreeSet::new(),
            records: BTreeSet::new(),
            kept: 0,
            back: 0,
            announced: 0,
            told: 0,
            destroyed: false,
            undos: BTreeMap::new(),
            approvals: BTreeMap::new(),
            plans: BTreeMap::new(),
        };
        for read in entries(&self.loaded.settings.log, 0)? {
            let (_, entry, _) = read?;
            pass.apply(&entry);
        }
        let mut incident =
            pass.ended().ok_or_else(|| EngineError::NoSuch(format!("there is no run `{run}` in the log")))?;
        incident.known_since = known_since;
        incident.notify_by = known_since + TimeDelta::hours(HOURS);
        self.add_policy(&mut incident);
        Ok(incident)
    }

    fn add_policy(&self, incident: &mut Incident) {
        let policy = &self.loaded.policy;
        incident.controller.clone_from(&policy.controller);
        let controllers = policy.actors.values().filter(|actor| actor.role == Role::Controller);
        incident.contacts = controllers.map(|actor| actor.id.to_string()).collect();
        let rule = policy.rules.values().find(|rule| rule.id.as_str() == incident.rule);
        if let Some(rule) = rule {
            incident.system = Some(rule.system.to_string());
            incident.table = Some(rule.selection.collection());
            incident.does = rule.parts.iter().map(|part| format!("part {} {}", part.id, does(&part.action))).collect();
            if let Some(system) = policy.system_of(rule) {
                incident.inventory.clone_from(&system.inventory);
            }
        }
        let frozen = rule.and_then(|rule| {
            let by_rule = self.view.frozen_rules.get(&rule.id);
            by_rule.or_else(|| self.view.frozen_systems.get(&rule.system))
        });
        incident.stopped = if self.is_paused() {
            Some("everything is paused".into())
        } else if rule.is_none() {
            Some("the policy no longer has it".into())
        } else {
            frozen.map(|code| format!("frozen ({code})"))
        };
    }
}

impl Pass {
    fn apply(&mut self, entry: &Entry) {
        match &entry.body {
            Body::PlanMade { plan, .. } if self.incident.is_none() => {
                self.plans.insert(plan.to_string(), entry.time);
            }
            Body::Approved { rule, .. } if self.incident.is_none() => {
                if let Some(approved) = approved(entry) {
                    self.approvals.insert(rule.clone(), approved);
                }
            }
            Body::RunStarted { run, .. } if *run == self.run => self.began(entry),
            Body::BatchIntended { run, batch, count, .. } if *run == self.run => {
                self.batches.insert(batch.clone());
                self.announced += count;
            }
            Body::Outcome { batch, .. } if self.batches.contains(batch) => self.outcome(entry),
            Body::RunEnded { run, how, .. } if *run == self.run => {
                if let Some(incident) = &mut self.incident {
                    incident.how = Some(how.clone());
                    incident.last = entry.time;
                }
            }
            Body::UndoIntended { undo, run, .. } if *run == self.run => {
                self.undos.insert(undo.clone(), Undone { at: entry.time, answers: BTreeMap::new() });
            }
            Body::Restored { undo, result, .. } => {
                if let Some(undone) = self.undos.get_mut(undo) {
                    *undone.answers.entry(result.word().into()).or_default() += 1;
                    self.back += u64::from(*result == crate::domain::outcome::Restored::Restored);
                }
            }
            Body::KeyChanged { id, change, .. } if change == "destroyed" => {
                self.destroyed |= self.window.as_ref().is_some_and(|window| window.key == *id);
            }
            _ => {}
        }
    }

    fn began(&mut self, entry: &Entry) {
        let Body::RunStarted { run, rule, plan, by, window } = &entry.body else { return };
        self.window.clone_from(window);
        self.incident = Some(Incident {
            run: run.to_string(),
            rule: rule.to_string(),
            does: Vec::new(),
            system: None,
            began: entry.time,
            last: entry.time,
            how: None,
            uid: by.uid,
            outcomes: BTreeMap::new(),
            records: 0,
            table: None,
            children: BTreeMap::new(),
            inventory: BTreeMap::new(),
            plan: plan.to_string(),
            plan_made: self.plans.get(&plan.to_string()).copied(),
            approval: self.approvals.get(rule).cloned(),
            controller: String::new(),
            contacts: Vec::new(),
            known_since: entry.time,
            notify_by: entry.time,
            undo: UndoState::None,
            undos: Vec::new(),
            unknown: 0,
            stopped: None,
        });
    }

    fn outcome(&mut self, entry: &Entry) {
        let Body::Outcome { part, record, result, children, until, .. } = &entry.body else { return };
        let Some(incident) = &mut self.incident else { return };
        incident.last = incident.last.max(entry.time);
        let of_part = incident.outcomes.entry(part.to_string()).or_default();
        *of_part.entry(result.word().into()).or_default() += 1;
        for (table, rows) in children {
            *incident.children.entry(table.clone()).or_default() += rows;
        }
        if result.is_purge() || matches!(result, Outcome::GoneUnexplained | Outcome::Unknown) {
            self.records.insert(*record);
        }
        if *result != Outcome::Unknown {
            self.told += 1;
        }
        self.kept += u64::from(until.is_some());
    }

    fn ended(self) -> Option<Incident> {
        let (records, unknown) = (self.records.len() as u64, self.announced.saturating_sub(self.told));
        let undo = match self.window {
            None => UndoState::None,
            Some(Window { until, .. }) if self.destroyed => UndoState::Gone { until, back: self.back },
            Some(Window { until, .. }) => UndoState::Kept { until, kept: self.kept, back: self.back },
        };
        let undos = self.undos.into_values().collect();
        self.incident.map(|incident| Incident { records, undo, undos, unknown, ..incident })
    }
}

fn approved(entry: &Entry) -> Option<Approved> {
    let Body::Approved { plan, beyond, method, by, basis, .. } = &entry.body else { return None };
    Some(Approved {
        at: entry.time,
        plan: plan.to_string(),
        method: match method {
            Method::Typed => "typed".into(),
            Method::Signed { .. } => "signed".into(),
        },
        uid: by.uid,
        actor: by.actor.as_ref().map(ToString::to_string),
        basis: basis.clone(),
        beyond: beyond.iter().map(|limit| limit.word().to_string()).collect(),
    })
}
