//! An order that arrives while its customer is being erased: at each window, with and without a foreign key.
//!
//! The living customer and the order survive together. The one window that remains without a foreign key, behind the
//! last look at child rows, is described in `src/connect/sql/erase.rs`; with a foreign key the server itself closes it.

use crate::firm::{Firm, by_kind};
use crate::support::servers::Kind;

on_both!(
    an_order_that_comes_in_at_any_window_keeps_its_customer_with_a_foreign_key,
    an_order_that_comes_in_at_any_window_keeps_its_customer_without_a_foreign_key,
    the_window_that_remains_without_a_foreign_key_leaves_the_order_alone,
    a_clock_in_the_record_itself_that_moves_while_we_wait_for_it_keeps_the_record,
    an_order_that_was_not_committed_when_we_locked_is_waited_for,
    a_protection_that_comes_in_before_the_first_row_goes_keeps_its_customer,
    a_foreign_key_that_is_added_meanwhile_takes_nothing_along,
);

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.newest = [{ column = "last_login" }, { table = "orders", column = "created", on = "customer_id" }]
keep = "2 years"
because = "test"
children = [{ table = "orders", on = "customer_id", children = [{ table = "order_lines", on = "order_id" }] }]
then.delete = true
limits.share = "100 %"
"#;

/// Ten customers, all due, each with an old order of one line.
fn schema(kind: Kind, foreign_key: bool) -> String {
    let moment = by_kind(kind, "datetime", "timestamp");
    let key = |text: &str| if foreign_key { format!(", foreign key {text}") } else { String::new() };
    let numbers = crate::firm::numbers(kind, 10);
    format!(
        "create table customers (id int primary key, last_login {moment});
         create index c_login on customers(last_login);
         create table orders (id int primary key, customer_id int not null, created {moment}{});
         create index o_customer on orders(customer_id);
         create table order_lines (id int primary key, order_id int not null{});
         create index l_order on order_lines(order_id);
         insert into customers select i, '2019-05-06 10:00:00' from {numbers};
         insert into orders select i, i, '2019-05-06 10:00:00' from {numbers};
         insert into order_lines select i, i from {numbers};",
        key("(customer_id) references customers(id)"),
        key("(order_id) references orders(id)"),
    )
}

/// The windows before the last look, by the point at which the run waits meanwhile.
const BEFORE_THE_LAST_LOOK: [&str; 4] = ["batch-filled", "after-lock", "after-read", "after-children"];
/// The windows behind it.
const AFTER_THE_LAST_LOOK: [&str; 2] = ["after-record", "before-commit"];

const NEW_ORDER: &str = "insert into orders values (1000, 5, '2026-11-01 10:00:00')";

/// The customer, the new order, and the order and line that were there before.
fn what_is_there(firm: &Firm) -> [u64; 4] {
    [
        firm.count("select count(*) from customers where id = 5"),
        firm.count("select count(*) from orders where id = 1000"),
        firm.count("select count(*) from orders where id = 5"),
        firm.count("select count(*) from order_lines where order_id = 5"),
    ]
}

fn the_others_went(firm: &Firm, window: &str) {
    assert_eq!(firm.count("select count(*) from customers where id <> 5"), 0, "{window}");
    assert_eq!(firm.count("select count(*) from orders where customer_id <> 5"), 0, "{window}");
    firm.verified();
}

fn an_order_that_comes_in_at_any_window_keeps_its_customer_with_a_foreign_key(kind: Kind) {
    for window in BEFORE_THE_LAST_LOOK.iter().chain(&AFTER_THE_LAST_LOOK) {
        let firm = Firm::new(kind, RULE, &schema(kind, true)).approved();
        let run = firm.paused_at(window);
        let mut shop = firm.session();
        shop.send(NEW_ORDER);
        if *window == "batch-filled" {
            shop.done(); // nothing is locked yet
        } else {
            firm.somebody_waits(&format!("the order waits at {window}"));
        }
        let said = run.go_on().ends(0).json();
        let accepted = shop.end();
        let erased = said["runs"][0]["erased"].as_u64().unwrap();
        match what_is_there(&firm) {
            [1, 1, 1, 1] => assert_eq!((erased, accepted), (9, true), "{window}"),
            [0, 0, 0, 0] => assert_eq!((erased, accepted), (10, false), "{window}: the server refused the order"),
            half => panic!("{window}: half of it: {half:?}"),
        }
        assert!(*window != "batch-filled" || erased == 9, "what is there before we lock is seen");
        the_others_went(&firm, window);
    }
}

fn an_order_that_comes_in_at_any_window_keeps_its_customer_without_a_foreign_key(kind: Kind) {
    for window in BEFORE_THE_LAST_LOOK {
        let firm = Firm::new(kind, RULE, &schema(kind, false)).approved();
        let run = firm.paused_at(window);
        let mut shop = firm.session();
        shop.sql(NEW_ORDER);
        let said = run.go_on().ends(0).json();
        assert!(shop.end());
        assert_eq!(said["runs"][0]["erased"], 9, "{window}: {said}");
        assert_eq!(said["runs"][0]["changed"], 1, "{window}: {said}");
        assert_eq!(what_is_there(&firm), [1, 1, 1, 1], "{window}: whole or not at all");
        the_others_went(&firm, window);
    }
}

fn the_window_that_remains_without_a_foreign_key_leaves_the_order_alone(kind: Kind) {
    for window in AFTER_THE_LAST_LOOK {
        let firm = Firm::new(kind, RULE, &schema(kind, false)).approved();
        let run = firm.paused_at(window);
        firm.session().sql(NEW_ORDER);
        let said = run.go_on().ends(1).json();
        // As described there: nothing on this server can see the order before COMMIT. Nothing but what was read went, and
        // the order that hangs in the air is found right after it.
        assert_eq!(said["runs"][0]["left_behind"], serde_json::json!({ "child rows of orders": 1 }), "{window}");
        assert_eq!(said["runs"][0]["erased"], 10, "{window}");
        assert_eq!(what_is_there(&firm), [0, 1, 0, 0], "{window}: the order itself is not touched");
        the_others_went(&firm, window);
    }
}

fn a_clock_in_the_record_itself_that_moves_while_we_wait_for_it_keeps_the_record(kind: Kind) {
    let firm = Firm::new(kind, RULE, &schema(kind, true)).approved();
    let mut shop = firm.session();
    shop.sql("begin");
    shop.sql("update customers set last_login = '2026-11-20 10:00:00' where id = 5");
    let run = firm.paused_at("batch-filled");
    let run = std::thread::spawn(move || run.go_on());
    firm.somebody_waits("the run waits for the customer");
    shop.sql("commit");
    let said = run.join().unwrap().ends(0).json();
    assert_eq!((&said["runs"][0]["erased"], &said["runs"][0]["changed"]), (&9.into(), &1.into()), "{said}");
    assert_eq!(what_is_there(&firm), [1, 0, 1, 1]);
    the_others_went(&firm, "own clock");
}

fn an_order_that_was_not_committed_when_we_locked_is_waited_for(kind: Kind) {
    let firm = Firm::new(kind, RULE, &schema(kind, true)).approved();
    let mut shop = firm.session();
    shop.sql("begin");
    shop.sql(NEW_ORDER); // holds a share of the customer
    let run = firm.paused_at("batch-filled");
    let run = std::thread::spawn(move || run.go_on());
    firm.somebody_waits("the run waits for the order");
    shop.sql("commit");
    let said = run.join().unwrap().ends(0).json();
    assert_eq!((&said["runs"][0]["erased"], &said["runs"][0]["changed"]), (&9.into(), &1.into()), "{said}");
    assert_eq!(what_is_there(&firm), [1, 1, 1, 1]);
    the_others_went(&firm, "uncommitted order");
}

fn a_protection_that_comes_in_before_the_first_row_goes_keeps_its_customer(kind: Kind) {
    let rule = RULE.replace("then.delete", "protect = [{ table = \"disputes\", on = \"customer_id\" }]\nthen.delete");
    let disputes = "create table disputes (id int primary key, customer_id int); create index d_customer on disputes(customer_id);";
    for window in ["batch-filled", "after-lock", "after-read"] {
        let firm = Firm::new(kind, &rule, &format!("{} {disputes}", schema(kind, true))).approved();
        let run = firm.paused_at(window);
        firm.session().sql("insert into disputes values (1, 5)");
        let said = run.go_on().ends(0).json();
        assert_eq!(
            (&said["runs"][0]["erased"], &said["runs"][0]["withheld"]),
            (&9.into(), &1.into()),
            "{window}: {said}"
        );
        assert_eq!(what_is_there(&firm), [1, 0, 1, 1], "{window}");
        the_others_went(&firm, window);
    }
}

fn a_foreign_key_that_is_added_meanwhile_takes_nothing_along(kind: Kind) {
    let late = "create table late (id int primary key, customer_id int); insert into late values (1, 5);";
    for window in ["after-read", "after-children", "after-record"] {
        let firm = Firm::new(kind, RULE, &format!("{} {late}", schema(kind, true))).approved();
        let run = firm.paused_at(window);
        let mut migration = firm.session();
        migration.send("alter table late add foreign key (customer_id) references customers(id) on delete cascade");
        if kind == Kind::Postgres {
            firm.somebody_waits(&format!("the migration waits at {window}"));
        }
        let said = run.go_on().ends(0).json();
        migration.end();
        assert_eq!(firm.count("select count(*) from late"), 1, "{window}: nothing went unseen: {said}");
        firm.verified();
    }
}
