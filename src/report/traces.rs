//! What a system keeps of erased rows, for people.

use std::collections::BTreeMap;

use super::words::count;
use crate::domain::trace::{TraceKind, Until};

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

#[cfg(test)]
mod tests {
    use super::*;

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
