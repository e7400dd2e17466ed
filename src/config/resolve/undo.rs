//! `undo`: for how long what went can be put back.

use super::{Out, Told};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::source::shown;
use crate::config::tree::{Entry, Node, Value};

/// The longest window, in days: what is past its term must go, and a quarantine only puts that off.
const LONGEST: u32 = 30;

pub(super) fn undo(rule: &Node, out: Out<'_>) -> Result<Option<u32>, Told> {
    let Some(entry) = rule.entry("undo") else { return Ok(None) };
    let days = days(entry, out)?;
    let Some(other) = rule.entry("allow-no-transactions").filter(|one| matches!(one.node.value, Value::Flag(true)))
    else {
        return Ok(Some(days));
    };
    let text = "without transactions nothing can be kept before it goes";
    let fault = Diagnostic::fault(codes::CONTRADICTION, text, &entry.node.place).label("what went is to be put back");
    out.push(
        fault
            .also(&other.node.place, "a table without transactions")
            .help("take out `undo`, or `allow-no-transactions`"),
    );
    Err(Told)
}

fn days(entry: &Entry, out: Out<'_>) -> Result<u32, Told> {
    let text = entry.node.text().ok_or(Told)?;
    if let Some(days) = read(text).filter(|days| (1..=LONGEST).contains(days)) {
        return Ok(days);
    }
    let what = format!("`{}` is no window of 1 to {LONGEST} days", shown(text));
    let fault = Diagnostic::fault(codes::BAD_VALUE, what, &entry.node.place);
    out.push(fault.help("write days or weeks: undo = \"7 days\""));
    Err(Told)
}

/// "7 days" or "2 weeks", in English or Dutch; nothing longer has the same number of days each time.
fn read(text: &str) -> Option<u32> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [number, unit] = words.as_slice() else { return None };
    let number: u32 = number.parse().ok()?;
    match unit.to_lowercase().as_str() {
        "day" | "days" | "dag" | "dagen" => Some(number),
        "week" | "weeks" | "weken" => number.checked_mul(7),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_days_or_weeks() {
        assert_eq!(read("7 days"), Some(7));
        assert_eq!(read("2 weken"), Some(14));
        for none in ["7", "7 d", "1 month", "-1 days", "1.5 days", "", "1 day 1 week"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
