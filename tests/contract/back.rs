//! What comes back as it was: rows of tables without a key, as many as went and whatever they hold, and the key zero.

use bewaard::domain::outcome::Restored;

use super::deferred::{back, kept};
use super::harness::{Harness, child, clock, open, rule, sql};
use super::servers::Served;
use super::sqlite::Sqlite;
use super::support::servers::Kind;

/// Columns of a child table without a key, a row of them, and one that differs in a single value.
async fn come_back(harness: &dyn Harness, columns: &str, row: &str, other: &str) {
    // A point is no text.
    let shown = format!(
        "SELECT {} FROM marks",
        if columns.contains("p POINT") { "who, j, ST_AsText(p), e, f, u, i, HEX(b), t" } else { "*" }
    );
    harness
        .sql(&format!(
            "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, seen DATE);
             CREATE TABLE marks (who INTEGER NOT NULL, {columns});
             INSERT INTO users VALUES (1, '2020-01-01'), (2, '2026-05-05');
             INSERT INTO marks VALUES (1, {row}), (1, {row}), (1, {other}), (2, {row});"
        ))
        .await;
    let connector = open(&harness.system());
    let mut rule = rule("users", vec![clock("seen", None)]);
    sql(&mut rule).children = vec![child("marks", "who", vec![])];
    rule.undo = Some(7);
    let faults = connector.probe(&rule).await.unwrap().findings;
    assert!(faults.iter().all(|one| one.severity != bewaard::connect::Severity::Fault), "{faults:?}");
    let mut before = harness.rows(&shown).await;
    let kept = kept(connector.as_ref(), &rule).await;
    assert_eq!(harness.rows("SELECT COUNT(*) FROM marks").await, [["1"]]);
    assert_eq!(back(connector.as_ref(), &kept, [8; 8]).await, [Restored::Restored]);
    let mut after = harness.rows(&shown).await;
    before.sort();
    after.sort();
    assert_eq!(after, before);
    // twice is as good as once, and one that went since comes back alone
    assert_eq!(back(connector.as_ref(), &kept, [9; 8]).await, [Restored::AlreadyThere]);
    assert_eq!(harness.rows("SELECT COUNT(*) FROM marks").await, [["4"]]);
}

#[tokio::test]
async fn rows_without_a_key_come_back_whatever_they_hold_on_sqlite() {
    come_back(&Sqlite::start().await, "a TEXT, b REAL, c BLOB, d", "'x', 0.1, x'00', 'q'", "'x', 0.1, x'00', NULL")
        .await;
}

#[tokio::test]
async fn rows_without_a_key_come_back_whatever_they_hold_on_mariadb() {
    let columns = "j JSON, p POINT, e ENUM('a','b'), f FLOAT, u UUID, i INET6, b BIT(4), t TEXT";
    let row = |json: &str| {
        format!(
            "'{json}', ST_GeomFromText('POINT(1 2)'), 'b', 0.1, '0188e4f0-0000-7000-8000-0000000000aa', '::1', b'101', 'x'"
        )
    };
    come_back(&Served::start(Kind::Mariadb).await, columns, &row("{\"a\":1}"), &row("{\"A\":1}")).await;
}

#[tokio::test]
async fn rows_without_a_key_come_back_whatever_they_hold_on_postgres() {
    let harness = Served::start(Kind::Postgres).await;
    harness.sql("CREATE TYPE pair AS (a int, j json); CREATE TYPE mood AS ENUM ('sad', 'glad');").await;
    let columns = "j json, jb jsonb, x xml, p point, b box, pr pair, m mood, f real, a json[], t text";
    let row = |json: &str| {
        format!(
            "'{json}', '{{\"b\": 1}}', '<a>b</a>', '(1.5,-2)', '((0,0),(1,2))', ROW(1, '{{}}'), 'glad', 0.1, ARRAY['{{}}'::json], 'x'"
        )
    };
    come_back(&harness, columns, &row("{\"a\": 1}"), &row("{\"a\":1}")).await;
}

#[tokio::test]
async fn a_record_with_the_key_zero_comes_back_with_it_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    harness
        .sql(
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
             CREATE TABLE users (id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY, seen DATE);
             INSERT INTO users VALUES (0, '2020-01-01'), (5, '2020-01-01'), (7, '2026-05-05');",
        )
        .await;
    let connector = open(&harness.system());
    let kept = kept(connector.as_ref(), &rule("users", vec![clock("seen", None)])).await;
    assert_eq!(back(connector.as_ref(), &kept, [8; 8]).await, [Restored::Restored; 2]);
    assert_eq!(harness.rows("SELECT id FROM users ORDER BY id").await, [["0"], ["5"], ["7"]]);
}
