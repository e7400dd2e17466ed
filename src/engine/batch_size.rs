//! How many records the next batch takes: as many as the last one's own time allows.
//!
//! A batch is one transaction. While it runs its locks are held and other programs may wait for them, so it is kept short;
//! what each batch costs by itself (a few round trips, two times to the disk) is paid once for all of its records, so it
//! is kept full.

use std::time::Duration;

use crate::domain::brake::Pace;

/// Records of the first batch, before anything is known of the system.
const FIRST: usize = 500;
/// Never fewer: below it a batch costs more by itself than its records do.
const LEAST: usize = 50;
/// Never more: what is in flight is kept in memory and looked at again after a crash.
const MOST: usize = 5_000;

/// The size of the next batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchSize(usize);

impl BatchSize {
    /// Before the first batch.
    pub(super) fn first() -> Self {
        Self(FIRST)
    }

    /// How many records.
    pub(super) fn get(self) -> usize {
        self.0
    }

    /// After a batch of so many records, whose transaction took so long. One that was not full makes none larger. A batch grows
    /// as long as it stays below the time that its pace wants. One that takes too long is felt: the next is half of it. Between
    /// the two nothing changes, for much of a batch's time may be what it costs by itself, and fewer records would only make
    /// more batches of it.
    pub(super) fn learn(&mut self, records: usize, took: Duration, pace: Pace) {
        let (wanted, long) = pace.batch_time();
        if took > long {
            self.0 = (self.0 / 2).max(LEAST);
        } else if records >= self.0 && took * 2 <= wanted {
            self.0 = (self.0 * 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(batches: &[(usize, u64)]) -> usize {
        at(Pace::Gentle, batches)
    }

    fn at(pace: Pace, batches: &[(usize, u64)]) -> usize {
        let mut size = BatchSize::first();
        for (records, millis) in batches {
            size.learn(*records, Duration::from_millis(*millis), pace);
        }
        size.get()
    }

    #[test]
    fn a_maintenance_window_takes_longer_batches() {
        assert_eq!((after(&[(500, 400)]), at(Pace::Fast, &[(500, 400)])), (500, 1_000));
        assert_eq!((after(&[(500, 4_000)]), at(Pace::Fast, &[(500, 4_000)])), (250, 500));
        assert_eq!(at(Pace::Fast, &[(500, 5_001)]), 250);
    }

    #[test]
    fn a_quick_system_gets_larger_batches_and_a_slow_one_smaller_ones() {
        assert_eq!(after(&[]), FIRST);
        assert_eq!(after(&[(500, 10)]), 1_000);
        assert_eq!(after(&[(500, 10), (1_000, 20), (2_000, 40), (4_000, 50)]), MOST);
        assert_eq!(after(&[(500, 51)]), FIRST, "twice as many would take too long");
        assert_eq!(after(&[(500, 1_000)]), FIRST, "fewer would only make more batches");
        assert_eq!(after(&[(500, 1_001)]), 250);
        assert_eq!(after(&[(500, 9_000), (250, 9_000), (125, 9_000), (62, 9_000), (50, 9_000)]), LEAST);
    }

    #[test]
    fn a_batch_that_was_not_full_makes_none_larger() {
        assert_eq!(after(&[(3, 1)]), FIRST);
        assert_eq!(after(&[(0, 0)]), FIRST);
        assert_eq!(after(&[(3, 1_001)]), 250, "but one that took long makes the next smaller");
    }
}
