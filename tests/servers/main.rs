//! The whole way with the real binary on real servers: the same scenarios on MariaDB and PostgreSQL.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its bench can't be used")]

#[path = "../support/bench.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod bench;
#[path = "../support/paused.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod paused;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/settled.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod settled;
#[path = "../support/started.rs"]
mod started;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/sweep.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod sweep;

/// One test for each server; the server's name is in the test's, so that the quick tier leaves it out.
macro_rules! on_both {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        mod mariadb {
            $($(#[$doc])* #[test] fn $name() { super::$name($crate::support::servers::Kind::Mariadb); })*
        }
        mod postgres {
            $($(#[$doc])* #[test] fn $name() { super::$name($crate::support::servers::Kind::Postgres); })*
        }
    };
}

mod firm;
mod proxy;

mod aloft;
mod brakes;
mod crash;
mod daily;
mod failover;
mod locks;
mod lost;
mod partitions;
mod predicates;
mod random_kills;
mod rights;
mod spans;
mod traces;
mod undo;
mod untidy;
mod whole;
mod why;
mod windows;
