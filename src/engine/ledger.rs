//! The due ledger: what is past its term, per rule, and what stands in the way. Green only when all is known.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::brakes::Told;
use super::survey::{Reach, Silent, walk};
use super::view::WindowFact;
use super::{Engine, EngineError};
use crate::codes;
use crate::connect::{Finding, Severity};
use crate::domain::decide::{KeepReason, Moment};
use crate::domain::gate::{Limit, over_limits};
use crate::domain::id::{BatchId, PlanId, RuleId, RunId, SystemId};
use crate::domain::plan::Survey;
use crate::domain::rule::{Mode, Rule};
use crate::domain::trace::Traces;
use crate::report::words::count;

fn owned<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

/// Where one rule stands.
#[derive(Debug)]
pub struct Standing {
    /// The rule.
    pub rule: RuleId,
    /// Its system.
    pub system: SystemId,
    /// What keeps it from running: faults that its system shows.
    pub misfit: Vec<Finding>,
    /// What was counted just now; `Err` says why the system could not be read.
    pub read: Result<Survey, String>,
    /// What the log last knew.
    pub last_known: Option<(NaiveDate, u64)>,
    /// Whether its gate is open for the present decision, as far as can be told without planning.
    pub approved: bool,
    /// The plan that waits for a person, and since when.
    pub waiting: Option<(PlanId, DateTime<Utc>)>,
    /// For how many days it has been waiting, where something is due.
    pub waiting_days: Option<u64>,
    /// Limits that were raised since the approval.
    pub raised: Vec<String>,
    /// Whether the rule only observes.
    pub observes: bool,
    /// Whether the system refused records of the last run.
    pub refused: bool,
    /// Why it is frozen: a code.
    pub frozen: Option<String>,
    /// Limits that what is due now is over.
    pub over: Vec<Limit>,
    /// Purged in all.
    pub purged: u64,
}

/// The whole ledger.
#[derive(Debug)]
pub struct Ledger {
    /// The day.
    pub today: NaiveDate,
    /// Where each rule stands.
    pub rules: Vec<Standing>,
    /// What is wrong with the host's clock.
    pub doubt: Option<String>,
    /// Whether everything is paused.
    pub paused: bool,
    /// Holds in force, and how many of them are past their review.
    pub holds: (u64, u64),
    /// Codes of open findings, counted.
    pub findings: BTreeMap<String, u64>,
    /// Whether a controller is declared, who signs approvals.
    pub controller: bool,
    /// Where something of purged records was left: the rule and the place.
    pub left: Vec<(RuleId, String)>,
    /// Batches that only a person can settle.
    pub unsettled: BTreeSet<BatchId>,
    /// What each system still keeps of what was purged there.
    pub traces: BTreeMap<SystemId, Traces>,
    /// What held the last run on a system.
    pub brakes: Told,
    /// Runs that can be undone: what they took is in quarantine and not gone.
    pub windows: BTreeMap<RunId, WindowFact>,
}

/// The headline, in the order of what is said first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Headline {
    /// There is no log yet.
    NotStarted,
    /// Some systems could not be read, so nobody knows.
    Unknown(Vec<SystemId>),
    /// Something was stopped: pause, freeze, unsettled batches.
    Stopped(String),
    /// Records are past their term by so many days, and these rules wait for a person.
    Overdue {
        /// Days of the oldest.
        days: i64,
        /// How many records.
        records: u64,
        /// Rules that wait for a person, and for how many days.
        waiting: Vec<(RuleId, u64)>,
        /// Rules that only observe.
        observing: usize,
    },
    /// Nothing is past its term, but somebody must decide about records without a clock.
    Undecided(u64),
    /// Nothing is past its term.
    Green,
}

impl Engine {
    /// Counts every rule anew.
    pub async fn ledger(&mut self, now: DateTime<Utc>) -> Result<Ledger, EngineError> {
        let moment = self.moment(now);
        let rules: Vec<Rule> = self.loaded.policy.rules.values().cloned().collect();
        let mut standings = Vec::with_capacity(rules.len());
        for rule in &rules {
            let (read, misfit) = match self.read_rule(rule, moment).await {
                Ok((survey, misfit)) => (Ok(survey), misfit),
                Err(why) => (Err(why), Vec::new()),
            };
            standings.push(self.standing(rule, read, misfit)?);
        }
        let overdue_reviews = self.holds.iter().filter(|hold| hold.review < moment.today).count() as u64;
        let mut findings = BTreeMap::new();
        for finding in &self.view.findings {
            *findings.entry(finding.code.clone()).or_default() += 1;
        }
        Ok(Ledger {
            today: moment.today,
            rules: standings,
            doubt: self.time_doubt(),
            paused: self.is_paused(),
            holds: (self.holds.iter().count() as u64, overdue_reviews),
            findings,
            controller: self.loaded.policy.has_controller(),
            left: self.left_behind(),
            unsettled: self.unsettled(),
            traces: self.traces(),
            brakes: self.told_brakes(),
            windows: self.view.windows.iter().filter(|(_, window)| window.kept > 0).map(owned).collect(),
        })
    }

    fn left_behind(&self) -> Vec<(RuleId, String)> {
        let place = |one: &super::view::OpenFinding| Some((one.rule.clone()?, one.place.clone()?));
        self.view.findings.iter().filter_map(place).collect()
    }

    /// Batches beyond settling by looking, and those that left outcomes which are not known.
    fn unsettled(&self) -> BTreeSet<BatchId> {
        let open = self.view.open.iter().filter(|(_, open)| open.unsettled).map(|(batch, _)| batch.clone());
        // What is gone, by whom is not known, holds nothing up; it is told as an open finding.
        let waits = |finding: &&super::view::OpenFinding| finding.code != codes::GONE_UNEXPLAINED.id;
        open.chain(self.view.findings.iter().filter(waits).filter_map(|finding| finding.batch.clone())).collect()
    }

    /// What each system still keeps, over all rules that ever purged there.
    fn traces(&self) -> BTreeMap<SystemId, Traces> {
        let of_system = |(system, rules): (&SystemId, &BTreeMap<RuleId, Traces>)| {
            let mut all = Traces::default();
            for one in rules.values() {
                all.merge(one);
            }
            all.last_purge.is_some().then(|| (system.clone(), all))
        };
        self.view.traces.iter().filter_map(of_system).collect()
    }

    /// What is due, and what keeps the rule from running on its system as it is.
    async fn read_rule(&mut self, rule: &Rule, moment: Moment) -> Result<(Survey, Vec<Finding>), String> {
        let connector = self.system(&rule.system).map_err(|error| error.to_string())?;
        let probe = connector.probe(rule).await.map_err(|error| error.to_string())?;
        let walked =
            walk(connector.as_ref(), rule, moment, &self.holds, Reach::MayBeDue, &Silent, &mut |_, _| Ok(())).await;
        let survey = walked.map(|walked| walked.survey).map_err(|error| error.to_string())?;
        let fault = |one: &Finding| one.severity == Severity::Fault;
        Ok((survey, probe.findings.into_iter().filter(fault).collect()))
    }

    fn standing(
        &self,
        rule: &Rule,
        read: Result<Survey, String>,
        misfit: Vec<Finding>,
    ) -> Result<Standing, EngineError> {
        let policy_part = super::decision::policy_part(&self.loaded.policy, rule)?;
        let approved = self
            .view
            .gate_of(&rule.id)
            .is_some_and(|(_, fact, _)| super::decision::decision(&policy_part, &fact.schema) == fact.decision);
        let gate = self.view.gate_of(&rule.id);
        let raised = gate.map(|(_, _, approval)| super::plan::raised(rule, approval)).unwrap_or_default();
        let history = self.view.history.get(&rule.id).map_or(&[][..], Vec::as_slice);
        let mut over = read.as_ref().map_or_else(|_| Vec::new(), |now| over_limits(&rule.limits, now, history));
        if let Some((_, _, released)) = self.view.released_beyond(&rule.id, crate::now::now()) {
            over.retain(|limit| !released.beyond.contains(limit));
        }
        Ok(Standing {
            over,
            misfit,
            rule: rule.id.clone(),
            system: rule.system.clone(),
            read,
            last_known: self.view.ledgers.get(&rule.id).map(|fact| (fact.day, fact.overdue)),
            approved,
            waiting: self.view.waiting.get(&rule.id).copied(),
            waiting_days: self.waiting_days(&rule.id, crate::now::now()),
            raised,
            observes: rule.mode == Mode::Observe,
            refused: self.is_open(rule, codes::RECORDS_REFUSED),
            frozen: self
                .view
                .frozen_rules
                .get(&rule.id)
                .or_else(|| self.view.frozen_systems.get(&rule.system))
                .cloned(),
            purged: self.view.purged.get(&rule.id).copied().unwrap_or(0),
        })
    }
}

impl Ledger {
    /// What must be said first.
    pub fn headline(&self, started: bool) -> Headline {
        let unread: Vec<SystemId> =
            self.rules.iter().filter(|one| one.read.is_err()).map(|one| one.system.clone()).collect();
        if !started {
            return Headline::NotStarted;
        }
        if !unread.is_empty() {
            let mut unread = unread;
            unread.sort();
            unread.dedup();
            return Headline::Unknown(unread);
        }
        if let Some(doubt) = &self.doubt {
            return Headline::Stopped(format!("doubt about the time: {doubt}"));
        }
        if self.paused {
            return Headline::Stopped("purging is paused".into());
        }
        if !self.unsettled.is_empty() {
            let waiting = self.unsettled.len() as u64;
            return Headline::Stopped(format!(
                "{} for `bewaard settle`",
                count(waiting, "batch waits", "batches wait")
            ));
        }
        if let Some(frozen) = self.rules.iter().find(|one| one.frozen.is_some()) {
            return Headline::Stopped(format!("rule `{}` is frozen", frozen.rule));
        }
        if let Some(one) = self.rules.iter().find(|one| !one.misfit.is_empty()) {
            return Headline::Stopped(format!("rule `{}` does not fit system `{}`", one.rule, one.system));
        }
        let surveys = || self.rules.iter().filter_map(|one| one.read.as_ref().ok().map(|survey| (one, survey)));
        let oldest = surveys().filter_map(|(_, survey)| survey.oldest_days(self.today)).max();
        if let Some(days) = oldest {
            let waits = |one: &Standing| !one.approved || !one.raised.is_empty() || !one.over.is_empty();
            let waiting = surveys().filter(|(one, survey)| survey.due > 0 && waits(one));
            return Headline::Overdue {
                days,
                records: surveys().map(|(_, survey)| survey.due).sum(),
                waiting: waiting.map(|(one, _)| (one.rule.clone(), one.waiting_days.unwrap_or(0))).collect(),
                observing: surveys().filter(|(one, survey)| survey.due > 0 && one.observes).count(),
            };
        }
        let undecided = surveys().map(|(_, survey)| survey.without_clock()).sum();
        if undecided > 0 { Headline::Undecided(undecided) } else { Headline::Green }
    }

    /// Pairs kept, over all rules, by reason.
    pub fn kept(&self) -> BTreeMap<KeepReason, u64> {
        let mut all = BTreeMap::new();
        for survey in self.rules.iter().filter_map(|one| one.read.as_ref().ok()) {
            for (reason, count) in &survey.kept {
                *all.entry(*reason).or_default() += count;
            }
        }
        all
    }
}
