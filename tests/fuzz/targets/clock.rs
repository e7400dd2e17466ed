//! Any value as a clock: a day, or a word for what it is; never a day that the value does not say.

use bewaard::domain::clock::{ClockFormat, Reading, newest, read};
use bewaard::domain::value::Scalar;
use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;

use super::input::Input;

const ZONES: [Tz; 5] =
    [chrono_tz::UTC, Tz::Europe__Amsterdam, Tz::Pacific__Kiritimati, Tz::America__Los_Angeles, Tz::Asia__Kathmandu];
const PATTERNS: [&str; 8] =
    ["%d-%m-%Y", "%d/%m/%y", "%Y%m%d", "%d-%m-%Y %H:%M", "%Y-%m-%dT%H:%M:%S%z", "%s", "%e %b %Y", "%G-W%V-%u"];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let format = match input.byte() % 5 {
        0 => ClockFormat::Iso,
        1 => ClockFormat::Epoch,
        2 => ClockFormat::EpochMillis,
        3 => ClockFormat::Patterns(vec![(*input.one_of(&PATTERNS)).into(), (*input.one_of(&PATTERNS)).into()]),
        _ => ClockFormat::Patterns(vec![String::from_utf8_lossy(input.counted()).into_owned()]),
    };
    let (zone, policy_zone) = (*input.one_of(&ZONES), *input.one_of(&ZONES));
    let value = value(&mut input);
    let reading = read(&value, &format, zone, policy_zone);
    assert_eq!(reading, read(&value, &format, zone, policy_zone), "the same value reads the same");
    if let Reading::Day(day) = reading {
        assert!(day > NaiveDate::from_ymd_opt(1970, 1, 1).expect("a day"), "1970-01-01 and before is no date");
    }
    if let (ClockFormat::Iso, Some(text)) = (&format, value.as_text()) {
        iso(text.trim(), reading);
    }
    // What is absent or zero yields; what can't be read poisons the whole.
    let known = Reading::Day(NaiveDate::from_ymd_opt(2020, 2, 3).expect("a day"));
    let both = newest([reading, known]);
    assert_eq!(both, newest([known, reading]), "the order of clocks means nothing");
    match reading {
        Reading::Absent | Reading::Zero => assert_eq!(both, known),
        Reading::Day(day) => assert!(matches!(both, Reading::Day(newest) if newest >= day)),
        Reading::Partial | Reading::Implausible | Reading::Unreadable => assert_eq!(both, reading),
    }
}

fn value(input: &mut Input<'_>) -> Scalar {
    match input.byte() % 6 {
        0 => Scalar::Null,
        1 => Scalar::Int(number(input).cast_signed()),
        2 => Scalar::from_u64(number(input)),
        3 => Scalar::Real(number(input)),
        4 => Scalar::Typed { ty: "timestamp".into(), text: input.text() },
        _ => Scalar::Text(input.text()),
    }
}

fn number(input: &mut Input<'_>) -> u64 {
    u64::from(input.number()) << 32 | u64::from(input.number())
}

/// Against a reader that only knows plain dates and times: no zone moves a day further than a day and its switch.
fn iso(text: &str, reading: Reading) {
    let plain = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let timed = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok();
    let written = plain.and_then(|day| day.and_hms_opt(12, 0, 0)).or(timed);
    let (Some(written), Reading::Day(day)) = (written, reading) else { return };
    let apart = day.and_hms_opt(12, 0, 0).expect("noon") - written;
    assert!(apart.abs() <= TimeDelta::hours(36 + 26), "{text} is read as {day}");
    assert!(plain.is_none_or(|plain| plain == day), "{text} is read as {day}");
}
