//! Random kills on the servers.

use crate::bench::Bench;
use crate::firm::{Firm, by_kind, tables};
use crate::random::{customers, kill_at_random, short_runs};
use crate::settled::Firmlike;
use crate::support::servers::Kind;

on_both!(kills_at_random_beside_a_writer_lose_nothing_and_take_nothing_that_became_younger);

impl Firmlike for Firm {
    fn bench(&self) -> &Bench {
        self
    }
    fn ask(&self, sql: &str) -> u64 {
        self.count(sql)
    }
}

fn kills_at_random_beside_a_writer_lose_nothing_and_take_nothing_that_became_younger(kind: Kind) {
    let firm = Firm::new(kind, &short_runs(), &tables(kind, u32::try_from(customers()).unwrap())).approved();
    kill_at_random(&firm, &|id| {
        let younger = format!("update customers set last_login = timestamp '2026-11-01 10:00:00' where id = {id}");
        firm.count(&by_kind(
            kind,
            format!("{younger}; select row_count()"),
            format!("with done as ({younger} returning 1) select count(*) from done"),
        )) == 1
    });
}
