//! What an SQL engine must give. Everything above is written once, in `connector`.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::catalogue::{Column, Table};
use super::partition::Partitions;
use super::reads_back::ReadsBack;
use crate::connect::{Finding, Keeps, Reached, Strain};
use crate::domain::brake::Reading;
use crate::domain::id::BatchId;
use crate::domain::policy::ServerAccess;
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// The table that proves batches.
pub const BATCH_TABLE: &str = "bewaard_batch";

/// A statement and its bound values. The text never holds a value from a record.
#[derive(Clone, Default)]
pub struct Statement {
    /// The text, with the engine's placeholders.
    pub text: String,
    /// The values, in order.
    pub values: Vec<Scalar>,
}

/// A row of a result.
pub type Row = Vec<Scalar>;

/// What went wrong, without the engine's own words: they may quote values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} ({code})")]
pub struct SqlFault {
    /// What it means.
    pub kind: FaultKind,
    /// The engine's number of it: SQLSTATE, error number.
    pub code: String,
}

/// What a fault means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// No connection could be made.
    #[error("the server can't be reached")]
    Unreachable,
    /// The account or its password was refused.
    #[error("the server refused the account")]
    Refused,
    /// The connection broke: the answer to the last statement is lost.
    #[error("the connection was lost")]
    Lost,
    /// A deadlock or serialisation failure: rolled back.
    #[error("the server broke a deadlock")]
    Deadlock,
    /// A lock was not given in time.
    #[error("a lock was not given in time")]
    LockTimeout,
    /// A statement took too long.
    #[error("the statement took too long")]
    StatementTimeout,
    /// The account lacks a right.
    #[error("the account lacks a right")]
    NoRight,
    /// The server takes no writes.
    #[error("the server is read-only")]
    ReadOnly,
    /// A constraint forbids it.
    #[error("a constraint of the table forbids it")]
    Constraint,
    /// A table or column is not there.
    #[error("a table or column is not there")]
    Schema,
    /// The disk is full.
    #[error("the server's disk is full")]
    Full,
    /// Something else.
    #[error("the server refused")]
    Other,
}

/// One connection. The task that owns it runs each statement to its end: time limits are the server's.
#[async_trait]
pub trait Session: Send {
    /// Runs a statement that answers with rows.
    async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>, SqlFault>;
    /// Runs a statement that answers with a count: rows deleted, or rows *matched* by an UPDATE.
    async fn execute(&mut self, statement: &Statement) -> Result<u64, SqlFault>;
    /// Begins a transaction that writes: READ COMMITTED, or SQLite's IMMEDIATE.
    async fn begin(&mut self) -> Result<(), SqlFault>;
    /// The transaction's number, where the engine can later be asked what became of it. Called before COMMIT.
    async fn ticket(&mut self) -> Result<Option<String>, SqlFault>;
    /// Commits. [`FaultKind::Lost`] means that nobody knows.
    async fn commit(&mut self) -> Result<(), SqlFault>;
    /// Rolls back.
    async fn rollback(&mut self) -> Result<(), SqlFault>;
    /// Marks a place within the transaction.
    async fn savepoint(&mut self) -> Result<(), SqlFault>;
    /// Ends that place: what was done since stays, or is undone alone, also after a statement that failed.
    async fn end_savepoint(&mut self, stays: bool) -> Result<(), SqlFault>;
}

/// How a COMMIT ended that was not answered well.
pub(super) enum Uncommitted {
    /// The server said no, and all was rolled back.
    Refused(SqlFault),
    /// Nobody knows.
    Lost(SqlFault),
}

/// Commits, and says whether it is known what became of the transaction.
pub(super) async fn commit(session: &mut dyn Session) -> Result<(), Uncommitted> {
    match session.commit().await {
        Ok(()) => Ok(()),
        Err(fault) if matches!(fault.kind, FaultKind::LockTimeout | FaultKind::Deadlock | FaultKind::Constraint) => {
            session.rollback().await.map_err(|_| Uncommitted::Lost(fault.clone()))?;
            Err(Uncommitted::Refused(fault))
        }
        Err(fault) => Err(Uncommitted::Lost(fault)),
    }
}

/// Why a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To read: the server is asked to refuse writes.
    Read,
    /// To look at the server's strain: as [`Purpose::Read`], with a limit of seconds for each statement.
    Watch,
    /// To erase.
    Write,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketFate {
    /// It was committed.
    Committed,
    /// It was rolled back.
    Aborted,
    /// It still runs.
    Running,
    /// Nobody knows any more.
    Forgotten,
}

/// One engine, for one system.
#[async_trait]
pub trait Engine: Send + Sync {
    /// How this engine writes SQL.
    fn dialect(&self) -> &dyn Dialect;
    /// Makes a connection.
    async fn connect(&self, purpose: Purpose) -> Result<Box<dyn Session>, SqlFault>;
    /// A canonical text of which server and database this is (no password, no address of a person).
    async fn identity(&self, session: &mut dyn Session) -> Result<String, SqlFault>;
    /// The server's own present time.
    async fn now(&self, session: &mut dyn Session) -> Result<DateTime<Utc>, SqlFault>;
    /// What the catalogue says of a table, by its exact name; `None` where there is none.
    async fn table(&self, session: &mut dyn Session, name: &TableName) -> Result<Option<Table>, SqlFault>;
    /// Findings about the server as a whole (`binlog_format = STATEMENT`, ...), under `system.NAME`.
    async fn server_findings(&self, session: &mut dyn Session) -> Result<Vec<Finding>, SqlFault>;
    /// What the server keeps of rows of these tables after they are erased. Reads settings and catalogues only.
    async fn keeps(&self, session: &mut dyn Session, tables: &[Table]) -> Result<Keeps, SqlFault>;
    /// How the server bears what is done to it; of these tables, where it counts by table.
    async fn strain(&self, session: &mut dyn Session, tables: &[TableName]) -> Result<Strain, SqlFault>;
    /// The engine of a replica of this server.
    fn replica(&self, access: &ServerAccess) -> Result<Box<dyn Engine>, SqlFault>;
    /// How many milliseconds this server is behind the one that it copies.
    async fn lag(&self, session: &mut dyn Session) -> Result<Reading, SqlFault>;
    /// The server's own plan of a statement, line by line, and how it reaches the records. The statement is not run.
    async fn explain(
        &self,
        session: &mut dyn Session,
        statement: &Statement,
    ) -> Result<(Vec<String>, Reached), SqlFault>;
    /// What the account may do: findings about rights that lack and rights that are surplus, for these needs.
    async fn rights(&self, session: &mut dyn Session, needs: &[Need]) -> Result<Vec<Finding>, SqlFault>;
    /// The statements that give the account exactly these rights.
    fn grants(&self, needs: &[Need]) -> Vec<String>;
    /// Whether a table that the catalogue does not show may be there all the same, hidden from this account.
    async fn hides_tables(&self, _session: &mut dyn Session) -> Result<bool, SqlFault> {
        Ok(false)
    }
    /// The statement by which an administrator makes the table `bewaard_batch`, for an account that may make none.
    fn batch_table_by_administrator(&self) -> Option<String> {
        Some(format!("{};", self.create_batch_table().text))
    }
    /// The statement after which nobody alters these tables until the transaction ends, where locking their rows does
    /// not do that already. The account may delete from each of them.
    fn hold_tables(&self, _tables: &[&TableName]) -> Option<Statement> {
        None
    }
    /// Whether two transactions of ours may be open at one time.
    fn side_by_side(&self) -> bool {
        true
    }
    /// How partitions are dropped, where that is done in a transaction.
    fn partitions(&self) -> Option<&dyn Partitions> {
        None
    }
    /// The statement that asks now what else is asked at COMMIT: constraints that are deferred.
    fn ask_deferred(&self) -> Option<Statement> {
        None
    }
    /// References that lead nowhere in these tables, where a deferred one can't be asked about before COMMIT. It reads the
    /// tables whole, and is asked only when COMMIT was refused.
    async fn broken_references(
        &self,
        _session: &mut dyn Session,
        _tables: &[&TableName],
    ) -> Result<Vec<Row>, SqlFault> {
        Ok(Vec::new())
    }
    /// What this column gives back of a value once it was written to it. Nothing is written to the table.
    async fn reads_back(
        &self,
        session: &mut dyn Session,
        table: &TableName,
        column: &Column,
        value: &Scalar,
    ) -> Result<ReadsBack, SqlFault>;
    /// Takes the system-wide lock on this session; false if another session has it.
    async fn claim(&self, session: &mut dyn Session) -> Result<bool, SqlFault>;
    /// Whether *another* session (that of the run) still has the lock, asked from this one before COMMIT.
    async fn still_claimed(&self, session: &mut dyn Session) -> Result<bool, SqlFault>;
    /// Gives the lock back.
    async fn release(&self, session: &mut dyn Session) -> Result<(), SqlFault>;
    /// What became of a transaction, by its ticket.
    async fn ticket_fate(&self, session: &mut dyn Session, ticket: &str) -> Result<TicketFate, SqlFault>;
    /// Makes the table `bewaard_batch` where it is missing (see `System::batch_table`).
    fn create_batch_table(&self) -> Statement;
    /// The row that proves a batch, to be written in its transaction.
    fn insert_batch_row(&self, batch: &BatchId) -> Statement;
    /// Asks for that row.
    fn find_batch_row(&self, batch: &BatchId) -> Statement;
}

/// A right that a rule needs on one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The table.
    pub table: TableName,
    /// To read it.
    pub select: bool,
    /// To delete rows of it.
    pub delete: bool,
    /// To put rows of it back.
    pub insert: bool,
    /// To write these columns of it.
    pub update: Vec<String>,
    /// To lock its rows (MariaDB and PostgreSQL want a writing right for it).
    pub lock: bool,
    /// The rule's key of the policy, to underline.
    pub at: String,
}

/// How an engine writes SQL. Names come from the catalogue only, and are quoted; values are bound.
pub trait Dialect: Send + Sync {
    /// A quoted name.
    fn name(&self, name: &str) -> String;
    /// A quoted table.
    fn table(&self, name: &TableName) -> String;
    /// A table as it stands behind ON in CREATE INDEX.
    fn indexed(&self, name: &TableName) -> String {
        self.table(name)
    }
    /// The `n`th placeholder (from 1), cast so that the value is compared as the column's own type and collation.
    fn bound(&self, n: usize, column: &Column) -> String;
    /// An expression that gives a column as a canonical [`Scalar`]: `alias.column`, already quoted, is `expression`.
    fn read(&self, expression: &str, column: &Column) -> String;
    /// `(columns) IN (placeholders)` in the form that this engine serves from an index; `first` is the first
    /// placeholder's number. One entry of `columns` is (expression, column).
    fn key_in(&self, columns: &[(String, &Column)], keys: usize, first: usize) -> String;
    /// `columns > placeholders` in key order, in the form that this engine serves from an index.
    fn key_after(&self, columns: &[(String, &Column)], first: usize) -> String;
    /// A placeholder for a value that was once read from this column and goes back into it to the byte, and the value
    /// as it is bound: nothing is compared here, so nothing is cast wider than the column is.
    fn stored(&self, n: usize, column: &Column, value: &Scalar) -> (String, Scalar) {
        (self.bound(n, column), value.clone())
    }
    /// Whether values of this column may be alternatives of one CASE, each bound as [`bound`](Self::bound) has it, so that
    /// the column holds the same as if each had been written alone.
    fn takes_cases(&self, _column: &Column) -> bool {
        true
    }
    /// What stands before VALUES so that columns which the engine numbers by itself take the old number.
    fn old_numbers(&self) -> &'static str {
        ""
    }

    /// What a SELECT is ordered by for an order that agrees with [`key_after`](Self::key_after).
    fn order(&self, expression: &str, _column: &Column) -> String {
        expression.to_string()
    }
    /// `DELETE FROM table` under an alias.
    fn delete_from(&self, table: &str, alias: &str) -> String {
        format!("DELETE FROM {table} AS {alias}")
    }
    /// What locks the rows of a SELECT until the end of the transaction; empty where the transaction has them all.
    fn lock(&self) -> &'static str;
    /// Whether a statement over a range of keys also locks the first row behind it.
    fn locks_behind_ranges(&self) -> bool {
        false
    }
    /// A text literal of the policy.
    fn text_literal(&self, text: &str) -> String;
    /// A literal of the policy cast to a column's type, for columns that take no plain text (dates, uuids).
    fn literal_for(&self, text: &str, column: &Column) -> String;
    /// `expression < day` for a clock column of a date type, generous where zones matter. `None` where this engine
    /// or type gives no safe order (text, dynamic types).
    fn before_day(&self, expression: &str, column: &Column, day: NaiveDate) -> Option<String>;
    /// A moment as it stands in a clock column of a date type: its day in a column of days, else day and time as written,
    /// in UTC where the column holds moments. `None` where this engine or type gives no safe order.
    fn clock_literal(&self, _column: &Column, _at: NaiveDateTime) -> Option<String> {
        None
    }
    /// Whether a column holds values of its own type only, so that its newest is what the server says.
    fn holds_to_types(&self) -> bool {
        true
    }
    /// That a date has a month or a day that is zero, where this engine keeps such dates.
    fn partial_date(&self, _expression: &str, _column: &Column) -> Option<String> {
        None
    }
    /// The text of a present moment that a column takes, for markers.
    fn moment(&self, now: DateTime<Utc>, column: &Column) -> Scalar;
    /// Whether a row whose foreign key refers to the row itself can be deleted as it is (InnoDB refuses: its reference
    /// must become NULL first).
    fn deletes_rows_that_refer_to_themselves(&self) -> bool {
        true
    }
    /// An aggregate of whole numbers as one text, with commas between them.
    fn joined(&self, expression: &str) -> String;
    /// At most this many bound values in one statement.
    fn max_bound(&self) -> usize;
}

impl std::fmt::Debug for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Statement({}, {} values)", self.text, self.values.len())
    }
}

impl Statement {
    /// A statement without values.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }
}
