//! MariaDB's and MySQL's errors by their numbers. Their texts quote values and are never kept.

use mysql_async::{DriverError, Error, IoError};

use crate::connect::sql::engine::{FaultKind, SqlFault};
use crate::connect::sql::tls::is_tls;

/// The account is known and has no right in the database.
pub(super) const NO_RIGHT_IN_DATABASE: &str = "1044, it has no right in this database";

/// What an error of a statement means.
pub(super) fn fault(error: &Error) -> SqlFault {
    match error {
        Error::Server(server) => SqlFault { kind: kind(server.code), code: server.code.to_string() },
        Error::Io(IoError::Tls(_)) => coded(FaultKind::Lost, "TLS"),
        Error::Io(IoError::Io(error)) if is_tls(error) => coded(FaultKind::Lost, "TLS"),
        Error::Io(IoError::Io(_)) => coded(FaultKind::Lost, "connection"),
        Error::Driver(DriverError::StmtParamsNumberExceedsLimit { .. } | DriverError::StmtParamsMismatch { .. }) => {
            coded(FaultKind::Other, "number of values")
        }
        Error::Driver(_) | Error::Other(_) | Error::Url(_) => coded(FaultKind::Lost, "protocol"),
    }
}

/// What an error while connecting means: what would be a lost answer later is no connection here.
pub(super) fn connecting(error: &Error) -> SqlFault {
    let found = match error {
        Error::Driver(DriverError::NoClientSslFlagFromServer) => coded(FaultKind::Unreachable, "the server has no TLS"),
        Error::Driver(DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled) => {
            coded(FaultKind::Refused, "its way of checking passwords is not supported")
        }
        other => fault(other),
    };
    match found.kind {
        FaultKind::Lost => SqlFault { kind: FaultKind::Unreachable, code: found.code },
        FaultKind::NoRight if found.code == "1044" => coded(FaultKind::Refused, NO_RIGHT_IN_DATABASE),
        FaultKind::NoRight => SqlFault { kind: FaultKind::Refused, code: found.code },
        _ => found,
    }
}

fn coded(kind: FaultKind, code: &str) -> SqlFault {
    SqlFault { kind, code: code.into() }
}

fn kind(code: u16) -> FaultKind {
    match code {
        // Deadlock; changed since last read (snapshot isolation, Galera); deadlock among GET_LOCKs.
        1213 | 1020 | 3058 => FaultKind::Deadlock,
        1205 | 3572 => FaultKind::LockTimeout,
        // max_statement_time (MariaDB), max_execution_time (MySQL), interrupted by a person.
        1969 | 3024 | 1317 => FaultKind::StatementTimeout,
        1044 | 1142 | 1143 | 1144 | 1141 | 1147 | 1227 | 1370 | 1419 => FaultKind::NoRight,
        1290 | 1792 | 1836 | 1036 => FaultKind::ReadOnly,
        // Foreign keys, unique, NOT NULL, too long, out of range, wrong value, CHECK, a trigger's SIGNAL.
        1451 | 1452 | 1216 | 1217 | 1062 | 1169 | 1586 | 1048 | 1364 | 1406 | 1264 | 1265 | 1366 | 1292 | 1644
        | 4025 | 3819 | 1906 | 3105 => FaultKind::Constraint,
        1146 | 1054 | 1109 | 1049 | 1356 | 1932 | 1412 => FaultKind::Schema,
        // No server there; too many connections; blocked host; starting.
        2002 | 2003 | 2005 | 1040 | 1203 | 1129 | 1226 => FaultKind::Unreachable,
        // Gone, lost, shutting down, killed, idle too long, packet trouble.
        2006 | 2013 | 2055 | 1053 | 1927 | 1080 | 1152 | 1153 | 1156..=1161 | 1184 | 4031 => FaultKind::Lost,
        // Password, host, socket account, locked, expired.
        1045 | 1130 | 1698 | 4151 | 3118 | 1820 | 1862 | 1251 => FaultKind::Refused,
        1021 | 1114 | 3 | 1026 => FaultKind::Full,
        _ => FaultKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_meaning() {
        for (code, meaning) in [
            (1213, FaultKind::Deadlock),
            (1205, FaultKind::LockTimeout),
            (1969, FaultKind::StatementTimeout),
            (1142, FaultKind::NoRight),
            (1792, FaultKind::ReadOnly),
            (1451, FaultKind::Constraint),
            (1146, FaultKind::Schema),
            (1045, FaultKind::Refused),
            (1114, FaultKind::Full),
            (1064, FaultKind::Other),
        ] {
            assert_eq!(kind(code), meaning, "{code}");
        }
    }

    #[test]
    fn the_servers_text_is_never_kept() {
        let error = Error::Server(mysql_async::ServerError {
            code: 1062,
            message: "Duplicate entry 'jan@example.nl' for key 'email'".into(),
            state: "23000".into(),
        });
        let shown = format!("{0} {0:?}", fault(&error));
        assert!(shown.contains("1062") && !shown.contains("jan"), "{shown}");
    }
}
