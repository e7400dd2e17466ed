//! From a system of the policy to its connector.

use chrono_tz::Tz;

use super::sql::connector::SqlConnector;
use super::sql::{mariadb, postgres, sqlite};
use super::{ConnectError, Connector, FieldKeys};
use crate::domain::policy::{Access, System};

/// Makes the connector of a system. It connects when it is first asked something.
pub fn open(system: &System, zone: Tz, keys: FieldKeys) -> Result<Box<dyn Connector>, ConnectError> {
    let engine = match &system.access {
        Access::Sqlite(access) => sqlite::engine(access),
        Access::Mariadb(access) => mariadb::engine(access, &system.id)?,
        Access::Postgres(access) => postgres::engine(access, &system.id)?,
    };
    Ok(Box::new(SqlConnector::new(engine, system.id.clone(), zone, keys, system.batch_table)))
}
