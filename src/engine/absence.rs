//! Looking after each batch for what is left of the records that it purged, and telling it until it is over.

use super::findings::finding_at;
use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::codes;
use crate::connect::{Absence, Connector, Item, Look};
use crate::domain::id::BatchId;
use crate::domain::outcome::Receipt;
use crate::domain::rule::Rule;

impl Engine {
    /// What is still there of a batch that purged something; of another nothing is asked. A look that fails undoes no
    /// purge: its records count as not looked for, and that is told. A kill before the look is over leaves them unlooked.
    pub(super) async fn look_for_leftovers(
        &self,
        connector: &dyn Connector,
        rule: &Rule,
        batch: &BatchId,
        items: &[Item],
        receipts: &[Receipt],
    ) -> Absence {
        let rules: Vec<&Rule> = self.loaded.policy.rules.values().filter(|one| one.system == rule.system).collect();
        let look = Look { batch, rule, items, receipts, rules: &rules };
        let purged = look.purged().len() as u64;
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

    /// Entries that close what a whole run no longer found. Where something was not looked for, nothing is over.
    pub(super) fn leftovers_over(&self, rule: &Rule, found: &Absence) -> Vec<Body> {
        let mut out = Vec::new();
        if found.looked == 0 || found.unlooked > 0 {
            return out;
        }
        out.extend(self.finding_closed(rule, codes::NOT_LOOKED_FOR));
        if found.back == 0 {
            out.extend(self.finding_closed(rule, codes::CAME_BACK));
        }
        let open = self.places(rule).into_iter().filter(|place| !found.left.contains_key(*place));
        out.extend(open.map(|place| finding_at(rule, codes::LEFT_BEHIND, "closed", place, 0)));
        out
    }

    /// Where something of this rule's records is known to be left.
    fn places(&self, rule: &Rule) -> Vec<&String> {
        let code = codes::LEFT_BEHIND.id;
        let open = self.view.findings.iter().filter(|one| one.code == code && one.rule.as_ref() == Some(&rule.id));
        open.filter_map(|one| one.place.as_ref()).collect()
    }
}
