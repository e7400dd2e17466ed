//! `bewaard run`: purges what is due under the rules whose gate is open.

use std::path::Path;

use super::args::Run;
use super::out::Out;
use super::plan::chosen;
use super::runtime::{Watcher, block_on};
use super::status::settle_commands;
use super::{Ended, Failure, exit, load, tell_trouble};
use crate::connect::Absence;
use crate::domain::brake::Held;
use crate::domain::gate::Gate;
use crate::domain::id::RuleId;
use crate::domain::outcome::Outcome;
use crate::domain::rule::Rule;
use crate::engine::quarantine::Expired;
use crate::engine::recover::Recovered;
use crate::engine::run::{RunEnd, RunReport, Started};
use crate::engine::{Engine, EngineError};
use crate::report::json::{SCHEMA, gate_words};
use crate::report::words::{count, number};
use crate::report::{json, text, traces};

pub(super) fn run(config: &Path, wish: &Run, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    engine.log()?;
    engine.sure()?;
    let _lock = engine.take_run_lock()?;
    let rules = chosen(&engine, &wish.rules)?;
    block_on(async move {
        engine.note_policy()?;
        tell_waiting(&engine.escalate(crate::now::now())?, out)?;
        let recovered = engine.recover().await?;
        tell_recovery(&recovered, out)?;
        let ended = engine.expire_quarantines(crate::now::now()).await?;
        tell_ended(&ended, out)?;
        let watcher = Watcher::new();
        let (mut told, mut code) = (Vec::new(), exit::DONE);
        for rule in &rules {
            if watcher.stopped() {
                break;
            }
            let done = engine.run(rule, Started::ByPerson, &watcher).await;
            watcher.clear();
            code = exit::worst(code, tell(rule, done, &mut told, out)?);
        }
        code = exit::worst(code, tell_trouble(&engine, out)?);
        if engine.is_paused() {
            out.remark("paused: nothing more is purged until `bewaard resume --reason \"...\"`")?;
            code = exit::worst(code, exit::WAITS);
        }
        if watcher.stopped() {
            out.remark("stopped by you, between two batches; the next `bewaard run` goes on where this one was")?;
        }
        if out.json {
            out.value(&serde_json::json!({
                "schema": SCHEMA, "runs": told, "stopped": watcher.stopped(), "recovered": recovered.settled.len(),
                "beyond_settling": recovered.beyond.len(), "paused": engine.is_paused(),
            }))?;
        }
        Ok(code)
    })
}

/// Plans that have been waiting for a person for too long.
pub(super) fn tell_waiting(waiting: &[(RuleId, u64)], out: Out) -> Result<(), Failure> {
    for (rule, days) in waiting {
        let days = count(*days, "day", "days");
        out.remark(format!("rule `{rule}` has been waiting for a person for {days}: `bewaard status --why {rule}`"))?;
    }
    Ok(())
}

/// Undo windows that ended: only now is what they kept gone.
pub(super) fn tell_ended(ended: &[Expired], out: Out) -> Result<(), Failure> {
    for one in ended {
        let kept = count(one.kept, "purge", "purges");
        out.remark(format!("{} can't be undone any more: {kept} kept until {} are gone", one.run, one.until))?;
    }
    Ok(())
}

pub(super) fn tell_recovery(recovered: &Recovered, out: Out) -> Result<(), Failure> {
    for (batch, tally) in &recovered.settled {
        out.remark(format!("settled {batch} of an interrupted run: {}", text::tally(tally)))?;
    }
    for (undo, tally) in &recovered.undone {
        let words: Vec<String> = tally.iter().map(|(word, n)| format!("{} {}", number(*n), word.word())).collect();
        out.remark(format!("settled the interrupted undo {undo}: {}", words.join(", ")))?;
    }
    for batch in &recovered.beyond {
        let [gone, kept] = settle_commands(batch);
        out.remark(format!("{batch} can't be settled by looking. Look yourself, then:\n  {gone}\n  or\n  {kept}"))?;
    }
    for (batch, why) in &recovered.waiting {
        out.remark(format!("{batch} waits to be settled: {why}"))?;
    }
    Ok(())
}

/// Tells how one rule went, and gives its exit code.
fn tell(
    rule: &Rule,
    done: Result<RunReport, EngineError>,
    told: &mut Vec<serde_json::Value>,
    out: Out,
) -> Result<u8, Failure> {
    let report = match done {
        Ok(report) => report,
        // Doubt about log or keys after an erasure: nothing more may be done by this process.
        Err(error @ (EngineError::Log(_) | EngineError::Read(_) | EngineError::Key(_) | EngineError::Holds(_))) => {
            return Err(error.into());
        }
        Err(EngineError::Paused) => {
            told.push(serde_json::json!({ "rule": rule.id.as_str(), "how": "waiting", "gate": "paused" }));
            return Ok(exit::WAITS);
        }
        Err(EngineError::Stopped) => {
            told.push(serde_json::json!({ "rule": rule.id.as_str(), "how": "stopped" }));
            return Ok(exit::DONE);
        }
        Err(error) => {
            let failure = Failure::from(error);
            if !out.json {
                failure.print(out);
            }
            told.push(serde_json::json!({ "rule": rule.id.as_str(), "how": "failed", "error": failure.text, "because": failure.causes }));
            return Ok(failure.code);
        }
    };
    if out.json {
        told.push(run_json(&report));
    } else {
        out.line(run_line(&report))?;
        for (run, until) in &report.windows {
            out.line(format!("  in quarantine until {until}, not gone before:  bewaard undo {run} --reason \"...\""))?;
        }
        for line in traces::space(report.space.iter().map(|one| (one.place.as_str(), one.command.as_str()))) {
            out.line(format!("  {line}"))?;
        }
        if report.how == RunEnd::Waiting || matches!(report.gate, Gate::Frozen { .. }) {
            out.line(format!("  {}", text::gate_line(&report.plan, &report.gate)))?;
        }
        tell_left(&report.absence, &rule.id, out)?;
        if let Some(error) = &report.failure {
            out.remark(format!("bewaard: {error}"))?;
        }
    }
    let refused = report.tally.of(Outcome::Failed) > 0;
    Ok(match (report.how, &report.failure) {
        (RunEnd::Waiting, _) => exit::WAITS,
        (RunEnd::Failed, _) if matches!(report.gate, Gate::Frozen { .. }) => exit::WAITS,
        (_, Some(error)) if error.unreachable => exit::UNREACHABLE,
        (RunEnd::Failed, _) => exit::FAILED,
        (RunEnd::Braked, _) => exit::BUSY,
        _ if refused || report.absence.found() || report.absence.failure.is_some() => exit::FAILED,
        (RunEnd::Done | RunEnd::Paced | RunEnd::FirstBite | RunEnd::Observed | RunEnd::Stopped, _) => exit::DONE,
    })
}

/// What is still there of records that were purged: never claimed quietly.
fn tell_left(found: &Absence, rule: &RuleId, out: Out) -> Result<(), Failure> {
    if found.back > 0 {
        let back =
            count(found.back, "record that was purged is there again", "records that were purged are there again");
        out.remark(format!("rule `{rule}`: {back} (B507)"))?;
    }
    for (place, n) in &found.left {
        let rows = count(*n, "row", "rows");
        out.remark(format!("rule `{rule}`: something of purged records is left in {place}: {rows} (B508)"))?;
    }
    if found.unlooked > 0 {
        let records = text::records(found.unlooked);
        let why = found.failure.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let what = "could only be looked for by key after the purge, or not at all";
        out.remark(format!("rule `{rule}`: {records} {what} (B509){why}"))?;
    }
    Ok(())
}

fn run_line(report: &RunReport) -> String {
    let rule = &report.plan.rule;
    match report.how {
        RunEnd::Waiting if matches!(report.gate, Gate::NeedsApproval { .. }) => {
            format!("{rule}: {} due, not purged", number(report.plan.survey.due))
        }
        RunEnd::Waiting => format!("{rule}: {} due, NOT purged", number(report.plan.survey.due)),
        RunEnd::Done if report.run.is_none() => format!("{rule}: nothing was due"),
        RunEnd::Done => format!("{rule}: {}", text::tally(&report.tally)),
        RunEnd::Paced => format!(
            "{rule}: {}; {} for later runs",
            text::tally(&report.tally),
            count(report.left, "record is left", "records are left")
        ),
        RunEnd::FirstBite if report.run.is_none() => format!("{rule}: waits an hour after the first bite"),
        RunEnd::FirstBite => format!(
            "{rule}: {}, the first bite; {} for the runs after it",
            text::tally(&report.tally),
            count(report.left, "record is left", "records are left")
        ),
        RunEnd::Observed => {
            format!("{rule}: {} due; only observed (mode = \"observe\"), nothing purged", number(report.left))
        }
        RunEnd::Stopped => format!("{rule}: {}; stopped between two batches", text::tally(&report.tally)),
        RunEnd::Braked => {
            let brakes: Vec<String> = report.brakes.iter().map(Held::words).collect();
            let left = count(report.left, "record is left", "records are left");
            let tally = text::tally(&report.tally);
            format!("{rule}: {tally}; held by a brake ({}); {left} for later runs", brakes.join("; "))
        }
        RunEnd::Failed => format!("{rule}: {}; FAILED", text::tally(&report.tally)),
    }
}

fn run_json(report: &RunReport) -> serde_json::Value {
    let (gate, limits) = gate_words(&report.gate);
    let windows = report.windows.iter();
    let windows: Vec<_> =
        windows.map(|(run, until)| serde_json::json!({ "run": run.as_str(), "until": until })).collect();
    let mut value = serde_json::json!({
        "rule": report.plan.rule.as_str(),
        "system": report.plan.system.as_str(),
        "plan": report.plan.id.to_string(),
        "run": report.run.as_ref().map(crate::domain::id::RunId::as_str),
        "gate": gate,
        "limits": limits,
        "how": report.how.word(),
        "due": report.plan.survey.due,
        "left": report.left,
        "absent": report.absence.absent(),
        "back": report.absence.back,
        "left_behind": report.absence.left,
        "not_looked_for": report.absence.unlooked,
        "look_failed": report.absence.failure,
        "error": report.failure.as_ref().map(ToString::to_string),
        "brakes": report.brakes.iter().map(json::held).collect::<Vec<_>>(),
        "windows": windows,
        "space": report.space.iter().map(|one| serde_json::json!({ "place": one.place, "command": one.command })).collect::<Vec<_>>(),
    });
    if let Some(all) = value.as_object_mut() {
        for (word, n) in json::tally(&report.tally) {
            all.insert(word.into(), n.into());
        }
    }
    value
}
