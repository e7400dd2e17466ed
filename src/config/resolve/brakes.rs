//! `[brakes]` and `[system.NAME.brakes]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Out, count, settings, system};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::predicate::Dialect;
use crate::config::query;
use crate::config::shape;
use crate::config::source::shown;
use crate::config::tree::{Entry, Node, Value};
use crate::config::v1;
use crate::domain::brake::{Brake, Brakes, Free, OwnQuery, Pace, Window};
use crate::domain::id::SystemId;
use crate::domain::policy::{Access, ServerAccess, System};

/// The longest that a run may wait: its lock keeps every other run away.
const LONGEST_WAIT: Duration = Duration::from_hours(12);

/// The brakes of each system.
pub(super) fn all(root: &Node, systems: &BTreeMap<SystemId, System>, out: Out<'_>) -> BTreeMap<SystemId, Brakes> {
    let mut general = Brakes::default();
    if let Some(entry) = root.entry("brakes") {
        read(&entry.node, &mut general, out);
    }
    let mut all = BTreeMap::new();
    for (id, system) in systems {
        let mut own = general.clone();
        let written = root.get("system").and_then(|systems| systems.entry(id.as_str()));
        if let Some((above, entry)) = written.and_then(|above| Some((above, above.node.entry("brakes")?))) {
            read(&entry.node, &mut own, out);
            own.query = entry.node.entry("query").and_then(|query| own_query(query, above, out));
            own.replicas = replicas(&entry.node, &system.access, out);
        }
        all.insert(id.clone(), own);
    }
    all
}

fn read(node: &Node, brakes: &mut Brakes, out: Out<'_>) {
    if let Some(pace) = node.text_of("pace").and_then(pace) {
        brakes.pace = pace;
    }
    if let Some(wait) = node.entry("wait").and_then(|entry| wait(entry, out)) {
        brakes.wait = wait;
    }
    let millis = |text: &str| duration(text).and_then(|time| u64::try_from(time.as_millis()).ok());
    let (time, example) = ("a time", "such as \"10 s\", \"500 ms\" or \"2 minutes\", or \"off\"");
    for brake in [Brake::ReplicaLag, Brake::StatementTime] {
        limit(node, brake, brakes, (time, example), |node| node.text().and_then(millis).filter(|time| *time > 0), out);
    }
    let size = ("a size", "such as \"16 GiB\" or \"512 MiB\", or \"off\"");
    limit(node, Brake::ReplicaBehind, brakes, size, |node| node.text().and_then(bytes), out);
    let load = ("a load", "such as \"300 %\": three processes for each core; or \"off\"");
    limit(node, Brake::Load, brakes, load, |node| node.text().and_then(per_cent).filter(|load| *load > 0), out);
    for brake in [Brake::Running, Brake::History, Brake::DeadRows] {
        // Another word than "off" was told with its kind.
        limit(node, brake, brakes, ("a number", "such as 50"), |node| count(node).or(node.text().map(|_| 0)), out);
    }
    if let Some(entry) = node.entry("disk-free") {
        free(entry, brakes, out);
    }
    if let Some(entry) = node.entry("windows") {
        brakes.windows = entry.node.items().iter().filter_map(|item| window(item, out)).collect();
    }
    if let Some(entry) = node.entry("backup-locks") {
        let paths = entry.node.items().iter().filter_map(|item| settings::path(item, out));
        brakes.backups.locks = paths.map(|path| path.to_string_lossy().into_owned()).collect();
    }
    if let Some(entry) = node.entry("backup-programs") {
        brakes.backups.programs = entry.node.items().iter().filter_map(|item| program(item, out)).collect();
    }
}

fn limit(
    node: &Node,
    brake: Brake,
    brakes: &mut Brakes,
    (what, example): (&str, &str),
    read: impl Fn(&Node) -> Option<u64>,
    out: Out<'_>,
) {
    let Some(entry) = node.entry(brake.word()) else { return };
    if is_off(&entry.node) {
        brakes.limits.remove(&brake);
    } else if let Some(limit) = read(&entry.node) {
        brakes.limits.insert(brake, limit);
    } else {
        refuse(&entry.node, what, example, out);
    }
}

fn is_off(node: &Node) -> bool {
    node.text() == Some("off")
}

fn refuse(node: &Node, what: &str, example: &str, out: Out<'_>) {
    // What is of a wrong kind was told with its kind.
    let Some(text) = node.text() else { return };
    let fault = Diagnostic::fault(codes::BAD_LIMIT, format!("`{}` is not {what}", shown(text)), &node.place);
    out.push(fault.help(format!("write {what}, {example}")));
}

fn wait(entry: &Entry, out: Out<'_>) -> Option<Duration> {
    let wait = entry.node.text().and_then(duration).filter(|wait| *wait <= LONGEST_WAIT);
    if wait.is_none() {
        refuse(&entry.node, "a time of at most 12 hours", "such as \"30 minutes\"", out);
    }
    wait
}

fn free(entry: &Entry, brakes: &mut Brakes, out: Out<'_>) {
    let Some(text) = entry.node.text() else { return };
    let share = || per_cent(text).filter(|share| *share < 100).map(Free::Share);
    match bytes(text).map(Free::Bytes).or_else(share) {
        Some(free) => brakes.free = Some(free),
        None if is_off(&entry.node) => brakes.free = None,
        None => refuse(&entry.node, "a size or a share", "such as \"1 GiB\" or \"5 %\", or \"off\"", out),
    }
}

fn pace(word: &str) -> Option<Pace> {
    [Pace::Gentle, Pace::Fast].into_iter().find(|pace| pace.word() == word)
}

fn window(item: &Node, out: Out<'_>) -> Option<Window> {
    let (at, own) = match item.value {
        Value::Table(_) => (item.get("at")?, item.text_of("pace").and_then(pace)),
        _ => (item, None),
    };
    let read = Window::parse(at.text()?);
    if read.is_none() {
        let text = format!("`{}` is no window of the day", shown(at.text()?));
        let fault = Diagnostic::fault(codes::BAD_VALUE, text, &at.place).label("HH:MM-HH:MM");
        out.push(fault.help("write hours and minutes as two digits each: \"22:00-06:00\" goes over midnight"));
    }
    read.map(|window| window.at(own))
}

fn program(item: &Node, out: Out<'_>) -> Option<String> {
    let text = item.text()?;
    if !text.trim().is_empty() && !text.contains(['/', '\0', '\n']) {
        return Some(text.to_string());
    }
    let fault = Diagnostic::fault(codes::BAD_VALUE, format!("`{}` is no name of a program", shown(text)), &item.place);
    out.push(fault.help("write the name alone, without folder: backup-programs = [\"mariadb-backup\"]"));
    None
}

fn own_query(entry: &Entry, system: &Entry, out: Out<'_>) -> Option<OwnQuery> {
    shape::lacking(entry, &v1::QUERY, &format!("system.{}.brakes.query", system.key), out);
    let (sql, above) = (entry.node.get("sql")?, entry.node.get("above").and_then(count)?);
    match query::read(sql.text()?, Dialect::of(system)) {
        Ok(sql) => Some(OwnQuery { sql, above }),
        Err((text, help)) => {
            out.push(Diagnostic::fault(codes::BAD_BRAKE_QUERY, text, &sql.place).help(help));
            None
        }
    }
}

fn replicas(node: &Node, access: &Access, out: Out<'_>) -> Vec<ServerAccess> {
    let Some(entry) = node.entry("replicas") else { return Vec::new() };
    let (of, postgres) = match access {
        Access::Mariadb(of) => (of, false),
        Access::Postgres(of) => (of, true),
        Access::Sqlite(_) => {
            let fault = Diagnostic::fault(codes::CONTRADICTION, "an SQLite file has no replicas", &entry.key_place);
            out.push(fault.help("remove the key"));
            return Vec::new();
        }
    };
    entry.node.items().iter().filter_map(|item| system::replica(item, of, postgres, out)).collect()
}

/// "10 s", "500 ms", "30 minutes", "2 hours", in English or Dutch.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let millis = match unit.to_lowercase().as_str() {
        "ms" => 1,
        "s" | "second" | "seconds" | "seconde" | "seconden" => 1_000,
        "min" | "minute" | "minutes" | "minuut" | "minuten" => 60_000,
        "h" | "hour" | "hours" | "uur" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// "16 GiB".
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let shift = ["KiB", "MiB", "GiB", "TiB"].iter().position(|one| *one == unit)?;
    number.checked_mul(1 << (10 * (shift + 1)))
}

fn per_cent(text: &str) -> Option<u64> {
    number_and_unit(text).filter(|(_, unit)| *unit == "%").map(|(number, _)| number)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sizes_and_shares_are_numbers_with_a_unit() {
        assert_eq!(duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration(" 2 uur "), Some(Duration::from_hours(2)));
        assert_eq!(bytes("16 GiB"), Some(16 << 30));
        assert_eq!((per_cent("5 %"), per_cent("300%")), (Some(5), Some(300)));
        for none in ["", "10", "s", "-1 s", "1.5 s", "10 GB", "99999999999999999999 s", "18446744073709551615 h", "é s"]
        {
            assert_eq!((duration(none), bytes(none), per_cent(none)), (None, None, None), "{none}");
        }
    }
}
