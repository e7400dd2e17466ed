//! How far a wrong rule gets: the first bite, raised limits, observing, records that the system refuses, plans that wait.

use bewaard::audit::read::entries;
use bewaard::engine::Engine;
use bewaard::engine::run::{RunEnd, Started};
use bewaard::engine::survey::Silent;
use bewaard::engine::view::View;

use crate::bench::Bench;
use crate::paused::pause;

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
then.delete = true
limits.share = "100 %"
"#;

/// 40 customers; those with an even id are old, the lowest id the oldest.
const SCHEMA: &str = "
create table customers (id integer primary key, name text, last_login text);
create index customers_login on customers(last_login);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40)
insert into customers select i, 'x', case when i % 2 = 0 then date('2019-01-01', i || ' days') else '2026-10-01' end from n;
";

fn bench() -> Bench {
    Bench::new(RULE, SCHEMA)
}

fn how(bench: &Bench) -> Vec<(String, u64)> {
    let ends = bench.entries("run-ended");
    ends.iter().map(|end| (end["how"].as_str().unwrap().into(), end["tally"]["erased"].as_u64().unwrap_or(0))).collect()
}

#[test]
fn the_first_run_after_an_approval_takes_a_bite_and_a_person_goes_on_at_once() {
    let bench = bench();
    bench.approve_all();
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["erased"], 20, "both walks are one run to who asks");
    assert_eq!(how(&bench), [("first-bite".into(), 10), ("done".into(), 10)]);
    bench.verified();

    bench.sql("update customers set last_login = '2019-05-06' where id < 30");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(how(&bench)[2..], [("done".into(), 15)], "the gate was bitten open once");

    bench.sql("update customers set last_login = '2025-11-01'");
    bench.change_policy("keep = \"2 years\"", "keep = \"1 year\"");
    bench.change_policy("limits.share", "limits.first-bite = 2\nlimits.share");
    bench.plan_and_approve();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(how(&bench)[3..], [("first-bite".into(), 2), ("done".into(), 3)], "a changed rule is bitten anew");
}

#[test]
fn the_schedule_waits_an_hour_after_the_first_bite() {
    let bench = bench();
    bench.approve_all();
    let run = |started| {
        let loaded = bewaard::config::load(&bench.file("bewaard.toml")).unwrap();
        let mut engine = Engine::open(loaded).unwrap();
        let rule = engine.policy().rules.values().next().unwrap().clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(engine.run(&rule, started, &Silent)).unwrap();
        engine.pause("a while").unwrap();
        bench.bewaard(&["resume", "--reason", "another process writes in between"]).ends(0);
        engine.pause("a while").unwrap();
        engine.resume(None, None, "all is well").unwrap();
        engine.end_pause("all is well").unwrap();
        // What it wrote itself it took in from memory, and it is what the log says.
        let mut read = View::default();
        for entry in entries(&bench.file("log"), 0).unwrap() {
            read.apply(&entry.unwrap().1);
        }
        assert_eq!(serde_json::to_value(engine.view()).unwrap(), serde_json::to_value(&read).unwrap());
        report
    };
    let first = run(Started::BySchedule);
    assert_eq!((first.how, first.left), (RunEnd::FirstBite, 10));
    let second = run(Started::BySchedule);
    assert_eq!((second.how, second.run), (RunEnd::FirstBite, None));
    assert_eq!(bench.number("select count(*) from customers"), 30);
    assert_eq!(run(Started::ByPerson).how, RunEnd::Done);
    assert_eq!(bench.number("select count(*) from customers"), 20);
}

#[test]
fn records_that_come_back_at_the_first_bite_freeze_the_rule() {
    let bench = bench();
    bench.sql("create table copy as select * from customers");
    bench.approve_all();
    // Another program that keeps the same table brings back what it misses.
    let run = pause(&bench, "after-commit", &["run", "--json"]);
    bench.sql("insert into customers select * from copy where id not in (select id from customers)");
    let run = run.go_on().ends(3).json();
    assert_eq!(run["runs"][0]["gate"], "frozen");
    assert_eq!(bench.number("select count(*) from customers"), 40);
    let status = bench.bewaard(&["status"]).ends(0).out;
    assert!(status.starts_with("STOPPED"), "{status}");
    assert!(status.contains("B504"), "{status}");
    bench.verified();
}

#[test]
fn records_that_a_trigger_puts_back_are_refused_and_nothing_goes() {
    let bench = bench();
    bench.sql(
        "create trigger back after delete on customers begin \
         insert into customers values (old.id, old.name, old.last_login); end",
    );
    bench.approve_all();
    let run = bench.bewaard(&["run", "--json"]).ends(1).json();
    assert_eq!(run["runs"][0]["erased"], 0, "{run}");
    assert!(run["runs"][0]["failed"].as_u64().unwrap() > 0, "{run}");
    assert_eq!(bench.number("select count(*) from customers"), 40);
    bench.verified();
}

#[test]
fn a_raised_limit_needs_an_approval_and_a_lowered_one_does_not() {
    let bench = bench();
    bench.change_policy("limits.share = \"100 %\"", "limits.share = \"60 %\"");
    bench.approve_all();
    for (from, to) in
        [("60 %", "61 %"), ("61 %\"", "60 %\"\nlimits.per-run = 10_001"), ("10_001", "10_000\nlimits.first-bite = 0")]
    {
        bench.change_policy(from, to);
        let run = bench.bewaard(&["run", "--json"]).ends(3).json();
        assert_eq!(run["runs"][0]["gate"], "needs-approval", "{to}");
        assert_eq!(run["runs"][0]["limits"].as_array().unwrap().len(), 1, "{to}");
        assert_eq!(bench.number("select count(*) from customers"), 40);
    }
    let status = bench.bewaard(&["status", "--why", "old"]).ends(0).out;
    assert!(status.contains("raised") && status.contains("first-bite"), "{status}");
    bench.change_policy("limits.first-bite = 0", "limits.first-bite = 3");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(how(&bench), [("first-bite".into(), 3), ("done".into(), 17)], "a smaller bite is no raised limit");

    bench.sql("update customers set last_login = '2019-05-06' where id < 12");
    bench.change_policy("60 %", "70 %");
    bench.plan_and_approve();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 14, "approved again, for the limits as they are now");
}

#[test]
fn who_observes_plans_and_reports_as_if_and_purges_nothing() {
    for (from, to) in [
        ("keep =", "mode = \"observe\"\nkeep ="),
        ("controller = \"Test\"", "controller = \"Test\"\nmode = \"observe\""),
    ] {
        let bench = bench();
        bench.change_policy(from, to);
        bench.approve_all();
        let run = bench.bewaard(&["run", "--json"]).ends(0).json();
        assert_eq!((run["runs"][0]["how"].as_str(), run["runs"][0]["left"].as_u64()), (Some("observed"), Some(20)));
        assert_eq!(run["runs"][0]["erased"], 0);
        assert_eq!(bench.number("select count(*) from customers"), 40);
        assert_eq!(bench.entries("ledger").last().unwrap()["overdue"], 20);
        let status = bench.bewaard(&["status"]).ends(0).out;
        assert!(status.lines().next().unwrap().contains("observe"), "{status}");
        bench.change_policy(to, from);
        bench.bewaard(&["run"]).ends(0);
        assert_eq!(bench.number("select count(*) from customers"), 20, "the same approval holds");
    }
}

#[test]
fn a_host_that_observes_is_overruled_by_no_rule() {
    let bench = bench();
    bench.change_policy("controller = \"Test\"", "controller = \"Test\"\nmode = \"observe\"");
    bench.change_policy("keep =", "mode = \"enforce\"\nkeep =");
    bench.approve_all();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 40);
}

#[test]
fn t23_refused_records_are_told_and_take_nothing_from_the_pace() {
    let bench = bench();
    bench.change_policy("limits.share", "limits.per-run = 6\nlimits.share");
    // The four oldest can't go.
    bench.sql("create trigger no before delete on customers when old.id <= 8 begin select raise(abort, 'no'); end");
    bench.approve_all();
    let first = bench.bewaard(&["run", "--json"]).ends(1).json();
    let told = &first["runs"][0];
    assert_eq!((told["erased"].as_u64(), told["failed"].as_u64()), (Some(6), Some(4)), "{told}");
    assert_eq!(bench.entries("finding").last().unwrap()["code"], "B503");
    assert_eq!(bench.entries("finding").last().unwrap()["count"], 4);
    let status = bench.bewaard(&["status"]).ends(0).out;
    assert!(status.contains("B503"), "{status}");
    bench.bewaard(&["run"]).ends(1);
    bench.bewaard(&["run"]).ends(1);
    assert_eq!(bench.number("select count(*) from customers"), 24, "each night six others go");
    bench.sql("drop trigger no");
    bench.plan_and_approve();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
    bench.bewaard(&["run"]).ends(0);
    let closed = bench.entries("finding");
    assert_eq!(closed.last().unwrap()["change"], "closed", "what is over is closed");
    bench.verified();
}

#[test]
fn a_system_that_refuses_everything_is_not_asked_for_ever() {
    let bench = bench();
    bench.change_policy("limits.share", "limits.per-run = 6\nlimits.share");
    bench.sql("create trigger no before delete on customers begin select raise(abort, 'no'); end");
    bench.approve_all();
    let run = bench.bewaard(&["run", "--json"]).ends(1).json();
    assert_eq!((run["runs"][0]["erased"].as_u64(), run["runs"][0]["failed"].as_u64()), (Some(0), Some(6)));
    bench.verified();
}

#[test]
fn t12_a_plan_that_waits_is_told_after_a_day_a_week_and_two_weeks() {
    let bench = bench();
    bench.bewaard(&["init"]).ends(0);
    bench.bewaard(&["run"]).ends(3);
    let headline = |days| bench.at(&format!("+{days}d"), &["status"]).ends(0).out.lines().next().unwrap().to_string();
    assert!(!headline(0).contains("WAITING"));
    assert!(headline(3).starts_with("WAITING for a person: old (for 3 days)"), "{}", headline(3));
    for (days, told) in [(1, 1), (2, 1), (8, 2), (15, 3), (16, 3)] {
        let run = bench.at(&format!("+{days}d"), &["run"]).ends(3);
        assert_eq!(bench.entries("finding").len(), told, "after {days} days");
        assert_eq!(run.err.contains("has been waiting"), ![2, 16].contains(&days), "{}", run.err);
    }
    let counts: Vec<u64> = bench.entries("finding").iter().map(|one| one["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 7, 14]);
    let plan = bench.entries("plan-made").last().unwrap()["plan"].as_str().unwrap().to_string();
    bench.at("+16d", &["approve", &plan, "--reason", "at last"]).ends(0);
    assert_eq!(bench.entries("finding").last().unwrap()["change"], "closed");
    assert!(!headline(16).contains("WAITING"), "{}", headline(16));
}

/// A rule that names none of what hangs on its records, on a schema that would take all of it along.
const UNNAMED: &str = "
create table orders (id integer primary key, customer_id integer references customers(id) on delete cascade);
create index orders_customer on orders(customer_id);
create table lines (id integer primary key, order_id integer references orders(id) on delete cascade);
create index lines_order on lines(order_id);
create table reviews (id integer primary key, customer_id integer references customers(id) on delete set null);
create index reviews_customer on reviews(customer_id);
insert into orders select id, id from customers where id <= 8;
insert into lines select id * 10, id from orders union all select id * 10 + 1, id from orders;
insert into reviews select id, id from customers where id <= 3;
";

#[test]
fn t08_what_the_database_would_take_along_unseen_is_counted_and_refused() {
    let bench = bench();
    bench.sql(UNNAMED);
    bench.bewaard(&["init"]).ends(0);
    // Old are the even ones: 2, 4, 6 and 8 have an order with two lines each, and 2 has a review.
    let planned = bench.bewaard(&["plan", "--json"]).ends(78).json();
    let failure = &planned["failures"][0];
    assert_eq!(
        failure["unseen"],
        serde_json::json!({ "due": 20, "tables": { "orders": 4, "lines": 8, "reviews": 1 } })
    );
    assert_eq!(failure["codes"], serde_json::json!(["B210", "B210"]));
    let said = bench.bewaard(&["plan"]).ends(78).err;
    for word in ["`orders` (customer_id)", "`reviews` (customer_id)", "rows of lines: 8", "bewaard explain B210"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(bench.entries("plan-made").is_empty());
    bench.bewaard(&["run"]).ends(78);
    assert_eq!(bench.number("select count(*) from customers"), 40);
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["headline"], "STOPPED: rule `old` does not fit system `shop`");
    assert_eq!(status["rules"][0]["misfit"], serde_json::json!(["B210"]));
    assert!(bench.bewaard(&["status"]).ends(0).out.contains("DOES NOT FIT (B210)"));
    let why = bench.bewaard(&["status", "--why", "old", "--json"]).ends(0).json();
    assert!(why["why"].as_str().unwrap().contains("`orders` (customer_id)"), "{why}");

    bench.change_policy("then.delete = true", "then.delete = true\nfollow-foreign-keys = true");
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
    assert_eq!(plan["plans"][0]["children"], failure["unseen"]["tables"], "named, they are part of the plan");
}

#[test]
fn rows_that_can_not_be_counted_are_said_to_be_uncounted() {
    let bench = bench();
    bench.sql(UNNAMED);
    // A circle of keys, which no rule can follow.
    bench.sql("alter table customers add column best_order integer references orders(id) on delete cascade");
    bench.bewaard(&["init"]).ends(0);
    let said = bench.bewaard(&["plan"]).ends(78).err;
    assert!(said.contains("can't be counted") && said.contains("circle"), "{said}");
}
