//! Planning: one walk, one set, one id; and the gate that the plan stands before.

use std::fs;
use std::path::PathBuf;

use chrono::NaiveDate;

use super::decision::{decision, policy_part, schema_part};
use super::purge::oldest_due;
use super::survey::{DueDays, Progress, Reach, mark, walk};
use super::view::Approval;
use super::{Engine, EngineError};
use crate::audit::entry::Body;
use crate::connect::Finding;
use crate::domain::decide::{Found, Moment, Verdict};
use crate::domain::digest::Digest;
use crate::domain::gate::{Gate, over_limits};
use crate::domain::id::{PlanId, RuleId};
use crate::domain::plan::{Plan, plan_id};
use crate::domain::rule::Rule;
use crate::durable;
use crate::state::items::{Due, Items, ItemsWriter};
use crate::state::keys::Purpose;
use crate::state::spool::{Spool, SpoolWriter, set_path};

/// A plan that was just made, and all that a run of it needs.
#[derive(Debug)]
pub struct Planned {
    /// The summary.
    pub plan: Plan,
    /// Where it stands.
    pub gate: Gate,
    /// What the live system shows about the rule.
    pub findings: Vec<Finding>,
    /// Records by the day since which they have been due.
    pub days: DueDays,
    /// The set.
    pub set: Spool,
    /// Its records, for a run that follows at once; none where one of them hangs below another.
    pub items: Option<Items>,
    /// Whether it is a look only: it has no entry and can't be approved.
    pub preview: bool,
    /// Records to show to a person, with their verdicts: due ones and some that are just not due.
    pub sample: Vec<(Found, Vec<Verdict>)>,
}

/// How to plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlanWish {
    /// What will be due then; a preview.
    pub at: Option<NaiveDate>,
    /// So many records to show.
    pub sample: usize,
    /// Never write: a look only.
    pub look: bool,
    /// Where the system would take rows along that the rule does not name: count them for a person.
    pub count_unseen: bool,
    /// Keep the records for a run that follows at once.
    pub keep_items: bool,
}

impl PlanWish {
    fn reach(self) -> Reach {
        match self {
            Self { sample: 1.., .. } => Reach::All,
            // A run follows at once.
            Self { keep_items: true, .. } => Reach::Daily,
            _ => Reach::MayBeDue,
        }
    }
}

impl Engine {
    /// Plans one rule.
    pub async fn plan(
        &mut self,
        rule: &Rule,
        moment: Moment,
        wish: PlanWish,
        progress: &dyn Progress,
    ) -> Result<Planned, EngineError> {
        let connector = self.system(&rule.system)?;
        let identity = connector.identity().await?;
        let probe = connector.probe(rule).await?;
        let at = Moment { today: wish.at.unwrap_or(moment.today), ..moment };
        let count = wish.count_unseen.then_some(progress);
        if let Some(unfit) = self.unfit(connector.as_ref(), rule, at, &probe.findings, count).await {
            return Err(EngineError::Unfit(Box::new(unfit)));
        }
        let schema = schema_part(&identity, &probe.facts);
        let decided = decision(&policy_part(&self.loaded.policy, rule)?, &schema);

        let in_doubt = self.doubt.is_some() || self.time_doubt().is_some();
        let preview = wish.look || wish.at.is_some() || self.log.is_none() || in_doubt;
        let key = self.mac_key(Purpose::Plan)?;
        let scratch = self.scratch()?;
        let collection = rule.selection.collection();
        let mut writer = SpoolWriter::new();
        let mut sample = Sample::new(wish.sample);
        let mut items = if wish.keep_items {
            Some(ItemsWriter::new(&scratch).map_err(|c| spool_error(&scratch, c))?)
        } else {
            None
        };
        let walked = walk(connector.as_ref(), rule, at, &self.holds, wish.reach(), progress, &mut |found, verdicts| {
            sample.offer(found, verdicts);
            for (part, _) in rule.parts.iter().zip(verdicts).filter(|(_, verdict)| matches!(verdict, Verdict::Due(_))) {
                let mark = mark(&key, rule, &collection, &found.key, &part.id);
                writer.add(mark, &scratch).map_err(|cause| spool_error(&scratch, cause))?;
            }
            keep_item(&mut items, found, verdicts).map_err(|cause| spool_error(&scratch, cause))
        })
        .await?;
        let finished = writer.finish(&scratch).map_err(|cause| spool_error(&scratch, cause))?;
        let items = items.map(ItemsWriter::finish).transpose().map_err(|cause| spool_error(&scratch, cause))?;
        let plan = Plan {
            id: plan_id(&decided, at.today, &finished.digest),
            rule: rule.id.clone(),
            system: rule.system.clone(),
            decision: decided,
            schema,
            cutoff: at.today,
            effects: Some(Digest::of(probe.effects.as_bytes())),
            set: finished.digest,
            survey: walked.survey,
        };
        let set = if preview {
            finished.anonymous()
        } else {
            let path = set_path(&self.loaded.settings.state, &plan.id);
            finished.keep(&path, &scratch).map_err(|cause| spool_error(&path, cause))?
        };
        if !preview {
            self.record_plan(&plan)?;
            self.reopen_by_itself(rule, &plan).await?;
        }
        let gate = if preview { Gate::Preview } else { self.gate(rule, &plan) };
        let sample = sample.records;
        Ok(Planned { plan, gate, findings: probe.findings, days: walked.days, set, items, preview, sample })
    }

    /// The folder for what is being made; on the file system of the plans.
    pub(super) fn scratch(&self) -> Result<PathBuf, EngineError> {
        if self.log.is_none() {
            return Ok(std::env::temp_dir());
        }
        let folder = self.loaded.settings.state.join("plans");
        durable::folder(&folder, true).map_err(|cause| spool_error(&folder, cause))?;
        Ok(folder)
    }

    /// One PlanMade for one id, and again where another plan of the rule came in between: the newest is the one that
    /// was made last.
    fn record_plan(&mut self, plan: &Plan) -> Result<(), EngineError> {
        let path = summary_path(&self.loaded.settings.state, &plan.id);
        let scratch = self.scratch()?;
        let text = serde_json::to_vec_pretty(plan)?;
        durable::replace(&path, &text, durable::PRIVATE, &scratch).map_err(|cause| spool_error(&path, cause))?;
        if self.newest_plan(&plan.rule) == Some(plan.id) {
            return Ok(());
        }
        let survey = plan.survey.clone();
        self.record(&[Body::PlanMade {
            plan: plan.id,
            rule: plan.rule.clone(),
            system: plan.system.clone(),
            decision: plan.decision,
            schema: plan.schema,
            cutoff: plan.cutoff,
            set: plan.set,
            of: survey.of,
            found: survey.found,
            due: survey.due,
            kept: survey.kept,
            children: survey.children,
            oldest: survey.oldest_due,
            effects: plan.effects,
            about: survey.about,
        }])
    }

    /// Where a plan stands: paused, frozen, waiting for a person, refused by its limits, or open.
    pub fn gate(&self, rule: &Rule, plan: &Plan) -> Gate {
        if self.view.paused.is_some() {
            return Gate::Paused;
        }
        if let Some(code) = self.view.frozen_rules.get(&rule.id) {
            return Gate::Frozen { why: code.clone() };
        }
        if let Some(code) = self.view.frozen_systems.get(&rule.system) {
            return Gate::Frozen { why: code.clone() };
        }
        let open = self.view.gate_of(&rule.id).filter(|(_, fact, _)| fact.decision == plan.decision);
        let history = self.view.history.get(&rule.id).map_or(&[][..], Vec::as_slice);
        let mut over = over_limits(&rule.limits, &plan.survey, history);
        if let Some((id, _, approval)) = open
            && id == plan.id
        {
            over.retain(|limit| !approval.beyond.contains(limit));
        }
        match (over.is_empty(), open) {
            (false, _) => Gate::Refused { limits: over },
            (true, None) => Gate::NeedsApproval { raised: Vec::new() },
            (true, Some((_, _, approval))) => {
                let raised = raised(rule, approval);
                if raised.is_empty() { Gate::Open } else { Gate::NeedsApproval { raised } }
            }
        }
    }

    /// The summary of a plan that was made earlier.
    pub fn read_plan(&self, id: &PlanId) -> Result<Plan, EngineError> {
        let path = summary_path(&self.loaded.settings.state, id);
        let text = fs::read(&path).map_err(|cause| spool_error(&path, cause))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The plan whose id starts so.
    pub fn find_plan(&self, prefix: &str) -> Result<PlanId, EngineError> {
        let prefix = prefix.to_ascii_lowercase();
        let fits: Vec<PlanId> =
            self.view.plans.keys().copied().filter(|id| id.to_string().starts_with(&prefix)).collect();
        match (prefix.len(), fits.as_slice()) {
            (0..6, _) => Err(EngineError::NoSuch("give at least 6 digits of the plan's id".into())),
            (_, [one]) => Ok(*one),
            (_, []) => Err(EngineError::NoSuch(format!(
                "there is no plan `{prefix}` in the log: `bewaard plan` makes one and prints its id"
            ))),
            (_, _) => Err(EngineError::NoSuch(format!("`{prefix}` begins more than one plan's id: give more digits"))),
        }
    }

    /// The newest plan of a rule.
    pub fn newest_plan(&self, rule: &RuleId) -> Option<PlanId> {
        let of_rule = self.view.plans.iter().filter(|(_, plan)| plan.rule == *rule);
        of_rule.max_by_key(|(_, plan)| plan.entry).map(|(id, _)| *id)
    }

    /// Opens a plan's set again.
    pub fn open_set(&self, id: &PlanId, digest: &Digest) -> Result<Spool, EngineError> {
        let path = set_path(&self.loaded.settings.state, id);
        Spool::open(&path, digest).map_err(|cause| spool_error(&path, cause))
    }
}

/// Keeps a record that is due. Those that hang below another go with it, in one batch, and are found again for that.
fn keep_item(items: &mut Option<ItemsWriter>, found: &Found, verdicts: &[Verdict]) -> std::io::Result<()> {
    if !found.below.is_empty() {
        *items = None;
    }
    let (Some(writer), Some(since)) = (items, oldest_due(verdicts)) else { return Ok(()) };
    let due = |(place, verdict): (usize, &Verdict)| matches!(verdict, Verdict::Due(_)).then_some(place);
    let parts: Vec<usize> = verdicts.iter().enumerate().filter_map(due).collect();
    writer.add(&Due { key: found.key.clone(), fingerprint: found.fingerprint, parts, since })
}

/// The limits that are looser now than when the gate was opened, by their keys.
pub(super) fn raised(rule: &Rule, approval: &Approval) -> Vec<String> {
    let raised = approval.limits.as_ref().map(|then| rule.limits.raised_over(then)).unwrap_or_default();
    raised.into_iter().map(String::from).collect()
}

fn summary_path(state: &std::path::Path, id: &PlanId) -> PathBuf {
    state.join("plans").join(format!("{id}.json"))
}

pub(super) fn spool_error(path: &std::path::Path, cause: std::io::Error) -> EngineError {
    EngineError::Io { doing: "use the plan's files in", path: path.to_path_buf(), cause }
}

/// Keeps some due and some not yet due records for a person's eye.
struct Sample {
    want: usize,
    due: usize,
    kept: usize,
    records: Vec<(Found, Vec<Verdict>)>,
}

impl Sample {
    fn new(want: usize) -> Self {
        Self { want, due: 0, kept: 0, records: Vec::new() }
    }

    fn offer(&mut self, found: &Found, verdicts: &[Verdict]) {
        let due = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Due(_)));
        let count = if due { &mut self.due } else { &mut self.kept };
        if *count < self.want {
            *count += 1;
            self.records.push((found.clone(), verdicts.to_vec()));
        }
    }
}
