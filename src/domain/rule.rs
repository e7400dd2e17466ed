//! A rule: system, selection, person and one or more parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::{GroundId, PartId, RuleId, SystemId};
use super::identity::IdentityKind;
use super::recipe::Recipes;
use super::selection::{ClockSource, Copied, Field, Selection};
use super::term::{Alignment, Term};

/// One rule, checked as far as text alone allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `[rule.NAME]`.
    pub id: RuleId,
    /// The system that it is about.
    pub system: SystemId,
    /// Which records.
    pub selection: Selection,
    /// The fields by which a person is known in these records.
    pub person: BTreeMap<IdentityKind, Field>,
    /// Every clock source that a ground asks for, once.
    pub sources: Vec<ClockSource>,
    /// What goes when. At most one part is for the whole record; each part has at least one ground.
    pub parts: Vec<Part>,
    /// How much may go.
    pub limits: Limits,
    /// When it runs, as cron writes it, in the policy's zone. `None`: only by hand.
    pub schedule: Option<String>,
    /// Whether it purges, or only reports what it would purge.
    #[serde(default)]
    pub mode: Mode,
    /// For so many days what went can be put back from a quarantine. `None`: no window. It decides about nobody, so it
    /// is no part of the decision digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<u32>,
    /// Whether a partition of the table is dropped where its whole range is past the term and every record of it goes. It
    /// decides about no record, but about what may come into that range later: it stands among the rule's effects.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop_partitions: bool,
    /// Columns of other tables that repeat fields of the record. They decide nothing: they are only looked at afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<Copied>,
}

/// Whether a rule purges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// What is due goes.
    #[default]
    Enforce,
    /// Everything is planned, approved and reported as if, and nothing goes.
    Observe,
}

/// The whole record or some of its fields, the grounds to keep it, and what then becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `[rule.NAME.part.NAME]`, or `record`.
    pub id: PartId,
    /// What it is about.
    pub action: Action,
    /// Grounds to keep it; the longest wins.
    pub grounds: Vec<Ground>,
}

impl Part {
    /// Whether this part is the whole record.
    pub fn is_record(&self) -> bool {
        matches!(self.action, Action::Delete)
    }
}

/// What becomes of a part that is due. Only the whole record is deleted; only fields are anonymised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The record goes.
    Delete,
    /// The fields are anonymised; the record stays.
    Anonymise(Recipes),
}

/// A ground to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// `ground.NAME`, or `term` in the short form.
    pub id: GroundId,
    /// The clock: the newest of these [`Rule::sources`].
    pub clock: Vec<usize>,
    /// How long after the clock.
    pub keep: Term,
    /// From the end of which period.
    pub from: Alignment,
    /// Why: free text of the firm, or an id of the catalogue of grounds.
    pub because: Because,
    /// A record without any value in this clock lacks this ground, instead of having no clock.
    pub optional: bool,
}

/// The reason that the firm states for a term (AP: terms and the reasoning are written down).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// The firm's own words.
    Text(String),
    /// An entry of the shipped catalogue of grounds (`config/grounds/nl.toml`).
    Catalogue {
        /// Its id, such as `nl.awr-52`.
        id: String,
        /// Its title.
        title: String,
    },
}

impl std::fmt::Display for Because {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Catalogue { id, title } => f.pad(&format!("{title} ({id})")),
        }
    }
}

/// How much a rule may purge. `per_run` paces; the others are judged on all that is due, before `per_run`, and
/// refuse the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Records in one run, oldest first.
    pub per_run: u64,
    /// At most this part of the collection's records may be due, in thousandths of a per cent.
    pub share: Option<u64>,
    /// At most this many may be due.
    pub max: Option<u64>,
    /// At most this many times the largest of the last five settled plans may be due.
    pub change: Option<u64>,
    /// Records of the first run after a person opened the gate: they go alone and are looked for before any other
    /// goes. 0: no such bite.
    #[serde(default = "first_bite")]
    pub first_bite: u64,
}

/// The first bite where a policy says nothing of it.
const fn first_bite() -> u64 {
    10
}

/// One hundred per cent in the unit of [`Limits::share`].
pub const WHOLE_SHARE: u64 = 100_000;

impl Default for Limits {
    fn default() -> Self {
        Self { per_run: 10_000, share: Some(WHOLE_SHARE / 10), max: None, change: None, first_bite: first_bite() }
    }
}

impl Limits {
    /// The limits that are looser than those that a person approved, by their keys in TOML.
    pub fn raised_over(&self, approved: &Self) -> Vec<&'static str> {
        let looser = |now: Option<u64>, before: Option<u64>| match (now, before) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(now), Some(before)) => now > before,
        };
        // No bite at all is the loosest.
        let bite = |bite: u64| (bite > 0).then_some(bite);
        let all = [
            ("per-run", self.per_run > approved.per_run),
            ("share", looser(self.share, approved.share)),
            ("max", looser(self.max, approved.max)),
            ("change", looser(self.change, approved.change)),
            ("first-bite", looser(bite(self.first_bite), bite(approved.first_bite))),
        ];
        all.into_iter().filter(|(_, raised)| *raised).map(|(name, _)| name).collect()
    }
}

impl Rule {
    /// The part for the whole record.
    pub fn record_part(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.is_record())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_when_more_may_go_than_before() {
        let approved = Limits { per_run: 100, share: Some(10_000), max: Some(50), change: None, first_bite: 10 };
        let raised = |change: fn(&mut Limits)| {
            let mut now = approved.clone();
            change(&mut now);
            now.raised_over(&approved)
        };
        assert_eq!(raised(|_| {}), [""; 0]);
        assert_eq!(raised(|now| now.per_run = 99), [""; 0]);
        assert_eq!(raised(|now| now.per_run = 101), ["per-run"]);
        assert_eq!(raised(|now| now.share = Some(10_001)), ["share"]);
        assert_eq!(raised(|now| now.share = None), ["share"]);
        assert_eq!(raised(|now| now.max = None), ["max"]);
        assert_eq!(raised(|now| now.change = Some(3)), [""; 0], "a limit that was not there is stricter");
        assert_eq!(raised(|now| now.first_bite = 0), ["first-bite"], "no bite is the loosest");
        assert_eq!(raised(|now| now.first_bite = 5), [""; 0]);
    }
}
