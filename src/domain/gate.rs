//! The gate: whether a plan may run, waits for a person, or is refused.

use serde::{Deserialize, Serialize};

use super::plan::Survey;
use super::rule::{Limits, WHOLE_SHARE};

/// A limit that refuses a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Too large a share of the collection.
    Share,
    /// Too many.
    Max,
    /// Too many compared with the plans before.
    Change,
}

impl Limit {
    /// Its word in TOML and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Max => "max",
            Self::Change => "change",
        }
    }
    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Share, Self::Max, Self::Change].into_iter().find(|limit| limit.word() == word)
    }
}

/// Where a plan stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Gate {
    /// It may run.
    Open,
    /// It waits for a person's approval.
    NeedsApproval {
        /// Limits that were raised since the last approval, by their keys; where it is nothing else that waits.
        raised: Vec<String>,
    },
    /// It is over these limits and goes only by `approve PLAN --beyond ...`.
    Refused {
        /// Which.
        limits: Vec<Limit>,
    },
    /// The rule is frozen: somebody must look and `resume` it.
    Frozen {
        /// Why, without a value or a name of a person.
        why: String,
    },
    /// Everything is paused: somebody must `resume`.
    Paused,
    /// A look into another day or another policy; nothing can be approved.
    Preview,
}

/// The limits that this survey is over. `earlier` holds the due counts of the last settled plans.
pub fn over_limits(limits: &Limits, survey: &Survey, earlier: &[u64]) -> Vec<Limit> {
    let mut over = Vec::new();
    let most = survey.due;
    // Parts of one record are counted apart, so the share is that of the part with the most.
    let records = survey.due_by_part.values().copied().max().unwrap_or(0);
    if let Some(share) = limits.share
        && u128::from(records) * u128::from(WHOLE_SHARE) > u128::from(survey.of) * u128::from(share)
    {
        over.push(Limit::Share);
    }
    if limits.max.is_some_and(|max| most > max) {
        over.push(Limit::Max);
    }
    if let (Some(times), Some(largest)) = (limits.change, earlier.iter().rev().take(5).max())
        && most > largest.saturating_mul(times).max(10)
    {
        over.push(Limit::Change);
    }
    over
}

/// How many records there must be at least, so that what is due is within the share.
pub fn least_for_share(limits: &Limits, survey: &Survey) -> u64 {
    let records = survey.due_by_part.values().copied().max().unwrap_or(0);
    match limits.share {
        None => 0,
        Some(_) if records == 0 => 0,
        Some(0) => u64::MAX,
        Some(share) => {
            let least = (u128::from(records) * u128::from(WHOLE_SHARE)).div_ceil(u128::from(share));
            u64::try_from(least).unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::PartId;

    fn survey(due: u64, of: u64) -> Survey {
        Survey { due, of, due_by_part: [(PartId::record(), due)].into(), ..Survey::default() }
    }

    #[test]
    fn the_least_for_a_share_is_within_it_and_one_less_is_not() {
        for (share, due) in [(10_000, 10), (1, 1), (33_333, 7), (100_000, 5), (99_999, 100_000)] {
            let limits = Limits { share: Some(share), ..Limits::default() };
            let least = least_for_share(&limits, &survey(due, 0));
            assert_eq!(over_limits(&limits, &survey(due, least), &[]), [], "{due} of {least}");
            assert_eq!(over_limits(&limits, &survey(due, least - 1), &[]), [Limit::Share], "{due} of {least} less one");
        }
        let least = |share, due| least_for_share(&Limits { share, ..Limits::default() }, &survey(due, 0));
        assert_eq!((least(None, 9), least(Some(5), 0), least(Some(0), 0), least(Some(0), 1)), (0, 0, 0, u64::MAX));
    }

    #[test]
    fn limits_refuse_what_is_over_them_and_nothing_else() {
        let limits = Limits { per_run: 1, share: Some(10_000), max: Some(50), change: Some(3), ..Limits::default() };
        assert_eq!(over_limits(&limits, &survey(10, 100), &[]), []);
        assert_eq!(over_limits(&limits, &survey(11, 100), &[]), [Limit::Share]);
        assert_eq!(over_limits(&limits, &survey(51, 1000), &[]), [Limit::Max]);
        assert_eq!(over_limits(&limits, &survey(40, 1000), &[5, 13]), [Limit::Change]);
        assert_eq!(over_limits(&limits, &survey(39, 1000), &[5, 13]), []);
        assert_eq!(over_limits(&limits, &survey(9, 1000), &[1]), [], "ten and fewer are no abnormal change");
        assert_eq!(over_limits(&limits, &survey(0, 0), &[]), []);
        assert_eq!(over_limits(&limits, &survey(1, 0), &[]), [Limit::Share]);
    }
}
