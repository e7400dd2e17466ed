//! Somebody else between two of our statements, and answers that are lost: an engine that meddles once.
//!
//! SQLite lets nobody in between, but READ COMMITTED does. A row written in the transaction itself is seen by the next
//! statement just as another's committed row is, so that the looking again can be tested here too.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bewaard::connect::sql::catalogue::{Column, Table};
use bewaard::connect::sql::connector::SqlConnector;
use bewaard::connect::sql::engine::{
    Dialect, Engine, FaultKind, Need, Purpose, Row, Session, SqlFault, Statement, TicketFate,
};
use bewaard::connect::sql::reads_back::ReadsBack;
use bewaard::connect::sql::sqlite;
use bewaard::connect::{Advice, Connector, EraseError, FieldKeys, Finding, Keeps, Reached, Strain};
use bewaard::domain::brake::Reading;
use bewaard::domain::digest::MacKey;
use bewaard::domain::id::BatchId;
use bewaard::domain::outcome::Outcome;
use bewaard::domain::policy::{Access, ServerAccess};
use bewaard::domain::recipe::Recipe;
use bewaard::domain::selection::TableName;
use bewaard::domain::value::Scalar;
use chrono::{DateTime, Utc};

use super::harness::{
    Harness, Watch, child, clock, due, erase, erase_with, no_holds, outcomes, part, relation, rule, sql,
};
use super::sqlite::Sqlite;

/// What happens, once, before a statement that starts so.
#[derive(Clone)]
enum Meddle {
    /// A row comes in.
    Write(&'static str),
    /// The statement fails so.
    Fail(FaultKind),
    /// COMMIT is done, and its answer lost.
    LoseCommit,
}

type Plan = Arc<Mutex<Vec<(&'static str, usize, Meddle)>>>;

struct Meddler {
    inner: Box<dyn Engine>,
    plan: Plan,
    transactional: bool,
}

struct Meddled {
    inner: Box<dyn Session>,
    plan: Plan,
}

impl Meddled {
    async fn meddle(&mut self, text: &str) -> Result<(), SqlFault> {
        let due = {
            let mut plan = self.plan.lock().unwrap();
            let place = plan.iter_mut().position(|(start, skip, _)| {
                let matches = text.starts_with(*start);
                if matches && *skip > 0 {
                    *skip -= 1;
                    return false;
                }
                matches
            });
            place.map(|place| plan.remove(place).2)
        };
        match due {
            Some(Meddle::Write(text)) => self.inner.execute(&Statement::plain(text)).await.map(|_| ()),
            Some(Meddle::Fail(kind)) => Err(SqlFault { kind, code: "meddled".into() }),
            Some(Meddle::LoseCommit) => {
                self.inner.commit().await?;
                Err(SqlFault { kind: FaultKind::Lost, code: "meddled".into() })
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Session for Meddled {
    async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>, SqlFault> {
        self.meddle(&statement.text).await?;
        self.inner.rows(statement).await
    }
    async fn execute(&mut self, statement: &Statement) -> Result<u64, SqlFault> {
        self.meddle(&statement.text).await?;
        self.inner.execute(statement).await
    }
    async fn begin(&mut self) -> Result<(), SqlFault> {
        self.inner.begin().await
    }
    async fn ticket(&mut self) -> Result<Option<String>, SqlFault> {
        self.inner.ticket().await
    }
    async fn commit(&mut self) -> Result<(), SqlFault> {
        self.meddle("COMMIT").await?;
        self.inner.commit().await
    }
    async fn rollback(&mut self) -> Result<(), SqlFault> {
        self.inner.rollback().await
    }
    async fn savepoint(&mut self) -> Result<(), SqlFault> {
        self.inner.savepoint().await
    }
    async fn end_savepoint(&mut self, stays: bool) -> Result<(), SqlFault> {
        self.inner.end_savepoint(stays).await
    }
}

#[async_trait]
impl Engine for Meddler {
    fn dialect(&self) -> &dyn Dialect {
        self.inner.dialect()
    }
    async fn connect(&self, purpose: Purpose) -> Result<Box<dyn Session>, SqlFault> {
        let inner = self.inner.connect(purpose).await?;
        let plan = if purpose == Purpose::Write { Arc::clone(&self.plan) } else { Plan::default() };
        Ok(Box::new(Meddled { inner, plan }))
    }
    async fn identity(&self, session: &mut dyn Session) -> Result<String, SqlFault> {
        self.inner.identity(session).await
    }
    async fn now(&self, session: &mut dyn Session) -> Result<DateTime<Utc>, SqlFault> {
        self.inner.now(session).await
    }
    async fn table(&self, session: &mut dyn Session, name: &TableName) -> Result<Option<Table>, SqlFault> {
        let table = self.inner.table(session, name).await?;
        Ok(table.map(|table| Table { transactional: self.transactional, ..table }))
    }
    async fn server_findings(&self, session: &mut dyn Session) -> Result<Vec<Finding>, SqlFault> {
        self.inner.server_findings(session).await
    }
    async fn keeps(&self, session: &mut dyn Session, tables: &[Table]) -> Result<Keeps, SqlFault> {
        self.inner.keeps(session, tables).await
    }
    async fn strain(&self, session: &mut dyn Session, tables: &[TableName]) -> Result<Strain, SqlFault> {
        self.inner.strain(session, tables).await
    }
    fn replica(&self, access: &ServerAccess) -> Result<Box<dyn Engine>, SqlFault> {
        self.inner.replica(access)
    }
    async fn lag(&self, session: &mut dyn Session) -> Result<Reading, SqlFault> {
        self.inner.lag(session).await
    }
    async fn explain(
        &self,
        session: &mut dyn Session,
        statement: &Statement,
    ) -> Result<(Vec<String>, Reached), SqlFault> {
        self.inner.explain(session, statement).await
    }
    async fn rights(&self, session: &mut dyn Session, needs: &[Need]) -> Result<Vec<Finding>, SqlFault> {
        self.inner.rights(session, needs).await
    }
    fn grants(&self, needs: &[Need]) -> Vec<String> {
        self.inner.grants(needs)
    }
    async fn reads_back(
        &self,
        session: &mut dyn Session,
        table: &TableName,
        column: &Column,
        value: &Scalar,
    ) -> Result<ReadsBack, SqlFault> {
        self.inner.reads_back(session, table, column, value).await
    }
    async fn claim(&self, session: &mut dyn Session) -> Result<bool, SqlFault> {
        self.inner.claim(session).await
    }
    async fn still_claimed(&self, session: &mut dyn Session) -> Result<bool, SqlFault> {
        self.inner.still_claimed(session).await
    }
    async fn release(&self, session: &mut dyn Session) -> Result<(), SqlFault> {
        self.inner.release(session).await
    }
    async fn ticket_fate(&self, session: &mut dyn Session, ticket: &str) -> Result<TicketFate, SqlFault> {
        self.inner.ticket_fate(session, ticket).await
    }
    fn create_batch_table(&self) -> Statement {
        self.inner.create_batch_table()
    }
    fn insert_batch_row(&self, batch: &BatchId) -> Statement {
        self.inner.insert_batch_row(batch)
    }
    fn find_batch_row(&self, batch: &BatchId) -> Statement {
        self.inner.find_batch_row(batch)
    }
}

/// A connector that meddles; four tables deep, without foreign keys, all old.
async fn meddling(harness: &Sqlite, plan: Vec<(&'static str, usize, Meddle)>, transactional: bool) -> SqlConnector {
    harness
        .sql(
            "CREATE TABLE c (id INTEGER PRIMARY KEY, email TEXT, seen DATE);
             CREATE TABLE o (id INTEGER PRIMARY KEY, c INTEGER, at DATE);
             CREATE TABLE l (id INTEGER PRIMARY KEY, o INTEGER);
             CREATE TABLE v (c INTEGER, at TEXT);
             INSERT INTO c VALUES (1,'a','2020-01-01'),(2,'b','2020-01-01'),(3,'c','2020-01-01');
             INSERT INTO o VALUES (11,1,'2019-01-01'),(21,2,'2019-01-01'),(31,3,'2019-01-01');
             INSERT INTO l VALUES (111,11),(211,21),(311,31);",
        )
        .await;
    let system = harness.system();
    let Access::Sqlite(access) = &system.access else { panic!("SQLite") };
    let engine = Meddler { inner: sqlite::engine(access), plan: Arc::new(Mutex::new(plan)), transactional };
    let keys = FieldKeys { fingerprint: MacKey::new(&[1; 32]), pseudonym: MacKey::new(&[2; 32]) };
    SqlConnector::new(Box::new(engine), system.id.clone(), chrono_tz::Europe::Amsterdam, keys, true)
}

fn deep() -> bewaard::domain::rule::Rule {
    let mut rule = rule(
        "c",
        vec![clock("seen", None), clock("at", Some(relation("o", "c"))), clock("at", Some(relation("v", "c")))],
    );
    sql(&mut rule).children = vec![child("o", "c", vec![child("l", "o", vec![])])];
    rule
}

const ONE_CHANGED: [Outcome; 3] = [Outcome::Erased, Outcome::Changed, Outcome::Erased];

#[tokio::test]
async fn a_row_that_comes_in_between_two_statements_keeps_its_record_whole() {
    let cases = [
        // an order after the orders were read, before and after their lines go
        ("DELETE FROM \"main\".\"l\"", "INSERT INTO o VALUES (22, 2, '2026-05-05')"),
        ("DELETE FROM \"main\".\"o\"", "INSERT INTO o VALUES (22, 2, '2019-05-05')"),
        // a line below an order that is about to go
        ("DELETE FROM \"main\".\"l\"", "INSERT INTO l VALUES (212, 21)"),
        // a visit, which is a clock and no child
        ("DELETE FROM \"main\".\"l\"", "INSERT INTO v VALUES (2, '2026-05-05')"),
    ];
    for (before, text) in cases {
        let harness = Sqlite::start().await;
        // (c) looks before each table goes: what comes just before a DELETE is seen when the table above it goes
        let connector = meddling(&harness, vec![(before, 0, Meddle::Write(text))], true).await;
        let items = due(&connector, &deep(), &no_holds()).await;
        let receipts = erase(&connector, &deep(), &items, &no_holds()).await.unwrap();
        assert_eq!(outcomes(&receipts), ONE_CHANGED, "{text}");
        assert_eq!(harness.rows("SELECT id FROM c").await, [["2"]]);
        assert_eq!(harness.rows("SELECT id FROM o").await, [["21"]], "{text}");
        assert_eq!(harness.rows("SELECT id FROM l").await, [["211"]]);
    }
}

#[tokio::test]
async fn a_child_row_that_will_not_go_keeps_its_record_and_no_other() {
    let harness = Sqlite::start().await;
    let connector = meddling(&harness, vec![], true).await;
    harness.sql("CREATE TRIGGER keep BEFORE DELETE ON l WHEN old.id = 211 BEGIN SELECT RAISE(IGNORE); END;").await;
    let items = due(&connector, &deep(), &no_holds()).await;
    let receipts = erase(&connector, &deep(), &items, &no_holds()).await.unwrap();
    assert_eq!(outcomes(&receipts), ONE_CHANGED);
    assert_eq!(harness.rows("SELECT id FROM c").await, [["2"]]);
    assert_eq!(harness.rows("SELECT id FROM o").await, [["21"]]);
    assert_eq!(harness.rows("SELECT id FROM l").await, [["211"]]);
}

#[tokio::test]
async fn faults_before_commit_are_not_done_and_the_lost_commit_is_in_doubt() {
    for (kind, advice) in [
        (FaultKind::Deadlock, Advice::RetryLater),
        (FaultKind::LockTimeout, Advice::RetryLater),
        (FaultKind::Lost, Advice::RetryLater),
        (FaultKind::NoRight, Advice::Fix),
        (FaultKind::ReadOnly, Advice::Fix),
        (FaultKind::Schema, Advice::Fix),
    ] {
        for before in ["DELETE FROM \"main\".\"o\"", "DELETE FROM \"main\".\"c\"", "INSERT INTO main.bewaard_batch"] {
            let harness = Sqlite::start().await;
            let connector = meddling(&harness, vec![(before, 0, Meddle::Fail(kind))], true).await;
            let items = due(&connector, &deep(), &no_holds()).await;
            let failed = erase(&connector, &deep(), &items, &no_holds()).await;
            assert!(matches!(failed, Err(EraseError::NotDone(ref error)) if error.advice == advice), "{failed:?}");
            assert_eq!(harness.rows("SELECT COUNT(*) FROM l").await, [["3"]]);
            let again = erase(&connector, &deep(), &items, &no_holds()).await.unwrap();
            assert_eq!(outcomes(&again), [Outcome::Erased; 3], "the connection in doubt was thrown away");
        }
    }
    for (meddle, left) in [(Meddle::Fail(FaultKind::Lost), "3"), (Meddle::LoseCommit, "0")] {
        let harness = Sqlite::start().await;
        let connector = meddling(&harness, vec![("COMMIT", 0, meddle)], true).await;
        let items = due(&connector, &deep(), &no_holds()).await;
        let failed = erase(&connector, &deep(), &items, &no_holds()).await;
        assert!(matches!(failed, Err(EraseError::InDoubt(_))), "{failed:?}");
        assert_eq!(harness.rows("SELECT COUNT(*) FROM c").await, [[left]]);
        let fate = connector.fate(&BatchId::from_random([7; 8]), None).await.unwrap();
        assert_eq!(fate == bewaard::connect::Fate::Committed, left == "0");
    }
}

#[tokio::test]
async fn a_table_without_transactions_is_refused_or_taken_one_record_at_a_time() {
    let harness = Sqlite::start().await;
    let connector = meddling(&harness, vec![], false).await;
    let mut rule = deep();
    let items = due(&connector, &rule, &no_holds()).await;
    let failed = erase(&connector, &rule, &items, &no_holds()).await;
    assert!(matches!(failed, Err(EraseError::NotDone(ref error)) if error.advice == Advice::Fix), "{failed:?}");
    let fault = connector.probe(&rule).await.unwrap().findings;
    assert!(fault.iter().any(|one| one.code.id == "B215" && one.severity == bewaard::connect::Severity::Fault));
    sql(&mut rule).allow_no_transactions = true;
    sql(&mut rule).children.clear();
    let items = due(&connector, &rule, &no_holds()).await;
    let watch = Watch::default();
    let receipts = erase_with(&connector, &rule, &items, &no_holds(), &watch, [9; 8]).await.unwrap();
    assert_eq!(outcomes(&receipts), [Outcome::Erased; 3]);
    let commits = watch.points.lock().unwrap().iter().filter(|point| **point == "after-commit").count();
    assert_eq!(commits, 3);
}

#[tokio::test]
async fn what_may_have_been_written_to_a_table_without_transactions_is_never_called_not_done() {
    let unknown = [Outcome::Unknown, Outcome::Failed, Outcome::Failed];
    let one_unknown = [Outcome::Erased, Outcome::Unknown, Outcome::Erased];
    let (other, changed) = (Meddle::Fail(FaultKind::Other), "INSERT INTO o VALUES (22, 2, '2019-05-05')");
    // the lines of the first record's order may be gone, or are; and a row that came in behind the second's
    for (before, passing, meddle, expected) in [
        ("DELETE FROM \"main\".\"l\"", 0, other.clone(), unknown),
        ("DELETE FROM \"main\".\"o\"", 0, other.clone(), unknown),
        ("DELETE FROM \"main\".\"c\"", 0, other.clone(), unknown),
        ("COMMIT", 0, other, unknown),
        ("DELETE FROM \"main\".\"o\"", 1, Meddle::Write(changed), one_unknown),
    ] {
        let harness = Sqlite::start().await;
        let connector = meddling(&harness, vec![(before, passing, meddle)], false).await;
        let mut rule = deep();
        sql(&mut rule).allow_no_transactions = true;
        let items = due(&connector, &rule, &no_holds()).await;
        let receipts = erase(&connector, &rule, &items, &no_holds()).await.unwrap();
        assert_eq!(outcomes(&receipts), expected, "{before}");
    }
    // before the first statement that writes there is nothing to be unsure of
    let harness = Sqlite::start().await;
    let connector = meddling(&harness, vec![("SELECT", 1, Meddle::Fail(FaultKind::Other))], false).await;
    let mut rule = deep();
    sql(&mut rule).allow_no_transactions = true;
    let items = due(&connector, &rule, &no_holds()).await;
    let failed = erase(&connector, &rule, &items, &no_holds()).await;
    assert!(matches!(failed, Err(EraseError::NotDone(_))), "{failed:?}");
    assert_eq!(harness.rows("SELECT COUNT(*) FROM l").await, [["3"]]);
}

#[tokio::test]
async fn what_the_database_keeps_otherwise_than_written_is_no_anonymising() {
    let harness = Sqlite::start().await;
    let connector = meddling(&harness, vec![], true).await;
    harness
        .sql(
            "CREATE TRIGGER odd AFTER UPDATE ON c WHEN new.id = 2 BEGIN UPDATE c SET email = 'back' WHERE id = 2; END;",
        )
        .await;
    let mut rule = rule("c", vec![clock("seen", None)]);
    rule.parts = vec![part(&rule, "contact", [("email".to_string(), Recipe::Fixed("-".into()))].into())];
    let items = due(&connector, &rule, &no_holds()).await;
    let receipts = erase(&connector, &rule, &items, &no_holds()).await.unwrap();
    assert_eq!(outcomes(&receipts), [Outcome::Anonymised, Outcome::Failed, Outcome::Anonymised]);
    assert_eq!(harness.rows("SELECT email FROM c ORDER BY id").await, [["-"], ["b"], ["-"]]);
}
