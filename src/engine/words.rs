//! A person's word in the log: settling a batch, ending a freeze, comparing two policies.

use super::survey::{Reach, Silent, mark, walk};
use super::view::ends_by_word;
use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::domain::decide::{Moment, Verdict};
use crate::domain::id::{BatchId, HoldId, RuleId, SystemId};
use crate::domain::policy::Policy;
use crate::domain::rule::Rule;
use crate::state::keys::Purpose;
use crate::state::spool::{Spool, SpoolWriter};

/// What a changed policy makes of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Due under the old policy.
    pub before: u64,
    /// Due under the new one.
    pub due: u64,
    /// Due only under the new one.
    pub adds: u64,
    /// Due only under the old one.
    pub drops: u64,
}

impl Engine {
    /// Settles a batch that nothing else can settle. Gives the number of (record, part) pairs.
    pub fn settle_by_word(&mut self, batch: &BatchId, gone: bool, reason: &str) -> Result<u64, EngineError> {
        let open = self.view.open.get(batch).map(|open| open.count.saturating_sub(open.have.len() as u64));
        let finding = self.view.findings.iter().any(|finding| finding.batch.as_ref() == Some(batch));
        let count = match (open, finding) {
            (Some(count), _) => count,
            (None, true) => 0,
            (None, false) => {
                return Err(EngineError::NoSuch(format!("{batch} is not open: there is nothing to settle")));
            }
        };
        let note = self.keep_note(reason)?;
        let verdict = if gone { "gone" } else { "kept" };
        let by = self.by.clone();
        self.record(&[Body::Settled { batch: batch.clone(), verdict: verdict.into(), count, by, note }])?;
        self.drop_inflight(batch)?;
        Ok(count)
    }

    /// Ends the freeze of a rule, a system, or all. False: nothing of that name was frozen. Without a name it is always
    /// written, for a person who looked also vouches for the clock.
    pub fn resume(
        &mut self,
        rule: Option<RuleId>,
        system: Option<SystemId>,
        reason: &str,
    ) -> Result<bool, EngineError> {
        self.catch_up()?;
        let unsettled = |rule: &RuleId| self.view.open.values().any(|open| open.unsettled && open.rule == *rule);
        if let Some(rule) = rule.as_ref().filter(|rule| unsettled(rule)) {
            return Err(EngineError::Refused(format!(
                "rule `{rule}` has a batch that must be settled first: `bewaard status` names it"
            )));
        }
        let frozen = match (&rule, &system) {
            (Some(rule), _) => {
                let left = |finding| ends_by_word(finding, Some(rule));
                self.view.frozen_rules.contains_key(rule) || self.view.findings.iter().any(left)
            }
            (None, Some(system)) => self.view.frozen_systems.contains_key(system),
            (None, None) => true,
        };
        if frozen {
            let note = self.keep_note(reason)?;
            let by = self.by.clone();
            self.record(&[Body::Resumed { rule, system, by, note }])?;
        }
        Ok(frozen)
    }

    /// The text that the controller signs to release a hold.
    pub fn release_text(&self, hold: &HoldId) -> Result<String, EngineError> {
        let found = self.holds.iter().find(|one| one.id == *hold);
        let found = found.ok_or_else(|| EngineError::NoSuch(format!("there is no hold `{hold}` in force")))?;
        let log = self.origin();
        Ok(format!(
            "bewaard hold release\nlog: {log}\nhold: {hold}\nplaced: {}\nreview: {}\n",
            found.placed, found.review
        ))
    }

    /// Compares what a rule selects as due under this policy and under another. Nothing is written.
    pub async fn compare(
        &mut self,
        now: Option<&Rule>,
        before: Option<&Rule>,
        old: &Policy,
    ) -> Result<Change, EngineError> {
        let today = self.moment(crate::now::now());
        let then = Moment { year: old.year, ..today };
        let new_set = self.set_of(now, today).await?;
        let old_set = self.set_of(before, then).await?;
        let failed = |cause| super::plan::spool_error(std::path::Path::new("a temporary set"), cause);
        let (adds, drops) = new_set.difference(&old_set).map_err(failed)?;
        Ok(Change { before: old_set.len(), due: new_set.len(), adds, drops })
    }

    /// What is due under a rule at a moment, as an unnamed set.
    pub(super) async fn set_of(&mut self, rule: Option<&Rule>, moment: Moment) -> Result<Spool, EngineError> {
        let scratch = self.scratch()?;
        let failed = |cause| super::plan::spool_error(&scratch, cause);
        let mut writer = SpoolWriter::new();
        if let Some(rule) = rule {
            let connector = self.system(&rule.system)?;
            let key = self.mac_key(Purpose::Plan)?;
            let collection = rule.selection.collection();
            walk(connector.as_ref(), rule, moment, &self.holds, Reach::OnlyDue, &Silent, &mut |found, verdicts| {
                let due = rule.parts.iter().zip(verdicts).filter(|(_, verdict)| matches!(verdict, Verdict::Due(_)));
                for (part, _) in due {
                    writer.add(mark(&key, rule, &collection, &found.key, &part.id), &scratch).map_err(failed)?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(writer.finish(&scratch).map_err(failed)?.anonymous())
    }
}
