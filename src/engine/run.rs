//! A run: plan, gate, batches, ledger. It may only shrink what was planned.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::batch::RunContext;
use super::plan::{PlanWish, Planned};
use super::survey::{PAGE, Progress, Silent, mark, walk};
use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::codes;
use crate::connect::{ConnectError, Connector, Item, Query};
use crate::domain::decide::{Moment, Verdict, decide};
use crate::domain::digest::Digest;
use crate::domain::gate::Gate;
use crate::domain::id::{PlanId, RunId};
use crate::domain::outcome::{Outcome, Tally};
use crate::domain::plan::Plan;
use crate::domain::rule::Rule;
use crate::random;
use crate::state::keys::Purpose;
use crate::state::spool::Spool;

/// Records in one batch.
const BATCH: usize = 500;

/// How a run of one rule went.
#[derive(Debug)]
pub struct RunReport {
    /// The plan that was made for it.
    pub plan: Plan,
    /// Where that plan stood.
    pub gate: Gate,
    /// The run; `None` when there was nothing to do or nothing was allowed.
    pub run: Option<RunId>,
    /// How it ended.
    pub how: RunEnd,
    /// Outcomes, counted.
    pub tally: Tally,
    /// Pairs left for later runs by `per-run`.
    pub left: u64,
    /// What stopped it, when something did.
    pub failure: Option<ConnectError>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Everything that was due is settled.
    Done,
    /// `per-run` was reached; the rest goes in later runs.
    Paced,
    /// Somebody stopped it between two batches.
    Stopped,
    /// The system refused.
    Failed,
    /// It waits for an approval, is refused by its limits, or frozen.
    Waiting,
}

impl RunEnd {
    /// The word for it in the log and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Paced => "paced",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        }
    }
}

/// What the run carries out: a set, and the day up to which it is judged.
struct Mandate {
    plan: PlanId,
    set: Spool,
    moment: Moment,
    decision: Digest,
    last_day: NaiveDate,
    on_last_day: u64,
}

struct Walked {
    tally: Tally,
    seen: u64,
    stopped: bool,
    failure: Option<ConnectError>,
}

impl Engine {
    /// Runs one rule, under the run lock and after recovery.
    pub async fn run(&mut self, rule: &Rule, progress: &dyn Progress) -> Result<RunReport, EngineError> {
        let connector = self.system(&rule.system)?;
        let now = self.trusted_now(connector.as_ref()).await?;
        self.refresh_holds()?;
        if !connector.claim().await? {
            return Err(EngineError::BusyElsewhere(rule.system.clone()));
        }
        let report = match self.settle_waiting(&rule.system).await {
            Ok(()) => self.run_claimed(connector.as_ref(), rule, now, progress).await,
            Err(error) => Err(error),
        };
        let released = connector.release().await;
        let report = report?;
        released?;
        Ok(report)
    }

    async fn run_claimed(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
        now: DateTime<Utc>,
        progress: &dyn Progress,
    ) -> Result<RunReport, EngineError> {
        let moment = self.moment(now);
        let planned = self.plan(rule, moment, PlanWish::default(), progress).await?;
        let (plan, gate) = (planned.plan.clone(), planned.gate.clone());
        let idle = |how| RunReport {
            plan: plan.clone(),
            gate: gate.clone(),
            run: None,
            how,
            tally: Tally::default(),
            left: 0,
            failure: None,
        };
        let Some(mandate) = self.mandate(connector, rule, planned, moment).await? else {
            self.record_refusal(rule, &plan, &gate)?;
            self.record_ledger(rule, &plan, 0, plan.survey.due, plan.survey.oldest_due)?;
            self.publish()?;
            // A rule that nobody has approved yet, and that has nothing due, keeps nobody waiting.
            let nothing = plan.survey.due == 0 && gate == Gate::NeedsApproval;
            return Ok(idle(if nothing { RunEnd::Done } else { RunEnd::Waiting }));
        };
        if mandate.set.is_empty() {
            self.record_ledger(rule, &plan, 0, 0, None)?;
            self.publish()?;
            return Ok(idle(RunEnd::Done));
        }
        self.carry_out(connector, rule, &plan, gate, &mandate, progress).await
    }

    /// What may run now: this plan, or an approved one that was released beyond a limit.
    async fn mandate(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
        planned: Planned,
        moment: Moment,
    ) -> Result<Option<Mandate>, EngineError> {
        if planned.gate == Gate::Open {
            let (last_day, on_last_day) = pace(&planned.days, rule.limits.per_run);
            let (plan, decision) = (planned.plan.id, planned.plan.decision);
            return Ok(Some(Mandate { plan, set: planned.set, moment, decision, last_day, on_last_day }));
        }
        if !matches!(planned.gate, Gate::Refused { .. }) {
            return Ok(None);
        }
        let released = self.view.released_beyond(&rule.id, crate::now::now());
        let released = released.filter(|(_, fact, _)| fact.decision == planned.plan.decision);
        let Some((id, fact)) = released.map(|(id, fact, _)| (id, fact.clone())) else { return Ok(None) };
        let set = self.open_set(&id, &fact.set)?;
        let moment = Moment { today: fact.cutoff.min(moment.today), ..moment };
        let walked = walk(connector, rule, moment, &self.holds, &Silent, &mut |_, _| Ok(())).await?;
        let (last_day, on_last_day) = pace(&walked.days, rule.limits.per_run);
        Ok(Some(Mandate { plan: id, set, moment, decision: fact.decision, last_day, on_last_day }))
    }

    async fn carry_out(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
        plan: &Plan,
        gate: Gate,
        mandate: &Mandate,
        progress: &dyn Progress,
    ) -> Result<RunReport, EngineError> {
        let run = RunId::from_random(random::bytes());
        self.record(&[Body::RunStarted {
            run: run.clone(),
            rule: rule.id.clone(),
            plan: mandate.plan,
            by: self.by.clone(),
        }])?;
        let context = RunContext {
            rule,
            run: run.clone(),
            plan: mandate.plan,
            decision: mandate.decision,
            moment: mandate.moment,
        };
        // A set that was released beyond a limit runs under its own approval, whatever today's plan would be.
        let gate = if mandate.plan == plan.id { gate } else { Gate::Open };
        let walked = self.purge_walk(connector, &context, mandate, progress).await?;
        let left = self.left_over(connector, rule, mandate, &walked).await?;
        let how = match (&walked.failure, walked.stopped, left.due) {
            (Some(_), _, _) => RunEnd::Failed,
            (None, true, _) => RunEnd::Stopped,
            (None, false, 0) => RunEnd::Done,
            (None, false, _) => RunEnd::Paced,
        };
        let mut bodies = vec![Body::RunEnded {
            run: run.clone(),
            rule: rule.id.clone(),
            how: how.word().into(),
            tally: walked.tally.clone(),
            settled: how == RunEnd::Done,
        }];
        if walked.seen == 0 && walked.failure.is_none() && !walked.stopped {
            bodies.push(self.finding(rule, codes::EMPTY_INTERSECTION, mandate.set.len()));
        }
        self.record(&bodies)?;
        self.record_ledger(rule, plan, walked.tally.purged(), left.due, left.oldest)?;
        self.publish()?;
        let (tally, failure) = (walked.tally, walked.failure);
        Ok(RunReport { plan: plan.clone(), gate, run: Some(run), how, tally, left: left.due, failure })
    }

    /// Finds what is still due and still in the set, and purges it in batches.
    async fn purge_walk(
        &mut self,
        connector: &dyn Connector,
        context: &RunContext<'_>,
        mandate: &Mandate,
        progress: &dyn Progress,
    ) -> Result<Walked, EngineError> {
        let rule = context.rule;
        let plan_key = self.mac_key(Purpose::Plan)?;
        let collection = rule.selection.collection();
        let mut walked = Walked { tally: Tally::default(), seen: 0, stopped: false, failure: None };
        let (mut after, mut items, mut last_day_left) = (None, Vec::with_capacity(BATCH), mandate.on_last_day);
        loop {
            let identities = !self.holds.is_empty();
            let query = Query { rule, due_by: Some(mandate.moment.today), identities, limit: PAGE };
            let page = connector.find(&query, after.as_ref()).await?;
            for found in page.found {
                let verdicts = decide(rule, &found, &self.holds, mandate.moment);
                let Some(oldest) = oldest_due(&verdicts) else { continue };
                if oldest > mandate.last_day || (oldest == mandate.last_day && last_day_left == 0) {
                    continue;
                }
                let mut parts = Vec::new();
                for (place, part) in rule.parts.iter().enumerate() {
                    let due = matches!(verdicts.get(place), Some(Verdict::Due(_)));
                    let mark = mark(&plan_key, rule, &collection, &found.key, &part.id);
                    if due && mandate.set.contains(&mark).map_err(|cause| set_error(&collection, cause))? {
                        parts.push(place);
                    }
                }
                if parts.is_empty() {
                    continue;
                }
                last_day_left -= u64::from(oldest == mandate.last_day);
                items.push(Item { key: found.key, fingerprint: found.fingerprint, parts });
                if items.len() == BATCH {
                    self.next_batch(connector, context, &mut items, &mut walked, mandate, progress).await?;
                    if walked.stopped || walked.failure.is_some() {
                        return Ok(walked);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                self.next_batch(connector, context, &mut items, &mut walked, mandate, progress).await?;
                return Ok(walked);
            }
        }
    }

    /// Asks again whether it may, then purges the batch.
    async fn next_batch(
        &mut self,
        connector: &dyn Connector,
        context: &RunContext<'_>,
        items: &mut Vec<Item>,
        walked: &mut Walked,
        mandate: &Mandate,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let batch = std::mem::take(items);
        if batch.is_empty() {
            return Ok(());
        }
        self.refresh_holds()?;
        if progress.stop() || self.view.paused || self.view.frozen_rules.contains_key(&context.rule.id) {
            walked.stopped = true;
            return Ok(());
        }
        let done = self.purge_batch(connector, context, &batch).await?;
        walked.seen += batch.iter().map(|item| item.parts.len() as u64).sum::<u64>();
        walked.tally.merge(&done.tally);
        walked.failure = done.failure;
        progress.at(context.rule.id.as_str(), walked.seen, mandate.set.len());
        Ok(())
    }

    /// What is still overdue afterwards: counted again, unless everything that was found is settled.
    async fn left_over(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
        mandate: &Mandate,
        walked: &Walked,
    ) -> Result<LeftOver, EngineError> {
        let final_here =
            walked.tally.purged() + walked.tally.of(Outcome::AlreadyGone) + walked.tally.of(Outcome::GoneUnexplained);
        if final_here == mandate.set.len() {
            return Ok(LeftOver { due: 0, oldest: None });
        }
        if walked.failure.is_some() {
            // The system just refused: what is left is what is not known to be gone.
            return Ok(LeftOver { due: mandate.set.len().saturating_sub(final_here), oldest: None });
        }
        let again = walk(connector, rule, mandate.moment, &self.holds, &Silent, &mut |_, _| Ok(())).await?;
        Ok(LeftOver { due: again.survey.due, oldest: again.survey.oldest_due })
    }

    /// The earlier of the host's time and the system's. More than an hour apart, or more than an hour before the log's
    /// last entry: doubt, and nothing is purged.
    async fn trusted_now(&self, connector: &dyn Connector) -> Result<DateTime<Utc>, EngineError> {
        let host = crate::now::now();
        let theirs = connector.server_now().await?;
        let hour = TimeDelta::hours(1);
        if (host - theirs).abs() > hour {
            let apart = (host - theirs).num_minutes();
            return Err(EngineError::Time(format!("the host and the system are {apart} minutes apart")));
        }
        if let Some(last) = self.view.last
            && last - host > hour
        {
            let ahead = (last - host).num_minutes();
            return Err(EngineError::Time(format!("the log's last entry lies {ahead} minutes in the future")));
        }
        Ok(host.min(theirs))
    }

    fn finding(&self, rule: &Rule, code: &codes::Code, count: u64) -> Body {
        Body::Finding {
            code: code.id.into(),
            change: "opened".into(),
            rule: Some(rule.id.clone()),
            system: Some(rule.system.clone()),
            batch: None,
            count,
        }
    }

    /// A refused plan is said once in the log.
    fn record_refusal(&mut self, rule: &Rule, plan: &Plan, gate: &Gate) -> Result<(), EngineError> {
        let Gate::Refused { limits } = gate else { return Ok(()) };
        if self.view.refused.contains(&plan.id) {
            return Ok(());
        }
        self.record(&[Body::Refused {
            rule: Some(rule.id.clone()),
            system: Some(rule.system.clone()),
            plan: Some(plan.id),
            limits: limits.clone(),
            code: codes::OVER_LIMITS.id.into(),
            frozen: false,
        }])
    }

    fn record_ledger(
        &mut self,
        rule: &Rule,
        plan: &Plan,
        purged: u64,
        overdue: u64,
        oldest: Option<NaiveDate>,
    ) -> Result<(), EngineError> {
        self.record(&[Body::Ledger {
            rule: rule.id.clone(),
            system: rule.system.clone(),
            day: plan.cutoff,
            of: plan.survey.of,
            found: plan.survey.found,
            overdue,
            oldest,
            kept: plan.survey.kept.clone(),
            purged,
        }])
    }
}

struct LeftOver {
    due: u64,
    oldest: Option<NaiveDate>,
}

fn oldest_due(verdicts: &[Verdict]) -> Option<NaiveDate> {
    let days = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Due(day) => Some(*day),
        Verdict::Kept(_) | Verdict::Settled => None,
    });
    days.min()
}

/// Oldest first: the last due day that this run reaches, and how many records of that day fit.
fn pace(days: &super::survey::DueDays, per_run: u64) -> (NaiveDate, u64) {
    let mut left = per_run;
    for (day, count) in days {
        if *count >= left {
            return (*day, left);
        }
        left -= count;
    }
    (NaiveDate::MAX, u64::MAX)
}

fn set_error(collection: &str, cause: std::io::Error) -> EngineError {
    EngineError::Io { doing: "read the plan's set for", path: collection.into(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pacing_takes_the_oldest_first() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let days = [(day("2024-01-01"), 5), (day("2024-02-01"), 10)].into();
        assert_eq!(pace(&days, 3), (day("2024-01-01"), 3));
        assert_eq!(pace(&days, 5), (day("2024-01-01"), 5));
        assert_eq!(pace(&days, 8), (day("2024-02-01"), 3));
        assert_eq!(pace(&days, 16), (NaiveDate::MAX, u64::MAX));
    }
}
