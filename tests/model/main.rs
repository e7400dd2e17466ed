//! Against a model: random tables, rules and rows, planned and run by the real binary on each engine, and held against
//! an independent model of what DESIGN.md and the reference configuration say. What a plan counts, what a run reports
//! and every value of every row afterwards must be the model's; a preview over a copy must be the plan.
//!
//! A case that differs is printed whole. It is repeated by the seed, and alone by `BEWAARD_TEST_CASE=N` besides.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its case can't be made")]
#![expect(clippy::print_stdout, reason = "a case that differs is printed whole")]

#[path = "../support/bench.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod bench;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/sweep.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod sweep;

mod asked;
mod calendar;
mod case;
mod clocks;
mod condition;
mod data;
mod draw;
mod engines;
mod family;
mod fields;
mod found;
mod oracle;
mod purge;
mod rules;
mod schema;
mod texts;
mod value;

use chrono_tz::Tz;
use engines::Engine;

/// Zones of a policy and of clocks.
const ZONES: [Tz; 7] = [
    Tz::Europe__Amsterdam,
    Tz::UTC,
    Tz::America__New_York,
    Tz::Pacific__Auckland,
    Tz::Asia__Kolkata,
    Tz::Pacific__Kiritimati,
    Tz::America__St_Johns,
];

#[test]
fn sqlite_does_what_the_model_says() {
    case::all(Engine::Sqlite);
}

#[test]
fn mariadb_does_what_the_model_says() {
    case::all(Engine::Mariadb);
}

#[test]
fn postgres_does_what_the_model_says() {
    case::all(Engine::Postgres);
}
