//! What comes into, leaves or changes in the range of keys by which a batch is purged: only what was planned goes.

use crate::firm::{Firm, by_kind, numbers};
use crate::support::servers::Kind;

on_both!(
    a_record_that_comes_into_the_range_stays,
    a_record_of_the_range_that_changed_or_went_is_told,
    a_record_that_comes_into_the_range_is_not_rewritten,
);

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
then.delete = true
limits.share = "100 %"
limits.first-bite = 0
"#;

/// Forty customers with even numbers, all due: close enough for one range.
fn firm(kind: Kind) -> Firm {
    ruled(kind, RULE)
}

fn ruled(kind: Kind, rule: &str) -> Firm {
    let moment = by_kind(kind, "datetime", "timestamp");
    let schema = format!(
        "create table customers (id int primary key, last_login {moment}, name varchar(40) default 'Jan');
         create index c_login on customers(last_login);
         insert into customers (id, last_login) select i * 2, '2019-05-06 10:00:00' from {};",
        numbers(kind, 40)
    );
    Firm::new(kind, rule, &schema).approved()
}

fn a_record_that_comes_into_the_range_stays(kind: Kind) {
    // Before anything is locked it is read with the others; behind that only the count of the range tells.
    for window in ["batch-filled", "after-lock", "after-read"] {
        let firm = firm(kind);
        let run = firm.paused_at(window);
        firm.session().sql("insert into customers values (41, '2018-01-01 10:00:00', 'Piet')");
        let said = run.go_on().ends(0).json();
        assert_eq!(said["runs"][0]["erased"], 40, "{window}: {said}");
        assert_eq!(firm.count("select count(*) from customers where id = 41"), 1, "{window}: nobody planned it");
        assert_eq!(firm.count("select count(*) from customers"), 1, "{window}");
        firm.verified();
    }
}

fn a_record_that_comes_into_the_range_is_not_rewritten(kind: Kind) {
    for recipe in ["{ fixed = \"weg\" }", "{ template = \"weg-{key}\" }", "\"null\""] {
        let rule = RULE.replace("then.delete = true", &format!("then.anonymise = {{ name = {recipe} }}"));
        for window in ["batch-filled", "after-lock", "after-read"] {
            let firm = ruled(kind, &rule);
            let run = firm.paused_at(window);
            firm.session().sql("insert into customers values (41, '2018-01-01 10:00:00', 'Piet')");
            let said = run.go_on().ends(0).json();
            assert_eq!(said["runs"][0]["anonymised"], 40, "{window}, {recipe}: {said}");
            let planned = "select count(*) from customers where id = 41 and name = 'Piet'";
            assert_eq!(firm.count(planned), 1, "{window}, {recipe}: nobody planned it");
            let left = "select count(*) from customers where name in ('Jan', 'Piet')";
            assert_eq!(firm.count(left), 1, "{window}, {recipe}");
            firm.verified();
        }
    }
}

fn a_record_of_the_range_that_changed_or_went_is_told(kind: Kind) {
    for (change, outcome, there) in [
        ("update customers set last_login = '2026-11-20 10:00:00' where id = 10", "changed", 1),
        ("update customers set last_login = null where id = 10", "changed", 1),
        ("delete from customers where id = 10", "already-gone", 0),
    ] {
        let firm = firm(kind);
        let run = firm.paused_at("batch-filled");
        firm.session().sql(change);
        let said = run.go_on().json();
        assert_eq!(
            (&said["runs"][0]["erased"], &said["runs"][0][outcome]),
            (&39.into(), &1.into()),
            "{change}: {said}"
        );
        assert_eq!(firm.count("select count(*) from customers where id = 10"), there, "{change}");
        assert_eq!(firm.count("select count(*) from customers"), there, "{change}");
        firm.verified();
    }
}

/// On MariaDB a trigger can't write the table that it fires on.
#[test]
fn postgres_a_record_of_the_range_that_a_trigger_puts_back_is_not_called_erased() {
    let firm = firm(Kind::Postgres);
    firm.admin(
        "create function back() returns trigger language plpgsql as $$ begin if old.id = 10 then \
         insert into customers values (10, '2019-05-06 10:00:00', 'Jan'); end if; return null; end $$; \
         create trigger back after delete on customers for each row execute function back()",
    );
    firm.plan_and_approve();
    let run = firm.run_one(1);
    assert_eq!((&run["erased"], &run["failed"]), (&39.into(), &1.into()), "{run}");
    assert_eq!(firm.count("select count(*) from customers"), 1);
    firm.verified();
}
