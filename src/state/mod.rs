//! What is not the log: locks, keys, in-flight files, sets of plans, notes. The log is the truth; of these only what
//! can be made again may be deleted.

#[cfg(feature = "systems")]
pub mod inflight;
pub mod keys;
#[cfg(feature = "systems")]
pub mod lock;
#[cfg(feature = "systems")]
pub mod notes;
#[cfg(feature = "systems")]
pub mod spool;
