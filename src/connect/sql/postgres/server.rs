//! What the server as a whole is and does.

use super::catalogue::{flag, text};
use crate::codes::{self, Code};
use crate::connect::sql::engine::Row;
use crate::connect::{Finding, Severity};

/// Asks for what makes the cluster this one: its identifier survives restarts and moves.
pub(super) const IDENTITY: &str = "SELECT system_identifier::text FROM pg_control_system()";

/// Asks for the settings that matter to us.
pub(super) const SETTINGS: &str = "SELECT pg_is_in_recovery(), \
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
            codes::SERVER_TOO_OLD,
            Severity::Fault,
            format!("PostgreSQL {} can't be asked what became of a transaction", text(row, 2)),
            "upgrade to PostgreSQL 13 or later",
        ));
    }
    found
}
