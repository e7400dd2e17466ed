//! What the account may do and what it needs.

use std::collections::BTreeSet;

use super::catalogue::{flag, text};
use super::dialect::quoted;
use crate::codes;
use crate::connect::sql::engine::{BATCH_TABLE, Need, Row, Session, SqlFault, Statement};
use crate::connect::{Finding, Severity};
use crate::domain::value::Scalar;

/// What is asked about.
pub(super) struct Asked<'a> {
    /// The system's name, for `system.NAME`.
    pub(super) system: &'a str,
    /// The schema of tables without one.
    pub(super) schema: &'a str,
    /// The account.
    pub(super) user: &'a str,
}

impl Asked<'_> {
    fn schema<'b>(&'b self, need: &'b Need) -> &'b str {
        need.table.schema.as_deref().unwrap_or(self.schema)
    }

    fn table(&self, need: &Need) -> String {
        format!("{}.{}", quoted(self.schema(need)), quoted(&need.table.name))
    }

    fn too_much(&self, text: String, remedy: String) -> Finding {
        let at = format!("system.{}", self.system);
        Finding { code: codes::ACCOUNT_HAS_MORE, severity: Severity::Warning, at, text, remedy }
    }
}

const ON_TABLE: &str = "SELECT has_schema_privilege(n.oid, 'USAGE'), has_any_column_privilege(c.oid, 'SELECT'), \
     has_table_privilege(c.oid, 'DELETE'), has_any_column_privilege(c.oid, 'UPDATE'), \
     has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'INSERT'), \
     has_table_privilege(c.oid, 'TRUNCATE'), pg_has_role(c.relowner, 'USAGE') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1::text AND c.relname = $2::text";

const ON_COLUMNS: &str = "SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relname = $2::text \
     AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'UPDATE')";

const ROLE: &str = "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication \
     FROM pg_roles WHERE rolname = current_user";

const MEMBER: &str = "SELECT rolname::text FROM pg_roles WHERE rolname IN ('pg_read_all_data', 'pg_write_all_data', \
     'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files') AND pg_has_role(oid, 'USAGE') \
     ORDER BY rolname";

const OTHERS: &str = "SELECT n.nspname::text, c.relname::text FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition \
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp%' \
     AND (has_any_column_privilege(c.oid, 'SELECT, UPDATE') OR has_table_privilege(c.oid, 'DELETE, TRUNCATE')) \
     ORDER BY 1, 2";

/// What lacks and what is too much.
pub(super) async fn findings(
    session: &mut dyn Session,
    needs: &[Need],
    asked: &Asked<'_>,
) -> Result<Vec<Finding>, SqlFault> {
    let role = session.rows(&Statement::plain(ROLE)).await?.into_iter().next().unwrap_or_default();
    if flag(&role, 0) {
        let text = "the account is a superuser: it may do everything, and row-level security does not hold for it";
        let remedy = format!("ALTER ROLE {} NOSUPERUSER;", quoted(asked.user));
        return Ok(vec![asked.too_much(text.into(), remedy)]);
    }
    let mut found = Vec::new();
    for need in needs {
        let values = vec![Scalar::Text(asked.schema(need).into()), Scalar::Text(need.table.name.clone())];
        let rows = session.rows(&Statement { text: ON_TABLE.into(), values: values.clone() }).await?;
        // A table that is not there is told by the probe.
        let Some(row) = rows.first() else { continue };
        let columns = session.rows(&Statement { text: ON_COLUMNS.into(), values }).await?;
        let columns: BTreeSet<String> = columns.iter().map(|row| text(row, 0)).collect();
        found.extend(lacking(row, &columns, need, asked));
        found.extend(surplus(row, need, asked));
    }
    found.extend(role_surplus(&role, &session.rows(&Statement::plain(MEMBER)).await?, asked));
    found.extend(other_tables(&session.rows(&Statement::plain(OTHERS)).await?, needs, asked));
    Ok(found)
}

fn lacking(row: &Row, columns: &BTreeSet<String>, need: &Need, asked: &Asked<'_>) -> Vec<Finding> {
    let user = quoted(asked.user);
    let fault = |text: String, remedy: String| Finding {
        code: codes::ACCOUNT_LACKS_RIGHT,
        severity: Severity::Fault,
        at: need.at.clone(),
        text,
        remedy,
    };
    let mut found = Vec::new();
    if !flag(row, 0) {
        let schema = quoted(asked.schema(need));
        let remedy = format!("GRANT USAGE ON SCHEMA {schema} TO {user};");
        found.push(fault(format!("the account may not use schema {schema}"), remedy));
    }
    let mut lacks: Vec<String> = Vec::new();
    for (needed, at, right) in [(need.select, 1, "SELECT"), (need.delete, 2, "DELETE"), (inserts(need), 5, "INSERT")] {
        if needed && !flag(row, at) {
            lacks.push(right.into());
        }
    }
    let missing: Vec<String> =
        need.update.iter().filter(|name| !columns.contains(*name)).map(|name| quoted(name)).collect();
    if !missing.is_empty() {
        lacks.push(format!("UPDATE ({})", missing.join(", ")));
    } else if need.lock && !flag(row, 3) {
        lacks.push("UPDATE".into());
    }
    if !lacks.is_empty() {
        let (rights, table) = (lacks.join(", "), asked.table(need));
        let why =
            if lacks.iter().any(|right| right == "UPDATE") { " (to lock rows; one column is enough)" } else { "" };
        let remedy = format!("GRANT {rights} ON {table} TO {user};");
        found.push(fault(format!("the account may not {rights} on {table}{why}"), remedy));
    }
    found
}

fn surplus(row: &Row, need: &Need, asked: &Asked<'_>) -> Option<Finding> {
    let table = asked.table(need);
    let user = quoted(asked.user);
    if flag(row, 7) {
        let text = format!("the account owns {table}: it may drop and change it, and switch its triggers off");
        return Some(
            asked.too_much(text, format!("ALTER TABLE {table} OWNER TO another role, and grant what is needed")),
        );
    }
    let mut extra = Vec::new();
    for (has, expected, right) in [
        (flag(row, 2), need.delete, "DELETE"),
        (flag(row, 4), need.lock && need.update.is_empty(), "UPDATE"),
        (flag(row, 5), inserts(need), "INSERT"),
        (flag(row, 6), false, "TRUNCATE"),
    ] {
        if has && !expected {
            extra.push(right);
        }
    }
    let rights = extra.join(", ");
    (!extra.is_empty()).then(|| {
        asked.too_much(
            format!("the account may {rights} on {table}, which no rule needs"),
            format!("REVOKE {rights} ON {table} FROM {user};"),
        )
    })
}

fn role_surplus(role: &Row, member: &[Row], asked: &Asked<'_>) -> Vec<Finding> {
    let user = quoted(asked.user);
    let attributes = [(1, "BYPASSRLS"), (2, "CREATEROLE"), (3, "CREATEDB"), (4, "REPLICATION")];
    let mut found: Vec<Finding> = attributes
        .iter()
        .filter(|(at, _)| flag(role, *at))
        .map(|(_, name)| {
            asked.too_much(
                format!("the account has {name}, which no rule needs"),
                format!("ALTER ROLE {user} NO{name};"),
            )
        })
        .collect();
    for row in member {
        let name = text(row, 0);
        let remedy = format!("REVOKE {name} FROM {user};");
        found.push(asked.too_much(format!("the account is a member of {name}, which no rule needs"), remedy));
    }
    found
}

fn other_tables(rows: &[Row], needs: &[Need], asked: &Asked<'_>) -> Option<Finding> {
    let wanted: BTreeSet<String> = needs.iter().map(|need| asked.table(need)).collect();
    let name = |row: &Row| format!("{}.{}", quoted(&text(row, 0)), quoted(&text(row, 1)));
    let others: Vec<String> = rows.iter().map(name).filter(|table| !wanted.contains(table)).collect();
    let shown = others.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    let more = if others.len() > 5 { " and others" } else { "" };
    (!others.is_empty()).then(|| {
        asked.too_much(
            format!("the account may read or change {} tables that no rule needs: {shown}{more}", others.len()),
            format!("REVOKE ALL ON {} FROM {};", shown, quoted(asked.user)),
        )
    })
}

/// The table of batches gets rows; so does what an undo puts back.
fn inserts(need: &Need) -> bool {
    need.insert || need.table.name == BATCH_TABLE
}

/// The statements for an account that may do exactly what is needed.
pub(super) fn grants(needs: &[Need], asked: &Asked<'_>) -> Vec<String> {
    let user = quoted(asked.user);
    let schemas: BTreeSet<&str> = needs.iter().map(|need| asked.schema(need)).collect();
    let mut all: Vec<String> =
        schemas.into_iter().map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {user};", quoted(schema))).collect();
    for need in needs {
        let table = asked.table(need);
        let mut rights = Vec::new();
        if need.select || need.delete || need.lock {
            rights.push("SELECT".to_string());
        }
        if need.delete {
            rights.push("DELETE".into());
        }
        if inserts(need) {
            rights.push("INSERT".into());
        }
        if !need.update.is_empty() {
            let columns: Vec<String> = need.update.iter().map(|name| quoted(name)).collect();
            rights.push(format!("UPDATE ({})", columns.join(", ")));
        }
        if !rights.is_empty() {
            all.push(format!("GRANT {} ON {table} TO {user};", rights.join(", ")));
        }
        if need.lock && need.update.is_empty() {
            let why = "PostgreSQL locks rows for who may UPDATE them; UPDATE (one column) is enough";
            all.push(format!("GRANT UPDATE ON {table} TO {user}; -- {why}"));
        }
    }
    all
}
