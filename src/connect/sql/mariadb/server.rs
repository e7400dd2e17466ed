//! What the server as a whole is and does.

use super::catalogue::text;
use crate::codes::{self, Code};
use crate::connect::sql::engine::Row;
use crate::connect::{Finding, Severity};

/// Asks for what makes the server this one.
pub(super) const IDENTITY: &str =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uid', 'server_uuid', 'hostname', 'port', 'socket')";

/// Asks for the settings that matter to us.
pub(super) const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_on', 'log_bin', \
     'binlog_format', 'read_only', 'super_read_only', 'version')";

fn value(rows: &[Row], name: &str) -> Option<String> {
    rows.iter().find(|row| text(row, 0).eq_ignore_ascii_case(name)).map(|row| text(row, 1))
}

/// The server's own id where it has one, else its host and port; and the database.
pub(super) fn identity(mariadb: bool, rows: &[Row], database: &str) -> String {
    let kind = if mariadb { "mariadb" } else { "mysql" };
    let of = |name: &str| value(rows, name).filter(|value| !value.is_empty());
    let server = of("server_uuid")
        .or_else(|| of("server_uid"))
        .unwrap_or_else(|| format!("{}:{}", of("hostname").unwrap_or_default(), of("port").unwrap_or_default()));
    format!("{kind} {server} database {database}")
}

/// Findings about the server.
pub(super) fn findings(rows: &[Row], mariadb: bool, at: &str) -> Vec<Finding> {
    let is = |name: &str, wanted: &str| value(rows, name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
    let on = |name: &str| is(name, "ON") || is(name, "1");
    let finding = |code: &'static Code, severity, text: &str, remedy: &str| Finding {
        code,
        severity,
        at: at.to_string(),
        text: text.into(),
        remedy: remedy.into(),
    };
    let mut found = Vec::new();
    if on("log_bin") && is("binlog_format", "STATEMENT") {
        found.push(finding(
            codes::BINLOG_STATEMENT,
            Severity::Fault,
            "the server logs its changes as statements (binlog_format = STATEMENT)",
            "set binlog_format = ROW (or MIXED) in the server's configuration and restart it",
        ));
    }
    if on("wsrep_on") {
        found.push(finding(
            codes::CLUSTER_LOCK,
            Severity::Warning,
            "the server is a node of a Galera cluster, where the lock of a run holds on one node only",
            "let one host run bewaard for this cluster, and let it always reach the same node",
        ));
    }
    if on("read_only") || on("super_read_only") {
        found.push(finding(
            codes::SERVER_READ_ONLY,
            Severity::Fault,
            "the server takes no writes (read_only): most likely it is a replica",
            "name the primary server in the policy",
        ));
    }
    if too_old(&value(rows, "version").unwrap_or_default(), mariadb) {
        found.push(finding(
            codes::SERVER_TOO_OLD,
            Severity::Warning,
            "this version of the server is older than those that bewaard is tested with (MariaDB 10.5, MySQL 8.0)",
            "upgrade the server; until then run with small limits",
        ));
    }
    found
}

fn too_old(version: &str, mariadb: bool) -> bool {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version < if mariadb { (10, 5) } else { (8, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::Scalar;

    fn rows(pairs: &[(&str, &str)]) -> Vec<Row> {
        pairs.iter().map(|(a, b)| vec![Scalar::Text((*a).into()), Scalar::Text((*b).into())]).collect()
    }

    #[test]
    fn settings_become_findings() {
        let quiet = rows(&[("binlog_format", "STATEMENT"), ("log_bin", "OFF"), ("version", "10.11.19-MariaDB-0")]);
        assert_eq!(findings(&quiet, true, "system.shop"), []);
        let loud = rows(&[("binlog_format", "STATEMENT"), ("log_bin", "ON"), ("wsrep_on", "ON"), ("read_only", "ON")]);
        let codes: Vec<&str> = findings(&loud, true, "system.shop").iter().map(|one| one.code.id).collect();
        assert_eq!(codes, ["B263", "B264", "B267", "B269"]);
    }
}
