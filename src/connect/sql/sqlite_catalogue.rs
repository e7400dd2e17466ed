//! SQLite's catalogue, read by its pragma functions.

use std::path::Path;

use super::catalogue::{Column, ForeignKey, OnDelete, Table, TableKind, TypeClass};
use super::engine::{FaultKind, Need, Row, Session, SqlFault, Statement};
use crate::codes;
use crate::connect::{Finding, Severity};
use crate::domain::selection::TableName;
use crate::domain::shell;
use crate::domain::value::Scalar;

/// Rows are counted up to here; beyond it a table is simply big.
const ESTIMATE_TO: u64 = 100_001;

fn ask(text: &str, value: &str) -> Statement {
    Statement { text: text.into(), values: vec![Scalar::Text(value.into())] }
}

fn text(row: &Row, place: usize) -> String {
    row.get(place).map(Scalar::show).filter(|_| !row.get(place).is_some_and(Scalar::is_null)).unwrap_or_default()
}

fn number(row: &Row, place: usize) -> i64 {
    match row.get(place) {
        Some(Scalar::Int(number)) => *number,
        _ => 0,
    }
}

fn full(name: &str) -> TableName {
    TableName { schema: Some("main".into()), name: name.into() }
}

/// Reads one table; other schemas than `main` are not opened.
pub(super) async fn table(session: &mut dyn Session, name: &TableName) -> Result<Option<Table>, SqlFault> {
    if name.schema.as_deref().is_some_and(|schema| schema != "main") {
        return Ok(None);
    }
    let listed = ask("SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1", &name.name);
    let rows = session.rows(&listed).await?;
    let Some(listed) = rows.first() else { return Ok(None) };
    let kind = if text(listed, 0) == "table" { TableKind::Table } else { TableKind::Other };
    let without_rowid = number(listed, 1) != 0;
    let (mut columns, primary_key) = columns(session, &name.name, without_rowid).await?;
    for column in columns.iter_mut().filter(|_| kind == TableKind::Table) {
        column.collation = collation(session, &name.name, &column.name).await?;
    }
    let (unique, partly_unique, mut indexes) = indexes(session, &name.name, &columns).await?;
    if !primary_key.is_empty() && !indexes.contains(&primary_key) {
        indexes.push(primary_key.clone());
    }
    let (references, referenced_by) = foreign_keys(session, &name.name, &columns, &primary_key).await?;
    let estimate = if kind == TableKind::Table { estimate(session, &name.name).await? } else { 0 };
    Ok(Some(Table {
        name: full(&name.name),
        kind,
        columns,
        primary_key,
        unique,
        partly_unique,
        indexes,
        referenced_by,
        references,
        triggers: triggers(session, &name.name).await?,
        transactional: true,
        row_security: false,
        versioned: false,
        partitioned: false,
        estimate,
    }))
}

/// Rows of these tables whose foreign keys lead nowhere: (table, row, table referred to, number of the key).
pub(super) async fn broken_references(session: &mut dyn Session, tables: &[&TableName]) -> Result<Vec<Row>, SqlFault> {
    let mut out = Vec::new();
    for table in tables {
        let text = "SELECT \"table\", rowid, parent, fkid FROM pragma_foreign_key_check(?1)";
        out.extend(session.rows(&ask(text, &table.name)).await?);
    }
    out.sort();
    Ok(out)
}

/// Whether a table holds each column to its declared type.
pub(super) async fn is_strict(session: &mut dyn Session, name: &TableName) -> Result<bool, SqlFault> {
    let ask = ask("SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1", &name.name);
    Ok(session.rows(&ask).await?.first().is_some_and(|row| number(row, 0) != 0))
}

/// The statement for a table `alike` whose column `v` is declared as this one is.
pub(super) fn alike(column: &Column, strict: bool) -> String {
    // A declared type may be any text; in quotes it has the same affinity. STRICT knows six words, and no quotes.
    let quoted = if column.ty.is_empty() { String::new() } else { format!("\"{}\"", column.ty.replace('"', "\"\"")) };
    let word = column.ty.bytes().all(|byte| byte.is_ascii_alphabetic());
    if strict && word {
        format!("CREATE TABLE alike (v {}) STRICT", column.ty)
    } else {
        format!("CREATE TABLE alike (v {quoted})")
    }
}

async fn columns(
    session: &mut dyn Session,
    table: &str,
    without_rowid: bool,
) -> Result<(Vec<Column>, Vec<String>), SqlFault> {
    let info = ask("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1, 'main')", table);
    let rows = session.rows(&info).await?;
    let mut primary: Vec<(i64, String)> =
        rows.iter().filter(|row| number(row, 3) > 0).map(|row| (number(row, 3), text(row, 0))).collect();
    primary.sort();
    let single = primary.len() == 1;
    let column = |row: &Row| {
        let ty = text(row, 1);
        // `INTEGER PRIMARY KEY` is the row's own number and never NULL; other primary keys may be, by an old mistake.
        let row_number = single && number(row, 3) > 0 && ty.eq_ignore_ascii_case("integer");
        let in_key = number(row, 3) > 0 && (without_rowid || row_number);
        Column {
            name: text(row, 0),
            class: class(&ty),
            max_chars: None,
            nullable: number(row, 2) == 0 && !in_key,
            generated: number(row, 4) >= 2,
            set_by_updates: false,
            collation: None,
            ty,
        }
    };
    Ok((rows.iter().map(column).collect(), primary.into_iter().map(|(_, name)| name).collect()))
}

/// The class of a declared type, after SQLite's own rules of affinity. Date types are what their name says: SQLite
/// keeps them as text or numbers, and each row's own type counts.
fn class(declared: &str) -> TypeClass {
    let name = declared.to_ascii_uppercase();
    let has = |word: &str| name.contains(word);
    if name.is_empty() || name == "ANY" {
        TypeClass::Dynamic
    } else if has("DATETIME") || has("TIMESTAMP") {
        TypeClass::DateTime
    } else if name == "DATE" {
        TypeClass::Date
    } else if name == "TIME" {
        TypeClass::Time
    } else if has("BOOL") {
        TypeClass::Bool
    } else if has("INT") {
        TypeClass::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") || has("JSON") || has("UUID") {
        TypeClass::Text
    } else if has("BLOB") || has("BINARY") {
        TypeClass::Binary
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        TypeClass::Float
    } else if has("DEC") || has("NUMERIC") {
        TypeClass::Decimal
    } else {
        TypeClass::Dynamic
    }
}

/// How a column compares texts, found out by asking: a set of two texts that it takes for one has one row. No catalogue
/// tells it. `None` is by bytes.
async fn collation(session: &mut dyn Session, table: &str, column: &str) -> Result<Option<String>, SqlFault> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (table, column) = (quoted(table), quoted(column));
    let one = |other: &str| {
        format!(
            "(SELECT count(*) FROM (SELECT {column} FROM main.{table} WHERE 0 UNION SELECT 'a' UNION SELECT '{other}'))"
        )
    };
    match session.rows(&Statement::plain(format!("SELECT {}, {}", one("A"), one("a ")))).await {
        Ok(rows) => {
            let same = |place| rows.first().is_some_and(|row| number(row, place) == 1);
            let name = match (same(0), same(1)) {
                (false, false) => return Ok(None),
                (true, false) => "NOCASE",
                (false, true) => "RTRIM",
                (true, true) => "NOCASE and RTRIM",
            };
            Ok(Some(name.into()))
        }
        // A collation of the application's own, which this program does not have.
        Err(found) if matches!(found.kind, FaultKind::Schema | FaultKind::Other) => Ok(Some("unknown".into())),
        Err(found) => Err(found),
    }
}

type Indexes = (Vec<Vec<String>>, Vec<(String, bool)>, Vec<Vec<String>>);

async fn indexes(session: &mut dyn Session, table: &str, columns: &[Column]) -> Result<Indexes, SqlFault> {
    let listed =
        session.rows(&ask("SELECT name, \"unique\", partial FROM pragma_index_list(?1, 'main')", table)).await?;
    let (mut unique, mut partly, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for index in &listed {
        let parts = session
            .rows(&ask(
                "SELECT cid, name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key = 1 ORDER BY seqno",
                &text(index, 0),
            ))
            .await?;
        let partial = number(index, 2) != 0;
        let plain: Vec<String> =
            parts.iter().take_while(|part| number(part, 0) >= 0).map(|part| text(part, 1)).collect();
        // Unique in another way of comparing than the column's own is not unique where the column is compared.
        let own = |part: &Row| {
            let own = columns.iter().find(|column| column.name == text(part, 1)).and_then(|one| one.collation.clone());
            text(part, 2).eq_ignore_ascii_case(own.as_deref().unwrap_or("BINARY"))
        };
        if number(index, 1) != 0 && !partial && plain.len() == parts.len() && parts.iter().all(own) {
            unique.push(plain.clone());
        } else if number(index, 1) != 0 {
            // The columns of an expression are told by no catalogue.
            partly.extend(plain.iter().map(|name| (name.clone(), !partial)));
        }
        if !plain.is_empty() && !partial {
            all.push(plain);
        }
    }
    Ok((unique, partly, all))
}

type ForeignKeys = (Vec<ForeignKey>, Vec<ForeignKey>);

async fn foreign_keys(
    session: &mut dyn Session,
    table: &str,
    columns: &[Column],
    primary_key: &[String],
) -> Result<ForeignKeys, SqlFault> {
    let rows = session
        .rows(&ask(
            "SELECT t.name, f.id, f.\"table\", f.\"from\", f.\"to\", f.on_delete, f.seq, target.name \
             FROM pragma_table_list t JOIN pragma_foreign_key_list(t.name, 'main') f \
             LEFT JOIN pragma_table_list target ON target.schema = 'main' AND lower(target.name) = lower(f.\"table\") \
             WHERE t.schema = 'main' AND t.type = 'table' AND (t.name = ?1 OR lower(f.\"table\") = lower(?1)) \
             ORDER BY t.name, f.id, f.seq",
            table,
        ))
        .await?;
    let mut all: Vec<ForeignKey> = Vec::new();
    for row in &rows {
        let (from_table, name) = (text(row, 0), text(row, 1));
        let known = all.iter_mut().find(|key| key.table.name == from_table && key.name == name);
        if let Some(key) = known {
            key.columns.push(text(row, 3));
            key.target_columns.push(text(row, 4));
            continue;
        }
        let target = text(row, 7);
        all.push(ForeignKey {
            name,
            table: full(&from_table),
            columns: vec![text(row, 3)],
            target: full(if target.is_empty() { text(row, 2) } else { target }.as_str()),
            target_columns: vec![text(row, 4)],
            on_delete: match text(row, 5).as_str() {
                "CASCADE" => OnDelete::Cascade,
                "SET NULL" | "SET DEFAULT" => OnDelete::Clear,
                _ => OnDelete::Refuse,
            },
        });
    }
    for key in &mut all {
        if key.target.name == table {
            exact_columns(&mut key.target_columns, columns, primary_key);
        } else {
            let target =
                session.rows(&ask("SELECT name, pk FROM pragma_table_xinfo(?1, 'main')", &key.target.name)).await?;
            exact_others(&mut key.target_columns, &target);
        }
    }
    let referenced_by = all.iter().filter(|key| key.target.name == table).cloned().collect();
    let references = all.into_iter().filter(|key| key.table.name == table).collect();
    Ok((references, referenced_by))
}

/// The columns referred to, as the catalogue spells them; left out, they are the primary key.
fn exact_columns(named: &mut Vec<String>, columns: &[Column], primary_key: &[String]) {
    if named.iter().all(String::is_empty) {
        *named = primary_key.to_vec();
    }
    for name in named {
        if let Some(column) = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
            name.clone_from(&column.name);
        }
    }
}

fn exact_others(named: &mut Vec<String>, target: &[Row]) {
    if named.iter().all(String::is_empty) {
        let mut primary: Vec<(i64, String)> =
            target.iter().filter(|row| number(row, 1) > 0).map(|row| (number(row, 1), text(row, 0))).collect();
        primary.sort();
        *named = primary.into_iter().map(|(_, name)| name).collect();
    }
    for name in named {
        if let Some(exact) = target.iter().map(|row| text(row, 0)).find(|one| one.eq_ignore_ascii_case(name)) {
            *name = exact;
        }
    }
}

async fn estimate(session: &mut dyn Session, table: &str) -> Result<u64, SqlFault> {
    let name = table.replace('"', "\"\"");
    let count = format!("SELECT count(*) FROM (SELECT 1 FROM main.\"{name}\" LIMIT {ESTIMATE_TO})");
    let rows = session.rows(&Statement::plain(count)).await?;
    Ok(rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0)))
}

async fn triggers(session: &mut dyn Session, table: &str) -> Result<Vec<String>, SqlFault> {
    let rows = session
        .rows(&ask(
            "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' AND lower(tbl_name) = lower(?1) ORDER BY name",
            table,
        ))
        .await?;
    Ok(rows.iter().filter(|row| fires(&text(row, 0), &text(row, 1))).map(|row| text(row, 0)).collect())
}

/// Whether a trigger fires on UPDATE or DELETE. In doubt it does.
fn fires(name: &str, sql: &str) -> bool {
    let after = sql.find(name).map_or(sql, |at| sql.get(at + name.len()..).unwrap_or(sql)).to_ascii_uppercase();
    let event =
        after.split(|c: char| !c.is_ascii_alphabetic()).find(|word| matches!(*word, "INSERT" | "UPDATE" | "DELETE"));
    event != Some("INSERT")
}

/// SQLite has no accounts: the file's own rights are all there is.
pub(super) fn file_rights(path: &Path, needs: &[Need]) -> Vec<Finding> {
    let Some(need) = needs.iter().find(|need| need.delete || !need.update.is_empty()) else { return Vec::new() };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let lacks = |place: &Path| rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_err();
    let what = match (lacks(path), lacks(folder)) {
        (false, false) => return Vec::new(),
        (true, _) => "this account may not write to the file",
        (false, true) => "this account may not write to the file's folder, where SQLite keeps its journal",
    };
    vec![Finding {
        code: codes::RIGHT_MISSING,
        severity: Severity::Fault,
        at: need.at.clone(),
        text: what.into(),
        remedy: "give the account that bewaard runs as the right to write there (a group of its own is best)".into(),
    }]
}

/// What gives an account these rights on a file.
pub(super) fn file_grants(path: &Path, needs: &[Need]) -> Vec<String> {
    let writes = needs.iter().any(|need| need.delete || !need.update.is_empty());
    let rights = if writes { "rw" } else { "r" };
    let mut out = vec![format!("setfacl -m u:bewaard:{rights} {}", shell::path(path))];
    if let (true, Some(folder)) = (writes, path.parent()) {
        out.push(format!("setfacl -m u:bewaard:rwx {}", shell::path(folder)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_have_a_class() {
        for (declared, expected) in [
            ("INTEGER", TypeClass::Integer),
            ("varchar(20)", TypeClass::Text),
            ("DATETIME", TypeClass::DateTime),
            ("decimal(10,2)", TypeClass::Decimal),
            ("", TypeClass::Dynamic),
            ("blob", TypeClass::Binary),
            ("double precision", TypeClass::Float),
        ] {
            assert_eq!(class(declared), expected, "{declared}");
        }
    }

    #[test]
    fn only_triggers_on_insert_are_left_out() {
        assert!(!fires("t", "CREATE TRIGGER t AFTER INSERT ON x BEGIN DELETE FROM y; END"));
        assert!(fires("on_insert", "CREATE TRIGGER on_insert AFTER DELETE ON x BEGIN SELECT 1; END"));
        assert!(fires("t", "CREATE TRIGGER t UPDATE OF a ON x BEGIN INSERT INTO y VALUES (1); END"));
    }
}
