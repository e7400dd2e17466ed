//! Decides a case, and says why.

use chrono::NaiveDate;

use super::{Case, CaseResult, clock_name};
use crate::domain::clock::{Reading, newest};
use crate::domain::decide::{Fingerprint, Found, GroundVerdict, KeepReason, Moment, Verdict, decide, judge_ground};
use crate::domain::digest::MacKey;
use crate::domain::hold::{Hold, Holds};
use crate::domain::id::HoldId;
use crate::domain::policy::Policy;
use crate::domain::rule::{Ground, Part};
use crate::domain::term::Alignment;
use crate::domain::value::Key;

pub(super) fn judge(policy: &Policy, case: &Case<'_>) -> CaseResult {
    let rule = case.rule;
    let verdicts = decide(rule, &found(case), &holds(case), Moment { today: case.today, year: policy.year });
    let goes: Vec<bool> = verdicts.iter().map(|one| !matches!(one, Verdict::Kept(_))).collect();
    let mut differs = Vec::new();
    for (place, expected) in &case.expect {
        if let (Some(part), Some(goes)) = (rule.parts.get(*place), goes.get(*place))
            && goes != expected
        {
            let word = |goes: bool| if goes { "goes" } else { "stays" };
            differs.push(format!("{}: expected that it {}, and it {}", part.id, word(*expected), word(*goes)));
        }
    }
    for (place, expected) in &case.goes_on {
        let Some(part) = rule.parts.get(*place) else { continue };
        let due = due_day(policy, case, part);
        if due != Some(*expected) {
            let due = due.map_or("no day".to_string(), |due| format!("{} ", show(due)).trim_end().to_string());
            differs.push(format!("{}: expected that it goes on {}, and it goes on {due}", part.id, show(*expected)));
        }
    }
    let mut why = Vec::new();
    for (part, verdict) in rule.parts.iter().zip(&verdicts) {
        why.push(format!("{}: {}", part.id, verdict_words(*verdict, case.today)));
        why.extend(part.grounds.iter().map(|ground| format!("  {}", ground_words(policy, case, ground))));
    }
    CaseResult { name: case.name.clone(), rule: rule.id.to_string(), at: case.place.show(), differs, why }
}

fn found(case: &Case<'_>) -> Found {
    Found {
        key: Key(Vec::new()),
        clocks: case.clocks.clone(),
        protected: case.protected,
        done: vec![false; case.rule.parts.len()],
        identities: Vec::new(),
        fingerprint: Fingerprint::default(),
        below: Vec::new(),
    }
}

fn holds(case: &Case<'_>) -> Holds {
    let mut holds = Holds::new(MacKey::new(&[0; 32]));
    if case.held {
        let mark = holds.mark_record(&case.rule.system, &case.rule.selection.collection(), &Key(Vec::new()));
        holds.add(Hold {
            id: HoldId::from_random([0; 8]),
            marks: [mark].into(),
            system: None,
            rule: None,
            owner: None,
            review: case.today,
            placed: case.today,
        });
    }
    holds
}

/// The day from which the part goes, as if every clock lay in the past; none where a clock can't say, or by a hold or a
/// protection.
fn due_day(policy: &Policy, case: &Case<'_>, part: &Part) -> Option<NaiveDate> {
    if case.held || case.protected {
        return None;
    }
    let moment = Moment { today: NaiveDate::MAX, year: policy.year };
    let mut longest = None;
    for ground in &part.grounds {
        match judge_ground(case.rule, ground, &case.clocks, moment) {
            GroundVerdict::Until(day) => longest = longest.max(Some(day?)),
            GroundVerdict::DoesNotApply => {}
            GroundVerdict::NoAnswer(_) => return None,
        }
    }
    longest
}

fn verdict_words(verdict: Verdict, today: NaiveDate) -> String {
    match verdict {
        Verdict::Due(day) => format!("goes, since {} (on {})", show(day), show(today)),
        Verdict::Settled => format!("goes with the record (on {})", show(today)),
        Verdict::Kept(reason) => format!("stays, {} (on {})", reason_words(reason), show(today)),
    }
}

fn reason_words(reason: KeepReason) -> &'static str {
    match reason {
        KeepReason::NotYetDue => "for its term has not passed",
        KeepReason::Held => "for a hold binds it",
        KeepReason::Protected => "for it is protected",
        KeepReason::RecordBelow => "for a record below it stays",
        KeepReason::NoClock => "for it has no date to count from",
        KeepReason::ZeroDate => "for its date is a zero date",
        KeepReason::PartialDate => "for its date lacks a month or a day",
        KeepReason::FutureDate => "for its date lies in the future",
        KeepReason::ImplausibleDate => "for its date can't be right",
        KeepReason::UnreadableDate => "for its date can't be read",
    }
}

/// "tax: orders.created_at 14-03-2023, 7 years from the end of the financial year: keeps until 01-01-2031 (nl.awr-52)".
fn ground_words(policy: &Policy, case: &Case<'_>, ground: &Ground) -> String {
    let readings: Vec<(usize, Reading)> = ground
        .clock
        .iter()
        .map(|place| (*place, case.clocks.get(*place).copied().unwrap_or(Reading::Absent)))
        .collect();
    let reading = newest(readings.iter().map(|(_, reading)| *reading));
    let names: Vec<String> = readings
        .iter()
        .filter(|(_, one)| *one == reading)
        .filter_map(|(place, _)| case.rule.sources.get(*place).map(clock_name))
        .collect();
    let clock = match reading {
        Reading::Day(day) => format!("{} {}", names.join(" and "), show(day)),
        _ => format!("{} without a day", names.join(" and ")),
    };
    let from = match ground.from {
        Alignment::Day => "",
        Alignment::EndOfMonth => " from the end of the month",
        Alignment::EndOfCalendarYear => " from the end of the calendar year",
        Alignment::EndOfFinancialYear => " from the end of the financial year",
    };
    let moment = Moment { today: case.today, year: policy.year };
    let result = match judge_ground(case.rule, ground, &case.clocks, moment) {
        GroundVerdict::Until(Some(day)) if day > case.today => format!("keeps until {}", show(day)),
        GroundVerdict::Until(Some(day)) => format!("kept until {}", show(day)),
        GroundVerdict::Until(None) => "keeps for ever".to_string(),
        GroundVerdict::DoesNotApply => "does not apply".to_string(),
        GroundVerdict::NoAnswer(reason) => format!("keeps, {}", reason_words(reason)),
    };
    format!("{}: {clock}, {}{from}: {result} ({})", ground.id, ground.keep, ground.because)
}

fn show(day: NaiveDate) -> String {
    day.format("%d-%m-%Y").to_string()
}
