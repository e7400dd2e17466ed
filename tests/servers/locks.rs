//! Locks: of other programs on the records, and the one by which one host alone runs on a system.

use crate::bench::said;
use crate::firm::{Firm, by_kind, numbers, outcomes};
use crate::paused::pause;
use crate::settled::rule;
use crate::support::servers::Kind;

on_both!(
    a_deadlock_is_tried_again_and_everything_is_judged_anew,
    a_lock_that_is_never_given_fails_the_batch_and_loses_nothing,
    two_hosts_on_one_database_are_one_run_and_one_that_is_told,
    a_run_that_lost_the_systems_lock_commits_nothing,
    a_lock_that_went_with_its_connection_ends_no_run_that_is_done,
);

fn whole() -> String {
    rule("limits.share = \"100 %\"")
}

fn schema(kind: Kind) -> String {
    let moment = by_kind(kind, "datetime", "timestamp");
    let (ten, many) = (numbers(kind, 10), numbers(kind, 400));
    format!(
        "create table customers (id int primary key, last_login {moment});
         create index c_login on customers(last_login);
         create table orders (id int primary key, customer_id int not null, foreign key (customer_id) references customers(id));
         create index o_customer on orders(customer_id);
         create table stock (id int primary key, n int);
         insert into customers select i, timestamp '2019-05-06 10:00:00' from {ten};
         insert into orders select i, i from {ten};
         insert into stock select i, 0 from {many};"
    )
}

fn a_deadlock_is_tried_again_and_everything_is_judged_anew(kind: Kind) {
    let firm = Firm::new(kind, &whole(), &schema(kind)).approved();
    let run = firm.paused_at("after-lock"); // the customers are locked, their orders not yet
    let mut shop = firm.session();
    // The server ends the one that did less, or that looks first: that must be us.
    shop.sql(by_kind(kind, "set innodb_lock_wait_timeout = 50", "set deadlock_timeout = '1min'"));
    shop.sql("begin");
    shop.sql("update stock set n = n + 1");
    shop.sql("select id from orders where id = 5 for update");
    shop.send("update customers set last_login = '2026-11-20 10:00:00' where id = 5");
    firm.somebody_waits("the shop waits for the customer");
    let run = std::thread::spawn(move || run.go_on());
    shop.done();
    shop.sql("commit");
    assert!(shop.end(), "the shop was not the one that the server ended");
    let told = run.join().unwrap().ends(0).json()["runs"][0].clone();
    assert_eq!((&told["erased"], &told["changed"], &told["failed"]), (&9.into(), &1.into(), &0.into()), "{told}");
    assert_eq!(firm.count("select count(*) from customers where id = 5"), 1);
    assert_eq!(firm.count("select count(*) from orders where customer_id = 5"), 1);
    assert_eq!(outcomes(&firm), [("changed".to_string(), 1), ("erased".to_string(), 9)].into());
    firm.verified();
}

fn a_lock_that_is_never_given_fails_the_batch_and_loses_nothing(kind: Kind) {
    let firm = Firm::new(kind, &whole(), &schema(kind)).approved();
    let mut shop = firm.session();
    shop.sql("begin");
    shop.sql("select id from customers where id = 5 for update");
    let said = said(&firm.command(&["run", "--json"]).env("BEWAARD_LOCK_LIMIT", "1").output().unwrap()).ends(1);
    let told = said.json()["runs"][0].clone();
    assert_eq!((&told["failed"], &told["how"], &told["erased"]), (&10.into(), &"failed".into(), &0.into()), "{told}");
    assert_eq!(firm.count("select count(*) from customers"), 10);
    assert_eq!(firm.count("select count(*) from orders"), 10);
    assert_eq!(outcomes(&firm), [("failed".to_string(), 10)].into());
    firm.verified();
    shop.sql("rollback");
    assert_eq!(firm.run_one(0)["erased"], 10, "the next run takes them");
    assert_eq!(firm.count("select count(*) from customers"), 0);
    firm.verified();
}

fn two_hosts_on_one_database_are_one_run_and_one_that_is_told(kind: Kind) {
    let firm = Firm::new(kind, &whole(), &schema(kind)).approved();
    let other = firm.second_host(&whole());
    other.approve_all();
    let run = firm.paused_at("after-lock");
    let told = other.bewaard(&["run", "--json"]).ends(75);
    assert!(told.out.contains("another host"), "{}{}", told.out, told.err);
    assert_eq!(run.go_on().ends(0).json()["runs"][0]["erased"], 10);
    let nothing = other.bewaard(&["run", "--json"]).ends(0).json()["runs"][0].clone();
    assert_eq!((&nothing["erased"], &nothing["due"]), (&0.into(), &0.into()), "{nothing}");
    assert_eq!(outcomes(&firm), [("erased".to_string(), 10)].into());
    assert!(outcomes(&other).is_empty());
    firm.verified();
    other.verified();
}

fn a_run_that_lost_the_systems_lock_commits_nothing(kind: Kind) {
    let firm = Firm::new(kind, &whole(), &schema(kind)).approved();
    let other = firm.second_host(&whole());
    other.approve_all();
    let run = firm.paused_at("after-record");
    end_the_lock(&firm, kind);
    let elsewhere = pause(&other, "batch-filled", &["run", "--json"]);
    let stopped = said_of(&run.go_on());
    assert_ne!(stopped.0, 0, "{}", stopped.1);
    assert_eq!(firm.count("select count(*) from customers"), 10, "nothing was committed without the lock");
    assert_eq!(outcomes(&firm).get("erased"), None);
    assert_eq!(elsewhere.go_on().ends(0).json()["runs"][0]["erased"], 10);
    firm.verified();
    other.verified();
    let again = said(&firm.command(&["run"]).output().unwrap());
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
}

/// Ends the connection that holds the system's lock.
fn end_the_lock(firm: &Firm, kind: Kind) {
    let user = &firm.database.user;
    match kind {
        Kind::Postgres => {
            firm.admin(
                "select pg_terminate_backend(pid) from pg_locks l join pg_database d on d.oid = l.database \
                 where d.datname = current_database() and locktype = 'advisory'",
            );
        }
        Kind::Mariadb => {
            // The first connection reads and the second holds the lock.
            let id = firm.admin(&format!(
                "select id from information_schema.processlist where user = '{user}' order by id limit 1 offset 1"
            ));
            firm.admin(&format!("kill {id}"));
        }
    }
}

/// Nobody else came in, and everything was committed: there is nothing left to give back.
fn a_lock_that_went_with_its_connection_ends_no_run_that_is_done(kind: Kind) {
    let firm = Firm::new(kind, &whole(), &schema(kind)).approved();
    let other = firm.second_host(&whole());
    other.approve_all();
    let run = firm.paused_at("after-commit");
    end_the_lock(&firm, kind);
    let told = run.go_on().ends(0).json()["runs"][0].clone();
    assert_eq!((&told["erased"], &told["failed"]), (&10.into(), &0.into()), "{told}");
    assert_eq!(outcomes(&firm), [("erased".to_string(), 10)].into());
    // and it holds nobody off
    let nothing = other.bewaard(&["run", "--json"]).ends(0).json()["runs"][0].clone();
    assert_eq!(nothing["erased"], 0, "{nothing}");
    firm.verified();
    other.verified();
}

fn said_of(said: &crate::bench::Said) -> (i32, String) {
    (said.code, format!("{}{}", said.out, said.err))
}
