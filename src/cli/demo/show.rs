//! The demo: the whole job on a made-up firm, by the same commands that a person would type.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::args::{Approve, Check, Demo, Init, Log, LogCommand, Plan, Run, Status};
use super::super::out::Out;
use super::super::runtime::block_on;
use super::super::{Ended, Failure, approve, check, exit, init, log, plan, run as run_command, status};
use super::{attack, firm};
use crate::domain::id::PlanId;
use crate::durable;
use crate::engine::Engine;
use crate::report::words::number;

/// The file by which the demo knows its own folder.
const MARKER: &str = ".bewaard-demo";
/// What the demo puts into its folder.
const OWN: [&str; 10] =
    [MARKER, "bewaard.toml", "tests.toml", "webshop.db", "crm.db", "state", "log", "log.tmp", "outside", "attack"];

/// Runs the demo.
pub(in crate::cli) fn run(wish: &Demo, out: Out) -> Ended {
    let folder = prepare(&wish.dir)?;
    let config = folder.join("bewaard.toml");
    let today = crate::now::now().with_timezone(&chrono_tz::Europe::Amsterdam).date_naive();

    out.line(format!("A made-up firm, Voorbeeld Fietsen B.V., in {}", folder.display()))?;
    let truth = block_on(async {
        firm::build(&folder, today).await.map_err(|error| Failure::new(exit::FAILED, error.to_string()))
    })?;
    out.line(format!(
        "  webshop.db and crm.db: {} customers with orders, invoices, addresses and notes, untidy as they are",
        number(truth.rows("customers"))
    ))?;
    write_file(&config, &firm::policy_text())?;
    let shown = config.display().to_string();
    let said = |command: &str| format!("\n$ bewaard --config {shown} {command}");

    out.line(said("init --write"))?;
    init::run(&config, &Init { write: true }, out)?;
    out.line(said("check"))?;
    check::run(&config, &Check { file: None, offline: false }, out)?;
    out.line(said("plan"))?;
    plan::run(&config, &no_plan_flags(), out)?;
    if wish.no_run {
        out.line(format!(
            "Stopped before the approval. Next:\n  bewaard --config {shown} approve PLAN --reason \"...\""
        ))?;
        return Ok(exit::DONE);
    }
    let before = wish.attack.then(|| attack::keep_yesterday(&folder)).transpose()?;

    let plans = waiting_plans(&config, out)?;
    let ids: Vec<String> = plans.iter().map(crate::engine::approve::short).collect();
    out.line(said(&format!("approve {} --reason \"demo: looked at the plan\"", ids.join(" "))))?;
    approve::run(
        &config,
        &Approve { plans: ids, reason: Some("demo: looked at the plan".into()), signature: None, beyond: Vec::new() },
        out,
    )?;
    out.line(said("run"))?;
    let code = run_command::run(&config, &Run { rules: Vec::new() }, out)?;
    out.line(said("status"))?;
    status::run(&config, &Status { why: None }, out)?;
    out.line(said("log verify"))?;
    let verified = log::run(&config, &verify(), out)?;
    out.line(said(&format!("log prove --entry {}", first_outcome(&config, out)?)))?;
    let proof = LogCommand::Prove { entry: Some(first_outcome(&config, out)?), rule: None, output: None };
    log::run(&config, &Log { command: proof }, out)?;
    let attacked = match before {
        Some(before) => attack::all(&folder, &super::super::load(&config, out)?, &before, out)?,
        None => exit::DONE,
    };
    next(&shown, out)?;
    Ok(exit::worst(exit::worst(code, verified), attacked))
}

fn next(config: &str, out: Out) -> Result<(), Failure> {
    out.line(format!(
        "\nWhat to try next\n  \
         bewaard --config {config} status                       where each rule stands\n  \
         bewaard --config {config} plan --at 2027-06-01         what will be due then\n  \
         bewaard --config {config} log show --last 5            the newest entries\n  \
         bewaard --config {config} plan --sql                   count it yourself, read-only\n  \
         $EDITOR {config}                                       change a term; plan again: it waits for you\n  \
         bewaard demo --attack                                  tamper with the log, and see it found\n  \
         bewaard generate config                                every key, explained"
    ))?;
    Ok(())
}

/// An absent or empty folder, or the demo's own with nothing foreign in it; made empty.
fn prepare(folder: &Path) -> Result<PathBuf, Failure> {
    let refuse = |why: String| {
        Failure::new(exit::USAGE, format!("{why}; choose an absent or empty folder with `bewaard demo --dir DIR`"))
    };
    let failed =
        |error: std::io::Error| Failure::new(exit::FAILED, format!("cannot use {}: {error}", folder.display()));
    if folder.exists() {
        if !folder.is_dir() {
            return Err(refuse(format!("{} is no folder", folder.display())));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        if !names.is_empty() && !names.iter().any(|name| name == MARKER) {
            return Err(refuse(format!("{} holds files that are not the demo's", folder.display())));
        }
        let ours = |name: &String| {
            OWN.contains(&name.as_str())
                || ["-wal", "-shm", "-journal", "-bewaard"]
                    .iter()
                    .any(|end| name.strip_suffix(end).is_some_and(|base| OWN.contains(&base)))
        };
        if let Some(foreign) = names.iter().find(|name| !ours(name)) {
            let foreign = crate::report::words::safe(foreign);
            return Err(refuse(format!("{} holds `{foreign}`, which is not the demo's", folder.display())));
        }
        for name in names.iter().filter(|name| *name != MARKER) {
            let path = folder.join(name);
            if path.is_dir() { fs::remove_dir_all(&path) } else { durable::remove(&path) }.map_err(failed)?;
        }
    }
    durable::folder(folder, false).map_err(failed)?;
    let folder = fs::canonicalize(folder).map_err(failed)?;
    if !folder.join(MARKER).exists() {
        write_file(&folder.join(MARKER), "Made by `bewaard demo`, which may empty this folder.\n")?;
    }
    Ok(folder)
}

fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    durable::create(path, text.as_bytes(), durable::PUBLIC)
        .map_err(|error| Failure::new(exit::FAILED, format!("cannot write {}: {error}", path.display())))
}

fn no_plan_flags() -> Plan {
    Plan { show: None, rules: Vec::new(), at: None, explain: None, sample: None, sql: false, against: None }
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
