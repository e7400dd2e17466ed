//! MariaDB and MySQL, over `mysql_async` with prepared statements.

mod catalogue;
mod dialect;
mod faults;
mod reads_back;
mod rights;
mod server;
mod session;
mod strain;
mod text;
mod traces;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use mysql_async::{Opts, OptsBuilder};

use super::actor::{ActorSession, Driver};
use super::catalogue::{Column, Table};
use super::engine::{
    BATCH_TABLE, Dialect, Engine, FaultKind, Need, Purpose, Row, Session, SqlFault, Statement, TicketFate,
};
use super::reads_back::ReadsBack;
use super::tls;
use super::why::{Access, cell, reached_by_kind};
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
    Ok(Box::new(MariaEngine {
        system: system.clone(),
        access: access.clone(),
        opts: session::options(access, password.as_ref(), &trust),
        greeting: OnceLock::new(),
        holder: AtomicI64::new(NOBODY),
    }))
}

/// No connection has number 0.
const NOBODY: i64 = 0;

struct MariaEngine {
    system: SystemId,
    access: ServerAccess,
    opts: Opts,
    greeting: OnceLock<session::Greeting>,
    /// The number of the connection that holds the claim.
    holder: AtomicI64,
}

impl MariaEngine {
    fn mariadb(&self) -> bool {
        self.greeting.get().is_none_or(|greeting| greeting.mariadb)
    }

    /// The account as the server matched it; before the first connection, as it will most likely be written.
    fn account(&self) -> String {
        let local =
            self.access.socket.is_some() || matches!(self.access.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let guess = format!("{}@{}", self.access.user, if local { "localhost" } else { "%" });
        let known = self.greeting.get().map(|greeting| greeting.account.clone()).filter(|account| !account.is_empty());
        let account = known.unwrap_or(guess);
        let (user, host) = account.rsplit_once('@').unwrap_or((account.as_str(), "%"));
        format!("{}@{}", dialect::literal(user), dialect::literal(host))
    }

    /// The name of the advisory lock: MySQL takes 64 characters, in any case.
    fn lock_name(&self) -> String {
        let name = format!("bewaard:{}", self.access.database);
        if name.is_ascii() && name.len() <= 64 && !name.contains(|c: char| c.is_ascii_uppercase()) {
            return name;
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        let digits: String = hex::encode(digest).chars().take(48).collect();
        format!("bewaard:{digits}")
    }

    fn asked<'a>(&'a self, account: &'a str) -> rights::Asked<'a> {
        rights::Asked {
            system: self.system.as_str(),
            database: &self.access.database,
            mariadb: self.mariadb(),
            account,
        }
    }

    fn batch_table(&self) -> String {
        format!("{}.{}", dialect::quoted(&self.access.database), dialect::quoted(BATCH_TABLE))
    }
}

fn with(text: &str, values: Vec<Scalar>) -> Statement {
    Statement { text: text.into(), values }
}

async fn one_row(session: &mut dyn Session, statement: &Statement) -> Result<Row, SqlFault> {
    Ok(session.rows(statement).await?.into_iter().next().unwrap_or_default())
}

async fn granted(session: &mut dyn Session) -> Result<Vec<rights::Granted>, SqlFault> {
    let rows = session.rows(&Statement::plain("SHOW GRANTS")).await?;
    let lines: Vec<String> = rows.iter().map(|row| catalogue::text(row, 0)).collect();
    Ok(rights::parse(&lines))
}

#[async_trait]
impl Engine for MariaEngine {
    fn dialect(&self) -> &dyn Dialect {
        &dialect::MariaDialect
    }

    async fn connect(&self, purpose: Purpose) -> Result<Box<dyn Session>, SqlFault> {
        let (driver, greeting) = match session::connect(self.opts.clone(), purpose).await {
            Ok(made) => made,
            Err(found) if found.code == faults::NO_RIGHT_IN_DATABASE => {
                // Let in, but not into this database: how the server writes the account is needed for its grants.
                let opts = OptsBuilder::from_opts(self.opts.clone()).db_name(None::<String>);
                if let Ok((driver, greeting)) = session::connect(opts.into(), Purpose::Read).await {
                    let _known = self.greeting.set(greeting);
                    driver.close().await;
                }
                return Err(found);
            }
            Err(found) => return Err(found),
        };
        // Only the first is kept: the account and the kind of server do not change under way.
        let _known = self.greeting.set(greeting);
        Ok(Box::new(ActorSession::start(driver, &session::WORDS)))
    }

    async fn identity(&self, session: &mut dyn Session) -> Result<String, SqlFault> {
        let rows = session.rows(&Statement::plain(server::IDENTITY)).await?;
        Ok(server::identity(self.mariadb(), &rows, &self.access.database))
    }

    async fn now(&self, session: &mut dyn Session) -> Result<DateTime<Utc>, SqlFault> {
        let row = one_row(session, &Statement::plain("SELECT UTC_TIMESTAMP(6)")).await?;
        let at = NaiveDateTime::parse_from_str(&catalogue::text(&row, 0), "%Y-%m-%d %H:%M:%S%.f");
        let no_time = |_| SqlFault { kind: FaultKind::Other, code: "the server told no time".into() };
        Ok(at.map_err(no_time)?.and_utc())
    }

    async fn table(&self, session: &mut dyn Session, name: &TableName) -> Result<Option<Table>, SqlFault> {
        catalogue::table(session, &self.access.database, name).await
    }

    async fn server_findings(&self, session: &mut dyn Session) -> Result<Vec<Finding>, SqlFault> {
        let rows = session.rows(&Statement::plain(server::VARIABLES)).await?;
        Ok(server::findings(&rows, self.mariadb(), &format!("system.{}", self.system)))
    }

    async fn keeps(&self, session: &mut dyn Session, tables: &[Table]) -> Result<Keeps, SqlFault> {
        traces::keeps(session, tables, self.mariadb()).await
    }

    async fn strain(&self, session: &mut dyn Session, _tables: &[TableName]) -> Result<Strain, SqlFault> {
        strain::strain(session, self.mariadb(), &self.account()).await
    }

    fn replica(&self, access: &ServerAccess) -> Result<Box<dyn Engine>, SqlFault> {
        engine(access, &self.system).map_err(|error| SqlFault { kind: FaultKind::Refused, code: error.what })
    }

    async fn lag(&self, session: &mut dyn Session) -> Result<Reading, SqlFault> {
        strain::lag(session, self.mariadb(), &self.account()).await
    }

    async fn explain(
        &self,
        session: &mut dyn Session,
        statement: &Statement,
    ) -> Result<(Vec<String>, Reached), SqlFault> {
        // id, select_type, table, type, possible_keys, key, key_len, ref, rows, Extra; MySQL has partitions after the table.
        let later = usize::from(!self.mariadb());
        let explain = Statement { text: format!("EXPLAIN {}", statement.text), values: statement.values.clone() };
        let rows = session.rows(&explain).await?;
        let (mut lines, mut all) = (Vec::new(), Vec::new());
        for row in &rows {
            let at = |place: usize| cell(row, place).unwrap_or_else(|| "none".into());
            let (table, kind, key) = (at(2), at(3 + later), at(5 + later));
            let (count, extra) = (at(8 + 2 * later), at(9 + 3 * later));
            lines.push(format!("table {table}: type {kind}, key {key}, rows {count}; {extra}"));
            all.push((table, kind, cell(row, 5 + later)));
        }
        let access: Vec<Access<'_>> =
            all.iter().map(|(table, kind, key)| Access { table, kind, key: key.as_deref() }).collect();
        let reached = reached_by_kind(&access);
        Ok((lines, reached))
    }

    async fn rights(&self, session: &mut dyn Session, needs: &[Need]) -> Result<Vec<Finding>, SqlFault> {
        let granted = granted(session).await?;
        Ok(rights::findings(&granted, needs, &self.asked(&self.account())))
    }

    async fn hides_tables(&self, session: &mut dyn Session) -> Result<bool, SqlFault> {
        Ok(!rights::sees(&granted(session).await?, &self.access.database))
    }

    fn grants(&self, needs: &[Need]) -> Vec<String> {
        rights::grants(needs, &self.asked(&self.account()))
    }

    async fn reads_back(
        &self,
        session: &mut dyn Session,
        table: &TableName,
        column: &Column,
        value: &Scalar,
    ) -> Result<ReadsBack, SqlFault> {
        if !self.mariadb() {
            // MySQL has no variables of a column's type outside stored programs.
            return Ok(ReadsBack::CannotTell);
        }
        reads_back::reads_back(session, &self.access.database, table, column, value).await
    }

    async fn claim(&self, session: &mut dyn Session) -> Result<bool, SqlFault> {
        let ask = with("SELECT GET_LOCK(?1t, 0), CONNECTION_ID()", vec![Scalar::Text(self.lock_name())]);
        let row = one_row(session, &ask).await?;
        match (row.first(), row.get(1)) {
            (Some(Scalar::Int(1)), Some(Scalar::Int(connection))) => {
                self.holder.store(*connection, Ordering::SeqCst);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn still_claimed(&self, session: &mut dyn Session) -> Result<bool, SqlFault> {
        let holder = self.holder.load(Ordering::SeqCst);
        let ask = with("SELECT IS_USED_LOCK(?1t)", vec![Scalar::Text(self.lock_name())]);
        let row = one_row(session, &ask).await?;
        Ok(holder != NOBODY && row.first() == Some(&Scalar::Int(holder)))
    }

    async fn release(&self, session: &mut dyn Session) -> Result<(), SqlFault> {
        self.holder.store(NOBODY, Ordering::SeqCst);
        let ask = with("SELECT RELEASE_LOCK(?1t)", vec![Scalar::Text(self.lock_name())]);
        one_row(session, &ask).await.map(|_| ())
    }

    async fn ticket_fate(&self, _: &mut dyn Session, _: &str) -> Result<TicketFate, SqlFault> {
        // No MariaDB or MySQL can be asked what became of a transaction: the batch row says it.
        Ok(TicketFate::Forgotten)
    }

    fn create_batch_table(&self) -> Statement {
        Statement::plain(format!(
            "CREATE TABLE IF NOT EXISTS {} (id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, \
             committed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE = InnoDB",
            self.batch_table()
        ))
    }

    fn insert_batch_row(&self, batch: &BatchId) -> Statement {
        let text = format!("INSERT INTO {} (id) VALUES (?1t)", self.batch_table());
        with(&text, vec![Scalar::Text(batch.to_string())])
    }

    fn find_batch_row(&self, batch: &BatchId) -> Statement {
        let text = format!("SELECT id FROM {} WHERE id = ?1t", self.batch_table());
        with(&text, vec![Scalar::Text(batch.to_string())])
    }
}
