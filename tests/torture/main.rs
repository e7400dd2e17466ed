//! Kills at every point that each command passes (`stories`), and a power cut at every system call (`power`): what the real binary did to its files is traced, and for each moment of it the
//! files are put back as a disk could have them, once with everything that was written and once with only what was
//! synced. From each such state the way forward must work, and log and database agree to the record.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its bench can't be used")]

#[path = "../support/bench.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod bench;
mod disk;
mod power;
#[path = "../support/random.rs"]
mod random;
mod random_kills;
#[path = "../support/settled.rs"]
mod settled;
mod stories;
#[path = "../support/sweep.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod sweep;
mod trace;
