//! Why is this erased, and why is that kept? The one answer, for the preview, the run and the explanation alike.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::clock::{Reading, newest};
use super::hold::Holds;
use super::identity::Identity;
use super::rule::{Action, Ground, Part, Rule};
use super::term::{FinancialYear, due_day};
use super::value::Key;

/// A digest by which a record is known again: unchanged since it was found, or not. Opaque to the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 16]);

/// A record as a connector found it: what the decision needs and nothing else.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its key.
    pub key: Key,
    /// What each of [`Rule::sources`] says, in that order; of related rows the newest.
    pub clocks: Vec<Reading>,
    /// Whether the selection's protection applies.
    pub protected: bool,
    /// Whether each of [`Rule::parts`] is in final form already, in that order.
    pub done: Vec<bool>,
    /// The person's identities, where the rule names fields for them and they were asked for.
    pub identities: Vec<Identity>,
    /// To know it again by.
    pub fingerprint: Fingerprint,
    /// The records of the same collection that hang below it, at any depth, and would go with it. Theirs are empty.
    pub below: Vec<Below>,
}

/// A record that hangs below another of its own collection.
#[derive(Debug, Clone)]
pub struct Below {
    /// The record.
    pub found: Found,
    /// Whether the rule selects it.
    pub selected: bool,
}

/// What the decision is made against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The cut-off day: what is due on or before it is due. A day in the policy's zone.
    pub today: NaiveDate,
    /// The firm's financial year.
    pub year: FinancialYear,
}

/// Why a part stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepReason {
    /// Its term has not passed.
    NotYetDue,
    /// A hold binds it.
    Held,
    /// The selection's protection applies.
    Protected,
    /// A record below it is not due, or the rule does not select it: it would go too.
    RecordBelow,
    /// It has no clock value.
    NoClock,
    /// Its clock is a zero date.
    ZeroDate,
    /// Its clock lacks a month or a day.
    PartialDate,
    /// Its clock lies in the future.
    FutureDate,
    /// Its clock lies before 2 January 1970 or is infinite.
    ImplausibleDate,
    /// Its clock can't be read in the declared format.
    UnreadableDate,
}

impl KeepReason {
    /// Every reason, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::NotYetDue,
        Self::Held,
        Self::Protected,
        Self::RecordBelow,
        Self::NoClock,
        Self::ZeroDate,
        Self::PartialDate,
        Self::FutureDate,
        Self::ImplausibleDate,
        Self::UnreadableDate,
    ];

    /// Whether somebody must decide, since no term will ever end this.
    pub fn needs_decision(self) -> bool {
        !matches!(self, Self::NotYetDue | Self::Held | Self::Protected | Self::RecordBelow)
    }

    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotYetDue => "not-yet-due",
            Self::Held => "held",
            Self::Protected => "protected",
            Self::RecordBelow => "record-below",
            Self::NoClock => "no-clock",
            Self::ZeroDate => "zero-date",
            Self::PartialDate => "partial-date",
            Self::FutureDate => "future-date",
            Self::ImplausibleDate => "implausible-date",
            Self::UnreadableDate => "unreadable-date",
        }
    }
}

/// The verdict on one part of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes; it has been due since the start of this day.
    Due(NaiveDate),
    /// It stays.
    Kept(KeepReason),
    /// Nothing is left to do: its fields are in final form, or the whole record is due.
    Settled,
}

/// What one ground says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroundVerdict {
    /// It keeps until the start of this day. `None`: for ever, beyond the calendar.
    Until(Option<NaiveDate>),
    /// The record has nothing that this optional ground counts from.
    DoesNotApply,
    /// Its clock can't say.
    NoAnswer(KeepReason),
}

/// Judges each part of a record, in the order of the rule's parts.
///
/// A part is due when its longest ground has passed. A hold or a protection keeps all parts; a clock that can't say
/// keeps its part. A record goes only when every record below it in the same collection is due itself, and has been due
/// since the newest of their days. Where the whole record is due, its other parts are settled with it.
pub fn decide(rule: &Rule, found: &Found, holds: &Holds, moment: Moment) -> Vec<Verdict> {
    let mut verdicts = decide_apart(rule, found, holds, moment);
    let goes = rule
        .parts
        .iter()
        .zip(&verdicts)
        .any(|(part, verdict)| matches!((&part.action, verdict), (Action::Delete, Verdict::Due(_))));
    if goes {
        for (part, verdict) in rule.parts.iter().zip(&mut verdicts) {
            if !part.is_record() {
                *verdict = Verdict::Settled;
            }
        }
    }
    verdicts
}

/// The same, each part by itself: what becomes of fields where the record stays for another reason than `found` tells.
pub fn decide_apart(rule: &Rule, found: &Found, holds: &Holds, moment: Moment) -> Vec<Verdict> {
    let stays = if found.protected {
        Some(KeepReason::Protected)
    } else if holds.is_empty() {
        None
    } else {
        let collection = rule.selection.collection();
        holds.find(&rule.id, &rule.system, &collection, &found.key, &found.identities).map(|_| KeepReason::Held)
    };
    let verdict = |(place, part): (usize, &Part)| match (found.done.get(place), stays) {
        (Some(true), _) if !part.is_record() => Verdict::Settled,
        (_, Some(reason)) => Verdict::Kept(reason),
        (_, None) if part.is_record() => {
            with_those_below(rule, judge_part(rule, part, found, moment), found, holds, moment)
        }
        (_, None) => judge_part(rule, part, found, moment),
    };
    rule.parts.iter().enumerate().map(verdict).collect()
}

/// What becomes of a whole record, given the records below it.
fn with_those_below(rule: &Rule, own: Verdict, found: &Found, holds: &Holds, moment: Moment) -> Verdict {
    let Verdict::Due(mut since) = own else { return own };
    for below in &found.below {
        let verdicts = if below.selected { decide(rule, &below.found, holds, moment) } else { Vec::new() };
        let whole = rule.parts.iter().zip(&verdicts).find(|(part, _)| part.is_record());
        let Some((_, Verdict::Due(day))) = whole else { return Verdict::Kept(KeepReason::RecordBelow) };
        since = since.max(*day);
    }
    Verdict::Due(since)
}

fn judge_part(rule: &Rule, part: &Part, found: &Found, moment: Moment) -> Verdict {
    let mut longest: Option<NaiveDate> = None;
    let mut unanswered: Option<KeepReason> = None;
    for ground in &part.grounds {
        match judge_ground(rule, ground, &found.clocks, moment) {
            GroundVerdict::Until(Some(day)) => longest = longest.max(Some(day)),
            GroundVerdict::Until(None) => return Verdict::Kept(KeepReason::NotYetDue),
            GroundVerdict::DoesNotApply => {}
            GroundVerdict::NoAnswer(reason) => unanswered = unanswered.max(Some(reason)),
        }
    }
    match (unanswered, longest) {
        (Some(reason), _) => Verdict::Kept(reason),
        (None, None) => Verdict::Kept(KeepReason::NoClock),
        (None, Some(day)) if day <= moment.today => Verdict::Due(day),
        (None, Some(_)) => Verdict::Kept(KeepReason::NotYetDue),
    }
}

/// What one ground says of one record, given what the rule's clock sources say of it.
pub fn judge_ground(_rule: &Rule, ground: &Ground, clocks: &[Reading], moment: Moment) -> GroundVerdict {
    let reading = newest(ground.clock.iter().map(|place| clocks.get(*place).copied().unwrap_or(Reading::Unreadable)));
    let reason = match reading {
        Reading::Day(day) if day > moment.today => KeepReason::FutureDate,
        Reading::Day(day) => return GroundVerdict::Until(due_day(day, ground.keep, ground.from, moment.year)),
        Reading::Absent | Reading::Zero if ground.optional => return GroundVerdict::DoesNotApply,
        Reading::Absent => KeepReason::NoClock,
        Reading::Zero => KeepReason::ZeroDate,
        Reading::Partial => KeepReason::PartialDate,
        Reading::Implausible => KeepReason::ImplausibleDate,
        Reading::Unreadable => KeepReason::UnreadableDate,
    };
    GroundVerdict::NoAnswer(reason)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
