//! Foreign keys that are asked about only at COMMIT, as Django declares all of its own: what they refuse is one record's,
//! on its way out and on its way back.

use std::sync::Mutex;

use bewaard::connect::{CommitWatch, Connector, Keeper, Kept, Undo};
use bewaard::domain::id::BatchId;
use bewaard::domain::outcome::{Outcome, Restored};
use bewaard::domain::predicate::Predicate;
use bewaard::domain::rule::Rule;

use super::harness::{Decider, Harness, child, clock, due, erase, no_holds, open, outcomes, rule, sql};
use super::servers::Served;
use super::sqlite::Sqlite;
use super::support::servers::Kind;

/// Keeps what goes, as an undo window does.
#[derive(Default)]
pub(crate) struct Keeping(Mutex<Vec<Kept>>);

impl Keeper for Keeping {
    fn keep(&self, kept: &[Kept]) -> std::io::Result<()> {
        *self.0.lock().unwrap() = kept.to_vec();
        Ok(())
    }
}

impl CommitWatch for Keeping {
    fn keeper(&self) -> Option<&dyn Keeper> {
        Some(self)
    }
    fn before_commit(&self, _ticket: Option<&str>) -> std::io::Result<()> {
        Ok(())
    }
    fn point(&self, _name: &'static str) {}
}

/// Purges all that is due, and gives what was kept of each item in order.
pub(crate) async fn kept(connector: &dyn Connector, rule: &Rule) -> Vec<Vec<u8>> {
    let items = due(connector, rule, &no_holds()).await;
    assert!(connector.claim().await.unwrap());
    let (id, watch, holds) = (BatchId::from_random([7; 8]), Keeping::default(), no_holds());
    let due_by = super::harness::moment();
    let batch = bewaard::connect::Batch { id: &id, rule, items: &items, now: chrono::DateTime::UNIX_EPOCH, due_by };
    let receipts = connector.erase(&batch, &Decider { rule, items: &items, holds: &holds }, &watch).await.unwrap();
    assert_eq!(outcomes(&receipts), vec![Outcome::Erased; items.len()]);
    let kept = watch.0.lock().unwrap();
    kept.iter().map(|one| one.bytes.clone()).collect()
}

/// Puts it back.
pub(crate) async fn back(connector: &dyn Connector, kept: &[Vec<u8>], id: [u8; 8]) -> Vec<Restored> {
    let id = BatchId::from_random(id);
    let kept: Vec<&[u8]> = kept.iter().map(Vec::as_slice).collect();
    let backs = connector.restore(&Undo { id: &id, kept: &kept }, &Keeping::default()).await.unwrap();
    backs.iter().map(|back| back.whole).collect()
}

const DEFERRED: &str = "DEFERRABLE INITIALLY DEFERRED";

async fn on_the_way_out(harness: &dyn Harness) {
    let users: Vec<String> = (1..10).map(|id| format!("({id}, '2020-01-01')")).collect();
    harness
        .sql(&format!(
            "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, seen DATE);
             CREATE TABLE loans (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER REFERENCES users (id) {DEFERRED});
             CREATE INDEX l ON loans (user_id);
             INSERT INTO users VALUES {};
             INSERT INTO loans VALUES (1, 5), (2, 7);",
            users.join(", ")
        ))
        .await;
    let connector = open(&harness.system());
    let mut rule = rule("users", vec![clock("seen", None)]);
    // Rows that no child of the rule takes.
    sql(&mut rule).children = vec![child("loans", "user_id", vec![])];
    sql(&mut rule).children[0].relation.filter = Some(Predicate::IsNull("id".into()));
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
    let failed: Vec<usize> = (0..9).filter(|at| receipts[*at].outcome == Outcome::Failed).collect();
    assert_eq!(failed, [4, 6], "{:?}", outcomes(&receipts));
    assert_eq!(receipts.iter().filter(|one| one.outcome == Outcome::Erased).count(), 7);
    assert_eq!(harness.rows("SELECT id FROM users ORDER BY id").await, [["5"], ["7"]]);
}

async fn on_the_way_back(harness: &dyn Harness) {
    harness
        .sql(&format!(
            "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY);
             CREATE TABLE loans (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER REFERENCES users (id) {DEFERRED}, after INTEGER REFERENCES loans (id) {DEFERRED}, seen DATE);
             INSERT INTO users VALUES (1), (2), (3), (4);
             INSERT INTO loans VALUES (1,1,NULL,'2020-01-01'),(2,2,NULL,'2020-01-01'),(3,3,5,'2020-01-01'),(4,NULL,3,'2020-01-01'),(5,4,NULL,'2020-01-01');"
        ))
        .await;
    let connector = open(&harness.system());
    let rule = rule("loans", vec![clock("seen", None)]);
    let kept = kept(connector.as_ref(), &rule).await;
    harness.sql("DELETE FROM users WHERE id = 2;").await;
    let backs = back(connector.as_ref(), &kept, [8; 8]).await;
    let (yes, no) = (Restored::Restored, Restored::Failed);
    assert_eq!(backs, [yes, no, yes, yes, yes], "2 alone lacks its user; 3 and 4 wait for who they refer to");
    assert_eq!(harness.rows("SELECT id, after FROM loans ORDER BY id").await.len(), 4);
    harness.sql("INSERT INTO users VALUES (2);").await;
    let there = Restored::AlreadyThere;
    assert_eq!(back(connector.as_ref(), &kept, [9; 8]).await, [there, yes, there, there, there]);
}

/// Two records that refer to each other can come back only together.
async fn in_a_circle(harness: &dyn Harness) {
    harness
        .sql(&format!(
            "CREATE TABLE pairs (id INTEGER NOT NULL PRIMARY KEY, other INTEGER REFERENCES pairs (id) {DEFERRED}, seen DATE);
             INSERT INTO pairs VALUES (1, NULL, '2020-01-01'), (2, 1, '2020-01-01');
             UPDATE pairs SET other = 2 WHERE id = 1;"
        ))
        .await;
    let connector = open(&harness.system());
    let kept = kept(connector.as_ref(), &rule("pairs", vec![clock("seen", None)])).await;
    assert_eq!(back(connector.as_ref(), &kept, [8; 8]).await, [Restored::Restored; 2]);
    assert_eq!(harness.rows("SELECT other FROM pairs ORDER BY id").await, [["2"], ["1"]]);
}

#[tokio::test]
async fn a_deferred_foreign_key_keeps_its_record_and_no_other_on_sqlite() {
    on_the_way_out(&Sqlite::start().await).await;
}

#[tokio::test]
async fn a_deferred_foreign_key_keeps_its_record_and_no_other_on_postgres() {
    on_the_way_out(&Served::start(Kind::Postgres).await).await;
}

#[tokio::test]
async fn a_deferred_foreign_key_keeps_no_other_record_from_coming_back_on_sqlite() {
    on_the_way_back(&Sqlite::start().await).await;
    in_a_circle(&Sqlite::start().await).await;
}

#[tokio::test]
async fn a_deferred_foreign_key_keeps_no_other_record_from_coming_back_on_postgres() {
    on_the_way_back(&Served::start(Kind::Postgres).await).await;
    in_a_circle(&Served::start(Kind::Postgres).await).await;
}
