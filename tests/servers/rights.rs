//! From an account that may do nothing yet to one that may do exactly what the policy needs.

use crate::bench::Bench;
use crate::firm::{Firm, by_kind, system};
use crate::support::servers::{Kind, Via};

on_both!(
    an_account_that_sees_nothing_yet_is_told_what_to_run_until_it_can_run,
    an_account_that_the_server_does_not_know_is_told_what_to_run,
    what_an_account_lacks_is_told_with_the_other_faults_of_its_rule,
    a_copy_that_the_account_may_not_read_is_told_and_never_passed_over,
);

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "people"
since.newest = [{ column = "seen" }, { table = "visits", column = "at", on = "person" }]
keep = "2 years"
because = "test"
protect = [{ table = "disputes", on = "person" }]
children = [{ table = "visits", on = "person" }]
follow-foreign-keys = true
then.delete = true
limits.share = "100 %"
"#;

fn schema(kind: Kind) -> String {
    let moment = by_kind(kind, "datetime", "timestamp");
    format!(
        "create table people (id int primary key, seen {moment}); create index p_seen on people(seen); \
         create table visits (id int primary key, person int, at {moment}); create index v_person on visits(person); \
         create table disputes (id int primary key, person int); create index d_person on disputes(person); \
         create table unnamed (id int primary key, person int, foreign key (person) references people(id)); \
         create index u_person on unnamed(person); \
         insert into people values (1, '2019-05-06 10:00:00'), (2, '2019-05-06 10:00:00'), (3, '2026-10-01 10:00:00'); \
         insert into visits values (1, 1, '2019-05-06 10:00:00'); insert into disputes values (1, 2); \
         insert into unnamed values (1, 1), (3, 3);"
    )
}

/// The findings of `check` by code; a fault must say what mends it.
fn told(bench: &Bench, code: i32) -> Vec<String> {
    let check = bench.bewaard(&["check", "--json"]).ends(code).json();
    let findings = check["findings"].as_array().unwrap();
    for one in findings.iter().filter(|one| one["severity"] == "fault") {
        let help = one["help"][0].as_str().unwrap();
        assert!(help.contains("GRANT") || help.contains("grants shop"), "{one}");
    }
    // What a brake would like to see is no right that a rule needs.
    let codes = findings.iter().map(|one| one["code"].as_str().unwrap().to_string());
    codes.filter(|code| code != bewaard::codes::BRAKE_HIDDEN.id).collect()
}

fn an_account_that_sees_nothing_yet_is_told_what_to_run_until_it_can_run(kind: Kind) {
    let firm = Firm::new(kind, RULE, &schema(kind));
    let account = firm.database.account("least");
    let bench =
        Bench::over(&format!("{}\nbatch-table = true", system(&firm.database, Via::Socket, &account, None)), RULE);
    bench.bewaard(&["init"]).ends(0);
    let codes = told(&bench, 78);
    assert!(codes.iter().all(|code| code == "B260"), "{codes:?}");
    assert_ne!(bench.bewaard(&["run", "--json"]).code, 0);
    // MariaDB shows a little more after each step: the tables of the policy, those that refer to them, their columns.
    let steps = by_kind(kind, 3, 1);
    for step in 1..=steps {
        let printed = bench.bewaard(&["grants", "shop"]).ends(0).out;
        assert_eq!(printed.contains("again: it will see more"), step < steps, "{step}: {printed}");
        assert_eq!(printed.contains("unnamed"), step > 1 || kind == Kind::Postgres, "{step}: {printed}");
        firm.admin(&printed);
    }
    assert_eq!(told(&bench, 0), [""; 0], "exactly the rights");
    bench.approve_all();
    assert_eq!(bench.bewaard(&["run", "--json"]).ends(0).json()["runs"][0]["erased"], 1);
    assert_eq!(firm.count("select count(*) from unnamed"), 1, "what hung on it went too");
    assert_eq!(firm.count("select count(*) from bewaard_batch"), 1, "the batch left its row");
    bench.verified();
}

fn an_account_that_the_server_does_not_know_is_told_what_to_run(kind: Kind) {
    let firm = Firm::new(kind, RULE, &schema(kind));
    let bench = Bench::over(&system(&firm.database, Via::Socket, "nobody_yet", None), RULE);
    let codes = told(&bench, 78);
    assert_eq!(codes, ["B260"]);
    let printed = bench.bewaard(&["grants", "shop"]).ends(0).out;
    assert!(printed.contains("again: it will see more") && printed.contains("visits"), "{printed}");
    assert!(printed.contains("nobody_yet"), "{printed}");
}

fn what_an_account_lacks_is_told_with_the_other_faults_of_its_rule(kind: Kind) {
    let firm = Firm::new(kind, RULE, &schema(kind));
    let account = firm.database.account("least");
    let access = system(&firm.database, Via::Socket, &account, None);
    let bench = Bench::over(&access, RULE);
    for _ in 0..3 {
        firm.admin(&bench.bewaard(&["grants", "shop"]).ends(0).out);
    }
    assert_eq!(told(&bench, 0), [""; 0], "exactly the rights");
    let user = by_kind(kind, format!("'{account}'@'%'"), account.clone());
    firm.admin(&format!("revoke delete on visits from {user}"));
    // A misspelt clock, and a table that nobody names any more: its right would look like one too many.
    bench.change_policy("column = \"seen\"", "column = \"sean\"");
    bench.change_policy("follow-foreign-keys = true", "");
    let findings = bench.bewaard(&["check", "--json"]).ends(78).json()["findings"].clone();
    let codes: Vec<&str> = findings.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    for code in ["B204", "B209", "B260"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    let more = bewaard::codes::ACCOUNT_HAS_MORE.id;
    assert!(!codes.contains(&more), "{codes:?}");
}

fn a_copy_that_the_account_may_not_read_is_told_and_never_passed_over(kind: Kind) {
    let rule = format!("{RULE}copies = [{{ table = \"lookup\", column = \"number\", of = \"id\" }}]\n");
    let firm = Firm::new(kind, &rule, &schema(kind));
    firm.admin("create table lookup (number int primary key); insert into lookup values (1), (3)");
    let account = firm.database.account("least");
    let bench = Bench::over(&system(&firm.database, Via::Socket, &account, None), &rule);
    for _ in 0..3 {
        firm.admin(&bench.bewaard(&["grants", "shop"]).ends(0).out);
    }
    assert_eq!(told(&bench, 0), [""; 0], "exactly the rights");
    bench.approve_all();
    let user = by_kind(kind, format!("'{account}'@'%'"), account.clone());
    firm.admin(&format!("revoke select on lookup from {user}"));
    bench.bewaard(&["check"]).ends(78);
    let run = bench.bewaard(&["run", "--json"]).json();
    let opened = bench.entries("finding").iter().any(|one| one["code"] == "B509" && one["change"] == "opened");
    // MariaDB hides the table, so nothing goes at all; PostgreSQL shows it, and refuses only the look.
    assert_eq!(opened, kind == Kind::Postgres, "{run}");
    assert_eq!(firm.admin("select count(*) from people").trim(), by_kind(kind, "3", "2"), "{run}");

    firm.admin(&format!("grant select on lookup to {user}"));
    firm.admin("insert into people values (4, '2019-05-06 10:00:00'); insert into lookup values (4)");
    let run = bench.bewaard(&["run", "--json"]).ends(1).json();
    let left = by_kind(kind, 2, 1);
    assert_eq!(run["runs"][0]["left_behind"], serde_json::json!({ "lookup.number": left }), "{run}");
    bench.verified();
}
