//! Traps that other tools fell into and that no other test holds: docs/traps.md has them all.

use crate::bench::Bench;
use crate::customers::{RULE, customers};

fn approved() -> Bench {
    let bench = Bench::new(RULE, &customers(40));
    bench.approve_all();
    bench
}

#[test]
fn t02_a_date_that_was_never_set_selects_nothing() {
    for (format, values) in [
        ("", ["''", "'  '", "'0000-00-00'", "'1970-01-01'", "'1970-01-01 00:00:00'", "'0001-01-01'", "'1899-12-30'"]),
        ("\"epoch\"", ["0", "1", "-1", "'0'", "''", "3600", "-2208988800"]),
        ("[\"%d-%m-%Y\"]", ["'00-00-0000'", "'01-01-1970'", "''", "'30-12-1899'", "'0'", "'--'", "'01-01-0001'"]),
    ] {
        let rule = match format {
            "" => RULE.to_string(),
            format => RULE.replace(
                "since.column = \"last_login\"",
                &format!("since = {{ column = \"last_login\", format = {format} }}"),
            ),
        };
        let bench = Bench::new(&rule, "create table customers (id integer primary key, email text, last_login)");
        bench.sql("create index customers_login on customers(last_login)");
        for (id, value) in values.iter().enumerate() {
            bench.sql(&format!("insert into customers values ({id}, 'x', {value})"));
        }
        bench.sql("insert into customers values (99, 'x', null)");
        let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
        let plan = &plan["plans"][0];
        assert_eq!((plan["found"].as_u64(), plan["due"].as_u64()), (Some(8), Some(0)), "{format}: {plan}");
        bench.bewaard(&["init"]).ends(0);
        let status = bench.bewaard(&["status", "--json"]).ends(0).json();
        assert_eq!(status["state"], "undecided", "{format}: somebody must decide about them");
    }
}

#[test]
fn t03_a_rule_that_does_not_run_is_never_green() {
    let bench = Bench::new(RULE, &customers(40));
    bench.bewaard(&["init"]).ends(0);
    let state = || bench.bewaard(&["status", "--json"]).ends(0).json()["state"].clone();
    bench.bewaard(&["run"]).ends(3);
    assert_eq!(state(), "overdue", "nobody approved it");
    bench.plan_and_approve();
    assert_eq!(state(), "overdue", "approved, and nobody ran it");
    bench.change_policy("keep =", "mode = \"observe\"\nkeep =");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(state(), "overdue", "it only observes");
    bench.change_policy("mode = \"observe\"\n", "");
    bench.bewaard(&["pause", "--reason", "x"]).ends(0);
    assert_eq!(state(), "stopped", "it is paused");
    bench.bewaard(&["resume", "--reason", "x"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(state(), "green");
}

#[test]
fn t07_no_preview_changes_a_byte_and_each_ends() {
    let bench = approved();
    bench.write("old.toml", &std::fs::read_to_string(bench.file("bewaard.toml")).unwrap().replace("2 years", "1 year"));
    let id = bench.entries("plan-made")[0]["plan"].as_str().unwrap().to_string();
    let old = bench.file("old.toml");
    let before = std::fs::read(bench.file("shop.db")).unwrap();
    for args in [
        &["check"][..],
        &["plan"],
        &["plan", "old"],
        &["plan", "--at", "2029-01-01"],
        &["plan", "--sql"],
        &["plan", "--against", old.to_str().unwrap()],
        &["plan", "show", &id],
        &["status"],
        &["status", "--why", "old"],
        &["grants", "shop"],
    ] {
        bench.bewaard(args).ends(0);
        bench.bewaard(&[args, &["--json"]].concat()).ends(0);
    }
    bench.bewaard_with_input(&["plan", "old", "--explain", "-"], "2\n").ends(0);
    assert!(std::fs::read(bench.file("shop.db")).unwrap() == before, "a preview wrote to the database");
    assert!(bench.entries("batch-intended").is_empty());
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20, "and the run takes what was previewed");
}

/// What the reference configuration calls a default is what a policy without that key does: written out in full it is
/// the same decision, and needs no approval.
#[test]
fn t09_a_default_is_what_the_reference_says() {
    let bench = approved();
    let reference = include_str!("../../config/reference.toml");
    for (told, key, from, written) in [
        ("this is the default", "time-zone = \"Europe/Amsterdam\"", "", ""),
        (
            "this is the default",
            "financial-year = \"01-01\"",
            "controller =",
            "financial-year = \"01-01\"\ncontroller =",
        ),
        ("default: \"enforce\"", "mode = \"enforce\"", "controller =", "mode = \"enforce\"\ncontroller ="),
        ("(default)", "from = \"day\"", "keep =", "from = \"day\"\nkeep ="),
        ("(default 10_000)", "per-run = 10_000", "limits.share", "limits.per-run = 10_000\nlimits.share"),
        ("(default 10; 0 is none)", "first-bite = 10", "limits.share", "limits.first-bite = 10\nlimits.share"),
        ("default: no window", "undo = \"7 days\"", "", ""),
        ("follow-foreign-keys = false", "follow-foreign-keys = false", "keep =", "follow-foreign-keys = false\nkeep ="),
        ("allow-scan = false", "allow-scan = false", "keep =", "allow-scan = false\nkeep ="),
    ] {
        assert!(reference.contains(told) && reference.contains(key), "the reference says: {key}, {told}");
        if !from.is_empty() {
            bench.change_policy(from, written);
        }
    }
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["gate"], "open", "{run}");
    let bites = bench.entries("run-ended");
    assert_eq!(bites[0]["tally"]["erased"], 10, "the first bite is ten where nobody says otherwise");
    // The one default that this rule does not use: a tenth of the table.
    let tenth = Bench::new(&RULE.replace("limits.share = \"100 %\"\n", ""), &customers(40));
    assert!(reference.contains("share = \"10 %\"") && reference.contains("(default \"10 %\")"));
    tenth.bewaard(&["init"]).ends(0);
    let plan = tenth.bewaard(&["plan", "--json"]).ends(0).json();
    assert_eq!(plan["plans"][0]["gate"], "refused", "half of the table is more than a tenth: {plan}");
}

#[test]
fn t14_a_record_that_comes_back_is_purged_again_and_the_log_has_both() {
    let bench = approved();
    bench.bewaard(&["run"]).ends(0);
    // An import brings one back as she was, and one with a new contact.
    bench.sql(
        "insert into customers values (2, 'K2@Canary.example', '2019-05-06'), (4, 'k4@canary.example', '2026-10-01')",
    );
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["state"], "overdue", "it is told before it is done");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers where id = 2"), 0);
    assert_eq!(bench.number("select count(*) from customers where id = 4"), 1, "a new contact is a new clock");
    let mut records: Vec<String> = bench.entries("outcome").iter().map(|one| one["record"].to_string()).collect();
    assert_eq!(records.len(), 21);
    records.sort();
    records.dedup();
    assert_eq!(records.len(), 20, "the same commitment stands there twice");
    bench.verified();
}

#[test]
fn t15_after_a_restored_database_everybody_goes_again() {
    let bench = Bench::new(&RULE.replace("then.delete", "limits.change = \"3 x\"\nthen.delete"), &customers(40));
    let copy = |from: &str, to: &str| {
        let done = std::process::Command::new("cp").arg(bench.file(from)).arg(bench.file(to)).status();
        assert!(done.unwrap().success());
    };
    copy("shop.db", "backup.db");
    bench.approve_all();
    bench.bewaard(&["run"]).ends(0);
    copy("backup.db", "shop.db");
    assert_eq!(bench.number("select count(*) from customers"), 40, "everybody is back");
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["state"], "overdue", "and that is told: {status}");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
    assert_eq!(bench.entries("outcome").len(), 40, "each time has its entry");
    bench.verified();
}
