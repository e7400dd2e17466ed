//! The command line: one file per command.

#[cfg(feature = "systems")]
pub mod demo;
