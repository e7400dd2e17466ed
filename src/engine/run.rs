//! A run: plan, gate, batches, ledger. It may only shrink what was planned.
//!
//! The first run after a person opened a gate takes a first bite: a few records go alone and are looked for again, and
//! only then the others go. Records that the system refuses take nothing from the pace of the run.

mod left;
mod report;

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use self::left::LeftOver;
pub use self::report::{RunEnd, RunReport, Started};
use super::batch::RunContext;
use super::findings::finding;
use super::plan::{PlanWish, Planned};
use super::purge::{Tried, Walked, untried};
use super::quarantine::Keeping;
use super::survey::{DueDays, Progress, Reach, Silent, walk};
use super::view::Bite;
use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::codes;
use crate::connect::Connector;
use crate::domain::decide::Moment;
use crate::domain::digest::Digest;
use crate::domain::gate::Gate;
use crate::domain::id::{PlanId, RunId};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::rule::{Mode, Rule};
use crate::random;
use crate::state::items::Items;
use crate::state::spool::Spool;

/// Minutes that a scheduled run waits after the first bite, so that somebody can look.
const AFTER_BITE: i64 = 60;

/// What the run carries out: a set, and the day up to which it is judged.
pub(super) struct Mandate {
    pub(super) plan: PlanId,
    pub(super) set: Spool,
    /// Its records, where it is the plan that was just made and none hangs below another.
    pub(super) items: Option<Items>,
    pub(super) moment: Moment,
    pub(super) decision: Digest,
    /// The last due day that it reaches, and how many records of that day.
    pub(super) last_day: NaiveDate,
    pub(super) on_last_day: u64,
    /// Whether this is only the first bite.
    pub(super) bite: bool,
    /// Whether what went is looked for again, since nothing of this decision ever went before.
    pub(super) look_again: bool,
}

/// What is left to do in one call of [`Engine::run`], which may take several walks.
struct Job<'r> {
    rule: &'r Rule,
    started: Started,
    moment: Moment,
    /// Records that may still go.
    budget: u64,
    tried: Tried,
    /// Pairs purged so far.
    purged: u64,
    /// Whether another walk is wanted.
    again: bool,
}

impl Engine {
    /// Runs one rule, under the run lock and after recovery.
    pub async fn run(
        &mut self,
        rule: &Rule,
        started: Started,
        progress: &dyn Progress,
    ) -> Result<RunReport, EngineError> {
        self.catch_up()?;
        if self.heed_pause(progress)? {
            return Err(EngineError::Paused);
        }
        self.ask_outside()?;
        let connector = self.system(&rule.system)?;
        let now = self.trusted_now(connector.as_ref()).await?;
        self.refresh_holds()?;
        if !connector.claim().await? {
            return Err(EngineError::BusyElsewhere(rule.system.clone()));
        }
        let braked = self.braked(progress);
        let report = match self.settle_waiting(&rule.system).await {
            Ok(()) => self.run_claimed(connector.as_ref(), rule, started, now, &braked).await,
            Err(error) => Err(error),
        };
        let released = connector.release().await;
        let paused = self.heed_pause(progress)?;
        if paused && matches!(report, Err(EngineError::Stopped)) {
            return Err(EngineError::Paused);
        }
        let report = report?;
        released?;
        Ok(report)
    }

    async fn run_claimed(
        &mut self,
        connector: &dyn Connector,
        rule: &Rule,
        started: Started,
        now: DateTime<Utc>,
        progress: &dyn Progress,
    ) -> Result<RunReport, EngineError> {
        let (moment, budget) = (self.moment(now), rule.limits.per_run);
        let mut job = Job { rule, started, moment, budget, tried: Tried::new(), purged: 0, again: false };
        let mut whole: Option<RunReport> = None;
        loop {
            job.again = false;
            let report = match (self.run_once(connector, &mut job, progress).await, whole.take()) {
                // What the walk before did must be told.
                (Err(EngineError::Stopped), Some(before)) => {
                    return Ok(RunReport { how: RunEnd::Stopped, ..before });
                }
                (report, Some(before)) => before.and_then(report?),
                (report, None) => report?,
            };
            if job.again && progress.stop() {
                return Ok(RunReport { how: RunEnd::Stopped, ..report });
            }
            // A system that refuses as many as a whole run may take is not asked for more.
            if !job.again || job.budget == 0 || job.tried.len() as u64 >= rule.limits.per_run {
                return Ok(report);
            }
            whole = Some(report);
        }
    }

    async fn run_once(
        &mut self,
        connector: &dyn Connector,
        job: &mut Job<'_>,
        progress: &dyn Progress,
    ) -> Result<RunReport, EngineError> {
        let rule = job.rule;
        let planned =
            self.plan(rule, job.moment, PlanWish { keep_items: true, ..PlanWish::default() }, progress).await?;
        let (plan, gate) = (planned.plan.clone(), planned.gate.clone());
        let Some(mut mandate) = self.mandate(connector, job, planned).await? else {
            self.record_refusal(rule, &plan, &gate)?;
            self.record_ledger(connector, job, &plan, LeftOver::of(&plan)).await?;
            self.publish()?;
            // A rule that nobody has approved yet, and that has nothing due, keeps nobody waiting.
            let nothing = plan.survey.due == 0 && matches!(gate, Gate::NeedsApproval { .. });
            if nothing {
                let closed = self.finding_closed(rule, codes::WAITING);
                self.record(&closed.into_iter().collect::<Vec<_>>())?;
            }
            return Ok(RunReport::idle(&plan, &gate, if nothing { RunEnd::Done } else { RunEnd::Waiting }));
        };
        if mandate.set.is_empty() {
            let over = [codes::RECORDS_REFUSED, codes::WAITING];
            let closed: Vec<Body> = over.iter().filter_map(|code| self.finding_closed(rule, code)).collect();
            self.record(&closed)?;
            self.record_ledger(connector, job, &plan, LeftOver::default()).await?;
            self.publish()?;
            return Ok(RunReport::idle(&plan, &gate, RunEnd::Done));
        }
        let idle = if rule.mode == Mode::Observe {
            Some(RunEnd::Observed)
        } else {
            (job.started == Started::BySchedule && self.bitten_just_now(rule)).then_some(RunEnd::FirstBite)
        };
        if let Some(how) = idle {
            self.record_ledger(connector, job, &plan, LeftOver::of(&plan)).await?;
            self.publish()?;
            return Ok(RunReport { left: plan.survey.due, ..RunReport::idle(&plan, &gate, how) });
        }
        self.carry_out(connector, job, &plan, gate, &mut mandate, progress).await
    }

    /// Whether the first bite went less than an hour ago.
    fn bitten_just_now(&self, rule: &Rule) -> bool {
        let Some(Bite::Taken(at)) = self.view.bites.get(&rule.id) else { return false };
        crate::now::now() - *at < TimeDelta::minutes(AFTER_BITE)
    }

    /// What may run now: this plan, or an approved one that was released beyond a limit.
    async fn mandate(
        &mut self,
        connector: &dyn Connector,
        job: &Job<'_>,
        planned: Planned,
    ) -> Result<Option<Mandate>, EngineError> {
        if planned.gate == Gate::Open {
            let (plan, decision) = (planned.plan.id, planned.plan.decision);
            let mandate = self.paced(job, &planned.days, plan, decision, planned.set, job.moment);
            return Ok(Some(Mandate { items: planned.items, ..mandate }));
        }
        let Gate::Refused { limits } = &planned.gate else { return Ok(None) };
        let released = self.view.released_beyond(&job.rule.id, crate::now::now());
        // Beyond one limit is beyond that limit only, and only while the limits are no looser than they were.
        let released = released.filter(|(_, fact, approval)| {
            fact.decision == planned.plan.decision
                && limits.iter().all(|limit| approval.beyond.contains(limit))
                && super::plan::raised(job.rule, approval).is_empty()
        });
        let Some((id, fact)) = released.map(|(id, fact, _)| (id, fact.clone())) else { return Ok(None) };
        let set = self.open_set(&id, &fact.set)?;
        let moment = Moment { today: fact.cutoff.min(job.moment.today), ..job.moment };
        let walked =
            walk(connector, job.rule, moment, &self.holds, Reach::OnlyDue, &Silent, &mut |_, _| Ok(())).await?;
        Ok(Some(self.paced(job, &walked.days, id, fact.decision, set, moment)))
    }

    /// A mandate as far as the pace goes, or only the first bite of it.
    fn paced(
        &self,
        job: &Job<'_>,
        days: &DueDays,
        plan: PlanId,
        decision: Digest,
        set: Spool,
        moment: Moment,
    ) -> Mandate {
        let days = untried(days, &job.tried);
        let look_again = self.view.bites.get(&job.rule.id) == Some(&Bite::Ahead);
        let (first, all) = (job.rule.limits.first_bite, days.values().sum::<u64>());
        let bite = look_again && first > 0 && first < all.min(job.budget);
        // A run that is no larger than a bite is one.
        let look_again = bite || (look_again && all.min(job.budget) <= first);
        let (last_day, on_last_day) = pace(&days, if bite { first } else { job.budget });
        Mandate { plan, set, items: None, moment, decision, last_day, on_last_day, bite, look_again }
    }

    async fn carry_out(
        &mut self,
        connector: &dyn Connector,
        job: &mut Job<'_>,
        plan: &Plan,
        gate: Gate,
        mandate: &mut Mandate,
        progress: &dyn Progress,
    ) -> Result<RunReport, EngineError> {
        let rule = job.rule;
        let run = RunId::from_random(random::bytes());
        let keeping = self.open_window(connector, rule).await?;
        let mut bodies: Vec<Body> = keeping.iter().map(Keeping::made).collect();
        bodies.push(Body::RunStarted {
            run: run.clone(),
            rule: rule.id.clone(),
            plan: mandate.plan,
            by: self.by.clone(),
            window: keeping.as_ref().map(Keeping::window),
        });
        bodies.extend(self.finding_closed(rule, codes::WAITING));
        self.record(&bodies)?;
        let window = keeping.as_ref().map(|keeping| (run.clone(), keeping.until));
        let context = RunContext {
            rule: Arc::new(rule.clone()),
            run: run.clone(),
            plan: mandate.plan,
            decision: mandate.decision,
            moment: mandate.moment,
            keeping: keeping.map(Arc::new),
        };
        // A set that was released beyond a limit runs under its own approval, whatever today's plan would be.
        let gate = if mandate.plan == plan.id { gate } else { Gate::Open };
        let walked = self.purge_walk(&context, mandate, &mut job.tried, progress).await?;
        let left = self.left_over(connector, rule, mandate, &walked).await?;
        let how = ended(mandate, &walked, &left);
        self.record_end(job, &run, how, mandate, &walked)?;
        job.budget = job.budget.saturating_sub(walked.records - walked.refused);
        job.purged += walked.tally.purged();
        job.again = match how {
            RunEnd::FirstBite => job.started == Started::ByPerson && walked.records > 0,
            RunEnd::Paced => walked.refused > 0,
            _ => false,
        };
        let mut space = Vec::new();
        if !job.again || progress.stop() {
            space = self.record_ledger(connector, job, plan, left).await?;
        }
        if walked.tally.of(Outcome::Erased) == 0 {
            space.clear();
        }
        self.publish()?;
        let gate = if walked.back > 0 { self.gate(rule, plan) } else { gate };
        let (tally, absence, failure, brakes) = (walked.tally, walked.absence, walked.failure, walked.brakes);
        let windows = window.into_iter().filter(|_| tally.purged() > 0).collect();
        let (run, left, idle) = (Some(run), left.due, RunReport::idle(plan, &gate, how));
        Ok(RunReport { run, tally, left, absence, failure, brakes, windows, space, ..idle })
    }

    /// How it ended, with what a person must look at.
    fn record_end(
        &mut self,
        job: &Job<'_>,
        run: &RunId,
        how: RunEnd,
        mandate: &Mandate,
        walked: &Walked,
    ) -> Result<(), EngineError> {
        let rule = job.rule;
        let mut bodies = vec![Body::RunEnded {
            run: run.clone(),
            rule: rule.id.clone(),
            how: how.word().into(),
            tally: walked.tally.clone(),
            settled: how == RunEnd::Done,
        }];
        if walked.failure.is_none() && !walked.stopped && walked.brakes.is_empty() {
            let none = if walked.seen == 0 { mandate.set.len() } else { 0 };
            bodies.extend(self.finding_about(rule, codes::EMPTY_INTERSECTION, none));
            bodies.extend(self.finding_about(rule, codes::RECORDS_REFUSED, job.tried.len() as u64));
        }
        if walked.back > 0 {
            bodies.push(finding(rule, codes::FIRST_BITE, "opened", walked.back));
            bodies.push(Body::Refused {
                rule: Some(rule.id.clone()),
                system: Some(rule.system.clone()),
                plan: None,
                limits: Vec::new(),
                code: codes::FIRST_BITE.id.into(),
                frozen: true,
            });
        }
        self.record(&bodies)
    }

    /// A refused plan, or one that waits since a limit was raised, is said once in the log.
    fn record_refusal(&mut self, rule: &Rule, plan: &Plan, gate: &Gate) -> Result<(), EngineError> {
        let (limits, code) = match gate {
            Gate::Refused { limits } => (limits.clone(), codes::OVER_LIMITS),
            Gate::NeedsApproval { raised } if !raised.is_empty() => (Vec::new(), codes::LIMITS_RAISED),
            _ => return Ok(()),
        };
        if self.view.refused.contains(&plan.id) {
            return Ok(());
        }
        self.record(&[Body::Refused {
            rule: Some(rule.id.clone()),
            system: Some(rule.system.clone()),
            plan: Some(plan.id),
            limits,
            code: code.id.into(),
            frozen: false,
        }])
    }
}

/// How a walk ended.
fn ended(mandate: &Mandate, walked: &Walked, left: &LeftOver) -> RunEnd {
    if walked.failure.is_some() || walked.back > 0 {
        RunEnd::Failed
    } else if walked.stopped {
        RunEnd::Stopped
    } else if !walked.brakes.is_empty() {
        RunEnd::Braked
    } else if mandate.bite {
        // A bite of which nothing went (all changed since) is taken again.
        RunEnd::FirstBite
    } else if left.due == 0 {
        RunEnd::Done
    } else {
        RunEnd::Paced
    }
}

/// Oldest first: the last due day that this run reaches, and how many records of that day fit.
fn pace(days: &DueDays, per_run: u64) -> (NaiveDate, u64) {
    let mut left = per_run;
    for (day, count) in days {
        if *count >= left {
            return (*day, left);
        }
        left -= count;
    }
    (NaiveDate::MAX, u64::MAX)
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
