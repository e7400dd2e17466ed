//! The whole way with the real binary on SQLite.
#![expect(clippy::unwrap_used, reason = "a test ends where its bench can't be used")]

#[path = "../support/bench.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod bench;
#[path = "../support/paused.rs"]
mod paused;
#[path = "../support/settled.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod settled;
#[path = "../support/started.rs"]
mod started;

mod absence;
mod blast;
mod brakes;
mod commands;
mod crash;
mod customers;
mod demo;
mod forged;
mod forms;
mod hostile;
mod leftovers;
mod log;
mod pause;
mod purge;

/// A path as a command that is printed has it.
fn quoted(path: &std::path::Path) -> String {
    bewaard::domain::shell::path(path)
}
mod traces;
mod traps;
mod undo;
