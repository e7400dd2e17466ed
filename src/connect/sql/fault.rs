//! Turning an engine's fault into an error with an advice.

use super::engine::{FaultKind, SqlFault};
use super::records::ReadFault;
use crate::connect::{Advice, ConnectError, Finding, Severity};
use crate::domain::id::SystemId;

/// The advice for a fault.
pub(super) fn advice(kind: FaultKind) -> Advice {
    match kind {
        FaultKind::Unreachable
        | FaultKind::Lost
        | FaultKind::Deadlock
        | FaultKind::LockTimeout
        | FaultKind::StatementTimeout => Advice::RetryLater,
        FaultKind::Refused
        | FaultKind::NoRight
        | FaultKind::ReadOnly
        | FaultKind::Constraint
        | FaultKind::Schema
        | FaultKind::Full => Advice::Fix,
        FaultKind::Other => Advice::Stop,
    }
}

/// The error for a fault while `doing`.
pub(super) fn from_sql(system: &SystemId, doing: &'static str, fault: &SqlFault) -> ConnectError {
    ConnectError {
        system: system.clone(),
        doing,
        what: fault.to_string(),
        advice: advice(fault.kind),
        unreachable: matches!(fault.kind, FaultKind::Unreachable | FaultKind::Lost),
    }
}

/// The error for a fault while reading.
pub(super) fn from_read(system: &SystemId, doing: &'static str, fault: &ReadFault) -> ConnectError {
    match fault {
        ReadFault::Sql(fault) => from_sql(system, doing, fault),
        ReadFault::Key(what) => own(system, doing, (*what).to_string(), Advice::Fix),
    }
}

/// An error of our own finding.
pub(super) fn own(system: &SystemId, doing: &'static str, what: String, advice: Advice) -> ConnectError {
    ConnectError { system: system.clone(), doing, what, advice, unreachable: false }
}

/// The first fault among findings, as an error.
pub(super) fn from_findings(system: &SystemId, doing: &'static str, findings: &[Finding]) -> ConnectError {
    let what = findings
        .iter()
        .find(|one| one.severity == Severity::Fault)
        .map_or_else(|| "the rule does not fit the database".into(), |one| format!("{} ({})", one.text, one.code.id));
    own(system, doing, what, Advice::Fix)
}
