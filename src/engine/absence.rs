//! Looking after each batch for what is left of the records that it purged, and telling it until a person has looked: the
//! old values are not kept, so no later look can say that it is over.

use super::findings::finding_at;
use super::flight::Over;
use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::codes;
use crate::connect::{Absence, Connector, Look};
use crate::domain::id::BatchId;
use crate::domain::rule::Rule;

impl Engine {
    /// What is still there of a batch that purged something; of another nothing is asked. A look that fails undoes no
    /// purge: its records count as not looked for, and that is told. A kill before the look is over leaves them unlooked.
    pub(super) async fn look_for_leftovers(&self, connector: &dyn Connector, rule: &Rule, over: &Over) -> Absence {
        let Over { id: batch, items, receipts, .. } = over;
        let rules: Vec<&Rule> = self.loaded.policy.rules.values().filter(|one| one.system == rule.system).collect();
        let look = Look { batch, rule, items, receipts, rules: &rules };
        let purged = look.count();
        if purged == 0 {
            return Absence::default();
        }
        match connector.absence(&look).await {
            Ok(absence) => absence,
            Err(error) => {
                tracing::warn!(batch = %batch, error = %error, "what was purged could not be looked for again");
                Absence { unlooked: purged, failure: Some(error.to_string()), ..Absence::default() }
            }
        }
    }

    /// Opens what a batch found left, at once: whatever stops the run after it, it stands in the log.
    pub(super) fn tell_leftovers(&mut self, rule: &Rule, found: &Absence) -> Result<(), EngineError> {
        let mut bodies = Vec::new();
        let told = [(codes::CAME_BACK, found.back), (codes::NOT_LOOKED_FOR, found.unlooked)];
        for (code, count) in told.into_iter().filter(|(_, count)| *count > 0) {
            bodies.extend(self.finding_opened(rule, code, count));
        }
        let open = self.places(rule);
        for (place, count) in found.left.iter().filter(|(place, _)| !open.contains(place)) {
            bodies.push(finding_at(rule, codes::LEFT_BEHIND, "opened", place, *count));
        }
        if bodies.is_empty() { Ok(()) } else { self.record(&bodies) }
    }

    /// A batch that has all its outcomes and a file still: nobody looked for its records, or nobody told what was found.
    pub(super) fn tell_unlooked(&mut self, batch: &BatchId) -> Result<(), EngineError> {
        let last = self.view.last_batches.iter().find(|last| last.batch == *batch && last.purged > 0);
        let Some((rule, count)) = last.map(|last| (last.rule.clone(), last.purged)) else { return Ok(()) };
        let body = match self.loaded.policy.rules.get(&rule) {
            Some(rule) => self.finding_opened(rule, codes::NOT_LOOKED_FOR, count),
            // The rule was taken out of the policy; what nobody looked for is there all the same.
            None => Some(Body::Finding {
                code: codes::NOT_LOOKED_FOR.id.into(),
                change: "opened".into(),
                rule: Some(rule),
                system: None,
                batch: None,
                place: None,
                count,
            }),
        };
        body.map_or(Ok(()), |body| self.record(&[body]))
    }

    /// Where something of this rule's records is known to be left.
    fn places(&self, rule: &Rule) -> Vec<&String> {
        let code = codes::LEFT_BEHIND.id;
        let open = self.view.findings.iter().filter(|one| one.code == code && one.rule.as_ref() == Some(&rule.id));
        open.filter_map(|one| one.place.as_ref()).collect()
    }
}
