//! `bewaard approve`.

use std::path::Path;

use super::args::Approve;
use super::out::Out;
use super::{Ended, Failure, exit, load};
use crate::domain::gate::Limit;
use crate::engine::Engine;
use crate::engine::approve::{ApprovalWish, short};
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
    let mut told = Vec::new();
    let ids = wish.plans.iter().map(|plan| engine.find_plan(plan)).collect::<Result<Vec<_>, _>>()?;
    for id in ids {
        let approved = engine.approve(&ApprovalWish {
            plan: id,
            beyond: wish.beyond.iter().map(|word| (*word).into()).collect(),
            reason: wish.reason.clone(),
            signature: signature.clone(),
        })?;
        if !out.json {
            let (rule, due) = (&approved.plan.rule, approved.plan.survey.due);
            if approved.still_over.is_empty() {
                out.line(format!("approved {}: rule `{rule}`, {} due; its gate is open", short(&id), number(due)))?;
            } else {
                let words: Vec<&str> = approved.still_over.iter().map(|limit| limit.word()).collect();
                let beyond = wish.beyond.iter().map(|word| Limit::from(*word)).chain(approved.still_over.clone());
                let flags: Vec<String> = beyond.map(|limit| format!("--beyond {}", limit.word())).collect();
                out.line(format!(
                    "approved {id}: rule `{rule}`, {} due; but it will NOT run, for it is over its limit ({}). Look, then:\n  \
                     bewaard approve {id} {} --reason \"...\"",
                    number(due),
                    words.join(", "),
                    flags.join(" "),
                    id = short(&id)
                ))?;
            }
        }
        told.push(serde_json::json!({
            "plan": id.to_string(), "rule": approved.plan.rule.as_str(), "due": approved.plan.survey.due,
            "still_over": approved.still_over.iter().map(|limit| limit.word()).collect::<Vec<_>>(),
        }));
    }
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "approved": told }))?;
    } else {
        out.line("next: `bewaard run`")?;
    }
    engine.publish()?;
    Ok(exit::DONE)
}
