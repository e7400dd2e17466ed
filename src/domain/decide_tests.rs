use chrono::{Days, NaiveDate};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::domain::clock::{self, ClockFormat};
use crate::domain::digest::MacKey;
use crate::domain::hold::Hold;
use crate::domain::id::{GroundId, HoldId, PartId, RuleId, SystemId};
use crate::domain::identity::IdentityKind;
use crate::domain::plan::Survey;
use crate::domain::recipe::Recipe;
use crate::domain::rule::{Because, Limits};
use crate::domain::selection::{ClockSource, Selection, SqlSelection, TableName};
use crate::domain::term::{Alignment, Term};
use crate::domain::value::Scalar;

const SOURCES: usize = 3;
const AMSTERDAM: chrono_tz::Tz = chrono_tz::Europe::Amsterdam;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn table(name: &str) -> TableName {
    TableName { schema: None, name: name.into() }
}

/// A rule over three clock sources, with these parts.
fn rule(parts: Vec<Part>) -> Rule {
    let source =
        |column: &str| ClockSource::Sql { column: column.into(), relation: None, format: ClockFormat::Iso, zone: None };
    Rule {
        id: RuleId::new("old").unwrap(),
        system: SystemId::new("shop").unwrap(),
        selection: Selection::Sql(SqlSelection {
            table: table("customers"),
            key: vec!["id".into()],
            filter: None,
            protect: Vec::new(),
            children: Vec::new(),
            follow_foreign_keys: false,
            allow_no_transactions: false,
            allow_scan: false,
        }),
        person: [(IdentityKind::Email, "email".to_string())].into(),
        sources: vec![source("a"), source("b"), source("c")],
        parts,
        limits: Limits::default(),
        schedule: None,
        mode: crate::domain::rule::Mode::Enforce,
        undo: None,
        drop_partitions: false,
        copies: vec![],
    }
}

fn ground(clock: Vec<usize>, keep: Term, from: Alignment, optional: bool) -> Ground {
    Ground { id: GroundId::new("term").unwrap(), clock, keep, from, because: Because::Text("test".into()), optional }
}

fn part(name: &str, record: bool, grounds: Vec<Ground>) -> Part {
    let action = if record { Action::Delete } else { Action::Anonymise([(name.to_string(), Recipe::Null)].into()) };
    Part { id: PartId::new(name).unwrap(), action, grounds }
}

fn found(clocks: Vec<Reading>, parts: usize) -> Found {
    Found {
        key: Key(vec![Scalar::Int(7)]),
        clocks,
        protected: false,
        done: vec![false; parts],
        identities: Vec::new(),
        fingerprint: Fingerprint::default(),
        below: Vec::new(),
    }
}

fn no_holds() -> Holds {
    Holds::new(MacKey::new(&[1; 32]))
}

fn at(today: &str) -> Moment {
    Moment { today: day(today), year: FinancialYear::default() }
}

/// The verdict of a rule of one part with one ground over one clock.
fn simple(clock: Reading, term: &str, from: Alignment, today: &str) -> Verdict {
    let rule = rule(vec![part("record", true, vec![ground(vec![0], Term::parse(term).unwrap(), from, false)])]);
    decide(&rule, &found(vec![clock; SOURCES], 1), &no_holds(), at(today))[0]
}

#[test]
fn t10_terms_pass_on_the_right_day_at_month_ends_and_leap_days() {
    for (clock, term, from, last_kept_day) in [
        ("2023-03-14", "2 years", Alignment::Day, "2025-03-14"),
        ("2024-02-29", "1 year", Alignment::Day, "2025-02-28"),
        ("2024-02-28", "1 year", Alignment::Day, "2025-02-28"),
        ("2023-02-28", "1 year", Alignment::Day, "2024-02-29"),
        ("2024-02-29", "4 years", Alignment::Day, "2028-02-29"),
        ("2025-01-31", "1 month", Alignment::Day, "2025-02-28"),
        ("2024-01-31", "1 month", Alignment::Day, "2024-02-29"),
        ("2024-03-31", "1 month", Alignment::Day, "2024-04-30"),
        ("2024-12-31", "90 days", Alignment::Day, "2025-03-31"),
        ("2024-06-15", "7 years", Alignment::EndOfCalendarYear, "2031-12-31"),
        ("2024-02-01", "1 month", Alignment::EndOfMonth, "2024-03-31"),
    ] {
        let clock = Reading::Day(day(clock));
        let due = day(last_kept_day).succ_opt().unwrap();
        let kept = simple(clock, term, from, last_kept_day);
        assert_eq!(kept, Verdict::Kept(KeepReason::NotYetDue), "{clock:?} + {term}");
        for later in [0, 1, 400] {
            let today = due.checked_add_days(Days::new(later)).unwrap().to_string();
            assert_eq!(simple(clock, term, from, &today), Verdict::Due(due), "{clock:?} + {term} on {today}");
        }
    }
}

#[test]
fn t10_moments_around_a_switch_of_daylight_saving_fall_on_the_day_of_the_firm() {
    for (written, due) in [
        // 29 March 2026: 02:00 to 03:00 is left out; 25 October 2026: 02:00 to 03:00 comes twice
        ("2026-03-29T00:59:59Z", "2026-04-06"),
        ("2026-03-29T01:00:00Z", "2026-04-06"),
        ("2026-03-28T22:59:59Z", "2026-04-05"),
        ("2026-03-28T23:00:00Z", "2026-04-06"),
        ("2026-03-29T21:59:59Z", "2026-04-06"),
        ("2026-03-29T22:00:00Z", "2026-04-07"),
        ("2026-03-29 02:30:00", "2026-04-06"),
        ("2026-10-24T21:59:59Z", "2026-11-01"),
        ("2026-10-24T22:00:00Z", "2026-11-02"),
        ("2026-10-25 02:30:00", "2026-11-02"),
        ("2026-10-25T22:59:59Z", "2026-11-02"),
        ("2026-10-25T23:00:00Z", "2026-11-03"),
    ] {
        let reading = clock::read(&Scalar::Text(written.into()), &ClockFormat::Iso, AMSTERDAM, AMSTERDAM);
        assert_eq!(simple(reading, "7 days", Alignment::Day, "2027-01-01"), Verdict::Due(day(due)), "{written}");
    }
}

#[test]
fn a_clock_that_can_not_say_keeps_its_part_and_says_why() {
    for (reading, reason) in [
        (Reading::Absent, KeepReason::NoClock),
        (Reading::Zero, KeepReason::ZeroDate),
        (Reading::Partial, KeepReason::PartialDate),
        (Reading::Implausible, KeepReason::ImplausibleDate),
        (Reading::Unreadable, KeepReason::UnreadableDate),
        (Reading::Day(day("2026-11-24")), KeepReason::FutureDate),
    ] {
        assert!(reason.needs_decision());
        assert_eq!(simple(reading, "1 day", Alignment::Day, "2026-11-23"), Verdict::Kept(reason));
    }
    let one_day = Term::parse("1 day").unwrap();
    let optional = rule(vec![part("record", true, vec![ground(vec![0], one_day, Alignment::Day, true)])]);
    let verdict = decide(&optional, &found(vec![Reading::Absent], 1), &no_holds(), at("2026-11-23"))[0];
    assert_eq!(verdict, Verdict::Kept(KeepReason::NoClock), "grounds that all do not apply are no leave to erase");
    let missing = decide(&optional, &found(Vec::new(), 1), &no_holds(), at("2026-11-23"))[0];
    assert_eq!(missing, Verdict::Kept(KeepReason::UnreadableDate), "a clock that was not read says nothing");
}

#[test]
fn a_record_that_goes_settles_its_other_parts() {
    let term = |text: &str| Term::parse(text).unwrap();
    let parts = vec![
        part("contact", false, vec![ground(vec![0], term("1 year"), Alignment::Day, false)]),
        part("record", true, vec![ground(vec![0], term("7 years"), Alignment::Day, false)]),
    ];
    let (rule, one) = (rule(parts), found(vec![Reading::Day(day("2018-01-01"))], 2));
    let verdicts = |found: &Found, today: &str| decide(&rule, found, &no_holds(), at(today));
    let (kept, due) = (Verdict::Kept(KeepReason::NotYetDue), |text: &str| Verdict::Due(day(text)));
    assert_eq!(verdicts(&one, "2018-06-01"), [kept, kept]);
    assert_eq!(verdicts(&one, "2020-06-01"), [due("2019-01-02"), kept]);
    assert_eq!(verdicts(&one, "2026-06-01"), [Verdict::Settled, due("2025-01-02")]);
    let done = Found { done: vec![true, true], ..one };
    assert_eq!(verdicts(&done, "2020-06-01"), [Verdict::Settled, kept], "a record is never in final form");
    assert_eq!(verdicts(&done, "2026-06-01"), [Verdict::Settled, due("2025-01-02")]);
}

fn any_day() -> impl Strategy<Value = NaiveDate> {
    (0u64..20_000).prop_map(|n| day("1985-01-01").checked_add_days(Days::new(n)).unwrap())
}
fn any_reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        8 => any_day().prop_map(Reading::Day),
        1 => Just(Reading::Absent),
        1 => Just(Reading::Zero),
        1 => prop_oneof![Just(Reading::Partial), Just(Reading::Implausible), Just(Reading::Unreadable)],
    ]
}
fn any_term() -> impl Strategy<Value = (u32, u32)> {
    (0u32..100, 0u32..400).prop_filter("a term of zero", |(months, days)| months + days > 0)
}
fn any_alignment() -> impl Strategy<Value = Alignment> {
    prop_oneof![
        Just(Alignment::Day),
        Just(Alignment::EndOfMonth),
        Just(Alignment::EndOfCalendarYear),
        Just(Alignment::EndOfFinancialYear)
    ]
}
fn any_ground() -> impl Strategy<Value = Ground> {
    let clock = prop::sample::subsequence((0..SOURCES).collect::<Vec<_>>(), 1..=SOURCES);
    (clock, any_term(), any_alignment(), any::<bool>()).prop_map(|(clock, (months, days), from, optional)| {
        ground(clock, Term::new(months, days).unwrap(), from, optional)
    })
}
fn any_rule() -> impl Strategy<Value = Rule> {
    let grounds = || prop::collection::vec(any_ground(), 1..4);
    (prop::collection::vec(grounds(), 0..3), prop::option::of(grounds()), any::<bool>()).prop_filter_map(
        "a rule without parts",
        |(fields, record, record_first)| {
            let mut parts: Vec<Part> = fields
                .into_iter()
                .enumerate()
                .map(|(n, grounds)| part(&format!("fields-{n}"), false, grounds))
                .collect();
            if let Some(grounds) = record {
                let place = if record_first { 0 } else { parts.len() };
                parts.insert(place, part("record", true, grounds));
            }
            (!parts.is_empty()).then(|| rule(parts))
        },
    )
}
fn any_found() -> impl Strategy<Value = Found> {
    let clocks = prop::collection::vec(any_reading(), SOURCES);
    (clocks, prop::collection::vec(any::<bool>(), 3), any::<i64>()).prop_map(|(clocks, done, key)| Found {
        key: Key(vec![Scalar::Int(key)]),
        done,
        identities: vec![Identity::new(IdentityKind::Email, &format!("{key}@x.nl")).unwrap()],
        ..found(clocks, 0)
    })
}
fn any_moment() -> impl Strategy<Value = Moment> {
    (any_day(), 1u32..=12, 1u32..=28)
        .prop_map(|(today, month, day)| Moment { today, year: FinancialYear { month, day } })
}

fn is_due(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Due(_))
}

/// Which parts go, whether by themselves or with their record.
fn goes(rule: &Rule, found: &Found, moment: Moment) -> Vec<bool> {
    let verdicts = decide(rule, found, &no_holds(), moment);
    let record = rule.parts.iter().zip(&verdicts).any(|(part, verdict)| part.is_record() && is_due(*verdict));
    verdicts.iter().map(|verdict| record || is_due(*verdict)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_due_is_newer_than_its_longest_ground_allows(rule in any_rule(), found in any_found(), moment in any_moment()) {
        for (part, verdict) in rule.parts.iter().zip(decide(&rule, &found, &no_holds(), moment)) {
            let Verdict::Due(due) = verdict else { continue };
            prop_assert!(due <= moment.today);
            let eve = Moment { today: due.pred_opt().unwrap(), ..moment };
            prop_assert!(!decide(&rule, &found, &no_holds(), eve).iter().zip(&rule.parts).any(|(v, p)| p.id == part.id && is_due(*v)));
            let mut applies = false;
            for ground in &part.grounds {
                for place in &ground.clock {
                    match found.clocks[*place] {
                        // The record as a person reads it: the day that the clock names, plus the term, has passed wholly.
                        Reading::Day(clock) => {
                            applies = true;
                            prop_assert!(ground.keep.after(clock).unwrap() < due);
                        }
                        Reading::Absent | Reading::Zero => {}
                        other => prop_assert!(false, "due with a clock that says {other:?}"),
                    }
                }
                let says_nothing = |place: &usize| matches!(found.clocks[*place], Reading::Absent | Reading::Zero);
                prop_assert!(ground.optional || !ground.clock.iter().all(says_nothing));
            }
            prop_assert!(applies, "due without any day");
        }
    }

    #[test]
    fn held_and_protected_are_never_due(rule in any_rule(), found in any_found(), moment in any_moment(), by_record in any::<bool>()) {
        let mut holds = no_holds();
        let mark = if by_record {
            holds.mark_record(&rule.system, &rule.selection.collection(), &found.key)
        } else {
            holds.mark_identity(&found.identities[0])
        };
        holds.add(Hold {
            id: HoldId::from_random([1; 8]),
            marks: [mark].into(),
            system: None,
            rule: None,
            owner: None,
            review: moment.today,
            placed: moment.today,
        });
        let protected = Found { protected: true, ..found.clone() };
        for (verdicts, reason) in [
            (decide(&rule, &found, &holds, moment), KeepReason::Held),
            (decide(&rule, &protected, &no_holds(), moment), KeepReason::Protected),
            (decide(&rule, &protected, &holds, moment), KeepReason::Protected),
        ] {
            for (place, verdict) in verdicts.iter().enumerate() {
                let done = found.done[place] && !rule.parts[place].is_record();
                prop_assert_eq!(*verdict, if done { Verdict::Settled } else { Verdict::Kept(reason) });
            }
        }
        holds.release(&HoldId::from_random([1; 8]));
        prop_assert_eq!(decide(&rule, &found, &holds, moment), decide(&rule, &found, &no_holds(), moment));
    }

    #[test]
    fn a_longer_term_or_another_ground_never_makes_more_go(
        rule in any_rule(), found in any_found(), moment in any_moment(), more in any_ground(), at in any::<Index>(), of in any::<Index>(),
        (months, days) in any_term(), (longer_months, longer_days) in (0u32..50, 0u32..200),
    ) {
        let (at, mut shorter) = (at.index(rule.parts.len()), rule);
        let of = of.index(shorter.parts[at].grounds.len());
        // Where no ground need apply, a record to which none does has no clock; another ground may give it one.
        shorter.parts[at].grounds[0].optional = false;
        shorter.parts[at].grounds[of].keep = Term::new(months, days).unwrap();
        let before = goes(&shorter, &found, moment);
        let mut longer = shorter.clone();
        longer.parts[at].grounds[of].keep = Term::new(months + longer_months, days + longer_days).unwrap();
        let mut another = shorter.clone();
        another.parts[at].grounds.push(more);
        for rule in [longer, another] {
            for (after, before) in goes(&rule, &found, moment).into_iter().zip(&before) {
                prop_assert!(!after || *before);
            }
        }
    }

    #[test]
    fn a_later_day_never_takes_back_what_is_due(rule in any_rule(), found in any_found(), moment in any_moment(), days in 0u64..2000) {
        // A future date keeps, so only clocks up to today are compared.
        let past = found.clocks.iter().all(|one| !matches!(one, Reading::Day(day) if *day > moment.today));
        let later = Moment { today: moment.today.checked_add_days(Days::new(days)).unwrap(), ..moment };
        for (now, then) in goes(&rule, &found, moment).into_iter().zip(goes(&rule, &found, later)) {
            prop_assert!(!past || !now || then);
        }
    }

    #[test]
    fn every_part_is_counted_once_in_any_order(
        rule in any_rule(), records in prop::collection::vec(any_found(), 0..12), moment in any_moment(), order in prop::collection::vec(any::<u32>(), 12),
    ) {
        let count = |records: &[&Found]| {
            let mut survey = Survey::default();
            for found in records {
                survey.add(&rule, &decide(&rule, found, &no_holds(), moment));
            }
            survey
        };
        let in_order: Vec<&Found> = records.iter().collect();
        let survey = count(&in_order);
        let kept: u64 = survey.kept.values().sum();
        prop_assert_eq!(survey.due + kept + survey.settled, (records.len() * rule.parts.len()) as u64);
        prop_assert_eq!(survey.found, survey.due + kept);
        prop_assert_eq!(survey.due, survey.due_by_part.values().sum::<u64>());
        prop_assert_eq!(survey.oldest_due.is_some(), survey.due > 0);
        let mut places: Vec<usize> = (0..records.len()).collect();
        places.sort_by_key(|place| order[*place]);
        let mixed: Vec<&Found> = places.into_iter().map(|place| &records[place]).collect();
        prop_assert_eq!(count(&mixed), survey);
    }

    #[test]
    fn the_order_of_grounds_and_sources_is_irrelevant(rule in any_rule(), found in any_found(), moment in any_moment()) {
        let mut mirrored = rule.clone();
        for ground in mirrored.parts.iter_mut().flat_map(|part| &mut part.grounds) {
            ground.clock = ground.clock.iter().rev().map(|place| SOURCES - 1 - place).collect();
        }
        for part in &mut mirrored.parts {
            part.grounds.reverse();
        }
        let other = Found { clocks: found.clocks.iter().rev().copied().collect(), ..found.clone() };
        prop_assert_eq!(decide(&rule, &found, &no_holds(), moment), decide(&mirrored, &other, &no_holds(), moment));
    }

    #[test]
    fn a_due_record_settles_the_rest(rule in any_rule(), found in any_found(), moment in any_moment()) {
        let verdicts = decide(&rule, &found, &no_holds(), moment);
        let record = rule.parts.iter().zip(&verdicts).any(|(part, verdict)| part.is_record() && is_due(*verdict));
        for (place, (part, verdict)) in rule.parts.iter().zip(&verdicts).enumerate() {
            let settled = !part.is_record() && (record || found.done[place]);
            prop_assert_eq!(*verdict == Verdict::Settled, settled);
        }
    }
}
