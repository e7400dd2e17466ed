//! A plan that waits for a person is told again after 1, 7 and 14 days: closed gates are how nothing is deleted unseen.

use chrono::{DateTime, Utc};

use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::codes;
use crate::domain::id::RuleId;
use crate::domain::rule::Rule;

use super::findings::finding;

/// Days of waiting after which it is told.
const STEPS: [u64; 3] = [14, 7, 1];

impl Engine {
    /// For how many days a rule with something due has been waiting for a person.
    pub fn waiting_days(&self, rule: &RuleId, now: DateTime<Utc>) -> Option<u64> {
        let (plan, since) = self.view.waiting.get(rule)?;
        let due = self.view.plans.get(plan).is_some_and(|plan| plan.due > 0);
        due.then(|| (now - *since).num_days().unsigned_abs())
    }

    /// Writes what must be told anew about plans that wait. Gives the rules and days.
    pub fn escalate(&mut self, now: DateTime<Utc>) -> Result<Vec<(RuleId, u64)>, EngineError> {
        if self.log.is_none() || self.time_doubt().is_some() {
            return Ok(Vec::new());
        }
        let rules: Vec<Rule> = self.loaded.policy.rules.values().cloned().collect();
        let (mut told, mut bodies): (_, Vec<Body>) = (Vec::new(), Vec::new());
        for rule in &rules {
            let Some(days) = self.waiting_days(&rule.id, now) else { continue };
            let step = STEPS.into_iter().find(|step| days >= *step);
            let before = self.view.escalated.get(&rule.id).copied().unwrap_or(0);
            if let Some(step) = step.filter(|step| *step > before) {
                bodies.push(finding(rule, codes::WAITING, "opened", step));
                told.push((rule.id.clone(), days));
            }
        }
        if !bodies.is_empty() {
            self.record(&bodies)?;
        }
        Ok(told)
    }
}
