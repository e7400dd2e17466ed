//! PostgreSQL's errors by SQLSTATE. Their texts and details quote values and are never kept.

use sqlx::Error;

use crate::connect::sql::engine::{FaultKind, SqlFault};
use crate::connect::sql::tls::is_tls;

/// What an error of a statement means.
pub(super) fn fault(error: &Error) -> SqlFault {
    match error {
        Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            SqlFault { kind: kind(&code), code: code.into_owned() }
        }
        Error::Tls(_) => coded(FaultKind::Lost, "TLS"),
        Error::Io(error) if is_tls(error) => coded(FaultKind::Lost, "TLS"),
        Error::Io(_) => coded(FaultKind::Lost, "connection"),
        Error::ColumnDecode { .. } | Error::TypeNotFound { .. } | Error::Encode(_) => {
            coded(FaultKind::Other, "a value of an unexpected type")
        }
        _ => coded(FaultKind::Lost, "protocol"),
    }
}

/// What an error while connecting means: what would be a lost answer later is no connection here.
pub(super) fn connecting(error: &Error) -> SqlFault {
    let found = fault(error);
    match found.kind {
        FaultKind::Lost => SqlFault { kind: FaultKind::Unreachable, code: found.code },
        // CONNECT on the database, or LOGIN, is not granted.
        FaultKind::NoRight => SqlFault { kind: FaultKind::Refused, code: found.code },
        _ => found,
    }
}

fn coded(kind: FaultKind, code: &str) -> SqlFault {
    SqlFault { kind, code: code.into() }
}

fn kind(code: &str) -> FaultKind {
    match code {
        "40001" | "40P01" => FaultKind::Deadlock,
        "55P03" => FaultKind::LockTimeout,
        "57014" => FaultKind::StatementTimeout,
        // Also row-level security that would hide rows, under row_security = off.
        "42501" => FaultKind::NoRight,
        "25006" => FaultKind::ReadOnly,
        // Also a column of another type than it had: no operator, no cast.
        "42P01" | "42703" | "42704" | "42883" | "42804" | "42846" | "42809" | "3D000" | "3F000" | "0A000" => {
            FaultKind::Schema
        }
        // Shut down, crashed, idle too long in a transaction, idle too long.
        "57P01" | "57P02" | "25P03" | "57P05" => FaultKind::Lost,
        // Starting or stopping; too many connections.
        "57P03" | "53300" => FaultKind::Unreachable,
        "53100" => FaultKind::Full,
        // A trigger that refuses.
        "P0001" => FaultKind::Constraint,
        _ => match code.get(..2) {
            // Constraints; values that do not fit; triggered data change.
            Some("23" | "22" | "27") => FaultKind::Constraint,
            Some("08") => FaultKind::Lost,
            Some("28") => FaultKind::Refused,
            _ => FaultKind::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_their_meaning() {
        for (code, meaning) in [
            ("40P01", FaultKind::Deadlock),
            ("55P03", FaultKind::LockTimeout),
            ("57014", FaultKind::StatementTimeout),
            ("42501", FaultKind::NoRight),
            ("25006", FaultKind::ReadOnly),
            ("23503", FaultKind::Constraint),
            ("42P01", FaultKind::Schema),
            ("28P01", FaultKind::Refused),
            ("57P01", FaultKind::Lost),
            ("08006", FaultKind::Lost),
            ("53100", FaultKind::Full),
            ("XX000", FaultKind::Other),
        ] {
            assert_eq!(kind(code), meaning, "{code}");
        }
    }
}
