//! What a system keeps of erased rows, for people.

use std::collections::BTreeMap;

use super::words::count;
use chrono::NaiveDate;

use crate::domain::trace::{Dies, TraceKind, Traces, Until};

/// A kind of trace as people read it.
pub fn kind(kind: TraceKind) -> String {
    kind.word().replace('-', " ")
}

/// Until when, in words.
pub fn until(until: Until) -> String {
    match until {
        Until::Days(0) => "less than a day".into(),
        Until::Days(days) => count(days, "day", "days"),
        Until::Unknown => "not known".into(),
        Until::Never => "never ends".into(),
    }
}

/// When the last trace within a system dies, as far as that is known.
pub fn last(traces: &BTreeMap<TraceKind, Until>) -> String {
    let named = |wanted: &dyn Fn(&Until) -> bool| -> String {
        let names: Vec<String> = traces.iter().filter(|(_, end)| wanted(end)).map(|(name, _)| kind(*name)).collect();
        names.join(", ")
    };
    let days = traces.values().filter(|end| matches!(end, Until::Days(_))).max().copied();
    match traces.values().max() {
        None => "no server-side trace of a purge is known".into(),
        Some(Until::Never) => {
            format!("server-side traces of a purge never die ({})", named(&|end| *end == Until::Never))
        }
        Some(Until::Unknown) => {
            let least = days.map_or_else(String::new, |days| format!(", and lasts at least {}", until(days)));
            format!(
                "when the last server-side trace of a purge dies is not known ({}){least}",
                named(&|end| *end == Until::Unknown)
            )
        }
        Some(longest) => {
            format!(
                "last server-side trace of a purge dies after {} ({})",
                until(*longest),
                named(&|end| end == longest)
            )
        }
    }
}

/// Where the space of deleted rows stays, by place and command, a line each: that a disk does not shrink says nothing of what
/// was deleted.
pub fn space<'a>(places: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let line = |(place, command): (&str, &str)| {
        format!(
            "space: {place} keeps that of deleted rows for new ones; to give it back to the disk, locked meanwhile:  {command}"
        )
    };
    places.map(line).collect()
}

/// What a system still keeps of what was purged there, in a sentence.
pub fn still(traces: &Traces, today: NaiveDate) -> String {
    if !traces.asked {
        return "what it keeps of what was purged was never told: `bewaard check` asks it".into();
    }
    let living = || traces.dies.iter().filter(|(_, dies)| **dies >= Dies::On(today));
    let named = |wanted: Dies| -> String {
        let names: Vec<String> = living().filter(|(_, dies)| **dies == wanted).map(|(name, _)| kind(*name)).collect();
        names.join(", ")
    };
    let last_day = living().filter_map(|(_, dies)| if let Dies::On(day) = dies { Some(*day) } else { None }).max();
    match living().map(|(_, dies)| *dies).max() {
        None => "no server-side trace of what was purged is known any more".into(),
        Some(Dies::Never) => {
            format!("server-side traces of what was purged never die ({})", named(Dies::Never))
        }
        Some(Dies::Unknown) => {
            let least = last_day.map_or_else(String::new, |day| format!(", and not before {day}"));
            format!(
                "when the last server-side trace of what was purged dies is not known ({}){least}",
                named(Dies::Unknown)
            )
        }
        Some(Dies::On(day)) => {
            format!("the last server-side trace of what was purged dies on {day} ({})", named(Dies::On(day)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_kept_is_told_with_its_day() {
        let day = |n| NaiveDate::from_ymd_opt(2026, 11, n).unwrap();
        let mut traces = Traces::default();
        traces.note(day(1), 3, None);
        assert!(still(&traces, day(1)).contains("never told"));
        traces.note(day(1), 3, Some(&[(TraceKind::BinaryLog, Until::Days(10))].into()));
        assert_eq!(
            still(&traces, day(11)),
            "the last server-side trace of what was purged dies on 2026-11-11 (binary log)"
        );
        assert_eq!(still(&traces, day(12)), "no server-side trace of what was purged is known any more");
        traces.note(day(2), 3, Some(&[(TraceKind::Undo, Until::Unknown)].into()));
        let told =
            "when the last server-side trace of what was purged dies is not known (undo), and not before 2026-11-11";
        assert_eq!(still(&traces, day(3)), told);
        traces.note(day(3), 3, Some(&[(TraceKind::GeneralLog, Until::Never)].into()));
        assert_eq!(still(&traces, day(3)), "server-side traces of what was purged never die (general log)");
    }

    #[test]
    fn the_last_trace_is_told_as_far_as_it_is_known() {
        let told = |traces: &[(TraceKind, Until)]| last(&traces.iter().copied().collect());
        assert_eq!(told(&[]), "no server-side trace of a purge is known");
        let log = (TraceKind::BinaryLog, Until::Days(10));
        assert_eq!(
            told(&[log, (TraceKind::Undo, Until::Days(0))]),
            "last server-side trace of a purge dies after 10 days (binary log)"
        );
        assert_eq!(
            told(&[log, (TraceKind::Undo, Until::Unknown)]),
            "when the last server-side trace of a purge dies is not known (undo), and lasts at least 10 days"
        );
        assert_eq!(
            told(&[log, (TraceKind::Undo, Until::Unknown), (TraceKind::GeneralLog, Until::Never)]),
            "server-side traces of a purge never die (general log)"
        );
    }
}
