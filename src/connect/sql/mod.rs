//! SQL databases: one way of finding and erasing, three engines.
//!
//! [`engine`] is what an engine must give (a session, a dialect, its catalogue); everything above it is written once.

pub mod catalogue;
pub mod engine;
