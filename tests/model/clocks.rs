//! What a value says of a clock.

use chrono_tz::Tz;

use super::calendar::{DAY, Day, day_in, day_of, moment, read_day, read_time};
use super::rules::Format;
use super::value::{Kind, Value};

/// What a clock says. Of several the greatest counts: a day beats nothing, and what can't be understood may be newer
/// than any day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reading {
    Absent,
    Zero,
    Day(Day),
    Partial,
    Implausible,
    Unreadable,
}

impl Reading {
    /// The reason for which a record stays; of a day, that it lies in the future.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Absent => "no-clock",
            Self::Zero => "zero-date",
            Self::Day(_) => "future-date",
            Self::Partial => "partial-date",
            Self::Implausible => "implausible-date",
            Self::Unreadable => "unreadable-date",
        }
    }

    /// The order of the reasons, where several grounds can't say.
    pub(crate) fn gravity(self) -> usize {
        const ORDER: [&str; 6] =
            ["no-clock", "zero-date", "partial-date", "future-date", "implausible-date", "unreadable-date"];
        ORDER.iter().position(|one| *one == self.word()).unwrap()
    }
}

fn plausible(day: Day) -> Reading {
    if day >= day_of(1970, 1, 2) { Reading::Day(day) } else { Reading::Implausible }
}

/// Reads a value: `zone` is where a time without offset was written, `home` the policy's.
pub(crate) fn read(value: &Value, kind: Kind, format: Format, zone: Tz, home: Tz) -> Reading {
    let epoch = |number: i64, per_second: i64| match number {
        0 => Reading::Zero,
        other => plausible(day_in(home, other.div_euclid(per_second))),
    };
    match (value, format) {
        (Value::Null, _) => Reading::Absent,
        (Value::Int(number), Format::Epoch) => epoch(*number, 1),
        (Value::Int(number), Format::EpochMillis) => epoch(*number, 1_000),
        (Value::Text(text), _) if text.trim().is_empty() => Reading::Absent,
        (Value::Text(text), Format::Iso) => {
            // A moment is stored in UTC.
            let zone = if kind == Kind::Moment { Tz::UTC } else { zone };
            iso(text.trim(), zone, home)
        }
        (Value::Text(text), Format::Dutch) => dutch(text.trim(), zone, home),
        _ => Reading::Unreadable,
    }
}

fn iso(text: &str, zone: Tz, home: Tz) -> Reading {
    if text == "infinity" || text == "-infinity" || text.ends_with(" BC") {
        return Reading::Implausible;
    }
    let Some((date, rest)) = text.split_at_checked(10) else { return Reading::Unreadable };
    let zeros: Vec<bool> = date.split('-').map(|part| part.bytes().all(|byte| byte == b'0')).collect();
    match zeros.as_slice() {
        [true, true, true] => return Reading::Zero,
        [false, false, false] => {}
        [_, _, _] => return Reading::Partial,
        _ => return Reading::Unreadable,
    }
    let Some(day) = read_day(date) else { return Reading::Unreadable };
    if rest.is_empty() {
        return plausible(day);
    }
    let Some(time) = rest.strip_prefix([' ', 'T']) else { return Reading::Unreadable };
    let (time, offset) = time.split_at(time.find(['Z', '+', '-']).unwrap_or(time.len()));
    let Some(time) = read_time(time.split('.').next().unwrap()) else { return Reading::Unreadable };
    let wall = day * DAY + time;
    let utc = match offset {
        "" => moment(zone, wall),
        "Z" => wall,
        offset => {
            let (sign, offset) = offset.split_at(1);
            let Some(seconds) = read_time(offset) else { return Reading::Unreadable };
            if sign == "+" { wall - seconds } else { wall + seconds }
        }
    };
    plausible(day_in(home, utc))
}

fn dutch(text: &str, zone: Tz, home: Tz) -> Reading {
    if text.bytes().any(|byte| byte.is_ascii_digit()) && !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        return Reading::Zero;
    }
    let (date, time) = text.split_once(' ').map_or((text, None), |(date, time)| (date, Some(time)));
    let parts: Vec<&str> = date.split('-').collect();
    let [day, month, year] = parts.as_slice() else { return Reading::Unreadable };
    let Some(day) = read_day(&format!("{year}-{month}-{day}")) else { return Reading::Unreadable };
    match time {
        None => plausible(day),
        Some(time) => {
            read_time(time).map_or(Reading::Unreadable, |time| plausible(day_in(home, moment(zone, day * DAY + time))))
        }
    }
}
