//! Which points a command passes, as the command itself lists them, and how many of them a tier tries.
#![expect(clippy::unwrap_used, reason = "a test ends here when its command can't be started")]

use std::collections::BTreeMap;
use std::process::Command;

use crate::bench::{Said, said};

/// Every point that this command passes, in order; it does its work.
pub(crate) fn passed(mut command: Command) -> (Said, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("points");
    let said = said(&command.env("BEWAARD_CRASH_LIST", &list).output().unwrap());
    let names = std::fs::read_to_string(&list).unwrap_or_default();
    (said, names.lines().map(String::from).collect())
}

/// The passings at which to kill, as `BEWAARD_CRASH_AT` has them: of each name the first and the last; in the deep tier
/// some between them, in the long tier all.
pub(crate) fn kills(passed: &[String]) -> Vec<String> {
    let mut times = BTreeMap::<&String, usize>::new();
    for name in passed {
        *times.entry(name).or_default() += 1;
    }
    let most = match tier().as_str() {
        "long" => usize::MAX,
        "deep" => 6,
        _ => 2,
    };
    let mut out = Vec::new();
    for (name, times) in times {
        let step = if times <= most { 1 } else { (times - 1).div_ceil(most - 1) };
        let mut chosen: Vec<usize> = (1..=times).step_by(step).collect();
        if chosen.last() != Some(&times) {
            chosen.push(times);
        }
        out.extend(chosen.into_iter().map(|time| format!("{name}#{time}")));
    }
    out
}

/// This much of something: in the normal, the deep and the long tier.
pub(crate) fn by_tier(normal: u64, deep: u64, long: u64) -> u64 {
    match tier().as_str() {
        "long" => long,
        "deep" => deep,
        _ => normal,
    }
}

fn tier() -> String {
    std::env::var("BEWAARD_TEST_TIER").unwrap_or_default()
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// From the seed of the whole test run.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("BEWAARD_TEST_SEED").ok().and_then(|text| text.parse().ok());
        Self(seed.unwrap_or(0x6265_7761_6172_6400))
    }

    /// Numbers of one's own for each of many cases of the test run.
    pub(crate) fn of(case: &[u64]) -> Self {
        let mut dice = Self::new();
        for one in case {
            dice.0 = dice.0.wrapping_mul(31).wrapping_add(*one);
            dice.below(1);
            dice.0 ^= dice.0 >> 29;
        }
        dice
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}
