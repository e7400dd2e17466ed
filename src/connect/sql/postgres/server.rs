//! What the server as a whole is and does.

use super::catalogue::{flag, text};
use crate::codes::{self, Code};
use crate::connect::sql::engine::Row;
use crate::connect::{Finding, Severity};

/// Asks for what makes the cluster this one: its identifier survives restarts and moves.
pub(super) const IDENTITY: &str = "SELECT system_identifier::text FROM pg_control_system()";

/// Asks for the settings that matter to us.
pub(super) const SETTINGS: &str = "SELECT pg_is_in_recovery(), current_setting('archive_mode') <> 'off', \
     current_setting('log_statement') IN ('mod', 'all') \
     OR current_setting('log_min_duration_statement') <> '-1' OR current_setting('log_min_duration_sample') <> '-1' \
     OR current_setting('log_duration') = 'on', \
     coalesce(current_setting('log_parameter_max_length', true), '-1') = '0', \
     current_setting('server_version_num')::int4 < 130000, current_setting('server_version')";

/// Findings about the server.
pub(super) fn findings(row: &Row, at: &str) -> Vec<Finding> {
    let finding = |code: &'static Code, severity, text: String, remedy: &str| Finding {
        code,
        severity,
        at: at.to_string(),
        text,
        remedy: remedy.into(),
    };
    let mut found = Vec::new();
    if flag(row, 0) {
        found.push(finding(
            codes::SERVER_READ_ONLY,
            Severity::Fault,
            "the server takes no writes: it is a standby".into(),
            "name the primary server in the policy",
        ));
    }
    if flag(row, 1) {
        found.push(finding(
            codes::SERVER_KEEPS_LOG,
            Severity::Note,
            "the server archives its write-ahead log: what is erased stays in the archive until that is dropped".into(),
            "keep base backups and archived WAL no longer than your policy says",
        ));
    }
    if flag(row, 2) && !flag(row, 3) {
        found.push(finding(
            codes::SERVER_LOGS_VALUES,
            Severity::Warning,
            "the server writes statements with their values to its log".into(),
            "set log_parameter_max_length = 0 (or log_statement = 'none' or 'ddl' and log_min_duration_statement = -1)",
        ));
    }
    if flag(row, 4) {
        found.push(finding(
            codes::SERVER_TOO_OLD,
            Severity::Fault,
            format!("PostgreSQL {} can't be asked what became of a transaction", text(row, 5)),
            "upgrade to PostgreSQL 13 or later",
        ));
    }
    found
}
