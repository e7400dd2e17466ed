//! Batches: each is announced before anything is erased, and each (record, part) of it has one final outcome.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::digest::Digest;
use crate::domain::outcome::Outcome;

#[derive(Debug, Default)]
struct Open {
    index: u64,
    count: u64,
    settled: u64,
    seen: HashSet<Pair>,
    pending: HashSet<Pair>,
}

/// A record's commitment, and the number of a part.
type Pair = (Digest, u64);

/// The batches that are not yet complete: few at any moment.
#[derive(Debug, Default)]
pub(super) struct Batches {
    open: BTreeMap<String, Open>,
    /// The parts that were named, numbered.
    parts: HashMap<String, u64>,
    /// The one that was named last.
    last: (String, u64),
}

impl Batches {
    pub(super) fn intend(&mut self, batch: &str, index: u64, count: u64) -> Result<(), String> {
        if self.open.contains_key(batch) {
            return Err(format!("entry {index} announces {batch} a second time"));
        }
        if count > 0 {
            self.open.insert(batch.into(), Open { index, count, settled: 0, ..Open::default() });
        }
        Ok(())
    }

    pub(super) fn outcome(
        &mut self,
        at: u64,
        batch: &str,
        (record, part): (Digest, &str),
        result: Outcome,
    ) -> Result<(), String> {
        let Some(open) = self.open.get_mut(batch) else {
            return Err(format!(
                "the outcome in entry {at} belongs to {batch}, which is not announced, or complete already"
            ));
        };
        if self.last.0 != part {
            let next = self.parts.len() as u64;
            self.last = (part.into(), *self.parts.entry(part.into()).or_insert(next));
        }
        let pair = (record, self.last.1);
        if result == Outcome::Pending {
            // A final outcome follows it.
            open.pending.insert(pair);
            return Ok(());
        }
        open.pending.remove(&pair);
        if !open.seen.insert(pair) {
            return Err(format!("entry {at} gives a record and part of {batch} a second final outcome"));
        }
        self.settle(at, batch, 1)
    }

    pub(super) fn settle(&mut self, at: u64, batch: &str, count: u64) -> Result<(), String> {
        let Some(open) = self.open.get_mut(batch) else {
            // Outcomes that are `unknown` complete a batch; a person may settle them afterwards.
            return Ok(());
        };
        open.settled = open.settled.saturating_add(count);
        let (settled, announced) = (open.settled, open.count);
        if settled >= announced {
            self.open.remove(batch);
        }
        if settled > announced {
            return Err(format!("with entry {at}, {batch} has more outcomes than the {announced} announced"));
        }
        Ok(())
    }

    pub(super) fn tell(&self, told: &mut Vec<String>) {
        for (batch, open) in &self.open {
            let (missing, count, index) = (open.count - open.settled, open.count, open.index);
            let pending = match open.pending.len() {
                0 => String::new(),
                some => format!(" ({some} of them asked for and not yet done)"),
            };
            told.push(format!(
                "{batch}, announced in entry {index}, is open: {missing} of {count} outcomes are missing{pending}"
            ));
        }
    }
}
