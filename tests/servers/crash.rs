//! kill -9 of the real binary at every named point, on real servers: afterwards log and database agree to the record.

use crate::bench::said;
use crate::firm::{Firm, by_kind, numbers, outcomes};
use crate::lost::create_batch_table;
use crate::support::servers::Kind;
use crate::sweep::{kills, passed};

on_both!(
    a_kill_at_any_point_of_a_run_loses_nothing_and_claims_nothing,
    a_kill_in_the_second_batch_leaves_the_first_alone,
    with_a_batch_table_a_committed_batch_is_ours,
    recovery_itself_may_be_killed,
    a_kill_between_anonymised_records_is_settled_by_their_final_form,
);

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
children = [{ table = "orders", on = "customer_id" }]
then.delete = true
limits = { share = "100 %", first-bite = 0 }
"#;

const FIELDS: &str = r#"[rule.fields]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
then.anonymise = { email = { template = "weg-{key}@example.invalid" } }
limits = { share = "100 %", first-bite = 0 }
"#;

/// Twice as many customers as are due.
fn schema(kind: Kind, due: u64) -> String {
    let moment = by_kind(kind, "datetime", "timestamp");
    let numbers = numbers(kind, u32::try_from(due * 2).unwrap());
    format!(
        "create table customers (id int primary key, last_login {moment}, email varchar(100));
         create index c_login on customers(last_login);
         create table orders (id int primary key, customer_id int not null, foreign key (customer_id) references customers(id));
         create index o_customer on orders(customer_id);
         insert into customers select i, case when i % 2 = 0 then timestamp '2019-05-06 10:00:00' \
           else timestamp '2026-10-01 10:00:00' end, 'k@canary.example' from {numbers};
         insert into orders select i, i from {numbers};"
    )
}

fn kill_at(firm: &Firm, point: &str) {
    let said = said(&firm.command(&["run"]).env("BEWAARD_CRASH_AT", point).output().unwrap());
    assert_eq!(said.code, -1, "it was to be killed at {point}: {}{}", said.out, said.err);
}

/// Whatever happened: the log verifies, every pair has one final outcome, and both agree.
fn settle_and_check(firm: &Firm, point: &str, due: u64) -> std::collections::BTreeMap<String, u64> {
    firm.bewaard(&["log", "verify"]).ends(0);
    firm.bewaard(&["run", "--json"]).ends(0);
    firm.verified();
    assert_eq!(firm.count("select count(*) from customers where id % 2 = 0"), 0, "{point}");
    assert_eq!(firm.count("select count(*) from customers"), due, "{point}: nothing else went");
    assert_eq!(firm.count("select count(*) from orders"), due, "{point}: children went with their records");
    let words = outcomes(firm);
    let gone = words.get("erased").unwrap_or(&0) + words.get("gone-unexplained").unwrap_or(&0);
    assert_eq!(gone, due, "{point}: each record that went has one entry: {words:?}");
    assert_eq!(words.get("unknown"), None, "{point}: {words:?}");
    let left = std::fs::read_dir(firm.file("state").join("inflight")).unwrap().count();
    assert_eq!(left, 0, "{point}: nothing stays in flight");
    words
}

fn a_kill_at_any_point_of_a_run_loses_nothing_and_claims_nothing(kind: Kind) {
    let listing = Firm::new(kind, RULE, &schema(kind, 6)).approved();
    let (ended, points) = passed(listing.command(&["run"]));
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(points.iter().any(|point| point == "after-commit"), "{points:?}");
    for point in kills(&points) {
        let firm = Firm::new(kind, RULE, &schema(kind, 6)).approved();
        kill_at(&firm, &point);
        let words = settle_and_check(&firm, &point, 6);
        // PostgreSQL knows what became of the transaction; MariaDB without a batch table only that they are gone.
        if point.starts_with("after-commit") {
            let told = by_kind(kind, "gone-unexplained", "erased");
            assert_eq!(words.get(told), Some(&6), "{point}: {words:?}");
        }
    }
}

fn a_kill_in_the_second_batch_leaves_the_first_alone(kind: Kind) {
    for point in ["inflight-written#2", "after-record#2", "after-commit#2"] {
        let firm = Firm::new(kind, RULE, &schema(kind, 510)).approved();
        kill_at(&firm, point);
        settle_and_check(&firm, point, 510);
    }
}

fn with_a_batch_table_a_committed_batch_is_ours(kind: Kind) {
    for point in ["intent-written", "after-record", "before-commit", "after-commit", "erased"] {
        let firm = Firm::new(kind, RULE, &schema(kind, 6));
        firm.change_policy("[system.shop]\n", "[system.shop]\nbatch-table = true\n");
        create_batch_table(&firm);
        let firm = firm.approved();
        kill_at(&firm, point);
        let words = settle_and_check(&firm, point, 6);
        assert_eq!(words.get("erased"), Some(&6), "{point}: {words:?}");
        let not_done = !["after-commit", "erased"].contains(&point);
        assert_eq!(words.get("not-done"), not_done.then_some(&6), "{point}: {words:?}");
        assert!(firm.entries("outcome").iter().any(|entry| entry["recovered"] == true), "{point}");
    }
}

fn recovery_itself_may_be_killed(kind: Kind) {
    for point in ["recover-batch", "recover-settled", "recover-recorded"] {
        let firm = Firm::new(kind, RULE, &schema(kind, 6)).approved();
        kill_at(&firm, "after-commit");
        kill_at(&firm, point);
        settle_and_check(&firm, point, 6);
    }
}

fn a_kill_between_anonymised_records_is_settled_by_their_final_form(kind: Kind) {
    for point in ["after-record", "after-commit"] {
        let firm = Firm::new(kind, FIELDS, &schema(kind, 6)).approved();
        kill_at(&firm, point);
        firm.bewaard(&["run"]).ends(0);
        firm.verified();
        let done = "select count(*) from customers where email = concat('weg-', id, '@example.invalid')";
        assert_eq!(firm.count(done), 6, "{point}");
        assert_eq!(firm.count("select count(*) from customers where email like 'k@%'"), 6, "{point}");
        let words = outcomes(&firm);
        let ours = if point == "after-commit" && kind == Kind::Mariadb { "gone-unexplained" } else { "anonymised" };
        assert_eq!(words.get(ours), Some(&6), "{point}: {words:?}");
    }
}
