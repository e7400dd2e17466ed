//! `limits` and `schedule`.

use std::str::FromStr as _;

use super::{Out, Told, count};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::source::shown;
use crate::config::tree::{Entry, Node};
use crate::domain::rule::{Limits, Mode, WHOLE_SHARE};

pub(super) fn limits(rule: &Node, out: Out<'_>) -> Option<Limits> {
    let mut limits = Limits::default();
    let Some(node) = rule.get("limits") else { return Some(limits) };
    let before = out.len();
    if let Some(entry) = node.entry("per-run") {
        limits.per_run = count(&entry.node)?;
        if limits.per_run == 0 {
            let fault = Diagnostic::fault(
                codes::BAD_LIMIT,
                "with 0 records in a run the rule never does anything",
                &entry.node.place,
            );
            out.push(fault.help("write how many may go in one night: per-run = 10_000"));
        }
    }
    if let Some(entry) = node.entry("share") {
        limits.share = share(entry, out);
    }
    if let Some(entry) = node.entry("max") {
        limits.max = Some(count(&entry.node)?);
    }
    if let Some(entry) = node.entry("change") {
        limits.change = change(entry, out);
    }
    if let Some(entry) = node.entry("first-bite") {
        limits.first_bite = count(&entry.node)?;
    }
    (out.len() == before).then_some(limits)
}

/// Whether the rule purges: the host's word, and the rule's own. A host that observes is overruled by no rule.
pub(super) fn mode(root: &Node, rule: &Node) -> Mode {
    let observes = |node: &Node| node.text_of("mode") == Some("observe");
    if observes(root) || observes(rule) { Mode::Observe } else { Mode::Enforce }
}

/// "10 %" in thousandths of a per cent.
fn share(entry: &Entry, out: Out<'_>) -> Option<u64> {
    let text = entry.node.text()?;
    let number = text.trim().strip_suffix('%').map(str::trim).and_then(thousandths);
    match number {
        Some(share) if (1..=WHOLE_SHARE).contains(&share) => Some(share),
        Some(share) => {
            let text = if share == 0 {
                "a share of nothing refuses every plan"
            } else {
                "no plan is more than 100 % of the records"
            };
            out.push(
                Diagnostic::fault(codes::BAD_LIMIT, text, &entry.node.place)
                    .help("write a share between 0.001 % and 100 %: share = \"10 %\""),
            );
            None
        }
        None => {
            let fault =
                Diagnostic::fault(codes::BAD_LIMIT, format!("`{}` is no share", shown(text)), &entry.node.place);
            out.push(fault.label("a number and a per cent sign").help("write it like this: share = \"10 %\""));
            None
        }
    }
}

fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 6 || fraction.len() > 3 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(fraction)
}

/// "3 x" as 3.
fn change(entry: &Entry, out: Out<'_>) -> Option<u64> {
    let text = entry.node.text()?;
    let number = text.trim().strip_suffix(['x', '×']).map(str::trim).and_then(|number| number.parse::<u64>().ok());
    let number = number.filter(|number| *number > 0);
    if number.is_none() {
        let fault = Diagnostic::fault(codes::BAD_LIMIT, format!("`{}` is no change", shown(text)), &entry.node.place);
        out.push(fault.label("a whole number and an x").help("write it like this: change = \"3 x\""));
    }
    number
}

/// The schedule, checked: five fields, and moments that come. `None`: only by hand.
pub(super) fn schedule(rule: &Node, out: Out<'_>) -> Result<Option<String>, Told> {
    let Some(entry) = rule.entry("schedule") else { return Ok(None) };
    let text = entry.node.text().ok_or(Told)?.trim();
    let fault = |why: String| Diagnostic::fault(codes::BAD_SCHEDULE, why, &entry.node.place);
    let fields = text.split_ascii_whitespace().count();
    let problem = if fields != 5 || text.starts_with('@') {
        Some(
            fault(format!(
                "`{}` has {fields} field{}, and a schedule has 5",
                shown(text),
                if fields == 1 { "" } else { "s" }
            ))
            .label("minute hour day month weekday"),
        )
    } else {
        match croner::Cron::from_str(text) {
            Err(error) => Some(fault(format!("`{}` is no schedule", shown(text))).label(unreadable(text, &error))),
            Ok(cron) if !comes_twice(&cron) => {
                Some(fault(format!("`{}` names no moment that comes again", shown(text))).label("there is no such day"))
            }
            Ok(_) => None,
        }
    };
    if let Some(fault) = problem {
        out.push(fault.help("minute, hour, day of month, month, weekday: \"30 2 * * *\" is every night at 02:30, \"0 3 * * 6\" Saturdays at 03:00"));
        return Err(Told);
    }
    Ok(Some(text.to_string()))
}

/// Which field of a schedule is wrong, and what it takes.
fn unreadable(text: &str, error: &croner::errors::CronError) -> String {
    let most = [("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("weekday", 0, 7)];
    let beyond = |(field, (_, first, last)): &(&str, (&str, u32, u32))| {
        field.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).any(|n: u32| n < *first || n > *last)
    };
    match text.split_ascii_whitespace().zip(most).find(beyond) {
        Some((_, (name, first, last))) => format!("the {name} is {first} to {last}"),
        None => shown(&error.to_string()).to_lowercase().trim_end_matches('.').to_string(),
    }
}

/// Whether the next two moments exist (31 February does not), asked from a fixed day so that the text alone decides.
fn comes_twice(cron: &croner::Cron) -> bool {
    let Some(start) = chrono::DateTime::from_timestamp(1_735_689_600, 0) else { return false };
    let Ok(first) = cron.find_next_occurrence(&start, false) else { return false };
    cron.find_next_occurrence(&first, false).is_ok()
}
