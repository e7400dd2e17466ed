//! PostgreSQL, over sqlx.

mod catalogue;
mod dialect;
mod faults;
mod partition;
mod reads_back;
mod rights;
mod server;
mod session;
mod strain;
mod traces;

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::postgres::PgConnectOptions;

use super::actor::ActorSession;
use super::catalogue::{Column, Table};
use super::engine::{
    BATCH_TABLE, Dialect, Engine, FaultKind, Need, Purpose, Row, Session, SqlFault, Statement, TicketFate,
};
use super::partition::Partitions;
use super::reads_back::ReadsBack;
use super::tls;
use super::why::{cell, reached_by_nodes};
use crate::connect::{Advice, ConnectError, Finding, Keeps, Reached, Strain};
use crate::domain::brake::Reading;
use crate::domain::id::{BatchId, SystemId};
use crate::domain::policy::ServerAccess;
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;
use crate::secret::{self, Secret};

/// Makes the engine of a system: reads the password and the file of authorities, and connects to nothing yet.
pub fn engine(access: &ServerAccess, system: &SystemId) -> Result<Box<dyn Engine>, ConnectError> {
    let failed = |doing, what: String| ConnectError {
        system: system.clone(),
        doing,
        what,
        advice: Advice::Fix,
        unreachable: false,
    };
    let password = access.password.as_ref().map(secret::read).transpose();
    let password: Option<Secret> = password.map_err(|error| failed("read the password", error.to_string()))?;
    if password.as_ref().is_some_and(|secret| secret.text().is_none()) {
        return Err(failed("read the password", "it is no UTF-8 text".into()));
    }
    let trust = tls::trust(access).map_err(|error| failed("set up TLS", error.to_string()))?;
    let schema = access.schema.clone().unwrap_or_else(|| "public".into());
    Ok(Box::new(PostgresEngine {
        system: system.clone(),
        access: access.clone(),
        options: session::options(access, password.as_ref(), &trust),
        dialect: dialect::PostgresDialect { schema },
        holder: AtomicI64::new(NOBODY),
    }))
}

/// No server process has number 0.
const NOBODY: i64 = 0;

struct PostgresEngine {
    system: SystemId,
    access: ServerAccess,
    options: PgConnectOptions,
    dialect: dialect::PostgresDialect,
    /// The number of the server process that holds the claim.
    holder: AtomicI64,
}

impl PostgresEngine {
    fn schema(&self) -> &str {
        &self.dialect.schema
    }

    /// The advisory lock's number. The server keeps such locks per database; the schema is ours to add.
    fn lock_number(&self) -> i64 {
        let name = format!("bewaard:{}", self.schema());
        let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        digest.as_ref().iter().take(8).fold(0i64, |number, byte| (number << 8) | i64::from(*byte))
    }

    fn asked(&self) -> rights::Asked<'_> {
        rights::Asked { system: self.system.as_str(), schema: self.schema(), user: &self.access.user }
    }

    fn batch_table(&self) -> String {
        self.dialect.table(&TableName { schema: None, name: BATCH_TABLE.into() })
    }
}

fn with(text: &str, values: Vec<Scalar>) -> Statement {
    Statement { text: text.into(), values }
}

async fn one_row(session: &mut dyn Session, statement: &Statement) -> Result<Row, SqlFault> {
    Ok(session.rows(statement).await?.into_iter().next().unwrap_or_default())
}

#[async_trait]
impl Engine for PostgresEngine {
    fn dialect(&self) -> &dyn Dialect {
        &self.dialect
    }

    async fn connect(&self, purpose: Purpose) -> Result<Box<dyn Session>, SqlFault> {
        let driver = session::connect(&self.options, self.schema(), purpose).await?;
        Ok(Box::new(ActorSession::start(driver, &session::WORDS)))
    }

    async fn identity(&self, session: &mut dyn Session) -> Result<String, SqlFault> {
        let row = one_row(session, &Statement::plain(server::IDENTITY)).await?;
        let (cluster, database) = (catalogue::text(&row, 0), &self.access.database);
        Ok(format!("postgres {cluster} database {database} schema {}", self.schema()))
    }

    async fn now(&self, session: &mut dyn Session) -> Result<DateTime<Utc>, SqlFault> {
        let ask = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')";
        let row = one_row(session, &Statement::plain(ask)).await?;
        let at = NaiveDateTime::parse_from_str(&catalogue::text(&row, 0), "%Y-%m-%d %H:%M:%S%.f");
        let no_time = |_| SqlFault { kind: FaultKind::Other, code: "the server told no time".into() };
        Ok(at.map_err(no_time)?.and_utc())
    }

    async fn table(&self, session: &mut dyn Session, name: &TableName) -> Result<Option<Table>, SqlFault> {
        catalogue::table(session, self.schema(), name).await
    }

    async fn server_findings(&self, session: &mut dyn Session) -> Result<Vec<Finding>, SqlFault> {
        let row = one_row(session, &Statement::plain(server::SETTINGS)).await?;
        Ok(server::findings(&row, &format!("system.{}", self.system)))
    }

    async fn keeps(&self, session: &mut dyn Session, tables: &[Table]) -> Result<Keeps, SqlFault> {
        traces::keeps(session, tables, &self.dialect).await
    }

    async fn strain(&self, session: &mut dyn Session, tables: &[TableName]) -> Result<Strain, SqlFault> {
        strain::strain(session, tables, self.schema(), &self.access.user).await
    }

    fn replica(&self, access: &ServerAccess) -> Result<Box<dyn Engine>, SqlFault> {
        engine(access, &self.system).map_err(|error| SqlFault { kind: FaultKind::Refused, code: error.what })
    }

    async fn lag(&self, session: &mut dyn Session) -> Result<Reading, SqlFault> {
        strain::lag(session).await
    }

    async fn explain(
        &self,
        session: &mut dyn Session,
        statement: &Statement,
    ) -> Result<(Vec<String>, Reached), SqlFault> {
        let explain = Statement { text: format!("EXPLAIN {}", statement.text), values: statement.values.clone() };
        let lines: Vec<String> = session.rows(&explain).await?.iter().filter_map(|row| cell(row, 0)).collect();
        let reached = reached_by_nodes(&lines);
        Ok((lines, reached))
    }

    async fn rights(&self, session: &mut dyn Session, needs: &[Need]) -> Result<Vec<Finding>, SqlFault> {
        rights::findings(session, needs, &self.asked()).await
    }

    fn grants(&self, needs: &[Need]) -> Vec<String> {
        rights::grants(needs, &self.asked())
    }

    async fn reads_back(
        &self,
        session: &mut dyn Session,
        table: &TableName,
        column: &Column,
        value: &Scalar,
    ) -> Result<ReadsBack, SqlFault> {
        reads_back::reads_back(session, &self.dialect, table, column, value).await
    }

    async fn claim(&self, session: &mut dyn Session) -> Result<bool, SqlFault> {
        let ask = "SELECT pg_try_advisory_lock($1::text::int8), pg_backend_pid()";
        let row = one_row(session, &with(ask, vec![Scalar::Int(self.lock_number())])).await?;
        match (row.first(), row.get(1)) {
            (Some(Scalar::Int(1)), Some(Scalar::Int(process))) => {
                self.holder.store(*process, Ordering::SeqCst);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn still_claimed(&self, session: &mut dyn Session) -> Result<bool, SqlFault> {
        let holder = self.holder.load(Ordering::SeqCst);
        // A number of 64 bits is kept in two halves; objsubid 1 says that it was one number.
        let ask = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                   WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted \
                   AND (l.classid::int8 << 32 | l.objid::int8) = $1::text::int8 AND l.pid = $2::text::int4";
        let row = one_row(session, &with(ask, vec![Scalar::Int(self.lock_number()), Scalar::Int(holder)])).await?;
        Ok(holder != NOBODY && row.first() == Some(&Scalar::Int(1)))
    }

    async fn release(&self, session: &mut dyn Session) -> Result<(), SqlFault> {
        self.holder.store(NOBODY, Ordering::SeqCst);
        let ask = with("SELECT pg_advisory_unlock($1::text::int8)", vec![Scalar::Int(self.lock_number())]);
        one_row(session, &ask).await.map(|_| ())
    }

    async fn ticket_fate(&self, session: &mut dyn Session, ticket: &str) -> Result<TicketFate, SqlFault> {
        let Some((number, place)) = ticket.split_once('/') else { return Ok(TicketFate::Forgotten) };
        let row = one_row(session, &Statement::plain(session::PLACE)).await?;
        // Another cluster, one restored to an earlier moment, or a standby that took over: the number is not that of our
        // transaction.
        if format!("{}/{}", catalogue::text(&row, 0), catalogue::text(&row, 1)) != place {
            return Ok(TicketFate::Forgotten);
        }
        // A server that crashed can give a number that was never on its disk to somebody else: who settles a batch by
        // `Committed` looks for its records too.
        let ask = with("SELECT pg_xact_status($1::text::xid8)", vec![Scalar::Text(number.into())]);
        let row = match one_row(session, &ask).await {
            // A number that was not given out yet, or no number.
            Err(fault) if fault.code.starts_with("22") => return Ok(TicketFate::Forgotten),
            other => other?,
        };
        Ok(match catalogue::text(&row, 0).as_str() {
            "committed" => TicketFate::Committed,
            "aborted" => TicketFate::Aborted,
            "in progress" => TicketFate::Running,
            _ => TicketFate::Forgotten,
        })
    }

    fn partitions(&self) -> Option<&dyn Partitions> {
        Some(&self.dialect)
    }

    fn ask_deferred(&self) -> Option<Statement> {
        Some(Statement::plain("SET CONSTRAINTS ALL IMMEDIATE"))
    }

    fn hold_tables(&self, tables: &[&TableName]) -> Option<Statement> {
        // FOR UPDATE takes ROW SHARE, beside which a trigger or a foreign key can be added (SHARE ROW EXCLUSIVE).
        let names: Vec<String> = tables.iter().map(|name| self.dialect().table(name)).collect();
        let text = format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", names.join(", "));
        (!names.is_empty()).then(|| Statement::plain(text))
    }

    fn create_batch_table(&self) -> Statement {
        Statement::plain(format!(
            "CREATE TABLE IF NOT EXISTS {} (id text PRIMARY KEY, committed_at timestamptz NOT NULL DEFAULT now())",
            self.batch_table()
        ))
    }

    fn insert_batch_row(&self, batch: &BatchId) -> Statement {
        let text = format!("INSERT INTO {} (id) VALUES ($1::text)", self.batch_table());
        with(&text, vec![Scalar::Text(batch.to_string())])
    }

    fn find_batch_row(&self, batch: &BatchId) -> Statement {
        let text = format!("SELECT id FROM {} WHERE id = $1::text", self.batch_table());
        with(&text, vec![Scalar::Text(batch.to_string())])
    }
}
