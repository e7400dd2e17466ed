//! Databases as they are: keys of every kind, odd names, old encodings, dates that are none, and tables that are not
//! what a policy expects.

use std::fmt::Write as _;

use crate::firm::{Firm, by_kind, outcomes};
use crate::support::servers::Kind;

on_both!(
    keys_of_every_kind_and_odd_names_find_exactly_their_rows,
    dates_that_are_none_are_kept_and_counted,
    a_table_without_a_key_is_refused_by_name,
    triggers_and_partitions_are_told_and_do_no_harm,
    a_table_that_changed_between_plan_and_run_is_no_guess,
    a_table_that_changes_while_the_run_goes_on_fails_clearly_and_goes_on_later,
);

/// One table: what to put where a rule names it, its columns and key, and two rows, of which the first is old.
struct Table {
    rule: &'static str,
    /// As TOML has it.
    toml: String,
    /// As SQL has it.
    sql: String,
    definition: String,
    old: String,
    new: String,
}

fn rule(name: &str, records: &str, rest: &str) -> String {
    format!(
        "[rule.{name}]\nsystem = \"shop\"\nrecords = {{ {records} }}\nsince.column = \"seen\"\nkeep = \"2 years\"\n\
         because = \"test\"\nlimits.share = \"100 %\"\n{rest}\n"
    )
}

const DELETE: &str = "then.delete = true";

fn table(rule: &'static str, definition: &str, old: &str, new: &str) -> Table {
    let name = format!("t_{}", rule.replace('-', "_"));
    Table {
        rule,
        toml: format!("table = \"{name}\""),
        sql: name,
        definition: definition.into(),
        old: old.into(),
        new: new.into(),
    }
}

fn tables(kind: Kind) -> Vec<Table> {
    let odd = |name: &str| {
        by_kind(kind, format!("`{}`", name.replace('`', "``")), format!("\"{}\"", name.replace('"', "\"\"")))
    };
    let mut all = vec![
        table("composite", "a int, b varchar(20), {seen}, primary key (b, a)", "1, 'x'", "2, 'x'"),
        table(
            "uuid",
            "id uuid primary key, {seen}",
            "'0188e4f0-0000-7000-8000-0000000000aa'",
            "'0188e4f0-0000-7000-8000-0000000000ab'",
        ),
        table("decimal", "id decimal(20,6) primary key, {seen}", "12345678901234.000001", "12345678901234.000002"),
        table("generated", "id int primary key, {seen}, twice int generated always as (id * 2) stored", "1", "2"),
        table(
            "emoji",
            by_kind(
                kind,
                "id varchar(20) character set utf8mb4 collate utf8mb4_bin primary key, {seen}",
                "id varchar(20) primary key, {seen}",
            ),
            "'🦊é'",
            "'🐻é'",
        ),
        Table {
            toml: format!("table = {}, key = [{}]", toml("we\"ird `T`é"), toml("se\"lect `x`")),
            sql: odd("we\"ird `T`é"),
            ..table("odd-names", &format!("{} int primary key, {{seen}}", odd("se\"lect `x`")), "1", "2")
        },
        Table {
            toml: "table = \"order\", where = \"\"\"GROUP_ = 'a'\"\"\"".replace("GROUP_", &odd("group")),
            sql: odd("order"),
            ..table(
                "reserved",
                &format!("id int primary key, {{seen}}, {} varchar(9) default 'a'", odd("group")),
                "1",
                "2",
            )
        },
    ];
    all.extend(tables_of_one(kind));
    all
}

/// Keys of types that only one of the two has.
fn tables_of_one(kind: Kind) -> Vec<Table> {
    match kind {
        Kind::Mariadb => vec![
            table(
                "binary",
                "id binary(16) primary key, {seen}",
                "x'000102030405060708090a0b0c0d0e00'",
                "x'000102030405060708090a0b0c0d0eff'",
            ),
            table("caseless", "id varchar(20) collate utf8mb4_general_ci primary key, {seen}", "'Aap'", "'noot '"),
            table("latin1", "id varchar(20) character set latin1 primary key, {seen}", "'é'", "'zë'"),
            table("unsigned", "id bigint unsigned primary key, {seen}", "18446744073709551615", "18446744073709551614"),
        ],
        Kind::Postgres => vec![
            table("binary", "id bytea primary key, {seen}", "'\\x00ff'", "'\\x00fe'"),
            table("caseless", "id text collate caseless primary key, {seen}", "'Aap'", "'noot '"),
            table("citext-like", "id char(10) primary key, {seen}", "'x'", "'y'"),
            table(
                "interval",
                "id timestamptz primary key, {seen}",
                "'2020-01-01 00:00:00.000001+00'",
                "'2020-01-01 00:00:00.000002+00'",
            ),
        ],
    }
}

/// A text as TOML writes it.
fn toml(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn keys_of_every_kind_and_odd_names_find_exactly_their_rows(kind: Kind) {
    let seen = by_kind(kind, "seen datetime", "seen timestamp");
    let mut schema = by_kind(
        kind,
        "set names utf8mb4;\n",
        "create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);\n",
    )
    .to_string();
    let mut policy = String::new();
    let all = tables(kind);
    for one in &all {
        policy.push_str(&rule(one.rule, &one.toml, DELETE));
        writeln!(schema, "create table {} ({});", one.sql, one.definition.replace("{seen}", seen)).unwrap();
        let places = if one.rule == "generated" { " (id, seen)" } else { "" };
        let places = if one.rule == "reserved" { " (id, seen)" } else { places };
        // In `definition` the clock stands behind the key, so values come in that order.
        for (key, day) in [(&one.old, "2019-05-06"), (&one.new, "2026-10-01")] {
            writeln!(schema, "insert into {}{places} values ({key}, '{day} 10:00:00');", one.sql).unwrap();
        }
    }
    let firm = Firm::new(kind, &policy, &schema).approved();
    let check = firm.bewaard(&["check", "--json"]).ends(0).json();
    assert_eq!(check["ok"], true, "{check}");
    let runs = firm.bewaard(&["run", "--json"]).ends(0).json();
    for one in &all {
        let run = runs["runs"].as_array().unwrap().iter().find(|run| run["rule"] == one.rule).unwrap();
        assert_eq!(run["erased"], 1, "{}: {run}", one.rule);
        assert_eq!(firm.count(&format!("select count(*) from {}", one.sql)), 1, "{}", one.rule);
        let new = format!("select count(*) from {} where seen > '2026-01-01'", one.sql);
        assert_eq!(firm.count(&new), 1, "{}: the old one went", one.rule);
    }
    firm.verified();
}

fn dates_that_are_none_are_kept_and_counted(kind: Kind) {
    let (schema, kept) = by_kind(
        kind,
        (
            "create table t (id int primary key, seen datetime); create index s on t(seen); set sql_mode = ''; \
             insert into t values (1, null), (2, '0000-00-00 00:00:00'), (3, '2019-00-00 00:00:00'), \
             (4, '2019-05-00 00:00:00'), (5, '2999-01-01 00:00:00'), (6, '2019-05-06 00:00:00'), (7, '1001-01-01 00:00:00');",
            vec![("no-clock", 1), ("zero-date", 1), ("partial-date", 2), ("future-date", 1), ("implausible-date", 1)],
        ),
        (
            "create table t (id int primary key, seen timestamptz); create index s on t(seen); \
             insert into t values (1, null), (2, 'infinity'), (3, '-infinity'), (5, '2999-01-01 00:00:00'), \
             (6, '2019-05-06 00:00:00'), (7, '4713-01-01 00:00:00 BC');",
            vec![("no-clock", 1), ("implausible-date", 3), ("future-date", 1)],
        ),
    );
    let firm = Firm::new(kind, &rule("old", "table = \"t\"", DELETE), schema).approved();
    let plan = firm.bewaard(&["plan", "--json"]).ends(0).json()["plans"][0].clone();
    for (word, count) in &kept {
        assert_eq!(plan["kept"][word], *count, "{word}: {plan}");
    }
    assert_eq!(firm.run_one(0)["erased"], 1);
    let all: u64 = kept.iter().map(|(_, count)| *count).sum();
    assert_eq!(firm.count("select count(*) from t"), all);
    assert_eq!(firm.count("select count(*) from t where id = 6"), 0);
    assert_eq!(firm.bewaard(&["status", "--json"]).ends(0).json()["state"], "undecided");
    firm.verified();
}

/// `check` must refuse with this code, and neither `plan` nor `run` may do anything with it.
#[track_caller]
fn refused(firm: &Firm, code: &str, count: &str) {
    let before = firm.count(count);
    firm.bewaard(&["init"]).ends(0);
    let check = firm.bewaard(&["check", "--json"]).ends(78).json();
    let faults = check["findings"].as_array().unwrap();
    assert!(faults.iter().any(|one| one["code"] == code && one["severity"] == "fault"), "{code}: {check}");
    let run = firm.bewaard(&["run", "--json"]);
    assert_ne!(run.code, 0, "{}", run.out);
    assert_eq!(firm.count(count), before, "nothing went");
    firm.verified();
}

fn a_table_without_a_key_is_refused_by_name(kind: Kind) {
    let moment = by_kind(kind, "datetime", "timestamp");
    let schema = format!("create table t (id int, seen {moment}); insert into t values (1, '2019-05-06 10:00:00')");
    let firm = Firm::new(kind, &rule("old", "table = \"t\"", DELETE), &schema);
    refused(&firm, "B205", "select count(*) from t");
}

fn triggers_and_partitions_are_told_and_do_no_harm(kind: Kind) {
    let schema = by_kind(
        kind,
        "create table t (id int, seen datetime, year int, primary key (id, year)) partition by range (year) \
         (partition a values less than (2020), partition b values less than maxvalue); \
         create table gone (id int); create trigger tr after delete on t for each row insert into gone values (old.id);\n\
         insert into t select seq, '2019-05-06 10:00:00', 2018 + seq % 5 from seq_1_to_10;",
        "create table t (id int, seen timestamp, year int, primary key (id, year)) partition by range (year); \
         create table t_a partition of t for values from (2000) to (2020); \
         create table t_b partition of t for values from (2020) to (2100); \
         create table gone (id int); grant all on t_a, t_b, gone to public; \
         create function note() returns trigger language plpgsql as $$ begin insert into gone values (old.id); return null; end $$; \
         create trigger tr after delete on t for each row execute function note(); \
         insert into t select i, '2019-05-06 10:00:00', 2018 + i % 5 from generate_series(1, 10) i;",
    );
    let firm = Firm::new(kind, &rule("old", "table = \"t\"", DELETE), schema).approved();
    let check = firm.bewaard(&["check", "--json"]).ends(0).json();
    let told: Vec<&str> =
        check["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(told.contains(&TRIGGERS) && told.contains(&PARTITIONED), "{check}");
    assert_eq!(firm.run_one(0)["erased"], 10);
    assert_eq!(firm.count("select count(*) from t"), 0);
    assert_eq!(firm.count("select count(*) from gone"), 10, "the trigger fired once for each");
    firm.verified();
}

const TRIGGERS: &str = "B214";
const PARTITIONED: &str = "B216";

fn simple(kind: Kind) -> String {
    let moment = by_kind(kind, "datetime", "timestamp");
    let ten = crate::firm::numbers(kind, 10);
    format!(
        "create table t (id int primary key, seen {moment}, name varchar(20)); create index s on t(seen); \
         insert into t select i, '2019-05-06 10:00:00', 'x' from {ten};"
    )
}

fn a_table_that_changed_between_plan_and_run_is_no_guess(kind: Kind) {
    for (change, goes_on) in [
        ("alter table t rename to gone", false),
        ("alter table t drop column seen", false),
        ("alter table t drop primary key_", false),
        ("alter table t add column more int", true),
    ] {
        let firm = Firm::new(kind, &rule("old", "table = \"t\"", DELETE), &simple(kind)).approved();
        let drop_key = by_kind(kind, "drop primary key", "drop constraint t_pkey");
        firm.admin(&change.replace("drop primary key_", drop_key));
        let said = firm.bewaard(&["run", "--json"]);
        let table = if change.contains("rename") { "gone" } else { "t" };
        let left = firm.count(&format!("select count(*) from {table}"));
        if goes_on {
            assert_eq!((said.code, left), (0, 0), "{change}: {}{}", said.out, said.err);
        } else {
            assert!(said.code != 0 && left == 10, "{change}: {left} left, {}{}", said.out, said.err);
            assert!(outcomes(&firm).is_empty(), "{change}");
        }
        firm.verified();
    }
}

fn a_table_that_changes_while_the_run_goes_on_fails_clearly_and_goes_on_later(kind: Kind) {
    let firm = Firm::new(kind, &rule("old", "table = \"t\"", DELETE), &simple(kind)).approved();
    let run = firm.paused_at("batch-filled");
    firm.admin("alter table t rename column seen to seen_at");
    let said = run.go_on();
    assert_ne!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(firm.count("select count(*) from t"), 10);
    assert_eq!(outcomes(&firm), [("failed".to_string(), 10)].into());
    firm.verified();
    firm.admin("alter table t rename column seen_at to seen");
    assert_eq!(firm.run_one(0)["erased"], 10);
    firm.verified();
}

#[test]
fn a_table_without_transactions_is_refused_on_mariadb_or_taken_one_by_one() {
    let schema = "create table t (id int primary key, seen datetime, key (seen)) engine = myisam; \
                  insert into t select seq, '2019-05-06 10:00:00' from seq_1_to_10;";
    let policy = rule("old", "table = \"t\"", DELETE);
    let firm = Firm::new(Kind::Mariadb, &policy, schema);
    refused(&firm, "B215", "select count(*) from t");
    firm.change_policy("then.delete", "allow-no-transactions = true\nthen.delete");
    firm.approve_all();
    let run = firm.paused_at("after-lock");
    firm.admin("update t set seen = '2026-11-20 10:00:00' where id = 5");
    let told = run.go_on().ends(0).json()["runs"][0].clone();
    assert_eq!(
        (&told["erased"], &told["changed"]),
        (&9.into(), &1.into()),
        "each is read right before it goes: {told}"
    );
    assert_eq!(firm.count("select count(*) from t where id = 5"), 1);
    firm.verified();
}

#[test]
fn rows_that_postgres_would_hide_are_refused_and_not_silently_fewer() {
    let schema = format!(
        "{} alter table t enable row level security; create policy p on t using (id > 5);",
        simple(Kind::Postgres)
    );
    let firm = Firm::new(Kind::Postgres, &rule("old", "table = \"t\"", DELETE), &schema);
    refused(&firm, "B217", "select count(*) from t");
}

/// MariaDB sets such a column anew at each update of its row; the later part would then never be due.
#[test]
fn t19_on_mariadb_our_own_update_does_not_move_a_clock() {
    let policy = "[rule.fields]\nsystem = \"shop\"\nrecords.table = \"people\"\nsince.column = \"changed\"\n\
                  because = \"test\"\nlimits.share = \"100 %\"\n\
                  [rule.fields.part.phone]\nkeep = \"2 years\"\nthen.anonymise.phone = \"null\"\n\
                  [rule.fields.part.name]\nkeep = \"4 years\"\nthen.anonymise.name.fixed = \"[verwijderd]\"\n";
    let schema = "create table people (id int primary key, name varchar(40), phone varchar(20), \
                  changed timestamp not null default current_timestamp on update current_timestamp, index (changed)); \
                  insert into people values (1, 'a', '06', '2023-11-01 10:00:00'), (2, 'b', '06', '2019-01-01 10:00:00');";
    let firm = Firm::new(Kind::Mariadb, policy, schema).approved();
    assert_eq!(firm.run_one(0)["anonymised"], 3);
    assert_eq!(firm.count("select count(*) from people where phone is null"), 2);
    assert_eq!(firm.count("select count(*) from people where year(changed) in (2023, 2019)"), 2, "the clocks stand");
    firm.verified();
}
