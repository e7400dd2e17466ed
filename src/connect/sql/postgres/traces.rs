//! What PostgreSQL keeps of erased rows: write-ahead log and its archive, server log, slots, dead rows.

use super::catalogue::{flag, text};
use super::dialect::PostgresDialect;
use crate::codes;
use crate::connect::sql::catalogue::Table;
use crate::connect::sql::engine::{Dialect, Row, Session, SqlFault, Statement};
use crate::connect::sql::traces::{endless, may_ask, trace, unknown};
use crate::connect::{Keeps, Severity, Space, Trace};
use crate::domain::trace::{TraceKind, Until};
use crate::domain::value::Scalar;

const SETTINGS: &str = "SELECT current_setting('archive_mode') <> 'off', \
     coalesce(nullif(current_setting('archive_command'), '(disabled)'), '') <> '' \
     OR coalesce(current_setting('archive_library', true), '') <> '', \
     current_setting('log_statement') IN ('mod', 'all') \
     OR current_setting('log_min_duration_statement') <> '-1' OR current_setting('log_min_duration_sample') <> '-1' \
     OR current_setting('log_duration') = 'on', \
     coalesce(current_setting('log_parameter_max_length', true), '-1') = '0', \
     current_setting('wal_keep_size', true), current_setting('min_wal_size'), current_setting('max_wal_size'), \
     current_setting('autovacuum') = 'on', current_setting('max_slot_wal_keep_size', true), \
     pg_has_role('pg_read_all_stats', 'USAGE') OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)";
const SLOTS: &str = "SELECT slot_name::text, active FROM pg_replication_slots \
     WHERE database IS NULL OR database = current_database() ORDER BY slot_name";
const STANDBYS: &str = "SELECT count(*) FROM pg_stat_replication";
const EXTENSION: &str = "SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'";
/// Publications that have the table and do not tell its deletions.
const UNTOLD: &str = "SELECT p.pubname::text FROM pg_publication p JOIN pg_publication_tables t USING (pubname) \
     WHERE t.schemaname = $1::text AND t.tablename = $2::text AND NOT p.pubdelete ORDER BY 1";
const PUBLISHED: &str = "SELECT p.pubname::text FROM pg_publication p JOIN pg_publication_tables t USING (pubname) \
     WHERE t.schemaname = $1::text AND t.tablename = $2::text AND p.pubdelete ORDER BY 1";
const TABLE: &str = "SELECT coalesce((SELECT option_value FROM pg_options_to_table(c.reloptions) \
     WHERE option_name = 'autovacuum_enabled'), 'true') IN ('false', 'off', '0', 'no') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1::text AND c.relname = $2::text";
/// What holds dead rows back: transactions open for more than an hour, and prepared ones.
const HORIZON: &str = "SELECT (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()), \
     (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
     AND xact_start < clock_timestamp() - interval '1 hour')";

pub(super) async fn keeps(
    session: &mut dyn Session,
    tables: &[Table],
    dialect: &PostgresDialect,
) -> Result<Keeps, SqlFault> {
    let settings = session.rows(&Statement::plain(SETTINGS)).await?.into_iter().next().unwrap_or_default();
    let sees_all = flag(&settings, 9);
    let mut traces = vec![wal(&settings)];
    traces.extend(archive(&settings));
    traces.extend(server_log(&settings));
    let slots = session.rows(&Statement::plain(SLOTS)).await?;
    traces.extend(slots.iter().map(|row| slot(row, &settings)));
    let standbys = may_ask(session, STANDBYS).await?;
    let standbys = standbys.as_deref().and_then(<[Row]>::first).map_or(0, |row| number(row, 0));
    if standbys > 0 {
        let text = format!("servers that copy this one now: {standbys}; each has a write-ahead log of its own");
        let remedy = "look at each of them as a server of its own: its archive, its log and its backups";
        traces.push(trace(TraceKind::Replicas, Until::Unknown, Severity::Note, codes::TRACE_COPIES, text, remedy));
    }
    if may_ask(session, EXTENSION).await?.is_some_and(|rows| !rows.is_empty()) {
        let text = "pg_stat_statements keeps the texts of statements, some of them with literals".to_string();
        let remedy =
            "pg_stat_statements_reset() empties it; pg_stat_statements.track_utility = off keeps fewer literals";
        traces.push(unknown(TraceKind::StatementStatistics, text, remedy));
    }
    let horizon = session.rows(&Statement::plain(HORIZON)).await?.into_iter().next().unwrap_or_default();
    for table in tables {
        traces.extend(published(session, table).await?);
        traces.push(dead_rows(session, table, &settings, &horizon, sees_all).await?);
    }
    let space = tables.iter().map(|table| Space {
        place: table.name.name.clone(),
        command: format!("VACUUM (FULL) {}", dialect.table(&table.name)),
    });
    Ok(Keeps { traces, space: space.collect() })
}

fn number(row: &Row, at: usize) -> u64 {
    row.get(at).and_then(|value| value.show().parse().ok()).unwrap_or(0)
}

fn wal(settings: &Row) -> Trace {
    let (kept, min, max) = (text(settings, 4), text(settings, 5), text(settings, 6));
    let text = format!(
        "the write-ahead log has erased rows until its files are written over (wal_keep_size {kept}, min_wal_size {min}, max_wal_size {max})"
    );
    let remedy = "no setting bounds it in days: it depends on how much is written";
    unknown(TraceKind::Wal, text, remedy)
}

fn archive(settings: &Row) -> Option<Trace> {
    if !flag(settings, 0) {
        return None;
    }
    if !flag(settings, 1) {
        let text = "archive_mode is on without a command or library, so the server keeps its write-ahead log for ever";
        let remedy = "set archive_command or archive_library, or archive_mode = off";
        return Some(endless(TraceKind::WalArchive, text.into(), remedy));
    }
    let text = "the write-ahead log is archived: erased rows stay in the archive until that is dropped".to_string();
    let trace =
        unknown(TraceKind::WalArchive, text, "keep base backups and archived WAL no longer than your policy says");
    Some(Trace { code: codes::SERVER_KEEPS_LOG, ..trace })
}

fn server_log(settings: &Row) -> Option<Trace> {
    if !flag(settings, 2) || flag(settings, 3) {
        return None;
    }
    let text = "the server writes statements with their values to its log".to_string();
    let remedy =
        "set log_parameter_max_length = 0 (or log_statement = 'none' or 'ddl' and log_min_duration_statement = -1)";
    Some(trace(TraceKind::ServerLog, Until::Unknown, Severity::Warning, codes::SERVER_LOGS_VALUES, text, remedy))
}

fn slot(row: &Row, settings: &Row) -> Trace {
    let name = text(row, 0);
    let bound = text(settings, 8);
    if !flag(row, 1) && (bound.is_empty() || bound == "-1") {
        let text =
            format!("nobody reads replication slot `{name}`, and it holds the write-ahead log back without an end");
        let remedy = "drop it with pg_drop_replication_slot, or set max_slot_wal_keep_size";
        return endless(TraceKind::ReplicationSlots, text, remedy);
    }
    let text = format!("replication slot `{name}` holds the write-ahead log back until its reader has it");
    unknown(TraceKind::ReplicationSlots, text, "look at who reads it, and at what that keeps")
}

async fn published(session: &mut dyn Session, table: &Table) -> Result<Vec<Trace>, SqlFault> {
    let mut out = Vec::new();
    let name = &table.name.name;
    let mut ask = async |question: &str| {
        let schema = table.name.schema.clone().unwrap_or_default();
        let values = vec![Scalar::Text(schema), Scalar::Text(name.clone())];
        let rows = session.rows(&Statement { text: question.into(), values }).await?;
        Ok::<_, SqlFault>(rows.iter().map(|row| text(row, 0)).collect::<Vec<_>>().join(", "))
    };
    let (untold, told) = (ask(UNTOLD).await?, ask(PUBLISHED).await?);
    if !untold.is_empty() {
        let text =
            format!("publication {untold} copies `{name}` and does not tell deletions: subscribers keep the rows");
        let trace = endless(
            TraceKind::Replicas,
            text,
            "ALTER PUBLICATION ... SET (publish = 'insert, update, delete, truncate')",
        );
        out.push(Trace { code: codes::TRACE_COPIES, ..trace });
    }
    if !told.is_empty() {
        let text = format!("publication {told} copies `{name}` to its subscribers, which have logs of their own");
        let remedy = "look at each subscriber as a server of its own";
        out.push(trace(TraceKind::Replicas, Until::Unknown, Severity::Note, codes::TRACE_COPIES, text, remedy));
    }
    Ok(out)
}

/// A deleted row is dead and stays in its page until VACUUM, and what VACUUM frees until something is written there.
async fn dead_rows(
    session: &mut dyn Session,
    table: &Table,
    settings: &Row,
    horizon: &Row,
    sees_all: bool,
) -> Result<Trace, SqlFault> {
    let kind = TraceKind::DeadRows;
    let name = &table.name.name;
    let values = vec![Scalar::Text(table.name.schema.clone().unwrap_or_default()), Scalar::Text(name.clone())];
    let row = session.rows(&Statement { text: TABLE.into(), values }).await?.into_iter().next().unwrap_or_default();
    if !flag(settings, 7) || flag(&row, 0) {
        let text =
            format!("autovacuum does not come to `{name}`: erased rows stay in its file until somebody runs VACUUM");
        return Ok(endless(kind, text, "switch autovacuum on, or run VACUUM after each purge"));
    }
    let (prepared, long) = (number(horizon, 0), number(horizon, 1));
    if prepared > 0 {
        let text = format!("{prepared} prepared transactions hold back VACUUM, also of `{name}`");
        return Ok(endless(kind, text, "COMMIT PREPARED or ROLLBACK PREPARED them: see pg_prepared_xacts"));
    }
    if long > 0 {
        let text = format!("transactions open for more than an hour hold back VACUUM, also of `{name}`: {long}");
        let remedy = "end them: see pg_stat_activity";
        return Ok(trace(kind, Until::Unknown, Severity::Warning, codes::TRACE_UNKNOWN, text, remedy));
    }
    let unseen = if sees_all {
        ""
    } else {
        " (open transactions of others can't be seen: GRANT pg_read_all_stats would show them)"
    };
    let text = format!(
        "erased rows of `{name}` stay in its file until autovacuum comes and new rows take their place{unseen}"
    );
    Ok(unknown(kind, text, "run VACUUM after a purge to make it soon"))
}
