//! Partitions that go whole: what they are, what is read of them, and what it takes to drop one.

use chrono::NaiveDate;
use zeroize::Zeroizing;

use crate::domain::decide::Found;
use crate::domain::id::BatchId;
use crate::domain::rule::Rule;
use crate::domain::selection::TableName;

/// A partition of a rule's table: a range of the rule's clock that has an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: TableName,
    /// Which one it is, and of which range, as the system has it: a partition of the same name may be another.
    pub is: String,
    /// The last day that its range reaches.
    pub last_day: NaiveDate,
    /// About how many rows it has.
    pub rows: u64,
}

/// Some records of a partition, all of them at the same moment, in the order of their keys.
pub struct Pile {
    /// The records.
    pub found: Vec<Found>,
    /// Their values that are looked for afterwards, in the connector's own form. They are personal data.
    pub old: Zeroizing<Vec<u8>>,
}

/// Takes piles; false: no more are wanted, for something in the partition stays.
pub type TakePile<'a> = dyn FnMut(Pile) -> bool + Send + 'a;

/// Which versions of which rows a partition held when it was read, in the connector's own form: another row, or the same
/// one changed, makes it another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions(pub String);

/// A partition that is to be dropped.
#[derive(Debug, Clone, Copy)]
pub struct Dropping<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The partition.
    pub partition: &'a Partition,
    /// What it held when its records were judged.
    pub versions: &'a Versions,
    /// The batches that its records are intended in.
    pub batches: &'a [BatchId],
}
