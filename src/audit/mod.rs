//! Our own log: entries, tree, signed checkpoints, and a verifier that trusts none of it.
//!
//! The writer ([`log`], [`publish`]) and the verifier ([`verify`]) share only [`entry`], [`tree`], [`tile`] and [`note`].

pub mod commitment;
pub mod entry;
pub mod export;
pub mod fault;
pub mod heads;
pub mod journal;
mod load;
pub mod log;
pub mod note;
pub mod prove;
pub mod publish;
pub mod read;
pub mod tile;
pub mod tree;
pub mod verify;
