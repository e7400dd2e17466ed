//! Why one record goes or stays: every ground, its clock, its term and its day.

use chrono::NaiveDate;

use super::{Engine, EngineError};
use crate::connect::Query;
use crate::domain::decide::{Found, GroundVerdict, Moment, Verdict, decide, judge_ground};
use crate::domain::rule::Rule;
use crate::domain::value::Key;

/// What one record's decision rests on.
#[derive(Debug)]
pub struct Explanation {
    /// The record as it was found; `None` when the rule's selection does not have it.
    pub found: Option<Found>,
    /// Each part's verdict and its grounds'.
    pub parts: Vec<PartExplained>,
}

/// One part.
#[derive(Debug)]
pub struct PartExplained {
    /// Its name.
    pub part: String,
    /// Goes or stays.
    pub verdict: Verdict,
    /// Each ground: its name, what it says, its term and its reason.
    pub grounds: Vec<(String, GroundVerdict, String)>,
}

impl Engine {
    /// Explains one record, found by its key.
    pub async fn explain(&mut self, rule: &Rule, key: &Key, today: NaiveDate) -> Result<Explanation, EngineError> {
        let connector = self.system(&rule.system)?;
        let moment = Moment { today, year: self.loaded.policy.year };
        let mut after = None;
        loop {
            let query = Query { rule, due_by: None, identities: true, limit: super::survey::PAGE };
            let page = connector.find(&query, after.as_ref()).await?;
            if let Some(found) = page.found.into_iter().find(|found| found.key == *key) {
                let verdicts = decide(rule, &found, &self.holds, moment);
                let parts = rule.parts.iter().zip(verdicts).map(|(part, verdict)| PartExplained {
                    part: part.id.to_string(),
                    verdict,
                    grounds: part
                        .grounds
                        .iter()
                        .map(|ground| {
                            let says = judge_ground(rule, ground, &found.clocks, moment);
                            (ground.id.to_string(), says, format!("{}: {}", ground.keep, ground.because))
                        })
                        .collect(),
                });
                let parts = parts.collect();
                return Ok(Explanation { found: Some(found), parts });
            }
            after = page.next;
            if after.is_none() {
                return Ok(Explanation { found: None, parts: Vec::new() });
            }
        }
    }
}
