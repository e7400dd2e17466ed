//! Partitions that are dropped with all that is in them: each record has its entry, and whatever comes in between, nothing
//! goes that stays and nothing is claimed that did not happen. PostgreSQL alone drops a partition in a transaction.

use std::collections::BTreeMap;

use crate::bench::said;
use crate::firm::{Firm, outcomes};
use crate::lost::create_batch_table;
use crate::proxy::{Cut, Proxy};
use crate::support::servers::Kind;
use crate::sweep::{kills, passed};

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "events"
since.column = "at"
person.email = "email"
keep = "2 years"
because = "test"
then = { delete = true, drop-partitions = true }
limits = { share = "100 %", first-bite = 0 }
"#;

/// Rows in each of three old months.
const MONTH: u64 = 30;
/// Old rows that have no other place than the default partition.
const ELSEWHERE: u64 = 4;
/// Rows that are due.
const DUE: u64 = 3 * MONTH + ELSEWHERE;
/// Rows of this year.
const YOUNG: u64 = 20;

const TABLES: &str = "create table events (id int, at timestamp not null, email varchar(100), primary key (id, at))
       partition by range (at);
     create index on events (at);
     create table e2019_01 partition of events for values from ('2019-01-01') to ('2019-02-01');
     create table e2019_02 partition of events for values from ('2019-02-01') to ('2019-03-01');
     create table e2019_03 partition of events for values from ('2019-03-01') to ('2019-04-01');
     create table e2019_04 partition of events for values from ('2019-04-01') to ('2019-05-01');
     create table e_now partition of events for values from ('2026-01-01') to ('2028-01-01');
     create table e_default partition of events default;";

fn rows(month: u64) -> String {
    format!(
        "insert into events select i, timestamp '2019-01-10 10:00:00' + (i % 3) * interval '1 month', \
           'k' || i || '@canary.example' from generate_series(1, {}) i;
         insert into events select 1000000 + i, '2026-10-01 10:00:00', 'j@canary.example' from generate_series(1, {YOUNG}) i;
         insert into events select 2000000 + i, '2015-03-04 10:00:00', 'o@canary.example' from generate_series(1, {ELSEWHERE}) i;",
        3 * month
    )
}

/// The account owns the partitions, as one that drops them must.
fn owned(firm: Firm) -> Firm {
    let user = firm.database.user.clone();
    let own = "select string_agg(inhrelid::regclass::text, ' ') from pg_inherits where inhparent = 'events'::regclass";
    for partition in firm.admin(own).split_whitespace() {
        firm.admin(&format!("alter table {partition} owner to \"{user}\""));
    }
    firm
}

fn ruled(rule: &str, month: u64) -> Firm {
    owned(Firm::new(Kind::Postgres, rule, &format!("{TABLES}{}", rows(month))))
}

fn firm() -> Firm {
    ruled(RULE, MONTH).approved()
}

/// The partitions that are there, by their names.
fn partitions(firm: &Firm) -> String {
    firm.admin(
        "select string_agg(relname, ' ' order by relname) from pg_class where relname ~ '^e(2019|_)' and relkind = 'r'",
    )
}

const ALL: &str = "e2019_01 e2019_02 e2019_03 e2019_04 e_default e_now";
/// An empty partition is not past anything: nothing of it goes.
const LEFT: &str = "e2019_04 e_default e_now";

/// Whatever happened: what was due is gone, nothing else is, each with one entry, and the log verifies.
#[track_caller]
fn settled(firm: &Firm, due: u64, stays: u64, what: &str) -> BTreeMap<String, u64> {
    firm.verified();
    assert_eq!(firm.count("select count(*) from events"), stays, "{what}");
    let words = outcomes(firm);
    let gone = words.get("erased").unwrap_or(&0) + words.get("gone-unexplained").unwrap_or(&0);
    assert_eq!(gone, due, "{what}: {words:?}");
    assert_eq!(words.get("unknown"), None, "{what}: {words:?}");
    assert_eq!(std::fs::read_dir(firm.file("state").join("inflight")).unwrap().count(), 0, "{what}");
    words
}

#[test]
fn postgres_a_partition_of_which_every_record_goes_is_dropped_and_each_has_its_entry() {
    let firm = firm();
    let run = firm.run_one(0);
    assert_eq!((&run["erased"], &run["how"]), (&DUE.into(), &"done".into()), "{run}");
    assert_eq!(partitions(&firm), LEFT, "one that takes what has no other place is never dropped");
    assert_eq!(settled(&firm, DUE, YOUNG, "a run"), [("erased".into(), DUE)].into());
    assert_eq!(firm.entries("outcome").iter().filter(|entry| entry["recovered"] == true).count(), 0);
    assert!(!unlooked(&firm), "old values were kept");
    let nothing = firm.run_one(0);
    assert_eq!((&nothing["erased"], &nothing["due"]), (&0.into(), &0.into()), "{nothing}");
}

#[test]
fn postgres_without_the_key_no_partition_is_dropped() {
    let firm = ruled(&RULE.replace(", drop-partitions = true", ""), MONTH).approved();
    assert_eq!(firm.run_one(0)["erased"], DUE);
    assert_eq!(partitions(&firm), ALL);
    settled(&firm, DUE, YOUNG, "in batches");
}

#[test]
fn postgres_a_kill_at_any_point_of_a_drop_loses_nothing_and_claims_nothing() {
    let listing = firm();
    let (ended, points) = passed(listing.command(&["run"]));
    assert_eq!(ended.code, 0, "{}", ended.err);
    let named = [
        "partition-piece-written",
        "partition-read",
        "partition-ticket",
        "partition-before-lock",
        "partition-locked",
        "partition-dropped",
        "after-commit",
    ];
    for named in named {
        assert!(points.iter().any(|point| point == named), "{named}: {points:?}");
    }
    for point in kills(&points).iter().filter(|point| is_of_a_drop(point)) {
        let firm = firm();
        killed_at(&firm, point);
        let words = settled(&firm, DUE, YOUNG, point);
        assert_eq!(words.get("gone-unexplained"), None, "{point}: the server knows what became of it: {words:?}");
        assert_eq!(partitions(&firm), LEFT, "{point}");
    }
}

/// Whether a drop passes it, or what comes straight after; at the others runs are killed in `crash`.
fn is_of_a_drop(point: &str) -> bool {
    const BESIDE: [&str; 6] =
        ["intent-written", "before-commit", "after-commit", "erased", "outcomes-written", "inflight-removed"];
    let name = point.split('#').next().unwrap_or_default();
    name.starts_with("partition-") || BESIDE.contains(&name)
}

/// Kills a run there; the next one settles what it left, and does the rest.
#[track_caller]
fn killed_at(firm: &Firm, point: &str) {
    let killed =
        said(&firm.command(&["run"]).envs([("BEWAARD_CRASH_AT", point), ("BEWAARD_PILE", "100")]).output().unwrap());
    assert_eq!(killed.code, -1, "it was to be killed at {point}: {}{}", killed.out, killed.err);
    firm.bewaard(&["log", "verify"]).ends(0);
    firm.bewaard(&["run"]).ends(0);
}

/// Whether it was told that nobody looked for some records.
fn unlooked(firm: &Firm) -> bool {
    let code = bewaard::codes::NOT_LOOKED_FOR.id;
    firm.entries("finding").iter().any(|entry| entry["change"] == "opened" && entry["code"] == code)
}

#[test]
fn postgres_a_kill_between_the_batches_of_one_partition_is_settled_for_each() {
    // More than a pile in each month.
    let month = 130;
    let due = 3 * month + ELSEWHERE;
    for point in
        ["partition-ticket", "partition-ticket#2", "partition-dropped", "after-commit", "outcomes-written", "looked"]
    {
        let firm = ruled(&RULE.replace("share =", "per-run = 100_000, share ="), month).approved();
        killed_at(&firm, point);
        let words = settled(&firm, due, YOUNG, point);
        assert_eq!(words.get("erased"), Some(&due), "{point}: {words:?}");
        let committed = ["after-commit", "outcomes-written", "looked"].contains(&point);
        assert_eq!(words.get("not-done"), (!committed).then_some(&month), "{point}: {words:?}");
        assert_eq!(partitions(&firm), LEFT, "{point}");
        // Each of them was looked for, or it is told that some were not.
        assert_eq!(unlooked(&firm), committed, "{point}");
    }
}

#[test]
fn postgres_with_a_batch_table_a_dropped_partition_is_ours() {
    for point in ["partition-dropped", "after-commit"] {
        let firm = ruled(RULE, MONTH);
        firm.change_policy("[system.shop]\n", "[system.shop]\nbatch-table = true\n");
        create_batch_table(&firm);
        let firm = firm.approved();
        killed_at(&firm, point);
        let words = settled(&firm, DUE, YOUNG, point);
        assert_eq!(words.get("erased"), Some(&DUE), "{point}: {words:?}");
    }
}

#[test]
fn postgres_a_lost_answer_to_a_drop_is_settled_within_the_run() {
    for (cut, word) in [(Cut::BeforeCommit, "not-done"), (Cut::BeforeAnswer, "erased")] {
        let proxy = Proxy::before(Kind::Postgres.shared().port);
        let tables = format!("{TABLES}{}", rows(MONTH));
        let firm = owned(Firm::behind(Kind::Postgres, proxy.port, RULE, &tables)).approved();
        proxy.cut(cut, false);
        let run = firm.bewaard(&["run", "--json"]);
        assert_eq!(proxy.cuts(), 1, "{cut:?}: {}{}", run.out, run.err);
        assert!(outcomes(&firm).contains_key(word), "{cut:?}: {:?}", outcomes(&firm));
        firm.bewaard(&["run"]).ends(0);
        let words = settled(&firm, DUE, YOUNG, &format!("{cut:?}"));
        assert_eq!(words.get("erased"), Some(&DUE), "{cut:?}: {words:?}");
        assert_eq!(words.contains_key("not-done"), cut == Cut::BeforeCommit, "{cut:?}: {words:?}");
    }
}

#[test]
fn postgres_a_record_that_stays_keeps_its_partition() {
    let protect = "\nprotect = [{ where = \"email = 'k4@canary.example'\" }]\n";
    let select = "records.where = \"email <> 'k4@canary.example'\"\n";
    let rules = [format!("{RULE}{protect}"), RULE.replace("since.column", &format!("{select}since.column"))];
    for rule in rules {
        let firm = ruled(&rule, MONTH).approved();
        assert_eq!(firm.run_one(0)["erased"], DUE - 1, "{rule}");
        // 4 is one of the second month.
        assert_eq!(partitions(&firm), "e2019_02 e2019_04 e_default e_now", "{rule}");
        assert_eq!(firm.count("select count(*) from e2019_02"), 1, "{rule}");
        let words = settled(&firm, DUE - 1, YOUNG + 1, &rule);
        assert_eq!(words.get("not-done"), None, "what is seen to stay is not tried: {words:?}");
    }
}

const HOLD: [&str; 6] = ["hold", "add", "--reason", "a dispute", "--review", "2027-03-01"];

#[test]
fn postgres_a_held_record_keeps_its_partition_also_where_the_hold_comes_late() {
    let early = firm();
    early.bewaard_with_input(&HOLD, "email: k4@canary.example\n").ends(0);
    let run = early.run_one(0);
    assert_eq!(run["erased"], DUE - 1, "{run}");
    assert_eq!(partitions(&early), "e2019_02 e2019_04 e_default e_now");
    settled(&early, DUE - 1, YOUNG + 1, "a hold");

    // Two of the first month are held after all of it was judged.
    let late = firm();
    let run = late.paused_at("partition-read");
    late.bewaard_with_input(&HOLD, "email: k3@canary.example\nemail: k6@canary.example\n").ends(0);
    run.go_on();
    assert_eq!(late.count("select count(*) from events where email in ('k3@canary.example', 'k6@canary.example')"), 2);
    late.bewaard(&["run"]).ends(0);
    assert_eq!(partitions(&late), "e2019_01 e2019_04 e_default e_now");
    let words = settled(&late, DUE - 2, YOUNG + 2, "a late hold");
    assert_eq!(words.get("not-done"), Some(&MONTH), "{words:?}");
}

#[test]
fn postgres_what_changes_after_it_was_judged_keeps_its_partition() {
    for (change, erased, stays) in [
        ("insert into events values (500, '2019-01-20 10:00:00', 'n@canary.example')", DUE, YOUNG + 1),
        ("update events set at = '2019-01-20 10:00:00' where id = 3", DUE - 1, YOUNG + 1),
        ("update events set at = '2026-11-20 10:00:00' where id = 3", DUE - 1, YOUNG + 1),
        ("delete from events where id = 3", DUE - 1, YOUNG),
        (
            "delete from events where id = 3; insert into events values (3, '2019-01-10 10:00:00', 'k3@canary.example')",
            DUE,
            YOUNG,
        ),
    ] {
        for window in ["partition-read", "partition-before-lock"] {
            let what = format!("{window}: {change}");
            let firm = firm();
            let run = firm.paused_at(window);
            firm.session().sql(change);
            let run = run.go_on().json()["runs"][0].clone();
            assert_eq!(run["erased"], erased, "{what}: {run}");
            assert_eq!(partitions(&firm), "e2019_01 e2019_04 e_default e_now", "{what}");
            let words = settled(&firm, erased, stays, &what);
            assert_eq!(words.get("not-done"), Some(&MONTH), "{what}: {words:?}");
        }
    }
}

#[test]
fn postgres_nobody_writes_into_a_partition_that_was_found_as_it_was_judged() {
    let firm = firm();
    let run = firm.paused_at("partition-dropped");
    let mut shop = firm.session();
    shop.send("insert into events values (500, '2019-01-20 10:00:00', 'n@canary.example')");
    firm.somebody_waits("the shop waits for the table");
    assert_eq!(run.go_on().ends(0).json()["runs"][0]["erased"], DUE);
    shop.done();
    // Its month is gone, and the row has its place among those that have no other.
    assert_eq!(firm.count("select count(*) from e_default where id = 500"), 1);
    settled(&firm, DUE, YOUNG + 1, "an insert that waited");
}

#[test]
fn postgres_a_lock_that_is_not_given_is_not_waited_for() {
    for mode in ["access share", "row exclusive"] {
        let firm = firm();
        let mut shop = firm.session();
        shop.sql(&format!("begin; lock table e2019_01 in {mode} mode"));
        let run = firm.run_one(0);
        assert_eq!(run["erased"], DUE, "{mode}: {run}");
        // A reader of one partition holds off no other.
        assert_eq!(partitions(&firm), "e2019_01 e2019_04 e_default e_now", "{mode}");
        let words = settled(&firm, DUE, YOUNG, mode);
        assert_eq!(words.get("not-done"), Some(&MONTH), "{mode}: {words:?}");
        shop.sql("rollback");
        assert!(shop.end());
    }
}

#[test]
fn postgres_a_run_that_lost_the_systems_lock_drops_nothing() {
    let firm = firm();
    let run = firm.paused_at("partition-dropped");
    firm.admin(
        "select pg_terminate_backend(pid) from pg_locks l join pg_database d on d.oid = l.database \
         where d.datname = current_database() and locktype = 'advisory'",
    );
    let stopped = run.go_on();
    assert_ne!(stopped.code, 0, "{}", stopped.out);
    assert_eq!((partitions(&firm).as_str(), firm.count("select count(*) from events")), (ALL, DUE + YOUNG));
    assert_eq!(outcomes(&firm).get("erased"), None);
    firm.bewaard(&["run"]).ends(0);
    settled(&firm, DUE, YOUNG, "a lost lock");
}

#[test]
fn postgres_no_more_goes_than_the_pace_and_the_first_bite_allow() {
    let slow = RULE.replace("share = \"100 %\"", "per-run = 40, share = \"100 %\"");
    let slow = ruled(&slow, MONTH).approved();
    // The default partition's rows are the oldest, then the first month; of the second there is room for a few.
    assert_eq!(slow.run_one(0)["erased"], 40);
    assert_eq!(partitions(&slow), "e2019_02 e2019_03 e2019_04 e_default e_now");
    assert_eq!(slow.count("select count(*) from e2019_02"), MONTH - (40 - MONTH - ELSEWHERE));
    assert_eq!(slow.run_one(0)["erased"], 40);
    assert_eq!(slow.run_one(0)["erased"], DUE - 80);
    settled(&slow, DUE, YOUNG, "paced");

    let bitten = ruled(&RULE.replace("first-bite = 0", "first-bite = 6"), MONTH).approved();
    let run = bitten.run_one(0);
    assert_eq!(run["erased"], DUE, "{run}");
    assert_eq!(partitions(&bitten), LEFT);
    settled(&bitten, DUE, YOUNG, "a first bite");
    assert!(bitten.entries("run-started").len() > 1, "the bite went alone");
}

#[test]
fn postgres_what_is_left_elsewhere_of_a_dropped_partition_is_found() {
    let rule = format!("{RULE}copies = [{{ table = \"lookup\", column = \"email\", of = \"email\" }}]\n");
    let tables = format!(
        "{TABLES}{} create table lookup (email varchar(100) primary key); insert into lookup values ('k7@canary.example');",
        rows(MONTH)
    );
    let firm = owned(Firm::new(Kind::Postgres, &rule, &tables)).approved();
    let run = firm.run_one(1);
    assert_eq!((&run["erased"], partitions(&firm).as_str()), (&DUE.into(), LEFT), "{run}");
    let found = firm.entries("finding");
    let left = found.iter().find(|entry| entry["code"] == bewaard::codes::LEFT_BEHIND.id).unwrap();
    assert_eq!((&left["place"], &left["count"]), (&"lookup.email".into(), &1.into()));
    settled(&firm, DUE, YOUNG, "a copy");
}

#[test]
fn postgres_check_refuses_partitions_whose_drop_would_do_something_else() {
    for (sql, says) in [
        ("create table notes (id int, at timestamp, foreign key (id, at) references events)", "foreign key"),
        (
            "create function f() returns trigger language plpgsql as $$ begin return null; end $$; \
             create trigger t after delete on events for each row execute function f()",
            "trigger",
        ),
        (
            "create function f() returns trigger language plpgsql as $$ begin return null; end $$; \
             create trigger t after delete on events for each statement execute function f()",
            "trigger",
        ),
        ("create rule r as on delete to e2019_01 do instead nothing", "trigger or a rule"),
        ("create publication p for table events", "published"),
        ("alter table e2019_02 owner to current_user", "does not belong"),
    ] {
        let firm = ruled(RULE, MONTH);
        firm.bewaard(&["check"]).ends(0);
        firm.admin(sql);
        let check = firm.bewaard(&["check"]);
        assert_ne!(check.code, 0, "{sql}: {}", check.out);
        let out = format!("{}{}", check.out, check.err);
        assert!(out.contains(bewaard::codes::PARTITIONS_STAY.id) && out.contains(says), "{sql}: {out}");
    }
    for by in ["list (at)", "range (id)", "range (at, id)", "hash (at)"] {
        let table = format!(
            "create table events (id int, at timestamp not null, email varchar(100), primary key (id, at)) partition by {by}; create index on events (at)"
        );
        let firm = Firm::new(Kind::Postgres, RULE, &table);
        let check = firm.bewaard(&["check"]);
        assert!(
            format!("{}{}", check.out, check.err).contains("not partitioned by ranges"),
            "{by}: {}{}",
            check.out,
            check.err
        );
    }
}

#[test]
fn postgres_a_trigger_that_comes_after_the_check_keeps_the_partition() {
    let firm = firm();
    let run = firm.paused_at("partition-before-lock");
    firm.admin(
        "create function f() returns trigger language plpgsql as $$ begin return null; end $$; \
         create trigger t after delete on e2019_01 for each row execute function f()",
    );
    run.go_on();
    assert_eq!((partitions(&firm).as_str(), firm.count("select count(*) from e2019_01")), (ALL, MONTH));
    firm.verified();
}
