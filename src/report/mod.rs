//! What people and programs read: plans, runs, ledger. Pure: values in, text or JSON out.

pub mod incident;
pub mod json;
pub mod text;
pub mod traces;
pub mod words;
