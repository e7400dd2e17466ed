//! What a run leaves: the records that are still overdue, and the day's entry of the ledger.

use chrono::NaiveDate;

use super::{Job, Mandate};
use crate::audit::entry::Body;
use crate::connect::{Connector, Space};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::rule::Rule;
use crate::engine::purge::Walked;
use crate::engine::survey::{Reach, Silent, walk};
use crate::engine::{Engine, EngineError};

/// What is past its term after a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeftOver {
    pub(super) due: u64,
    pub(super) oldest: Option<NaiveDate>,
}

impl LeftOver {
    /// All that was planned.
    pub(super) fn of(plan: &Plan) -> Self {
        Self { due: plan.survey.due, oldest: plan.survey.oldest_due }
    }
}

impl Engine {
    /// What is still overdue afterwards: counted again, unless everything that was found is settled.
    pub(super) async fn left_over(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
        mandate: &Mandate,
        walked: &Walked,
    ) -> Result<LeftOver, EngineError> {
        let final_here =
            walked.tally.purged() + walked.tally.of(Outcome::AlreadyGone) + walked.tally.of(Outcome::GoneUnexplained);
        if final_here == mandate.set.len() {
            return Ok(LeftOver::default());
        }
        if walked.failure.is_some() || !walked.brakes.is_empty() || walked.back > 0 || mandate.bite {
            // Nobody is asked now: what is left is what is not known to be gone.
            return Ok(LeftOver { due: mandate.set.len().saturating_sub(final_here), oldest: None });
        }
        let again =
            walk(connector, rule, mandate.moment, &self.holds, Reach::OnlyDue, &Silent, &mut |_, _| Ok(())).await?;
        Ok(LeftOver { due: again.survey.due, oldest: again.survey.oldest_due })
    }

    /// Where the rule stands at the end of the day, and what its system keeps of what was purged. Gives where the space of
    /// deleted rows stays.
    pub(super) async fn record_ledger(
        &mut self,
        connector: &dyn Connector,
        job: &Job<'_>,
        plan: &Plan,
        left: LeftOver,
    ) -> Result<Vec<Space>, EngineError> {
        let (traces, space) = match connector.keeps(&[job.rule]).await {
            Ok(keeps) => (Some(keeps.by_kind()), keeps.space),
            Err(error) => {
                tracing::warn!(rule = %job.rule.id, %error, "what the system keeps of what was purged is not known");
                (None, Vec::new())
            }
        };
        self.record(&[Body::Ledger {
            rule: job.rule.id.clone(),
            system: job.rule.system.clone(),
            day: plan.cutoff,
            of: plan.survey.of,
            found: plan.survey.found,
            overdue: left.due,
            oldest: left.oldest,
            kept: plan.survey.kept.clone(),
            purged: job.purged,
            traces,
            about: plan.survey.about,
        }])?;
        Ok(space)
    }
}
