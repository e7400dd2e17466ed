//! The list of candidates that a walk goes by: keys of every kind come out of it as they are in their table and in the order of
//! a walk by the whole key, and what changes beside a walk costs no other record its turn.

use bewaard::connect::{Connector, Query};
use bewaard::domain::outcome::Outcome;
use bewaard::domain::rule::Rule;
use bewaard::domain::value::Key;

use super::harness::{Harness, all, clock, due, erase, moment, no_holds, open, outcomes, rule, sql};
use super::servers::Served;
use super::support::servers::Kind;

/// A kind of key: its type, values as literals, and whether a list keeps them and their order.
struct KeyKind(&'static str, &'static [&'static str], bool);

const VERY_LONG: [&str; 3] = ["repeat('é', 760)", "concat(repeat('é', 750), 'a')", "concat(repeat('é', 750), 'b')"];
const LONG: [&str; 4] = ["repeat('é', 200)", "concat(repeat('é', 199), 'a')", "concat(repeat('é', 199), 'B')", "'é'"];

const MARIADB: &[KeyKind] = &[
    KeyKind("TINYINT", &["-128", "0", "5", "127"], true),
    KeyKind("INT(5) ZEROFILL", &["1", "42", "99999", "0"], true),
    KeyKind("BIGINT", &["9223372036854775807", "-9223372036854775808", "0", "7"], true),
    KeyKind("BIGINT UNSIGNED", &["18446744073709551615", "9223372036854775808", "0", "7"], true),
    KeyKind("YEAR", &["2155", "0", "1901", "1999"], true),
    KeyKind("DECIMAL(30,4)", &["-0.5", "10.25", "9.75", "12345678901234567890.1234"], true),
    KeyKind("DECIMAL(65,30) UNSIGNED", &["0.000000000000000000000000000001", "0", "10", "9"], true),
    KeyKind("CHAR(10)", &["''", "'a'", "'a b'", "'ab'", "'B'", "'c  '"], true),
    KeyKind("CHAR(4) CHARACTER SET ascii COLLATE ascii_bin", &["'a'", "'A'", "'b'", "'B'", "''"], true),
    KeyKind("VARCHAR(40) COLLATE utf8mb4_general_ci", &["'z'", "'a'", "'B'", "'É'", "'f'", "'_'", "'10'", "'9'"], true),
    KeyKind("VARCHAR(40) COLLATE utf8mb4_unicode_ci", &["'z'", "'ß'", "'st'", "'Œ'", "'og'", "'漢'", "'😀'"], true),
    KeyKind("VARCHAR(40) COLLATE utf8mb4_nopad_bin", &["'a'", "'a '", "'a  '", "'A'", "'a\\t'", "''"], true),
    KeyKind(
        "VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_german2_ci",
        &["'ä'", "'af'", "'ad'", "'Ã¤'", "'Z'"],
        true,
    ),
    KeyKind("VARCHAR(255) COLLATE utf8mb4_unicode_ci", &LONG, true),
    KeyKind("VARCHAR(760) COLLATE utf8mb4_unicode_ci", &VERY_LONG, false),
    KeyKind("DATE", &["'0000-00-00'", "'2020-00-00'", "'2020-01-00'", "'2020-01-01'", "'9999-12-31'"], true),
    KeyKind("DATETIME", &["'0000-00-00'", "'2020-00-00'", "'2020-01-01 23:59:59'", "'2020-01-01'"], true),
    KeyKind(
        "DATETIME(6)",
        &["'2020-01-01 10:00:00.000002'", "'2020-01-01 10:00:00.000001'", "'2020-01-01 10:00'"],
        true,
    ),
    KeyKind(
        "UUID",
        &[
            "'6fa459ea-ee8a-3ca4-894e-db77e160355e'",
            "'00000000-0000-0000-0000-000000000000'",
            "'ffa459ea-0000-1ca4-894e-db77e160355e'",
            "'00a459ea-ffff-1ca4-894e-db77e160355e'",
        ],
        true,
    ),
    KeyKind("ENUM('z','a','m')", &["'a'", "'m'", "'z'"], false),
    KeyKind("SET('z','a','m')", &["'a'", "'z,m'", "'m'", "''"], false),
    KeyKind("BIT(12)", &["b'0'", "b'100000000001'", "b'111'"], false),
    KeyKind("VARBINARY(9)", &["x'00'", "x''", "x'ff00'", "x'41'"], false),
    KeyKind("TIME(3)", &["'-10:00:00'", "'00:00:00.001'", "'800:00:00'"], false),
    KeyKind("TIMESTAMP(3)", &["'2020-01-01 10:00:00.001'", "'1999-12-31'", "'2030-01-01'"], false),
    KeyKind("INET6", &["'::1'", "'2001:db8::1'", "'10.0.0.1'"], false),
];

const POSTGRES: &[KeyKind] = &[
    KeyKind("smallint", &["-32768", "0", "5"], true),
    KeyKind("integer", &["10", "9", "-1"], true),
    KeyKind("bigint", &["9223372036854775807", "-9223372036854775807", "7"], true),
    KeyKind("numeric", &["'NaN'", "'-1.50'", "'1.500'", "'Infinity'", "'10'", "'9'"], true),
    KeyKind("numeric(20,4)", &["10.25", "9.75", "-0.5"], true),
    KeyKind("text", &["'z'", "'a'", "'B'", "'É'", "'f'", "' f'", "'10'", "'9'", "''", "'a '"], true),
    KeyKind("text COLLATE \"C\"", &["'z'", "'a'", "'B'", "'É'", "'a '", "'a'' \\'"], true),
    KeyKind("varchar(200) COLLATE \"nl-x-icu\"", &["'z'", "'a'", "'B'", "'É'", "'f'", "'ij'", "'IK'"], true),
    KeyKind("varchar(20) COLLATE caseless", &["'z'", "'a'", "'B'", "'É'", "'f'"], true),
    KeyKind("char(8)", &["'z'", "'a'", "'a b'", "'ab'", "''"], true),
    KeyKind("name", &["'z'", "'a'", "'B'"], true),
    KeyKind("citext", &["'z'", "'a'", "'B'", "'C'"], true),
    KeyKind("short", &["'z'", "'a'", "'B'", "'a b'"], true),
    KeyKind("uuid", &["'6fa459ea-ee8a-3ca4-894e-db77e160355e'", "'00000000-0000-0000-0000-000000000000'"], true),
    KeyKind("date", &["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'2020-01-01'", "'10000-01-01'"], true),
    KeyKind("timestamp", &["'infinity'", "'-infinity'", "'2020-01-01 10:00:00.000001'", "'0044-03-15 BC'"], true),
    KeyKind("mood", &["'zet'", "'a'", "'m'"], false),
    KeyKind("bit(5)", &["'10000'", "'00001'"], false),
    KeyKind("varbit(5)", &["'10000'", "'1'", "'0'"], false),
    KeyKind("bytea", &["'\\x00'", "'\\xff'", "''"], false),
    KeyKind("inet", &["'10.0.0.1'", "'9.0.0.1'", "'::1'"], false),
    KeyKind("interval", &["'1 month'", "'29 days'"], false),
    KeyKind("bool", &["true", "false"], false),
    KeyKind("timestamptz", &["'2020-01-01 10:00:00.001+02'", "'infinity'"], false),
    KeyKind("time", &["'10:00'", "'09:00:00.001'"], false),
];

fn old(key: &[&str]) -> Rule {
    let mut rule = rule("t", vec![clock("seen", None)]);
    sql(&mut rule).key = key.iter().map(|name| (*name).to_string()).collect();
    rule
}

/// Whether a walk of the rule goes by a list: its statement is told before that of the walk by key.
async fn by_list(connector: &dyn Connector, rule: &Rule) -> bool {
    connector.why(rule, moment()).await.unwrap().len() == 2
}

async fn keys_of_every_kind(harness: &dyn Harness, kinds: &[KeyKind], options: &str) {
    for KeyKind(ty, values, plain) in kinds {
        // Alone and beside another column; one of them each time is not due.
        for (number, key) in [&["k"][..], &["k", "n"]].into_iter().enumerate() {
            let unique = key.join(", ");
            harness
                .sql(&format!("CREATE TABLE t (k {ty} NOT NULL, n INT NOT NULL, seen DATE, UNIQUE ({unique}));"))
                .await;
            harness.sql("CREATE INDEX by_seen ON t (seen);").await;
            let row = |(place, value): (usize, &&str)| {
                let seen = if place == number { "2026-05-31" } else { "2020-01-01" };
                format!("({value}, {}, '{seen}')", 7 - place % 3)
            };
            let rows: Vec<String> = values.iter().enumerate().map(row).collect();
            harness.sql(&format!("{options}\nINSERT INTO t VALUES {};", rows.join(", "))).await;
            let (connector, rule) = (open(&harness.system()), old(key));
            let told = format!("{ty} in ({unique})");
            assert_eq!(by_list(connector.as_ref(), &rule).await, *plain, "{told}");
            let items = due(connector.as_ref(), &rule, &no_holds()).await;
            let by_key: Vec<Key> = items.iter().map(|item| item.key.clone()).collect();
            assert_eq!(by_key.len(), values.len() - usize::from(number < values.len()), "{told}");
            for limit in [1, 2, 100] {
                let found = all(connector.as_ref(), &rule, Some(moment()), limit).await;
                let listed: Vec<Key> = found.iter().map(|one| one.key.clone()).collect();
                assert_eq!(listed, by_key, "{told} by pages of {limit}");
                assert!(found.iter().zip(&items).all(|(one, item)| one.fingerprint == item.fingerprint), "{told}");
            }
            let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
            assert_eq!(outcomes(&receipts), vec![Outcome::Erased; items.len()], "{told}");
            connector.release().await.unwrap();
            harness.sql("DROP TABLE bewaard_batch;\nDROP TABLE t;").await;
        }
    }
}

#[tokio::test]
async fn keys_of_every_kind_come_out_of_the_list_as_they_are_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    keys_of_every_kind(&harness, MARIADB, "SET sql_mode = '', time_zone = '+00:00';").await;
}

#[tokio::test]
async fn keys_of_every_kind_come_out_of_the_list_as_they_are_on_postgres() {
    let harness = Served::start(Kind::Postgres).await;
    harness.caseless().await;
    harness
        .sql(
            "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('zet', 'a', 'm');
             CREATE DOMAIN short AS varchar(9) CHECK (value <> '!');",
        )
        .await;
    keys_of_every_kind(&harness, POSTGRES, "SET TIME ZONE 'UTC';").await;
}

/// Between two pages of a list one record is visited, one goes, and one comes that is due.
async fn what_changes_beside_a_walk(harness: &dyn Harness) {
    harness.sql("CREATE TABLE t (k INT NOT NULL PRIMARY KEY, seen DATE);\nCREATE INDEX by_seen ON t (seen);").await;
    let rows: Vec<String> = (1..=9).map(|k| format!("({k}, '2020-01-01')")).collect();
    harness.sql(&format!("INSERT INTO t VALUES {};", rows.join(", "))).await;
    let (connector, rule) = (open(&harness.system()), old(&["k"]));
    assert!(by_list(connector.as_ref(), &rule).await);
    let query = Query { rule: &rule, due_by: Some(moment()), identities: false, limit: 3 };
    let numbers = |page: &bewaard::connect::Page| page.found.iter().map(|one| one.key.show()).collect::<Vec<_>>();
    let first = connector.find(&query, None).await.unwrap();
    assert_eq!(numbers(&first), ["1", "2", "3"]);
    harness.sql("UPDATE t SET seen = '2026-05-31' WHERE k = 5;\nINSERT INTO t VALUES (10, '2020-01-01');").await;
    // What was visited is found, and decided again as it is now.
    let second = connector.find(&query, first.next.as_ref()).await.unwrap();
    assert_eq!(numbers(&second), ["4", "5", "6"]);
    harness.sql("DELETE FROM t WHERE k = 7;").await;
    let third = connector.find(&query, second.next.as_ref()).await.unwrap();
    assert_eq!(numbers(&third), ["8", "9", "10"], "by key, from where the list could not go on");
    // No list is left behind, by which another walk could go on.
    let again = connector.find(&query, first.next.as_ref()).await.unwrap();
    assert_eq!(numbers(&again), ["4", "6", "8"]);
    // Another walk by the same connector begins in between: each keeps its place.
    let first = connector.find(&query, None).await.unwrap();
    let other = Rule { limits: bewaard::domain::rule::Limits { per_run: 1, ..rule.limits.clone() }, ..rule.clone() };
    let of_other = all(connector.as_ref(), &other, Some(moment()), 3).await;
    assert_eq!(
        of_other.iter().map(|one| one.key.show()).collect::<Vec<_>>(),
        ["1", "2", "3", "4", "6", "8", "9", "10"]
    );
    connector.find(&Query { rule: &other, ..query }, None).await.unwrap();
    let second = connector.find(&query, first.next.as_ref()).await.unwrap();
    assert_eq!(numbers(&second), ["4", "6", "8"]);
    let last = connector.find(&query, second.next.as_ref()).await.unwrap();
    assert_eq!((numbers(&last), last.next), (vec!["9".into(), "10".into()], None));
}

#[tokio::test]
async fn what_changes_beside_a_walk_costs_no_other_its_turn_on_mariadb() {
    what_changes_beside_a_walk(&Served::start(Kind::Mariadb).await).await;
}

#[tokio::test]
async fn what_changes_beside_a_walk_costs_no_other_its_turn_on_postgres() {
    what_changes_beside_a_walk(&Served::start(Kind::Postgres).await).await;
}

/// One more than are remembered: the walk goes by key, and none is left behind.
async fn more_than_are_remembered(harness: &dyn Harness, numbers: &str) {
    harness.sql("CREATE TABLE t (k INT NOT NULL PRIMARY KEY, seen DATE);\nCREATE INDEX by_seen ON t (seen);").await;
    harness.sql(&format!("INSERT INTO t SELECT i, '2020-01-01' FROM {numbers};")).await;
    let (connector, rule) = (open(&harness.system()), old(&["k"]));
    for (more, count) in [("", 20_001), ("UPDATE t SET seen = '2026-05-31' WHERE k = 17;", 20_000)] {
        if !more.is_empty() {
            harness.sql(more).await;
        }
        let found = all(connector.as_ref(), &rule, Some(moment()), 3_000).await;
        let keys: Vec<&Key> = found.iter().map(|one| &one.key).collect();
        assert_eq!(keys.len(), count);
        assert!(keys.is_sorted_by(|a, b| a.0 < b.0), "in order and none twice");
    }
}

#[tokio::test]
async fn more_candidates_than_are_remembered_are_all_found_on_mariadb() {
    let numbers = "(SELECT seq AS i FROM seq_1_to_20001) n";
    more_than_are_remembered(&Served::start(Kind::Mariadb).await, numbers).await;
}

#[tokio::test]
async fn more_candidates_than_are_remembered_are_all_found_on_postgres() {
    more_than_are_remembered(&Served::start(Kind::Postgres).await, "generate_series(1, 20001) i").await;
}
