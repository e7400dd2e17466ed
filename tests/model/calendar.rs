//! Days, terms and zones by the model's own arithmetic (civil days after Howard Hinnant), so that a mistake of bewaard's
//! is not repeated here. Only the offsets of a zone come from `chrono-tz`.

use std::fmt::Write as _;

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;

/// Days since 1970-01-01.
pub(crate) type Day = i64;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// A term: months first, then days.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    pub(crate) months: i64,
    pub(crate) days: i64,
}

/// From the end of which period a term counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Day,
    Month,
    Year,
    FinancialYear,
}

impl From {
    /// As the policy writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "end of month",
            Self::Year => "end of calendar year",
            Self::FinancialYear => "end of financial year",
        }
    }
}

pub(crate) fn day_of(year: i64, month: i64, day: i64) -> Day {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

pub(crate) fn civil(day: Day) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2024-02-29`.
pub(crate) fn show(day: Day) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2024-02-29 23:59:59` of seconds since 1970 on some clock on a wall.
pub(crate) fn show_time(seconds: i64) -> String {
    let mut text = show(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    write!(text, " {:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60).unwrap();
    text
}

/// Reads `2024-02-29`; no such day is none.
pub(crate) fn read_day(text: &str) -> Option<Day> {
    let [year, month, day]: [&str; 3] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let fits = |part: &str, digits| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
    if !(fits(year, 4) && fits(month, 2) && fits(day, 2)) {
        return None;
    }
    let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    ((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)).then(|| day_of(year, month, day))
}

/// Reads `23:59` or `23:59:59` as seconds of a day.
pub(crate) fn read_time(text: &str) -> Option<i64> {
    let parts: Vec<i64> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts.as_slice() {
        [hour, minute] => Some(hour * 3_600 + minute * 60),
        [hour, minute, second] => Some(hour * 3_600 + minute * 60 + second),
        _ => None,
    }
}

/// The day plus a term; a day that the month does not have becomes its last.
pub(crate) fn after(day: Day, term: Term) -> Day {
    let (year, month, of_month) = civil(day);
    let months = year * 12 + month - 1 + term.months;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    day_of(year, month, of_month.min(days_in(year, month))) + term.days
}

/// The last day of the period that this day lies in; `start` is the first day of the financial year.
fn end_of(day: Day, from: From, start: (i64, i64)) -> Day {
    let (year, month, _) = civil(day);
    match from {
        From::Day => day,
        From::Month => day_of(year, month, days_in(year, month)),
        From::Year => day_of(year, 12, 31),
        From::FinancialYear => {
            let next = day_of(year, start.0, start.1);
            (if day < next { next } else { day_of(year + 1, start.0, start.1) }) - 1
        }
    }
}

/// The day from whose start something with this clock is due, as DESIGN has it.
pub(crate) fn due(clock: Day, term: Term, from: From, start: (i64, i64)) -> Day {
    let last = end_of(clock, from, start);
    after(last + 1, term).max(after(last, term) + 1)
}

fn offset(zone: Tz, utc: i64) -> i64 {
    let at = DateTime::from_timestamp(utc, 0).unwrap().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
}

/// The day of a moment in a zone.
pub(crate) fn day_in(zone: Tz, utc: i64) -> Day {
    (utc + offset(zone, utc)).div_euclid(DAY)
}

/// The moment that a clock on a wall in this zone showed so. In the hour that it showed twice or never it is the later.
pub(crate) fn moment(zone: Tz, wall: i64) -> i64 {
    let both = [wall - offset(zone, wall - DAY), wall - offset(zone, wall + DAY)];
    let shown = |utc: &i64| *utc + offset(zone, *utc) == wall;
    both.into_iter().filter(shown).max().unwrap_or_else(|| both.into_iter().max().unwrap())
}
