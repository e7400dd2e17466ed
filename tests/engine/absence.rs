//! What is left of purged records, found by the real binary and told until a person has looked.

use crate::bench::{Bench, said};
use crate::paused::pause;

const RULE: &str = r#"[rule.old]
system = "shop"
records = { table = "customers", where = "role = 'customer'" }
person.email = "email"
since.column = "seen"
keep = "2 years"
because = "test"
children = [{ table = "notes", on = "customer_id" }]
copies = [{ table = "lookup", column = "email_lower", of = "email", normalised = "lower" }]
then.delete = true
limits = { share = "100 %", first-bite = 0 }
"#;

/// Customers 1 and 2 are old; a trigger writes a note about each that goes.
const SCHEMA: &str = "
create table customers (id integer primary key, email text, role text, seen text);
create table notes (id integer primary key, customer_id integer, text text);
create table lookup (id integer primary key, email_lower text);
create index customers_seen on customers(seen);
create index notes_customer on notes(customer_id);
insert into customers values (1, 'Canary1@x.nl', 'customer', '2019-01-01'), (2, 'Canary2@x.nl', 'customer', '2019-01-01'), (3, 'Canary2@x.nl', 'customer', '2026-10-01');
insert into lookup values (1, 'canary1@x.nl'), (2, 'canary2@x.nl'), (3, 'other@x.nl');
create trigger gone after delete on customers begin insert into notes (customer_id, text) values (old.id, 'gone'); end;
";

#[test]
fn t20_what_is_left_is_told_with_its_place_and_no_later_purge_speaks_for_it() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.approve_all();
    let said = bench.bewaard(&["run", "--json"]).ends(1);
    let run = &said.json()["runs"][0];
    assert_eq!((&run["erased"], &run["absent"], &run["back"]), (&2.into(), &false.into(), &0.into()));
    let left = serde_json::json!({ "child rows of notes": 2, "lookup.email_lower": 1 });
    assert_eq!(run["left_behind"], left, "the copy that a living customer shares is none of hers");
    for text in [&said.out, &said.err] {
        assert!(!text.to_lowercase().contains("canary"), "{text}");
    }
    let places = |change: &str| {
        let of =
            bench.entries("finding").into_iter().filter(|entry| entry["change"] == change && entry["code"] == "B508");
        of.map(|entry| entry["place"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(places("opened"), ["child rows of notes", "lookup.email_lower"]);
    let status = bench.bewaard(&["status"]).ends(0).out;
    assert!(status.contains("left behind by rule `old`: lookup.email_lower"), "{status}");

    // The next purge leaves nothing; what the first one left may be there all the same.
    bench.sql("drop trigger gone; delete from notes; insert into customers values (4, 'Canary4@x.nl', 'customer', '2019-01-01')");
    // Without the trigger another thing happens when a record goes: a person looks at that first.
    bench.plan_and_approve();
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!((&run["runs"][0]["erased"], &run["runs"][0]["absent"]), (&1.into(), &true.into()));
    assert!(places("closed").is_empty());
    let status = bench.bewaard(&["status"]).ends(0).out;
    assert!(status.contains("left behind by rule `old`: lookup.email_lower"), "{status}");
    bench.bewaard(&["resume", "old", "--reason", "cleaned the copies too"]).ends(0);
    assert!(!bench.bewaard(&["status"]).ends(0).out.contains("left behind"));
    bench.verified();
}

#[test]
fn a_person_who_looked_ends_what_cannot_be_looked_for_again() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.approve_all();
    bench.bewaard(&["run"]).ends(1);
    assert!(bench.bewaard(&["status"]).ends(0).out.contains("B508"));
    bench.bewaard(&["resume", "old", "--reason", "cleaned by hand"]).ends(0);
    assert!(!bench.bewaard(&["status"]).ends(0).out.contains("B508"));
    bench.verified();
}

fn codes(bench: &Bench, change: &str) -> Vec<String> {
    let of = bench.entries("finding").into_iter().filter(|entry| entry["change"] == change);
    of.map(|entry| entry["code"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_look_that_fails_is_told_and_no_later_look_speaks_for_it() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.sql("drop trigger gone; delete from lookup");
    bench.approve_all();
    let run = pause(&bench, "erased", &["run", "--json"]);
    bench.sql("alter table lookup rename to hidden");
    let said = run.go_on().ends(1).json();
    let run = &said["runs"][0];
    assert_eq!((&run["erased"], &run["absent"], &run["not_looked_for"]), (&2.into(), &false.into(), &2.into()));
    assert!(run["look_failed"].as_str().unwrap().contains("look for what is left"), "{run}");
    assert!(!said.to_string().to_lowercase().contains("canary"), "{said}");
    assert_eq!(codes(&bench, "opened"), ["B509"]);
    assert!(bench.bewaard(&["status"]).ends(0).out.contains("B509"));

    bench.sql("alter table hidden rename to lookup");
    bench.bewaard(&["run"]).ends(0);
    bench.sql("insert into customers values (4, 'Canary4@x.nl', 'customer', '2019-01-01')");
    assert_eq!(bench.bewaard(&["run", "--json"]).ends(0).json()["runs"][0]["absent"], true);
    assert_eq!(codes(&bench, "closed"), [""; 0]);
    bench.bewaard(&["resume", "old", "--reason", "looked by hand"]).ends(0);
    assert!(!bench.bewaard(&["status"]).ends(0).out.contains("B509"));
    bench.verified();
}

#[test]
fn what_a_kill_made_us_forget_is_told() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.change_policy("sqlite.path = \"shop.db\"", "sqlite.path = \"shop.db\"\nbatch-table = true");
    bench.approve_all();
    let killed = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", "after-commit").output().unwrap());
    assert_eq!(killed.code, -1);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(codes(&bench, "opened"), ["B509"]);
    bench.bewaard(&["resume", "old", "--reason", "looked by hand"]).ends(0);
    assert!(!bench.bewaard(&["status"]).ends(0).out.contains("B509"));
    bench.verified();
}

#[test]
fn a_kill_between_the_outcomes_and_the_look_is_told() {
    for point in ["outcomes-written", "looked"] {
        let bench = Bench::new(RULE, SCHEMA);
        bench.approve_all();
        let killed = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", point).output().unwrap());
        assert_eq!(killed.code, -1, "{point}");
        assert_eq!(codes(&bench, "opened"), [""; 0], "{point}");
        bench.bewaard(&["run"]).ends(0);
        assert_eq!(codes(&bench, "opened"), ["B509"], "{point}");
        bench.verified();
    }
}

#[test]
fn a_kill_before_the_look_is_told_though_the_rule_is_no_more() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.approve_all();
    let killed = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", "looked").output().unwrap());
    assert_eq!(killed.code, -1);
    bench.change_policy("[rule.old]", "[rule.other]");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(codes(&bench, "opened"), ["B509"]);
    bench.verified();
}

#[test]
fn rows_below_child_rows_are_looked_for_too() {
    let rule = RULE.replace(
        "on = \"customer_id\" }]",
        "on = \"customer_id\", children = [{ table = \"notes\", on = \"reply_to\" }] }]",
    );
    let bench = Bench::new(&rule, SCHEMA);
    bench.sql(
        "drop trigger gone; delete from lookup; alter table notes add column reply_to integer;
         create index notes_reply on notes(reply_to);
         insert into notes (id, customer_id, text) values (7, 1, 'asks');
         create trigger replies after delete on customers when old.id = 1
         begin insert into notes (reply_to, text) values (7, 'late'); end;",
    );
    bench.approve_all();
    let said = bench.bewaard(&["run", "--json"]).ends(1).json();
    assert_eq!(said["runs"][0]["left_behind"], serde_json::json!({ "child rows of notes": 1 }));
}

#[test]
fn a_copy_that_is_not_there_or_takes_a_full_reading_each_batch_is_refused_under_its_own_key() {
    let bench = Bench::new(&RULE.replace("column = \"email_lower\"", "column = \"email_low\""), SCHEMA);
    let check = bench.bewaard(&["check"]).ends(78);
    assert!(format!("{}{}", check.out, check.err).contains("email_lower"), "{}{}", check.out, check.err);

    let bench = Bench::new(RULE, SCHEMA);
    bench.sql(
        "with recursive n(i) as (select 10 union all select i + 1 from n where i < 50100)
         insert into lookup select i, 'n' || i from n; analyze",
    );
    let check = bench.bewaard(&["check"]).ends(78);
    let text = format!("{}{}", check.out, check.err);
    assert!(text.contains("B208") && text.contains("no index of `lookup` starts with email_lower"), "{text}");
    bench.change_policy("[rule.old]\n", "[rule.old]\nallow-scan = true\n");
    bench.bewaard(&["check"]).ends(0);
    bench.change_policy("allow-scan = true\n", "");
    bench.sql("create index lookup_email on lookup(email_lower)");
    bench.bewaard(&["check"]).ends(0);
}
