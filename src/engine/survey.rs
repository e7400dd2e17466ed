//! Looking at every record of a rule, and deciding each: the one walk behind plan, run, ledger and comparison.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::{Engine, EngineError};
use crate::connect::{Connector, Count, Query};
use crate::domain::decide::{Found, Moment, Verdict, decide};
use crate::domain::digest::{MacKey, push_field};
use crate::domain::gate::least_for_share;
use crate::domain::hold::Holds;
use crate::domain::id::PartId;
use crate::domain::plan::Survey;
use crate::domain::rule::{Part, Rule};
use crate::domain::value::{Key, record_bytes};
use crate::state::spool::Mark;

/// Records in one page of a walk.
pub const PAGE: usize = 2_000;

/// Told how far a walk is.
pub trait Progress: Sync {
    /// So many records were looked at or purged, of about so many.
    fn at(&self, what: &str, done: u64, of: u64);
    /// Something that a person should hear while it goes on.
    fn say(&self, _text: &str) {}
    /// Whether somebody asked to stop.
    fn stop(&self) -> bool {
        false
    }
    /// Whether somebody asked to pause everything, by a signal.
    fn pause(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn at(&self, _what: &str, _done: u64, _of: u64) {}
}

/// How many (record, part) pairs have been due since each day: to purge the oldest first.
pub type DueDays = BTreeMap<NaiveDate, u64>;

/// What a whole walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// Counted.
    pub survey: Survey,
    /// Records by the day since which they have been due.
    pub days: DueDays,
}

/// The mark of one (record, part) in a plan's set.
pub fn mark(key: &MacKey, rule: &Rule, collection: &str, record: &Key, part: &PartId) -> Mark {
    let mut bytes = record_bytes(&rule.system, collection, record);
    push_field(&mut bytes, b'P', part.as_str().as_bytes());
    key.mac16(&bytes)
}

/// Is handed each record with its verdicts.
pub type Each<'a> = dyn FnMut(&Found, &[Verdict]) -> Result<(), EngineError> + Send + 'a;

/// Which records a walk hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Every one that the rule selects.
    All,
    /// Those that may be due. The others are counted by the system where it can tell that they are plainly not yet due.
    MayBeDue,
    /// The same. How many there are in all is the system's own estimate where that can change no verdict.
    Daily,
    /// Those that may be due, for one who asks for nothing else: nothing is counted.
    OnlyDue,
}

/// A smaller collection is counted to the last record.
const SMALL: u64 = 100_000;
/// An estimate may be wrong by this much before a verdict could be another.
const DOUBT: u64 = 4;

/// How many records there are, as far as it was asked beside the first page.
enum Total {
    Counted(Count),
    About(u64),
    NotAsked,
}

impl Total {
    /// How many there are, as far as this walk wants to know.
    async fn ask(
        connector: &dyn Connector,
        rule: &Rule,
        reach: Reach,
        due_by: Option<Moment>,
    ) -> Result<Self, EngineError> {
        match (reach, due_by) {
            (Reach::OnlyDue, _) => return Ok(Self::NotAsked),
            (Reach::Daily, Some(moment)) => {
                if let Some(about) = connector.about(rule, moment).await?.filter(|about| *about >= SMALL) {
                    return Ok(Self::About(about));
                }
            }
            _ => {}
        }
        Ok(Self::Counted(connector.count(rule, due_by).await?))
    }

    fn of(&self) -> u64 {
        match self {
            Self::Counted(count) => count.all,
            Self::About(about) => *about,
            Self::NotAsked => 0,
        }
    }

    /// Counts what was left out. An estimate stands only where there certainly are as many records as a verdict wants.
    async fn settle(
        &self,
        connector: &dyn Connector,
        rule: &Rule,
        due_by: Option<Moment>,
        seen: u64,
        survey: &mut Survey,
    ) -> Result<(), EngineError> {
        let count = match self {
            Self::NotAsked => return Ok(()),
            Self::Counted(count) => *count,
            Self::About(about) => {
                let least = least_for_share(&rule.limits, survey).max(seen);
                if least <= *about / DOUBT && connector.has(rule, least).await? {
                    (survey.of, survey.about) = (*about, true);
                    survey.add_left_out(rule, about - seen, 0);
                    return Ok(());
                }
                connector.count(rule, due_by).await?
            }
        };
        survey.of = count.all;
        if due_by.is_some() {
            survey.add_left_out(rule, count.selected.saturating_sub(seen), count.protected);
        }
        Ok(())
    }
}

impl Reach {
    /// The moment at which the system leaves records out. A hold binds also what is not due, and fields may be in final form
    /// long before: there each record is asked.
    fn due_by(self, rule: &Rule, holds: &Holds, moment: Moment) -> Option<Moment> {
        let told_apart = holds.is_empty() && rule.parts.iter().all(Part::is_record);
        (self != Self::All && told_apart).then_some(moment)
    }
}

/// Walks over the selected records and hands each with its verdicts to `each`.
pub async fn walk(
    connector: &dyn Connector,
    rule: &Rule,
    moment: Moment,
    holds: &Holds,
    reach: Reach,
    progress: &dyn Progress,
    each: &mut Each<'_>,
) -> Result<Walked, EngineError> {
    let due_by = reach.due_by(rule, holds, moment);
    let query = Query { rule, due_by, identities: !holds.is_empty(), limit: PAGE };
    let mut walked = Walked::default();
    let (mut after, mut seen, mut total) = (None, 0u64, None);
    let counts_children = matches!(&rule.selection, crate::domain::selection::Selection::Sql(_));
    loop {
        let page = connector.find(&query, after.as_ref()).await?;
        let total = match &mut total {
            Some(total) => total,
            // Behind the first page: by then the system's catalogue was read, once.
            none => none.insert(Total::ask(connector, rule, reach, due_by).await?),
        };
        let mut going = Vec::new();
        for found in &page.found {
            let verdicts = decide(rule, found, holds, moment);
            walked.survey.add(rule, &verdicts);
            let due = rule.parts.iter().zip(&verdicts).filter_map(|(part, verdict)| match verdict {
                Verdict::Due(day) => Some((part.is_record(), *day)),
                Verdict::Kept(_) | Verdict::Settled => None,
            });
            let mut oldest: Option<NaiveDate> = None;
            for (whole, day) in due {
                oldest = Some(oldest.map_or(day, |old| old.min(day)));
                if whole {
                    going.push(found.key.clone());
                }
            }
            if let Some(day) = oldest {
                *walked.days.entry(day).or_default() += 1;
            }
            each(found, &verdicts)?;
        }
        if counts_children && !going.is_empty() {
            for (table, count) in connector.dependants(rule, &going).await? {
                *walked.survey.children.entry(table).or_default() += count;
            }
        }
        seen += page.found.len() as u64;
        progress.at(rule.id.as_str(), seen, total.of().max(seen));
        after = page.next;
        if after.is_none() {
            let left_out_by = due_by.filter(|_| page.narrowed);
            total.settle(connector, rule, left_out_by, seen, &mut walked.survey).await?;
            return Ok(walked);
        }
        if progress.stop() {
            return Err(EngineError::Stopped);
        }
    }
}

impl Engine {
    /// Walks with this engine's holds, for those who only want the counts.
    pub async fn count_due(&mut self, rule: &Rule, moment: Moment) -> Result<Walked, EngineError> {
        let connector = self.system(&rule.system)?;
        walk(connector.as_ref(), rule, moment, &self.holds, Reach::MayBeDue, &Silent, &mut |_, _| Ok(())).await
    }
}
