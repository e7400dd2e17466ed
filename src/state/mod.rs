//! What is not the log: locks, keys, in-flight files, sets of plans, notes. The log is the truth; of these only what
//! can be made again may be deleted.

mod aead;
#[cfg(feature = "systems")]
pub mod inflight;
#[cfg(feature = "systems")]
pub mod items;
mod key_fault;
mod key_id;
pub mod keys;
#[cfg(feature = "systems")]
pub mod lock;
pub mod machine;
#[cfg(feature = "systems")]
pub mod notes;
pub mod quarantine;
#[cfg(feature = "systems")]
pub mod shelf;
#[cfg(feature = "systems")]
pub mod spool;
