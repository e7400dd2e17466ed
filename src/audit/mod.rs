//! Our own log: entries, tree, signed checkpoints, and a verifier that trusts none of it.
//!
//! The writer ([`log`], [`publish`]) and the verifier ([`verify`]) share only [`entry`], [`tree`], [`tile`] and [`note`],
//! and how a file is opened.

pub mod commitment;
pub mod entry;
pub mod export;
pub mod fault;
pub mod heads;
pub mod journal;
mod load;
pub mod log;
pub mod note;
pub mod outside;
pub mod prove;
pub mod publish;
pub mod read;
mod regular;
pub mod tile;
pub mod tree;
pub mod verify;
