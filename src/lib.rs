//! bewaard makes a retention policy true: what is past its term goes, and every purge can be proved to a stranger.
//!
//! One direction, no circles:
//!
//! ```text
//! cli, daemon -> engine -> { connect, audit, state } -> domain      config -> domain      report -> domain, audit::entry
//! ```
//!
//! Start in [`domain::decide`]: why is this erased, and why is that kept?

pub mod audit;
pub mod cli;
pub mod codes;
pub mod config;
#[cfg(feature = "systems")]
pub mod connect;
pub mod crash;
pub mod domain;
pub mod durable;
#[cfg(feature = "systems")]
pub mod engine;
pub mod now;
pub mod random;
pub mod report;
pub mod secret;
pub mod state;
