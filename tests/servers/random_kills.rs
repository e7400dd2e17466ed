//! Random kills on the servers.

use crate::bench::Bench;
use crate::firm::{Firm, by_kind, numbers};
use crate::random::{RULE, customers, kill_at_random};
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
    let moment = by_kind(kind, "datetime", "timestamp");
    let numbers = numbers(kind, u32::try_from(customers()).unwrap());
    let schema = format!(
        "create table customers (id int primary key, last_login {moment});
         create index c_login on customers(last_login);
         create table orders (id int primary key, customer_id int not null, foreign key (customer_id) references customers(id));
         create index o_customer on orders(customer_id);
         insert into customers select i, case when i % 2 = 0 then timestamp '2019-05-06 10:00:00' \
           else timestamp '2026-10-01 10:00:00' end from {numbers};
         insert into orders select i, i from {numbers};"
    );
    let firm = Firm::new(kind, RULE, &schema).approved();
    kill_at_random(&firm, &|id| {
        let younger = format!("update customers set last_login = timestamp '2026-11-01 10:00:00' where id = {id}");
        firm.count(&by_kind(
            kind,
            format!("{younger}; select row_count()"),
            format!("with done as ({younger} returning 1) select count(*) from done"),
        )) == 1
    });
}
