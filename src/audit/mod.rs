//! Our own log: entries, tree, signed checkpoints, and a verifier that trusts none of it.

pub mod entry;
