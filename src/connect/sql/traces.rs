//! What a server keeps of erased rows: asked of each engine for the tables that rules erase from.

use super::catalogue::Table;
use super::connector::SqlConnector;
use super::engine::{FaultKind, Row, Session, SqlFault, Statement};
use crate::codes::{self, Code};
use crate::connect::{ConnectError, Keeps, Severity, Trace};
use crate::domain::rule::Rule;
use crate::domain::trace::{TraceKind, Until};

/// Seconds of a day.
const DAY: u64 = 86_400;

impl SqlConnector {
    pub(super) async fn kept_of(&self, rules: &[&Rule]) -> Result<Keeps, ConnectError> {
        let doing = "ask what the server keeps";
        let mut tables: Vec<Table> = Vec::new();
        for rule in rules {
            let resolved = match self.resolved(rule, doing).await {
                Ok(resolved) => resolved,
                Err(error) if error.unreachable => return Err(error),
                // What does not fit the database is told by `probe`.
                Err(_) => continue,
            };
            for node in &resolved.nodes {
                if !tables.iter().any(|table| table.name == node.table.name) {
                    tables.push(node.table.clone());
                }
            }
        }
        let mut lease = self.reading(doing).await?;
        let keeps = self.engine.keeps(lease.session(), &tables).await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(keeps)
    }
}

/// The answer to a question that the account may not be allowed to ask, or that this version does not know.
pub(super) async fn may_ask(session: &mut dyn Session, question: &str) -> Result<Option<Vec<Row>>, SqlFault> {
    match session.rows(&Statement::plain(question)).await {
        Ok(rows) => Ok(Some(rows)),
        Err(fault) if matches!(fault.kind, FaultKind::NoRight | FaultKind::Schema | FaultKind::Other) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Days that cover so many seconds.
pub(super) fn days(seconds: u64) -> u64 {
    seconds.div_ceil(DAY)
}

/// A trace whose end is known.
pub(super) fn ends(kind: TraceKind, days: u64, text: String, remedy: &str) -> Trace {
    trace(kind, Until::Days(days), Severity::Note, codes::SERVER_KEEPS_LOG, text, remedy)
}

/// A trace that nothing ends.
pub(super) fn endless(kind: TraceKind, text: String, remedy: &str) -> Trace {
    trace(kind, Until::Never, Severity::Warning, codes::TRACE_WITHOUT_END, text, remedy)
}

/// A trace whose end can't be told from here.
pub(super) fn unknown(kind: TraceKind, text: String, remedy: &str) -> Trace {
    trace(kind, Until::Unknown, Severity::Note, codes::TRACE_UNKNOWN, text, remedy)
}

pub(super) fn trace(
    kind: TraceKind,
    until: Until,
    severity: Severity,
    code: &'static Code,
    text: String,
    remedy: &str,
) -> Trace {
    Trace { kind, until, severity, code, text, remedy: remedy.into() }
}
