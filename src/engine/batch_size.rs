//! How many records the next batch takes: as many as the last one's own time allows.
//!
//! A batch is one transaction. While it runs its locks are held and other programs may wait for them, so it is kept short;
//! what each batch costs by itself (a few round trips, two times to the disk) is paid once for all of its records, so it
//! is kept full.

use std::time::Duration;

/// Records of the first batch, before anything is known of the system.
const FIRST: usize = 500;
/// Never fewer: below it a batch costs more by itself than its records do.
const LEAST: usize = 50;
/// Never more: what is in flight is kept in memory and looked at again after a crash.
const MOST: usize = 5_000;
/// The time that the transaction of a batch should take.
const WANTED: Duration = Duration::from_millis(100);

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

    /// After a batch of so many records, whose transaction took so long. One batch says little, so the size changes by
    /// half or double at most. One that was not full says something only where even that took too long.
    pub(super) fn learn(&mut self, records: usize, took: Duration) {
        if records < self.0 && took <= WANTED {
            return;
        }
        let fits = (records as u128).saturating_mul(WANTED.as_micros()) / took.as_micros().max(1);
        let fits = usize::try_from(fits).unwrap_or(MOST);
        self.0 = fits.clamp(self.0 / 2, self.0.saturating_mul(2)).clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(batches: &[(usize, u64)]) -> usize {
        let mut size = BatchSize::first();
        for (records, millis) in batches {
            size.learn(*records, Duration::from_millis(*millis));
        }
        size.get()
    }

    #[test]
    fn a_quick_system_gets_larger_batches_and_a_slow_one_smaller_ones() {
        assert_eq!(after(&[]), FIRST);
        assert_eq!(after(&[(500, 10)]), 1_000, "double at most");
        assert_eq!(after(&[(500, 10), (1_000, 20), (2_000, 40), (4_000, 80)]), MOST);
        assert_eq!(after(&[(500, 200)]), 250);
        assert_eq!(after(&[(500, 10_000)]), 250, "half at most");
        assert_eq!(after(&[(500, 10_000), (250, 10_000), (125, 10_000), (62, 10_000), (50, 10_000)]), LEAST);
        assert_eq!(after(&[(500, 125)]), 400, "just as many as fit");
    }

    #[test]
    fn a_batch_that_was_not_full_makes_none_larger() {
        assert_eq!(after(&[(3, 1)]), FIRST);
        assert_eq!(after(&[(3, 1_000)]), 250, "but one that took long makes the next smaller");
        assert_eq!(after(&[(0, 0)]), FIRST);
    }
}
