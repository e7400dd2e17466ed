//! Plans and ledgers as a person reads them on a terminal.

use std::collections::BTreeMap;

use super::json;
use super::words::{count, number, table};
use crate::domain::decide::KeepReason;
use crate::domain::gate::Gate;
use crate::domain::outcome::{Outcome, Tally};
use crate::domain::plan::Plan;
use crate::domain::rule::{Action, Rule};

/// Why something stays, in words.
pub fn reason(reason: KeepReason) -> &'static str {
    match reason {
        KeepReason::NotYetDue => "term has not passed",
        KeepReason::Held => "held",
        KeepReason::Protected => "protected",
        KeepReason::RecordBelow => "a record below it stays",
        KeepReason::NoClock => "no clock value",
        KeepReason::ZeroDate => "zero date",
        KeepReason::PartialDate => "partial date",
        KeepReason::FutureDate => "date in the future",
        KeepReason::ImplausibleDate => "implausible date",
        KeepReason::UnreadableDate => "unreadable date",
    }
}

/// What a part does to a record.
pub fn does(action: &Action) -> String {
    match action {
        Action::Delete => "deletes the record".into(),
        Action::Anonymise(recipes) => {
            format!("anonymises {}", recipes.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
    }
}

/// One plan.
pub fn plan(plan: &Plan, rule: &Rule, gate: &Gate) -> String {
    let survey = &plan.survey;
    let mut lines = Vec::new();
    let id =
        if *gate == Gate::Preview { "preview".to_string() } else { format!("plan {}", short(&plan.id.to_string())) };
    lines.push(format!("{}  ({id}, system {}, what is due on {})", plan.rule, plan.system, plan.cutoff));
    for part in &rule.parts {
        let due = survey.due_by_part.get(&part.id).copied().unwrap_or(0);
        let terms: Vec<String> =
            part.grounds.iter().map(|ground| format!("{} ({})", ground.keep, ground.because)).collect();
        let name = if rule.parts.len() > 1 { format!("{}: ", part.id) } else { String::new() };
        lines.push(format!("  {name}{} after {}: {} due", does(&part.action), terms.join("; "), number(due)));
    }
    let share = json::share(survey);
    let about = if survey.about { "about " } else { "" };
    let each = if rule.parts.len() > 1 { " (a record counts once for each part)" } else { "" };
    lines.push(format!(
        "  due  {:>9}  of {about}{} that the rule selects{each}; {share} % of the {about}{} in the table",
        number(survey.due),
        number(survey.found),
        count(survey.of, "record", "records"),
    ));
    if let Some(day) = survey.oldest_due {
        let days = (plan.cutoff - day).num_days().unsigned_abs();
        lines.push(format!("                  the oldest since {day}: {}", count(days, "day", "days")));
    }
    for (reason_kept, n) in survey.kept.iter().filter(|(_, n)| **n > 0) {
        lines.push(format!("  kept {:>9}  {}", number(*n), reason(*reason_kept)));
    }
    for (child, n) in survey.children.iter().filter(|(_, n)| **n > 0) {
        lines.push(format!("  with {:>9}  in {child}", number(*n)));
    }
    let runs = json::runs(survey.due, rule.limits.per_run);
    if runs > 1 {
        lines.push(format!("  at {} a run: done in {runs} runs", number(rule.limits.per_run)));
    }
    if let Some(days) = rule.undo {
        let window = count(days.into(), "day", "days");
        lines.push(format!(
            "  undo window: what goes is kept sealed for {window} and can be put back; only then is it gone"
        ));
    }
    lines.push(format!("  {}", gate_line(plan, gate)));
    lines.join("\n")
}

/// The first 12 digits of an id.
pub fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// Where the plan stands, and the command that helps.
pub fn gate_line(plan: &Plan, gate: &Gate) -> String {
    let id = short(&plan.id.to_string());
    match gate {
        Gate::Open => "gate: open; `bewaard run` carries it out".into(),
        Gate::NeedsApproval { raised } if raised.is_empty() => {
            format!("gate: waits for a person:  bewaard approve {id} --reason \"...\"")
        }
        Gate::NeedsApproval { raised } => format!(
            "gate: waits for a person, for limits were raised since the approval ({}):  bewaard approve {id} --reason \"...\"",
            raised.join(", ")
        ),
        Gate::Paused => "gate: PAUSED, as everything is:  bewaard resume --reason \"...\"".into(),
        Gate::Refused { limits } => {
            let words: Vec<&str> = limits.iter().map(|limit| limit.word()).collect();
            let beyond: Vec<String> = words.iter().map(|word| format!("--beyond {word}")).collect();
            format!(
                "gate: REFUSED, over its limit ({}). Look first; then, for this plan alone:  bewaard approve {id} {} --reason \"...\"",
                words.join(", "),
                beyond.join(" ")
            )
        }
        Gate::Frozen { why } => format!("gate: FROZEN ({why}):  bewaard status --why {}", plan.rule),
        Gate::Preview => "a preview: nothing can be approved or run by it".into(),
    }
}

/// Outcomes in one line: what happened, then what did not.
pub fn tally(tally: &Tally) -> String {
    let said: Vec<String> = Outcome::ALL
        .iter()
        .filter(|outcome| tally.of(**outcome) > 0)
        .map(|outcome| format!("{} {}", number(tally.of(*outcome)), outcome.word()))
        .collect();
    if said.is_empty() { "nothing was due".into() } else { said.join(", ") }
}

/// One row of the ledger.
#[derive(Debug, Clone)]
pub struct LedgerRow {
    /// The rule.
    pub rule: String,
    /// Past their term; `None` when the system could not be read.
    pub overdue: Option<u64>,
    /// Days of the oldest.
    pub days: Option<i64>,
    /// Kept, by reason.
    pub kept: BTreeMap<KeepReason, u64>,
    /// Purged in all.
    pub purged: u64,
    /// What it waits for.
    pub state: String,
}

/// The ledger as a table.
pub fn ledger(rows: &[LedgerRow]) -> String {
    let of = |row: &LedgerRow, wanted: &[KeepReason]| {
        number(wanted.iter().filter_map(|reason| row.kept.get(reason)).sum::<u64>())
    };
    let undecided: Vec<KeepReason> = KeepReason::ALL.into_iter().filter(|reason| reason.needs_decision()).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.rule.clone(),
                row.overdue.map_or("?".into(), number),
                row.days.map_or(if row.overdue.is_some() { "-".into() } else { "?".into() }, |days| {
                    number(days.unsigned_abs())
                }),
                of(row, &[KeepReason::Held]),
                of(row, &[KeepReason::Protected]),
                of(row, &undecided),
                number(row.purged),
                row.state.clone(),
            ]
        })
        .collect();
    table(&["rule", "overdue", "oldest (days)", "held", "protected", "no usable clock", "purged", "state"], &cells)
}

/// `3 records`, `1 record`.
pub fn records(n: u64) -> String {
    count(n, "record", "records")
}
