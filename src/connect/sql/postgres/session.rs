//! One connection to PostgreSQL.
//!
//! Every value is sent as text and cast in the statement, so that a statement always has the same types whatever is
//! bound to it: the driver keeps prepared statements by their text alone.

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow, PgSslMode};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Connection, Executor, PgConnection, Postgres, Row as _, TypeInfo,
    ValueRef,
};

use super::dialect::quoted;
use super::faults;
use crate::connect::STRAIN_LIMIT;
use crate::connect::sql::actor::{Answer, CONNECT_LIMIT, Driver, How, STATEMENT_LIMIT, Words, idle_limit, lock_limit};
use crate::connect::sql::engine::{FaultKind, Purpose, Row, SqlFault};
use crate::connect::sql::tls::Trust;
use crate::domain::policy::ServerAccess;
use crate::domain::value::Scalar;
use crate::secret::Secret;

/// The cluster, and the timeline on which it writes now. What the control file says is that of the last checkpoint, which a
/// server that was promoted a moment ago may not have made yet.
macro_rules! place {
    () => {
        "(SELECT system_identifier FROM pg_control_system())::text, \
         substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
    };
}
/// Where a transaction's number counts.
pub(super) const PLACE: &str = concat!("SELECT ", place!());

/// The ticket names the cluster and its timeline too: after a restore or a failover the number alone would be another's.
pub(super) static WORDS: Words = Words {
    begin: "BEGIN ISOLATION LEVEL READ COMMITTED",
    ticket: Some(concat!("SELECT pg_current_xact_id()::text, ", place!())),
};

/// The driver's options. With an authority of one's own the system's are trusted as well: the driver adds, it does not
/// replace.
pub(super) fn options(access: &ServerAccess, password: Option<&Secret>, trust: &Trust) -> PgConnectOptions {
    let mode = match trust {
        Trust::Plain => PgSslMode::Disable,
        Trust::System | Trust::Authority(_) => PgSslMode::VerifyFull,
    };
    // An empty list of authorities takes the place of what the environment may name.
    let roots = if let Trust::Authority(pem) = trust { pem.clone() } else { Vec::new() };
    let options = PgConnectOptions::new_without_pgpass()
        .host(&access.host)
        .port(access.port)
        .username(&access.user)
        .database(&access.database)
        .password(password.and_then(Secret::text).unwrap_or_default())
        .ssl_mode(mode)
        .ssl_root_cert_from_pem(roots)
        .application_name("bewaard")
        .extra_float_digits(3)
        .statement_cache_capacity(100)
        .disable_statement_logging();
    match &access.socket {
        Some(folder) => options.socket(folder),
        None => options,
    }
}

/// Connects and sets the session up.
pub(super) async fn connect(
    options: &PgConnectOptions,
    schema: &str,
    purpose: Purpose,
) -> Result<PostgresDriver, SqlFault> {
    // The limit drops a connection that was never given out.
    let Ok(made) = tokio::time::timeout(CONNECT_LIMIT, PgConnection::connect_with(options)).await else {
        return Err(SqlFault { kind: FaultKind::Unreachable, code: "no answer in time".into() });
    };
    let mut conn = made.map_err(|error| faults::connecting(&error))?;
    let newer = conn.server_version_num().unwrap_or(0) >= 140_000;
    let text = set_up(schema, newer, purpose);
    conn.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map_err(|error| faults::connecting(&error))?;
    Ok(PostgresDriver { conn })
}

fn set_up(schema: &str, newer: bool, purpose: Purpose) -> String {
    let limit = if purpose == Purpose::Watch { STRAIN_LIMIT } else { STATEMENT_LIMIT };
    let mut settings = vec![
        ("search_path", format!("{}, public", quoted(schema))),
        ("datestyle", "ISO, YMD".into()),
        ("timezone", "'UTC'".into()),
        ("intervalstyle", "iso_8601".into()),
        ("bytea_output", "hex".into()),
        ("extra_float_digits", "3".into()),
        ("lc_monetary", "'C'".into()),
        ("standard_conforming_strings", "on".into()),
        ("xmloption", "content".into()),
        // Rows that row-level security would hide become an error instead.
        ("row_security", "off".into()),
        ("client_min_messages", "error".into()),
        ("default_transaction_isolation", "'read committed'".into()),
        ("statement_timeout", limit.as_millis().to_string()),
        ("lock_timeout", lock_limit().as_millis().to_string()),
        ("idle_in_transaction_session_timeout", idle_limit().as_millis().to_string()),
    ];
    if newer {
        // The connection that holds a run's claim is idle for as long as the run takes.
        settings.push(("idle_session_timeout", "0".into()));
    }
    if purpose != Purpose::Write {
        settings.push(("default_transaction_read_only", "on".into()));
    }
    settings.iter().map(|(name, value)| format!("SET {name} = {value}")).collect::<Vec<_>>().join("; ")
}

/// Owns the connection inside its task.
pub(super) struct PostgresDriver {
    conn: PgConnection,
}

#[async_trait]
impl Driver for PostgresDriver {
    async fn run(&mut self, how: How, text: &str, values: &[Scalar]) -> Result<Answer, SqlFault> {
        let text = AssertSqlSafe(text.to_string());
        let mut query: sqlx::query::Query<'_, Postgres, PgArguments> = match how {
            How::Control => {
                let done = self.conn.execute(sqlx::raw_sql(text)).await;
                return done.map(|_| Answer::default()).map_err(|error| faults::fault(&error));
            }
            How::Rows | How::Count => sqlx::query(text),
        };
        for value in values {
            query = query.bind(as_text(value));
        }
        let failed = |error: sqlx::Error| faults::fault(&error);
        if how == How::Count {
            let done = self.conn.execute(query).await.map_err(failed)?;
            return Ok(Answer { rows: Vec::new(), count: done.rows_affected() });
        }
        let rows = self.conn.fetch_all(query).await.map_err(failed)?;
        let rows = rows.iter().map(scalars).collect::<Result<Vec<Row>, sqlx::Error>>().map_err(failed)?;
        Ok(Answer { count: u64::try_from(rows.len()).unwrap_or(u64::MAX), rows })
    }

    async fn close(self) {
        // The server notices a closed socket as well; there is nobody to tell.
        let _gone = self.conn.close().await;
    }
}

fn as_text(value: &Scalar) -> Option<String> {
    match value {
        Scalar::Null => None,
        Scalar::Int(number) => Some(number.to_string()),
        Scalar::UInt(number) => Some(number.to_string()),
        Scalar::Real(bits) => Some(f64::from_bits(*bits).to_string()),
        Scalar::Text(text) | Scalar::Typed { text, .. } => Some(text.clone()),
        Scalar::Bytes(bytes) => Some(hex::encode(bytes)),
    }
}

fn scalars(row: &PgRow) -> Result<Row, sqlx::Error> {
    (0..row.len()).map(|at| scalar(row, at)).collect()
}

fn scalar(row: &PgRow, at: usize) -> Result<Scalar, sqlx::Error> {
    if row.try_get_raw(at)?.is_null() {
        return Ok(Scalar::Null);
    }
    Ok(match row.column(at).type_info().name() {
        "BOOL" => Scalar::Int(i64::from(row.try_get::<bool, _>(at)?)),
        "INT2" => Scalar::Int(row.try_get::<i16, _>(at)?.into()),
        "INT4" => Scalar::Int(row.try_get::<i32, _>(at)?.into()),
        "INT8" => Scalar::Int(row.try_get(at)?),
        "FLOAT4" => Scalar::from_f64(row.try_get::<f32, _>(at)?.into()),
        "FLOAT8" => Scalar::from_f64(row.try_get(at)?),
        "BYTEA" => Scalar::Bytes(row.try_get(at)?),
        // Text and its kin. Any other type is an error: the dialect reads those as text.
        _ => Scalar::Text(row.try_get(at)?),
    })
}
