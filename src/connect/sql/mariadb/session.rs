//! One connection to MariaDB or MySQL.

use std::time::Duration;

use async_trait::async_trait;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, SslOpts, Value};

use super::faults;
use super::text::translate;
use crate::connect::STRAIN_LIMIT;
use crate::connect::sql::actor::{Answer, CONNECT_LIMIT, Driver, How, STATEMENT_LIMIT, Words, idle_limit, lock_limit};
use crate::connect::sql::engine::{FaultKind, Purpose, Row, SqlFault};
use crate::connect::sql::tls::{Trust, system_roots};
use crate::domain::policy::ServerAccess;
use crate::domain::value::Scalar;
use crate::secret::Secret;

/// The character set number of bytes that are no text.
const BINARY: u16 = 63;

pub(super) static WORDS: Words = Words { begin: "START TRANSACTION", ticket: None };

/// What the server said of itself when the connection was made.
#[derive(Debug, Clone)]
pub(super) struct Greeting {
    /// MariaDB; else MySQL.
    pub(super) mariadb: bool,
    /// The account as the server matched it: `user@host`.
    pub(super) account: String,
}

/// The driver's options for an access.
pub(super) fn options(access: &ServerAccess, password: Option<&Secret>, trust: &Trust) -> Opts {
    let tls = |roots: Vec<Vec<u8>>| {
        let roots = roots.into_iter().map(Into::into).collect();
        SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true)
    };
    let ssl = match trust {
        Trust::Plain => None,
        Trust::System => Some(tls(system_roots())),
        Trust::Authority(pem) => Some(tls(vec![pem.clone()])),
    };
    OptsBuilder::default()
        .ip_or_hostname(access.host.clone())
        .tcp_port(access.port)
        .socket(access.socket.clone())
        // Never over to a socket by itself: what was configured is what is used.
        .prefer_socket(false)
        .user(Some(access.user.clone()))
        .pass(password.and_then(Secret::text))
        .db_name(Some(access.database.clone()))
        .ssl_opts(ssl)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .stmt_cache_size(64)
        // UPDATE counts rows matched, not rows changed.
        .client_found_rows(true)
        .into()
}

/// Connects and sets the session up.
pub(super) async fn connect(opts: Opts, purpose: Purpose) -> Result<(MariaDriver, Greeting), SqlFault> {
    // The limit drops a connection that was never given out.
    let Ok(made) = tokio::time::timeout(CONNECT_LIMIT, Conn::new(opts)).await else {
        return Err(SqlFault { kind: FaultKind::Unreachable, code: "no answer in time".into() });
    };
    let mut conn = made.map_err(|error| faults::connecting(&error))?;
    let greeting = greet(&mut conn).await.map_err(|error| faults::connecting(&error))?;
    for statement in set_up(greeting.mariadb, purpose) {
        conn.query_drop(statement).await.map_err(|error| faults::connecting(&error))?;
    }
    Ok((MariaDriver { conn }, greeting))
}

async fn greet(conn: &mut Conn) -> Result<Greeting, mysql_async::Error> {
    let row: Option<(String, String)> = conn.exec_first("SELECT VERSION(), CURRENT_USER()", ()).await?;
    let (version, account) = row.unwrap_or_default();
    Ok(Greeting { mariadb: version.to_ascii_lowercase().contains("mariadb"), account })
}

fn set_up(mariadb: bool, purpose: Purpose) -> Vec<String> {
    let lock = lock_limit().as_secs();
    let mut all = vec![
        "SET NAMES utf8mb4".into(),
        // Strict for what we write; zero dates can be read and compared; backslashes and quotes as `text_literal` has them;
        // a key 0 that is put back stays 0.
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', autocommit = 1, \
         foreign_key_checks = 1, unique_checks = 1, sql_auto_is_null = 0, completion_type = 0, \
         sql_select_limit = 18446744073709551615"
            .into(),
        format!(
            "SET SESSION innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}, wait_timeout = 86400, \
             net_read_timeout = 120, net_write_timeout = 120, group_concat_max_len = 8388608"
        ),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".into(),
    ];
    let limit = if purpose == Purpose::Watch { STRAIN_LIMIT } else { STATEMENT_LIMIT };
    if mariadb {
        all.push(format!("SET SESSION max_statement_time = {}", limit.as_secs()));
        all.push(format!("SET SESSION idle_transaction_timeout = {}", idle_limit().as_secs()));
        // Else an IN list above 1000 becomes a join with a derived table, which is served and locked in another way.
        all.push("SET SESSION in_predicate_conversion_threshold = 0".into());
    } else {
        all.push(format!("SET SESSION max_execution_time = {}", limit.as_millis()));
    }
    if purpose != Purpose::Write {
        all.push("SET SESSION TRANSACTION READ ONLY".into());
    }
    all
}

/// Owns the connection inside its task.
pub(super) struct MariaDriver {
    conn: Conn,
}

#[async_trait]
impl Driver for MariaDriver {
    async fn run(&mut self, how: How, text: &str, values: &[Scalar]) -> Result<Answer, SqlFault> {
        if how == How::Control {
            return self.conn.query_drop(text).await.map(|()| Answer::default()).map_err(|error| faults::fault(&error));
        }
        let (text, values) = translate(text, values)?;
        let params = if values.is_empty() { Params::Empty } else { Params::Positional(values) };
        self.prepared(how, &text, params).await.map_err(|error| faults::fault(&error))
    }

    async fn close(self) {
        // The server notices a closed socket as well; there is nobody to tell.
        let _gone = self.conn.disconnect().await;
    }
}

impl MariaDriver {
    async fn prepared(&mut self, how: How, text: &str, params: Params) -> Result<Answer, mysql_async::Error> {
        let mut result = self.conn.exec_iter(text, params).await?;
        let count = result.affected_rows();
        let mut rows = Vec::new();
        while let Some(row) = result.next().await? {
            if how == How::Rows {
                rows.push(scalars(row));
            }
        }
        result.drop_result().await?;
        Ok(Answer { rows, count })
    }
}

fn scalars(row: mysql_async::Row) -> Row {
    let columns = row.columns();
    let values = row.unwrap_raw();
    values
        .into_iter()
        .zip(columns.iter())
        .map(|(value, column)| {
            let bytes = column.character_set() == BINARY && !column.flags().contains(ColumnFlags::ENUM_FLAG);
            scalar(value.unwrap_or(Value::NULL), column.column_type(), bytes)
        })
        .collect()
}

/// One value in its canonical form.
pub(super) fn scalar(value: Value, ty: ColumnType, binary: bool) -> Scalar {
    match value {
        Value::NULL => Scalar::Null,
        Value::Int(number) => Scalar::Int(number),
        Value::UInt(number) => Scalar::from_u64(number),
        Value::Float(number) => Scalar::from_f64(f64::from(number)),
        Value::Double(number) => Scalar::from_f64(number),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let mut text = String::with_capacity(25);
            digits(&mut text, u32::from(year), 4);
            for (sign, number) in [('-', month), ('-', day)] {
                text.push(sign);
                digits(&mut text, u32::from(number), 2);
            }
            if matches!(ty, ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE) {
                return Scalar::Text(text);
            }
            text.push(' ');
            time(&mut text, u32::from(hour), minute, second, micros);
            let zoned = matches!(ty, ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2);
            if zoned && (year, month, day) != (0, 0, 0) {
                text.push_str("+00:00");
            }
            Scalar::Text(text)
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let mut text = String::from(if negative { "-" } else { "" });
            time(&mut text, days * 24 + u32::from(hours), minutes, seconds, micros);
            Scalar::Text(text)
        }
        Value::Bytes(bytes) => from_bytes(bytes, ty, binary),
    }
}

fn time(text: &mut String, hours: u32, minutes: u8, seconds: u8, micros: u32) {
    digits(text, hours, 2);
    for number in [minutes, seconds] {
        text.push(':');
        digits(text, u32::from(number), 2);
    }
    if micros != 0 {
        text.push('.');
        digits(text, micros, 6);
    }
}

/// A number in at least so many digits. There is one such text for each row of a purge: the formatting machinery is felt.
fn digits(text: &mut String, number: u32, least: u32) {
    let width = least.max(number.checked_ilog10().unwrap_or(0) + 1);
    for place in (0..width).rev() {
        text.push(char::from(b'0' + u8::try_from(number / 10_u32.pow(place) % 10).unwrap_or(0)));
    }
}

fn from_bytes(bytes: Vec<u8>, ty: ColumnType, binary: bool) -> Scalar {
    match ty {
        ColumnType::MYSQL_TYPE_BIT | ColumnType::MYSQL_TYPE_GEOMETRY => return Scalar::Bytes(bytes),
        // Decimals and JSON come with the binary character set and are text all the same.
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL | ColumnType::MYSQL_TYPE_JSON => {}
        _ if binary => return Scalar::Bytes(bytes),
        _ => {}
    }
    String::from_utf8(bytes).map_or_else(|wrong| Scalar::Bytes(wrong.into_bytes()), Scalar::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: Value, ty: ColumnType) -> String {
        match scalar(value, ty, false) {
            Scalar::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn dates_are_written_one_way_and_zero_and_partial_ones_survive() {
        let date = ColumnType::MYSQL_TYPE_DATE;
        let time = ColumnType::MYSQL_TYPE_DATETIME;
        let stamp = ColumnType::MYSQL_TYPE_TIMESTAMP;
        assert_eq!(text(Value::Date(2020, 0, 0, 0, 0, 0, 0), date), "2020-00-00");
        assert_eq!(text(Value::Date(0, 0, 0, 0, 0, 0, 0), time), "0000-00-00 00:00:00");
        assert_eq!(text(Value::Date(2024, 2, 29, 1, 2, 3, 4), time), "2024-02-29 01:02:03.000004");
        assert_eq!(text(Value::Date(2024, 2, 29, 1, 2, 3, 0), stamp), "2024-02-29 01:02:03+00:00");
        assert_eq!(text(Value::Date(0, 0, 0, 0, 0, 0, 0), stamp), "0000-00-00 00:00:00");
        assert_eq!(text(Value::Time(true, 1, 2, 3, 4, 0), ColumnType::MYSQL_TYPE_TIME), "-26:03:04");
    }

    #[test]
    fn bytes_are_bytes_and_big_numbers_keep_their_sign() {
        let bytes = Value::Bytes(vec![0xff, 0]);
        assert_eq!(scalar(bytes, ColumnType::MYSQL_TYPE_STRING, true), Scalar::Bytes(vec![0xff, 0]));
        let big = scalar(Value::UInt(u64::MAX), ColumnType::MYSQL_TYPE_LONGLONG, true);
        assert_eq!(big, Scalar::UInt(u64::MAX));
        assert_eq!(text(Value::Bytes(b"1.50".to_vec()), ColumnType::MYSQL_TYPE_NEWDECIMAL), "1.50");
    }
}
