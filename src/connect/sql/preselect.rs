//! Leaving out on the server what is certainly not yet due.
//!
//! A record is left out only where every clock of every part is plainly a day, and one ground of each part has
//! certainly not passed. What is missing, zero, partial, unreadable, in the future or protected is read and judged, so
//! that the ledger counts it.

use chrono::{Days, NaiveDate};

use super::records::Reader;
use super::resolve::{RECORD, Source};
use crate::domain::rule::{Ground, Part};
use crate::domain::term::newest_clock_that_may_be_due;

/// Days of slack on both sides: zones, and dialects that are generous by a day or two.
const SLACK: u64 = 3;

/// The condition, or `None` where the server can't tell.
pub(super) fn may_be_due(reader: &Reader<'_>, day: NaiveDate) -> Option<String> {
    let parts: Vec<String> = reader.rule.parts.iter().map(|part| not_yet(reader, part, day)).collect::<Option<_>>()?;
    let mut cases: Vec<String> = reader.resolved.protect.iter().map(|text| format!("WHEN {text} THEN 1")).collect();
    cases.push(format!("WHEN {} THEN 0", parts.join(" AND ")));
    Some(format!("CASE {} ELSE 1 END = 1", cases.join(" ")))
}

fn not_yet(reader: &Reader<'_>, part: &Part, day: NaiveDate) -> Option<String> {
    let plain: Vec<String> = part.grounds.iter().map(|ground| all_plain(reader, ground, day)).collect::<Option<_>>()?;
    let mut late = Vec::new();
    for ground in &part.grounds {
        let newest = newest_clock_that_may_be_due(day, ground.keep).checked_add_days(Days::new(1 + SLACK))?;
        for source in sources(reader, ground)? {
            late.push(format!("(NOT {})", before(reader, source, newest)?));
        }
    }
    Some(format!("({} AND ({}))", plain.join(" AND "), late.join(" OR ")))
}

/// At least one clock of the ground is a day, and each of the others is a day or NULL.
fn all_plain(reader: &Reader<'_>, ground: &Ground, day: NaiveDate) -> Option<String> {
    let latest = day.checked_sub_days(Days::new(SLACK))?;
    let earliest = NaiveDate::from_ymd_opt(1970, 1, 2)?.checked_add_days(Days::new(SLACK))?;
    let (mut each, mut any) = (Vec::new(), Vec::new());
    for source in sources(reader, ground)? {
        let partial = reader.dialect.partial_date(&expression(reader, source), &source.column);
        let whole = partial.map_or_else(String::new, |partial| format!(" AND NOT {partial}"));
        let (late, early) = (before(reader, source, latest)?, before(reader, source, earliest)?);
        let is_day = format!("({late} AND NOT {early}{whole})");
        each.push(format!("({} IS NULL OR {is_day})", expression(reader, source)));
        any.push(is_day);
    }
    Some(format!("{} AND ({})", each.join(" AND "), any.join(" OR ")))
}

fn sources<'r>(reader: &Reader<'r>, ground: &Ground) -> Option<Vec<&'r Source>> {
    ground
        .clock
        .iter()
        .map(|place| reader.resolved.sources.get(*place).filter(|source| source.link.is_none()))
        .collect()
}

fn expression(reader: &Reader<'_>, source: &Source) -> String {
    format!("{RECORD}.{}", reader.dialect.name(&source.column.name))
}

fn before(reader: &Reader<'_>, source: &Source, day: NaiveDate) -> Option<String> {
    if source.format != crate::domain::clock::ClockFormat::Iso {
        return None;
    }
    reader.dialect.before_day(&expression(reader, source), &source.column, day).map(|text| format!("({text})"))
}
