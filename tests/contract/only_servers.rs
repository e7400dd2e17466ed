//! What only one of the servers does: orders and names of its own.

use std::collections::BTreeSet;

use bewaard::connect::{Connector, EraseError, Severity};
use bewaard::domain::hold::Hold;
use bewaard::domain::id::HoldId;
use bewaard::domain::identity::{Identity, IdentityKind};
use bewaard::domain::outcome::Outcome;
use bewaard::domain::predicate::{Comparison, Literal, Predicate};
use bewaard::domain::rule::Rule;
use chrono::NaiveDate;

use super::harness::{Harness, Watch, all, child, clock, due, erase, erase_with, no_holds, open, outcomes, rule, sql};
use super::servers::Served;
use super::support::servers::Kind;

fn old(table: &str) -> Rule {
    rule(table, vec![clock("seen", None)])
}

/// Every record once, whatever the size of the pages.
async fn complete(connector: &dyn Connector, rule: &Rule, count: usize) {
    for limit in [1, 2, 5, 100] {
        let found = all(connector, rule, None, limit).await;
        let keys: BTreeSet<String> = found.iter().map(|one| one.key.show()).collect();
        assert_eq!((found.len(), keys.len()), (count, count), "pages of {limit}");
    }
}

async fn fault(connector: &dyn Connector, rule: &Rule) -> Option<&'static str> {
    let findings = connector.probe(rule).await.unwrap().findings;
    findings.iter().find(|one| one.severity == Severity::Fault).map(|one| one.code.id)
}

#[tokio::test]
async fn keys_with_an_order_of_their_own_are_walked_whole_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    harness
        .sql(
            "CREATE TABLE e (k ENUM('zet','it''s, a','back\\\\slash','A','a','é') COLLATE utf8mb4_bin, id INT, seen DATE, PRIMARY KEY (k, id));
             INSERT INTO e SELECT 1 + seq MOD 6, seq, '2020-01-01' FROM seq_1_to_24;
             CREATE TABLE s (k SET('z','a','m'), id INT, seen DATE, PRIMARY KEY (k, id));
             INSERT INTO s SELECT seq MOD 8, seq, '2020-01-01' FROM seq_1_to_24;
             CREATE TABLE y (k YEAR, b BIT(3), id INT UNSIGNED, seen DATE, PRIMARY KEY (k, b, id));
             SET sql_mode = '';
             INSERT INTO y SELECT IF(seq MOD 3, 1968 + seq, 0), seq MOD 8, 4294967295 - seq, '2020-01-01' FROM seq_1_to_24;",
        )
        .await;
    let connector = open(&harness.system());
    for table in ["e", "s", "y"] {
        complete(connector.as_ref(), &old(table), 24).await;
        let items = due(connector.as_ref(), &old(table), &no_holds()).await;
        let (some, left) = items.split_at(10);
        let receipts = erase(connector.as_ref(), &old(table), some, &no_holds()).await.unwrap();
        assert_eq!(outcomes(&receipts), [Outcome::Erased; 10], "{table}");
        let still = all(connector.as_ref(), &old(table), None, 3).await;
        assert!(still.iter().map(|one| &one.key).eq(left.iter().map(|one| &one.key)), "{table}");
        connector.release().await.unwrap();
        harness.sql("DROP TABLE bewaard_batch;").await;
    }
}

#[tokio::test]
async fn keys_of_several_columns_in_another_charset_name_their_own_row_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    harness
        .sql(
            "CREATE TABLE t (k VARCHAR(9) CHARACTER SET latin1, id INT, seen DATE, PRIMARY KEY (k, id));
             INSERT INTO t VALUES ('ä', 1, '2020-01-01'), ('b', 1, '2020-01-01'), ('Ã¤', 1, '2026-05-01');",
        )
        .await;
    // A list of rows compares the bytes of `ä` in UTF-8 with those of `Ã¤` in Latin 1, which are the same.
    let connector = open(&harness.system());
    let items = due(connector.as_ref(), &old("t"), &no_holds()).await;
    let receipts = erase(connector.as_ref(), &old("t"), &items, &no_holds()).await.unwrap();
    assert_eq!(outcomes(&receipts), [Outcome::Erased; 2]);
    assert_eq!(harness.rows("SELECT k FROM t").await, [["Ã¤"]]);
}

#[tokio::test]
async fn a_year_is_never_guessed_from_two_digits_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    harness.sql("CREATE TABLE t (id INT PRIMARY KEY, y YEAR, seen DATE); INSERT INTO t VALUES (1, 2005, '2020-01-01'), (2, 1970, '2020-01-01');").await;
    let connector = open(&harness.system());
    // MariaDB itself takes `y < 71` for `y < 1971`, and `y = 5` for 2005.
    for (number, code, found) in [("5", Some("B220"), 0), ("71", Some("B220"), 0), ("1971", None, 1), ("0", None, 0)] {
        let mut rule = old("t");
        let with = Literal::Number(number.into());
        sql(&mut rule).filter = Some(Predicate::Compare { column: "y".into(), op: Comparison::Less, with });
        assert_eq!(fault(connector.as_ref(), &rule).await, code, "{number}");
        if code.is_none() {
            assert_eq!(all(connector.as_ref(), &rule, None, 10).await.len(), found, "{number}");
        }
    }
}

#[tokio::test]
async fn tables_that_differ_in_case_alone_are_not_each_other_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    harness
        .sql(
            "CREATE TABLE people (id INT PRIMARY KEY, seen DATE); CREATE TABLE People (id INT PRIMARY KEY, name INT);
             CREATE TABLE posts (id INT PRIMARY KEY, who INT, FOREIGN KEY (who) REFERENCES People (id));
             INSERT INTO people VALUES (1, '2020-01-01'); INSERT INTO People VALUES (1, 1); INSERT INTO posts VALUES (1, 1);",
        )
        .await;
    let connector = open(&harness.system());
    let mut rule = old("people");
    sql(&mut rule).follow_foreign_keys = true;
    assert_eq!(fault(connector.as_ref(), &rule).await, None);
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
    assert_eq!((outcomes(&receipts), receipts[0].children.len()), (vec![Outcome::Erased], 0));
    assert_eq!(harness.rows("SELECT COUNT(*) FROM posts").await, [["1"]], "they are of the other table");
    // and a policy that names neither letter for letter is refused
    assert_eq!(fault(connector.as_ref(), &old("PEOPLE")).await, Some("B202"));
}

#[tokio::test]
async fn keys_with_an_order_of_their_own_are_walked_whole_on_postgres() {
    let harness = Served::start(Kind::Postgres).await;
    harness
        .sql(
            "CREATE TYPE mood AS ENUM ('zet', 'it''s', 'a'); CREATE DOMAIN short AS char(5);
             CREATE TABLE e (k mood, id int, seen date, PRIMARY KEY (k, id));
             INSERT INTO e SELECT (enum_range(NULL::mood))[1 + i % 3], i, '2020-01-01' FROM generate_series(1, 24) i;
             CREATE TABLE c (k short, n numeric, b bit(3), seen date, PRIMARY KEY (k, n, b));
             INSERT INTO c SELECT chr(97 + i % 3), (i / 4)::numeric / 10, (i % 8)::bit(3), '2020-01-01' FROM generate_series(1, 24) i;",
        )
        .await;
    let connector = open(&harness.system());
    for table in ["e", "c"] {
        complete(connector.as_ref(), &old(table), 24).await;
        let items = due(connector.as_ref(), &old(table), &no_holds()).await;
        let (some, left) = items.split_at(10);
        let receipts = erase(connector.as_ref(), &old(table), some, &no_holds()).await.unwrap();
        assert_eq!(outcomes(&receipts), [Outcome::Erased; 10], "{table}");
        let still = all(connector.as_ref(), &old(table), None, 3).await;
        assert!(still.iter().map(|one| &one.key).eq(left.iter().map(|one| &one.key)), "{table}");
        connector.release().await.unwrap();
        harness.sql("DROP TABLE bewaard_batch;").await;
    }
}

#[tokio::test]
async fn a_table_that_others_inherit_from_has_no_key_on_postgres() {
    let harness = Served::start(Kind::Postgres).await;
    harness
        .sql(
            "CREATE TABLE t (id int PRIMARY KEY, seen date); CREATE TABLE heir (extra int) INHERITS (t);
             INSERT INTO t VALUES (1, '2020-01-01'); INSERT INTO heir VALUES (1, '2020-01-01', 7);",
        )
        .await;
    let connector = open(&harness.system());
    assert_eq!(fault(connector.as_ref(), &old("t")).await, Some("B205"), "two rows answer to one key");
}

#[tokio::test]
async fn an_identity_in_bytes_is_the_text_that_they_are_on_mariadb() {
    identity_in_bytes(Kind::Mariadb, "VARBINARY(40)", "X'ff'").await;
    identity_in_bytes(Kind::Mariadb, "BINARY(20)", "X'ff'").await;
}

#[tokio::test]
async fn an_identity_in_bytes_is_the_text_that_they_are_on_postgres() {
    identity_in_bytes(Kind::Postgres, "BYTEA", "'\\xff'").await;
}

/// A hold on a login binds it, and bytes that are no text may be anybody's.
async fn identity_in_bytes(kind: Kind, ty: &str, broken: &str) {
    let harness = Served::start(kind).await;
    harness
        .sql(&format!(
            "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name {ty}, seen DATE);
             INSERT INTO users VALUES (1,'jan','2020-01-01'),(2,'piet','2020-01-01'),(3,{broken},'2020-01-01');"
        ))
        .await;
    let connector = open(&harness.system());
    let mut rule = old("users");
    rule.person = [(IdentityKind::Login, "name".to_string())].into();
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    assert_eq!(items.len(), 3);
    let mut holds = no_holds();
    let marks = [Identity::new(IdentityKind::Login, "jan").unwrap(), Identity::unreadable(IdentityKind::Login)];
    let marks = marks.iter().map(|one| holds.mark_identity(one)).collect();
    let (id, review) = (HoldId::from_random([1; 8]), NaiveDate::MAX);
    holds.add(Hold { id, marks, system: None, rule: None, owner: None, review, placed: NaiveDate::MIN });
    let receipts = erase(connector.as_ref(), &rule, &items, &holds).await.unwrap();
    assert_eq!(outcomes(&receipts), [Outcome::Withheld, Outcome::Erased, Outcome::Withheld]);
}

#[tokio::test]
async fn foreign_keys_to_a_partition_or_to_the_table_above_it_are_seen_on_postgres() {
    let harness = Served::start(Kind::Postgres).await;
    harness
        .sql(
            "CREATE TABLE p (id int PRIMARY KEY, seen date) PARTITION BY RANGE (id);
             CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
             CREATE TABLE p11 PARTITION OF p1 FOR VALUES FROM (0) TO (50);
             CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
             CREATE TABLE above (id int PRIMARY KEY, ref int REFERENCES p (id) ON DELETE CASCADE);
             CREATE TABLE leaf (id int PRIMARY KEY, ref int REFERENCES p11 (id));
             CREATE INDEX ON above (ref); CREATE INDEX ON leaf (ref);
             INSERT INTO p VALUES (1, '2020-01-01'), (101, '2020-01-01');
             INSERT INTO above VALUES (1, 1), (2, 101); INSERT INTO leaf VALUES (1, 1);",
        )
        .await;
    let connector = open(&harness.system());
    let (blocks, cascades) = (("B209", "leaf"), ("B210", "above"));
    for (table, expected) in [
        ("p", vec![blocks, cascades]),
        ("p1", vec![blocks, cascades]),
        ("p11", vec![blocks, cascades]),
        ("p2", vec![cascades]),
    ] {
        let findings = connector.probe(&old(table)).await.unwrap().findings;
        let faults: Vec<_> = findings.iter().filter(|one| one.severity == Severity::Fault).collect();
        assert_eq!(faults.len(), expected.len(), "{table}: {faults:?}");
        for (fault, (code, from)) in faults.iter().zip(expected) {
            assert!(fault.code.id == code && fault.text.contains(&format!("rows of `{from}`")), "{table}: {fault:?}");
        }
        // named or followed, they are children as of any table
        let mut named = old(table);
        sql(&mut named).children = vec![child("above", "ref", vec![]), child("leaf", "ref", vec![])];
        assert_eq!(fault(connector.as_ref(), &named).await, None, "{table}");
        let mut followed = old(table);
        sql(&mut followed).follow_foreign_keys = true;
        assert_eq!(fault(connector.as_ref(), &followed).await, None, "{table}");
        if table == "p11" {
            let items = due(connector.as_ref(), &followed, &no_holds()).await;
            let receipts = erase(connector.as_ref(), &followed, &items, &no_holds()).await.unwrap();
            assert_eq!(outcomes(&receipts), [Outcome::Erased]);
            assert_eq!(receipts[0].children, [("above".to_string(), 1), ("leaf".to_string(), 1)].into());
            harness.sql("INSERT INTO p VALUES (1, '2020-01-01'); INSERT INTO above VALUES (1, 1); INSERT INTO leaf VALUES (1, 1);").await;
        }
    }
}

#[tokio::test]
async fn what_a_table_without_transactions_lost_is_never_called_not_done_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    for engine in ["MyISAM", "Aria TRANSACTIONAL = 0"] {
        harness
            .sql(&format!(
                "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, seen DATE) ENGINE = {engine};
                 CREATE TABLE loans (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER, KEY (user_id)) ENGINE = {engine};
                 INSERT INTO users VALUES (1, '2020-01-01'), (2, '2020-01-01'), (3, '2020-01-01');
                 INSERT INTO loans VALUES (1, 1), (2, 2), (3, 3);
                 CREATE TABLE guard (id INTEGER NOT NULL PRIMARY KEY); INSERT INTO guard VALUES (2);
                 CREATE TRIGGER stays BEFORE DELETE ON users FOR EACH ROW INSERT INTO guard SELECT old.id FROM DUAL WHERE old.id = 2;"
            ))
            .await;
        let connector = open(&harness.system());
        let mut rule = old("users");
        sql(&mut rule).children = vec![child("loans", "user_id", vec![])];
        assert_eq!(fault(connector.as_ref(), &rule).await, Some("B215"), "{engine}");
        sql(&mut rule).allow_no_transactions = true;
        let items = due(connector.as_ref(), &rule, &no_holds()).await;
        let watch = Watch { intent_fails: true, ..Watch::default() };
        let failed = erase_with(connector.as_ref(), &rule, &items, &no_holds(), &watch, [9; 8]).await;
        assert!(matches!(failed, Err(EraseError::NotDone(_))), "{engine}: there is no way back: {failed:?}");
        assert_eq!(harness.rows("SELECT id FROM loans").await.len(), 3, "{engine}");
        let (first, second) = (Outcome::Erased, Outcome::Unknown);
        let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
        assert_eq!(outcomes(&receipts), [first, second, Outcome::Failed], "{engine}: its loan is gone and it is not");
        assert_eq!(harness.rows("SELECT id FROM users").await, [["2"], ["3"]]);
        assert_eq!(harness.rows("SELECT id FROM loans").await, [["3"]]);
        // also where it is the first of its batch
        let receipts = erase(connector.as_ref(), &rule, &items[1..], &no_holds()).await.unwrap();
        assert_eq!(outcomes(&receipts), [Outcome::Unknown, Outcome::Failed], "{engine}");
        connector.release().await.unwrap();
        harness.sql("DROP TABLE loans; DROP TABLE users; DROP TABLE guard; DROP TABLE IF EXISTS bewaard_batch;").await;
    }
}
