//! How a run went.

use chrono::NaiveDate;

use crate::connect::{Absence, ConnectError, Space};
use crate::domain::brake::Held;
use crate::domain::gate::Gate;
use crate::domain::id::RunId;
use crate::domain::outcome::Tally;
use crate::domain::plan::Plan;

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
    /// What is still there of the records that went.
    pub absence: Absence,
    /// What stopped it, when something did.
    pub failure: Option<ConnectError>,
    /// Brakes that ended it.
    pub brakes: Vec<Held>,
    /// Runs that can be undone, and until when.
    pub windows: Vec<(RunId, NaiveDate)>,
    /// Where the space of deleted rows stays.
    pub space: Vec<Space>,
}

impl RunReport {
    /// Nothing was done.
    pub(super) fn idle(plan: &Plan, gate: &Gate, how: RunEnd) -> Self {
        let (plan, gate) = (plan.clone(), gate.clone());
        Self {
            plan,
            gate,
            run: None,
            how,
            tally: Tally::default(),
            left: 0,
            absence: Absence::default(),
            failure: None,
            brakes: Vec::new(),
            windows: Vec::new(),
            space: Vec::new(),
        }
    }

    /// Two runs that followed each other, as one.
    pub(super) fn and_then(mut self, next: Self) -> Self {
        self.tally.merge(&next.tally);
        self.absence.merge(&next.absence);
        self.windows.extend(next.windows);
        self.space.extend(next.space.into_iter().filter(|one| !self.space.contains(one)).collect::<Vec<_>>());
        let waits = next.run.is_none() && next.how == RunEnd::Waiting;
        let (how, left) = if waits { (self.how, self.left) } else { (next.how, next.left) };
        Self { how, left, failure: next.failure, brakes: next.brakes, ..self }
    }
}

/// Who started a run: a person goes on at once after the first bite, the schedule waits an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// A command.
    ByPerson,
    /// The schedule.
    BySchedule,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Everything that was due is settled.
    Done,
    /// `per-run` was reached; the rest goes in later runs.
    Paced,
    /// The first few went and are gone; the others wait an hour, or for a person.
    FirstBite,
    /// The rule only observes: nothing was purged.
    Observed,
    /// Somebody stopped it between two batches.
    Stopped,
    /// A brake held it for longer than a run may wait.
    Braked,
    /// The system refused, or what was erased was found again.
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
            Self::FirstBite => "first-bite",
            Self::Observed => "observed",
            Self::Stopped => "stopped",
            Self::Braked => "braked",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        }
    }
}
