//! Leaving out on the server what is certainly not yet due.
//!
//! A record is left out only where every clock of every part is plainly a day, and one ground of each part has certainly
//! not passed. What is missing, zero, partial, unreadable or in the future is read and judged, so that the ledger counts
//! it. The same terms are printed in two forms: one condition, for a walk by key; and branches of which an index serves
//! each, for the keys of the candidates alone. Every comparison leaves the column bare, so that an index can serve it.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::catalogue::TypeClass;
use super::records::Reader;
use super::relate::Link;
use super::resolve::{RECORD, RELATED, Source};
use crate::domain::clock::ClockFormat;
use crate::domain::decide::Moment;
use crate::domain::rule::{Ground, Part};
use crate::domain::term::{last_clock_that_is_due, newest_clock_that_may_be_due};

/// Hours of slack where a day is compared as a moment: no zone puts its clocks further back or forth since 1970.
const SLACK: i64 = 3;

/// Some of the records that may be due: those of the rule's table, or those on which rows of a related table hang.
pub(super) struct Branch<'r> {
    /// The condition.
    pub(super) text: String,
    /// The related table that it is asked of.
    pub(super) related: Option<&'r Link>,
}

/// The condition, or `None` where the server can't tell.
pub(super) fn may_be_due(reader: &Reader<'_>, moment: Moment) -> Option<String> {
    let mut any = Vec::new();
    for part in &reader.rule.parts {
        let clocks = clocks(reader, part, moment)?;
        any.push(none_recent(reader, &clocks));
        any.extend(part.grounds.iter().filter_map(|ground| no_day(reader, part, ground, &clocks)));
        for clock in once(&clocks) {
            let partial = reader.dialect.partial_date(&clock.expression(reader), &clock.source.column);
            any.push(clock.of_record(reader, &clock.odd(reader, partial.as_slice())));
        }
    }
    Some(format!("({})", any.join(" OR ")))
}

/// The same condition, written so that no index can serve it: what locks and deletes goes by the key alone, and touches
/// nothing outside its range.
pub(super) fn may_be_due_by_key(reader: &Reader<'_>, moment: Moment) -> Option<String> {
    may_be_due(reader, moment).map(|condition| format!("CASE WHEN {condition} THEN 1 ELSE 0 END = 1"))
}

/// The same records by branches of which an index serves each, or `None` where none does.
pub(super) fn branches<'r>(reader: &Reader<'r>, moment: Moment) -> Option<Vec<Branch<'r>>> {
    let own = |text: String| Branch { text, related: None };
    let mut all = Vec::new();
    for part in &reader.rule.parts {
        let clocks = clocks(reader, part, moment)?;
        let indexed = |clock: &&Clock<'_>| clock.source.link.is_none() && clock.leads(reader);
        clocks.iter().find(indexed)?;
        if let [one] = clocks.as_slice() {
            let partial = partial_days(reader, one.source, one.due, moment.today)?;
            let text = format!("({} OR {})", none_recent(reader, &clocks), one.odd(reader, &partial));
            all.push(own(text));
            continue;
        }
        all.push(own(none_recent(reader, &clocks)));
        for ground in &part.grounds {
            let Some(text) = no_day(reader, part, ground, &clocks) else { continue };
            clocks.iter().filter(|clock| std::ptr::eq(clock.ground, ground)).find(indexed)?;
            all.push(own(text));
        }
        for clock in once(&clocks) {
            let to = clock.source.link.as_ref().map(|link| link.to.iter().map(|column| column.name.clone()).collect());
            if !clock.leads(reader) || to.is_some_and(|to: Vec<String>| !reader.resolved.table.has_index_on(&to)) {
                return None;
            }
            let partial = partial_days(reader, clock.source, first_day()?, moment.today)?;
            all.push(Branch { text: clock.odd(reader, &partial), related: clock.source.link.as_ref() });
        }
    }
    Some(all)
}

/// One clock of one ground.
struct Clock<'r> {
    source: &'r Source,
    ground: &'r Ground,
    /// The first day that is not due.
    due: NaiveDate,
    /// From here on it is certainly not due.
    recent: String,
    /// From here on it may lie in the future.
    future: String,
    /// Before this it may be no date at all.
    early: String,
}

impl Clock<'_> {
    fn expression(&self, reader: &Reader<'_>) -> String {
        let alias = if self.source.link.is_some() { RELATED } else { RECORD };
        format!("{alias}.{}", reader.dialect.name(&self.source.column.name))
    }

    /// Whether an index starts with its column.
    fn leads(&self, reader: &Reader<'_>) -> bool {
        let table = self.source.link.as_ref().map_or(&reader.resolved.table, |link| &link.table);
        table.has_index_on(std::slice::from_ref(&self.source.column.name))
    }

    /// A condition on its column, asked of the record.
    fn of_record(&self, reader: &Reader<'_>, text: &str) -> String {
        match &self.source.link {
            None => text.to_string(),
            // A subquery that gives a value is asked record by record: EXISTS might be answered by reading all of that
            // table for each page.
            Some(link) => format!(
                "(SELECT 1 FROM {} {RELATED} WHERE {} AND {text} LIMIT 1) IS NOT NULL",
                reader.dialect.table(&link.table.name),
                link.joined(reader.dialect, RECORD)
            ),
        }
    }

    /// A value that is no plain day of the past.
    fn odd(&self, reader: &Reader<'_>, partial: &[String]) -> String {
        let clock = self.expression(reader);
        // Zero yields to any day of a related row, and most programs mean "never" by it.
        let not_zero = match (&self.source.link, &self.source.format) {
            (Some(_), ClockFormat::Epoch | ClockFormat::EpochMillis) => format!(" AND {clock} <> 0"),
            _ => String::new(),
        };
        let mut any = vec![format!("{clock} >= {}", self.future), format!("({clock} < {}{not_zero})", self.early)];
        any.extend(partial.iter().cloned());
        format!("({})", any.join(" OR "))
    }
}

/// The clocks of a part, each under its ground. `None` where the server can't compare one of them.
fn clocks<'r>(reader: &Reader<'r>, part: &'r Part, moment: Moment) -> Option<Vec<Clock<'r>>> {
    let mut all = Vec::new();
    for ground in &part.grounds {
        let due = last_clock_that_is_due(moment.today, ground.keep, ground.from, moment.year)
            .unwrap_or_else(|| newest_clock_that_may_be_due(moment.today, ground.keep))
            .succ_opt()?
            // Below this nothing is a day, and a term of a lifetime must not make a zero recent.
            .max(first_day()?);
        for place in &ground.clock {
            let source = reader.resolved.sources.get(*place)?;
            // Rows that are related without an index would be read whole for each record.
            if source.link.as_ref().is_some_and(|link| !link.table.has_index_on(&link.on_names())) {
                return None;
            }
            all.push(Clock {
                source,
                ground,
                due,
                recent: edge(reader, source, due, SLACK)?,
                future: edge(reader, source, moment.today.succ_opt()?, -SLACK)?,
                early: edge(reader, source, first_day()?, SLACK)?,
            });
        }
    }
    Some(all)
}

/// Each source once, though several grounds count from it.
fn once<'c, 'r>(clocks: &'c [Clock<'r>]) -> impl Iterator<Item = &'c Clock<'r>> {
    let earlier = |place: usize, clock: &Clock<'_>| {
        clocks.iter().take(place).any(|other| std::ptr::eq(other.source, clock.source))
    };
    clocks.iter().enumerate().filter(move |(place, clock)| !earlier(*place, clock)).map(|(_, clock)| clock)
}

/// No clock of the part is so new that it is certainly not due.
fn none_recent(reader: &Reader<'_>, clocks: &[Clock<'_>]) -> String {
    let none = |clock: &Clock<'_>| {
        let expression = clock.expression(reader);
        if clock.source.link.is_none() {
            return format!("({expression} < {} OR {expression} IS NULL)", clock.recent);
        }
        format!("NOT ({})", clock.of_record(reader, &format!("{expression} >= {}", clock.recent)))
    };
    format!("({})", clocks.iter().map(none).collect::<Vec<_>>().join(" AND "))
}

/// A ground has no day to count from though another may have. `None` where that is said already: it is the only one, or
/// then does not apply.
fn no_day(reader: &Reader<'_>, part: &Part, ground: &Ground, clocks: &[Clock<'_>]) -> Option<String> {
    if part.grounds.len() == 1 || ground.optional {
        return None;
    }
    let none = |clock: &Clock<'_>| {
        let expression = clock.expression(reader);
        match &clock.source.link {
            None => format!("{expression} IS NULL"),
            Some(_) => format!("NOT ({})", clock.of_record(reader, &format!("{expression} >= {}", clock.early))),
        }
    };
    let own = clocks.iter().filter(|clock| std::ptr::eq(clock.ground, ground));
    Some(format!("({})", own.map(none).collect::<Vec<_>>().join(" AND ")))
}

/// The first day that is plausible.
fn first_day() -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(1970, 1, 2)
}

/// Where a day begins, as the column holds it, so many hours later where it holds moments.
fn edge(reader: &Reader<'_>, source: &Source, day: NaiveDate, hours: i64) -> Option<String> {
    // No engine reads a year of other than four digits as we would print it.
    if !(1..9999).contains(&day.year()) {
        return None;
    }
    let written_in = |zone: Tz| written(day, reader.zone, zone, hours);
    let epoch = |per_second: i64| {
        let seconds = written_in(Tz::UTC)?.and_utc().timestamp();
        reader.dialect.holds_to_types().then(|| (seconds * per_second).to_string())
    };
    let at = match (source.column.class, &source.format) {
        (TypeClass::Integer, ClockFormat::Epoch) => return epoch(1),
        (TypeClass::Integer, ClockFormat::EpochMillis) => return epoch(1000),
        (TypeClass::Date, ClockFormat::Iso) => day.and_time(NaiveTime::MIN),
        (TypeClass::DateTime, ClockFormat::Iso) => written_in(source.zone)?,
        (TypeClass::Moment, ClockFormat::Iso) => written_in(Tz::UTC)?,
        _ => return None,
    };
    reader.dialect.clock_literal(&source.column, at)
}

/// The begin of a day of one zone as it is written in another, so many hours later.
fn written(day: NaiveDate, of: Tz, zone: Tz, hours: i64) -> Option<NaiveDateTime> {
    let began = began(of, day)?;
    zone.from_utc_datetime(&began).naive_local().checked_add_signed(TimeDelta::hours(hours))
}

/// When a day begins in a zone, in UTC. A day without a midnight begins behind what it lacks, which may be all of it.
fn began(zone: Tz, day: NaiveDate) -> Option<NaiveDateTime> {
    let midnight = day.and_time(NaiveTime::MIN);
    let mut tries = (0..=48).filter_map(|halves| midnight.checked_add_signed(TimeDelta::minutes(30 * halves)));
    tries.find_map(|local| zone.from_local_datetime(&local).earliest()).map(|moment| moment.naive_utc())
}

/// Dates with a zero month or day between two days, as ranges that an index serves. `None` where they are too many.
fn partial_days(reader: &Reader<'_>, source: &Source, from: NaiveDate, to: NaiveDate) -> Option<Vec<String>> {
    const MOST: usize = 100 * 12;
    let clock = format!(
        "{}.{}",
        if source.link.is_some() { RELATED } else { RECORD },
        reader.dialect.name(&source.column.name)
    );
    if reader.dialect.partial_date(&clock, &source.column).is_none() || source.column.class == TypeClass::Moment {
        return Some(Vec::new());
    }
    // The slack at both ends lies within a month.
    let (from, to) = (from.checked_sub_days(Days::new(31))?, to.checked_add_days(Days::new(31))?);
    let mut all = Vec::new();
    let mut month = from.with_day(1)?;
    while month <= to {
        // The days of the month zero stand before January.
        let first = if month.month() == 1 { 0 } else { month.month() };
        all.push(format!("({clock} >= '{:04}-{first:02}-00' AND {clock} < '{month}')", month.year()));
        month = month.checked_add_months(chrono::Months::new(1))?;
    }
    (all.len() <= MOST).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::{Reading, read};
    use crate::domain::value::Scalar;
    use chrono::Offset;

    /// The days of a zone beside which its clocks are put forward or back.
    fn days(zone: Tz) -> Vec<NaiveDate> {
        let offset = |day: NaiveDate| day.and_hms_opt(12, 0, 0).map(|noon| zone.offset_from_utc_datetime(&noon).fix());
        let all: Vec<NaiveDate> = first_day().unwrap().iter_days().take(67 * 365).collect();
        let offsets: Vec<_> = all.iter().map(|day| offset(*day)).collect();
        let beside = |around: &[Option<chrono::FixedOffset>]| around.iter().any(|one| Some(one) != around.first());
        all.iter().skip(2).zip(offsets.windows(5)).filter(|(_, around)| beside(around)).map(|(day, _)| *day).collect()
    }

    #[test]
    fn what_lies_beyond_the_slack_is_read_as_that_day_or_before_it_in_every_zone() {
        use chrono_tz::{America, Antarctica, Asia, Australia, Europe, Pacific};
        let zones = [
            Europe::Amsterdam,
            Tz::UTC,
            America::Sao_Paulo,
            America::Havana,
            America::Danmarkshavn,
            Asia::Beirut,
            Asia::Tehran,
            Australia::Lord_Howe,
            Antarctica::Casey,
            Antarctica::Troll,
            Pacific::Apia,
            Pacific::Auckland,
            Pacific::Kwajalein,
            Pacific::Kiritimati,
        ];
        let (mut tried, all) = (0, zones.map(|zone| (zone, days(zone))));
        // With itself, and with one of the others each.
        let pairs =
            all.iter().zip(all.iter().cycle().skip(1)).flat_map(|(one, next)| [(one, one), (one, next), (next, one)]);
        for ((policy, days), (source, others)) in pairs {
            let (policy, source) = (*policy, *source);
            for day in days.iter().chain(others).copied() {
                // A day that a zone never had: Apia went without 30 December 2011.
                if written(day, policy, policy, 0).unwrap().date() != day {
                    continue;
                }
                let (late, early) = (written(day, policy, source, SLACK), written(day, policy, source, -SLACK));
                for minutes in [0, 1, 30, 59, 60, 90, 120, 180, 240, 600, 1200, 1440, 1560, 2000] {
                    let reading =
                        |at: NaiveDateTime| read(&Scalar::Text(at.to_string()), &ClockFormat::Iso, source, policy);
                    let from = late.unwrap() + TimeDelta::minutes(minutes);
                    let before = early.unwrap() - TimeDelta::minutes(minutes) - TimeDelta::seconds(1);
                    // A moment that never was is unreadable, and keeps its record.
                    let on = |reading: Reading| match reading {
                        Reading::Day(day) => Some(day),
                        _ => None,
                    };
                    let told = format!("{day} in {policy}, written in {source}");
                    assert!(on(reading(from)).is_none_or(|read| read >= day), "{from} is before {told}");
                    assert!(on(reading(before)).is_none_or(|read| read < day), "{before} is not before {told}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 50_000, "{tried}");
    }
}
