//! `bewaard pause` and `bewaard resume`: the stop that always works, and a person's word that ends it.

use std::path::Path;

use super::args::{Pause, Resume};
use super::out::Out;
use super::{Ended, Failure, exit, load, publish};
use crate::domain::id::{RuleId, SystemId};
use crate::engine::Engine;
use crate::report::json::SCHEMA;

pub(super) fn pause(config: &Path, wish: &Pause, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    engine.log()?;
    let anew = engine.pause(&wish.reason)?;
    let code = publish(&mut engine, out)?;
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "paused": true, "anew": anew }))?;
    } else if anew {
        out.line(
            "paused: a run that is going on stops between two batches; `bewaard resume --reason \"...\"` ends it",
        )?;
    } else {
        out.line("it was paused already; `bewaard resume --reason \"...\"` ends it")?;
    }
    Ok(code)
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
    engine.log()?;
    let named = rule.is_some() || system.is_some();
    let unpaused = !named && engine.end_pause(&wish.reason)?;
    if !named && !unpaused && !wish.all {
        let text = "nothing is paused: name the rule, or the system with --system, or say --all";
        return Err(Failure::new(exit::USAGE, text));
    }
    let unfrozen = (named || wish.all) && engine.resume(rule, system, &wish.reason)?;
    let code = publish(&mut engine, out)?;
    if out.json {
        let (rule, system) = (&wish.rule, &wish.system);
        out.value(&serde_json::json!({
            "schema": SCHEMA, "resumed": true, "rule": rule, "system": system, "unpaused": unpaused, "unfrozen": unfrozen,
        }))?;
    } else {
        let what = match (&wish.rule, &wish.system) {
            (Some(rule), _) => format!("rule `{rule}`"),
            (None, Some(system)) => format!("system `{system}`"),
            (None, None) if wish.all => "every rule and system".into(),
            (None, None) => "purging".into(),
        };
        out.line(if named && !unfrozen { format!("{what} was not frozen") } else { format!("resumed {what}") })?;
        if named && engine.is_paused() {
            out.line("everything is still paused: `bewaard resume --reason \"...\"` ends that")?;
        }
    }
    Ok(code)
}
