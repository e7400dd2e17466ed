//! `bewaard undo`: what a run took is put back.

use std::path::Path;

use super::args::Undo;
use super::out::Out;
use super::run::{tell_ended, tell_recovery};
use super::runtime::block_on;
use super::{Ended, Failure, exit, input, load, publish};
use crate::domain::id::RunId;
use crate::domain::outcome::Restored;
use crate::engine::Engine;
use crate::engine::undo::{UndoReport, UndoWish};
use crate::report::json::SCHEMA;
use crate::report::words::{count, number};

pub(super) fn run(config: &Path, wish: &Undo, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    engine.log()?;
    let run = run_id(&wish.run)?;
    let record = match wish.record.as_deref() {
        None => None,
        Some("-") => Some(input::lines("the record's key, one part a line", out)?),
        Some(_) => {
            return Err(Failure::new(exit::USAGE, "a key is never an argument: use `--record -` and standard input"));
        }
    };
    let _lock = engine.take_run_lock()?;
    block_on(async move {
        let recovered = engine.recover().await?;
        tell_recovery(&recovered, out)?;
        let ended = engine.expire_quarantines(crate::now::now()).await?;
        tell_ended(&ended, out)?;
        let report = engine.undo(&UndoWish { run: run.clone(), record, reason: wish.reason.clone() }).await?;
        let code = publish(&mut engine, out)?;
        Ok(exit::worst(code, tell(&run, &report, out)?))
    })
}

/// Reads a run's id.
pub(super) fn run_id(text: &str) -> Result<RunId, Failure> {
    RunId::try_from(text.to_string())
        .map_err(|_| Failure::new(exit::USAGE, "a run is named `run-` and 16 digits; `bewaard status` shows them"))
}

fn tell(run: &RunId, report: &UndoReport, out: Out) -> Ended {
    let of = |word: Restored| report.tally.get(&word).copied().unwrap_or(0);
    let lacks = of(Restored::Failed) + of(Restored::Conflict) + of(Restored::Unknown) + report.damaged;
    if out.json {
        let mut value = serde_json::json!({
            "schema": SCHEMA, "run": run.as_str(), "rule": report.rule.as_str(), "until": report.window.until,
            "left": report.left, "damaged": report.damaged, "holds": report.holds, "error": report.failure.as_ref().map(ToString::to_string),
        });
        for word in Restored::ALL {
            value[word.word()] = of(word).into();
        }
        out.value(&value)?;
    } else {
        let words = Restored::ALL.iter().filter(|word| of(**word) > 0);
        let words: Vec<String> = words.map(|word| format!("{} {}", number(of(*word)), word.word())).collect();
        out.line(format!("{}: {}", report.rule, words.join(", ")))?;
        if report.left > 0 {
            let rows = count(report.left, "row", "rows");
            out.line(format!("  {rows} of others had changed since and were left as they are"))?;
        }
        if report.damaged > 0 {
            let what = count(report.damaged, "part of a record", "parts of records");
            out.line(format!("  {what} can't be put back: what was kept of them is damaged; only a backup has it"))?;
        }
        for hold in &report.holds {
            out.line(format!("  held until a person looks:  bewaard hold release {hold} --reason \"...\""))?;
        }
        if lacks > 0 {
            out.line(format!(
                "  not everything is back: `bewaard explain B510`; it can be asked again until {}",
                report.window.until
            ))?;
        }
        if let Some(error) = &report.failure {
            out.remark(format!("bewaard: {error}"))?;
        }
    }
    Ok(match &report.failure {
        Some(error) if error.unreachable => exit::UNREACHABLE,
        Some(_) => exit::FAILED,
        None if lacks > 0 => exit::FAILED,
        None => exit::DONE,
    })
}
