//! SQL databases: one way of finding and erasing, three engines.
//!
//! [`engine`] is what an engine must give (a session, a dialect, its catalogue); everything above it is written once.

mod absence;
mod actor;
mod candidates;
pub mod catalogue;
mod children;
pub mod connector;
mod copies;
pub mod engine;
mod erase;
mod fault;
mod judge;
mod keep;
mod locate;
mod maps;
pub mod mariadb;
mod memory;
mod nearest;
mod needs;
mod partition;
pub mod postgres;
mod predicate;
mod preselect;
mod probe;
pub mod reads_back;
mod records;
mod relate;
mod resolve;
mod restore;
mod rewrite;
mod schema;
mod search;
mod sessions;
mod span;
pub mod sqlite;
mod sqlite_catalogue;
mod sqlite_dialect;
mod sqlite_traces;
mod statements;
mod strain;
mod tables;
pub mod tls;
mod traces;
mod why;
mod write;
