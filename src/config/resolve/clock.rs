//! Clocks: `since`.

use super::rule::RuleContext;
use super::{Out, select, zone_at};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::source::shown;
use crate::config::tree::{Entry, Node, Value};
use crate::domain::clock::{ClockFormat, pattern_is_usable};
use crate::domain::selection::ClockSource;

/// The places of a clock's sources in the rule's list, which grows by those that are new.
pub(super) fn clock(cx: &mut RuleContext<'_>, entry: &Entry, out: Out<'_>) -> Option<Vec<usize>> {
    let node = &entry.node;
    if !matches!(node.value, Value::Table(_)) {
        return None;
    }
    let found = match (node.entry("column"), node.entry("newest")) {
        (Some(column), Some(newest)) => {
            let text = "`column` and `newest` both say what the clock is";
            let fault = Diagnostic::fault(codes::CONTRADICTION, text, &newest.key_place).label("several");
            out.push(
                fault
                    .also(&column.key_place, "one")
                    .help("put the column into the list: since.newest = [{ column = \"..\" }, ..]"),
            );
            return None;
        }
        (Some(_), None) => vec![source(cx, node, out)?],
        (None, Some(newest)) => several(cx, node, newest, out)?,
        (None, None) => {
            let fault =
                Diagnostic::fault(codes::BAD_CLOCK, "the clock is not named", entry.mark()).label("since when?");
            out.push(fault.help("write since.column = \"last_contact\", or since.newest = [{ column = \"..\" }, ..]"));
            return None;
        }
    };
    let mut places = Vec::new();
    for source in found {
        let place = cx.sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            cx.sources.push(source);
            cx.sources.len() - 1
        });
        places.push(place);
    }
    places.sort_unstable();
    places.dedup();
    Some(places)
}

fn several(cx: &RuleContext<'_>, since: &Node, newest: &Entry, out: Out<'_>) -> Option<Vec<ClockSource>> {
    for key in ["format", "zone"] {
        if let Some(parent) = since.entry(key) {
            let text = format!("`{key}` beside `newest` belongs to no clock of the list");
            let fault = Diagnostic::fault(codes::BAD_CLOCK, text, &parent.key_place);
            out.push(fault.help(format!("write it inside each clock: {{ column = \"..\", {key} = \"..\" }}")));
            return None;
        }
    }
    let items = newest.node.items();
    if items.is_empty() {
        let fault =
            Diagnostic::fault(codes::BAD_CLOCK, "the list of clocks is empty", &newest.key_place).label("no clock");
        out.push(fault.help("write at least one: since.newest = [{ column = \"last_login_at\" }]"));
        return None;
    }
    let found: Vec<Option<ClockSource>> = items.iter().map(|item| source(cx, item, out)).collect();
    found.into_iter().collect()
}

fn source(cx: &RuleContext<'_>, node: &Node, out: Out<'_>) -> Option<ClockSource> {
    let Some(column) = node.entry("column") else {
        let fault =
            Diagnostic::fault(codes::MISSING_KEY, "a clock without a column", &node.place).label("needs `column`");
        out.push(fault.help("write: { table = \"orders\", column = \"created_at\", on = \"customer_id\" }"));
        return None;
    };
    let name = column.node.text()?.to_string();
    if name.trim().is_empty() {
        let fault = Diagnostic::fault(codes::BAD_CLOCK, "the clock's column has no name", &column.node.place);
        out.push(fault.help("write the column's name as the database has it"));
        return None;
    }
    let relation = match (node.entry("table"), ["on", "to", "where", "schema"].iter().find_map(|key| node.entry(key))) {
        (Some(_), _) => Some(select::relation(cx, node, &node.place, out)?),
        (None, None) => None,
        (None, Some(stray)) => {
            let text = format!("`{}` without `table`", stray.key);
            let fault = Diagnostic::fault(codes::BAD_RELATION, text, &stray.key_place).label("of which table?");
            out.push(fault.help("name it: { table = \"orders\", column = \"created_at\", on = \"customer_id\" }"));
            return None;
        }
    };
    let format = format(node, out);
    let zone = match node.entry("zone") {
        Some(entry) => Some(zone_at(entry, out)?),
        None => None,
    };
    let format = format?;
    Some(ClockSource::Sql { column: name, relation, format, zone })
}

fn format(node: &Node, out: Out<'_>) -> Option<ClockFormat> {
    let Some(entry) = node.entry("format") else { return Some(ClockFormat::Iso) };
    match entry.node.text() {
        Some("epoch") => return Some(ClockFormat::Epoch),
        Some("epoch-ms") => return Some(ClockFormat::EpochMillis),
        Some("iso") => return Some(ClockFormat::Iso),
        _ => {}
    }
    let items = entry.node.items();
    let mut good = !items.is_empty();
    if items.is_empty() {
        let fault = Diagnostic::fault(codes::BAD_CLOCK, "the list of formats is empty", &entry.key_place);
        out.push(fault.help("write at least one pattern: format = \"%d-%m-%Y\""));
    }
    for item in items {
        let text = item.text().unwrap_or_default();
        if !pattern_is_usable(text) {
            good = false;
            let fault =
                Diagnostic::fault(codes::BAD_CLOCK, format!("`{}` does not name a day", shown(text)), &item.place)
                    .label("no pattern with day, month and year");
            out.push(fault.help(match text.to_lowercase().as_str() {
                "unix" | "timestamp" | "seconds" | "unixtime" => {
                    "did you mean \"epoch\" (seconds since 1970)?".to_string()
                }
                "millis" | "milliseconds" | "epoch-millis" => "did you mean \"epoch-ms\"?".to_string(),
                lower if !lower.contains('%') => format!("did you mean \"{}\"?", strftime(lower)),
                _ => "%d day, %m month, %Y year, %H:%M:%S time: \"%d-%m-%Y\" reads 14-03-2023".to_string(),
            }));
        }
    }
    good.then(|| ClockFormat::Patterns(entry.node.texts()))
}

/// "dd-mm-yyyy" as strftime writes it; anything else becomes an example.
fn strftime(text: &str) -> String {
    let pattern = text.replace("yyyy", "%Y").replace("jjjj", "%Y").replace("dd", "%d").replacen("mm", "%m", 1);
    let pattern = pattern.replace("hh", "%H").replace("mm", "%M").replace("ss", "%S");
    if pattern_is_usable(&pattern) { pattern } else { "%d-%m-%Y".into() }
}
