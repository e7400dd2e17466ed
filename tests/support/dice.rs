//! Random choices that are the same for the same seed, and how many of them a tier makes.

/// This much of something: in the normal, the deep and the long tier.
pub(crate) fn by_tier(normal: u64, deep: u64, long: u64) -> u64 {
    match tier().as_str() {
        "long" => long,
        "deep" => deep,
        _ => normal,
    }
}

/// The tier of the test run.
pub(crate) fn tier() -> String {
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
