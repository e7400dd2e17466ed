//! What only SQLite does: files, loose types, its own faults.

use std::path::{Path, PathBuf};

use super::harness::{Harness, all, child, clock, due, erase, no_holds, open, outcomes, relation, rule, sql};
use super::sqlite::Sqlite;
use bewaard::connect::{Advice, Connector, EraseError, Query, Severity};
use bewaard::domain::outcome::Outcome;
use bewaard::domain::policy::{Access, System};
use bewaard::domain::rule::Rule;

fn path(system: &System) -> PathBuf {
    let Access::Sqlite(access) = &system.access else { panic!("an SQLite system") };
    PathBuf::from(&access.path)
}

fn at(system: &System, path: &Path) -> System {
    let mut other = system.clone();
    if let Access::Sqlite(access) = &mut other.access {
        access.path = path.display().to_string();
    }
    other
}

fn old(table: &str) -> Rule {
    rule(table, vec![clock("seen", None)])
}

async fn refused(connector: &dyn Connector, rule: &Rule) -> bewaard::connect::ConnectError {
    let query = Query { rule, due_by: None, identities: false, limit: 10 };
    connector.find(&query, None).await.unwrap_err()
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_for_what_it_is_and_never_made() {
    let harness = Sqlite::start().await;
    let folder = path(&harness.system()).parent().unwrap().to_path_buf();
    let text = folder.join("text.db");
    bewaard::durable::create(&text, "no database, but long enough to be one ".repeat(40).as_bytes(), 0o600).unwrap();
    let empty = folder.join("empty.db");
    bewaard::durable::create(&empty, b"", 0o600).unwrap();
    for (file, word) in [
        (folder.join("absent.db"), "does not exist"),
        (text, "not a database"),
        (empty, "empty"),
        (folder.clone(), "not a file"),
    ] {
        let connector = open(&at(&harness.system(), &file));
        let error = connector.server_now().await.unwrap_err();
        assert!(error.unreachable && error.advice == Advice::RetryLater && error.what.contains(word), "{error}");
        assert!(!error.to_string().contains(folder.to_str().unwrap()), "{error}");
    }
    assert!(!folder.join("absent.db").exists());
}

#[tokio::test]
async fn a_key_by_which_no_row_can_be_named_stops_the_reading() {
    let harness = Sqlite::start().await;
    harness.sql("CREATE TABLE n (k TEXT PRIMARY KEY, seen DATE); INSERT INTO n VALUES (NULL, '2020-01-01');").await;
    harness.sql("CREATE TABLE b (k TEXT NOT NULL PRIMARY KEY, seen DATE); INSERT INTO b VALUES (CAST(x'ff61' AS TEXT), '2020-01-01');").await;
    harness.sql("CREATE TABLE d (k DECIMAL(9,2) NOT NULL PRIMARY KEY, seen DATE); INSERT INTO d VALUES (1.5, '2020-01-01');").await;
    let connector = open(&harness.system());
    for (table, word) in [("n", "NULL"), ("b", "UTF-8"), ("d", "floating")] {
        let error = refused(connector.as_ref(), &old(table)).await;
        assert!(error.advice == Advice::Fix && error.what.contains(word), "{error}");
    }
}

#[tokio::test]
async fn values_keep_their_own_type_and_collation() {
    let harness = Sqlite::start().await;
    harness.sql("CREATE TABLE m (k PRIMARY KEY NOT NULL, seen DATE) WITHOUT ROWID; INSERT INTO m VALUES (1, '2020-01-01'), ('1', '2026-05-05'), (x'31', '2026-05-05');").await;
    harness.sql("CREATE TABLE c (k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, seen DATE); INSERT INTO c VALUES ('Jan', '2020-01-01'), ('piet', '2026-05-05');").await;
    harness.sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, who TEXT COLLATE NOCASE REFERENCES C (K)); INSERT INTO notes VALUES (1, 'JAN'), (2, 'PIET');").await;
    let connector = open(&harness.system());
    let items = due(connector.as_ref(), &old("m"), &no_holds()).await;
    assert_eq!(outcomes(&erase(connector.as_ref(), &old("m"), &items, &no_holds()).await.unwrap()), [Outcome::Erased]);
    assert_eq!(harness.rows("SELECT typeof(k) FROM m ORDER BY 1").await, [["blob"], ["text"]]);
    // a foreign key written in other letters than its table, and followed
    let mut rule = old("c");
    sql(&mut rule).follow_foreign_keys = true;
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    let receipts = super::harness::erase_with(
        connector.as_ref(),
        &rule,
        &items,
        &no_holds(),
        &super::harness::Watch::default(),
        [2; 8],
    )
    .await
    .unwrap();
    assert_eq!((outcomes(&receipts), receipts[0].children["notes"]), (vec![Outcome::Erased], 1));
    assert_eq!(harness.rows("SELECT who FROM notes").await, [["PIET"]]);
}

#[tokio::test]
async fn a_key_that_is_unique_in_another_way_than_it_is_compared_is_no_key() {
    let harness = Sqlite::start().await;
    harness.sql("CREATE TABLE u (k TEXT COLLATE NOCASE NOT NULL, seen DATE); CREATE UNIQUE INDEX uk ON u (k COLLATE BINARY);").await;
    harness.sql("INSERT INTO u VALUES ('jan', '2020-01-01'), ('JAN', '2026-05-05');").await;
    let mut rule = old("u");
    sql(&mut rule).key = vec!["k".into()];
    let findings = open(&harness.system()).probe(&rule).await.unwrap().findings;
    assert!(findings.iter().any(|one| one.code.id == "B205"), "{findings:?}");
}

#[tokio::test]
async fn a_trigger_that_keeps_rows_stops_the_rule_and_rolls_back() {
    let harness = Sqlite::start().await;
    harness.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, seen DATE); INSERT INTO t VALUES (1, '2020-01-01'), (2, '2020-01-01');").await;
    harness.sql("CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER); INSERT INTO c VALUES (1, 1), (2, 2);").await;
    harness.sql("CREATE TRIGGER keep BEFORE DELETE ON t WHEN old.id = 2 BEGIN SELECT RAISE(IGNORE); END;").await;
    let connector = open(&harness.system());
    let mut rule = old("t");
    sql(&mut rule).children = vec![child("c", "t", vec![])];
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    let failed = erase(connector.as_ref(), &rule, &items, &no_holds()).await;
    assert!(matches!(failed, Err(EraseError::NotDone(ref error)) if error.advice == Advice::Stop), "{failed:?}");
    assert_eq!(harness.rows("SELECT COUNT(*) FROM c").await, [["2"]]);
    let probe = connector.probe(&rule).await.unwrap();
    let warned = probe.findings.iter().find(|one| one.code.id == "B214").unwrap();
    assert!(warned.severity == Severity::Warning && warned.text.contains("keep"), "{}", warned.text);
}

#[tokio::test]
async fn unnamed_references_are_a_fault_though_the_file_does_not_enforce_them() {
    let harness = Sqlite::start().await;
    harness.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, seen DATE); CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t);").await;
    let mut system = harness.system();
    if let Access::Sqlite(access) = &mut system.access {
        access.foreign_keys = false;
    }
    let connector = open(&system);
    let probe = connector.probe(&old("t")).await.unwrap();
    assert_eq!(probe.findings.iter().filter(|one| one.code.id == "B209").count(), 1);
    // and bewaard does not switch enforcement on behind anybody's back: a reference that dangles stays as it is
    harness
        .sql("PRAGMA foreign_keys = OFF; INSERT INTO t VALUES (1, '2020-01-01'); INSERT INTO c VALUES (1, 1);")
        .await;
    let items = due(connector.as_ref(), &old("t"), &no_holds()).await;
    assert_eq!(outcomes(&erase(connector.as_ref(), &old("t"), &items, &no_holds()).await.unwrap()), [Outcome::Erased]);
    assert_eq!(harness.rows("SELECT COUNT(*) FROM c").await, [["1"]]);
}

#[tokio::test]
async fn another_programs_lock_is_waited_for_and_then_told() {
    let harness = Sqlite::start().await;
    harness.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, seen DATE); INSERT INTO t VALUES (1, '2020-01-01');").await;
    let connector = open(&harness.system());
    let rule = old("t");
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    let mut other = harness.connection().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let failed = erase(connector.as_ref(), &rule, &items, &no_holds()).await;
    assert!(matches!(failed, Err(EraseError::NotDone(ref error)) if error.advice == Advice::RetryLater), "{failed:?}");
    assert_eq!(all(connector.as_ref(), &rule, None, 5).await.len(), 1, "reading goes on");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(outcomes(&erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap()), [Outcome::Erased]);
}

#[tokio::test]
async fn erased_bytes_do_not_stay_in_the_file() {
    const CANARY: &str = "kanarie-in-het-bestand";
    let harness = Sqlite::start().await;
    harness.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT, seen DATE);").await;
    harness.sql(&format!("INSERT INTO t VALUES (1, '{CANARY}', '2020-01-01'), (2, 'x', '2026-05-05');")).await;
    let file = path(&harness.system());
    let holds = |bytes: Vec<u8>| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    assert!(holds(std::fs::read(&file).unwrap()));
    let connector = open(&harness.system());
    let items = due(connector.as_ref(), &old("t"), &no_holds()).await;
    erase(connector.as_ref(), &old("t"), &items, &no_holds()).await.unwrap();
    assert!(!holds(std::fs::read(&file).unwrap()));
}

#[tokio::test]
async fn a_file_in_wal_mode_is_read_beside_its_writer() {
    let harness = Sqlite::start().await;
    harness.sql("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, seen DATE); INSERT INTO t VALUES (1, '2020-01-01');").await;
    let connector = open(&harness.system());
    let rule = old("t");
    assert_eq!(all(connector.as_ref(), &rule, None, 5).await.len(), 1);
    let mut other = harness.connection().await;
    sqlx::raw_sql("BEGIN IMMEDIATE; INSERT INTO t VALUES (2, '2020-01-01');").execute(&mut other).await.unwrap();
    assert_eq!(all(connector.as_ref(), &rule, None, 5).await.len(), 1, "what is not committed is not there");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
    assert_eq!(outcomes(&receipts), [Outcome::Erased, Outcome::Erased]);
}

#[tokio::test]
async fn an_epoch_clock_of_related_rows_is_reduced_by_the_server() {
    let harness = Sqlite::start().await;
    harness.sql("CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE v (t INTEGER, at INTEGER); INSERT INTO t VALUES (1), (2), (3), (4);").await;
    harness.sql("INSERT INTO v VALUES (1, 1577836800), (1, 0), (2, 1577836800), (2, 1777600000), (3, 'soon'), (3, 1577836800);").await;
    let mut clock = clock("at", Some(relation("v", "t")));
    let bewaard::domain::selection::ClockSource::Sql { format, .. } = &mut clock;
    *format = bewaard::domain::clock::ClockFormat::Epoch;
    let rule = rule("t", vec![clock]);
    let connector = open(&harness.system());
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    assert_eq!(
        items.iter().map(|item| item.key.show()).collect::<Vec<_>>(),
        ["1"],
        "2 is recent, 3 is unreadable, 4 never came"
    );
}
