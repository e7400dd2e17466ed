//! Approvals: what a person says of a plan, and what the rule may say of itself.

use super::decision::{decision, policy_part};
use super::{Engine, EngineError};
use crate::audit::entry::{Body, By, Method};
use crate::codes;
use crate::domain::decide::Moment;
use crate::domain::digest::Digest;
use crate::domain::gate::{Limit, over_limits};
use crate::domain::id::{ActorId, PlanId};
use crate::domain::plan::Plan;
use crate::domain::policy::Role;
use crate::domain::rule::{Action, Limits, Rule};
use crate::domain::signature::{self, SignatureError};

/// How an approval is to be given.
#[derive(Debug, Clone)]
pub struct ApprovalWish {
    /// The plan.
    pub plan: PlanId,
    /// Limits that this plan may go beyond.
    pub beyond: Vec<Limit>,
    /// Why.
    pub reason: Option<String>,
    /// An SSH signature over [`Engine::plan_text`].
    pub signature: Option<String>,
}

/// An approval that was given.
#[derive(Debug, Clone)]
pub struct Approved {
    /// The plan.
    pub plan: Plan,
    /// Limits that it is still over: it will be refused in spite of the approval.
    pub still_over: Vec<Limit>,
}

impl Engine {
    /// The text that a person reads and signs: what the plan is, to the byte.
    pub fn plan_text(&self, id: &PlanId, beyond: &[Limit]) -> Result<String, EngineError> {
        let plan = self.read_plan(id)?;
        let rule = self.rule(&plan.rule)?;
        let kept: u64 = plan.survey.kept.values().sum();
        let mut lines = vec![
            "bewaard plan".to_string(),
            format!("log: {}", self.origin()),
            format!("plan: {}", plan.id),
            format!("rule: {}", plan.rule),
            format!("system: {}", plan.system),
            format!("cut-off: {}", plan.cutoff),
            format!("due: {}", plan.survey.due),
            format!("kept: {kept}"),
            format!("records in all: {}{}", if plan.survey.about { "about " } else { "" }, plan.survey.of),
        ];
        for (table, count) in &plan.survey.children {
            lines.push(format!("with them, in {table}: {count}"));
        }
        if let Some(days) = rule.undo {
            lines.push(format!("can be put back for: {days} days"));
        }
        for part in &rule.parts {
            let does = match &part.action {
                Action::Delete => "is deleted".to_string(),
                Action::Anonymise(recipes) => {
                    let fields: Vec<&str> = recipes.keys().map(String::as_str).collect();
                    format!("is anonymised: {}", fields.join(", "))
                }
            };
            lines.push(format!("part {}: {does}", part.id));
            for ground in &part.grounds {
                lines.push(format!("kept {} for: {}", ground.keep, ground.because));
            }
        }
        let words: Vec<&str> = beyond.iter().map(|limit| limit.word()).collect();
        lines.push(format!("limits: {}", limit_words(&rule.limits)));
        lines.push(format!("beyond: {}", if words.is_empty() { "nothing".into() } else { words.join(", ") }));
        lines.push(format!("decision: {}", plan.decision));
        lines.push(format!("set: {}", plan.set));
        Ok(lines.join("\n") + "\n")
    }

    /// The log's name.
    pub fn origin(&self) -> String {
        self.log.as_ref().map_or_else(String::new, |log| log.origin().to_string())
    }

    /// Approves a plan, and opens its rule's gate for the plan's decision.
    pub fn approve(&mut self, wish: &ApprovalWish) -> Result<Approved, EngineError> {
        let plan = self.read_plan(&wish.plan)?;
        let rule = self.rule(&plan.rule)?.clone();
        let now_decided = decision(&policy_part(&self.loaded.policy, &rule)?, &plan.schema);
        if now_decided != plan.decision {
            return Err(EngineError::Refused(format!(
                "the policy has changed since plan {} was made: run `bewaard plan {}` and approve the new plan",
                short(&plan.id),
                rule.id
            )));
        }
        let newest = self.newest_plan(&rule.id);
        if let Some(newest) = newest
            && self.view.plans.get(&newest).is_some_and(|fact| fact.decision != plan.decision)
        {
            return Err(EngineError::Refused(format!(
                "a newer plan of rule `{}` decides otherwise: approve {} instead, or plan again",
                rule.id,
                short(&newest)
            )));
        }
        let (method, by) = self.method(wish)?;
        let reason = wish.reason.clone().unwrap_or_default();
        let note = self.keep_note(&reason)?;
        let mut bodies = vec![Body::Approved {
            plan: plan.id,
            rule: rule.id.clone(),
            decision: plan.decision,
            beyond: wish.beyond.clone(),
            method,
            by,
            note,
            basis: "person".into(),
            limits: Some(rule.limits.clone()),
        }];
        bodies.extend(self.finding_closed(&rule, codes::WAITING));
        self.record(&bodies)?;
        let history = self.view.history.get(&rule.id).map_or(&[][..], Vec::as_slice);
        let mut still_over = over_limits(&rule.limits, &plan.survey, history);
        still_over.retain(|limit| !wish.beyond.contains(limit));
        Ok(Approved { plan, still_over })
    }

    /// Typed, or signed by a declared actor. Once a controller is declared, a rule that is new or decides otherwise
    /// than before needs the controller's signature.
    fn method(&self, wish: &ApprovalWish) -> Result<(Method, By), EngineError> {
        let plan = self.view.plans.get(&wish.plan);
        let gate = plan.and_then(|plan| self.view.gate_of(&plan.rule));
        let same = matches!((plan, gate), (Some(plan), Some((_, open, _))) if plan.decision == open.decision);
        let raised = match (plan.map(|plan| self.rule(&plan.rule)), gate) {
            (Some(Ok(rule)), Some((_, _, approval))) => !super::plan::raised(rule, approval).is_empty(),
            _ => false,
        };
        let weighty = !same || raised || !wish.beyond.is_empty();
        match &wish.signature {
            Some(armoured) => {
                let text = self.plan_text(&wish.plan, &wish.beyond)?;
                let actor = self.signed_by(armoured, text.as_bytes(), weighty)?;
                let signature = Digest::of(armoured.as_bytes());
                Ok((Method::Signed { signature }, By { uid: self.by.uid, actor: Some(actor) }))
            }
            None if weighty && self.loaded.policy.has_controller() => Err(EngineError::Refused(format!(
                "this policy declares a controller, and this plan needs the controller's signature:\n  \
                 bewaard plan show {plan} > plan.txt\n  ssh-keygen -Y sign -n bewaard -f KEY plan.txt\n  \
                 bewaard approve {plan} --signature plan.txt.sig",
                plan = short(&wish.plan)
            ))),
            None => Ok((Method::Typed, self.by.clone())),
        }
    }

    /// The declared actor whose signature this is.
    pub fn signed_by(&self, armoured: &str, text: &[u8], controller: bool) -> Result<ActorId, EngineError> {
        let refused = |why: String| EngineError::Refused(format!("the signature is not accepted: {why}"));
        let signer = signature::verify(armoured, "bewaard", text).map_err(|error| refused(error.to_string()))?;
        for actor in self.loaded.policy.actors.values() {
            let key = actor.key.as_deref().and_then(signature::public_key);
            if key.as_ref() == Some(&signer) {
                return if controller && self.loaded.policy.has_controller() && actor.role != Role::Controller {
                    Err(refused(format!("actor `{}` is no controller, and this needs one", actor.id)))
                } else {
                    Ok(actor.id.clone())
                };
            }
        }
        Err(refused(SignatureError::Stranger.to_string()))
    }

    /// When only the live schema or SEMANTICS changed, the gate re-opens by itself if the new decision gives exactly
    /// the set of the last approved plan, less what was purged since, that is not empty, and nothing else happens when
    /// these records go than before: a new trigger or foreign key needs a person.
    pub(super) async fn reopen_by_itself(&mut self, rule: &Rule, plan: &Plan) -> Result<(), EngineError> {
        let gate = self.view.gate_of(&rule.id);
        let Some((id, fact, approval)) = gate.map(|(id, fact, approval)| (id, fact.clone(), approval.clone())) else {
            return Ok(());
        };
        let text_is_same = decision(&policy_part(&self.loaded.policy, rule)?, &fact.schema) == fact.decision;
        let same_effects = fact.effects.is_some() && fact.effects == plan.effects;
        if fact.decision == plan.decision || !text_is_same || !same_effects {
            return Ok(());
        }
        let Ok(before) = self.open_set(&id, &fact.set) else { return Ok(()) };
        let moment = Moment { today: fact.cutoff, year: self.loaded.policy.year };
        let now_set = self.set_of(Some(rule), moment).await?;
        let (came_in, went) = now_set
            .difference(&before)
            .map_err(|cause| super::plan::spool_error(&self.loaded.settings.state.join("plans"), cause))?;
        let purged = self.view.purged_since.get(&id).copied().unwrap_or(0);
        if now_set.is_empty() || came_in > 0 || went > purged {
            return Ok(());
        }
        let note = self.keep_note("re-opened by itself: the live schema changed and the set is the same")?;
        let mut bodies = vec![Body::Approved {
            plan: plan.id,
            rule: rule.id.clone(),
            decision: plan.decision,
            beyond: Vec::new(),
            method: Method::Typed,
            by: self.by.clone(),
            note,
            basis: "unchanged-set".into(),
            limits: approval.limits,
        }];
        bodies.extend(self.finding_closed(rule, codes::WAITING));
        self.record(&bodies)
    }
}

/// A rule's limits in one line, for the text that a person signs.
fn limit_words(limits: &Limits) -> String {
    let mut words = vec![format!("at most {} in a run", limits.per_run)];
    if let Some(share) = limits.share {
        words.push(format!("{}.{:03} % of all records", share / 1000, share % 1000));
    }
    words.extend(limits.max.map(|max| format!("{max} due")));
    words.extend(limits.change.map(|times| format!("{times} times the plans before")));
    words.push(format!("first bite {}", limits.first_bite));
    words.join(", ")
}

/// A plan's id as a person types it.
pub fn short(plan: &PlanId) -> String {
    plan.to_string().chars().take(12).collect()
}
