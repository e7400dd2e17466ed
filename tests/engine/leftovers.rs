//! Leftovers of other erasers, by the rules of the shipped example.

use crate::bench::Bench;

const EXAMPLE: &str = include_str!("../../config/examples/leftovers.toml");

/// Customer 1 lives, 2 was marked long ago, 3 was marked yesterday's week, 4 was emptied in place, 5 was taken away whole.
const SCHEMA: &str = "
create table customers (id integer primary key, email text, deleted_at text);
create table addresses (id integer primary key, customer_id integer, street text, changed_at text);
create table customer_lookup (id integer primary key, customer_id integer, email_lower text, changed_at text);
create index customers_deleted on customers(deleted_at);
create index addresses_customer on addresses(customer_id);
create index addresses_changed on addresses(changed_at);
create index lookup_changed on customer_lookup(changed_at);
create index lookup_email on customer_lookup(email_lower);
insert into customers values (1, 'Een@x.nl', null), (2, 'Twee@x.nl', '2020-01-01'), (3, 'Drie@x.nl', date('now', '-7 days')), (4, null, null);
insert into addresses select id, id, 'x', '2020-01-01' from customers union all select 5, 5, 'x', '2020-01-01';
insert into customer_lookup values (1, 1, 'een@x.nl', '2020-01-01'), (2, 2, 'twee@x.nl', '2020-01-01'),
  (3, 3, 'drie@x.nl', '2020-01-01'), (4, 4, 'vier@x.nl', '2020-01-01'), (5, 5, 'vijf@x.nl', '2020-01-01');
";

#[test]
fn what_other_programs_leave_is_declared_found_and_finished() {
    let bench = Bench::over("sqlite.path = \"shop.db\"", "");
    bench.sql(SCHEMA);
    let system = EXAMPLE.lines().find(|line| line.starts_with("mariadb")).unwrap();
    let own = "sqlite.path = \"shop.db\"\n\n[state]\npath = \"state\"\n\n[log]\npath = \"log\"";
    bench.write("bewaard.toml", &EXAMPLE.replace(system, own));
    bench.bewaard(&["check"]).ends(0);
    bench.approve_all();
    let due = |rule: &str| {
        let plans = bench.bewaard(&["plan", rule, "--json"]).ends(0).json();
        plans["plans"][0]["due"].as_u64().unwrap()
    };
    assert_eq!(["marked-customers", "orphaned-addresses", "forgotten-lookups"].map(due), [1, 1, 4]);

    // The rules run in the order of their names: the lookups go first, so nothing of customer 2 is left.
    bench.bewaard(&["run"]).ends(0);
    let left = |table: &str| bench.number(&format!("select coalesce(sum(1 << id), 0) from {table}"));
    assert_eq!(["customers", "addresses", "customer_lookup"].map(left), [0b11010, 0b11010, 0b10]);
    assert_eq!(bench.bewaard(&["status", "--json"]).ends(0).json()["state"], "green");
    bench.verified();
}
