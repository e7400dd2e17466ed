//! `bewaard approve`.

use std::path::Path;

use super::args::Approve;
use super::out::Out;
use super::{Ended, Failure, exit, load, publish};
use crate::domain::gate::Limit;
use crate::domain::id::PlanId;
use crate::engine::Engine;
use crate::engine::approve::{ApprovalWish, Approved, short};
use crate::report::json::SCHEMA;
use crate::report::words::number;

pub(super) fn run(config: &Path, wish: &Approve, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    engine.log()?;
    let signature = match &wish.signature {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            Failure::new(exit::FAILED, format!("cannot read the signature {}: {error}", path.display()))
        })?),
    };
    let ids = wish.plans.iter().map(|plan| engine.find_plan(plan)).collect::<Result<Vec<_>, _>>()?;
    let (mut told, mut failure) = (Vec::new(), None);
    for id in ids {
        let beyond = wish.beyond.iter().map(|word| (*word).into()).collect();
        let (reason, signature) = (wish.reason.clone(), signature.clone());
        match engine.approve(&ApprovalWish { plan: id, beyond, reason, signature }) {
            Ok(approved) => told.push((id, approved)),
            // What was approved before it stands, and is told.
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    if told.is_empty()
        && let Some(error) = failure
    {
        return Err(error.into());
    }
    let code = publish(&mut engine, out)?;
    if out.json {
        let approved: Vec<_> = told.iter().map(|(id, approved)| approved_json(id, approved)).collect();
        let error = failure.as_ref().map(ToString::to_string);
        out.value(&serde_json::json!({ "schema": SCHEMA, "approved": approved, "error": error }))?;
    } else {
        for (id, approved) in &told {
            tell(id, approved, wish, out)?;
        }
    }
    if let Some(error) = failure {
        return Err(Failure { told: out.json, ..error.into() });
    }
    out.talk("next: `bewaard run`")?;
    Ok(code)
}

fn tell(id: &PlanId, approved: &Approved, wish: &Approve, out: Out) -> Result<(), Failure> {
    let (rule, due, id) = (&approved.plan.rule, number(approved.plan.survey.due), short(id));
    if approved.still_over.is_empty() {
        out.line(format!("approved {id}: rule `{rule}`, {due} due; its gate is open"))?;
        return Ok(());
    }
    let words: Vec<&str> = approved.still_over.iter().map(|limit| limit.word()).collect();
    let beyond = wish.beyond.iter().map(|word| Limit::from(*word)).chain(approved.still_over.clone());
    let flags: Vec<String> = beyond.map(|limit| format!("--beyond {}", limit.word())).collect();
    out.line(format!(
        "approved {id}: rule `{rule}`, {due} due; but it will NOT run, for it is over its limit ({}). Look, then:\n  \
         bewaard approve {id} {} --reason \"...\"",
        words.join(", "),
        flags.join(" "),
    ))?;
    Ok(())
}

fn approved_json(id: &PlanId, approved: &Approved) -> serde_json::Value {
    serde_json::json!({
        "plan": id.to_string(), "rule": approved.plan.rule.as_str(), "due": approved.plan.survey.due,
        "still_over": approved.still_over.iter().map(|limit| limit.word()).collect::<Vec<_>>(),
    })
}
