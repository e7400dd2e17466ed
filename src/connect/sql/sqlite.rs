//! SQLite: a file of another program, opened carefully.
//!
//! The file is never created. Readers open it read-only; the writer takes the one write lock at once (`BEGIN
//! IMMEDIATE`), so that nothing can come between what it reads and what it erases, and overwrites what it deletes with
//! zeros (`secure_delete`).

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Executor, Row as _, Sqlite, TypeInfo, ValueRef};

use super::catalogue::{Column, Table};
use super::engine::{Dialect, Engine, FaultKind, Need, Purpose, Row, Session, SqlFault, Statement, TicketFate};
use super::reads_back::ReadsBack;
use super::sqlite_catalogue;
use super::sqlite_dialect::SqliteDialect;
use super::sqlite_traces;
use super::why::{cell, reached_by_words};
use crate::connect::{Finding, Keeps, Reached, STRAIN_LIMIT, Strain};
use crate::domain::brake::Reading;
use crate::domain::id::BatchId;
use crate::domain::policy::{ServerAccess, SqliteAccess};
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;
use crate::durable;

/// How long a statement waits for another program's lock.
const BUSY: Duration = Duration::from_secs(5);

/// What a reader is told of a file whose writer was killed in the middle of a COMMIT (`SQLITE_READONLY_ROLLBACK`).
const HALF_COMMITTED: &str = "SQLite 776";

/// The type name of text that is not UTF-8: it can be read and compared, and never bound again.
pub(super) const BROKEN_TEXT: &str = "text-not-utf8";

/// Opens nothing yet: an engine for one file.
pub fn engine(access: &SqliteAccess) -> Box<dyn Engine> {
    Box::new(SqliteEngine {
        path: PathBuf::from(&access.path),
        foreign_keys: access.foreign_keys,
        dialect: SqliteDialect,
        claim: Mutex::new(None),
    })
}

struct SqliteEngine {
    path: PathBuf,
    foreign_keys: bool,
    dialect: SqliteDialect,
    claim: Mutex<Option<File>>,
}

impl SqliteEngine {
    fn options(&self, purpose: Purpose) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .busy_timeout(BUSY)
            .foreign_keys(self.foreign_keys)
            // Else what it sorts, and the pages that it may have to put back, lie in temporary files: rows, and nobody
            // writes them over.
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        match purpose {
            Purpose::Read | Purpose::Watch => options.read_only(true).pragma("query_only", "ON"),
            Purpose::Write => options.pragma("secure_delete", "ON"),
        }
    }

    /// Opens and reads the file: one that is no database says so here.
    async fn look(&self, purpose: Purpose) -> Result<SqliteSession, SqlFault> {
        let connection = self.options(purpose).connect().await.map_err(|error| fault(&error, false))?;
        let limit = (purpose == Purpose::Watch).then_some(STRAIN_LIMIT);
        let mut session = SqliteSession { connection, limit };
        session.rows(&Statement::plain("SELECT count(*) FROM main.sqlite_schema")).await?;
        Ok(session)
    }

    /// The file that a run locks: beside the database, as SQLite's own `-wal` and `-journal` are. The database itself
    /// must not be opened a second time by this process: closing it would drop SQLite's own locks.
    fn claim_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push("-bewaard");
        PathBuf::from(name)
    }

    fn claimed(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says clearly why a file can't be used, before SQLite says it in one number.
fn look_at(path: &Path) -> Result<(), SqlFault> {
    let unreachable = |code: &str| SqlFault { kind: FaultKind::Unreachable, code: code.into() };
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() == 0 => Err(unreachable("the file is empty")),
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(_) => Err(unreachable("this is not a file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(unreachable("the file does not exist")),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(SqlFault { kind: FaultKind::NoRight, code: "the folder may not be entered".into() })
        }
        Err(_) => Err(unreachable("the file can't be looked at")),
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    fn dialect(&self) -> &dyn Dialect {
        &self.dialect
    }

    async fn connect(&self, purpose: Purpose) -> Result<Box<dyn Session>, SqlFault> {
        look_at(&self.path)?;
        let mut looked = self.look(purpose).await;
        if matches!(&looked, Err(found) if found.code == HALF_COMMITTED) {
            // It is undone by whoever opens the file to write: SQLite sees to it by itself.
            let writer = self.look(Purpose::Write).await.map_err(first_look)?;
            writer.connection.close().await.map_err(|error| fault(&error, true))?;
            looked = self.look(purpose).await;
        }
        Ok(Box::new(looked.map_err(first_look)?))
    }

    async fn identity(&self, _session: &mut dyn Session) -> Result<String, SqlFault> {
        let path = std::fs::canonicalize(&self.path)
            .map_err(|_| SqlFault { kind: FaultKind::Unreachable, code: "the file can't be looked at".into() })?;
        Ok(format!("sqlite {}", path.display()))
    }

    async fn now(&self, _session: &mut dyn Session) -> Result<DateTime<Utc>, SqlFault> {
        Ok(crate::now::now())
    }

    async fn table(&self, session: &mut dyn Session, name: &TableName) -> Result<Option<Table>, SqlFault> {
        sqlite_catalogue::table(session, name).await
    }

    async fn server_findings(&self, _session: &mut dyn Session) -> Result<Vec<Finding>, SqlFault> {
        Ok(Vec::new())
    }

    async fn keeps(&self, session: &mut dyn Session, tables: &[Table]) -> Result<Keeps, SqlFault> {
        sqlite_traces::keeps(session, tables, &self.path).await
    }

    async fn strain(&self, _session: &mut dyn Session, _tables: &[TableName]) -> Result<Strain, SqlFault> {
        // A file has no threads, no replicas and no history: only the disk that it lies on.
        Ok(Strain { folder: self.path.parent().map(Path::to_path_buf), ..Strain::default() })
    }

    fn replica(&self, _access: &ServerAccess) -> Result<Box<dyn Engine>, SqlFault> {
        Err(SqlFault { kind: FaultKind::Refused, code: "a file has no replicas".into() })
    }

    async fn lag(&self, _session: &mut dyn Session) -> Result<Reading, SqlFault> {
        Ok(Reading::Nothing)
    }

    async fn explain(
        &self,
        session: &mut dyn Session,
        statement: &Statement,
    ) -> Result<(Vec<String>, Reached), SqlFault> {
        let text = format!("EXPLAIN QUERY PLAN {}", statement.text);
        let rows = session.rows(&Statement { text, values: statement.values.clone() }).await?;
        let lines: Vec<String> = rows.iter().filter_map(|row| cell(row, 3)).collect();
        let reached = reached_by_words(&lines);
        Ok((lines, reached))
    }

    async fn rights(&self, _session: &mut dyn Session, needs: &[Need]) -> Result<Vec<Finding>, SqlFault> {
        Ok(sqlite_catalogue::file_rights(&self.path, needs))
    }

    fn grants(&self, needs: &[Need]) -> Vec<String> {
        sqlite_catalogue::file_grants(&self.path, needs)
    }

    async fn broken_references(&self, session: &mut dyn Session, tables: &[&TableName]) -> Result<Vec<Row>, SqlFault> {
        sqlite_catalogue::broken_references(session, tables).await
    }

    async fn reads_back(
        &self,
        session: &mut dyn Session,
        table: &TableName,
        column: &Column,
        value: &Scalar,
    ) -> Result<ReadsBack, SqlFault> {
        let strict = sqlite_catalogue::is_strict(session, table).await?;
        // A database of our own, in memory: what a column makes of a value depends on its declared type alone.
        let connection = SqliteConnectOptions::new().in_memory(true).disable_statement_logging().connect().await;
        let mut own = SqliteSession { connection: connection.map_err(|error| fault(&error, false))?, limit: None };
        own.execute(&Statement::plain(sqlite_catalogue::alike(column, strict))).await?;
        let insert = Statement { text: "INSERT INTO alike (v) VALUES (?1)".into(), values: vec![value.clone()] };
        let reads = match own.execute(&insert).await {
            Ok(_) => own.rows(&Statement::plain("SELECT v FROM alike")).await.map(|rows| rows.concat()),
            Err(found) => Err(found),
        };
        ReadsBack::of(reads.map(|row| row.into_iter().next().unwrap_or(Scalar::Null)), Ok(Scalar::Null))
    }

    fn side_by_side(&self) -> bool {
        false
    }

    async fn claim(&self, _session: &mut dyn Session) -> Result<bool, SqlFault> {
        let mut held = self.claimed();
        if held.is_some() {
            return Ok(true);
        }
        let refused = |_| SqlFault { kind: FaultKind::ReadOnly, code: "no lock file can be made beside it".into() };
        *held = durable::try_lock(&self.claim_path()).map_err(refused)?;
        Ok(held.is_some())
    }

    async fn still_claimed(&self, _session: &mut dyn Session) -> Result<bool, SqlFault> {
        let held = self.claimed();
        let Some(file) = held.as_ref() else { return Ok(false) };
        let same = match (file.metadata(), std::fs::metadata(self.claim_path())) {
            (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
            _ => false,
        };
        Ok(same)
    }

    async fn release(&self, _session: &mut dyn Session) -> Result<(), SqlFault> {
        *self.claimed() = None;
        Ok(())
    }

    async fn ticket_fate(&self, _session: &mut dyn Session, _ticket: &str) -> Result<TicketFate, SqlFault> {
        Ok(TicketFate::Forgotten)
    }

    fn create_batch_table(&self) -> Statement {
        Statement::plain(
            "CREATE TABLE IF NOT EXISTS main.bewaard_batch (id TEXT NOT NULL PRIMARY KEY, at TEXT NOT NULL DEFAULT \
             CURRENT_TIMESTAMP)",
        )
    }

    fn batch_table_by_administrator(&self) -> Option<String> {
        // Who may write to the file may make tables in it.
        None
    }

    fn insert_batch_row(&self, batch: &BatchId) -> Statement {
        Statement {
            text: "INSERT INTO main.bewaard_batch (id) VALUES (?1)".into(),
            values: vec![Scalar::Text(batch.to_string())],
        }
    }

    fn find_batch_row(&self, batch: &BatchId) -> Statement {
        Statement {
            text: "SELECT 1 FROM main.bewaard_batch WHERE id = ?1".into(),
            values: vec![Scalar::Text(batch.to_string())],
        }
    }
}

struct SqliteSession {
    connection: SqliteConnection,
    /// How long each statement may take.
    limit: Option<Duration>,
}

impl SqliteSession {
    /// Has SQLite itself give up a statement that takes longer.
    async fn set_limit(&mut self, limit: Duration) -> Result<(), SqlFault> {
        let begun = Instant::now();
        let mut handle = self.connection.lock_handle().await.map_err(|error| fault(&error, true))?;
        handle.set_progress_handler(STEPS, move || begun.elapsed() < limit);
        Ok(())
    }
}

/// Steps of SQLite's machine between two looks at the time.
const STEPS: i32 = 10_000;

#[async_trait]
impl Session for SqliteSession {
    async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>, SqlFault> {
        if let Some(limit) = self.limit {
            self.set_limit(limit).await?;
        }
        let query = bind(statement)?;
        let mut stream = self.connection.fetch(query);
        let mut rows = Vec::new();
        while let Some(row) = stream.try_next().await.map_err(|error| fault(&error, true))? {
            rows.push(read_row(&row)?);
        }
        Ok(rows)
    }

    async fn execute(&mut self, statement: &Statement) -> Result<u64, SqlFault> {
        let query = bind(statement)?;
        let done = self.connection.execute(query).await.map_err(|error| fault(&error, true))?;
        Ok(done.rows_affected())
    }

    async fn begin(&mut self) -> Result<(), SqlFault> {
        self.execute(&Statement::plain("BEGIN IMMEDIATE")).await.map(|_| ())
    }

    async fn ticket(&mut self) -> Result<Option<String>, SqlFault> {
        Ok(None)
    }

    async fn commit(&mut self) -> Result<(), SqlFault> {
        self.execute(&Statement::plain("COMMIT")).await.map(|_| ())
    }

    async fn rollback(&mut self) -> Result<(), SqlFault> {
        self.execute(&Statement::plain("ROLLBACK")).await.map(|_| ())
    }

    async fn savepoint(&mut self) -> Result<(), SqlFault> {
        self.execute(&Statement::plain("SAVEPOINT bewaard")).await.map(|_| ())
    }

    async fn end_savepoint(&mut self, stays: bool) -> Result<(), SqlFault> {
        if !stays {
            self.execute(&Statement::plain("ROLLBACK TO bewaard")).await?;
        }
        self.execute(&Statement::plain("RELEASE bewaard")).await.map(|_| ())
    }
}

/// The one place where text becomes a statement. It was made by `connector` of names that the catalogue gave and
/// literals that the dialect quoted; values of records are bound.
fn bind(statement: &Statement) -> Result<sqlx::query::Query<'_, Sqlite, SqliteArguments>, SqlFault> {
    let mut query = sqlx::query(AssertSqlSafe(statement.text.as_str()));
    for value in &statement.values {
        query = match value {
            Scalar::Null => query.bind(None::<i64>),
            Scalar::Int(number) => query.bind(*number),
            Scalar::Real(bits) => query.bind(f64::from_bits(*bits)),
            Scalar::Text(text) => query.bind(text.clone()),
            Scalar::Bytes(bytes) => query.bind(bytes.clone()),
            Scalar::Typed { ty, text } if ty != BROKEN_TEXT => query.bind(text.clone()),
            Scalar::UInt(_) | Scalar::Typed { .. } => {
                return Err(SqlFault { kind: FaultKind::Other, code: "a value that can't be bound".into() });
            }
        };
    }
    Ok(query)
}

/// Reads by the row's own types: a column of SQLite may hold several.
fn read_row(row: &SqliteRow) -> Result<Row, SqlFault> {
    let odd = |_| SqlFault { kind: FaultKind::Other, code: "a value that can't be read".into() };
    let mut out = Vec::with_capacity(row.len());
    for place in 0..row.len() {
        let raw = row.try_get_raw(place).map_err(odd)?;
        let scalar = if raw.is_null() {
            Scalar::Null
        } else {
            match raw.type_info().name() {
                "INTEGER" => Scalar::Int(row.try_get_unchecked::<i64, _>(place).map_err(odd)?),
                "REAL" => Scalar::from_f64(row.try_get_unchecked::<f64, _>(place).map_err(odd)?),
                "TEXT" => read_text(row.try_get_unchecked::<Vec<u8>, _>(place).map_err(odd)?),
                _ => Scalar::Bytes(row.try_get_unchecked::<Vec<u8>, _>(place).map_err(odd)?),
            }
        };
        out.push(scalar);
    }
    Ok(out)
}

fn read_text(bytes: Vec<u8>) -> Scalar {
    match String::from_utf8(bytes) {
        Ok(text) => Scalar::Text(text),
        Err(error) => Scalar::Typed { ty: BROKEN_TEXT.into(), text: hex::encode(error.as_bytes()) },
    }
}

/// What an error means. Its own text may quote values: only its number, and the shape of its first words, are looked at.
fn fault(error: &sqlx::Error, connected: bool) -> SqlFault {
    let sqlx::Error::Database(database) = error else {
        let kind = if connected { FaultKind::Lost } else { FaultKind::Unreachable };
        return SqlFault { kind, code: "SQLite".into() };
    };
    let number: i32 = database.code().and_then(|code| code.parse().ok()).unwrap_or(1);
    let kind = match number & 0xff {
        3 | 23 => FaultKind::NoRight,
        5 | 6 => FaultKind::LockTimeout,
        8 => FaultKind::ReadOnly,
        9 => FaultKind::StatementTimeout,
        10 | 11 => FaultKind::Lost,
        13 => FaultKind::Full,
        14 if connected => FaultKind::ReadOnly,
        14 | 26 => FaultKind::Unreachable,
        17 => FaultKind::Schema,
        19 => FaultKind::Constraint,
        1 if database.message().starts_with("no such ") => FaultKind::Schema,
        _ => FaultKind::Other,
    };
    let code = if number & 0xff == 26 { "the file is not a database".into() } else { format!("SQLite {number}") };
    SqlFault { kind, code }
}

/// What the first reading of a file can say: a WAL database in a folder that we may not write to, a journal that
/// another program left and that only a writer may roll back.
fn first_look(found: SqlFault) -> SqlFault {
    match found.kind {
        FaultKind::ReadOnly => SqlFault {
            kind: FaultKind::NoRight,
            code: format!("{}: reading this file asks to write beside it", found.code),
        },
        FaultKind::Lost => SqlFault { kind: FaultKind::Unreachable, code: found.code },
        _ => found,
    }
}
