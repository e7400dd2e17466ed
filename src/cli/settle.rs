//! `bewaard settle` and `bewaard resume`: a person's word where looking does not help.

use std::path::Path;

use super::args::{Resume, Settle, VerdictWord};
use super::out::Out;
use super::{Ended, Failure, exit, load};
use crate::domain::id::{BatchId, RuleId, SystemId};
use crate::engine::Engine;
use crate::report::json::SCHEMA;
use crate::report::words::count;

pub(super) fn settle(config: &Path, wish: &Settle, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    let _lock = engine.take_run_lock()?;
    let batch = BatchId::try_from(wish.batch.clone())
        .map_err(|_| Failure::new(exit::USAGE, "a batch is named `batch-` and 16 digits"))?;
    let gone = wish.verdict == VerdictWord::Gone;
    let pairs = engine.settle_by_word(&batch, gone, &wish.reason)?;
    engine.publish()?;
    let word = if gone { "gone" } else { "kept" };
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "batch": batch.as_str(), "as": word, "count": pairs }))?;
    } else {
        out.line(format!("settled {batch} as {word}, on your word: {}", count(pairs, "purge", "purges")))?;
    }
    Ok(exit::DONE)
}

pub(super) fn resume(config: &Path, wish: &Resume, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    let bad = |what: &str| Failure::new(exit::USAGE, format!("there is no {what} of that name"));
    let rule = wish.rule.clone().map(RuleId::new).transpose().map_err(|_| bad("rule"))?;
    let system = wish.system.clone().map(SystemId::new).transpose().map_err(|_| bad("system"))?;
    if let Some(rule) = &rule {
        engine.rule(rule)?;
    }
    if let Some(system) = system.as_ref().filter(|system| !engine.policy().systems.contains_key(*system)) {
        return Err(Failure::new(exit::USAGE, format!("there is no system `{system}` in the policy")));
    }
    engine.resume(rule, system, &wish.reason)?;
    engine.publish()?;
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "resumed": true, "rule": wish.rule, "system": wish.system }))?;
    } else {
        let what = match (&wish.rule, &wish.system) {
            (Some(rule), _) => format!("rule `{rule}`"),
            (None, Some(system)) => format!("system `{system}`"),
            (None, None) => "every rule and system".into(),
        };
        out.line(format!("resumed {what}"))?;
    }
    Ok(exit::DONE)
}
