//! How a PostgreSQL server bears what is done to it.

use super::catalogue::{flag, text};
use super::dialect::quoted;
use crate::connect::Strain;
use crate::connect::sql::engine::{Row, Session, SqlFault, Statement};
use crate::connect::sql::strain::{folder, hidden};
use crate::domain::brake::{Brake, Reading};
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// One statement. What an account may not see of others is NULL in these views, and so counted by nothing: the last column
/// says whether it may.
const STRAIN: &str = "SELECT \
     (SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' \
      AND pid <> pg_backend_pid()), \
     (SELECT count(*) FROM pg_stat_replication), \
     (SELECT ceil(coalesce(max(extract(epoch FROM replay_lag)), 0) * 1000)::int8 FROM pg_stat_replication), \
     (SELECT max(pg_wal_lsn_diff(here.lsn, replay_lsn))::int8 FROM pg_stat_replication), \
     (SELECT max(pg_wal_lsn_diff(here.lsn, restart_lsn))::int8 FROM pg_replication_slots), \
     (SELECT count(*) FROM pg_stat_progress_basebackup), \
     (SELECT setting FROM pg_settings WHERE name = 'data_directory'), \
     pg_has_role('pg_read_all_stats', 'USAGE') OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \
     FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) here";

/// How far a standby is behind: nothing where it has replayed all that it received.
const LAG: &str = "SELECT pg_is_in_recovery(), CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
     ELSE ceil(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::int8 END";

fn number(row: &Row, at: usize) -> Option<u64> {
    match row.get(at) {
        Some(Scalar::Int(number)) => Some(u64::try_from(*number).unwrap_or(0)),
        _ => None,
    }
}

pub(super) async fn strain(
    session: &mut dyn Session,
    tables: &[TableName],
    schema: &str,
    user: &str,
) -> Result<Strain, SqlFault> {
    let row = session.rows(&Statement::plain(STRAIN)).await?.into_iter().next().unwrap_or_default();
    let sees_all = flag(&row, 7);
    let or_hidden = |reading: Option<u64>, what: &str| {
        let remedy = format!("GRANT pg_read_all_stats TO {};", quoted(user));
        if sees_all { Reading::Known(reading.unwrap_or(0)) } else { hidden(what, remedy) }
    };
    let mut strain = Strain { folder: folder(&text(&row, 6)), ..Strain::default() };
    strain.add(Brake::Running, or_hidden(number(&row, 0), "how many backends of others work"));
    if number(&row, 1).unwrap_or(0) > 0 {
        strain.add(Brake::ReplicaLag, or_hidden(number(&row, 2), "how many seconds the standbys are behind"));
        strain.add(Brake::ReplicaBehind, or_hidden(number(&row, 3), "how many bytes the standbys are behind"));
    }
    if let Some(kept) = number(&row, 4) {
        strain.add_at(Brake::ReplicaBehind, Reading::Known(kept), Some("replication slots".into()));
    }
    let backups = number(&row, 5).unwrap_or(0);
    strain.add_at(Brake::Backup, Reading::Known(backups), Some("pg_basebackup".into()));
    strain.add(Brake::DeadRows, Reading::Known(dead_rows(session, tables, schema).await?));
    Ok(strain)
}

/// Dead rows of these tables, as the server's statistics have them; partitions are counted with their table.
async fn dead_rows(session: &mut dyn Session, tables: &[TableName], schema: &str) -> Result<u64, SqlFault> {
    if tables.is_empty() {
        return Ok(0);
    }
    let (mut pairs, mut values) = (Vec::new(), Vec::new());
    for table in tables {
        values.push(Scalar::Text(table.schema.clone().unwrap_or_else(|| schema.to_string())));
        values.push(Scalar::Text(table.name.clone()));
        pairs.push(format!("(${}::text, ${}::text)", values.len() - 1, values.len()));
    }
    let text = format!(
        "SELECT coalesce(sum(s.n_dead_tup), 0)::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         CROSS JOIN LATERAL (SELECT c.oid AS relid UNION SELECT relid FROM pg_partition_tree(c.oid)) t \
         JOIN pg_stat_all_tables s ON s.relid = t.relid WHERE (n.nspname, c.relname) IN ({})",
        pairs.join(", ")
    );
    let rows = session.rows(&Statement { text, values }).await?;
    Ok(rows.first().and_then(|row| number(row, 0)).unwrap_or(0))
}

/// How far this standby is behind.
pub(super) async fn lag(session: &mut dyn Session) -> Result<Reading, SqlFault> {
    let row = session.rows(&Statement::plain(LAG)).await?.into_iter().next().unwrap_or_default();
    if !flag(&row, 0) {
        return Ok(Reading::Failed("it is no standby".into()));
    }
    Ok(number(&row, 1).map_or_else(|| Reading::Failed("it has replayed nothing yet".into()), Reading::Known))
}
