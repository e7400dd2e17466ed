//! `bewaard status`: the due ledger, with its headline first.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::args::Status;
use super::out::Out;
use super::runtime::block_on;
use super::{Ended, Failure, exit, load};
use crate::codes;
use crate::domain::brake::Held;
use crate::domain::gate::Limit;
use crate::domain::id::{BatchId, RuleId, SystemId};
use crate::domain::trace::{Dies, Traces};
use crate::engine::Engine;
use crate::engine::approve::short;
use crate::engine::brakes::HeldSystem;
use crate::engine::doubt::Doubt;
use crate::engine::ledger::{Headline, Ledger, Standing};
use crate::report::json::{self, Kept, SCHEMA};
use crate::report::text::{LedgerRow, ledger, records};
use crate::report::traces;
use crate::report::words::{count, number};

pub(super) fn run(config: &Path, wish: &Status, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    block_on(async move {
        let started = engine.has_log();
        let found = engine.ledger(crate::now::now()).await?;
        let doubt = engine.doubt().cloned();
        if let Some(rule) = &wish.why {
            return why(&found, rule, started, doubt.as_ref(), out);
        }
        let headline = doubt.map_or_else(
            || found.headline(started),
            |doubt| Headline::Stopped(format!("{}: {} ({})", doubt.text, doubt.ways(), doubt.code.id)),
        );
        if out.json {
            out.value(&status_json(&engine, &found, &headline))?;
        } else {
            tell(&found, &headline, out)?;
        }
        Ok(exit::DONE)
    })
}

/// The headline in one sentence.
fn sentence(headline: &Headline) -> String {
    match headline {
        Headline::NotStarted => "not started: there is no log yet (`bewaard init`)".into(),
        Headline::Unknown(systems) => {
            let names: Vec<String> = systems.iter().map(ToString::to_string).collect();
            format!("UNKNOWN: {} could not be read", names.join(", "))
        }
        Headline::Stopped(why) => format!("STOPPED: {why}"),
        Headline::Overdue { days, records: n, waiting, observing } => {
            let mut text =
                format!("oldest record past its term: {} ({})", count(days.unsigned_abs(), "day", "days"), records(*n));
            let names: Vec<String> = waiting.iter().map(|(rule, days)| waits(rule, *days)).collect();
            match waiting.iter().map(|(_, days)| *days).max() {
                // What waits longest for a person is said first.
                Some(1..) => text = format!("WAITING for a person: {}; {text}", names.join(", ")),
                Some(0) => text.push_str(&format!("; waiting for approval: {}", names.join(", "))),
                None => {}
            }
            if *observing > 0 {
                let rules = count(*observing as u64, "rule only observes", "rules only observe");
                text.push_str(&format!("; {rules} and will purge nothing"));
            }
            text
        }
        Headline::Undecided(n) => {
            format!(
                "oldest record past its term: 0 days; but {} without a usable clock wait for a decision",
                records(*n)
            )
        }
        Headline::Green => "oldest record past its term: 0 days".into(),
    }
}

fn waits(rule: &RuleId, days: u64) -> String {
    if days == 0 { rule.to_string() } else { format!("{rule} (for {})", count(days, "day", "days")) }
}

fn headline_word(headline: &Headline) -> &'static str {
    match headline {
        Headline::NotStarted => "not-started",
        Headline::Unknown(_) => "unknown",
        Headline::Stopped(_) => "stopped",
        Headline::Overdue { .. } => "overdue",
        Headline::Undecided(_) => "undecided",
        Headline::Green => "green",
    }
}

fn state(one: &Standing) -> String {
    match (&one.read, &one.frozen, one.approved) {
        (Err(_), _, _) => "not read".into(),
        (Ok(_), Some(code), _) => format!("FROZEN ({code})"),
        (Ok(_), None, _) if !one.misfit.is_empty() => format!("DOES NOT FIT ({})", misfit_codes(one).join(", ")),
        (Ok(_), None, true) if one.observes => "observes".into(),
        (Ok(_), None, true) if !one.raised.is_empty() => format!("limit raised ({})", one.raised.join(", ")),
        (Ok(_), None, true) if !one.over.is_empty() => format!("over its limit ({})", limit_words(&one.over)),
        (Ok(_), None, true) => "approved".into(),
        (Ok(_), None, false) => match &one.waiting {
            Some((plan, since)) => format!("plan {} waits since {}", short(plan), since.date_naive()),
            None => "not approved".into(),
        },
    }
}

/// What holds a system, or held its last run.
fn held_words(held: &HeldSystem) -> String {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC");
    let brakes: Vec<String> = held.on.iter().map(Held::words).collect();
    let how = if held.waits(crate::now::now()) {
        format!("a run waits until {} at most", time(held.until))
    } else {
        "the last run ended so, and the next goes on".to_string()
    };
    format!("held by a brake since {}: {} ({}; {how})", time(held.since), brakes.join("; "), codes::BRAKED.id)
}

/// The codes of what keeps a rule from running on its system.
fn misfit_codes(one: &Standing) -> Vec<&'static str> {
    let mut codes: Vec<&str> = one.misfit.iter().map(|fault| fault.code.id).collect();
    codes.dedup();
    codes
}

fn limit_words(limits: &[Limit]) -> String {
    limits.iter().map(|limit| limit.word()).collect::<Vec<_>>().join(", ")
}

fn tell(found: &Ledger, headline: &Headline, out: Out) -> Result<(), Failure> {
    out.line(sentence(headline))?;
    out.line("")?;
    let rows: Vec<LedgerRow> = found
        .rules
        .iter()
        .map(|one| LedgerRow {
            rule: one.rule.to_string(),
            overdue: one.read.as_ref().ok().map(|survey| survey.due),
            days: one.read.as_ref().ok().and_then(|survey| survey.oldest_days(found.today)),
            kept: one.read.as_ref().map(|survey| survey.kept.clone()).unwrap_or_default(),
            purged: one.purged,
            state: state(one),
        })
        .collect();
    out.line(ledger(&rows))?;
    for one in &found.rules {
        if let Err(why) = &one.read {
            out.line(format!("{}: {why}", one.rule))?;
            if let Some((day, overdue)) = one.last_known {
                out.line(format!("  last known on {day}: {} overdue", number(overdue)))?;
            }
        }
    }
    let (holds, late) = found.holds;
    if holds > 0 {
        out.line(format!("{}; {late} past their review date", count(holds, "hold", "holds")))?;
    }
    for (system, kept) in &found.traces {
        out.line(format!("{system}: {}", traces::still(kept, found.today)))?;
    }
    for (system, held) in &found.brakes {
        out.line(format!("{system}: {}", held_words(held)))?;
    }
    for (code, n) in &found.findings {
        out.line(format!("{} {code}: `bewaard explain {code}`", count(*n, "open finding", "open findings")))?;
    }
    for (run, window) in &found.windows {
        let kept = count(window.kept, "purge", "purges");
        out.line(format!(
            "{}: {kept} in quarantine until {}, not gone before:  bewaard undo {run} --reason \"...\"",
            window.rule, window.until
        ))?;
    }
    for (rule, place) in &found.left {
        out.line(format!("left behind by rule `{rule}`: {place}"))?;
    }
    for batch in &found.unsettled {
        let [gone, kept] = settle_commands(batch);
        out.line(format!("to settle: {gone}\n       or: {kept}"))?;
    }
    Ok(())
}

fn status_json(engine: &Engine, found: &Ledger, headline: &Headline) -> serde_json::Value {
    let rules: Vec<_> = found
        .rules
        .iter()
        .map(|one| {
            let survey = one.read.as_ref().ok();
            serde_json::json!({
                "rule": one.rule.as_str(), "system": one.system.as_str(),
                "read": one.read.is_ok(), "error": one.read.as_ref().err(),
                "overdue": survey.map(|survey| survey.due), "found": survey.map(|survey| survey.found),
                "of": survey.map(|survey| survey.of),
                "oldest_days": survey.and_then(|survey| survey.oldest_days(found.today)),
                "kept": survey.map(|survey| Kept::from(&survey.kept)),
                "misfit": misfit_codes(one), "purged": one.purged, "approved": one.approved, "frozen": one.frozen, "raised": one.raised,
                "mode": if one.observes { "observe" } else { "enforce" },
                "over": one.over.iter().map(|limit| limit.word()).collect::<Vec<_>>(),
                "waiting": one.waiting.map(|(plan, since)| serde_json::json!({
                    "plan": plan.to_string(), "since": since.to_rfc3339(), "days": one.waiting_days,
                })),
            })
        })
        .collect();
    let windows = found.windows.iter().map(|(run, window)| {
        serde_json::json!({ "run": run.as_str(), "rule": window.rule.as_str(), "until": window.until, "kept": window.kept })
    });
    let windows: Vec<_> = windows.collect();
    let days = match headline {
        Headline::Overdue { days, .. } => Some(*days),
        Headline::Green | Headline::Undecided(_) => Some(0),
        Headline::NotStarted | Headline::Unknown(_) | Headline::Stopped(_) => None,
    };
    serde_json::json!({
        "schema": SCHEMA, "headline": sentence(headline), "state": headline_word(headline), "oldest_days": days,
        "day": found.today.to_string(), "rules": rules, "paused": found.paused,
        "holds": found.holds.0, "holds_past_review": found.holds.1, "findings": found.findings,
        "brakes": found.brakes.iter().map(held_json).collect::<Vec<_>>(),
        "windows": windows, "traces": found.traces.iter().map(traces_json).collect::<Vec<_>>(),
        "unsettled": found.unsettled.iter().map(BatchId::as_str).collect::<Vec<_>>(), "log": engine.loaded.settings.log,
    })
}

fn held_json((system, held): (&SystemId, &HeldSystem)) -> serde_json::Value {
    serde_json::json!({
        "system": system.as_str(), "since": held.since.to_rfc3339(), "until": held.until.to_rfc3339(),
        "waits": held.waits(crate::now::now()), "on": held.on.iter().map(json::held).collect::<Vec<_>>(),
    })
}

fn traces_json((system, kept): (&SystemId, &Traces)) -> serde_json::Value {
    let dies = |dies: &Dies| match dies {
        Dies::On(day) => day.to_string(),
        Dies::Unknown => "unknown".into(),
        Dies::Never => "never".into(),
    };
    let kinds: BTreeMap<&str, String> = kept.dies.iter().map(|(kind, at)| (kind.word(), dies(at))).collect();
    serde_json::json!({
        "system": system.as_str(), "last_purge": kept.last_purge, "asked": kept.asked,
        "last": kept.dies.values().max().map(dies), "dies": kinds,
    })
}

/// Why a rule does not run, and what would make it.
fn why(found: &Ledger, name: &str, started: bool, doubt: Option<&Doubt>, out: Out) -> Ended {
    let id = RuleId::new(name).ok();
    let one = found.rules.iter().find(|one| Some(&one.rule) == id.as_ref());
    let one = one.ok_or_else(|| {
        let known: Vec<&str> = found.rules.iter().map(|one| one.rule.as_str()).collect();
        let known = known.join(", ");
        Failure::new(exit::USAGE, format!("there is no rule `{name}`; the policy has: {known}"))
    })?;
    let (why, commands) =
        doubt.map_or_else(|| reasons(found, one, started), |doubt| (doubt.text.clone(), doubt.commands.clone()));
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "rule": name, "why": why, "to_run": commands }))?;
        return Ok(exit::DONE);
    }
    out.line(format!("{name}: {why}"))?;
    for (place, command) in commands.iter().enumerate() {
        out.line(format!("{}{command}", if place == 0 { "to run: " } else { "        " }))?;
    }
    Ok(exit::DONE)
}

/// What stands in the way first, and the commands that help, in order.
fn reasons(found: &Ledger, one: &Standing, started: bool) -> (String, Vec<String>) {
    let name = &one.rule;
    if let (true, Some(doubt)) = (started, &found.doubt) {
        return (format!("doubt about the time: {doubt}"), vec![format!("bewaard explain {}", codes::TIME_DOUBT.id)]);
    }
    let plan = one.waiting.map_or_else(|| "PLAN".into(), |(plan, _)| short(&plan));
    match (started, found.paused, &one.read, &one.frozen) {
        (false, ..) => ("there is no log yet".to_string(), vec!["bewaard init".to_string()]),
        (_, true, ..) => ("purging is paused".into(), vec!["bewaard resume --reason \"...\"".into()]),
        (_, _, Err(why), _) => (why.clone(), vec!["bewaard check".into()]),
        (_, _, Ok(_), Some(code)) => {
            let settle = found.unsettled.iter().flat_map(settle_commands);
            let mut commands = vec![format!("bewaard explain {code}")];
            commands.extend(settle);
            commands.push(format!("bewaard resume {name} --reason \"...\""));
            (format!("it is frozen: {code}"), commands)
        }
        (_, _, Ok(_), None) if !one.misfit.is_empty() => {
            let faults: Vec<String> =
                one.misfit.iter().map(|fault| format!("{} ({})", fault.text, fault.code.id)).collect();
            (
                format!("it does not fit its system: {}", faults.join("; ")),
                vec!["bewaard check".into(), format!("bewaard plan {name}")],
            )
        }
        (_, _, Ok(survey), None) if !one.approved => {
            let mut commands = vec![format!("bewaard plan {name}")];
            commands.extend(approval(found, &plan, ""));
            commands.push(format!("bewaard run {name}"));
            (format!("nobody has approved what it decides now ({} due)", number(survey.due)), commands)
        }
        (_, _, Ok(_), None) if !one.raised.is_empty() => {
            let why = format!("limits were raised since the approval ({})", one.raised.join(", "));
            let mut commands = vec![format!("bewaard plan {name}")];
            commands.extend(approval(found, "PLAN", ""));
            commands.push(format!("bewaard run {name}"));
            (why, commands)
        }
        (_, _, Ok(survey), None) if !one.over.is_empty() => {
            let beyond: Vec<String> = one.over.iter().map(|limit| format!("--beyond {}", limit.word())).collect();
            let why = format!("{} due is over its limit ({})", number(survey.due), limit_words(&one.over));
            let mut commands = vec![format!("bewaard plan {name}")];
            commands.extend(approval(found, &plan, &format!(" {}", beyond.join(" "))));
            commands.push(format!("bewaard run {name}"));
            (why, commands)
        }
        (_, _, Ok(survey), None) if one.observes => {
            let why = format!("it only observes; {} due", number(survey.due));
            (why, vec!["take `mode = \"observe\"` out of the policy".into(), format!("bewaard run {name}")])
        }
        (_, _, Ok(survey), None) if survey.due > 0 && one.refused => {
            let why = format!("the system refused records of the last run ({} due)", number(survey.due));
            let code = codes::RECORDS_REFUSED.id;
            (why, vec![format!("bewaard explain {code}"), "bewaard check".into(), format!("bewaard run {name}")])
        }
        (_, _, Ok(survey), None) if survey.due > 0 => {
            let held = found.brakes.get(&one.system).map_or_else(|| "nothing stands in its way".into(), held_words);
            (format!("{held}; {} due", number(survey.due)), vec![format!("bewaard run {name}")])
        }
        (_, _, Ok(_), None) => ("nothing is due".into(), Vec::new()),
    }
}

/// The two words that a person can give for a batch.
pub(super) fn settle_commands(batch: &BatchId) -> [String; 2] {
    ["gone", "kept"].map(|word| format!("bewaard settle {batch} --as {word} --reason \"...\""))
}

/// The commands that approve a plan: typed, or where a controller is declared, with the controller's signature.
fn approval(found: &Ledger, plan: &str, beyond: &str) -> Vec<String> {
    if !found.controller {
        return vec![format!("bewaard approve {plan}{beyond} --reason \"...\"")];
    }
    vec![
        format!("bewaard plan show {plan}{beyond} > plan.txt"),
        "ssh-keygen -Y sign -n bewaard -f KEY plan.txt".into(),
        format!("bewaard approve {plan}{beyond} --signature plan.txt.sig"),
    ]
}
