//! Clocks: reading the moment that a term counts from out of what a system stores.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::value::Scalar;

/// How a clock's value is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockFormat {
    /// A date type of the system, or text in ISO 8601 (a date, or date and time with or without offset).
    #[default]
    Iso,
    /// Seconds since 1970-01-01T00:00:00Z.
    Epoch,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    EpochMillis,
    /// Text in one of these patterns (chrono's `strftime`), tried in order; nothing else is guessed.
    Patterns(Vec<String>),
}

/// What one clock says of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reading {
    /// NULL, an empty text, or no related row.
    Absent,
    /// A zero date (`0000-00-00`, epoch 0): most programs mean "never" by it.
    Zero,
    /// The day, in the policy's time zone.
    Day(NaiveDate),
    /// A date with a zero month or day (`2020-00-00`).
    Partial,
    /// A date before 2 January 1970, or infinite: most likely no date at all.
    Implausible,
    /// A value that the declared format does not read.
    Unreadable,
}

/// Reads one value. `zone` is where a date and time without offset was written; the day is one of `policy_zone`.
pub fn read(value: &Scalar, format: &ClockFormat, zone: Tz, policy_zone: Tz) -> Reading {
    match (value, format) {
        (Scalar::Null, _) => Reading::Absent,
        (Scalar::Text(text) | Scalar::Typed { text, .. }, _) if text.trim().is_empty() => Reading::Absent,
        (_, ClockFormat::Epoch) => read_epoch(value, 1, policy_zone),
        (_, ClockFormat::EpochMillis) => read_epoch(value, 1000, policy_zone),
        (Scalar::Text(text) | Scalar::Typed { text, .. }, ClockFormat::Iso) => read_iso(text.trim(), zone, policy_zone),
        (Scalar::Text(text) | Scalar::Typed { text, .. }, ClockFormat::Patterns(patterns)) => {
            read_patterns(text.trim(), patterns, zone, policy_zone)
        }
        (Scalar::Int(_) | Scalar::UInt(_), ClockFormat::Patterns(patterns)) => {
            read_patterns(&value.show(), patterns, zone, policy_zone)
        }
        _ => Reading::Unreadable,
    }
}

/// The newest of several readings of one clock. What is absent or zero yields to any day; what can't be read
/// poisons the whole, for it may be newer than all the others.
pub fn newest(readings: impl IntoIterator<Item = Reading>) -> Reading {
    // The order of the variants is the order of precedence, and days compare among themselves.
    readings.into_iter().max().unwrap_or(Reading::Absent)
}

fn read_epoch(value: &Scalar, per_second: i64, policy_zone: Tz) -> Reading {
    let number = match value {
        Scalar::Int(number) => Some(*number),
        Scalar::Real(bits) => whole(f64::from_bits(*bits)),
        Scalar::Text(text) | Scalar::Typed { text, .. } => text.trim().parse().ok(),
        Scalar::Null | Scalar::UInt(_) | Scalar::Bytes(_) => None,
    };
    let Some(number) = number else { return Reading::Unreadable };
    if number == 0 {
        return Reading::Zero;
    }
    match DateTime::from_timestamp(number.div_euclid(per_second), 0) {
        Some(moment) => plausible(moment.with_timezone(&policy_zone).date_naive()),
        None => Reading::Implausible,
    }
}

fn whole(number: f64) -> Option<i64> {
    // Dates lie far within the range where every whole number has an exact f64.
    #[expect(clippy::cast_possible_truncation, reason = "guarded by the range test")]
    (number.is_finite() && number.abs() < 9e15).then(|| number.floor() as i64)
}

fn plausible(day: NaiveDate) -> Reading {
    match NaiveDate::from_ymd_opt(1970, 1, 2) {
        Some(first) if day >= first => Reading::Day(day),
        _ => Reading::Implausible,
    }
}

fn local(written: NaiveDateTime, zone: Tz, policy_zone: Tz) -> Reading {
    // No zone's clocks are put forward or back between these hours: the day is the one that was written.
    if zone == policy_zone && (5..20).contains(&written.hour()) {
        return plausible(written.date());
    }
    // In the hour that a DST switch leaves out or repeats, the later moment counts: it never makes a record due earlier.
    let moment = zone
        .from_local_datetime(&written)
        .latest()
        .or_else(|| zone.from_local_datetime(&(written + chrono::TimeDelta::hours(1))).latest());
    match moment {
        Some(moment) => plausible(moment.with_timezone(&policy_zone).date_naive()),
        None => Reading::Unreadable,
    }
}

fn read_iso(text: &str, zone: Tz, policy_zone: Tz) -> Reading {
    if let Some(reading) = odd_date(text) {
        return reading;
    }
    match plain(text) {
        Some((day, None, _)) => plausible(day),
        Some((day, Some(time), utc)) => local(day.and_time(time), if utc { chrono_tz::UTC } else { zone }, policy_zone),
        None => read_iso_in_any_form(text, zone, policy_zone),
    }
}

fn read_iso_in_any_form(text: &str, zone: Tz, policy_zone: Tz) -> Reading {
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return plausible(day);
    }
    for pattern in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z", "%Y-%m-%dT%H:%M%#z"] {
        if let Ok(moment) = DateTime::parse_from_str(text, pattern) {
            return plausible(moment.with_timezone(&policy_zone).date_naive());
        }
    }
    if let Some(utc) = text.strip_suffix('Z') {
        return read_naive(utc).map_or(Reading::Unreadable, |at| local(at, chrono_tz::UTC, policy_zone));
    }
    read_naive(text).map_or(Reading::Unreadable, |at| local(at, zone, policy_zone))
}

/// The forms that databases give, read without trying every pattern: a day, or a day and time, perhaps with the offset
/// of UTC. It agrees with the patterns, and what is written in any other way is left to them.
fn plain(text: &str) -> Option<(NaiveDate, Option<NaiveTime>, bool)> {
    let number = |from: usize, to: usize| {
        let digits = text.as_bytes().get(from..to)?;
        digits.iter().try_fold(0u32, |all, byte| byte.is_ascii_digit().then(|| all * 10 + u32::from(byte - b'0')))
    };
    let at = |place: usize, fits: &[u8]| text.as_bytes().get(place).is_some_and(|byte| fits.contains(byte));
    if !at(4, b"-") || !at(7, b"-") {
        return None;
    }
    let day = NaiveDate::from_ymd_opt(number(0, 4)?.try_into().ok()?, number(5, 7)?, number(8, 10)?)?;
    if text.len() == 10 {
        return Some((day, None, false));
    }
    if !at(10, b" T") || !at(13, b":") || !at(16, b":") {
        return None;
    }
    let time = NaiveTime::from_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?)?;
    let rest = text.get(19..)?;
    let (fraction, utc) = rest.strip_suffix("+00:00").map_or((rest, false), |fraction| (fraction, true));
    let digits = fraction.strip_prefix('.').map_or(!fraction.is_empty(), |digits| {
        !(1..=9).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if digits { None } else { Some((day, Some(time), utc)) }
}

fn read_naive(text: &str) -> Option<NaiveDateTime> {
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|pattern| NaiveDateTime::parse_from_str(text, pattern).ok())
}

/// Zero and partial dates, and PostgreSQL's infinities.
fn odd_date(text: &str) -> Option<Reading> {
    if text == "infinity" || text == "-infinity" || text.ends_with(" BC") {
        return Some(Reading::Implausible);
    }
    let date = text.get(..10)?;
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let zero = |part: &str| !part.is_empty() && part.bytes().all(|b| b == b'0');
    match (zero(year), zero(month), zero(day)) {
        (true, true, true) => Some(Reading::Zero),
        (false, false, false) => None,
        _ => Some(Reading::Partial),
    }
}

fn read_patterns(text: &str, patterns: &[String], zone: Tz, policy_zone: Tz) -> Reading {
    if text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().all(|b| !(b'1'..=b'9').contains(&b)) {
        return Reading::Zero;
    }
    for pattern in patterns {
        if let Ok(moment) = DateTime::parse_from_str(text, pattern) {
            return plausible(moment.with_timezone(&policy_zone).date_naive());
        }
        if let Ok(written) = NaiveDateTime::parse_from_str(text, pattern) {
            return local(written, zone, policy_zone);
        }
        if let Ok(day) = NaiveDate::parse_from_str(text, pattern) {
            return plausible(day);
        }
    }
    Reading::Unreadable
}

/// Whether a pattern can name a day at all: it is tried on a known moment and must give that day back.
pub fn pattern_is_usable(pattern: &str) -> bool {
    use chrono::format::{Item, StrftimeItems};
    if StrftimeItems::new(pattern).any(|item| matches!(item, Item::Error)) {
        return false;
    }
    let Some(day) = NaiveDate::from_ymd_opt(2023, 3, 14) else { return false };
    let Some(time) = NaiveTime::from_hms_opt(15, 9, 26) else { return false };
    let moment = chrono::Utc.from_utc_datetime(&day.and_time(time));
    let written = moment.format(pattern).to_string();
    read_patterns(&written, &[pattern.to_string()], chrono_tz::UTC, chrono_tz::UTC) == Reading::Day(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMSTERDAM: Tz = chrono_tz::Europe::Amsterdam;

    fn iso(text: &str) -> Reading {
        read(&Scalar::Text(text.into()), &ClockFormat::Iso, AMSTERDAM, AMSTERDAM)
    }
    fn on(text: &str) -> Reading {
        Reading::Day(text.parse().unwrap())
    }

    #[test]
    fn what_is_read_without_patterns_is_read_as_by_them() {
        let times =
            ["", " 00:00:00", " 04:59:59", " 05:00:00", "T12:30:15", " 19:59:59.5", " 20:00:00", " 23:59:59.123456"];
        let mut plain_ones = 0;
        for day in ["2023-03-26", "2023-10-29", "2024-02-29", "1970-01-01", "1970-01-02", "0044-03-15", "2023-02-30"] {
            for (time, offset) in
                times.iter().flat_map(|time| [(time, ""), (time, "+00:00"), (time, "+0000"), (time, "Z")])
            {
                let text = format!("{day}{time}{offset}");
                plain_ones += u32::from(plain(&text).is_some());
                for zone in [AMSTERDAM, chrono_tz::UTC, chrono_tz::America::Sao_Paulo] {
                    assert_eq!(
                        read_iso(&text, zone, AMSTERDAM),
                        read_iso_in_any_form(&text, zone, AMSTERDAM),
                        "{text} in {zone}"
                    );
                }
            }
        }
        assert_eq!(plain_ones, 6 * (1 + 7 * 2));
        for odd in
            ["2023-03-14 23:59:60", "2023-03-14 1:02:03", "+023-03-14", "2023-03-14 10:00:00.", "2023-03-1é 10:00:00"]
        {
            assert_eq!(plain(odd), None, "{odd}");
        }
    }

    #[test]
    fn iso_dates_and_their_traps() {
        for (text, reading) in [
            ("2023-03-14", on("2023-03-14")),
            ("2023-03-14 23:30:00", on("2023-03-14")),
            ("2023-03-14T23:30:00Z", on("2023-03-15")),
            ("2023-03-14 23:30:00+00", on("2023-03-15")),
            ("2023-03-14 23:30:00.123456+00:00", on("2023-03-15")),
            ("2023-03-14 23:30", on("2023-03-14")),
            ("0000-00-00", Reading::Zero),
            ("0000-00-00 00:00:00", Reading::Zero),
            ("2020-00-00", Reading::Partial),
            ("2020-05-00 00:00:00", Reading::Partial),
            ("0001-01-01", Reading::Implausible),
            ("1970-01-01 00:00:00", Reading::Implausible),
            ("infinity", Reading::Implausible),
            ("-infinity", Reading::Implausible),
            ("", Reading::Absent),
            ("  ", Reading::Absent),
            ("14-03-2023", Reading::Unreadable),
            ("gisteren", Reading::Unreadable),
            ("2023-02-30", Reading::Unreadable),
            // the hour that the spring switch leaves out, and the one that autumn repeats
            ("2026-03-29 02:30:00", on("2026-03-29")),
            ("2026-10-25 02:30:00", on("2026-10-25")),
        ] {
            assert_eq!(iso(text), reading, "{text}");
        }
    }

    #[test]
    fn epochs_and_patterns_are_declared() {
        let epoch = |value, format: &ClockFormat| read(&value, format, AMSTERDAM, AMSTERDAM);
        assert_eq!(epoch(Scalar::Int(1_678_836_600), &ClockFormat::Epoch), on("2023-03-15"));
        assert_eq!(epoch(Scalar::Text("1678836600".into()), &ClockFormat::Epoch), on("2023-03-15"));
        assert_eq!(epoch(Scalar::Int(1_678_836_600_000), &ClockFormat::EpochMillis), on("2023-03-15"));
        assert_eq!(epoch(Scalar::Int(0), &ClockFormat::Epoch), Reading::Zero);
        assert_eq!(epoch(Scalar::Int(-5), &ClockFormat::Epoch), Reading::Implausible);
        assert_eq!(epoch(Scalar::Int(1_678_836_600), &ClockFormat::Iso), Reading::Unreadable);
        let dutch = ClockFormat::Patterns(vec!["%d-%m-%Y".into(), "%d/%m/%Y %H:%M".into()]);
        assert_eq!(epoch(Scalar::Text("14-03-2023".into()), &dutch), on("2023-03-14"));
        assert_eq!(epoch(Scalar::Text("14/03/2023 09:30".into()), &dutch), on("2023-03-14"));
        assert_eq!(epoch(Scalar::Text("00-00-0000".into()), &dutch), Reading::Zero);
        assert_eq!(epoch(Scalar::Text("2023-03-14".into()), &dutch), Reading::Unreadable);
        assert!(pattern_is_usable("%d-%m-%Y") && pattern_is_usable("%Y%m%d") && pattern_is_usable("%d/%m/%Y %H:%M:%S"));
        assert!(!pattern_is_usable("%m-%Y") && !pattern_is_usable("%q") && !pattern_is_usable("no date"));
    }

    #[test]
    fn the_newest_wins_and_the_unreadable_poisons() {
        let (old, new) = (on("2020-01-01"), on("2024-01-01"));
        assert_eq!(newest([old, Reading::Absent, new, Reading::Zero]), new);
        assert_eq!(newest([new, Reading::Partial]), Reading::Partial);
        assert_eq!(newest([new, Reading::Unreadable]), Reading::Unreadable);
        assert_eq!(newest([Reading::Absent, Reading::Zero]), Reading::Zero);
        assert_eq!(newest([]), Reading::Absent);
    }
}
