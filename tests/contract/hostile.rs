//! Promises under databases that mean ill: triggers, altered tables, keys that are the same and written otherwise.

use bewaard::connect::{Advice, EraseError, Presence, Severity};
use bewaard::domain::outcome::Outcome;
use bewaard::domain::recipe::Recipe;

use super::harness::{Harness, clock, due, erase, no_holds, open, outcomes, part, rule};

/// Two old rows of `t`.
async fn two(harness: &dyn Harness) {
    harness.sql("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, seen DATE);").await;
    harness.sql("INSERT INTO t VALUES (1, '2020-01-01'), (2, '2020-01-01');").await;
}

pub(crate) async fn a_record_whose_key_is_written_otherwise_now_is_not_called_gone(harness: &dyn Harness) {
    let ty = harness.caseless().await;
    harness.sql(&format!("CREATE TABLE t (k {ty} NOT NULL PRIMARY KEY, seen DATE);")).await;
    harness.sql("INSERT INTO t VALUES ('Aap', '2020-01-01'), ('noot', '2020-01-01');").await;
    let connector = open(&harness.system());
    let rule = rule("t", vec![clock("seen", None)]);
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    harness.sql("UPDATE t SET k = 'AAP' WHERE k = 'Aap';").await;
    let presence = connector.locate(&rule, &items).await.unwrap();
    assert!(presence.iter().all(|one| *one != Presence::Gone), "{presence:?}");
    let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
    assert_eq!(outcomes(&receipts), [Outcome::Changed, Outcome::Erased]);
    assert_eq!(harness.rows("SELECT k FROM t").await, [["AAP"]]);
    // found again as it is written now
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    assert_eq!((items.len(), items[0].key.show().as_str()), (1, "AAP"));
}

pub(crate) async fn a_record_that_a_trigger_puts_back_is_not_called_erased(harness: &dyn Harness) {
    two(harness).await;
    harness.sql(&harness.after("DELETE", "back", "t", "INSERT INTO t SELECT old.id, old.seen WHERE old.id = 2")).await;
    let connector = open(&harness.system());
    let rule = rule("t", vec![clock("seen", None)]);
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    // MariaDB lets no trigger write to the table that it hangs on, and so refuses the whole.
    match erase(connector.as_ref(), &rule, &items, &no_holds()).await {
        Ok(receipts) => {
            assert_eq!(outcomes(&receipts), [Outcome::Erased, Outcome::Failed]);
            assert_eq!(harness.rows("SELECT id FROM t").await, [["2"]]);
        }
        Err(EraseError::NotDone(_)) => assert_eq!(harness.rows("SELECT COUNT(*) FROM t").await, [["2"]]),
        Err(other) => panic!("{other:?}"),
    }
}

pub(crate) async fn tables_that_were_altered_since_they_were_checked_are_refused(harness: &dyn Harness) {
    let cascade = "CREATE TABLE late (id INTEGER NOT NULL PRIMARY KEY, t INTEGER, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE); \
                   INSERT INTO late VALUES (1, 1);";
    let trigger = harness.after("DELETE", "late_trigger", "t", "DELETE FROM other WHERE id = old.id");
    let view = "ALTER TABLE t RENAME TO t_old; CREATE VIEW t AS SELECT * FROM t_old;";
    let another = "ALTER TABLE t RENAME TO t_old; CREATE TABLE t (id VARCHAR(9) NOT NULL PRIMARY KEY, seen DATE); \
                   INSERT INTO t VALUES ('1', '2020-01-01'), ('2', '2020-01-01');";
    let keyless = "ALTER TABLE t RENAME TO t_old; CREATE TABLE t (id INTEGER NOT NULL, seen DATE); \
                   INSERT INTO t VALUES (1, '2020-01-01'), (1, '2020-01-01');";
    let column = "ALTER TABLE t RENAME COLUMN seen TO seen_at;";
    let renamed = "ALTER TABLE t RENAME TO t_new;";
    let harmless = "ALTER TABLE t ADD COLUMN more INTEGER;";
    harness.sql("CREATE TABLE other (id INTEGER NOT NULL PRIMARY KEY); INSERT INTO other VALUES (1), (2);").await;
    for (change, undo, refused) in [
        (cascade, "DROP TABLE late;", true),
        (trigger.as_str(), "", true),
        (view, "DROP VIEW t; ALTER TABLE t_old RENAME TO t;", true),
        (another, "DROP TABLE t; ALTER TABLE t_old RENAME TO t;", true),
        (keyless, "DROP TABLE t; ALTER TABLE t_old RENAME TO t;", true),
        (column, "", true),
        (renamed, "ALTER TABLE t_new RENAME TO t;", true),
        (harmless, "", false),
    ] {
        for found_before in [true, false] {
            two(harness).await;
            let connector = open(&harness.system());
            let rule = rule("t", vec![clock("seen", None)]);
            connector.probe(&rule).await.unwrap();
            let items = due(connector.as_ref(), &rule, &no_holds()).await;
            if !found_before {
                // Checked, altered, and only then read for the first time.
                connector.probe(&rule).await.unwrap();
            }
            harness.sql(change).await;
            let erased = erase(connector.as_ref(), &rule, &items, &no_holds()).await;
            if refused {
                assert!(
                    matches!(erased, Err(EraseError::NotDone(ref error)) if error.advice == Advice::Fix),
                    "{change}: {erased:?}"
                );
                let left = if change == renamed { "SELECT COUNT(*) FROM t_new" } else { "SELECT COUNT(*) FROM t" };
                assert_eq!(harness.rows(left).await, [["2"]], "{change}");
                assert_eq!(harness.rows("SELECT COUNT(*) FROM other").await, [["2"]], "{change}");
            } else {
                assert_eq!(outcomes(&erased.unwrap()), [Outcome::Erased; 2], "{change}");
            }
            connector.release().await.unwrap();
            drop(connector);
            harness.sql(undo).await;
            harness.sql("DROP TABLE t;").await;
            harness.sql("DROP TABLE IF EXISTS bewaard_batch;").await;
            if change.contains("FUNCTION") {
                harness.sql("DROP FUNCTION late_trigger;").await;
            }
        }
    }
}

pub(crate) async fn a_column_that_others_refer_to_is_not_anonymised(harness: &dyn Harness) {
    harness
        .sql(
            "CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY, login VARCHAR(20) UNIQUE, seen DATE);
             CREATE TABLE posts (id INTEGER NOT NULL PRIMARY KEY, author VARCHAR(20), FOREIGN KEY (author) REFERENCES people (login) ON UPDATE CASCADE);",
        )
        .await;
    let connector = open(&harness.system());
    let mut rule = rule("people", vec![clock("seen", None)]);
    rule.parts = vec![part(&rule, "name", [("login".to_string(), Recipe::Pseudonym { length: 12 })].into())];
    let findings = connector.probe(&rule).await.unwrap().findings;
    let told = findings.iter().find(|one| one.code.id == "B210").unwrap();
    assert!(told.severity == Severity::Fault && told.text.contains("posts"), "{}", told.text);
    // a rule that does not touch it may be
    rule.parts = vec![part(&rule, "name", [("seen".to_string(), Recipe::Null)].into())];
    let findings = connector.probe(&rule).await.unwrap().findings;
    assert!(findings.iter().all(|one| one.code.id != "B210"), "{findings:?}");
}
