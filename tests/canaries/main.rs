//! Canaries: planted addresses, phones, names, accounts and keys are searched in everything that the program prints and
//! keeps, through its whole life, on each engine.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its bench can't be used")]

#[path = "../support/bench.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod bench;
#[path = "../support/canaries.rs"]
mod canaries;
#[path = "../support/paused.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod paused;
#[path = "../support/mod.rs"]
mod support;

mod cores;
mod life;
mod search;
mod shop;
mod statements;

use shop::Place;
use support::servers::Kind;

#[test]
fn t22_no_value_is_printed_or_kept_on_sqlite() {
    life::live(Place::Sqlite);
}

#[test]
fn t22_no_value_is_printed_or_kept_on_mariadb() {
    life::live(Place::Server(Kind::Mariadb));
}

#[test]
fn t22_no_value_is_printed_or_kept_on_postgres() {
    life::live(Place::Server(Kind::Postgres));
}
