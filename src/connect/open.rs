//! From a system of the policy to its connector.

use chrono_tz::Tz;

use super::sql::connector::SqlConnector;
use super::sql::sqlite;
use super::{Advice, ConnectError, Connector, FieldKeys};
use crate::domain::policy::{Access, System};

/// Makes the connector of a system. It connects when it is first asked something.
pub fn open(system: &System, zone: Tz, keys: FieldKeys) -> Result<Box<dyn Connector>, ConnectError> {
    let engine = match &system.access {
        Access::Sqlite(access) => sqlite::engine(access),
        // Until the engines of the two servers are merged.
        Access::Mariadb(_) | Access::Postgres(_) => {
            return Err(ConnectError {
                system: system.id.clone(),
                doing: "open it",
                what: format!("`{}` is not built in", system.access.kind()),
                advice: Advice::Fix,
                unreachable: false,
            });
        }
    };
    Ok(Box::new(SqlConnector::new(engine, system.id.clone(), zone, keys, system.batch_table)))
}
