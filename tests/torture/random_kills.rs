//! Random kills on SQLite.

use crate::bench::Bench;
use crate::random::{customers, kill_at_random, short_runs};
use crate::settled::tables;

#[test]
fn kills_at_random_beside_a_writer_lose_nothing_and_take_nothing_that_became_younger() {
    let bench = Bench::new(&short_runs(), &tables(customers()));
    bench.approve_all();
    kill_at_random(&bench, &|id| {
        bench.changed(&format!("update customers set last_login = '2026-11-01' where id = {id}")) == 1
    });
}
