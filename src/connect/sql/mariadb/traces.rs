//! What MariaDB and MySQL keep of erased rows: binary log, statement logs, undo, replicas, history of rows.

use std::collections::BTreeMap;

use super::catalogue::text;
use crate::codes;
use crate::connect::sql::catalogue::Table;
use crate::connect::sql::engine::{Row, Session, SqlFault, Statement};
use crate::connect::sql::traces::{days, endless, ends, may_ask, trace, unknown};
use crate::connect::{Keeps, Severity, Space, Trace};
use crate::domain::trace::{TraceKind, Until};

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_expire_logs_seconds', \
     'expire_logs_days', 'binlog_expire_logs_auto_purge', 'max_binlog_total_size', 'general_log', 'slow_query_log', \
     'log_output', 'performance_schema', 'server_audit_logging', 'innodb_file_per_table')";
const PLUGINS: &str = "SELECT PLUGIN_NAME FROM information_schema.PLUGINS \
     WHERE PLUGIN_TYPE = 'AUDIT' AND PLUGIN_STATUS = 'ACTIVE' ORDER BY PLUGIN_NAME";
const HISTORY: &str = "SELECT NAME FROM performance_schema.setup_consumers \
     WHERE NAME LIKE 'events\\_statements\\_history%' AND ENABLED = 'YES'";
/// Seconds since the oldest open transaction began; it asks for PROCESS.
const OLDEST: &str =
    "SELECT COALESCE(MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())), 0) FROM information_schema.INNODB_TRX";
/// From so many seconds an open transaction is no longer passing by.
const LONG: u64 = 3_600;

/// The settings that decide how long traces live.
struct Settings(BTreeMap<String, String>);

impl Settings {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
    fn on(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("ON") || value == "1")
    }
    fn number(&self, name: &str) -> Option<u64> {
        // Days are kept with a fraction.
        self.text(name)?.split('.').next()?.parse().ok()
    }
}

pub(super) async fn keeps(session: &mut dyn Session, tables: &[Table], mariadb: bool) -> Result<Keeps, SqlFault> {
    let rows = session.rows(&Statement::plain(VARIABLES)).await?;
    let settings = Settings(rows.iter().map(|row| (text(row, 0).to_ascii_lowercase(), text(row, 1))).collect());
    let mut traces = Vec::new();
    traces.extend(binary_log(&settings));
    traces.extend(statement_logs(&settings));
    let plugins = may_ask(session, PLUGINS).await?.unwrap_or_default();
    traces.extend(audit_log(&plugins, &settings));
    if settings.on("performance_schema") {
        traces.extend(statement_history(may_ask(session, HISTORY).await?.as_deref()));
    }
    traces.push(undo(may_ask(session, OLDEST).await?.as_deref()));
    if settings.on("log_bin") {
        let ask = if mariadb { "SHOW SLAVE HOSTS" } else { "SHOW REPLICAS" };
        traces.extend(replicas(may_ask(session, ask).await?.as_deref(), mariadb));
    }
    traces.extend(tables.iter().filter(|table| table.versioned).map(versions));
    let space = tables.iter().filter(|table| table.transactional).map(|table| Space {
        place: table.name.name.clone(),
        command: format!("OPTIMIZE TABLE {}", super::dialect::quoted(&table.name.name)),
    });
    Ok(Keeps { traces, space: space.collect() })
}

fn binary_log(settings: &Settings) -> Option<Trace> {
    if !settings.on("log_bin") {
        return None;
    }
    let seconds = settings.number("binlog_expire_logs_seconds").filter(|seconds| *seconds > 0);
    let by_days = settings.number("expire_logs_days").filter(|days| *days > 0);
    let purges =
        settings.text("binlog_expire_logs_auto_purge").is_none() || settings.on("binlog_expire_logs_auto_purge");
    if let Some(after) = seconds.map(days).or(by_days).filter(|_| purges) {
        let text = format!("the binary log keeps erased rows for {after} days after its file is closed");
        let remedy = "set binlog_expire_logs_seconds no longer than restores need; a quiet server closes a file late";
        return Some(ends(TraceKind::BinaryLog, after, text, remedy));
    }
    if let Some(bytes) = settings.number("max_binlog_total_size").filter(|bytes| *bytes > 0) {
        let text = format!("the binary log keeps erased rows until {bytes} newer bytes were logged");
        let remedy = "set binlog_expire_logs_seconds as well: a bound in bytes is no bound in days";
        return Some(unknown(TraceKind::BinaryLog, text, remedy));
    }
    let text = "the binary log keeps erased rows and never expires".to_string();
    Some(endless(TraceKind::BinaryLog, text, "set binlog_expire_logs_seconds (or expire_logs_days)"))
}

fn statement_logs(settings: &Settings) -> Vec<Trace> {
    let output = settings.text("log_output").unwrap_or("FILE").to_ascii_uppercase();
    let logs = [
        ("general_log", TraceKind::GeneralLog, "the general log has every statement with its values"),
        ("slow_query_log", TraceKind::SlowLog, "the slow query log has slow statements with their values"),
    ];
    let mut out = Vec::new();
    for (setting, kind, what) in logs {
        if !settings.on(setting) || output.split(',').all(|one| one == "NONE") {
            continue;
        }
        let switch = format!("set {setting} = OFF");
        if output.contains("TABLE") {
            let text = format!("{what}, in a table that nothing empties (log_output = {output})");
            let trace =
                endless(kind, text, &format!("{switch}, or empty its table of the database mysql on a schedule"));
            out.push(Trace { code: codes::SERVER_LOGS_VALUES, ..trace });
        } else {
            let text = format!("{what}, in a file that the server never drops");
            let remedy = format!("{switch}, or let the host rotate the file within your term");
            out.push(trace(kind, Until::Unknown, Severity::Warning, codes::SERVER_LOGS_VALUES, text, &remedy));
        }
    }
    out
}

fn audit_log(plugins: &[Row], settings: &Settings) -> Option<Trace> {
    let names: Vec<String> = plugins.iter().map(|row| text(row, 0)).collect();
    let silent = names.len() == 1 && names.first().is_some_and(|name| name.eq_ignore_ascii_case("SERVER_AUDIT"));
    if names.is_empty() || (silent && !settings.on("server_audit_logging")) {
        return None;
    }
    let text = format!("an audit plugin is active ({}): it may write statements with their values", names.join(", "));
    Some(unknown(TraceKind::AuditLog, text, "read its settings, and give its log a term of its own"))
}

fn statement_history(consumers: Option<&[Row]>) -> Option<Trace> {
    let kind = TraceKind::StatementHistory;
    match consumers {
        Some([]) => None,
        Some(_) => {
            let text = "performance_schema keeps the last statements in memory, with the literals in them".to_string();
            let remedy =
                "newer statements take their place; switch the consumers events_statements_history off if that matters";
            Some(unknown(kind, text, remedy))
        }
        None => {
            let text = "whether performance_schema keeps statements with literals can't be seen".to_string();
            let remedy = "SELECT on performance_schema.setup_consumers would show it; an administrator can look";
            Some(unknown(kind, text, remedy))
        }
    }
}

fn undo(oldest: Option<&[Row]>) -> Trace {
    let kind = TraceKind::Undo;
    let Some(rows) = oldest else {
        let text = "how long row versions stay in the undo log can't be seen".to_string();
        let remedy = "the right PROCESS would show it (and other programs' statements too): let an administrator look at \
                      information_schema.INNODB_TRX for transactions that stay open";
        return unknown(kind, text, remedy);
    };
    let oldest: u64 = rows.first().and_then(|row| row.first()).and_then(|value| value.show().parse().ok()).unwrap_or(0);
    if oldest < LONG {
        let text = "row versions stay in the undo log until the open transactions end, none of them old".to_string();
        return ends(kind, 0, text, "nothing to do");
    }
    let hours = oldest / 3_600;
    let text = format!("a transaction has been open for {hours} hours: erased rows stay in the undo log until it ends");
    let remedy = "end it: its id stands in information_schema.INNODB_TRX";
    trace(kind, Until::Unknown, Severity::Warning, codes::TRACE_UNKNOWN, text, remedy)
}

fn replicas(hosts: Option<&[Row]>, mariadb: bool) -> Option<Trace> {
    let kind = TraceKind::Replicas;
    match hosts {
        Some([]) => None,
        Some(hosts) => {
            let text = format!("replicas that copy this server now: {}; each has logs of its own", hosts.len());
            let remedy = "look at each of them: its relay log, binary log and backups";
            Some(trace(kind, Until::Unknown, Severity::Note, codes::TRACE_COPIES, text, remedy))
        }
        None => {
            let right = if mariadb { "REPLICATION MASTER ADMIN" } else { "REPLICATION SLAVE" };
            let text = "whether replicas copy this server can't be seen".to_string();
            Some(unknown(kind, text, &format!("the right {right} would show it; an administrator can look")))
        }
    }
}

fn versions(table: &Table) -> Trace {
    let name = &table.name.name;
    let partitions = if table.partitioned { ", in partitions that nothing drops by itself" } else { "" };
    let text = format!("`{name}` is system-versioned: deleted rows stay readable in its history{partitions}");
    let remedy = "DELETE HISTORY FROM the table on a schedule, or drop its oldest history partition";
    Trace { code: codes::VERSIONED, ..endless(TraceKind::RowVersions, text, remedy) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings(pairs.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect())
    }

    #[test]
    fn the_binary_log_ends_by_seconds_days_bytes_or_never() {
        let until = |pairs: &[(&str, &str)]| binary_log(&settings(pairs)).map(|trace| trace.until);
        let on = ("log_bin", "ON");
        assert_eq!(until(&[("log_bin", "OFF")]), None);
        assert_eq!(until(&[on, ("binlog_expire_logs_seconds", "864001")]), Some(Until::Days(11)));
        assert_eq!(until(&[on, ("expire_logs_days", "10.000000")]), Some(Until::Days(10)));
        assert_eq!(until(&[on, ("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "0")]), Some(Until::Never));
        assert_eq!(until(&[on, ("max_binlog_total_size", "1000")]), Some(Until::Unknown));
        let stopped = [on, ("binlog_expire_logs_seconds", "86400"), ("binlog_expire_logs_auto_purge", "OFF")];
        assert_eq!(until(&stopped), Some(Until::Never), "MySQL can be told not to purge");
    }

    #[test]
    fn an_old_transaction_keeps_the_undo_log() {
        let until = |seconds: &str| undo(Some(&[vec![crate::domain::value::Scalar::Text(seconds.into())]])).until;
        assert_eq!((until("59"), until("7200")), (Until::Days(0), Until::Unknown));
        assert_eq!(undo(None).until, Until::Unknown);
    }
}
