//! Random kills on SQLite.

use crate::bench::Bench;
use crate::random::{RULE, customers, kill_at_random};

#[test]
fn kills_at_random_beside_a_writer_lose_nothing_and_take_nothing_that_became_younger() {
    let schema = format!(
        "create table customers (id integer primary key, last_login text);
         create table orders (id integer primary key, customer_id integer references customers(id));
         create index orders_customer on orders(customer_id);
         create index customers_login on customers(last_login);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {})
         insert into customers select i, case when i % 2 = 0 then '2019-05-06' else '2026-10-01' end from n;
         insert into orders select id, id from customers;",
        customers()
    );
    let bench = Bench::new(RULE, &schema);
    bench.approve_all();
    kill_at_random(&bench, &|id| {
        bench.changed(&format!("update customers set last_login = '2026-11-01' where id = {id}")) == 1
    });
}
