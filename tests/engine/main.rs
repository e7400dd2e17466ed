//! The whole way with the real binary on SQLite.
#![expect(clippy::unwrap_used, reason = "a test ends where its bench can't be used")]

#[path = "../support/bench.rs"]
mod bench;

mod commands;
mod crash;
mod hostile;
mod purge;
