//! Looking for what is left of a batch after it was purged.

use std::collections::BTreeMap;

use super::Item;
use crate::domain::id::BatchId;
use crate::domain::outcome::Receipt;
use crate::domain::rule::Rule;

/// A look for what is left of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The batch.
    pub batch: &'a BatchId,
    /// Its rule.
    pub rule: &'a Rule,
    /// Its records.
    pub items: &'a [Item],
    /// What became of them.
    pub receipts: &'a [Receipt],
    /// Every rule of the system: what one of them accounts for is not left behind.
    pub rules: &'a [&'a Rule],
}

impl<'a> Look<'a> {
    /// How many records something was purged of. The receipts of a record follow each other.
    pub fn count(&self) -> u64 {
        let purged = self.receipts.iter().filter(|receipt| receipt.outcome.is_purge());
        let (count, _) = purged.fold((0, None), |(count, last), receipt| {
            (count + u64::from(last != Some(receipt.item)), Some(receipt.item))
        });
        count
    }

    /// The records of which something was purged, once each, with those of their parts.
    pub fn purged(&self) -> Vec<Item> {
        let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for receipt in self.receipts.iter().filter(|receipt| receipt.outcome.is_purge()) {
            parts.entry(receipt.item).or_default().push(receipt.part);
        }
        let item = |(place, parts): (usize, Vec<usize>)| {
            let item: &'a Item = self.items.get(place)?;
            Some(Item { key: item.key.clone(), fingerprint: item.fingerprint, parts })
        };
        parts.into_iter().filter_map(item).collect()
    }
}

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absence {
    /// Records that are there again by their own key, or no longer in final form.
    pub back: u64,
    /// What is left elsewhere, by place (`table.column`, `child rows of table`), counted.
    pub left: BTreeMap<String, u64>,
    /// Records that were looked for by every path.
    pub looked: u64,
    /// Records of which only the keys were looked for, since their old values were not known, or nothing at all.
    pub unlooked: u64,
    /// Why nothing could be looked for, where that failed.
    pub failure: Option<String>,
}

impl Absence {
    /// Whether everything was looked for, and nothing found.
    pub fn absent(&self) -> bool {
        self.unlooked == 0 && !self.found()
    }

    /// Whether something was found.
    pub fn found(&self) -> bool {
        self.back > 0 || !self.left.is_empty()
    }

    /// Adds what another look found.
    pub fn merge(&mut self, other: &Self) {
        self.back += other.back;
        self.looked += other.looked;
        self.unlooked += other.unlooked;
        if self.failure.is_none() {
            self.failure.clone_from(&other.failure);
        }
        for (place, count) in &other.left {
            *self.left.entry(place.clone()).or_default() += count;
        }
    }
}
