//! The demo: the whole job on a made-up firm, by the same commands that a person would type.

use std::path::Path;

use super::super::args::{Approve, Check, Demo, Init, Log, LogCommand, Plan, Run, Status};
use super::super::out::Out;
use super::super::runtime::block_on;
use super::super::{Ended, Failure, approve, check, exit, init, log, plan, run as run_command, status};
use super::{attack, firm, folder};
use crate::domain::id::PlanId;
use crate::domain::shell;
use crate::durable;
use crate::engine::Engine;
use crate::report::words::number;

/// Runs the demo.
pub(in crate::cli) fn run(wish: &Demo, out: Out) -> Ended {
    let folder = folder::prepare(&wish.dir)?;
    let config = folder.join("bewaard.toml");
    let today = crate::now::now().with_timezone(&chrono_tz::Europe::Amsterdam).date_naive();

    out.talk(format!("A made-up firm, Voorbeeld Fietsen B.V., in {}", folder.display()))?;
    let truth = block_on(async {
        firm::build(&folder, today).await.map_err(|error| Failure::new(exit::FAILED, error.to_string()))
    })?;
    out.talk(format!(
        "  webshop.db and crm.db: {} customers with orders, invoices, addresses and notes, untidy as they are",
        number(truth.rows("customers"))
    ))?;
    write_file(&config, &firm::policy_text())?;
    super::super::out::name_policy(&config);
    let shown = shell::path(&config);
    let said = |command: &str| format!("\n$ bewaard --config {shown} {command}");

    out.talk(said("init --write"))?;
    init::run(&config, &Init { write: true }, out)?;
    out.talk(said("check"))?;
    check::run(&config, &Check { file: None, offline: false }, out)?;
    out.talk(said("plan"))?;
    plan::run(&config, &no_plan_flags(), out)?;
    if wish.no_run {
        out.talk(format!(
            "Stopped before the approval. Next:\n  bewaard --config {shown} approve PLAN --reason \"...\""
        ))?;
        return Ok(exit::DONE);
    }
    let before = wish.attack.then(|| attack::keep_yesterday(&folder)).transpose()?;

    let plans = waiting_plans(&config, out)?;
    let ids: Vec<String> = plans.iter().map(crate::engine::approve::short).collect();
    out.talk(said(&format!("approve {} --reason \"demo: looked at the plan\"", ids.join(" "))))?;
    approve::run(
        &config,
        &Approve { plans: ids, reason: Some("demo: looked at the plan".into()), signature: None, beyond: Vec::new() },
        out,
    )?;
    out.talk(said("run"))?;
    let code = run_command::run(&config, &Run { rules: Vec::new() }, out)?;
    out.talk(said("status"))?;
    status::run(&config, &Status { why: None }, out)?;
    out.talk(said("log verify"))?;
    let verified = log::run(&config, &verify(), out)?;
    out.talk(said(&format!("log prove --entry {}", first_outcome(&config, out)?)))?;
    let proof = LogCommand::Prove { entry: Some(first_outcome(&config, out)?), rule: None, output: None };
    log::run(&config, &Log { command: proof }, out)?;
    let attacked = match before {
        Some(before) => attack::all(&folder, &super::super::load(&config, out)?, &before, out)?,
        None => exit::DONE,
    };
    next(&shown, &shell::path(&folder), out)?;
    Ok(exit::worst(exit::worst(code, verified), attacked))
}

fn next(config: &str, folder: &str, out: Out) -> Result<(), Failure> {
    let of = |command: &str| format!("bewaard --config {config} {command}");
    let lines = [
        (of("status"), "where each rule stands"),
        (of("plan --at 2027-06-01"), "what will be due then"),
        (of("log show --last 5"), "the newest entries"),
        (of("plan --sql"), "count it yourself, read-only"),
        (format!("$EDITOR {config}"), "change a term; plan again: it waits for you"),
        (format!("bewaard demo --dir {folder} --attack"), "tamper with the log, and see it found"),
        ("bewaard generate config".into(), "every key, explained"),
    ];
    let width = lines.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    out.talk("\nWhat to try next")?;
    for (command, what) in lines {
        out.talk(format!("  {command:width$}  {what}"))?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    durable::create(path, text.as_bytes(), durable::PUBLIC)
        .map_err(|error| Failure::new(exit::FAILED, format!("cannot write {}: {error}", path.display())))
}

fn no_plan_flags() -> Plan {
    Plan { show: None, rules: Vec::new(), at: None, explain: None, sample: None, sql: false, why: false, against: None }
}

pub(super) fn verify() -> Log {
    Log { command: LogCommand::Verify { dir: None, key: Vec::new(), against: Vec::new(), proof: None } }
}

/// The plans that were just made and wait for a person.
fn waiting_plans(config: &Path, out: Out) -> Result<Vec<PlanId>, Failure> {
    let engine = Engine::open(super::super::load(config, out)?)?;
    Ok(engine.view().waiting.values().map(|(plan, _)| *plan).collect())
}

/// The index of the first purge in the log.
fn first_outcome(config: &Path, out: Out) -> Result<u64, Failure> {
    let engine = Engine::open(super::super::load(config, out)?)?;
    let folder = engine.loaded.settings.log.clone();
    let entries =
        crate::audit::read::entries(&folder, 0).map_err(|error| Failure::new(exit::UNVERIFIED, error.to_string()))?;
    for read in entries {
        let (index, entry, _) = read.map_err(|error| Failure::new(exit::UNVERIFIED, error.to_string()))?;
        if matches!(&entry.body, crate::audit::entry::Body::Outcome { .. }) {
            return Ok(index);
        }
    }
    Err(Failure::new(exit::FAILED, "nothing was purged"))
}
